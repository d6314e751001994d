"""Upstreams: PBXs whose lamps are shown as those of own extensions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from blfd.operations import upstreams
from blfd.operations.desk import Row
from blfd.web.api.access import MADE, TAGGED, Expected, Reading, Writing, tagged
from blfd.web.api.paging import Cursor, Limit, Page, cut
from blfd.web.api.strict import Search, Sent, changing
from blfd.web.api.trunks import Servers, Transport

router = APIRouter(prefix="/tenants/{tenant}/upstreams", tags=["Upstreams"])

Extensions = Annotated[list[str], Field(description="Whose lamps it knows; x is any digit.")]


class Upstream(BaseModel):
    """A PBX whose lamps are shown. `password` says whether there is one."""

    name: str
    tenant: str
    password: bool
    enabled: bool
    servers: Servers
    extensions: Extensions
    transport: Transport
    domain: str
    outbound_proxy: str
    username: str
    auth_name: str
    realm: str
    sources: list[str]
    list_uri: str
    interval: int
    rate: int
    ping: int
    retry: int
    retry_forbidden: int


@changing(Upstream, "name", "tenant")
class ChangedUpstream(Sent):
    """What is left out stays; lists replace those of before."""

    password: str | None = None


class NewUpstream(ChangedUpstream):
    name: str


@router.get("")
def list_upstreams(
    at: Reading, limit: Limit = 100, after: Cursor = None, search: Search = ""
) -> Page[Upstream]:
    return cut(Upstream, upstreams.all(at.desk, at.tenant), "name", limit, after, search)


@router.post("", status_code=201, response_model=Upstream, responses=MADE)
def add_upstream(at: Writing, response: Response, new: NewUpstream) -> Row:
    return tagged(response, upstreams.add(at.desk, at.tenant, new.name, new.said("name")))


@router.get("/{name}", response_model=Upstream, responses=TAGGED)
def get_upstream(at: Reading, response: Response, name: str) -> Row:
    return tagged(response, upstreams.get(at.desk, at.tenant, name))


@router.patch("/{name}", response_model=Upstream, responses=TAGGED)
def change_upstream(
    at: Writing, response: Response, name: str, wanted: ChangedUpstream, expected: Expected
) -> Row:
    return tagged(response, upstreams.change(at.desk, at.tenant, name, wanted.said(), expected))


@router.delete("/{name}", status_code=204)
def remove_upstream(at: Writing, name: str, expected: Expected) -> None:
    upstreams.remove(at.desk, at.tenant, name, expected)
