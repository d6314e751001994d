"""Quoted strings and name-addrs of header fields, as text (RFC 3261, section 25.1)."""

from __future__ import annotations

from blfd.core.values import NameAddr


def quoted(text: str) -> str:
    """`text` as a quoted-string, with its quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def name_addr(of: NameAddr) -> str:
    """The URI of `of` in angle brackets, behind the name that it has."""
    return f"{quoted(of.display)} <{of.uri}>" if of.display else f"<{of.uri}>"
