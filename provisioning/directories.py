"""Directories in each maker's form: names as keys show them, sorted by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lxml import etree

from provisioning import formats
from provisioning.model import Device, KeyKind, Service
from provisioning.phonebooks import TITLE, Contact, book_name

MOST_ON_PAGE = 32  # entries in one of Cisco's directories
MOST_OCTETS = 40  # octets of a field in one of Polycom's
Files = dict[str, bytes]
Entry = tuple[str, str]  # what is shown, and what is dialled
Writer = Callable[[Device, Service, Sequence[Contact]], Files]


def _entries(contacts: Iterable[Contact]) -> list[Entry]:
    """The entries, sorted; who has no name is shown by number, as on keys."""
    found = [(formats.one_line(contact.name) or contact.number, contact.number) for contact in contacts]
    return sorted(found, key=lambda entry: (entry[0].casefold(), entry[1]))


def _simple(root: str, title: str = "") -> Writer:
    """A writer of `DirectoryEntry` with `Name` and `Telephone`, which makers took over from each other."""

    def write(device: Device, service: Service, contacts: Sequence[Contact]) -> Files:
        return {book_name(device): formats.document(_directory(root, _entries(contacts), title))}

    return write


def _directory(root: str, entries: Iterable[Entry], title: str) -> formats.Element:
    made = etree.Element(root)
    if title:
        etree.SubElement(made, "Title").text = title
    for name, number in entries:
        entry = etree.SubElement(made, "DirectoryEntry")
        etree.SubElement(entry, "Name").text = name
        etree.SubElement(entry, "Telephone").text = number
    return made


def _cisco(device: Device, service: Service, contacts: Sequence[Contact]) -> Files:
    """The files of a directory; where it has more than one page, the first is a menu of them."""
    first, root, entries = book_name(device), "CiscoIPPhoneDirectory", _entries(contacts)
    if len(entries) <= MOST_ON_PAGE:
        return {first: formats.document(_directory(root, entries, TITLE))}
    menu, files = etree.Element("CiscoIPPhoneMenu"), {}
    etree.SubElement(menu, "Title").text = TITLE
    for number, at in enumerate(range(0, len(entries), MOST_ON_PAGE), 1):
        page, name = entries[at : at + MOST_ON_PAGE], first.replace(".xml", f"-{number}.xml")
        item = etree.SubElement(menu, "MenuItem")
        etree.SubElement(item, "Name").text = f"{page[0][0]} - {page[-1][0]}"
        etree.SubElement(item, "URL").text = f"{service.books}{name}"
        files[name] = formats.document(_directory(root, page, TITLE))
    return {first: formats.document(menu), **files}


def _grandstream(device: Device, service: Service, contacts: Sequence[Contact]) -> Files:
    root = etree.Element("AddressBook")
    etree.SubElement(root, "version").text = "1"
    for name, number in _entries(contacts):
        entry = etree.SubElement(root, "Contact")
        etree.SubElement(entry, "FirstName").text = name
        phone = etree.SubElement(entry, "Phone", type="Work")
        etree.SubElement(phone, "phonenumber").text = number
        etree.SubElement(phone, "accountindex").text = "0"  # the first account
    return {book_name(device): formats.document(root)}


def _snom(device: Device, service: Service, contacts: Sequence[Contact]) -> Files:
    """A part of a file of settings; `complete` takes away what is no longer in it."""
    root = etree.Element("settings")
    book = etree.SubElement(root, "tbook", e="2", complete="true")
    for index, (name, number) in enumerate(_entries(contacts)):
        item = etree.SubElement(book, "item", context="active", type="none", index=str(index))
        etree.SubElement(item, "name").text = name
        etree.SubElement(item, "number").text = number
    return {book_name(device): formats.document(root)}


def _polycom(device: Device, service: Service, contacts: Sequence[Contact]) -> Files:
    """The directory, with what speed dials dial; `sd` is their index. No number may be there twice."""
    root = etree.Element("directory")
    entries = etree.SubElement(root, "item_list")
    dialled = [key for key in device.keys if key.kind is KeyKind.SPEED_DIAL]
    for number, key in enumerate(dialled, 1):
        _fields(entries, ("ln", formats.one_line(key.shown)), ("ct", key.value), ("sd", str(number)))
    taken = {key.value for key in dialled}
    for name, value in _entries(contacts):
        if value not in taken:
            _fields(entries, ("ln", name), ("ct", value))
    return {book_name(device): formats.document(root)}


def _fields(entries: formats.Element, *fields: tuple[str, str]) -> None:
    item = etree.SubElement(entries, "item")
    for name, value in fields:
        etree.SubElement(item, name).text = value.encode()[:MOST_OCTETS].decode(errors="ignore")


WRITERS: dict[str, Writer] = {
    "yealink": _simple("YealinkIPPhoneDirectory"),
    "polycom": _polycom,
    "grandstream": _grandstream,
    "snom": _snom,
    "gigaset": _snom,
    "fanvil": _simple("FanvilIPPhoneDirectory", TITLE),
    "cisco": _cisco,
    "htek": _simple("PhoneDirectory"),
}
