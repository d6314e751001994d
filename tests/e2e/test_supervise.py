"""How the server ends and is started again: signals, `blfd run --supervise`, and the files of contrib."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from typing import NamedTuple

import pytest
from browser import web_processes
from calls import Calling, sdp
from keys import Keys
from sites import Site
from wire import DEADLINE, Message

from blfd.demo.simulation import ServerProcess
from blfd.server.loop import SAME_WISH, STOP_QUIET

CONTRIB = Path(__file__).parents[2] / "contrib"


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def wait_gone(pid: int) -> None:
    until = time.monotonic() + DEADLINE
    while not gone(pid):
        assert time.monotonic() < until, f"process {pid} lives"
        time.sleep(0.02)


@pytest.fixture
def supervised(own_site: Callable[..., Site]) -> Site:
    site = own_site("--trust", "127.0.0.0/8")
    site.server.stop()
    site.options = (*site.options, "--supervise")
    site.start()  # on the same ports as before
    return site


def test_a_server_that_dies_is_started_again(supervised: Site) -> None:
    """The server dies twice, and lamps are right although no phone does anything."""
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
    site.server.log.write_text("")  # otherwise the deaths would count as faults of ours
    keys.close()


def test_sigterm_ends_both(supervised: Site) -> None:
    server = int(supervised.ask("status")["pid"])
    assert supervised.server.stop() == 0
    wait_gone(server)


def test_a_supervisor_that_is_killed_takes_its_server_along(supervised: Site) -> None:
    server = int(supervised.ask("status")["pid"])
    supervised.server.process.kill()
    wait_gone(server)
    supervised.options = tuple(one for one in supervised.options if one != "--supervise")
    supervised.server.stop()
    supervised.start()


def test_what_cannot_start_is_not_tried_again(own_site: Callable[..., Site], tmp_path: Path) -> None:
    site = own_site()
    command = [sys.executable, "-m", "blfd", "--db", str(tmp_path / "other.db"), "run", "--supervise"]
    refused = subprocess.run(
        [*command, "--listen", site.server.addresses[0]], capture_output=True, text=True, timeout=DEADLINE
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
            [sys.executable, "-m", "blfd", *command[1:], "--help"],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert helped.returncode == 0, helped.stderr
        assert "Run the server" in helped.stdout


# Ends

TRUST = ("--trust", "127.0.0.0/8")
TWICE = 0.002  # seconds between two signals


class End(NamedTuple):
    """A way to end the server: a signal `to` the process that was started, its group, or all processes."""

    options: tuple[str, ...]
    number: signal.Signals
    to: str
    times: int = 1

    def __str__(self) -> str:
        return " ".join([*self.options, f"{self.times} {self.number.name}", self.to]).replace("--", "")


SUPERVISE, METRICS = ("--supervise",), ("--metrics", "127.0.0.1:0")
ENDS = (
    End((), SIGINT, "process"),
    End((), SIGTERM, "process", 2),
    End((), SIGHUP, "process"),
    End(METRICS, SIGINT, "group", 2),
    End(METRICS, SIGTERM, "all"),
    End(SUPERVISE, SIGINT, "group"),
    End(SUPERVISE, SIGINT, "group", 2),
    End(SUPERVISE, SIGTERM, "process", 2),
    End(SUPERVISE, SIGHUP, "group"),
    End(SUPERVISE + METRICS, SIGTERM, "all"),
)
CUT_SHORT = (End((), SIGTERM, "process"), End(SUPERVISE, SIGINT, "group"))


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("ending"), *TRUST)
    yield site
    site.server.stop()
    site.start()
    site.stop()


@pytest.fixture
def started(request: pytest.FixtureRequest, ending: Site) -> Iterator[Site]:
    """A server that knows no phones, in a process group of its own."""
    start_anew(ending, request.getfixturevalue("end"))
    yield ending
    leave(ending)


def start_anew(site: Site, end: End) -> None:
    site.server.stop()
    with closing(sqlite3.connect(site.database)) as database, database:
        for table in ("bindings", "subscriptions"):
            database.execute(f"DELETE FROM {table}")
    site.server = ServerProcess(site.database, site.listen, *site.options, *end.options, own_group=True)


def leave(site: Site) -> None:
    for agent in site.agents:
        agent.close()
    site.agents.clear()


def sender(site: Site, end: End) -> Callable[[], None]:
    """A function that sends the signal of this end."""
    started = site.server.process.pid
    server = int(site.ask("status")["pid"])
    everybody = {started, server, *web_processes(server)}

    def send() -> None:
        if end.to == "group":
            os.killpg(started, end.number)
        else:
            for pid in everybody if end.to == "all" else (started,):
                os.kill(pid, end.number)

    return send


def accepted(site: Site) -> tuple[Calling, Message]:
    """Have a call ring, and a REGISTER and a SUBSCRIBE answered just now; return the call, and its INVITE."""
    ringing, caller = site.registered("102"), site.agent("101")
    calling = Calling.trusted(caller, "102", sdp(4000))
    invite = ringing.wait_request("INVITE")
    ringing.reply(invite, 180, "Ringing")
    calling.provisional(180)
    site.registered("103").subscribe("102")
    return calling, invite


def on_disk(site: Site) -> tuple[int, int]:
    return site.rows("bindings"), site.rows("subscriptions")


@pytest.mark.parametrize("end", ENDS, ids=str)
def test_what_was_answered_outlives_every_end(started: Site, end: End) -> None:
    """Phones that ring are told that nobody calls any more."""
    site = started
    send = sender(site, end)
    calling, invite = accepted(site)
    for _ in range(end.times):
        send()
        time.sleep(TWICE)
    ringing = site.agents[0]
    ringing.reply(ringing.wait_request("CANCEL"), 200)
    ringing.reply(invite, 487, "Request Terminated")
    final = calling.final()
    assert (final.status, final.start.partition(" 503 ")[2]) == (503, "The server is stopping")
    calling.agent.ack(final, calling.uri, calling.headers)
    assert site.server.process.wait(DEADLINE) == 0
    assert on_disk(site) == (2, 1)
    log = site.server.log.read_text()
    assert "started again" not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("end", CUT_SHORT, ids=str)
def test_a_second_signal_a_while_later_cuts_short(started: Site, end: End) -> None:
    """The server waits no longer, here for a phone that answers no CANCEL; what was answered is kept."""
    site = started
    for _ in range(10):
        send = sender(site, end)
        accepted(site)
        send()
        since = time.monotonic()
        time.sleep(SAME_WISH + 0.1)
        if time.monotonic() < since + (SAME_WISH + STOP_QUIET) / 2:
            break
        leave(site)  # after so long without an answer the server may have ended by itself
        start_anew(site, end)
    site.registered("104")
    send()
    assert site.server.process.wait(DEADLINE) == 128 + end.number
    assert site.agents[0].wait_request("CANCEL")
    assert on_disk(site) == (3, 1)
