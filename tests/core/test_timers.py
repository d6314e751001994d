"""The core's clock: what is due comes once and in order; what is put off again and again does not pile up."""

from __future__ import annotations

from builders import World, register, reply, subscribe
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.effects import Effect, Failed, Level, Log
from blfd.core.timers import SPARE, Timers

STEPS = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 3), st.integers(0, 20)),
    st.tuples(st.just("cancel"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("wait"), st.just(0), st.integers(0, 10)),
)


@given(st.lists(STEPS, max_size=60))
def test_each_key_is_due_at_its_last_time(steps: list[tuple[str, int, int]]) -> None:
    now, times = 0.0, dict[int, float]()
    timers = Timers[int](lambda key, now: [Log(Level.INFO, f"{key}")])
    for step, key, seconds in steps:
        match step:
            case "set":
                times[key] = now + seconds
                timers.set(key, now + seconds)
            case "cancel":
                times.pop(key, None)
                timers.cancel(key)
            case "wait":
                now += seconds
                due = sorted((at, key) for key, at in times.items() if at <= now)
                assert timers.handle(now) == [Log(Level.INFO, f"{key}") for _, key in due]
                times = {key: at for key, at in times.items() if at > now}
        assert timers.next() == min(times.values(), default=None)
        assert all((key in timers) == (key in times) for key in range(4))


def test_what_is_due_may_set_and_cancel() -> None:
    told: list[tuple[str, float]] = []

    def due(key: str, now: float) -> list[Effect]:
        told.append((key, now))
        timers.cancel("cancelled")
        timers.set("again", now + 5)
        return []

    timers = Timers[str](due)
    for key in ("a", "b", "cancelled"):
        timers.set(key, 10.0)
    timers.handle(10.0)
    timers.handle(20.0)
    assert told == [("a", 10.0), ("b", 10.0), ("again", 20.0)]


def test_what_fails_takes_nothing_else_that_is_due_with_it() -> None:
    def due(key: str, now: float) -> list[Effect]:
        if key == "broken":
            raise RuntimeError("broken")
        return [Log(Level.INFO, key)]

    timers = Timers[str](due)
    for at, key in enumerate(("a", "broken", "b")):
        timers.set(key, float(at))
    first, failed, last = timers.handle(10.0)
    assert (first, last) == (Log(Level.INFO, "a"), Log(Level.INFO, "b"))
    assert isinstance(failed, Failed)
    assert "'broken'" in failed.error.__notes__[0]
    assert timers.next() is None, "it is not tried again at once"


def test_who_refreshes_all_the_time_leaves_nothing_behind() -> None:
    world = World()
    key = reply(world.give(subscribe("103", "102", 7200, call_id="watch"))).to_tag
    for number in range(2, 600):
        world.now += 0.01
        world.give(subscribe("103", "102", 7200, to_tag=key, call_id="watch", cseq=number))
        world.give(register("103", cseq=number))
    core = world.core
    for part in (core.notifier, core.registrar, core.calls, core.watchdog):
        assert len(part.timers) <= SPARE + 2 * 3
