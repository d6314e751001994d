"""Trunks and routes: a row each, with what an administrator has said of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from enum import Enum
from typing import Any

from blfd.core import trunk as values
from blfd.core.advice import command, where_missing
from blfd.core.trunk import OutRoute, Trunk
from blfd.core.trunks.faults import clashes
from blfd.core.trunks.remote import Remote
from blfd.store import rows
from blfd.store.opening import Connections, Exists, NotFound, StoreError

OF_TRUNK = {field.name: field.default for field in fields(Trunk) if field.name not in ("tenant", "name")}
OF_ROUTE = {
    field.name: field.default for field in fields(OutRoute) if field.name not in ("tenant", "pattern")
}
"""What can be said, and what holds where nothing is said (of a route's trunks, that is nothing)."""


class Trunks:
    """Rows of trunks and routes; what they mean is checked by `core.trunks.trunk`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    # Reading

    def read(self, connection: sqlite3.Connection) -> tuple[tuple[Trunk, ...], tuple[OutRoute, ...]]:
        """All trunks and routes of one moment."""
        return tuple(map(_trunk, rows.all_of(connection, "trunks"))), tuple(
            map(_route, rows.all_of(connection, "routes"))
        )

    def trunks(self, tenant: str) -> list[Trunk]:
        """The trunks of a tenant, sorted by name."""
        return sorted(map(_trunk, self._rows("trunks", tenant)), key=lambda trunk: trunk.name)

    def routes(self, tenant: str) -> list[OutRoute]:
        """The routes of a tenant, sorted by pattern."""
        return sorted(map(_route, self._rows("routes", tenant)), key=lambda route: route.pattern)

    def trunk(self, tenant: str, name: str) -> Trunk:
        """The trunk of a name. Raises NotFound."""
        found = next((one for one in self.trunks(tenant) if one.name == name), None)
        if found is None:
            raise NotFound(f"no trunk {name}", where_missing(tenant, "trunk"))
        return found

    def route(self, tenant: str, pattern: str) -> OutRoute:
        """The route of a pattern. Raises NotFound."""
        found = next((one for one in self.routes(tenant) if one.pattern == pattern), None)
        if found is None:
            raise NotFound(f"no route {pattern}", where_missing(tenant, "route"))
        return found

    def _rows(self, table: str, tenant: str) -> Iterator[dict[str, Any]]:
        with self._connections.reported():
            yield from self._connections.db.table(table).rows_where("tenant = ?", [tenant])

    # Writing

    def put(self, trunk: Trunk, *, is_new: bool) -> None:
        """Add or change a trunk. Raises StoreError for what cannot be."""
        known = {one.name: one for one in self.trunks(trunk.tenant)}
        if is_new and trunk.name in known:
            change = command(trunk.tenant, "trunk", "set", trunk.name)
            raise Exists(f"trunk {trunk.name} exists already", f"{change} changes it")
        with words():
            values.check(trunk, self._extensions(trunk.tenant), known.get(trunk.name))
        self._check_others(trunk, known.get(trunk.name))
        with self._connections.writing() as db:
            db.table("trunks").upsert(row_of(trunk, OF_TRUNK), pk=("tenant", "name"))

    def _check_others(self, trunk: Trunk, before: Trunk | None) -> None:
        """Check that a trunk's calls cannot be another's, unless they could `before`. Raises StoreError."""
        with self._connections.reported():
            every, _ = self.read(self._connections.connection)
        others = [one for one in every if one.key != trunk.key]
        known = set(clashes(before, others)) if before else ()
        if number := next((one for one in clashes(trunk, others) if one not in known), ""):
            text = f"trunk {trunk.name}: {number} is a number of another tenant at that carrier's address"
            raise StoreError(text, "where both register (--mode register), calls are told apart by a token")
        registers_as = (trunk.tenant, trunk.username)
        if before and before.is_peer and (before.tenant, before.username) == registers_as:
            return
        if trunk.is_peer and any(
            one.is_peer and (one.tenant, one.username) == registers_as for one in others
        ):
            raise StoreError(f"trunk {trunk.name}: another one registers as {trunk.username}")

    def put_route(self, route: OutRoute, *, is_new: bool) -> None:
        """Add or change a route. Raises StoreError for what cannot be."""
        known = {one.pattern: one for one in self.routes(route.tenant)}
        if is_new and route.pattern in known:
            change = command(route.tenant, "route", "set", route.pattern)
            raise Exists(f"route {route.pattern} exists already", f"{change} changes it")
        with words():
            trunks = {one.name for one in self.trunks(route.tenant)}
            values.check_route(route, trunks, known.get(route.pattern))
        said = {name: getattr(route, name) for name in OF_ROUTE}
        row = {"tenant": route.tenant, "pattern": route.pattern, "settings": as_json(said, OF_ROUTE)}
        with self._connections.writing() as db:
            db.table("routes").upsert(row, pk=("tenant", "pattern"))

    def remove(self, tenant: str, name: str) -> None:
        """Remove a trunk. Raises StoreError while routes go by it."""
        self.trunk(tenant, name)
        by_it = [route.pattern for route in self.routes(tenant) if name in route.trunks]
        if by_it:
            text = f"trunk {name}: route {', '.join(by_it)} goes by it"
            change = command(tenant, "route", "set", by_it[0], "--trunks")
            ends = command(tenant, "route", "remove", by_it[0])
            raise StoreError(text, f"{change} gives it another trunk, {ends} ends it")
        with self._connections.writing() as db:
            db.table("trunks").delete((tenant, name))

    def remove_route(self, tenant: str, pattern: str) -> None:
        self.route(tenant, pattern)
        with self._connections.writing() as db:
            db.table("routes").delete((tenant, pattern))

    def _extensions(self, tenant: str) -> set[str]:
        return {row["extension"] for row in self._rows("extensions", tenant)}


@contextmanager
def words() -> Iterator[None]:
    """Tell what is unsound as a StoreError."""
    try:
        yield
    except ValueError as error:
        raise StoreError(str(error)) from None


def row_of(remote: Remote, defaults: Mapping[str, Any]) -> dict[str, str]:
    """The row of a server of somebody else, with the password apart from what else is set."""
    said = {name: getattr(remote, name) for name in defaults if name != "password"}
    return {
        "tenant": remote.tenant,
        "name": remote.name,
        "password": remote.password,
        "settings": as_json(said, defaults),
    }


def as_json(said: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """The settings that are said, as JSON, without what holds anyway."""
    changed = {name: value for name, value in said.items() if value != defaults[name]}
    return json.dumps({n: v.value if isinstance(v, Enum) else v for n, v in changed.items()})


def typed(name: str, value: Any, defaults: Mapping[str, Any]) -> Any:
    """The value of a field, from the form that people and JSON have. Raises StoreError."""
    default = defaults[name]
    if isinstance(default, Enum):
        try:
            return type(default)(value)
        except ValueError:
            known = ", ".join(one.value for one in type(default))
            raise StoreError(f"{name.replace('_', '-')} is one of {known}, not {value!r}") from None
    return tuple(value) if isinstance(value, list) else value


def _trunk(row: Mapping[str, Any]) -> Trunk:
    said = {name: typed(name, value, OF_TRUNK) for name, value in json.loads(row["settings"]).items()}
    return Trunk(row["tenant"], row["name"], row["password"], **said)


def _route(row: Mapping[str, Any]) -> OutRoute:
    said = {name: typed(name, value, OF_ROUTE) for name, value in json.loads(row["settings"]).items()}
    return OutRoute(row["tenant"], row["pattern"], **said)
