"""What the running server knows: lamps, phones, calls, pickups, and why."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from blfd.doctor import examine_running
from blfd.operations import Desk, extensions, lamps, pickups
from blfd.web.api.access import At, Reading, System, at
from blfd.web.api.paging import Cursor, Limit, Page
from blfd.web.api.strict import Search
from blfd.web.feed import Watched
from blfd.web.site import Site
from blfd.web.streams import event_stream

router = APIRouter()

Watching = Annotated[At, Depends(at("lamps"))]
Knowing = Annotated[At, Depends(at("read", "callers"))]  # as it tells who talks with whom


class Dialog(BaseModel):
    """A call of the extension; `since` in seconds ago. Its parties are for tokens with `callers`.

    `direction` is who calls whom as people see it: who has picked a call up is its recipient.
    """

    lamp: str
    state: str
    direction: str
    held: bool
    since: float
    id: str | None = None
    call_id: str | None = None
    local_tag: str | None = None
    remote_tag: str | None = None
    remote: str | None = None
    remote_name: str | None = None


class Lamp(BaseModel):
    extension: str
    tenant: str
    name: str
    lamp: str = Field(
        description="idle, trying, ringing, early media, talking, held, do not disturb, not registered or "
        "unknown."
    )
    dialogs: list[Dialog]
    watchers: int


class TrunkState(BaseModel):
    """How a trunk is now; `registered_since` in seconds ago, `expires` in seconds from now.

    `registered` is null where blfd does not register, `up` where it does not ask or does not know yet.
    """

    name: str
    tenant: str
    state: str = Field(description="In words: registered, up, ready, or what is wrong.")
    usable: bool
    registered: bool | None
    registered_since: float | None
    expires: int | None
    server: str
    error: str = Field(description="What its registrar has said last that was wrong.")
    up: bool | None
    calls: int


class UpstreamState(BaseModel):
    """How an upstream is now: of its `lamps` so many are `known`, and `subscribed` to.

    `up` is null where it is not asked whether it is there, or that is not known yet.
    """

    name: str
    tenant: str
    state: str = Field(description="In words: all its lamps are known, or what is wrong.")
    usable: bool
    lamps: int
    known: int
    subscribed: int
    error: str = Field(description="What has kept a lamp from being known.")
    up: bool | None


class UpstreamLamp(BaseModel):
    """An extension whose lamp is that of an upstream; `told_ago` in seconds ago, `expires` from now.

    `dialog` is the Call-ID of our subscription, and `told` says whether the PBX has told anything in it.
    """

    upstream: str
    extension: str
    tenant: str
    server: str
    state: str = Field(description="Of our subscription: waiting, asking, subscribed, refreshing, leaving.")
    dialog: str
    known: bool
    told: bool
    told_ago: float | None
    expires: int | None
    dialogs: int
    error: str


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
Rows = list[dict[str, Any]]


@router.get("/tenants/{tenant}/lamps", tags=["Live"])
def list_lamps(at: Watching) -> list[Lamp]:
    rows = lamps.all(at.desk, at.tenant, at.visitor.may("callers"))
    return [Lamp.model_validate(row) for row in rows]


@router.get(
    "/tenants/{tenant}/events",
    tags=["Live"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
def follow_events(at: Watching, request: Request) -> StreamingResponse:
    """Server-sent events: `lamps` (all), `lamp` (what changed), `pickup` and `down`, each a list of rows."""
    site: Site = request.app.state.site
    secret = request.headers["authorization"].partition(" ")[2]

    def still_welcome() -> bool:
        token = site.store.admins.token(secret)
        return token is not None and frozenset(token.scopes) == at.visitor.scopes

    return event_stream(site.feed, Watched(at.tenant), at.visitor, still_welcome)


@router.get("/tenants/{tenant}/registrations", tags=["Live"])
def list_registrations(at: Reading) -> Rows:
    """Which phones are registered, and where."""
    found: Rows = at.desk.client.call("registrations", tenant=at.tenant)
    return found


@router.get("/tenants/{tenant}/watchers", tags=["Live"])
def list_watchers(at: Reading) -> Rows:
    """Who watches whom, and what each was last told."""
    found: Rows = at.desk.client.call("watchers", tenant=at.tenant)
    return found


@router.get("/tenants/{tenant}/trunk-states", tags=["Live"])
def list_trunk_states(at: Reading) -> list[TrunkState]:
    """Whether each trunk is registered and answers, what is wrong, and how many calls it has."""
    return [TrunkState.model_validate(row) for row in at.desk.client.call("trunks", tenant=at.tenant)]


@router.get("/tenants/{tenant}/upstream-states", tags=["Live"])
def list_upstream_states(at: Reading) -> list[UpstreamState]:
    """Whether each upstream tells of its lamps, and what is wrong."""
    return [UpstreamState.model_validate(row) for row in at.desk.client.call("upstreams", tenant=at.tenant)]


@router.get("/tenants/{tenant}/upstream-lamps", tags=["Live"])
def list_upstream_lamps(at: Reading) -> list[UpstreamLamp]:
    """Our subscriptions to upstreams' lamps."""
    rows = at.desk.client.call("upstream lamps", tenant=at.tenant)
    return [UpstreamLamp.model_validate(row) for row in rows]


@router.get("/tenants/{tenant}/calls", tags=["Live"])
def list_calls(at: Knowing) -> Rows:
    found: Rows = at.desk.client.call("calls", tenant=at.tenant)
    return found


@router.get("/tenants/{tenant}/explain/{extension}", tags=["Live"])
def explain_lamp(at: Knowing, extension: str) -> dict[str, Any]:
    """Why a lamp shows what it shows, who was told so, and who could pick up now."""
    extensions.get(at.desk, at.tenant, extension)
    found: dict[str, Any] = at.desk.client.call("explain", tenant=at.tenant, extension=extension)
    return found


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
    """The newest first."""
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
    found = at.desk.store.audit.changes(at.tenant, before, limit + 1)
    items = [Change.model_validate(change._asdict()) for change in found[:limit]]
    return Changes(items=items, next=items[-1].id if len(found) > limit else None)


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
    """What a change of any tenant has done to each."""
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
    found = there.desk.store.audit.changes(None, before, limit + 1)
    items = [Change.model_validate(change._asdict()) for change in found[:limit]]
    return Changes(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/system/status", tags=["System"])
def get_status(there: System) -> dict[str, Any]:
    """What the server does, in numbers."""
    found: dict[str, Any] = there.desk.client.call("status")
    return found


@router.get("/system/findings", tags=["System"])
def list_findings(there: System) -> list[dict[str, str]]:
    """What is wrong, and what to do about it."""
    return [finding._asdict() for finding in examine_running(there.desk.store, there.desk.client)]
