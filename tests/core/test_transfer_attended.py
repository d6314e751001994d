"""Transfers after a consultation, or while the target rings: who gets whose place, and whose media."""

from __future__ import annotations

import pytest
from builders import SDP, request, uri
from office import hung_up, identity
from transferring import HELD, MOVED, TARGET, TRANSFEREE, Consulting, Transfers, offers, refused_for

from blfd.core.calls.leg_effects import Acknowledge, MatchMedia, NotifyLeg, Offer
from blfd.core.calls.leg_inputs import LegEnded, MediaFound, MediaMatched, OfferAnswered, OfferReceived
from blfd.core.calls.transfers import PAUSE
from blfd.core.effects import Log, Reply
from blfd.core.messages import ReferReceived, ReferTo
from blfd.core.values import Aor


@pytest.mark.parametrize("tags", ["right", "swapped", "one", "missing"])
@pytest.mark.parametrize("calls", [True, False], ids=["which it called", "which called it"])
@pytest.mark.parametrize("by_caller", [True, False], ids=["by the caller", "by the callee"])
@pytest.mark.parametrize("held", [True, False], ids=["held", ""])
def test_attended(by_caller: bool, calls: bool, held: bool, tags: str) -> None:
    office = Consulting(by_caller=by_caller, calls=calls, held=held)
    t, target = office.transferee, office.target
    ids = [office.dialog(extension).id for extension in ("101", "103")]
    effects = office.refer("x", replaces=office.consulted(tags))
    assert office.peer == t
    assert office.statuses() == [100, 200]
    assert offers(effects) == [Offer(t, TARGET, identity("103"))]
    (done,) = (effect.text for effect in effects if isinstance(effect, Log) and ": done" in effect.text)
    assert done == "transfer by 102, who has consulted: 101 to 103: done"
    assert hung_up(effects).keys() == {office.second, office.transferor}
    assert office.lamps("101", "102", "103") == ["talking", "idle", "talking"]
    assert [office.dialog(extension).id for extension in ("101", "103")] == ids, "their dialogs go on"
    assert (office.dialog("101").remote, office.dialog("103").remote) == ("103", "101")
    assert offers(office.give(OfferAnswered(t, 200, MOVED))) == [Offer(target, MOVED, identity("101"))]
    assert office.give(OfferAnswered(target, 200, TARGET)) == []
    (offer,) = offers(office.give(OfferReceived(target, HELD)))
    assert offer.leg == t
    office.give(OfferAnswered(t, 200, SDP))
    assert office.lamps("101", "103") == ["talking", "held"]
    assert hung_up(office.give(LegEnded(target, 200, ""))).keys() == {t}
    assert office.lamps("101", "102", "103") == ["idle"] * 3
    assert len(office.world.core.calls) == 0


def test_attended_without_a_codec_in_common() -> None:
    office = Consulting(by_caller=False)
    office.fits = False
    effects = office.refer("x", replaces=office.consulted())
    assert office.statuses() == [100, 488]
    assert hung_up(effects) == {}
    assert office.lamps("101", "102", "103") == ["talking"] * 3, "of its two calls one is held"
    assert len(office.world.core.calls) == 2


def test_attended_when_the_other_one_hangs_up_meanwhile() -> None:
    office = Consulting(by_caller=False)
    office.give(OfferReceived(office.second, HELD))
    office.refer("x", replaces=office.consulted())
    assert office.statuses() == [100], "its hold is not settled"
    told = office.give(LegEnded(office.target, 200, ""))
    assert [(e.leg, e.status) for e in told if isinstance(e, NotifyLeg)] == [(office.transferor, 481)]
    assert office.lamps("101", "102", "103") == ["talking", "held", "idle"]


def test_what_an_earlier_transfer_has_asked_for_moves_no_later_one() -> None:
    """PJSIP answers when it can: by then the leg may be in another transfer, which waits for its calls."""
    office = Consulting(by_caller=False)
    office.give(OfferReceived(office.second, HELD))
    office.refer("x", replaces=office.consulted())
    for leg in (office.transferor, office.transferee, office.second, office.target):
        for late in (
            MediaFound(leg, SDP),
            MediaFound(leg, None),
            MediaMatched(leg, True, TARGET, TRANSFEREE),
        ):
            assert office.give(late) == []
    assert office.statuses() == [100], "its hold is not settled"
    office.give(OfferAnswered(office.target, 200, SDP))
    (match,) = office.world.at(office.world.now + PAUSE)
    assert match == MatchMedia(office.target, office.transferee)
    office.confirm(office.give(MediaMatched(office.target, True, TARGET, TRANSFEREE)))
    assert office.statuses() == [100, 200]
    assert office.lamps("101", "102", "103") == ["talking", "idle", "talking"]


ENDINGS: dict[str, tuple[int, list[str]]] = {
    "busy": (486, ["talking", "held", "idle"]),
    "no answer": (480, ["talking", "held", "idle"]),
}


@pytest.mark.parametrize("by_caller", [True, False], ids=["by the caller", "by the callee"])
@pytest.mark.parametrize("ending", ["answered", "busy", "no answer", "picked up"])
@pytest.mark.parametrize("offer", [SDP, None], ids=["", "without SDP"])
def test_while_the_target_rings(by_caller: bool, ending: str, offer: bytes | None) -> None:
    office = Consulting(by_caller=by_caller, rings=True, offer=offer)
    t, target = office.transferee, office.target
    assert office.lamps("101", "102", "103") == ["talking", "held", "ringing"]
    ringing = office.dialog("103").id
    effects = office.refer("x", replaces=office.consulted())
    assert hung_up(effects) == {office.second: (487, "")}, "the phone rings on"
    assert office.statuses() == [100, 180]
    assert office.dialog("103").id == ringing
    assert (office.dialog("103").remote, office.dialog("103").referred_by[0]) == ("101", "102")
    assert office.lamps("101", "102", "103") == ["talking", "held", "ringing"]
    match ending:
        case "answered":
            effects = office.answers_at(target)
            assert offers(effects) == [Offer(t, TARGET, identity("103"))]
            office.confirm(effects)
            assert office.statuses() == [100, 180, 200]
            assert office.lamps("101", "102", "103") == ["talking", "idle", "talking"]
            effects = office.give(OfferAnswered(t, 200, TRANSFEREE))
            due = [] if offer else [Acknowledge(target, TRANSFEREE)]
            assert [e for e in effects if isinstance(e, Acknowledge)] == due
            assert offers(effects) == [Offer(target, TRANSFEREE, identity("101"))], "it was called by 102"
            assert office.give(OfferAnswered(target, 200, TARGET)) == []
        case "busy":
            effects = office.give(LegEnded(target, 486, "Busy Here"))
        case "no answer":
            effects = office.world.at(office.world.now + 130)
        case "picked up":
            picker = office.ask("104", "*97103")
            assert office.peer == t
            effects = office.give(MediaMatched(picker, True, b"for 101", b"for 104"))
            assert offers(effects) == [Offer(t, b"for 101", identity("104"))]
            office.confirm(effects)
            assert office.lamps("101", "102", "103", "104") == ["talking", "idle", "idle", "talking"]
    if ending in ENDINGS:
        status, lamps = ENDINGS[ending]
        assert [(e.leg, e.status) for e in effects if isinstance(e, NotifyLeg)] == [
            (office.transferor, status)
        ]
        assert office.lamps("101", "102", "103") == lamps
        assert len(office.world.core.calls) == 1


@pytest.mark.parametrize("answer", [None, b"v=0\r\nc=IN IP6 ::1\r\nm=audio 4100 RTP/AVP 0\r\n"])
def test_a_target_whose_offer_gets_no_answer(answer: bytes | None) -> None:
    office = Consulting(by_caller=False, rings=True, offer=None)
    office.confirm(office.refer("x", replaces=office.consulted()))
    target = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 7000 RTP/AVP 0\r\n"
    office.confirm(office.answers_at(office.target, target))
    ended = hung_up(office.give(OfferAnswered(office.transferee, 200 if answer else 488, answer)))
    assert ended.keys() == {office.transferee, office.target}
    assert office.lamps("101", "103") == ["idle", "idle"]
    assert len(office.world.core.calls) == 0


def test_what_is_no_consultation() -> None:
    office = Consulting(by_caller=False)
    assert office.refusal("x", replaces="nothing;to-tag=1;from-tag=2") == (481, "102 has no such call")
    others = "{};to-tag={};from-tag={}".format(*office.dialog("103").id)
    assert office.refusal("x", replaces=others) == (481, "102 has no such call"), "of 103's phone"
    own = next(d for d in office.world.core.dialogs.of(Aor("default", "102")) if d.leg == office.transferor)
    assert office.refusal("x", replaces="{};to-tag={};from-tag={}".format(*own.id))[0] == 400, "of this call"
    early = office.consulted() + ";early-only"
    assert office.refusal("x", replaces=early) == (486, "The other call is up already")
    assert office.refusal("x", replaces="a b")[0] == 400
    value = office.consulted()
    office.give(LegEnded(office.second, 200, ""))
    assert office.refusal("x", replaces=value) == (481, "The other call is over")
    incoming = office.call("104", "102")
    (leg,) = office.phones[incoming]
    ringing = next(d for d in office.world.core.dialogs.of(Aor("default", "102")) if d.leg == leg)
    value = "{};to-tag={};from-tag={}".format(*ringing.id)
    assert office.refusal("x", replaces=value) == (403, "102 has not answered the other call")
    assert office.lamps("101", "102") == ["talking", "ringing"]


@pytest.mark.parametrize("rings", [False, True], ids=["up", "ringing"])
@pytest.mark.parametrize("to", ["sip", "sips"])
@pytest.mark.parametrize(
    ("sips", "without"),
    [("", ""), ("", "101"), ("", "103"), ("first", ""), ("first", "103"), ("second", ""), ("second", "101")],
)
def test_attended_with_calls_by_sips(sips: str, without: str, to: str, rings: bool) -> None:
    """One of both calls, or the target, by sips: is enough for TLS to be needed of everybody."""
    tls = tuple(who for who in ("101", "102", "103") if who != without)
    office = Consulting(by_caller=False, tls=tls, sips=sips, rings=rings)
    target = uri("x")._replace(scheme=to)
    is_secure = bool(sips) or to == "sips"
    if is_secure and without:
        asked = request("REFER", "102", "x")
        refer = ReferReceived(asked, office.transferor, ReferTo(target, (office.consulted(),)))
        (reply,) = [e for e in office.give(refer) if isinstance(e, Reply)]
        assert (reply.status, reply.reason) == refused_for(without)
        return
    office.refer(target, replaces=office.consulted())
    talk = office.world.core.calls.of(office.target)
    assert talk is not None
    assert talk.secure == is_secure


def test_a_consultation_is_for_one_transfer() -> None:
    office = Consulting(by_caller=False)
    office.give(OfferReceived(office.second, HELD))
    value = office.consulted()
    office.refer("x", replaces=value)
    assert office.refusal("104", office.second) == (491, "This call is just being transferred")
    third = office.talk("102", "104")
    assert office.refusal("x", third, replaces=value) == (491, "The other call is just being transferred")


def test_somebody_takes_over_while_the_target_rings() -> None:
    """The transferor's call goes on at another of its phones, and the target is called no more."""
    office = Transfers()
    leg = office.blind()
    dialog = office.dialog("102")
    value = "{};to-tag={};from-tag={}".format(*dialog.id)
    picker = office.ask("104", "x", replaces=value)
    ended = hung_up(office.give(MediaMatched(picker, True, b"for 101", b"for 104")))
    assert ended.keys() == {office.transferor, leg}
    assert office.lamps("101", "102", "103", "104") == ["talking", "idle", "idle", "talking"]
