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

LONGEST_CELL, LONGEST_LINE = 1000, 2000  # characters; --json has all


def fail(text: str, code: int = 1) -> NoReturn:
    """The text on standard error, one line whatever is in it, and the end."""
    fail_with([text], code)


def fail_with(lines: Sequence[str], code: int = 1) -> NoReturn:
    print_lines([f"blfd: {lines[0]}", *lines[1:]], sys.stderr)
    sys.exit(code)


def print_lines(lines: Iterable[str], to: TextIO | None = None) -> None:
    """Each a line, whatever is in it."""
    for line in lines:
        print(visible(line, LONGEST_LINE), file=to)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_notes(notes: Iterable[str]) -> None:
    """On standard error: what is no error, and worth to know."""
    print_lines((f"blfd: note: {note}" for note in notes), sys.stderr)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A Rich table; `empty` says what it means that there are no rows."""
    table = new_table(title, columns)
    for row in rows:
        table.add_row(*map(cell, row))
    print_or(table, empty)


def new_table(title: str, columns: Sequence[str], right: Sequence[str] = ()) -> Table:
    """Without rows; the columns in `right` are aligned there."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(visible(title, LONGEST_CELL)), title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in right else "left")
    return table


def cell(value: object) -> Text:
    """What anybody may have written, as it is: no markup, no control characters. Styled Text is ours."""
    from rich.text import Text

    return value if isinstance(value, Text) else Text(visible(str(value), LONGEST_CELL))


def print_or(table: Table, empty: str) -> None:
    """The table, or what it means that it has no rows."""
    from rich.console import Console

    if table.row_count:
        Console().print(table)
    else:
        Console().print(cell(empty), soft_wrap=True)
