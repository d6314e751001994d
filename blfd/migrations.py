"""The database's schema, from the first version on. A migration that has shipped is never edited."""

from __future__ import annotations

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
