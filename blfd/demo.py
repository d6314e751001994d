"""`blfd demo`: a server and three real SIP phones on this machine; 103's phone shows what it learns.

101 calls 102, and 103 watches both. What is shown comes from the NOTIFYs that 103's phone got, not from what
the server knows.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from blfd.cli.inspect import STYLES
from blfd.simulation import Missing, PhoneProcess, ServerProcess
from blfd.store import NewExtension, Store

NAMES = {"101": "Alice Ng", "102": "Bob Roy", "103": "Carol Diaz"}
PASSWORD = "demo-only"
PAUSE = 1.2  # seconds, so that a person can read along


class Board:
    """103's lamp keys, drawn live on a terminal and as plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._lamps = {"101": "", "102": ""}
        self._says = ""
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        if self._live:
            self._live.start()

    def say(self, text: str) -> None:
        self._says = text
        self._draw(text)

    def lamp(self, extension: str, word: str, version: int) -> None:
        self._lamps[extension] = word
        self._draw(f"  lamp {extension} {NAMES[extension]}: {word}  (NOTIFY version {version})")

    def _draw(self, plain: str) -> None:
        if not self._live:
            print(plain, flush=True)
            return
        table = Table(title=f"What 103's phone shows\n{self._says}", title_justify="left", min_width=46)
        for column in ("", "key", "name", "lamp"):
            table.add_column(column)
        for extension, word in self._lamps.items():
            style = STYLES.get(word, "dim")
            table.add_row(Text("●", style), extension, NAMES[extension], Text(word or "not known", style))
        self._live.update(table, refresh=True)

    def close(self) -> None:
        if self._live:
            self._live.stop()


def run() -> int:
    """Play the demo; 0 if every expected lamp was seen."""
    folder = Path(tempfile.mkdtemp(prefix="blfd-demo-"))
    console = Console()
    board = Board(console)
    try:
        with _ended_by_signals():
            _play(folder, board)
    except Missing as error:
        board.close()
        console.print(f"[red]The demo failed:[/] {error}", soft_wrap=True)
        console.print(f"The logs of the server and of the phones are in {folder}", soft_wrap=True)
        return 1
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        board.close()
    shutil.rmtree(folder, ignore_errors=True)
    print("Every lamp was seen: idle, trying, ringing, talking, held, talking, idle.")
    return 0


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that no child outlives the demo."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, disposition in before.items():
            signal.signal(number, disposition)


def _play(folder: Path, board: Board) -> None:
    database = folder / "demo.db"
    rows = [NewExtension(extension, PASSWORD, name) for extension, name in NAMES.items()]
    Store(database).add_extensions("default", rows)
    with ServerProcess(database, ["udp:127.0.0.1:0"]) as server:
        address = server.address()

        def phone(user: str, watch: str = "") -> PhoneProcess:
            return PhoneProcess(address, user, PASSWORD, folder=folder, watch=watch)

        board.say(f"A server on {address}; phones 101, 102 and 103 register")
        with phone("101") as alice, phone("102") as bob, phone("103", "101,102") as carol:
            for each in (alice, bob, carol):
                each.wait("registered")
            _story(alice, bob, carol, board)


def _story(alice: PhoneProcess, bob: PhoneProcess, carol: PhoneProcess, board: Board) -> None:
    steps: list[tuple[str, Callable[[], None], dict[str, str]]] = [
        ("103 watches 101 and 102", lambda: None, {"101": "idle", "102": "idle"}),
        ("101 calls 102", lambda: alice.do("call", to="102"), {"101": "trying", "102": "ringing"}),
        ("102 answers", lambda: bob.do("answer"), {"101": "talking", "102": "talking"}),
        ("101 puts 102 on hold", lambda: alice.do("hold"), {"101": "held"}),
        ("101 takes 102 back", lambda: alice.do("unhold"), {"101": "talking"}),
        ("102 hangs up", lambda: bob.do("hangup"), {"101": "idle", "102": "idle"}),
    ]
    for text, act, expected in steps:
        board.say(text)
        act()
        _see(carol, dict(expected), board)
        time.sleep(PAUSE)


def _see(carol: PhoneProcess, expected: dict[str, str], board: Board) -> None:
    """Follow 103's lamps until each shows what it should."""
    while expected:
        try:
            event = carol.wait("lamp")
        except Missing as error:
            raise Missing(f"the lamp of {expected} was not seen; {error}") from None
        extension = event["entity"].partition(":")[2].partition("@")[0]
        board.lamp(extension, event["lamp"], event["version"])
        if expected.get(extension) == event["lamp"]:
            del expected[extension]
