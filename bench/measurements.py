"""The measurements: each puts a server under load, and notes its figures."""

import threading
import time
from collections.abc import Callable
from typing import Any

from boards import boards
from load import Load, Run, Size, Starter
from power_cut import provision
from servers import CARRIER_ADDRESS, EXTENSIONS, BenchError, Blfd, Kamailio, Peer, Server


def subscribe(run: Run, peer: Peer) -> None:
    """Measure SUBSCRIBE with first NOTIFY from a source that the server trusts."""
    for rate in run.size.rates:
        _subscribe_at(run, peer.trusting, rate, "SUBSCRIBE")


def digest(run: Run, peer: Peer) -> None:
    """Measure SUBSCRIBEs that are challenged, of blfd alone, as peers are measured without challenges."""
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
    """Measure calls by a trunk, in by number and out by a route in turns, to phones that are watched."""
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
    """Measure the time from a kill -9 under a supervisor until the new process has told every watcher."""
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
        time.sleep(size.idle_s / 2)  # meanwhile the server finishes what set-up has left
        before = load.server.cpu_seconds()
        time.sleep(size.idle_s)
        used = load.server.cpu_seconds() - before
    load.note(f"{case}: % of a core", used / size.idle_s * 100, 2)


def administration(run: Run, peer: Peer) -> None:
    """Measure how long `extension set`, repeated among very many extensions, holds up a packet."""
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
