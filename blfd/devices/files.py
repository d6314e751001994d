"""A tenant's provisioned phones: from what is stored of them to the files that they fetch."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import starmap
from typing import NamedTuple

import provisioning
from blfd.core.directory import Tenant
from blfd.core.routing import FORWARDS, WITHHOLD
from blfd.core.values import DEFAULT_TENANT
from blfd.devices.survey import TEAM, Over, Survey, is_team, room_for_team
from blfd.devices.values import Fit, Place, Wanted
from blfd.store import Exists, Faults, NotFound, Outcome, Store, StoreError
from blfd.store.devices import DeviceRow
from blfd.store.secrets import of_book
from provisioning import (
    Account,
    Device,
    KeyKind,
    KeyPage,
    Layer,
    ProvisioningError,
    Service,
    Shape,
    Template,
)

EVERYWHERE = "*"  # the scope of what a site sets for all its phones


class Checked(NamedTuple):
    """A device as it can be kept, what is set for it alone, and what that changes."""

    row: DeviceRow
    settings: tuple[tuple[str, str], ...]
    outcome: Outcome


def places(tenant: str | None, path: str, mac: str = "") -> Iterator[tuple[str | None, str, str]]:
    """Where settings for a phone are set, from the widest to the narrowest: tenant, scope, and that in words.

    `path` is its model, or of phones of a maker that, or "" for all phones.
    """
    vendor, _, name = path.partition("/")
    scopes = [(EVERYWHERE, "all phones"), (vendor, f"vendor {vendor}"), (path, f"model {path}")]
    for whose, said in ((None, "all tenants, "), (tenant, "")):
        for scope, what in scopes[: 1 + bool(vendor) + bool(name)]:
            yield whose, scope, f"{said}{what}"
    if mac:
        yield tenant, mac, "this device"


class Phones:
    """Checks, keeps and renders devices; `over` is what the store has, if nothing else is given."""

    def __init__(self, store: Store, find_place: Callable[[], Place], over: Over | None = None) -> None:
        """`find_place` is called once, and only if it is needed."""
        self.store, self._find_place = store, find_place
        self._over: Over = over or store.overrides

    @cached_property
    def _place(self) -> Place:
        return self._find_place()

    def over(self, over: Over) -> Phones:
        """These phones as they are with something else set for them."""
        return Phones(self.store, self._find_place, over)

    def survey(self, tenant: str) -> Survey:
        """A survey for many phones of a tenant. Raises NotFound for one that does not exist."""
        return Survey(self.store, self._over, tenant, self.store.extensions.names(tenant))

    # Keeping

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
                    advice = f"{'import --update' if each.where else 'device set'!r} changes it"
                    raise Exists(f"{each.where}device {each.mac} exists already", advice)
                outcome = Outcome.CHANGED if there else Outcome.ADDED
                if there and not each.settings and there == there.told(row):
                    outcome = Outcome.UNCHANGED
                else:
                    self._check(row, each, survey)
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
        self.get(tenant, wanted.mac)
        wanted = wanted.accepted()
        row = self._row(tenant, wanted)
        self._check(row, wanted, self.survey(tenant))
        self.store.devices.replace(row, [(row, name, value) for name, value in wanted.settings])

    def get(self, tenant: str, mac: str) -> DeviceRow:
        """The row of a device. Raises StoreError for one that does not exist in the tenant."""
        try:
            row = self.store.devices.get(provisioning.normal_mac(mac))
        except ProvisioningError as error:
            raise StoreError(str(error)) from None
        if row is None or row.tenant != tenant:
            raise NotFound(f"no device {mac}", "'blfd device list' shows them, 'device add' adds one")
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

    def profile(self, mac: str) -> str | None:
        """What `ProfileFound` says of a phone of any tenant. Raises StoreError."""
        row = self.store.devices.get(mac)
        return row and ("" if row.fetch else self.url(row))

    def syncs(self, rows: Iterable[DeviceRow]) -> set[tuple[str, str]]:
        """Extensions, each with the Event of the NOTIFY that has their phones fetch their files."""
        return {
            (extension, provisioning.sync_event(row.model)) for row in rows for extension in row.extensions
        }

    def watched(self, rows: Iterable[DeviceRow], survey: Survey | None = None) -> dict[str, Set[str] | str]:
        """The extensions that the keys of each phone watch, by its address; or what is wrong with it.

        `survey` is that of their tenant, where they are many.
        """
        return {row.mac: self._watched(row, survey) for row in rows}

    def _watched(self, row: DeviceRow, survey: Survey | None) -> Set[str] | str:
        try:
            of_it = survey or self.survey_of([row])
            watched = of_it.watched(row)
            of_it.check_like(row, len(watched), lambda: self.device(row, of_it))
            self._check_reached(row)
        except (ProvisioningError, StoreError) as error:
            return f"gets no files: {error.text if isinstance(error, StoreError) else error}"
        return watched

    def of_group(self, tenant: str, group: str) -> list[DeviceRow]:
        """The phones whose keys are a group's."""
        return [row for row in self.all(tenant) if row.keys == f"{TEAM}:{group}"]

    def _row(self, tenant: str, wanted: Wanted) -> DeviceRow:
        """The row of what was `accepted`."""
        try:
            mac, model = provisioning.normal_mac(wanted.mac), provisioning.find(wanted.model)
        except ProvisioningError as error:
            raise StoreError(f"{wanted.where}device {wanted.mac}: {error}") from None
        keys, modules = wanted.keys.strip(" "), int(wanted.modules)
        return DeviceRow(mac, tenant, model.path, wanted.extensions, keys, wanted.transport, modules)

    def _check(self, row: DeviceRow, wanted: Wanted, survey: Survey) -> None:
        """Check a device as it would be kept. Raises StoreError."""
        try:
            for extension in row.extensions:
                if extension not in survey.names:
                    raise ProvisioningError(
                        f"extension {extension} does not exist: add it with 'blfd extension add'"
                    )
            if row.keys == f"{TEAM}:":
                raise ProvisioningError("keys 'team:' name no group: write team:sales, or team for everybody")
            device = self.device(row, survey)
            _check_keys(device, survey.names)
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
        self._check_reached(row)
        if template or any(layer.settings.keys() - provisioning.COMMON.keys() for layer in layers):
            service = self.service(row, self.store.tenants.get(row.tenant))
            provisioning.files(device, service, layers, template)

    # Rendering

    def device(self, row: DeviceRow, survey: Survey | None = None) -> Device:
        """The device as the templates want to know it. Raises ProvisioningError and StoreError."""
        survey = survey or self.survey_of([row])
        domain = "" if row.tenant == DEFAULT_TENANT else row.tenant
        accounts = tuple(
            Account(extension, row.password, survey.names.get(extension, ""), domain)
            for extension in row.extensions
        )
        model = provisioning.find(row.model)
        if is_team(row.keys):
            keys = survey.team(row, room_for_team(row))
        else:
            keys = tuple(
                replace(key, label=survey.names.get(key.value, ""))
                if key.kind is KeyKind.BLF and not key.label
                else key
                for key in provisioning.parse_keys(row.keys)
            )
        return Device(row.mac, model, accounts, keys, row.modules, row.admin_password, row.user_password)

    def fit(self, row: DeviceRow, survey: Survey | None = None) -> Fit:
        """How many of its team have a key; of a phone whose state says what is wrong, none."""
        if not is_team(row.keys):
            return Fit(0, 0)
        try:
            survey = survey or self.survey_of([row])
            model, wanted = provisioning.find(row.model), survey.everybody(row)
        except (ProvisioningError, StoreError):
            return Fit(0, 0)
        return survey.fit(model, row.modules, len(row.extensions), wanted)

    def survey_of(self, rows: Sequence[DeviceRow]) -> Survey:
        """A survey for these phones of one tenant alone."""
        tenant = rows[0].tenant if rows else DEFAULT_TENANT
        return Survey(self.store, self._over, tenant, self._names(tenant, rows))

    def _names(self, tenant: str, rows: Iterable[DeviceRow]) -> dict[str, str]:
        """The names of the extensions that the files of these phones may name."""
        first, groups, keys, shown = 0, set[str](), set[str](), set[str]()
        for row in rows:
            shown.update(row.extensions)
            if row.keys == TEAM:
                with suppress(ProvisioningError):  # its state says so
                    first = max(first, provisioning.find(row.model).room(row.modules))
            elif is_team(row.keys):
                groups.add(row.keys.partition(":")[2])
            else:
                keys.add(row.keys)
        devices = self.store.devices
        for text in keys:
            with suppress(ProvisioningError):
                shown.update(key.value for key in provisioning.parse_keys(text))
        for group in groups:
            shown.update(devices.targets(tenant, group))
        return {**devices.first_names(tenant, first), **devices.names(tenant, shown)}

    def layout(self, row: DeviceRow) -> tuple[KeyPage, ...]:
        """The pages on which a phone's keys appear. Raises StoreError."""
        try:
            return provisioning.layout(self.device(row))
        except ProvisioningError as error:
            raise StoreError(str(error)) from None

    def service(self, row: DeviceRow, tenant: Tenant) -> Service:
        """What a phone is served with. Raises ProvisioningError where nothing listens on its transport."""
        self._check_reached(row)
        place = self._place
        codes = tenant.star_codes.dialled
        return Service(
            place.host,
            place.ports[row.transport],
            row.transport,
            tenant.pickup_code,
            tenant.group_pickup_code,
            tuple(code for name, code in codes.items() if name not in (*FORWARDS, WITHHOLD)),
            tuple(code for name, code in codes.items() if name in (*FORWARDS, WITHHOLD)),
            tenant.feature_sync,
            url=self.url(row),
            books=self.books(row),
            http_user=row.mac,
            http_password=row.secret,
            shapes=frozenset(Shape(*found) for found in self.store.devices.shapes(row.tenant)),
            has_ca=bool(place.ca),
        )

    def _check_reached(self, row: DeviceRow) -> None:
        if row.transport not in self._place.ports:
            known = ", ".join(self._place.ports)
            raise ProvisioningError(f"transport {row.transport!r}: the server listens on {known}")

    def url(self, row: DeviceRow) -> str:
        """The address at which the phone fetches, with its secret; "" if no files are served."""
        return f"{self._place.url}/p/{row.secret}/" if self._place.url else ""

    def books(self, row: DeviceRow) -> str:
        """The address at which the phone fetches its phonebook alone; "" if no files are served."""
        return f"{self._place.url}/b/{row.mac}/{of_book(row.secret)}/" if self._place.url else ""

    def layers(self, row: DeviceRow, over: Over | None = None) -> Iterator[Layer]:
        """What the site sets, from the widest to the narrowest; `over` says what is set."""
        for tenant, scope, what in places(row.tenant, row.model, row.mac):
            yield Layer(what, (over or self._over).settings(tenant, scope))

    def template(self, row: DeviceRow, over: Over | None = None) -> Template | None:
        """The site's template for a phone's model, or else for its vendor; None without any."""
        templates = (over or self._over).templates()
        scopes = (row.model, row.model.partition("/")[0])
        return next((Template(scope, templates[scope]) for scope in scopes if scope in templates), None)

    def settings(self, row: DeviceRow) -> list[provisioning.Setting]:
        """A phone's settings, each with who has the say in it. Raises ProvisioningError and StoreError."""
        service = self.service(row, self.store.tenants.get(row.tenant))
        return provisioning.settings(self.device(row), service, self.layers(row))

    def untold(self, row: DeviceRow) -> list[str]:
        """The common settings that its maker's phones are not told, and why. Raises as `settings`."""
        service = self.service(row, self.store.tenants.get(row.tenant))
        return provisioning.untold(self.device(row), service, self.layers(row))

    def files(self, row: DeviceRow) -> dict[str, bytes]:
        """All that the phone may ask for, by name. Raises ProvisioningError and StoreError."""
        device, service = self._rendered(row)
        of_all = {**provisioning.common_files(device), **provisioning.boot_files(device, service)}
        of_all |= self._authority()
        return {**of_all, **self._own(row, device, service), **self._phonebook(row, device, service)}

    def file(self, row: DeviceRow, name: str) -> bytes | None:
        """One file of a phone, by its name in any case; the phonebook is made only for whom asks for it."""
        device, service = self._rendered(row)
        if provisioning.is_phonebook(device, name.lower()):
            return _named(name, self._phonebook(row, device, service))
        of_all = provisioning.common_files(device) | provisioning.boot_files(device, service)
        return _named(name, of_all | self._own(row, device, service) | self._authority())

    def book(self, row: DeviceRow, name: str) -> bytes | None:
        """One file of a phone's phonebook, by its name in any case."""
        return _named(name, self._phonebook(row, *self._rendered(row)))

    def of_folder(self, row: DeviceRow) -> dict[str, bytes]:
        """The phone's files that may be in one folder with those of other phones. Raises as `files`."""
        device, service = self._rendered(row)
        book = self._phonebook(row, device, service)
        of_it = {name: content for name, content in book.items() if row.mac in name}
        return {**provisioning.common_files(device), **self._own(row, device, service), **of_it}

    def _rendered(self, row: DeviceRow) -> tuple[Device, Service]:
        return self.device(row), self.service(row, self.store.tenants.get(row.tenant))

    def _own(self, row: DeviceRow, device: Device, service: Service) -> dict[str, bytes]:
        return provisioning.files(device, service, self.layers(row), self.template(row))

    def _authority(self) -> dict[str, bytes]:
        """The certificate that phones have to trust, in both forms."""
        pem = self._place.ca
        der = ssl.PEM_cert_to_DER_cert(pem) if pem else b""
        return {provisioning.CA_PEM: pem.encode(), provisioning.CA_DER: der} if pem else {}

    def _phonebook(self, row: DeviceRow, device: Device, service: Service) -> dict[str, bytes]:
        """The phonebook, of as many extensions as phones take; empty where the site wants none."""
        most = provisioning.MOST_CONTACTS if provisioning.has_phonebook(self.layers(row)) else 0
        names = self.store.devices.first_names(row.tenant, most)
        return provisioning.phonebook(device, service, starmap(provisioning.Contact, names.items()))


def _named(name: str, files: dict[str, bytes]) -> bytes | None:
    return next((content for each, content in files.items() if each.lower() == name.lower()), None)


def _settings(checked: Iterable[Checked]) -> list[tuple[DeviceRow, str, str]]:
    return [(each.row, name, value) for each in checked for name, value in each.settings]


def _check_keys(device: Device, names: dict[str, str]) -> None:
    for key in device.keys:
        if key.kind is KeyKind.BLF and key.value not in names:
            advice = "add it with 'blfd extension add'"
            raise ProvisioningError(f"a key watches {key.value}, which does not exist: {advice}")
