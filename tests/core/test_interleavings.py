"""Any order of events, and lost ones: the lamps stay true, and nothing waits for ever (Hypothesis)."""

from __future__ import annotations

from builders import SDP, World, invite, notifies, request, subscribe, uri
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from random_phones import PEOPLE
from random_transfers import TransferringPhones

from blfd.core.calls.leg_effects import Accept, Dial, Offer
from blfd.core.calls.leg_inputs import (
    InfoResponseReceived,
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegNotified,
    LegProgress,
    LegsListed,
    MediaFound,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.effects import Reply
from blfd.core.events.subscription import IN_FLIGHT
from blfd.core.messages import NotifyResponseReceived, ReferReceived, ReferTo
from blfd.core.party import State
from blfd.core.values import Aor, DialogId
from dialog_info import DialogState, same_state

LOSABLE = (
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegNotified,
    LegProgress,
    LegsListed,
    MediaFound,
    MediaMatched,
    InfoResponseReceived,
    NotifyResponseReceived,
    OfferAnswered,
)


class Switchboard(TransferringPhones):
    """What is true after every step, and when the phones have fallen silent."""

    @invariant()
    def calls_are_counted(self) -> None:
        calls = list(self.world.core.calls)
        for sender in {call.sender for call in calls} | {"192.0.2.250"}:
            of_sender = sum(call.sender == sender for call in calls)
            for who in (Aor("default", each) for each in PEOPLE):
                own = sum(call.caller.aor == who for call in calls)
                assert self.world.core.calls.census.of(who, sender) == (own, len(calls), of_sender)

    @invariant()
    def who_confirmed_knows_the_truth(self) -> None:
        for subscription in self.world.core.notifier.subscriptions:
            if subscription.phase.name == "TOLD":
                truth = self.world.core.dialogs.document(
                    subscription.resource, subscription.entity, pickup_code="*97"
                )
                assert same_state(self.told[subscription.key], truth)

    @invariant()
    def no_call_no_dialog(self) -> None:
        if not len(self.world.core.calls) and not self.world.core.transfers.legs():
            assert all(not self.world.core.dialogs.of(Aor("default", who)) for who in PEOPLE)

    @invariant()
    def the_core_knows_the_legs_that_live(self) -> None:
        assert self.known() <= self.legs.keys() | self.lost

    @invariant()
    def every_attempt_is_answered_once(self) -> None:
        pickers = [leg for leg in self.legs.keys() | self.lost if leg in self.world.core.pickups]
        assert self.attempts == len(pickers)

    @invariant()
    def a_lamp_that_talks_is_in_a_call(self) -> None:
        calls = list(self.world.core.calls)
        for who in PEOPLE:
            for dialog in self.world.core.dialogs.of(Aor("default", who)):
                among = [leg for call in calls for leg in call.legs()]
                assert dialog.leg in among or dialog.leg in self.world.core.transfers.legs()

    @invariant()
    def a_leg_is_in_one_place(self) -> None:
        among = [leg for call in self.world.core.calls for leg in call.legs()]
        among += self.world.core.transfers.legs()
        assert len(among) == len(set(among))

    @invariant()
    def who_talks_has_a_lamp_that_says_so(self) -> None:
        dialogs = self.world.core.dialogs
        for call in self.world.core.calls:
            if call.state is State.TALKING:
                ends = (call.caller.aor, call.caller_leg), (call.callee.aor, call.answered_leg)
                shown = [found.state for end in ends for found in [dialogs.get(*end)] if found]
                assert shown == [DialogState.CONFIRMED] * 2

    @invariant()
    def what_is_stored_goes_on(self) -> None:
        """A call that is up is stored as it is, one that changes as it was; who waits is in its last call."""
        calls = {call.number: call for call in self.world.core.calls}
        waiting = self.world.core.transfers.legs()
        legs = [seat.leg for one in self.stored.values() for seat in (one.caller, one.callee)]
        assert len(legs) == len(set(legs)), "a leg is stored once"
        for number, one in self.stored.items():
            assert number in calls or {one.caller.leg, one.callee.leg} & waiting
        for call in calls.values():
            known = self.world.core.calls.keeping.legs.keys() >= set(call.legs())
            if call.is_up and known and not call.is_stood_in:
                one = self.stored[call.number]
                assert (one.caller.leg, one.callee.leg) == (call.caller_leg, call.answered_leg)

    def known(self) -> set[int]:
        legs = {leg for call in self.world.core.calls for leg in call.legs() if leg > 0}
        return legs | self.world.core.transfers.legs()

    def teardown(self) -> None:
        """Let the phones fall silent: only calls that are up go on, and nobody waits for an answer."""
        self.losing.clear()
        for number in sorted(self.storing):
            self.store(number, 200)
        for _ in range(20):
            for key in sorted(self.flying):
                self.confirm(key, 200)
            for leg in sorted(self.ending - self.endless):
                self.ending.discard(leg)
                self.give(LegEnded(leg, 200, ""))
            self.take(self.world.at(self.world.now + 30))
        assert {call.state for call in self.world.core.calls} <= {State.TALKING}
        assert self.known() == self.legs.keys()
        assert not self.ending
        assert not self.world.core.codes.legs()
        assert not self.attempts
        assert not self.asking, "who waits for the answer to its offer"
        assert not self.informing, "or to its INFO"
        assert self.stored.keys() <= {call.number for call in self.world.core.calls}
        for call in self.world.core.calls:
            offer = OfferReceived(call.caller_leg, SDP)
            assert Offer in map(type, self.world.give(offer)), "nothing is under way that hinders it"
            refer = ReferReceived(request("REFER"), call.caller_leg, ReferTo(uri("*98")))
            (refused,) = [e for e in self.world.give(refer) if isinstance(e, Reply)]
            assert refused.status in (403, 483), "nor a transfer"
        subscriptions = self.world.core.notifier.subscriptions
        assert {one.key for one in subscriptions if one.phase in IN_FLIGHT} == self.flying.keys()


class Lossy(Switchboard):
    """A switchboard where now and then something that should come never arrives, whatever the cause."""

    @rule(kind=st.sampled_from(LOSABLE))
    def the_next_is_lost(self, kind: type) -> None:
        self.losing.add(kind)

    @precondition(lambda self: self.legs)
    @rule(data=st.data())
    def a_leg_is_lost(self, data: st.DataObject) -> None:
        leg = self.pick(data, *self.legs.values())
        self.gone(leg)
        self.lost.add(leg)

    @precondition(lambda self: self.ending - self.endless)
    @rule(data=st.data())
    def a_leg_does_not_end(self, data: st.DataObject) -> None:
        self.endless.add(data.draw(st.sampled_from(sorted(self.ending - self.endless))))


TestLossy = Lossy.TestCase
TestLossy.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestSwitchboard = Switchboard.TestCase
TestSwitchboard.settings = settings(max_examples=500, stateful_step_count=50, deadline=None)


def test_a_storm_of_everything_leaves_nothing() -> None:
    """A call that goes through every state and is watched by all ends with no record of it."""
    world = World()
    for who in PEOPLE:
        world.confirm(world.give(subscribe(who, "102")))
    (accept,) = world.give(invite())
    assert isinstance(accept, Accept)
    effects = world.give(LegAccepted(accept.leg, "t"))
    (dial,) = [effect for effect in effects if isinstance(effect, Dial)]
    for event in (
        LegProgress(dial.leg, 180, "", DialogId("id", "o", "p"), None),
        LegAnswered(dial.leg, DialogId("id", "o", "p"), SDP),
        LegAcknowledged(accept.leg, None),
        LegEnded(accept.leg, 200, ""),
    ):
        effects = world.give(event)
        assert len(notifies(effects)) == (0 if isinstance(event, LegAcknowledged) else 3)
        world.confirm(effects)
    assert len(world.core.calls) == 0
