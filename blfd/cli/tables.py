"""CSV files on the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from blfd.cli.output import fail_with
from blfd.cli.progress import watched
from blfd.operations import table
from blfd.operations.table import Columns, Line
from blfd.store import Several, StoreError

WRONG_SHOWN = 20  # lines of a file

File = Annotated[Path, typer.Argument(metavar="FILE", help="In UTF-8, as spreadsheets write it.")]
Out = Annotated[Path | None, typer.Argument(metavar="FILE", help="Standard output if left out.")]
Update = Annotated[
    bool, typer.Option("--update", help="Change those that exist; what the file says nothing of stays.")
]
All = Annotated[
    bool, typer.Option("--all", help=f"Show all lines that are wrong, not the first {WRONG_SHOWN}.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, with their provisioning addresses.")]


def import_help(what: str, columns: Columns) -> str:
    """The help of a command that imports files with these columns."""
    return (
        f"Add {what} from a CSV file, all or none.\n\nIts first line names columns, in any order, apart by "
        f"commas, semicolons or tabs: {', '.join(columns.all)}."
    )


@contextmanager
def first_of_wrong(every: bool) -> Iterator[None]:
    """Tells some of many lines that are wrong, and how many more there are; all with `every`."""
    try:
        yield
    except Several as error:
        more = len(error.lines) - WRONG_SHOWN
        if every or more <= 0:
            raise
        last = f"and {more} more {'line is' if more == 1 else 'lines are'} wrong; --all shows all of them"
        fail_with([*error.lines[:WRONG_SHOWN], last])


def lines_of(file: Path, columns: Columns) -> Iterator[Line]:
    """A file's lines, with a bar on the terminal where their use takes long. Raises StoreError."""
    text = table.text_of(table.octets_of(file), str(file))
    total = text.count("\n") or text.count("\r")
    return watched(table.read(text, str(file), columns), total, "Checking lines")


def print_octets(content: bytes, file: Path | None = None) -> None:
    """Write into a file, which is replaced and named, or on standard output. Raises StoreError."""
    if file is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    try:
        file.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from None
    print(f"written to {file}")
