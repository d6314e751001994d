"""A tenant's provisioned phones: each is checked before it is kept, by its files as they would be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

import provisioning
from blfd.core.advice import command, where_missing
from blfd.core.values import DEFAULT_TENANT
from blfd.devices.files import Files
from blfd.devices.survey import TEAM, Survey, watched_singly
from blfd.devices.values import Wanted
from blfd.store import Exists, Faults, NotFound, Outcome, StoreError
from blfd.store.devices import DeviceRow
from provisioning import Device, KeyKind, Layer, ProvisioningError


class Checked(NamedTuple):
    """A device as it can be kept, what is set for it alone, and what that changes."""

    row: DeviceRow
    settings: tuple[tuple[str, str], ...]
    outcome: Outcome


class Phones(Files):
    """Checks and keeps devices."""

    def check(
        self, tenant: str, wanted: Iterable[Wanted], update: bool = False
    ) -> Iterator[tuple[Wanted, Checked | StoreError]]:
        """Each device that is wanted, with what would be kept of it, or what keeps it from that.

        The tenant's that exist are changed with `update`, else refused. One that is as it was is not tried.
        """
        survey = self.survey(tenant)
        seen: set[str] = set()
        for each in wanted:
            try:
                each = each.accepted()
                row = self._row(tenant, each)
                there = self.store.devices.get(row.mac)
                if row.mac in seen:
                    raise Exists(f"{each.where}device {each.mac} exists already: it stands there twice")
                if there and not (update and there.tenant == tenant):
                    way = ("import", "FILE", "--update") if each.where else ("set", row.mac)
                    advice = f"{command(there.tenant, 'device', *way)} changes it"
                    raise Exists(f"{each.where}device {each.mac} exists already", advice)
                outcome = Outcome.CHANGED if there else Outcome.ADDED
                if there and not each.settings and there == there.told(row):
                    outcome = Outcome.UNCHANGED
                else:
                    self._check(row, each, survey, there)
            except StoreError as error:
                yield each, error
            else:
                seen.add(row.mac)
                yield each, Checked(row, each.settings, outcome)

    def checked(self, tenant: str, wanted: Iterable[Wanted], update: bool = False) -> list[Checked]:
        """What `keep` keeps. Raises StoreError with all that cannot be kept, a line each."""
        found: list[Checked] = []
        faults = Faults()
        with faults.noted():
            for _, each in self.check(tenant, wanted, update):
                if isinstance(each, StoreError):
                    faults.note(each)
                else:
                    found.append(each)
        faults.check()
        return found

    def keep(self, checked: Iterable[Checked]) -> None:
        """Keep all devices or none. Raises Exists for what has been added since it was checked."""
        of = {
            outcome: [each for each in checked if each.outcome is outcome]
            for outcome in (Outcome.ADDED, Outcome.CHANGED)
        }
        with self.store.writing():
            added = of[Outcome.ADDED]
            self.store.devices.add((each.row for each in added), _settings(added))
            for each in of[Outcome.CHANGED]:
                self.store.devices.replace(each.row, _settings([each]))

    def change(self, tenant: str, wanted: Wanted) -> None:
        """Change a device of a tenant. Raises StoreError."""
        there = self.get(tenant, wanted.mac)
        wanted = wanted.accepted()
        row = self._row(tenant, wanted)
        self._check(row, wanted, self.survey(tenant), there)
        self.store.devices.replace(row, [(row, name, value) for name, value in wanted.settings])

    def get(self, tenant: str, mac: str) -> DeviceRow:
        """The row of a device. Raises StoreError for one that does not exist in the tenant."""
        try:
            row = self.store.devices.get(provisioning.normal_mac(mac))
        except ProvisioningError as error:
            raise StoreError(str(error)) from None
        if row is None or row.tenant != tenant:
            raise NotFound(f"no device {mac}", where_missing(tenant, "device"))
        return row

    def all(self, tenant: str) -> list[DeviceRow]:
        """The devices of a tenant, sorted by address. Raises StoreError for a tenant that does not exist."""
        self.store.tenants.get(tenant)
        return self.store.devices.all(tenant)

    def remove(self, tenant: str, mac: str) -> None:
        """Remove a device of a tenant. Raises StoreError."""
        self.store.devices.remove(self.get(tenant, mac).mac)

    def renew(self, tenant: str, mac: str) -> None:
        """Give a device another password and another address for files. Raises StoreError."""
        self.store.devices.renew(self.get(tenant, mac).mac)

    def profile(self, mac: str) -> tuple[str | None, str]:
        """What `ProfileFound` says of a phone of any tenant: `url` and `tenant`. Raises StoreError."""
        row = self.store.devices.get(mac)
        if row is None:
            return None, DEFAULT_TENANT
        return "" if row.fetch else self.url(row), row.tenant

    def of_group(self, tenant: str, group: str) -> list[DeviceRow]:
        """The phones whose keys are a group's."""
        return [row for row in self.all(tenant) if row.keys == f"{TEAM}:{group}"]

    def syncs(self, rows: Iterable[DeviceRow]) -> dict[str, set[str]]:
        """The Events of NOTIFYs that have phones fetch their files, each with the extensions of these."""
        found = defaultdict[str, set[str]](set)
        for row in rows:
            found[provisioning.sync_event(row.model)].update(row.extensions)
        return found

    def _row(self, tenant: str, wanted: Wanted) -> DeviceRow:
        """The row of what was `accepted`."""
        try:
            mac, model = provisioning.normal_mac(wanted.mac), provisioning.find(wanted.model)
        except ProvisioningError as error:
            raise StoreError(f"{wanted.where}device {wanted.mac}: {error}") from None
        keys, modules = wanted.keys.strip(" "), int(wanted.modules)
        return DeviceRow(mac, tenant, model.path, wanted.extensions, keys, wanted.transport, modules)

    def _check(self, row: DeviceRow, wanted: Wanted, survey: Survey, there: DeviceRow | None) -> None:
        """Check a device as it would be kept. Raises StoreError.

        Keys that are `there`, and whose extension has been removed since, may stay: they are not the change.
        """
        try:
            for extension in row.extensions:
                if extension not in survey.names:
                    add = command(row.tenant, "extension", "add", extension)
                    raise ProvisioningError(f"extension {extension} does not exist: add it with {add}")
            if row.keys == f"{TEAM}:":
                raise ProvisioningError("keys 'team:' name no group: write team:sales, or team for everybody")
            device = self.device(row, survey)
            _check_keys(row.tenant, device, survey.names.keys() | (watched_singly(there) if there else set()))
            self._check_made(device, row, wanted.settings, survey)
        except (ProvisioningError, StoreError) as error:
            raise StoreError(f"{wanted.where}device {wanted.mac}: {error}") from None

    def _check_made(
        self, device: Device, row: DeviceRow, settings: tuple[tuple[str, str], ...], survey: Survey
    ) -> None:
        """Try what a site has set, and may break a phone, only where there is some: imports are long.

        A common setting breaks none.
        """
        survey.check(device)
        layers = [*self.layers(row, survey), Layer("", dict(settings))]
        template = self.template(row, survey)
        self.check_reached(row)
        if template or any(layer.settings.keys() - provisioning.COMMON.keys() for layer in layers):
            service = self.service(row, survey)
            provisioning.files(device, service, layers, template)


def _settings(checked: Iterable[Checked]) -> list[tuple[DeviceRow, str, str]]:
    return [(each.row, name, value) for each in checked for name, value in each.settings]


def _check_keys(tenant: str, device: Device, known: Container[str]) -> None:
    for key in device.keys:
        if key.kind is KeyKind.BLF and key.value not in known:
            advice = f"add it with {command(tenant, 'extension', 'add', key.value)}"
            raise ProvisioningError(f"a key watches {key.value}, which does not exist: {advice}")
