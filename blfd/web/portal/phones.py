"""Phones: which are whose, what their keys show, and whether they have fetched that."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

import provisioning
from blfd.control import ControlError, NotRunning
from blfd.operations import devices, etag, lamps, table
from blfd.phones import Wanted
from blfd.store import Conflict, StoreError
from blfd.web.portal.here import LARGEST_FILE, Form, Here, Reading, Writing

router = APIRouter(prefix="/t/{tenant}/phones")

TRANSPORTS = {"udp": "UDP", "tcp": "TCP"}


@router.get("")
def list_(here: Reading) -> Response:
    return here.page("phones.html", rows=devices.all(here.desk, here.tenant))


@router.get("/show/{mac}")
def show(here: Reading, mac: str) -> Response:
    """With a picture of its keys, each with the lamp that it shows now."""
    row, pages = devices.show(here.desk, here.tenant, mac)
    try:
        found = lamps.all(here.desk, here.tenant, callers=False)
    except (NotRunning, ControlError):
        found = []
    shown = {each["extension"]: each["lamp"] for each in found}
    return here.page("phone.html", row=row, pages=pages, lamps=shown)


@router.get("/new")
def new(here: Writing) -> Response:
    empty = {"mac": "", "model": "", "extensions": [], "keys": "team", "transport": "udp"}
    return _page(here, empty, is_new=True)


@router.post("/new")
def add(here: Writing, form: Form) -> Response:
    sent = _sent(form)
    mac = str(form.get("mac", "")).strip()
    wanted = Wanted(mac, sent["model"], tuple(sent["extensions"]), sent["keys"], sent["transport"])
    try:
        devices.add(here.desk, here.tenant, wanted)
    except StoreError as error:
        return _page(here, {"mac": mac, **sent}, is_new=True, error=error.text)
    return here.to("phones", "added")


@router.get("/edit/{mac}")
def edit(here: Writing, mac: str) -> Response:
    row = devices.get(here.desk, here.tenant, mac)
    return _page(here, row, version=etag(row))


@router.post("/edit/{mac}")
def change(here: Writing, mac: str, form: Form) -> Response:
    sent, version = _sent(form), str(form.get("version", ""))
    try:
        devices.change(here.desk, here.tenant, mac, **sent, expected=version)
    except Conflict as error:
        row = devices.get(here.desk, here.tenant, mac)
        return _page(here, row, version=etag(row), error=error.text, status=409)
    except StoreError as error:
        return _page(here, {"mac": mac, **sent}, version=version, error=error.text)
    return here.to(f"phones/show/{mac}", "changed")


@router.get("/remove/{mac}")
def ask_to_remove(here: Writing, mac: str) -> Response:
    row = devices.get(here.desk, here.tenant, mac)
    text = "It gets no files any more, and its SIP password is worth nothing."
    back = f"/t/{here.tenant}/phones"
    return here.page("remove.html", what=f"phone {mac}", text=text, version=etag(row), back=back)


@router.post("/remove/{mac}")
def remove(here: Writing, mac: str, form: Form) -> Response:
    devices.remove(here.desk, here.tenant, mac, str(form.get("version", "")))
    return here.to("phones", "removed")


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
        raise StoreError("No SIP server runs, so no phone can be told.") from None
    return here.to(back, "told" if told else "nobody")


@router.get("/import")
def choose_file(here: Writing) -> Response:
    return _import_page(here)


@router.post("/import")
def import_(here: Writing, form: Form) -> Response:
    file = form.get("file")
    content = file.file.read(LARGEST_FILE + 1) if isinstance(file, UploadFile) else b""
    if len(content) > LARGEST_FILE:
        return _import_page(here, f"The file has more than {LARGEST_FILE >> 20} MiB: split it.")
    try:
        rows = table.read(content, "the file", devices.COLUMNS)
        count = devices.add_many(here.desk, here.tenant, devices.read(rows))
    except StoreError as error:
        return _import_page(here, error.text)
    return here.to("phones", "imported" if count else "nothing")


def _import_page(here: Here, error: str = "") -> Response:
    columns = ",".join(devices.COLUMNS)
    return here.page("phones_import.html", 422 if error else 200, columns=columns, error=error)


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
        "phone_edit.html",
        status if error else 200,
        row=row,
        is_new=is_new,
        version=version,
        error=error,
        models=[model.path for model in provisioning.models()],
        transports=TRANSPORTS,
        names=here.desk.store.names(here.tenant),
    )


def _sent(form: FormData) -> dict[str, Any]:
    return {
        "model": str(form.get("model", "")).strip(),
        "extensions": str(form.get("extensions", "")).replace(",", " ").split(),
        "keys": str(form.get("keys", "")).strip(),
        "transport": str(form.get("transport", "udp")),
    }
