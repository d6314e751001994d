"""The way from a device to its files: the vendor's settings, and what a site puts over them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from provisioning import common
from provisioning.common.dialled import with_dialling
from provisioning.common.table import ON
from provisioning.common.telling import Maker
from provisioning.model import Device, KeyKind, ProvisioningError, Service, Template
from provisioning.phonebooks import MOST_CONTACTS, Contact
from provisioning.vendors import unknown_key, vendor_of

DEFAULT = "blfd"
NOWHERE = Service("192.0.2.1")  # the service of settings that are looked at, and that nobody gets


class Layer(NamedTuple):
    """Settings of a site for a vendor, a model, a tenant or a device; None leaves one out."""

    origin: str
    settings: Mapping[str, str | None]


class Setting(NamedTuple):
    """A line of the file, and who has the say in it."""

    name: str
    value: str
    origin: str


def check(device: Device) -> None:
    """Raises ProvisioningError for what the model has no room for, or its maker no documented way."""
    for _ in _ours(device, NOWHERE):
        pass


def _ours(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """The settings of its maker's module, of a device that can be made. Raises ProvisioningError."""
    device.check()
    vendor = vendor_of(device.model.path)
    for key in device.keys:
        if key.kind not in vendor.KINDS:
            raise unknown_key(device, key, f"no document of {device.model.vendor} tells how to set one")
    yield from vendor.settings(device, service)


def outline(device: Device) -> Hashable:
    """All of a device on which `check` depends: two with the same outline both pass, or neither does."""
    keys = (
        None if key.kind is KeyKind.BLF else (key.kind, key.kind is not KeyKind.SPEED_DIAL and key.value)
        for key in device.keys
    )
    return device.model.path, device.modules, len(device.accounts), *keys


def settings(device: Device, service: Service, layers: Iterable[Layer] = ()) -> list[Setting]:
    """The settings that the phone gets: ours, the common ones, then those in its maker's names.

    A later layer wins over those before it. Raises ProvisioningError.
    """
    layers = list(layers)
    return _settings(device, _of_site(service, layers), layers)


def _settings(device: Device, service: Service, layers: Sequence[Layer]) -> list[Setting]:
    """The settings, with a service `_of_site`."""
    found = _Found(common.maker_of(device.model.path))
    found.put(DEFAULT, _ours(device, service))
    found.put(DEFAULT, found.maker.always(device, service))
    if device.admin_password:
        found.put(DEFAULT, found.maker.passwords(device))
    for name, (value, origin) in common.chosen(layers).items():
        by = f"{origin}: {name}" if origin else DEFAULT
        found.put(by, common.told(device, service, name, value).settings)
    for layer in layers:
        for name, wanted in layer.settings.items():
            if common.is_common(name):
                continue
            if wanted is None:
                found.leave_out(common.own_name(name))
            else:
                found.put(layer.origin, [(common.own_name(name), wanted)])
    return found.all()


def _of_site(service: Service, layers: Iterable[Layer]) -> Service:
    """The service with what the site says of numbers outside."""
    chosen = common.chosen(layers).items()
    return with_dialling(service, {name: value for name, (value, _) in chosen})


class _Found:
    """Settings in the order in which they came; of two for the same the later one counts."""

    def __init__(self, maker: Maker) -> None:
        self.maker = maker
        self._by_slot: dict[str, Setting] = {}

    def put(self, origin: str, pairs: Iterable[tuple[str, str]]) -> None:
        slot, by_slot = self.maker.slot, self._by_slot
        for name, value in pairs:
            by_slot[slot(name, value)] = Setting(name, value, origin)

    def leave_out(self, name: str) -> None:
        slot = self.maker.slot(name, "")
        gone = [each for each, setting in self._by_slot.items() if each == slot or setting.name == name]
        for each in gone:
            del self._by_slot[each]

    def all(self) -> list[Setting]:
        return list(self._by_slot.values())


def phonebook(device: Device, service: Service, contacts: Iterable[Contact]) -> dict[str, bytes]:
    """The phonebook's files by name; they have the first MOST_CONTACTS of the contacts, sorted by name."""
    from provisioning.directories import WRITERS  # which brings lxml

    write = WRITERS[device.model.vendor]
    return write(device, service, tuple(islice(contacts, MOST_CONTACTS)))


def has_phonebook(layers: Iterable[Layer]) -> bool:
    """Whether the site wants phones to have a phonebook."""
    found = common.chosen(layers).get("phonebook")
    return found is not None and found.value == ON


def web_users(model: str) -> tuple[str, str]:
    """The names that sign in to a phone's web page: the administrator's, and the user's."""
    return common.maker_of(model).WEB_USERS


def untold(device: Device, service: Service, layers: Iterable[Layer] = ()) -> list[str]:
    """What a site has chosen for phones and this one is not told, and why."""
    return [
        f"{name} {value}: {note}"
        for name, (value, origin) in common.chosen(layers).items()
        if origin and (note := common.told(device, service, name, value).note)
    ]


def files(
    device: Device, service: Service, layers: Iterable[Layer] = (), template: Template | None = None
) -> dict[str, bytes]:
    """The phone's main file, by each of its names; `template` makes it. Raises ProvisioningError."""
    return dict.fromkeys(names(device), main_file(device, service, layers, template))


def names(device: Device) -> tuple[str, ...]:
    """The names under which the phone may ask for its main file, by its MAC and model."""
    return vendor_of(device.model.path).names(device)


def main_file(
    device: Device, service: Service, layers: Iterable[Layer] = (), template: Template | None = None
) -> bytes:
    device, layers = _in_lines(device), list(layers)
    service = _of_site(service, layers)
    vendor = vendor_of(device.model.path)
    found = [(setting.name, setting.value) for setting in _settings(device, service, layers)]
    if template:
        from provisioning.templating import render  # which brings Jinja2

        return render(template, vendor.XML, found, device, service)
    try:
        return vendor.body(found)
    except ValueError as error:
        raise ProvisioningError(f"{device.shown}: a setting has no place in its files: {error}") from None


def _in_lines(device: Device) -> Device:
    """The device without line ends in its texts, so that no template can let one into a file."""
    from provisioning.formats import one_line  # which brings lxml

    accounts = tuple(
        replace(account, name=one_line(account.name), password=one_line(account.password))
        for account in device.accounts
    )
    keys = tuple(
        key if (label := one_line(key.label)) == key.label else replace(key, label=label)
        for key in device.keys
    )
    return replace(device, accounts=accounts, keys=keys)


def boot_files(device: Device, service: Service) -> dict[str, bytes]:
    """Files that lead a new phone to its own: for it alone, under names that all phones ask for."""
    return vendor_of(device.model.path).boot(device, service)


def common_files(device: Device) -> dict[str, bytes]:
    """Files that the phone asks for beside its main one, by its MAC and model; they hold no secret."""
    return vendor_of(device.model.path).common(device)


def sync_event(model: str) -> str:
    """The Event that a NOTIFY needs so that a phone fetches its files anew, and reboots only if it must."""
    return vendor_of(model).SYNC
