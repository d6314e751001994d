"""What is lost by an operation that cannot be undone, in the words with which command line and portal ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Loss(NamedTuple):
    """What is lost: `what` is the subject, such as "extension 101", and `text` tells the loss in sentences.

    `version` is the `etag` of what was looked at, None where the operation compares none.
    """

    what: str
    text: str
    version: str | None = None


def some_of(names: Sequence[str], most: int = 3, of: int = 0) -> str:
    """The first of the names, and how many more there are: "101, 102, 103 and 4 more".

    `of` is how many there are where not all of them are here.
    """
    total = max(of, len(names))
    more = f" and {total - most} more" if total > most else ""
    return f"{', '.join(names[:most])}{more}"


def counted(number: int, noun: str) -> str:
    """The number with its noun: "1 phone", "2 phones"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
