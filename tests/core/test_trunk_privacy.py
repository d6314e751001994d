"""What nobody outside learns: who and where anybody is inside, and the numbers that are not to be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from builders import HOST, SDP, dials, group, invite, register, request, uri
from trunk_site import ALWAYS, CARRIER, MOBILE, ROUTE, TRUNK, Story, answerer, forwarding, outside, site

from blfd.core import privacy
from blfd.core.calls.leg_effects import Accept, Answer, HangUp, Identify, Offer, Progress
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    InfoResponseReceived,
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegProgress,
    MediaFound,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.returning import MOST_NAMELESS
from blfd.core.directory import Directory, Forwarding
from blfd.core.effects import Effect
from blfd.core.messages import ReferReceived, ReferTo
from blfd.core.quoting import name_addr
from blfd.core.settings import Settings
from blfd.core.trunk import OutRoute
from blfd.core.values import Address, Aor, DialogId, Headers, Uri


def test_who_answers_outside_is_no_extension() -> None:
    story = Story()
    (dial,) = story.call_out("0170")
    ids = DialogId(f"id{dial.leg}", "ours", "far")
    story.give(LegAnswered(dial.leg, ids, SDP, who=answerer("103", "Name 103")))
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert "103" not in repr(dialog.other)


def test_nobody_outside_is_told_an_extension() -> None:
    story = Story()
    (dial,) = story.call_in(outside()._replace(allows_update=True))
    said = identities([*story.ring(dial.leg), *story.answer(dial.leg)], story.caller)
    assert said
    assert set(said) == {""}
    (dial,) = story.call_out("0170", "102")
    answer = LegAnswered(dial.leg, DialogId("a", "b", "c"), SDP)
    said = identities([*story.ring(dial.leg), *story.give(answer)], story.caller)
    assert said
    assert set(said) == {f"<sip:0170@{HOST}>"}


INSIDE = ("101", "102", "103", "Name", HOST, "198.51.100", "acme", "phone")
"""What nobody outside is to read: extensions, names, addresses and tenants of here."""
SAID_INSIDE: Headers = (
    ("Warning", '399 198.51.100.1 "101 says no"'),
    ("Reason", 'Q.850;cause=17;text="101 is busy"'),
    ("Call-Info", "<sip:101@198.51.100.1>;purpose=icon"),
    ("History-Info", f"<sip:102@{HOST}>;index=1.1"),
    ("Organization", "acme"),
    ("User-to-User", "00"),
)
NAMED = SDP + b"o=101 1 1 IN IP4 192.0.2.1\r\ns=Name 101\r\n"


def ending(leg: int, status: int = 486) -> LegEnded:
    return LegEnded(leg, status, "101 is on the phone", headers=SAID_INSIDE)


def talking(story: Story) -> list[Effect]:
    leg = story.dial.leg
    dialog = DialogId("id", "ours", "far")
    found = story.give(LegProgress(leg, 183, "101 rings", dialog, NAMED, SAID_INSIDE))
    found += story.give(LegAnswered(leg, dialog, NAMED, headers=SAID_INSIDE))
    return [*found, *story.give(LegAcknowledged(story.caller, None))]


def changing(story: Story) -> list[Effect]:
    found = talking(story)
    leg = story.dial.leg
    found += story.give(OfferReceived(leg, NAMED))
    found += story.give(OfferAnswered(story.caller, 200, SDP))
    found += story.give(OfferReceived(story.caller, SDP))
    found += story.give(OfferAnswered(leg, 488, None, "101 cannot", SAID_INSIDE))
    found += story.give(InfoReceived(story.caller, 5, "text/plain", b"x"))
    found += story.give(InfoResponseReceived(leg, 5, 415, "101 cannot", "", b"", SAID_INSIDE))
    found += story.give(InfoReceived(leg, 6, "text/plain", b"x", SAID_INSIDE))
    return found + story.give(LegEnded(leg, 200, "", headers=SAID_INSIDE))


def picked_up(story: Story) -> list[Effect]:
    story.ring(story.dial.leg)
    (accept,) = story.give(invite("103", "*97101"))
    assert isinstance(accept, Accept)
    story.give(LegAccepted(accept.leg, "mine"))
    found = story.give(MediaMatched(accept.leg, True, NAMED, SDP, None))
    for leg in (story.caller, accept.leg):
        found += story.give(LegAcknowledged(leg, None))
    return found


LEAKS: tuple[tuple[str, Callable[[Story], list[Effect]], list[int]], ...] = (
    ("busy", lambda story: story.give(ending(story.dial.leg)), [486]),
    ("forwards and may not", lambda story: story.give(ending(story.dial.leg, 302)), [480]),
    ("asks for a password", lambda story: story.give(ending(story.dial.leg, 401)), [480]),
    ("does not answer", lambda story: story.world.at(story.world.now + 200), [480]),
    ("stops", lambda story: story.world.core.calls.hang_up_all(story.world.now), [503]),
    ("answers", talking, []),
    ("media, INFO and the end", changing, [487]),
    ("picked up", picked_up, []),
)


@pytest.mark.parametrize(("what", "happens", "statuses"), LEAKS, ids=[one[0] for one in LEAKS])
def test_nobody_outside_reads_who_or_where_anybody_is_inside(
    what: str, happens: Callable[[Story], list[Effect]], statuses: list[int]
) -> None:
    story = Story(replace(site(), groups=(group("101 103"),)))
    (story.dial,) = story.call_in(outside()._replace(allows_update=True))
    found = [effect for effect in happens(story) if getattr(effect, "leg", 0) == story.caller]
    assert found, what
    for effect in found:
        text = repr(effect).replace(repr(SDP), "")
        assert not [word for word in INSIDE if word in text], effect
    ends = [effect for effect in found if isinstance(effect, HangUp)]
    assert [(end.status, end.reason) for end in ends] == [(status, "") for status in statuses]
    if any("User-to-User" in repr(effect) for effect in ends):
        assert all(("Reason", "Q.850;cause=17") in end.headers for end in ends)


REFUSED_INSIDE: tuple[tuple[str, dict[str, object], Settings | None], ...] = (
    ("do not disturb", {"dnd": True}, None),
    ("a circle", {"always": "102"}, None),
    ("not registered", {"always": "104"}, None),
    ("too many calls", {}, Settings(tenant_calls=0)),
)


@pytest.mark.parametrize(
    ("what", "rules", "settings"), REFUSED_INSIDE, ids=[one[0] for one in REFUSED_INSIDE]
)
def test_why_an_extension_takes_no_call_is_for_the_log(
    what: str, rules: dict[str, Any], settings: Settings | None
) -> None:
    known = site()
    extensions = dict(known.extensions)
    for who, rule in (("101", Forwarding(**rules)), ("102", Forwarding(always="101"))):
        aor = Aor("default", who)
        extensions[aor] = replace(extensions[aor], forwarding=rule)
    story = Story(replace(known, extensions=extensions), settings)
    story.give(register("104", "sip:104@198.51.100.7", expires=0, cseq=9))
    refused = story.refused(outside())
    assert (refused.status, refused.reason) == (403 if settings else 480, ""), what
    assert any(word in story.said() for word in ("+491701234567", "in a circle", "raise max_calls"))


def test_a_carrier_is_told_no_extension_by_which_a_call_has_come() -> None:
    story = Story(site(replace(TRUNK, username="acct")))
    asked = invite("101", "0170")
    asked = asked._replace(headers=(*SAID_INSIDE, ("Diversion", f"<sip:102@{HOST}>")), offer=NAMED)
    (accept,) = story.give(asked)
    assert isinstance(accept, Accept)
    (dial,) = dials(story.give(LegAccepted(accept.leg, "ours")))
    assert ("102" in repr(dial), dial.contact_user) == (False, "acct")
    assert {name for name, _ in dial.headers} == {"Max-Forwards", "User-to-User"}
    assert b"o=- " in (dial.offer or b"")


def identities(effects: list[Effect], leg: int) -> list[str]:
    """The identities by which the phone on a leg is told with whom it talks."""
    told = [
        one for one in effects if isinstance(one, Progress | Answer | Offer | Identify) and one.leg == leg
    ]
    return [dict(one.headers).get("P-Asserted-Identity", "") for one in told]


def test_a_withheld_call_tells_the_network_alone_and_an_emergency_call_tells_all() -> None:
    emergency = OutRoute("default", "112", ("carrier",), caller_id="+49301234500", emergency=True)
    story = Story(site(replace(TRUNK, caller_id="+4930"), routes=(ROUTE, emergency)))
    for number, from_ in (
        ("0170", '"Anonymous" <sip:anonymous@anonymous.invalid>'),
        ("112", f'"Name 101" <sip:+49301234500@{CARRIER}>'),
    ):
        asked = invite("101", number)
        (accept,) = story.give(asked._replace(request=asked.request._replace(privacy=frozenset(("id",)))))
        assert isinstance(accept, Accept)
        (dial,) = dials(story.give(LegAccepted(accept.leg, "ours")))
        assert name_addr(dial.from_) == from_
        assert (("Privacy", "id") in dial.headers) is (number != "112")


def test_a_call_behind_the_code_does_not_say_whose_it_is() -> None:
    trunk = replace(TRUNK, caller_id="+49301234500")
    help_ = OutRoute("default", "112", ("carrier",), emergency=True)
    story = Story(site(trunk, routes=(ROUTE, help_)))
    (dial,) = story.call_out("*670301")
    assert (name_addr(dial.from_), name_addr(dial.to)) == (
        '"Anonymous" <sip:anonymous@anonymous.invalid>',
        f"<sip:0301@{CARRIER}>",
    )
    assert ("Privacy", "id") in dial.headers
    (dial,) = story.call_out("*67112")
    assert "+49301234500" in dial.from_.uri
    assert ("Privacy", "id") not in dial.headers
    story.give(register("102"))
    (dial,) = story.call_out("*67102")
    assert "101" not in name_addr(dial.from_)
    assert story.refused(invite("101", "*67*98")).status == 403
    assert story.refused(invite("101", "*67")).status == 404
    assert story.refused(invite("101", "*67999")).status == 404


def hiding(known: Directory) -> Directory:
    """A site whose extensions do not show their numbers outside."""
    extensions = {aor: replace(one, withholds=True) for aor, one in known.extensions.items()}
    return replace(known, extensions=extensions)


WITHHELD_BY_SETTING = [
    ("0301", frozenset[str](), True),
    ("*680301", frozenset[str](), False),
    ("*680301", frozenset(("id",)), False),
    ("*670301", frozenset[str](), True),
    ("0301", frozenset(("none",)), False),
    ("112", frozenset[str](), False),
]


@pytest.mark.parametrize(("number", "wish", "hidden"), WITHHELD_BY_SETTING)
def test_an_extension_whose_number_is_not_shown_outside(
    number: str, wish: frozenset[str], hidden: bool
) -> None:
    """Phones inside see who calls; outside it is told by a code or by the phone, and of emergency calls."""
    trunk = replace(TRUNK, caller_id="+49301234500")
    known = site(trunk, routes=(ROUTE, OutRoute("default", "112", ("carrier",), emergency=True)))
    story = Story(hiding(known))
    asked = invite("101", number)
    (accept,) = story.give(asked._replace(request=asked.request._replace(privacy=wish)))
    assert isinstance(accept, Accept)
    (dial,) = dials(story.give(LegAccepted(accept.leg, "ours")))
    assert (dial.from_ == privacy.NAME_ADDR) is hidden
    assert (("Privacy", "id") in dial.headers) is hidden
    assert ("P-Asserted-Identity", f"<sip:+49301234500@{CARRIER}>") in dial.headers or not hidden
    story.give(register("102"))
    (dial,) = story.call_out("102")
    assert "101" in name_addr(dial.from_)


def test_who_forwards_outside_and_withholds_its_number_is_not_named() -> None:
    """Neither caller nor Diversion name the extension; its call that comes back is known all the same."""
    trunk = replace(TRUNK, caller_ids=("1xx=+4930123451xx",))
    story = Story(hiding(forwarding(trunk, {"101": ALWAYS})))
    (dial,) = story.call_in(outside())
    assert dial.from_ == privacy.NAME_ADDR
    fields = dict(dial.headers)
    assert fields.pop("P-Asserted-Identity") == f"<sip:+493012345101@{CARRIER}>"
    assert "anonymous" in fields["Diversion"]
    assert not [value for value in fields.values() if "101" in value]
    nobody = Address(Uri(privacy.URI, "sip", "anonymous", "anonymous.invalid", 0), "", "t")
    for _ in range(MOST_NAMELESS - 1):
        (dial,) = story.call_in(outside(from_=nobody))
        assert dial.contact == f"sip:{MOBILE}@{CARRIER}"
    assert story.refused(outside(from_=nobody)).status == 480


def test_a_transfer_outside_does_not_say_whose_it_was() -> None:
    story = Story()
    (dial,) = story.call_in(outside())
    story.ring(dial.leg)
    story.answer(dial.leg)
    story.give(ReferReceived(request("REFER", "101", "x"), dial.leg, ReferTo(uri("0170"))))
    (dial,) = dials(story.give(MediaFound(story.caller, SDP)))
    assert "Referred-By" not in dict(dial.headers)
