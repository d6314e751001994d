"""Inputs that should come and never do: the call ends on both sides with the reason, and is counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from builders import SDP, World, dials, invite, notifies, subscribe
from office import Office, replaces

from blfd.core.calls.leg_effects import Accept, Drop, HangUp, ListLegs, RespondToInfo
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegsListed,
    OfferReceived,
)
from blfd.core.effects import Effect, Log
from blfd.core.values import DialogId, Reason
from blfd.core.watchdog import END, LIST, NOTIFY, OFFER, TRANSACTION

CALL = "call 101 -> 102"


def not_accepted(office: Office) -> list[int]:
    (accept,) = office.give(invite("101", "102"))
    assert isinstance(accept, Accept)
    return [accept.leg]


def picker_not_accepted(office: Office) -> list[int]:
    office.call("101", "102")
    (accept,) = office.give(invite("103", "*97102"))
    assert isinstance(accept, Accept)
    return [accept.leg]


def not_matched(office: Office) -> list[int]:
    office.call("101", "102")
    return [office.ask("103", "*97102")]


def no_ack(office: Office) -> list[int]:
    caller = office.call("101", "102")
    (phone,) = office.phones[caller]
    office.give(LegAnswered(phone, DialogId(f"id{phone}", "ours", f"phone{phone}"), SDP))
    return [caller, phone]


def no_ack_with_the_answer(office: Office) -> list[int]:
    """A call with a delayed offer, whose ACK would bring the answer that the callee's phone waits for."""
    caller = office.call("101", "102", None)
    (phone,) = office.phones[caller]
    office.give(LegAnswered(phone, DialogId(f"id{phone}", "ours", f"phone{phone}"), SDP))
    return [caller, phone]


def no_ack_of_the_picker(office: Office) -> list[int]:
    caller = office.call("101", "102")
    leg, _ = office.pick_up("103", "*97102")
    office.give(LegAcknowledged(caller, None))
    return [caller, leg]


def change_of_media_not_answered(office: Office) -> list[int]:
    caller = office.talk("101", "102")
    office.give(OfferReceived(caller, SDP))
    return [caller, *office.phones[caller]]


def own_offer_not_answered(office: Office) -> list[int]:
    """A take-over, in which our offer to the phone that stays has no answer."""
    caller = office.talk("101", "102")
    leg, _ = office.pick_up("103", "x", replaces=replaces(office.phones[caller][0]))
    office.give(LegAcknowledged(leg, None))
    return [caller, leg]


WAITS: dict[str, tuple[Callable[[Office], list[int]], float, str]] = {
    "the caller's leg is not made": (not_accepted, TRANSACTION, "the INVITE of 101 was not taken"),
    "the picker's leg is not made": (picker_not_accepted, TRANSACTION, "the INVITE of 103 was not taken"),
    "media is not matched": (not_matched, TRANSACTION, "the media of 103 was not matched"),
    "no ACK": (no_ack, TRANSACTION, "101 has not acknowledged the answer"),
    "no ACK with an answer": (no_ack_with_the_answer, TRANSACTION, "101 has not acknowledged the answer"),
    "no ACK of the picker": (no_ack_of_the_picker, TRANSACTION, "103 has not acknowledged the answer"),
    "no answer to a phone's offer": (
        change_of_media_not_answered,
        OFFER,
        "102 has not answered a change of media",
    ),
    "no answer to our offer": (own_offer_not_answered, OFFER, "101 has not answered a change of media"),
}


@pytest.mark.parametrize("what", WAITS)
def test_what_never_comes_ends_the_call(what: str) -> None:
    happens, seconds, why = WAITS[what]
    office = Office()
    legs = happens(office)
    end = office.world.now + seconds
    assert said(through(office.world, end - 1)) == []
    effects = through(office.world, end)
    assert {e.leg: e.reason or e.cause for e in effects if isinstance(e, HangUp) and e.leg in legs} == {
        leg: why if leg == legs[0] else Reason(500, why) for leg in legs
    }
    (line,) = said(effects)
    assert why in line
    assert line.startswith("pickup by 103" if len(legs) == 1 and "103" in why else "call 101 -> 10")
    assert office.world.core.watchdog.overdue == 1
    through(office.world, end + 200)
    assert len(office.world.core.calls) == 0
    assert office.lamps("101", "102", "103") == ["idle"] * 3
    assert office.world.core.watchdog.overdue == 1


def through(world: World, until: float) -> list[Effect]:
    """The effects of each second until `until`."""
    effects: list[Effect] = []
    while world.now < until:
        effects += world.at(min(until, world.now + 1))
    return effects


def said(effects: list[Effect]) -> list[str]:
    """The lines that tell the operator what was given up."""
    return [effect.text for effect in effects if isinstance(effect, Log) and "given up" in effect.text]


def test_a_leg_that_does_not_end_is_dropped() -> None:
    """The leg was hung up and its call is long over: only the stack still has it."""
    world = World(phones=("101", "102"), stack=False)
    caller, phone = talk(world)
    world.give(LegEnded(phone, 200, ""))
    end = world.now + END
    assert Drop(caller) not in through(world, end - 1)
    effects = through(world, end)
    assert Drop(caller) in effects
    (line,) = said(effects)
    assert line.startswith(f"{CALL}: the phone of 101 has not taken the end of its call")
    assert world.give(LegEnded(caller, 408, "")) == []
    assert said(through(world, end + 200)) == []


def test_a_leg_that_the_stack_has_no_more_has_ended() -> None:
    """Nobody told the core of the leg's end: the other side and the lamps hear of it within half a minute."""
    world = World(phones=("101", "102"), stack=False)
    caller, phone = talk(world)
    assert ListLegs() in through(world, world.now + LIST)
    assert world.give(LegsListed(frozenset((caller, phone)))) == []
    assert ListLegs() in through(world, world.now + LIST)
    effects = world.give(LegsListed(frozenset((caller,))))
    assert [e.leg for e in effects if isinstance(e, HangUp)] == [caller]
    (line,) = said(effects)
    assert line.startswith(f"{CALL}: the leg of 102 is lost")
    assert (world.lamp("101"), world.lamp("102")) == ("idle", "idle")


def test_a_leg_that_was_made_after_the_question_is_not_lost() -> None:
    world = World(phones=("101", "102"), stack=False)
    caller, phone = talk(world)
    assert ListLegs() in through(world, world.now + LIST)
    (accept,) = world.give(invite("102", "101"))
    assert isinstance(accept, Accept)
    world.give(LegAccepted(accept.leg, "ours"))
    assert world.give(LegsListed(frozenset((caller, phone)))) == []
    assert len(world.core.calls) == 2


def talk(world: World) -> tuple[int, int]:
    (accept,) = world.give(invite("101", "102"))
    assert isinstance(accept, Accept)
    (dial,) = dials(world.give(LegAccepted(accept.leg, "ours")))
    world.give(LegAnswered(dial.leg, DialogId("id", "ours", "theirs"), SDP))
    world.give(LegAcknowledged(accept.leg, None))
    return accept.leg, dial.leg


def test_an_info_is_answered_and_the_call_goes_on() -> None:
    office = Office()
    caller = office.talk("101", "102")
    office.give(InfoReceived(caller, 7, "application/dtmf-relay", b"Signal=1"))
    effects = through(office.world, office.world.now + TRANSACTION)
    (answer,) = [effect for effect in effects if isinstance(effect, RespondToInfo)]
    assert (answer.leg, answer.exchange, answer.status) == (caller, 7, 408)
    assert "102 has not answered an INFO" in said(effects)[0]
    assert office.lamps("101", "102") == ["talking", "talking"]


def test_a_notify_whose_answer_is_lost_is_sent_again() -> None:
    world = World()
    first = notifies(world.give(subscribe("103", "102")))
    effects = through(world, world.now + NOTIFY)
    assert not notifies(effects)
    effects += through(world, world.now + 10)
    assert len(said(effects)) == 1
    assert "the NOTIFY to 103 has no answer" in said(effects)[0]
    (again,) = notifies(effects)
    assert again.subscription == first[0].subscription


def test_all_goes_well_and_nothing_is_counted() -> None:
    """For an hour a call rings as long as it may, is picked up and taken over, and its phones talk."""
    office = Office()
    caller = office.call("101", "102")
    through(office.world, office.world.now + 115)
    leg, _ = office.pick_up("103", "*97102")
    for acknowledged in (leg, caller):
        office.give(LegAcknowledged(acknowledged, None))
    assert said(through(office.world, office.world.now + 3600)) == []
    assert office.lamps("101", "103") == ["talking", "talking"]
    office.give(LegEnded(leg, 200, ""))
    assert said(through(office.world, office.world.now + 200)) == []
    assert office.world.core.watchdog.overdue == 0
    assert office.world.core.watchdog.timers.next() is None, "there is nothing to look at"


@pytest.mark.parametrize("state", ["ringing", "answered"])
def test_a_call_that_is_never_up_is_given_up_whatever_the_cause(state: str) -> None:
    """The watchdog stands in for a call whose own clock fails, or that counts its ACKs wrongly."""
    office = Office()
    caller = office.call("101", "102")
    (call,) = office.world.core.calls
    if state == "ringing":
        office.world.core.calls.timers.cancel(call.number)
    else:
        (phone,) = office.phones[caller]
        office.give(LegAnswered(phone, DialogId(f"id{phone}", "ours", f"phone{phone}"), SDP))
        call.exchange.awaited.add(99)
        office.give(LegAcknowledged(caller, None))
    effects = through(office.world, office.world.now + 300)
    assert len(said(effects)) == 1
    assert office.lamps("101", "102") == ["idle", "idle"]
