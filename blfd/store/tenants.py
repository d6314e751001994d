"""Tenants as rows, with what holds for all their extensions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypedDict, Unpack

from blfd.core.advice import where_missing
from blfd.core.directory import DndLamp, Owner, Reach, Tenant, Whose
from blfd.core.values import DEFAULT_TENANT
from blfd.store import checks, rows
from blfd.store.opening import Connections, Exists, NotFound, StoreError

CODES = {"pickup_code", "group_pickup_code", "star_codes"}


class TenantChanges(TypedDict, total=False):
    """What may be changed of a tenant; what is None, or is not there, stays as it is.

    `aliases` replace those of before, `star_codes` those that are named.
    """

    aliases: Iterable[str] | None
    single_dialog: bool | None
    pickup_code: str | None
    group_pickup_code: str | None
    pickup: Reach | None
    pickable: bool | None
    owner: Owner | None
    dnd_lamp: DndLamp | None
    redirect: Whose | None
    decline: Whose | None
    star_codes: Mapping[str, str] | None
    feature_sync: bool | None
    send_outside: bool | None


class Tenants:
    """The tenants, by their domains. Every change is all or nothing."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def get(self, domain: str) -> Tenant:
        """The tenant of a domain. Raises StoreError for one that does not exist."""
        with self._connections.reported():
            found = [*rows.all_of(self._connections.connection, "tenants", "domain = ?", [domain])]
        if not found:
            raise NotFound(f"no tenant {domain}", where_missing(DEFAULT_TENANT, "tenant"))
        return rows.tenant(found[0])

    def domains(self) -> list[str]:
        """The domains of all tenants, sorted."""
        with self._connections.reported():
            found = self._connections.connection.execute("SELECT domain FROM tenants ORDER BY domain")
            return [domain for (domain,) in found]

    def add(self, domain: str, aliases: Iterable[str] = ()) -> None:
        domain = checks.domain(domain)
        aliases = [checks.domain(alias) for alias in aliases]
        self._check_free(domain, *aliases)
        row = {"domain": domain, "aliases": json.dumps(aliases), "single_dialog": 0}
        with self._connections.writing() as db:
            db.table("tenants").insert(row)

    def set(self, domain: str, **changes: Unpack[TenantChanges]) -> None:
        """Change what is given of a tenant. Raises StoreError."""
        known = self.get(domain)
        given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        row: dict[str, Any] = {}
        if "aliases" in given:
            wanted = [checks.domain(alias) for alias in given.pop("aliases")]
            self._check_free(*(alias for alias in wanted if alias not in known.aliases))
            row["aliases"] = json.dumps(wanted)
        if given.keys() & CODES:
            pickup = given.pop("pickup_code", known.pickup_code)
            group_pickup = given.pop("group_pickup_code", known.group_pickup_code)
            stars = checks.changed_star_codes(known.star_codes, given.pop("star_codes", {}))
            checks.check_codes(pickup, group_pickup, stars)
            row |= {"pickup_code": pickup, "group_pickup_code": group_pickup}
            row["star_codes"] = rows.star_codes_column(stars)
        row |= {name: one.value if isinstance(one, Enum) else int(one) for name, one in given.items()}
        if not row:
            raise StoreError("nothing to change", "'blfd tenant set --help' shows what there is")
        with self._connections.writing() as db:
            db.table("tenants").update(domain, row)

    def remove(self, domain: str) -> None:
        """Remove a tenant with its extensions, their bindings, its groups and what was picked up."""
        self.check_removable(domain)
        with self._connections.writing() as db:
            db.table("tenants").delete(domain)

    def check_removable(self, domain: str) -> None:
        """Raises StoreError for a tenant that cannot be removed."""
        self.get(domain)
        if domain == DEFAULT_TENANT:
            raise StoreError("the default tenant cannot be removed")

    def _check_free(self, *hosts: str) -> None:
        with self._connections.reported():
            known = [rows.tenant(row) for row in self._connections.db.table("tenants").rows]
        taken = {host for tenant in known for host in (tenant.domain, *tenant.aliases)}
        for host in hosts:
            if host in taken:
                raise Exists(f"{host} is a tenant's domain or alias already", "see 'blfd tenant list'")
            taken.add(host)
