"""What the running server knows: lamps, phones, calls, and why."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from blfd.doctor import examine_running
from blfd.operations import explained, lamps
from blfd.web.api.access import At, Knowing, Reading, System, at
from blfd.web.feed import Watched
from blfd.web.site import Site
from blfd.web.streams import event_stream

router = APIRouter()

Watching = Annotated[At, Depends(at("lamps"))]


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
    """The lamp of an extension, its `dialogs`, and how many `watchers` it has."""

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
    """How an upstream is now; of its `lamps`, so many are `known`, and so many `subscribed` to.

    `up` is null where it is not asked whether it is there, or has not answered yet.
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


Rows = list[dict[str, Any]]


@router.get("/tenants/{tenant}/lamps", tags=["Live"])
def list_lamps(at: Watching) -> list[Lamp]:
    """The lamps of all extensions."""
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
    """The calls that there are, each with its legs."""
    found: Rows = at.desk.client.call("calls", tenant=at.tenant)
    return found


@router.get("/tenants/{tenant}/explain/{extension}", tags=["Live"])
def explain_lamp(at: Knowing, extension: str) -> dict[str, Any]:
    """Why the lamp of an extension shows what it shows, who was told so, and who could pick up now.

    Of `trunk+NAME` and `upstream+NAME`: how it is, what was tried last, when it is tried again, what to do.
    """
    explained.check(at.desk, at.tenant, extension)
    found: dict[str, Any] = at.desk.client.call("explain", tenant=at.tenant, extension=extension)
    return found


@router.get("/system/status", tags=["System"])
def get_status(there: System) -> dict[str, Any]:
    """What the server does, in numbers."""
    found: dict[str, Any] = there.desk.client.call("status")
    return found


@router.get("/system/findings", tags=["System"])
def list_findings(there: System) -> list[dict[str, str]]:
    """What is wrong, and what to do about it."""
    return [finding._asdict() for finding in examine_running(there.desk.store, there.desk.client)]
