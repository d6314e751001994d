"""Media of pickups, and calls that are taken over while they are up."""

from __future__ import annotations

import pytest
from builders import (
    SDP,
    document,
    notifies,
    subscribe,
)
from office import AGAIN, PEOPLE, TO_CALLER, TO_PICKER, Office, answers, hung_up, identity, naming, replaces

from blfd.core.calls.attempts import Way
from blfd.core.calls.leg_effects import Identify, Offer, RefuseOffer, RespondToInfo
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    InfoResponseReceived,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.offer_answer import PAUSE, TIMES
from blfd.core.calls.outward import ELSEWHERE
from blfd.core.calls.refusals import NOBODY_NOW
from blfd.core.values import DialogId, Reason

# Media


def test_a_picker_without_an_offer_gets_the_callers_and_its_answer_goes_to_the_caller() -> None:
    office = Office()
    caller = office.call("101", "102")
    leg, effects = office.pick_up("103", "*97102", to_peer=None, to_picker=SDP)
    assert answers(effects) == {leg: (SDP, identity("101"))}
    assert hung_up(effects) == {office.phones[caller][0]: (487, ELSEWHERE)}, "it is won all the same"
    effects = office.give(LegAcknowledged(leg, b"its answer"))
    assert answers(effects) == {caller: (b"its answer", identity("103"))}
    assert office.give(LegAcknowledged(caller, None)) == []


def test_a_picker_that_never_answers_the_offer() -> None:
    office = Office()
    caller = office.call("101", "102")
    leg, _ = office.pick_up("103", "*97102", to_peer=None, to_picker=SDP)
    why = "The ACK has no SDP"
    cause = Reason(488, why)
    assert hung_up(office.give(LegAcknowledged(leg, None))) == {leg: (487, cause), caller: (488, why)}
    assert office.lamps("101", "103") == ["idle", "idle"]


def test_a_caller_without_an_offer() -> None:
    office = Office()
    caller = office.call("101", "102", None)
    leg, effects = office.pick_up("103", "*97102", to_peer=SDP, to_picker=None)
    assert answers(effects) == {caller: (SDP, identity("103"))}
    effects = office.give(LegAcknowledged(caller, b"its answer"))
    assert answers(effects) == {leg: (b"its answer", identity("101"))}
    assert office.give(LegAcknowledged(leg, None)) == []


def test_a_picker_that_numbers_its_codecs_otherwise_is_asked_again() -> None:
    office = Office()
    caller = office.call("101", "102")
    leg, _ = office.pick_up("103", "*97102", again=AGAIN)
    assert office.give(LegAcknowledged(leg, None)) == []
    assert office.give(LegAcknowledged(caller, None)) == [Offer(leg, AGAIN, identity("101"))]
    assert office.give(OfferAnswered(leg, 200, SDP)) == []


def test_a_caller_that_had_early_media_from_a_phone() -> None:
    office = Office()
    caller = office.call("101", "102", rings=False)
    office.ring(office.phones[caller][0], SDP)
    leg, effects = office.pick_up("103", "*97102")
    assert answers(effects) == {
        caller: (None, identity("103")),
        leg: (TO_PICKER, identity("101")),
    }
    assert office.give(LegAcknowledged(caller, None)) == []
    assert office.give(LegAcknowledged(leg, None)) == [Offer(caller, TO_CALLER, identity("103"))]


def test_early_media_and_a_picker_without_an_offer() -> None:
    office = Office()
    caller = office.call("101", "102", rings=False)
    office.ring(office.phones[caller][0], SDP)
    leg, effects = office.pick_up("103", "*97102", to_peer=None, to_picker=SDP)
    assert set(answers(effects)) == {caller, leg}
    assert office.give(LegAcknowledged(leg, b"its answer")) == []
    assert office.give(LegAcknowledged(caller, None)) == [Offer(caller, b"its answer", identity("103"))]


def test_a_caller_that_allows_update_is_told_who_it_is() -> None:
    office = Office()
    caller = office.call("101", "102", update=True)
    leg, _ = office.pick_up("103", "*97102")
    office.give(LegAcknowledged(leg, None))
    assert office.give(LegAcknowledged(caller, None)) == [Identify(caller, identity("103"))]


def test_a_picker_that_holds_from_the_start() -> None:
    office = Office()
    office.call("101", "102")
    leg = office.ask("103", "*97102", SDP + b"a=sendonly\r\n")
    office.give(MediaMatched(leg, True, TO_CALLER, TO_PICKER))
    assert office.lamps("101", "103") == ["talking", "held"]


def sdp(direction: str = "sendrecv", port: int = 4000) -> bytes:
    return b"m=audio %d RTP/AVP 0\r\na=%b\r\n" % (port, direction.encode())


@pytest.mark.parametrize(
    ("offered", "answered"), [("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")]
)
@pytest.mark.parametrize("with_offer", [True, False])
def test_a_caller_that_holds_is_answered_within_its_offer_and_then_asked_to_talk(
    offered: str, answered: str, with_offer: bool
) -> None:
    office = Office()
    caller = office.call("101", "102", sdp(offered))
    picked = sdp("sendrecv", 6000)
    leg, effects = office.pick_up("103", "*97102", to_peer=picked if with_offer else None)
    if not with_offer:
        effects = [*effects, *office.give(LegAcknowledged(leg, picked))]
    assert answers(effects)[caller] == (sdp(answered, 6000), identity("103"))
    if with_offer:
        office.give(LegAcknowledged(leg, None))
    assert office.give(LegAcknowledged(caller, None)) == [Offer(caller, picked, identity("103"))]
    assert office.give(OfferAnswered(caller, 200, sdp())) == []
    assert office.lamps("101", "103") == ["talking", "talking"]


# Calls that are taken over while they are up


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_take_over(side: str) -> None:
    office = Office()
    caller = office.talk("101", "102")
    (callee,) = office.phones[caller]
    (call,) = office.world.core.calls
    value = replaces(callee) if side == "callee" else naming(call.dialog)
    stays, goes, of = (caller, callee, "101") if side == "callee" else (callee, caller, "102")
    leg, effects = office.pick_up("103", "x", replaces=value)
    assert office.peer == stays
    assert answers(effects) == {leg: (TO_PICKER, identity(of))}
    assert hung_up(effects) == {goes: (487, ELSEWHERE)}
    assert [e for e in effects if isinstance(e, Offer)] == [Offer(stays, TO_CALLER, identity("103"))]
    assert office.attempts[-1].way is Way.TAKE_OVER
    assert office.lamps(of, "103", "102" if side == "callee" else "101") == ["talking", "talking", "idle"]
    assert office.give(OfferAnswered(stays, 200, SDP)) == []
    assert office.give(LegAcknowledged(leg, None)) == []
    assert hung_up(office.give(LegEnded(stays, 200, ""))) == {leg: (487, "")}
    assert office.lamps(*PEOPLE) == ["idle"] * 5


def test_take_over_without_an_offer() -> None:
    office = Office()
    caller = office.talk("101", "102")
    leg, effects = office.pick_up("103", "x", replaces=replaces(office.phones[caller][0]), to_peer=None)
    assert not [e for e in effects if isinstance(e, Offer)]
    assert office.give(LegAcknowledged(leg, b"its answer")) == [Offer(caller, b"its answer", identity("103"))]


def test_a_taken_over_phone_that_refuses_the_new_media_ends_the_call() -> None:
    office = Office()
    caller = office.talk("101", "102")
    leg, _ = office.pick_up("103", "x", replaces=replaces(office.phones[caller][0]))
    assert set(hung_up(office.give(OfferAnswered(caller, 488, None)))) == {caller, leg}


def test_take_over_of_a_call_that_is_just_being_set_up() -> None:
    office = Office()
    caller = office.call("101", "102")
    (leg,) = office.phones[caller]
    office.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", f"phone{leg}"), SDP))
    assert office.refused("103", "x", replaces=replaces(leg)).status == 491
    assert office.lamps("101", "102") == ["talking", "talking"]


def test_what_was_picked_up_can_be_taken_over_again() -> None:
    office = Office()
    office.world.confirm(office.give(subscribe("105", "103")))
    caller = office.call("101", "102")
    leg, effects = office.pick_up("103", "*97102")
    (dialog,) = document(notifies(effects)[0]).dialogs
    for acknowledged in (leg, caller):
        office.give(LegAcknowledged(acknowledged, None))
    value = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    _, effects = office.pick_up("104", "x", replaces=value)
    assert hung_up(effects) == {leg: (487, ELSEWHERE)}
    assert office.lamps("101", "103", "104") == ["talking", "idle", "talking"]


def held_call(office: Office, holder: int, other: int) -> None:
    office.give(OfferReceived(holder, sdp("sendonly")))
    office.give(OfferAnswered(other, 200, sdp("recvonly")))


@pytest.mark.parametrize("holds", ["who leaves", "who stays"])
def test_a_call_that_is_held_is_held_no_more_when_it_is_taken_over(holds: str) -> None:
    office = Office()
    caller = office.talk("101", "102")
    (callee,) = office.phones[caller]
    held_call(office, *((callee, caller) if holds == "who leaves" else (caller, callee)))
    assert office.lamps("101", "102") == ["talking", "held"][:: 1 if holds == "who leaves" else -1]
    leg, _ = office.pick_up("103", "x", replaces=replaces(callee))
    assert office.give(OfferAnswered(caller, 200, sdp())) == []
    office.give(LegAcknowledged(leg, None))
    assert office.lamps("101", "102", "103") == ["talking", "idle", "talking"]


@pytest.mark.parametrize("before_the_ack", [True, False])
def test_the_picker_is_told_where_the_other_ones_media_is_now(before_the_ack: bool) -> None:
    """Whoever stays was at 0.0.0.0 while it held, or answers that it goes on holding, as its lamp shows."""
    office = Office()
    caller = office.talk("101", "102")
    leg, _ = office.pick_up("103", "x", replaces=replaces(office.phones[caller][0]), to_picker=sdp())
    answered = OfferAnswered(caller, 200, sdp("sendonly", 4002))
    given = [answered, LegAcknowledged(leg, None)][:: 1 if before_the_ack else -1]
    effects = [effect for event in given for effect in office.give(event)]
    assert [e for e in effects if isinstance(e, Offer)] == [Offer(leg, sdp("sendonly", 4002))]
    assert office.lamps("101", "103") == ["held", "talking"]
    assert office.give(OfferAnswered(leg, 200, sdp("recvonly", 6002))) == [], "that is the end of it"


def test_an_offer_that_crosses_another_is_made_again() -> None:
    """Phones that offer one codec as soon as they have a 200 answer our offer by 491 (RFC 3261, 14.1)."""
    office = Office()
    caller = office.talk("101", "102")
    leg, effects = office.pick_up("103", "x", replaces=replaces(office.phones[caller][0]))
    (offer,) = [effect for effect in effects if isinstance(effect, Offer)]
    office.give(LegAcknowledged(leg, None))
    for _ in range(TIMES - 1):
        assert office.give(OfferAnswered(caller, 491, None)) == []
        assert office.world.at(office.world.now + PAUSE - 0.1) == []
        assert office.world.at(office.world.now + 0.1) == [offer]
    assert set(hung_up(office.give(OfferAnswered(caller, 491, None)))) == {caller, leg}


def test_who_asks_while_its_peer_is_replaced_is_answered() -> None:
    """An offer and an INFO for a phone that has gone are answered at once, and hinder nothing else."""
    office = Office()
    caller = office.talk("101", "102")
    (callee,) = office.phones[caller]
    office.give(OfferReceived(caller, sdp()))
    office.give(InfoReceived(caller, 7, "application/dtmf-relay", b"Signal=1"))
    leg, effects = office.pick_up("103", "x", replaces=replaces(callee))
    assert RefuseOffer(caller, 491, "Request Pending") in effects
    assert RespondToInfo(caller, 7, *NOBODY_NOW) in effects
    assert office.give(OfferAnswered(callee, 200, SDP)) == []
    assert office.give(InfoResponseReceived(callee, 7, 200)) == []
    assert office.give(OfferAnswered(caller, 200, SDP)) == []
    office.give(LegAcknowledged(leg, None))
    assert office.lamps("101", "103") == ["talking", "talking"]
