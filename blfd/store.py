"""Everything that outlives the server, in one SQLite file; never in the path of a NOTIFY."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlite_utils.db import Database

from blfd.core.values import DEFAULT_TENANT, Aor, Binding, Directory, Extension, Flow, Tenant
from blfd.migrations import migrations

APPLICATION_ID = 0x626C6664  # "blfd", so that nobody's other database is taken for ours
EXTENSION = re.compile(r"[A-Za-z0-9+][A-Za-z0-9._+-]{0,63}")
DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
MAX_NAME = 200
BUSY = 10.0  # seconds to wait for another process that writes


class StoreError(Exception):
    """One line that says what is wrong and what to do."""


class NewExtension(NamedTuple):
    """A row to add; the password is kept as its two HA1 only. `where` is said in an error."""

    extension: str
    password: str
    name: str = ""
    where: str = ""


class Store:
    """The open database. Opening creates it, or brings it to the newest version. Raises StoreError.

    Each thread that uses it has a connection of its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        with self._reported():
            if path.exists() and path.stat().st_size:
                _check_ours(path)
            else:
                os.close(os.open(path, os.O_CREAT, 0o600))  # an HA1 is as good as the password
            _bring_up_to_date(self._db)

    @property
    def _db(self) -> Database:
        db: Database | None = getattr(self._local, "db", None)
        if db is None:
            connection = sqlite3.connect(self.path, timeout=BUSY)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
            db = self._local.db = Database(connection)
        return db

    @contextmanager
    def _reported(self) -> Any:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"database {self.path}: {error}; choose another file with --db") from error
        except OSError as error:
            raise StoreError(f"database {self.path}: {error.strerror}; choose another with --db") from error

    # Reading

    def directory(self) -> Directory:
        with self._reported():
            tenants = {row["domain"]: _tenant(row) for row in self._db.table("tenants").rows}
            extensions = {}
            for row in self._db.table("extensions").rows:
                aor = Aor(row["tenant"], row["extension"])
                ha1 = {"SHA-256": row["ha1_sha256"], "MD5": row["ha1_md5"]}
                extensions[aor] = Extension(aor, row["name"], ha1)
        return Directory(tenants, extensions)

    def bindings(self) -> list[Binding]:
        with self._reported():
            return [_binding(row) for row in self._db.table("bindings").rows]

    def tenant(self, domain: str) -> Tenant:
        """Raises StoreError for one that does not exist."""
        tenant = self.directory().tenants.get(domain)
        if tenant is None:
            raise StoreError(f"no tenant {domain}; 'blfd tenant list' shows them, 'tenant add' adds one")
        return tenant

    def extensions(self, tenant: str) -> list[Extension]:
        """Sorted by name."""
        self.tenant(tenant)
        found = [e for e in self.directory().extensions.values() if e.aor.tenant == tenant]
        return sorted(found, key=lambda extension: extension.aor)

    def extension(self, aor: Aor) -> Extension:
        """Raises StoreError for one that does not exist."""
        extension = self.directory().extensions.get(aor)
        if extension is None:
            raise StoreError(f"no extension {aor}; 'blfd extension list' shows them")
        return extension

    # Changing what an administrator configures

    def add_extensions(self, tenant: str, rows: Iterable[NewExtension]) -> int:
        """Add all or none; how many. Raises StoreError with the first that cannot be added."""
        realm = self.tenant(tenant).realm
        known = {extension.aor.extension for extension in self.extensions(tenant)}
        new = []
        for row in rows:
            _check_extension(row)
            if row.extension in known:
                text = f"extension {row.extension} exists already; 'extension set' changes it"
                raise StoreError(f"{row.where}: {text}" if row.where else text)
            known.add(row.extension)
            ha1 = _ha1(row.extension, realm, row.password)
            new.append({"tenant": tenant, "extension": row.extension, "name": row.name, **ha1})
        with self._reported(), self._db.conn:
            self._db.table("extensions").insert_all(new)
        return len(new)

    def set_extension(self, aor: Aor, *, name: str | None = None, password: str | None = None) -> None:
        self.extension(aor)
        changes: dict[str, str] = {}
        if name is not None:
            _check_extension(NewExtension(aor.extension, "x", name))
            changes["name"] = name
        if password is not None:
            _check_extension(NewExtension(aor.extension, password))
            changes |= _ha1(aor.extension, self.tenant(aor.tenant).realm, password)
        if not changes:
            raise StoreError("nothing to change: give --name or --password")
        with self._reported(), self._db.conn:
            self._db.table("extensions").update(tuple(aor), changes)

    def remove_extension(self, aor: Aor) -> None:
        self.extension(aor)
        with self._reported(), self._db.conn:
            self._db.table("extensions").delete(tuple(aor))

    def add_tenant(self, domain: str, aliases: Iterable[str] = ()) -> None:
        domain = _domain(domain)
        aliases = [_domain(alias) for alias in aliases]
        self._check_free(domain, *aliases)
        row = {"domain": domain, "aliases": json.dumps(aliases), "single_dialog": 0}
        with self._reported(), self._db.conn:
            self._db.table("tenants").insert(row)

    def set_tenant(
        self, domain: str, *, aliases: Iterable[str] | None = None, single_dialog: bool | None = None
    ) -> None:
        """`aliases` replace those of before."""
        known = self.tenant(domain)
        changes: dict[str, Any] = {}
        if aliases is not None:
            wanted = [_domain(alias) for alias in aliases]
            self._check_free(*(alias for alias in wanted if alias not in known.aliases))
            changes["aliases"] = json.dumps(wanted)
        if single_dialog is not None:
            changes["single_dialog"] = int(single_dialog)
        if not changes:
            raise StoreError("nothing to change: give --single-dialog or --alias")
        with self._reported(), self._db.conn:
            self._db.table("tenants").update(domain, changes)

    def remove_tenant(self, domain: str) -> None:
        """With its extensions and their bindings."""
        self.tenant(domain)
        if domain == DEFAULT_TENANT:
            raise StoreError("the default tenant cannot be removed")
        with self._reported(), self._db.conn:
            self._db.table("tenants").delete(domain)

    def _check_free(self, *hosts: str) -> None:
        taken = {
            host for tenant in self.directory().tenants.values() for host in (tenant.domain, *tenant.aliases)
        }
        for host in hosts:
            if host in taken:
                raise StoreError(f"{host} is a tenant's domain or alias already; see 'blfd tenant list'")
            taken.add(host)

    # What the server keeps

    def save_bindings(self, changes: dict[Aor, tuple[Binding, ...]]) -> None:
        """Replace the bindings of these AORs; those of an extension that is gone meanwhile are left out."""
        with self._db.conn as connection:
            for aor, bindings in changes.items():
                connection.execute("DELETE FROM bindings WHERE tenant = ? AND extension = ?", aor)
                for binding in bindings:
                    connection.execute(_INSERT_BINDING, (*_binding_row(binding), *aor))


_INSERT_BINDING = (
    "INSERT INTO bindings (tenant, extension, contact, transport, host, port, listener, call_id, cseq, "
    "expires_at, q, user_agent, path) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
    "WHERE EXISTS (SELECT 1 FROM extensions WHERE tenant = ? AND extension = ?)"
)


def _check_ours(path: Path) -> None:
    """Refuse, untouched, what is not our database, is damaged, or is of a newer blfd."""
    with path.open("rb") as file:
        header = file.read(72)  # read here: SQLite leaves files of its own beside a foreign database
    if header[:16] != b"SQLite format 3\0" or header[68:] != APPLICATION_ID.to_bytes(4, "big"):
        raise StoreError(f"{path} is not a database of blfd; choose another file with --db")
    # A journal is left where the making of the database was killed: only a writer may roll it back.
    mode = "rw" if Path(f"{path}-journal").exists() else "ro"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY)
    try:
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            what = " ".join(damage.split())
            raise StoreError(f"database {path} is damaged ({what}); restore it, or move it away")
        ours = {migration.name for migration in migrations.pending(Database(memory=True))}
        applied = migrations.applied(Database(connection))
        unknown = [migration.name for migration in applied if migration.name not in ours]
        if unknown:
            raise StoreError(f"database {path} is of a newer blfd ({unknown[-1]}); update blfd")
    except sqlite3.DatabaseError as error:
        raise StoreError(f"database {path} is damaged ({error}); restore it, or move it away") from None
    finally:
        connection.close()


def _bring_up_to_date(db: Database) -> None:
    """Apply what is pending, all or nothing; another process that opens the file waits for it."""
    if migrations.pending(db):
        with db.conn as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            migrations.apply(db)
    _enable_wal(db)


def _enable_wal(db: Database) -> None:
    """SQLite does not wait for others here as it does elsewhere, so we do."""
    until = time.monotonic() + BUSY
    while True:
        try:
            db.enable_wal()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _tenant(row: dict[str, Any]) -> Tenant:
    return Tenant(row["domain"], tuple(json.loads(row["aliases"])), bool(row["single_dialog"]))


def _binding(row: dict[str, Any]) -> Binding:
    return Binding(
        Aor(row["tenant"], row["extension"]),
        row["contact"],
        Flow(row["transport"], row["host"], row["port"], row["listener"]),
        row["call_id"],
        row["cseq"],
        row["expires_at"],
        row["q"],
        row["user_agent"],
        tuple(json.loads(row["path"])),
    )


def _binding_row(b: Binding) -> tuple[Any, ...]:
    texts = [text.encode("utf-8", "replace").decode() for text in (b.contact, b.call_id, b.user_agent)]
    contact, call_id, user_agent = texts
    path = json.dumps(b.path)
    return *b.aor, contact, *b.flow, call_id, b.cseq, b.expires_at, b.q, user_agent, path


def _check_extension(row: NewExtension) -> None:
    where = f"{row.where}: " if row.where else ""
    if not EXTENSION.fullmatch(row.extension):
        raise StoreError(
            f"{where}extension {row.extension!r}: letters, digits and . _ + - are allowed, 64 at most, "
            "first a letter, digit or +"
        )
    what = f"{where}extension {row.extension}"
    if not row.password:
        raise StoreError(f"{what} needs a password")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in row.password + row.name):
        raise StoreError(f"{what}: password and name are UTF-8 without control characters")
    if len(row.name) > MAX_NAME:
        raise StoreError(f"{what}: the name has {MAX_NAME} letters at most")


def _domain(text: str) -> str:
    domain = text.lower().rstrip(".")
    if not DOMAIN.fullmatch(domain):
        raise StoreError(f"{text!r} is no domain name; one looks like acme.example, without a port")
    return domain


def _ha1(user: str, realm: str, password: str) -> dict[str, str]:
    """RFC 7616, section 3.4.2; as good as the password within the realm, so the file is private."""
    text = f"{user}:{realm}:{password}".encode()
    return {
        "ha1_sha256": hashlib.sha256(text).hexdigest(),
        "ha1_md5": hashlib.md5(text, usedforsecurity=False).hexdigest(),
    }
