"""Rows chosen of a long list: those that match, in an order. For the command line, the portal and the API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from blfd.core.searched import word
from blfd.operations.desk import Row
from blfd.store import StoreError

LETTERS = 10**18  # in the place of a number, as letters come behind numbers
_DIGITS = re.compile("([0-9]+)")


def matching(rows: Sequence[Row], text: str) -> list[Row]:
    """The rows of which each word of `text` is somewhere in a value, however both are written.

    A word `column=part` has to be in that column. Raises StoreError for a column that there is not.
    """
    found = list(rows)
    for written in text.split():
        column, equals, part = written.partition("=")
        wanted = word(part if equals else written)
        if equals:
            name = known_column(column, rows)
            found = [row for row in found if wanted.is_in(_said(row[name]))]
        else:
            found = [row for row in found if any(wanted.is_in(_said(value)) for value in row.values())]
    return found


def in_order(rows: Sequence[Row], column: str) -> list[Row]:
    """The rows in the order of a column, numbers in texts as numbers; with a minus before it, in reverse.

    Raises StoreError for a column that there is not.
    """
    name = known_column(column.removeprefix("-"), rows)
    return sorted(rows, key=lambda row: natural(row[name]), reverse=column.startswith("-"))


def natural(value: Any) -> tuple[Any, ...]:
    """The key to sort a value by, as people count: nothing, then 9, then 10, also in texts, then letters."""
    if isinstance(value, int | float):
        return (1, value)
    parts = [part for part in _DIGITS.split(_said(value)) if part]
    return (2 if parts else 0, *((int(part), "") if part.isdecimal() else (LETTERS, part) for part in parts))


def known_column(name: str, rows: Iterable[Row]) -> str:
    """The column of that name, written with a space, a dash or an underscore. Raises StoreError."""
    columns = list(next(iter(rows), {}))
    wanted = re.sub("[- ]", "_", name.casefold())
    if wanted in columns or not columns:
        return wanted
    near = get_close_matches(wanted, columns, n=1)
    raise StoreError(
        f"no column is called {name!r}", f"near it: {near[0]}" if near else f"there are {', '.join(columns)}"
    )


def _said(value: Any) -> str:
    match value:
        case None | "":
            return ""
        case True:
            return "yes"
        case False:
            return "no"
        case list() | tuple():
            return " ".join(map(_said, value))
        case dict():
            return " ".join(map(_said, value.values()))
    return str(value).casefold()
