"""A session description as PJSIP takes it, made from what phones write.

PJSIP has no room for many attributes, and refuses a whole description for one line that it does not look
at otherwise. So it gets the lines that it knows, mended where that is sure; what is sent to the other phone
stays as it was written, see `bodies`.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from blfd.core.calls.sdp import Section, joined, remembered, sections
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.errors import PjsipError
from blfd.pjsip.library import CData, check, ffi, lib

MARK = b"x-blfd-"
"""What the name of our attribute begins with."""
MOST_ATTRIBUTES, MOST_FORMATS, MOST_MEDIA = 60, 30, 16  # a section, a stream, a session: PJSIP has 68, 32, 16
MOST_DIGITS = 18  # of the numbers in o=, which are 64 bits wide in PJSIP
SHORT = 1600  # octets of the short form
LONGEST = 65_535  # octets that PJSIP prints
DYNAMIC, LAST = 96, 127  # payload types that mean what an a=rtpmap says, and the last that there is
_TIME = re.compile(rb"t=\d+ \d+")
_BANDWIDTH = re.compile(rb"b=[^:\s]+:\d+")
_ATTRIBUTE = re.compile(rb"a=[^:\s]")
_RTPMAP = re.compile(rb"a=rtpmap:(\d+)\s")
_OF_PAYLOAD = re.compile(rb"a=(rtpmap|fmtp):(\d+)")
_RED = re.compile(rb"a=rtpmap:\d+ red/", re.IGNORECASE)
_ZEROS_BEFORE = re.compile(rb"\A0+(?=\d)")
_NUMBER = re.compile(rb"0*(\d+)")
_ZEROS = re.compile(rb"\A(a=(?:rtpmap|fmtp):)0+(?=\d)")
_SOUND_PAYLOAD = re.compile(rb"a=(?:rtpmap:0*(\d{1,3}) [^\s/]|fmtp:0*(\d{1,3}) )")
# What the negotiator compares, the most needed first.
_NEGOTIATED = (b"a=rtpmap:", b"a=sendrecv", b"a=sendonly", b"a=recvonly", b"a=inactive", b"a=fmtp:")


def sound(sdp: bytes) -> bytes:
    """SDP that PJSIP takes, from what phones write; the same object where it is beyond that."""
    found = _sound(sdp)
    return sdp if found is None else found


@remembered  # as what one phone has said is given to PJSIP again for the other one
def _sound(sdp: bytes) -> bytes | None:
    session, *streams = sections(sdp)
    if not streams:  # it is none, and PJSIP will say so
        return None
    by_kind = {line[:2]: line for line in reversed(session)}
    name, time = by_kind.get(b"s=", b"s=").strip(), by_kind.get(b"t=", b"")
    head = [
        b"v=0",
        _origin(by_kind.get(b"o=", b"o=")),
        name if len(name) > 2 else b"s=-",
        *([by_kind[b"c="]] if b"c=" in by_kind else []),
        *[line for line in session if _BANDWIDTH.fullmatch(line)],
        time if _TIME.fullmatch(time) else b"t=0 0",
        *_attributes(session),
    ]
    media = [_stream(lines, has_connection=b"c=" in by_kind) for lines in streams[:MOST_MEDIA]]
    return joined([head, *media])


def _origin(line: bytes) -> bytes:
    """An o= of six fields (RFC 4566, section 5.2): a user with blanks is joined, what is missing made up."""
    fields = line[2:].split()
    if len(fields) > 6:
        fields = [b"_".join(fields[:-5]), *fields[-5:]]
    if len(fields) == 5:
        fields.insert(0, b"-")
    if len(fields) != 6 or not (fields[1].isdigit() and fields[2].isdigit()):
        address = fields[-1] if fields and fields[-1].count(b".") == 3 else b"127.0.0.1"
        fields = [b"-", b"1", b"1", b"IN", b"IP4", address]
    fields[1:3] = [number[-MOST_DIGITS:] for number in fields[1:3]]
    return b"o=" + b" ".join(fields)


def _stream(lines: Section, *, has_connection: bool) -> Section:
    """One m= and what belongs to it; `has_connection`: the session has a c= for all."""
    media, port, *more = [*lines[0].split(), b"", b""][:2] + lines[0].split()[2 : 3 + MOST_FORMATS]
    port = _ZEROS_BEFORE.sub(b"", port)
    said = b"\r\n".join((b" ".join(more[1:]), *(line for line in lines if line[:2] == b"a=")))
    formats, attributes = _formats_of(said)
    connection = [line for line in lines if line[:2] == b"c="]
    if port == b"0" and not connection and not has_connection:  # no place is needed by who refuses a stream
        connection = [b"c=IN IP4 0.0.0.0"]
    first = b" ".join([media, port, *more[:1], *formats]).rstrip()
    bandwidths = [line for line in lines if _BANDWIDTH.fullmatch(line)]
    return [first, *connection, *bandwidths, *attributes]


@remembered  # as a phone says the same in each call, from another port
def _formats_of(said: bytes) -> tuple[list[bytes], Section]:
    """The formats of a stream and its attributes; `said` is a line of the first, and the lines of these.

    PJSIP's negotiator asserts that what it looks for is there, and an assertion ends the process. So a
    payload type stands once and in one spelling, with one a=rtpmap and one a=fmtp at most, and there are none
    of others.
    """
    names, *lines = said.split(b"\r\n")
    attributes = _attributes(lines)
    named = list(dict.fromkeys(_format(name) for name in names.split()))
    meant = {found[1]: line for line in reversed(attributes) for found in [_RTPMAP.match(line)] if found}
    again = [name for name in named if _RED.match(meant.get(name, b""))][1:]
    plain = [name for name in named if name not in again and not _is_unknown(name, meant.keys())]
    return plain or named, _of_formats(attributes, plain or named)


def _of_formats(attributes: Section, formats: list[bytes]) -> Section:
    """The attributes without a=rtpmap and a=fmtp of what is no format, and second ones of what is."""
    kept, seen = [], set()
    for line in attributes:
        found = _OF_PAYLOAD.match(line)
        if found is not None:
            if found[2] not in formats or found[0] in seen:
                continue
            seen.add(found[0])
        kept.append(line)
    return kept


def _format(name: bytes) -> bytes:
    """A payload type without zeros before it: PJSIP compares numbers, reads one from whatever begins with a
    digit, and asserts that the texts of those that are equal are alike."""
    number = _NUMBER.match(name)
    return name if number is None else number[1] if len(number[1]) <= 3 else b"%d" % (LAST + 1)


def _is_unknown(name: bytes, described: Collection[bytes]) -> bool:
    """Whether a format is a payload type that nothing says the meaning of."""
    return name.isdigit() and (int(name) > LAST or (int(name) >= DYNAMIC and name not in described))


def _attributes(section: Section) -> Section:
    """The attributes of a section, no more than PJSIP holds: those that it negotiates first.

    None of them is about a payload type beyond the last: PJSIP's negotiator takes the number of an a=rtpmap
    for a place in its table, whatever it is.
    """
    attributes = [
        _ZEROS.sub(rb"\1", line, count=1)
        for line in section
        if _ATTRIBUTE.match(line) and MARK not in line and _is_safe(line)
    ]
    if len(attributes) <= MOST_ATTRIBUTES:
        return attributes
    ranked = sorted(range(len(attributes)), key=lambda at: (_rank(attributes[at]), at))
    return [attributes[at] for at in sorted(ranked[:MOST_ATTRIBUTES])]


def _is_safe(attribute: bytes) -> bool:
    if not attribute.startswith((b"a=rtpmap", b"a=fmtp")):
        return True
    match = _SOUND_PAYLOAD.match(attribute)
    number = int(match[1] or match[2]) if match else LAST + 1
    # PJSIP asserts that telephone-event is dynamic.
    return number <= LAST and (number >= DYNAMIC or b" telephone-event" not in attribute.lower())


def _rank(attribute: bytes) -> int:
    return next((n for n, kind in enumerate(_NEGOTIATED) if attribute.startswith(kind)), len(_NEGOTIATED))


def short(sdp: bytes, mark: bytes) -> bytes:
    """Sound SDP as far as the negotiator compares it, and it is short, with `mark` as an attribute."""
    before, after = _shortened(sdp)
    return b"\r\n".join((before, mark, after))


@remembered
def _shortened(sdp: bytes) -> tuple[bytes, bytes]:
    """The short form, before the place of another attribute and from there on."""
    lines = sdp.split(b"\r\n")
    compared = [line for line in lines if line[:2] not in (b"a=", b"b=") or line.startswith(_NEGOTIATED)]
    for dropped in (b"", b"a=fmtp:", b"a=rtpmap:"):
        if dropped:
            compared = [line for line in compared if not line.startswith(dropped)]
        if sum(map(len, compared)) <= SHORT:
            break
    at = next(n for n, line in enumerate(compared) if line[:2] == b"t=") + 1
    return b"\r\n".join(compared[:at]), b"\r\n".join(compared[at:])


class SdpParser:
    """Parses SDP for one PJSIP call, which copies what it keeps."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._pool = endpoint.pool(b"sdp", 8000)
        self._out = ffi.new("pjmedia_sdp_session **")

    def parse(self, text: bytes) -> CData:
        """The session description in `text`. Raises PjsipError for what is no valid SDP."""
        lib.pj_pool_reset(self._pool)
        self._buffer = ffi.new("char[]", text)
        check("SDP", lib.pjmedia_sdp_parse(self._pool, self._buffer, len(text), self._out))
        check("SDP", lib.pjmedia_sdp_validate(self._out[0]))
        return self._out[0]

    def fault(self, sdp: bytes | None) -> str:
        """What is wrong with the SDP of a phone, in words for people; "" where PJSIP takes it."""
        try:
            self.parse(sound(sdp or b""))
        except PjsipError as error:
            return error.words
        return ""


class SdpPrinter:
    """Prints PJSIP's session descriptions."""

    def __init__(self) -> None:
        self._room = ffi.new(f"char[{LONGEST}]")

    def text(self, sdp: CData) -> bytes:
        """A session description as octets. Raises PjsipError."""
        length = lib.pjmedia_sdp_print(sdp, self._room, LONGEST)
        if length < 0:
            raise PjsipError("SDP is too long", length)
        return bytes(ffi.buffer(self._room, length))
