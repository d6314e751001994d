"""Pickups that are refused or come to nothing: nothing changes for the call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from builders import (
    SDP,
    invite,
    register,
    reply,
)
from office import PEOPLE, TO_CALLER, TO_PICKER, Office, answers, hung_up, replaces, ringing, without_right

from blfd.core.inputs import (
    LegAnswered,
    LegEnded,
    MediaMatched,
)
from blfd.core.values import Reach


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
    """Not the caller's side of an early call (freeswitch and fusionpbx pick up outgoing calls)."""
    office = Office()
    caller = office.call("101", "102")
    call = next(call for call in office.world.core.calls if call.caller_leg == caller)
    answer = office.refused("103", "101", replaces=f"{call.call_id};to-tag=tag101;from-tag=ours")
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
    leg = office.ask("103", "*97102")
    match order:
        case "answer":
            office.give(LegAnswered(phone, f"id{phone}", "ours", f"phone{phone}", SDP))
        case "cancel":
            office.give(LegEnded(caller, 487, ""))
        case "picker":
            office.pick_up("104", "*97102")
        case "timeout":
            office.world.at(office.world.now + 121)
    effects = office.give(MediaMatched(leg, True, TO_CALLER, TO_PICKER))
    assert answers(effects) == {}
    reasons = {
        "answer": "102 has answered already",
        "cancel": "The caller has hung up",
        "picker": "104 has answered the call already",
        "timeout": "The call at 102 is over",
    }
    assert hung_up(effects) == {leg: (480, reasons[order])}
