"""Advanced Services > Trunks: the lines of a tenant to the outside, and the routes out by them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from blfd.control import ControlError, NotRunning
from blfd.core.trunk import DID_SOURCES
from blfd.operations import routes, trunks
from blfd.store.trunks import OF_ROUTE, OF_TRUNK
from blfd.web.portal.here import Reading
from blfd.web.portal.kinds import NAME, Kind, add_pages
from blfd.web.portal.lists import Asked, Listing, asked, part

router = APIRouter(prefix="/t/{tenant}")

TRUNK = {
    "enabled": ("In use", "otherwise it is as if it were not there"),
    "mode": (
        "How the two know each other",
        "ip: by their addresses; register: blfd registers there; peer-registers: it registers here",
    ),
    "servers": ("Servers", "addresses or names, each with :PORT if it has one; one a line, tried in order"),
    "transport": ("Transport", "udp, tcp or tls"),
    "username": ("Account", "the user name there"),
    "auth_name": ("Name with the password", "if it is not the account"),
    "realm": ("Realm of the password", "challenges of others are not answered; empty for any"),
    "password": ("Password", "is not shown; left empty, it stays"),
    "domain": ("Domain", "what URIs have behind the @, if that is not the server"),
    "outbound_proxy": ("Outbound proxy", "by which all requests go"),
    "dids": ("Numbers", "NUMBER=EXTENSION, one a line; x is any digit: +4930123451xx=1xx"),
    "default": ("Extension for all other numbers", ""),
    "did_source": (
        "Where the number is that is called",
        f"{', '.join(DID_SOURCES)}, or header:NAME for any header field",
    ),
    "country": ("Country's code", "of numbers without one, such as 49"),
    "area": ("Area's code", "likewise, such as 30"),
    "caller_ids": ("Numbers to show", "EXTENSION=NUMBER, one a line: 1xx=+4930123451xx"),
    "caller_id": ("Number to show of all others", ""),
    "caller_id_in": ("Where that number is written", ""),
    "sources": ("Calls come from there, too", "networks such as 192.0.2.0/24, one a line"),
    "certificate": ("Name in its certificate", "that it shows over TLS"),
    "codecs": ("Codecs", "that may be offered, one a line; none for all"),
    "max_calls": ("Calls at a time", "0 for any number"),
    "replaces": ("Picking up calls that it carries", "where INVITE with Replaces goes"),
    "pickup_code": ("Code that picks up such a call", "**{extension}, where Replaces is not to be had"),
    "expires": ("Registered for", "seconds"),
    "line": ("A token in our Contact says whose a call is", "when it has registered there"),
    "retry": ("What failed is tried again after", "seconds, at the latest"),
    "retry_forbidden": ("What was refused is tried again after", "seconds"),
    "ping": ("Asked whether it is there every", "seconds; 0 for never"),
}
ROUTE = {
    "trunks": ("Trunks", "names, one a line, tried in order"),
    "strip": ("Taken off the beginning", "how many characters"),
    "prefix": ("Put there instead", ""),
    "caller_id": ("Number to show", "whoever calls"),
    "emergency": ("Emergency number", "nothing keeps such a call from being tried"),
}
"""What each setting is called, and what has to be known of it."""

NUMBERS = "as they are dialled: digits, x for any digit, and . at the end for more of them: 0. or 112"

KINDS = (
    Kind("trunk", "Name", NAME, TRUNK, OF_TRUNK, trunks, "trunks"),
    Kind("route", "Numbers", NUMBERS, ROUTE, OF_ROUTE, routes, "trunks"),
)


for kind in KINDS:
    add_pages(router, kind)


@router.get("/trunks")
def list_(here: Reading, wanted: Listing, of_routes: Annotated[Asked, Depends(asked("routes_"))]) -> Response:
    try:
        live = {row["name"]: row for row in here.desk.client.call("trunks", tenant=here.tenant)}
    except (NotRunning, ControlError):
        live = {}
    nothing = {"state": "no server runs", "calls": ""}
    rows = [
        {**row, **{name: live.get(row["name"], nothing)[name] for name in nothing}}
        for row in trunks.all(here.desk, here.tenant)
    ]
    by_number = part(routes.all(here.desk, here.tenant), of_routes)
    return here.page("trunks.html", part=part(rows, wanted), routes=by_number)
