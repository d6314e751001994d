"""The makers: each says which settings a phone gets, and writes them to the files that it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol, cast

from provisioning.model import Device, Service


class Vendor(Protocol):
    """What each module of this package offers; `SYNC` is the Event that has the phone fetch its files."""

    SYNC: str

    def settings(self, device: Device, service: Service) -> Iterator[tuple[str, str]]:
        """Names and values, in the order of the file."""

    def files(self, device: Device, found: list[tuple[str, str]]) -> dict[str, bytes]:
        """The phone's own files, by the names that it asks for, with these settings."""

    def common(self, device: Device) -> dict[str, bytes]:
        """What all phones of its model ask for, which holds nothing of anybody's."""


def vendor_of(model: str) -> Vendor:
    """The maker's module of a model as `yealink/t54w`, loaded when it is needed: it brings lxml."""
    return cast(Vendor, import_module(f"provisioning.vendors.{model.partition('/')[0]}"))
