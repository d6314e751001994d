"""Pickup groups."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from blfd.operations import groups
from blfd.operations.desk import Row
from blfd.web.api.access import MADE, TAGGED, Expected, Reading, Writing, tagged
from blfd.web.api.paging import Cursor, Limit, Page, cut
from blfd.web.api.strict import Search, Sent

router = APIRouter(prefix="/tenants/{tenant}/groups", tags=["Pickup groups"])

Members = Annotated[list[str], Field(description="Extensions.")]


class Group(BaseModel):
    """Each of `pickers` may pick up the calls of each of `targets`."""

    name: str
    tenant: str
    pickers: Members
    targets: Members


class NewGroup(Sent):
    name: str
    pickers: Members = Field([])
    targets: Members = Field([])


class ChangedGroup(Sent):
    """`name` renames it; both sides replace those of before."""

    name: str | None = None
    pickers: Members
    targets: Members


@router.get("")
def list_groups(at: Reading, limit: Limit = 100, after: Cursor = None, search: Search = "") -> Page[Group]:
    return cut(Group, groups.all(at.desk, at.tenant), "name", limit, after, search)


@router.post("", status_code=201, response_model=Group, responses=MADE)
def add_group(at: Writing, response: Response, new: NewGroup) -> Row:
    return tagged(response, groups.add(at.desk, at.tenant, new.name, new.pickers, new.targets))


@router.get("/{name}", response_model=Group, responses=TAGGED)
def get_group(at: Reading, response: Response, name: str) -> Row:
    return tagged(response, groups.get(at.desk, at.tenant, name))


@router.put("/{name}", response_model=Group, responses=TAGGED)
def change_group(at: Writing, response: Response, name: str, wanted: ChangedGroup, expected: Expected) -> Row:
    changed = groups.change(
        at.desk, at.tenant, name, wanted.pickers, wanted.targets, rename=wanted.name, expected=expected
    )
    return tagged(response, changed)


@router.delete("/{name}", status_code=204)
def remove_group(at: Writing, name: str, expected: Expected) -> None:
    groups.remove(at.desk, at.tenant, name, expected)
