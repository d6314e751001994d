"""Who holds whom, and where media goes, as SDP says it."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.calls.codecs import only
from blfd.core.calls.media import (
    DIRECTIONS,
    answering,
    are_apart,
    differs,
    held,
    lifted,
    moved,
    silent,
    streams,
    unnamed,
)
from blfd.core.calls.sdp import joined, sections


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
    [  # what is answered where the answerer would have sendrecv, sendonly, recvonly and inactive
        ("sendrecv", ("sendrecv", "sendonly", "recvonly", "inactive")),
        ("sendonly", ("recvonly", "inactive", "recvonly", "inactive")),
        ("recvonly", ("sendonly", "sendonly", "inactive", "inactive")),
        ("inactive", ("inactive", "inactive", "inactive", "inactive")),
    ],
)
def test_an_answer_says_no_more_than_its_offer_allows(offered: str, answers: tuple[str, ...]) -> None:
    """The direction of an answer is one that its offer allows (RFC 3264, section 6.1)."""
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
        ("c=IN IP4 0.0.0.0|m=audio 9 RTP/AVP 0", V6, False),  # it holds, or has candidates later
        ("m=audio 4 RTP/AVP 0", V6, False),
        ("c=IN ATM x|m=audio 4 RTP/AVP 0", V6, False),
        ("v=0", V6, False),
    ],
)
def test_media_that_cannot_meet(one: str, other: str, expected: bool) -> None:
    assert are_apart(sdp(one), sdp(other)) is are_apart(sdp(other), sdp(one)) is expected
    assert not are_apart(None, sdp(other))


KNOWN = b"""v=0|o=alice 1 1 IN IP4 192.0.2.1|o=|s=Alice|s=|i=Alice, room 5|u=http://a/|e=a@b|p=+1|t=0 0
c=IN IP4 192.0.2.1|c=IN IP6 2001:db8::1|c=IN IP4 0.0.0.0|b=AS:64|k=clear:x|m=audio 4000 RTP/AVP 0 8 101
m=audio 0 RTP/AVP 0|m=video 5000 RTP/AVP 97|m=|m=audio|m=audio 6000 RTP/SAVP 0|a=sendonly|a=sendrecv
a=inactive|a=recvonly|a=rtpmap:101 telephone-event/8000|a=rtpmap:97 H264/90000|a=fmtp:101 0-15|a=ptime:20
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x|a=candidate:1 1 UDP 1 192.0.2.1 4 typ host|a=altc:1 IP6 ::1 4
a=tool:x|a=ssrc:7 cname:x|a=ssrc:8 cname:y|a=x-unknown:\xff\x00 i=not|Z=nothing known|no line|=|""".replace(
    b"\n", b"|"
).split(b"|")
ANYTHING = st.binary(max_size=12).map(lambda octets: octets.translate(None, b"\r\n"))
SAID = st.one_of(st.sampled_from(KNOWN), ANYTHING.filter(lambda octets: octets[:2] != b"m="))
WRITTEN = st.lists(st.tuples(SAID, st.sampled_from([b"\r\n", b"\n", b"\r", b" \r\n", b"\t\n"])), max_size=25)
ABOUT = (b"i=", b"u=", b"e=", b"p=", b"k=", b"a=tool:")
CNAME = (b"a=ssrc:7 cname:", b"a=ssrc:8 cname:")


def lines_of(description: bytes) -> list[bytes]:
    return list(chain.from_iterable(sections(description)))


def direction_aside(description: bytes) -> list[bytes]:
    return [line for line in lines_of(description) if line[2:] not in DIRECTIONS or line[:2] != b"a="]


@given(WRITTEN)
def test_what_is_read_is_printed(written: list[tuple[bytes, bytes]]) -> None:
    """A description is printed as it was, whatever its lines end with, and whether anybody knows them."""
    octets = b"".join(chain.from_iterable(written))
    said = [line.rstrip(b" \t") for line, _ in written]
    assert lines_of(octets) == [line for line in said if line[1:2] == b"="]
    printed = joined(sections(octets))
    assert sections(printed) == sections(octets)
    assert joined(sections(printed)) == printed
    assert not differs(octets, printed)
    assert held(printed) == held(octets)
    assert streams(printed) == streams(octets)


@given(WRITTEN)
def test_nothing_of_a_description_names_its_sender(written: list[tuple[bytes, bytes]]) -> None:
    """What does not name the sender is as it was, octet for octet."""
    octets = b"".join(chain.from_iterable(written))
    nameless = unnamed(octets)
    assert unnamed(nameless) == nameless
    kept = [line for line in lines_of(octets) if not line.startswith(ABOUT)]
    for was, now in zip(kept, lines_of(nameless), strict=True):
        if was[:2] == b"s=":
            assert now == b"s=-"
        elif was[:2] == b"o=":
            words = was[2:].split()
            if len(words) > 6:  # the user has several
                assert now.split() == [b"o=-", *words[-5:]]
            else:
                assert now == (b"o=-" + was[2:][was[2:].find(b" ") :] if b" " in was else b"o=-")
        elif was.startswith(CNAME):
            assert now.startswith(was.partition(b"cname:")[0] + b"cname:")
        else:
            assert now == was
    plain = b"".join(
        line + end for line, end in written if not line.startswith((*ABOUT, *CNAME, b"s=", b"o="))
    )
    assert unnamed(plain) == plain


@given(WRITTEN, WRITTEN)
def test_what_is_changed_is_the_direction_alone(
    written: list[tuple[bytes, bytes]], other: list[tuple[bytes, bytes]]
) -> None:
    octets, offer = (b"".join(chain.from_iterable(each)) for each in (written, other))
    for changed in (lifted(octets), answering(octets, offer)):
        assert direction_aside(changed) == direction_aside(octets)
        assert [s._replace(direction=b"") for s in streams(changed)] == [
            s._replace(direction=b"") for s in streams(octets)
        ]
    assert all(stream.direction == b"sendrecv" for stream in streams(lifted(octets)))
    for answered, offered in zip(streams(answering(octets, offer)), streams(offer), strict=False):
        assert offered.receives or not answered.sends
        assert offered.sends or not answered.receives


@pytest.mark.parametrize("beside", ["telephone-event/8000", "CN/8000", "red/8000"])
def test_an_offer_of_which_no_codec_is_left_passes_as_it_is(beside: str) -> None:
    offer = sdp(f"m=audio 4 RTP/AVP 0 101|a=rtpmap:101 {beside}")
    taken = {"PCMA", "TELEPHONE-EVENT", "CN", "RED"}
    assert only(offer, taken) == offer
    both = sdp(f"m=audio 4 RTP/AVP 0 8 101|a=rtpmap:101 {beside}")
    assert only(both, taken) == sdp(f"m=audio 4 RTP/AVP 8 101|a=rtpmap:101 {beside}")


@given(WRITTEN)
def test_what_answers_in_silence_and_what_loses_codecs_has_the_same_streams(
    written: list[tuple[bytes, bytes]],
) -> None:
    octets = b"".join(chain.from_iterable(written))
    fewer = only(octets, {"PCMU", "TELEPHONE-EVENT"})
    assert set(lines_of(fewer)) - set(lines_of(octets)) <= {
        line for line in lines_of(fewer) if line[:2] == b"m="
    }
    assert [(s.media, s.port) for s in streams(fewer)] == [(s.media, s.port) for s in streams(octets)]
    answered = silent(octets)
    if answered is not None:
        assert len(streams(answered)) == len(streams(octets))
        taken = [stream for stream in streams(answered) if stream.port not in (b"0", b"")]  # "": no stream
        assert not any(stream.sends or stream.receives for stream in taken)
