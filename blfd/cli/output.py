"""How commands print, and how they end where something is wrong."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from blfd.core.visible import visible

if TYPE_CHECKING:  # not for `run`, which prints none
    from rich.table import Table
    from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

MANY = 300  # rows
OF_PLACE = ("--db", "--config")  # options before the command
GAP = 2  # characters between columns
NARROWEST = 6  # characters of a column that is cut
WHOLE = ("mac", "extension", "when", "fetched", "since", "ago", "expires", "last used", "watcher", "resource")
"""Columns whose cells are one line each: numbers, addresses, times."""
LONGEST_CELL, LONGEST_LINE = 1000, 2000  # characters; --json has all


def fail(text: str, code: int = 1) -> NoReturn:
    """End with the text on standard error, one line whatever is in it."""
    fail_with([text], code)


def fail_with(lines: Sequence[str], code: int = 1) -> NoReturn:
    print_lines(map(as_called, [f"blfd: {lines[0]}", *lines[1:]]), sys.stderr)
    sys.exit(code)


def print_lines(lines: Iterable[str], to: TextIO | None = None) -> None:
    """Print each line as one, whatever is in it."""
    for line in lines:
        print(visible(line, LONGEST_LINE), file=to)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_notes(notes: Iterable[str]) -> None:
    """Print on standard error what is no error, and worth to know."""
    print_lines((f"blfd: note: {as_called(note)}" for note in notes), sys.stderr)


def as_called(text: str) -> str:
    """A text whose commands name the database and the settings as this command was told to: without, they
    would look into others."""
    given = " ".join(_told(sys.argv[1:]))
    return text.replace("'blfd ", f"'blfd {given} ") if given else text


def _told(words: Sequence[str]) -> Iterator[str]:
    """The options --db and --config with their values, as they stand before the command."""
    following = iter(words)
    for word in following:
        name, equals, value = word.partition("=")
        if not name.startswith("-"):
            return
        if not equals:
            value = next(following, "")
        if name in OF_PLACE and value:
            yield f"{name} {shlex.quote(value)}"


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print a table; `empty` says what it means that there are no rows.

    On a terminal, cells fold so that it fits, and those of MANY rows are cut. Elsewhere each row is a line.
    """
    from rich.console import Console

    found = [[cell(value) for value in row] for row in rows]
    console = Console()
    if not found:
        console.print(cell(as_called(empty)), soft_wrap=True)
        return
    room = console.width if console.is_terminal else sys.maxsize
    widths = _widths(columns, [[text.plain for text in row] for row in found], room)
    if len(found) > MANY or not console.is_terminal:
        _print_plain(title, columns, [[text.plain for text in row] for row in found], widths)
        return
    table = new_table(title, columns)
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width
    for row in found:
        table.add_row(*row)
    console.print(table)


def _widths(columns: Sequence[str], rows: Iterable[Sequence[str]], room: int) -> list[int]:
    """How wide each column is where all have so much `room`; words are broken where they have too little."""
    from rich.cells import cell_len

    cells = [*zip(columns, *rows, strict=True)]
    widths = [max(map(cell_len, each)) for each in cells]
    may_be_less = [at for at, name in enumerate(columns) if name not in WHOLE]
    if sum(widths) + GAP * len(widths) <= room:
        return widths
    words = [max(cell_len(word) for text in each for word in text.split() or [""]) for each in cells]
    for least in (words, [NARROWEST] * len(words)):
        while sum(widths) + GAP * len(widths) > room:
            wide = [at for at in may_be_less if widths[at] > least[at]]
            if not wide:
                break
            widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def _print_plain(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> None:
    """Print a line a row, cut where a width is less than what it has: Rich takes 20 times as long."""
    from rich.cells import cell_len, set_cell_size

    def line(cells: Sequence[str]) -> str:
        fitted = (
            f"{set_cell_size(text, width - 1)}…" if cell_len(text) > width else set_cell_size(text, width)
            for text, width in zip(cells, widths, strict=True)
        )
        return (" " * GAP).join(fitted).rstrip()

    print(visible(title, LONGEST_CELL), line(columns), line(["─" * width for width in widths]), sep="\n")
    print("\n".join(map(line, rows)))
    if len(rows) > MANY:
        print(f"{len(rows)} rows")


def new_table(title: str, columns: Sequence[str], right: Sequence[str] = ()) -> Table:
    """A table without rows; the columns in `right` are aligned there."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(visible(title, LONGEST_CELL)),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, GAP - 1, 0, 0),
    )
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
        Console().print(cell(as_called(empty)), soft_wrap=True)
