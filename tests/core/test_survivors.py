"""Calls that are up from one process to the next, in the core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from builders import SDP, World, directory, document, flow, notifies, register, request, subscribe, uri
from office import PEOPLE, SALES, Office, hung_up, naming, replaces

from blfd.core.calls.leg_effects import Adopt, Answer, AnswerOffer, Dial, Offer, OfLeg, PhoneMoved, Secure
from blfd.core.calls.leg_inputs import (
    LegAcknowledged,
    LegAnswered,
    LegDescribed,
    LegEnded,
    MediaFound,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.media import held
from blfd.core.calls.survivors import PATIENCE
from blfd.core.effects import Effect, SaveCalls, SaveSubscription
from blfd.core.inputs import CallsRestored, Drain, Located, SubscriptionsRestored
from blfd.core.messages import ReferReceived, ReferTo
from blfd.core.saved import SavedCall, SavedLeg, SessionTimer
from blfd.core.settings import Settings
from blfd.core.trunk import Trunk
from blfd.core.values import Account, Aor, DialogId, Flow, Location, NameAddr, Server, Target

OTHER = b"v=0\r\nm=audio 5000 RTP/AVP 0\r\n"
MOVED = b"v=0\r\nm=audio 6000 RTP/AVP 0\r\n"
HELD = SDP + b"a=sendonly\r\n"
LATE = 3000.0  # when the sessions of all calls are over


class Offices(Office):
    """One process after the other over one store, in which each leg that is up is described."""

    def __init__(self, tls: tuple[str, ...] = ()) -> None:
        super().__init__(tls=tls)
        self.kept: dict[int, SavedCall] = {}
        self.saves = 0

    def give(self, event: object) -> list[Effect]:
        effects = super().give(event)
        for effect in effects:
            if isinstance(effect, SaveCalls):
                self.saves += 1
                self._store(effect)
        return effects

    def at(self, after: float) -> list[Effect]:
        return self.world.at(self.world.now + after)

    def _store(self, effect: SaveCalls) -> None:
        for number, saved in effect.calls.items():
            if isinstance(saved, SavedCall):
                self.kept[number] = saved
            else:
                del self.kept[number]

    def describe(self, leg: int, user: str, transport: str = "udp", **over: Any) -> None:
        """Have the SIP stack describe a leg that is up."""
        shown = self.world.core.dialogs.get(Aor("default", user), leg)
        one = SavedLeg(
            shown.id if shown else DialogId(f"id{leg}", "ours", f"phone{leg}"),
            NameAddr("sip:ours"),
            NameAddr(f"sip:{user}"),
            f"sip:{user}@198.51.100.7",
            f"sip:{user}@198.51.100.7",
            (),
            flow(user, transport),
            1000,
            7,
            OTHER,
            SDP,
            True,
            SessionTimer(1800, False, LATE),
        )
        self.give(LegDescribed(leg, one._replace(**over)))

    def up(self, who: str = "101", whom: str = "102", *, sips: bool = False, **over: Any) -> tuple[int, int]:
        """Begin a call that is up and stored, and return its legs; `over` is said of both."""
        caller = self.call(who, whom, sips=sips)
        (callee,) = self.phones[caller]
        self.give(LegAnswered(callee, DialogId(f"id{callee}", "ours", f"phone{callee}"), SDP))
        self.describe(callee, whom, **over)
        self.give(LegAcknowledged(caller, None))
        self.describe(caller, who, **over)
        return caller, callee

    def restart(self, after: float = 1.0, lost: bool = False, transport: str = "udp") -> list[Effect]:
        """End the process as kill -9 does, begin the next one, and return what that does at once."""
        now = self.world.now + after
        self.world = World(None, (), directory(PEOPLE, SALES))
        self.world.now = now
        for person in PEOPLE:
            source = flow(person, transport)
            asked = register(person, f"sip:{person}@10.0.0.7")
            self.world.give(asked._replace(request=asked.request._replace(flow=source)))
        calls = tuple(self.kept.values())
        return self.give(CallsRestored(() if lost else calls, calls if lost else ()))


def dialogs(office: Office, *extensions: str) -> list[object]:
    return [office.world.core.dialogs.of(Aor("default", extension)) for extension in extensions]


def of(effects: list[Effect], kind: type[OfLeg | Adopt]) -> list[int]:
    return [effect.leg for effect in effects if isinstance(effect, kind)]


def test_it_is_stored_when_it_is_up() -> None:
    office = Offices()
    caller = office.call("101", "102")
    (callee,) = office.phones[caller]
    office.give(LegAnswered(callee, DialogId(f"id{callee}", "ours", f"phone{callee}"), SDP))
    office.describe(callee, "102")
    assert office.kept == {}, "its ACK is missing"
    office.give(LegAcknowledged(caller, None))
    office.describe(caller, "101")
    (saved,) = office.kept.values()
    assert (saved.caller.leg, saved.callee.leg, saved.settled) == (caller, callee, True)
    office.describe(caller, "101")
    assert office.saves == 1, "nothing has changed"
    office.describe(caller, "101", cseq=2000)
    assert office.kept[saved.number].caller.saved.cseq == 2000


@pytest.mark.parametrize("by", [0, 1])
def test_it_goes_from_the_store_with_its_end(by: int) -> None:
    office = Offices()
    legs = office.up()
    office.give(LegEnded(legs[by], 200, ""))
    assert office.kept == {}


def test_lamps_and_lists_are_as_they_were() -> None:
    office = Offices()
    caller, callee = office.up()
    watching = subscribe("103", "102")
    office.give(watching)
    before = dialogs(office, "101", "102")
    effects = office.restart()
    assert of(effects, Adopt) == [caller, callee]
    assert dialogs(office, "101", "102") == before
    assert office.lamps("101", "102", "103") == ["talking", "talking", "idle"]
    assert [call.number for call in office.world.core.calls] == [caller]
    assert office.call("103", "104") > callee, "numbers are not used twice"


def test_watchers_see_nothing_between() -> None:
    """Calls are restored before the first NOTIFY goes out."""
    office = Offices()
    office.up()
    effects = office.give(subscribe("103", "102"))
    shown = document(notifies(effects)[0]).dialogs
    saved = next(e.saved for e in effects if isinstance(e, SaveSubscription))
    assert saved
    office.restart()
    office.give(SubscriptionsRestored((saved,)))
    (again,) = notifies(office.at(0))
    assert document(again).dialogs == shown


@pytest.mark.parametrize("by", [0, 1])
@pytest.mark.parametrize("starts", [1, 2])
def test_either_side_ends_it(by: int, starts: int) -> None:
    office = Offices()
    legs = office.up()
    for _ in range(starts):
        office.restart()
    assert list(hung_up(office.give(LegEnded(legs[by], 200, "")))) == [legs[1 - by]]
    assert office.lamps("101", "102") == ["idle", "idle"]
    assert office.kept == {}


def asked(effects: list[Effect]) -> list[tuple[int, bytes]]:
    return [(effect.leg, effect.sdp) for effect in effects if isinstance(effect, Offer)]


def test_both_phones_are_asked_whether_they_are_there() -> None:
    """One phone is offered what it was told last, and the other what that phone answers."""
    office = Offices()
    caller, callee = office.up()
    office.restart()
    assert asked(office.at(1)) == [(caller, OTHER)]
    assert asked(office.give(OfferAnswered(caller, 200, MOVED))) == [(callee, MOVED)]
    assert asked(office.give(OfferAnswered(callee, 200, OTHER))) == []
    assert office.lamps("101", "102") == ["talking", "talking"]


def test_hundreds_are_asked_within_seconds_and_not_in_one_instant() -> None:
    """Whatever becomes of one: none waits for the phones of another."""
    office = Offices()
    office.up()
    (saved,) = office.kept.values()
    caller, callee = saved.caller, saved.callee
    office.kept = {
        number: saved._replace(
            number=number, caller=caller._replace(leg=number + 1), callee=callee._replace(leg=number + 2)
        )
        for number in range(100, 1600, 3)
    }
    office.restart()
    counts = [len(asked(office.at(0.5))) for _ in range(8)]
    assert sum(counts) == 500
    assert max(counts) <= 101
    assert counts[-1] == 0


@pytest.mark.parametrize("dead", [0, 1])
def test_one_that_is_gone_ends_both(dead: int) -> None:
    office = Offices()
    legs = office.up()
    office.restart()
    office.at(1)
    if dead == 1:
        office.give(OfferAnswered(legs[0], 200, SDP))
    office.give(OfferAnswered(legs[dead], 481, None))
    assert list(hung_up(office.give(LegEnded(legs[dead], 481, "")))) == [legs[1 - dead]]
    assert office.kept == {}


def test_one_that_refuses_to_be_asked_is_there() -> None:
    """The other phone is asked then, too, by what it was told last."""
    office = Offices()
    caller, callee = office.up()
    office.restart()
    office.at(1)
    assert asked(office.give(OfferAnswered(caller, 488, None))) == [(callee, OTHER)]
    assert hung_up(office.give(OfferAnswered(callee, 500, None))) == {}
    assert office.lamps("101", "102") == ["talking", "talking"]


@pytest.mark.parametrize("holder", [0, 1])
def test_who_holds_says_whether_it_does_so_still(holder: int) -> None:
    """Whoever held may have let go in the last moment before the kill."""
    office = Offices()
    legs = office.up()
    office.give(OfferReceived(legs[holder], HELD))
    office.give(OfferAnswered(legs[1 - holder], 200, SDP + b"a=recvonly\r\n"))
    office.describe(legs[holder], ("101", "102")[holder], sent=OTHER + b"a=recvonly\r\n")
    office.restart()
    ((leg, sdp),) = asked(office.at(1))
    assert (leg, held(sdp), b"recvonly" in sdp) == (legs[holder], False, False)
    assert asked(office.give(OfferAnswered(leg, 200, HELD))) == [(legs[1 - holder], HELD)]
    office.give(OfferAnswered(legs[1 - holder], 200, SDP + b"a=recvonly\r\n"))
    assert sorted(office.lamps("101", "102")) == ["held", "talking"]
    assert office.lamps("101", "102")[holder] == "held"


def test_it_is_not_asked_twice() -> None:
    office = Offices()
    caller, callee = office.up()
    office.restart()
    office.at(1)
    office.describe(caller, "101", timer=SessionTimer(1800, True, LATE + 500))
    assert asked(office.at(100)) == []
    assert set(hung_up(office.at(LATE - office.world.now + 2))) == {caller, callee}, (
        "of whom nothing was heard"
    )


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_phone_that_does_not_refresh(transport: str) -> None:
    """Both legs end when the phone's session would have ended, no later for the restart."""
    office = Offices()
    legs = office.up(transport=transport)
    office.restart(transport=transport)
    assert office.lamps("101", "102") == ["talking", "talking"]
    assert hung_up(office.at(LATE - office.world.now - 1)) == {}
    office.restart(0.5, transport=transport)
    effects = office.at(2)
    assert hung_up(effects).keys() == set(legs)
    assert office.lamps("101", "102") == ["idle", "idle"]


def test_one_that_has_refused_is_asked_again_before_it_is_given_up() -> None:
    """We refresh the session, and the answer shows again whether the phone is there."""
    office = Offices()
    caller, callee = office.up(timer=SessionTimer(1800, True, LATE))
    office.restart()
    office.at(1)
    for leg in (caller, callee):
        office.give(OfferAnswered(leg, 488, None))
    effects = office.at(LATE - office.world.now + 2)
    assert hung_up(effects) == {}
    assert asked(effects)[0][0] == caller
    assert office.lamps("101", "102") == ["talking", "talking"]


def test_a_phone_whose_connection_is_gone_is_asked_when_it_is_back() -> None:
    office = Offices()
    caller, callee = office.up(transport="tcp")
    office.restart(transport="tcp")
    assert asked(office.at(5)) == []
    office.describe(callee, "102", flow=Flow("tcp", "198.51.100.7", 40_001))
    assert asked(office.at(1)) == [], "what it says could not be told to the other one"
    office.describe(caller, "101", flow=Flow("tcp", "198.51.100.7", 40_002))
    assert asked(office.at(1)) == [(caller, OTHER)]
    office.give(OfferAnswered(caller, 200, OTHER))
    office.give(OfferAnswered(callee, 200, OTHER))
    assert asked(office.at(PATIENCE)) == []
    assert office.lamps("101", "102") == ["talking", "talking"]


def test_a_phone_is_asked_alone_where_the_other_one_does_not_come_back() -> None:
    """What the phone answers is told to the other one as soon as that is there."""
    office = Offices()
    caller, callee = office.up(transport="tcp")
    office.restart(transport="tcp")
    assert asked(office.at(PATIENCE + 1)) == []
    back = Flow("tcp", "198.51.100.7", 40_001)
    office.describe(callee, "102", flow=back)
    assert asked(office.at(1)) == []
    assert asked(office.at(PATIENCE)) == [(callee, OTHER)]
    assert asked(office.give(OfferAnswered(callee, 200, MOVED))) == []
    office.describe(callee, "102", flow=back, received=MOVED)
    office.describe(caller, "101", flow=Flow("tcp", "198.51.100.7", 40_002))
    assert asked(office.at(1)) == [(caller, MOVED)]
    assert asked(office.give(OfferAnswered(caller, 200, SDP))) == [(callee, SDP)]


def test_an_edge_is_reached_anew() -> None:
    """We make the connection to the edge."""
    office = Offices()
    edge: dict[str, Any] = {"route_set": ("<sip:198.51.100.7:5070;transport=tcp;lr>",), "transport": "tcp"}
    office.up(**edge)
    adopts = [effect for effect in office.restart() if isinstance(effect, Adopt)]
    assert {adopt.saved.flow.port for adopt in adopts} == {5070}
    assert len(asked(office.at(1))) == 1


@pytest.mark.parametrize("contact", ["sip:49@203.0.113.1:5071", "sip:49@carrier.example"])
def test_a_carrier_is_reached_anew_and_asked_though_the_phone_is_lost(contact: str) -> None:
    """A carrier makes no connection for a call that is up, so nobody would learn of its end there."""
    trunk = Trunk("default", "carrier", servers=("203.0.113.1:5071",), transport="tcp", username="u")
    office = Offices()
    caller, callee = office.up(transport="tcp")
    (saved,) = office.kept.values()
    seat = saved.callee._replace(aor=Aor("default", trunk.resource), number="+49301234")
    there = seat.saved._replace(flow=Flow("tcp", "203.0.113.1", 40_000), contact=contact)
    office.world = World(None, (), replace(directory(PEOPLE, SALES), trunks=(trunk,)))
    effects = office.give(CallsRestored((saved._replace(callee=seat._replace(saved=there)),)))
    ports = {effect.leg: effect.saved.flow.port for effect in effects if isinstance(effect, Adopt)}
    assert ports[callee] == 5071
    assert asked(office.at(1)) == []
    assert asked(office.at(PATIENCE)) == [(callee, OTHER)]
    office.give(OfferAnswered(callee, 481, None))
    assert list(hung_up(office.give(LegEnded(callee, 481, "")))) == [caller]
    assert office.kept == {}


@pytest.mark.parametrize("after", [0.0, 10.0])
def test_a_carrier_whose_name_is_looked_up_after_the_start(after: float) -> None:
    trunk = Trunk("default", "carrier", servers=("carrier.example:5071",), transport="tcp", username="u")
    office = Offices()
    caller, callee = office.up()
    (saved,) = office.kept.values()
    seat = saved.callee._replace(aor=Aor("default", trunk.resource), number="+49301234")
    there = seat.saved._replace(flow=Flow("tcp", "203.0.113.1", 40_000), contact="sip:49@sbc.example")
    office.world = World(None, (), replace(directory(PEOPLE, SALES), trunks=(trunk,)))
    office.give(CallsRestored((saved._replace(callee=seat._replace(saved=there)),)))
    found = Located(
        Server("carrier.example", 5071, ("tcp",)), Location((Target("tcp", "203.0.113.1", 5071),), 60)
    )
    moves = office.at(after)
    office.give(found)
    moves += office.at(PATIENCE + 1)
    (move,) = (effect for effect in moves if isinstance(effect, PhoneMoved))
    assert (move.before, move.flow) == (there.flow, Flow("tcp", "203.0.113.1", 5071))
    office.give(LegDescribed(callee, there._replace(flow=move.flow)))
    assert asked(office.at(1)) == [(caller, OTHER)]


def test_no_listener_leads_there_any_more() -> None:
    office = Offices()
    legs = office.up()
    assert hung_up(office.restart(lost=True)).keys() == set(legs)
    assert office.lamps("101", "102") == ["idle", "idle"]
    assert office.kept == {}


def test_a_leg_that_cannot_be_made_anew() -> None:
    office = Offices()
    caller, callee = office.up()
    office.restart()
    effects = office.give(LegEnded(callee, 500, "", silent=True, fault="no memory"))
    assert list(hung_up(effects)) == [caller]
    assert office.kept == {}


def hold(office: Offices, caller: int, callee: int, *, is_answered: bool = True) -> None:
    office.give(OfferReceived(caller, HELD))
    if is_answered:
        office.give(OfferAnswered(callee, 200, OTHER))


def test_hold_is_passed_on_after_a_restart_and_outlives_the_next() -> None:
    office = Offices()
    legs = office.up()
    office.restart()
    hold(office, *legs)
    office.restart()
    assert office.lamps("101", "102") == ["held", "talking"]
    effects = office.give(OfferReceived(legs[0], SDP))
    assert of(effects, Offer) == [legs[1]]
    assert of(office.give(OfferAnswered(legs[1], 200, OTHER)), AnswerOffer) == [legs[0]]
    assert office.lamps("101", "102") == ["talking", "talking"]


def test_media_that_was_just_changing_is_told_anew() -> None:
    """Nobody knows how far the change had come: one phone is asked, and the other is told the answer."""
    office = Offices()
    caller, callee = office.up()
    hold(office, caller, callee, is_answered=False)
    assert not next(iter(office.kept.values())).settled
    office.restart()
    (offer,) = [effect for effect in office.at(1) if isinstance(effect, Offer)]
    assert (offer.leg, b"sendrecv" in offer.sdp or offer.sdp == SDP) == (caller, True)
    effects = office.give(OfferAnswered(caller, 200, OTHER))
    assert [(e.leg, e.sdp) for e in effects if isinstance(e, Offer)] == [(callee, OTHER)]
    office.give(OfferAnswered(callee, 200, SDP))
    assert next(iter(office.kept.values())).settled


@pytest.mark.parametrize("but", ["it", "all"])
def test_an_orderly_stop(but: str) -> None:
    """Calls that are up stay, unless the stop is to end them; one that rings ends."""
    office = Offices()
    legs = office.up()
    caller = office.call("103", "104")
    ended = hung_up(office.give(Drain(False, hang_up=but == "all"))).keys()
    ringing = {caller, *office.phones[caller]}
    assert ended == ringing | (set(legs) if but == "all" else set())
    assert len(office.kept) == (0 if but == "all" else 1)


def test_a_call_of_this_instant_ends_with_the_process() -> None:
    """A call that is not stored yet cannot go on."""
    office = Offices()
    caller = office.talk("101", "102")
    assert hung_up(office.give(Drain(False))).keys() == {caller, *office.phones[caller]}


def take_over(office: Offices, legs: tuple[int, int]) -> int:
    picker, effects = office.pick_up("103", "102", replaces=replaces(legs[1]))
    assert of(effects, Answer) == [picker]
    return picker


def test_it_is_taken_over_after_a_restart() -> None:
    office = Offices()
    legs = office.up()
    office.restart()
    picker = take_over(office, legs)
    office.give(LegAcknowledged(picker, None))
    office.describe(picker, "103")
    (saved,) = office.kept.values()
    assert (saved.caller.leg, saved.callee.leg) == (legs[0], picker)
    assert office.lamps("101", "102", "103") == ["talking", "idle", "talking"]


def test_a_kill_while_it_is_taken_over() -> None:
    """The phone that was replaced says that it has had its BYE; the other one is hung up, too."""
    office = Offices()
    legs = office.up()
    take_over(office, legs)
    office.restart()
    office.at(1)
    office.give(OfferAnswered(legs[0], 200, SDP))
    assert list(hung_up(office.give(LegEnded(legs[1], 481, "")))) == [legs[0]]


def test_both_calls_of_a_transfer_change_at_once() -> None:
    """While an attended transfer is stored, no leg is in two calls, and no call is there twice."""
    office = Offices()
    one, other = office.up("101", "102"), office.up("102", "103")
    office.restart()
    shown = office.world.core.dialogs.get(Aor("default", "102"), other[0])
    assert shown
    asked = request("REFER", "102", "101", call_id=f"id{one[1]}")
    asked = asked._replace(to=asked.to._replace(tag="ours"), from_=asked.from_._replace(tag=f"phone{one[1]}"))
    office.give(ReferReceived(asked, one[1], ReferTo(uri("103"), (naming(shown.id),)), None, False))
    saves = office.saves
    office.give(MediaMatched(other[1], True, OTHER, SDP))
    assert {frozenset((c.caller.leg, c.callee.leg)) for c in office.kept.values()} == {
        frozenset((one[0], other[1]))
    }
    assert office.saves == saves + 1, "both changes are one"
    (saved,) = office.kept.values()
    assert not saved.settled, "they are just being told of each other"


def waiting(office: Offices) -> tuple[int, int, int]:
    """Begin a blind transfer to 103, which rings, let 102, the transferor, go, and return all three legs."""
    one, other = office.up()
    asked = request("REFER", "102", "101", call_id=f"id{other}")
    asked = asked._replace(to=asked.to._replace(tag="ours"), from_=asked.from_._replace(tag=f"phone{other}"))
    office.give(ReferReceived(asked, other, ReferTo(uri("103")), None, False))
    (target,) = (effect.leg for effect in office.give(MediaFound(one, SDP)) if isinstance(effect, Dial))
    office.ring(target)
    assert hung_up(office.give(LegEnded(other, 200, ""))) == {}
    return one, other, target


def test_a_kill_while_who_is_transferred_waits_alone() -> None:
    """The transferor says that it has gone when it is asked; who waits is hung up, and no lamp is left."""
    office = Offices()
    one, other, _ = waiting(office)
    assert len(office.kept) == 1
    office.restart()
    office.at(1)
    office.give(OfferAnswered(one, 200, SDP))
    assert list(hung_up(office.give(LegEnded(other, 481, "")))) == [one]
    assert office.lamps("101", "102", "103") == ["idle"] * 3
    assert office.kept == {}


@pytest.mark.parametrize("end", ["answer", "refusal", "hang-up", "stop"])
def test_who_has_waited_is_stored_where_it_is_now(end: str) -> None:
    office = Offices()
    one, _, target = waiting(office)
    match end:
        case "answer":
            office.give(LegAnswered(target, DialogId(f"id{target}", "ours", f"phone{target}"), SDP))
            office.describe(target, "103")
        case "refusal":
            office.give(LegEnded(target, 486, "Busy Here"))
        case "hang-up":
            office.give(LegEnded(one, 200, ""))
        case "stop":
            office.give(Drain(False))
    left = [(saved.caller.leg, saved.callee.leg) for saved in office.kept.values()]
    assert left == ([(one, target)] if end == "answer" else [])


def test_who_is_outside_is_reached_with_the_password_of_the_trunk() -> None:
    trunk = Trunk(
        "default", "carrier", servers=("203.0.113.1",), username="u", password="p", codecs=("PCMU",)
    )
    office = Offices()
    caller, callee = office.up()
    (saved,) = office.kept.values()
    outside = saved.callee._replace(aor=Aor("default", trunk.resource), number="+49301234")
    known = replace(directory(PEOPLE, SALES), trunks=(trunk,))
    office.world = World(None, (), known)
    effects = office.give(CallsRestored((saved._replace(callee=outside),)))
    accounts = {effect.leg: effect.credentials for effect in effects if isinstance(effect, Adopt)}
    assert accounts == {caller: None, callee: Account("u", "p")}
    (dialog,) = office.world.core.dialogs.of(Aor("default", "101"))
    assert dialog.remote == "+49301234"
    call = office.world.core.calls.numbered(saved.number)
    assert call
    assert call.codecs == {callee: trunk.taken}


NOBODY: list[Callable[[Offices], object]] = [
    lambda office: office.world.core.calls.keeping.legs,
    lambda office: office.world.core.survivors.timers._times,
]


@pytest.mark.parametrize("of_what", NOBODY)
def test_nothing_is_left_of_a_call(of_what: Callable[[Offices], object]) -> None:
    office = Offices()
    legs = office.up()
    office.restart()
    office.at(1)
    office.give(LegEnded(legs[0], 200, ""))
    office.give(LegEnded(legs[1], 200, ""))
    assert not of_what(office)


def test_limits_count_it() -> None:
    office = Offices()
    office.up()
    office.restart()
    office.world.core.calls._settings = replace(Settings(), max_calls=1)
    assert office.refused("101", "104").status == 403


def test_a_call_by_sips_is_one_after_a_start() -> None:
    """Whoever takes a call by sips: over needs TLS, as do those who are in it."""
    office = Offices(tls=("101", "102", "103"))
    caller, callee = office.up(transport="tls", sips=True)
    taken = replaces(callee)
    effects = office.restart(transport="tls")
    assert of(effects, Secure) == [caller, callee]
    refused = office.refused("104", "102", replaces=taken)
    assert refused.reason == "The call is by sips:, and is picked up over TLS only"
    office.ask("103", "102", replaces=taken)
