"""Administrators of the portal, their passwords, and tokens for the API."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterable
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from blfd.core.advice import command
from blfd.core.values import DEFAULT_TENANT
from blfd.operations.desk import SYSTEM, Desk, Row, etag
from blfd.operations.loss import Loss
from blfd.store import NotFound, Store, StoreError
from blfd.store.admins import Admin, Role, Token

NAME = re.compile(r"[\w.+-]{1,64}")
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 200
TENANT_SCOPES = ("lamps", "callers", "read", "write")
SCOPES_OF = {
    Role.ADMINISTRATOR: TENANT_SCOPES,
    Role.ATTENDANT: ("lamps", "callers"),
    Role.VIEWER: ("lamps",),
}
SYSTEM_SCOPE = "system"  # tenants, administrators of the system, health

_hasher = PasswordHasher()
_turns = threading.BoundedSemaphore(2)  # each comparison takes 64 MiB and a core


def role(text: str) -> Role:
    """The role of that name. Raises StoreError."""
    try:
        return Role(text)
    except ValueError:
        known = ", ".join(role.value for role in Role)
        raise StoreError(f"a role is one of {known}, not {text!r}") from None


def row(admin: Admin) -> Row:
    return {"name": admin.name, "tenant": admin.tenant, "role": admin.role.value}


def token_row(token: Token) -> Row:
    return {
        "name": token.name,
        "tenant": token.tenant,
        "scopes": list(token.scopes),
        "used_at": token.used_at,
    }


def all(desk: Desk, tenant: str | None = None) -> list[Row]:
    """The administrators of a tenant, or with None of all tenants and the system."""
    return [row(admin) for admin in desk.store.admins.all(tenant)]


def get(desk: Desk, name: str, tenant: str | None = None) -> Row:
    """An administrator by the full name; with `tenant`, one of that, by the full name or that in it. Raises
    NotFound."""
    found = _named(desk.store, _full(name, tenant))
    if tenant is not None and found.tenant != tenant:
        raise NotFound(f"no administrator {name}")
    return row(found)


def _full(name: str, tenant: str | None) -> str:
    """The full name. Each tenant has names of its own, so that nobody learns from a taken one who has it."""
    return name if tenant is None or name.endswith(f"@{tenant}") else f"{name}@{tenant}"


def _find(store: Store, name: str) -> Admin | None:
    """The administrator of a full name; that of the default tenant may be left out of it."""
    return store.admins.find(name) or store.admins.find(_full(name, DEFAULT_TENANT))


def _named(store: Store, name: str) -> Admin:
    """The administrator of a name. Raises NotFound."""
    return _find(store, name) or store.admins.get(name)


def add(desk: Desk, name: str, password: str, tenant: str | None, role: Role = Role.ADMINISTRATOR) -> Row:
    """Add an administrator: the system's where `tenant` is None, or else NAME@TENANT. Raises Exists."""
    name = _full(name, tenant)
    if not NAME.fullmatch(name.removesuffix(f"@{tenant}")):
        raise StoreError(f"administrator {name!r}: letters, digits and . _ + - are allowed, 64 at most")
    if tenant is None and role is not Role.ADMINISTRATOR:
        raise StoreError(f"who has the role {role.value} is of a tenant", "give --tenant")
    if tenant is not None:
        desk.store.tenants.get(tenant)
    new = Admin(name, tenant, role, _hashed(name, password))
    with desk.change(tenant or SYSTEM, "admin.add", name, lambda: get(desk, name), reloads=False):
        desk.store.admins.add(new)
    return get(desk, name)


def change(
    desk: Desk,
    name: str,
    *,
    password: str | None = None,
    role: Role | None = None,
    expected: str | None = None,
) -> Row:
    """Change what is given of an administrator; a new password signs them out everywhere."""
    found = _named(desk.store, name)
    name = found.name
    if password is None and role is None:
        raise StoreError("nothing to change", "give a password or a role")
    if found.tenant is None and role not in (None, Role.ADMINISTRATOR):
        raise StoreError(f"{name} administers the system, and has no other role")
    if role not in (None, found.role):
        _check_other(desk, name)
    hashed = None if password is None else _hashed(name, password)
    what = "admin.password" if role is None else "admin.change"
    with desk.change(found.tenant or SYSTEM, what, name, lambda: get(desk, name), expected, reloads=False):
        desk.store.admins.change(name, role=role, password=hashed)
    return get(desk, name)


def _check_other(desk: Desk, name: str) -> None:
    if name == desk.who:
        raise StoreError("nobody takes their own rights away", "another administrator may")


def loss(desk: Desk, name: str, tenant: str | None = None) -> Loss:
    """What is lost when an administrator is removed; `tenant` as in `get`. Raises StoreError as `remove`."""
    found = get(desk, name, tenant)
    _check_removable(desk, _named(desk.store, found["name"]))
    return Loss(f"administrator {found['name']}", "They are signed out everywhere at once.", etag(found))


def remove(desk: Desk, name: str, expected: str | None = None) -> None:
    """Remove an administrator, and sign them out; not oneself, and not the last one of the system."""
    found = _named(desk.store, name)
    name, of = found.name, found.tenant or SYSTEM
    with desk.change(of, "admin.remove", name, lambda: get(desk, name), expected, reloads=False):
        _check_removable(desk, found)
        desk.store.admins.remove(name)


def _check_removable(desk: Desk, found: Admin) -> None:
    _check_other(desk, found.name)
    others = [other for other in desk.store.admins.all() if other.tenant is None and other.name != found.name]
    if found.tenant is None and not others:
        raise StoreError(f"{found.name} is the last administrator of the system", "add another one first")


@cache
def _nobodys() -> str:
    """A hash to compare with where there is no such administrator; it is made when it is needed, as that is
    slow."""
    return _hasher.hash(secrets.token_hex())


def sign_in(store: Store, name: str, password: str) -> str | None:
    """The secret of a new session; None where name or password are wrong, after the same time for both."""
    if not _is_text(name + password):
        return None
    nobodys, found = _nobodys(), _find(store, name)
    hashed = found.password if found else nobodys
    try:
        with _turns:
            _hasher.verify(hashed, password[:LONGEST_PASSWORD])
    except VerifyMismatchError:
        return None
    return store.admins.open_session(found) if found else None


def _is_text(given: str) -> bool:
    """Whether what was given is text, and not half a character, as UTF-16 and broken clients know it."""
    return given.encode("utf-8", "replace").decode() == given


def _hashed(name: str, password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        length = f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD}"
        raise StoreError(f"the password of {name} has to have {length} characters")
    if not _is_text(password):
        raise StoreError(f"the password of {name} is no sound text")
    with _turns:
        return _hasher.hash(password)


# Tokens


def tokens(desk: Desk, tenant: str | None) -> list[Row]:
    """The tokens of a tenant, or with None those of the system."""
    return [token_row(token) for token in desk.store.admins.tokens(tenant)]


def add_token(desk: Desk, tenant: str | None, name: str, scopes: Iterable[str]) -> tuple[Row, str]:
    """The new token's row with its secret, which nobody can show again. Raises Exists."""
    wanted = tuple(dict.fromkeys(scopes))
    known = TENANT_SCOPES if tenant is not None else (*TENANT_SCOPES, SYSTEM_SCOPE)
    if not wanted or any(scope not in known for scope in wanted):
        raise StoreError(f"scopes are some of {', '.join(known)}, not {', '.join(wanted) or 'none'}")
    if not NAME.fullmatch(name):
        raise StoreError(f"token {name!r}: letters, digits and . _ + - are allowed, 64 at most")
    with desk.change(tenant or SYSTEM, "token.add", name, lambda: _token(desk, tenant, name), reloads=False):
        token, secret = desk.store.admins.add_token(tenant, name, wanted)
    return token_row(token), secret


def token_loss(desk: Desk, tenant: str | None, name: str) -> Loss:
    """What is lost when a token is removed. Raises NotFound."""
    if _token(desk, tenant, name) is None:
        of = () if tenant is None else ("--tenant", tenant)
        raise NotFound(f"no token {name}", f"{command(DEFAULT_TENANT, 'token', 'list', *of)} shows them")
    return Loss(f"token {name}", "It opens nothing from now on: programs that show it are refused.")


def remove_token(desk: Desk, tenant: str | None, name: str) -> None:
    of = tenant or SYSTEM
    with desk.change(of, "token.remove", name, lambda: _token(desk, tenant, name), reloads=False):
        desk.store.admins.remove_token(tenant, name)


def _token(desk: Desk, tenant: str | None, name: str) -> Row | None:
    return next((found for found in tokens(desk, tenant) if found["name"] == name), None)
