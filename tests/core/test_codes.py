"""Codes by which an extension sets its own rules: what is stored, what its phone is told, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import HOST, SDP, World, directory, invite, notifies, reply, subscribe

from blfd.core.calls.codes import MOST, SHOWN
from blfd.core.calls.leg_effects import Accept, Answer, HangUp, RefuseOffer, RespondToInfo
from blfd.core.calls.leg_inputs import InfoReceived, LegAccepted, LegAcknowledged, LegEnded, OfferReceived
from blfd.core.calls.media import silent
from blfd.core.calls.own_rules import MOST as MOST_WAITING
from blfd.core.calls.refusals import NOBODY_NOW
from blfd.core.directory import Directory, Forwarding, Rule
from blfd.core.effects import Effect, Failed, Log, Reply, SetRules
from blfd.core.inputs import DirectoryChanged, Drain, Input, RulesSet
from blfd.core.values import Aor, Reason

WHO = Aor("default", "101")
SET = [
    ("*78", Rule("dnd", True), "Do not disturb is on"),
    ("*72102", Rule("always", "102"), "Calls go to 102 at once"),
    ("*90103", Rule("busy", "103"), "Calls go to 103 when busy"),
    ("*92103", Rule("no_answer", "103"), "Calls go to 103 after 20 s"),
    ("*79", Rule("dnd", False), "Do not disturb is off"),
    ("*73", Rule("always", ""), "Calls are not forwarded"),
    ("*91", Rule("busy", ""), "Calls are not forwarded when busy"),
    ("*93", Rule("no_answer", ""), "Calls are not forwarded when nobody answers"),
]
ALL = Forwarding(dnd=True, always="103", busy="103", no_answer="102")


def having(rules: Forwarding) -> Directory:
    known = directory()
    extension = replace(known.extensions[WHO], forwarding=rules)
    return replace(known, extensions={**known.extensions, WHO: extension})


def world(rules: Forwarding | None = None) -> World:
    return World(known=having(rules or Forwarding()))


def dial(world: World, code: str, offer: bytes | None = SDP) -> list[Effect]:
    return world.give(invite("101", code, offer))


def stored(world: World, asked: SetRules, status: int = 200, reason: str = "") -> list[Effect]:
    """Store the rules that are to be set, and return what the core does when it hears of that."""
    if status == 200:
        fields = {rule.field: rule.value for rule in asked.rules}
        known = world.core.directory.extensions[asked.aor].forwarding
        world.give(DirectoryChanged(having(replace(known, **fields))))  # type: ignore[arg-type]
    return world.give(RulesSet(asked.number, status, reason))


def answered(world: World, effects: list[Effect]) -> Answer:
    (accept,) = effects
    assert isinstance(accept, Accept)
    (answer,) = world.give(LegAccepted(accept.leg, "ours"))
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize(("code", "rule", "words"), SET)
def test_a_code_is_answered_when_it_is_stored_and_says_what_holds(code: str, rule: Rule, words: str) -> None:
    story = world(ALL if not rule.value else None)
    (asked,) = dial(story, code)
    assert asked == SetRules(1, WHO, (rule,))
    answer = answered(story, stored(story, asked))
    assert getattr(story.core.directory.extensions[WHO].forwarding, rule.field) == rule.value
    assert answer.sdp == silent(SDP)
    assert answer.headers == (("P-Asserted-Identity", f'"{words}" <sip:{code}@{HOST}>'),)
    assert story.give(LegAcknowledged(answer.leg, None)) == []
    end = HangUp(answer.leg, 200, words, Reason(200, words))
    assert story.at(story.now + SHOWN) == [end]
    assert story.at(story.now + 60) == []
    again = answered(story, dial(story, code))
    assert again.headers == answer.headers, "what holds already need not be stored"


def test_lamps_of_do_not_disturb_follow_before_the_phone_is_answered() -> None:
    story = world()
    story.confirm(story.give(subscribe("103", "101")))
    (asked,) = dial(story, "*78")
    fields = DirectoryChanged(having(Forwarding(dnd=True)))
    (notify,) = notifies(story.give(fields))
    assert b"<state>confirmed</state>" in notify.body
    assert story.lamp("101") == "do not disturb"
    assert isinstance(asked, SetRules)
    assert len(story.give(RulesSet(asked.number, 200))) == 1


@pytest.mark.parametrize(("status", "reason"), [(500, "It cannot be stored now"), (403, "in a circle")])
def test_what_cannot_be_stored_is_a_refused_call(status: int, reason: str) -> None:
    story = world()
    (asked,) = dial(story, "*72102")
    assert isinstance(asked, SetRules)
    refused = reply(stored(story, asked, status, reason))
    assert (refused.status, refused.reason) == (status, reason)
    assert isinstance(dial(story, "*78")[0], SetRules), "the next one is heard"


def test_changes_of_an_extension_are_one_at_a_time_in_order_and_wait_for_nobody_else() -> None:
    story = world()
    (first,) = dial(story, "*78")
    assert dial(story, "*79") == dial(story, "*79") == dial(story, "*72102") == [], "they wait for the first"
    (other,) = story.give(invite("102", "*78"))
    assert isinstance(first, SetRules)
    assert isinstance(other, SetRules)
    assert other.number != first.number
    accept, second = stored(story, first)
    assert isinstance(second, SetRules)
    assert second.rules == (Rule("dnd", False),), "although that was so when it was dialled"
    assert "disturb is on" in str(answered(story, [accept]).headers)
    off, again, third = stored(story, second)
    assert isinstance(third, SetRules)
    assert third.rules == (Rule("always", "102"),)
    for accept in (off, again):
        assert "disturb is off" in str(answered(story, [accept]).headers)
    answered(story, stored(story, third))
    assert story.core.directory.extensions[WHO].forwarding == Forwarding(always="102")
    (last,) = dial(story, "*73")
    assert isinstance(last, SetRules), "nothing waits any more"


def test_the_next_change_is_stored_though_the_one_before_is_not() -> None:
    story = world()
    (first,) = dial(story, "*72102")
    assert dial(story, "*78") == []
    assert isinstance(first, SetRules)
    refused, second = stored(story, first, 403, "in a circle")
    assert reply([refused]).status == 403
    assert isinstance(second, SetRules)
    answered(story, stored(story, second))


@pytest.mark.parametrize("failing", ["a code", "a key"])
def test_changes_go_on_when_who_waits_for_one_fails(failing: str) -> None:
    """What goes wrong of ours with one change, whoever has asked for it, leaves no other one waiting."""

    def broken(answer: RulesSet, now: float) -> list[Effect]:
        raise RuntimeError(failing)

    story = world()
    rules = story.core.own_rules
    asked = rules.set(WHO, (Rule("dnd", True),), broken, story.now)
    assert rules.set(WHO, (Rule("dnd", True),), broken, story.now) == dial(story, "*72102") == []
    failed, again, second = stored(story, *asked)  # type: ignore[arg-type]
    assert [str(one.error) for one in (failed, again) if isinstance(one, Failed)] == [failing] * 2
    assert isinstance(second, SetRules)
    answered(story, stored(story, second))
    assert story.core.directory.extensions[WHO].forwarding == Forwarding(dnd=True, always="102")


def test_few_changes_of_an_extension_wait() -> None:
    story = world()
    assert isinstance(dial(story, "*78")[0], SetRules)
    for _ in range(MOST_WAITING - 1):
        assert dial(story, "*79") == []
    refused = reply(dial(story, "*79"))
    assert (refused.status, refused.headers) == (500, (("Retry-After", "1"),))


def test_a_phone_gone_mad_has_few_such_calls() -> None:
    story = world(ALL)
    for _ in range(MOST):
        answered(story, dial(story, "*78"))
    assert reply(dial(story, "*78")).status == 486


@pytest.mark.parametrize(
    ("code", "status"), [("*72", 484), ("*72999", 404), ("*72101", 403), ("*78102", 404)]
)
def test_what_leads_nowhere_is_refused_at_once(code: str, status: int) -> None:
    story = world()
    refused = reply(dial(story, code))
    assert (refused.status, bool(refused.reason)) == (status, True)


@pytest.mark.parametrize(
    ("event", "effect"),
    [
        (OfferReceived(0, SDP), RefuseOffer(0, 488, "There is nobody to talk with")),
        (OfferReceived(0, SDP, answered=True), None),
        (InfoReceived(0, 7, "", b""), RespondToInfo(0, 7, *NOBODY_NOW)),
        (LegEnded(0, 200, ""), None),
    ],
)
@pytest.mark.parametrize("is_up", [False, True])
def test_what_a_phone_does_meanwhile(event: Input, effect: Effect | None, is_up: bool) -> None:
    story = world()
    (asked,) = dial(story, "*78")
    assert isinstance(asked, SetRules)
    answer = answered(story, stored(story, asked))
    if is_up:
        story.give(LegAcknowledged(answer.leg, None))
    expected = [effect._replace(leg=answer.leg)] if effect else []  # type: ignore[call-arg]
    assert story.give(event._replace(leg=answer.leg)) == expected  # type: ignore[union-attr, call-arg]
    ends = [type(each) for each in story.at(story.now + SHOWN)]
    assert ends == ([HangUp] if is_up and not isinstance(event, LegEnded) else [])


def test_the_caller_hangs_up_before_it_is_stored() -> None:
    story = world()
    (asked,) = dial(story, "*78")
    assert isinstance(asked, SetRules)
    (accept,) = stored(story, asked)
    assert isinstance(accept, Accept)
    assert story.give(LegEnded(accept.leg, 487, "The caller has hung up")) == []
    assert story.give(LegAccepted(accept.leg, "ours")) == [HangUp(accept.leg)]


def test_such_a_call_ends_with_the_server() -> None:
    story = world(ALL)
    answer = answered(story, dial(story, "*78"))
    ends = [effect for effect in story.give(Drain(tell=False)) if isinstance(effect, HangUp)]
    assert ends == [HangUp(answer.leg, 503, "The server is stopping")]


@pytest.mark.parametrize("is_made", [False, True])
def test_what_never_comes_ends_it(is_made: bool) -> None:
    story = world(ALL)
    (accept,) = dial(story, "*78")
    assert isinstance(accept, Accept)
    if is_made:
        assert answered(story, [accept])
    effects = [effect for _ in range(50) for effect in story.at(story.now + 1)]
    (log,) = [effect.text for effect in effects if isinstance(effect, Log)]
    assert log.startswith("code dialled by 101: ")
    assert [effect.leg for effect in effects if isinstance(effect, HangUp)] == [accept.leg]
    assert not story.core.codes.legs()


# Silence

HEAD = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
FIELDS = b"v=0\r\no=- 3 4 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
DYNAMIC = b"a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 G722/8000\r\n"
SDES = b"m=audio 9 RTP/SAVP 8\r\na=crypto:1 ODD inline:x\r\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n"
SILENT: list[tuple[bytes | None, bytes | None]] = [
    (None, b"m=audio 9 RTP/AVP 0 8\r\na=inactive\r\n"),
    (b"m=audio 4000 RTP/AVP 8 0 101\r\na=sendrecv\r\n", b"m=audio 9 RTP/AVP 8\r\na=inactive\r\n"),
    (
        b"m=audio 4000 RTP/AVPF 96 97\r\n" + DYNAMIC,
        b"m=audio 9 RTP/AVPF 96\r\na=rtpmap:96 opus/48000/2\r\na=inactive\r\n",
    ),
    (
        b"m=video 4 RTP/AVP 31 32\r\nm=audio 4 RTP/AVP 0\r\nm=audio 6 RTP/AVP 0\r\n",
        b"m=video 0 RTP/AVP 31 32\r\nm=audio 9 RTP/AVP 0\r\na=inactive\r\nm=audio 0 RTP/AVP 0\r\n",
    ),
    (b"m=audio 4 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:x\r\n", None),
    (b"m=audio 4 RTP/SAVP 0\r\na=crypto:1 ODD inline:abc\r\n", None),
    (b"m=audio 0 RTP/AVP 0\r\n", None),
    (b"m=audio 4 RTP/AVP\r\n", None),
    (b"m=image 4 udptl t38\r\n", None),
    (b"", None),
]


@pytest.mark.parametrize(("offer", "streams"), SILENT)
def test_silence_in_the_form_of_an_offer(offer: bytes | None, streams: bytes | None) -> None:
    expected = None if streams is None else HEAD + streams
    assert silent(None if offer is None else FIELDS + offer) == expected


def test_silence_with_a_key_of_its_own() -> None:
    answer = silent(FIELDS + SDES)
    assert answer
    (key,) = [line for line in answer.split(b"\r\n") if line.startswith(b"a=crypto")]
    assert key.startswith(b"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:")
    assert len(key.partition(b"inline:")[2]) == 40, "30 octets"
    assert b"abc" not in key


def test_over_ipv6() -> None:
    answer = silent(FIELDS.replace(b"IP4 192.0.2.9", b"IP6 2001:db8::1") + b"m=audio 4 RTP/AVP 0\r\n")
    assert answer
    assert b"c=IN IP6 ::\r\n" in answer


def test_a_phone_that_no_silence_fits_is_told_in_words() -> None:
    story = world(ALL)
    (accept,) = dial(story, "*78", FIELDS + b"m=audio 4 UDP/TLS/RTP/SAVPF 0\r\n")
    assert isinstance(accept, Accept)
    assert story.give(LegAccepted(accept.leg, "ours")) == [HangUp(accept.leg, 480, "Do not disturb is on")]


def test_a_refusal_is_no_answer() -> None:
    assert not any(isinstance(effect, Reply) for effect in dial(world(ALL), "*78"))
