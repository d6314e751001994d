"""What has happened: attempts to pick up, and changes by administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from blfd.operations import Desk, pickups
from blfd.web.api.access import Knowing, Reading, System
from blfd.web.api.paging import Cursor, Limit, Page
from blfd.web.api.strict import Search

router = APIRouter()


class Pickup(BaseModel):
    """An attempt to pick up a call, and what came of it."""

    id: int
    at: str
    picker: str
    tenant: str
    way: str
    extension: str
    caller: str
    status: int
    result: str
    milliseconds: float


class Pickups(BaseModel):
    """`next` is what to give as `before` for the page that follows; null at the end."""

    items: list[Pickup]
    next: int | None


class Change(BaseModel):
    """A change that an administrator made, `at` in seconds since the epoch.

    Where many are changed at once, such as by an import, `before` and `after` have the first of them by name,
    and `counts` says how many there are; its `parts` are all of them.
    """

    id: int
    at: float
    who: str
    tenant: str
    operation: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    counts: dict[str, int] | None


class ChangePart(BaseModel):
    """One of many that were changed at once; null where it did not exist."""

    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Changes(BaseModel):
    """`next` is what to give as `before` for the page that follows; null at the end."""

    items: list[Change]
    next: int | None


Before = Annotated[int | None, Query(ge=0, le=2**62, description="`next` of the page before.")]


@router.get("/tenants/{tenant}/pickups", tags=["History"])
def list_pickups(
    at: Knowing,
    limit: Limit = 100,
    before: Before = None,
    picker: str = "",
    extension: str = "",
    since: Annotated[str, Query(description="8h ago, or a time such as 2026-11-23T08:00.")] = "",
    succeeded: bool | None = None,
) -> Pickups:
    """Attempts to pick up, the newest first."""
    found = pickups.all(
        at.desk,
        at.tenant,
        picker=picker,
        extension=extension,
        succeeded=succeeded,
        since=pickups.moment(since) if since else 0.0,
        before=before,
        limit=limit + 1,
    )
    items = [Pickup.model_validate(row) for row in found[:limit]]
    return Pickups(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/tenants/{tenant}/changes", tags=["History"])
def list_changes(at: Reading, limit: Limit = 100, before: Before = None) -> Changes:
    """Who has changed what, the newest first."""
    return _changes(at.desk, at.tenant, limit, before)


@router.get("/tenants/{tenant}/changes/{number}/parts", tags=["History"])
def list_parts(
    at: Reading, number: int, limit: Limit = 100, after: Cursor = None, search: Search = ""
) -> Page[ChangePart]:
    """What a change of more than 50 at once has done to each of them."""
    return _parts(at.desk, at.tenant, number, limit, after, search)


@router.get("/system/changes/{number}/parts", tags=["System"])
def list_parts_of_all(
    there: System, number: int, limit: Limit = 100, after: Cursor = None, search: Search = ""
) -> Page[ChangePart]:
    """What a change of any tenant has done to each of those that it changed."""
    return _parts(there.desk, None, number, limit, after, search)


def _parts(
    desk: Desk, tenant: str | None, number: int, limit: int, after: str | None, search: str
) -> Page[ChangePart]:
    """A page of parts; its cursor is how many stand before it."""
    first = int(after) if after and after.isdecimal() and len(after) < 10 else 0
    audit = desk.store.audit
    found, total = audit.parts(audit.get(tenant, number).id, search.split(), (first, limit))
    items = [ChangePart.model_validate(part._asdict()) for part in found]
    end = first + len(items)
    return Page[ChangePart](items=items, next=str(end) if end < total else None)


@router.get("/system/changes", tags=["System"])
def list_all_changes(there: System, limit: Limit = 100, before: Before = None) -> Changes:
    """The changes of all tenants and of the system, the newest first."""
    return _changes(there.desk, None, limit, before)


def _changes(desk: Desk, tenant: str | None, limit: int, before: int | None) -> Changes:
    found = desk.store.audit.changes(tenant, before, limit + 1)
    items = [Change.model_validate(change._asdict()) for change in found[:limit]]
    return Changes(items=items, next=items[-1].id if len(found) > limit else None)
