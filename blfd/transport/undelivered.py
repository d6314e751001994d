"""Messages of calls that have to arrive although their peer cannot be reached now.

By UDP such a message is sent until it is answered. By a connection it would be lost where that cannot be
made, is in back-off, or ends before anything came back. So it waits here as long as its transaction does,
attempts to connect go at the pace of UDP's retransmissions (RFC 3261, section 17), and a copy is no other
message to its peer, as it has the same branch.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from blfd.core.values import Flow

FIRST, LONGEST = 0.5, 4.0  # seconds between attempts: T1, T2
PATIENCE = 64 * FIRST  # timers B, F and H
MOST_OCTETS = 1 << 20  # of one peer
MOST_PEERS = 1000


@dataclass(slots=True)
class Waiting:
    """What waits for one peer: until when each message does, and if it stays until something is heard."""

    next_at: float
    pause: float = FIRST
    octets: int = 0
    messages: deque[tuple[float, bytes, bool]] = field(default_factory=deque)


class Undelivered:
    """What waits, by peer. The caller gives the time."""

    def __init__(self) -> None:
        self._by_flow: dict[Flow, Waiting] = {}

    def __contains__(self, flow: Flow) -> bool:
        return flow in self._by_flow

    def add(self, flow: Flow, data: bytes, now: float, *, wants_response: bool) -> bool:
        """Keep a message; False where there is no room."""
        waiting = self._by_flow.get(flow)
        if waiting is None:
            if len(self._by_flow) >= MOST_PEERS:
                return False
            waiting = self._by_flow[flow] = Waiting(now + FIRST)
        if any(known == data for _, known, _ in waiting.messages):
            return True
        if waiting.octets + len(data) > MOST_OCTETS:
            return False
        waiting.messages.append((now + PATIENCE, data, wants_response))
        waiting.octets += len(data)
        return True

    def take(self, flow: Flow, now: float) -> list[bytes]:
        """What is sent to a peer now that it is reached; what wants a response stays, in case none comes."""
        waiting = self._by_flow.get(flow)
        if waiting is None:
            return []
        found = [data for until, data, _ in waiting.messages if until > now]
        self._keep(flow, waiting, [one for one in waiting.messages if one[2]])
        return found

    def arrived(self, flow: Flow) -> None:
        """Forget what a peer was sent, as something came back."""
        self._by_flow.pop(flow, None)

    def due(self, now: float) -> list[Flow]:
        """The peers that are tried now, if there is no connection: each again after a longer pause."""
        due = [flow for flow, waiting in self._by_flow.items() if waiting.next_at <= now]
        for flow in due:
            waiting = self._by_flow[flow]
            waiting.pause = min(waiting.pause * 2, LONGEST)
            waiting.next_at = now + waiting.pause
        return due

    def expired(self, now: float) -> list[tuple[Flow, int]]:
        """Forget what has waited for too long; how many messages, by peer."""
        found: list[tuple[Flow, int]] = []
        for flow, waiting in list(self._by_flow.items()):
            left = [one for one in waiting.messages if one[0] > now]
            if len(left) < len(waiting.messages):
                found.append((flow, len(waiting.messages) - len(left)))
                self._keep(flow, waiting, left)
        return found

    def _keep(self, flow: Flow, waiting: Waiting, messages: list[tuple[float, bytes, bool]]) -> None:
        waiting.messages = deque(messages)
        waiting.octets = sum(len(data) for _, data, _ in messages)
        if not messages:
            del self._by_flow[flow]

    def next_at(self) -> float | None:
        """When an attempt is due next; None if nothing waits."""
        if not self._by_flow:
            return None
        return min(waiting.next_at for waiting in self._by_flow.values())
