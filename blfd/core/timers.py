"""When something is due: the one clock that all parts of the core set."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from blfd.core.effects import Effect, apart

K = TypeVar("K", bound=Any)

SPARE = 100  # entries that are out of date and not worth a clean-up


class Timers(Generic[K]):
    """One time for each key, in seconds since the epoch; `due` says what to do about one when it has come.

    Keys have an order. A time that is set anew, or cancelled, leaves its entry in the queue: that is skipped
    when it comes, and cleared away when most entries are such: who refreshes again and again costs nothing.
    """

    def __init__(self, due: Callable[[K, float], list[Effect]]) -> None:
        self._due = due
        self._times: dict[K, float] = {}
        self.queue: list[tuple[float, K]] = []  # for who asks often: nothing is due where it is empty

    def __contains__(self, key: K) -> bool:
        return key in self._times

    def __len__(self) -> int:
        """How many entries are in the queue."""
        return len(self.queue)

    def set(self, key: K, at: float) -> None:
        """Have `key` due at `at`, and no longer when it was before."""
        if self._times.get(key) == at:
            return
        self._times[key] = at
        heapq.heappush(self.queue, (at, key))
        if len(self.queue) > 2 * len(self._times) + SPARE:
            self.queue = [(at, key) for key, at in self._times.items()]
            heapq.heapify(self.queue)

    def cancel(self, key: K) -> None:
        """Have `key` not due any more; nothing happens where it was not set."""
        self._times.pop(key, None)

    def at(self, key: K) -> float | None:
        """When a key is due; None where it is not set."""
        return self._times.get(key)

    def next(self) -> float | None:
        """When `handle` wants to be called; None for never."""
        queue = self.queue
        while queue and self._times.get(queue[0][1]) != queue[0][0]:
            heapq.heappop(queue)
        return queue[0][0] if queue else None

    def handle(self, now: float) -> list[Effect]:
        """Do what is due, the earliest first."""
        effects: list[Effect] = []
        while (at := self.next()) is not None and at <= now:
            key = heapq.heappop(self.queue)[1]
            del self._times[key]
            effects += apart(self._due, key, now)
        return effects


def chance(token: str) -> float:
    """A number from 0 to 1, by a token made at random: so that what many do is not done at once."""
    return zlib.crc32(token.encode()) / 2**32
