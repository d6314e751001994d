"""CSV files that administrators import."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from blfd.store import Faults, StoreError


def read(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Each row's values, and where it stands; the first line has to name the columns.

    Raises StoreError, for rows of another length when all the others have been had.
    """
    faults = Faults()
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            if tuple(next(reader, ())) != columns:
                raise StoreError(f"{file}: the first line has to be {','.join(columns)}")
            for row in reader:
                where = f"{file}, line {reader.line_num}"
                if not row:
                    continue
                if len(row) == len(columns):
                    yield where, row
                else:
                    faults.note(
                        f"{where}: {len(columns)} values are needed; put quotes around those with commas"
                    )
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StoreError(f"{file} is not UTF-8; save it as that") from None
    except csv.Error as error:
        raise StoreError(f"{file}, line {reader.line_num}: {error}") from None
    faults.check()
