"""Who has changed what, and when: one row for each change, written with it or not at all."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from blfd.store.opening import AMONG, Connections, containing, part_of

KEPT = 100_000  # changes; older ones are forgotten

ORDERS = ("at", "who", "tenant", "operation", "subject")
SEARCHED = ("who", "tenant", "operation", "subject", "before", "after")


class Change(NamedTuple):
    """One change; `before` and `after` are its subject then and now, None where that did not exist.

    `at` is in seconds since the epoch; `tenant` is "" for what is no tenant's.
    """

    id: int
    at: float
    who: str
    tenant: str
    operation: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Audit:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def record(
        self,
        who: str,
        tenant: str,
        operation: str,
        subject: str,
        before: dict[str, Any] | None,
        after: dict[str, Any] | None,
    ) -> None:
        """Write a row of a change, in the transaction that is open, if one is."""
        row = {
            "at": time.time(),
            "who": who,
            "tenant": tenant,
            "operation": operation,
            "subject": subject,
            "before": None if before is None else json.dumps(before),
            "after": None if after is None else json.dumps(after),
        }
        with self._connections.writing() as db:
            db.table("audit").insert(row)
            db.execute("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", [KEPT])

    def changes(self, tenant: str | None, before_id: int | None = None, limit: int = 100) -> list[Change]:
        """The changes of a tenant or (None) of all, the newest first; `before_id`: only older ones than that.

        A tenant's begin with its making: there may have been another one of that name.
        """
        where, values = self._of(tenant)
        if before_id is not None:
            where.append("id < ?")
            values.append(before_id)
        return self._changes(where, values, "id DESC", limit)

    def some(
        self, tenant: str | None, words: Sequence[str], order: str, part: tuple[int, int]
    ) -> tuple[list[Change], int]:
        """The changes with each of the words in who, what, subject, before or after; and how many there are.

        `order` is a column of ORDERS, with a minus before it the other way round; `part` is how many are
        left out first, and how many are wanted.
        """
        where, values = self._of(tenant)
        conditions, wanted = containing(words, SEARCHED)
        where, values = [*where, *conditions], [*values, *wanted]
        column = order.removeprefix("-")
        by = f"{'id' if column == 'at' else column}{' DESC' * order.startswith('-')}, id DESC"
        with self._connections.reported():
            shown, total = part_of(self._connections.connection, "audit", where, values, by, part)
        return self._changes([AMONG], [shown], by, part[1]), total

    def _of(self, tenant: str | None) -> tuple[list[str], list[str | int]]:
        if tenant is None:
            return ["1"], []
        return ["tenant = ? AND id >= ?"], [tenant, self._begun(tenant)]

    def _changes(self, where: list[str], values: list[str | int], order: str, limit: int) -> list[Change]:
        with self._connections.reported():
            found = self._connections.db.table("audit").rows_where(
                " AND ".join(where), values, order_by=order, limit=limit
            )
            return [
                Change(**{**row, "before": _read(row["before"]), "after": _read(row["after"])})
                for row in found
            ]

    def _begun(self, tenant: str) -> int:
        made = "SELECT coalesce(max(id), 0) AS id FROM audit WHERE tenant = ? AND operation = 'tenant.add'"
        with self._connections.reported():
            return int(next(self._connections.db.query(made, [tenant]))["id"])


def _read(text: str | None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found
