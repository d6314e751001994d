"""`blfd demo`: a server and four real SIP phones on this machine; 103's phone shows what it learns.

101 calls 102, 103 watches both and picks up in three ways, 104 comes too late; then 102, the attendant,
transfers a call to 104. What is shown comes from what the phones were sent, not from what the server knows.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from blfd.demo.simulation import Event, Missing, PhoneProcess, ServerProcess
from blfd.store import NewExtension, Store

NAMES = {"101": "Alice Ng", "102": "Bob Roy", "103": "Carol Diaz", "104": "Dan Ek"}
PASSWORD = "demo-only"
PAUSE = 1.2  # seconds, so that a person can read along


class Board:
    """103's lamp keys, drawn live on a terminal and as plain lines elsewhere."""

    def __init__(self, console: Console, styles: Mapping[str, str]) -> None:
        self._styles = styles
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
            style = self._styles.get(word, "dim")
            table.add_row(Text("●", style), extension, NAMES[extension], Text(word or "not known", style))
        self._live.update(table, refresh=True)

    def close(self) -> None:
        if self._live:
            self._live.stop()


def run(styles: Mapping[str, str]) -> int:
    """Play the demo, lamps in Rich's `styles` by what they show; 0 if every expected lamp was seen."""
    folder = Path(tempfile.mkdtemp(prefix="blfd-demo-"))
    console = Console()
    board = Board(console, styles)
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
    print("Picked up by *97102, by *98 and by the flashing key; who came too late was told so.")
    print("A call was transferred by the attendant: who was called saw who it would talk with.")
    return 0


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that no child outlives the demo."""

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
    store = Store(database)
    store.extensions.add("default", rows)
    store.groups.add("default", "office", NAMES, NAMES)
    with ServerProcess(database, ["udp:127.0.0.1:0"]) as server:
        address = server.address()

        def phone(user: str, watch: str = "") -> PhoneProcess:
            return PhoneProcess(address, user, PASSWORD, folder=folder, watch=watch)

        board.say(f"A server on {address}; phones 101 to 104 register")
        with (
            phone("101") as alice,
            phone("102") as bob,
            phone("103", "101,102") as carol,
            phone("104") as dan,
        ):
            phones = Phones(alice, bob, carol, dan)
            for each in phones:
                each.wait("registered")
            _story(phones, board)


class Phones(NamedTuple):
    alice: PhoneProcess
    bob: PhoneProcess
    carol: PhoneProcess
    dan: PhoneProcess


class Step(NamedTuple):
    """What somebody does, the lamps that come of it, and what the phones of the call are told."""

    text: str
    act: Callable[[], None]
    lamps: dict[str, str]
    told: Callable[[list[Event]], str] | None = None  # of what 103's phone has reported since


def _story(phones: Phones, board: Board) -> None:
    for step in (*_call(phones), *_pickups(phones), *_transfer(phones)):
        board.say(step.text)
        before = len(phones.carol.events)
        step.act()
        _see(phones.carol, dict(step.lamps), board)
        if step.told:
            board.say(f"  {step.told(phones.carol.events[before:])}")
        time.sleep(PAUSE)


def _call(phones: Phones) -> list[Step]:
    alice, bob, _, _ = phones
    return [
        Step("103 watches 101 and 102", lambda: None, {"101": "idle", "102": "idle"}),
        Step("101 calls 102", lambda: alice.do("call", to="102"), {"101": "trying", "102": "ringing"}),
        Step("102 answers", lambda: bob.do("answer"), {"101": "talking", "102": "talking"}),
        Step("101 puts 102 on hold", lambda: alice.do("hold"), {"101": "held"}),
        Step("101 takes 102 back", lambda: alice.do("unhold"), {"101": "talking"}),
        Step("102 hangs up", lambda: bob.do("hangup"), {"101": "idle", "102": "idle"}),
    ]


def _pickups(phones: Phones) -> list[Step]:
    alice, _, carol, dan = phones
    ways: list[tuple[str, Callable[[], None]]] = [
        ("103 dials *97102", lambda: carol.do("call", to="*97102")),
        ("103 dials *98, for the group", lambda: carol.do("call", to="*98")),
        ("103 presses its flashing key: INVITE with Replaces", lambda: carol.do("press", key="102")),
    ]
    steps: list[Step] = []
    for text, pick_up in ways:
        steps += [
            Step("101 calls 102", lambda: alice.do("call", to="102"), {"101": "trying", "102": "ringing"}),
            Step(
                text, pick_up, {"101": "talking", "102": "idle"}, lambda seen: _connected(alice, carol, seen)
            ),
            Step("103 hangs up", lambda: carol.do("hangup"), {"101": "idle"}),
        ]
    late = Step(
        "104 dials *97102, too late", lambda: dan.do("call", to="*97102"), {}, lambda seen: _refused(dan)
    )
    return [*steps[:-1], late, steps[-1]]


def _transfer(phones: Phones) -> list[Step]:
    alice, bob, _, dan = phones

    def rings(seen: list[Event]) -> str:
        dan.wait("incoming", lambda event: NAMES["101"] in event["identity"])
        bob.wait("transfer", lambda event: event["code"] == 180)
        return f"104 rings and shows {NAMES['101']}, and 102 is told so"

    def is_told(seen: list[Event]) -> str:
        end = bob.wait("transfer", lambda event: event["final"])
        if end["code"] != 200:
            raise Missing(f"102 was to be told 200, and not {end['code']} {end['reason']}")
        return "102 is told that they talk, and hung up"

    answered = {"101": "talking", "102": "talking"}
    return [
        Step("101 calls 102", lambda: alice.do("call", to="102"), {"101": "trying", "102": "ringing"}),
        Step("102 answers", lambda: bob.do("answer"), answered),
        Step("102 transfers the call to 104: REFER", lambda: bob.do("transfer", to="104"), {}, rings),
        Step("104 answers", lambda: dan.do("answer"), {"102": "idle"}, is_told),
        Step("104 hangs up", lambda: dan.do("hangup"), {"101": "idle"}),
    ]


def _connected(alice: PhoneProcess, carol: PhoneProcess, seen: list[Event]) -> str:
    """Wait until both were told who the other one is; 103's phone maybe was before its lamps changed."""

    def names(extension: str) -> Callable[[Event], bool]:
        return lambda event: event["event"] == "answered" and NAMES[extension] in event["identity"]

    alice.wait("answered", names("103"))
    if not any(map(names("101"), seen)):
        carol.wait("answered", names("101"))
    return f"101 is told that {NAMES['103']} has answered, and 103 that it talks with {NAMES['101']}"


def _refused(dan: PhoneProcess) -> str:
    end = dan.wait_call("disconnected")
    if end["code"] != 480:
        raise Missing(f"104 was to be refused with 480, and not with {end['code']} {end['reason']}")
    return f"104 is refused: {end['code']} {end['reason']}"


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
