"""What PJSIP is given of bodies in parts: the SDP or nothing, and never the octets of other parts."""

from __future__ import annotations

import pytest

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
