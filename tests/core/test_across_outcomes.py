"""What comes of asking another server for its call: who gets it, and what the picker is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import HOST, SDP, World
from hypothesis import given, settings
from hypothesis import strategies as st
from other_server import AOR, CALL, INSIDE, PBX, PROXY, SWITCH, Story, site
from publishers import asterisk, kamailio, publish

from blfd.core.calls.across import PATIENCE, PROOF
from blfd.core.calls.attempts import Way
from blfd.core.calls.leg_effects import Adopt, Answer, HangUp
from blfd.core.calls.leg_inputs import LegAcknowledged, LegDescribed, LegEnded
from blfd.core.directory import Reach
from blfd.core.effects import Effect, SaveCalls
from blfd.core.inputs import CallsRestored
from blfd.core.saved import SavedHalf, SavedLeg
from blfd.core.trunk import Trunk
from blfd.core.values import DialogId, NameAddr

KEY = f"{CALL};to-tag=314159;from-tag=ph1"


# What comes of it


@pytest.mark.parametrize(("to", "replaces"), [("*97102", ()), ("*98", ()), ("102", (KEY,))])
def test_the_phone_that_calls_gives_it(to: str, replaces: tuple[str, ...]) -> None:
    """The server's answer is the picker's at once, and the picker learns with whom it talks."""
    story = Story(PROXY)
    story.publish(kamailio("early", tags=True))
    story.ask("103", to, *replaces)
    won = story.answer()
    (answer,) = [e for e in won if isinstance(e, Answer)]
    assert (answer.leg, answer.sdp) == (story.leg, SDP)
    assert dict(answer.headers)["P-Asserted-Identity"] == f"<sip:0301234567@{HOST}>"
    story.give(LegAcknowledged(story.leg, None))
    assert story.world.lamp("103") == "talking"
    (attempt,) = story.attempts
    way = Way.REPLACES if replaces else Way.GROUP if to == "*98" else Way.DIRECTED
    assert (attempt.way, attempt.extension, attempt.caller) == (way, "102", "0301234567")
    assert (attempt.status, attempt.result) == (200, "picked up at proxy")


def test_an_answer_is_held_until_the_lamp_shows_it() -> None:
    """Servers answer before they look for the call, so a 200 is no proof that the picker has it."""
    story = Story()
    etag = story.publish(kamailio("early"))
    story.ask()
    assert story.told(story.answer()) == []
    assert story.told(story.wait(PROOF / 2)) == []
    story.give(publish(kamailio("terminated"), etag))
    assert story.told(story.effects) == [(200, "")]
    assert story.reported == [("103", "102", 200)]
    story.give(LegAcknowledged(story.leg, None))
    story.wait(60)
    assert story.world.lamp("103") == "talking"


def test_the_lamp_was_quicker_than_the_answer() -> None:
    story = Story()
    etag = story.publish(kamailio("early"))
    story.ask()
    story.publish(kamailio("terminated"), etag)
    assert story.told(story.answer()) == [(200, "")]


def test_a_lamp_without_ids_shows_two_calls_as_one() -> None:
    """The lamp rings on for the other call: nobody knows better than the server, and no call is lost."""
    story = Story()
    story.publish(asterisk("early"))
    story.ask()
    assert story.told(story.answer()) == []
    assert story.told(story.wait(PROOF)) == [(200, "")]


def test_a_lamp_without_ids_talks_on_in_the_call_before() -> None:
    story = Story()
    etag = story.publish(asterisk("early"))
    story.ask()
    story.answer()
    story.give(publish(asterisk("confirmed"), etag))
    assert story.told(story.effects) == [(200, "")]


def test_an_answer_and_nothing_behind_it() -> None:
    """The call rings on: the picker is refused with words, and the server gets BYE."""
    story = Story()
    story.publish(kamailio("early"))
    story.ask()
    story.answer()
    last = story.wait(PROOF)
    assert story.told(last) == [(480, "pbx has answered, and the call at 102 rings on")]
    assert [e.leg for e in last if isinstance(e, HangUp)] == [story.far, story.leg]
    assert story.reported == [("103", "102", 480)]
    assert story.world.lamp("102") == "ringing"


def test_an_answer_that_is_held_is_ended_by_the_next_process() -> None:
    """Otherwise the PBX would have a call with nobody, since nobody would tell it of the end."""
    story = Story()
    story.publish(kamailio("early"))
    dial = story.ask()
    story.answer()
    leg = SavedLeg(
        DialogId("far", "ours", "theirs"),
        NameAddr("sip:ours"),
        NameAddr("sip:pbx"),
        "sip:pbx@192.0.2.9",
        dial.contact,
        (),
        dial.flow,
        1000,
        1,
        SDP,
        SDP,
    )
    (save,) = story.give(LegDescribed(story.far, leg))
    assert isinstance(save, SaveCalls)
    (half,) = save.calls.values()
    assert isinstance(half, SavedHalf)
    assert (half.seat.leg, half.seat.saved) == (story.far, leg)
    after = World(phones=("103",), known=story.known)
    effects = after.give(CallsRestored((), (), (half.seat,)))
    assert [(type(one), one.leg) for one in effects if isinstance(one, Adopt | HangUp)] == [
        (Adopt, story.far),
        (HangUp, story.far),
    ]
    assert not len(after.core.calls)
    ended = story.wait(PROOF)
    assert story.far in {one.leg for one in ended if isinstance(one, HangUp)}
    (save,) = [one for one in ended if isinstance(one, SaveCalls)]
    assert list(save.calls.values()) == [None], "this process has ended it itself"


def test_an_answer_and_bye() -> None:
    story = Story()
    story.publish(kamailio("early"))
    story.ask()
    story.answer()
    assert story.told(story.give(LegEnded(story.far, 200, "OK"))) == [
        (480, "Nothing To Pick Up"),
    ]


def test_silence() -> None:
    story = Story()
    story.publish(kamailio("early"))
    story.ask()
    assert story.told(story.wait(PATIENCE)) == [(480, "pbx does not answer the pickup")]


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (480, "Nothing", (480, "Nothing")),
        (486, "Busy Here", (486, "Busy Here")),
        (603, "Decline", (603, "Decline")),
        (403, "Forbidden", (403, "Forbidden")),
        (404, "Not Found", (480, "pbx does not pick it up: 404 Not Found")),
        (
            401,
            "Who are you",
            (480, "Trunk pbx got no password that it takes: look at its password and realm (401)"),
        ),
        (
            407,
            "Who are you",
            (480, "Trunk pbx got no password that it takes: look at its password and realm (407)"),
        ),
        (302, "Moved", (480, "Trunk pbx sends the call elsewhere (302), which is not followed")),
        (420, "Bad Extension", (480, "Trunk pbx wants what is not served here (420)")),
        (481, "Gone", (480, "Trunk pbx does not take the call (481)")),
        (500, "Oops", (500, "Oops")),
        (503, "Later", (500, "Trunk pbx takes no calls now (503)")),
        (408, "", (480, "Trunk pbx gives no answer (408)")),
    ],
)
def test_what_a_refusal_is_told_as(status: int, reason: str, told: tuple[int, str]) -> None:
    story = Story()
    story.publish(kamailio("early"))
    story.ask()
    last = story.give(LegEnded(story.far, status, reason))
    assert story.told(last) == [told]
    (hung_up,) = [e for e in last if isinstance(e, HangUp) and e.leg == story.leg]
    assert hung_up.headers == (("Warning", f'399 blfd "{told[1]}"'),)
    assert story.reported == [("103", "102", told[0])]
    assert story.attempts[0].result == told[1], "the attempt has the reason"


@pytest.mark.parametrize(
    ("replaces", "then", "told"),
    [
        ((), "confirmed", (480, "102 has answered already")),
        ((), "terminated", (480, "The call at 102 is over")),
        ((KEY,), "confirmed", (603, "102 has answered already")),
    ],
)
def test_somebody_was_quicker(replaces: tuple[str, ...], then: str, told: tuple[int, str]) -> None:
    """The picker is told what the lamp says, which is more than what the server's refusal says."""
    story = Story()
    etag = story.publish(kamailio("early", tags=True))
    story.ask("103", "102" if replaces else "*97102", *replaces)
    story.publish(kamailio(then), etag)
    assert story.told(story.give(LegEnded(story.far, 481, "No such call"))) == [told]


def test_answered_by_the_extension_itself_while_the_answer_is_held() -> None:
    story = Story()
    etag = story.publish(kamailio("early"))
    story.ask()
    story.answer()
    story.give(publish(kamailio("confirmed"), etag))
    assert story.told(story.effects) == [(480, "102 has answered already")]
    assert story.far in [e.leg for e in story.effects if isinstance(e, HangUp)]


def test_the_picker_hangs_up() -> None:
    story = Story()
    story.publish(kamailio("early"))
    story.ask()
    last = story.give(LegEnded(story.leg, 487, "Cancelled"))
    assert [e.leg for e in last if isinstance(e, HangUp)] == [story.far]
    assert story.reported == [("103", "102", 487)]
    story.ask()  # and may ask again


def test_one_asks_at_a_time() -> None:
    story = Story()
    story.publish(kamailio("early"))
    story.ask()
    assert story.refused("105") == (480, "103 is picking it up already")
    assert story.refused("105", "*98") == (480, "103 is picking it up already")
    assert story.refused("103") == (480, "You are picking it up already")
    story.give(LegEnded(story.far, 404, "Not Found"))
    story.ask("105")


def test_who_comes_after_it_is_picked_up() -> None:
    story = Story()
    etag = story.publish(kamailio("early", tags=True))
    story.ask()
    story.publish(kamailio("terminated"), etag)
    story.answer()
    assert story.refused("105") == (480, "103 has answered the call already")
    assert story.refused("105", "102", KEY) == (603, "103 has answered the call already")
    assert story.refused("103") == (480, "You have answered the call already")
    story.wait(60)
    assert story.refused("105") == (480, "Nothing rings at 102")


@pytest.mark.parametrize(
    ("state", "asked", "told"),
    [
        ("confirmed", ("*97102",), (480, "102 has answered already")),
        ("confirmed", ("102", f"{CALL};to-tag=314159;from-tag=ph1;early-only"), (481, "No such call")),
        ("trying", ("*97102",), (480, "Nothing rings at 102")),
        ("terminated", ("*97102",), (480, "Nothing rings at 102")),
        ("early", ("*97199",), (404, "199 does not exist")),
        ("early", ("*97",), (484, "Dial the code and the extension")),
    ],
)
def test_nothing_is_asked_of_the_server(state: str, asked: tuple[str, ...], told: tuple[int, str]) -> None:
    story = Story()
    story.publish(kamailio(state))
    assert story.refused("103", *asked) == told
    assert [status for _, _, status in story.reported] == [told[0]]


@pytest.mark.parametrize("newer", [kamailio("early"), kamailio("early", tags=True).replace(b"ph1", b"ph2")])
def test_tags_that_were_told_before(newer: bytes) -> None:
    """Kamailio tells tags while it rings alone, and those of another phone behind it later."""
    story = Story(SWITCH)
    etag = story.publish(newer, story.publish(kamailio("early", tags=True)))
    story.ask("103", "102", KEY)
    story.give(LegEnded(story.leg, 487, "Cancelled"))
    etag = story.publish(kamailio("confirmed"), etag)
    assert story.refused("103", "102", f"{KEY};early-only") == (486, "102 has answered already")
    assert story.refused("103", "102", KEY) == (488, "The call of 102 is carried by another server")
    etag = story.publish(kamailio("terminated"), etag)
    assert story.refused("103", "102", KEY) == (603, "The call at 102 is over")
    story.publish(kamailio("early"), etag)
    assert story.refused("103", "102", KEY) == (481, "No such call"), "what has begun anew has other tags"


def test_permissions_are_ours() -> None:
    known = site(PBX)
    extensions = {**known.extensions}
    extensions[AOR] = replace(extensions[AOR], pickable=False)
    story = Story(known=replace(known, extensions=extensions))
    story.publish(kamailio("early"))
    assert story.refused() == (403, "Calls of 102 may not be picked up")
    extensions[AOR] = replace(extensions[AOR], pickable=True, pickup=None)
    tenants = {**known.tenants, "default": replace(known.tenants["default"], pickup=Reach.GROUPS)}
    story = Story(known=replace(known, extensions=extensions, tenants=tenants))
    story.publish(kamailio("early"))
    assert story.refused("101") == (403, "102 is in none of your pickup groups")
    story.ask("105")


def test_an_own_call_is_none_to_pick_up() -> None:
    story = Story()
    story.publish(INSIDE)
    assert story.refused("101") == (480, "It is your own call that rings at 102")
    assert story.refused("101", "102", KEY) == (603, "It is your own call that rings at 102")


def test_who_calls_does_not_want_to_be_known() -> None:
    story = Story(PROXY)
    anonymous = INSIDE.replace(f"sip:101@{HOST}".encode(), b"sip:anonymous@anonymous.invalid").replace(
        b"</identity></remote>", b'</identity><target uri="sip:x@192.0.2.9"/></remote>'
    )
    story.publish(anonymous)
    story.ask()
    (answer,) = [e for e in story.answer() if isinstance(e, Answer)]
    assert dict(answer.headers)["P-Asserted-Identity"].endswith("<sip:anonymous@anonymous.invalid>")


# Anything in any order


EVENTS = ("answer", "refuse", "bye", "cancel", "confirmed", "terminated", "expire", "time", "again")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(EVENTS), max_size=8), st.sampled_from((PBX, PROXY, SWITCH)))
def test_each_attempt_ends_once(events: list[str], trunk: Trunk) -> None:
    """Each attempt has one end for the picker and one report, and leaves no leg and nothing under way."""
    story = Story(trunk)
    etag = story.publish(kamailio("early", tags=True))
    story.ask()
    alive, asked_again = True, 0
    told: list[tuple[int, str]] = []
    ended: set[int] = set()
    for event in (*events, "time", "time"):
        effects: list[Effect] = []
        match event:
            case "answer" if story.far not in ended:
                effects = story.answer()
            case "refuse" | "bye" if story.far not in ended:
                ended.add(story.far)
                effects = story.give(LegEnded(story.far, 480 if event == "refuse" else 200, "x"))
            case "cancel" if alive and not told:
                alive = False
                effects = story.give(LegEnded(story.leg, 487, "cancelled"))
            case "confirmed" | "terminated" if etag:
                etag = story.publish(kamailio(event), etag)
                effects = story.effects
            case "expire" if etag:
                effects, etag = story.give(publish(b"", etag, 0)), ""
            case "time":
                effects = story.wait(PATIENCE)
            case "again" if alive and not told:
                asked_again += 1
                assert story.refused("103")[0] == 480
        told += story.told(effects)
    assert bool(told) is alive
    assert all(status >= 400 for status, _ in told) or told[0][0] == 200
    assert len(told) <= 2, "its refusal, or 200 and BYE"
    assert len(story.attempts) == 1 + asked_again
    assert not story.world.core.pickups.across.under_way
