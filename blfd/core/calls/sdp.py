"""The lines of a session description (RFC 4566), cut where its streams begin.

What a phone has written is passed on as it is, so its octets are the value that inputs, effects and rows
have. Who has to know something of them reads `sections`; who says something else (`media`, `codecs`, PJSIP's
short form) changes the lines concerned, and the others come out as they came in. What is asked twice of one
description is remembered by its octets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

Section = list[bytes]
"""The lines of one m= until the next; the first section is what comes before, of the session."""

KEPT, LONGEST_KEPT = 256, 4096  # descriptions of which is remembered what was found, and their octets
_LINE_END = re.compile(rb"\r\n|\r|\n")


Found = TypeVar("Found")


def remembered(find: Callable[[bytes], Found]) -> Callable[[bytes], Found]:
    """A function that finds out something of a description, and not again of one that came shortly before."""
    kept = lru_cache(KEPT)(find)
    return lambda sdp: kept(sdp) if len(sdp) <= LONGEST_KEPT else find(sdp)


def sections(sdp: bytes) -> list[Section]:
    """Whatever is no line of SDP, and blanks at the end of one, are left out."""
    found: list[Section] = [[]]
    for text in _LINE_END.split(sdp):
        line = text.rstrip(b" \t")
        if line[1:2] != b"=":
            continue
        if line[:2] == b"m=":
            found.append([])
        found[-1].append(line)
    return found


def joined(sections: list[Section]) -> bytes:
    return b"".join(line + b"\r\n" for section in sections for line in section)
