"""The records in SQLite."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from blfd.core.calls.attempts import Attempt
from blfd.core.saved import Kept, SavedCall, SavedHalf, SavedPublication, SavedSubscription
from blfd.core.values import Aor, Binding
from blfd.store import kept, legs, rows
from blfd.store.opening import AMONG, Connections, containing, part_of
from blfd.store.records import KEPT, ORDERS, SEARCHED, Records

SECRET_OCTETS = 32


class SqliteRecords(Records):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @property
    def path(self) -> Path:
        return self._connections.path

    def secret(self, name: str) -> bytes:
        with self._connections.transaction("BEGIN IMMEDIATE") as connection:
            made = secrets.token_bytes(SECRET_OCTETS)
            connection.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", [name, made])
            (found,) = connection.execute("SELECT value FROM secrets WHERE name = ?", [name]).fetchone()
        return bytes(found)

    def bindings(self) -> list[Binding]:
        with self._connections.transaction("BEGIN IMMEDIATE") as connection:
            found = rows.all_of(connection, "bindings")
            read, lost = kept.readable(found, kept.binding, lambda row: f"a phone of {row['extension']}")
            connection.executemany(_DELETE_BINDING, lost)
        return read

    def subscriptions(self, ahead: int) -> list[SavedSubscription]:
        with self._connections.transaction("BEGIN IMMEDIATE") as connection:
            found = connection.execute("SELECT * FROM subscriptions").fetchall()
            read, lost = kept.readable(found, kept.subscription, lambda row: f"a key that watches {row[2]}")
            connection.executemany("DELETE FROM subscriptions WHERE key = ?", [row[:1] for row in lost])
            connection.execute("UPDATE subscriptions SET cseq = cseq + ?", [ahead])
        return read

    def publications(self) -> list[SavedPublication]:
        with self._connections.transaction("BEGIN IMMEDIATE") as connection:
            found = rows.all_of(connection, "publications")
            read, lost = kept.readable(
                found, kept.publication, lambda row: f"what was published of {row['extension']}"
            )
            connection.executemany("DELETE FROM publications WHERE etag = :etag", lost)
        return read

    def halves(self) -> list[SavedHalf]:
        with self._connections.reported():
            return legs.halves(self._connections.db.table("legs").rows_where(_IS_HALF))

    def calls(self, ahead: int) -> list[SavedCall]:
        with self._connections.transaction("BEGIN IMMEDIATE") as connection:
            connection.execute(_DROP_HALVES)
            read, lost = legs.calls(rows.all_of(connection, "legs"))
            connection.executemany("DELETE FROM legs WHERE call = ?", [(number,) for number in lost])
            connection.execute("UPDATE legs SET cseq = cseq + ?", [ahead])
        return read

    def save(
        self,
        changes: dict[Aor, tuple[Binding, ...]],
        attempts: Iterable[Attempt],
        subscriptions: dict[str, SavedSubscription | None],
        publications: dict[str, SavedPublication | None],
        calls: dict[int, Kept | None],
    ) -> None:
        with self._connections.connection as connection:
            gone = [(key,) for key, saved in subscriptions.items() if saved is None]
            connection.executemany("DELETE FROM subscriptions WHERE key = ?", gone)
            told = [kept.subscription_row(saved) for saved in subscriptions.values() if saved]
            connection.executemany(_SAVE_SUBSCRIPTION, told)
            ended = [(etag,) for etag, published in publications.items() if published is None]
            connection.executemany("DELETE FROM publications WHERE etag = ?", ended)
            living = [kept.publication_row(published) for published in publications.values() if published]
            connection.executemany(_SAVE_PUBLICATION, living)
            connection.executemany("DELETE FROM legs WHERE call = ?", [(number,) for number in calls])
            for row in [row for saved in calls.values() if saved for row in legs.rows(saved)]:
                connection.execute(_save_leg(row), row)
            for aor, bindings in changes.items():
                connection.execute("DELETE FROM bindings WHERE tenant = ? AND extension = ?", aor)
                for binding in bindings:
                    connection.execute(_INSERT_BINDING, (*kept.binding_row(binding), *aor, *aor))
            new = [rows.attempt_row(attempt) for attempt in attempts]
            connection.executemany(_INSERT_ATTEMPT, new)
            if new:
                connection.execute(
                    "DELETE FROM pickups WHERE id <= (SELECT max(id) FROM pickups) - ?", [KEPT]
                )

    def clock_set(self, step: float) -> None:
        with self._connections.connection as connection:
            for table, columns in TIMES.items():
                changes = ", ".join(f"{column} = {column} + :step" for column in columns)
                connection.execute(f"UPDATE {table} SET {changes}", {"step": step})

    def attempts(
        self,
        tenant: str,
        since: float = 0.0,
        limit: int = KEPT,
        *,
        picker: str = "",
        extension: str = "",
        succeeded: bool | None = None,
        before: int | None = None,
    ) -> list[tuple[int, Attempt]]:
        where, values = _attempts_of(tenant, since, succeeded)
        for column, wanted in (("picker", picker), ("extension", extension)):
            if wanted:
                where.append(f"{column} = ?")
                values.append(wanted)
        if before is not None:
            where.append("id < ?")
            values.append(before)
        table = self._connections.db.table("pickups")
        with self._connections.reported():
            found = table.rows_where(" AND ".join(where), values, order_by="id DESC", limit=limit)
            return [(row["id"], rows.attempt(row)) for row in found]

    def some_attempts(
        self,
        tenant: str,
        words: Sequence[str],
        order: str,
        part: tuple[int, int],
        since: float = 0.0,
        succeeded: bool | None = None,
    ) -> tuple[list[Attempt], int]:
        where, values = _attempts_of(tenant, since, succeeded)
        for word in words:
            column, equals, wanted = word.partition("=")
            known = equals and column in SEARCHED
            conditions, of_it = containing([wanted if known else word], (column,) if known else SEARCHED)
            where, values = [*where, *conditions], [*values, *of_it]
        way = " DESC" if order.startswith("-") else ""
        by = ", ".join([*(f"{each}{way}" for each in ORDERS[order.removeprefix("-")].split(", ")), "id DESC"])
        table = self._connections.db.table("pickups")
        with self._connections.reported():
            shown, total = part_of(self._connections.connection, "pickups", where, values, by, part)
            return [rows.attempt(row) for row in table.rows_where(AMONG, [shown], order_by=by)], total


def _attempts_of(tenant: str, since: float, succeeded: bool | None) -> tuple[list[str], list[str | float]]:
    """Conditions of attempts, and their values."""
    where = ["tenant = ?", "at >= ?"]
    if succeeded is not None:
        where.append("status = 200" if succeeded else "status <> 200")
    return where, [tenant, since]


TIMES = {
    "bindings": ("expires_at",),
    "subscriptions": ("expires_at",),
    "publications": ("at", "expires_at"),
    "legs": ("started_at", "since", "session_expires_at"),
}
"""The columns of times that go on; those of what has happened stay."""

_SAVE_SUBSCRIPTION = f"INSERT OR REPLACE INTO subscriptions VALUES ({', '.join('?' * 25)})"
_SAVE_PUBLICATION = f"INSERT OR REPLACE INTO publications VALUES ({', '.join('?' * 8)})"
_IS_HALF = "call IN (SELECT call FROM legs GROUP BY call HAVING count(*) <> 2)"
_DROP_HALVES = f"DELETE FROM legs WHERE {_IS_HALF}"
_DELETE_BINDING = (
    "DELETE FROM bindings WHERE tenant = :tenant AND extension = :extension AND contact = :contact"
)
_INSERT_BINDING = (
    "INSERT INTO bindings (tenant, extension, contact, transport, host, port, listener, call_id, cseq, "
    "expires_at, q, user_agent, path, instance, peer, proof) "
    "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
    "WHERE EXISTS (SELECT 1 FROM extensions WHERE tenant = ? AND extension = ?) "
    "OR EXISTS (SELECT 1 FROM trunks WHERE tenant = ? AND 'trunk+' || name = ?)"
)
_INSERT_ATTEMPT = (
    "INSERT INTO pickups (at, tenant, picker, way, extension, caller, status, result, milliseconds) SELECT "
    ":at, :tenant, :picker, :way, :extension, :caller, :status, :result, :milliseconds "
    "WHERE EXISTS (SELECT 1 FROM tenants WHERE domain = :tenant)"
)


def _save_leg(row: dict[str, Any]) -> str:
    return f"INSERT OR REPLACE INTO legs ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"
