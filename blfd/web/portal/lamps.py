"""Lamps: a live board of a tenant's extensions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from blfd.control import ControlError, NotRunning
from blfd.operations import lamps
from blfd.web.portal.here import Here, here, site_of, still_signed_in
from blfd.web.streams import event_stream

router = APIRouter(prefix="/t/{tenant}/lamps")

Watching = Annotated[Here, Depends(here("lamps"))]


@router.get("")
def board(here: Watching, request: Request) -> Response:
    """`?wall` leaves everything out but the lamps."""
    try:
        rows = lamps.all(here.desk, here.tenant, here.visitor.may("callers"))
        down = False
    except (NotRunning, ControlError):
        rows, down = [], True
    return here.page("lamps.html", rows=rows, down=down, wall="wall" in request.query_params)


@router.get("/events")
def events(here: Watching, request: Request) -> Response:
    site = site_of(request)

    def still_welcome() -> bool:
        now = still_signed_in(request)
        return now is not None and now.scopes == here.visitor.scopes

    return event_stream(site.feed, here.tenant, here.visitor, still_welcome)
