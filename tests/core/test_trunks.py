"""Trunks in the core alone: whom calls from outside reach, and which calls go out, how and as whose."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from builders import (
    HOST,
    SDP,
    World,
    dials,
    directory,
    flow,
    group,
    invite,
    register,
    reply,
    request,
    subscribe,
    uri,
)
from hypothesis import given
from hypothesis import strategies as st

from blfd.core import hosts, privacy
from blfd.core.advice import command
from blfd.core.calls.hops import Cause
from blfd.core.calls.leg_effects import Accept, Answer, Dial, HangUp, Identify, Offer, Progress
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    InfoResponseReceived,
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegIdentified,
    LegProgress,
    LegTrying,
    MediaFound,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.returning import MOST_NAMELESS
from blfd.core.directory import Directory, Forwarding, Owner
from blfd.core.effects import Effect, Ignore, Level, Log, Reply, SetRules
from blfd.core.inputs import CertificateShown, FlowClosed
from blfd.core.messages import Credentials, InviteReceived, ReferReceived, ReferTo
from blfd.core.quoting import name_addr
from blfd.core.settings import Settings
from blfd.core.trunk import CallerIdIn, Mode, OutRoute, Trunk, check, check_route
from blfd.core.trunks import numbers
from blfd.core.trunks.faults import clashes, faults, shadowed
from blfd.core.trunks.remote import HostPort
from blfd.core.trunks.report import trunks as rows_of_trunks
from blfd.core.values import Address, Aor, DialogId, Flow, Headers, NameAddr, Redirect, Uri

PEOPLE = ("101", "102", "103", "104")
CARRIER, BACKUP = "203.0.113.1", "203.0.113.2"
TRUNK = Trunk(
    "default",
    "carrier",
    servers=(CARRIER,),
    dids=("+49301234501=101", "+4930123451xx=1xx"),
    country="49",
    area="30",
)
ROUTE = OutRoute("default", "0.", ("carrier",))


def site(trunk: Trunk = TRUNK, *more: Trunk, routes: tuple[OutRoute, ...] = (ROUTE,)) -> Directory:
    return replace(directory(PEOPLE), trunks=(trunk, *more), routes=routes)


class Story:
    """A site with a trunk; phones at the usual address are trusted, as in the other tests."""

    def __init__(self, known: Directory | None = None, settings: Settings | None = None) -> None:
        self.world = World(settings, PEOPLE, known or site())
        self.effects: list[Effect] = []
        self.dial: Dial

    def give(self, event: object) -> list[Effect]:
        self.effects = self.world.give(event)  # type: ignore[arg-type]
        calls = self.world.core.calls
        lamps = [lamp for call in calls for lamp in call.lamps()]
        for trunk in self.world.core.directory.trunks:
            lamp = Aor(trunk.tenant, trunk.resource)
            assert calls.census.by(lamp) == lamps.count(lamp)
        return self.effects

    def call_in(self, invited: InviteReceived) -> list[Dial]:
        """Call from outside, and return the INVITEs that this leads to."""
        (accept,) = self.give(invited)
        assert isinstance(accept, Accept), accept
        self.caller = accept.leg
        return dials(self.give(LegAccepted(accept.leg, "ours")))

    def take(self, invited: InviteReceived) -> list[Effect]:
        """Take an INVITE from outside, go on if it becomes a call, and return what came of it first."""
        found = self.give(invited)
        for accept in found:
            if isinstance(accept, Accept):
                self.give(LegAccepted(accept.leg, "ours"))
        return found

    def call_out(self, number: str, who: str = "101") -> list[Dial]:
        (accept,) = self.give(invite(who, number))
        assert isinstance(accept, Accept), accept
        self.caller = accept.leg
        return dials(self.give(LegAccepted(accept.leg, "ours")))

    def ring(self, leg: int) -> list[Effect]:
        return self.give(LegProgress(leg, 180, "", DialogId(f"id{leg}", "ours", f"far{leg}"), None))

    def answer(self, leg: int) -> list[Effect]:
        won = self.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", f"far{leg}"), SDP))
        return [*won, *self.give(LegAcknowledged(self.caller, None))]

    def refused(self, event: object) -> Reply:
        return reply(self.give(event))

    def said(self) -> str:
        return " ".join(effect.text for effect in self.effects if isinstance(effect, Log))

    def told(self) -> list[tuple[int, str]]:
        """The statuses and reasons by which the caller's leg is ended."""
        return [(e.status, e.reason) for e in self.effects if isinstance(e, HangUp) and e.leg == self.caller]


def outside(
    number: str = "+49301234501",
    *,
    source: str = CARRIER,
    from_: Address | None = None,
    method: str = "INVITE",
    named: tuple[tuple[str, Uri], ...] = (),
    **over: object,
) -> InviteReceived:
    """An INVITE from outside to a number."""
    asked = request(method, "x", number, source=Flow("udp", source, 5060))
    who = from_ or Address(uri("+491701234567", CARRIER), "Carla", "far")
    asked = asked._replace(from_=who, **over)  # type: ignore[arg-type]
    return InviteReceived(asked, SDP, 70, f"sip:{CARRIER}", named=named)


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


def test_who_answers_outside_is_no_extension() -> None:
    story = Story()
    (dial,) = story.call_out("0170")
    ids = DialogId(f"id{dial.leg}", "ours", "far")
    story.give(LegAnswered(dial.leg, ids, SDP, who=answerer("103", "Name 103")))
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert "103" not in repr(dialog.other)


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


@pytest.mark.parametrize("make", [subscribe, register])
def test_a_trunk_is_a_stranger_to_all_but_calls(make: object) -> None:
    known = site(replace(TRUNK, servers=("198.51.100.7",)))
    story = Story(known, Settings())
    story.world.core._authenticator._settings = Settings()  # nobody is trusted
    story.world.core._authenticator._trusted.clear()
    assert story.refused(make("103")).status == 401  # type: ignore[operator]


def test_others_are_no_trunk_and_a_certificate_is_as_good_as_an_address() -> None:
    story = Story(site(replace(TRUNK, certificate="sbc.carrier.example", sources=("203.0.113.64/27",))))
    assert story.refused(outside(source="203.0.113.200")).status == 403
    assert story.call_in(outside(source="203.0.113.70"))
    tls = Flow("tls", "192.0.2.77", 40000)
    asked = outside()
    asked = asked._replace(request=asked.request._replace(flow=tls))
    assert story.refused(asked).status == 403
    story.give(CertificateShown(tls, ("sbc.carrier.example",)))
    assert story.call_in(asked)
    story.give(FlowClosed(tls))
    assert story.refused(asked).status == 403


def test_a_trunk_that_is_off_is_as_if_it_were_not_there() -> None:
    off = replace(TRUNK, enabled=False, certificate="sbc.carrier.example", sources=("203.0.113.64/27",))
    story = Story(site(off))
    assert story.refused(outside()).status == 403
    assert story.refused(outside(source="203.0.113.70")).status == 403
    assert not story.call_out("0301")
    assert story.told() == [(480, "All lines are out of order")]
    spare = replace(TRUNK, name="spare", servers=(BACKUP,))
    story = Story(site(off, spare, routes=(replace(ROUTE, trunks=("carrier", "spare")),)))
    assert [dial.flow.host for dial in story.call_out("0301")] == [BACKUP]


SCANS: dict[str, dict[str, Any]] = {
    "a number": {},
    "a number that there is not": {"number": "+49301234599"},
    "an extension": {"number": "102"},
    "a code": {"number": "*97102"},
    "a route": {"number": "0301"},
    "From forged as the carrier's": {"from_": Address(uri("+491701234567", CARRIER), "", "far")},
    "nobody": {"number": ""},
}
SCANNER = "198.18.0.7"


def distrusting(known: Directory | None = None, **settings: object) -> Story:
    """A site that trusts no sender."""
    story = Story(known, Settings(**settings))  # type: ignore[arg-type]
    story.world.core._authenticator._settings = Settings()
    story.world.core._authenticator._trusted.clear()
    return story


@pytest.mark.parametrize("host", [HOST, CARRIER], ids=["asked for a password", "refused"])
def test_strangers_are_refused_alike_and_told_of_once(host: str) -> None:
    story, seen = distrusting(), set()
    for what, over in SCANS.items():
        sent: dict[str, Any] = {"from_": Address(uri("x", host), "", "far"), **over, "source": SCANNER}
        refused = story.refused(outside(**sent))
        seen.add((refused.status, refused.reason, refused.once, tuple(name for name, _ in refused.headers)))
        lines = story.said()
        story.effects = story.world.at(story.world.now + 11)
        lines += story.said()
        assert lines.count(f"AUTH-FAILED {SCANNER} SIP INVITE as ") == 1, what
        story.effects = story.world.at(story.world.now + 60)
        assert "AUTH-FAILED" not in story.said(), what
    assert len(seen) == (1 if host == CARRIER else 2), "another one for a domain that is not served"
    assert all(once for _, _, once, _ in seen)


def test_who_gives_its_password_is_no_scanner() -> None:
    story = distrusting()
    asked = invite("101", "102")
    assert story.refused(asked).status == 401
    story.world.core._authenticator._settings = Settings(trust=(hosts.network("198.51.100.7/32"),))
    story.world.core._authenticator._trusted.clear()
    assert isinstance(story.give(asked)[0], Accept)
    story.effects = story.world.at(story.world.now + 60)
    assert "AUTH-FAILED" not in story.said()


def test_by_udp_nobody_is_shut_out_and_few_are_answered() -> None:
    story = distrusting(stranger_refusals=2)

    def answered(source: str, of: int = 40) -> int:
        found = [story.give(outside("+4989", source=source)) for _ in range(of)]
        return sum(isinstance(one, Reply) for effects in found for one in effects)

    assert answered(SCANNER) == 20, "ten seconds' worth"
    story.effects = story.world.at(story.world.now + 1)
    assert answered(SCANNER) == 2
    assert answered("198.18.0.8", 1) == 1, "others are answered"
    assert answered("2001:db8::1", 20) == 20
    assert answered("2001:db8::2", 1) == 0, "a /64 is one source"
    assert answered("2001:db8:0:1::1", 1) == 1
    assert story.world.core.strangers.ignored == 20 + 38 + 1
    story.world.core._authenticator._settings = Settings(trust=(hosts.network("198.51.100.7/32"),))
    story.world.core._authenticator._trusted.clear()
    story.give(register("101"))
    story.world.core._authenticator._settings = Settings()
    story.world.core._authenticator._trusted.clear()
    assert answered("198.51.100.7") == 40, "a phone is registered there"
    assert answered(CARRIER) == 40


def test_over_a_connection_failures_count_as_wrong_passwords() -> None:
    story, tcp = distrusting(), Flow("tcp", SCANNER, 40_000)
    for number in range(Settings().failures_before_silence):
        asked = outside()
        found = story.give(asked._replace(request=asked.request._replace(flow=tcp)))
        assert isinstance(found[-1], Reply), number
    assert f"not answered for {Settings().silence} s" in story.said()
    assert isinstance(story.give(asked._replace(request=asked.request._replace(flow=tcp)))[-1], Ignore)
    assert story.refused(outside(source="198.18.0.8")).status == 403


OF_ACME = register("101")._replace(request=request("REGISTER", "101", "101", host="acme.example"))
PHONE = Flow("udp", "198.51.100.7", 40_000)
OURS, OTHERS = (Credentials("acct", realm, "n", "sip:x", "r") for realm in ("acme.example", "elsewhere"))
AT_A_TRUNK: tuple[tuple[str, Flow, str, tuple[Credentials, ...], bool], ...] = (
    ("a carrier's", PHONE, "+491701234567", (), True),
    ("credentials for us", PHONE, "+491701234567", (OURS,), False),
    ("credentials for somebody else", PHONE, "+491701234567", (OTHERS,), True),
    ("its own flow", flow("102"), "102", (), False),
    ("another port of its address", PHONE, "102", (), True),
    ("another extension's flow", flow("103"), "102", (), True),
    ("nobody's", flow("102"), "999", (), True),
)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    ("what", "source", "user", "credentials", "is_trunks"), AT_A_TRUNK, ids=[one[0] for one in AT_A_TRUNK]
)
def test_a_phone_at_the_address_of_another_tenants_trunk_is_no_trunk(
    what: str,
    source: Flow,
    user: str,
    credentials: tuple[Credentials, ...],
    is_trunks: bool,
    trusted: bool,
) -> None:
    of_acme = Trunk("acme.example", "wide", servers=(CARRIER,), sources=("198.51.0.0/16",), default="101")
    story = Story(site(TRUNK, of_acme))
    story.give(OF_ACME)
    if not trusted:
        story.world.core._authenticator._settings = Settings()
        story.world.core._authenticator._trusted.clear()
    asked = outside("103", from_=Address(uri(user, HOST), "", "far"), credentials=credentials)
    found = story.take(asked._replace(request=asked.request._replace(flow=source)))
    called = [dialog.leg for dialog in story.world.core.dialogs.of(Aor("acme.example", "trunk+wide"))]
    assert bool(called) is is_trunks, what
    if not is_trunks and not trusted:
        assert reply(found).status == 401, what
    if user == "102" and not is_trunks and trusted:
        assert story.world.core.dialogs.of(Aor("default", "102")), what


ACME = Trunk("acme.example", "line", servers=(CARRIER,), username="acme")
MINE = replace(TRUNK, dids=(), username="mine")
SHARED: tuple[tuple[str, dict[str, object], dict[str, object], str, str, str], ...] = (
    ("only one has the number", {"dids": ("+4930x=10x",)}, {}, "+49301", "", "default"),
    ("the other has it", {}, {"dids": ("+4930x=10x",)}, "+49301", "", "acme.example"),
    ("more", {"dids": ("+493xx=1xx",)}, {"dids": ("+49301=101",)}, "+49301", "", "acme.example"),
    ("more, as meant", {"dids": ("301=101",)}, {"dids": ("+493xx=101",)}, "+49301", "", "acme.example"),
    ("more, in one country", {"dids": ("0301=101",)}, {"dids": ("+4930x=101",)}, "+49301", "", "default"),
    ("a number before the account", {"dids": ("+49301=101",)}, {}, "+49301", "acme", "default"),
    ("a number before a default", {"dids": ("+49301=101",)}, {"default": "101"}, "+49301", "", "default"),
    ("account in Request-URI", {"default": "101"}, {"default": "101"}, "acme", "", "acme.example"),
    ("account in To", {"default": "101"}, {"default": "101"}, "+1", "mine", "default"),
    ("both", {"dids": ("+49301=101",)}, {"dids": ("+49301=101",)}, "+49301", "mine", "default"),
    ("the only default", {}, {"default": "101"}, "+1", "", "acme.example"),
    ("two defaults", {"default": "101"}, {"default": "101"}, "+1", "", ""),
    ("an account without a default", {}, {"default": "101"}, "mine", "", ""),
    ("the same number twice", {"dids": ("+49301=101",)}, {"dids": ("+49301=101",)}, "+49301", "", ""),
    ("nothing", {}, {}, "+1", "", ""),
)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("what", "mine", "acme", "number", "to", "tenant"), SHARED, ids=[one[0] for one in SHARED]
)
def test_which_of_the_trunks_of_one_address_a_call_is_of(
    what: str,
    mine: dict[str, object],
    acme: dict[str, object],
    number: str,
    to: str,
    tenant: str,
    turned: bool,
) -> None:
    """The order of the trunks does not matter."""
    both = [replace(MINE, **mine), replace(ACME, **acme)]  # type: ignore[arg-type]
    story = Story(site(*(reversed(both) if turned else both)))
    story.give(OF_ACME)
    asked = outside(number, to=Address(uri(to or number), "", ""))
    if tenant:
        story.take(asked)
        lamps = {one: f"trunk+{name}" for one, name in (("default", "carrier"), ("acme.example", "line"))}
        found = [one for one, lamp in lamps.items() if story.world.core.dialogs.of(Aor(one, lamp))]
        assert found == [tenant], what
    else:
        assert story.refused(asked).status == 404
        assert "trunk carrier of default" in story.said()
        assert "trunk line of acme.example" in story.said()


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


def test_a_call_of_who_is_not_named_is_anonymous() -> None:
    story = Story()
    hidden = outside(privacy=frozenset(("id",)), asserted=(Address(uri("+4917099", CARRIER)),))
    (dial,) = story.call_in(hidden)
    assert name_addr(dial.from_) == '"Anonymous" <sip:anonymous@anonymous.invalid>'
    assert "+4917099" not in repr(dial)


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


MOBILE, ANOTHER = "0170", "0171"
ONE_NUMBER = replace(TRUNK, caller_id="+49301234500")
OWN_NUMBERS = replace(TRUNK, caller_ids=("1xx=+4930123451xx",))
IN_PAI = replace(ONE_NUMBER, username="acct", caller_id_in=CallerIdIn.P_ASSERTED_IDENTITY)
ALWAYS, BUSY, LATER = (
    Forwarding(always=MOBILE),
    Forwarding(busy=MOBILE),
    Forwarding(no_answer=MOBILE, after=5),
)


def forwarding(trunk: Trunk, rules: dict[str, Forwarding]) -> Directory:
    known = site(trunk)
    extensions = {
        aor: replace(one, forwarding=rules.get(aor.extension, Forwarding()))
        for aor, one in known.extensions.items()
    }
    return replace(known, extensions=extensions)


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


CALLER_IDS: tuple[tuple[str, Trunk, str, dict[str, str]], ...] = (
    ("nothing is said", TRUNK, f'"Name 101" <sip:101@{CARRIER}>', {}),
    (
        "the trunk's",
        replace(TRUNK, caller_id="+49301234500"),
        f'"Name 101" <sip:+49301234500@{CARRIER}>',
        {},
    ),
    (
        "the extension's",
        replace(TRUNK, caller_id="+49301234500", caller_ids=("1xx=+4930123451xx", "102=+1")),
        f'"Name 101" <sip:+493012345101@{CARRIER}>',
        {},
    ),
    (
        "asserted",
        replace(TRUNK, caller_id="+4930", username="acct", caller_id_in=CallerIdIn.P_ASSERTED_IDENTITY),
        f"<sip:acct@{CARRIER}>",
        {"P-Asserted-Identity": f'"Name 101" <sip:+4930@{CARRIER}>'},
    ),
    (
        "remote party",
        replace(
            TRUNK,
            caller_id="+4930",
            username="acct",
            domain="c.example",
            caller_id_in=CallerIdIn.REMOTE_PARTY_ID,
        ),
        "<sip:acct@c.example>",
        {"Remote-Party-ID": '"Name 101" <sip:+4930@c.example>;party=calling;privacy=off;screen=no'},
    ),
)


@pytest.mark.parametrize(("what", "trunk", "from_", "headers"), CALLER_IDS, ids=[c[0] for c in CALLER_IDS])
def test_who_is_said_to_call(what: str, trunk: Trunk, from_: str, headers: dict[str, str]) -> None:
    (dial,) = Story(site(trunk)).call_out("0170")
    assert name_addr(dial.from_) == from_, what
    assert dict(dial.headers) == {"Max-Forwards": "69", **headers}


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


def test_a_route_strips_and_puts_before_and_the_one_that_says_most_counts() -> None:
    routes = (
        OutRoute("default", "0.", ("carrier",), strip=1, prefix="+49"),
        OutRoute("default", "00.", ("carrier",), strip=2, prefix="+"),
        OutRoute("default", "0800xxx", ("carrier",)),
        OutRoute("acme.example", "9.", ("carrier",)),
    )
    story = Story(site(routes=routes))
    for dialled, number in (
        ("0301", "+49301"),
        ("00431", "+431"),
        ("0800123", "0800123"),
        ("08001234", "+498001234"),
    ):
        assert story.call_out(dialled)[0].contact == f"sip:{number}@{CARRIER}"
    assert story.refused(invite("101", "9123")).status == 404
    assert story.refused(invite("101", "0abc")).status == 404
    assert story.call_out("102")[0].to == NameAddr(f"sip:102@{HOST}")  # extensions count before routes


TWO = (
    replace(TRUNK, servers=(CARRIER, f"{BACKUP}:5070")),
    Trunk("default", "other", servers=("203.0.113.9",)),
)
BY_BOTH = (OutRoute("default", "0.", ("carrier", "other")),)


@pytest.mark.parametrize("status", [503, 408, 500, 502, 504])
def test_the_next_server_and_then_the_next_trunk_is_tried(status: int) -> None:
    story = Story(site(*TWO, routes=BY_BOTH))
    (dial,) = story.call_out("0170")
    hosts = [dial.flow.host]
    for _ in range(2):
        (dial,) = dials(story.give(LegEnded(dial.leg, status, "Sorry")))
        hosts.append(dial.flow.host)
    assert hosts == [CARRIER, BACKUP, "203.0.113.9"]
    (call,) = story.world.core.calls
    assert f"{call.callee}" == "0170 (trunk+other)"
    story.give(LegEnded(dial.leg, status, "Sorry"))
    assert [status for status, _ in story.told()]
    assert not story.world.core.calls


@pytest.mark.parametrize("status", [486, 404, 603, 403, 401, 407, 480, 302])
def test_what_says_something_of_the_callee_is_final(status: int) -> None:
    story = Story(site(*TWO, routes=BY_BOTH))
    (dial,) = story.call_out("0170")
    end = LegEnded(dial.leg, status, "No", redirect=Redirect((uri("102"),)) if status == 302 else None)
    assert not dials(story.give(end))
    assert len(story.told()) == 1


def test_no_second_call_once_it_rings() -> None:
    story = Story(site(*TWO, routes=BY_BOTH))
    (dial,) = story.call_out("0170")
    story.ring(dial.leg)
    assert not dials(story.give(LegEnded(dial.leg, 503, "Sorry")))
    assert len(story.told()) == 1


def test_silence_is_not_waited_out_but_a_server_that_has_it_may_take_its_time() -> None:
    story = Story(site(*TWO, routes=BY_BOTH))
    (first,) = story.call_out("0170")
    story.effects = story.world.at(story.world.now + 4)
    (second,) = dials(story.effects)
    assert (second.flow.host, HangUp(first.leg) in story.effects) == (BACKUP, True)
    story.give(LegTrying(second.leg))
    (third,) = story.call_out("0171", "103")
    assert third.flow.host == BACKUP, "the silent one comes last for a while"
    story.give(LegTrying(third.leg))
    assert not dials(story.world.at(story.world.now + 61))
    (fourth,) = story.call_out("0172", "102")
    assert fourth.flow.host == CARRIER


@pytest.mark.parametrize(
    ("status", "silent", "told", "log"),
    [
        (503, True, "Trunk carrier cannot be reached", "cannot be reached: no connection;"),
        (408, True, "Trunk carrier gives no answer (408)", "does not answer a call;"),
        (408, False, "Trunk carrier gives no answer (408)", "refuses a call: 408 PJ_EUNKNOWN;"),
        (481, False, "Trunk carrier does not take the call (481)", "refuses a call: 481 PJ_EUNKNOWN;"),
        (487, False, "Trunk carrier does not take the call (487)", "refuses a call: 487 PJ_EUNKNOWN;"),
        (491, False, "Trunk carrier does not take the call (491)", "refuses a call: 491 PJ_EUNKNOWN;"),
    ],
)
def test_why_a_trunk_does_not_take_a_call(status: int, silent: bool, told: str, log: str) -> None:
    story = Story()
    (dial,) = story.call_out("0170")
    story.give(LegEnded(dial.leg, status, "PJ_EUNKNOWN", silent=silent))
    assert story.told() == [(480, told)]
    assert f"0170 (trunk+carrier) at sip:0170@{CARRIER} {log} the caller is told 480 {told}" in story.said()


def test_a_fault_of_a_trunk_is_no_phones() -> None:
    story = Story()
    (dial,) = story.call_out("0170")
    story.answer(dial.leg)
    story.give(LegEnded(dial.leg, 408, "", fault="It is dead"))
    assert "-> 0170 (trunk+carrier): 0170 (trunk+carrier): It is dead" in story.said()


@pytest.mark.parametrize("emergency", [True, False])
@pytest.mark.parametrize("silent", [True, False])
def test_an_emergency_call_that_reaches_nobody_is_a_warning(emergency: bool, silent: bool) -> None:
    story = Story(site(routes=(ROUTE, OutRoute("default", "112", ("carrier",), emergency=emergency))))
    (dial,) = story.call_out("112")
    story.give(LegEnded(dial.leg, 408 if silent else 503, "", silent=silent))
    warnings = [e.text for e in story.effects if isinstance(e, Log) and e.level is Level.WARNING]
    found = [text for text in warnings if text.startswith("emergency call ")]
    assert len(found) == emergency
    assert all("101" in text and "'blfd doctor'" in text for text in found)


def test_no_more_calls_than_a_trunk_takes_but_for_help() -> None:
    emergency = OutRoute("default", "112", ("carrier",), emergency=True)
    story = Story(site(replace(TRUNK, max_calls=1), routes=(ROUTE, emergency)), Settings(max_calls=1))
    assert story.call_in(outside())
    refused = story.refused(outside())
    assert (refused.status, refused.reason) == (486, ""), "our words are not for outside"
    assert "trunk carrier has 1 calls, one more is refused (max-calls)" in story.said()
    (accept,) = story.give(invite("103", "0170"))
    assert isinstance(accept, Accept)
    story.caller = accept.leg
    story.give(LegAccepted(accept.leg, "ours"))
    assert story.told() == [(486, "All lines are busy")]
    assert "no trunk takes it: carrier has 1 calls, as many as it may (--max-calls)" in story.said()
    assert story.call_out("112", "103")
    assert story.call_out("112", "103")


NO_WAYS: tuple[tuple[str, tuple[Trunk, ...], int, str], ...] = (
    ("off", (replace(TRUNK, enabled=False),), 480, "carrier is not in use"),
    (
        "its server is a name that nobody knows",
        (replace(TRUNK, servers=("sip.example",)),),
        480,
        "carrier has no server that can be reached",
    ),
    (
        "not registered",
        (replace(TRUNK, mode=Mode.PEER_REGISTERS, servers=(), username="pbx", password="x"),),
        480,
        "carrier has not registered here",
    ),
    (
        "full, and the other is off",
        (replace(TRUNK, max_calls=1), replace(TWO[1], enabled=False)),
        486,
        "other",
    ),
)


@pytest.mark.parametrize(("what", "trunks", "status", "said"), NO_WAYS, ids=[one[0] for one in NO_WAYS])
def test_where_no_trunk_takes_a_call_it_is_no_503(
    what: str, trunks: tuple[Trunk, ...], status: int, said: str
) -> None:
    """A phone that is told 503 would think that this server is out of order, and leave it."""
    story = Story(site(*trunks, routes=BY_BOTH))
    if status == 486:
        story.call_out("0170")
    assert story.call_out("0170", "102") == []
    words = "All lines are busy" if status == 486 else "All lines are out of order"
    assert story.told() == [(status, words)]
    assert "no trunk takes it:" in story.said()
    assert said in story.said()


def test_a_trunk_that_is_full_by_now_is_left_out() -> None:
    first, other = TWO[0], replace(TWO[1], max_calls=1)
    story = Story(site(replace(first, max_calls=1), other, routes=BY_BOTH))
    story.call_out("0170")
    caller = story.caller
    (second,) = story.call_out("0171", "102")
    assert second.flow.host == "203.0.113.9"
    (again,) = dials(story.world.at(story.world.now + 4))
    assert again.flow.host == BACKUP, "it is the one call that its own trunk has"
    story.caller = caller
    assert not dials(story.give(LegEnded(again.leg, 503, "Sorry"))), "the other one has its call"
    assert [status for status, _ in story.told()] == [500]


def test_the_lamp_of_the_trunk_that_takes_the_call_is_lit_and_nobody_picks_it_up() -> None:
    story = Story(site(*TWO, routes=BY_BOTH))
    (dial,) = story.call_out("0170")
    for _ in range(2):
        (dial,) = dials(story.give(LegEnded(dial.leg, 503, "")))
    story.ring(dial.leg)
    assert (story.world.lamp("trunk+other"), story.world.lamp("trunk+carrier")) == ("ringing", "idle")
    assert story.refused(invite("103", "*97trunk+other")).status == 404
    named = f"id{dial.leg};to-tag=ours;from-tag=far{dial.leg}"
    assert story.refused(invite("103", "x", replaces=(named,))).status == 403
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert dialog.other == ("0170", "")
    story.answer(dial.leg)
    story.give(LegEnded(dial.leg, 200, ""))
    assert "call 101 -> 0170 (trunk+other): ended" in story.said(), "as every line says"


def answerer(number: str, name: str = "") -> Address:
    return Address(uri(number, CARRIER), name)


CONNECTED = [
    (answerer("+49170999", "Bob"), "+49170999", '"Bob" <sip:+49170999@192.0.2.5>'),
    (answerer("0170", "Bob"), "0170", '"Bob" <sip:0170@192.0.2.5>'),
    (None, "0170", "<sip:0170@192.0.2.5>"),
    (answerer("bob"), "bob", "<sip:bob@192.0.2.5>"),
    (answerer("bob<x>"), "0170", "<sip:0170@192.0.2.5>"),
    (answerer("9" * 70), "0170", "<sip:0170@192.0.2.5>"),
    (answerer("anonymous"), "0170", "<sip:0170@192.0.2.5>"),
    (answerer("0171", "a\r\nb"), "0171", None),
]


@pytest.mark.parametrize(("who", "number", "told"), CONNECTED)
def test_who_answers_outside_is_shown_as_the_trunk_says(
    who: Address | None, number: str, told: str | None
) -> None:
    story = Story()
    (dial,) = story.call_out("0170")
    told = told and told.replace("192.0.2.5", HOST)
    ids = DialogId(f"id{dial.leg}", "ours", "far")
    (ringing,) = story.give(LegProgress(dial.leg, 180, "", ids, None, who=who))
    assert isinstance(ringing, Progress)
    effects = story.give(LegAnswered(dial.leg, ids, SDP, who=who))
    answer = next(each for each in effects if isinstance(each, Answer))
    for headers in (ringing.headers, answer.headers):
        value = dict(headers)["P-Asserted-Identity"]
        assert value.isprintable()
        assert told in (value, None)
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert dialog.other[0] == number
    (call,) = story.world.core.calls
    assert (call.callee.number, call.branches[dial.leg].party) == (number, call.callee)


def test_a_phone_inside_and_whoever_calls_from_outside_say_nothing_of_that_kind() -> None:
    """Phones are who they are; and nobody outside is told who has answered, inside or at another trunk."""
    story = Story()
    (dial,) = story.call_out("102")
    ids = DialogId(f"id{dial.leg}", "ours", "far")
    story.give(LegAnswered(dial.leg, ids, SDP, who=answerer("0999", "Boss")))
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert dialog.other == ("102", "Name 102")
    story = Story(forwarding(ONE_NUMBER, {"101": ALWAYS}))
    (dial,) = story.call_in(outside())
    story.ring(dial.leg)
    effects = story.give(LegAnswered(dial.leg, ids, SDP, who=answerer("0999", "Boss")))
    assert "0999" not in f"{[each for each in effects if isinstance(each, Answer | Progress)]}"


def test_who_is_there_changes_in_a_call() -> None:
    """As somebody transfers it behind the trunk: the caller is told by UPDATE, or by what it is asked."""
    story = Story()
    asked = invite("101", "0170")
    (accept,) = story.give(asked._replace(allows_update=True))
    assert isinstance(accept, Accept)
    story.caller = accept.leg
    (dial,) = dials(story.give(LegAccepted(accept.leg, "ours")))
    story.ring(dial.leg)
    story.answer(dial.leg)
    (told,) = story.give(LegIdentified(dial.leg, answerer("0171", "Eve")))
    assert told == Identify(accept.leg, (("P-Asserted-Identity", f'"Eve" <sip:0171@{HOST}>'),))
    assert not story.give(LegIdentified(dial.leg, answerer("0171", "Eve"))), "once"
    assert not story.give(LegIdentified(accept.leg, answerer("0666", "Mallory"))), "a phone says nothing"
    (offer,) = story.give(OfferReceived(dial.leg, SDP, who=answerer("0172")))
    assert offer == Offer(accept.leg, SDP, (("P-Asserted-Identity", f"<sip:0172@{HOST}>"),))
    (dialog,) = story.world.core.dialogs.of(Aor("default", "101"))
    assert dialog.other == ("0172", "")
    for number in range(100):
        assert not story.give(LegIdentified(dial.leg, answerer(f"018{number}"))), "the phone is being asked"
    decided = story.give(OfferAnswered(accept.leg, 200, SDP))
    assert [each.headers for each in decided if isinstance(each, Identify)] == [
        (("P-Asserted-Identity", f"<sip:01899@{HOST}>"),)
    ]
    story.give(LegEnded(dial.leg, 200, ""))
    assert not story.give(LegIdentified(dial.leg, answerer("0173")))


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


def test_a_transfer_outside_does_not_say_whose_it_was() -> None:
    story = Story()
    (dial,) = story.call_in(outside())
    story.ring(dial.leg)
    story.answer(dial.leg)
    story.give(ReferReceived(request("REFER", "101", "x"), dial.leg, ReferTo(uri("0170"))))
    (dial,) = dials(story.give(MediaFound(story.caller, SDP)))
    assert "Referred-By" not in dict(dial.headers)


TEL = Uri("tel:+49301234501", "tel", "", "", 0)


@pytest.mark.parametrize("target", [TEL, uri("+49301234501", HOST)])
def test_a_call_to_a_tel_uri_has_a_domain(target: Uri) -> None:
    story = Story()
    (dial,) = story.call_in(outside(to=Address(TEL, "", ""), target=target))
    assert "@>" not in dial.from_.uri + dial.to.uri


OFFER = (
    b"v=0\r\nm=audio 4000 RTP/AVP 0 8 96 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 x=1\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\nm=image 5000 udptl t38\r\n"
)
LESS = (
    b"v=0\r\nm=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
    b"m=image 5000 udptl t38\r\n"
)


def test_codecs_that_a_trunk_does_not_take_are_left_out_both_ways_and_t38_passes() -> None:
    story = Story(site(replace(TRUNK, codecs=("pcma", "telephone-event"))))
    (dial,) = story.call_in(outside()._replace(offer=OFFER))
    assert dial.offer == LESS
    (accept,) = story.give(invite("101", "0170", OFFER))
    assert isinstance(accept, Accept)
    (dial,) = dials(story.give(LegAccepted(accept.leg, "ours")))
    assert dial.offer == LESS
    story = Story(site(replace(TRUNK, codecs=("G729",))))
    (dial,) = story.call_in(outside()._replace(offer=OFFER))
    assert dial.offer == OFFER  # an offer of which nothing is left would end the call


UNSOUND: tuple[dict[str, object], ...] = (
    {"name": "Big"},
    {"name": "a b"},
    {"servers": ()},
    {"servers": ("1.2.3.4:0",)},
    {"servers": ("1.2.3.4:99999",)},
    {"servers": ("[::1",)},
    {"servers": ("no name",)},
    {"servers": ("1.2.3",)},
    {"servers": ("a..b",)},
    {"servers": ("sip:a.b",)},
    {"servers": ("sip:192.0.2.7",)},
    {"servers": ("0.0.0.0",)},
    {"servers": ("[::]:5060",)},
    {"servers": ("224.0.1.75",)},
    {"outbound_proxy": "0.0.0.0"},
    {"did_source": "header:Via"},
    {"did_source": "header:proxy-authorization"},
    {"did_source": "header:Content-Type"},
    {"did_source": "header:from"},
    {"sources": ("10.0.0.0/99",)},
    {"sources": ("10.0.0.0/15",)},
    {"sources": ("203.0.113.0/24", "::/0")},
    {"sources": ("2001:db8::/31",)},
    {"sources": ("::ffff:10.0.0.0/111",)},
    {"dids": ("+49=",)},
    {"dids": ("=101",)},
    {"dids": ("+49.=101",)},
    {"dids": ("+49=999",)},
    {"dids": ("+4930=1xx",)},
    {"dids": ("+49301x=1xx",)},
    {"default": "999"},
    {"caller_ids": ("101",)},
    {"caller_ids": ("1xx=+49301xxxx",)},
    {"dids": ("+4930123=101", "+4930123=102")},
    {"dids": ("+4930123=101", "030123=102")},
    {"caller_ids": ("101=+1", "101=+2")},
    {"servers": (CARRIER, CARRIER)},
    {"caller_id": "me"},
    {"caller_id": "0."},
    {"caller_id": "+4930xx"},
    {"country": "049"},
    {"domain": "a b"},
    {"domain": "::::"},
    {"domain": "::1"},
    {"domain": "["},
    {"domain": ".."},
    {"domain": "192.0.2.7:99999"},
    {"username": 'a"b'},
    {"password": "a\r\nb"},
    {"transport": "sctp"},
    {"max_calls": -1},
)


@pytest.mark.parametrize("said", UNSOUND, ids=str)
def test_what_a_trunk_cannot_be(said: dict[str, object]) -> None:
    wrong = replace(TRUNK, **said)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\w"):
        check(wrong, PEOPLE)
    check(replace(wrong, enabled=False), PEOPLE, before=wrong)  # one that is stored so can be changed
    with pytest.raises(ValueError, match="codec"):
        check(replace(wrong, codecs=("a b",)), PEOPLE, before=wrong)
    check(replace(TRUNK, sources=("10.0.0.0/16", "2001:db8::/32")), PEOPLE)
    for field in ("X-DID", "Diversion", "P-Asserted-Identity", "Route", "History-Info", "Subject"):
        check(replace(TRUNK, did_source=f"header:{field}"), PEOPLE)
    check(replace(TRUNK, dids=("+49301xx=1x",), caller_ids=("1xx=+49301x",), caller_id="+4930*1"), PEOPLE)
    for domain in ("Sip.Example", "sip.example:5070", "192.0.2.7", "[2001:DB8:0::1]:5070"):
        check(replace(TRUNK, domain=domain), PEOPLE)


EMPTY: dict[str, object] = {"pattern": "9", "strip": 1}


@pytest.mark.parametrize(
    "said",
    [
        {"pattern": ""},
        {"pattern": "a."},
        {"trunks": ()},
        {"trunks": ("x",)},
        {"trunks": ("carrier", "carrier")},
        {"strip": 9},
        {"prefix": "x"},
        EMPTY,
    ],
    ids=str,
)
def test_what_a_route_cannot_be(said: dict[str, object]) -> None:
    wrong = replace(ROUTE, **said)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\w"):
        check_route(wrong, {"carrier"})
    check_route(replace(wrong, emergency=True), {"carrier"}, before=wrong)
    check_route(ROUTE, {"carrier"})
    check_route(replace(ROUTE, pattern="9", strip=1, prefix="0301"), {"carrier"})


SHADOWED = {
    "*97.": "*97",
    "*97123": "*97",
    "*98": "*98",
    "*78": "*78",
    "*67.": "*67",
    "*681": "*68",
    "*72.": "*72",
    "*7.": "",
    "*98.": "",
    "*78x": "",
    "0.": "",
    "*.": "",
    "97.": "",
}


@pytest.mark.parametrize(("pattern", "code"), SHADOWED.items())
def test_a_route_that_a_code_takes(pattern: str, code: str) -> None:
    known = site(routes=(OutRoute("default", pattern, ("carrier",)),))
    assert shadowed(pattern, known.tenants["default"]) == code
    said = [fault.what for fault in faults(known, "default")]
    assert (f"route {pattern}: nothing reaches it, as {code} is a code here" in said) is bool(code)


CLASHING = [
    ("1xx", "1xx", True),
    ("1x2", "12x", True),
    ("101", "101", True),
    ("1xx", "12x", False),
    ("1xx", "2xx", False),
    ("1x.", "1x.", True),
    ("1xx.", "1x", False),
    ("*1x", "*x1", True),
    ("*1", "x1", False),
]


@pytest.mark.parametrize(("one", "other", "clashes"), CLASHING)
def test_patterns_of_which_neither_says_more(one: str, other: str, clashes: bool) -> None:
    assert numbers.clash(one, other) is numbers.clash(other, one) is clashes


@given(st.text(), st.text())
def test_whatever_is_called_leads_to_one_answer(user: str, to: str) -> None:
    story = Story()
    found = story.give(outside(target=uri(user), to=Address(uri(to))))
    assert [effect for effect in found if isinstance(effect, Reply | Accept)]


PATTERN = st.from_regex(r"\+?[0-2*]{0,4}[xX0-2]{0,3}\.?", fullmatch=True).filter(numbers.is_pattern)


@given(st.lists(PATTERN, max_size=8, unique=True), st.text("012", max_size=8))
def test_what_a_number_leads_to_is_as_if_each_pattern_were_tried(patterns: list[str], number: str) -> None:
    leads = [(pattern, f"{at}xx") for at, pattern in enumerate(patterns)]
    tried = ((pattern, target, numbers.match(pattern, number)) for pattern, target in leads)
    found = [
        (numbers.weight(left), numbers.filled(right, match.digits)) for left, right, match in tried if match
    ]
    assert numbers.Leads(leads).of(number) == max(found, default=((0, 0), ""))


def test_of_many_numbers_a_call_tries_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each were tried, thousands would keep everybody else waiting at each call."""
    many = tuple(f"+4930{number}=101" for number in range(2000))
    ids = tuple(f"{number}=+4930{number}" for number in range(1000, 3000))
    story = Story(forwarding(replace(TRUNK, dids=many, caller_ids=(*ids, "1xx=+49401xx")), {"101": ALWAYS}))
    tried: list[str] = []

    def match(pattern: str, number: str) -> numbers.Match | None:
        tried.append(pattern)
        return known(pattern, number)

    known = numbers.match
    monkeypatch.setattr(numbers, "match", match)
    (dial,) = story.call_in(outside("0301999"))
    assert name_addr(dial.from_) == f'"Name 101" <sip:+4940101@{CARRIER}>'
    assert 0 < len(tried) < 20


@given(st.text("0123456789x+.", max_size=12), st.text("0123456789+*", max_size=12))
def test_a_pattern_fills_what_it_matches(pattern: str, number: str) -> None:
    match = numbers.match(pattern, number)
    if match:
        filled = numbers.filled(pattern.removesuffix("."), match.digits)
        assert filled.removeprefix("+") + match.rest == number.removeprefix("+")


def test_servers() -> None:
    for text, host, port in (
        ("192.0.2.1", "192.0.2.1", 0),
        ("192.0.2.1:5070", "192.0.2.1", 5070),
        ("[2001:DB8::1]:5070", "2001:db8::1", 5070),
        ("2001:db8::1", "2001:db8::1", 0),
        ("SIP.Carrier.example:5070", "sip.carrier.example", 5070),
    ):
        assert HostPort.parse(text) == (host, port)


@pytest.mark.parametrize(
    ("transport", "number", "rings"), [("udp", "0123", False), ("tls", "0123", True), ("udp", "112", True)]
)
def test_who_calls_outside_by_sips_is_led_there_over_tls(transport: str, number: str, rings: bool) -> None:
    """A call by sips: goes outside over TLS (RFC 5630, section 5.1); an emergency call goes as it can."""
    emergency = OutRoute("default", "112", ("carrier",), emergency=True)
    story = Story(site(replace(TRUNK, transport=transport), routes=(ROUTE, emergency)))
    asked = invite("101", number)
    target = asked.request.target._replace(scheme="sips")
    source = Flow("tls", "198.51.100.7", 40_000)
    asked = asked._replace(request=asked.request._replace(target=target, flow=source))
    if rings:
        assert len(story.call_in(asked)) == 1
    else:
        refused = story.refused(asked)
        assert (refused.status, refused.headers[0][0]) == (480, "Warning")


THEIRS = replace(ACME, dids=("+49301234501=101",))
CLASHES: tuple[tuple[str, dict[str, object], dict[str, object], str], ...] = (
    ("the same number", {}, {}, "+49301234501"),
    ("one that says more", {"dids": ("+4930123451xx=1xx", "+493012345xx=1xx")}, {}, "+493012345xx"),
    ("one that says less", {}, {"dids": ("+49301234xxx=101",)}, "+49301234501"),
    ("as one of the two reads it", {"dids": ("0301234501=101",)}, {}, "0301234501"),
    ("without a country", {"dids": ("0301234501=101",), "country": ""}, {"country": "49"}, "0301234501"),
    ("another number", {}, {"dids": ("+49301234502=101",)}, ""),
    ("another length", {}, {"dids": ("+4930123450=101",)}, ""),
    ("another carrier", {}, {"servers": (BACKUP,)}, ""),
    ("another server of it", {}, {"servers": (BACKUP, CARRIER)}, "+49301234501"),
    ("its proxy", {}, {"servers": (BACKUP,), "outbound_proxy": CARRIER}, "+49301234501"),
    ("a network with it", {}, {"servers": (BACKUP,), "sources": ("203.0.0.0/16",)}, "+49301234501"),
    (
        "the same certificate",
        {"certificate": "A"},
        {"servers": (BACKUP,), "certificate": "a"},
        "+49301234501",
    ),
    ("the same tenant", {}, {"tenant": "default"}, ""),
    ("one that is off", {"enabled": False}, {}, ""),
    ("one registers", {"mode": Mode.REGISTER}, {}, "+49301234501"),
    ("both register", {"mode": Mode.REGISTER}, {"mode": Mode.REGISTER}, ""),
    ("without a token", {"mode": Mode.REGISTER, "line": False}, {"mode": Mode.REGISTER}, "+49301234501"),
    ("registers here", {"mode": Mode.PEER_REGISTERS}, {}, ""),
)


@pytest.mark.parametrize(("what", "mine", "theirs", "number"), CLASHES, ids=[one[0] for one in CLASHES])
def test_no_tenant_takes_anothers_number_at_a_shared_carrier(
    what: str, mine: dict[str, object], theirs: dict[str, object], number: str
) -> None:
    one = replace(TRUNK, dids=("+49301234501=101",))
    found = [*clashes(replace(one, **mine), [replace(THEIRS, **theirs)])]  # type: ignore[arg-type]
    assert found == [number] * bool(number), what


def test_what_is_stored_and_would_be_refused_now_is_a_fault() -> None:
    wide = replace(TRUNK, sources=("0.0.0.0/0",), dids=("+49301234501=101",), did_source="header:Via")
    peer = Trunk("default", "pbx", mode=Mode.PEER_REGISTERS, username="102", password="x")
    routes = (OutRoute("default", "102", ("carrier",)), HELP)
    found = [one.what for one in faults(site(wide, THEIRS, peer, routes=routes), "default")]
    for part in ("too wide", "another tenant", "102 is an extension", "stands in Via", "extension 102 gets"):
        assert any(part in what for what in found), part
    assert len(found) == 5
    assert not list(faults(site(), "acme.example"))


@pytest.mark.parametrize(("servers", "is_here"), [((CARRIER,), True), ((CARRIER, BACKUP), False)])
def test_a_trunk_that_is_this_server_gets_no_calls(servers: tuple[str, ...], is_here: bool) -> None:
    story = Story(site(replace(TRUNK, servers=servers)))
    story.world.core.trunks.leads_here = lambda way: way.host == CARRIER
    dialled = story.call_out("0301234")
    assert [dial.flow.host for dial in dialled] == ([] if is_here else [BACKUP])
    assert ("has this very server as its own: 'blfd trunk set carrier --server'" in story.said()) is is_here
    (row,) = rows_of_trunks(story.world.core, "default", 0.0)
    assert (row["usable"], "is this server itself" in row["state"]) == (not is_here, is_here)


HELP = OutRoute("default", "112", ("carrier",), emergency=True)
ONE = replace(TRUNK, dids=("+49301234501=101",))
DOUBLES: tuple[tuple[tuple[Trunk, ...], tuple[OutRoute, ...], str], ...] = (
    ((replace(ONE, servers=(CARRIER, CARRIER)),), (), f"server has {CARRIER} twice"),
    ((replace(ONE, sources=("192.0.2.0/24", "192.0.2.0/24")),), (), "source has 192.0.2.0/24 twice"),
    ((replace(ONE, dids=("+4930123451=101", "030123451=102")),), (), "did has 4930123451 twice"),
    ((ONE,), (replace(ROUTE, trunks=("carrier", "carrier")),), "trunks has carrier twice"),
    ((ONE,), (replace(ROUTE, pattern="1x2"), replace(ROUTE, pattern="12x")), "neither says more"),
    ((ONE, replace(ONE, name="b", dids=("0301234501=102",))), (), "both have +49301234501"),
    ((ONE, replace(ONE, name="b", sources=("203.0.113.0/24",), servers=("192.0.2.1",))), (), ""),
    ((ONE, replace(ONE, name="b", dids=("0301234501=102",), servers=("192.0.2.1",))), (), ""),
    ((ONE,), (ROUTE, replace(ROUTE, pattern="00.")), ""),
)


@pytest.mark.parametrize(("trunks", "routes", "said"), DOUBLES)
def test_doubles_that_were_stored_are_faults(
    trunks: tuple[Trunk, ...], routes: tuple[OutRoute, ...], said: str
) -> None:
    found = [one.what for one in faults(site(*trunks, routes=(*routes, HELP)), "default")]
    assert (len(found), said in "".join(found)) == (bool(said), True)
