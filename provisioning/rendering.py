"""From a device to its files: the vendor's settings, and what a site puts over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from provisioning.model import Device, Service
from provisioning.vendors import vendor_of

DEFAULT = "blfd"


class Layer(NamedTuple):
    """Settings of a site for a vendor, a model, a tenant or a device; None leaves one out."""

    origin: str
    settings: Mapping[str, str | None]


class Setting(NamedTuple):
    """A line of the file, and who has the say in it."""

    name: str
    value: str
    origin: str


def settings(device: Device, service: Service, layers: Iterable[Layer] = ()) -> list[Setting]:
    """What the phone gets; a later layer wins over those before it. Raises ProvisioningError."""
    device.check()
    vendor = vendor_of(device.model.path)
    found = {name: Setting(name, value, DEFAULT) for name, value in vendor.settings(device, service)}
    for layer in layers:
        for name, value in layer.settings.items():
            if value is None:
                found.pop(name, None)
            else:
                found[name] = Setting(name, value, layer.origin)
    return list(found.values())


def files(device: Device, service: Service, layers: Iterable[Layer] = ()) -> dict[str, bytes]:
    """The phone's own files, by name. Raises ProvisioningError."""
    found = [(setting.name, setting.value) for setting in settings(device, service, layers)]
    return vendor_of(device.model.path).files(device, found)


def common_files(device: Device) -> dict[str, bytes]:
    """What the phone asks for beside them, which holds no secret."""
    return vendor_of(device.model.path).common(device)


def sync_event(model: str) -> str:
    """What Event a NOTIFY needs so that a phone fetches its files anew, and reboots only if it must."""
    return vendor_of(model).SYNC
