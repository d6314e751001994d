"""XML of strangers: read without entities, network or DTD, and within bounds."""

from __future__ import annotations

from lxml import etree

MAX_SIZE = 64 * 1024
MAX_DEPTH = 16
MAX_ELEMENTS = 2000

Element = etree._Element


class DialogInfoError(ValueError):
    """The document cannot be used; the text says why."""


def read(document: bytes) -> Element:
    """The root of a document. Raises DialogInfoError."""
    if len(document) > MAX_SIZE:
        raise DialogInfoError(f"{len(document)} octets, at most {MAX_SIZE} are read")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as error:  # its text is libxml's, with words of a peer's in it
        line = getattr(error, "lineno", None) or 1
        raise DialogInfoError(f"not well-formed XML, line {line}") from None
    if root is None:
        raise DialogInfoError("not well-formed XML, line 1")
    if root.getroottree().docinfo.doctype:  # type: ignore[union-attr]
        raise DialogInfoError("a DTD is not allowed")
    _check_bounds(root)
    return root


def texts(root: Element) -> tuple[str, dict[str, str]]:
    """The local name of an element, and what its children say, the first of a name."""
    found: dict[str, str] = {}
    for child in root.iterchildren(etree.Element):
        found.setdefault(etree.QName(child).localname, (child.text or "").strip())
    return etree.QName(root).localname, found


def _check_bounds(root: Element) -> None:
    depth = count = 0
    for event, _element in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        count += event == "start"
        if depth > MAX_DEPTH or count > MAX_ELEMENTS:
            raise DialogInfoError(f"deeper than {MAX_DEPTH} levels or more than {MAX_ELEMENTS} elements")
