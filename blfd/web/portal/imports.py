"""Imports of CSV files: a page shows what a file would do, and sends it again as text to have that done.

Meanwhile it is kept in the page and in no file here, so that no passwords are left behind if nobody goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from fastapi import APIRouter
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from blfd.operations import Desk, table
from blfd.operations.imports import Counts, counts
from blfd.operations.table import Columns, Line
from blfd.store import Outcome, StoreError
from blfd.web.portal.here import LARGEST_FILE, Form, Here, Writing

MOST_SHOWN = 200  # rows that are shown

Lines = Iterator[Line]


class Shown(NamedTuple):
    """What is shown of a row of the file: what would become of it, or the `problem` with it."""

    cells: tuple[str, ...]
    outcome: Outcome | None
    problem: str


class Import(NamedTuple):
    """What can be imported: `what` names its pages, `columns` are the file's, `headings` those shown.

    The last argument of both functions says whether rows that exist are changed.
    """

    what: str
    columns: Columns
    headings: tuple[str, ...]
    preview: Callable[[Desk, str, Lines, bool], list[Shown]]
    put: Callable[[Desk, str, Lines, bool], Counts]

    def serve(self, router: APIRouter) -> None:
        """Add the pages of the import to those of what is imported."""

        @router.get("/import")
        def choose_file(here: Writing) -> Response:
            return self.page(here)

        @router.post("/import")
        def import_(here: Writing, form: Form) -> Response:
            return self.answer(here, form)

    def answer(self, here: Here, form: FormData) -> Response:
        """The answer to the file, or to the text that was shown. Raises StoreError for a text."""
        text, update = form.get("text"), bool(form.get("update"))
        if isinstance(text, str):
            done = self.put(here.desk, here.tenant, self._lines(text), update)
            return here.to(self.what, "imported" if done.added or done.changed else "nothing")
        file = form.get("file")
        content = file.file.read(LARGEST_FILE + 1) if isinstance(file, UploadFile) else b""
        if len(content) > LARGEST_FILE:
            text = f"The file has more than {LARGEST_FILE >> 20} MiB: split it."
            return self.page(here, error=text, update=update)
        try:
            text = table.text_of(content, "the file")
            shown = self.preview(here.desk, here.tenant, self._lines(text), update)
        except StoreError as error:
            return self.page(here, error=error.text, update=update)
        return self.page(here, shown, text, update=update)

    def _lines(self, text: str) -> Lines:
        return table.read(text, "the file", self.columns)

    def page(
        self,
        here: Here,
        shown: list[Shown] | None = None,
        text: str = "",
        error: str = "",
        update: bool = False,
    ) -> Response:
        """The page that asks for a file, or shows what it would do."""
        wrong = [each for each in shown or () if each.problem]
        touched = [each for each in shown or () if each.outcome is not Outcome.UNCHANGED]
        return here.page(
            "import.html",
            422 if error or wrong or shown == [] else 200,
            what=self.what,
            headings=self.headings,
            columns=self.columns,
            shown=shown,
            wrong=wrong,
            touched=touched[:MOST_SHOWN],
            more=len(touched[MOST_SHOWN:]),
            counts=counts(each.outcome for each in shown or () if each.outcome),
            text=text,
            update=update,
            error=error,
        )
