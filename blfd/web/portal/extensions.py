"""Extensions: the accounts of a tenant."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from blfd.control import ControlError, NotRunning
from blfd.operations import etag, extensions, lamps, table
from blfd.store import Conflict, NewExtension, StoreError
from blfd.web.portal.here import LARGEST_FILE, PICKUP, Form, Here, Reading, Writing

router = APIRouter(prefix="/t/{tenant}/extensions")

PICKABLE = {"default": "as the tenant says", "on": "yes", "off": "no"}


@router.get("")
def list_(here: Reading) -> Response:
    rows = extensions.all(here.desk, here.tenant)
    try:
        shown = {row["extension"]: row["lamp"] for row in lamps.all(here.desk, here.tenant, callers=False)}
        registered = here.desk.client.call("registrations", tenant=here.tenant)
    except (NotRunning, ControlError):
        shown, registered = {}, None
    phones = Counter(row["extension"] for row in registered or ())
    return here.page(
        "extensions.html",
        rows=rows,
        lamps=shown,
        phones=phones,
        down=registered is None,
        pickup=PICKUP,
        pickable=PICKABLE,
    )


@router.get("/new")
def new(here: Writing) -> Response:
    return _page(here, {"extension": "", "name": "", "pickup": "default", "pickable": "default"}, is_new=True)


@router.post("/new")
def add(here: Writing, form: Form) -> Response:
    sent = _sent(form)
    wanted = NewExtension(str(form.get("extension", "")).strip(), sent["password"] or "", sent["name"])
    try:
        extensions.add(here.desk, here.tenant, wanted, pickup=sent["pickup"], pickable=sent["pickable"])
    except StoreError as error:
        shown = {**sent, "extension": wanted.extension}
        return _page(here, shown, is_new=True, error=error.text)
    return here.to("extensions", "added")


@router.get("/edit/{extension}")
def edit(here: Writing, extension: str) -> Response:
    row = extensions.get(here.desk, here.tenant, extension)
    return _page(here, row, version=etag(row))


@router.post("/edit/{extension}")
def change(here: Writing, extension: str, form: Form) -> Response:
    sent, version = _sent(form), str(form.get("version", ""))
    try:
        extensions.change(here.desk, here.tenant, extension, **sent, expected=version)
    except Conflict as error:
        row = extensions.get(here.desk, here.tenant, extension)
        return _page(here, row, version=etag(row), error=error.text, status=409)
    except StoreError as error:
        return _page(here, {**sent, "extension": extension}, version=version, error=error.text)
    return here.to("extensions", "changed")


@router.get("/remove/{extension}")
def ask_to_remove(here: Writing, extension: str) -> Response:
    row = extensions.get(here.desk, here.tenant, extension)
    return here.page(
        "remove.html",
        what=f"extension {extension}",
        text="Its phones are unregistered, and keys that watch it go dark. Groups lose it.",
        version=etag(row),
        back=f"/t/{here.tenant}/extensions",
    )


@router.post("/remove/{extension}")
def remove(here: Writing, extension: str, form: Form) -> Response:
    extensions.remove(here.desk, here.tenant, extension, str(form.get("version", "")))
    return here.to("extensions", "removed")


@router.get("/import")
def choose_file(here: Writing) -> Response:
    return _import_page(here)


@router.post("/import")
def import_(here: Writing, form: Form) -> Response:
    """A file is shown as what it would do; what has been shown comes again as text, and is done.

    It travels through the page, not over a file here: nothing with passwords is left lying if nobody goes on.
    """
    text = form.get("text")
    if isinstance(text, str):
        count = extensions.add_many(here.desk, here.tenant, extensions.read(_rows(text.encode())))
        return here.to("extensions", "imported" if count else "nothing")
    file = form.get("file")
    content = file.file.read(LARGEST_FILE + 1) if isinstance(file, UploadFile) else b""
    if len(content) > LARGEST_FILE:
        return _import_page(here, error=f"The file has more than {LARGEST_FILE >> 20} MiB: split it.")
    try:
        preview = extensions.preview(here.desk, here.tenant, extensions.read(_rows(content)))
    except StoreError as error:
        return _import_page(here, error=error.text)
    return _import_page(here, preview, content.decode("utf-8-sig"))


def _rows(content: bytes) -> Any:
    return table.read(content, "the file", extensions.COLUMNS)


def _import_page(
    here: Here, preview: list[extensions.Preview] | None = None, text: str = "", error: str = ""
) -> Response:
    wrong = [each for each in preview or () if each.problem]
    return here.page(
        "extensions_import.html",
        422 if error or wrong else 200,
        preview=preview,
        wrong=wrong,
        text=text,
        error=error,
        columns=",".join(extensions.COLUMNS),
    )


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
    )


def _sent(form: FormData) -> dict[str, Any]:
    """An empty password leaves the one of before."""
    return {
        "name": str(form.get("name", "")).strip(),
        "password": str(form.get("password", "")) or None,
        "pickup": str(form.get("pickup", "default")),
        "pickable": str(form.get("pickable", "default")),
    }
