"""A CSV file is shown as what it would do; what has been shown comes again as text, and is done.

It travels through the page, not over a file here: nothing with passwords is left lying if nobody goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from blfd.operations import Desk, table
from blfd.store import StoreError
from blfd.web.portal.here import LARGEST_FILE, Here

Rows = Iterator[tuple[str, list[str]]]  # of `table.read`


class Line(NamedTuple):
    """What is shown of a row of the file; `problem` is "" where it would be added."""

    cells: tuple[str, ...]
    problem: str


class Import(NamedTuple):
    """What can be imported: `what` names its pages, `columns` are the file's, `headings` those shown."""

    what: str
    columns: tuple[str, ...]
    headings: tuple[str, ...]
    preview: Callable[[Desk, str, Rows], list[Line]]
    add: Callable[[Desk, str, Rows], int]

    def answer(self, here: Here, form: FormData) -> Response:
        """To the file, or to the text that was shown. Raises StoreError for a text."""
        text = form.get("text")
        if isinstance(text, str):
            count = self.add(here.desk, here.tenant, self._rows(text.encode()))
            return here.to(self.what, "imported" if count else "nothing")
        file = form.get("file")
        content = file.file.read(LARGEST_FILE + 1) if isinstance(file, UploadFile) else b""
        if len(content) > LARGEST_FILE:
            return self.page(here, error=f"The file has more than {LARGEST_FILE >> 20} MiB: split it.")
        try:
            lines = self.preview(here.desk, here.tenant, self._rows(content))
        except StoreError as error:
            return self.page(here, error=error.text)
        return self.page(here, lines, content.decode("utf-8-sig"))

    def _rows(self, content: bytes) -> Rows:
        return table.read(content, "the file", self.columns)

    def page(self, here: Here, lines: list[Line] | None = None, text: str = "", error: str = "") -> Response:
        """Asks for a file, or shows what it would do."""
        wrong = [line for line in lines or () if line.problem]
        return here.page(
            "import.html",
            422 if error or wrong or lines == [] else 200,
            what=self.what,
            headings=self.headings,
            columns=",".join(self.columns),
            lines=lines,
            wrong=wrong,
            text=text,
            error=error,
        )
