"""The clock that the core goes by, while somebody sets the system's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from blfd.server.clock import STEP, Clock


class Machine:
    """A machine's clocks; `wait` has time pass, `set_clock` moves the system's alone."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000.0, 50.0

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def set_clock(self, seconds: float) -> None:
        self.wall += seconds


SECONDS = st.floats(-1e8, 1e8)
STEPS = st.lists(st.tuples(st.sampled_from(("wait", "set", "look")), SECONDS), max_size=30)


@given(STEPS)
def test_time_goes_on_evenly_and_what_is_stored_is_in_the_systems(steps: list[tuple[str, float]]) -> None:
    machine = Machine()
    clock = Clock(lambda: machine.wall, lambda: machine.steady)
    passed = 0.0
    for step, seconds in steps:
        match step:
            case "wait":
                machine.wait(abs(seconds))
                passed += abs(seconds)
            case "set":
                machine.set_clock(seconds)
            case "look":
                before, step_taken = clock.offset, clock.set_by()
                assert abs(clock.offset - before - step_taken) < 1e-3
                assert clock.set_by() == 0.0, "it is told once"
                assert abs(clock.now() + clock.offset - machine.wall) < STEP + 1e-3
        assert abs(clock.now() - 1_800_000_000.0 - passed) < 1e-3
