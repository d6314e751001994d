"""The table of a leg: every pair of state and event, and what the leg does then, without PJSIP."""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest

from blfd.core.calls import leg_effects as e
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegFault,
    LegProgress,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.inputs import Input
from blfd.core.values import DialogId, Flow, Reason
from blfd.pjsip.errors import PjsipError
from blfd.pjsip.leg import NO_ACK, Leg, Outside, Said
from blfd.pjsip.leg_states import CONNECTED, OPEN, TABLE, Action, Event, State
from blfd.pjsip.session import Session
from blfd.sip.message import Request
from blfd.sip.reader import read

FLOW = Flow("udp", "192.0.2.5", 5060, 0)
SDP, OTHER = b"v=0 one", b"v=0 other"
UPDATE = (
    "UPDATE sip:blfd SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK{}\r\nFrom: <sip:1@a>;tag=1\r\n"
    "To: <sip:2@a>;tag=2\r\nCall-ID: c\r\nCSeq: 7 UPDATE\r\nContent-Length: 0\r\n\r\n"
)


def update(branch: str = "1") -> Request:
    message = read(UPDATE.format(branch).encode())
    assert isinstance(message, Request)
    return message


class Fake:
    """A session that notes what it is told; `fails` has the names of what PJSIP is to refuse."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.fails: set[str] = set()
        self.is_answered = self.awaits_ack = self.is_negotiating = False
        self.may_respond = self.is_up = self.has_agreed = self.has_offer = True
        self.misfit = "misfit"
        self.dialog_id = DialogId("c", "l", "r")

    def negotiating(self) -> bool:
        return self.is_negotiating

    def owes_answer(self) -> bool:
        return self.has_offer

    def __getattr__(self, name: str) -> Any:
        def do(*arguments: Any) -> object:
            self.asked.append((name, *arguments))
            if name in self.fails:
                raise PjsipError("no codec")
            return True

        return do


class Played:
    """A leg on a `Fake`, with what it has told the core, and the requests that it has had resumed."""

    def __init__(
        self, state: State = State.CALLING, *, is_caller: bool = False, delayed: bool = False
    ) -> None:
        self.session = Fake()
        self.told: list[Input] = []
        self.resumed: list[Request] = []
        outside = Outside(
            self.told.append, lambda request, flow: self.resumed.append(request), itertools.count(1)
        )
        target = "" if is_caller else "sip:102@192.0.2.5"
        session = cast(Session, self.session)
        self.leg = Leg(7, session, FLOW, "", (), outside, target=target, delayed_offer=delayed)
        for event in () if is_caller else WAYS[state]:
            self.give(event)
        assert is_caller or self.leg.state is state
        self.forget()

    def forget(self) -> None:
        self.told.clear()
        self.session.asked.clear()
        self.resumed.clear()

    def give(self, event: Event) -> object:
        """Have an event happen, as the core or PJSIP would, and return what the leg does."""
        leg = self.leg
        match event:
            case Event.RESPOND:
                leg.perform(e.Progress(7, 180, "Ringing"))
            case Event.OFFER:
                leg.perform(e.Offer(7, SDP))
            case Event.DECIDE:
                leg.perform(e.AnswerOffer(7, OTHER))
            case Event.REQUEST:
                leg.perform(e.SendInfo(7, 3, "text/plain", b"x"))
            case Event.HANG_UP:
                leg.perform(e.HangUp(7, 480, "Gone", Reason(200, "Elsewhere")))
            case Event.HEARD:
                leg.heard(180, Said("Ringing"))
            case Event.TAKEN:
                leg.taken(Said("OK", (), SDP))
            case Event.ACKNOWLEDGED:
                leg.acknowledged(Said())
            case Event.REINVITE:
                return leg.reinvited(None, Said(sdp=SDP))
            case Event.UPDATE:
                return leg.holds(update(), SDP)
            case Event.DECIDED:
                leg.decided(200, Said("OK", (), OTHER))
            case Event.LOST:
                leg.lost()
            case Event.OVER:
                leg.over()
        return None

    def asked(self) -> list[str]:
        return [name for name, *_ in self.session.asked]


WAYS: dict[State, tuple[Event, ...]] = {
    State.CALLING: (),
    State.RINGING: (Event.HEARD,),
    State.UP: (Event.TAKEN,),
    State.OFFERING: (Event.TAKEN, Event.OFFER),
    State.ASKED: (Event.TAKEN, Event.REINVITE),
    State.UPDATED: (Event.TAKEN, Event.UPDATE),
    State.LEAVING: (Event.HANG_UP,),
    State.ENDING: (Event.TAKEN, Event.HANG_UP),
    State.ENDED: (Event.OVER,),
}
EVERY_PAIR = list(itertools.product(State, Event))


def possible(state: State, event: Event) -> bool:
    """Whether an event can happen in a state: only our offer is decided, and an ended leg is forgotten."""
    if state is State.ENDED:
        return False
    if event in (Event.RESPOND, Event.ACKNOWLEDGED):
        return state not in (State.CALLING, State.LEAVING)
    if event is Event.DECIDED:
        return state is State.OFFERING
    return True


@pytest.mark.parametrize(("state", "event"), EVERY_PAIR)
def test_every_pair_is_decided_or_impossible(state: State, event: Event) -> None:
    assert ((state, event) in TABLE) == possible(state, event)


def test_no_way_back() -> None:
    order = [OPEN, CONNECTED, {State.LEAVING, State.ENDING}, {State.ENDED}]
    rank = {state: at for at, states in enumerate(order) for state in states}
    for (state, _), (then, do) in TABLE.items():
        assert rank[then] >= rank[state]
        assert do is not Action.END or then is State.ENDING


SAID: dict[Event, type] = {
    Event.HEARD: LegProgress,
    Event.TAKEN: LegAnswered,
    Event.ACKNOWLEDGED: LegAcknowledged,
    Event.REINVITE: OfferReceived,
    Event.UPDATE: OfferReceived,
    Event.DECIDED: OfferAnswered,
    Event.LOST: LegEnded,
}


@pytest.mark.parametrize(("state", "event"), EVERY_PAIR)
def test_what_is_done(state: State, event: Event) -> None:
    played = Played(state)
    if not possible(state, event):
        with pytest.raises(KeyError):
            played.give(event)
        return
    then, do = TABLE[state, event]
    held = state in (State.ASKED, State.UPDATED) and then not in (state, State.UP)
    result = played.give(event)
    asked, told = played.asked(), [type(each) for each in played.told]
    assert played.leg.state is then
    if state is State.UPDATED and event is Event.UPDATE:
        assert result is True, "its retransmission"
        return
    match do:
        case Action.NOTHING:
            assert (asked, told, bool(result)) == ([], [], False)
        case Action.PERFORM:
            assert (bool(asked or played.resumed), told) == (True, [])
        case Action.REFUSE:
            assert asked == []
            assert len(told) == (event is not Event.REINVITE)
            assert not result
        case Action.PASS:
            assert (asked, told, result) == ([], [], False)
        case Action.END:
            assert asked[-1] == "end"
            assert told == []
        case Action.TELL:
            assert told == ([SAID[event]] if event in SAID else [])
            assert "end" not in asked
    assert played.resumed == [update()] * (state is State.UPDATED and then is not state)
    refused = ("refuse", 487, "Request Terminated")
    assert (refused in played.session.asked) == (held and state is State.ASKED)


# Events while PJSIP does something by itself


def test_a_caller_gets_responses_until_it_has_a_2xx() -> None:
    played = Played(is_caller=True)
    played.leg.perform(e.Answer(7, SDP))
    assert played.session.asked == [("respond", 200, "OK", SDP, ())]
    played.forget()
    played.session.is_answered = True
    played.give(Event.RESPOND)
    assert played.session.asked == []
    played.give(Event.ACKNOWLEDGED)
    assert played.told == [LegAcknowledged(7, None)]
    assert played.leg.state is State.UP


@pytest.mark.parametrize("is_caller", [True, False])
def test_a_phone_that_pjsip_has_found_dead_is_told_once(is_caller: bool) -> None:
    """PJSIP has sent a BYE by itself, to whose answer nobody waits: of a caller, as no ACK has come."""
    played = Played(State.UP, is_caller=is_caller)
    played.leg.lost()
    assert played.told == [LegEnded(7, 408, "Request Timeout", fault=NO_ACK if is_caller else "")]
    played.give(Event.HANG_UP)
    played.leg.over()
    assert len(played.told) == 1


def test_an_offer_waits_for_a_refresh_of_pjsips_own() -> None:
    played = Played(State.UP)
    played.session.is_negotiating = True
    played.give(Event.OFFER)
    assert played.told == [OfferAnswered(7, 491, None)]
    assert played.give(Event.UPDATE) is False
    assert played.leg.state is State.UP


def test_a_reinvite_that_pjsip_does_not_hold_is_not_told() -> None:
    played = Played(State.UP)
    played.session.hold_reinvite = lambda rdata: False  # type: ignore[attr-defined]
    assert played.give(Event.REINVITE) is False
    assert (played.told, played.leg.state) == ([], State.UP)


# SDP that does not fit


def test_an_answer_that_does_not_fit_ends_the_leg_in_words() -> None:
    played = Played(is_caller=True)
    played.session.fails.add("respond")
    played.leg.perform(e.Answer(7, SDP))
    farewell = (("Reason", 'SIP;cause=488;text="no codec"'),)
    assert played.session.asked[-1] == ("end", 488, "no codec", (), farewell)
    assert played.told == [LegEnded(7, 488, "no codec", fault="no codec")]


def test_an_answer_to_a_reinvite_that_does_not_fit_leaves_the_call() -> None:
    played = Played(State.ASKED)
    played.session.fails.add("set_answer")
    played.give(Event.DECIDE)
    assert played.session.asked[-1] == ("refuse", 488, "no codec")
    assert [type(each) for each in played.told] == [LegFault]
    assert played.leg.state is State.UP


def test_an_offer_that_pjsip_does_not_take_is_over_at_once() -> None:
    played = Played(State.UP)
    played.session.fails.add("reinvite")
    played.give(Event.OFFER)
    assert [type(each) for each in played.told] == [LegFault, OfferAnswered]
    assert played.leg.state is State.UP


@pytest.mark.parametrize("has_agreed", [True, False])
def test_sdp_of_no_use(has_agreed: bool) -> None:
    played = Played(State.RINGING)
    played.session.has_agreed = has_agreed
    played.leg.taken(Said(sdp=SDP, fault="" if has_agreed else "bad m= line"))
    (answered,) = played.told
    assert isinstance(answered, LegAnswered)
    assert answered.fault == ("" if has_agreed else "bad m= line")


# Requests that wait


def test_an_ack_waits_for_the_answer_that_it_brings() -> None:
    played = Played(State.RINGING, delayed=True)
    played.session.has_agreed = False
    played.leg.ack_due(5, SDP)
    played.give(Event.TAKEN)
    assert played.session.asked == []
    played.session.awaits_ack = played.session.has_agreed = True
    played.leg.perform(e.Acknowledge(7, OTHER))
    assert played.session.asked == [("set_answer", OTHER), ("acknowledge", 5)]
    played.forget()
    played.leg.perform(e.Acknowledge(7, OTHER))
    assert played.session.asked == [], "it was sent"


def test_a_cancel_waits_for_a_response() -> None:
    played = Played(State.CALLING)
    played.give(Event.HANG_UP)
    assert played.session.asked == []
    played.give(Event.HEARD)
    assert played.session.asked == [("end", 487, "", (), (("Reason", 'SIP;cause=200;text="Elsewhere"'),))]
    assert played.told == []


def test_an_update_is_held_once() -> None:
    """A copy, which comes as its answer was lost, goes to PJSIP, which repeats that; it is no new offer."""
    played = Played(State.UPDATED)
    played.give(Event.DECIDE)
    assert played.leg.waiting_answer == OTHER
    assert played.leg.holds(update(), SDP) is False
    assert played.told == []
    assert played.leg.holds(update("2"), SDP) is True
    assert played.told == [OfferReceived(7, SDP)]


def test_an_answer_that_pjsip_asks_for_is_given_once() -> None:
    played = Played(State.UPDATED)
    played.give(Event.DECIDE)
    for _ in range(2):
        played.leg.offered()
    assert played.session.asked == [("set_answer", OTHER)]


@pytest.mark.parametrize("end", [Event.HANG_UP, Event.LOST, Event.OVER])
def test_an_info_is_answered_when_the_leg_ends(end: Event) -> None:
    """The INFO is answered at once, since the phone may take long to answer the BYE."""
    played = Played(State.UP)
    for transaction in ("transaction", "another"):
        played.leg.informed(transaction, None, "text/plain", b"x", Said())
    assert [type(told) for told in played.told] == [InfoReceived, InfoReceived]
    played.leg.forgotten("another")  # PJSIP asserts that the request is not answered twice
    played.give(end)
    played.give(Event.OVER) if end is not Event.OVER else None
    gone = (481, "Call/Transaction Does Not Exist", (), "", b"")
    answers = [asked for asked in played.session.asked if asked[0] == "respond_to_request"]
    assert answers == [("respond_to_request", "transaction", True, *gone)]
