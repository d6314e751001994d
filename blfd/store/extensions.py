"""Extensions as rows, which are written once all new ones are checked, against each other and the rest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypedDict, Unpack

from blfd.core.advice import command, where_missing
from blfd.core.directory import Extension, Forwarding
from blfd.core.trunk import OutRoute
from blfd.core.values import Aor
from blfd.store import checks, rows
from blfd.store.checks import NewExtension, Outcome
from blfd.store.opening import Connections, Exists, Faults, NotFound, StoreError, containing
from blfd.store.tenants import Tenants
from blfd.store.trunks import Trunks

ORDERS: dict[str, tuple[str, ...]] = {  # of a list of extensions; numbers as numbers, before letters
    "extension": ("extension GLOB '*[^0-9]*'", "length(extension)", "extension"),
    "name": ("name = ''", "lower(name)"),
    "pickup": ("pickup",),
    "pickable": ("pickable",),
}
AMONG = "extension IN (SELECT value FROM json_each(?))"
FORWARD_COLUMNS = tuple(f"forward_{when}" for when in checks.FORWARDED_WHEN)
NAMED_IN = (
    ("extensions", "extension"),
    *(("extensions", column) for column in FORWARD_COLUMNS),
    ("group_members", "extension"),
    ("device_extensions", "extension"),
)
"""The columns that name an extension, of what an administrator sets."""
ANY_PASSWORD = "x"  # stands in a row of which the password is not written


class ExtensionChanges(TypedDict, total=False):
    """What may be changed of an extension beside its forwarding; values are as in NewExtension.

    What is None, or is left out, stays as it is.
    """

    name: str | None
    password: str | None
    pickup: str | None
    pickable: str | None
    owner: str | None
    publish: str | None
    withhold: str | None


class PlannedExtension(NamedTuple):
    """A row as it is to be, and what that changes."""

    row: dict[str, Any]
    outcome: Outcome
    renewed: bool = False  # it gets another password


class Extensions:
    """The extensions of the tenants. Every change is all or nothing."""

    def __init__(self, connections: Connections, tenants: Tenants, trunks: Trunks) -> None:
        self._connections, self._tenants, self._trunks = connections, tenants, trunks

    # Reading

    def names(self, tenant: str) -> dict[str, str]:
        """The name of each extension. Raises StoreError."""
        self._tenants.get(tenant)
        with self._connections.reported():
            names = "SELECT extension, name FROM extensions WHERE tenant = ? ORDER BY extension"
            return dict(self._connections.connection.execute(names, [tenant]))

    def all(self, tenant: str) -> list[Extension]:
        """The extensions of a tenant, sorted by name, without the passwords of devices."""
        self._tenants.get(tenant)
        with self._connections.reported():
            table = self._connections.db.table("extensions")
            return [
                rows.extension(row) for row in table.rows_where("tenant = ?", [tenant], order_by="extension")
            ]

    def counts(self) -> Counter[str]:
        """How many extensions each tenant has."""
        with self._connections.reported():
            found = self._connections.connection.execute(
                "SELECT tenant, count(*) FROM extensions GROUP BY tenant"
            )
            return Counter(dict(found))

    def some(
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
        """Extensions with each of the words in number or name, in an order of ORDERS; and how many there are.

        `part` is how many are left out at the beginning, and how many are wanted, -1 for all. With `group`,
        its members alone; with `among`, those alone; with `without`, all but those.
        """
        self._tenants.get(tenant)
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

    def get(self, aor: Aor) -> Extension:
        """An extension, without its devices' passwords. Raises StoreError for one that does not exist."""
        with self._connections.reported():
            table = self._connections.db.table("extensions")
            found = list(table.rows_where("tenant = ? AND extension = ?", list(aor)))
        if not found:
            raise no_extension(aor)
        return rows.extension(found[0])

    # Writing

    def check(
        self, tenant: str, new: Iterable[NewExtension], update: bool = False
    ) -> Iterator[tuple[NewExtension, PlannedExtension | StoreError]]:
        """Each new extension, with what it changes, or with why it cannot be written.

        One that exists is changed with `update`, and refused without.
        """
        of, known = self._tenants.get(tenant), self._rows(tenant)
        seen: set[str] = set()
        found, at_last = _read(new)
        names = known.keys() | {each.extension for each in found}
        always = {name: row["forward_always"] for name, row in known.items()}
        always |= {each.extension: each.forward_always for each in found}
        routes = self._ways_out(tenant)
        peers = {trunk.username: trunk.name for trunk in self._trunks.trunks(tenant) if trunk.is_peer}
        for each in found:
            there = known.get(each.extension)
            try:
                if each.extension in seen:
                    text = f"extension {each.extension} exists already: it stands there twice"
                    raise Exists(f"{_before(each)}{text}")
                _check_number(tenant, each, there is not None, update, peers)
                checks.check_extension(each, is_known=there is not None)
                with checks.said_of(_before(each)):
                    checks.check_forwarding(
                        Aor(tenant, each.extension), each.forwarding, names, always, routes
                    )
            except StoreError as error:
                yield each, error
            else:
                yield each, _planned(rows.extension_row(each, of, there), there)
            seen.add(each.extension)
        if at_last:
            raise at_last

    def _rows(self, tenant: str) -> dict[str, dict[str, Any]]:
        with self._connections.reported():
            found = self._connections.db.table("extensions").rows_where("tenant = ?", [tenant])
            return {row["extension"]: row for row in found}

    def checked(
        self, tenant: str, new: Iterable[NewExtension], update: bool = False
    ) -> list[PlannedExtension]:
        """The rows to be written. Raises StoreError with a line for each extension that cannot be."""
        planned, faults = [], Faults()
        with faults.noted():
            for _, found in self.check(tenant, new, update):
                if isinstance(found, StoreError):
                    faults.note(found)
                else:
                    planned.append(found)
        faults.check()
        return planned

    def put(self, planned: Iterable[PlannedExtension]) -> None:
        """Write the planned extensions, all or none."""
        found = list(planned)
        with self._connections.writing() as db:
            db.table("extensions").insert_all(row for row, outcome, _ in found if outcome is Outcome.ADDED)
            db.conn.executemany(
                "UPDATE extensions SET name = :name, pickup = :pickup, pickable = :pickable, owner = :owner, "
                "publish = :publish, withhold = :withhold, dnd = :dnd, forward_always = :forward_always, "
                "forward_busy = :forward_busy, forward_no_answer = :forward_no_answer, "
                "forward_after = :forward_after, forward_unregistered = :forward_unregistered, "
                "ha1_sha256 = :ha1_sha256, ha1_md5 = :ha1_md5 "
                "WHERE tenant = :tenant AND extension = :extension",
                [row for row, outcome, _ in found if outcome is Outcome.CHANGED],
            )

    def add(self, tenant: str, new: Iterable[NewExtension]) -> None:
        """Add all extensions or none. Raises StoreError with what cannot be added."""
        with self._connections.writing():
            self.put(self.checked(tenant, new))

    def set(
        self, aor: Aor, *, forwarding: Forwarding | None = None, **changes: Unpack[ExtensionChanges]
    ) -> None:
        """Change what is given of an extension. Raises StoreError."""
        self.get(aor)
        given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        if not given and forwarding is None:
            raise StoreError("nothing to change", "'blfd extension set --help' shows what there is")
        has_password = "password" in given
        new = NewExtension(aor.extension, given.pop("password", ANY_PASSWORD), **given)
        checks.check_extension(new)
        row = rows.extension_row(new, self._tenants.get(aor.tenant), None)
        columns = (*given, *(rows.SECRETS if has_password else ()))
        changed = {column: row[column] for column in columns}
        if forwarding is not None:
            self._check_forwarding(aor, forwarding)
            changed |= rows.forwarding_row(forwarding)
        with self._connections.writing() as db:
            db.table("extensions").update(tuple(aor), changed)

    def _check_forwarding(self, aor: Aor, forwarding: Forwarding) -> None:
        """Check that a forwarding leads somewhere. Raises StoreError."""
        known = self._rows(aor.tenant)
        always = {name: row["forward_always"] for name, row in known.items()}
        checks.check_forwarding(aor, forwarding, known, always, self._ways_out(aor.tenant))

    def _ways_out(self, tenant: str) -> Sequence[OutRoute]:
        """The routes by which calls may be sent on outside."""
        return self._trunks.routes(tenant) if self._tenants.get(tenant).send_outside else ()

    def forwarded_to(self, tenant: str, extensions: Iterable[str]) -> list[str]:
        """The other extensions that have some of their calls forwarded to one of these."""
        those = json.dumps([*extensions])
        to = " OR ".join(AMONG.replace("extension", column, 1) for column in FORWARD_COLUMNS)
        with self._connections.reported():
            found = self._connections.db.table("extensions").rows_where(
                f"tenant = ? AND ({to}) AND NOT {AMONG}",
                [tenant, *[those] * (len(FORWARD_COLUMNS) + 1)],
                select="extension",
                order_by="extension",
            )
            return [row["extension"] for row in found]

    def renumber(self, aor: Aor, new: str, password: str) -> None:
        """Give an extension another number, in each column that names it; its bindings are forgotten.

        HA1s are made of the number, too, so they need the password again. Raises StoreError.
        """
        tenant, old = aor
        known = self.get(aor)
        if new in self._rows(tenant):
            raise Exists(f"extension {new} exists already", "choose a number that is free")
        (planned,) = self.checked(tenant, [NewExtension(new, password)])
        with self._connections.writing() as db:
            db.execute("PRAGMA defer_foreign_keys = ON")  # until the transaction ends
            for table, column in NAMED_IN:
                db.execute(f"UPDATE {table} SET {column} = ? WHERE tenant = ? AND {column} = ?", [new, *aor])
            secrets = {name: planned.row[name] for name in rows.SECRETS}
            db.table("extensions").update((tenant, new), secrets)
            db.table("bindings").delete_where("tenant = ? AND extension = ?", [tenant, old])
            found = self._rows(tenant)
            always = {name: row["forward_always"] for name, row in found.items()}
            targets = {getattr(known.forwarding, when) for when in checks.FORWARDED_WHEN}
            # A forwarding to the new number, which has led outside, would lead to the extension.
            checks.check_forwarding(Aor(tenant, new), known.forwarding, found.keys() | targets, always, ())

    def remove(self, aor: Aor) -> None:
        """Remove an extension, and the forwarding of others to it."""
        self.get(aor)
        self.remove_all(aor.tenant, [aor.extension])

    def set_all(
        self,
        tenant: str,
        extensions: Iterable[str],
        *,
        pickup: str | None = None,
        pickable: str | None = None,
        withhold: str | None = None,
    ) -> None:
        """Change those of the extensions that exist, all alike. Values are as in NewExtension."""
        fields = {"pickup": pickup, "pickable": pickable, "withhold": withhold}
        given = {field: value for field, value in fields.items() if value is not None}
        new = NewExtension("1", ANY_PASSWORD, **given)
        checks.check_extension(new)
        row = rows.extension_row(new, self._tenants.get(tenant), None)
        columns = ", ".join(f"{column} = ?" for column in given)
        with self._connections.writing() as db:
            db.execute(
                f"UPDATE extensions SET {columns} WHERE tenant = ? AND {AMONG}",
                [*(row[column] for column in given), tenant, json.dumps([*extensions])],
            )

    def remove_all(self, tenant: str, extensions: Iterable[str]) -> None:
        """Remove those of the extensions that exist, and the forwarding of others to them."""
        those = json.dumps([*extensions])
        with self._connections.writing() as db:
            for column in FORWARD_COLUMNS:
                among = AMONG.replace("extension", column, 1)
                db.execute(
                    f"UPDATE extensions SET {column} = '' WHERE tenant = ? AND {among}", [tenant, those]
                )
            db.execute(f"DELETE FROM extensions WHERE tenant = ? AND {AMONG}", [tenant, those])


def _before(each: NewExtension) -> str:
    """What stands before a fault of a row: its line in a file, if it is of one."""
    return f"{each.where}: " if each.where else ""


def _check_number(
    tenant: str, each: NewExtension, is_known: bool, update: bool, peers: Mapping[str, str]
) -> None:
    """Check that the number is free, or may be changed; `peers` are trunks by the name that they register as.

    Raises StoreError.
    """
    where = _before(each)
    if is_known and not update:
        wanted = ("import", "FILE", "--update") if where else ("set", each.extension)
        advice = f"{command(tenant, 'extension', *wanted)} changes it"
        raise Exists(f"{where}extension {each.extension} exists already", advice)
    if not is_known and each.extension in peers:
        text = f"{where}trunk {peers[each.extension]} registers as {each.extension}"
        raise StoreError(text, "give the extension another number, or the trunk another username")


def _planned(row: dict[str, Any], there: dict[str, Any] | None) -> PlannedExtension:
    """What a row changes of the one that is there."""
    if there is None:
        return PlannedExtension(row, Outcome.ADDED)
    outcome = Outcome.UNCHANGED if row.items() <= there.items() else Outcome.CHANGED
    return PlannedExtension(row, outcome, any(row[secret] != there[secret] for secret in rows.SECRETS))


def _read(new: Iterable[NewExtension]) -> tuple[list[NewExtension], StoreError | None]:
    """The extensions that can be read, and what is wrong with the rest of them."""
    found: list[NewExtension] = []
    try:
        for each in new:
            found.append(each)
    except StoreError as error:
        return found, error
    return found, None


def no_extension(aor: Aor) -> NotFound:
    return NotFound(f"no extension {aor}", where_missing(aor.tenant, "extension"))
