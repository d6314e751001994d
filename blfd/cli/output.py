"""How commands print, and how they end where something is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from blfd.core.visible import visible

if TYPE_CHECKING:  # not for `run`, which prints none
    from rich.table import Table
    from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

MANY = 300  # rows
NARROWEST = 6  # characters of a column that is cut
WHOLE = ("mac", "extension", "when", "fetched", "since", "ago", "expires", "last used", "watcher", "resource")
"""Columns whose cells are one line each: numbers, addresses, times."""
LONGEST_CELL, LONGEST_LINE = 1000, 2000  # characters; --json has all


def fail(text: str, code: int = 1) -> NoReturn:
    """End with the text on standard error, one line whatever is in it."""
    fail_with([text], code)


def fail_with(lines: Sequence[str], code: int = 1) -> NoReturn:
    print_lines([f"blfd: {lines[0]}", *lines[1:]], sys.stderr)
    sys.exit(code)


def print_lines(lines: Iterable[str], to: TextIO | None = None) -> None:
    """Print each line as one, whatever is in it."""
    for line in lines:
        print(visible(line, LONGEST_LINE), file=to)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_notes(notes: Iterable[str]) -> None:
    """Print on standard error what is no error, and worth to know."""
    print_lines((f"blfd: note: {note}" for note in notes), sys.stderr)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print a Rich table, of MANY rows a plain one; `empty` says what it means that there are no rows."""
    found = list(rows)
    if len(found) > MANY:
        _print_long(title, columns, [[cell(value).plain for value in row] for row in found])
        return
    table = new_table(title, columns)
    for row in found:
        table.add_row(*map(cell, row))
    print_or(table, empty)


def _print_long(title: str, columns: Sequence[str], rows: list[list[str]]) -> None:
    """Print a line a row: Rich takes 20 times as long. On a terminal, cells are cut to fit."""
    from rich.cells import cell_len, set_cell_size
    from rich.console import Console

    console = Console()
    widths = [max(map(cell_len, each)) for each in zip(columns, *rows, strict=True)]
    if console.is_terminal:
        may_be_cut = [place for place, name in enumerate(columns) if name not in WHOLE]
        while sum(widths) + 2 * len(widths) > console.width:
            widest = max(may_be_cut, key=widths.__getitem__, default=None)
            if widest is None or widths[widest] <= NARROWEST:
                break
            widths[widest] -= 1

    def line(cells: Sequence[str]) -> str:
        fitted = (
            f"{set_cell_size(text, width - 1)}…" if cell_len(text) > width else set_cell_size(text, width)
            for text, width in zip(cells, widths, strict=True)
        )
        return "  ".join(fitted).rstrip()

    print(visible(title, LONGEST_CELL), line(columns), "  ".join("─" * width for width in widths), sep="\n")
    print("\n".join(map(line, rows)))
    print(f"{len(rows)} rows")


def new_table(title: str, columns: Sequence[str], right: Sequence[str] = ()) -> Table:
    """A table without rows; the columns in `right` are aligned there."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(visible(title, LONGEST_CELL)), title_justify="left")
    for column in columns:
        table.add_column(
            column,
            overflow="fold",
            justify="right" if column in right else "left",
            no_wrap=column in WHOLE,
        )
    return table


def cell(value: object) -> Text:
    """A cell of what anybody may have written: no markup, no control characters. Styled Text is ours."""
    from rich.text import Text

    return value if isinstance(value, Text) else Text(visible(str(value), LONGEST_CELL))


def print_or(table: Table, empty: str) -> None:
    """Print the table, or what it means that it has no rows."""
    from rich.console import Console

    if table.row_count:
        Console().print(table)
    else:
        Console().print(cell(empty), soft_wrap=True)
