"""Who is said to send a request, or to be called, beside From and To, and whether that may be told (RFC 3323,
RFC 3325)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from blfd.core.values import Address, Uri
from blfd.sip import headers
from blfd.sip.fields import TITLES, Fields
from blfd.sip.grammar import BadHeader

NOTHING = frozenset[str]()
LONGEST = 256  # octets of a value that names who is called
NAMING = frozenset(
    ("diversion", "history-info", "p-asserted-identity", "p-preferred-identity", "remote-party-id")
)
"""Of those that RFCs know by name, the ones that may say who is called; of others nobody knows."""
_number = re.compile(r"\+?[0-9*#][0-9*#()./ -]{0,39}").fullmatch


def addresses(values: Iterable[str] | None) -> tuple[Address, ...]:
    """The values of P-Asserted-Identity or P-Preferred-Identity; those that cannot be read say nothing."""
    if not values:
        return ()
    found: list[Address] = []
    for value in values:
        try:
            found += (Address(one.uri, one.display) for one in headers.name_addrs(value))
        except BadHeader:
            continue
    return tuple(found)


def uris(values: Iterable[str] | None) -> tuple[Uri, ...]:
    """Their URIs alone."""
    return tuple(one.uri for one in addresses(values)) if values else ()


def named(fields: Fields) -> tuple[tuple[str, Uri], ...]:
    """What an INVITE's header fields name that say whatever a carrier likes: URIs, or a number alone."""
    found: list[tuple[str, Uri]] = []
    for name, values in fields.items():
        if name in TITLES and name not in NAMING:
            continue
        for value in values:
            if _number(value):
                found.append((name, Uri(f"tel:{value}", "tel", "", "", 0)))
            elif len(value) <= LONGEST:
                found += ((name, uri) for uri in uris((value,)))
    return tuple(found)


def connected(fields: Fields) -> Address | None:
    """Who is said to be at the other end by now, in a response or a request inside a call (RFC 3325, 5876,
    and Remote-Party-ID as older systems write it); None where that is not said, or may not be told."""
    if not privacy(fields.get("privacy")) <= {"none", "critical"}:
        return None
    for name in ("p-asserted-identity", "remote-party-id"):
        for value in fields.get(name, ()):
            try:
                one = headers.name_addrs(value)[0]
            except BadHeader:
                continue
            is_told = one.parameters.get("privacy", "off").lower() == "off"
            return Address(one.uri, one.display) if is_told else None
    return None


def privacy(values: Iterable[str] | None) -> frozenset[str]:
    """The priv-values of Privacy in lower case; they stand between semicolons, some write commas."""
    if not values:
        return NOTHING
    parts = (part.strip() for value in values for part in value.replace(",", ";").split(";"))
    return frozenset(part.lower() for part in parts if part)
