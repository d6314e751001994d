"""The forms in which phones read their settings: each is written by what knows its quoting.

A setting is a name and a value; what a name means for the shape of the file is said at each writer. A name
that fits into no file raises ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lxml import etree

Settings = Iterable[tuple[str, str]]
Element = etree._Element

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STEP = re.compile(r"([\w.-]+)(?:\[(\d+)\])?")


def one_line(text: str) -> str:
    """A text without line ends and other control characters, which no setting has."""
    if text.isprintable():  # nearly all are, and in those there is nothing to look for
        return text.strip()
    return _CONTROLS.sub(" ", _NOT_XML.sub("", text)).strip()


def minutes(seconds: int) -> str:
    """The minutes of so many seconds, at least one, for phones that count so."""
    return str(max(1, seconds // 60))


def lines(settings: Settings, first: str) -> bytes:
    """Yealink's form: `name = value`, a line for each setting, after one that says what the file is."""
    written = (f"{one_line(name)} = {one_line(value)}\n" for name, value in settings)
    return "".join((f"{first}\n", *written)).encode()


def attributes(settings: Settings, root: str) -> bytes:
    """Polycom's form: one element with an attribute for each setting."""
    element = etree.Element(root)
    for name, value in settings:
        element.set(name, one_line(value))
    return document(element)


def items(settings: Settings) -> bytes:
    """Grandstream's form: `<item name="...">` for each setting."""
    root = etree.Element("gs_provision", version="1")
    config = etree.SubElement(root, "config", version="2")
    for name, value in settings:
        etree.SubElement(config, "item", name=name).text = one_line(value)
    return document(root)


def numbered(settings: Settings) -> bytes:
    """Htek's form: `<P47 para="...">` for each setting; a name is `P47 Account1.SipServer`."""
    root = etree.Element("hl_provision", version="1")
    config = etree.SubElement(root, "config", version="1")
    for name, value in settings:
        number, _, parameter = name.partition(" ")
        element = etree.SubElement(config, number)
        if parameter:
            element.set("para", parameter)
        element.text = one_line(value)
    return document(root)


def flat(settings: Settings) -> bytes:
    """Cisco's form: `<flat-profile>` with an element for each setting."""
    root = etree.Element("flat-profile")
    for name, value in settings:
        etree.SubElement(root, name).text = one_line(value)
    return document(root)


def nested(settings: Settings, name_of_root: str) -> bytes:
    """Fanvil's form: a name is the way to an element, `sip/line[1]/PhoneNumber`; [1] is its `index`."""
    root, made = etree.Element(name_of_root), dict[str, Element]()
    for name, value in settings:
        way, element = "", root
        for step in name.split("/"):
            way = f"{way}/{step}"
            if way not in made:
                made[way] = _child(element, step)
            element = made[way]
        element.text = one_line(value)
    return document(root)


def _child(parent: Element, step: str) -> Element:
    """A new child of that name and index."""
    found = _STEP.fullmatch(step)
    if not found:
        raise ValueError(f"{step!r} is not written name or name[1]")
    return etree.SubElement(parent, found[1], {"index": found[2]} if found[2] else {})


def document(root: Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
