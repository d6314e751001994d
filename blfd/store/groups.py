"""Pickup groups as rows: who picks up whose calls."""

from __future__ import annotations

from collections.abc import Iterable, Set

from blfd.core.advice import command, where_missing
from blfd.core.directory import Group
from blfd.core.values import Aor
from blfd.store import checks, rows
from blfd.store.extensions import Extensions, no_extension
from blfd.store.opening import Connections, Exists, NotFound
from blfd.store.tenants import Tenants


class Groups:
    """The groups of the tenants. Every change is all or nothing."""

    def __init__(self, connections: Connections, tenants: Tenants, extensions: Extensions) -> None:
        self._connections, self._tenants, self._extensions = connections, tenants, extensions

    def all(self, tenant: str) -> list[Group]:
        """The groups of a tenant, sorted by name."""
        self._tenants.get(tenant)
        of_tenant = ("tenant = ?", [tenant])
        with self._connections.reading() as db:
            found = rows.groups(
                db["groups"].rows_where(*of_tenant), db["group_members"].rows_where(*of_tenant)
            )
        return sorted(found, key=lambda group: group.name)

    def names(self, tenant: str) -> list[str]:
        """The names of a tenant's groups, sorted."""
        with self._connections.reported():
            found = self._connections.connection.execute(
                "SELECT name FROM groups WHERE tenant = ? ORDER BY name", [tenant]
            )
            return [name for (name,) in found]

    def with_any(self, tenant: str, extensions: Set[str]) -> list[str]:
        """The names of the groups that have any of the extensions, sorted."""
        return [group.name for group in self.all(tenant) if extensions & (group.pickers | group.targets)]

    def get(self, tenant: str, name: str) -> Group:
        """The group of a name. Raises StoreError for one that does not exist."""
        self._tenants.get(tenant)
        named = ("tenant = ? AND name = ?", [tenant, name])
        with self._connections.reading() as db:
            found = rows.groups(db["groups"].rows_where(*named), db["group_members"].rows_where(*named))
        if not found:
            raise NotFound(f"no group {name}", where_missing(tenant, "group"))
        return found[0]

    def add(self, tenant: str, name: str, pickers: Iterable[str], targets: Iterable[str]) -> None:
        checks.check_group(name)
        if name in self.names(tenant):
            raise Exists(
                f"group {name} exists already", f"{command(tenant, 'group', 'set', name)} changes it"
            )
        self._write(Group(tenant, name, frozenset(pickers), frozenset(targets)))

    def set(self, tenant: str, name: str, pickers: Iterable[str], targets: Iterable[str]) -> None:
        """Change a group: both sides replace those of before."""
        self.get(tenant, name)
        self._write(Group(tenant, name, frozenset(pickers), frozenset(targets)))

    def remove(self, tenant: str, name: str) -> None:
        self.get(tenant, name)
        with self._connections.writing() as db:
            db.table("groups").delete((tenant, name))

    def _write(self, group: Group) -> None:
        for unknown in sorted((group.pickers | group.targets) - self._extensions.names(group.tenant).keys()):
            raise no_extension(Aor(group.tenant, unknown))
        key = {"tenant": group.tenant, "name": group.name}
        members = [
            {
                **key,
                "extension": member,
                "picks": member in group.pickers,
                "is_picked": member in group.targets,
            }
            for member in sorted(group.pickers | group.targets)
        ]
        with self._connections.writing() as db:
            db.table("groups").insert(key, ignore=True)
            db.table("group_members").delete_where("tenant = ? AND name = ?", [group.tenant, group.name])
            db.table("group_members").insert_all(members)
