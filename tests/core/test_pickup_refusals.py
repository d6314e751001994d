"""Pickups that are refused or come to nothing: nothing changes for the call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from builders import (
    IPV4,
    IPV6,
    SDP,
    invite,
    register,
    reply,
)
from office import (
    PEOPLE,
    TO_CALLER,
    TO_PICKER,
    Office,
    answers,
    hung_up,
    naming,
    replaces,
    ringing,
    without_right,
)

from blfd.core.calls.leg_inputs import LegAcknowledged, LegAnswered, LegEnded, MediaMatched, OfferAnswered
from blfd.core.calls.media import APART
from blfd.core.directory import Reach
from blfd.core.values import Aor, DialogId

History = Callable[[Office, int, int], None]
"""What happens to a call that rings, by its caller's leg and that of 102's phone."""


def nothing(office: Office) -> str:
    return ""


def answered(office: Office) -> str:
    caller = office.talk("101", "102")
    return replaces(office.phones[caller][0])


def picked_up(office: Office) -> str:
    value = ringing(office)
    office.pick_up("104", "*97102")
    return value


def hung_up_by_the_caller(office: Office) -> str:
    caller = office.call("101", "102")
    office.give(LegEnded(caller, 487, ""))
    return replaces(office.phones[caller][0])


def long_ago(office: Office) -> str:
    value = picked_up(office)
    office.world.now += 60
    return value


def own(office: Office) -> str:
    caller = office.call("101", "103")
    return replaces(office.phones[caller][0])


KEY = "(key)"
REFUSALS = [
    ("*97999", ringing, 404, "999 does not exist"),
    ("*97", ringing, 484, "Dial the code and the extension"),
    ("*97102", nothing, 480, "Nothing rings at 102"),
    ("*97102", answered, 480, "102 has answered already"),
    ("*97102", picked_up, 480, "104 has answered the call already"),
    ("*97102", hung_up_by_the_caller, 480, "The caller has hung up"),
    ("*97102", long_ago, 480, "Nothing rings at 102"),
    ("*97102", without_right(Reach.OFF), 403, "103 may not pick up calls"),
    ("*97102", without_right(Reach.GROUPS), 403, "102 is in none of your pickup groups"),
    ("*97102", without_right(pickable=False), 403, "Calls of 102 may not be picked up"),
    ("*98", nothing, 480, "Nothing rings at your groups"),
    ("*98", own, 480, "Nothing rings at your groups"),
    ("*98", picked_up, 480, "104 has answered the call already"),
    ("*98", answered, 480, "102 has answered already"),
    ("*98", hung_up_by_the_caller, 480, "The caller has hung up"),
    ("*98", without_right(), 403, "103 is in no pickup group with others"),
    ("*98", without_right(Reach.OFF), 403, "103 may not pick up calls"),
    (KEY, picked_up, 603, "104 has answered the call already"),
    (KEY, hung_up_by_the_caller, 603, "The caller has hung up"),
    (KEY + ";early-only", answered, 486, "102 has answered already"),
    (KEY, without_right(Reach.OFF), 403, "103 may not pick up calls"),
    (KEY, without_right(pickable=False), 403, "Calls of 102 may not be picked up"),
    ("id0;to-tag=a;from-tag=b", ringing, 481, "No such call"),
    ("call0;to-tag=a;from-tag=b", nothing, 481, "No such call"),
]


@pytest.mark.parametrize(("ask", "situation", "status", "reason"), REFUSALS)
def test_refusals(ask: str, situation: Callable[[Office], str], status: int, reason: str) -> None:
    office = Office()
    value = situation(office)
    before = office.lamps(*PEOPLE)
    tries = len(office.attempts)
    if ask.startswith(KEY):
        answer = office.refused("103", "102", replaces=value + ask.removeprefix(KEY))
    elif ";" in ask:
        answer = office.refused("103", "102", replaces=ask)
    else:
        answer = office.refused("103", ask)
    assert (answer.status, answer.reason) == (status, reason)
    (name, text) = answer.headers[0]
    assert name == "Warning"
    assert text.startswith('399 blfd "')
    assert office.lamps(*PEOPLE) == before, "the call is as it was"
    (attempt,) = office.attempts[tries:]
    assert (attempt.status, attempt.result, attempt.picker.extension) == (status, reason, "103")


WANTED = [
    ("*98", "", "103 wants its groups' calls: 480 "),
    ("*97102", "", "103 wants 102: 480 "),
    ("102", "id0;to-tag=a;from-tag=b", "103 wants a call that is not known: 481 "),
]


@pytest.mark.parametrize(("ask", "value", "said"), WANTED)
def test_the_log_says_whose_call_was_wanted(ask: str, value: str, said: str) -> None:
    office = Office()
    nothing(office)
    office.refused("103", ask, replaces=value)
    assert said in office.lines[-1]


WITH_TLS = ("101", "102", "103")
REQUIRED = "480 The call is by sips:, and is picked up over TLS only"


@pytest.mark.parametrize(("ask", "up"), [("*97102", False), ("*98", False), (KEY, False), (KEY, True)])
def test_a_call_by_sips_stays_on_tls(ask: str, up: bool) -> None:
    """104, which has no TLS, is refused a call by sips:, and 103, which has it, is not (RFC 5630)."""
    office = Office(tls=WITH_TLS)
    caller = office.talk("101", "102", sips=True) if up else office.call("101", "102", sips=True)
    value = replaces(office.phones[caller][0]) if ask == KEY else ""
    to = "102" if ask == KEY else ask
    refused = office.refused("104", to, replaces=value)
    assert f"{refused.status} {refused.reason}" == REQUIRED
    assert ("Warning", '381 blfd "SIPS Required"') in refused.headers
    assert office.attempts[-1].result in REQUIRED
    office.pick_up("103", to, replaces=value)
    assert office.lamps("101", "102", "103") == ["talking", "idle", "talking"]


def test_the_group_gets_what_it_may_have() -> None:
    office = Office(tls=WITH_TLS)
    office.call("101", "102", sips=True)
    second = office.call("105", "102")
    office.pick_up("104", "*98")
    assert office.peer == second


@pytest.mark.parametrize("ask", ["*97102", "*98", KEY])
def test_who_picks_up_by_sips_gets_nobody_without_tls(ask: str) -> None:
    office = Office(tls=WITH_TLS)
    caller = office.call("105", "102")
    value = replaces(office.phones[caller][0]) if ask == KEY else ""
    to = "102" if ask == KEY else ask
    refused = office.refused("103", to, replaces=value, sips=True)
    reason = "Who is at the other end has no TLS, which a call by sips: needs"
    assert (refused.status, refused.reason) == (480, reason)
    assert ("Warning", '380 blfd "SIPS Not Allowed"') in refused.headers
    second = office.call("101", "102")
    leg = office.ask("103", to, replaces=replaces(office.phones[second][0]) if ask == KEY else "", sips=True)
    assert office.peer == second
    office.give(MediaMatched(leg, True, TO_CALLER, TO_PICKER))
    office.give(LegAcknowledged(leg, None))
    office.give(LegAcknowledged(second, None))
    picked = naming(office.world.core.dialogs.of(Aor("default", "103"))[0].id)
    assert office.refused("104", "103", replaces=picked).reason in REQUIRED, "now it is by sips:"


def test_another_tenants_extension_looks_like_one_that_does_not_exist() -> None:
    office = Office()
    office.give(register("101", "sip:x@198.51.100.3"))
    here = office.refused("103", "*97999")
    there = office.refused("103", "*97999", host="acme.example")
    exists_there = office.refused("103", "*97101", host="acme.example")
    assert (here.status, here.reason, here.headers) == (there.status, there.reason, there.headers)
    assert exists_there.reason == "101 does not exist"
    assert exists_there.status == 404


def test_replaces_of_another_tenants_call() -> None:
    office = Office()
    value = ringing(office)
    office.give(register("101", "sip:acme@198.51.100.3"))
    asked = invite("101", "102", host="acme.example", replaces=(value,))
    refusal = reply(office.give(asked))
    assert (refusal.status, refusal.reason) == (481, "No such call")
    assert office.lamps("102") == ["ringing"]


def test_a_call_that_one_makes_is_not_ringing_for_others() -> None:
    """The caller's side of an early call is not picked up, as FreeSWITCH and FusionPBX would do."""
    office = Office()
    caller = office.call("101", "102")
    call = next(call for call in office.world.core.calls if call.caller_leg == caller)
    answer = office.refused("103", "101", replaces=naming(call.dialog))
    assert (answer.status, answer.reason) == (481, "101 is calling, not being called")
    assert office.refused("103", "*97101").status == 480


def test_no_codec_in_common_and_the_call_rings_on() -> None:
    office = Office()
    caller = office.call("101", "102")
    leg = office.ask("103", "*97102")
    effects = office.give(MediaMatched(leg, False))
    assert hung_up(effects) == {leg: (488, "The phones have no codec in common")}
    assert office.lamps("101", "102", "103") == ["trying", "ringing", "idle"]
    office.ask("104", "*97102")
    assert office.peer == caller


def test_the_picker_gives_up_before_it_has_won() -> None:
    office = Office()
    office.call("101", "102")
    leg = office.ask("103", "*97102")
    assert hung_up(office.give(LegEnded(leg, 487, ""))) == {}
    assert office.lamps("102", "103") == ["ringing", "idle"]
    assert office.attempts[-1].status == 487
    assert office.give(MediaMatched(leg, True, TO_CALLER, TO_PICKER)) == []


@pytest.mark.parametrize("order", ["answer", "cancel", "picker", "timeout"])
def test_what_happened_while_the_pickers_media_was_matched(order: str) -> None:
    office = Office()
    caller = office.call("101", "102")
    (phone,) = office.phones[caller]
    office.world.at(office.world.now + 110)
    leg = office.ask("103", "*97102")
    match order:
        case "answer":
            office.give(LegAnswered(phone, DialogId(f"id{phone}", "ours", f"phone{phone}"), SDP))
        case "cancel":
            office.give(LegEnded(caller, 487, ""))
        case "picker":
            office.pick_up("104", "*97102")
        case "timeout":
            office.world.at(office.world.now + 11)
    effects = office.give(MediaMatched(leg, True, TO_CALLER, TO_PICKER))
    assert answers(effects) == {}
    reasons = {
        "answer": "102 has answered already",
        "cancel": "The caller has hung up",
        "picker": "104 has answered the call already",
        "timeout": "The call at 102 is over",
    }
    assert hung_up(effects) == {leg: (480, reasons[order])}


# What became of the call, and when


def answered_by_102(office: Office, leg: int, phone: int) -> None:
    office.give(LegAnswered(phone, DialogId(f"id{phone}", "ours", f"phone{phone}"), SDP))
    office.give(LegAcknowledged(leg, None))


def picked_up_by(who: str, *, still_up: bool = True) -> History:
    def history(office: Office, leg: int, phone: int) -> None:
        picker, _ = office.pick_up(who, "*97102")
        for acknowledged in (picker, leg):
            office.give(LegAcknowledged(acknowledged, None))
        if not still_up:
            office.give(LegEnded(picker, 200, ""))

    return history


def answered_and_over(office: Office, leg: int, phone: int) -> None:
    answered_by_102(office, leg, phone)
    office.give(LegEnded(leg, 200, ""))


def taken_over(office: Office, leg: int, phone: int) -> None:
    """104 picks the call up, and 105 takes it over."""
    picker, _ = office.pick_up("104", "*97102")
    for acknowledged in (picker, leg):
        office.give(LegAcknowledged(acknowledged, None))
    (dialog,) = office.world.core.dialogs.of(Aor("default", "104"))
    picker, _ = office.pick_up("105", "x", replaces=naming(dialog.id))
    office.give(OfferAnswered(leg, 200, SDP))
    office.give(LegAcknowledged(picker, None))


def given_up(office: Office, leg: int, phone: int) -> None:
    office.give(LegEnded(leg, 487, ""))


def rejected(office: Office, leg: int, phone: int) -> None:
    office.give(LegEnded(phone, 603, "Decline"))


def no_answer(office: Office, leg: int, phone: int) -> None:
    office.world.at(office.world.now + 120)


def busy_at_once(office: Office, leg: int, phone: int) -> None:
    """The phone is busy, so the call never rings."""
    office.give(LegEnded(phone, 486, "Busy Here"))


def alike(history: History, words: str) -> tuple[History, str, str]:
    """A history after which who dials a code and who presses a key are told the same."""
    return history, words, words


NOTHING, GROUP = "Nothing rings at 102", "Nothing rings at your groups"
OVER, HUNG_UP = "The call at 102 is over", "The caller has hung up"
HISTORIES: dict[str, tuple[History, str, str]] = {
    # What happened; what who dials a code is told soon afterwards; what who presses a key is told at any time
    # ("": the key takes the call over).
    "102 answers": (answered_by_102, "102 has answered already", ""),
    "102 answers, over": (answered_and_over, NOTHING, OVER),
    "104 picks up": alike(picked_up_by("104"), "104 has answered the call already"),
    "104 picks up, over": (picked_up_by("104", still_up=False), NOTHING, OVER),
    "104 picks up, 105 takes over": alike(taken_over, "105 has taken it over already"),
    "the picker picks up": alike(picked_up_by("103"), "You have answered the call already"),
    "the picker picks up, over": (picked_up_by("103", still_up=False), NOTHING, OVER),
    "the caller gives up": (given_up, HUNG_UP, HUNG_UP),
    "102 rejects": (rejected, NOTHING, OVER),
    "nobody answers": (no_answer, NOTHING, OVER),
    "it never rings": (busy_at_once, NOTHING, "No such call"),
}


@pytest.mark.parametrize("seconds", [0, 2, 5, 8, 15, 60])
@pytest.mark.parametrize("way", ["*97102", "*98", KEY])
@pytest.mark.parametrize("history", HISTORIES)
def test_the_words_are_true_when_they_are_said(history: str, way: str, seconds: int) -> None:
    """A refusal says what has become of the call; where another call rings meanwhile, there is none."""
    happens, lately, by_key = HISTORIES[history]
    office = Office()
    leg = office.call("101", "102", rings=happens is not busy_at_once)
    (phone,) = office.phones[leg]
    happens(office, leg, phone)
    office.world.at(office.world.now + seconds)
    key = replaces(phone) if way == KEY else ""
    if by_key or way != KEY:
        reason = by_key if way == KEY else lately if seconds < 10 else NOTHING
        reason = GROUP if way == "*98" and reason == NOTHING else reason
        assert office.refused("103", way, replaces=key).reason == reason
    else:
        office.ask("103", way, replaces=key)
        assert office.peer == leg
    if way != KEY and not office.world.core.dialogs.of(Aor("default", "105")):
        another = office.call("105", "102")
        office.ask("103", way)
        assert office.peer == another


@pytest.mark.parametrize("way", ["*97102", "*98", KEY])
def test_who_calls_does_not_pick_up_its_own_call(way: str) -> None:
    office = Office()
    leg = office.call("103", "102")
    key = replaces(office.phones[leg][0]) if way == KEY else ""
    answer = office.refused("103", way, replaces=key)
    assert (answer.status, answer.reason) == (603 if key else 480, "It is your own call that rings at 102")
    assert office.lamps("102", "103") == ["ringing", "trying"]


def test_who_talks_does_not_take_the_others_place() -> None:
    office = Office()
    leg = office.talk("101", "102")
    (phone,) = office.phones[leg]
    answer = office.refused("101", "x", replaces=replaces(phone))
    assert (answer.status, answer.reason) == (603, "You talk with 102 already")
    assert office.refused("102", "*97102").reason == "You have answered already"
    early_only = office.refused("102", "x", replaces=replaces(phone, ";early-only"))
    assert (early_only.status, early_only.reason) == (486, "You have answered already")
    (call,) = office.world.core.calls
    callers = naming(call.dialog, ";early-only")
    assert office.refused("103", "x", replaces=callers).reason == "101 is talking already"


def test_one_phone_refuses_and_another_of_the_same_callee_rings_on() -> None:
    """The key that the refusing phone had lit takes the call, and so does a pickup that is under way."""
    office = Office()
    office.give(register("102", "sip:102@198.51.100.50", cseq=2))
    caller = office.call("101", "102")
    one, other = office.phones[caller]
    on_the_way = office.ask("104", "*97102")
    office.give(LegEnded(one, 486, "Busy Here"))
    office.ask("103", "x", replaces=replaces(one))
    assert office.peer == caller
    effects = office.give(MediaMatched(on_the_way, True, TO_CALLER, TO_PICKER))
    assert set(answers(effects)) == {caller, on_the_way}
    assert set(hung_up(effects)) == {other}


def test_what_a_picker_dials_is_shown_without_what_is_hidden() -> None:
    office = Office()
    answer = office.refused("103", "*97\r\nBYE sip:x SIP/2.0\r\n")
    told = (answer.reason, *(value for _, value in answer.headers), office.attempts[-1].extension)
    assert not any(ord(character) < 32 for text in told for character in text)


def test_media_of_other_address_families_cannot_meet() -> None:
    office = Office()
    office.call("101", "102", IPV4)
    leg = office.ask("103", "*97102", IPV6)
    effects = office.give(MediaMatched(leg, True, TO_CALLER, TO_PICKER))
    assert hung_up(effects) == {leg: (488, APART)}
    assert office.lamps("101", "102", "103") == ["trying", "ringing", "idle"]


def test_a_call_is_not_taken_over_from_another_address_family() -> None:
    office = Office()
    caller = office.call("101", "102", IPV4)
    (phone,) = office.phones[caller]
    office.give(LegAnswered(phone, DialogId(f"id{phone}", "ours", f"phone{phone}"), IPV4))
    office.give(LegAcknowledged(caller, None))
    leg = office.ask("103", "102", IPV6, replaces(phone))
    assert hung_up(office.give(MediaMatched(leg, True, TO_CALLER, TO_PICKER)))[leg] == (488, APART)


def test_why_the_media_do_not_fit_is_said() -> None:
    office = Office()
    office.call("101", "102")
    leg = office.ask("103", "*97102")
    effects = office.give(MediaMatched(leg, False, why="Neither phone has said what it can send"))
    assert hung_up(effects) == {leg: (488, "Neither phone has said what it can send")}
