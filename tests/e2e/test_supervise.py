"""`blfd run --supervise`, and the files that start blfd on a machine."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from keys import Keys
from sites import Site

CONTRIB = Path(__file__).parents[2] / "contrib"


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def wait_gone(pid: int) -> None:
    until = time.monotonic() + 15
    while not gone(pid):
        assert time.monotonic() < until, f"process {pid} lives"
        time.sleep(0.02)


@pytest.fixture
def supervised(own_site: Callable[..., Site]) -> Site:
    site = own_site("--trust", "127.0.0.0/8")
    site.server.stop()
    site.options = ("--trust", "127.0.0.0/8", "--supervise")
    site.start()  # on the ports of before
    return site


def test_a_server_that_dies_is_started_again(supervised: Site) -> None:
    """Twice; lamps are right without any phone doing anything."""
    site = supervised
    keys = Keys(site.server.address(), "103", ["102"], 50)
    keys.subscribe()
    while site.rows("subscriptions") != 50:
        keys.pump(0.02)
    for restarts in (1, 2):
        server = int(site.ask("status")["pid"])
        assert server != site.server.process.pid
        keys.forget()
        os.kill(server, signal.SIGKILL if restarts == 1 else signal.SIGABRT)
        keys.wait(lambda: all(key.notifies for key in keys.all))
        assert keys.faults() == []
        assert site.ask("status")["restarts"] == restarts
    log = site.server.log.read_text()
    assert "the server ended by signal 9 (Killed) after" in log
    assert "started again at once" in log
    site.server.log.write_text("")  # else the deaths count as faults of ours
    keys.close()


def test_sigterm_ends_both(supervised: Site) -> None:
    server = int(supervised.ask("status")["pid"])
    assert supervised.server.stop() == 0
    wait_gone(server)


def test_a_supervisor_that_is_killed_takes_its_server_along(supervised: Site) -> None:
    server = int(supervised.ask("status")["pid"])
    supervised.server.process.kill()
    wait_gone(server)
    supervised.options = ()
    supervised.server.stop()
    supervised.start()


def test_what_cannot_start_is_not_tried_again(own_site: Callable[..., Site], tmp_path: Path) -> None:
    site = own_site()
    command = [sys.executable, "-m", "blfd", "--db", str(tmp_path / "other.db"), "run", "--supervise"]
    refused = subprocess.run(
        [*command, "--listen", site.server.addresses[0]], capture_output=True, text=True, timeout=30
    )
    assert refused.returncode == 1
    assert "choose another with --listen" in refused.stderr
    assert "started again" not in refused.stderr


def test_what_the_files_of_contrib_start_exists() -> None:
    unit = (CONTRIB / "blfd.service").read_text()
    (start,) = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]
    lines = (CONTRIB / "Containerfile").read_text().splitlines()
    words = [json.loads(line.partition(" ")[2]) for line in lines if line.startswith(("ENTRYPOINT", "CMD"))]
    for command in (shlex.split(start), words[0] + words[1]):
        assert Path(command[0]).name == "blfd"
        helped = subprocess.run(
            [sys.executable, "-m", "blfd", *command[1:], "--help"], capture_output=True, text=True, timeout=30
        )
        assert helped.returncode == 0, helped.stderr
        assert "Run the server" in helped.stdout
