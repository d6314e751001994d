"""Lamps: a live board of a tenant's extensions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from blfd.operations import lamps
from blfd.store import NotFound
from blfd.web.feed import Watched
from blfd.web.portal.here import Here, here, site_of, still_signed_in
from blfd.web.portal.lists import Asked, Part, asked
from blfd.web.streams import event_stream

router = APIRouter(prefix="/t/{tenant}/lamps")

TILES = 300  # of a page, and of a screen on the wall
Watching = Annotated[Here, Depends(here("lamps"))]
Wanted = Annotated[Asked, Depends(asked("", "group", "wall", "calls"))]


@router.get("")
def board(here: Watching, wanted: Wanted, request: Request) -> Response:
    """Calls first. `wall` leaves everything out but the lamps, `wall=dense` shows hundreds.

    `group`: those of one, `calls`: those that have a call.
    """
    wanted = wanted._replace(length=TILES)
    names = here.desk.store.group_names(here.tenant)
    group = request.query_params.get("group", "")
    group = group if group in names else ""
    calls_only = "calls" in request.query_params
    found = lamps.board(
        here.desk,
        here.tenant,
        wanted.q,
        wanted.part,
        here.visitor.may("callers"),
        group=group,
        calls_only=calls_only,
    )
    wall = request.query_params.get("wall")
    part = Part(found.rows, found.total, wanted)
    guests = wanted.page == 1 and not wanted.q
    return here.page(
        "lamps.html",
        part=part,
        down=found.down,
        wall=wall is not None,
        dense=wall == "dense",
        groups=names,
        group=group,
        calls_only=calls_only,
        guests=guests,
        everybody=guests and part.pages == 1 and not (group or calls_only),
    )


@router.get("/events")
def events(
    here: Watching, request: Request, of: str | None = None, calls: bool = False, group: str = ""
) -> Response:
    """Of the extensions `of`, between commas, or of all.

    With `calls`, beside them of who has one in the `group`, or anywhere.
    """
    site = site_of(request)
    having_calls: frozenset[str] | None = frozenset()
    if calls:
        having_calls = _members(here, group) if group else None
    extensions = None if of is None else frozenset(filter(None, of.split(",")))
    watched = Watched(here.tenant, extensions, having_calls)

    def still_welcome() -> bool:
        now = still_signed_in(request)
        return now is not None and now.scopes == here.visitor.scopes

    return event_stream(site.feed, watched, here.visitor, still_welcome)


def _members(here: Here, name: str) -> frozenset[str]:
    """Empty for a group that is gone."""
    try:
        group = here.desk.store.group(here.tenant, name)
    except NotFound:
        return frozenset()
    return group.pickers | group.targets
