"""Whose an INVITE is: one of the trunks of its address, a phone's, or a stranger's, who is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import HOST, flow, invite, register, reply, request, subscribe, uri
from trunk_site import ACME, BACKUP, CARRIER, ROUTE, TRUNK, Story, outside, site

from blfd.core import hosts
from blfd.core.calls.leg_effects import Accept
from blfd.core.directory import Directory
from blfd.core.effects import Ignore, Reply
from blfd.core.inputs import CertificateShown, FlowClosed
from blfd.core.messages import Credentials
from blfd.core.settings import Settings
from blfd.core.trunk import Trunk
from blfd.core.values import Address, Aor, Flow


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
