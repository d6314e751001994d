"""From octets to messages: what is read, what is malformed, and how that is answered."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from tortures import NOTHING, TORTURES, Torture

from blfd.core.messages import Credentials
from blfd.core.values import Address
from blfd.sip import reader, uris
from blfd.sip.message import Malformed, Message, Request, Response
from blfd.sip.reader import read

SUBSCRIBE = (
    b"SUBSCRIBE sip:102@10.0.0.1:5060 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1;rport\r\n"
    b'From: "Alice Ng" <sip:101@10.0.0.1:5060>;tag=f1\r\n'
    b"To: <sip:102@10.0.0.1:5060>\r\n"
    b"Call-ID: 0_1@10.0.0.5\r\n"
    b"CSeq: 2 SUBSCRIBE\r\n"
    b"Contact: <sip:101@10.0.0.5:5060>\r\n"
    b'Authorization: Digest username="101", realm="blfd", nonce="n", uri="sip:102@10.0.0.1:5060", '
    b'response="ab", algorithm=SHA-256, cnonce="c", qop=auth, nc=00000001\r\n'
    b"Accept: application/dialog-info+xml, application/rlmi+xml;x=y\r\n"
    b"Max-Forwards: 70\r\n"
    b"User-Agent: Yealink SIP-T54W 96.86.0.70\r\n"
    b"Expires: 3600\r\n"
    b"Event: dialog;id=7\r\n"
    b"Record-Route: <sip:p2;lr>,<sip:p1;lr>\r\n"
    b"Record-Route: <sip:p0;lr>\r\n"
    b"Content-Length: 0\r\n\r\n"
)
OK = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKn1;rport=5060;received=10.0.0.1\r\n"
    b"From: <sip:102@10.0.0.1>;tag=t1\r\nTo: <sip:101@10.0.0.1>;tag=f1\r\nCall-ID: c\r\n"
    b"CSeq: 5 NOTIFY\r\nRetry-After: 18000 (I'm in a meeting);duration=3600\r\nContent-Length: 0\r\n\r\n"
)


def request(data: bytes) -> Request:
    message = read(data)
    assert isinstance(message, Request)
    return message


def malformed(data: bytes) -> Malformed:
    with pytest.raises(Malformed) as found:
        read(data)
    return found.value


def values(message: Message) -> tuple[object, ...]:
    """All that was read of a message, without its octets."""
    return tuple(getattr(message, name) for name in type(message).__match_args__ if name != "data")


def test_what_a_phone_sends() -> None:
    message = request(SUBSCRIBE)
    assert (message.method, message.target) == ("SUBSCRIBE", uris.uri("sip:102@10.0.0.1:5060"))
    assert (message.via.branch, message.via.rport) == ("z9hG4bK1", 0)
    assert message.from_ == Address(uris.uri("sip:101@10.0.0.1:5060"), "Alice Ng", "f1")
    assert message.to == Address(uris.uri("sip:102@10.0.0.1:5060"))
    assert (message.call_id, message.cseq, message.max_forwards, message.expires) == (
        "0_1@10.0.0.5",
        2,
        70,
        3600,
    )
    assert [contact.uri.text for contact in message.contacts] == ["sip:101@10.0.0.5:5060"]
    assert message.credentials == (
        Credentials("101", "blfd", "n", "sip:102@10.0.0.1:5060", "ab", "SHA-256", "c", "auth", "00000001"),
    )
    assert message.tokens("accept") == ("application/dialog-info+xml", "application/rlmi+xml")
    assert message.field("event") == "dialog;id=7"
    assert message.field("user-agent") == "Yealink SIP-T54W 96.86.0.70"
    assert message.routes("record-route") == ("<sip:p2;lr>", "<sip:p1;lr>", "<sip:p0;lr>")
    assert message.tokens("require") is None
    assert message.routes("path") == ()
    assert message.body == b""
    assert message.data == SUBSCRIBE


def test_a_response() -> None:
    message = read(OK)
    assert isinstance(message, Response)
    assert (message.status, message.reason, message.method, message.cseq) == (200, "OK", "NOTIFY", 5)
    assert (message.via.branch, message.from_.tag, message.to.tag, message.call_id) == (
        "z9hG4bKn1",
        "t1",
        "f1",
        "c",
    )
    assert message.number("retry-after") == 18000
    assert message.number("expires") is None


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b"\tNot  here", " Not  here"),
        (b"N\0o\x1b[2J\x7f", "N\ufffdo\ufffd[2J\ufffd"),
        ("Geh\u00f6rt".encode(), "Geh\u00f6rt"),
        (b"", ""),
    ],
)
def test_a_reason_phrase_is_for_people(written: bytes, reason: str) -> None:
    """No reason phrase leaves a request without its response, and no control character of it comes out."""
    message = read(OK.replace(b"200 OK", b"480 " + written, 1))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (480, reason)
    with pytest.raises(Malformed):
        read(OK.replace(b"200 OK", b"480 " + written + b"\n", 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Via: ", b"v:"),
        (
            b"Via: SIP/2.0/UDP 10.0.0.5:5060;branch",
            b"VIA\t:  SIP / 2.0\r\n\t/ UDP  10.0.0.5 : 5060 ; branch = "[:-3],
        ),
        (b"From: ", b"f :\t"),
        (
            b'"Alice Ng" <sip:101@10.0.0.1:5060>;tag=f1',
            b'"Alice\\ Ng"\r\n <sip:101@10.0.0.1:5060> \t; tag = f1 ',
        ),
        (b'"Alice Ng" <', b"Alice Ng\r\n\t<"),
        (b"To: <", b"t: <"),
        (b"CSeq: 2 SUBSCRIBE", b"cseq:0002 \r\n SUBSCRIBE"),
        (b"Contact: ", b"m:"),
        (b"Call-ID:", b"I:"),
        (b'uri="sip:102', b'\r\n uri = "sip:10\\2'),
        (b"Digest username", b"DIGEST  UserName"),
        (b"Max-Forwards: 70", b"mAX-fORWARDS:070"),
        (b"Expires: 3600", b"Expires:    3600   "),
        (b"Content-Length: 0\r\n", b"l:00\r\n"),
        (b"SIP/2.0\r\nVia", b"sip/2.0\r\nVia"),
        (b"SUBSCRIBE sip", b"\r\n\r\nSUBSCRIBE sip"),
    ],
)
def test_another_way_to_write_it(old: bytes, new: bytes) -> None:
    data = SUBSCRIBE.replace(old, new, 1)
    assert data != SUBSCRIBE
    one, other = request(SUBSCRIBE), request(data)
    spared = ("fields", "via", "contacts", "data")
    for name in (name for name in Request.__match_args__ if name not in spared):
        assert getattr(one, name) == getattr(other, name)
    assert one.via[:8] == other.via[:8]
    assert [contact.uri for contact in one.contacts] == [contact.uri for contact in other.contacts]
    assert one.fields.keys() == other.fields.keys()
    assert not any(re.search("[\x00-\x1f\x7f]", value) for some in other.fields.values() for value in some)


def test_octets_that_are_no_text() -> None:
    message = request(SUBSCRIBE.replace(b"Yealink", b"Y\xe9\xc3\xa9\xff"))
    assert (
        message.field("user-agent").encode("utf-8", "surrogateescape")
        == b"Y\xe9\xc3\xa9\xff SIP-T54W 96.86.0.70"
    )


def test_the_body_is_as_long_as_it_says() -> None:
    long = SUBSCRIBE.replace(b"Content-Length: 0", b"Content-Length: 3") + b"abcdef"
    assert request(long).body == b"abc"
    assert (
        request(SUBSCRIBE.replace(b"Content-Length: 0\r\n", b"") + b"abc\r\n\r\ndef").body
        == b"abc\r\n\r\ndef"
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"From: ", b"X: ", "no From"),
        (b"To: ", b"X: ", "no To"),
        (b"Via: ", b"X: ", "no Via"),
        (b"CSeq: ", b"X: ", "no CSeq"),
        (b"Call-ID: ", b"X: ", "no Call-ID"),
        (b"Call-ID: 0_1@10.0.0.5", b"Call-ID:", "empty Call-ID"),
        (b"tag=f1", b"tag=f1;", "bad From"),
        (b"To: <sip", b'To: "Bob <sip', "bad To"),
        (b"CSeq: 2", b"CSeq: two", "bad CSeq"),
        (b"CSeq: 2 SUBSCRIBE", b"CSeq: 2 INVITE", "CSeq names another method"),
        (b"Contact: <", b"Contact: <<", "bad Contact"),
        (b"Max-Forwards: 70", b"Max-Forwards: 256", "bad Max-Forwards"),
        (b"Expires: 3600", b"Expires: soon", "bad Expires"),
        (b"Digest username", b"Digest =, username", "bad Authorization"),
        (b"<sip:p0;lr>", b"<sip:p0;lr", "bad Record-Route"),
        (b"Event: ", b"Path: x\r\nEvent: ", "bad Path"),
        (b"Event: ", b"Content-Type: sdp\r\nEvent: ", "bad Content-Type"),
        (b"Content-Length: 0", b"Content-Length: -0", "bad Content-Length"),
        (b"Content-Length: 0", b"Content-Length: 9", "Content-Length says 9, 0 octets came"),
        (b"Content-Length: 0", b"Content-Length: " + b"9" * 5000, "bad Content-Length"),
        (b"To: <sip:", b"f: <sip:x>\r\nTo: <sip:", "more than one From"),
        (b"Event: ", b"o: presence\r\nEvent: ", "more than one Event"),
        (b"Content-Length: 0", b"l: 0\r\nContent-Length: 0", "more than one Content-Length"),
        (b" SIP/2.0\r\n", b"  SIP/2.0\r\n", "bad spaces in the request line"),
        (b"SUBSCRIBE ", b"SUBSCRIBE\t", "a control character in the start line"),
        (b"SUBSCRIBE ", b"SUB(SCRIBE ", "bad method"),
        (b"sip:102@10.0.0.1:5060 ", b"sip:1<02@10.0.0.1 ", "bad Request-URI"),
        (b"10.0.0.1:5060 SIP", b"10.0.0.1:5060? SIP", "the Request-URI has headers"),
        (b"10.0.0.1:5060 SIP", b"10.0.0.1:5060?a=b SIP", "the Request-URI has headers"),
        (b"\r\nTo:", b"\nTo:", "a line that does not end with CRLF"),
        (b"\r\nTo:", b"\rTo:", "a line that does not end with CRLF"),
        (b"\r\n\r\n", b"\r\n", "no empty line after the header"),
        (b"\r\nEvent", b"\r\nEv\0ent", "a control character in a header"),
        (b"Yealink", b"Yea\x1blink", "a control character in a header"),
        (b"Yealink", b"Yea\x7flink", "a control character in a header"),
        (b"Event: ", b"Ev ent: ", "a line that is no header"),
        (b"Event: ", b": ", "a line that is no header"),
        (b"Event: ", b"Event ", "a line that is no header"),
        (b"Event: dialog;id=7", b"Event", "a line that is no header"),
        (b"Event: ", b"Ev\xc3\xa9nt: ", "a line that is no header"),
        (b"\r\nVia", b"\r\n Via", "a start line that goes on in the next one"),
        (b"\r\nEvent", b"\r\nX: y" * 256 + b"\r\nEvent", "more than 256 header lines"),
    ],
)
def test_what_is_malformed(old: bytes, new: bytes, fault: str) -> None:
    found = malformed(SUBSCRIBE.replace(old, new, 1))
    assert (found.fault, found.status) == (fault, 400)
    if b"Via" not in new and fault not in ("no Via", "a control character in the start line"):
        assert found.unread
        assert found.unread.method == new.split()[0].decode() if fault == "bad method" else "SUBSCRIBE"


def test_what_is_copied_of_what_is_not_read() -> None:
    unread = malformed(
        SUBSCRIBE.replace(b"Via: ", b"v: SIP/2.0/UDP h;branch=x,\r\n\tSIP/2.0/UDP i\r\nvia:").replace(
            b"Ng", b"N\0g"
        )
    ).unread
    assert unread
    assert unread.vias == [
        "SIP/2.0/UDP h;branch=x, SIP/2.0/UDP i",
        "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK1;rport",
    ]
    assert unread.via
    assert unread.via.host == "h"
    assert unread.from_ == '"Alice N\ufffdg" <sip:101@10.0.0.1:5060>;tag=f1'
    assert (unread.call_id, unread.cseq) == ("0_1@10.0.0.5", "2 SUBSCRIBE")


@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"OPTIONS sip:h SIP/7.0", 505),
        (b"OPTIONS sip:h sip/1.0 ", 505),
        (b"OPTIONS soap.beep://h SIP/2.0", 416),
        (b"OPTIONS http://h SIP/2.0", 416),
        (b"OPTIONS SIP/2.0", 400),
        (b"OPTIONS  SIP/2.0", 400),
        (b"OPTIONS ht!tp:// SIP/2.0", 400),
        (b"OPTIONS <sip:h> SIP/2.0", 400),
    ],
)
def test_the_status_of_a_bad_start_line(start: bytes, status: int) -> None:
    data = start + SUBSCRIBE[SUBSCRIBE.index(b"\r\n") :].replace(b"2 SUBSCRIBE", b"2 OPTIONS")
    found = malformed(data)
    assert (found.status, bool(found.unread)) == (status, True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0" * 100,
        b"hello\r\n\r\n",
        b"INVITE",
        b"\xff" * 65_000,
        b"SIP/2.0 200 OK\r\n\r\n",
        SUBSCRIBE.replace(b"SUBSCRIBE", b"ACK").replace(b"From", b"X"),
        OK.replace(b"SIP/2.0 200 OK", b"SIP/2.0 200OK"),
        OK.replace(b"200 OK", b"4294967301 OK"),
        OK.replace(b"200 OK", b"700 OK"),
        OK.replace(b"200 OK", b"099 OK"),
        OK.replace(b"200 OK", b"200 OK SIP/2.0").replace(b"To:", b"X:"),
        OK.replace(b"CSeq: 5 ", b"CSeq: 99999999999 "),
        OK.replace(b"To: ", b"t: <sip:x>\r\nTo: "),
        OK.replace(b"Call-ID: c", b"Call-ID: c\x00"),
        OK.replace(b"Call-ID: c", b"Call-ID: c\x7f"),
        OK.replace(b"200 OK", b"2\x0000 OK"),
    ],
)
def test_what_is_not_answered(data: bytes) -> None:
    assert malformed(data).unread is None


UNREADABLE = [
    *((b"Contact", value) for value in (b"<>", b"junk", b"", b"<sip:", b'"x', b"Bob, Jr <sip:102@h>")),
    (b"Record-Route", b"junk"),
    (b"Route", b"junk"),
    (b"Path", b"junk"),
    (b"Max-Forwards", b"many"),
    (b"Expires", b"soon"),
    (b"Content-Type", b"sdp"),
    (b"Authorization", b"Digest junk"),
]


STARTS = [b"200 OK", b"183 Progress", b"302 Moved", *map(str.encode, sorted(reader.UNREFUSED))]


def having(data: bytes, name: bytes, value: bytes) -> bytes:
    """A message with this header field in the place of that which it had."""
    return re.sub(rb"(?m)^" + name + rb": .*\n", b"", data).replace(
        b"To: ", name + b": " + value + b"\r\nTo: "
    )


@pytest.mark.parametrize(("name", "value"), UNREADABLE)
@pytest.mark.parametrize("start", STARTS)
def test_what_ends_or_answers_something_counts_whatever_else_is_in_it(
    name: bytes, value: bytes, start: bytes
) -> None:
    """A call whose 200, ACK or BYE is not heard goes on, or is repeated, for ever."""
    is_request = start.decode() in reader.UNREFUSED
    data = SUBSCRIBE.replace(b"SUBSCRIBE", start) if is_request else OK.replace(b"200 OK", start)
    message, sound = read(having(data, name, value)), read(data)
    assert (message.call_id, message.cseq, message.to) == (sound.call_id, sound.cseq, sound.to)
    assert message.contacts == (() if name == b"Contact" else sound.contacts)
    if is_request or name.decode().lower() in ("contact", *reader.CHECKED):
        assert name.decode().lower() not in message.fields


@pytest.mark.parametrize(("name", "value"), UNREADABLE)
def test_what_begins_something_has_to_be_readable(name: bytes, value: bytes) -> None:
    data = having(SUBSCRIBE.replace(b"SUBSCRIBE", b"INVITE"), name, value)
    assert malformed(data).fault == f"bad {name.decode()}"


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"SIP/2.0 100 ", 100, ""),
        (b"SIP/2.0 183", 183, ""),
        (b"sip/2.0  486  Busy  Here ", 486, " Busy  Here "),
        (b"SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe", 200, "= 2**3 * 5**2 \u043d\u043e"),
    ],
)
def test_status_lines(line: bytes, status: int, reason: str) -> None:
    message = read(OK.replace(b"SIP/2.0 200 OK", line))
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (status, reason)


def test_transactions_are_told_apart() -> None:
    one = request(SUBSCRIBE)
    assert one.key() == request(SUBSCRIBE.replace(b"To: <sip:102", b"To: <sip:103")).key()
    assert one.key("ACK") == request(SUBSCRIBE.replace(b"SUBSCRIBE", b"ACK")).key() != one.key()
    assert one.key() != request(SUBSCRIBE.replace(b"z9hG4bK1", b"z9hG4bK2")).key()
    old = request(SUBSCRIBE.replace(b"z9hG4bK1", b"1"))
    assert old.key() != request(SUBSCRIBE.replace(b"z9hG4bK1", b"1").replace(b"tag=f1", b"tag=f2")).key()


LATER = {"inv2543"}  # an INVITE without Contact: its form is sound


@pytest.mark.parametrize("torture", TORTURES, ids=lambda torture: torture.name)
def test_rfc_4475(torture: Torture) -> None:
    """Messages that RFC 4475 has refused for their form are malformed here, and all others are read."""
    form, expected = {400, 416, 505}, set(torture.answers)
    try:
        read(torture.octets("127.0.0.1:5060", "127.0.0.1:5062"))
        status = None
    except Malformed as bad:
        status = bad.status if bad.unread else None
        assert status or expected == set(NOTHING)
    if expected - form or expected == set(NOTHING) or torture.name in LATER:
        assert status is None or status in expected
    else:
        assert status in expected


@pytest.mark.parametrize(
    "piece",
    [
        " ",
        "\t",
        "\r\n ",
        "a ",
        ";",
        ",",
        '"',
        "\\",
        '"a" ',
        "<a:b>,",
        "<",
        "a:",
        "a@",
        ";a",
        ";a=b",
        ";lr",
        "SIP/2.0 ",
    ],
)
def test_a_long_value_is_looked_at_once(piece: str) -> None:
    """A reader that looks again from each character on would take minutes for this."""
    long = (piece * 60_000)[:60_000].encode()
    for start in (b"", b"x", b'"', b"<sip:a@b", b"<sip:a@b>", b'Digest a="', b"SIP/2.0/UDP h (", b"sip:a,"):
        with suppress(Malformed):
            read(SUBSCRIBE.replace(b"sip:102@10.0.0.1:5060 ", start + long + b"y "))
        for name in (b"Via: ", b"From: ", b"Contact: ", b"Route: ", b"Authorization: ", b"Accept: ", b"X: "):
            old = name if name in SUBSCRIBE else b"Event: "
            with suppress(Malformed):
                request(SUBSCRIBE.replace(old, name + start + long + b"y\r\n" + old, 1)).tokens("accept")
