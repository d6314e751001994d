"""How much is measured, and what is kept: a run, and one server under load in one case of the run."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from generator import Generator, generator
from report import Row
from rich.console import Console
from servers import BenchError, Server

Starter = Callable[[], AbstractContextManager[Server]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. The defaults are what the project's goals are stated for."""

    rates: tuple[int, ...] = (2500, 5000)  # SUBSCRIBEs a second
    ladder: tuple[int, ...] = (2000, 2500, 3000, 3500, 4000, 4500, 5000, 6000, 7000, 8000, 10_000, 12_000)
    ladder_s: int = 4  # seconds at each of these rates
    subscriptions: int = 10_000
    extensions: int = 1000
    audiences: tuple[int, ...] = (1000, 5000)  # watchers of one extension
    changes: int = 25
    held: int = 20_000  # subscriptions for which memory is measured
    rest_s: int = 60  # seconds from set-up until memory is read
    calls_a_second: int = 100
    calls_s: int = 10
    publishes_a_second: int = 1000
    publishes_s: int = 15
    pickups: int = 1000
    restarts: tuple[int, ...] = (2000, 10_000)  # subscriptions
    kills: int = 2  # after more of them, the supervisor waits before it starts the server again
    ringing: int = 200  # calls that ring meanwhile
    idle: int = 5000  # subscriptions
    idle_s: int = 20
    devices: int = 5000  # phones that fetch their files
    power_cut_s: int = 60  # seconds within which these phones come
    asked: int = 1000  # OPTIONS with which a pickup is compared
    stored: int = 20_000  # extensions that there are while an administrator changes one
    administered: int = 10  # such changes


QUICK = Size(
    subscriptions=2500,
    audiences=(1000,),
    changes=10,
    held=5000,
    rest_s=5,
    calls_s=4,
    publishes_s=6,
    pickups=200,
    idle_s=5,
    devices=500,
    power_cut_s=10,
    ladder_s=2,
    asked=200,
    administered=5,
)


@dataclass(slots=True)
class Run:
    """One run: how much it measures, and the figures that it has found so far of each server."""

    size: Size
    console: Console
    rows: dict[str, Row] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)  # SUBSCRIBEs a second, by server

    def note(
        self, server: str, figure: str, value: float, goal: float | None = None, at_least: bool = False
    ) -> None:
        """Keep one figure of a server."""
        row = self.rows.setdefault(figure, Row(figure, goal, at_least))
        row.values.setdefault(server, []).append(round(value, 4))

    @contextmanager
    def load(self, start: Starter, case: str, digest: bool = False) -> Iterator["Load"]:
        """A fresh server under a fresh generator, until the block ends."""
        with start() as server, generator(server, digest) as commands:
            self.console.print(f"{server.name}: {case}", highlight=False)
            yield Load(self, server, commands, f"{server.name}, {case}")


@dataclass(frozen=True, slots=True)
class Load:
    """One server under load in one case."""

    run: Run
    server: Server
    commands: Generator
    case: str

    def do(self, command: str) -> dict[str, Any]:
        """Do one command of the generator, and keep its report."""
        report = self.commands.command(command)
        self.run.raw[f"{self.case}: {command}"] = report
        if report["own_drops"]:
            lost = f"the generator itself lost {report['own_drops']} datagrams; raise net.core.rmem_max"
            self.run.notes.append(f"{self.case}: {lost}")
        return report

    def subscribe(self, count: int, extensions: int) -> None:
        """Set up the subscriptions that a measurement stands on; losing one spoils it."""
        report = self.do(f"subscribe {count} {extensions} {self.run.size.rates[0]}")
        if report["up"] != count:
            raise BenchError(f"{self.case}: only {report['up']:,} of {count:,} subscriptions are up")

    def note_lamps(self, what: str, changes: list[dict[str, Any]]) -> None:
        """Keep how long the last watcher of a change waited, from several reports of `fanout`."""
        self.note(f"{what}: last has it, median ms", statistics.median(c["last_ms"]["p50"] for c in changes))
        self.note(f"{what}: last has it, worst ms", max(c["last_ms"]["max"] for c in changes))
        wrong = sum(c["incomplete"] + c["unexpected"] + c["version_jumps"] for c in changes)
        self.note(f"{what}: incomplete or wrong", wrong, 0)

    def note(self, figure: str, value: float, goal: float | None = None, at_least: bool = False) -> None:
        """Keep one figure of this server, and what blfd's is to stay within (or reach, when `at_least`)."""
        self.run.note(self.server.name, figure, value, goal, at_least)
