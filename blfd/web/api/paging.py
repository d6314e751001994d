"""Long lists, a page at a time."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from blfd.operations.desk import Row
from blfd.operations.selection import matching

T = TypeVar("T", bound=BaseModel)

Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class Page(BaseModel, Generic[T]):
    """`next` is what to give as `after` for the page that follows; null at the end."""

    items: list[T]
    next: str | None = Field(default=None)


def cut(
    model: type[T], rows: list[Row], key: str, limit: int, after: str | None, search: str = ""
) -> Page[T]:
    """One page of the rows that have the words of `search`; rows are sorted by `key`."""
    found = [row for row in matching(rows, search) if after is None or str(row[key]) > after]
    items = [model.model_validate(row) for row in found[:limit]]
    return Page[T](items=items, next=str(found[limit - 1][key]) if len(found) > limit else None)
