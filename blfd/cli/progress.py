"""How far a command is that takes long: a bar on the terminal, none where nobody looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console

T = TypeVar("T")
PATIENCE = 1.0  # seconds without a word


def watched(
    rows: Iterable[T],
    total: int,
    what: str,
    console: Console | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """The rows, of which there are about `total`, with a bar that says `what` is done with them."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield from rows
        return
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn(""),
    )
    bar = Progress(*columns, console=console, transient=True)
    task, begin = bar.add_task(what, total=total), now()
    try:
        for number, row in enumerate(rows):
            if not bar.live.is_started and now() - begin > PATIENCE:
                bar.start()
            if bar.live.is_started:
                bar.update(task, completed=number)
            yield row
    finally:
        bar.stop()
