"""Lamps: a live board of a tenant's extensions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from blfd.control import ControlError, NotRunning
from blfd.operations import groups, lamps
from blfd.web.portal.here import Here, here, site_of, still_signed_in
from blfd.web.streams import event_stream

router = APIRouter(prefix="/t/{tenant}/lamps")

QUIET = ("idle", "do not disturb", "not registered", "unknown")
Watching = Annotated[Here, Depends(here("lamps"))]


@router.get("")
def board(here: Watching, request: Request, group: str = "") -> Response:
    """`?wall` leaves everything out but the lamps, `?wall=dense` shows hundreds; `group` those of one."""
    try:
        rows = lamps.all(here.desk, here.tenant, here.visitor.may("callers"))
        down = False
    except (NotRunning, ControlError):
        rows, down = [], True
    known = {one["name"]: {*one["pickers"], *one["targets"]} for one in groups.all(here.desk, here.tenant)}
    shown = known.get(group)
    rows = [row for row in rows if shown is None or row["extension"] in shown]
    rows.sort(key=lambda row: row["lamp"] in QUIET)
    wall = request.query_params.get("wall")
    return here.page(
        "lamps.html",
        rows=rows,
        down=down,
        wall=wall is not None,
        dense=wall == "dense",
        groups=sorted(known),
        group=group if shown is not None else "",
        only=sorted(shown) if shown is not None else None,
    )


@router.get("/events")
def events(here: Watching, request: Request) -> Response:
    site = site_of(request)

    def still_welcome() -> bool:
        now = still_signed_in(request)
        return now is not None and now.scopes == here.visitor.scopes

    return event_stream(site.feed, here.tenant, here.visitor, still_welcome)
