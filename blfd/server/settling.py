"""Inputs go to the core, and what it wants is done, until there is nothing left to do."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from blfd.core.effects import LOGGED, Effect
from blfd.core.inputs import Input

log = logging.getLogger("blfd")


class Settling:
    """Has inputs handled. `begin` says what time it is when inputs are taken, `perform` does an effect.
    The owner sets `handle`, which is the core's, before the first input.

    The core takes all inputs that wait before what it wants is performed: a step that is taken many times in
    a row takes less time each. In which order inputs and effects come is the same as one by one.
    """

    handle: Callable[[Input, float], list[Effect]]

    def __init__(self, begin: Callable[[], float], perform: Callable[[Effect], None]) -> None:
        self._begin, self._perform = begin, perform
        self._inputs: deque[Input] = deque()
        self._busy = False
        self._faults: list[Exception] = []

    def emit(self, *events: Input) -> None:
        """Take inputs, as `Emit`; what effects lead to meanwhile is taken in turn, before the outermost call
        returns."""
        self._inputs += events
        if not self._busy:
            self.settle([])

    def settle(self, effects: list[Effect]) -> None:
        """Perform effects, and all that this leads to.

        What fails concerns one input, or one effect, alone; the first fault is raised when all is done.
        """
        self._busy = True
        wanted = [effects]
        try:
            while wanted:
                for each in wanted:
                    for effect in each:
                        try:
                            self._perform(effect)
                        except Exception as fault:
                            self._faults.append(fault)
                wanted = self._take() if self._inputs else []
        finally:
            self._busy = False
        if self._faults:
            (first, *further), self._faults = self._faults, []
            for another in further:
                log.error("something was not done", exc_info=another)
            raise first

    def _take(self) -> list[list[Effect]]:
        """The effects that the inputs that wait lead to, of each."""
        inputs, now = self._inputs, self._begin()
        wanted = []
        while inputs:
            event = inputs.popleft()
            try:
                wanted.append(self.handle(event, now))
            except Exception as fault:
                fault.add_note(f"it was about {event!r}"[:LOGGED])
                self._faults.append(fault)
        return wanted
