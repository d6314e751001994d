"""How many requests a source may send: a bucket of tokens for each address."""

from __future__ import annotations

BURST = 10  # seconds' worth of requests that may come at once
MAX_SOURCES = 10_000  # addresses that are known; past it, the one seen first is forgotten


class Rates:
    """`per_second` requests from each address; `now` is in seconds of any clock that only rises."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._full = float(per_second * BURST)
        self._left: dict[str, tuple[float, float]] = {}
        self.refused = 0

    def take(self, host: str, now: float) -> bool:
        """Whether one more request from `host` is served."""
        left, since = self._left.get(host, (self._full, now))
        left = min(self._full, left + (now - since) * self._per_second)
        served = left >= 1.0
        if not served:
            self.refused += 1
        self._left[host] = (left - 1.0 if served else left, now)
        if len(self._left) > MAX_SOURCES:
            del self._left[next(iter(self._left))]
        return served
