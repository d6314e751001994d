"""The command line in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Answering, Run
from hypothesis import settings

from blfd.control import ControlServer, socket_path

settings.register_profile("blfd", deadline=None)  # the machine may have other work
settings.load_profile("blfd")


@pytest.fixture
def blfd(tmp_path: Path) -> Run:
    """Run the command; where it fails, it has to say why in one line, or so many as are given."""

    def run(*arguments: str, code: int = 0, lines: int = 1) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "blfd", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "COLUMNS": "120"},
        )
        assert done.returncode == code, done.stderr
        if code:
            assert "Traceback" not in done.stderr
            assert done.stderr.count("\n") == lines, done.stderr
        return done

    return run


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Answering]:
    """Something that answers on the control socket."""
    answering = Answering()
    running = ControlServer(socket_path(tmp_path / "blfd.db"), answering.answer)
    answering.calls.clear()
    yield answering
    running.close()
