"""Quoted strings of header fields (RFC 3261, section 25.1)."""

from __future__ import annotations


def quoted(text: str) -> str:
    """`text` as a quoted-string, with its quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
