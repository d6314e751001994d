"""Advanced Services > Trunks: the lines of a tenant to the outside, and the routes out by them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import Response

from blfd.control import ControlError, NotRunning
from blfd.core.trunks.trunk import DID_SOURCES
from blfd.operations import etag, routes, trunks
from blfd.operations.desk import Row
from blfd.store import Conflict, StoreError
from blfd.store.trunks import OF_ROUTE, OF_TRUNK
from blfd.web.portal.here import Form, Here, Reading, Writing
from blfd.web.portal.lists import Listing, part

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


class Kind(NamedTuple):
    """What the pages of trunks and of routes differ in; one is `called` by its name, or what it is of."""

    what: str
    called: str
    texts: Mapping[str, tuple[str, str]]
    defaults: Mapping[str, Any]
    operations: Any

    def get(self, here: Here, name: str) -> Row:
        found: Row = self.operations.get(here.desk, here.tenant, name)
        return found


KINDS = (
    Kind("trunk", "Name", TRUNK, OF_TRUNK, trunks),
    Kind("route", "Numbers", ROUTE, OF_ROUTE, routes),
)


@router.get("/trunks")
def list_(here: Reading, asked: Listing) -> Response:
    try:
        live = {row["name"]: row for row in here.desk.client.call("trunks", tenant=here.tenant)}
    except (NotRunning, ControlError):
        live = {}
    nothing = {"state": "no server runs", "calls": ""}
    rows = [
        {**row, **{name: live.get(row["name"], nothing)[name] for name in nothing}}
        for row in trunks.all(here.desk, here.tenant)
    ]
    by_number = routes.all(here.desk, here.tenant)
    return here.page("trunks.html", part=part(rows, asked), routes=by_number)


def _pages(kind: Kind) -> None:
    """To add one, change it, remove it."""
    of = f"/{kind.what}s"

    @router.get(f"{of}/new")
    def new(here: Writing) -> Response:
        return _page(here, kind, "", {}, is_new=True)

    @router.post(f"{of}/new")
    def add(here: Writing, form: Form) -> Response:
        name, said = str(form.get("name", "")).strip(), _said(form, kind.defaults)
        try:
            kind.operations.add(here.desk, here.tenant, name, _numbers(said, kind))
        except StoreError as error:
            return _page(here, kind, name, said, is_new=True, error=error.text)
        return here.to("trunks", "added")

    @router.get(f"{of}/edit/{{name}}")
    def edit(here: Writing, name: str) -> Response:
        found = kind.get(here, name)
        return _page(here, kind, name, found, version=etag(found))

    @router.post(f"{of}/edit/{{name}}")
    def change(here: Writing, name: str, form: Form) -> Response:
        said, version = _said(form, kind.defaults), str(form.get("version", ""))
        try:
            kind.operations.change(here.desk, here.tenant, name, _numbers(said, kind), version)
        except Conflict as error:
            return _page(here, kind, name, kind.get(here, name), error=error.text, conflict=True)
        except StoreError as error:
            return _page(here, kind, name, said, version=version, error=error.text)
        return here.to("trunks", "changed")

    @router.get(f"{of}/remove/{{name}}")
    def ask_to_remove(here: Writing, name: str) -> Response:
        return here.ask_to_remove(
            kind.operations.loss(here.desk, here.tenant, name), f"/t/{here.tenant}/trunks"
        )

    @router.post(f"{of}/remove/{{name}}")
    def remove(here: Writing, name: str, form: Form) -> Response:
        kind.operations.remove(here.desk, here.tenant, name, str(form.get("version", "")))
        return here.to("trunks", "removed")


for kind_of_page in KINDS:
    _pages(kind_of_page)


def _said(form: FormData, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What the form says, numbers as they were typed; an empty password stays."""
    said: dict[str, Any] = {}
    for name, default in defaults.items():
        text = str(form.get(name, "")).strip()
        if name not in form and not isinstance(default, bool):
            continue
        if name == "trunks" or isinstance(default, tuple):
            said[name] = [line.strip() for line in text.splitlines() if line.strip()]
        elif isinstance(default, bool):
            said[name] = name in form
        elif name != "password" or text:
            said[name] = text
    return said


def _numbers(said: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """The same, each as its setting has it. Raises StoreError."""
    found = dict(said)
    for name, text in said.items():
        if isinstance(text, str) and isinstance(kind.defaults[name], int):
            if not (text.isascii() and text.isdigit() and len(text) < 10):
                raise StoreError(f"{kind.texts[name][0]}: {text!r} is no number")
            found[name] = int(text)
    return found


def _fields(of: Kind, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, (label, hint) in of.texts.items():
        default = of.defaults[name]
        value = values.get(name, () if name == "trunks" else default)
        kind, options = "text", []
        if name == "trunks" or isinstance(default, tuple):
            kind, value = "lines", "\n".join(value)
        elif name == "transport":
            kind, options = "choice", ["udp", "tcp", "tls"]
        elif isinstance(default, Enum):
            kind, options = "choice", [one.value for one in type(default)]
            value = value.value if isinstance(value, Enum) else value
        elif isinstance(default, bool):
            kind = "switch"
        elif isinstance(default, int):
            kind = "number"
        elif name == "password":
            kind, value = "password", ""
        shown = {"name": name, "label": label, "hint": hint, "kind": kind, "value": value}
        found.append({**shown, "options": options})
    return found


def _page(
    here: Here,
    kind: Kind,
    name: str,
    values: Mapping[str, Any],
    *,
    is_new: bool = False,
    version: str = "",
    error: str = "",
    conflict: bool = False,
) -> Response:
    return here.page(
        "trunk.html",
        409 if conflict else 422 if error else 200,
        what=kind.what,
        called=kind.called,
        name=name,
        fields=_fields(kind, values),
        is_new=is_new,
        version=etag(dict(values)) if conflict else version,
        error=error,
        conflict=conflict,
    )
