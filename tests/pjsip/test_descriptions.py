"""What PJSIP is given of SDP: whatever a phone writes, the lines that its negotiator asserts are there."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from blfd.core.calls.sdp import Section, sections
from blfd.pjsip.descriptions import DYNAMIC, LAST, MOST_ATTRIBUTES, MOST_FORMATS, MOST_MEDIA, sound

NUMBERS = st.sampled_from(
    [b"0", b"8", b"00", b"008", b"96", b"096", b"97", b"101", b"101x", b"127", b"128", b"0x60", b"*", b"t38"]
)
CODECS = st.sampled_from(
    [b"PCMU/8000", b"opus/48000/2", b"red/8000", b"RED/1000", b"telephone-event/8000", b"x", b"/8000", b""]
)
ATTRIBUTES = st.one_of(
    st.builds(lambda number, codec: b"a=rtpmap:" + number + b" " + codec, NUMBERS, CODECS),
    st.builds(lambda number: b"a=fmtp:" + number + b" 0-15", NUMBERS),
    st.sampled_from([b"a=sendonly", b"a=rtpmap", b"a=rtpmap:", b"a=fmtp:96", b"a=x-blfd-1", b"b=AS:64"]),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    port = draw(st.sampled_from([b"4000", b"0", b"00", b"04000"]))
    formats = draw(st.lists(NUMBERS, min_size=1, max_size=40))
    lines = draw(st.lists(ATTRIBUTES, max_size=80))
    place = draw(st.sampled_from([[], [b"c=IN IP4 192.0.2.1"]]))
    return b"\r\n".join([b"m=audio " + port + b" RTP/AVP " + b" ".join(formats), *place, *lines, b""])


@given(st.sampled_from([b"", b"c=IN IP4 192.0.2.1\r\n"]), st.lists(streams(), min_size=1, max_size=20))
def test_what_the_negotiator_looks_for_is_there(place: bytes, written: list[bytes]) -> None:
    session, *media = sections(
        sound(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n" + place + b"".join(written))
    )
    assert len(media) <= MOST_MEDIA
    for section in media:
        _, port, _, *formats = section[0].split()
        assert port in (b"0", b"4000")
        has_place = any(line.startswith(b"c=") for line in [*session, *section])
        assert has_place or port != b"0", "one that is refused needs one too"
        numbers = [number for number in formats if number.isdigit()]
        assert [b"%d" % int(number) for number in numbers] == numbers
        assert len(set(formats)) == len(formats) <= MOST_FORMATS
        assert len([line for line in section if line.startswith(b"a=")]) <= MOST_ATTRIBUTES
        maps = found(section, b"rtpmap")
        for numbered in (maps, found(section, b"fmtp")):
            assert len(set(numbered)) == len(numbered), "one each"
            assert set(numbered) <= set(formats), "and of no other"
        if not all(int(number) > LAST or int(number) >= DYNAMIC for number in numbers):
            assert {number for number in numbers if int(number) >= DYNAMIC} <= set(maps)
        assert len([line for line in section if re.match(rb"a=rtpmap:\d+ red/", line, re.I)]) <= 1


def found(section: Section, attribute: bytes) -> list[bytes]:
    """The payload types that lines of an attribute are about."""
    pattern = re.compile(rb"a=" + attribute + rb":(\S*)")
    return [match[1] for line in section for match in [pattern.match(line)] if match]
