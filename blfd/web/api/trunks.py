"""Trunks, and the routes out by them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from blfd.core.trunk import DID_SOURCES
from blfd.operations import routes, trunks
from blfd.operations.desk import Row
from blfd.web.api.access import MADE, TAGGED, Expected, Reading, Writing, tagged
from blfd.web.api.paging import Cursor, Limit, Page, cut
from blfd.web.api.strict import Search, Sent, changing

router = APIRouter(prefix="/tenants/{tenant}", tags=["Trunks"])

DidSource = Annotated[
    str,
    Field(
        description="Where an INVITE has the number that is called: "
        f"{', '.join(f'`{each}`' for each in DID_SOURCES)}, or `header:NAME`."
    ),
]
CallerIdIn = Literal["from", "p-asserted-identity", "p-preferred-identity", "remote-party-id"]
Mode = Literal["ip", "register", "peer-registers"]
Transport = Literal["udp", "tcp", "tls"]
Replacing = Literal["none", "caller", "extension"]
PickupCode = Annotated[str, Field(description="`{extension}` is whose call is picked up.")]
Servers = Annotated[list[str], Field(description="Addresses, each with `:PORT` if it has one.")]
Dids = Annotated[list[str], Field(description="`NUMBER=EXTENSION`; x is any digit.")]
CallerIds = Annotated[list[str], Field(description="`EXTENSION=NUMBER`; x is any digit.")]


class Trunk(BaseModel):
    """A line to the outside. `password` says whether there is one."""

    name: str
    tenant: str
    password: bool
    enabled: bool
    servers: Servers
    mode: Mode
    expires: int
    line: bool
    retry: int
    retry_forbidden: int
    ping: int
    transport: Transport
    domain: str
    outbound_proxy: str
    username: str
    auth_name: str
    realm: str
    sources: list[str]
    certificate: str
    did_source: DidSource
    dids: Dids
    default: str
    country: str
    area: str
    caller_id: str
    caller_ids: CallerIds
    caller_id_in: CallerIdIn
    codecs: list[str]
    max_calls: int
    replaces: Replacing
    pickup_code: PickupCode


@changing(Trunk, "name", "tenant")
class ChangedTrunk(Sent):
    """What is left out stays; lists replace those of before."""

    password: str | None = None


class NewTrunk(ChangedTrunk):
    name: str


class Route(BaseModel):
    """Numbers of `pattern` go out by `trunks`, the first that takes the call."""

    pattern: str
    tenant: str
    trunks: list[str]
    strip: int
    prefix: str
    caller_id: str
    emergency: bool


@changing(Route, "pattern", "tenant")
class ChangedRoute(Sent):
    """What is left out stays."""


class NewRoute(ChangedRoute):
    pattern: str


Force = Annotated[bool, Query(description="Although an extension has the number.")]


@router.get("/trunks")
def list_trunks(at: Reading, limit: Limit = 100, after: Cursor = None, search: Search = "") -> Page[Trunk]:
    return cut(Trunk, trunks.all(at.desk, at.tenant), "name", limit, after, search)


@router.post("/trunks", status_code=201, response_model=Trunk, responses=MADE)
def add_trunk(at: Writing, response: Response, new: NewTrunk) -> Row:
    return tagged(response, trunks.add(at.desk, at.tenant, new.name, new.said("name")))


@router.get("/trunks/{name}", response_model=Trunk, responses=TAGGED)
def get_trunk(at: Reading, response: Response, name: str) -> Row:
    return tagged(response, trunks.get(at.desk, at.tenant, name))


@router.patch("/trunks/{name}", response_model=Trunk, responses=TAGGED)
def change_trunk(at: Writing, response: Response, name: str, wanted: ChangedTrunk, expected: Expected) -> Row:
    return tagged(response, trunks.change(at.desk, at.tenant, name, wanted.said(), expected))


@router.delete("/trunks/{name}", status_code=204)
def remove_trunk(at: Writing, name: str, expected: Expected) -> None:
    trunks.remove(at.desk, at.tenant, name, expected)


@router.get("/routes")
def list_routes(at: Reading, limit: Limit = 100, after: Cursor = None, search: Search = "") -> Page[Route]:
    return cut(Route, routes.all(at.desk, at.tenant), "pattern", limit, after, search)


@router.post("/routes", status_code=201, response_model=Route, responses=MADE)
def add_route(at: Writing, response: Response, new: NewRoute, force: Force = False) -> Row:
    return tagged(response, routes.add(at.desk, at.tenant, new.pattern, new.said("pattern"), force=force))


@router.get("/routes/{pattern}", response_model=Route, responses=TAGGED)
def get_route(at: Reading, response: Response, pattern: str) -> Row:
    return tagged(response, routes.get(at.desk, at.tenant, pattern))


@router.patch("/routes/{pattern}", response_model=Route, responses=TAGGED)
def change_route(
    at: Writing,
    response: Response,
    pattern: str,
    wanted: ChangedRoute,
    expected: Expected,
    force: Force = False,
) -> Row:
    return tagged(response, routes.change(at.desk, at.tenant, pattern, wanted.said(), expected, force=force))


@router.delete("/routes/{pattern}", status_code=204)
def remove_route(at: Writing, pattern: str, expected: Expected) -> None:
    routes.remove(at.desk, at.tenant, pattern, expected)
