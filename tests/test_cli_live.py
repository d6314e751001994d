"""Commands that ask the running server, and the lamp board at a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import Answering, Run
from rich.console import Console

from blfd.cli import board
from blfd.cli.board import Lamps, Screen
from blfd.control import ControlServer, socket_path

DIALOG = {
    "id": "c",
    "state": "early",
    "direction": "recipient",
    "call_id": "c",
    "local_tag": "l",
    "remote_tag": "r",
    "remote": "102",
    "remote_name": "Bob [x]",
    "held": False,
    "since": 65.2,
}
LAMPS = [
    {
        "extension": "101",
        "tenant": "default",
        "name": "Alice",
        "lamp": "ringing",
        "dialogs": [DIALOG],
        "watchers": 3,
    }
]


def test_lamps(blfd: Run, server: Answering) -> None:
    server.answers["lamps"] = LAMPS
    shown = blfd("lamps").stdout
    assert all(part in shown for part in ("101", "Alice", "ringing", "← 102 Bob [x]", "1:05", "3"))
    assert json.loads(blfd("lamps", "--json").stdout) == LAMPS


def test_a_change_reaches_the_server(blfd: Run, server: Answering) -> None:
    blfd("extension", "add", "101", "--password", "x")
    assert server.calls == ["reload"]


def test_nothing_to_show_is_said(blfd: Run, server: Answering) -> None:
    assert "no phone is registered" in blfd("registrations").stdout


@pytest.mark.parametrize("command", ["registrations", "lamps"])
def test_a_live_command_for_an_unknown_tenant(blfd: Run, server: Answering, command: str) -> None:
    server.answers["lamps"] = []
    said = blfd("--tenant", "none.example", command, code=1).stderr
    assert "no tenant none.example; 'blfd tenant list' shows them" in said


def test_a_change_that_the_server_does_not_take_is_kept_and_said(blfd: Run, server: Answering) -> None:
    del server.answers["reload"]
    said = blfd("extension", "add", "101", "--password", "x", code=1).stderr
    assert "saved, but the running server did not take it over" in said
    assert "101" in blfd("extension", "list").stdout


@pytest.mark.parametrize("server_is", ["up", "silent", "back"])
def test_watch_goes_on_until_ctrl_c(tmp_path: Path, server_is: str) -> None:
    """While no server answers, `lamps --watch` waits, and says that its lamps are old."""
    drawn = threading.Semaphore(0)

    def answer(name: str, arguments: dict[str, Any]) -> Any:
        if name == "place":
            return {}
        drawn.release()
        return {"server": "a", "number": 1, "all": not arguments.get("since"), "lamps": lamps, "pickups": []}

    path, lamps = socket_path(tmp_path / "blfd.db"), LAMPS
    server = ControlServer(path, answer)
    with subprocess.Popen(
        [sys.executable, "-m", "blfd", "lamps", "--watch"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        drawings = [drawn.acquire(timeout=20) for _ in range(3)]
        if server_is != "up":
            server.close()
            asked_in_vain(path, 2)
        if server_is == "back":
            lamps = [{**LAMPS[0], "name": "Alice is back"}]
            server = ControlServer(path, answer)
            drawings += [drawn.acquire(timeout=20) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        try:
            shown, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    if server_is != "silent":
        server.close()
    assert all(drawings), "it draws again and again"
    assert (process.returncode, errors) == (0, "")
    assert ("Alice is back" if server_is == "back" else "Alice") in shown
    assert ("no server answers since" in shown) == (server_is == "silent")


@pytest.mark.parametrize("call", ["watchers", "registrations", "calls"])
def test_who_waits_for_the_server_at_a_terminal_is_told(tmp_path: Path, call: str) -> None:
    told = threading.Event()
    server = ControlServer(socket_path(tmp_path / "blfd.db"), lambda name, arguments: [told.wait(60)][:0])
    ours, its = os.openpty()
    command = [sys.executable, "-m", "blfd", call]
    with subprocess.Popen(command, cwd=tmp_path, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        shown = b""
        while b"Asking the server" not in shown:
            assert select.select([ours], [], [], 60)[0], shown
            shown += os.read(ours, 1024)
        told.set()
        with contextlib.suppress(OSError):  # the other end is closed
            while more := os.read(ours, 1024):
                shown += more
        assert process.wait(60) == 0
    os.close(ours)
    server.close()
    end = shown.rpartition(b"Asking the server")[2]
    assert b"\x1b[?25h" in end, "the cursor is back"
    assert re.search(rb"nobody watches|no phone is|no call is", end)


def lamps_of(rows: Sequence[dict[str, Any]]) -> Lamps:
    class Client:
        def call(self, name: str, **arguments: Any) -> Any:
            return {"server": "a", "number": 1, "all": True, "lamps": rows}

    lamps = Lamps(Client(), "default")  # type: ignore[arg-type]
    lamps.ask()
    return lamps


MANY_LAMPS = [
    {**LAMPS[0], "extension": str(number), "lamp": "idle", "dialogs": [], "name": f"N{number}"}
    for number in range(1, 1000)
]
MANY_LAMPS[500] |= {"lamp": "ringing", "dialogs": [DIALOG]}


@pytest.mark.parametrize(
    ("keys", "first", "count"),
    [
        ("", "501", 999),
        ("lamp=ring", "501", 1),
        ("n99", "99", 11),
        ("n99\x7f\x7f\x7f", "501", 999),
        ("n99\x1b", "501", 999),
        ("\x1b[6~", "19", 999),
        ("\x1b[6~\x1b[5~\x1b[5~", "501", 999),
        ("\x1b[6~" * 500, "989", 999),
        ("aq", None, 0),
        ("nothing=", "501", 999),
    ],
)
def test_a_board_shows_calls_first_and_what_is_typed(keys: str, first: str | None, count: int) -> None:
    screen, lamps = Screen(""), lamps_of(MANY_LAMPS)
    screen.typed(keys)
    table = screen.picture(lamps, 24)
    shown = [str(each) for each in table.columns[1].cells]
    assert (shown[0] if shown else None) == first
    assert len(lamps.rows(screen.wanted)) == count
    assert len(shown) <= 24 - board.AROUND
    assert not screen.ended


def test_a_board_fits_its_screen() -> None:
    for height in (10, 24, 50):
        console = Console(width=80, height=height, file=io.StringIO(), force_terminal=True)
        with console.capture() as drawn:
            long = [{**row, "name": "Somebody with a long name"} for row in MANY_LAMPS]
            console.print(Screen("").picture(lamps_of(long), height))
        assert drawn.get().count("\n") <= height


@pytest.mark.parametrize("cut", [False, True])
def test_names_give_way_where_a_terminal_is_narrow(cut: bool) -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system=None)
    dialog = {**DIALOG, "remote": "+4930123456789", "remote_name": "Somebody Faraway", "since": 4000.0}
    row = {**LAMPS[0], "name": "Person Number 10001", "lamp": "not registered", "dialogs": [dialog] * 2}
    with console.capture() as drawn:
        console.print(board.lamp_table([row], cut=cut))
    (line,) = [line for line in drawn.get().splitlines() if "1:06:40" in line]
    assert all(each in line.split() for each in ("●", "101", "not", "registered", "1:06:40", "3"))
    assert not cut or drawn.get().count("\n") == 4, "each lamp is a line"


@pytest.mark.parametrize("keys", ["q", "x\x7fq", "x\x1bq"])
def test_q_ends_a_board(keys: str) -> None:
    screen = Screen("")
    screen.typed(keys)
    assert screen.ended


def asked_in_vain(path: Path, times: int) -> None:
    """Listen on the control socket, say nothing, and end after `times` calls."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(20)
        for _ in range(times):
            listener.accept()[0].close()
    path.unlink()
