"""What the server keeps by itself: where phones are, and who picked up what."""

from __future__ import annotations

from collections.abc import Iterable

from blfd.core.values import Aor, Attempt, Binding, SavedSubscription
from blfd.store import rows
from blfd.store.opening import Connections

KEPT = 100_000  # attempts to pick up; older ones are forgotten


class Records:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.path = connections.path

    def bindings(self) -> list[Binding]:
        with self._connections.reported():
            return [rows.binding(row) for row in self._connections.db.table("bindings").rows]

    def subscriptions(self, ahead: int) -> list[SavedSubscription]:
        """All of them, to go on with; from here on the store has `ahead` numbers more reserved for each."""
        with self._connections.writing() as db:
            connection = db.conn
            found = connection.execute("SELECT * FROM subscriptions").fetchall()
            connection.execute("UPDATE subscriptions SET cseq = cseq + ?", [ahead])
        return [rows.subscription(row) for row in found]

    def save(
        self,
        changes: dict[Aor, tuple[Binding, ...]],
        attempts: Iterable[Attempt],
        subscriptions: dict[str, SavedSubscription | None],
    ) -> None:
        """Replace the bindings of these AORs, but not of extensions that are gone; add the attempts; replace
        these subscriptions, or remove those that are None. All or nothing."""
        with self._connections.db.conn as connection:
            gone = [(key,) for key, saved in subscriptions.items() if saved is None]
            connection.executemany("DELETE FROM subscriptions WHERE key = ?", gone)
            kept = [rows.subscription_row(saved) for saved in subscriptions.values() if saved]
            connection.executemany(_SAVE_SUBSCRIPTION, kept)
            for aor, bindings in changes.items():
                connection.execute("DELETE FROM bindings WHERE tenant = ? AND extension = ?", aor)
                for binding in bindings:
                    connection.execute(_INSERT_BINDING, (*rows.binding_row(binding), *aor))
            new = [rows.attempt_row(attempt) for attempt in attempts]
            connection.executemany(_INSERT_ATTEMPT, new)
            if new:
                connection.execute(
                    "DELETE FROM pickups WHERE id <= (SELECT max(id) FROM pickups) - ?", [KEPT]
                )

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
        """The newest first, each with its number; `since` in seconds since the epoch, `before` a number."""
        where = ["tenant = ?", "at >= ?"]
        values: list[str | float] = [tenant, since]
        for column, wanted in (("picker", picker), ("extension", extension)):
            if wanted:
                where.append(f"{column} = ?")
                values.append(wanted)
        if succeeded is not None:
            where.append("status = 200" if succeeded else "status <> 200")
        if before is not None:
            where.append("id < ?")
            values.append(before)
        table = self._connections.db.table("pickups")
        with self._connections.reported():
            found = table.rows_where(" AND ".join(where), values, order_by="id DESC", limit=limit)
            return [(row["id"], rows.attempt(row)) for row in found]


_SAVE_SUBSCRIPTION = f"INSERT OR REPLACE INTO subscriptions VALUES ({', '.join('?' * 23)})"
_INSERT_BINDING = (
    "INSERT INTO bindings (tenant, extension, contact, transport, host, port, listener, call_id, cseq, "
    "expires_at, q, user_agent, path, instance) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
    "WHERE EXISTS (SELECT 1 FROM extensions WHERE tenant = ? AND extension = ?)"
)
_INSERT_ATTEMPT = (
    "INSERT INTO pickups (at, tenant, picker, way, extension, caller, status, result, milliseconds) SELECT "
    ":at, :tenant, :picker, :way, :extension, :caller, :status, :result, :milliseconds "
    "WHERE EXISTS (SELECT 1 FROM tenants WHERE domain = :tenant)"
)
