"""The subscription's table: every pair, and every short sequence."""

from __future__ import annotations

import itertools

import pytest
from builders import World, document, notifies, reply, subscribe

from blfd.core.events.subscription import TRANSITIONS, Action, Event, Phase
from blfd.core.inputs import NotifyAnswered
from blfd.core.values import Aor

IN_FLIGHT = {Phase.TELLING, Phase.OUTDATED, Phase.LEAVING, Phase.LAST}
ANSWERS = {Event.CONFIRMED, Event.REFUSED, Event.FAILED}


def possible(phase: Phase, event: Event) -> bool:
    """An answer needs a NOTIFY in flight, a pause has an end, the rest can happen any time while alive."""
    if phase is Phase.ENDED:
        return False
    if event in ANSWERS:
        return phase in IN_FLIGHT
    if event is Event.DUE:
        return phase is Phase.RETRYING
    if event is Event.REFRESHED:
        return phase not in (Phase.LEAVING, Phase.LAST)  # answered 481
    return True


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event", Event)
def test_every_pair_is_decided_or_impossible(phase: Phase, event: Event) -> None:
    assert ((phase, event) in TRANSITIONS) == possible(phase, event)


def test_a_notify_is_sent_only_when_none_is_in_flight() -> None:
    for (phase, event), (then, action) in TRANSITIONS.items():
        if action in (Action.SEND, Action.SEND_LAST):
            assert phase not in IN_FLIGHT or event in ANSWERS
            assert then in IN_FLIGHT
        if action is Action.FORGET:
            assert then is Phase.ENDED


STEPS = ("change", "refresh", "200", "481", "503", "unsubscribe", "wait")


class Watcher:
    """One watcher and what it sees, driven through the whole core."""

    def __init__(self) -> None:
        self.world = World()
        effects = self.world.give(subscribe(call_id="s", cseq=1))
        self.key = reply(effects).to_tag
        self.cseq = 1
        self.versions: list[int] = []
        self.in_flight = False
        self.last = False
        self.take(effects)

    def take(self, effects: list[object]) -> None:
        for notify in notifies(effects):  # type: ignore[arg-type]
            assert not self.in_flight, "two NOTIFYs in flight"
            assert not self.last, "a NOTIFY after the last one"
            self.in_flight = True
            self.versions.append(document(notify).version)
            self.last = notify.expires is None

    def step(self, step: str) -> None:
        world = self.world
        world.now += 1
        match step:
            case "change":
                self.take(list(world.core.notifier.resources_changed([Aor("default", "102")], world.now)))
            case "refresh" | "unsubscribe":
                self.cseq += 1
                expires = 600 if step == "refresh" else 0
                again = subscribe(expires=expires, to_tag=self.key, call_id="s", cseq=self.cseq)
                self.take(list(world.give(again)))
            case "200" | "481" | "503":
                if self.in_flight:
                    self.in_flight = False
                    self.take(list(world.give(NotifyAnswered(self.key, int(step)))))
            case "wait":
                self.take(list(world.at(world.now + 20)))


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_every_short_sequence(length: int) -> None:
    for steps in itertools.product(STEPS, repeat=length):
        watcher = Watcher()
        for step in steps:
            watcher.step(step)
        assert watcher.versions == list(range(len(watcher.versions))), steps
        if "unsubscribe" in steps and "481" not in steps:
            for _ in range(3):
                watcher.step("200")
            assert watcher.last, (steps, "the watcher was not told of the end")
