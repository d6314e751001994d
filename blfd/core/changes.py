"""Which lamps have changed since when, for who looks on beside the phones: portal and API."""

from __future__ import annotations

from collections import OrderedDict, deque

from blfd.core.calls.attempts import Attempt
from blfd.core.values import Aor

REMEMBERED = 1000  # attempts to pick up


class Changed(dict[Aor, None]):
    """Extensions that have changed since they were last asked for, in order; false while there is none."""

    def add(self, aor: Aor) -> None:
        self[aor] = None

    def take(self) -> list[Aor]:
        taken = list(self)
        self.clear()
        return taken


class Changes:
    """Changes by numbers that only rise; each has one. It costs one entry an extension, whoever looks on."""

    def __init__(self) -> None:
        self.number = 0
        self._all = 0  # when everything may have changed
        self._lamps: OrderedDict[Aor, int] = OrderedDict()
        self._attempts: deque[tuple[int, Attempt]] = deque(maxlen=REMEMBERED)

    def lamp(self, aor: Aor) -> None:
        """A lamp shows something else, or the phones of its extension have come or gone."""
        self.number += 1
        self._lamps[aor] = self.number
        self._lamps.move_to_end(aor)

    def attempt(self, attempt: Attempt) -> None:
        """Somebody has tried to pick up."""
        self.number += 1
        self._attempts.append((self.number, attempt))

    def everything(self) -> None:
        """Extensions have come, gone or got other names."""
        self.number += 1
        self._all = self.number
        self._lamps.clear()

    def lamps_since(self, number: int) -> list[Aor] | None:
        """The lamps that changed after a number; None where it may be all of them."""
        if number < self._all or number > self.number:
            return None
        found = []
        for aor in reversed(self._lamps):
            if self._lamps[aor] <= number:
                break
            found.append(aor)
        return found[::-1]

    def attempts_since(self, number: int) -> list[Attempt]:
        """The attempts after a number that are remembered, the oldest first."""
        return [attempt for at, attempt in self._attempts if at > number]
