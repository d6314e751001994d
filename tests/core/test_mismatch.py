"""Why the media of two phones do not fit: what stands in the way is named, and not a codec that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.calls.media import APART
from blfd.core.calls.mismatch import CLOSED, NO_CODEC, NO_STREAM, NO_SUITE, OTHER_MEDIA, why

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
IPV6_HEAD = HEAD.replace("IP4 192.0.2.1", "IP6 2001:db8::1")
RTP = "m=audio 4000 RTP/AVP 0\r\n"
OTHER_CODEC = "m=audio 4000 RTP/AVP 18\r\n"
BODY = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
SDES = f"m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {BODY}\r\n"
OTHER_SUITE = SDES.replace("SHA1_80", "SHA1_32")
DTLS = "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 00:11\r\n"
WITH_PRINT = HEAD + "a=fingerprint:sha-256 00\r\n"
OLD_DTLS = "m=audio 4000 RTP/SAVPF 0\r\na=fingerprint:sha-256 00:11\r\n"
VIDEO = "m=video 4002 RTP/AVP 96\r\n"
PLAIN, BY_SDES, BY_DTLS = "RTP without encryption", "SRTP by SDES", "SRTP by DTLS"


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (HEAD + RTP, HEAD + OTHER_CODEC, NO_CODEC),
        (HEAD + SDES, HEAD + RTP, f"One phone has {BY_SDES} alone, the other {PLAIN}"),
        (HEAD + RTP, HEAD + SDES, f"One phone has {PLAIN} alone, the other {BY_SDES}"),
        (HEAD + DTLS, HEAD + SDES, f"One phone has {BY_DTLS} alone, the other {BY_SDES}"),
        (HEAD + OLD_DTLS, HEAD + SDES, f"One phone has {BY_DTLS} alone, the other {BY_SDES}"),
        (WITH_PRINT + OLD_DTLS, HEAD + RTP, f"One phone has {BY_DTLS} alone, the other {PLAIN}"),
        (HEAD + SDES, HEAD + OTHER_SUITE, NO_SUITE),
        (HEAD + SDES + RTP, HEAD + OTHER_CODEC, NO_CODEC),
        (HEAD + RTP, IPV6_HEAD + RTP, APART),
        (HEAD + SDES, IPV6_HEAD + RTP, APART),
        (HEAD, HEAD + RTP, NO_STREAM),
        (HEAD + RTP.replace("4000", "0"), HEAD + RTP, CLOSED),
        (HEAD + VIDEO, HEAD + RTP, OTHER_MEDIA),
        (HEAD + VIDEO + RTP.replace("4000", "0"), HEAD + RTP, OTHER_MEDIA),
        ("", HEAD + RTP, NO_STREAM),
    ],
)  # fmt: skip
def test_what_stands_in_the_way(one: str, other: str, told: str) -> None:
    assert why(one.encode(), other.encode()) == told


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_octets_have_a_reason(one: bytes, other: bytes) -> None:
    assert why(HEAD.encode() + one, other)
    assert why(b"m=" + one, b"m=" + other)
