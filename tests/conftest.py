"""Fixtures: a database, and the command line in a folder of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import Answering, Blfd, Run, Terminal
from forked import Forked
from hypothesis import settings

from blfd.cli import main
from blfd.control import ControlServer, socket_path
from blfd.store import NewExtension, Store

settings.register_profile("blfd", deadline=None)  # the machine may have other work
settings.load_profile("blfd")


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """A process that runs commands for all tests of this one."""
    running = Forked()
    yield running
    running.close()


@pytest.fixture
def blfd(tmp_path: Path, forked: Forked) -> Run:
    """A function that runs a command; one that fails has to say why in one line, or in `lines`."""

    def run(*arguments: str, code: int = 0, lines: int = 1) -> subprocess.CompletedProcess[str]:
        done = forked.run(arguments, tmp_path, {**os.environ, "COLUMNS": "120"})
        assert done.returncode == code, done.stderr
        if code:
            assert "Traceback" not in done.stderr
            assert done.stderr.count("\n") == lines, done.stderr
        return done

    return run


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Blfd:
    """A function that runs a command in this process; `typed` is typed at its terminal, if it has one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, typed: str | Callable[[], str] | None = None) -> tuple[int, str, str]:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["blfd", *arguments])
            patched.setattr(sys, "stdin", io.StringIO() if typed is None else Terminal(typed))
            with pytest.raises(SystemExit) as end:
                main()
        code = end.value.code
        return (code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A database with one extension."""
    store = Store(tmp_path / "blfd.db")
    store.extensions.add("default", [NewExtension("101", "s3cret", "Alice Ng")])
    return store


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Answering]:
    """A stand-in for a server, which answers on the control socket."""
    answering = Answering()
    running = ControlServer(socket_path(tmp_path / "blfd.db"), answering.answer)
    answering.calls.clear()
    yield answering
    running.close()
