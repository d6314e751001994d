"""Lists of a page: what is searched for, by which column, which part of it. Sent as q, sort and page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Query

from blfd.operations import selection
from blfd.operations.desk import Row

PAGE = 100  # rows


class Asked(NamedTuple):
    """`sort` is a column, with a minus before it the other way round; `page` counts from 1."""

    q: str
    sort: str
    page: int

    @property
    def offset(self) -> int:
        return (self.page - 1) * PAGE

    def at(self, page: int) -> str:
        """The address of another page of the same."""
        return f"?{urlencode({'q': self.q, 'sort': self.sort, 'page': page})}"

    def by(self, column: str) -> str:
        """The address of the same by a column, or by that the other way round."""
        other = f"-{column}" if self.sort == column else column
        return f"?{urlencode({'q': self.q, 'sort': other})}"

    def sorted_as(self, column: str) -> str:
        """For aria-sort."""
        return {column: "ascending", f"-{column}": "descending"}.get(self.sort, "none")


class Part(NamedTuple):
    """The rows of a page, and how many there are on all of them."""

    rows: Sequence[Row]
    total: int
    asked: Asked

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE))

    @property
    def first(self) -> int:
        return self.asked.offset + 1 if self.rows else 0

    @property
    def last(self) -> int:
        return self.asked.offset + len(self.rows)


def asked(
    q: Annotated[str, Query(max_length=200)] = "",
    sort: Annotated[str, Query(max_length=40)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Asked:
    return Asked(" ".join(q.split()), sort.strip(), page)


Listing = Annotated[Asked, Depends(asked)]


def part(rows: Sequence[Row], wanted: Asked) -> Part:
    """Of rows that are all here. Raises StoreError for a column that there is not."""
    found = selection.matching(rows, wanted.q)
    if wanted.sort:
        found = selection.in_order(found, wanted.sort)
    return Part(found[wanted.offset :][:PAGE], len(found), wanted)
