"""Long lists: which rows of them, and how thousands of them are printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from blfd.cli.output import print_json, print_table
from blfd.cli.progress import watched
from blfd.operations import selection

Row = dict[str, Any]
Cells = Callable[[Row], Sequence[object]]

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

    def of(self, rows: Sequence[Row], columns: Sequence[str] = (), cells: Cells | None = None) -> list[Row]:
        """The rows that are chosen, in their order. Raises StoreError for a column that there is not.

        `cells` makes what is shown in `columns`: a column that is no name in a row is known by that.
        """
        found, extra = list(rows), dict[str, int]()
        if cells and rows and (self.only or self.sort):
            extra = {name: at for at, name in enumerate(map(_name, columns)) if name and name not in rows[0]}
            found = [{**row, **_values(cells(row), extra)} for row in rows]
        found = selection.matching(found, self.only or "")
        if self.sort:
            found = selection.in_order(found, self.sort)[: self.limit]
        else:
            found = found[: self.limit][:: -1 if self.newest_last else 1]
        return [{name: row[name] for name in row if name not in extra} for row in found] if extra else found


def _name(column: str) -> str:
    return column.replace(" ", "_")


def _values(cells: Sequence[object], of: dict[str, int]) -> Row:
    return {
        name: cells[at] if isinstance(cells[at], int | float) else str(cells[at]) for name, at in of.items()
    }


def print_list(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    empty: str,
    chosen: Chosen,
    as_json: bool,
    cells: Cells | None = None,
) -> None:
    """The chosen rows as JSON or as a table; `cells` makes a row's, or else they are its values by column."""
    found = chosen.of(rows, columns, cells)
    if as_json:
        print_json(found)
        return
    if rows and not found:
        empty = f"none of {len(rows)} has {chosen.only!r}"
    names = list(map(_name, columns))
    make = cells or (lambda row: [_cell(row[name]) for name in names])
    print_table(title, columns, map(make, watched(found, len(found), "Making the table")), empty)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
