"""Stories of pickups: whose call, who wins it, what everybody is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from builders import (
    HOST,
    SDP,
    World,
    directory,
    document,
    group,
    invite,
    notifies,
    register,
    reply,
    subscribe,
    uri,
)

from blfd.core.call import ELSEWHERE
from blfd.core.effects import (
    Accept,
    Answer,
    Dial,
    Effect,
    HangUp,
    Headers,
    Identify,
    MatchMedia,
    Notify,
    Offer,
    Reply,
    SavePickup,
)
from blfd.core.inputs import (
    DirectoryChanged,
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegProgress,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.values import Aor, Attempt, Reach, Way

TO_CALLER, TO_PICKER, AGAIN = b"for the caller", b"for the picker", b"in the caller's numbers"
PEOPLE = ("101", "102", "103", "104", "105")
SALES = (group("102 103 104"),)


class Office:
    """101 to 105, all registered; 102, 103 and 104 are a group."""

    def __init__(self, groups: tuple = SALES) -> None:
        self.world = World(None, PEOPLE, directory(PEOPLE, groups))
        self.phones: dict[int, list[int]] = {}  # callee legs by the caller's
        self.attempts: list[Attempt] = []

    def give(self, event: object) -> list[Effect]:
        effects = self.world.give(event)  # type: ignore[arg-type]
        self.attempts += [e.attempt for e in effects if isinstance(e, SavePickup)]
        return effects

    def call(
        self, who: str, whom: str, offer: bytes | None = SDP, *, rings: bool = True, update: bool = False
    ) -> int:
        """The caller's leg of a call that rings."""
        (accept,) = self.give(invite(who, whom, offer, allows_update=update))
        assert isinstance(accept, Accept)
        effects = self.give(LegAccepted(accept.leg, "ours"))
        legs = self.phones[accept.leg] = [e.leg for e in effects if isinstance(e, Dial)]
        for leg in legs if rings else ():
            self.ring(leg)
        return accept.leg

    def ring(self, leg: int, sdp: bytes | None = None) -> None:
        self.world.now += 1
        self.give(LegProgress(leg, 180, "", f"id{leg}", "ours", f"phone{leg}", sdp))

    def talk(self, who: str, whom: str) -> int:
        caller = self.call(who, whom)
        (leg,) = self.phones[caller]
        self.give(LegAnswered(leg, f"id{leg}", "ours", f"phone{leg}", SDP))
        self.give(LegAcknowledged(caller, None))
        return caller

    def ask(self, who: str, to: str, offer: bytes | None = SDP, replaces: str = "") -> int:
        """The leg of a picker whose INVITE is taken so far that its media is being matched."""
        (accept,) = self.give(invite(who, to, offer, replaces=(replaces,) if replaces else ()))
        assert isinstance(accept, Accept), accept
        (match,) = self.give(LegAccepted(accept.leg, "mine"))
        assert isinstance(match, MatchMedia)
        self.peer = match.peer
        return accept.leg

    def pick_up(
        self,
        who: str,
        to: str,
        *,
        to_peer: bytes | None = TO_CALLER,
        to_picker: bytes | None = TO_PICKER,
        again: bytes | None = None,
        replaces: str = "",
    ) -> tuple[int, list[Effect]]:
        leg = self.ask(who, to, replaces=replaces)
        return leg, self.give(MediaMatched(leg, True, to_peer, to_picker, again))

    def refused(self, who: str, to: str, *, host: str = HOST, replaces: str = "") -> Reply:
        """The refusal of what has not become a leg."""
        asked = invite(who, to, replaces=(replaces,) if replaces else ())
        return reply(self.give(asked._replace(request=asked.request._replace(target=uri(to, host)))))

    def lamps(self, *extensions: str) -> list[str]:
        return [self.world.lamp(extension) for extension in extensions]


def replaces(leg: int, more: str = "") -> str:
    """What a phone makes of a NOTIFY for the callee leg `leg`."""
    return f"id{leg};to-tag=ours;from-tag=phone{leg}{more}"


def answers(effects: list[Effect]) -> dict[int, tuple[bytes | None, Headers]]:
    return {e.leg: (e.sdp, e.headers) for e in effects if isinstance(e, Answer)}


def hung_up(effects: list[Effect]) -> dict[int, tuple[int, str]]:
    return {e.leg: (e.status, e.reason or e.cause) for e in effects if isinstance(e, HangUp)}


def identity(extension: str) -> Headers:
    return (("P-Asserted-Identity", f'"Name {extension}" <sip:{extension}@{HOST}>'),)


WAYS: dict[str, Callable[[int], tuple[str, str]]] = {
    "directed": lambda leg: ("*97102", ""),
    "group": lambda leg: ("*98", ""),
    "replaces": lambda leg: ("101", replaces(leg)),
    "replaces, early-only": lambda leg: ("102", replaces(leg, ";early-only")),
    "replaces, tags swapped": lambda leg: ("x", f"id{leg};to-tag=phone{leg};from-tag=ours"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_happens_to_everyone(way: str) -> None:
    office = Office()
    caller = office.call("101", "102")
    (ringing,) = office.phones[caller]
    to, value = WAYS[way](ringing)
    leg = office.ask("103", to, replaces=value)
    assert office.peer == caller
    assert office.lamps("101", "102", "103") == ["trying", "ringing", "idle"], "nothing is won yet"
    effects = office.give(MediaMatched(leg, True, TO_CALLER, TO_PICKER))
    assert answers(effects) == {
        caller: (TO_CALLER, identity("103")),
        leg: (TO_PICKER, identity("101")),
    }
    assert hung_up(effects) == {ringing: (487, ELSEWHERE)}
    assert office.lamps("101", "102", "103") == ["talking", "idle", "talking"]
    (attempt,) = office.attempts
    assert (attempt.picker.extension, attempt.extension, attempt.caller) == ("103", "102", "101")
    assert (attempt.status, attempt.result, attempt.way.value) == (200, "picked up", way.partition(",")[0])
    assert office.give(LegAcknowledged(leg, None)) == []
    assert office.give(LegAcknowledged(caller, None)) == []
    (offer,) = office.give(OfferReceived(leg, SDP))
    assert isinstance(offer, Offer)
    assert offer.leg == caller
    office.give(OfferAnswered(caller, 200, SDP))
    assert hung_up(office.give(LegEnded(leg, 200, ""))) == {caller: (487, "")}
    assert office.lamps("101", "102", "103") == ["idle"] * 3
    assert len(office.world.core.calls) == 0


def test_the_next_call_rings_there_while_the_picked_one_goes_on() -> None:
    office = Office()
    office.call("101", "102")
    office.pick_up("103", "*97102")
    office.call("105", "102")
    assert office.lamps("101", "102", "103", "105") == ["talking", "ringing", "talking", "trying"]


def test_no_watcher_sees_early_again() -> None:
    office = Office()
    office.world.confirm(office.give(subscribe("105", "102")))
    caller = office.call("101", "102", rings=False)
    (leg,) = office.phones[caller]
    early = office.give(LegProgress(leg, 180, "", f"id{leg}", "ours", f"phone{leg}", None))
    office.world.confirm(early)
    _, effects = office.pick_up("103", "*97102")
    (notify,) = notifies(effects)
    (dialog,) = document(notify).dialogs
    assert (dialog.id, dialog.state.value, dialog.call_id) == (f"id{leg}", "terminated", f"id{leg}")
    office.world.confirm([notify])
    late = office.give(LegProgress(leg, 180, "", f"id{leg}", "ours", f"phone{leg}", None))
    assert notifies(late) == []
    assert office.lamps("102") == ["idle"]


def test_a_200_that_crosses_is_hung_up_and_never_reaches_the_caller() -> None:
    office = Office()
    caller = office.call("101", "102")
    (leg,) = office.phones[caller]
    office.pick_up("103", "*97102")
    effects = office.give(LegAnswered(leg, f"id{leg}", "ours", f"phone{leg}", SDP))
    assert answers(effects) == {}
    assert hung_up(effects) == {leg: (487, "")}


# Which call


def test_directed_takes_what_has_rung_longest_there() -> None:
    office = Office()
    first = office.call("101", "102")
    second = office.call("105", "102")
    office.ask("103", "*97102")
    assert office.peer == first
    office.give(LegEnded(first, 487, ""))
    office.ask("104", "*97102")
    assert office.peer == second


def test_the_group_takes_what_has_rung_longest_at_others() -> None:
    office = Office()
    own = office.call("105", "103")
    first = office.call("101", "104")
    office.call("105", "102")
    office.ask("103", "*98")
    assert office.peer == first
    office.ask("102", "*98")
    assert office.peer == own


def test_all_phones_of_the_extension_stop_ringing() -> None:
    office = Office()
    office.give(register("102", "sip:102@198.51.100.50", cseq=2))
    caller = office.call("101", "102")
    _, effects = office.pick_up("103", "*98")
    assert hung_up(effects) == dict.fromkeys(office.phones[caller], (487, ELSEWHERE))
    assert len(hung_up(effects)) == 2


def test_several_groups() -> None:
    office = Office((group("103 104", name="a"), group("103", "105", name="b")))
    office.call("101", "102")
    at_105 = office.call("101", "105")
    office.ask("103", "*98")
    assert office.peer == at_105
    assert office.refused("104", "*98").status == 480


def test_the_own_call_from_the_other_phone() -> None:
    office = Office()
    caller = office.call("101", "102")
    office.pick_up("102", "*97102")
    assert office.lamps("101", "102") == ["talking", "talking"]
    assert caller in {call.caller_leg for call in office.world.core.calls}


def test_codes_of_the_tenant() -> None:
    office = Office()
    known = directory(PEOPLE, SALES)
    tenants = dict(known.tenants)
    tenants["default"] = replace(tenants["default"], pickup_code="*8", group_pickup_code="#9")
    office.give(DirectoryChanged(replace(known, tenants=tenants)))
    caller = office.call("101", "102")
    assert office.refused("103", "*97102").status == 404, "no code any more"
    office.ask("103", "*8102")
    assert office.peer == caller
    office.ask("103", "#9")
    assert office.peer == caller


# Refusals: nothing changes for the call


def ringing(office: Office) -> str:
    caller = office.call("101", "102")
    return replaces(office.phones[caller][0])


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


def without_right(reach: Reach = Reach.ON, pickable: bool = True, **who: str) -> Callable[[Office], str]:
    def situation(office: Office) -> str:
        known = directory(PEOPLE, ())
        extensions = dict(known.extensions)
        for aor, change in (
            (Aor("default", "103"), {"pickup": reach}),
            (Aor("default", "102"), {"pickable": pickable}),
        ):
            extensions[aor] = replace(extensions[aor], **change)  # type: ignore[arg-type]
        office.give(DirectoryChanged(replace(known, extensions=extensions)))
        return ringing(office)

    return situation


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
    assert hung_up(office.give(LegAcknowledged(leg, None))) == {leg: (487, ""), caller: (488, "")}
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


# Calls that are up


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_take_over(side: str) -> None:
    office = Office()
    caller = office.talk("101", "102")
    (callee,) = office.phones[caller]
    (call,) = office.world.core.calls
    value = replaces(callee) if side == "callee" else f"{call.call_id};to-tag=ours;from-tag=tag101"
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
    office.give(LegAnswered(leg, f"id{leg}", "ours", f"phone{leg}", SDP))
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


# What watchers get


def watched(office: Office, watcher: str) -> list[Notify]:
    return notifies(office.give(subscribe(watcher, "102")))


def test_who_may_not_pick_up_is_told_nothing_to_do_it_with() -> None:
    office = Office()
    without_right(pickable=False)(office)
    (notify,) = watched(office, "103")
    (dialog,) = document(notify).dialogs
    assert dialog.state.value == "early"
    assert (dialog.call_id, dialog.local_tag, dialog.remote_tag) == (None, None, None)
    assert dialog.remote
    assert dialog.remote.target is None
    assert dialog.remote.identity
    assert dialog.remote.identity.display == "Name 101"
    assert b"*97" not in notify.body
    assert dialog.id not in notify.body.decode().replace(f'id="{dialog.id}"', "")
    (own_phone,) = watched(office, "102")
    assert document(own_phone).dialogs[0].call_id


def test_a_right_that_changes_is_told_at_once() -> None:
    office = Office()
    value = ringing(office)
    office.world.confirm(watched(office, "103"))
    known = directory(PEOPLE)
    extensions = dict(known.extensions)
    aor = Aor("default", "103")
    extensions[aor] = replace(extensions[aor], pickup=Reach.OFF)
    (notify,) = notifies(office.give(DirectoryChanged(replace(known, extensions=extensions))))
    assert document(notify).dialogs[0].call_id is None
    office.world.confirm([notify])
    (notify,) = notifies(office.give(DirectoryChanged(known)))
    assert document(notify).dialogs[0].call_id == value.partition(";")[0]
    office.world.confirm([notify])
    assert notifies(office.give(DirectoryChanged(known))) == [], "nothing has changed"


def test_the_target_is_the_tenants_code() -> None:
    office = Office()
    known = directory(PEOPLE)
    tenants = dict(known.tenants)
    tenants["default"] = replace(tenants["default"], pickup_code="#8")
    office.give(DirectoryChanged(replace(known, tenants=tenants)))
    ringing(office)
    (notify,) = watched(office, "103")
    (dialog,) = document(notify).dialogs
    assert dialog.remote
    assert dialog.remote.target
    assert dialog.remote.target.uri == f"sip:%238102@{HOST}"
