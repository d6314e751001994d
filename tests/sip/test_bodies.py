"""The session description of a message, in whatever it is wrapped."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.errors import Refusal
from blfd.sip.bodies import MOST_PARTS, parts, session_description

SDP, OTHER_SDP = b"v=0\r\ns=one\r\n", b"v=0\r\ns=two\r\n"
TYPE = b"Content-Type: application/sdp\r\n"


def part(content: bytes, *fields: bytes) -> bytes:
    return b"".join(field + b"\r\n" for field in fields) + b"\r\n" + content


SDP_PART = part(SDP, b"Content-Type: application/sdp")
PIDF = part(b"<presence/>", b"Content-Type: application/pidf+xml")


def wrapped(*contents: bytes, boundary: bytes = b"b", before: bytes = b"", after: bytes = b"\r\n") -> bytes:
    body = b"".join(b"\r\n--" + boundary + b"\r\n" + each for each in contents)
    return (before + body if before else body[2:]) + b"\r\n--" + boundary + b"--" + after


def sdp_of(kind: str, body: bytes, **more: str) -> bytes | None:
    fields = {"content-type": [kind], **{name.replace("_", "-"): [value] for name, value in more.items()}}
    return session_description(fields, body)


def refused(kind: str, body: bytes, **more: str) -> Refusal:
    with pytest.raises(Refusal) as found:
        sdp_of(kind, body, **more)
    return found.value


MIXED = "multipart/mixed;boundary=b"


def test_sdp_alone() -> None:
    assert sdp_of("application/sdp", SDP) == SDP
    assert (
        sdp_of("Application/SDP;charset=utf-8", SDP, content_disposition="session;handling=required") == SDP
    )
    assert sdp_of("application/sdp", b"") is None
    assert session_description({}, SDP) is None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (MIXED, wrapped(SDP_PART)),
        (MIXED, wrapped(PIDF, SDP_PART)),
        (MIXED, wrapped(SDP_PART, PIDF)),
        (MIXED, wrapped(SDP_PART, before=b"This is a preamble\r\n--bb\r\n", after=b"\r\n--b\r\nan epilogue")),
        (MIXED, wrapped(SDP_PART, after=b"")),
        (MIXED, b"--b \t\r\n" + SDP_PART + b"\r\n--b-- \r\n"),
        (
            MIXED,
            wrapped(
                SDP_PART, part(SDP, b"Content-Type: application/sdp", b"Content-Disposition: early-session")
            ),
        ),
        (MIXED, wrapped(part(OTHER_SDP, TYPE + b"Content-Disposition: early-session"), SDP_PART)),
        (MIXED, wrapped(part(SDP, b"c:\r\n application/SDP", b"Content-ID: <x>"))),
        (MIXED, wrapped(part(b"x", b'Content-Disposition: render; Handling="Optional"'), SDP_PART)),
        (MIXED, wrapped(part(b"no field at all"), SDP_PART)),
        (MIXED, wrapped(SDP_PART, part(OTHER_SDP, TYPE[:-2]))),
        ("multipart/alternative;boundary=b", wrapped(part(OTHER_SDP, TYPE[:-2]), SDP_PART)),
        ("multipart/related;boundary=b;type=x", wrapped(SDP_PART, PIDF)),
        ('multipart/mixed; boundary="b;\\"c d"', wrapped(SDP_PART, boundary=b'b;"c d')),
        ("MULTIPART/Mixed;Boundary=(b)", wrapped(SDP_PART, boundary=b"(b)")),
        (
            MIXED,
            wrapped(
                PIDF,
                part(
                    wrapped(SDP_PART, boundary=b"inner"),
                    b"Content-Type: multipart/alternative;boundary=inner",
                ),
            ),
        ),
        (
            MIXED,
            wrapped(
                SDP_PART,
                part(
                    b"x", b"Content-Type: application/isup", b"Content-Disposition: signal;handling=optional"
                ),
            ),
        ),
    ],
)
def test_sdp_in_multipart(kind: str, body: bytes) -> None:
    assert sdp_of(kind, body) == SDP


def test_a_multipart_that_is_not_closed() -> None:
    assert sdp_of(MIXED, b"--b\r\n" + SDP_PART) == SDP


def test_lines_that_end_with_lf() -> None:
    body = wrapped(PIDF, SDP_PART, before=b"hello").replace(b"\r\n", b"\n")
    assert sdp_of(MIXED, body) == SDP.replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/mixed", wrapped(SDP_PART), 400),
        ("multipart/mixed;boundary=", wrapped(SDP_PART), 400),
        ('multipart/mixed;boundary=""', wrapped(SDP_PART), 400),
        ("multipart/mixed;boundary=a", wrapped(SDP_PART), 400),
        ("multipart/mixed;boundary=" + "b" * 71, wrapped(SDP_PART, boundary=b"b" * 71), 400),
        ('multipart/mixed;boundary="é"', wrapped(SDP_PART), 400),
        (MIXED, SDP, 400),
        (MIXED, wrapped(part(SDP, b"Content-Type: sdp")), 400),
        (MIXED, wrapped(part(SDP, TYPE + b"c: text/plain")), 400),
        (MIXED, wrapped(b"no header line\r\n\r\nx", SDP_PART), 400),
        (MIXED, wrapped(b"a\0b: x\r\n\r\nx", SDP_PART), 400),
        (MIXED, wrapped(*[SDP_PART] * (MOST_PARTS + 1)), 400),
        (MIXED, b"--b--", 415),
        (MIXED, wrapped(PIDF), 415),
        (MIXED, wrapped(part(b"", b"Content-Type: application/sdp")), 415),
        (MIXED, wrapped(part(b"x", b"Content-Disposition: x;handling=required"), SDP_PART), 415),
        (MIXED, wrapped(part(SDP, TYPE + b"Content-Transfer-Encoding: base64")), 415),
        (MIXED, wrapped(part(SDP, TYPE + b"Content-Disposition: early-session")), 415),
        ("application/pidf+xml", b"<presence/>", 415),
        ("text/plain", b"hello", 415),
    ],
)
def test_what_is_refused(kind: str, body: bytes, status: int) -> None:
    refusal = refused(kind, body)
    assert refusal.status == status
    assert bool(refusal.headers) == (status == 415)


def test_what_may_be_ignored() -> None:
    assert (
        sdp_of("application/pidf+xml", b"<presence/>", content_disposition="render;handling=optional") is None
    )
    assert sdp_of(MIXED, wrapped(PIDF), content_disposition="x;handling=optional") is None
    assert refused("application/sdp", b"\x1f\x8b", content_encoding="gzip").status == 415


def test_layers() -> None:
    def nested(depth: int) -> bytes:
        return (
            SDP_PART
            if depth == 0
            else part(
                wrapped(nested(depth - 1), boundary=b"b%d" % depth),
                b"c: multipart/mixed;boundary=b%d" % depth,
            )
        )

    assert sdp_of(MIXED, wrapped(nested(3))) == SDP
    assert refused(MIXED, wrapped(nested(4))).status == 400


@given(
    # A CR at the end of a part is taken for one of the line end before the boundary.
    st.lists(st.binary(max_size=40).map(lambda content: content.rstrip(b"\r")), max_size=MOST_PARTS),
    st.binary(max_size=20),
    st.binary(max_size=20),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_a_round_trip(contents: list[bytes], before: bytes, after: bytes, end: bytes) -> None:
    boundary = "7a9cbec0'()+_,-./:=?"
    if end == b"\n":  # a CR before it would be its
        contents, before = [each.rstrip(b"\r") for each in contents], before.rstrip(b"\r")
    body = before + b"".join(
        end + b"--" + boundary.encode() + end + b"X-Number: %d" % number + end + end + content
        for number, content in enumerate(contents)
    )
    body += end + b"--" + boundary.encode() + b"--" + end + after
    found = parts(body, boundary)
    assert [each.content for each in found] == contents
    assert [each.field("x-number") for each in found] == [str(number) for number in range(len(contents))]


@given(
    st.lists(
        st.sampled_from(
            [
                b"--b",
                b"--b--",
                b"\r\n",
                b"\n",
                b"\r",
                b"--",
                b"b",
                b":",
                b"c:multipart/mixed;boundary=b",
                b" ",
                TYPE,
                b"x",
            ]
        )
    )
)
def test_any_body(pieces: list[bytes]) -> None:
    with suppress(Refusal):
        found = sdp_of(MIXED, b"".join(pieces))
        assert found is None or found
