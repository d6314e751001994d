"""Tenants as rows, with what holds for all their extensions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from blfd.core.directory import DndLamp, Owner, Reach, Tenant, Whose
from blfd.core.values import DEFAULT_TENANT
from blfd.store import checks, rows
from blfd.store.opening import Connections, Exists, NotFound, StoreError


class Tenants:
    """The tenants, by their domains. Every change is all or nothing."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def get(self, domain: str) -> Tenant:
        """The tenant of a domain. Raises StoreError for one that does not exist."""
        with self._connections.reported():
            found = list(self._connections.db.table("tenants").rows_where("domain = ?", [domain]))
        if not found:
            raise NotFound(f"no tenant {domain}", "'blfd tenant list' shows them, 'tenant add' adds one")
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

    def set(
        self,
        domain: str,
        *,
        aliases: Iterable[str] | None = None,
        single_dialog: bool | None = None,
        pickup_code: str | None = None,
        group_pickup_code: str | None = None,
        pickup: Reach | None = None,
        pickable: bool | None = None,
        owner: Owner | None = None,
        dnd_lamp: DndLamp | None = None,
        redirect: Whose | None = None,
        decline: Whose | None = None,
        star_codes: Mapping[str, str] | None = None,
        feature_sync: bool | None = None,
        send_outside: bool | None = None,
    ) -> None:
        """Change what is given of a tenant; all its `aliases`, and of `star_codes` those that are named."""
        known = self.get(domain)
        changes: dict[str, Any] = {}
        if aliases is not None:
            wanted = [checks.domain(alias) for alias in aliases]
            self._check_free(*(alias for alias in wanted if alias not in known.aliases))
            changes["aliases"] = json.dumps(wanted)
        if pickup_code is not None or group_pickup_code is not None or star_codes is not None:
            codes = (
                known.pickup_code if pickup_code is None else pickup_code,
                known.group_pickup_code if group_pickup_code is None else group_pickup_code,
            )
            stars = checks.changed_star_codes(known.star_codes, star_codes or {})
            checks.check_codes(*codes, stars)
            changes["pickup_code"], changes["group_pickup_code"] = codes
            changes["star_codes"] = rows.star_codes_column(stars)
        choices = {
            "pickup": pickup,
            "owner": owner,
            "dnd_lamp": dnd_lamp,
            "redirect": redirect,
            "decline": decline,
        }
        changes |= {name: chosen.value for name, chosen in choices.items() if chosen is not None}
        switches = {
            "single_dialog": single_dialog,
            "pickable": pickable,
            "feature_sync": feature_sync,
            "send_outside": send_outside,
        }
        changes |= {name: int(on) for name, on in switches.items() if on is not None}
        if not changes:
            raise StoreError("nothing to change", "'blfd tenant set --help' shows what there is")
        with self._connections.writing() as db:
            db.table("tenants").update(domain, changes)

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
