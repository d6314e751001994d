"""Long lists: which rows of them, and how thousands of them are printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from blfd.cli.output import print_json, print_table
from blfd.operations import selection

Row = dict[str, Any]

Only = Annotated[
    str | None,
    typer.Option(
        "--filter", metavar="TEXT", help="Rows that have each of these words; COLUMN=WORD in that column."
    ),
]
Sort = Annotated[
    str | None, typer.Option("--sort", metavar="COLUMN", help="By this column; -COLUMN the other way round.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="How many at most.")]


class Chosen(NamedTuple):
    """What the three options say. `newest_last`: rows come the newest first, and are shown the other way."""

    only: str | None = None
    sort: str | None = None
    limit: int | None = None
    newest_last: bool = False

    def of(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that are chosen, in their order. Raises StoreError for a column that there is not."""
        found = selection.matching(rows, self.only or "")
        if self.sort:
            return selection.in_order(found, self.sort)[: self.limit]
        return found[: self.limit][:: -1 if self.newest_last else 1]


def print_list(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    empty: str,
    chosen: Chosen,
    as_json: bool,
    cells: Callable[[Row], Sequence[object]] | None = None,
) -> None:
    """The chosen rows as JSON or as a table; `cells` makes a row's, or else they are its values by column."""
    found = chosen.of(rows)
    if as_json:
        print_json(found)
        return
    if rows and not found:
        empty = f"none of {len(rows)} has {chosen.only!r}"
    names = [column.replace(" ", "_") for column in columns]
    make = cells or (lambda row: [_cell(row[name]) for name in names])
    print_table(title, columns, (make(row) for row in found), empty)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
