"""Pickup of calls that another server carries: by Replaces or by its code, and what the picker is told."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
import test_upstreams
from builders import (
    HOST,
    SDP,
    World,
    dials,
    group,
    invite,
    reply,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from publishers import KAMAILIO, asterisk, body, kamailio, publish, published

from blfd.core import report
from blfd.core.calls.across import PATIENCE, PROOF, way
from blfd.core.calls.attempts import Attempt, Way
from blfd.core.calls.leg_effects import Accept, Adopt, Answer, Dial, HangUp, MatchMedia
from blfd.core.calls.leg_inputs import (
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegDescribed,
    LegEnded,
    LegProgress,
)
from blfd.core.directory import Directory, Reach
from blfd.core.effects import Effect, Reply, SaveCalls, SavePickup
from blfd.core.events.dialog_state import WatchedDialog
from blfd.core.inputs import CallsRestored, DirectoryChanged
from blfd.core.saved import SavedHalf, SavedLeg
from blfd.core.trunk import OutRoute, Replacing, Trunk, check
from blfd.core.values import Aor, DialogId, NameAddr
from dialog_info import DialogState, Direction

AOR = Aor("default", "102")
PBX = Trunk("default", "pbx", servers=(KAMAILIO.host,), pickup_code="**{extension}")
PROXY = Trunk("default", "proxy", servers=(KAMAILIO.host,), replaces=Replacing.CALLER)
SWITCH = Trunk("default", "switch", servers=(KAMAILIO.host,), replaces=Replacing.EXTENSION)
CALL = "a84b4c76e66710"
KEY = f"{CALL};to-tag=314159;from-tag=ph1"


def site(*trunks: Trunk) -> Directory:
    """A directory in which 102 and 104 are the other server's; 103 and 105 pick up."""
    known = published("102", "104")
    return replace(known, trunks=trunks, groups=(group("103 105", "101 102 104"),))


class Story:
    def __init__(self, *trunks: Trunk, known: Directory | None = None) -> None:
        people = replace(known or site(*(trunks or (PBX,))))
        extensions = dict(people.extensions)
        for name in ("104", "105"):
            extensions.setdefault(
                Aor("default", name),
                replace(extensions[AOR], aor=Aor("default", name), name=f"Name {name}"),
            )
        extensions[Aor("default", "105")] = replace(extensions[Aor("default", "105")], owner=None)
        self.known = replace(people, extensions=extensions)
        self.world = World(phones=("101", "103", "105"), known=self.known)
        self.attempts: list[Attempt] = []
        self.effects: list[Effect] = []

    def give(self, event: object) -> list[Effect]:
        return self._kept(self.world.give(event))  # type: ignore[arg-type]

    def wait(self, seconds: float) -> list[Effect]:
        return self._kept(self.world.at(self.world.now + seconds))

    def _kept(self, effects: list[Effect]) -> list[Effect]:
        self.effects = effects
        self.attempts += [e.attempt for e in effects if isinstance(e, SavePickup)]
        return effects

    def publish(self, content: bytes, etag: str = "") -> str:
        return dict(reply(self.give(publish(content, etag))).headers)["SIP-ETag"]

    def ask(self, who: str = "103", to: str = "*97102", *replaces: str) -> Dial:
        """Ask for the call at 102, and return the INVITE that goes to the other server."""
        (accept,) = self.give(invite(who, to, replaces=replaces))
        assert isinstance(accept, Accept), accept
        self.leg = accept.leg
        (dial,) = dials(self.give(LegAccepted(accept.leg, "ours")))
        self.far = dial.leg
        return dial

    def refused(self, who: str = "103", to: str = "*97102", *replaces: str) -> tuple[int, str]:
        answer: Reply = reply(self.give(invite(who, to, replaces=replaces)))
        return answer.status, answer.reason

    def answer(self) -> list[Effect]:
        return self.give(LegAnswered(self.far, DialogId("far", "ours", "theirs"), SDP))

    def told(self, effects: list[Effect]) -> list[tuple[int, str]]:
        """What the picker is told in the end: 200, or the refusal."""
        return [
            (200, "") if isinstance(e, Answer) else (e.status, e.reason)
            for e in effects
            if isinstance(e, Answer | HangUp) and e.leg == self.leg
        ]

    @property
    def reported(self) -> list[tuple[str, str, int]]:
        return [(one.picker.extension, one.extension, one.status) for one in self.attempts]


# By which way the other server is asked for the call


class Case(NamedTuple):
    trunk: Trunk
    content: bytes
    contact: str
    replaces: str = ""
    route: tuple[str, ...] = ()


EARLY_ONLY = f"{CALL};to-tag=314159;from-tag=ph1;early-only"
INSIDE = body(
    f'<dialog id="{CALL}" call-id="{CALL}" local-tag="ph1" remote-tag="314159" direction="recipient">'
    f"<state>early</state><remote><identity>sip:101@{HOST}</identity></remote></dialog>"
)
UUID = body('<dialog id="0c2f" direction="recipient"><state>early</state></dialog>')
SERVER = KAMAILIO.host


@pytest.mark.parametrize(
    "case",
    [
        Case(PBX, kamailio("early", tags=True), f"sip:**102@{SERVER}"),
        Case(PBX, asterisk("early"), f"sip:**102@{SERVER}"),
        Case(PROXY, INSIDE, f"sip:101@{SERVER}", EARLY_ONLY),
        Case(
            PROXY,
            kamailio("early", tags=True),
            "sip:0301234567@192.0.2.9:5060",
            EARLY_ONLY,
            (f"<sip:{SERVER};lr>",),
        ),
        Case(replace(PROXY, pickup_code="*8{extension}"), asterisk("early"), f"sip:*8102@{SERVER}"),
        Case(replace(PROXY, pickup_code="*8{extension}"), kamailio("early"), f"sip:*8102@{SERVER}"),
        Case(SWITCH, kamailio("early", tags=True), f"sip:102@{SERVER}", EARLY_ONLY),
        Case(SWITCH, UUID, f"sip:102@{SERVER}", "0c2f;to-tag=0;from-tag=0;early-only"),
        Case(replace(SWITCH, pickup_code="**{extension}"), asterisk("early"), f"sip:**102@{SERVER}"),
        Case(replace(PBX, pickup_code="#9{extension}"), asterisk("early"), f"sip:%239102@{SERVER}"),
    ],
)
def test_ways(case: Case) -> None:
    """The INVITE has Replaces where the ids are told and the server wants it, else it dials the code."""
    story = Story(case.trunk)
    story.publish(case.content)
    dial = story.ask()
    said = dict(dial.headers)
    assert (dial.contact, said.get("Replaces", ""), dial.route) == (case.contact, case.replaces, case.route)
    assert said.get("Require") == ("replaces" if case.replaces else None)
    assert dial.flow.host == SERVER


@pytest.mark.parametrize("call_id", ["a b", "x;early-only", "a,b", "<x>@y@z", "\u00e9"])
def test_ids_that_cannot_stand_in_a_header(call_id: str) -> None:
    """Such ids lead to no Replaces, whatever a publisher writes."""
    dialog = WatchedDialog(
        DialogId(call_id, "1", "2"), Direction.RECIPIENT, DialogState.EARLY, 0.0, "101", publisher="x"
    )
    known = site(PROXY)
    assert way(PROXY, AOR, dialog, known) is None
    found = way(replace(PROXY, pickup_code="**{extension}"), AOR, dialog, known)
    assert found
    assert found.number == "**102"


@pytest.mark.parametrize("target", ["sip:a@b>;x", "tel:123", "sip:a@b?Route=c", "http://x", "sip:a b@c", ""])
def test_targets_that_are_no_place_to_call(target: str) -> None:
    dialog = WatchedDialog(
        DialogId("c", "1", "2"),
        Direction.RECIPIENT,
        DialogState.EARLY,
        0.0,
        "0301",
        publisher="x",
        target=target,
    )
    assert way(PROXY, AOR, dialog, site(PROXY)) is None


def test_an_extension_that_publishes_itself_has_nobody_call_a_number() -> None:
    """What an extension publishes leads to extensions and its server's code, and to no other target."""
    story = Story(PROXY)
    dialog = WatchedDialog(
        DialogId("c", "1", "2"), Direction.RECIPIENT, DialogState.EARLY, 0.0, "0900", target="sip:0900@x"
    )
    assert way(PROXY, AOR, dialog._replace(publisher=SERVER), story.known)
    assert way(PROXY, AOR, dialog._replace(publisher="102"), story.known) is None
    assert way(PROXY, AOR, dialog._replace(publisher="102", remote="101"), story.known)


def test_who_could_pick_up_is_explained() -> None:
    story = Story(PBX)
    story.publish(kamailio("early"))
    row = report.explain(story.world.core, AOR, story.world.now)
    assert {one["picker"]: one["ways"] for one in row["pickers"]} == {
        "101": ["*97102"],
        "103": ["*97102", "*98"],
        "104": ["*97102"],
        "105": ["*97102", "*98"],
    }
    assert (row["owner"], [one["publisher"] for one in row["published"]]) == ("published", [SERVER])
    story = Story(replace(PBX, pickup_code=""))
    story.publish(kamailio("early"))
    row = report.explain(story.world.core, AOR, story.world.now)
    why = "another server carries the call, and no trunk says how it is picked up there"
    assert (row["pickers"], row["why_nobody"]) == ([], why)


def test_the_trunk_of_a_publisher() -> None:
    """The trunk is the one of the publisher's name or address, or else the first that picks up at all."""
    there = replace(PBX, name="zz", pickup_code="*1{extension}")
    named = replace(PBX, name="asterisk", servers=("192.0.2.99",), pickup_code="*2{extension}")
    first = replace(PBX, name="aa", servers=("192.0.2.98",), pickup_code="*3{extension}")
    silent = replace(PBX, name="a", pickup_code="")
    trunks = Story(silent, first, there, named).world.core.trunks

    def found(publisher: str) -> str:
        trunk = trunks.carrying("default", publisher)
        return trunk.name if trunk else ""

    assert (found(SERVER), found("asterisk"), found("kamailio"), found("192.0.2.7")) == (
        "zz",
        "asterisk",
        "aa",
        "aa",
    )
    assert trunks.carrying("acme.example", SERVER) is None
    assert Story(silent).world.core.trunks.carrying("default", SERVER) is None


@pytest.mark.parametrize("code", ["**", "{extension} 1", "*97{ext}", "**{extension}@evil", "<{extension}>"])
def test_unsound_pickup_codes(code: str) -> None:
    with pytest.raises(ValueError, match="pickup-code"):
        check(replace(PBX, pickup_code=code), {"101"})


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


def test_the_group_takes_what_has_rung_longest_here_or_there() -> None:
    """*98 looks at lamps of both kinds, and leaves a call that is being picked up to who asked first."""
    story = Story(PBX)

    def call_101() -> None:
        (accept,) = story.give(invite("105", "101"))
        assert isinstance(accept, Accept)
        (dial,) = dials(story.give(LegAccepted(accept.leg, "ours")))
        story.world.now += 1
        story.give(LegProgress(dial.leg, 180, "", DialogId("local", "ours", "phone"), None))

    story.publish(kamailio("early"))
    story.world.now += 1
    call_101()
    story.ask("103", "*98")
    (accept,) = story.give(invite("103", "*98"))
    assert isinstance(accept, Accept)
    (match,) = story.give(LegAccepted(accept.leg, "mine"))
    assert isinstance(match, MatchMedia), "the other one, which rings here"

    story = Story(PBX)
    call_101()
    story.world.now += 1
    story.publish(kamailio("early"))
    (accept,) = story.give(invite("103", "*98"))
    assert isinstance(accept, Accept)
    assert isinstance(story.give(LegAccepted(accept.leg, "mine"))[0], MatchMedia)


def test_a_call_of_ours_that_the_server_publishes_is_picked_up_here() -> None:
    """101 calls 0301 by the trunk, and the server tells by the same Call-ID that it rings at 102."""
    story = Story(PBX)
    known = story.known
    story.give(DirectoryChanged(replace(known, routes=(OutRoute("default", "0.", ("pbx",)),))))
    (accept,) = story.give(invite("101", "0301"))
    assert isinstance(accept, Accept)
    (dial,) = dials(story.give(LegAccepted(accept.leg, "ours")))
    story.give(LegProgress(dial.leg, 180, "", DialogId(CALL, "ours", "theirs"), None))
    story.publish(kamailio("early"))
    (picking,) = story.give(invite("103", "*97102"))
    assert isinstance(picking, Accept)
    (match,) = story.give(LegAccepted(picking.leg, "mine"))
    assert isinstance(match, MatchMedia)
    assert match.peer == accept.leg


def test_the_call_that_picks_up_and_is_published_counts_once() -> None:
    """103's phone is at the server, which publishes the call that we send it with 103 in From."""
    story = Story(PROXY)
    story.publish(kamailio("early", tags=True))
    story.ask()
    story.answer()
    ours = (
        f'<dialog id="far" call-id="far" direction="initiator"><state>confirmed</state><remote><identity>'
        f"sip:0301234567@{HOST}</identity></remote></dialog>"
    )
    known = replace(
        story.known,
        extensions={
            aor: replace(one, owner=story.known.extensions[AOR].owner)
            for aor, one in story.known.extensions.items()
        },
    )
    story.give(DirectoryChanged(known))
    story.give(publish(body(ours, entity=f"sip:103@{HOST}"), user="103"))
    (dialog,) = story.world.core.dialogs.of(Aor("default", "103"))
    assert dialog.leg == story.leg


@pytest.mark.parametrize(("default", "is_phone"), [("", True), ("101", False)])
def test_a_proxy_that_is_trusted_and_a_trunk(default: str, is_phone: bool) -> None:
    """Phones behind the proxy dial codes; where it has numbers here, its calls come from outside."""
    story = Story(replace(PBX, default=default))
    story.publish(kamailio("early"))
    asked = invite("103", "*97102")
    (accept, *_) = story.give(asked._replace(request=asked.request._replace(flow=KAMAILIO)))
    assert isinstance(accept, Accept)
    (dial,) = dials(story.give(LegAccepted(accept.leg, "ours")))
    assert (dial.contact.startswith("sip:**102@")) is is_phone


# Calls at lamps that an upstream tells of


@pytest.mark.parametrize(
    ("forms", "trunk", "contact", "replaced"),
    [
        (test_upstreams.ASTERISK, PBX, "sip:**102@", None),
        (
            test_upstreams.FREESWITCH,
            SWITCH,
            "sip:102@",
            f"{test_upstreams.UUID};to-tag=0;from-tag=0;early-only",
        ),
        (test_upstreams.KAMAILIO, PROXY, "sip:103@", f"{CALL};to-tag=31;from-tag=ph1;early-only"),
    ],
)
def test_a_call_of_an_upstream(
    monkeypatch: pytest.MonkeyPatch,
    forms: list[tuple[bytes, str, str]],
    trunk: Trunk,
    contact: str,
    replaced: str | None,
) -> None:
    """A call is picked up by the trunk of the upstream's name; a document says when the picker has it."""
    pbx = test_upstreams.Pbx()
    there = replace(trunk, name="pbx", servers=(test_upstreams.PBX,), ping=0)
    other = replace(PBX, name="aa", pickup_code="*1{extension}", ping=0)
    pbx.world.give(DirectoryChanged(replace(test_upstreams.site(), trunks=(other, there))))
    sent = pbx.first()
    pbx.accept(sent)
    for content, _, _ in forms[:2]:
        assert pbx.notify(sent, content).status == 200
    assert pbx.lamp == "ringing"
    (accept,) = pbx.world.give(invite("101", "*97102"))
    assert isinstance(accept, Accept)
    (dial,) = dials(pbx.world.give(LegAccepted(accept.leg, "ours")))
    assert dial.contact == f"{contact}{test_upstreams.PBX}"
    assert dict(dial.headers).get("Replaces") == replaced
    told = pbx.world.give(LegAnswered(dial.leg, DialogId("far", "ours", "theirs"), SDP))
    if trunk is not PROXY:
        assert not [e for e in told if isinstance(e, Answer)]
        monkeypatch.setattr(pbx, "take", told.extend)
        idle = test_upstreams.dialog("terminated", "102" if trunk is PBX else test_upstreams.UUID)
        assert pbx.notify(sent, test_upstreams.body(idle, version=6)).status == 200
    (answer,) = [e for e in told if isinstance(e, Answer)]
    assert dict(answer.headers)["P-Asserted-Identity"].endswith(f"<sip:103@{HOST}>")


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
