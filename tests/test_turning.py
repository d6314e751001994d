"""The loop goes on whatever fails in a turn, and gives up what fails for ever."""

from __future__ import annotations

import logging

import pytest

from blfd.server.turning import MOST_FAILED, turn_until


class Loop:
    """Turns, of which those with a number in `failing` fail."""

    def __init__(self, failing: set[int], turns: int) -> None:
        self.turns, self._failing, self._last = 0, failing, turns

    def run(self) -> None:
        turn_until(lambda: self.turns == self._last, self._turn)

    def _turn(self) -> None:
        self.turns += 1
        if self.turns in self._failing:
            raise RuntimeError(f"turn {self.turns}")


def test_what_fails_in_a_turn_is_logged_and_the_loop_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop({2, 5}, 7)
    with caplog.at_level(logging.ERROR):
        loop.run()
    assert loop.turns == 7
    told = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert told == ["turn 2", "turn 5"]


def test_what_fails_turn_after_turn_ends_the_loop() -> None:
    loop = Loop(set(range(3, 1000)), 1000)
    with pytest.raises(RuntimeError, match=f"turn {MOST_FAILED + 2}$"):
        loop.run()
    Loop({number for number in range(1000) if number % MOST_FAILED}, 1000).run()
