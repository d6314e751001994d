"""Lists of a page: what is searched for, by which column, which part of it; sent as q, sort and page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Request

from blfd.operations import selection
from blfd.operations.desk import Row

PAGE = 100  # rows on a page
FEW = 10  # rows that one sees at once, and need not search
LONGEST = 200  # characters of what is searched for
_PAGE = re.compile("[1-9][0-9]{0,5}")


class Asked(NamedTuple):
    """What is asked of a list: `sort` is a column, with a minus before it for the reverse order; `page`
    counts from 1.

    `more` is what else the page is of, such as a group; `name` stands before q, sort and page where a page
    has several lists.
    """

    q: str = ""
    sort: str = ""
    page: int = 1
    more: Mapping[str, str] = {}
    name: str = ""
    length: int = PAGE

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.length

    @property
    def part(self) -> tuple[int, int]:
        """How many rows are left out first, and how many are wanted."""
        return self.offset, self.length

    def at(self, page: int) -> str:
        """The address of another page of the same list."""
        return self._address(page=page)

    def by(self, column: str) -> str:
        """The address of the list in the order of a column, or in reverse where that is its order already."""
        return self._address(sort=f"-{column}" if self.sort == column else column)

    @property
    def everything(self) -> str:
        """The address of the list without a search."""
        return self._address(q="")

    def sorted_as(self, column: str) -> str:
        """The value of aria-sort for a column."""
        return {column: "ascending", f"-{column}": "descending"}.get(self.sort, "none")

    def _address(self, **other: object) -> str:
        asked = {"q": self.q, "sort": self.sort, **other}
        said = {f"{self.name}{key}": value for key, value in asked.items() if value}
        return f"?{urlencode({**self.more, **said})}"


class Part(NamedTuple):
    """The rows of a page, and how many there are on all of them."""

    rows: Sequence[Row]
    total: int
    asked: Asked

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.asked.length))

    @property
    def first(self) -> int:
        return self.asked.offset + 1 if self.rows else 0

    @property
    def last(self) -> int:
        return self.asked.offset + len(self.rows)

    @property
    def is_long(self) -> bool:
        """Whether one would want to search the list."""
        return bool(self.asked.q) or self.total > FEW


def asked(name: str = "", *more: str) -> Callable[[Request], Asked]:
    """A dependency: what is asked of the list `name`; `more` are names of what else its address may have."""

    def found(request: Request) -> Asked:
        given = request.query_params
        return Asked(
            " ".join(given.get(f"{name}q", "").split())[:LONGEST],
            given.get(f"{name}sort", "").strip()[:LONGEST],
            page_of(given.get(f"{name}page", "")),
            {each: given[each] for each in more if each in given},
            name,
        )

    return found


def page_of(text: str) -> int:
    """The number of a page; 1 for a text that is none."""
    return int(text) if _PAGE.fullmatch(text) else 1


Listing = Annotated[Asked, Depends(asked())]


def part(rows: Sequence[Row], wanted: Asked) -> Part:
    """The wanted part of a list whose rows are all here. Raises StoreError for an unknown column."""
    found = selection.matching(rows, wanted.q)
    if wanted.sort:
        found = selection.in_order(found, wanted.sort)
    return Part(found[wanted.offset :][: wanted.length], len(found), wanted)
