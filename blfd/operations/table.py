"""CSV files that administrators import."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from blfd.store import Faults, StoreError


def read_file(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """As `read`. Raises StoreError."""
    try:
        octets = file.read_bytes()
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from None
    return read(octets, str(file), columns)


def read(octets: bytes, name: str, columns: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Each row's values, and where it stands; the first line has to name the columns.

    Raises StoreError, for rows of another length when all the others have been had.
    """
    faults = Faults()
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise StoreError(f"{name} is not UTF-8", "save it as that") from None
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        if tuple(next(reader, ())) != columns:
            raise StoreError(f"{name}: the first line has to be {','.join(columns)}")
        for row in reader:
            where = f"{name}, line {reader.line_num}"
            if not row:
                continue
            if len(row) == len(columns):
                yield where, row
            else:
                advice = "put quotes around those with commas"
                faults.note(StoreError(f"{where}: {len(columns)} values are needed", advice))
    except csv.Error as error:
        raise StoreError(f"{name}, line {reader.line_num}: {error}") from None
    faults.check()
