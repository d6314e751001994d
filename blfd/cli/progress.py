"""How far a command is that takes long: a bar on the terminal, none where nobody looks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

if TYPE_CHECKING:  # which is loaded where a bar is shown
    from rich.progress import Progress, TaskID

T = TypeVar("T")
PATIENCE = 1.0  # seconds without a word
EVERY = 16  # steps that are shown at once: a bar takes longer than most of them


def watched(rows: Iterable[T], total: int, what: str, console: Console | None = None) -> Iterator[T]:
    """The rows, of which there are about `total`, with a bar that says `what` is done with them."""
    with waiting(what, total, console) as passed:
        for row in rows:
            yield row
            passed()


@contextmanager
def waiting(
    what: str, total: int | None = None, console: Console | None = None
) -> Iterator[Callable[[], None]]:
    """A bar that says `what` is done, once that has taken PATIENCE.

    What is given is called at each of the `total` steps; None where nobody knows how many there are.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    bar = _Bar(what, total, console)
    late = threading.Timer(PATIENCE, bar.show)
    late.daemon = True
    late.start()
    try:
        yield bar.passed
    finally:
        late.cancel()
        late.join()
        bar.stop()


class _Bar:
    def __init__(self, what: str, total: int | None, console: Console) -> None:
        self._what, self._total, self._console = what, total, console
        self._done = 0
        self._shown: tuple[Progress, TaskID] | None = None

    def show(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = [TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()]
        if self._total is not None:
            columns.insert(2, MofNCompleteColumn())
        progress = Progress(*columns, console=self._console, transient=True)
        self._shown = progress, progress.add_task(self._what, total=self._total, completed=self._done)
        progress.start()

    def passed(self) -> None:
        self._done += 1
        if self._shown and self._done % EVERY == 0:
            progress, task = self._shown
            progress.update(task, completed=self._done)

    def stop(self) -> None:
        if self._shown:
            self._shown[0].stop()
