"""How many requests somebody may send: a bucket of tokens for each address, extension or tenant."""

from __future__ import annotations

BURST = 10  # seconds' worth of requests that may come at once
MAX_KNOWN = 10_000  # senders; past it, the one seen first is forgotten


class Rates:
    """`per_second` requests from each sender; `now` is in seconds of any clock."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._full = float(per_second * BURST)
        self._left: dict[str, tuple[float, float]] = {}
        self.refused = 0

    def take(self, sender: str, now: float) -> bool:
        """Whether one more request from `sender` is served."""
        left, since = self._left.get(sender, (self._full, now))
        left = min(self._full, left + max(0.0, now - since) * self._per_second)
        served = left >= 1.0
        if not served:
            self.refused += 1
        self._left[sender] = (left - 1.0 if served else left, now)
        if len(self._left) > MAX_KNOWN:
            del self._left[next(iter(self._left))]
        return served
