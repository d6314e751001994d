"""The database's schema, from the first version on. A migration that has shipped is never edited."""

from __future__ import annotations

import json
import re
from typing import Any

from sqlite_utils.db import Database
from sqlite_utils.migrations import Migrations

from blfd.core.values import DEFAULT_TENANT

migrations = Migrations("blfd")


@migrations()
def tenants_extensions_bindings(db: Database) -> None:
    """Version 1."""
    db.table("tenants").create(
        {"domain": str, "aliases": str, "single_dialog": int},
        pk="domain",
        not_null={"aliases", "single_dialog"},
    )
    db.table("tenants").insert({"domain": DEFAULT_TENANT, "aliases": "[]", "single_dialog": 0})
    # Written out: sqlite-utils makes no composite foreign keys with ON DELETE CASCADE.
    db.execute(
        """
        CREATE TABLE extensions (
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            extension TEXT NOT NULL,
            name TEXT NOT NULL,
            ha1_sha256 TEXT NOT NULL,
            ha1_md5 TEXT NOT NULL,
            PRIMARY KEY (tenant, extension)
        )
        """
    )
    db.execute(
        """
        CREATE TABLE bindings (
            tenant TEXT NOT NULL,
            extension TEXT NOT NULL,
            contact TEXT NOT NULL,
            transport TEXT NOT NULL,
            host TEXT NOT NULL,
            port INTEGER NOT NULL,
            listener INTEGER NOT NULL,
            call_id TEXT NOT NULL,
            cseq INTEGER NOT NULL,
            expires_at REAL NOT NULL,
            q REAL NOT NULL,
            user_agent TEXT NOT NULL,
            path TEXT NOT NULL,
            PRIMARY KEY (tenant, extension, contact),
            FOREIGN KEY (tenant, extension) REFERENCES extensions(tenant, extension) ON DELETE CASCADE
        )
        """
    )


@migrations()
def pickup(db: Database) -> None:
    """Version 2: codes, who may pick up, groups, and who picked up what."""
    for column, kind in (
        ("pickup_code", "TEXT NOT NULL DEFAULT '*97'"),
        ("group_pickup_code", "TEXT NOT NULL DEFAULT '*98'"),
        ("pickup", "TEXT NOT NULL DEFAULT 'on'"),
        ("pickable", "INTEGER NOT NULL DEFAULT 1"),
    ):
        db.execute(f"ALTER TABLE tenants ADD COLUMN {column} {kind}")
    db.execute("ALTER TABLE extensions ADD COLUMN pickup TEXT")  # NULL: as the tenant says
    db.execute("ALTER TABLE extensions ADD COLUMN pickable INTEGER")
    db.execute(
        """
        CREATE TABLE groups (
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            name TEXT NOT NULL,
            PRIMARY KEY (tenant, name)
        )
        """
    )
    db.execute(
        """
        CREATE TABLE group_members (
            tenant TEXT NOT NULL,
            name TEXT NOT NULL,
            extension TEXT NOT NULL,
            picks INTEGER NOT NULL,
            is_picked INTEGER NOT NULL,
            PRIMARY KEY (tenant, name, extension),
            FOREIGN KEY (tenant, name) REFERENCES groups(tenant, name) ON DELETE CASCADE,
            FOREIGN KEY (tenant, extension) REFERENCES extensions(tenant, extension) ON DELETE CASCADE
        )
        """
    )
    db.execute(
        """
        CREATE TABLE pickups (
            id INTEGER PRIMARY KEY,
            at REAL NOT NULL,
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            picker TEXT NOT NULL,
            way TEXT NOT NULL,
            extension TEXT NOT NULL,
            caller TEXT NOT NULL,
            status INTEGER NOT NULL,
            result TEXT NOT NULL,
            milliseconds REAL NOT NULL
        )
        """
    )
    db.execute("CREATE INDEX pickups_by_time ON pickups (tenant, at)")


@migrations()
def subscriptions(db: Database) -> None:
    """Version 3. No foreign keys: the server ends those of removed extensions, and tells their phones."""
    db.execute(
        """
        CREATE TABLE subscriptions (
            key TEXT PRIMARY KEY,
            tenant TEXT NOT NULL,
            resource TEXT NOT NULL,
            watcher TEXT NOT NULL,
            entity TEXT NOT NULL,
            call_id TEXT NOT NULL,
            remote_tag TEXT NOT NULL,
            remote_cseq INTEGER NOT NULL,
            request_uri TEXT NOT NULL,
            head TEXT NOT NULL,
            transport TEXT NOT NULL,
            host TEXT NOT NULL,
            port INTEGER NOT NULL,
            listener INTEGER NOT NULL,
            expires_at REAL NOT NULL,
            user_agent TEXT NOT NULL,
            cseq INTEGER NOT NULL
        ) WITHOUT ROWID
        """
    )


@migrations()
def devices(db: Database) -> None:
    """Version 4: phones that are provisioned, and what a site sets over our settings."""
    db.execute(
        """
        CREATE TABLE devices (
            mac TEXT PRIMARY KEY,
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            model TEXT NOT NULL,
            transport TEXT NOT NULL,
            keys TEXT NOT NULL,
            password TEXT NOT NULL,
            secret TEXT NOT NULL,
            fetched_at REAL,
            fetched_from TEXT NOT NULL DEFAULT '',
            fetched_by TEXT NOT NULL DEFAULT ''
        )
        """
    )
    db.execute("CREATE UNIQUE INDEX devices_by_secret ON devices (secret)")
    db.execute(
        """
        CREATE TABLE device_extensions (
            mac TEXT NOT NULL REFERENCES devices(mac) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            tenant TEXT NOT NULL,
            extension TEXT NOT NULL,
            PRIMARY KEY (mac, position),
            FOREIGN KEY (tenant, extension) REFERENCES extensions(tenant, extension) ON DELETE CASCADE
        )
        """
    )
    db.execute(
        """
        CREATE TABLE device_settings (
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            scope TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT,
            PRIMARY KEY (tenant, scope, name)
        )
        """
    )


@migrations()
def portal(db: Database) -> None:
    """Version 5: who may use the portal and the API, and who has changed what."""
    db.execute(
        """
        CREATE TABLE admins (
            name TEXT PRIMARY KEY,
            tenant TEXT REFERENCES tenants(domain) ON DELETE CASCADE,
            role TEXT NOT NULL,
            password TEXT NOT NULL
        )
        """
    )
    db.execute(
        """
        CREATE TABLE sessions (
            hash TEXT PRIMARY KEY,
            admin TEXT NOT NULL REFERENCES admins(name) ON DELETE CASCADE,
            csrf TEXT NOT NULL,
            opened_at REAL NOT NULL,
            used_at REAL NOT NULL
        )
        """
    )
    db.execute(
        """
        CREATE TABLE tokens (
            id INTEGER PRIMARY KEY,
            tenant TEXT REFERENCES tenants(domain) ON DELETE CASCADE,
            name TEXT NOT NULL,
            hash TEXT NOT NULL UNIQUE,
            scopes TEXT NOT NULL,
            used_at REAL
        )
        """
    )
    db.execute(
        """
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY,
            at REAL NOT NULL,
            who TEXT NOT NULL,
            tenant TEXT NOT NULL,
            operation TEXT NOT NULL,
            subject TEXT NOT NULL,
            before TEXT,
            after TEXT
        )
        """
    )
    db.execute("CREATE INDEX audit_by_tenant ON audit (tenant, id)")


@migrations()
def provisioning_overrides(db: Database) -> None:
    """Version 6: what a site sets for the phones of all its tenants, and templates in the place of ours."""
    db.execute(
        """
        CREATE TABLE site_settings (
            scope TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT,
            PRIMARY KEY (scope, name)
        )
        """
    )
    db.execute("CREATE TABLE provisioning_templates (scope TEXT PRIMARY KEY, source TEXT NOT NULL)")


@migrations()
def subscription_dialogs(db: Database) -> None:
    """Version 7: a subscription's dialog and package, field by field, in the place of header lines."""
    db.execute("ALTER TABLE subscriptions RENAME TO subscriptions_3")
    db.execute(
        """
        CREATE TABLE subscriptions (
            key TEXT PRIMARY KEY,
            tenant TEXT NOT NULL,
            resource TEXT NOT NULL,
            watcher TEXT NOT NULL,
            package TEXT NOT NULL,
            entity TEXT NOT NULL,
            call_id TEXT NOT NULL,
            remote_tag TEXT NOT NULL,
            local_uri TEXT NOT NULL,
            local_name TEXT NOT NULL,
            remote_uri TEXT NOT NULL,
            remote_name TEXT NOT NULL,
            target TEXT NOT NULL,
            route_set TEXT NOT NULL,
            event TEXT NOT NULL,
            remote_cseq INTEGER NOT NULL,
            transport TEXT NOT NULL,
            host TEXT NOT NULL,
            port INTEGER NOT NULL,
            listener INTEGER NOT NULL,
            expires_at REAL NOT NULL,
            user_agent TEXT NOT NULL,
            cseq INTEGER NOT NULL
        ) WITHOUT ROWID
        """
    )
    before = db.execute("SELECT * FROM subscriptions_3").fetchall()
    marks = ", ".join("?" * 23)
    db.conn.executemany(f"INSERT INTO subscriptions VALUES ({marks})", map(_with_dialog, before))
    db.execute("DROP TABLE subscriptions_3")


def _with_dialog(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A subscription of version 3 as one of version 7."""
    key, tenant, resource, watcher, entity, call_id, remote_tag, remote_cseq, target, head, *rest = row
    text = head.decode("utf-8", "surrogateescape") if isinstance(head, bytes) else head
    lines = [line.partition(": ")[::2] for line in text.split("\r\n")]
    routes = json.dumps([value for name, value in lines if name == "Route"])
    values = dict(lines)
    local, remote = (_name_and_uri(values[name]) for name in ("From", "To"))
    who = (key, tenant, resource, watcher, "dialog", entity, call_id, remote_tag)
    return (*who, *local, *remote, target, routes, values["Event"], remote_cseq, *rest)


def _name_and_uri(value: str) -> tuple[str | bytes, str | bytes]:
    """URI and name of a From or To as versions before 7 wrote it."""
    found = re.fullmatch(r'(?:"((?:[^"\\]|\\.)*)" )?<(.*)>;tag=[^<>]*', value, re.S)
    name, uri = (found[1] or "", found[2]) if found else ("", value)
    return _octets(uri), _octets(re.sub(r"\\(.)", r"\1", name))


def _octets(text: str) -> str | bytes:
    """What is no UTF-8 is kept as octets."""
    octets = text.encode("utf-8", "surrogateescape")
    return octets if any("\udc80" <= letter <= "\udcff" for letter in text) else text
