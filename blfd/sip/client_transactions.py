"""Requests that we send outside calls: non-INVITE client transactions (RFC 3261, section 17.1.2).

A response counts only if its branch, Call-ID, From tag and CSeq are those of a request that waits for one; a
branch is drawn at random, so that nobody can guess it from another.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from blfd.core.by_flow import ByFlow
from blfd.core.values import DialogId, Flow
from blfd.sip.timers import LIFETIME, T1, T2
from blfd.sip.tokens import Tokens

FIRES = 100
COOKIE = "z9hG4bKn"  # of our branches (section 8.1.1.7), the n for those that are not PJSIP's
RANDOM = 16  # hexadecimal digits behind it


class Outstanding(NamedTuple):
    """A request without its final response; `token` says to the sender what it was."""

    token: str
    dialog: DialogId
    cseq: int
    data: bytes
    flow: Flow


class Again(NamedTuple):
    """When a request is due again: `interval` after it was sent last. It ends at `ends_at`."""

    at: float
    branch: str
    interval: float
    ends_at: float


class ClientTransactions:
    """`send` takes octets and where to, and says whether they may arrive. Times are of one clock, in seconds.

    Nearly every request is answered within T1, so the first timer is a queue and not a heap.
    """

    def __init__(self, send: Callable[[bytes, Flow], bool]) -> None:
        self._send = send
        self.new_branch = Tokens(COOKIE, RANDOM).new
        self._outstanding: dict[str, Outstanding] = {}
        self._over: ByFlow[str] = ByFlow()
        self._first: deque[tuple[float, str]] = deque()
        self._later: list[Again] = []
        self.sent = self.responded = self.retransmitted = self.failed = 0

    def send(
        self,
        branch: str,
        token: str,
        dialog: DialogId,
        cseq: int,
        data: bytes,
        flow: Flow,
        now: float,
    ) -> bool:
        """Send `data`, whose Via has `branch`; False where there is no connection, and so no transaction."""
        self._outstanding[branch] = Outstanding(token, dialog, cseq, data, flow)
        self._first.append((now + T1, branch))
        self._over.add(flow, branch)
        self.sent += 1
        if self._send(data, flow) or not flow.is_connected:
            return True
        self._fail(branch)
        return False

    def lost(self, flow: Flow) -> list[str]:
        """The tokens of what waits for a response over a connection that is gone."""
        return [self._fail(branch) for branch in self._over.of(flow)]

    def _fail(self, branch: str) -> str:
        self.failed += 1
        return self._end(branch)

    def _end(self, branch: str) -> str:
        outstanding = self._outstanding.pop(branch)
        self._over.remove(outstanding.flow, branch)
        return outstanding.token

    def take(self, branch: str, call_id: str, local_tag: str, cseq: int, status: int) -> str | None:
        """The token of the request that a final response ends; None if it is late, or a stranger's."""
        outstanding = self._outstanding.get(branch)
        if (
            outstanding is None
            or status < 200
            or outstanding.dialog.call_id != call_id
            or outstanding.dialog.local_tag != local_tag
            or outstanding.cseq != cseq
        ):
            return None
        return self.finish(branch, status)

    def sent_with(self, branch: str) -> bytes:
        """The request that waits for the response with a branch; b"" if there is none."""
        outstanding = self._outstanding.get(branch)
        return outstanding.data if outstanding else b""

    def finish(self, branch: str, status: int) -> str:
        """The token of a request that waits, and has its final response now."""
        if status < 300:
            self.responded += 1
        else:
            self.failed += 1
        return self._end(branch)

    def next_timer(self) -> float | None:
        """When something is due, of what has no response yet: nobody is woken for what is answered."""
        first, later = self._first, self._later
        while first and first[0][1] not in self._outstanding:
            first.popleft()
        if first and later:
            return min(first[0][0], later[0][0])
        return first[0][0] if first else later[0][0] if later else None

    def due(self, now: float) -> Iterator[str]:
        """Retransmit what is due (timer E); yield the token of what got no response (timer F).

        At most `FIRES` at a time: thousands of dead phones may not hold up those that live.
        """
        left = FIRES
        while left and self._first and self._first[0][0] <= now:
            at, branch = self._first.popleft()
            outstanding = self._outstanding.get(branch)
            if outstanding:
                left -= 1
                yield from self._fire(Again(at, branch, T1, at - T1 + LIFETIME), outstanding, now)
        while left and self._later and self._later[0].at <= now:
            again = heapq.heappop(self._later)
            outstanding = self._outstanding.get(again.branch)
            if outstanding:
                left -= 1
                yield from self._fire(again, outstanding, now)

    def _fire(self, again: Again, outstanding: Outstanding, now: float) -> Iterator[str]:
        _, branch, interval, ends_at = again
        if now >= ends_at:
            yield self._fail(branch)
            return
        if not outstanding.flow.is_reliable:
            self.retransmitted += 1
            self._send(outstanding.data, outstanding.flow)
        interval = min(interval * 2, T2)
        heapq.heappush(self._later, Again(min(now + interval, ends_at), branch, interval, ends_at))
