"""Directories in each maker's form: names as keys show them, sorted by them.

What is the same for many phones is kept, by what it is made of, as after a power cut all phones of a tenant
come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from lxml import etree

from provisioning import formats
from provisioning.model import Device, KeyKind, LineKey, Service
from provisioning.phonebooks import TITLE, Contact, book_name

MOST_ON_PAGE = 32  # entries in one of Cisco's directories
MOST_OCTETS = 40  # octets of a field in one of Polycom's
KEPT = 8  # books of a form that are kept, each some 300 KB with what it is made of
Files = dict[str, bytes]
Contacts = tuple[Contact, ...]
Entry = tuple[str, str]  # what is shown, and what is dialled
Writer = Callable[[Device, Service, Contacts], Files]


def _entries(contacts: Contacts) -> list[Entry]:
    """The entries, sorted; who has no name is shown by number, as on keys."""
    found = [(formats.one_line(contact.name) or contact.number, contact.number) for contact in contacts]
    return sorted(found, key=lambda entry: (entry[0].casefold(), entry[1]))


def _alike(document: Callable[[Contacts], bytes]) -> Writer:
    """The writer of a book that is one document, the same for all phones of its maker in a tenant."""
    document = lru_cache(KEPT)(document)

    def write(device: Device, service: Service, contacts: Contacts) -> Files:
        return {book_name(device): document(contacts)}

    return write


def _simple(root: str, title: str = "") -> Writer:
    """A writer of `DirectoryEntry` with `Name` and `Telephone`, which makers took over from each other."""
    return _alike(lambda contacts: formats.document(_directory(root, _entries(contacts), title)))


def _directory(root: str, entries: Iterable[Entry], title: str) -> formats.Element:
    made = etree.Element(root)
    if title:
        etree.SubElement(made, "Title").text = title
    for name, number in entries:
        entry = etree.SubElement(made, "DirectoryEntry")
        etree.SubElement(entry, "Name").text = name
        etree.SubElement(entry, "Telephone").text = number
    return made


def _cisco(device: Device, service: Service, contacts: Contacts) -> Files:
    """The files of a directory; where it has more than one page, the first is a menu of them."""
    first, pages = book_name(device), _pages(contacts)
    if len(pages) <= 1:
        return {first: pages[0][1]}
    menu, files = etree.Element("CiscoIPPhoneMenu"), {}
    etree.SubElement(menu, "Title").text = TITLE
    for number, (title, page) in enumerate(pages, 1):
        name = first.replace(".xml", f"-{number}.xml")
        item = etree.SubElement(menu, "MenuItem")
        etree.SubElement(item, "Name").text = title
        etree.SubElement(item, "URL").text = f"{service.books}{name}"
        files[name] = page
    return {first: formats.document(menu), **files}


@lru_cache(KEPT)
def _pages(contacts: Contacts) -> tuple[tuple[str, bytes], ...]:
    """Cisco's pages, with what a menu says of each; where there are no entries, one without any."""
    entries = _entries(contacts)
    pages = [entries[at : at + MOST_ON_PAGE] for at in range(0, len(entries), MOST_ON_PAGE)] or [[]]
    return tuple(
        (
            f"{page[0][0]} - {page[-1][0]}" if page else "",
            formats.document(_directory("CiscoIPPhoneDirectory", page, TITLE)),
        )
        for page in pages
    )


def _grandstream(contacts: Contacts) -> bytes:
    root = etree.Element("AddressBook")
    etree.SubElement(root, "version").text = "1"
    for name, number in _entries(contacts):
        entry = etree.SubElement(root, "Contact")
        etree.SubElement(entry, "FirstName").text = name
        phone = etree.SubElement(entry, "Phone", type="Work")
        etree.SubElement(phone, "phonenumber").text = number
        etree.SubElement(phone, "accountindex").text = "0"  # the first account
    return formats.document(root)


def _snom(contacts: Contacts) -> bytes:
    """A part of a file of settings; `complete` takes away what is no longer in it."""
    root = etree.Element("settings")
    book = etree.SubElement(root, "tbook", e="2", complete="true")
    for index, (name, number) in enumerate(_entries(contacts)):
        item = etree.SubElement(book, "item", context="active", type="none", index=str(index))
        etree.SubElement(item, "name").text = name
        etree.SubElement(item, "number").text = number
    return formats.document(root)


def _polycom(device: Device, service: Service, contacts: Contacts) -> Files:
    dialled = tuple(key for key in device.keys if key.kind is KeyKind.SPEED_DIAL)
    return {book_name(device): _with_speed_dials(contacts, dialled)}


@lru_cache(KEPT)
def _with_speed_dials(contacts: Contacts, dialled: tuple[LineKey, ...]) -> bytes:
    """Polycom's directory, with what speed dials dial; `sd` is their index. No number may be there twice."""
    root = etree.Element("directory")
    entries = etree.SubElement(root, "item_list")
    for number, key in enumerate(dialled, 1):
        _fields(entries, ("ln", formats.one_line(key.shown)), ("ct", key.value), ("sd", str(number)))
    taken = {key.value for key in dialled}
    for name, value in _entries(contacts):
        if value not in taken:
            _fields(entries, ("ln", name), ("ct", value))
    return formats.document(root)


def _fields(entries: formats.Element, *fields: tuple[str, str]) -> None:
    item = etree.SubElement(entries, "item")
    for name, value in fields:
        etree.SubElement(item, name).text = value.encode()[:MOST_OCTETS].decode(errors="ignore")


WRITERS: dict[str, Writer] = {
    "yealink": _simple("YealinkIPPhoneDirectory"),
    "polycom": _polycom,
    "grandstream": _alike(_grandstream),
    "snom": _alike(_snom),
    "gigaset": _alike(_snom),
    "fanvil": _simple("FanvilIPPhoneDirectory", TITLE),
    "cisco": _cisco,
    "htek": _simple("PhoneDirectory"),
}
