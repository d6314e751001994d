"""Advanced Services > Upstreams: PBXs whose lamps are shown as those of own extensions."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from blfd.control import ControlError, NotRunning
from blfd.operations import upstreams
from blfd.store.upstreams import OF_UPSTREAM
from blfd.web.portal.here import Reading
from blfd.web.portal.kinds import NAME, Kind, add_pages
from blfd.web.portal.lists import Listing, part

router = APIRouter(prefix="/t/{tenant}")

TEXTS = {
    "enabled": ("In use", "otherwise it is as if it were not there"),
    "servers": ("Servers", "addresses or names, each with :PORT if it has one; one a line, tried in order"),
    "extensions": ("Extensions", "whose lamps it knows, one a line; x is any digit: 1xx"),
    "transport": ("Transport", "udp, tcp or tls"),
    "username": ("Account", "the user name there, if it has us prove who we are"),
    "auth_name": ("Name with the password", "if it is not the account"),
    "realm": ("Realm of the password", "challenges of others are not answered; empty for any"),
    "password": ("Password", "is not shown; left empty, it stays"),
    "domain": ("Domain", "what URIs have behind the @, if that is not the server"),
    "outbound_proxy": ("Outbound proxy", "by which all requests go"),
    "sources": ("NOTIFYs come from there, too", "networks such as 192.0.2.0/24, one a line"),
    "list_uri": ("List", "one subscription to this list of the PBX, instead of one an extension"),
    "interval": ("Subscribed for", "seconds"),
    "rate": ("SUBSCRIBEs a second", "at most"),
    "ping": ("Asked whether it is there every", "seconds; 0 for never"),
    "retry": ("What failed is tried again after", "seconds, at the latest"),
    "retry_forbidden": ("What was refused is tried again after", "seconds"),
}
"""What each setting is called, and what has to be known of it."""


add_pages(router, Kind("upstream", "Name", NAME, TEXTS, OF_UPSTREAM, upstreams, "upstreams"))


@router.get("/upstreams")
def list_(here: Reading, asked: Listing) -> Response:
    try:
        live = {row["name"]: row for row in here.desk.client.call("upstreams", tenant=here.tenant)}
        lamps = here.desk.client.call("upstream lamps", tenant=here.tenant)
    except (NotRunning, ControlError):
        live, lamps = {}, []
    rows = []
    for row in upstreams.all(here.desk, here.tenant):
        now = live.get(row["name"])
        state, known = (now["state"], f"{now['known']} of {now['lamps']}") if now else ("no server runs", "")
        rows.append({**row, "state": state, "known": known})
    wrong = [row for row in lamps if row["error"] or not row["known"]]
    return here.page("upstreams.html", part=part(rows, asked), wrong=wrong)
