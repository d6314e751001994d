"""Upstreams: a row each, with what an administrator has said of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from blfd.core.advice import command, where_missing
from blfd.core.upstreams import upstream as values
from blfd.core.upstreams.upstream import Upstream
from blfd.store import rows
from blfd.store.opening import Connections, Exists, NotFound, StoreError
from blfd.store.trunks import row_of, typed, words

OF_UPSTREAM = {
    field.name: field.default for field in fields(Upstream) if field.name not in ("tenant", "name")
}
"""What can be said, and what holds where nothing is said."""


class Upstreams:
    """Rows of upstreams; what they mean is checked by `core.upstreams.upstream`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def read(self, connection: sqlite3.Connection) -> tuple[Upstream, ...]:
        """All upstreams of one moment."""
        return tuple(map(_upstream, rows.all_of(connection, "upstreams")))

    def all(self, tenant: str) -> list[Upstream]:
        """The upstreams of a tenant, sorted by name."""
        with self._connections.reported():
            found = list(self._connections.db.table("upstreams").rows_where("tenant = ?", [tenant]))
        return sorted(map(_upstream, found), key=lambda one: one.name)

    def get(self, tenant: str, name: str) -> Upstream:
        """The upstream of a name. Raises NotFound."""
        found = next((one for one in self.all(tenant) if one.name == name), None)
        if found is None:
            raise NotFound(f"no upstream {name}", where_missing(tenant, "upstream"))
        return found

    def put(self, upstream: Upstream, extensions: set[str], *, is_new: bool) -> None:
        """Add or change an upstream of a tenant with `extensions`. Raises StoreError for what cannot be."""
        known = {one.name: one for one in self.all(upstream.tenant)}
        if is_new and upstream.name in known:
            change = command(upstream.tenant, "upstream", "set", upstream.name)
            raise Exists(f"upstream {upstream.name} exists already", f"{change} changes it")
        with words():
            before = known.get(upstream.name)
            values.check(upstream, extensions, before)
        stored = set(values.clashes(before, known.values())) if before else ()
        for found in values.clashes(upstream, known.values()):
            if found in stored:
                continue
            pattern, other = found
            text = f"upstream {upstream.name}: {pattern} is of upstream {other} as well"
            raise StoreError(
                text, "say of each extension which PBX knows it; the pattern that says more counts"
            )
        with self._connections.writing() as db:
            db.table("upstreams").upsert(row_of(upstream, OF_UPSTREAM), pk=("tenant", "name"))

    def remove(self, tenant: str, name: str) -> None:
        """Remove an upstream. Raises NotFound."""
        self.get(tenant, name)
        with self._connections.writing() as db:
            db.table("upstreams").delete((tenant, name))


def _upstream(row: Mapping[str, Any]) -> Upstream:
    said = {name: typed(name, value, OF_UPSTREAM) for name, value in json.loads(row["settings"]).items()}
    return Upstream(row["tenant"], row["name"], row["password"], **said)
