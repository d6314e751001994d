"""Whose turn it is to ask an upstream: so many a second, and so many that wait for a response.

A PBX that is silent is asked by one at a time, until it answers.
"""

from __future__ import annotations

MOST_OUT = 20


class Turns:
    """The turns of one upstream, by the numbers of who asks; `rate` is how many a second."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.is_silent = False
        self._waiting: dict[int, None] = {}  # the first to come is the first to go
        self._out: dict[int, float] = {}
        self._next_at = 0.0

    def __len__(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def want(self, number: int) -> None:
        self._waiting[number] = None

    def done(self, number: int) -> None:
        """Forget a number that has its response, or wants nothing any more."""
        self._out.pop(number, None)
        self._waiting.pop(number, None)

    def sent(self, number: int, now: float) -> None:
        self._waiting.pop(number, None)
        self._out[number] = now

    def take(self, now: float) -> int | None:
        """The number that may ask now, the first of those that wait; None for none."""
        if not self._waiting or now < self._next_at:
            return None
        if len(self._out) >= (1 if self.is_silent else MOST_OUT):
            return None
        number = next(iter(self._waiting))
        del self._waiting[number]
        self._next_at = max(self._next_at, now - 1.0) + 1.0 / self.rate
        return number

    def next(self, now: float) -> float | None:
        """When to look again; None where nobody waits, or a response has to come first."""
        if not self._waiting or len(self._out) >= (1 if self.is_silent else MOST_OUT):
            return None
        return max(now, self._next_at)
