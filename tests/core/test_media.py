"""Who holds whom, as SDP says it."""

from __future__ import annotations

import pytest

from blfd.core.calls.media import held


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
        ("", False),
    ],
)
def test_held(lines: str, expected: bool) -> None:
    assert held(b"v=0\r\n" + lines.replace("|", "\r\n").encode()) is expected
