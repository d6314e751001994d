"""What an import of many rows does, in the same words for extensions and phones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from blfd.store import Outcome


class Counts(NamedTuple):
    """How many rows of a file were added, changed something, or were there already."""

    added: int
    changed: int
    unchanged: int

    def said(self, noun: str) -> str:
        """The counts in words: "2 extensions added, 1 changed, 7 as they were"."""
        more = [(self.changed, "changed"), (self.unchanged, "as before")]
        rest = "".join(f", {number} {what}" for number, what in more if number)
        return f"{self.added} {noun} added{rest}"


def counts(outcomes: Iterable[Outcome]) -> Counts:
    found = Counter(outcomes)
    return Counts(found[Outcome.ADDED], found[Outcome.CHANGED], found[Outcome.UNCHANGED])
