"""CSV files that are sent and fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Body, Query
from starlette.responses import Response

from blfd.operations import table
from blfd.operations.table import Columns, Line

Update = Annotated[
    bool, Query(description="Change those that exist; what the file says nothing of stays as it is.")
]


class CsvFile(Response):
    media_type = "text/csv"


def csv_body(columns: Columns) -> Any:
    """A body that is a CSV file with such columns, as the description of an operation has it."""
    words = f"UTF-8; the first line names columns: {', '.join(columns.all)}."
    return Body(media_type=CsvFile.media_type, description=words)


def lines_of(octets: bytes, columns: Columns) -> Iterator[Line]:
    """The lines of a CSV file that was sent. Raises StoreError."""
    return table.read(table.text_of(octets, "the file"), "the file", columns)
