"""What is found out once for many phones of a tenant: who is in which team, what is set, what has room."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Set
from functools import cache, cached_property
from itertools import islice
from typing import Protocol

import provisioning
from blfd.core.directory import Tenant
from blfd.devices.values import Fit
from blfd.store import Store
from blfd.store.devices import DeviceRow
from provisioning import Contact, Device, KeyKind, LineKey, Model, Shape

TEAM = "team"


class Over(Protocol):
    """What a site sets for phones: as it is stored, or as it would be."""

    def settings(self, tenant: str | None, scope: str) -> dict[str, str | None]: ...

    def templates(self) -> dict[str, str]: ...


class Survey:
    """A survey of one tenant at one moment; what it has been asked for once, it does not read again.

    `names` are those of the tenant's extensions; for a single phone, of those that its files may name.
    """

    def __init__(self, store: Store, over: Over, tenant: str, names: Callable[[], dict[str, str]]) -> None:
        self._store, self._over, self._tenant, self._find_names = store, over, tenant, names
        self._settings = cache(over.settings)
        self._members = cache(self._members_of)
        self._front = cache(self._front_of)
        self._key = cache(self._key_for)
        self._room = cache(_room)
        self._parsed = cache(provisioning.parse_keys)
        self.fit = cache(fit)
        self._sound: set[Hashable] = set()

    @cached_property
    def names(self) -> dict[str, str]:
        return self._find_names()

    # What is set, as an `Over`

    def settings(self, tenant: str | None, scope: str) -> dict[str, str | None]:
        return self._settings(tenant, scope)

    def templates(self) -> dict[str, str]:
        return self._templates

    @cached_property
    def _templates(self) -> dict[str, str]:
        return self._over.templates()

    # What all phones of the tenant are told

    @cached_property
    def tenant(self) -> Tenant:
        return self._store.tenants.get(self._tenant)

    @cached_property
    def changed(self) -> float:
        """When an administrator has changed anything the last time, of whatever tenant."""
        return self._store.audit.newest()

    @cached_property
    def shapes(self) -> frozenset[Shape]:
        return frozenset(Shape(*found) for found in self._store.devices.shapes(self._tenant))

    @cached_property
    def contacts(self) -> tuple[Contact, ...]:
        """The first extensions, as many as a phonebook takes."""
        first = self._store.devices.first_names(self._tenant, provisioning.MOST_CONTACTS)
        return tuple(map(Contact._make, first.items()))

    # Teams

    def team(self, row: DeviceRow, room: int) -> tuple[LineKey, ...]:
        """A key for everybody else in the tenant, or in a group, as far as there is room.

        Raises NotFound for a group that does not exist.
        """
        return tuple(map(self._key, self._others(row, room)))

    def _others(self, row: DeviceRow, room: int) -> Iterator[str]:
        """The first of a phone's team that are not its own."""
        return islice((one for one in self._members(row.keys) if one not in row.extensions), room)

    def _front_of(self, keys: str, room: int) -> frozenset[str]:
        return frozenset(islice(self._members(keys), room))

    def watched(self, row: DeviceRow) -> Set[str]:
        """The extensions that the keys of a phone watch: those of `Phones.device`, whose keys are not made.

        Raises NotFound and ProvisioningError.
        """
        if not is_team(row.keys):
            return {key.value for key in self._parsed(row.keys) if key.kind is KeyKind.BLF}
        room = self._room(row.model, row.modules, len(row.extensions))
        front = self._front(row.keys, room)
        return front if front.isdisjoint(row.extensions) else set(self._others(row, room))

    def everybody(self, row: DeviceRow) -> int:
        """How many a phone's team are, whether or not there are keys for all. Raises NotFound."""
        own = set(row.extensions)
        if row.keys == TEAM:
            return self._everybody - len(own & self.names.keys())
        return len(self._members(row.keys).keys() - own)

    @cached_property
    def _everybody(self) -> int:
        return self._store.extensions.counts()[self._tenant]

    def _members_of(self, keys: str) -> dict[str, None]:
        """All in a team, the phone's own among them, in their order."""
        group = keys.partition(":")[2]
        if not group:
            return dict.fromkeys(sorted(self.names))
        members = self._store.devices.targets(self._tenant, group)
        if not members:
            self._store.groups.get(self._tenant, group)  # says so if there is none
        return dict.fromkeys(sorted(members))

    def _key_for(self, extension: str) -> LineKey:
        return LineKey(KeyKind.BLF, extension, self.label(extension))

    def label(self, extension: str) -> str:
        """What a key shows of who has an extension."""
        return provisioning.label_of(self.names.get(extension, ""))

    # Room

    def check_like(self, row: DeviceRow, watched: int, device: Callable[[], Device]) -> None:
        """Check one device of those with the same `row`, but for whose it is, and as many keys that watch.

        Raises ProvisioningError.
        """
        alike = row.model, row.modules, len(row.extensions), row.keys, watched
        if alike not in self._sound:
            self.check(device())
            self._sound.add(alike)

    def check(self, device: Device) -> None:
        """Check one device of each outline, as `provisioning.check` does. Raises ProvisioningError."""
        outline = provisioning.outline(device)
        if outline not in self._sound:
            provisioning.check(device)
            self._sound.add(outline)


def fit(model: Model, modules: int, lines: int, wanted: int) -> Fit:
    """How many of a team have a key on a phone with so many lines."""
    rooms = [min(wanted, model.room(n) - lines) for n in range(model.modules + 1)]
    fitting = rooms[modules]
    more = next((n for n, room in enumerate(rooms) if room == rooms[-1]), 0)
    return Fit(fitting, wanted, more, rooms[more]) if rooms[-1] > fitting else Fit(fitting, wanted)


def room_for_team(row: DeviceRow) -> int:
    """How many keys a phone has beside those of its lines. Raises ProvisioningError."""
    return _room(row.model, row.modules, len(row.extensions))


def _room(model: str, modules: int, lines: int) -> int:
    return max(0, provisioning.find(model).room(modules) - lines)


def watched_singly(row: DeviceRow) -> set[str]:
    """What keys watch that are written one by one: what has been removed stays in them."""
    if is_team(row.keys):
        return set()
    return {key.value for key in provisioning.parse_keys(row.keys) if key.kind is KeyKind.BLF}


def is_team(keys: str) -> bool:
    return keys.partition(":")[0] == TEAM
