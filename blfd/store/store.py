"""What an administrator configures: tenants, extensions, pickup groups."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from blfd.core.directory import Directory, DndLamp, Extension, Forwarding, Group, Owner, Reach, Tenant, Whose
from blfd.core.trunks.trunk import split
from blfd.core.values import DEFAULT_TENANT, Aor
from blfd.store import checks, rows
from blfd.store.admins import Admins
from blfd.store.audit import Audit
from blfd.store.checks import NewExtension, Outcome
from blfd.store.devices import Devices
from blfd.store.opening import Connections, Exists, Faults, NotFound, StoreError, containing
from blfd.store.overrides import Overrides
from blfd.store.records import Records
from blfd.store.sqlite_records import SqliteRecords
from blfd.store.trunks import Trunks
from blfd.store.upstreams import Upstreams

if TYPE_CHECKING:
    from sqlite_utils.db import Database

    from blfd.core.trunks.trunk import OutRoute

ORDERS: dict[str, tuple[str, ...]] = {  # of a list of extensions; numbers as numbers, before letters
    "extension": ("extension GLOB '*[^0-9]*'", "length(extension)", "extension"),
    "name": ("name = ''", "lower(name)"),
    "pickup": ("pickup",),
    "pickable": ("pickable",),
}
_AMONG = "extension IN (SELECT value FROM json_each(?))"
ANY_PASSWORD = "x"  # of a row whose password is not written


class PlannedExtension(NamedTuple):
    """A row as it is to be, and what that changes."""

    row: dict[str, Any]
    outcome: Outcome
    renewed: bool = False  # it gets another password


class Store:
    """The open database. Opening creates it, or brings it to the newest version. Raises StoreError.

    Every change is all or nothing; `records` is what the server keeps by itself, `devices` are the phones
    that are provisioned, `overrides` what a site sets for them, `admins` who may use the portal and the API,
    `audit` who has changed what, `trunks` the lines to the outside, `upstreams` PBXs
    whose lamps are shown.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connections = Connections(path)
        self.records: Records = SqliteRecords(self._connections)
        self.devices = Devices(self._connections)
        self.overrides = Overrides(self._connections)
        self.admins = Admins(self._connections)
        self.audit = Audit(self._connections)
        self.trunks = Trunks(self._connections)
        self.upstreams = Upstreams(self._connections)

    def writing(self) -> AbstractContextManager[Database]:
        """One transaction around several changes. Raises StoreError."""
        return self._connections.writing()

    # Reading

    def directory(self) -> Directory:
        """All that is configured, of one moment."""
        with self._connections.of_one_moment() as connection:
            tenants = {row["domain"]: rows.tenant(row) for row in rows.all_of(connection, "tenants")}
            of_devices = self.devices.ha1s({domain: tenant.realm for domain, tenant in tenants.items()})
            extensions = [
                rows.extension(row, of_devices.get((row["tenant"], row["extension"]), ()))
                for row in rows.all_of(connection, "extensions")
            ]
            groups = rows.groups(rows.all_of(connection, "groups"), rows.all_of(connection, "group_members"))
            trunks, routes = self.trunks.read(connection)
            upstreams = self.upstreams.read(connection)
        return Directory(tenants, {e.aor: e for e in extensions}, groups, trunks, routes, upstreams)

    def lines(self) -> Directory:
        """Tenants, trunks, routes and upstreams of one moment, with the extensions that trunks name and those
        whose lamps an upstream should have; without groups, other extensions and passwords of devices.
        """
        with self._connections.of_one_moment() as connection:
            tenants = {row["domain"]: rows.tenant(row) for row in rows.all_of(connection, "tenants")}
            trunks, routes = self.trunks.read(connection)
            upstreams = self.upstreams.read(connection)
            named = {
                name
                for trunk in trunks
                for name in (trunk.username, trunk.default, *(split(did)[1] for did in trunk.dids))
            }
            of_upstreams = [domain for domain, tenant in tenants.items() if tenant.owner is Owner.UPSTREAM]
            where = (
                f"{_AMONG} OR owner = ? OR owner IS NULL AND tenant IN (SELECT value FROM json_each(?))",
                (json.dumps([*named]), Owner.UPSTREAM.value, json.dumps(of_upstreams)),
            )
            found = [rows.extension(row) for row in rows.all_of(connection, "extensions", *where)]
        return Directory(tenants, {e.aor: e for e in found}, (), trunks, routes, upstreams)

    def tenant(self, domain: str) -> Tenant:
        """The tenant of a domain. Raises StoreError for one that does not exist."""
        with self._connections.reported():
            found = list(self._connections.db.table("tenants").rows_where("domain = ?", [domain]))
        if not found:
            raise NotFound(f"no tenant {domain}", "'blfd tenant list' shows them, 'tenant add' adds one")
        return rows.tenant(found[0])

    def names(self, tenant: str) -> dict[str, str]:
        """The name of each extension. Raises StoreError."""
        self.tenant(tenant)
        with self._connections.reported():
            names = "SELECT extension, name FROM extensions WHERE tenant = ? ORDER BY extension"
            return dict(self._connections.connection.execute(names, [tenant]))

    def extensions(self, tenant: str) -> list[Extension]:
        """The extensions of a tenant, sorted by name, without the passwords of devices."""
        self.tenant(tenant)
        with self._connections.reported():
            table = self._connections.db.table("extensions")
            return [
                rows.extension(row) for row in table.rows_where("tenant = ?", [tenant], order_by="extension")
            ]

    def domains(self) -> list[str]:
        """The domains of all tenants, sorted."""
        with self._connections.reported():
            found = self._connections.connection.execute("SELECT domain FROM tenants ORDER BY domain")
            return [domain for (domain,) in found]

    def extension_counts(self) -> Counter[str]:
        """How many extensions each tenant has."""
        with self._connections.reported():
            found = self._connections.connection.execute(
                "SELECT tenant, count(*) FROM extensions GROUP BY tenant"
            )
            return Counter(dict(found))

    def some_extensions(
        self,
        tenant: str,
        words: Sequence[str],
        order: str = "extension",
        backwards: bool = False,
        part: tuple[int, int] = (0, -1),
        *,
        group: str = "",
        among: Iterable[str] | None = None,
        without: Iterable[str] = (),
    ) -> tuple[list[Extension], int]:
        """Extensions with each of the words in number or name, by a column of ORDERS; and how many there are.

        `part` is how many are left out first, and how many are wanted, -1 for all. `group`: its members
        alone, `among`: those alone, `without`: those not.
        """
        self.tenant(tenant)
        where, values = "tenant = ?", [tenant]
        if group:
            where += " AND extension IN (SELECT extension FROM group_members WHERE tenant = ? AND name = ?)"
            values += [tenant, group]
        for those, has in ((among, "IN"), (without or None, "NOT IN")):
            if those is not None:
                where += f" AND extension {has} (SELECT value FROM json_each(?))"
                values.append(json.dumps(list(those)))
        conditions, wanted = containing(words, ("extension", "name"))
        where, values = " AND ".join([where, *conditions]), [*values, *wanted]
        way = " DESC" if backwards else ""
        by = ", ".join(f"{each}{way}" for each in (*ORDERS[order], *ORDERS["extension"]))
        with self._connections.reported():
            table = self._connections.db.table("extensions")
            found = table.rows_where(where, values, order_by=by, offset=part[0], limit=part[1])
            return [rows.extension(row) for row in found], table.count_where(where, values)

    def extension(self, aor: Aor) -> Extension:
        """An extension, without its devices' passwords. Raises StoreError for one that does not exist."""
        with self._connections.reported():
            table = self._connections.db.table("extensions")
            found = list(table.rows_where("tenant = ? AND extension = ?", list(aor)))
        if not found:
            raise _no_extension(aor)
        return rows.extension(found[0])

    def groups(self, tenant: str) -> list[Group]:
        """The groups of a tenant, sorted by name."""
        self.tenant(tenant)
        of_tenant = ("tenant = ?", [tenant])
        with self._connections.reading() as db:
            found = rows.groups(
                db["groups"].rows_where(*of_tenant), db["group_members"].rows_where(*of_tenant)
            )
        return sorted(found, key=lambda group: group.name)

    def group_names(self, tenant: str) -> list[str]:
        """The names of a tenant's groups, sorted."""
        with self._connections.reported():
            found = self._connections.connection.execute(
                "SELECT name FROM groups WHERE tenant = ? ORDER BY name", [tenant]
            )
            return [name for (name,) in found]

    def group(self, tenant: str, name: str) -> Group:
        """The group of a name. Raises StoreError for one that does not exist."""
        self.tenant(tenant)
        named = ("tenant = ? AND name = ?", [tenant, name])
        with self._connections.reading() as db:
            found = rows.groups(db["groups"].rows_where(*named), db["group_members"].rows_where(*named))
        if not found:
            raise NotFound(f"no group {name}", "'blfd group list' shows them, 'group add' adds one")
        return found[0]

    # Extensions

    def check_extensions(
        self, tenant: str, new: Iterable[NewExtension], update: bool = False
    ) -> Iterator[tuple[NewExtension, PlannedExtension | StoreError]]:
        """Each new extension, with what becomes of it, or what keeps it from being written.

        Those that exist are changed with `update`, else refused.
        """
        of, known = self.tenant(tenant), self._extension_rows(tenant)
        seen: set[str] = set()
        found, at_last = _all(new)
        names = known.keys() | {each.extension for each in found}
        always = {name: row["forward_always"] for name, row in known.items()}
        always |= {each.extension: each.forward_always for each in found}
        routes = self._ways_out(tenant)
        peers = {trunk.username: trunk.name for trunk in self.trunks.trunks(tenant) if trunk.is_peer}
        for each in found:
            there = known.get(each.extension)
            try:
                where = f"{each.where}: " if each.where else ""
                if each.extension in seen:
                    raise Exists(f"{where}extension {each.extension} exists already: it stands there twice")
                if there and not update:
                    advice = f"{'import --update' if where else 'extension set'!r} changes it"
                    raise Exists(f"{where}extension {each.extension} exists already", advice)
                if not there and each.extension in peers:
                    text = f"{where}trunk {peers[each.extension]} registers as {each.extension}"
                    raise StoreError(text, "give the extension another number, or the trunk another username")
                checks.check_extension(each, is_known=there is not None)
                with checks.said_of(where):
                    checks.check_forwarding(
                        Aor(tenant, each.extension), each.forwarding, names, always, routes
                    )
            except StoreError as error:
                yield each, error
            else:
                row = rows.extension_row(each, of, there)
                if there is None:
                    yield each, PlannedExtension(row, Outcome.ADDED)
                else:
                    outcome = Outcome.UNCHANGED if row.items() <= there.items() else Outcome.CHANGED
                    renewed = any(row[secret] != there[secret] for secret in rows.SECRETS)
                    yield each, PlannedExtension(row, outcome, renewed)
            seen.add(each.extension)
        if at_last:
            raise at_last

    def _extension_rows(self, tenant: str) -> dict[str, dict[str, Any]]:
        with self._connections.reported():
            found = self._connections.db.table("extensions").rows_where("tenant = ?", [tenant])
            return {row["extension"]: row for row in found}

    def checked_extensions(
        self, tenant: str, new: Iterable[NewExtension], update: bool = False
    ) -> list[PlannedExtension]:
        """What `put_extensions` takes. Raises StoreError with all that cannot be written, a line each."""
        planned, faults = [], Faults()
        with faults.noted():
            for _, found in self.check_extensions(tenant, new, update):
                if isinstance(found, StoreError):
                    faults.note(found)
                else:
                    planned.append(found)
        faults.check()
        return planned

    def put_extensions(self, planned: Iterable[PlannedExtension]) -> None:
        """Write the planned extensions, all or none."""
        found = list(planned)
        with self._connections.writing() as db:
            db.table("extensions").insert_all(row for row, outcome, _ in found if outcome is Outcome.ADDED)
            db.conn.executemany(
                "UPDATE extensions SET name = :name, pickup = :pickup, pickable = :pickable, owner = :owner, "
                "publish = :publish, dnd = :dnd, forward_always = :forward_always, "
                "forward_busy = :forward_busy, forward_no_answer = :forward_no_answer, "
                "forward_after = :forward_after, forward_unregistered = :forward_unregistered, "
                "ha1_sha256 = :ha1_sha256, ha1_md5 = :ha1_md5 "
                "WHERE tenant = :tenant AND extension = :extension",
                [row for row, outcome, _ in found if outcome is Outcome.CHANGED],
            )

    def add_extensions(self, tenant: str, new: Iterable[NewExtension]) -> None:
        """Add all extensions or none. Raises StoreError with what cannot be added."""
        with self._connections.writing():
            self.put_extensions(self.checked_extensions(tenant, new))

    def set_extension(
        self,
        aor: Aor,
        *,
        name: str | None = None,
        password: str | None = None,
        pickup: str | None = None,
        pickable: str | None = None,
        owner: str | None = None,
        publish: str | None = None,
        forwarding: Forwarding | None = None,
    ) -> None:
        """Change what is given of an extension; values are as in NewExtension."""
        self.extension(aor)
        fields = {
            "name": name,
            "password": password,
            "pickup": pickup,
            "pickable": pickable,
            "owner": owner,
            "publish": publish,
        }
        given = {field: value for field, value in fields.items() if value is not None}
        if not given and forwarding is None:
            raise StoreError("nothing to change", "'blfd extension set --help' shows what there is")
        new = NewExtension(aor.extension, given.pop("password", ANY_PASSWORD), **given)
        checks.check_extension(new)
        row = rows.extension_row(new, self.tenant(aor.tenant), None)
        columns = [*given, *(rows.SECRETS if password is not None else ())]
        changes = {column: row[column] for column in columns}
        if forwarding is not None:
            self._check_forwarding(aor, forwarding)
            changes |= rows.forwarding_row(forwarding)
        self._update("extensions", tuple(aor), changes)

    def _check_forwarding(self, aor: Aor, forwarding: Forwarding) -> None:
        """Raises StoreError for a forwarding that leads nowhere."""
        known = self._extension_rows(aor.tenant)
        always = {name: row["forward_always"] for name, row in known.items()}
        checks.check_forwarding(aor, forwarding, known, always, self._ways_out(aor.tenant))

    def _ways_out(self, tenant: str) -> Sequence[OutRoute]:
        """The routes by which calls may be sent on outside."""
        return self.trunks.routes(tenant) if self.tenant(tenant).send_outside else ()

    def forwarded_to(self, aor: Aor) -> list[str]:
        """The extensions that have some of their calls forwarded to one."""
        columns = (f"forward_{when}" for when in checks.FORWARDED_WHEN)
        where = " OR ".join(f"{column} = :extension" for column in columns)
        with self._connections.reported():
            found = self._connections.db.table("extensions").rows_where(
                f"tenant = :tenant AND ({where})", aor._asdict(), select="extension", order_by="extension"
            )
            return [row["extension"] for row in found]

    def remove_extension(self, aor: Aor) -> None:
        """Remove an extension; what others have forwarded to it is no longer."""
        self.extension(aor)
        self.remove_extensions(aor.tenant, [aor.extension])

    def set_extensions(
        self,
        tenant: str,
        extensions: Iterable[str],
        *,
        pickup: str | None = None,
        pickable: str | None = None,
    ) -> None:
        """Change many extensions alike; those not there are left out. Values are as in NewExtension."""
        fields = {"pickup": pickup, "pickable": pickable}
        given = {field: value for field, value in fields.items() if value is not None}
        new = NewExtension("1", ANY_PASSWORD, **given)
        checks.check_extension(new)
        row = rows.extension_row(new, self.tenant(tenant), None)
        columns = ", ".join(f"{column} = ?" for column in given)
        with self._connections.writing() as db:
            db.execute(
                f"UPDATE extensions SET {columns} WHERE tenant = ? AND {_AMONG}",
                [*(row[column] for column in given), tenant, json.dumps([*extensions])],
            )

    def remove_extensions(self, tenant: str, extensions: Iterable[str]) -> None:
        """Remove the extensions that exist; what others have forwarded to them is no longer."""
        those = json.dumps([*extensions])
        with self._connections.writing() as db:
            for when in checks.FORWARDED_WHEN:
                column = f"forward_{when}"
                among = _AMONG.replace("extension", column, 1)
                db.execute(
                    f"UPDATE extensions SET {column} = '' WHERE tenant = ? AND {among}", [tenant, those]
                )
            db.execute(f"DELETE FROM extensions WHERE tenant = ? AND {_AMONG}", [tenant, those])

    # Groups

    def add_group(self, tenant: str, name: str, pickers: Iterable[str], targets: Iterable[str]) -> None:
        checks.check_group(name)
        if name in self.group_names(tenant):
            raise Exists(f"group {name} exists already", "'group set' changes it")
        self._write_group(Group(tenant, name, frozenset(pickers), frozenset(targets)))

    def set_group(self, tenant: str, name: str, pickers: Iterable[str], targets: Iterable[str]) -> None:
        """Change a group: both sides replace those of before."""
        self.group(tenant, name)
        self._write_group(Group(tenant, name, frozenset(pickers), frozenset(targets)))

    def remove_group(self, tenant: str, name: str) -> None:
        self.group(tenant, name)
        self._delete("groups", (tenant, name))

    def _write_group(self, group: Group) -> None:
        for unknown in sorted((group.pickers | group.targets) - self.names(group.tenant).keys()):
            raise _no_extension(Aor(group.tenant, unknown))
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

    # Tenants

    def add_tenant(self, domain: str, aliases: Iterable[str] = ()) -> None:
        domain = checks.domain(domain)
        aliases = [checks.domain(alias) for alias in aliases]
        self._check_free(domain, *aliases)
        row = {"domain": domain, "aliases": json.dumps(aliases), "single_dialog": 0}
        with self._connections.writing() as db:
            db.table("tenants").insert(row)

    def set_tenant(
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
        known = self.tenant(domain)
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
        self._update("tenants", domain, changes)

    def remove_tenant(self, domain: str) -> None:
        """Remove a tenant with its extensions, their bindings, its groups and what was picked up."""
        self.check_removable(domain)
        self._delete("tenants", domain)

    def check_removable(self, domain: str) -> None:
        """Raises StoreError for a tenant that cannot be removed."""
        self.tenant(domain)
        if domain == DEFAULT_TENANT:
            raise StoreError("the default tenant cannot be removed")

    def _check_free(self, *hosts: str) -> None:
        taken = {
            host for tenant in self.directory().tenants.values() for host in (tenant.domain, *tenant.aliases)
        }
        for host in hosts:
            if host in taken:
                raise Exists(f"{host} is a tenant's domain or alias already", "see 'blfd tenant list'")
            taken.add(host)

    def _update(self, table: str, key: Any, changes: dict[str, Any]) -> None:
        with self._connections.writing() as db:
            db.table(table).update(key, changes)

    def _delete(self, table: str, key: Any) -> None:
        with self._connections.writing() as db:
            db.table(table).delete(key)


def _all(new: Iterable[NewExtension]) -> tuple[list[NewExtension], StoreError | None]:
    """The extensions that can be had, and what is wrong with the others."""
    found: list[NewExtension] = []
    try:
        for each in new:
            found.append(each)
    except StoreError as error:
        return found, error
    return found, None


def _no_extension(aor: Aor) -> NotFound:
    return NotFound(f"no extension {aor}", "'blfd extension list' shows them, 'extension add' adds one")
