"""Stories of transfers: who is put in whose place, what everybody is told, and what watchers see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from builders import SDP, document, notifies, register, request, subscribe, uri
from office import Office, hung_up, identity

from blfd.core.calls.leg_effects import (
    Acknowledge,
    Dial,
    FindMedia,
    HangUp,
    MatchMedia,
    NotifyLeg,
    Offer,
    RefuseOffer,
)
from blfd.core.calls.leg_inputs import (
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegNotified,
    LegProgress,
    MediaFound,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.transfer import TRANSITIONS, Event, Stage
from blfd.core.effects import Effect, Log, Reply
from blfd.core.inputs import Drain
from blfd.core.messages import ReferReceived, ReferTo
from blfd.core.quoting import name_addr
from blfd.core.values import Aor, DialogId, Reason, Redirect, Uri

TRANSFEREE = b"v=0\r\nm=audio 4100 RTP/AVP 0\r\n"
TARGET = b"v=0\r\nm=audio 7000 RTP/AVP 0\r\n"
MOVED = b"v=0\r\nm=audio 4102 RTP/AVP 0\r\n"
HELD = SDP + b"a=sendonly\r\n"


class Transfers(Office):
    """101 talks with 102 on the legs `caller` and `callee`; the SIP stack answers what it can at once."""

    def __init__(self, *, by_caller: bool = False, tls: tuple[str, ...] = (), sips: bool = False) -> None:
        super().__init__(tls=tls)
        self.caller = self.talk("101", "102", sips=sips)
        (self.callee,) = self.phones[self.caller]
        both = (self.caller, self.callee)
        self.transferor, self.transferee = both if by_caller else both[::-1]
        self.told: list[tuple[int, int]] = []  # (leg, status)
        self.fits = True

    def give(self, event: object) -> list[Effect]:
        effects = super().give(event)
        for effect in list(effects):
            match effect:
                case FindMedia(leg):
                    effects += self.give(MediaFound(leg, TRANSFEREE))
                case MatchMedia(leg, peer) if self.world.core.calls.of(leg):
                    self.peer = peer
                    effects += self.give(MediaMatched(leg, self.fits, TARGET, TRANSFEREE))
                case NotifyLeg():
                    self.told.append((effect.leg, effect.status))
        return effects

    def confirm(self, effects: list[Effect], status: int = 200) -> list[Effect]:
        """Answer the NOTIFYs of a REFER among the effects, and return the effects with what comes of that."""
        sent = [e for e in effects if isinstance(e, NotifyLeg)]
        more = [e for n in sent for e in self.give(LegNotified(n.leg, n.exchange, status))]
        return [*more, *self.confirm(more)] if more else []

    def refer(self, to: str | Uri = "103", leg: int = 0, *, replaces: str = "", **more: Any) -> list[Effect]:
        """Send a REFER by the transferor, or on `leg`, and confirm all NOTIFYs."""
        target = uri(to) if isinstance(to, str) else to
        asked = request("REFER", "102", "x")
        effects = self.give(
            ReferReceived(
                asked, leg or self.transferor, ReferTo(target, (replaces,) if replaces else ()), **more
            )
        )
        return [*effects, *self.confirm(effects)]

    def refusal(self, to: str | Uri = "103", leg: int = 0, **more: Any) -> tuple[int, str]:
        (reply,) = [e for e in self.refer(to, leg, **more) if isinstance(e, Reply)]
        return reply.status, reply.reason

    def called(self, effects: list[Effect]) -> int:
        """The leg of the phone that is called by these effects."""
        (dial,) = [e for e in effects if isinstance(e, Dial)]
        return dial.leg

    def rings_at(self, leg: int) -> list[Effect]:
        effects = self.give(
            LegProgress(leg, 180, "Ringing", DialogId(f"id{leg}", "ours", f"phone{leg}"), None)
        )
        return [*effects, *self.confirm(effects)]

    def answers_at(self, leg: int, sdp: bytes = TARGET) -> list[Effect]:
        return self.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", f"phone{leg}"), sdp))

    def blind(self) -> int:
        """Begin a blind transfer to 103, whose phone rings, and return that phone's leg."""
        leg = self.called(self.refer())
        self.rings_at(leg)
        return leg

    def statuses(self) -> list[int]:
        return [status for leg, status in self.told if leg == self.transferor]

    def dialog(self, extension: str):  # type: ignore[no-untyped-def]
        (dialog,) = self.world.core.dialogs.of(Aor("default", extension))
        return dialog

    def names(self) -> tuple[str, str]:
        """The extensions of transferor and transferee."""
        return ("101", "102") if self.transferor == self.caller else ("102", "101")


def offers(effects: list[Effect]) -> list[Offer]:
    return [e for e in effects if isinstance(e, Offer)]


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


# With a consultation


class Consulting(Transfers):
    """102 talks with 101 and with 103, or 103 rings; in either call 102 may be caller or callee."""

    def __init__(
        self,
        *,
        by_caller: bool,
        calls: bool = True,
        rings: bool = False,
        held: bool = True,
        offer: bytes | None = SDP,
        tls: tuple[str, ...] = (),
        sips: str = "",
    ) -> None:
        super().__init__(tls=tls)
        self.give(LegEnded(self.caller, 200, ""))
        first = self.talk(*(("102", "101") if by_caller else ("101", "102")), sips=sips == "first")
        legs = (first, self.phones[first][0])
        self.transferor, self.transferee = legs if by_caller else legs[::-1]
        if held:
            self.give(OfferReceived(self.transferor, HELD))
            self.give(OfferAnswered(self.transferee, 200, SDP))
        if rings:
            self.second = self.call("102", "103", offer, sips=sips == "second")
            (self.target,) = self.phones[self.second]
        else:
            consulted = self.talk(*(("102", "103") if calls else ("103", "102")), sips=sips == "second")
            legs = (consulted, self.phones[consulted][0])
            self.second, self.target = legs if calls else legs[::-1]

    def consulted(self, tags: str = "right") -> str:
        (own,) = [d for d in self.world.core.dialogs.of(Aor("default", "102")) if d.leg == self.second]
        to_tag, from_tag = own.id.remote_tag, own.id.local_tag
        return {
            "right": f"{own.id.call_id};to-tag={to_tag};from-tag={from_tag}",
            "swapped": f"{own.id.call_id};to-tag={from_tag};from-tag={to_tag}",
            "one": f"{own.id.call_id};from-tag={from_tag}",
            "missing": own.id.call_id,
        }[tags]


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


# By sips: (RFC 5630)


def refused_for(who: str) -> tuple[int, str]:
    return 480, f"{who} has no TLS, which a call by sips: needs"


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


# Refusals


def test_who_is_no_target() -> None:
    office = Transfers()
    office.give(register("104", expires=0, cseq=2))
    assert office.refusal("104") == (480, "104 is not registered")
    assert office.refusal("199") == (404, "199 does not exist")
    assert office.refusal("*97103") == (403, "A call cannot be transferred to *97103")
    assert office.refusal("*98")[0] == 403
    assert office.refusal(uri("103", "elsewhere.example"))[0] == 404
    assert office.refusal(uri("101", "acme.example"))[0] == 404, "another tenant's"
    bye = uri("103")._replace(parameters=(("method", "BYE"),))
    assert office.refusal(bye) == (400, "A call is transferred, and no BYE")
    assert office.refusal(Uri("mailto:x@y", "mailto", "", "", 0))[0] == 416
    assert office.told == []
    assert office.lamps("101", "102") == ["talking", "talking"]
    tel = Uri("tel:1-03;phone-context=x", "tel", "", "", 0)
    office.called(office.refer(tel))


def test_when_no_call_can_be_transferred() -> None:
    office = Transfers()
    assert office.refusal(leg=-1) == (481, "Call does not exist")
    refer = ReferReceived(request("REFER", "102", "103"), 0, ReferTo(uri("103")))
    (reply,) = [e for e in office.give(refer) if isinstance(e, Reply)]
    assert (reply.status, reply.reason) == (403, "Transfer a call from within it")
    caller = office.call("104", "105")
    assert office.refusal(leg=caller)[0] == 403, "it rings"
    office.blind()
    for leg in (office.transferor, office.transferee):
        assert office.refusal("104", leg) == (491, "This call is just being transferred")


def test_a_transfer_right_after_the_answer_waits_for_the_ack() -> None:
    office = Transfers()
    caller = office.call("104", "105")
    (leg,) = office.phones[caller]
    office.answers_at(leg)
    accepted = office.refer("103", leg)
    assert [e.status for e in accepted if isinstance(e, Reply | NotifyLeg)] == [202, 100]
    assert not any(isinstance(e, Dial) for e in accepted)
    office.give(LegAcknowledged(caller, None))
    looked = office.world.at(office.world.now + 0.3)
    assert looked == [FindMedia(caller)]
    office.called(office.give(MediaFound(caller, TRANSFEREE)))


def test_an_ack_that_never_comes_ends_it() -> None:
    office = Transfers()
    caller = office.call("104", "105")
    (leg,) = office.phones[caller]
    office.answers_at(leg)
    office.refer("103", leg)
    told = [e for _ in range(50) for e in office.world.at(office.world.now + 0.3)]
    assert [(e.leg, e.status) for e in told if isinstance(e, NotifyLeg)] == [(leg, 491)]


def test_five_transfers_and_no_more() -> None:
    office = Transfers()
    transferor, transferee = office.callee, office.caller
    for number in range(5):
        target = office.called(office.refer(("103", "104")[number % 2], transferor))
        effects = office.answers_at(target)
        office.confirm(effects)
        office.give(OfferAnswered(transferee, 200, TRANSFEREE))
        transferor = target
    assert office.refusal("103", transferor)[0] == 483


def test_a_stop_ends_all_of_it() -> None:
    for hangs_up, answers in ((False, False), (True, False), (False, True)):
        office = Transfers()
        leg = office.blind()
        if hangs_up:
            office.give(LegEnded(office.transferor, 200, ""))
        if answers:
            office.answers_at(leg)
        ended = hung_up(office.give(Drain(tell=False)))
        assert ended.keys() == {office.transferee, leg, *([] if hangs_up else [office.transferor])}
        assert all(leg > 0 for leg in ended), "none of a stand-in"
        assert office.lamps("101", "102", "103") == ["idle"] * 3


def test_a_leg_that_is_given_up_leaves_no_lamp() -> None:
    """The watchdog gives up the leg of who waits, or that of who is told."""
    for hangs_up in (True, False):
        office = Transfers()
        target = office.blind()
        if hangs_up:
            office.give(LegEnded(office.transferor, 200, ""))
        else:
            office.answers_at(target)
        leg = office.transferee if hangs_up else office.transferor
        core = office.world.core
        ended = hung_up(core.transfers.settle([HangUp(leg, 500, "given up")], office.world.now))
        assert ended.keys() == ({leg, target} if hangs_up else {leg})
        assert office.lamps("101" if hangs_up else "102") == ["idle"]
        assert core.transfers.legs() == set()


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
