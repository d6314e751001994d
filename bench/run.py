"""Measure blfd beside Debian's Kamailio on this machine, both at the same rates (README.md)."""

import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from boards import boards
from generator import Generator, build, generator
from power_cut import provision
from ratios import ratios
from report import Row, machine, print_tables, write_readme, write_results
from rich.console import Console
from servers import CARRIER_ADDRESS, EXTENSIONS, BenchError, Blfd, Kamailio, Peer, Server

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
    held: int = 20_000  # subscriptions, for memory
    rest_s: int = 60  # seconds from set-up until memory is read
    calls_a_second: int = 100
    calls_s: int = 10
    publishes_a_second: int = 1000
    publishes_s: int = 15
    pickups: int = 1000
    restarts: tuple[int, ...] = (2000, 10_000)  # subscriptions
    kills: int = 2  # after more, the supervisor waits before it starts the server again
    ringing: int = 200  # calls that ring meanwhile
    idle: int = 5000  # subscriptions
    idle_s: int = 20
    devices: int = 5000  # phones that fetch their files
    power_cut_s: int = 60  # seconds within which they come
    asked: int = 1000  # OPTIONS that a pickup is compared with
    stored: int = 20_000  # extensions there are while an administrator changes one
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
    """One run: what it measures, and what it has found so far, by figure and server."""

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


def subscribe(run: Run, peer: Peer) -> None:
    """Measure SUBSCRIBE with first NOTIFY from a source that the server trusts."""
    for rate in run.size.rates:
        _subscribe_at(run, peer.trusting, rate, "SUBSCRIBE")


def digest(run: Run, peer: Peer) -> None:
    """Measure SUBSCRIBE where every first one is challenged: blfd alone, as peers are measured without."""
    if isinstance(peer, Blfd):
        for rate in run.size.rates:
            _subscribe_at(run, peer.with_digest, rate, "SUBSCRIBE with digest", with_digest=True)


def _subscribe_at(run: Run, start: Starter, rate: int, what: str, *, with_digest: bool = False) -> None:
    size, case = run.size, f"{what}, {rate:,}/s"
    with run.load(start, case, digest=with_digest) as load:
        found = load.do(f"subscribe {size.subscriptions} {size.extensions} {rate}")
    load.note(f"{case}: CPU-s per 1,000", found["server_cpu_s"] / size.subscriptions * 1000)
    load.note(f"{case}: set up, p99 ms", found["setup_ms"].get("p99", 0))
    load.note(f"{case}: lost or refused", found["sent"] - found["up"], 0)
    load.note(f"{case}: retransmissions", found["retransmissions"] + found["notify_repeats"], 0)


def storm(run: Run, peer: Peer) -> None:
    """Measure all subscriptions at the same moment."""
    count = run.size.subscriptions
    case = f"{count:,} SUBSCRIBEs at once"
    with run.load(peer.trusting, case) as load:
        found = load.do(f"subscribe {count} {run.size.extensions} 0")
    load.note(f"{case}: all are up, s", found["setup_ms"].get("max", 0) / 1000)
    load.note(f"{case}: CPU-s", found["server_cpu_s"])
    load.note(f"{case}: lost or refused", found["sent"] - found["up"], 0)


def held(run: Run, peer: Peer) -> None:
    """Find the highest rate of the ladder up to which nothing is sent twice; measure blfd at Kamailio's."""
    best, delays = 0, {}
    for rate in run.size.ladder:
        found = _at(run, peer, rate)
        if found["up"] < found["sent"] or found["retransmissions"] + found["notify_repeats"]:
            break
        best, delays[rate] = rate, found["setup_ms"]["p99"]
    run.held[peer.name] = best
    run.note(peer.name, "SUBSCRIBEs a second without a retransmission", best)
    beside = run.held.get(Kamailio.name, 0)
    if beside:
        delay = delays[beside] if beside in delays else _at(run, peer, beside)["setup_ms"].get("p99", 0)
        run.note(peer.name, "at the highest rate that Kamailio holds: set up, p99 ms", delay, 20)


def _at(run: Run, peer: Peer, rate: int) -> dict[str, Any]:
    with run.load(peer.trusting, f"{rate:,} SUBSCRIBEs a second") as load:
        return load.do(f"subscribe {rate * run.size.ladder_s} {run.size.extensions} {rate}")


def fanout(run: Run, peer: Peer) -> None:
    """Measure one change of one extension, made by a real call, until the last watcher has its NOTIFY."""
    for watchers in run.size.audiences:
        case = f"one change to {watchers:,}"
        with run.load(peer.trusting, case) as load:
            load.do("register 1")
            load.subscribe(watchers, 1)
            found = load.do(f"fanout {run.size.changes}")
        load.note(f"{case}: last has it, median ms", found["last_ms"].get("p50", 0))
        load.note(f"{case}: last has it, worst ms", found["last_ms"].get("max", 0))
        cpu = found["server_cpu_s"] / max(found["notifies"], 1) * 1000
        load.note(f"{case}: CPU-s per 1,000 NOTIFYs", cpu)
        load.note(f"{case}: incomplete of {found['changes']} changes", found["incomplete"], 0)
        load.note(f"{case}: wrong states or versions", found["unexpected"] + found["version_jumps"], 0)


def memory(run: Run, peer: Peer) -> None:
    """Measure the memory that an idle subscription holds, some time after set-up."""
    size, case = run.size, f"{run.size.held:,} idle subscriptions"
    with run.load(peer.trusting, case) as load:
        before = load.server.memory_kib()
        load.subscribe(size.held, size.extensions)
        time.sleep(size.rest_s)
        grown = load.server.memory_kib() - before
    load.note(f"{case}: KiB for each", grown / size.held, 2.1)


def _note_calls(load: Load, case: str, size: Size, found: dict[str, Any]) -> None:
    total = size.calls_a_second * size.calls_s
    load.note(f"{case}: completed of {total:,}", found["completed"], total, at_least=True)
    load.note(f"{case}: failed", found["failed"] + found["skipped"], 0)
    load.note(f"{case}: lamps left lit", found["lamps_left_lit"], 0)
    load.note(f"{case}: CPU-s per 1,000", found["server_cpu_s"] / max(found["completed"], 1) * 1000)


def calls(run: Run, peer: Peer) -> None:
    """Measure calls that are set up and torn down at a rate, every phone watched."""
    size, phones = run.size, 200
    case = f"{size.calls_a_second} calls/s"
    with run.load(peer.trusting, case) as load:
        load.do(f"register {phones}")
        load.subscribe(phones, phones)
        found = load.do(f"calls {size.calls_a_second} {size.calls_s} {phones}")
    _note_calls(load, case, size, found)
    load.note(f"{case}: INVITE to 180, p50 ms", found["invite_to_180_ms"].get("p50", 0))
    load.note(f"{case}: INVITE to 180, p99 ms", found["invite_to_180_ms"].get("p99", 0))


def trunk(run: Run, peer: Peer) -> None:
    """Measure calls by a trunk, in by number and out by a route in turns; phones that get one are watched."""
    size, phones = run.size, 200
    case = f"{size.calls_a_second} calls/s by a trunk"
    with run.load(peer.trusting, case) as load:
        if isinstance(peer, Blfd):
            assert load.server.database
            number = ("--did", "4930xxxxxx=xxxxxx", "--ping", "0")
            peer.command(load.server.database, "trunk", "add", "line", "--server", CARRIER_ADDRESS, *number)
            peer.command(load.server.database, "route", "add", "0.", "--trunks", "line")
        load.do(f"register {phones}")
        load.subscribe(phones, phones)
        found = load.do(f"trunk {size.calls_a_second} {size.calls_s} {phones} {CARRIER_ADDRESS}")
    _note_calls(load, case, size, found)
    for way, name in (("in", "invite_to_180_ms"), ("out", "out_invite_to_180_ms")):
        for share in ("p50", "p99"):
            load.note(f"{case}, {way}: INVITE to 180, {share} ms", found[name].get(share, 0))


def publish(run: Run, peer: Peer) -> None:
    """Measure PUBLISHes of calls that somebody else carries, at a rate, every extension watched."""
    size = run.size
    case = f"{size.publishes_a_second:,} PUBLISHes/s"
    with run.load(peer.trusting, case) as load:
        if isinstance(peer, Blfd):
            assert load.server.database
            peer.command(load.server.database, "tenant", "set", "default", "--owner", "published")
        load.subscribe(size.extensions, size.extensions)
        found = load.do(f"publish {size.publishes_a_second} {size.publishes_s} {size.extensions}")
    load.note(f"{case}: refused, lost or late", found["sent"] - found["published"] + found["skipped"], 0)
    load.note(f"{case}: lamps left lit", found["lamps_left_lit"], 0)
    load.note(f"{case}: retransmissions", found["retransmissions"] + found["notify_repeats"], 0)
    load.note(f"{case}: CPU-s per 1,000", found["server_cpu_s"] / max(found["published"], 1) * 1000)
    load.note(f"{case}: PUBLISH to 200, p50 ms", found["taken_ms"].get("p50", 0))
    load.note(f"{case}: PUBLISH to 200, p99 ms", found["taken_ms"].get("p99", 0))


def pickup(run: Run, peer: Peer) -> None:
    """Measure a picker's INVITE to its 200: alone, ten at once, and among many calls that ring."""
    size = run.size
    if isinstance(peer, Kamailio):
        return  # a proxy has no pickup of its own
    _picked_up(run, peer, "pickup", 1, size.pickups)
    _picked_up(run, peer, "10 pickups at once", 10, size.pickups // 2)
    busy = f"pickup, {size.ringing} calls ringing, {size.idle:,} subscriptions"
    _picked_up(run, peer, busy, 1, size.pickups, size.ringing, size.idle)


def _picked_up(
    run: Run, peer: Peer, case: str, pickers: int, rounds: int, ringing: int = 0, subscriptions: int = 0
) -> None:
    with run.load(peer.trusting, case) as load:
        load.do(f"register {ringing + 1}")
        if subscriptions:
            load.subscribe(subscriptions, ringing + 1)
        if ringing:
            load.do(f"ring {ringing}")
        found = load.do(f"pickup {rounds} {pickers}")
        asked = load.do(f"options {run.size.asked} 20")
    load.note(f"{case}: won once, of {rounds:,}", found["won_once"], rounds, at_least=True)
    load.note(f"{case}: INVITE to 200, p50 ms", found["picked_ms"].get("p50", 0))
    load.note(f"{case}: INVITE to 200, p99 ms", found["picked_ms"].get("p99", 0), 5)
    load.note(f"{case}: OPTIONS to 200, p99 ms", asked["options_ms"].get("p99", 0))
    load.note(f"{case}: the caller's 200 after it, p99 ms", found["caller_answered_ms"].get("p99", 0))
    if pickers > 1:
        load.note(f"{case}: the others' refusals, p99 ms", found["late_ms"].get("p99", 0))


def restart(run: Run, peer: Peer) -> None:
    """Measure a kill -9 under a supervisor, until every watcher has its NOTIFY of the new process."""
    if isinstance(peer, Kamailio):
        return  # Kamailio's presence modules are measured with all state in memory
    for count in run.size.restarts:
        case = f"kill -9 with {count:,} subscriptions"
        with run.load(peer.supervised, case) as load:
            load.subscribe(count, run.size.extensions)
            time.sleep(1)  # so that all is stored
            times = []
            for _ in range(run.size.kills):
                found = load.do(f"heard {load.server.kill_child()}")
                if not found["complete"]:
                    raise BenchError(f"{case}: not every watcher was told")
                times.append(found["last_ms"])
                time.sleep(2)
        load.note(f"{case}: all lamps right, best ms", min(times), 1000)
        load.note(f"{case}: all lamps right, worst ms", max(times))


def idle(run: Run, peer: Peer) -> None:
    """Measure the CPU time of a server that has nothing to do but keep its subscriptions."""
    size, case = run.size, f"idle with {run.size.idle:,} subscriptions"
    with run.load(peer.trusting, case) as load:
        load.subscribe(size.idle, size.extensions)
        time.sleep(size.idle_s / 2)  # meanwhile the server does what set-up left to be done
        before = load.server.cpu_seconds()
        time.sleep(size.idle_s)
        used = load.server.cpu_seconds() - before
    load.note(f"{case}: % of a core", used / size.idle_s * 100, 2)


def administration(run: Run, peer: Peer) -> None:
    """Measure how long a packet is held up by `extension set`, again and again among very many extensions."""
    if isinstance(peer, Kamailio):
        return  # Kamailio has no such command
    size = run.size
    more = size.stored - sum(map(len, EXTENSIONS))
    case = f"a change among {size.stored:,} extensions"
    with run.load(lambda: peer.with_extensions(more), case) as load:
        load.subscribe(size.idle, size.extensions)
        load.note(f"{case}, none: OPTIONS to 200, worst ms", load.do("options 500 1")["options_ms"]["max"])
        changes = threading.Thread(target=_administer, args=(peer, load.server, size.administered))
        changes.start()
        worst = 0.0
        while changes.is_alive():
            worst = max(worst, load.do("options 100 1")["options_ms"]["max"])
        changes.join()
    load.note(f"{case}: OPTIONS to 200, worst ms", worst, 20)


def _administer(blfd: Blfd, server: Server, changes: int) -> None:
    assert server.database
    for number in range(changes):
        blfd.command(server.database, "extension", "set", str(EXTENSIONS[0][0]), "--name", f"Bench {number}")


MEASUREMENTS: dict[str, Callable[[Run, Peer], None]] = {
    m.__name__: m
    for m in (
        subscribe,
        storm,
        held,
        digest,
        fanout,
        memory,
        calls,
        trunk,
        publish,
        pickup,
        restart,
        administration,
        provision,
        boards,
        idle,
    )
}
ONCE = ("memory", "provision", "boards", "idle")  # these are long, and much the same each time
SERVERS = ("kamailio", "blfd")  # in this order: what Kamailio holds is asked of blfd


def _chosen(text: str, known: list[str], what: str) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text else known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"no {what} is called {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def _measure(run: Run, measurements: list[str], peers: list[Peer], times: int) -> bool:
    complete = True
    for measurement in measurements:
        for _ in range(1 if measurement in ONCE else times):
            for peer in peers:
                try:
                    MEASUREMENTS[measurement](run, peer)
                except BenchError as error:
                    complete = False
                    run.notes.append(f"{measurement} of {peer.name} failed: {error}")
                    run.console.print(run.notes[-1], style="red", markup=False)
    return complete


def main(
    only: Annotated[str, typer.Option(help=f"Measurements, by comma: {', '.join(MEASUREMENTS)}.")] = "",
    server: Annotated[str, typer.Option(help="Servers, by comma: blfd, kamailio.")] = "",
    before: Annotated[
        Path | None, typer.Option(help="Another checkout of blfd with its .venv, measured in the same run.")
    ] = None,
    times: Annotated[int, typer.Option(help="How often; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller, and once.")] = False,
    readme: Annotated[bool, typer.Option("--write-readme", help="Put the tables into README.md.")] = False,
) -> None:
    """Measure blfd beside Kamailio, print tables and write bench/results.json."""
    measurements = _chosen(only, list(MEASUREMENTS), "measurement")
    servers = _chosen(server, list(SERVERS), "server")
    if readme and (quick or only or server):
        raise typer.BadParameter("--write-readme needs a full run: no --quick, --only or --server")
    run, where = Run(QUICK if quick else Size(), Console()), machine()
    try:
        has_digest = build()
    except (BenchError, FileNotFoundError) as error:
        sys.exit(f"bench: {error}")
    if not has_digest and "digest" in measurements:
        measurements.remove("digest")
        run.notes.append("digest was skipped: OpenSSL's headers are missing (Debian: apt install libssl-dev)")
    if "kamailio" in servers and (missing := Kamailio.missing()):
        servers.remove("kamailio")
        run.notes.append(f"{missing}: blfd is measured alone")
        run.console.print(run.notes[-1])
    peers: list[Peer] = [Kamailio() if name == "kamailio" else Blfd() for name in servers]
    if before:
        peers.append(Blfd("before", before.resolve()))
    complete = _measure(run, measurements, peers, 1 if quick else times)
    names = [peer.name for peer in peers]
    found = ratios(run.size.subscriptions, run.size.audiences, run.size.restarts[-1])
    print_tables(run.console, run.rows, found, names, run.notes)
    write_results(where, run.rows, run.notes, run.raw)
    if readme:
        write_readme(where, run.rows, found, names, run.notes)
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    typer.run(main)
