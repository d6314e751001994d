"""The time that all of the core goes by, in seconds since the epoch: it goes on evenly.

The system's clock may be set by hours while the server runs: by NTP on a machine that has no clock of its
own, by hand, when a virtual machine is resumed. What expires in so many seconds does so all the same. What is
stored is in the system's time, which the next process begins with; `offset` leads from ours to that.
"""

from __future__ import annotations

import time
from collections.abc import Callable

STEP = 2.0  # seconds: what the system's clock differs by when it was set; a leap second is none


def _steady() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)  # which goes on while a machine is suspended


class Clock:
    """`wall` is the system's time, `steady` one of a clock that nobody sets."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = _steady) -> None:
        self._wall, self._steady = wall, steady
        self._base = wall() - steady()
        self.offset = 0.0

    def now(self) -> float:
        return self._base + self._steady()

    def set_by(self) -> float:
        """By how much the system's clock was set since the last call; 0.0 where it was not."""
        drift = self._wall() - self.now() - self.offset
        if abs(drift) < STEP:
            return 0.0
        self.offset += drift
        return drift
