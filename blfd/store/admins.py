"""Who may use the portal and the API: administrators, their sessions, and tokens."""

from __future__ import annotations

import hashlib
import secrets
import time
from enum import Enum
from typing import NamedTuple

from blfd.core.advice import command
from blfd.core.values import DEFAULT_TENANT
from blfd.store.opening import Connections, Exists, NotFound

USED_EVERY = 60.0  # seconds: how exactly the last use is kept


class Role(Enum):
    """What somebody may do; the system administrator's tenant is None."""

    ADMINISTRATOR = "administrator"  # everything in the tenant
    ATTENDANT = "attendant"  # the lamps, and who calls whom
    VIEWER = "viewer"  # the lamps alone: a screen on the wall


class Lasts(NamedTuple):
    """How long a session lasts: seconds without a request, and in all."""

    idle: float
    longest: float


SESSIONS = {
    Role.ADMINISTRATOR: Lasts(8 * 3600.0, 7 * 86400.0),
    Role.ATTENDANT: Lasts(8 * 3600.0, 7 * 86400.0),
    Role.VIEWER: Lasts(30 * 86400.0, 365 * 86400.0),  # a screen on the wall has nobody to sign in
}
LONGEST = SESSIONS[Role.VIEWER]


class Admin(NamedTuple):
    """`tenant` is None for who administers the system; `password` is its argon2 hash."""

    name: str
    tenant: str | None
    role: Role
    password: str = ""


class Session(NamedTuple):
    """Somebody who is signed in; `csrf` is what each of their forms has to hold."""

    admin: Admin
    csrf: str


class Token(NamedTuple):
    """What a program shows of itself; the secret itself is not kept. `used_at`: None if never."""

    id: int
    tenant: str | None
    name: str
    scopes: tuple[str, ...]
    used_at: float | None = None


class Admins:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def all(self, tenant: str | None = None) -> list[Admin]:
        """The administrators of a tenant, or with None of all tenants and the system; sorted by name."""
        where, values = ("tenant = ?", [tenant]) if tenant is not None else ("1", [])
        with self._connections.reported():
            found = self._connections.db.table("admins").rows_where(where, values, order_by="name")
            return [Admin(row["name"], row["tenant"], Role(row["role"]), row["password"]) for row in found]

    def find(self, name: str) -> Admin | None:
        return next((admin for admin in self.all() if admin.name == name), None)

    def get(self, name: str) -> Admin:
        """The administrator of a name. Raises NotFound."""
        found = self.find(name)
        if found is None:
            raise NotFound(f"no administrator {name}", "'blfd admin list' shows them")
        return found

    def add(self, admin: Admin) -> None:
        """Add an administrator. Raises Exists."""
        if self.find(admin.name):
            change = command(DEFAULT_TENANT, "admin", "password", admin.name)
            raise Exists(f"administrator {admin.name} exists already", f"{change} changes the password")
        row = {**admin._asdict(), "role": admin.role.value}
        with self._connections.writing() as db:
            db.table("admins").insert(row)

    def change(self, name: str, *, role: Role | None = None, password: str | None = None) -> None:
        """Change what is given of an administrator; a new password ends all sessions. Raises NotFound."""
        self.get(name)
        changes = {"role": role and role.value, "password": password}
        with self._connections.writing() as db:
            db.table("admins").update(name, {key: value for key, value in changes.items() if value})
            if password is not None:
                db.table("sessions").delete_where("admin = ?", [name])

    def remove(self, name: str) -> None:
        self.get(name)
        with self._connections.writing() as db:
            db.table("admins").delete(name)

    # Sessions

    def open_session(self, admin: Admin) -> str | None:
        """Open a session, and return the secret that its cookie holds; the database has only the hash of it.

        Returns None where the password is another by now: whoever has shown the old one comes too late.
        """
        secret, now = secrets.token_urlsafe(32), time.time()
        row = {
            "hash": _hash(secret),
            "admin": admin.name,
            "csrf": secrets.token_urlsafe(32),
            "opened_at": now,
            "used_at": now,
        }
        over = [now - LONGEST.longest, now - LONGEST.idle]
        with self._connections.writing() as db:
            found = self.find(admin.name)
            if found is None or found.password != admin.password:
                return None
            db.table("sessions").delete_where("opened_at < ? OR used_at < ?", over)
            db.table("sessions").insert(row)
        return secret

    def session(self, secret: str, used: bool = True) -> Session | None:
        """The session of a secret; None if there is none, or if it is over by what the role allows now.

        Without `used`, a page has asked by itself, which keeps only viewers signed in.
        """
        now, key = time.time(), _hash(secret)
        with self._connections.reported():
            found = next(
                self._connections.db.query(
                    "SELECT a.name, a.tenant, a.role, s.csrf, s.opened_at, s.used_at FROM sessions s "
                    "JOIN admins a ON a.name = s.admin WHERE s.hash = ?",
                    [key],
                ),
                None,
            )
        if found is None:
            return None
        role, unused = Role(found["role"]), now - found["used_at"]
        if unused > SESSIONS[role].idle or now - found["opened_at"] > SESSIONS[role].longest:
            return None
        if unused > USED_EVERY and (used or role is Role.VIEWER):
            with self._connections.writing() as db:  # it may be closed meanwhile
                db.execute("UPDATE sessions SET used_at = ? WHERE hash = ?", [now, key])
        return Session(Admin(found["name"], found["tenant"], role), found["csrf"])

    def close_session(self, secret: str) -> None:
        with self._connections.writing() as db:
            db.table("sessions").delete_where("hash = ?", [_hash(secret)])

    # Tokens

    def tokens(self, tenant: str | None) -> list[Token]:
        """The tokens of a tenant, or with None those of the system."""
        with self._connections.reported():
            found = self._connections.db.table("tokens").rows_where("tenant IS ?", [tenant], order_by="id")
            return [_token(row) for row in found]

    def add_token(self, tenant: str | None, name: str, scopes: tuple[str, ...]) -> tuple[Token, str]:
        """The new token's row with the secret, which is shown once. Raises Exists."""
        if any(token.name == name for token in self.tokens(tenant)):
            raise Exists(f"token {name} exists already", "remove it first")
        secret = f"blfd_{secrets.token_urlsafe(32)}"
        row = {"tenant": tenant, "name": name, "hash": _hash(secret), "scopes": " ".join(scopes)}
        with self._connections.writing() as db:
            key = db.table("tokens").insert(row).last_pk
        return Token(int(str(key)), tenant, name, scopes), secret

    def token(self, secret: str) -> Token | None:
        """The token of a secret, if there is one, which counts as used."""
        now = time.time()
        with self._connections.reported():
            found = next(self._connections.db.table("tokens").rows_where("hash = ?", [_hash(secret)]), None)
        if found is None:
            return None
        if found["used_at"] is None or now - found["used_at"] > USED_EVERY:
            with self._connections.writing() as db:
                db.table("tokens").update(found["id"], {"used_at": now})
        return _token(found)

    def remove_token(self, tenant: str | None, name: str) -> None:
        """Remove a token. Raises NotFound."""
        found = next((token for token in self.tokens(tenant) if token.name == name), None)
        if found is None:
            raise NotFound(f"no token {name}")
        with self._connections.writing() as db:
            db.table("tokens").delete(found.id)


def _token(row: dict[str, object]) -> Token:
    used = row["used_at"]
    return Token(
        int(str(row["id"])),
        str(row["tenant"]) if row["tenant"] is not None else None,
        str(row["name"]),
        tuple(str(row["scopes"]).split()),
        float(str(used)) if used is not None else None,
    )


def _hash(secret: str) -> str:
    """The hash of a secret. A plain one is enough for a stolen database to open no door, as secrets are
    random and long."""
    return hashlib.sha256(secret.encode()).hexdigest()
