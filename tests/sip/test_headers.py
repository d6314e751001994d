"""The values of header fields, as phones write them, and as nobody should write them."""

from __future__ import annotations

import pytest

from blfd.core.messages import Credentials, RegisterContact
from blfd.core.values import Address, NameAddr, Uri
from blfd.sip import headers, uris
from blfd.sip.grammar import (
    BadHeader,
    elements,
    number,
    quote,
    seconds,
    unquote,
    whole_number,
    with_parameters,
)
from blfd.sip.headers import STAR
from blfd.sip.via import Via, via_parms

# URIs


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:102@example.com", ("sip", "102", "example.com", 0)),
        ("SIP:102@Example.COM:5070", ("sip", "102", "example.com", 5070)),
        ("sips:102@example.com", ("sips", "102", "example.com", 0)),
        ("sip:example.com", ("sip", "", "example.com", 0)),
        ("sip:al%69ce:secret@example.com", ("sip", "alice", "example.com", 0)),
        ("sip:%31%30%32@h", ("sip", "102", "h", 0)),
        ("sip:9%0d%0aX@h", ("sip", "9\r\nX", "h", 0)),
        ("sip:%ff%C3%BC@h", ("sip", "\udcffü", "h", 0)),
        ("sip:100%@h", ("sip", "100%", "h", 0)),
        ("sip:*97102@h", ("sip", "*97102", "h", 0)),
        ("sip:+49(30)1234@h", ("sip", "+49(30)1234", "h", 0)),
        ("sip:a;x=y?z@h", ("sip", "a;x=y?z", "h", 0)),
        ("sip:102@[2001:DB8::1]:5060", ("sip", "102", "2001:db8::1", 5060)),
        ("sip:[::1]", ("sip", "", "::1", 0)),
        ("sip:102@my_host.local", ("sip", "102", "my_host.local", 0)),
        ("tel:+4930123;phone-context=x", ("tel", "", "", 0)),
        ("nobodyKnowsThisScheme:totally/opaque", ("nobodyknowsthisscheme", "", "", 0)),
    ],
)
def test_a_uri(text: str, uri: tuple[str, str, str, int]) -> None:
    assert uris.uri(text)[:5] == (text, *uri)


def test_what_follows_the_host() -> None:
    uri = uris.uri("sip:102@h;Transport=TCP;lr;x=a%20b?Replaces=c%40h%3Bto-tag%3D1&Subject=")
    assert uri.parameters == (("transport", "TCP"), ("lr", ""), ("x", "a%20b"))
    assert uri.parameter("transport") == "TCP"
    assert uri.parameter("lr") == ""
    assert uri.parameter("ob") is None
    assert uris.headers(uri) == (("replaces", "c@h;to-tag=1"), ("subject", ""))
    assert uris.uri("sip:102@[::1]:5062").domain == "[::1]:5062"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip:@h",
        "sip:102@",
        "sip:102@h:",
        "sip:102@h:65536",
        "sip:102@h:123456",
        "sip:102@h;",
        "sip:102@h;;lr",
        "sip:102@h; lr",
        "sip:1 2@h",
        "sip:a@b@c",
        "sip:ü@h",
        "sip:102@hö",
        "sip:102@[::1",
        "sip:102@[]",
        'sip:"102"@h',
        "sip:<102@h>",
        "102@h",
        "ht!tp://",
        "1tel:5",
        "tel:",
        "tel:a b",
    ],
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(BadHeader):
        uris.uri(text)


# Via


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1;rport", ("UDP", "10.0.0.5", 5060, "z9hG4bK1", 0)),
        ("SIP/2.0/UDP h;rport;branch=x;rport=7", ("UDP", "h", 0, "x", 0)),
        ("SIP/2.0/TCP h;rport=5;branch=x;received=1.2.3.4", ("TCP", "h", 0, "x", 5, "1.2.3.4")),
        ("SIP/2.0/TLS H.example;alias", ("TLS", "h.example", 0, "", None)),
        ("SIP / 2.0 / udp  h : 5062 ; branch = x", ("UDP", "h", 5062, "x", None)),
        (
            "SIP/2.0/UDP [2001:db8::9]:5060;received=2001:db8::1;rport=",
            ("UDP", "2001:db8::9", 5060, "", 0, "2001:db8::1"),
        ),
        (
            'SIP/2.0/UDP h;maddr=224.0.1.75;ttl=16;branch=x;y="a,b;c" (odd \\) comment)',
            ("UDP", "h", 0, "x", None, "", "224.0.1.75", 16),
        ),
    ],
)
def test_a_via(text: str, via: tuple[object, ...]) -> None:
    (found,) = via_parms(text)
    assert found[: len(via)] == via
    assert found.text == text


def test_several_vias_in_a_line() -> None:
    first, second = via_parms('SIP/2.0/UDP a;branch=x;y="p,q" ,SIP/2.0/TCP b;branch=y')
    assert first.text == 'SIP/2.0/UDP a;branch=x;y="p,q"'
    assert second == Via("TCP", "b", 0, "y", None, "", "", None, "SIP/2.0/TCP b;branch=y")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ;branch=x",
        "SIP/3.0/UDP h",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP h:;branch=x",
        "SIP/2.0/UDP h;branch=x;;",
        "SIP/2.0/UDP h;branch=x;;,;,,",
        "SIP/2.0/UDP h;branch=x;branch=y",
        "SIP/2.0/UDP h;rport=x",
        "SIP/2.0/UDP h;rport=65536",
        "SIP/2.0/UDP h;ttl=256",
        "SIP/2.0/UDP h;branch=x y",
        'SIP/2.0/UDP h;branch="x"',
        'SIP/2.0/UDP h;x="y',
        "SIP/2.0/UDP h,",
        "SIP/2.0/UDP h i",
    ],
)
def test_what_is_no_via(text: str) -> None:
    with pytest.raises(BadHeader):
        via_parms(text)


# Name-addrs


@pytest.mark.parametrize(
    ("text", "display", "uri", "tag"),
    [
        ("<sip:101@h>;tag=1", "", "sip:101@h", "1"),
        ("<sip:101@h>", "", "sip:101@h", ""),
        ('"Alice Ng" <sip:101@h>;tag=1', "Alice Ng", "sip:101@h", "1"),
        ('"Alice"<sip:101@h>', "Alice", "sip:101@h", ""),
        ("Alice Ng <sip:101@h>;tag=1", "Alice Ng", "sip:101@h", "1"),
        ("caller<sip:101@h>", "caller", "sip:101@h", ""),
        ("Zoë <sip:101@h>", "Zoë", "sip:101@h", ""),
        ("Bell, Alexander <sip:101@h>", "Bell, Alexander", "sip:101@h", ""),
        ("O'Brien (Sales); x <sip:101@h>", "O'Brien (Sales); x", "sip:101@h", ""),
        ('"J \\"R\\\\\\" <sip:x>;tag=2" <sip:101@h>;tag=1', 'J "R\\" <sip:x>;tag=2', "sip:101@h", "1"),
        ('"a>;tag=b" <sip:101@h>;tag=1', "a>;tag=b", "sip:101@h", "1"),
        ('"" <sip:101@h>', "", "sip:101@h", ""),
        ('"Watson, Thomas" < sip:102@h >', "Watson, Thomas", "sip:102@h", ""),
        ("sip:101@h;tag=1", "", "sip:101@h", "1"),
        ("sip:101@h ; x = y ; TAG = 1", "", "sip:101@h", "1"),
        ('<sip:101@h;user=phone>;x;y="a;b";tag=1', "", "sip:101@h;user=phone", "1"),
        ("<tel:+49301>;tag=1", "", "tel:+49301", "1"),
    ],
)
def test_an_address(text: str, display: str, uri: str, tag: str) -> None:
    assert headers.address(text) == Address(uris.uri(uri), display, tag)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<>",
        "<<>>",
        "<sip:101@h",
        "sip:101@h>",
        '"Bob <sip:101@h>',
        '"Bob" sip:101@h',
        "Bob sip:101@h",
        "<sip:101@h> x",
        "<sip:101@h>;;tag=1",
        "<sip:101@h>;tag=1;tag=2",
        '<sip:101@h>;tag="1"',
        "<sip:101@h>;tag=a b",
        "<sip:101@h>;tag",
        "<sip:101@h>;tag=",
        "<sip:101@h>, <sip:102@h>",
        "sip:101@h?x=y",
        "a:b <sip:101@h>",
        "*",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadHeader):
        headers.address(text)


def test_contacts() -> None:
    first, second = headers.contacts(
        '"a, b" <sip:101@1.2.3.4;ob>;q=0.5;expires=60 , sip:102@h;+sip.instance="<x>"'
    )
    assert headers.register_contact(first) == RegisterContact("sip:101@1.2.3.4;ob", 0.5, 60)
    assert headers.register_contact(second) == RegisterContact("sip:102@h", 1.0, None, "<x>")
    assert unquote(second.parameters["+sip.instance"]) == "<x>"
    assert first.text == '"a, b" <sip:101@1.2.3.4;ob>;q=0.5;expires=60'
    assert headers.contacts("*")[0].uri is STAR


@pytest.mark.parametrize(
    ("parameters", "q", "expires"),
    [
        (";q=1", 1.0, None),
        (";q=0", 0.0, None),
        (";q=0.333", 0.333, None),
        (";q=.5;expires=0", 0.5, 0),
        (";expires=", 1.0, None),
        (";expires=soon", 1.0, 3600),
        (";expires=280297596632815", 1.0, 2**32 - 1),
    ],
)
def test_the_parameters_of_a_contact(parameters: str, q: float, expires: int | None) -> None:
    (contact,) = headers.contacts(f"<sip:101@h>{parameters}")
    assert headers.register_contact(contact) == RegisterContact("sip:101@h", q, expires)


@pytest.mark.parametrize(
    "text",
    ["", "<<>", "<sip:a@h>;q=2", "<sip:a@h>;q=x", "<sip:a@h>,", "*, <sip:a@h>", "sip:a@h?x=y", "<sip:a@h>;;"],
)
def test_what_is_no_contact(text: str) -> None:
    with pytest.raises(BadHeader):
        headers.contacts(text)


def test_routes() -> None:
    first, second = headers.name_addrs("<sip:p1.example.com;lr>,<sip:p2.example.com;lr>;x=y")
    assert (first.text, second.text) == ("<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>;x=y")


@pytest.mark.parametrize(
    ("display", "written"),
    [("", ""), ("Alice", '"Alice" '), ('a"b\\c', '"a\\"b\\\\c" '), ("x\r\nVia: y", '"x\ufffd\ufffdVia: y" ')],
)
def test_an_address_is_written(display: str, written: str) -> None:
    assert headers.name_addr(NameAddr("sip:101@h", display), "1") == f"{written}<sip:101@h>;tag=1"


# Numbers, lists, quoted strings


def test_numbers() -> None:
    assert [number(text) for text in ("70", "0068", "90;x", "", "x", "-1", "²")] == [
        70,
        68,
        90,
        None,
        None,
        None,
        None,
    ]
    assert number("9" * 10_000) == number("0" * 10_000 + "9" * 11) == 2**32 - 1
    assert number("0" * 10_000 + "7") == 7
    assert (whole_number("255", 255), whole_number("0" * 5000, 255)) == (0xFF, 0)
    assert (seconds("60"), seconds("9" * 5000)) == (60, 2**32 - 1)
    for text in ("256", "", "-1", "+1", "1 ", "1_0", "٣", "9" * 5000):
        with pytest.raises(BadHeader):
            whole_number(text, 255)
    for text in ("", "x", "60;y", "²"):
        with pytest.raises(BadHeader):
            seconds(text)


def test_lists() -> None:
    assert list(elements("a, b ,,c,")) == ["a", "b", "c"]
    assert list(elements('a="1,2\\",3", b')) == ['a="1,2\\",3"', "b"]
    assert list(elements("")) == []
    with pytest.raises(BadHeader):
        list(elements('a, "b'))


def test_values_with_parameters() -> None:
    assert with_parameters("dialog") == ("dialog", {})
    assert with_parameters("dialog ; Id = 7;sla") == ("dialog", {"id": "7", "sla": ""})
    assert with_parameters("dialog;;id=7") == ("dialog", {})
    assert with_parameters("dialog;id=7;id=8") == ("dialog", {})


def test_quoted_strings() -> None:
    assert quote('a"b\\c') == '"a\\"b\\\\c"'
    assert unquote('"a\\"b\\\\c\\d"') == 'a"b\\cd'
    assert unquote("token") == "token"


def test_media_types() -> None:
    assert headers.media_type("Application/SDP") == ("application/sdp", {})
    assert headers.media_type('multipart/mixed; Boundary="a b"') == ("multipart/mixed", {"boundary": '"a b"'})
    for text in ("", "application", "application/", "a/b c", "a/b;;"):
        with pytest.raises(BadHeader):
            headers.media_type(text)


def test_cseq() -> None:
    assert headers.cseq("0009   INVITE") == (9, "INVITE")
    assert headers.cseq("2147483647 ACK") == (2**31 - 1, "ACK")
    for text in (
        "",
        "1",
        "1INVITE",
        "INVITE",
        "one INVITE",
        "-1 INVITE",
        "2147483648 INVITE",
        "1 IN VITE",
        "1 IN@",
    ):
        with pytest.raises(BadHeader):
            headers.cseq(text)


# Digest

DIGEST = 'Digest username="101", realm="blfd", nonce="n", uri="sip:h", response="ab"'


@pytest.mark.parametrize(
    ("text", "credentials"),
    [
        (DIGEST, Credentials("101", "blfd", "n", "sip:h", "ab")),
        (
            f'{DIGEST}, algorithm=SHA-256, cnonce="c", qop=auth, nc=00000001, opaque=""',
            Credentials("101", "blfd", "n", "sip:h", "ab", "SHA-256", "c", "auth", "00000001"),
        ),
        (
            'digest  USERNAME = "1\\"01" ,realm="a, b" , ,nonce=x,uri=sip:a@h,response="",algorithm="MD5"',
            Credentials('1"01', "a, b", "x", "sip:a@h", "", "MD5"),
        ),
    ],
)
def test_credentials(text: str, credentials: Credentials) -> None:
    assert headers.credentials(text) == credentials


def test_credentials_of_other_schemes() -> None:
    assert headers.credentials("Basic eDp5") is None
    assert headers.credentials("NoOneKnowsThisScheme opaque-data=here") is None


@pytest.mark.parametrize(
    "more", [', realm="x"', ', x="', ", x", ", =y", ', x="a"b', ", x=a b", ", x=ä", ", nc=٣"]
)
def test_what_are_no_credentials(more: str) -> None:
    with pytest.raises(BadHeader):
        headers.credentials(DIGEST + more)


def test_what_is_remembered_is_short() -> None:
    """An attacker who sends long values, all different, fills no memory."""
    for number_ in range(3):
        long = f"sip:{number_}{'x' * uris.LONGEST_KEPT}@h"
        before = uris._kept.cache_info().currsize, headers._kept_address.cache_info().currsize
        headers.address(f"<{long}>;tag=1")
        headers.contacts(f"<{long}>")
        via_parms(f"SIP/2.0/UDP {'h' * uris.LONGEST_KEPT};branch=x")
        assert (uris._kept.cache_info().currsize, headers._kept_address.cache_info().currsize) == before


def test_uri_values() -> None:
    assert uris.uri("sip:102@h") == Uri("sip:102@h", "sip", "102", "h", 0)
