"""Who is said to send a request, beside From, and whether that may be told (RFC 3323, RFC 3325)."""

from __future__ import annotations

from collections.abc import Iterable

from blfd.core.values import Uri
from blfd.sip import headers
from blfd.sip.grammar import BadHeader

NOTHING = frozenset[str]()


def uris(values: Iterable[str] | None) -> tuple[Uri, ...]:
    """The URIs of P-Asserted-Identity or P-Preferred-Identity; values that cannot be read say nothing."""
    if not values:
        return ()
    found: list[Uri] = []
    for value in values:
        try:
            found += (one.uri for one in headers.name_addrs(value))
        except BadHeader:
            continue
    return tuple(found)


def privacy(values: Iterable[str] | None) -> frozenset[str]:
    """The priv-values of Privacy in lower case; they stand between semicolons, some write commas."""
    if not values:
        return NOTHING
    parts = (part.strip() for value in values for part in value.replace(",", ";").split(";"))
    return frozenset(part.lower() for part in parts if part)
