"""Lamps on the terminal: once as a table, or live, calls first, as many as fit the screen.

Live, the server is asked for what has changed. What is typed filters; keys are listed in the last line.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from blfd.cli.output import MANY, cell, new_table, print_or, print_table
from blfd.control import ControlClient, ControlError, NotRunning
from blfd.core.values import DEFAULT_TENANT
from blfd.operations.selection import matching, natural
from blfd.store import StoreError

Row = dict[str, Any]

STYLES = {
    "idle": "green",
    "trying": "yellow",
    "ringing": "bold blink red",
    "early media": "bold red",
    "talking": "red",
    "held": "magenta",
    "do not disturb": "blue",
    "not registered": "dim",
    "unknown": "dim",
}
QUIET = ("idle", "do not disturb", "not registered", "unknown")
COLUMNS = ("", "extension", "name", "lamp", "with", "since", "watchers")
AT_THE_RIGHT = ("since", "watchers")
OF_PEOPLE = ("name", "with")  # columns that give way where a terminal is narrow
REDRAWS = 4  # a second
AROUND = 5  # lines of a screen that are no lamps'
_KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|.", re.DOTALL)  # one that is pressed, as terminals send it
KEYS = "type to filter, PgUp and PgDn turn pages, q ends"
FILTERED = "Esc shows all, Backspace, PgUp, PgDn, Ctrl-C ends"


def show_once(rows: list[Row], all_of: int, empty: str) -> None:
    """Print the chosen rows; `all_of` is how many there are in all; `empty` is told where there is none."""
    if len(rows) > MANY:
        print_table("Lamps", COLUMNS, (_cells(row, "") for row in rows), "")
    else:
        print_or(lamp_table(rows), "none of them is chosen" if all_of else empty)


def lamp_table(rows: list[Row], caption: str = "", old: bool = False, cut: bool = False) -> Table:
    """A picture of the lamps: one row an extension; all dark if they are `old`. `cut`: a line each."""
    table = new_table("Lamps", COLUMNS, AT_THE_RIGHT)
    for column in table.columns:
        column.no_wrap = column.header not in OF_PEOPLE
    table.row_styles = ("", "on grey7")
    if caption:
        table.caption, table.caption_justify = Text(caption, "bold red" if old else "dim"), "left"
    for row in rows:
        cells = _cells(row, "dim" if old else STYLES[row["lamp"]])
        for text in cells if cut else ():
            text.no_wrap, text.overflow = True, "ellipsis"
        table.add_row(*cells)
    return table


def values(row: Row) -> tuple[str | float, ...]:
    """What stands in COLUMNS; `since` in seconds, "" where there is no call."""
    dialogs = row["dialogs"]
    since = max((dialog["since"] for dialog in dialogs), default="")
    with_whom = ", ".join(_arrow(dialog) for dialog in dialogs)
    return "●", row["extension"], row["name"], row["lamp"], with_whom, since, row["watchers"] or ""


def _cells(row: Row, style: str) -> tuple[Text, ...]:
    mark, extension, name, lamp, with_whom, since, watchers = values(row)
    ago = time.monotonic() - row["at"] if "at" in row else 0.0
    return (
        Text(str(mark), style),
        cell(extension),
        cell(name),
        Text(str(lamp), style),
        cell(with_whom),
        Text(since if isinstance(since, str) else duration(since + ago)),
        Text(str(watchers)),
    )


def _arrow(dialog: Row) -> str:
    name = f" {dialog['remote_name']}" if dialog["remote_name"] else ""
    return f"{'→' if dialog['direction'] == 'initiator' else '←'} {dialog['remote']}{name}"


def duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Lamps:
    """A tenant's lamps, kept up to date by the changes that the server tells."""

    def __init__(self, client: ControlClient, tenant: str) -> None:
        self._client, self._tenant = client, tenant
        self._rows: dict[str, Row] = {}
        self._position: Row = {}
        self._chosen: tuple[str, list[Row]] | None = None
        self.silent_since = ""

    def ask(self) -> None:
        """Ask for what has changed; while no server answers, what is known stays, and is said to be old."""
        try:
            found = self._client.call("changes", **self._position)
        except (NotRunning, ControlError):
            self.silent_since = self.silent_since or datetime.now().strftime("%H:%M:%S")
            self._position = {}
            return
        self._position = {"server": found["server"], "since": found["number"]}
        self.silent_since = ""
        if found["all"]:
            self._rows = {}
        if found["all"] or found["lamps"]:
            self._chosen = None
        for row in found["lamps"]:
            if row["tenant"] == self._tenant:
                self._rows[row["extension"]] = {**row, "at": time.monotonic()}

    def rows(self, wanted: str) -> list[Row]:
        """The lamps that match, calls first; `at` is when a row was told, by time.monotonic()."""
        if not self._chosen or self._chosen[0] != wanted:  # to sort thousands takes longer than a redraw may
            rows = list(self._rows.values())
            with contextlib.suppress(StoreError):  # half a column's name, while it is typed
                rows = matching(rows, wanted)
            found = sorted(rows, key=lambda row: (row["lamp"] in QUIET, natural(row["extension"])))
            self._chosen = wanted, found
        return self._chosen[1]


class Screen:
    """What is typed, and which page is shown."""

    def __init__(self, wanted: str) -> None:
        self.wanted, self.page, self.ended = wanted, 0, False

    def typed(self, keys: str) -> None:
        for key in _KEY.findall(keys):
            match key:
                case "\x1b[5~" | "\x1b[A":
                    self.page = max(0, self.page - 1)
                    continue
                case "\x1b[6~" | "\x1b[B":
                    self.page += 1  # the picture knows how many there are
                    continue
                case "\x1b":
                    self.wanted = ""
                case "\x7f" | "\b":
                    self.wanted = self.wanted[:-1]
                case "q" if not self.wanted:
                    self.ended = True
                case _ if key.isprintable():
                    self.wanted += key
                case _:
                    continue
            self.page = 0

    def picture(self, lamps: Lamps, height: int | None) -> Table:
        """A table of as many lamps as `height` lines have room for; with None, of all."""
        rows = lamps.rows(self.wanted)
        if lamps.silent_since:
            said = f"no server answers since {lamps.silent_since}: these lamps are of then; waiting for it"
        else:
            said = ""
        if height is None:
            return lamp_table(rows, said, bool(said))
        room = max(1, height - AROUND)
        pages = max(1, -(-len(rows) // room))
        self.page = min(self.page, pages - 1)
        shown = rows[self.page * room :][:room]
        filtered = f"filter: {self.wanted}; " if self.wanted else ""
        counted = f"{filtered}{len(rows)} lamps, page {self.page + 1} of {pages}; "
        counted += FILTERED if self.wanted else KEYS
        return lamp_table(shown, said or counted, bool(said), cut=True)


def watch(client: ControlClient, tenant: str | None, wanted: str) -> None:
    """Show the lamps live, until q or Ctrl-C."""
    lamps, screen = Lamps(client, tenant or DEFAULT_TENANT), Screen(wanted)
    console = Console()
    height: Callable[[], int | None] = lambda: console.height if console.is_terminal else None  # noqa: E731
    lamps.ask()
    live = Live(
        screen.picture(lamps, height()),
        console=console,
        refresh_per_second=REDRAWS,
        screen=console.is_terminal,
        vertical_overflow="crop",
    )
    with contextlib.suppress(KeyboardInterrupt), live, _keys() as keys:
        while not screen.ended:
            screen.typed(keys(1 / REDRAWS))
            lamps.ask()
            live.update(screen.picture(lamps, height()))


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits so many seconds, and returns what has been typed: nothing without a terminal."""
    if not sys.stdin.isatty():

        def nothing(seconds: float) -> str:
            time.sleep(seconds)
            return ""

        yield nothing
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def typed(seconds: float) -> str:
        ready, _, _ = select.select([terminal], [], [], seconds)
        return os.read(terminal, 1024).decode("utf-8", "ignore") if ready else ""

    try:
        tty.setcbreak(terminal)
        yield typed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
