"""Where messages end in a stream, and what is not read at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blfd.transport.framing import MAX_MESSAGE, PING, Framing, Unreadable


def message(*headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"OPTIONS sip:x SIP/2.0", *headers, b"", body])


EMPTY = message(b"Content-Length: 0")
BODY = b"v=0\r\n\r\nINVITE sip:102@nowhere SIP/2.0\r\n\r\n"  # no message begins in here


@pytest.mark.parametrize(
    "whole",
    [
        EMPTY,
        message(b"l:0"),
        message(b"L : 0", b"X: y"),
        message(b"CONTENT-length :\t4", body=b"v=0\n"),
        message(b"Content-Length:\r\n  4", body=b"v=0\n"),
        message(b"Content-Length: 04", b"l: 04", body=b"v=0\n"),
        message(b"X: Content-Length: 9", b"Content-Length: 0"),
        message(b"X-Content-Length: 9", b"Content-Length: 0"),
        message(b"X:\r\n Content-Length: 9", b"Content-Length: 0"),
        message(b"Content-Length: %d" % len(BODY), body=BODY),
        message(b"Content-Length: 9", body=b"\r\n\r\n\r\n\r\n\0"),
        message(b"X: " + b"x" * 60_000, b"Content-Length: 3", body=b"abc"),
        b"nothing that anybody knows\r\nl:0\r\n\r\n",  # whether the message is sound is decided elsewhere
        b"OPTIONS sip:x SIP/2.0\r\nX: a\nb\rc\r\nl:0\r\n\r\n",
    ],
)
def test_a_message(whole: bytes) -> None:
    assert list(Framing().take(whole + EMPTY)) == [whole, EMPTY]


def feed(stream: bytes, size: int, came: list[bytes]) -> None:
    """Take a stream in parts of one size, and add the messages that come out of it to `came`."""
    framing = Framing()
    for start in range(0, len(stream), size):
        came += framing.take(stream[start : start + size])


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (message(), "no Content-Length"),
        (message(b"X-Content-Length: 0", b"Z:\r\n Content-Length: 0"), "no Content-Length"),
        (message(b"Content-Length:"), "a Content-Length that is no number"),
        (message(b"Content-Length: -1"), "a Content-Length that is no number"),
        (message(b"Content-Length: 1 2"), "a Content-Length that is no number"),
        (message(b"Content-Length: 0x10"), "a Content-Length that is no number"),
        (message(b"Content-Length: \xb2"), "a Content-Length that is no number"),
        (message(b"Content-Length: 99999999999"), "a Content-Length that is no number"),
        (message(b"Content-Length: 65535"), "a message of 65583 octets, 65535 at most are taken"),
        (message(b"Content-Length: 0", b"l: 4", body=b"v=0\n"), "two Content-Lengths"),
        (message(b"l: 4", b"l: 40", body=b"v=0\n"), "two Content-Lengths"),
        (b"OPTIONS sip:x SIP/2.0\nContent-Length: 0\n\n", "a header whose lines do not end with CRLF"),
        (b"OPTIONS sip:x SIP/2.0\nl: 0\n\r\n", "a header whose lines do not end with CRLF"),
        (message(b"X: \n\nBYE sip:y SIP/2.0", b"l: 0"), "a header whose lines do not end with CRLF"),
        (b"x" * MAX_MESSAGE, "no end of the header within 65535 octets"),
        (message(b"X: " + b"x" * MAX_MESSAGE, b"l: 0"), "no end of the header within 65535 octets"),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_unreadable(octets: bytes, why: str, at_once: bool) -> None:
    """Messages before it have come by then; neither it nor what follows comes as a message."""
    came: list[bytes] = []
    size = len(octets) + len(EMPTY) if at_once else 1000
    with pytest.raises(Unreadable, match=f"^{why}$") as caught:
        feed(EMPTY + octets, size, came)
    assert came == [EMPTY]
    assert octets.startswith(caught.value.octets[:100])
    assert len(caught.value.octets) <= MAX_MESSAGE


@pytest.mark.parametrize(
    ("octets", "pings"),
    [
        (b"\r\n", 0),
        (b"\r\n\r\n", 1),
        (b"\r\n\r\n\r\n", 1),
        (b"\r\n\r\n\r\n\r\n", 2),
        (b"\n\n", 1),
        (b"\r\n" + EMPTY + b"\r\n", 0),
        (EMPTY + b"\r\n\r\n" + EMPTY, 1),
    ],
)
def test_keep_alives(octets: bytes, pings: int) -> None:
    whole, bytewise = Framing(), Framing()
    assert list(whole.take(octets)).count(PING) == pings
    assert [each for octet in octets for each in bytewise.take(bytes([octet]))].count(PING) == pings
    assert not whole.unfinished
    assert not bytewise.unfinished


def test_an_endless_header_is_searched_once() -> None:
    """A search from the start at each octet would make two thousand million looks at 64 KiB."""
    framing = Framing()
    assert list(framing.take(b"X" * 60_000)) == []
    looks = 0

    class Counted(bytearray):
        def find(self, wanted: bytes, start: int = 0, end: int = MAX_MESSAGE) -> int:  # type: ignore[override]
            nonlocal looks
            looks += len(self) - start
            return super().find(wanted, start, end)

    framing._received = Counted(framing._received)
    for _ in range(1000):
        assert list(framing.take(b"x")) == []
    assert looks < 10 * 1000


BODIES = st.binary(max_size=60) | st.sampled_from([b"\r\n\r\n", BODY, EMPTY])
NAMES = st.sampled_from([b"Content-Length: ", b"l:", b"L :\t", b"content-length:\r\n "])
MESSAGES = st.builds(lambda name, body: message(name + b"%d" % len(body), body=body), NAMES, BODIES)
PARTS = MESSAGES | st.sampled_from([b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n"])


@given(st.lists(PARTS, max_size=8), st.lists(st.integers(1, 90), min_size=1))
def test_any_split_of_a_stream_gives_the_same_messages(parts: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(parts)
    whole = list(Framing().take(stream))
    assert [each for each in whole if each] == [part for part in parts if part.strip(b"\r\n")]
    framing, start = Framing(), 0
    came: list[bytes] = []
    while start < len(stream):
        size = sizes[start % len(sizes)]
        came += framing.take(stream[start : start + size])
        start += size
    assert came == whole


@given(st.binary(max_size=200), st.integers(1, 200))
def test_any_octets_in_any_split_end_alike(octets: bytes, size: int) -> None:
    def outcome(step: int) -> tuple[list[bytes], str]:
        came: list[bytes] = []
        try:
            feed(octets, step, came)
        except Unreadable as error:
            return came, str(error)
        return came, ""

    assert outcome(size) == outcome(max(1, len(octets)))
