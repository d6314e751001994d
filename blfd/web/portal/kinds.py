"""Pages made of settings and their defaults: those of trunks, routes and upstreams."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.responses import Response

from blfd.operations import etag
from blfd.operations.desk import Row
from blfd.store import Conflict, StoreError
from blfd.web.portal.here import Form, Here, Writing

NAME = "small letters, digits and . -"


class Kind(NamedTuple):
    """What the pages of trunks, routes and upstreams differ in.

    `called` and `hint` are those of the field that tells one from another, `texts` the label and the hint of
    each setting, and `back` is the page of the list.
    """

    what: str
    called: str
    hint: str
    texts: Mapping[str, tuple[str, str]]
    defaults: Mapping[str, Any]
    operations: Any
    back: str

    def get(self, here: Here, name: str) -> Row:
        found: Row = self.operations.get(here.desk, here.tenant, name)
        return found


def add_pages(router: APIRouter, kind: Kind) -> None:
    """Add the pages on which one of a kind is added, changed and removed."""
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
        return here.to(kind.back, "added")

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
        return here.to(kind.back, "changed")

    @router.get(f"{of}/remove/{{name}}")
    def ask_to_remove(here: Writing, name: str) -> Response:
        return here.ask_to_remove(
            kind.operations.loss(here.desk, here.tenant, name), f"/t/{here.tenant}/{kind.back}"
        )

    @router.post(f"{of}/remove/{{name}}")
    def remove(here: Writing, name: str, form: Form) -> Response:
        kind.operations.remove(here.desk, here.tenant, name, str(form.get("version", "")))
        return here.to(kind.back, "removed")


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
    """What the form says, with numbers where settings have them. Raises StoreError."""
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
        back=kind.back,
        called=kind.called,
        hint=kind.hint,
        name=name,
        fields=_fields(kind, values),
        is_new=is_new,
        version=etag(dict(values)) if conflict else version,
        error=error,
        conflict=conflict,
    )
