"""The makers: each says which settings a phone gets, and writes them to the files that it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

from provisioning.model import Device, Service
from provisioning.vendors import cisco, fanvil, grandstream, htek, polycom, snom, yealink


class Vendor(Protocol):
    """What each module of this package offers."""

    def settings(self, device: Device, service: Service) -> Iterator[tuple[str, str]]:
        """Names and values, in the order of the file."""

    def files(self, device: Device, found: list[tuple[str, str]]) -> dict[str, bytes]:
        """The phone's own files, by the names that it asks for, with these settings."""

    def common(self, device: Device) -> dict[str, bytes]:
        """What all phones of its model ask for, which holds nothing of anybody's."""


VENDORS: dict[str, Vendor] = {
    name: cast(Vendor, module)
    for name, module in (
        ("yealink", yealink),
        ("polycom", polycom),
        ("grandstream", grandstream),
        ("snom", snom),
        ("fanvil", fanvil),
        ("cisco", cisco),
        ("htek", htek),
    )
}
