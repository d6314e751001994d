"""Administrators and API tokens: of a tenant, and of the system."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from blfd.operations import admins, etag
from blfd.operations.desk import Row
from blfd.store import Conflict, StoreError
from blfd.store.admins import Role
from blfd.web.portal.here import Form, Here, There, at_either, there
from blfd.web.portal.lists import Asked, Listing, part

router = APIRouter()

ROLES = {
    Role.ADMINISTRATOR.value: "administrator: everything in the tenant",
    Role.ATTENDANT.value: "attendant: lamps, and who calls whom",
    Role.VIEWER.value: "viewer: lamps alone, for a screen on the wall",
}
SCOPES = {
    "lamps": "see lamps",
    "callers": "see who calls whom",
    "read": "read everything else",
    "write": "change everything",
    "system": "look after tenants and the system",
}

Reading = Annotated[There, Depends(at_either("read"))]
Writing = Annotated[There, Depends(at_either("write"))]
System = Annotated[There, Depends(there("system"))]


def _of(place: There) -> str | None:
    return place.tenant if isinstance(place, Here) else None


def _home(place: There, what: str) -> str:
    return f"/t/{place.tenant}/{what}" if isinstance(place, Here) else f"/{what}"


def _list(place: There, wanted: Asked, error: str = "") -> Response:
    shown = part(admins.all(place.desk, _of(place)), wanted)
    home = _home(place, "administrators")
    return place.page("admins.html", 422 if error else 200, part=shown, roles=ROLES, error=error, home=home)


@router.get("/administrators")
@router.get("/t/{tenant}/administrators")
def list_(place: Reading, wanted: Listing) -> Response:
    return _list(place, wanted)


@router.post("/administrators")
@router.post("/t/{tenant}/administrators")
def add(place: Writing, form: Form) -> Response:
    name, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
    try:
        role = admins.role(str(form.get("role", Role.ADMINISTRATOR.value)))
        tenant = _of(place) or str(form.get("tenant", "")).strip().lower() or None
        admins.add(place.desk, name, password, tenant, role)
    except StoreError as error:
        return _list(place, Asked(), error.text)
    return RedirectResponse(_home(place, "administrators?done=added"), 303)


@router.get("/administrators/edit/{name}")
@router.get("/t/{tenant}/administrators/edit/{name}")
def edit(place: Writing, name: str) -> Response:
    return _page(place, admins.get(place.desk, name, _of(place)))


def _page(place: There, row: Row, error: str = "", status: int = 422) -> Response:
    """The page of an administrator, with the version of what it shows, to which a change is compared."""
    return place.page(
        "admin.html",
        status if error else 200,
        row=row,
        version=etag(row),
        roles=ROLES,
        error=error,
        home=_home(place, "administrators"),
    )


@router.post("/administrators/edit/{name}")
@router.post("/t/{tenant}/administrators/edit/{name}")
def change(place: Writing, name: str, form: Form) -> Response:
    """Change the role, the password, or both."""
    row = admins.get(place.desk, name, _of(place))
    password, version = str(form.get("password", "")) or None, str(form.get("version", ""))
    try:
        role = admins.role(str(form.get("role", row["role"])))
        other = role if role.value != row["role"] else None
        admins.change(place.desk, name, password=password, role=other, expected=version)
    except Conflict as error:
        return _page(place, admins.get(place.desk, name, _of(place)), error.text, 409)
    except StoreError as error:
        return _page(place, row, error.text)
    return RedirectResponse(_home(place, "administrators?done=changed"), 303)


@router.get("/administrators/remove/{name}")
@router.get("/t/{tenant}/administrators/remove/{name}")
def ask_to_remove(place: Writing, name: str) -> Response:
    loss = admins.loss(place.desk, name, _of(place))
    return place.ask_to_remove(loss, _home(place, "administrators"))


@router.post("/administrators/remove/{name}")
@router.post("/t/{tenant}/administrators/remove/{name}")
def remove(place: Writing, name: str, form: Form) -> Response:
    admins.get(place.desk, name, _of(place))
    admins.remove(place.desk, name, str(form.get("version", "")))
    return RedirectResponse(_home(place, "administrators?done=removed"), 303)


# Tokens


def _tokens(place: There, wanted: Asked, error: str = "", secret: str = "") -> Response:
    scopes = SCOPES if _of(place) is None else {k: v for k, v in SCOPES.items() if k != "system"}
    return place.page(
        "tokens.html",
        422 if error else 200,
        part=part(admins.tokens(place.desk, _of(place)), wanted),
        scopes=scopes,
        error=error,
        secret=secret,
        home=_home(place, "tokens"),
    )


@router.get("/tokens")
@router.get("/t/{tenant}/tokens")
def list_tokens(place: Reading, wanted: Listing) -> Response:
    return _tokens(place, wanted)


@router.post("/tokens")
@router.post("/t/{tenant}/tokens")
def add_token(place: Writing, form: Form) -> Response:
    """Add a token, and show its secret, this once."""
    scopes = [str(scope) for scope in form.getlist("scope")]
    try:
        _, secret = admins.add_token(place.desk, _of(place), str(form.get("name", "")).strip(), scopes)
    except StoreError as error:
        return _tokens(place, Asked(), error.text)
    return _tokens(place, Asked(), secret=secret)


@router.get("/tokens/remove/{name}")
@router.get("/t/{tenant}/tokens/remove/{name}")
def ask_to_remove_token(place: Writing, name: str) -> Response:
    loss = admins.token_loss(place.desk, _of(place), name)
    return place.ask_to_remove(loss, _home(place, "tokens"))


@router.post("/tokens/remove/{name}")
@router.post("/t/{tenant}/tokens/remove/{name}")
def remove_token(place: Writing, name: str, form: Form) -> Response:
    admins.remove_token(place.desk, _of(place), name)
    return RedirectResponse(_home(place, "tokens?done=removed"), 303)
