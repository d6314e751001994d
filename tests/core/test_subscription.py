"""The table of a subscription: every pair of phase and event, and every short sequence of events."""

from __future__ import annotations

import itertools

import pytest
from builders import World, document, each, flow, notifies, reply, subscribe

from blfd.core.effects import Effect
from blfd.core.events.subscription import TRANSITIONS, Action, Event, Phase
from blfd.core.inputs import FlowClosed, NotifyLost
from blfd.core.messages import NotifyResponseReceived, SubscribeReceived
from blfd.core.values import Aor

IN_FLIGHT = {Phase.TELLING, Phase.OUTDATED, Phase.LEAVING, Phase.LAST}
ANSWERS = {Event.CONFIRMED, Event.REFUSED, Event.FAILED}


def possible(phase: Phase, event: Event) -> bool:
    """Whether an event can happen in a phase: an answer needs a NOTIFY in flight, and DUE a pause."""
    if phase is Phase.ENDED:
        return False
    if event in ANSWERS:
        return phase in IN_FLIGHT
    if event is Event.LOST:
        return phase in IN_FLIGHT or phase is Phase.UNREACHABLE  # the connection's end may come first
    if event is Event.DUE:
        return phase is Phase.RETRYING
    if event is Event.REFRESHED:
        return phase not in (Phase.LEAVING, Phase.LAST)  # a refresh is answered 481 then
    return True


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event", Event)
def test_every_pair_is_decided_or_impossible(phase: Phase, event: Event) -> None:
    assert ((phase, event) in TRANSITIONS) == possible(phase, event)


def test_a_notify_is_sent_only_when_none_is_in_flight() -> None:
    for (phase, event), (then, action) in TRANSITIONS.items():
        if action in (Action.SEND, Action.SEND_LAST):
            assert phase not in IN_FLIGHT or event in ANSWERS | {Event.LOST}
            assert then in IN_FLIGHT
        if action is Action.FORGET:
            assert then is Phase.ENDED


STEPS = ("change", "refresh", "200", "481", "503", "unsubscribe", "wait", "closed")


class Watcher:
    """One watcher over TCP and what it sees, driven through the whole core.

    The watcher comes again over another connection each time; without one it is reached at its contact alone.
    """

    def __init__(self, contact: str) -> None:
        self.world = World(phones=())
        self.contact = contact
        self.connections = 0
        self.closed = False
        effects = self.world.give(self.asked(subscribe(call_id="s", cseq=1, contact=contact)))
        self.key = reply(effects).to_tag
        self.cseq = 1
        self.versions: list[int] = []
        self.in_flight = False
        self.last = False
        self.take(effects)

    def asked(self, subscribe: SubscribeReceived) -> SubscribeReceived:
        self.connections += self.closed
        self.closed = False
        self.flow = flow("103", "tcp")._replace(port=self.connections + 1)
        return subscribe._replace(request=subscribe.request._replace(flow=self.flow))

    def close(self) -> None:
        """Close its connection, and lose with that the NOTIFY that is in flight."""
        self.closed = True
        flow = self.told_by if self.in_flight else self.flow
        effects = list(self.world.give(FlowClosed(flow)))
        if self.in_flight:
            self.in_flight, self.last = False, False
            effects += self.world.give(NotifyLost(self.key, flow))
        self.take(effects)

    def take(self, effects: list[Effect]) -> None:
        for notify in notifies(effects):
            self.told_by = notify.flow
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
                self.take(each(world.core.notifier.resources_changed([Aor("default", "102")], world.now)))
            case "refresh" | "unsubscribe":
                self.cseq += 1
                expires = 600 if step == "refresh" else 0
                again = subscribe(
                    expires=expires, to_tag=self.key, call_id="s", cseq=self.cseq, contact=self.contact
                )
                self.take(list(world.give(self.asked(again))))
            case "200" | "481" | "503":
                if self.in_flight:
                    self.in_flight = False
                    self.take(list(world.give(NotifyResponseReceived(self.key, int(step)))))
            case "closed":
                self.close()
            case "wait":
                self.take(list(world.at(world.now + 20)))


@pytest.mark.parametrize(
    ("contact", "length"),
    [("sip:103@198.51.100.7:5062", length) for length in (1, 2, 3, 4)]
    + [("sip:103@10.0.0.7:5062", length) for length in (1, 2, 3)],
)
def test_every_short_sequence(contact: str, length: int) -> None:
    for steps in itertools.product(STEPS, repeat=length):
        watcher = Watcher(contact)
        for step in steps:
            watcher.step(step)
        assert watcher.versions == list(range(len(watcher.versions))), steps
        if "unsubscribe" in steps and not {"481", "closed"} & set(steps):
            for _ in range(3):
                watcher.step("200")
            assert watcher.last, (steps, "the watcher was not told of the end")
