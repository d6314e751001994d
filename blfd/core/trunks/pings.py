"""Whether other people's servers are there: OPTIONS now and then to each (RFC 3261, section 11).

Any response but 408, 500, 502, 503 and 504 says that it is. A server is down when twice in a row none came
until the next one was due, and up again with the first one. One that takes long was away for a moment.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blfd.core.advice import command
from blfd.core.effects import Effect, Level, Log, SendRequest
from blfd.core.messages import ResponseReceived
from blfd.core.timers import Timers, chance
from blfd.core.trunks.registrations import GONE
from blfd.core.trunks.remote import Remote
from blfd.core.values import Flow, NameAddr

KIND = "ping"
MOST_FAILURES = 2
LATE = 2.0  # seconds, in which OPTIONS is sent three times over UDP
SPREAD = 0.2  # part of the pause: neither trunks nor servers are asked in step


@dataclass(slots=True, eq=False)
class Ping:
    """One server of a trunk or upstream; `is_up` is None before it is known, `since` where none is out."""

    number: int
    trunk: Remote
    index: int
    serial: int = 0
    failures: int = 0
    is_up: bool | None = None
    since: float | None = None


class Pings:
    """Asks servers whether they are there. `ways` are where requests to the servers of a trunk go, or of
    `what` else it is; `kind` is the word in front of its tokens. `came_back` is told of who answers, and has
    not before, or not at once; `has_gone` of who is down."""

    def __init__(
        self,
        ways: Callable[[Remote], list[Flow]],
        new_tag: Callable[[], str],
        came_back: Callable[[Remote, float], None],
        kind: str = KIND,
        what: str = "trunk",
        has_gone: Callable[[Remote, float], None] = lambda trunk, now: None,
    ) -> None:
        self._ways, self._new_tag = ways, new_tag
        self._kind, self._what = kind, what
        self._came_back, self._has_gone = came_back, has_gone
        self._numbers = itertools.count(1)
        self._by_number: dict[int, Ping] = {}
        self._of_trunk: dict[tuple[str, str], list[Ping]] = {}
        self._down: set[Flow] = set()
        self.timers: Timers[int] = Timers(self._due)

    def directory_changed(self, trunks: Sequence[Remote], now: float) -> None:
        """Ping the servers of `trunks`; what is as before goes on."""
        known, self._of_trunk = self._of_trunk, {}
        for trunk in trunks:
            if not trunk.ping or not trunk.enabled:
                continue
            kept = known.pop(trunk.key, [])
            if kept and kept[0].trunk == trunk:
                self._of_trunk[trunk.key] = kept
                continue
            self._forget(kept)
            self._of_trunk[trunk.key] = [self._begin(trunk, n, now) for n in range(len(trunk.servers))]
        for gone in known.values():
            self._forget(gone)
        self._down &= {
            flow for of in self._of_trunk.values() for ping in of[:1] for flow in self._ways(ping.trunk)
        }

    def _begin(self, trunk: Remote, index: int, now: float) -> Ping:
        ping = Ping(next(self._numbers), trunk, index)
        self._by_number[ping.number] = ping
        self.timers.set(ping.number, now + chance(self._new_tag()) * min(2.0, trunk.ping))
        return ping

    def _forget(self, pings: list[Ping]) -> None:
        for ping in pings:
            self._by_number.pop(ping.number, None)
            self.timers.cancel(ping.number)

    def is_down(self, flow: Flow) -> bool:
        return flow in self._down

    def is_up(self, trunk: Remote) -> bool | None:
        """Whether any server of a trunk is up; None where that is not known."""
        known = [ping.is_up for ping in self._of_trunk.get(trunk.key, ())]
        if any(known):
            return True
        return False if known and None not in known else None

    def responded(self, response: ResponseReceived, now: float) -> list[Effect]:
        _, number, serial = response.token.split(" ")
        ping = self._by_number.get(int(number))
        if ping is None or ping.serial != int(serial) or ping.since is None:
            return []
        since, ping.since = ping.since, None
        if response.status in GONE:
            return self._missed(ping, now)
        was, flow = ping.is_up, self._flow(ping)
        if ping.failures or now - since > LATE:
            self._came_back(ping.trunk, now)
        ping.failures, ping.is_up = 0, True
        if flow:
            self._down.discard(flow)
        if was is False:
            return [Log(Level.INFO, f"{self._name(ping)} is up again")]
        return []

    def _missed(self, ping: Ping, now: float) -> list[Effect]:
        flow = self._flow(ping)
        ping.failures += 1
        if ping.failures >= MOST_FAILURES and flow:
            self._down.add(flow)
        if ping.failures != MOST_FAILURES:
            return []
        ping.is_up = False
        self._has_gone(ping.trunk, now)
        text = f"{self._name(ping)} does not answer, so it is down"
        show = command(ping.trunk.tenant, self._what, "show", ping.trunk.name)
        return [Log(Level.WARNING, f"{text}: look at the network, and at {show}")]

    def _name(self, ping: Ping) -> str:
        return f"{self._what} {ping.trunk.name}: {ping.trunk.servers[ping.index]}"

    def _flow(self, ping: Ping) -> Flow | None:
        ways = self._ways(ping.trunk)
        return ways[ping.index % len(ways)] if ways else None

    def _due(self, number: int, now: float) -> list[Effect]:
        ping = self._by_number[number]
        pause = ping.trunk.ping * (1 - SPREAD + 2 * SPREAD * chance(self._new_tag()))
        self.timers.set(number, now + pause)
        missed = self._missed(ping, now) if ping.since is not None else []
        flow = self._flow(ping)
        ping.since = now if flow else None
        if flow is None:
            return missed
        ping.serial += 1
        trunk, host = ping.trunk, ping.trunk.host
        from_ = NameAddr(f"sip:{trunk.username}@{host}" if trunk.username else f"sip:{host}")
        token, tag = f"{self._kind} {number} {ping.serial}", self._new_tag()
        ends = NameAddr(f"sip:{host}"), self._new_tag(), tag, ping.serial
        accept = (("Accept", "application/sdp"),)
        return [*missed, SendRequest(token, flow, "OPTIONS", trunk.target, from_, *ends, accept)]
