"""Calls from outside: whom each number reaches, who is said to call, and what nobody outside can do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import HOST, request, uri
from hypothesis import given
from hypothesis import strategies as st
from trunk_site import CARRIER, ROUTE, TRUNK, Story, outside, site

from blfd.core.advice import command
from blfd.core.calls.leg_effects import Accept
from blfd.core.calls.leg_inputs import LegEnded
from blfd.core.directory import Owner
from blfd.core.effects import Level, Log, Reply
from blfd.core.messages import ReferReceived, ReferTo
from blfd.core.quoting import name_addr
from blfd.core.trunk import OutRoute
from blfd.core.values import Address, Aor, NameAddr, Uri


def test_a_call_in_rings_with_number_and_name_and_shows_on_the_lamps() -> None:
    story = Story()
    (dial,) = story.call_in(outside())
    assert name_addr(dial.from_) == f'"Carla" <sip:+491701234567@{HOST}>'
    story.ring(dial.leg)
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert (dialog.other, story.world.lamp("101")) == (("+491701234567", "Carla"), "ringing")
    assert story.world.lamp("trunk+carrier") == "trying"
    story.answer(dial.leg)
    assert (story.world.lamp("101"), story.world.lamp("trunk+carrier")) == ("talking", "talking")
    story.give(LegEnded(story.caller, 200, ""))
    assert (story.world.lamp("101"), story.world.lamp("trunk+carrier")) == ("idle", "idle")


DIDS: tuple[tuple[str, dict[str, object], dict[str, object], str], ...] = (
    ("whole", {}, {"target": uri("+49301234501")}, "101"),
    ("national", {}, {"target": uri("0301234501")}, "101"),
    ("local", {}, {"target": uri("1234501")}, "101"),
    ("international", {}, {"target": uri("0049301234501")}, "101"),
    ("without +", {}, {"target": uri("49301234501")}, "101"),
    ("separators", {}, {"target": uri("+49(30)123-45 01")}, "101"),
    ("user=phone", {}, {"target": uri("+49301234501;user=phone")}, "101"),
    ("range", {}, {"target": uri("+493012345103")}, "103"),
    ("of its own area", {}, {"target": uri("12345101;phone-context=+4930")}, "101"),
    ("of its own country", {}, {"target": uri("030 12345101;npdi;Phone-Context=+49;rn=+1")}, "101"),
    (
        "of its own area, by tel:",
        {},
        {"target": Uri("tel:12345101;phone-context=+49-30", "tel", "", "", 0)},
        "101",
    ),
    ("of a domain", {}, {"target": uri("1234501;phone-context=carrier.example")}, "101"),
    ("whole, and of another area", {}, {"target": uri("+49301234501;phone-context=+4940")}, "101"),
    ("to", {"did_source": "to"}, {"target": uri("acct"), "to": Address(uri("0301234501"))}, "101"),
    (
        "account in the Request-URI",
        {"username": "acct"},
        {"target": uri("acct"), "to": Address(uri("+493012345102"))},
        "102",
    ),
    (
        "P-Called-Party-ID",
        {"did_source": "p-called-party-id"},
        {"target": uri("acct"), "named": (("p-called-party-id", uri("+493012345104")),)},
        "104",
    ),
    (
        "P-Preferred-Identity",
        {"did_source": "p-preferred-identity"},
        {
            "target": uri("acct"),
            "named": (("p-preferred-identity", Uri("tel:+49-30-123451-02", "tel", "", "", 0)),),
        },
        "102",
    ),
    (
        "any header field",
        {"did_source": "header:X-Called"},
        {"target": uri("acct"), "named": (("x-other", uri("103")), ("x-called", uri("0301234501")))},
        "101",
    ),
    (
        "any header field that is not there",
        {"did_source": "header:X-Called"},
        {"target": uri("0301234501"), "named": (("x-other", uri("103")),)},
        "101",
    ),
    ("default", {"default": "104"}, {"target": uri("+4989")}, "104"),
)


@pytest.mark.parametrize(("what", "set_", "said", "extension"), DIDS, ids=[one[0] for one in DIDS])
def test_the_number_that_is_called(
    what: str, set_: dict[str, object], said: dict[str, object], extension: str
) -> None:
    story = Story(site(replace(TRUNK, **set_)))  # type: ignore[arg-type]
    (dial,) = story.call_in(outside(**said))  # type: ignore[arg-type]
    assert dial.to == NameAddr(f"sip:{extension}@{HOST}"), what


ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
FRAUD = (
    ("an extension's own number", "102", 404),
    ("another trunk's route", "00491701", 404),
    ("the pickup code", "*97102", 404),
    ("the group pickup code", "*98", 404),
    ("the emergency number", "112", 404),
    ("a trunk's lamp", "trunk+carrier", 404),
    ("a DID guessed", "+49301234599", 404),
    ("nothing", "", 404),
    ("a range's end", "+493012345199", 404),
    ("a number of another area", "1234501;phone-context=+4940", 404),
    ("a number of another country", "0301234501;phone-context=+43", 404),
)


@pytest.mark.parametrize(("what", "number", "status"), FRAUD, ids=[one[0] for one in FRAUD])
def test_who_calls_from_outside_reaches_no_more_than_the_numbers(what: str, number: str, status: int) -> None:
    emergency = OutRoute("default", "112", ("carrier",), emergency=True)
    story = Story(site(routes=(ROUTE, emergency)))
    answer = story.refused(outside(number))
    assert (answer.status, answer.reason) == (status, "Not Found"), what
    (line,) = [effect for effect in story.effects if isinstance(effect, Log)]
    assert (line.level, "trunk carrier" in line.text) == (Level.WARNING, True)
    assert "AUTH-FAILED" not in line.text, "a carrier that is wrong about a number is not to be blocked"


def test_what_is_advised_can_be_pasted() -> None:
    """It names the tenant, and nothing that a peer has sent is run."""
    story = Story(site(replace(TRUNK, tenant="acme.example", dids=())))
    story.refused(outside("1'&&$(reboot)&&'"))
    assert "'blfd --tenant acme.example trunk set carrier --did NUMBER=EXTENSION'" in story.said()
    assert command("default", "a b", "$(x)", "+49301=101") == "'blfd ... ... +49301=101'"


def test_from_makes_nobody_an_extension() -> None:
    story = Story()
    (dial,) = story.call_in(outside(from_=Address(uri("102", HOST), "Name 102", "far")))
    (dialog,) = story.world.core.dialogs.of(Aor("default", "trunk+carrier"))
    assert dialog.leg == story.caller
    assert not story.world.core.dialogs.of(Aor("default", "102"))
    assert dial.to.uri.startswith("sip:101@")


IDENTITIES: tuple[tuple[str, dict[str, object], str], ...] = (
    ("From", {"from_": Address(uri("+491"), "Police", "far")}, f'"Police" <sip:+491@{HOST}>'),
    ("asserted", {"asserted": (Address(uri("+491"), "Alan"),)}, f'"Alan" <sip:+491@{HOST}>'),
    ("asserted without a name", {"asserted": (Address(uri("+491")),)}, f"<sip:+491@{HOST}>"),
    ("named in From", {"asserted": (Address(uri("+491701234567")),)}, f'"Carla" <sip:+491701234567@{HOST}>'),
    ("an extension in From", {"from_": Address(uri("103"), "Name 103", "far")}, ANONYMOUS),
    ("an extension of elsewhere", {"from_": Address(uri("103", CARRIER), "Carol", "far")}, ANONYMOUS),
    ("an extension asserted", {"asserted": (Address(uri("103"), "Name 103"),)}, ANONYMOUS),
    ("punctuation", {"asserted": (Address(uri("1-0-3"), "Name 103"),)}, ANONYMOUS),
    ("nobody's extension", {"asserted": (Address(uri("201"), "Zoe"),)}, f'"Zoe" <sip:201@{HOST}>'),
)


@pytest.mark.parametrize(("what", "said", "shown"), IDENTITIES, ids=[one[0] for one in IDENTITIES])
def test_who_calls_has_number_and_name_of_one_identity_and_is_no_extension(
    what: str, said: dict[str, object], shown: str
) -> None:
    story = Story()
    (dial,) = story.call_in(outside(**said))  # type: ignore[arg-type]
    assert name_addr(dial.from_) == shown, what
    assert dict(dial.headers).get("P-Asserted-Identity", shown) == shown
    story.ring(dial.leg)
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert ("103" in repr(dialog.other)) is False


def test_an_extension_that_a_pbx_carries_calls_by_the_trunk_to_it() -> None:
    known = site()
    aor = Aor("default", "103")
    story = Story(
        replace(
            known, extensions=known.extensions | {aor: replace(known.extensions[aor], owner=Owner.PUBLISHED)}
        )
    )
    (dial,) = story.call_in(outside(from_=Address(uri("103", CARRIER), "Carol", "far")))
    assert name_addr(dial.from_) == f'"Carol" <sip:103@{HOST}>'


def test_nothing_is_taken_over_transferred_or_answered_by_itself_from_outside() -> None:
    story = Story()
    taken = story.refused(outside()._replace(replaces=("a;to-tag=b;from-tag=c",)))
    assert taken.status == 403
    ringing = (("Alert-Info", "<x>;info=alert-autoanswer"), ("Call-Info", "<sip:x>;answer-after=0"))
    answered = (("Answer-Mode", "Auto"), ("Priv-Answer-Mode", "Auto"), ("Diversion", "<sip:+4930@x>"))
    (dial,) = story.call_in(outside()._replace(headers=(*ringing, *answered)))
    assert {name for name, _ in dial.headers} == {"P-Asserted-Identity", "Max-Forwards", "Diversion"}
    story.ring(dial.leg)
    refer = ReferReceived(request("REFER", "x", "101"), story.caller, ReferTo(uri("103")))
    call = story.world.core.calls.of(story.caller)
    refused = [story.refused(refer)]
    story.answer(dial.leg)
    refused.append(story.refused(refer))
    assert call
    call.transfers = 10
    refused.append(story.refused(refer))
    call.transfers = 0
    story.give(ReferReceived(request("REFER", "101", "x"), dial.leg, ReferTo(uri("103"))))
    refused.append(story.refused(refer))
    assert [(one.status, one.reason) for one in refused] == [(403, ""), (403, ""), (483, ""), (491, "")]
    logged = [effect.text for effect in story.effects if isinstance(effect, Log)]
    assert "is refused: 491 This call is just being transferred" in logged[-1], "our words are for the log"


def test_a_call_of_who_is_not_named_is_anonymous() -> None:
    story = Story()
    hidden = outside(privacy=frozenset(("id",)), asserted=(Address(uri("+4917099", CARRIER)),))
    (dial,) = story.call_in(hidden)
    assert name_addr(dial.from_) == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert "+4917099" not in repr(dial)


TEL = Uri("tel:+49301234501", "tel", "", "", 0)


@pytest.mark.parametrize("target", [TEL, uri("+49301234501", HOST)])
def test_a_call_to_a_tel_uri_has_a_domain(target: Uri) -> None:
    story = Story()
    (dial,) = story.call_in(outside(to=Address(TEL, "", ""), target=target))
    assert "@>" not in dial.from_.uri + dial.to.uri


@given(st.text(), st.text())
def test_whatever_is_called_leads_to_one_answer(user: str, to: str) -> None:
    story = Story()
    found = story.give(outside(target=uri(user), to=Address(uri(to))))
    assert [effect for effect in found if isinstance(effect, Reply | Accept)]
