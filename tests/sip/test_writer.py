"""Messages that blfd writes: what they copy, where they go, and that no value breaks out of its line."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.effects import Notify
from blfd.core.values import DialogId, Flow, NameAddr, SubscriptionDialog
from blfd.sip import headers
from blfd.sip.grammar import clean
from blfd.sip.message import Malformed, Request, Response
from blfd.sip.reader import read, unread
from blfd.sip.writer import NotifyHead, Writer, notify_head, response_flow

WRITER = Writer("blfd/1.0")
UDP, TCP = Flow("udp", "192.0.2.9", 40001), Flow("tcp", "192.0.2.9", 40001)
REQUEST = (
    'SUBSCRIBE sip:102@h SIP/2.0\r\n{via}From: "A" <sip:101@h>;tag=f\r\nt : <sip:102@h>;x=y\r\n'
    "Call-ID:  c@d\r\nCSeq: 0007   SUBSCRIBE\r\n"
    "Record-Route: <sip:a;lr>, <sip:b;lr>\r\nRecord-Route: <sip:c;lr>\r\n\r\n"
)
VIA = "SIP/2.0/UDP 10.0.0.5:5062;branch=z9hG4bK1"


def request(*vias: str) -> Request:
    message = read(REQUEST.format(via="".join(f"Via: {via}\r\n" for via in vias)).encode())
    assert isinstance(message, Request)
    return message


def lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "surrogateescape").split("\r\n")


# Responses


def test_a_response() -> None:
    more = (("Expires", "60"), ("Contact", "<sip:h>"))
    data = WRITER.response(request(f"{VIA};rport", "SIP/2.0/TCP p;branch=y"), UDP, 200, "", "t1", more)
    assert lines(data) == [
        "SIP/2.0 200 OK",
        f"Via: {VIA};rport=40001;received=192.0.2.9",
        "Via: SIP/2.0/TCP p;branch=y",
        'From: "A" <sip:101@h>;tag=f',
        "To: <sip:102@h>;x=y;tag=t1",
        "Call-ID: c@d",
        "CSeq: 0007   SUBSCRIBE",
        "Server: blfd/1.0",
        "Record-Route: <sip:a;lr>, <sip:b;lr>",
        "Record-Route: <sip:c;lr>",
        "Expires: 60",
        "Contact: <sip:h>",
        "Content-Length: 0",
        "",
        "",
    ]


def test_what_a_response_says() -> None:
    refused = lines(WRITER.response(request(VIA), UDP, 486, "Nobody's here", "t1"))
    assert refused[0] == "SIP/2.0 486 Nobody's here"
    assert not any(line.startswith("Record-Route") for line in refused)
    trying = lines(WRITER.response(request(VIA), UDP, 100, "", "t1"))
    assert trying[0] == "SIP/2.0 100 Trying"
    assert "To: <sip:102@h>;x=y" in trying
    assert lines(WRITER.response(request(VIA), UDP, 499))[0] == "SIP/2.0 499 Refused"
    with_body = WRITER.response(request(VIA), UDP, 200, content_type="application/sdp", body=b"v=0\r\n\xff")
    assert with_body.endswith(b"Content-Type: application/sdp\r\nContent-Length: 6\r\n\r\nv=0\r\n\xff")


def test_a_tag_that_is_there_stays() -> None:
    data = REQUEST.format(via=f"Via: {VIA}\r\n").replace(";x=y", ";tag=old;x=y").encode()
    message = read(data)
    assert isinstance(message, Request)
    assert "To: <sip:102@h>;tag=old;x=y" in lines(WRITER.response(message, UDP, 200, "", "new"))


@pytest.mark.parametrize(
    ("via", "stamped", "port"),
    [
        (f"{VIA};rport", f"{VIA};rport=40001;received=192.0.2.9", 40001),
        (
            "SIP/2.0/UDP 10.0.0.5:5062;rport;branch=z9hG4bK1",  # as PJSIP's phones write it
            f"{VIA};rport=40001;received=192.0.2.9",
            40001,
        ),
        (
            "SIP/2.0/UDP 10.0.0.5:5062;rport;branch=z9hG4bK1;RPORT",
            f"{VIA};rport=40001;received=192.0.2.9",
            40001,
        ),
        (f"{VIA};rport;x=y", f"{VIA};x=y;rport=40001;received=192.0.2.9", 40001),
        (f"{VIA};rport=9;received=1.2.3.4", f"{VIA};rport=40001;received=192.0.2.9", 40001),
        (
            f'{VIA} ; RPort = 9 ; x=";rport;received"',
            f'{VIA}; x=";rport;received";rport=40001;received=192.0.2.9',
            40001,
        ),
        (VIA, f"{VIA};rport=40001;received=192.0.2.9", 40001),  # another host: the phone is behind a NAT
        (
            "SIP/2.0/UDP 192.0.2.9:5062;branch=x",
            "SIP/2.0/UDP 192.0.2.9:5062;branch=x;received=192.0.2.9",
            5062,
        ),
        ("SIP/2.0/UDP 192.0.2.9", "SIP/2.0/UDP 192.0.2.9;received=192.0.2.9", 5060),
        (
            "SIP/2.0/UDP 192.0.2.9;maddr=10.0.0.1",
            "SIP/2.0/UDP 192.0.2.9;maddr=10.0.0.1;received=192.0.2.9",
            5060,
        ),
        ("SIP/2.0/UDP 192.0.2.9 (c;rport)", "SIP/2.0/UDP 192.0.2.9;received=192.0.2.9 (c;rport)", 5060),
        (
            f"{VIA};rport, SIP/2.0/UDP b;rport",
            f"{VIA};rport=40001;received=192.0.2.9, SIP/2.0/UDP b;rport",
            40001,
        ),
    ],
)
def test_where_a_response_goes(via: str, stamped: str, port: int) -> None:
    message = request(via)
    answer = WRITER.response(message, UDP, 200)
    assert lines(answer)[1] == f"Via: {stamped}"
    assert response_flow(message.via, UDP) == UDP._replace(port=port)
    assert response_flow(message.via, TCP) == TCP
    again = read(answer)
    assert (again.via.branch, again.via.received) == (message.via.branch, "192.0.2.9")
    assert again.via.rport == (40001 if port == 40001 else None)


def test_what_is_malformed_is_answered_with_what_can_be_copied() -> None:
    with pytest.raises(Malformed) as bad:
        read(REQUEST.format(via=f"Via: {VIA};rport\r\n").replace("CSeq: 0007", "CSeq: x").encode())
    data = WRITER.response_malformed(bad.value, UDP)
    assert data
    assert lines(data) == [
        "SIP/2.0 400 Bad Request: bad CSeq",
        f"Via: {VIA};rport=40001;received=192.0.2.9",
        'From: "A" <sip:101@h>;tag=f',
        "To: <sip:102@h>;x=y;tag=unread",
        "Call-ID: c@d",
        "CSeq: x   SUBSCRIBE",
        "Server: blfd/1.0",
        "Content-Length: 0",
        "",
        "",
    ]
    assert WRITER.response_malformed(Malformed("no", 400, None), UDP) is None


def test_what_is_too_much_is_sent_away_unread() -> None:
    found = unread(b"SUBSCRIBE x SIP/2.0\nVia: not a via\x00\nto: <sip:x>;Tag=1\n")
    assert found
    data = WRITER.response_unread(found, UDP, 503, "Too Busy", (("Retry-After", "9"),))
    assert lines(data) == [
        "SIP/2.0 503 Too Busy",
        "Via: not a via\ufffd",
        "To: <sip:x>;Tag=1",
        "Server: blfd/1.0",
        "Retry-After: 9",
        "Content-Length: 0",
        "",
        "",
    ]
    assert response_flow(found.via, UDP) == UDP


# Requests

DIALOG = SubscriptionDialog(
    DialogId("c@d", "lt", "rt"),
    NameAddr("sip:102@h"),
    NameAddr("sip:101@h", 'A "B"'),
    "sip:101@10.0.0.5;ob",
    (),
    "dialog;id=7",
)


def head(dialog: SubscriptionDialog) -> NotifyHead:
    return notify_head(dialog, "SIP/2.0/UDP h", "<sip:h>")


def notify(dialog: SubscriptionDialog = DIALOG, expires: int | None = 60, reason: str = "") -> list[str]:
    effect = Notify("k", UDP, dialog, 5, expires, reason, "application/x", b"<x/>")
    return lines(WRITER.notify(effect, head(dialog), "z9hG4bKn1"))


def test_a_notify() -> None:
    assert notify() == [
        "NOTIFY sip:101@10.0.0.5;ob SIP/2.0",
        "Via: SIP/2.0/UDP h;rport;branch=z9hG4bKn1",
        "Max-Forwards: 70",
        "From: <sip:102@h>;tag=lt",
        'To: "A \\"B\\"" <sip:101@h>;tag=rt',
        "Call-ID: c@d",
        "CSeq: 5 NOTIFY",
        "Contact: <sip:h>",
        "Event: dialog;id=7",
        "Subscription-State: active;expires=60",
        "Content-Type: application/x",
        "User-Agent: blfd/1.0",
        "Content-Length: 4",
        "",
        "<x/>",
    ]
    assert "Subscription-State: terminated;reason=timeout" in notify(expires=None, reason="timeout")
    outside = notify(DIALOG._replace(id=DialogId("c", "lt", "")), None)
    assert 'To: "A \\"B\\"" <sip:101@h>' in outside
    assert "Subscription-State: terminated" in outside


@pytest.mark.parametrize(
    ("route_set", "uri", "routes"),
    [
        (("<sip:p1;lr>", "<sip:p2;x=y;lr;z>"), "sip:101@10.0.0.5;ob", ["<sip:p1;lr>", "<sip:p2;x=y;lr;z>"]),
        (("<sip:p1;lr>, <sip:p2;lr>",), "sip:101@10.0.0.5;ob", ["<sip:p1;lr>, <sip:p2;lr>"]),
        (("<sip:old;x>", "<sip:p2;lr>"), "sip:old;x", ["<sip:p2;lr>", "<sip:101@10.0.0.5;ob>"]),
        (("sip:old,<sip:p2>",), "sip:old", ["<sip:p2>", "<sip:101@10.0.0.5;ob>"]),
        (("\r\nnonsense",), "sip:101@10.0.0.5;ob", ["\ufffd\ufffdnonsense"]),
    ],
)
def test_the_route(route_set: tuple[str, ...], uri: str, routes: list[str]) -> None:
    found = notify(DIALOG._replace(route_set=route_set))
    assert found[0] == f"NOTIFY {uri} SIP/2.0"
    assert [line.partition(": ")[2] for line in found if line.startswith("Route: ")] == routes


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("sip:101@h;x?Replaces=a", "sip:101@h;x"),
        ("sip:10?1@h", "sip:10?1@h"),
        ("sip:1 2@h\r\nX: y", "sip:1%202@h%0D%0AX:%20y"),
        ('sip:<>"é\udcff', "sip:%3C%3E%22%C3%A9%ED%B3%BF"),
        ("tel:+49?x", "tel:+49?x"),
    ],
)
def test_a_contact_becomes_a_request_uri(target: str, uri: str) -> None:
    assert notify(DIALOG._replace(target=target))[0] == f"NOTIFY {uri} SIP/2.0"


# No value breaks out of its line, whatever it is


ANY_TEXT = st.text(st.integers(0, 0x10FFFF).map(chr) | st.sampled_from('\r\n\t\0\x7f"\\<>;, :'), max_size=40)
SOME_TEXT = ANY_TEXT.filter(lambda text: clean(text).strip(" ").isprintable() and clean(text).strip(" "))
USERS = ANY_TEXT.filter(bool).map(
    lambda text: text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
)


def assert_sound(data: bytes, body: bytes) -> None:
    """Assert that this is one message, whose header has no control characters but line ends."""
    head, _, rest = data.partition(b"\r\n\r\n")
    assert rest == body
    assert not re.search(rb"[\x00-\x1f\x7f]", head.replace(b"\r\n", b""))
    assert not re.search(rb"\r\n[ \t]|\r\n\r\n", head)


def said(value: str) -> str:
    """A value as whoever reads the message has it."""
    written = clean(value).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return written.strip(" ")


@given(ANY_TEXT, st.lists(ANY_TEXT, max_size=3), st.binary(max_size=20))
def test_a_response_of_anything(reason: str, more: list[str], body: bytes) -> None:
    given_headers = tuple(("Warning", value) for value in more)
    data = WRITER.response(request(f"{VIA};rport"), UDP, 404, reason, "t", given_headers, body=body)
    assert_sound(data, body)
    message = read(data)
    assert isinstance(message, Response)
    assert (message.status, message.to.tag, message.body) == (404, "t", body)
    assert [*message.fields.get("warning", ())] == [said(value) for value in more]
    assert len(message.reason) <= 160


@given(USERS, ANY_TEXT, SOME_TEXT, ANY_TEXT, st.binary(max_size=20))
def test_a_notify_of_anything(user: str, display: str, call_id: str, event: str, body: bytes) -> None:
    escaped = quote(user.encode("utf-8", "surrogateescape"), safe="-_.!~*'()&=+$,;?/")
    uri = f"sip:{escaped}@h"
    dialog = SubscriptionDialog(
        DialogId(call_id, "lt", "rt"),
        NameAddr(uri, display),
        NameAddr(uri, display),
        uri,
        (f"<{uri};lr>",),
        event,
    )
    data = WRITER.notify(Notify("k", UDP, dialog, 1, 60, "", "a/b", body), head(dialog), "z9hG4bKn1")
    assert_sound(data, body)
    message = read(data)
    assert isinstance(message, Request)
    assert (message.target.user, message.to.uri.user, message.from_.uri.user) == (user, user, user)
    shown = clean(display).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    assert (message.from_.display, message.to.display) == (shown, shown)
    assert (message.call_id, message.field("event")) == (said(call_id), said(event))
    assert message.routes("route") == (f"<{uri};lr>",)
    assert message.body == body


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, st.lists(ANY_TEXT, max_size=2), ANY_TEXT)
def test_a_notify_of_what_is_no_uri(
    target: str, local: str, remote: str, routes: list[str], reason: str
) -> None:
    dialog = SubscriptionDialog(
        DialogId("c", "l", "r"), NameAddr(local), NameAddr(remote), target, tuple(routes), "e"
    )
    data = WRITER.notify(Notify("k", UDP, dialog, 1, None, reason, "", b""), head(dialog), "z9hG4bKn1")
    assert_sound(data, b"")
    assert data.partition(b"\r\n")[0].count(b" ") == 2


@given(
    ANY_TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")), st.sampled_from(["v", "Via", "To", "i"])
)
def test_a_refusal_of_anything(value: bytes, name: str) -> None:
    found = unread(b"INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n%b: %b\r\n\r\n" % (name.encode(), value))
    assert found
    assert_sound(WRITER.response_unread(found, UDP, 400), b"")


@given(st.text(max_size=30))
def test_quoting(display: str) -> None:
    written = headers.name_addr(NameAddr("sip:101@h", display), "t")
    address = headers.address(written)
    assert (address.display, address.uri.text, address.tag) == (clean(display), "sip:101@h", "t")
