"""Blind transfers: who is called, what everybody is told, and what is left as it was where they fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from builders import SDP, document, notifies, register, subscribe, uri
from office import hung_up, identity
from transferring import HELD, MOVED, TARGET, TRANSFEREE, Transfers, offers, refused_for

from blfd.core.calls.leg_effects import Dial, HangUp, NotifyLeg, Offer, RefuseOffer
from blfd.core.calls.leg_inputs import (
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegProgress,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.transfer import TRANSITIONS, Event, Stage
from blfd.core.effects import Effect, Reply
from blfd.core.quoting import name_addr
from blfd.core.values import DialogId, Reason, Redirect


def test_every_pair_of_the_table() -> None:
    """Each stage takes what can happen in it and nothing else, and each is reached and left."""
    reached = {then for then, _ in TRANSITIONS.values()} | {Stage.LOOKING}
    assert reached == set(Stage)
    assert {stage for stage, _ in TRANSITIONS} == set(Stage) - {Stage.OVER}
    assert {event for _, event in TRANSITIONS} == set(Event)
    for stage in set(Stage) - {Stage.OVER}:
        assert (stage, Event.SPLIT) in TRANSITIONS, "the calls may end at any time"


@pytest.mark.parametrize("by_caller", [False, True], ids=["by the callee", "by the caller"])
def test_blind(by_caller: bool) -> None:
    office = Transfers(by_caller=by_caller)
    r, t = office.names()
    office.world.confirm(office.give(subscribe("105", "103")))
    effects = office.refer()
    (dial,) = [e for e in effects if isinstance(e, Dial)]
    assert dial.offer == TRANSFEREE
    assert dict(dial.headers)["P-Asserted-Identity"] == identity(t)[0][1]
    assert dict(dial.headers)["Referred-By"] == identity(r)[0][1]
    assert office.lamps(r, t, "103") == ["talking", "talking", "idle"]
    ringing = office.rings_at(dial.leg)
    assert office.statuses() == [100, 180]
    assert office.lamps(r, t, "103") == ["talking", "talking", "ringing"]
    (notify,) = notifies(ringing)
    (element,) = document(notify).dialogs
    assert element.remote
    assert element.remote.identity
    assert element.remote.identity.uri == f"sip:{t}@192.0.2.5"
    assert element.referred_by
    assert (element.referred_by.uri, element.referred_by.display) == (f"sip:{r}@192.0.2.5", f"Name {r}")
    office.world.confirm([notify])
    answered = office.answers_at(dial.leg)
    assert offers(answered) == [Offer(office.transferee, TARGET, identity("103"))]
    assert office.statuses() == [100, 180, 200]
    assert office.lamps(r, t, "103") == ["talking"] * 3, "until it has confirmed"
    assert office.dialog(t).remote == "103"
    last = office.confirm(answered)
    assert hung_up(last) == {office.transferor: (487, "")}
    assert office.lamps(r, t, "103") == ["idle", "talking", "talking"]
    assert office.give(OfferAnswered(office.transferee, 200, TRANSFEREE)) == [], "it goes where it went"
    assert hung_up(office.give(LegEnded(dial.leg, 200, ""))) == {office.transferee: (487, "")}
    assert office.lamps(r, t, "103") == ["idle"] * 3
    assert len(office.world.core.calls) == 0
    assert office.world.core.transfers.legs() == set()


def test_media_that_moves_is_told() -> None:
    office = Transfers()
    target = office.blind()
    office.confirm(office.answers_at(target))
    (offer,) = offers(office.give(OfferAnswered(office.transferee, 200, MOVED)))
    assert (offer.leg, offer.sdp) == (target, MOVED)
    assert office.give(OfferAnswered(target, 200, TARGET)) == []


def test_a_transferee_that_does_not_take_the_media_ends_it() -> None:
    office = Transfers()
    target = office.blind()
    office.confirm(office.answers_at(target))
    ended = hung_up(office.give(OfferAnswered(office.transferee, 488, None)))
    assert ended.keys() == {office.transferee, target}


FAILURES: dict[str, tuple[Callable[[Transfers, int], list[Effect]], int]] = {
    "busy": (lambda office, leg: office.give(LegEnded(leg, 486, "Busy Here")), 486),
    "declined": (lambda office, leg: office.give(LegEnded(leg, 603, "Decline")), 603),
    "no answer": (lambda office, leg: office.world.at(office.world.now + 130), 480),
    "no codec in common": (lambda office, leg: office.give(LegEnded(leg, 488, "Not Acceptable Here")), 488),
    "forwarded to nowhere": (
        lambda office, leg: office.give(LegEnded(leg, 302, "", redirect=Redirect((uri("999"),)))),
        480,
    ),
    "forwarded in a circle": (
        lambda office, leg: office.give(LegEnded(leg, 302, "", redirect=Redirect((uri("103"),)))),
        480,
    ),
    "dead": (lambda office, leg: office.give(LegEnded(leg, 408, "", silent=True)), 480),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("held", [False, True], ids=["", "held"])
def test_what_fails_leaves_the_call_as_it_was(failure: str, held: bool) -> None:
    office = Transfers()
    if held:
        office.give(OfferReceived(office.transferor, HELD))
        office.give(OfferAnswered(office.transferee, 200, SDP))
    before = ["talking", "held" if held else "talking", "idle"]
    assert office.lamps("101", "102", "103") == before
    happens, status = FAILURES[failure]
    leg = office.blind()
    assert office.statuses() == [100, 180]
    effects = happens(office, leg)
    assert [(e.leg, e.status) for e in effects if isinstance(e, NotifyLeg)] == [(office.transferor, status)]
    office.confirm(effects)
    assert office.lamps("101", "102", "103") == before
    assert not {office.caller, office.callee} & hung_up(effects).keys()
    assert len(office.world.core.calls) == 1
    (offer,) = offers(office.give(OfferReceived(office.transferor, SDP)))
    assert offer.leg == office.transferee, "the two go on"
    office.give(OfferAnswered(office.transferee, 200, SDP))
    again = office.refer("104")
    (notify,) = [e for e in again if isinstance(e, NotifyLeg)]
    assert notify.event.startswith("refer;id="), "the second in this dialog (RFC 3515, section 2.4.6)"


@pytest.mark.parametrize("is_there", [True, False], ids=["", "without the transferor"])
@pytest.mark.parametrize("where", ["104", "102"])
def test_a_target_that_forwards(where: str, is_there: bool) -> None:
    """The transferee talks with whoever answers in the end, even if that is the transferor's other phone."""
    office = Transfers()
    leg = office.blind()
    if not is_there:
        office.give(LegEnded(office.transferor, 200, ""))
    effects = office.give(LegEnded(leg, 302, "", redirect=Redirect((uri(where),))))
    further = office.called(effects)
    office.confirm(effects)
    office.rings_at(further)
    assert office.lamps("101", "103") == ["talking", "idle"]
    assert office.lamps(where) == ["ringing"]
    effects = office.answers_at(further)
    assert offers(effects) == [Offer(office.transferee, TARGET, identity(where))]
    office.give(OfferAnswered(office.transferee, 200, TRANSFEREE))
    office.confirm(effects)
    if is_there:
        assert office.statuses()[-1] == 200
    assert office.lamps("101", "103", where) == ["talking", "idle", "talking"]
    assert office.dialog("101").remote == where
    assert hung_up(office.give(LegEnded(office.transferee, 200, ""))).keys() == {further}
    office.world.at(office.world.now + 5)
    assert office.lamps("101", "102", "103", "104") == ["idle"] * 4


def test_the_transferor_hangs_up_at_once() -> None:
    office = Transfers()
    leg = office.called(office.refer())
    assert hung_up(office.give(LegEnded(office.transferor, 200, ""))) == {}
    assert office.lamps("101", "102", "103") == ["talking", "idle", "idle"]
    assert office.dialog("101").remote == "103"
    office.rings_at(leg)
    office.give(OfferReceived(office.transferee, HELD))
    assert office.lamps("101", "103") == ["talking", "ringing"]
    effects = office.answers_at(leg)
    assert offers(effects) == [Offer(office.transferee, TARGET, identity("103"))]
    assert not any(isinstance(e, NotifyLeg) for e in effects)
    assert office.lamps("101", "102", "103") == ["talking", "idle", "talking"]
    assert hung_up(office.give(LegEnded(office.transferee, 200, ""))).keys() == {leg}
    assert office.lamps("101", "103") == ["idle", "idle"]


def test_who_waits_is_hung_up_when_the_target_fails() -> None:
    office = Transfers()
    leg = office.blind()
    office.give(LegEnded(office.transferor, 200, ""))
    assert office.give(OfferReceived(office.transferee, HELD)) == [
        RefuseOffer(office.transferee, 491, "Request Pending")
    ]
    ended = office.give(LegEnded(leg, 486, "Busy Here"))
    assert HangUp(office.transferee, 486, "Busy Here", Reason(486, "Busy Here")) in ended
    assert office.lamps("101", "102", "103") == ["idle"] * 3
    assert len(office.world.core.calls) == 0


def test_the_transferee_hangs_up_before_the_answer() -> None:
    office = Transfers()
    leg = office.blind()
    assert hung_up(office.give(LegEnded(office.transferee, 200, ""))).keys() == {office.transferor, leg}
    assert office.lamps("101", "102", "103") == ["idle"] * 3
    office = Transfers()
    leg = office.blind()
    office.give(LegEnded(office.transferor, 200, ""))
    assert hung_up(office.give(LegEnded(office.transferee, 200, ""))).keys() == {leg}
    assert office.lamps("101", "102", "103") == ["idle"] * 3
    assert len(office.world.core.calls) == 0


def test_a_transferor_that_does_not_confirm_has_two_seconds() -> None:
    office = Transfers()
    office.answers_at(office.blind())
    assert office.world.core.transfers.legs() == {office.transferor}
    assert office.lamps("102") == ["talking"]
    assert hung_up(office.world.at(office.world.now + 1.9)) == {}
    assert hung_up(office.world.at(office.world.now + 0.1)) == {office.transferor: (487, "")}
    assert office.lamps("102") == ["idle"]


def test_a_transferor_that_wants_to_hear_nothing() -> None:
    office = Transfers()
    effects = office.refer(subscribes=False)
    (reply,) = [e for e in effects if isinstance(e, Reply)]
    assert (reply.status, reply.headers) == (200, (("Refer-Sub", "false"),))
    leg = office.called(effects)
    office.rings_at(leg)
    assert hung_up(office.answers_at(leg)) == {office.transferor: (487, "")}
    assert office.told == []


def test_a_target_with_early_media() -> None:
    """The target says in its 183 what it can send, and not again; nobody hears it before the answer."""
    office = Transfers()
    leg = office.called(office.refer())
    effects = office.give(LegProgress(leg, 183, "", DialogId(f"id{leg}", "ours", f"phone{leg}"), TARGET))
    office.confirm(effects)
    assert office.statuses() == [100, 180]
    assert offers(effects) == []
    assert office.lamps("103") == ["early media"]
    effects = office.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", f"phone{leg}"), None))
    assert offers(effects) == [Offer(office.transferee, TARGET, identity("103"))]


def test_who_withholds_its_name_goes_on_doing_so() -> None:
    """An anonymous caller stays anonymous when it is transferred, and when it transfers."""
    for transfers in (False, True):
        office = Transfers(by_caller=transfers)
        (call,) = office.world.core.calls
        call.caller = replace(call.caller, withheld=True)
        effects = office.refer()
        (dial,) = [e for e in effects if isinstance(e, Dial)]
        said = dict(dial.headers)
        if transfers:
            assert "Referred-By" not in said
            assert said["P-Asserted-Identity"] == identity("102")[0][1]
        else:
            assert "101" not in name_addr(dial.from_)
            assert "P-Asserted-Identity" not in said
        office.rings_at(dial.leg)
        dialog = office.dialog("103")
        assert dialog.withheld is not transfers
        assert dialog.referred_by == (("", "") if transfers else ("102", "Name 102"))


def test_a_target_with_several_phones() -> None:
    office = Transfers()
    office.give(register("103", "sip:103@198.51.100.50", cseq=2))
    effects = office.refer()
    first, second = [e.leg for e in effects if isinstance(e, Dial)]
    office.rings_at(first)
    office.rings_at(second)
    office.give(LegEnded(first, 486, "Busy Here"))
    assert office.statuses() == [100, 180]
    office.answers_at(second)
    assert office.statuses() == [100, 180, 200]


@pytest.mark.parametrize("way", ["directed", "group", "key"])
@pytest.mark.parametrize("is_there", [True, False], ids=["", "without the transferor"])
def test_what_rings_for_a_transfer_can_be_picked_up(way: str, is_there: bool) -> None:
    office = Transfers()
    leg = office.blind()
    if not is_there:
        office.give(LegEnded(office.transferor, 200, ""))
    to = {"directed": "*97103", "group": "*98", "key": "x"}[way]
    value = f"id{leg};to-tag=ours;from-tag=phone{leg}" if way == "key" else ""
    picker = office.ask("104", to, replaces=value)
    assert office.peer == office.transferee
    effects = office.give(MediaMatched(picker, True, b"for 101", b"for 104"))
    assert hung_up(effects).keys() == {leg}
    assert offers(effects) == [Offer(office.transferee, b"for 101", identity("104"))]
    assert office.attempts[-1].caller == "101"
    ended = office.confirm(effects)
    assert hung_up(ended).keys() == ({office.transferor} if is_there else set())
    assert office.lamps("101", "102", "103", "104") == ["talking", "idle", "idle", "talking"]
    office.give(LegAcknowledged(picker, None))
    assert hung_up(office.give(LegEnded(picker, 200, ""))).keys() == {office.transferee}


def test_who_has_picked_it_up_transfers_it_before_it_is_joined() -> None:
    """The picker's ACK brings the media that the transferee waits for; a stand-in has its place before."""
    office = Transfers()
    office.blind()
    picker = office.ask("104", "*97103", None)
    office.give(MediaMatched(picker, True, None, b"for 104"))
    assert office.refusal("105", picker) == (491, "This call is just being transferred")
    effects = office.give(LegAcknowledged(picker, b"of 104"))
    assert offers(effects) == [Offer(office.transferee, b"of 104", identity("104"))]
    office.confirm(effects)
    assert office.lamps("101", "102", "103", "104") == ["talking", "idle", "idle", "talking"]


NO_PHONE = (480, "103 has no phone over TLS, and is called by sips:")


@pytest.mark.parametrize(
    ("tls", "call", "to", "end"),
    [
        (("101", "102", "103"), True, False, None),
        (("101", "102", "103"), False, True, None),
        (("101", "102"), False, False, None),
        (("101", "102"), True, False, NO_PHONE),
        (("101", "102"), False, True, NO_PHONE),
        (("102", "103"), False, True, refused_for("101")),
        (("102", "103"), False, False, None),
    ],
)
def test_blind_with_calls_and_targets_by_sips(
    tls: tuple[str, ...], call: bool, to: bool, end: tuple[int, str] | None
) -> None:
    office = Transfers(tls=tls, sips=call)
    target = uri("103")._replace(scheme="sips" if to else "sip")
    if end:
        assert office.refusal(target) == end
        assert office.lamps("101", "102") == ["talking", "talking"]
        return
    leg = office.called(office.refer(target))
    office.rings_at(leg)
    if call or to:
        assert office.ask("102", "*97103"), "over TLS"
        assert office.refused("104", "*97103").reason.endswith("is picked up over TLS only")
    office.answers_at(leg)
    talk = office.world.core.calls.of(leg)
    assert talk is not None
    assert talk.secure == (call or to)
