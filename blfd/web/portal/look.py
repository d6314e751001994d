"""What the server knows: why a lamp shows what it shows, and how the server is."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends
from starlette.responses import Response

from blfd.control import ControlError, NotRunning
from blfd.core.lines import is_line
from blfd.doctor import examine_running
from blfd.operations import explained, extensions
from blfd.operations.desk import Row
from blfd.store import NotFound
from blfd.web.portal.here import Reading, There, there

router = APIRouter()

MOST_NAMED = 200  # names of who watches an extension, or may pick up: there may be thousands
FIGURES = {
    "tenants": "",
    "extensions": "extensions",
    "registrations": "extensions",
    "calls": "lamps?calls=on",
}
"""Numbers of the server's status, and the page of a tenant that has them one by one."""

System = Annotated[There, Depends(there("system"))]


@router.get("/t/{tenant}/explain")
def explain(here: Reading, extension: str = "") -> Response:
    """The page that asks for an extension and tells what `blfd explain` tells; of a name, whose it may be."""
    asked, found, likely, error = " ".join(extension.split()), None, list[Row](), ""
    try:
        explained.check(here.desk, here.tenant, asked)
    except NotFound:
        likely = extensions.likely(here.desk, here.tenant, asked)
        if asked and not likely:
            raise
        if asked and len(likely) == 1:
            return here.to(f"explain?extension={quote(likely[0]['extension'])}")
    else:
        try:
            found = here.desk.client.call("explain", tenant=here.tenant, extension=asked)
        except NotRunning:
            error = "No SIP server runs: start one with 'blfd run'."
        except ControlError as problem:
            error = str(problem)
    lines = list(explained.sentences(found)) if found and is_line(asked) else []
    return here.page(
        "explain.html", lines=lines, found=found, likely=likely, extension=asked, error=error, most=MOST_NAMED
    )


@router.get("/health")
def health(there: System) -> Response:
    try:
        numbers = there.desk.client.call("status")
    except (NotRunning, ControlError):
        numbers = {}
    findings = list(examine_running(there.desk.store, there.desk.client))
    domains = there.desk.store.tenants.domains()
    home = f"/t/{domains[0]}/" if len(domains) == 1 else ""  # of several, the list of tenants leads on
    figures = [
        (name, numbers[name], f"{home}{page}" if home and page else "/tenants")
        for name, page in FIGURES.items()
        if name in numbers
    ]
    return there.page(
        "health.html",
        numbers=numbers,
        figures=figures,
        wrong=[finding for finding in findings if finding.state != "ok"],
        well=[finding for finding in findings if finding.state == "ok"],
    )
