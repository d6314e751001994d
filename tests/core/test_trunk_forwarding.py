"""Calls that go on outside, by forwarding or transfer: which may, and what comes back from there."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from builders import HOST, SDP, dials, directory, invite, register, reply, request, uri
from trunk_site import (
    ALWAYS,
    ANOTHER,
    BUSY,
    CARRIER,
    LATER,
    MOBILE,
    ONE_NUMBER,
    PEOPLE,
    ROUTE,
    TRUNK,
    Story,
    forwarding,
    outside,
    site,
)

from blfd.core import privacy
from blfd.core.calls.hops import Cause
from blfd.core.calls.leg_effects import Accept, Dial
from blfd.core.calls.leg_inputs import LegAccepted, LegEnded, MediaFound
from blfd.core.calls.returning import MOST_NAMELESS
from blfd.core.directory import Forwarding
from blfd.core.effects import Level, Log, SetRules
from blfd.core.messages import InviteReceived, ReferReceived, ReferTo
from blfd.core.quoting import name_addr
from blfd.core.settings import Settings
from blfd.core.trunk import CallerIdIn, OutRoute, Trunk
from blfd.core.values import Address, Aor, Redirect, Uri


def test_a_call_in_is_picked_up_by_code_and_forwarded_outside() -> None:
    story = Story()
    (dial,) = story.call_in(outside())
    story.ring(dial.leg)
    (accept,) = story.give(invite("103", "*97101"))
    assert isinstance(accept, Accept)
    extensions = {
        aor: replace(one, forwarding=Forwarding(always="0170")) if aor.extension == "101" else one
        for aor, one in directory(PEOPLE).extensions.items()
    }
    trunk = replace(TRUNK, caller_ids=("1xx=+493012345xx",))
    story = Story(replace(site(trunk), extensions=extensions))
    (dial,) = story.call_in(outside())
    assert dial.contact == f"sip:0170@{CARRIER}"
    assert name_addr(dial.from_) == f'"Name 101" <sip:+49301234501@{CARRIER}>'
    found = dict(dial.headers)
    assert found["Diversion"] == f"<sip:+49301234501@{CARRIER}>;reason=unconditional"
    assert "History-Info" in found


OWN_NUMBERS = replace(TRUNK, caller_ids=("1xx=+4930123451xx",))
IN_PAI = replace(ONE_NUMBER, username="acct", caller_id_in=CallerIdIn.P_ASSERTED_IDENTITY)


def back(dial: Dial, did: str, **over: Any) -> InviteReceived:
    """The INVITE that a carrier sends us when the number that we call leads to a DID of ours."""
    headers = dict(dial.headers)
    asserted = headers.get("P-Asserted-Identity", "")
    user = (asserted or dial.from_.uri).partition("sip:")[2].partition("@")[0]
    known: dict[str, Any] = {"from_": Address(uri(user, CARRIER), "", "theirs")}
    if "anonymous" in dial.from_.uri:
        known = {"from_": Address(Uri(privacy.URI, "sip", "anonymous", "anonymous.invalid", 0), "", "t")}
    asked = outside(did, **{**known, **over})
    kept = tuple(field for field in dial.headers if field[0] == "Diversion")
    return asked._replace(headers=kept)


CIRCLES: tuple[tuple[str, Trunk, dict[str, Forwarding], dict[str, Any], int], ...] = (
    ("numbers of their own", OWN_NUMBERS, {"101": ALWAYS}, {}, 1),
    ("one number for all", ONE_NUMBER, {"101": ALWAYS}, {}, 1),
    ("no number", TRUNK, {"101": ALWAYS}, {}, 1),
    ("the number asserted", IN_PAI, {"101": ALWAYS}, {}, 1),
    ("the account shown", IN_PAI, {"101": ALWAYS}, {"from_": Address(uri("acct", CARRIER), "", "t")}, 1),
    (
        "another way to write it",
        ONE_NUMBER,
        {"101": ALWAYS},
        {"from_": Address(uri("030 1234500", CARRIER), "", "t")},
        1,
    ),
    (
        "another way to write it, and no country is said",
        replace(ONE_NUMBER, country="", area=""),
        {"101": ALWAYS},
        {"from_": Address(uri("030 1234500", CARRIER), "", "t")},
        1,
    ),
    ("two", OWN_NUMBERS, {"101": ALWAYS, "102": Forwarding(always=ANOTHER)}, {}, 2),
    (
        "who calls is not kept, Diversion is",
        OWN_NUMBERS,
        {"101": ALWAYS},
        {"from_": Address(uri("+491701234567", CARRIER), "", "t")},
        2,
    ),
)


@pytest.mark.parametrize(
    ("what", "trunk", "rules", "over", "rounds"), CIRCLES, ids=[one[0] for one in CIRCLES]
)
def test_a_call_that_comes_back_is_not_sent_outside_again(
    what: str, trunk: Trunk, rules: dict[str, Forwarding], over: dict[str, Any], rounds: int
) -> None:
    """101 forwards to a number that leads back to it, or to 102, which forwards to one that leads to 101."""
    story = Story(forwarding(trunk, rules))
    dids = ["+49301234501", "+493012345102"] if len(rules) == 2 else ["+49301234501"]
    (dial,) = story.call_in(outside(dids[0]))
    for number in range(1, rounds):
        (dial,) = story.call_in(back(dial, dids[number % len(dids)], **over))
    refused = story.refused(back(dial, dids[rounds % len(dids)], **over))
    assert (refused.status, refused.reason) == (480, "")
    assert f"101 go in a circle: they are forwarded (unconditional) to {MOBILE}" in story.said()
    assert len(story.world.core.calls) == rounds


def test_two_diversions_of_an_extension_are_a_circle_however_they_are_written() -> None:
    said = "<tel:030-12345101>;reason=unconditional, <sip:0049%2830%2912345101@x>;reason=unconditional"
    story = Story(forwarding(OWN_NUMBERS, {"101": ALWAYS}))
    assert story.refused(outside()._replace(headers=(("Diversion", said),))).status == 480


@pytest.mark.parametrize("end", [200, 486, 0], ids=["taken", "refused", "silent"])
@pytest.mark.parametrize("cause", list(Cause), ids=[cause.reason for cause in Cause])
def test_a_circle_of_which_nothing_comes_back_ends(cause: Cause, end: int) -> None:
    """As many calls as `max_forwarded` says ring outside as an extension has forwarded them; one that rings
    there no longer makes room for another."""
    rules = Forwarding(
        always=MOBILE if cause is Cause.ALWAYS else "",
        busy=MOBILE,
        no_answer=MOBILE,
        unregistered=MOBILE,
        after=5,
        dnd=cause is Cause.DND,
    )
    settings = Settings(max_forwarded=3)
    story = Story(forwarding(OWN_NUMBERS, {"101": rules}), settings)
    if cause is Cause.UNREACHABLE:
        story.world.give(register("101", expires=0, cseq=2))
    made_up = itertools.count()

    def call() -> list[Dial]:
        """Somebody calls whom the carrier makes up."""
        number = f"+4930777{next(made_up):03}"
        found = story.give(outside(from_=Address(uri(number, CARRIER), "", number)))
        accepted = [effect for effect in found if isinstance(effect, Accept)]
        if not accepted:
            return []
        story.caller = accepted[0].leg
        rung = dials(story.give(LegAccepted(story.caller, "ours")))
        if rung[0].contact.startswith(f"sip:{MOBILE}@"):
            return rung
        leg = rung[0].leg
        if cause is Cause.BUSY:
            return dials(story.give(LegEnded(leg, 486, "")))
        if cause is Cause.DEFLECTED:
            there = Redirect((uri(MOBILE, HOST),), "deflection")
            return dials(story.give(LegEnded(leg, 302, "", redirect=there)))
        story.ring(leg)
        return dials(story.world.at(story.world.now + 6))

    out = [call() for _ in range(settings.max_forwarded)]
    assert all(out)
    assert not call()
    if cause is Cause.NO_ANSWER:
        assert story.world.lamp("101") == "ringing", "as it would without the rule"
    else:
        assert f"ring there: one more for {MOBILE} is refused ({cause.reason})" in story.said()
        assert any(isinstance(one, Log) and one.level is Level.WARNING for one in story.effects)
    if end == 200:
        story.answer(out[0][0].leg)
    else:
        story.give(LegEnded(out[0][0].leg, end or 408, "", silent=not end))
    assert call()
    assert not call()


@pytest.mark.parametrize("rule", [BUSY, LATER], ids=["busy", "no answer"])
def test_a_call_that_comes_back_may_ring_again(rule: Forwarding) -> None:
    """A mobile may forward to the desk, which rings again, as no forwarding has failed yet."""
    story = Story(forwarding(ONE_NUMBER, {"101": rule}))
    (dial,) = story.call_in(outside())
    story.ring(dial.leg)
    if rule is BUSY:
        (dial,) = dials(story.give(LegEnded(dial.leg, 486, "")))
    else:
        (dial,) = dials(story.world.at(story.world.now + 6))
    accept, log = story.give(back(dial, "+49301234501"))
    assert isinstance(accept, Accept)
    assert isinstance(log, Log)
    assert "calls 101 with what 101 has forwarded outside: it is not sent there again" in log.text
    story.caller = accept.leg
    (again,) = dials(story.give(LegAccepted(accept.leg, "ours")))
    if rule is BUSY:
        assert not dials(story.give(LegEnded(again.leg, 486, "")))
        assert story.told() == [(486, "")]
    else:
        story.ring(again.leg)
        assert not dials(story.world.at(story.world.now + 60))


def test_callers_without_a_name_are_several_people_at_first() -> None:
    nobody = Address(Uri(privacy.URI, "sip", "anonymous", "anonymous.invalid", 0), "", "t")
    story = Story(forwarding(ONE_NUMBER, {"101": ALWAYS}))
    for _ in range(MOST_NAMELESS):
        (dial,) = story.call_in(outside(from_=nobody))
        assert dial.contact == f"sip:{MOBILE}@{CARRIER}"
    assert story.refused(outside(from_=nobody)).status == 480


def test_who_else_calls_is_forwarded() -> None:
    story = Story(forwarding(ONE_NUMBER, {"101": ALWAYS}))
    for number in ("+49170111", "+49170222"):
        assert story.call_in(outside(from_=Address(uri(number, CARRIER), "", "t")))
    (dial,) = story.call_out("0301234501", "102")
    (dial,) = story.call_in(back(dial, "+49301234501"))
    assert dial.contact == f"sip:{MOBILE}@{CARRIER}", "102 has called it by its number outside"


def test_a_phone_forwards_outside_and_a_call_is_transferred_there() -> None:
    story = Story()
    (dial,) = story.call_out("102")
    redirected = LegEnded(dial.leg, 302, "", redirect=Redirect((uri("0170"),)))
    (dial,) = dials(story.give(redirected))
    assert dial.contact == f"sip:0170@{CARRIER}"
    story = Story()
    (dial,) = story.call_in(outside())
    story.ring(dial.leg)
    story.answer(dial.leg)
    refer = ReferReceived(request("REFER", "101", "x"), dial.leg, ReferTo(uri("0170")))
    assert reply(story.give(refer)).status == 202
    (dial,) = dials(story.give(MediaFound(story.caller, SDP)))
    assert (dial.contact, name_addr(dial.from_)) == (f"sip:0170@{CARRIER}", f'"Name 101" <sip:101@{CARRIER}>')


@pytest.mark.parametrize("lets", [True, False])
def test_whether_calls_are_sent_on_outside(lets: bool) -> None:
    """Calls are sent on by a rule, a phone's 3xx, a code, a blind transfer, and one with a consultation."""
    known = site()
    tenant = replace(known.tenants["default"], send_outside=lets)
    extensions = {
        aor: replace(one, forwarding=Forwarding(always="0170")) if aor.extension == "104" else one
        for aor, one in known.extensions.items()
    }
    tenants = {**known.tenants, "default": tenant}
    known = replace(known, tenants=tenants, extensions=extensions)
    ways: list[bool] = []

    def noted(numbers: list[Dial]) -> None:
        ways.append([dial.contact for dial in numbers] == [f"sip:0170@{CARRIER}"])

    noted(Story(known).call_out("104"))  # the rule counts for nothing where calls are not sent on
    story = Story(known)
    (dial,) = story.call_out("102")
    noted(dials(story.give(LegEnded(dial.leg, 302, "", redirect=Redirect((uri("0170"),))))))
    story = Story(known)
    (set_,) = story.give(invite("101", "*720170"))
    ways.append(isinstance(set_, SetRules))
    story = Story(known)
    (dial,) = story.call_out("102")
    story.ring(dial.leg)
    story.answer(dial.leg)
    first = story.caller
    blind = reply(story.give(ReferReceived(request("REFER", "101", "x"), first, ReferTo(uri("0170")))))
    ways.append(blind.status == 202)
    story = Story(known)
    (dial,) = story.call_out("102")
    story.ring(dial.leg)
    story.answer(dial.leg)
    first = story.caller
    (dial,) = story.call_out("0170")
    story.ring(dial.leg)
    story.answer(dial.leg)
    (own,) = [one for one in story.world.core.dialogs.of(Aor("default", "101")) if one.leg == story.caller]
    named = f"{own.id.call_id};to-tag={own.id.remote_tag};from-tag={own.id.local_tag}"
    refer = ReferReceived(request("REFER", "101", "x"), first, ReferTo(uri("x"), (named,)))
    ways.append(reply(story.give(refer)).status == 202)
    assert ways == [lets] * 5


def test_numbers_for_emergencies_are_no_place_to_forward_to() -> None:
    known = site(routes=(ROUTE, OutRoute("default", "112", ("carrier",), emergency=True)))
    assert Story(known).refused(invite("101", "*72112")).status == 403
    story = Story(known)
    (dial,) = story.call_out("102")
    refused = story.give(LegEnded(dial.leg, 302, "", redirect=Redirect((uri("112"),))))
    assert not dials(refused)
    assert any("an emergency number" in effect.text for effect in refused if isinstance(effect, Log))
    rule = replace(known.extensions[Aor("default", "104")], forwarding=Forwarding(always="112"))
    story = Story(replace(known, extensions={**known.extensions, rule.aor: rule}))
    (dial,) = story.call_out("104")
    assert "198.51.100.7" in dial.contact, "a route may have come after the rule"
