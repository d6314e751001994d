"""What of a trunk, a route and a number pattern is refused, and what is stored of them and cannot work."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trunk_site import ACME, ALWAYS, BACKUP, CARRIER, PEOPLE, ROUTE, TRUNK, Story, forwarding, outside, site

from blfd.core.quoting import name_addr
from blfd.core.trunk import Mode, OutRoute, Trunk, check, check_route
from blfd.core.trunks import numbers
from blfd.core.trunks.faults import clashes, faults, shadowed
from blfd.core.trunks.remote import HostPort

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
