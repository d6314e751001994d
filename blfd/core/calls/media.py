"""What the core has to know of SDP: where streams go and which way (RFC 3264), who holds, and whose it is."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NamedTuple

from blfd.core.calls.sdp import Section, joined, remembered, sections

BOTH, SENDS, RECEIVES, NEITHER = b"sendrecv", b"sendonly", b"recvonly", b"inactive"
DIRECTIONS = (BOTH, SENDS, RECEIVES, NEITHER)
NOWHERE, NOWHERE_IPV6 = b" 0.0.0.0", b" ::"  # the end of the c= of who holds as RFC 2543 has it
IPV4, IPV6 = b"IP4", b"IP6"
FAMILIES = frozenset((IPV4, IPV6))
APART = "The media of the phones cannot meet: one has IPv4, the other IPv6"

# Phones write name and extension into fields for people, and into o= (RFC 8866, sections 5.2 to 5.6). They
# name themselves by a=tool (6.3), and their user by a=identity (RFC 8827); a key in k= is one that all on the
# way have read, and to be left out (RFC 8866, section 5.12). None of it does anything for a call.
_BEGINS = rb"(?<![^\r\n])"  # a line, as `sdp` cuts them
_ABOUT = re.compile(_BEGINS + rb"(?:[iuepk]=|a=(?:tool|cat|keywds|identity):)[^\r\n]*(?:\r\n|\r|\n|\Z)")
_CNAME = re.compile(_BEGINS + rb"(a=ssrc:\d+ cname:)([^\r\n]*)")
_SESSION_NAME = re.compile(_BEGINS + rb"s=[^\r\n]*")
_ORIGIN = re.compile(_BEGINS + rb"o=([^\r\n]*)")
_FAMILY = re.compile(rb"(?<=IN )IP[46](?= )")
_ALTERNATIVE = re.compile(_BEGINS + rb"a=altc:\d+ (IP[46]) ")
_REFUSED = re.compile(rb"^(m=\S+) \S+ ")
_CRYPTO = re.compile(rb"a=crypto:(\d+) (\S+) inline:")
_PROFILES = frozenset((b"RTP/AVP", b"RTP/AVPF", b"RTP/SAVP", b"RTP/SAVPF"))
_KEYS = {  # octets of key and salt, by the crypto suite (RFC 4568, 6188 and 7714)
    b"AES_CM_128_HMAC_SHA1_80": 30,
    b"AES_CM_128_HMAC_SHA1_32": 30,
    b"F8_128_HMAC_SHA1_80": 30,
    b"AES_192_CM_HMAC_SHA1_80": 38,
    b"AES_192_CM_HMAC_SHA1_32": 38,
    b"AES_256_CM_HMAC_SHA1_80": 46,
    b"AES_256_CM_HMAC_SHA1_32": 46,
    b"AEAD_AES_128_GCM": 28,
    b"AEAD_AES_256_GCM": 44,
}
_CANDIDATE = re.compile(_BEGINS + rb"a=candidate:\S+ \d+ \S+ \d+ (\S+) ")


class Stream(NamedTuple):
    """The stream of one m=, with what holds for the whole session where it says nothing else."""

    media: bytes
    port: bytes
    direction: bytes
    connection: bytes

    @property
    def sends(self) -> bool:
        return self.direction in (BOTH, SENDS)

    @property
    def receives(self) -> bool:
        return self.direction in (BOTH, RECEIVES)


@remembered
def streams(sdp: bytes) -> tuple[Stream, ...]:
    session, *media = sections(sdp)
    common = _described(session, Stream(b"", b"", BOTH, b""))
    return tuple(_described(section, common) for section in media)


def _described(section: Section, common: Stream) -> Stream:
    """What a section says, and `common` where it says nothing."""
    stream = common
    for line in section:
        kind, value = line[:2], line[2:].strip()
        if kind == b"m=":
            media, port = [*value.split(), b"", b""][:2]
            stream = stream._replace(media=media, port=port)
        elif kind == b"a=" and value in DIRECTIONS:
            stream = stream._replace(direction=value)
        elif kind == b"c=":
            stream = stream._replace(connection=value)
    return stream


def held(sdp: bytes) -> bool:
    """Whether whoever sent `sdp` does not listen: every stream is sendonly, inactive or nowhere.

    RFC 3264, section 8.4, and the older form of RFC 2543. Without a stream there is nothing to hold.
    """
    found = _open(sdp)
    return bool(found) and not any(s.receives and not _is_nowhere(s.connection) for s in found)


def lifted(sdp: bytes) -> bytes:
    """`sdp` of who may be held or hold, as it is when nobody does: every stream goes both ways."""
    return _directed(sdp, [BOTH for _ in streams(sdp)])


def answering(answer: bytes, offer: bytes) -> bytes:
    """`answer` with no more than `offer` allows: nobody sends who is not heard (RFC 3264, section 6.1)."""
    directions = [
        _direction(one.sends and other.receives, one.receives and other.sends)
        for one, other in zip(streams(answer), streams(offer), strict=False)
    ]
    beyond = streams(answer)[len(directions) :]
    return _directed(answer, [*directions, *(stream.direction for stream in beyond)])


def silent(offer: bytes | None) -> bytes | None:
    """What one says who neither sends nor hears: the answer to `offer`, or an offer where there is none.

    The first stream of audio is taken, in its first format, that needs nothing but SDES (RFC 4568); None
    where there is none. The others are refused (RFC 3264, section 6).
    """
    if offer is None:
        return joined([_silence(IPV4), [b"m=audio 9 RTP/AVP 0 8", b"a=" + NEITHER]])
    _, *media = sections(offer)
    answered = [_silently(section) for section in media]
    taken = next((number for number, found in enumerate(answered) if found), None)
    if taken is None:
        return None
    refused = [[_REFUSED.sub(rb"\1 0 ", section[0], count=1)] for section in media]
    families = _families(offer)
    return joined(
        [
            _silence(IPV6 if families == {IPV6} else IPV4),
            *refused[:taken],
            answered[taken] or [],
            *refused[taken + 1 :],
        ]
    )


def _silence(family: bytes) -> Section:
    nowhere = b"IN " + family + (NOWHERE if family == IPV4 else NOWHERE_IPV6)
    return [b"v=0", b"o=- 1 1 " + nowhere, b"s=-", b"c=" + nowhere, b"t=0 0"]


def _silently(section: Section) -> Section | None:
    """The answer to a stream; None where it is not taken. Its key protects nothing: nothing is ever sent."""
    media, port, profile, kind, *_ = [*section[0].split(), b"", b"", b"", b""]
    if media != b"m=audio" or port == b"0" or profile not in _PROFILES or not kind.isdigit():
        return None
    key: Section = []
    if profile.startswith(b"RTP/SAVP"):
        offered = (match for line in section if (match := _CRYPTO.match(line)))
        found = next((match for match in offered if match[2] in _KEYS), None)
        if found is None:
            return None
        octets = hashlib.shake_128(b"".join(section)).digest(_KEYS[found[2]])
        key = [b"a=crypto:%b %b inline:%b" % (found[1], found[2], base64.b64encode(octets))]
    named = [line for line in section if line.startswith(b"a=rtpmap:%b " % kind)][:1]
    return [b"m=audio 9 %b %b" % (profile, kind), *named, *key, b"a=" + NEITHER]


def moved(known: bytes, sdp: bytes) -> bool:
    """Whether who is told of `known` has to be told of `sdp`, as its media goes elsewhere or another way."""
    before, after = (
        {s.media: (s.port, s.direction, s.connection) for s in _open(one)} for one in (known, sdp)
    )
    return bool(before) and before != after


def differs(one: bytes, other: bytes) -> bool:
    """Whether two descriptions say anything else but who has made them, and when."""
    first, second = (
        [[line for line in section if line[:2] != b"o="] for section in sections(sdp)] for sdp in (one, other)
    )
    return first != second


def are_apart(one: bytes | None, other: bytes | None) -> bool:
    """Whether two phones have no address family in common for their media, as far as they say."""
    return bool(one and other) and _families(one or b"").isdisjoint(_families(other or b""))


@remembered
def _families(sdp: bytes) -> frozenset[bytes]:
    """The address families of c= and of what ICE (RFC 8839) and altc (RFC 6947) offer beside it; all of them
    where none is said."""
    said = [_FAMILY.search(s.connection) for s in _open(sdp) if not _is_nowhere(s.connection)]
    found = {match[0] if match else b"" for match in said}
    found.update(_ALTERNATIVE.findall(sdp))
    for address in _CANDIDATE.findall(sdp):
        found.add(IPV6 if b":" in address else IPV4 if address[-1:].isdigit() else b"")
    return frozenset(found) if found and b"" not in found else FAMILIES


def _is_nowhere(connection: bytes) -> bool:
    return connection.endswith((NOWHERE, NOWHERE_IPV6))


def _open(sdp: bytes) -> list[Stream]:
    return [stream for stream in streams(sdp) if stream.port != b"0"]


def _direction(sends: bool, receives: bool) -> bytes:
    return {(True, True): BOTH, (True, False): SENDS, (False, True): RECEIVES}.get((sends, receives), NEITHER)


def _directed(sdp: bytes, directions: list[bytes]) -> bytes:
    """`sdp` with these directions of its streams; as it is where it has them."""
    if [stream.direction for stream in streams(sdp)] == directions:
        return sdp
    session, *media = [
        [line for line in section if line.removeprefix(b"a=") not in DIRECTIONS] for section in sections(sdp)
    ]
    pairs = zip(media, directions, strict=True)
    return joined([session, *([*section, b"a=" + direction] for section, direction in pairs)])


def unnamed(sdp: bytes) -> bytes:
    """`sdp` without what names its sender, and all else of it octet for octet."""
    names: dict[bytes, bytes] = {}

    def by_number(line: re.Match[bytes]) -> bytes:
        return line[1] + names.setdefault(line[2], b"%d" % (len(names) + 1))

    found = _CNAME.sub(by_number, sdp) if b"cname:" in sdp else sdp
    return _ORIGIN.sub(_of_nobody, _SESSION_NAME.sub(b"s=-", _ABOUT.sub(b"", found)))


def _of_nobody(line: re.Match[bytes]) -> bytes:
    """An o= without its user, who may be of several words: five fields follow (RFC 4566, section 5.2)."""
    fields = line[1].rsplit(None, 5)
    user = fields[0] if len(fields) == 6 else line[1].partition(b" ")[0]
    return b"o=-" + line[1][len(user) :]
