"""The makers: each says which settings a phone gets, and writes them to the files that it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from provisioning.model import Device, KeyKind, LineKey, ProvisioningError, Service

Found = list[tuple[str, str]]


class Vendor(Protocol):
    """What each module of this package offers.

    `SYNC` is the Event that has the phone fetch its files, `XML` whether its main file is XML, `KINDS`
    which keys its documents tell how to set, `SENDS_AT_ONCE` whether they tell how a number goes out
    before the timer. `names` and `common` go by a device's MAC and model alone.
    """

    SYNC: str
    XML: bool
    KINDS: frozenset[KeyKind]
    SENDS_AT_ONCE: bool

    def settings(self, device: Device, service: Service) -> Iterator[tuple[str, str]]:
        """The names and values of settings, in the order of the file."""

    def dialling(self, device: Device, service: Service) -> Iterator[tuple[str, str]]:
        """The settings that say when a number that is dialled goes out."""

    def body(self, found: Found) -> bytes:
        """The main file, which has these settings: what a site's template replaces."""

    def names(self, device: Device) -> tuple[str, ...]:
        """The names under which the phone may ask for its main file."""

    def boot(self, device: Device, service: Service) -> dict[str, bytes]:
        """Files that all phones ask for under the same names, with the way to this phone's own in them."""

    def common(self, device: Device) -> dict[str, bytes]:
        """Files that it asks for beside its main one, and that hold nothing of anybody's."""


def vendor_of(model: str) -> Vendor:
    """The maker's module of a model as `yealink/t54w`, loaded when it is needed: it brings lxml."""
    return _module(model.partition("/")[0])


@cache  # a look among loaded modules takes as long as a look into the database
def _module(maker: str) -> Vendor:
    return cast(Vendor, import_module(f"provisioning.vendors.{maker}"))


def unknown_key(device: Device, key: LineKey, why: str) -> ProvisioningError:
    """The error that a maker has such keys, and that nobody has written down how a file sets this one."""
    return ProvisioningError(f"{device.shown}: no {key.kind.value} key ({key.value}): {why}")
