"""Who holds whom, and where media goes, as SDP says it."""

from __future__ import annotations

import pytest

from blfd.core.calls.media import answering, are_apart, held, lifted, moved, streams


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("m=audio 4000 RTP/AVP 0", False),
        ("m=audio 4000 RTP/AVP 0|a=sendrecv", False),
        ("m=audio 4000 RTP/AVP 0|a=sendonly", True),
        ("m=audio 4000 RTP/AVP 0|a=inactive", True),
        ("m=audio 4000 RTP/AVP 0|a=recvonly", False),
        ("a=sendonly|m=audio 4000 RTP/AVP 0", True),
        ("a=sendonly|m=audio 4000 RTP/AVP 0|a=sendrecv", False),
        ("c=IN IP4 0.0.0.0|m=audio 4000 RTP/AVP 0", True),
        ("c=IN IP4 0.0.0.0|m=audio 4000 RTP/AVP 0|c=IN IP4 192.0.2.1", False),
        ("m=audio 4000 RTP/AVP 0|a=sendonly|m=video 5000 RTP/AVP 99|a=sendrecv", False),
        ("m=audio 4000 RTP/AVP 0|a=sendonly|m=video 0 RTP/AVP 99|a=sendrecv", True),
        ("m=audio 0 RTP/AVP 0", False),
        ("c=IN IP6 ::|m=audio 4000 RTP/AVP 0", True),
        ("c=IN IP6 2001:db8::|m=audio 4000 RTP/AVP 0", False),
        ("", False),
    ],
)
def test_held(lines: str, expected: bool) -> None:
    assert held(b"v=0\r\n" + lines.replace("|", "\r\n").encode()) is expected


def sdp(text: str) -> bytes:
    return text.replace("|", "\r\n").encode() + b"\r\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("m=audio 4 RTP/AVP 0|a=sendonly|a=ptime:20", "m=audio 4 RTP/AVP 0|a=ptime:20|a=sendrecv"),
        ("a=inactive|m=audio 4 RTP/AVP 0", "m=audio 4 RTP/AVP 0|a=sendrecv"),
        (
            "m=audio 4 RTP/AVP 0|a=recvonly|m=video 6 RTP/AVP 97|a=inactive",
            "m=audio 4 RTP/AVP 0|a=sendrecv|m=video 6 RTP/AVP 97|a=sendrecv",
        ),
        ("m=audio 4 RTP/AVP 0|a=sendrecv|a=x", "m=audio 4 RTP/AVP 0|a=sendrecv|a=x"),
        ("c=IN IP4 192.0.2.1|m=audio 4 RTP/AVP 0", "c=IN IP4 192.0.2.1|m=audio 4 RTP/AVP 0"),
        ("v=0", "v=0"),
    ],
)
def test_lifted(before: str, after: str) -> None:
    assert lifted(sdp(before)) == sdp(after)
    assert not held(lifted(sdp(before)))


@pytest.mark.parametrize(
    ("offered", "answers"),
    [  # to sendrecv, sendonly, recvonly and inactive, as the answerer would have it
        ("sendrecv", ("sendrecv", "sendonly", "recvonly", "inactive")),
        ("sendonly", ("recvonly", "inactive", "recvonly", "inactive")),
        ("recvonly", ("sendonly", "sendonly", "inactive", "inactive")),
        ("inactive", ("inactive", "inactive", "inactive", "inactive")),
    ],
)
def test_an_answer_says_no_more_than_its_offer_allows(offered: str, answers: tuple[str, ...]) -> None:
    """RFC 3264, section 6.1."""
    offer = sdp(f"m=audio 4 RTP/AVP 0|a={offered}")
    for wanted, allowed in zip(("sendrecv", "sendonly", "recvonly", "inactive"), answers, strict=True):
        (stream,) = streams(answering(sdp(f"m=audio 6 RTP/AVP 0|a={wanted}"), offer))
        assert stream.direction == allowed.encode()
        assert stream.port == b"6"


def test_an_answer_with_streams_that_were_not_offered_keeps_them() -> None:
    offer = sdp("a=sendonly|m=audio 4 RTP/AVP 0")
    answer = answering(sdp("a=sendrecv|m=audio 6 RTP/AVP 0|m=video 8 RTP/AVP 31|a=inactive"), offer)
    assert [(stream.media, stream.direction) for stream in streams(answer)] == [
        (b"audio", b"recvonly"),
        (b"video", b"inactive"),
    ]


@pytest.mark.parametrize(
    ("known", "told", "expected"),
    [
        (
            "c=IN IP4 192.0.2.1|m=audio 4 RTP/AVP 0",
            "m=audio 4 RTP/AVP 0 8|c=IN IP4 192.0.2.1|a=sendrecv",
            False,
        ),
        ("c=IN IP4 0.0.0.0|m=audio 4 RTP/AVP 0", "c=IN IP4 192.0.2.1|m=audio 4 RTP/AVP 0", True),
        ("m=audio 4 RTP/AVP 0", "m=audio 5 RTP/AVP 0", True),
        ("m=audio 4 RTP/AVP 0", "m=audio 4 RTP/AVP 0|a=recvonly", True),
        ("m=audio 4 RTP/AVP 0|m=video 0 RTP/AVP 97", "m=audio 4 RTP/AVP 0", False),
        ("v=0", "m=audio 4 RTP/AVP 0", False),
    ],
)
def test_moved(known: str, told: str, expected: bool) -> None:
    assert moved(sdp(known), sdp(told)) is expected


V4 = "c=IN IP4 192.0.2.1|m=audio 4 RTP/AVP 0"
V6 = "c=IN IP6 2001:db8::1|m=audio 4 RTP/AVP 0"
CANDIDATES = "|a=candidate:1 1 UDP 2130706431 {} 4 typ host"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (V4, V6, True),
        (V4, V4, False),
        (V6, V6, False),
        ("m=audio 4 RTP/AVP 0|c=IN IP4 192.0.2.1", V6, True),
        (V4 + "|m=video 6 RTP/AVP 97|c=IN IP6 2001:db8::1", V6, False),
        (V4 + "|m=video 0 RTP/AVP 97|c=IN IP6 2001:db8::1", V6, True),
        (V4 + CANDIDATES.format("2001:db8::1"), V6, False),
        (V4 + CANDIDATES.format("192.0.2.1"), V6, True),
        (V4 + CANDIDATES.format("e5ac.local"), V6, False),  # a name that only the phones' network knows
        (V4 + "|a=altc:1 IP6 2001:db8::1 4", V6, False),
        ("c=IN IP4 0.0.0.0|m=audio 9 RTP/AVP 0", V6, False),  # who holds, or whose candidates come later
        ("m=audio 4 RTP/AVP 0", V6, False),
        ("c=IN ATM x|m=audio 4 RTP/AVP 0", V6, False),
        ("v=0", V6, False),
    ],
)
def test_media_that_cannot_meet(one: str, other: str, expected: bool) -> None:
    assert are_apart(sdp(one), sdp(other)) is are_apart(sdp(other), sdp(one)) is expected
    assert not are_apart(None, sdp(other))
