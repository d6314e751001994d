"""Stories of pickups: whose call, who wins it, what everybody is told, and what watchers get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from builders import (
    HOST,
    SDP,
    directory,
    document,
    group,
    notifies,
    over_tls,
    register,
    subscribe,
)
from office import (
    PEOPLE,
    SALES,
    TO_CALLER,
    TO_PICKER,
    Office,
    answers,
    hung_up,
    identity,
    naming,
    replaces,
    ringing,
    without_right,
)

from blfd.core import report
from blfd.core.calls.leg_effects import Offer
from blfd.core.calls.leg_inputs import (
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegProgress,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.outward import ELSEWHERE
from blfd.core.directory import Reach
from blfd.core.effects import Notify
from blfd.core.events.dialog_state import MOST_EARLIER
from blfd.core.inputs import DirectoryChanged
from blfd.core.values import Aor, DialogId
from dialog_info import Direction, Replaces

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


@pytest.mark.parametrize("way", WAYS)
def test_watchers_are_told_what_an_invite_has_replaced(way: str) -> None:
    """A dialog tells what it has replaced, by the ids that watchers had of the ringing phone.

    See RFC 4235, section 4.1.4.
    """
    office = Office()
    (ringing,) = office.phones[office.call("101", "102")]
    to, value = WAYS[way](ringing)
    office.pick_up("103", to, replaces=value)
    (dialog,) = document(notifies(office.give(subscribe("104", "103")))[0]).dialogs
    told = Replaces(f"id{ringing}", f"phone{ringing}", "ours")
    assert dialog.replaces == (told if way.startswith("replaces") else None)


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
    early = office.give(LegProgress(leg, 180, "", DialogId(f"id{leg}", "ours", f"phone{leg}"), None))
    office.world.confirm(early)
    _, effects = office.pick_up("103", "*97102")
    (notify,) = notifies(effects)
    (dialog,) = document(notify).dialogs
    assert (dialog.id, dialog.state.value, dialog.call_id) == (f"id{leg};ours", "terminated", f"id{leg}")
    office.world.confirm([notify])
    late = office.give(LegProgress(leg, 180, "", DialogId(f"id{leg}", "ours", f"phone{leg}"), None))
    assert notifies(late) == []
    assert office.lamps("102") == ["idle"]


def test_a_200_that_crosses_is_hung_up_and_never_reaches_the_caller() -> None:
    office = Office()
    caller = office.call("101", "102")
    (leg,) = office.phones[caller]
    office.pick_up("103", "*97102")
    effects = office.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", f"phone{leg}"), SDP))
    assert answers(effects) == {}
    assert hung_up(effects) == {leg: (487, "")}


# Which call is picked up


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


# What people and watchers get


def arrows(office: Office, *extensions: str) -> list[list[str]]:
    """What the board shows of each extension's calls: `>` before whom it calls, `<` before who calls it."""
    aors = [Aor("default", extension) for extension in extensions]
    rows = report.lamps(office.world.core, office.world.now, aors)
    way = {"initiator": ">", "recipient": "<"}
    return [[way[d["direction"]] + d["remote"] for d in row["dialogs"]] for row in rows]


def test_who_calls_whom_after_a_pickup_and_a_take_over() -> None:
    """The board has the picker in the callee's place; watchers are told that it sent its dialog's INVITE."""
    office = Office()
    caller = office.call("101", "102")
    leg, _ = office.pick_up("103", "*97102")
    for acknowledged in (leg, caller):
        office.give(LegAcknowledged(acknowledged, None))
    assert arrows(office, "101", "103", "102") == [[">103"], ["<101"], []]
    (dialog,) = document(notifies(office.give(subscribe("105", "103")))[0]).dialogs
    assert (dialog.direction, dialog.local_tag) == (Direction.INITIATOR, "tag103")
    key = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    leg, _ = office.pick_up("104", "x", replaces=key)
    office.give(LegAcknowledged(leg, None))
    office.give(OfferAnswered(caller, 200, SDP))
    assert arrows(office, "101", "104", "103") == [[">104"], ["<101"], []]
    (talk,) = office.world.core.dialogs.of(Aor("default", "101"))
    office.pick_up("105", "x", replaces=naming(talk.id))
    assert arrows(office, "101", "104", "105") == [[], ["<105"], [">104"]]


def explained(office: Office) -> tuple[dict[str, list[str]], str]:
    row = report.explain(office.world.core, Aor("default", "102"), office.world.now)
    return {picker["picker"]: picker["ways"] for picker in row["pickers"]}, row["why_nobody"]


def test_who_could_pick_up_a_call_by_sips() -> None:
    office = Office(tls=("101", "102", "103"))
    office.call("101", "102", sips=True)
    assert explained(office) == ({"103": ["*97102", "*98"]}, "")
    office.give(over_tls(register("103", expires=0, cseq=2)))
    plain = "the call is by sips:, and who may has no phone over TLS: 104, 105"
    assert explained(office) == ({}, plain)


def test_who_could_pick_up_now() -> None:
    """Neither the caller could, nor who talks, nor the phone that rings already."""
    office = Office()
    assert explained(office) == ({}, "nothing rings there")
    office.give(subscribe("104", "102"))
    caller = office.call("101", "102")
    code = ["*97102"]
    assert explained(office) == ({"103": [*code, "*98"], "104": [*code, "*98", "its key"], "105": code}, "")
    office.talk("104", "105")
    assert explained(office) == ({"103": [*code, "*98"]}, "")
    office.give(register("102", "sip:102@198.51.100.50", cseq=2))
    assert explained(office)[0].keys() == {"102", "103"}, "its other phone, which does not ring"
    office.give(register("102", "sip:102@198.51.100.50", 0, cseq=3))
    office.give(register("103", expires=0, cseq=2))
    assert explained(office) == ({}, "who may is on the phone: 101, 104, 105")
    office.give(LegEnded(caller, 487, ""))
    without_right(Reach.OFF, pickable=False)(office)
    assert "--pickable on" in explained(office)[1]


def test_the_groups_code_is_named_where_it_gets_this_call() -> None:
    office = Office()
    office.call("101", "104")
    office.call("105", "102")
    assert explained(office)[0]["103"] == ["*97102"], "what rings at 104 has rung longer"


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


# Equal Call-IDs


def shown(office: Office, who: str) -> dict[str, DialogId]:
    """The dialogs of an extension as a NOTIFY tells them, by the extension at the other end."""
    (notify,) = notifies(office.give(subscribe("105", who, 0)))
    told = {}
    for dialog in document(notify).dialogs:
        assert dialog.remote
        assert dialog.remote.identity
        user = dialog.remote.identity.uri.partition("@")[0].removeprefix("sip:")
        told[user] = DialogId(f"{dialog.call_id}", f"{dialog.remote_tag}", f"{dialog.local_tag}")
    assert len({dialog.id for dialog in document(notify).dialogs}) == len(told)
    return told


def test_two_phones_choose_the_same_call_id() -> None:
    office = Office()
    one, other = DialogId("same", "one", "tag101"), DialogId("same", "other", "tag101")
    first = office.call("101", "102", dialog=one)
    second = office.call("101", "103", dialog=other)
    assert shown(office, "101") == {"102": one, "103": other}
    office.give(LegEnded(first, 487, ""))
    assert office.lamps("101", "102", "103") == ["trying", "idle", "ringing"]
    picker, _ = office.pick_up("104", "*97103")
    for acknowledged in (picker, second):
        office.give(LegAcknowledged(acknowledged, None))
    assert office.lamps("101", "104") == ["talking", "talking"]
    assert office.refused("102", "x", replaces=naming(one)).status == 603
    office.pick_up("105", "x", replaces=naming(other))
    assert office.lamps("101", "104", "105") == ["idle", "talking", "talking"]


FORKS = [f"fork{number}" for number in range(MOST_EARLIER + 2)]
"""Tags of the phones behind a contact at which a call forks, the first to ring first."""


def forked(count: int) -> tuple[Office, int, list[str]]:
    """An office where 101 calls 102, which forks; the caller's leg, and what a key makes of each NOTIFY."""
    office = Office()
    office.world.confirm(office.give(subscribe("105", "102")))
    caller = office.call("101", "102", rings=False)
    (leg,) = office.phones[caller]
    known = []
    for tag in FORKS[:count]:
        effects = office.give(LegProgress(leg, 180, "", DialogId(f"id{leg}", "ours", tag), None))
        office.world.confirm(effects)
        (element,) = document(notifies(effects)[-1]).dialogs
        known.append(f"{element.call_id};to-tag={element.remote_tag};from-tag={element.local_tag}")
    return office, caller, known


@pytest.mark.parametrize("back_and_forth", [False, True])
def test_the_key_of_each_fork_that_rang(*, back_and_forth: bool) -> None:
    """The newest document may be on its way: what a lamp has shown is to be had as long as the call rings."""
    for number in range(3):
        office, caller, known = forked(3)
        (leg,) = office.phones[caller]
        if back_and_forth:
            for tag in FORKS[:2] * 8:
                office.give(LegProgress(leg, 180, "", DialogId(f"id{leg}", "ours", tag), None))
        _, effects = office.pick_up("103", "102", replaces=known[number])
        assert set(answers(effects)) > {caller}
        assert office.lamps("101", "102", "103") == ["talking", "idle", "talking"]


def test_the_key_of_a_fork_that_rang_while_nobody_knows_how_many() -> None:
    office, _, known = forked(len(FORKS))
    assert office.refused("103", "102", replaces=known[0]).status == 481, "ids are remembered within bounds"
    office.pick_up("103", "102", replaces=known[2])
    assert office.lamps("102", "103") == ["idle", "talking"]


@pytest.mark.parametrize(
    ("what", "more", "status", "reason"),
    [
        ("answered", "", 603, "102 has answered already"),
        ("answered", ";early-only", 486, "102 has answered already"),
        ("picked up", "", 603, "104 has answered the call already"),
        ("given up", "", 603, "The caller has hung up"),
        ("taken over", "", 603, "104 has taken it over already"),
    ],
)
def test_the_key_of_a_fork_that_rings_no_more(what: str, more: str, status: int, reason: str) -> None:
    """The call is up by another fork, and who has pressed the key of a phone that rang wants no such call."""
    office, caller, known = forked(2)
    (leg,) = office.phones[caller]
    match what:
        case "picked up":
            office.pick_up("104", "*97102")
        case "given up":
            office.give(LegEnded(caller, 487, ""))
        case _:
            office.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", FORKS[1]), SDP))
            office.give(LegAcknowledged(caller, None))
    if what == "taken over":
        picker, _ = office.pick_up("104", "102", replaces=known[1])
        for acknowledged in (picker, caller):
            office.give(LegAcknowledged(acknowledged, None))
    before = office.lamps(*PEOPLE)
    refusal = office.refused("103", "102", replaces=known[0] + more)
    assert (refusal.status, refusal.reason) == (status, reason)
    assert office.lamps(*PEOPLE) == before
    if what == "answered":
        assert office.ask("103", "102", replaces=known[1]), (
            "that of the fork which has answered is a take-over"
        )


@pytest.mark.parametrize("ends", ["there", "back"])
def test_a_call_comes_back_with_our_call_id(ends: str) -> None:
    """102's contact is a proxy that sends our INVITE back to us for 103: both ends of its dialog are ours."""
    office = Office()
    there = office.call("101", "102", rings=False)
    (leg,) = office.phones[there]
    way_back = DialogId(f"id{leg}", f"phone{leg}", "ours")
    back = office.call("101", "103", dialog=way_back)
    office.ring(leg)
    assert shown(office, "102") == {"101": DialogId(f"id{leg}", "ours", f"phone{leg}")}
    assert shown(office, "101")["103"] == way_back
    assert office.lamps("102", "103") == ["ringing", "ringing"]
    picker, _ = office.pick_up("104", "x", replaces=replaces(leg))
    for acknowledged in (picker, there):
        office.give(LegAcknowledged(acknowledged, None))
    assert office.lamps("102", "103", "104") == ["idle", "ringing", "talking"]
    if ends == "back":
        office.give(LegEnded(back, 487, ""))
        assert office.lamps("101", "103", "104") == ["talking", "idle", "talking"]
    else:
        office.give(LegEnded(there, 200, ""))
        assert office.lamps("101", "103", "104") == ["trying", "ringing", "idle"]
