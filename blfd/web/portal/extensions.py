"""Extensions: the accounts of a tenant."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response

from blfd.control import ControlError, NotRunning
from blfd.core.directory import Forwarding
from blfd.operations import Desk, NotTaken, etag, extensions, groups, lamps, renumbering, tenants
from blfd.operations.imports import Counts
from blfd.operations.loss import Loss
from blfd.store import Conflict, NewExtension, StoreError
from blfd.web.portal import bulk
from blfd.web.portal.bulk import Doing, changing, losing
from blfd.web.portal.here import OWNERS, PICKUP, Form, Here, Reading, Writing
from blfd.web.portal.imports import Import, Lines, Shown
from blfd.web.portal.lists import LONGEST, Listing, Part

router = APIRouter(prefix="/t/{tenant}/extensions")

SWITCH = {"off": "off", "on": "on: nothing rings"}
PICKABLE = {"default": "as the tenant says", "on": "yes", "off": "no"}
NOTHING: dict[str, Any] = {
    "pickup": "default",
    "pickable": "default",
    "owner": "default",
    "publish": "off",
    "withhold": "off",
    **{name: getattr(Forwarding(), field) for name, field in extensions.FORWARDING.items()},
}


@router.get("")
def list_(here: Reading, asked: Listing) -> Response:
    rows, total = extensions.some(here.desk, here.tenant, asked.q, asked.sort, asked.part)
    numbers = [row["extension"] for row in rows]
    try:
        of_them = lamps.of(here.desk, here.tenant, numbers, callers=False)
        registered = here.desk.client.call("registrations", tenant=here.tenant, extensions=numbers)
        shown = {row["extension"]: row["lamp"] for row in of_them}
    except (NotRunning, ControlError):
        shown, registered = {}, None
    phones = Counter(row["extension"] for row in registered or ())
    tenant = tenants.get(here.desk, here.tenant)
    return here.page(
        "extensions.html",
        part=Part(rows, total, asked),
        holds={
            "pickup": PICKUP[tenant["pickup"]],
            "pickable": PICKABLE["on" if tenant["pickable"] else "off"],
        },
        lamps=shown,
        phones=phones,
        down=registered is None,
        pickup=PICKUP,
        pickable=PICKABLE,
        goes=extensions.goes,
        doings={name: doing.label for name, doing in _doings(FormData()).items()},
        groups=here.desk.store.groups.names(here.tenant),
    )


@router.get("/suggest")
def suggest(here: Reading, q: Annotated[str, Query(max_length=LONGEST)] = "") -> Response:
    """Suggestions for a field that is typed into, as JSON."""
    rows = extensions.likely(here.desk, here.tenant, q)
    return JSONResponse([{"value": row["extension"], "label": row["name"]} for row in rows])


@router.get("/new")
def new(here: Writing) -> Response:
    return _page(here, {"extension": "", "name": "", **NOTHING}, is_new=True)


@router.post("/new")
def add(here: Writing, form: Form) -> Response:
    sent = _sent(form)
    wanted = NewExtension(
        str(form.get("extension", "")).strip(),
        sent["password"] or "",
        sent["name"],
        pickup=sent["pickup"],
        pickable=sent["pickable"],
        owner=sent["owner"],
        publish=sent["publish"],
        withhold=sent["withhold"],
    )
    try:
        extensions.add(here.desk, here.tenant, wanted)
    except StoreError as error:
        shown = {**NOTHING, **sent, "extension": wanted.extension}
        return _page(here, shown, is_new=True, error=error.text)
    return here.to("extensions", "added")


@router.get("/edit/{extension}")
def edit(here: Writing, extension: str) -> Response:
    row = extensions.get(here.desk, here.tenant, extension)
    return _page(here, row, version=etag(row))


@router.post("/edit/{extension}")
def change(here: Writing, extension: str, form: Form) -> Response:
    sent, version = _sent(form), str(form.get("version", ""))
    forwarding = _forwarding(form)
    try:
        extensions.change(
            here.desk, here.tenant, extension, **sent, forwarding=_numbers(forwarding), expected=version
        )
    except Conflict as error:
        row = extensions.get(here.desk, here.tenant, extension)
        return _page(here, row, version=etag(row), error=error.text, status=409)
    except StoreError as error:
        shown = {**NOTHING, **sent, **forwarding, "extension": extension}
        return _page(here, shown, version=version, error=error.text)
    return here.to("extensions", "changed")


@router.get("/renumber/{extension}")
def ask_for_number(here: Writing, extension: str) -> Response:
    loss = renumbering.along(here.desk, here.tenant, extension)
    return here.page("renumber.html", row={"extension": extension, "new": ""}, loss=loss, error="")


@router.post("/renumber/{extension}")
def renumber(here: Writing, extension: str, form: Form) -> Response:
    new, version = str(form.get("new", "")).strip(), str(form.get("version", ""))
    password = str(form.get("password", ""))
    try:
        renumbering.renumber(here.desk, here.tenant, extension, new, password, expected=version)
    except NotTaken:
        raise
    except StoreError as error:
        status = 409 if isinstance(error, Conflict) else 422
        loss = renumbering.along(here.desk, here.tenant, extension)
        row = {"extension": extension, "new": new}
        return here.page("renumber.html", status, row=row, loss=loss, error=error.text)
    return here.to("extensions", "renumbered")


def _doings(form: FormData) -> dict[str, Doing]:
    """What can be done to many extensions; the group is the form's."""
    group = str(form.get("group", "")).strip()
    named = f"group {group}" if group else "the group"

    def join(here: Here, chosen: list[str], version: str | None) -> str:
        groups.alter(here.desk, here.tenant, group, add=chosen)
        return "changed"

    def leave(here: Here, chosen: list[str], version: str | None) -> str:
        groups.alter(here.desk, here.tenant, group, remove=chosen)
        return "changed"

    def loss(here: Here, chosen: list[str]) -> Loss:
        return extensions.loss_of_many(here.desk, here.tenant, chosen)

    reach = {
        f"pickup-{to}": Doing(f"May pick up {said}", changing(extensions.change_many, pickup=to))
        for to, said in PICKUP.items()
    }
    reached = {
        f"pickable-{to}": Doing(f"May be picked up: {said}", changing(extensions.change_many, pickable=to))
        for to, said in PICKABLE.items()
    }
    shown = {
        f"withhold-{to}": Doing(f"Number is {said} outside", changing(extensions.change_many, withhold=to))
        for to, said in {"off": "shown", "on": "not shown"}.items()
    }
    members = {"join": Doing(f"Add to {named}", join), "leave": Doing(f"Remove from {named}", leave)}
    return {
        **members,
        **reach,
        **reached,
        **shown,
        "remove": Doing("Remove", losing(extensions.remove_many, "removed"), loss),
    }


@router.post("/bulk")
def do_to_many(here: Writing, form: Form) -> Response:
    def matching(here: Here, search: str) -> list[str]:
        return extensions.chosen(here.desk, here.tenant, search)

    return bulk.answer(here, form, "extensions", "extension", _doings(form), matching)


@router.get("/remove/{extension}")
def ask_to_remove(here: Writing, extension: str) -> Response:
    loss = extensions.loss(here.desk, here.tenant, extension)
    return here.ask_to_remove(loss, f"/t/{here.tenant}/extensions")


@router.post("/remove/{extension}")
def remove(here: Writing, extension: str, form: Form) -> Response:
    extensions.remove(here.desk, here.tenant, extension, str(form.get("version", "")))
    return here.to("extensions", "removed")


def _preview(desk: Desk, tenant: str, lines: Lines, update: bool) -> list[Shown]:
    new = extensions.read(desk, tenant, lines, update)
    return [
        Shown((each.extension, each.name), outcome, problem)
        for each, outcome, problem in extensions.preview(desk, tenant, new, update)
    ]


def _put(desk: Desk, tenant: str, lines: Lines, update: bool) -> Counts:
    return extensions.put_many(desk, tenant, extensions.read(desk, tenant, lines, update), update)


IMPORT = Import("extensions", extensions.COLUMNS, ("Extension", "Name"), _preview, _put)
IMPORT.serve(router)


@router.get("/export")
def export(here: Reading) -> Response:
    return here.file(extensions.export(here.desk, here.tenant), "extensions.csv")


def _page(
    here: Here,
    row: dict[str, Any],
    *,
    is_new: bool = False,
    version: str = "",
    error: str = "",
    status: int = 422,
) -> Response:
    return here.page(
        "extension.html",
        status if error else 200,
        row=row,
        is_new=is_new,
        version=version,
        error=error,
        pickup=PICKUP,
        pickable=PICKABLE,
        owners=OWNERS,
        switch=SWITCH,
    )


def _sent(form: FormData) -> dict[str, Any]:
    """The extension as it is in the form; an empty password leaves the one of before."""
    return {
        "name": str(form.get("name", "")).strip(),
        "password": str(form.get("password", "")) or None,
        "pickup": str(form.get("pickup", "default")),
        "pickable": str(form.get("pickable", "default")),
        "owner": str(form.get("owner", "default")),
        "publish": "on" if "publish" in form else "off",
        "withhold": "on" if "withhold" in form else "off",
    }


def _forwarding(form: FormData) -> dict[str, Any]:
    """The forwarding as it is in the form; what is not in it stays as it is."""
    found = {name: str(form[name]).strip() for name in extensions.FORWARDING if name in form}
    return {**found, "dnd": found["dnd"] == "on"} if "dnd" in found else found


def _numbers(forwarding: dict[str, Any]) -> dict[str, Any]:
    """The forwarding with its seconds as a number. Raises StoreError."""
    after = forwarding.get("forward_after")
    if after is None:
        return forwarding
    if not (after.isascii() and after.isdigit()):
        raise StoreError(f"seconds until nobody answers: {after!r} is no whole number")
    return {**forwarding, "forward_after": int(after)}
