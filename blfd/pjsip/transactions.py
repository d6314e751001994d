"""The transactions that PJSIP does not carry: answers to requests outside calls, and NOTIFY.

Both are the hot path (docs/architecture.md): a PJSIP transaction costs ten times the CPU of these. Timers
are those of RFC 3261, section 17; the caller gives the time.
"""

from __future__ import annotations

import heapq
import secrets
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from blfd.core.effects import Notify
from blfd.core.inputs import NotifyAnswered
from blfd.core.values import TRANSPORTS, Flow, NameAddr
from blfd.sip.own_uris import OwnUris
from blfd.transport.network import Network

T1, T2 = 0.5, 4.0
TIMER_F = TIMER_J = 64 * T1
FIRES = 100
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # seconds
DIGITS = 12  # of the number in a branch, so that it is read without looking for its end
MAX_ANSWERS = 200_000  # a bound for memory: past it the oldest answers go before their 32 s


class SentAnswer(NamedTuple):
    data: bytes
    flow: Flow


class ServerTransactions:
    """Final answers, kept 32 s so that a retransmitted request gets the same one (timer J)."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._answers: dict[str, SentAnswer] = {}
        self._ends: deque[tuple[float, str]] = deque()

    def send(self, key: str, data: bytes, flow: Flow, now: float) -> None:
        self._network.send(data, flow)
        if not TRANSPORTS[flow.transport].reliable:
            self._answers[key] = SentAnswer(data, flow)
            self._ends.append((now + TIMER_J, key))

    def absorb(self, key: str) -> bool:
        """Answer a retransmission; False if the request is new."""
        answer = self._answers.get(key)
        if answer is None:
            return False
        self._network.send(answer.data, answer.flow)
        return True

    def expire(self, now: float) -> None:
        ends = self._ends
        while ends and (ends[0][0] <= now or len(ends) > MAX_ANSWERS):
            self._answers.pop(ends.popleft()[1], None)


def notify_text(notify: Notify, place: str) -> bytes:
    """A NOTIFY as octets; `place` are the header lines that depend on where it is sent."""
    d = notify.dialog
    call_id, local_tag, remote_tag = d.id
    routes = "".join(f"Route: {route}\r\n" for route in d.route_set) if d.route_set else ""
    remote = f"{name_addr(d.remote)};tag={remote_tag}" if remote_tag else name_addr(d.remote)
    if notify.expires is not None:
        state = f"active;expires={notify.expires}"
    else:
        state = f"terminated;reason={notify.reason}" if notify.reason else "terminated"
    kind = f"Content-Type: {notify.content_type}\r\n" if notify.content_type else ""
    return (
        f"NOTIFY {d.target} SIP/2.0\r\n{place}{routes}From: {name_addr(d.local)};tag={local_tag}\r\n"
        f"To: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {notify.cseq} NOTIFY\r\nEvent: {d.event}\r\n"
        f"Subscription-State: {state}\r\n{kind}Content-Length: {len(notify.body)}\r\n\r\n"
    ).encode("utf-8", "surrogateescape") + notify.body


def name_addr(who: NameAddr) -> str:
    if not who.display:
        return f"<{who.uri}>"
    display = who.display.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{display}" <{who.uri}>'


class Outstanding:
    """A NOTIFY without its final answer."""

    __slots__ = ("data", "ends_at", "flow", "interval", "subscription")

    def __init__(self, subscription: str, flow: Flow, data: bytes, ends_at: float) -> None:
        self.subscription = subscription
        self.flow = flow
        self.data = data
        self.ends_at = ends_at
        self.interval = T1


class NotifyTransactions:
    """Non-INVITE client transactions for NOTIFY (RFC 3261, section 17.1.2), matched by Via branch.

    Nearly every NOTIFY is answered within T1, so the first timer is a queue and not a heap.
    """

    def __init__(self, network: Network, own_uris: OwnUris, user_agent: str) -> None:
        self._network, self._own_uris = network, own_uris
        self._tail = f"Max-Forwards: 70\r\nUser-Agent: {user_agent}\r\n"
        # Unguessable, so that nobody off the path can answer for a watcher.
        self._cookie = f"z9hG4bKn{secrets.token_hex(6)}."
        self._mark = b";branch=" + self._cookie.encode()
        self._next = 0
        self._outstanding: dict[int, Outstanding] = {}
        self._first: deque[tuple[float, int]] = deque()
        self._later: list[tuple[float, int]] = []
        self._places: dict[tuple[str, str, int], tuple[str, str]] = {}
        self.changed_at = 0.0  # when what is told now began to be handled
        self._latencies = [0] * (len(BOUNDS) + 1)
        self._waited = 0.0
        self.sent = self.answered_count = self.retransmitted = self.failed = 0

    def send(self, notify: Notify, now: float) -> None:
        self._next = number = self._next + 1
        flow = notify.flow
        via, contact = self._place(flow)
        data = notify_text(notify, f"{via}{number:0{DIGITS}}\r\n{contact}{self._tail}")
        self._outstanding[number] = Outstanding(notify.subscription, flow, data, now + TIMER_F)
        self._first.append((now + T1, number))
        self.sent += 1
        waited = now - self.changed_at
        self._latencies[bisect_left(BOUNDS, waited)] += 1
        self._waited += waited
        self._network.send(data, flow)

    def latency(self) -> dict[str, Any]:
        """How many NOTIFYs left within each of `bounds` seconds, and past the last; `sum` of all."""
        return {"bounds": BOUNDS, "counts": self._latencies, "sum": self._waited}

    def _place(self, flow: Flow) -> tuple[str, str]:
        """Via up to the number in its branch, and Contact, for NOTIFYs to `flow`."""
        key = (flow.transport, flow.host, flow.listener)
        place = self._places.get(key)
        if place is None:
            if len(self._places) > 100_000:
                self._places.clear()
            own = self._own_uris
            via = f"Via: {own.sent_by(flow)};rport;branch={self._cookie}"
            place = self._places[key] = (via, f"Contact: {own.contact(flow)}\r\n")
        return place

    def find(self, data: bytes) -> int | None:
        """The number of the outstanding NOTIFY that this response answers, None if it is not ours."""
        start = data.find(self._mark)
        if start < 0:
            return None
        start += len(self._mark)
        digits = data[start : start + DIGITS]
        return int(digits) if digits.isdigit() else 0

    def answered(self, number: int, status: int, retry_after: int | None) -> NotifyAnswered | None:
        """Take a response; None if it is provisional or late."""
        if status < 200:
            return None
        outstanding = self._outstanding.pop(number, None)
        if outstanding is None:
            return None
        if status < 300:
            self.answered_count += 1
        else:
            self.failed += 1
        return NotifyAnswered(outstanding.subscription, status, retry_after)

    def next_timer(self) -> float | None:
        candidates = [queue[0][0] for queue in (self._first, self._later) if queue]
        return min(candidates) if candidates else None

    def due(self, now: float) -> Iterator[NotifyAnswered]:
        """Retransmit what is due (timer E); yield a 408 for each NOTIFY that got no answer (timer F).

        At most `FIRES` at a time: thousands of dead phones may not hold up those that live.
        """
        left = FIRES
        while left and self._first and self._first[0][0] <= now:
            outstanding = self._outstanding.get(number := self._first.popleft()[1])
            if outstanding:
                left -= 1
                yield from self._fire(number, outstanding, now)
        while left and self._later and self._later[0][0] <= now:
            outstanding = self._outstanding.get(number := heapq.heappop(self._later)[1])
            if outstanding:
                left -= 1
                yield from self._fire(number, outstanding, now)

    def _fire(self, number: int, outstanding: Outstanding, now: float) -> Iterator[NotifyAnswered]:
        if now >= outstanding.ends_at:
            del self._outstanding[number]
            self.failed += 1
            yield NotifyAnswered(outstanding.subscription, 408)
            return
        if not TRANSPORTS[outstanding.flow.transport].reliable:
            self.retransmitted += 1
            self._network.send(outstanding.data, outstanding.flow)
        outstanding.interval = min(outstanding.interval * 2, T2)
        at = min(now + outstanding.interval, outstanding.ends_at)
        heapq.heappush(self._later, (at, number))
