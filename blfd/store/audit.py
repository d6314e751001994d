"""Who has changed what, and when: one row for each change, written with it or not at all.

The row of a change of many at once, such as an import, has the first of them, and each of them has a row
besides: so thousands are read a part at a time, and not with each list of changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from blfd.core.advice import command
from blfd.core.values import DEFAULT_TENANT
from blfd.store.opening import AMONG, Connections, NotFound, containing, part_of

KEPT = 100_000  # changes; older ones are forgotten

ORDERS = ("at", "who", "tenant", "operation", "subject")
SEARCHED = ("who", "tenant", "operation", "subject", "before", "after")
OF_MANY = "id IN (SELECT change FROM audit_parts WHERE name = ?)"
WHOLE = 50  # names in `before` and `after`; of more, each is a row of its own
FIRST = 12  # of the added, the changed, the removed and the unchanged, each, in the row of the change itself

LARGEST = 2**63 - 1  # number of a row

Fields = dict[str, Any]


class Change(NamedTuple):
    """One change; `before` and `after` are its subject then and now, None where that did not exist.

    `at` is in seconds since the epoch; `tenant` is "" for what is no tenant's. Of a change of many, by their
    names, `before` and `after` have the first ones, and `counts` says how many were added, changed, removed
    and left unchanged.
    """

    id: int
    at: float
    who: str
    tenant: str
    operation: str
    subject: str
    before: Fields | None
    after: Fields | None
    counts: dict[str, int] | None = None


class Part(NamedTuple):
    """One of many that were changed at once, before and after; None where it did not exist.

    What is a single value has it in the field `value`.
    """

    name: str
    before: Fields | None
    after: Fields | None


class Audit:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def record(
        self,
        who: str,
        tenant: str,
        operation: str,
        subject: str,
        before: Fields | None,
        after: Fields | None,
    ) -> None:
        """Write a row of a change, in the transaction that is open, if one is."""
        parts, counts = list[Part](), None
        if max(len(before or {}), len(after or {})) > WHOLE:
            parts, counts, before, after = _in_parts(before or {}, after or {})
        row = {
            "at": time.time(),
            "who": who,
            "tenant": tenant,
            "operation": operation,
            "subject": subject,
            "before": _written(before),
            "after": _written(after),
            "counts": _written(counts),
        }
        with self._connections.writing() as db:
            number = db.table("audit").insert(row).last_pk
            db.table("audit_parts").insert_all(
                {
                    "change": number,
                    "position": at,
                    "name": part.name,
                    "before": _written(part.before),
                    "after": _written(part.after),
                }
                for at, part in enumerate(parts)
            )
            db.execute("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", [KEPT])

    def newest(self) -> float:
        """When the newest change was made, of whatever tenant; 0 where there is none."""
        with self._connections.reported():
            found = self._connections.connection.execute("SELECT at FROM audit ORDER BY id DESC LIMIT 1")
            return float(next(found, (0,))[0])

    def changes(self, tenant: str | None, before_id: int | None = None, limit: int = 100) -> list[Change]:
        """The changes of a tenant or (None) of all, the newest first; `before_id`: only older ones than that.

        Those of a tenant begin when it was added, as there may have been another one of that name.
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

        A change of many is found by the whole name of any of them.

        `order` is a column of ORDERS, with a minus before it for the reverse order; `part` is how many are
        left out first, and how many are wanted.
        """
        where, values = self._of(tenant)
        conditions, wanted = containing(words, SEARCHED, OF_MANY)
        where, values = [*where, *conditions], [*values, *wanted]
        column = order.removeprefix("-")
        by = f"{'id' if column == 'at' else column}{' DESC' * order.startswith('-')}, id DESC"
        with self._connections.reported():
            shown, total = part_of(self._connections.connection, "audit", where, values, by, part)
        return self._changes([AMONG], [shown], by, part[1]), total

    def get(self, tenant: str | None, number: int) -> Change:
        """One change of a tenant or (None) of all. Raises NotFound."""
        where, values = self._of(tenant)
        for change in self._changes([*where, "id = ?"], [*values, max(0, min(number, LARGEST))], "id", 1):
            return change
        raise NotFound(f"no change {number}", f"{command(tenant or DEFAULT_TENANT, 'changes')} shows them")

    def parts(
        self, number: int, words: Sequence[str] = (), part: tuple[int, int] = (0, -1)
    ) -> tuple[list[Part], int]:
        """What a change of many has done to each, those with each of the words; and how many there are.

        `part` is as in `some`. A change that has no rows of parts has none here.
        """
        conditions, values = containing(words, ("name", "before", "after"))
        where = " AND ".join(["change = ?", *conditions])
        with self._connections.reported():
            count = f"SELECT count(*) AS number FROM audit_parts WHERE {where}"
            total = next(self._connections.db.query(count, [number, *values]))["number"]
            found = self._connections.db.query(
                f"SELECT * FROM audit_parts WHERE {where} ORDER BY position LIMIT ? OFFSET ?",
                [number, *values, part[1], part[0]],
            )
            rows = [Part(row["name"], _read(row["before"]), _read(row["after"])) for row in found]
        return rows, total

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
                Change(**{**row, **{name: _read(row[name]) for name in ("before", "after", "counts")}})
                for row in found
            ]

    def _begun(self, tenant: str) -> int:
        made = "SELECT coalesce(max(id), 0) AS id FROM audit WHERE tenant = ? AND operation = 'tenant.add'"
        with self._connections.reported():
            return int(next(self._connections.db.query(made, [tenant]))["id"])


def in_order(names: Iterable[str]) -> list[str]:
    """Names as people count: numbers before all else, 9 before 10."""
    return sorted(names, key=lambda name: (not name.isdecimal(), len(name) if name.isdecimal() else 0, name))


def _in_parts(
    before: Fields, after: Fields
) -> tuple[list[Part], dict[str, int], dict[str, Any], dict[str, Any]]:
    """What has become of each, how many there are of each kind, and before and after of the first ones."""
    kinds = {
        "added": in_order(after.keys() - before.keys()),
        "changed": in_order(name for name in before.keys() & after.keys() if before[name] != after[name]),
        "removed": in_order(before.keys() - after.keys()),
        "unchanged": in_order(name for name in before.keys() & after.keys() if before[name] == after[name]),
    }
    parts = [
        Part(name, _fields(before.get(name)), _fields(after.get(name)))
        for names in kinds.values()
        for name in names
    ]
    first = [name for names in kinds.values() for name in names[:FIRST]]
    return (
        parts,
        {kind: len(names) for kind, names in kinds.items()},
        {name: before[name] for name in first if name in before},
        {name: after[name] for name in first if name in after},
    )


def _fields(value: Any) -> Fields | None:
    return value if value is None or isinstance(value, dict) else {"value": value}


def _written(fields: Fields | None) -> str | None:
    return None if fields is None else json.dumps(fields)


def _read(text: str | None) -> Fields | None:
    found: Fields | None = None if text is None else json.loads(text)
    return found
