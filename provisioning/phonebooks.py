"""The tenant's extensions as a directory: what its file is called, and how much of them a phone gets."""

from __future__ import annotations

from typing import NamedTuple

from provisioning.model import Device, Service

TITLE = "Extensions"
MOST_CONTACTS = 1000  # what Yealink's and snom's own directories are documented to hold; of others nothing is
_NAMES = {
    "yealink": "yealink-phonebook.xml",
    "grandstream": "phonebook.xml",  # the phone itself adds this name to the address
    "fanvil": "fanvil-phonebook.xml",
    "cisco": "cisco-phonebook.xml",
    "htek": "htek-phonebook.xml",
}


class Contact(NamedTuple):
    """An extension; its name is what keys and displays show for it."""

    number: str
    name: str


def book_name(device: Device) -> str:
    """The file of the book; snom's and Gigaset's is the settings file of a model's phones, else empty."""
    match device.model.vendor:
        case "polycom":
            return f"{device.mac}-directory.xml"
        case "snom":
            return f"snom{device.model.name.upper()}.htm"
        case "gigaset":
            return f"{device.model.code}.htm"
        case vendor:
            return _NAMES[vendor]


def is_phonebook(device: Device, name: str) -> bool:
    """Whether a file of this name, in lower case, is one of the phone's book."""
    return name.startswith(book_name(device).lower().removesuffix(".xml"))


def book_url(device: Device, service: Service) -> str:
    """The phonebook's address, which opens nothing else, as phones show it to their users."""
    return f"{service.books}{book_name(device)}"
