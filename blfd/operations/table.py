"""CSV files that administrators import, as spreadsheets write them, and that they get."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from blfd.store import Faults, StoreError

Line = tuple[str, dict[str, str]]  # where it stands, and its values by column
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SAID = re.compile(rf"sep=([{''.join(DELIMITERS)}])\r?\n?", re.I)  # a first line that Excel knows
_FORMULA = re.compile("'*[=+@-]")  # what a spreadsheet may compute, or take for a number


class Columns(NamedTuple):
    """The columns of a file, in the order in which we write them.

    The `needed` have to be there. The `exact` are taken as they stand; values of others may begin with an
    apostrophe that is none of them, which keeps a spreadsheet from finding a formula there.
    """

    all: tuple[str, ...]
    needed: tuple[str, ...]
    exact: tuple[str, ...] = ()


def octets_of(file: Path) -> bytes:
    """The octets of a file. Raises StoreError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from None


def text_of(octets: bytes, name: str) -> str:
    """The text of a file in UTF-8, or in UTF-16 that says so. Raises StoreError."""
    wide = octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return octets.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise StoreError(f"{name} is not UTF-8", "save it as that: spreadsheets call it CSV UTF-8") from None


def read(text: str, name: str, columns: Columns) -> Iterator[Line]:
    """Each line; the first one of a file has to name columns, in any order, and says what separates values.

    Raises StoreError; where lines have another length, after all the others.
    """
    said = _SAID.match(text)
    source = io.StringIO(text[said.end() :] if said else text, newline="")
    first = source.readline()
    delimiter = said[1] if said else next((each for each in DELIMITERS if each in first), ",")
    source.seek(0)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    faults, number, above = Faults(), 1, 1 if said else 0
    try:
        names = _header(next(reader, []), name, columns)
        while True:
            number = reader.line_num + above + 1
            row = next(reader, None)
            if row is None:
                break
            where = f"{name}, line {number}"
            while len(row) > len(names) and not row[-1]:
                row.pop()
            if len(row) == len(names):
                if any(row):
                    yield where, _values(names, row, columns)
            elif row:
                advice = f"put quotes around those with {DELIMITERS[delimiter]} in them"
                said_of_it = f"{where}: {len(names)} values are needed, and there are {len(row)}"
                faults.note(StoreError(said_of_it, advice))
    except csv.Error as error:
        faults.note(StoreError(f"{name}, line {number}: {error}"))
    faults.check()


def _header(cells: list[str], name: str, columns: Columns) -> list[str]:
    """The column of each value, "" where the spreadsheet had an empty one."""
    names = [cell.strip().lower() for cell in cells]
    wanted = [each for each in names if each]
    if not set(wanted) & set(columns.all):
        raise StoreError(f"{name}: the first line has to name its columns, as {','.join(columns.all)}")
    for each in wanted:
        if each not in columns.all:
            near = get_close_matches(each, columns.all, n=1)
            hint = f"near it: {near[0]}" if near else f"there are {', '.join(columns.all)}"
            raise StoreError(f"{name}, line 1: no column is called {each!r}; {hint}")
        if wanted.count(each) > 1:
            raise StoreError(f"{name}, line 1: the column {each} stands there twice")
    for each in columns.needed:
        if each not in wanted:
            raise StoreError(f"{name}, line 1: the column {each} is missing")
    return names


def _values(names: list[str], row: list[str], columns: Columns) -> dict[str, str]:
    return {
        column: value if column in columns.exact else _as_meant(value)
        for column, value in zip(names, row, strict=True)
        if column
    }


def _as_meant(value: str) -> str:
    return value[1:] if value[:1] == "'" and _FORMULA.match(value) else value


def _guarded(value: str) -> str:
    return f"'{value}" if _FORMULA.match(value) else value


def write(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> bytes:
    """A CSV file (RFC 4180) in UTF-8; no value is a formula to a spreadsheet."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_guarded(value) for value in row] for row in rows)
    return out.getvalue().encode()
