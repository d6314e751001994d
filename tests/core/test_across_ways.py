"""How another server is asked for a call that rings there: by Replaces or by its code, by which trunk."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest
import upstream_pbx
from builders import HOST, SDP, dials, invite
from other_server import AOR, CALL, INSIDE, PBX, PROXY, SWITCH, Story, site
from publishers import KAMAILIO, asterisk, body, kamailio, publish

from blfd.core import report
from blfd.core.calls.across import way
from blfd.core.calls.leg_effects import Accept, Answer, MatchMedia
from blfd.core.calls.leg_inputs import LegAccepted, LegAnswered, LegProgress
from blfd.core.events.dialog_state import WatchedDialog
from blfd.core.inputs import DirectoryChanged
from blfd.core.trunk import OutRoute, Trunk, check
from blfd.core.values import Aor, DialogId
from dialog_info import DialogState, Direction

# By which way the other server is asked for the call


class Case(NamedTuple):
    trunk: Trunk
    content: bytes
    contact: str
    replaces: str = ""
    route: tuple[str, ...] = ()


EARLY_ONLY = f"{CALL};to-tag=314159;from-tag=ph1;early-only"
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
        (upstream_pbx.ASTERISK, PBX, "sip:**102@", None),
        (
            upstream_pbx.FREESWITCH,
            SWITCH,
            "sip:102@",
            f"{upstream_pbx.UUID};to-tag=0;from-tag=0;early-only",
        ),
        (upstream_pbx.KAMAILIO, PROXY, "sip:103@", f"{CALL};to-tag=31;from-tag=ph1;early-only"),
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
    pbx = upstream_pbx.Pbx()
    there = replace(trunk, name="pbx", servers=(upstream_pbx.PBX,), ping=0)
    other = replace(PBX, name="aa", pickup_code="*1{extension}", ping=0)
    pbx.world.give(DirectoryChanged(replace(upstream_pbx.site(), trunks=(other, there))))
    sent = pbx.first()
    pbx.accept(sent)
    for content, _, _ in forms[:2]:
        assert pbx.notify(sent, content).status == 200
    assert pbx.lamp == "ringing"
    (accept,) = pbx.world.give(invite("101", "*97102"))
    assert isinstance(accept, Accept)
    (dial,) = dials(pbx.world.give(LegAccepted(accept.leg, "ours")))
    assert dial.contact == f"{contact}{upstream_pbx.PBX}"
    assert dict(dial.headers).get("Replaces") == replaced
    told = pbx.world.give(LegAnswered(dial.leg, DialogId("far", "ours", "theirs"), SDP))
    if trunk is not PROXY:
        assert not [e for e in told if isinstance(e, Answer)]
        monkeypatch.setattr(pbx, "take", told.extend)
        idle = upstream_pbx.dialog("terminated", "102" if trunk is PBX else upstream_pbx.UUID)
        assert pbx.notify(sent, upstream_pbx.body(idle, version=6)).status == 200
    (answer,) = [e for e in told if isinstance(e, Answer)]
    assert dict(answer.headers)["P-Asserted-Identity"].endswith(f"<sip:103@{HOST}>")
