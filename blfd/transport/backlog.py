"""SUBSCRIBEs that wait their turn, so that a storm of them holds up neither calls nor responses."""

from __future__ import annotations

from collections import deque

from blfd.core.values import Flow

SHORTEST, LONGEST = 5, 30  # seconds after which phones that were sent away come back, not all at once


class Backlog:
    """First in, first out, with at most `most` waiting."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.waiting: deque[tuple[bytes, Flow]] = deque()
        self._known: set[bytes] = set()
        self.refused = 0

    def put(self, data: bytes, flow: Flow) -> bool:
        """Let a message wait; False if there is no room. A retransmission of one that waits is left out."""
        if data in self._known:
            return True
        if len(self.waiting) >= self._most:
            self.refused += 1
            return False
        self._known.add(data)
        self.waiting.append((data, flow))
        return True

    def take(self) -> tuple[bytes, Flow]:
        data, flow = self.waiting.popleft()
        self._known.discard(data)
        return data, flow

    @property
    def retry_after(self) -> int:
        """Seconds after which a phone may come back, other ones for each that is refused."""
        return SHORTEST + self.refused * 7 % (LONGEST - SHORTEST)
