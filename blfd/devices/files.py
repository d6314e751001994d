"""The files of provisioned phones: from what is stored of a phone to what it fetches."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from functools import cached_property

import provisioning
from blfd.core.routing import FORWARDS, TELLS
from blfd.core.values import DEFAULT_TENANT
from blfd.devices.survey import TEAM, Over, Survey, is_team, room_for_team
from blfd.devices.values import Fit, Place
from blfd.store import Store, StoreError
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
    Template,
    written_mac,
)

EVERYWHERE = "*"  # the scope of what a site sets for all its phones


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


class Files:
    """What phones are told; `over` is what a site sets for them, as the store has it if no other is given."""

    def __init__(self, store: Store, find_place: Callable[[], Place], over: Over | None = None) -> None:
        """`find_place` is called once, and only if it is needed."""
        self.store, self._find_place = store, find_place
        self._over: Over = over or store.overrides

    @cached_property
    def _place(self) -> Place:
        return self._find_place()

    def over(self, over: Over) -> Files:
        """The files as they are with something else set for phones."""
        return Files(self.store, self._find_place, over)

    def survey(self, tenant: str) -> Survey:
        """A survey for many phones of a tenant. Raises NotFound for one that does not exist."""
        names = self.store.extensions.names(tenant)
        return Survey(self.store, self._over, tenant, lambda: names)

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
            self.check_reached(row)
        except (ProvisioningError, StoreError) as error:
            text = error.text if isinstance(error, StoreError) else str(error)
            return f"gets no files: {_of_it(row, text)}"
        return watched

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
                replace(key, label=survey.label(key.value))
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
        return Survey(self.store, self._over, tenant, lambda: self._names(tenant, rows))

    def _names(self, tenant: str, rows: Sequence[DeviceRow]) -> dict[str, str]:
        """The names of the extensions that the files of these phones may name."""
        first, groups, keys, shown = 0, set[str](), set[str](), set[str]()
        for row in rows:
            shown.update(row.extensions)
        for text, model, modules in {(row.keys, row.model, row.modules) for row in rows}:
            if text == TEAM:
                with suppress(ProvisioningError):  # its state says so
                    first = max(first, provisioning.find(model).room(modules))
            elif is_team(text):
                groups.add(text.partition(":")[2])
            else:
                keys.add(text)
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

    def service(self, row: DeviceRow, survey: Survey) -> Service:
        """What a phone is served with. Raises ProvisioningError where nothing listens on its transport, and
        StoreError."""
        self.check_reached(row)
        place, tenant = self._place, survey.tenant
        codes = tenant.star_codes.dialled
        return Service(
            place.host,
            place.ports[row.transport],
            row.transport,
            tenant.pickup_code,
            tenant.group_pickup_code,
            tuple(code for name, code in codes.items() if name not in (*FORWARDS, *TELLS)),
            tuple(code for name, code in codes.items() if name in (*FORWARDS, *TELLS)),
            tenant.feature_sync,
            url=self.url(row),
            books=self.books(row),
            http_user=row.mac,
            http_password=row.secret,
            shapes=survey.shapes,
            has_ca=bool(place.ca),
            changed=int(max(place.since, survey.changed)),
        )

    def check_reached(self, row: DeviceRow) -> None:
        """Raises ProvisioningError where nothing listens on a phone's transport."""
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
        survey = self.survey_of([row])
        return provisioning.settings(*self._rendered(row, survey), self.layers(row, survey))

    def untold(self, row: DeviceRow) -> list[str]:
        """The common settings that its maker's phones are not told, and why. Raises as `settings`."""
        survey = self.survey_of([row])
        return provisioning.untold(*self._rendered(row, survey), self.layers(row, survey))

    def files(self, row: DeviceRow) -> dict[str, bytes]:
        """All that the phone may ask for, by name. Raises ProvisioningError and StoreError."""
        survey = self.survey_of([row])
        device, service = self._rendered(row, survey)
        of_all = {**provisioning.common_files(device), **provisioning.boot_files(device, service)}
        of_all |= self._authority() | provisioning.files(*self._made_of(row, survey))
        return of_all | self._phonebook(row, device, service, survey)

    def file(self, row: DeviceRow, name: str) -> bytes | None:
        """One file of a phone, by its name in any case; no other is made."""
        named = Device(row.mac, provisioning.find(row.model), ())
        if provisioning.is_phonebook(named, name.lower()):
            return self.book(row, name)
        with self.store.reading():
            survey = self.survey_of([row])
            if name.lower() in map(str.lower, provisioning.names(named)):
                return provisioning.main_file(*self._made_of(row, survey))
            of_all = provisioning.boot_files(named, self.service(row, survey))
            return _named(name, of_all | provisioning.common_files(named) | self._authority())

    def book(self, row: DeviceRow, name: str) -> bytes | None:
        """One file of a phone's phonebook, by its name in any case."""
        with self.store.reading():
            survey = self.survey_of([row])
            return _named(name, self._phonebook(row, *self._rendered(row, survey), survey))

    def of_folder(self, row: DeviceRow, survey: Survey) -> dict[str, bytes]:
        """The phone's files that may be in one folder with those of other phones. Raises as `files`.

        Of phonebooks that is one with the phone's address in its name.
        """
        device, service = self._rendered(row, survey)
        own = provisioning.files(*self._made_of(row, survey))
        book = row.mac in provisioning.book_name(device) and self._phonebook(row, device, service, survey)
        return {**provisioning.common_files(device), **own, **(book or {})}

    def _rendered(self, row: DeviceRow, survey: Survey) -> tuple[Device, Service]:
        return self.device(row, survey), self.service(row, survey)

    def _made_of(
        self, row: DeviceRow, survey: Survey
    ) -> tuple[Device, Service, Iterator[Layer], Template | None]:
        """All that a phone's main file is made of."""
        return *self._rendered(row, survey), self.layers(row, survey), self.template(row, survey)

    def _authority(self) -> dict[str, bytes]:
        """The certificate that phones have to trust, in both forms."""
        pem = self._place.ca
        der = ssl.PEM_cert_to_DER_cert(pem) if pem else b""
        return {provisioning.CA_PEM: pem.encode(), provisioning.CA_DER: der} if pem else {}

    def _phonebook(
        self, row: DeviceRow, device: Device, service: Service, survey: Survey
    ) -> dict[str, bytes]:
        """The phonebook, of as many extensions as phones take; empty where the site wants none."""
        wanted = provisioning.has_phonebook(self.layers(row, survey))
        return provisioning.phonebook(device, service, survey.contacts if wanted else ())


def _of_it(row: DeviceRow, text: str) -> str:
    """What is wrong with a phone, where its name stands already."""
    named = f"{written_mac(row.mac)} ({row.model})"
    if not text.startswith(named):
        return text
    text = text.removeprefix(named)
    return text.removeprefix(": ") if text.startswith(": ") else f"it{text}"


def _named(name: str, files: dict[str, bytes]) -> bytes | None:
    return next((content for each, content in files.items() if each.lower() == name.lower()), None)
