"""What the server knows: why a lamp shows what it shows, and how the server is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from blfd.control import ControlError, NotRunning
from blfd.doctor import examine_running
from blfd.operations import extensions
from blfd.web.portal.here import Reading, There, there

router = APIRouter()

System = Annotated[There, Depends(there("system"))]


@router.get("/t/{tenant}/explain")
def explain(here: Reading, extension: str = "") -> Response:
    """Asks for an extension, and says of it what `blfd explain` says."""
    names = here.desk.store.names(here.tenant)
    found, error = None, ""
    if extension:
        extensions.get(here.desk, here.tenant, extension)
        try:
            found = here.desk.client.call("explain", tenant=here.tenant, extension=extension)
        except NotRunning:
            error = "No SIP server runs: start one with 'blfd run'."
        except ControlError as problem:
            error = str(problem)
    return here.page("explain.html", found=found, names=names, extension=extension, error=error)


@router.get("/health")
def health(there: System) -> Response:
    try:
        numbers = there.desk.client.call("status")
    except (NotRunning, ControlError):
        numbers = {}
    findings = list(examine_running(there.desk.store, there.desk.client))
    return there.page("health.html", numbers=numbers, findings=findings)
