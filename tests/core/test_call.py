"""Stories of calls: inputs in, effects and lamps out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from builders import (
    IPV4,
    IPV6,
    SDP,
    World,
    dials,
    document,
    invite,
    notifies,
    register,
    reply,
    request,
    subscribe,
)
from office import Office

from blfd.core.calls.leg_effects import (
    Accept,
    Acknowledge,
    Answer,
    AnswerOffer,
    HangUp,
    Offer,
    Progress,
    RefuseOffer,
    RespondToInfo,
    SendInfo,
)
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    InfoResponseReceived,
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegProgress,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.media import APART
from blfd.core.calls.outward import ELSEWHERE
from blfd.core.calls.refusals import NOBODY_NOW
from blfd.core.effects import Effect, LetIn, Log, Reply
from blfd.core.inputs import Drain
from blfd.core.messages import MovedReceived
from blfd.core.quoting import name_addr
from blfd.core.settings import Settings
from blfd.core.values import Aor, DialogId, Reason

HOLD = b"v=0\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n"
OTHER = b"v=0\r\nm=audio 6000 RTP/AVP 0\r\n"


@dataclass
class Story:
    """101 calls 102, who has `phones` phones, whose legs are `legs`."""

    phones: int = 1
    offer: bytes | None = SDP
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        self.world = World(self.settings, ("101", "102"))
        for number in range(1, self.phones):
            self.world.give(register("102", f"sip:102@198.51.100.{number}", cseq=number + 1))
        (accept,) = self.world.give(invite(offer=self.offer))
        assert isinstance(accept, Accept)
        self.caller = accept.leg
        self.dialled = dials(self.world.give(LegAccepted(self.caller, "ours")))
        self.legs = [dial.leg for dial in self.dialled]

    def ring(self, phone: int = 0, status: int = 180, sdp: bytes | None = None) -> list[Effect]:
        leg = self.legs[phone]
        return self.world.give(LegProgress(leg, status, "", DialogId(f"id{leg}", "ours", f"phone{leg}"), sdp))

    def pick_up(self, phone: int = 0, sdp: bytes | None = SDP) -> list[Effect]:
        leg = self.legs[phone]
        return self.world.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", f"phone{leg}"), sdp))

    def end(self, leg: int, status: int = 200) -> list[Effect]:
        return self.world.give(LegEnded(leg, status, ""))

    def talk(self) -> Story:
        self.ring()
        self.pick_up()
        self.world.give(LegAcknowledged(self.caller, None))
        return self

    def lamps(self) -> tuple[str, str]:
        return self.world.lamp("101"), self.world.lamp("102")


def without_logs(effects: list[Effect]) -> list[Effect]:
    return [effect for effect in effects if not isinstance(effect, Log)]


def hung_up(effects: list[Effect]) -> dict[int, Reason | None]:
    return {effect.leg: effect.cause for effect in effects if isinstance(effect, HangUp)}


def test_a_call() -> None:
    story = Story()
    (dial,) = story.dialled
    assert (dial.contact, dial.offer) == ("sip:102@198.51.100.7", SDP)
    assert name_addr(dial.from_) == '"Name 101" <sip:101@192.0.2.5>'
    assert dict(dial.headers)["P-Asserted-Identity"] == name_addr(dial.from_)
    assert story.lamps() == ("trying", "idle")
    (progress,) = without_logs(story.ring())
    assert isinstance(progress, Progress)
    assert (progress.leg, progress.status, progress.sdp) == (story.caller, 180, None)
    assert story.lamps() == ("trying", "ringing")
    (answer,) = without_logs(story.pick_up())
    assert isinstance(answer, Answer)
    assert (answer.leg, answer.sdp) == (story.caller, SDP)
    assert story.lamps() == ("talking", "talking")
    assert story.world.give(LegAcknowledged(story.caller, None)) == []
    assert hung_up(story.end(story.caller)) == {story.legs[0]: None}
    assert story.lamps() == ("idle", "idle")
    assert len(story.world.core.calls) == 0
    assert story.end(story.legs[0]) == []


def test_the_watchers_see_identifiers_in_every_state() -> None:
    story = Story()
    world = story.world
    world.confirm(world.give(subscribe("103", "102")))
    seen = []
    steps: tuple[Callable[[], list[Effect]], ...]
    steps = (story.ring, story.pick_up, lambda: story.end(story.legs[0]))
    for step in steps:
        (notify,) = notifies(step())
        world.confirm([notify])
        (dialog,) = document(notify).dialogs
        seen.append(dialog.state.value)
        leg = story.legs[0]
        assert (dialog.call_id, dialog.local_tag, dialog.remote_tag) == (f"id{leg}", f"phone{leg}", "ours")
        assert dialog.direction
        assert dialog.direction.value == "recipient"
        assert dialog.remote
        assert dialog.remote.target
        pickup = "sip:*97102@192.0.2.5" if dialog.state.value == "early" else "sip:101@192.0.2.5"
        assert dialog.remote.target.uri == pickup
    assert seen == ["early", "confirmed", "terminated"]


def test_a_tag_that_is_not_known_yet_is_no_tag() -> None:
    """A 180 has no To tag where a phone follows RFC 2543; the 200 brings one."""
    story = Story()
    world, leg = story.world, story.legs[0]
    world.confirm(world.give(subscribe("103", "102")))
    told = []
    for event in (
        LegProgress(leg, 180, "", DialogId("id", "ours", ""), None),
        LegAnswered(leg, DialogId("id", "ours", "phone"), SDP),
    ):
        (notify,) = notifies(world.give(event))
        world.confirm([notify])
        assert b'=""' not in notify.body
        told.append([(d.id, d.local_tag, d.remote_tag) for d in document(notify).dialogs])
    assert told == [[("id;ours", None, "ours")], [("id;ours", "phone", "ours")]]


@pytest.mark.parametrize("rings", [0, 1, 2])
def test_the_caller_gives_up(rings: int) -> None:
    story = Story(phones=2)
    for phone in range(rings):
        story.ring(phone)
    assert hung_up(story.end(story.caller, 487)) == dict.fromkeys(story.legs)
    assert story.lamps() == ("idle", "idle")


def test_a_phone_that_is_elsewhere_is_let_in_to_its_own_leg_alone() -> None:
    """The same holds for the leg of a phone that has picked up."""
    office = Office()
    ringing, talking = office.call("101", "102"), office.talk("104", "105")
    picker, _ = office.pick_up("103", "*97102")
    legs = {ringing: "101", picker: "103", talking: "104", office.phones[talking][0]: "105", 999: ""}
    for leg, owner in legs.items():
        for who in ("101", "102", "103", "104", "105"):
            asked = request("INFO", who)
            (effect,) = office.give(MovedReceived(asked, leg))
            if who == owner:
                assert effect == LetIn(asked.transaction, leg)
            else:
                assert isinstance(effect, Reply)
                assert effect.status == 481


def test_the_first_answer_wins() -> None:
    story = Story(phones=3)
    for phone in range(3):
        effects = without_logs(story.ring(phone))
        assert len(effects) == (phone == 0), "one 180 is enough"
    effects = story.pick_up(1)
    assert hung_up(effects) == {story.legs[0]: ELSEWHERE, story.legs[2]: ELSEWHERE}
    assert len(story.world.core.dialogs.of(Aor("default", "102"))) == 1
    crossing = story.pick_up(2)
    assert hung_up(crossing) == {story.legs[2]: None}
    assert not [e for e in crossing if isinstance(e, Answer)]


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ((486,), 486),
        ((486, 404), 486),
        ((503, 486), 486),
        ((503,), 500),
        ((408, 503), 480),
        ((503, 408), 480),
        ((486, 480), 486),
        ((500, 603), 603),
        ((401, 487), 480),
        ((302,), 480),
        ((500, 404), 404),
        ((480, 486), 486),
    ],
)
def test_the_best_refusal(codes: tuple[int, ...], status: int) -> None:
    story = Story(phones=len(codes))
    for leg, code in list(zip(story.legs, codes, strict=True))[:-1]:
        assert hung_up(story.end(leg, code)) == {}
    (last,) = without_logs(story.end(story.legs[-1], codes[-1]))
    assert isinstance(last, HangUp)
    assert (last.leg, last.status) == (story.caller, status)
    assert story.lamps() == ("idle", "idle")


def test_a_decline_ends_all() -> None:
    story = Story(phones=3)
    effects = [e for e in story.end(story.legs[1], 603) if isinstance(e, HangUp)]
    assert [(e.leg, e.status) for e in effects if e.leg == story.caller] == [(story.caller, 603)]
    assert {e.leg for e in effects} == {story.caller, story.legs[0], story.legs[2]}


def test_nobody_answers() -> None:
    story = Story(settings=Settings(no_answer_timeout=30))
    story.ring()
    assert story.world.at(story.world.now + 29) == []
    effects = [e for e in story.world.at(story.world.now + 1) if isinstance(e, HangUp)]
    assert [(e.leg, e.status) for e in effects if e.leg == story.caller] == [(story.caller, 480)]
    assert story.lamps() == ("idle", "idle")


def test_an_answered_call_has_no_timeout() -> None:
    story = Story(settings=Settings(no_answer_timeout=30)).talk()
    assert hung_up(story.world.at(story.world.now + 31)) == {}
    assert story.lamps() == ("talking", "talking")


def test_early_media_of_one_and_another_answers() -> None:
    story = Story(phones=2)
    (progress,) = without_logs(story.ring(0, 183, SDP))
    assert isinstance(progress, Progress)
    assert (progress.status, progress.sdp) == (183, SDP)
    assert story.lamps() == ("trying", "early media")
    assert without_logs(story.ring(1, 183, OTHER)) == [], "the caller has early media already"
    answer = next(e for e in story.pick_up(1, OTHER) if isinstance(e, Answer))
    assert answer.sdp is None
    (offer,) = story.world.give(LegAcknowledged(story.caller, None))
    assert isinstance(offer, Offer)
    assert (offer.leg, offer.sdp) == (story.caller, OTHER)
    assert story.world.give(OfferAnswered(story.caller, 200, SDP)) == []


def test_early_media_and_the_same_phone_answers() -> None:
    story = Story()
    story.ring(0, 183, SDP)
    story.pick_up()
    assert story.world.give(LegAcknowledged(story.caller, None)) == []


def test_the_phone_that_had_early_media_answers_with_other() -> None:
    """The caller takes the first SDP for the answer (RFC 3261, section 13.2.1), so it is asked anew."""
    story = Story()
    story.ring(0, 183, SDP)
    (answer,) = [e for e in story.pick_up(0, OTHER) if isinstance(e, Answer)]
    assert answer.sdp is None
    (offer,) = story.world.give(LegAcknowledged(story.caller, None))
    assert isinstance(offer, Offer)
    assert (offer.leg, offer.sdp) == (story.caller, OTHER)


def test_media_that_are_asked_for_while_it_rings() -> None:
    story = Story()
    story.ring(0, 183, SDP)
    assert story.world.give(OfferReceived(story.caller, HOLD, answered=True)) == []
    story.pick_up(0, None)
    (offer,) = story.world.give(LegAcknowledged(story.caller, None))
    assert isinstance(offer, Offer)
    assert (offer.leg, offer.sdp) == (story.legs[0], HOLD)


def test_delayed_offer() -> None:
    story = Story(offer=None)
    assert story.dialled[0].offer is None
    answer = next(e for e in story.pick_up(0, OTHER) if isinstance(e, Answer))
    assert answer.sdp == OTHER
    acknowledged = story.world.give(LegAcknowledged(story.caller, SDP))
    assert acknowledged == [Acknowledge(story.legs[0], SDP)]


def test_delayed_offer_without_an_answer() -> None:
    story = Story(offer=None)
    story.pick_up(0, OTHER)
    assert set(hung_up(story.world.give(LegAcknowledged(story.caller, None)))) == {
        story.caller,
        story.legs[0],
    }


def test_an_answer_without_media() -> None:
    story = Story()
    effects = [e for e in story.pick_up(0, None) if isinstance(e, HangUp)]
    assert {(e.leg, e.status) for e in effects} >= {(story.caller, 488)}
    assert story.lamps() == ("idle", "idle")


def test_an_answer_of_another_address_family() -> None:
    story = Story(offer=IPV4)
    effects = [e for e in story.pick_up(0, IPV6) if isinstance(e, HangUp)]
    assert {e.leg for e in effects} == {story.caller, story.legs[0]}
    assert next((e.status, e.reason) for e in effects if e.leg == story.caller) == (488, APART)
    assert story.lamps() == ("idle", "idle")


def test_an_answer_of_another_address_family_in_the_ack() -> None:
    story = Story(offer=None)
    story.pick_up(0, IPV6)
    assert set(hung_up(story.world.give(LegAcknowledged(story.caller, IPV4)))) == {
        story.caller,
        story.legs[0],
    }


@pytest.mark.parametrize("by_caller", [True, False])
def test_hold_and_resume(by_caller: bool) -> None:
    story = Story().talk()
    mine, other = (story.caller, story.legs[0]) if by_caller else (story.legs[0], story.caller)
    for offer, lamp in ((HOLD, "held"), (SDP, "talking")):
        assert story.world.give(OfferReceived(mine, offer)) == [Offer(other, offer)]
        effects = story.world.give(OfferAnswered(other, 200, OTHER))
        assert effects[0] == AnswerOffer(mine, OTHER)
        assert story.lamps() == ((lamp, "talking") if by_caller else ("talking", lamp))


@pytest.mark.parametrize(("status", "told"), [(488, 488), (491, 491), (500, 488), (408, 408), (481, 488)])
def test_a_refused_offer(status: int, told: int) -> None:
    story = Story().talk()
    story.world.give(OfferReceived(story.caller, HOLD))
    said = (("Warning", '304 b "No such codec"'), ("Allow", "INVITE"))
    (refusal,) = story.world.give(OfferAnswered(story.legs[0], status, None, "No", said))
    reason = "No" if told == status else "Not Acceptable Here"
    assert refusal == RefuseOffer(story.caller, told, reason, said[:1])
    assert story.lamps() == ("talking", "talking")


def test_an_offer_before_the_call_is_up() -> None:
    story = Story()
    assert story.world.give(OfferReceived(story.caller, HOLD)) == [
        RefuseOffer(story.caller, 491, "Request Pending")
    ]


def test_offers_that_cross() -> None:
    """The second offer is refused, and the answer to the first still reaches who asked."""
    story = Story().talk()
    callee = story.legs[0]
    assert story.world.give(OfferReceived(story.caller, HOLD)) == [Offer(callee, HOLD)]
    assert story.world.give(OfferReceived(callee, OTHER)) == [RefuseOffer(callee, 491, "Request Pending")]
    assert story.world.give(OfferAnswered(callee, 200, SDP))[0] == AnswerOffer(story.caller, SDP)
    assert story.lamps() == ("held", "talking")


def test_info() -> None:
    story = Story().talk()
    asked = (("Info-Package", "g.test"), ("Record", "on"), ("Subject", "not of an INFO"))
    sent = story.world.give(InfoReceived(story.caller, 5, "text/x;a=b", b"Signal=1", asked))
    assert sent == [SendInfo(story.legs[0], 5, "text/x;a=b", b"Signal=1", asked[:2])]
    said = (("Accept", "text/plain"), ("Recv-Info", "other"))
    answer = InfoResponseReceived(story.legs[0], 5, 415, "No \r\n that", "text/y", b"why", said)
    told = RespondToInfo(story.caller, 5, 415, "No \ufffd\ufffd that", "text/y", b"why", said[:1])
    assert story.world.give(answer) == [told]


def test_a_content_type_that_cannot_stand_in_a_header() -> None:
    story = Story().talk()
    (sent,) = story.world.give(InfoReceived(story.caller, 5, "text/x\r\nEvil: 1", b"x"))
    assert isinstance(sent, SendInfo)
    assert sent.content_type == "application/octet-stream"


def test_an_info_before_there_is_anybody_to_take_it() -> None:
    """An INFO that is refused by 481 would make its phone end the call."""
    story = Story()
    story.pick_up()
    assert story.world.give(InfoReceived(story.caller, 5, "", b"")) == [
        RespondToInfo(story.caller, 5, *NOBODY_NOW)
    ]


def test_a_phone_that_dies_ends_the_call() -> None:
    story = Story().talk()
    assert hung_up(story.end(story.legs[0], 408)) == {story.caller: None}
    assert story.lamps() == ("idle", "idle")


def test_events_of_legs_that_are_gone() -> None:
    story = Story()
    assert story.world.give(LegAnswered(99, DialogId("c", "l", "r"), SDP)) == [HangUp(99)]
    assert story.world.give(OfferReceived(99, SDP)) == [RefuseOffer(99, 481, "Call does not exist")]
    assert story.world.give(InfoReceived(99, 1, "", b"")) == [RespondToInfo(99, 1, 481)]
    assert story.world.give(LegEnded(99, 487, "")) == []


def test_a_call_that_pjsip_refuses() -> None:
    world = World(phones=("102",))
    (accept,) = world.give(invite())
    assert isinstance(accept, Accept)
    world.give(LegEnded(accept.leg, 420, "Bad Extension"))
    assert len(world.core.calls) == 0
    assert world.lamp("101") == "idle"


def test_drain_hangs_up() -> None:
    story = Story().talk()
    assert set(hung_up(story.world.give(Drain(False)))) == {story.caller, story.legs[0]}
    assert len(story.world.core.calls) == 0
    refused = reply(story.world.give(invite("103")))
    assert (refused.status, dict(refused.headers)["Retry-After"]) == (503, "5")


@pytest.mark.parametrize(("to", "hops", "status"), [("999", 70, 404), ("103", 70, 480), ("102", 0, 483)])
def test_refused_calls(to: str, hops: int, status: int) -> None:
    world = World(phones=("102",))
    assert reply(world.give(invite(to=to, hops=hops))).status == status


def test_a_lamp_key_stays_honest_with_two_calls() -> None:
    story = Story().talk()
    (accept,) = story.world.give(invite("103"))
    assert isinstance(accept, Accept)
    (dial,) = dials(story.world.give(LegAccepted(accept.leg, "t")))
    story.world.give(LegProgress(dial.leg, 180, "", DialogId("second", "o", "p"), None))
    assert story.world.lamp("102") == "ringing"
    story.end(story.legs[0])
    assert story.world.lamp("102") == "ringing"
    story.world.give(LegEnded(dial.leg, 486, ""))
    assert story.world.lamp("102") == "idle"
