"""Who calls the API, by a bearer token (RFC 6750), and the tenant that is asked about."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from blfd.core import hosts
from blfd.core.errors import auth_failed
from blfd.operations import Desk, etag
from blfd.operations.admins import SYSTEM_SCOPE
from blfd.operations.desk import Row
from blfd.web.api.problems import PreconditionMissing, Unauthorized
from blfd.web.site import Site
from blfd.web.visitor import Visitor, of_token

log = logging.getLogger("blfd.web")

bearer = HTTPBearer(auto_error=False, description="A token of 'blfd token add', or of the portal.")


def caller(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Visitor:
    """A dependency: who calls. Raises Unauthorized."""
    site: Site = request.app.state.site
    token = site.store.admins.token(given.credentials) if given else None
    if token is None:
        if given and request.client:
            log.warning("%s", auth_failed(hosts.unmapped(request.client.host), "API: no such token"))
        raise Unauthorized("send 'Authorization: Bearer TOKEN' with a token that has not been removed")
    return of_token(token)


Caller = Annotated[Visitor, Depends(caller)]


@dataclass(frozen=True)
class Place:
    """What is asked about, and who calls; `tenant` is None for the system."""

    visitor: Visitor
    desk: Desk
    tenant: str | None


@dataclass(frozen=True)
class At(Place):
    """A tenant, and who calls."""

    tenant: str


def at(*scopes: str) -> Callable[..., At]:
    """A dependency: the tenant of the address, for tokens with all the rights `scopes` there."""

    def found(request: Request, tenant: str, who: Caller) -> At:
        site: Site = request.app.state.site
        who.check_tenant(tenant)
        site.store.tenants.get(tenant)
        for scope in scopes:
            who.check(scope)
        return At(who, site.desk(who), tenant)

    return found


def system(*scopes: str) -> Callable[..., Place]:
    """A dependency: the system, for its own tokens with all the rights `scopes`. Raises Forbidden."""

    def found(request: Request, who: Caller) -> Place:
        site: Site = request.app.state.site
        for scope in (SYSTEM_SCOPE, *scopes):
            who.check(scope)
        return Place(who, site.desk(who), None)

    return found


Reading = Annotated[At, Depends(at("read"))]
Writing = Annotated[At, Depends(at("write"))]
Knowing = Annotated[At, Depends(at("read", "callers"))]
"""For what tells who talks with whom."""

System = Annotated[Place, Depends(system())]


def expected(
    if_match: Annotated[str | None, Header(description="The ETag of what is changed, or *.")] = None,
) -> str | None:
    """A dependency: the argument `expected` of an operation, from If-Match; None takes whatever is there.

    Raises PreconditionMissing.
    """
    if if_match is None:
        raise PreconditionMissing(
            "send If-Match with the ETag that you were given, or * for whatever is there"
        )
    return None if if_match.strip() == "*" else if_match.strip().removeprefix("W/").strip('"')


Expected = Annotated[str | None, Depends(expected)]

_ETAG = {
    "headers": {"ETag": {"description": "For If-Match.", "required": True, "schema": {"type": "string"}}}
}
TAGGED: dict[int | str, dict[str, Any]] = {200: _ETAG}  # the `responses` of routes that answer with `tagged`
MADE: dict[int | str, dict[str, Any]] = {201: _ETAG}


def tagged(response: Response, row: Row) -> Row:
    """The row, with its ETag in the header."""
    response.headers["ETag"] = f'"{etag(row)}"'
    return row
