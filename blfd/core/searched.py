"""Words that somebody searches for: each is found however it, or what it is in, is written.

Case and accents do not count, nor what stands between the digits of MAC addresses and numbers; an IPv6
address is found as it is written shortest.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv6Address
from typing import NamedTuple

from blfd.core import hosts

FEWEST = 6  # digits without anything between them that are looked for in addresses and numbers
_BETWEEN = re.compile(r"[-:./() ]")
_DIGITS = r"\+?\(?[0-9a-f]+\)?(?:[-:/()]+[0-9a-f]+)*[-:/)]?"
_BY_FOUR = r"[0-9a-f]{4}(?:\.[0-9a-f]{4})+"  # as Cisco writes a MAC
_SEPARATED = re.compile(f"{_DIGITS}|{_BY_FOUR}").fullmatch


def folded(text: str) -> str:
    """A text without case and accents."""
    text = text.casefold()
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def bare(text: str) -> str:
    """A text without case, and without what may stand between digits."""
    return _BETWEEN.sub("", text.casefold())


class Word(NamedTuple):
    """A word that is searched for: as it is, `digits` alone where it is made of them, and as an address."""

    text: str
    digits: str
    address: str

    def is_in(self, value: str) -> bool:
        said = value.casefold()
        if self.text in said or (not said.isascii() and self.text in folded(said)):
            return True
        return bool((self.digits and self.digits in bare(said)) or (self.address and self.address in said))


@lru_cache(1000)
def word(written: str) -> Word:
    """The word that somebody has written."""
    text = folded(written)
    digits = bare(text) if _SEPARATED(text) else ""
    if digits == text and len(digits) < FEWEST:
        digits = ""
    found = hosts.address(text.strip("[]"))
    return Word(text, digits, f"{found}" if isinstance(found, IPv6Address) else "")
