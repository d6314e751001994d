"""`blfd demo` as a person runs it; it fails when a lamp is missing."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rich.console import Console

from blfd.cli.board import STYLES
from blfd.control import ControlClient, socket_path
from blfd.demo import demo
from blfd.demo.simulation import PhoneProcess, ServerProcess

STORY = {
    "101": [
        *["idle", "trying", "talking", "held", "talking", "idle", *["trying", "talking", "idle"] * 3],
        *["trying", "talking", "talking", "idle"],  # a call with 102, then one with 104
    ],
    "102": ["idle", "ringing", "talking", "idle", *["ringing", "idle"] * 3, "ringing", "talking", "idle"],
}


def test_every_lamp_is_shown_in_plain_lines_where_there_is_no_terminal() -> None:
    played = subprocess.run(
        [sys.executable, "-m", "blfd", "demo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert "\x1b" not in played.stdout
    lines = [line.split() for line in played.stdout.splitlines() if line.startswith("  lamp ")]
    for extension, words in STORY.items():
        assert [line[4].rstrip(":,") for line in lines if line[1] == extension] == words
    said = played.stdout
    assert said.count("101 is told that Carol Diaz has answered, and 103 that it talks with Alice Ng") == 3
    assert "104 is refused: 480 103 has answered the call already" in said
    assert "104 rings and shows Alice Ng, and 102 is told so" in said
    assert "102 is told that they talk, and hung up" in said


def test_a_lamp_that_is_not_seen_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    children: list[PhoneProcess | ServerProcess] = []

    class Server(ServerProcess):
        def __init__(self, *arguments: object, **more: object) -> None:
            super().__init__(*arguments, **more)  # type: ignore[arg-type]
            children.append(self)

    class Phone(PhoneProcess):
        """A phone that does everything but hold."""

        def __init__(self, *arguments: object, **more: object) -> None:
            super().__init__(*arguments, **more)  # type: ignore[arg-type]
            children.append(self)

        def do(self, what: str, **how: object) -> None:
            if what != "hold":
                super().do(what, **how)
                return
            for child in children:
                if isinstance(child, PhoneProcess):
                    child.patience = 1.0  # the lamp that is waited for never comes

    monkeypatch.setattr(demo, "ServerProcess", Server)
    monkeypatch.setattr(demo, "PhoneProcess", Phone)
    monkeypatch.setattr(demo, "PAUSE", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert demo.run(STYLES) == 1
    said = capsys.readouterr().out
    assert "{'101': 'held'}" in said
    (folder,) = tmp_path.iterdir()
    assert f"The logs of the server and of the phones are in {folder}" in said
    assert (folder / "demo.log").read_text()
    assert len(children) == 5
    assert all(child.process.poll() is not None for child in children)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_demo_that_is_stopped_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "blfd", "demo"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as played:
        assert played.stdout
        assert any(line.startswith("103 watches") for line in played.stdout)
        (folder,) = tmp_path.iterdir()
        server = ControlClient(socket_path(folder / "demo.db")).call("status")["pid"]
        played.send_signal(number)
        assert played.wait(60) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
    assert not list(tmp_path.iterdir())


def test_a_terminal_gets_a_table() -> None:
    screen = io.StringIO()
    board = demo.Board(Console(file=screen, force_terminal=True, width=80), STYLES)
    try:
        board.say("101 calls 102")
        board.lamp("102", "ringing", 1)
    finally:
        board.close()
    drawn = screen.getvalue()
    assert "101 calls 102" in drawn
    assert "Bob Roy" in drawn
    assert "ringing" in drawn
    assert "\x1b[" in drawn
