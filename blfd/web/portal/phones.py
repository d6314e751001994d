"""Phones: which are whose, what their keys show, and whether they have fetched that."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import Response

import provisioning
from blfd.control import ControlError, NotRunning
from blfd.devices.values import Wanted
from blfd.operations import Desk, device_files, devices, etag, lamps, overrides, selection
from blfd.operations.desk import Row
from blfd.operations.imports import Counts
from blfd.operations.loss import Loss
from blfd.store import Conflict, StoreError
from blfd.store.devices import DeviceRow
from blfd.web.portal import bulk, keys
from blfd.web.portal.bulk import Doing, changing, losing
from blfd.web.portal.here import Form, Here, Reading, Writing
from blfd.web.portal.imports import Import, Lines, Shown
from blfd.web.portal.lists import Listing, Part, part

router = APIRouter(prefix="/t/{tenant}/phones")

NO_SERVER = "No SIP server runs, so no phone can be told."
TRANSPORTS = {"udp": "UDP", "tcp": "TCP", "tls": "TLS"}


@router.get("")
def list_(here: Reading, asked: Listing) -> Response:
    found = devices.overview(here.desk, here.tenant)
    counts = Counter(map(_badge, found.states.values()))
    if asked.q or asked.sort:
        listed = part([_row(found, phone) for phone in found.phones], asked)
    else:
        shown = found.phones[asked.offset :][: asked.length]
        listed = Part([_row(found, phone) for phone in shown], len(found.phones), asked)
    doings = {name: doing.label for name, doing in _doings(FormData()).items()}
    return here.page("phones.html", part=listed, counts=counts, doings=doings, settings=provisioning.COMMON)


def _row(found: devices.Overview, phone: DeviceRow) -> Row:
    row = found.full(phone)
    return {**row, "badge": _badge(row["state"])}


def _badge(state: str) -> str:
    """A state in one word, for the list; the phone's own page has the rest."""
    plain = state.partition(" (")[0]
    if plain.startswith("registered"):
        return "ok"
    known = ("not registered", "gets no files", "no server runs")
    return next((each for each in known if plain.startswith(each)), "keys silent")


@router.get("/show/{mac}")
def show(here: Reading, mac: str) -> Response:
    """The page of a phone, with a picture of its keys, each with the lamp that it shows now."""
    row, pages = devices.show(here.desk, here.tenant, mac)
    watched = sorted({key["value"] for page in pages for key in page["keys"] if key["kind"] == "blf"})
    try:
        found = lamps.of(here.desk, here.tenant, watched, callers=False)
    except (NotRunning, ControlError):
        found = []
    shown = {each["extension"]: each["lamp"] for each in found}
    fit = devices.fit(here.desk, here.tenant, mac)
    return here.page("phone.html", row=row, pages=pages, lamps=shown, fit=str(fit), watched=watched)


@router.post("/secrets/{mac}")
def secrets(here: Writing, mac: str, form: Form) -> Response:
    """The secrets of a phone, shown once: the page has no address at which it could be seen again."""
    row = devices.get(here.desk, here.tenant, mac)
    return here.page("phone_secrets.html", row=row, secrets=devices.secrets(here.desk, here.tenant, mac))


@router.get("/new")
def new(here: Writing) -> Response:
    empty = {"mac": "", "model": "", "extensions": [], "keys": "team", "transport": "udp", "modules": 0}
    return _page(here, empty, keys.editor("team"), is_new=True)


@router.post("/new")
def add(here: Writing, form: Form) -> Response:
    sent = _sent(form)
    mac, chosen = str(form.get("mac", "")).strip(), keys.sent(form)
    if "more" in form:
        return _page(here, {"mac": mac, **sent}, chosen.with_free(keys.MORE), is_new=True)
    try:
        devices.add(here.desk, here.tenant, Wanted(mac, **_wanted(sent, chosen)))
    except StoreError as error:
        return _page(here, {"mac": mac, **sent}, chosen.with_free(), is_new=True, error=error.text)
    return here.to("phones", "added")


@router.get("/edit/{mac}")
def edit(here: Writing, mac: str) -> Response:
    row = devices.get(here.desk, here.tenant, mac)
    return _page(here, row, keys.editor(row["keys"]), version=etag(row))


@router.post("/edit/{mac}")
def change(here: Writing, mac: str, form: Form) -> Response:
    sent, chosen, version = _sent(form), keys.sent(form), str(form.get("version", ""))
    if "more" in form:
        return _page(here, {"mac": mac, **sent}, chosen.with_free(keys.MORE), version=version)
    try:
        devices.change(here.desk, here.tenant, mac, **_wanted(sent, chosen), expected=version)
    except Conflict as error:
        row = devices.get(here.desk, here.tenant, mac)
        return _page(here, row, keys.editor(row["keys"]), version=etag(row), error=error.text, status=409)
    except StoreError as error:
        return _page(here, {"mac": mac, **sent}, chosen.with_free(), version=version, error=error.text)
    return here.to(f"phones/show/{mac}", "changed")


def _sync_many(here: Here, chosen: list[str], version: str | None) -> str:
    try:
        told, _ = devices.sync_many(here.desk, here.tenant, chosen)
    except (NotRunning, ControlError):
        raise StoreError(NO_SERVER) from None
    return "told" if told else "nobody"


def _doings(form: FormData) -> dict[str, Doing]:
    """What can be done to many phones; the keys are the form's."""
    text = str(form.get("keys", "")).strip()

    def set_keys(here: Here, chosen: list[str], version: str | None) -> str:
        if not text:
            raise StoreError("Write which keys they get: the field is empty.")
        return changing(devices.change_many, keys=text)(here, chosen, version)

    def set_one(here: Here, chosen: list[str], version: str | None) -> str:
        overrides.set_many(here.desk, here.tenant, chosen, setting, value)
        return "told_next"

    def unset_one(here: Here, chosen: list[str], version: str | None) -> str:
        overrides.unset_many(here.desk, here.tenant, chosen, setting)
        return "told_next"

    def loss(here: Here, chosen: list[str]) -> Loss:
        return devices.loss_of_many(here.desk, here.tenant, chosen)

    def renewal(here: Here, chosen: list[str]) -> Loss:
        return devices.loss_by_renewal_of_many(here.desk, here.tenant, chosen)

    setting, value = (str(form.get(name, "")).strip(" ") for name in ("setting", "value"))
    named = setting or "a setting"
    return {
        "sync": Doing("Sync: fetch files now", _sync_many),
        "keys": Doing(f"Set keys {text and f'to {text}'}".strip(), set_keys),
        "setting": Doing(f"Set {named}{f' to {value}' if setting else ''}", set_one),
        "unset": Doing(f"Take back {named}", unset_one),
        **{
            f"transport-{name}": Doing(f"Register over {said}", changing(devices.change_many, transport=name))
            for name, said in TRANSPORTS.items()
        },
        "renew": Doing("Renew", losing(devices.renew_many, "all_renewed"), renewal),
        "remove": Doing("Remove", losing(devices.remove_many, "removed"), loss),
    }


@router.post("/bulk")
def do_to_many(here: Writing, form: Form) -> Response:
    def matching(here: Here, search: str) -> list[str]:
        found = devices.overview(here.desk, here.tenant)
        rows = [_row(found, phone) for phone in found.phones]
        return [row["mac"] for row in selection.matching(rows, search)]

    return bulk.answer(here, form, "phones", "phone", _doings(form), matching)


@router.get("/remove/{mac}")
def ask_to_remove(here: Writing, mac: str) -> Response:
    return here.ask_to_remove(devices.loss(here.desk, here.tenant, mac), f"/t/{here.tenant}/phones")


@router.post("/remove/{mac}")
def remove(here: Writing, mac: str, form: Form) -> Response:
    devices.remove(here.desk, here.tenant, mac, str(form.get("version", "")))
    return here.to("phones", "removed")


@router.get("/renew/{mac}")
def ask_to_renew(here: Writing, mac: str) -> Response:
    loss = devices.loss_by_renewal(here.desk, here.tenant, mac)
    return here.page("remove.html", loss=loss, back=f"/t/{here.tenant}/phones/show/{mac}", verb="Renew")


@router.post("/renew/{mac}")
def renew(here: Writing, mac: str, form: Form) -> Response:
    """Give a phone other passwords and another secret; its page has the new address of its files."""
    devices.renew(here.desk, here.tenant, mac)
    return here.to(f"phones/show/{mac}", "renewed")


@router.post("/sync")
def sync_all(here: Writing, form: Form) -> Response:
    return _sync(here, None, "phones")


@router.post("/sync/{mac}")
def sync(here: Writing, mac: str, form: Form) -> Response:
    return _sync(here, mac, f"phones/show/{mac}")


def _sync(here: Here, mac: str | None, back: str) -> Response:
    try:
        told, _ = devices.sync(here.desk, here.tenant, mac)
    except (NotRunning, ControlError):
        raise StoreError(NO_SERVER) from None
    return here.to(back, "told" if told else "nobody")


def _preview(desk: Desk, tenant: str, lines: Lines, update: bool) -> list[Shown]:
    wanted = device_files.read(desk, tenant, lines, update)
    return [
        Shown((each.mac, each.model, ", ".join(each.extensions), each.keys), outcome, problem)
        for each, outcome, problem in device_files.preview(desk, tenant, wanted, update)
    ]


def _put(desk: Desk, tenant: str, lines: Lines, update: bool) -> Counts:
    return device_files.put(desk, tenant, device_files.read(desk, tenant, lines, update), update).counts


IMPORT = Import("phones", device_files.COLUMNS, ("MAC", "Model", "Extensions", "Keys"), _preview, _put)
IMPORT.serve(router)


@router.get("/export")
def export(here: Reading) -> Response:
    return here.file(device_files.export(here.desk, here.tenant), "phones.csv")


@router.get("/addresses")
def addresses(here: Writing) -> Response:
    """The addresses of phones' files, as a file; the phones' secrets are in them."""
    found = device_files.addresses(here.desk, here.tenant)
    return here.file(device_files.in_file(found, device_files.ADDRESSES), "addresses.csv")


def _page(
    here: Here,
    row: dict[str, Any],
    chosen: keys.Editor,
    *,
    is_new: bool = False,
    version: str = "",
    error: str = "",
    status: int = 422,
) -> Response:
    return here.page(
        "phone_edit.html",
        status if error else 200,
        row=row,
        is_new=is_new,
        version=version,
        error=error,
        models=[model.path for model in provisioning.models()],
        transports=TRANSPORTS,
        keys=chosen,
        ways=keys.WAYS,
        kinds=keys.KINDS,
        groups=here.desk.store.groups.names(here.tenant),
    )


def _sent(form: FormData) -> dict[str, Any]:
    return {
        "model": str(form.get("model", "")).strip(),
        "extensions": [str(form.get("extensions", ""))],
        "transport": str(form.get("transport", "udp")),
        "modules": str(form.get("modules", "")).strip(),
    }


def _wanted(sent: dict[str, Any], chosen: keys.Editor) -> dict[str, Any]:
    """The fields of the phone that the form means. Raises StoreError."""
    extensions, modules = tuple(sent["extensions"]), sent["modules"] or 0
    return {**sent, "extensions": extensions, "modules": modules, "keys": keys.text_of(chosen)}
