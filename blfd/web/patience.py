"""How long clients wait that keep failing, or come with many others: phones for files, people at sign-in."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FREE_FAILURES = 5  # failures of a source before it waits
FIRST_WAIT, LONGEST_WAIT = 0.25, 8.0  # seconds
FORGET_AFTER = 600.0  # seconds without a failure
MAX_SOURCES = 10_000


class Patience:
    """How long a source that keeps failing has to wait: a name, or a sender as `hosts` has it.

    `now` is the time of any clock that only rises.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, source: str, now: float) -> float:
        """The seconds that a source has to wait now."""
        count, last = self._failures.get(source, (0, now))
        if now - last > FORGET_AFTER or count <= FREE_FAILURES:
            return 0.0
        return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (count - FREE_FAILURES - 1))

    def failed(self, source: str, now: float) -> None:
        count, last = self._failures.pop(source, (0, now))
        self._failures[source] = (1 if now - last > FORGET_AFTER else count + 1, now)
        if len(self._failures) > MAX_SOURCES:
            self._failures.popitem(last=False)

    def succeeded(self, source: str) -> None:
        self._failures.pop(source, None)


class Busy(Exception):
    """Too many wait already."""


class Turns:
    """Turns at expensive work: `at_once` callers have one at the same time, and `most` are here, with those
    who wait."""

    def __init__(self, at_once: int, most: int) -> None:
        self._free, self._room = asyncio.Semaphore(at_once), most

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the block ends. Raises Busy."""
        if self._room == 0:
            raise Busy
        self._room -= 1
        try:
            async with self._free:
                yield
        finally:
            self._room += 1
