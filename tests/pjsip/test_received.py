"""What PJSIP is given of a message: of parts the SDP or nothing, of fields what it can read."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest
from pjsip_parser import parse_all

from blfd.core.values import Flow
from blfd.pjsip.received import octets_of
from blfd.sip.bodies import readable_session_description
from blfd.sip.message import Request, Response
from blfd.sip.reader import read

SDP, OTHER = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n"
    % port
    for port in (4000, 4002)
)
TYPE = b"Content-Type: application/sdp\r\n"
NOTE = b"Content-Type: text/plain\r\n\r\nhello"
MIXED = "multipart/mixed;boundary=b"


def wrapped(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return (
        b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    )


NESTED = b"Content-Type: multipart/alternative;boundary=in\r\n\r\n" + wrapped(
    TYPE + b"\r\n" + SDP, boundary=b"in"
)
BODIES = {
    "one": (MIXED, wrapped(NOTE, TYPE + b"\r\n" + SDP), SDP),
    "two": (MIXED, wrapped(TYPE + b"\r\n" + SDP, TYPE + b"\r\n" + OTHER), SDP),
    "two to choose from": (
        "multipart/alternative;boundary=b",
        wrapped(TYPE + b"\r\n" + OTHER, TYPE + b"\r\n" + SDP),
        SDP,
    ),
    "nested": (MIXED, wrapped(NOTE, NESTED), SDP),
    "without": (MIXED, wrapped(NOTE), b""),
    "another boundary": ("multipart/mixed;boundary=a", wrapped(TYPE + b"\r\n" + SDP), b""),
    "no boundary": ("multipart/mixed", wrapped(TYPE + b"\r\n" + SDP), b""),
    "another that is optional": (
        MIXED,
        wrapped(b"Content-Disposition: x;handling=optional\r\n" + NOTE, TYPE + b"\r\n" + SDP),
        SDP,
    ),
    "another that is required": (
        MIXED,
        wrapped(b"Content-Disposition: x;handling=required\r\n" + NOTE, TYPE + b"\r\n" + SDP),
        b"",
    ),
    "no SDP": ("text/plain", b"hello", b""),
}
STARTS = [f"{method} sip:102@192.0.2.5 SIP/2.0" for method in ("INVITE", "ACK", "PRACK", "UPDATE")]
STARTS += ["SIP/2.0 183 Session Progress", "SIP/2.0 200 OK"]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("body", BODIES)
def test_bodies_in_parts(start: str, body: str) -> None:
    kind, content, expected = BODIES[body]
    method = "INVITE" if start.startswith("SIP/2.0") else start.split()[0]
    head = (
        f"{start}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone\r\nFrom: <sip:101@192.0.2.5>;tag=f\r\n"
        f"To: <sip:102@192.0.2.5>;tag=t\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContact: <sip:101@192.0.2.1>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    message = read(head.encode() + content)
    assert isinstance(message, Request | Response)
    flow = Flow("udp", "192.0.2.1", 5060)
    given = octets_of(message, flow, readable_session_description(message), (), "z9hG4bKtwo")
    lines, _, rest = given.partition(b"\r\n\r\n")
    assert rest == expected
    assert lines.count(b"Content-") == 1 + bool(expected)
    assert b"multipart" not in given
    assert (b"branch=z9hG4bKtwo" in lines) == start.startswith("SIP/2.0"), "as PJSIP has made it"


@pytest.fixture(scope="module")
def pjsip() -> Iterator[ProcessPoolExecutor]:
    """A process of its own for PJSIP's parser."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


LONG = ", ".join(f"X{number}" for number in range(50))


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("Session-Expires: 1800", "Session-Expires: 1800"),
        ("Session-Expires: 1800;x=1 ; Refresher = UAS", "Session-Expires: 1800;refresher=UAS"),
        ("Session-Expires: 1800;refresher=me", "Session-Expires: 1800"),
        ("x: 600", "Session-Expires: 600"),
        ("x: abc", ""),
        ("Session-Expires: -1", ""),
        ("Session-Expires:", ""),
        ("Session-Expires: 99999999999", ""),
        ("Min-SE: 90;lr", "Min-SE: 90"),
        ("Min-SE: abc", ""),
        ("Min-SE: 99999999999", ""),
        ("RSeq: 7", "RSeq: 7"),
        ("RSeq: abc", ""),
        ("RAck: 7 1 INVITE", "RAck: 7 1 INVITE"),
        ("RAck: x", ""),
        ("Contact: <sip:a@192.0.2.1;ob>;x=[a];expires=60", "Contact: <sip:a@192.0.2.1;ob>"),
        ("m: sip:a@192.0.2.1;x=[a]", "Contact: <sip:a@192.0.2.1>"),
        ("Supported: timer,, 100rel,", "Supported: timer, 100rel"),
        ("Supported: ,,", ""),
        ("Supported:", ""),
        ("Require: timer", "Require: timer"),
        ("Contact: <sip:a@192.0.2.1;ttl=999;ob>", "Contact: <sip:a@192.0.2.1;ob>"),
        ("Contact: <sip:a@192.0.2.1;TTL;ob>", "Contact: <sip:a@192.0.2.1;ob>"),
        ("Contact: <sip:a@192.0.2.1;ttl=255>", "Contact: <sip:a@192.0.2.1;ttl=255>"),
        ("Contact: <sip:a@192.0.2.1?Route=%3Csip:b%3E>", "Contact: <sip:a@192.0.2.1>"),
        ("Record-Route: <sip:b;lr>;x=[a], sip:c;y=a/b", "Record-Route: <sip:b;lr>\r\nRecord-Route: sip:c"),
        ("Record-Route: <sip:b;lr>;x=a;y", "Record-Route: <sip:b;lr>;x=a;y"),
        ("Allow: ,", ""),
        ("Allow: INVITE BYE, ACK", "Allow: ACK"),
        (f"Allow: {LONG}", f"Allow: {LONG[: LONG.index(', X32')]}"),
    ],
)
@pytest.mark.parametrize("start", ["INVITE sip:102@192.0.2.5 SIP/2.0", "SIP/2.0 200 OK"])
def test_fields_that_nothing_depends_on(
    start: str, field: str, given: str, pjsip: ProcessPoolExecutor
) -> None:
    """What PJSIP cannot read has it refuse the whole message: no BYE would end a call, no 200 answer it."""
    head = (
        f"{start}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone\r\nFrom: <sip:101@192.0.2.5>;tag=f\r\n"
        "To: <sip:102@192.0.2.5>;tag=t\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
        f"{field}\r\nContent-Length: 0\r\n\r\n"
    )
    message = read(head.encode())
    assert isinstance(message, Request | Response)
    octets = octets_of(message, Flow("udp", "192.0.2.1", 5060), None, (), "z9hG4bKtwo")
    found = [line for line in octets.decode().split("\r\n")[6:] if line and line != "Content-Length: 0"]
    assert found == given.split("\r\n") * bool(given)
    assert "bad" not in pjsip.submit(parse_all, [octets]).result(60)[0]


ADDRESSES = [
    ("<sip:101@h>;tag=1;x=[a]", "<sip:101@h>;tag=1"),
    ("<sip:101@h>;x=a/b;tag=1", "<sip:101@h>;tag=1"),
    ('"A;x=[a]" <sip:101@h>;tag=1', '"A;x=[a]" <sip:101@h>;tag=1'),
    ('<sip:101@h>;x="a;y=[b]" ; tag = 1', '<sip:101@h>;x="a;y=[b]" ; tag = 1'),
    ("sip:101@h;x=[a];tag=1", "sip:101@h;tag=1"),
    ("<sip:101@h;ttl=x;user=phone>;tag=1", "<sip:101@h;user=phone>;tag=1"),
    ("<sip:a;ttl=x@h>;tag=1", "<sip:a;ttl=x@h>;tag=1"),
    ("Bell, Alexander <sip:101@h>;tag=1", "Bell, Alexander <sip:101@h>;tag=1"),
]


@pytest.mark.parametrize(("written", "given"), ADDRESSES)
@pytest.mark.parametrize("name", ["From", "To"])
@pytest.mark.parametrize("start", ["BYE sip:102@192.0.2.5 SIP/2.0", "SIP/2.0 200 OK"])
def test_from_and_to(start: str, name: str, written: str, given: str, pjsip: ProcessPoolExecutor) -> None:
    """They come back in responses as they were sent, but for what PJSIP cannot read of them."""
    ends = {"From": "<sip:102@h>;tag=2", "To": "<sip:102@h>;tag=2", name: written}
    head = (
        f"{start}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone\r\nFrom: {ends['From']}\r\n"
        f"To: {ends['To']}\r\nCall-ID: c\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n"
    )
    message = read(head.encode())
    assert isinstance(message, Request | Response)
    octets = octets_of(message, Flow("udp", "192.0.2.1", 5060), None, (), "z9hG4bKtwo")
    assert f"\r\n{name}: {given}\r\n".encode() in octets
    found = pjsip.submit(parse_all, [octets]).result(60)[0]
    assert found[name.lower()][-1] == "1"
