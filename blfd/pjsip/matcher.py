"""What a picker and the phone that it is to talk with can send each other, through PJSIP's negotiator.

Both have made an offer (RFC 3264), so each is answered from the other's. PJSIP chooses the codec and numbers
each answer as the offer does; what it does not look at, the keys of SDES (RFC 4568), is put right here.
"""

from __future__ import annotations

import re

from blfd.core.calls.leg_inputs import MediaMatched
from blfd.core.calls.media import lifted
from blfd.core.calls.mismatch import why
from blfd.core.calls.sdp import Section, joined, sections
from blfd.pjsip.descriptions import SdpPrinter
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.errors import PjsipError
from blfd.pjsip.leg import Leg
from blfd.pjsip.library import CData, check, ffi, lib

DYNAMIC = 96  # the first payload type that means what its a=rtpmap says

_CRYPTO = re.compile(rb"a=crypto:(\S+)\s+(\S+)\s+(.*)")
_NUMBERED = re.compile(rb"(a=(?:rtpmap|fmtp|rtcp-fb):)(\d+)(?=\s)")
_RTPMAP = re.compile(rb"a=rtpmap:(\d+)\s+(\S+)")


class Matcher:
    """Owns the memory that the negotiation takes."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._pool = endpoint.pool(b"matcher", 16_000)
        self._neg = ffi.new("pjmedia_sdp_neg **")
        self._found = ffi.new("const pjmedia_sdp_session **")
        self._text = SdpPrinter().text
        self._sources: list[CData] = []

    def describe(self, leg: Leg) -> bytes | None:
        """What a phone can send, as if nobody held it; None where it has said nothing yet."""
        lib.pj_pool_reset(self._pool)
        try:
            agreed = leg.session.agreed_sdp
            return None if agreed is None else lifted(self._text(agreed))
        except PjsipError:
            return None

    def match(self, picker: Leg, peer: Leg) -> MediaMatched:
        """What both legs' phones can send each other; without any SDP there is nothing to begin with."""
        lib.pj_pool_reset(self._pool)
        self._sources.clear()
        try:
            wanted, given = picker.session.remote_sdp, peer.session.remote_sdp
        except PjsipError:
            return MediaMatched(picker.number, False, why="The call is just changing its media")
        if wanted is None and given is None:
            return MediaMatched(picker.number, False, why="Neither phone has said what it can send")
        try:
            if given is None:
                return MediaMatched(picker.number, True, self._text(wanted), None)
            given = self._parsed(lifted(self._text(given)))  # whoever holds whom: it does so no longer
            if wanted is None:
                return MediaMatched(picker.number, True, None, self._text(given))
            if picker.is_connected:
                wanted = self._parsed(lifted(self._text(wanted)))
            to_peer = self._answer(wanted, given, as_offered=True)
            to_picker = self._answer(given, wanted, as_offered=False)
        except (PjsipError, NothingInCommon):
            return MediaMatched(picker.number, False, why=self._why(wanted, given))
        again = _renumbered(to_picker, self._text(given))
        return MediaMatched(picker.number, True, to_peer, to_picker, again)

    def _why(self, wanted: CData, given: CData) -> str:
        """Why two descriptions lead to nothing; "" where one cannot be read."""
        try:
            return why(self._text(wanted), self._text(given))
        except PjsipError:
            return ""

    def _answer(self, own: CData, offer: CData, *, as_offered: bool) -> bytes:
        """The answer to `offer` of who has offered `own`; `as_offered`: the codec that `offer` likes best."""
        for sdp in (own, offer):
            check("SDP", lib.pjmedia_sdp_validate(sdp))
        check("SDP", lib.pjmedia_sdp_neg_create_w_remote_offer(self._pool, own, offer, self._neg))
        neg = self._neg[0]
        lib.pjmedia_sdp_neg_set_prefer_remote_codec_order(neg, as_offered)
        check("negotiation", lib.pjmedia_sdp_neg_negotiate(self._pool, neg, 0))
        check("negotiation", lib.pjmedia_sdp_neg_get_active_local(neg, self._found))
        answer, offered = sections(self._text(self._found[0])), sections(self._text(offer))
        if all(_port(section) == b"0" for section in answer[1:]):  # PJSIP takes that for a success
            raise NothingInCommon
        pairs = zip(answer[1:], offered[1:], strict=True)
        with_keys = [_with_key(one, other, as_offered) for one, other in pairs]
        return joined([answer[0], *with_keys])

    def _parsed(self, text: bytes) -> CData:
        """The SDP in `text`, in the matcher's memory until the next `match`."""
        source = ffi.new("char[]", text)
        self._sources.append(source)  # PJSIP points into it
        out = ffi.new("pjmedia_sdp_session **")
        check("SDP", lib.pjmedia_sdp_parse(self._pool, source, len(text), out))
        return out[0]


class NothingInCommon(Exception):
    """No stream is left, or both encrypt it and by no suite that the other knows."""


def _with_key(answer: Section, offered: Section, as_offered: bool) -> Section:
    """One a=crypto in the answer: the suite both know, the offer's tag, the answerer's key (section 5.1.2).

    Both directions have to choose alike, so both go by the order of one phone, the offerer if `as_offered`.
    A stream that may go in the clear (its profile says so, whatever keys stand there) does without a key.
    """
    own, theirs = _keys(answer), _keys(offered)
    plain = [line for line in answer if not _CRYPTO.match(line)]
    if not theirs or _port(answer) == b"0":
        return plain
    first, second = (theirs, own) if as_offered else (own, theirs)
    suite = next((suite for suite in first if suite in second), None)
    if suite is None:
        if b"/SAVP" in answer[0]:
            raise NothingInCommon
        return plain
    return [*plain, b"a=crypto:%b %b %b" % (theirs[suite][0], suite, own[suite][1])]


def _keys(section: Section) -> dict[bytes, tuple[bytes, bytes]]:
    """The tag and key of each suite, in the order of preference."""
    keys: dict[bytes, tuple[bytes, bytes]] = {}
    for line in section:
        match = _CRYPTO.match(line)
        if match:
            keys.setdefault(match[2], (match[1], match[3]))
    return keys


def _port(section: Section) -> bytes:
    return section[0].split()[1]


def _renumbered(answer: bytes, source: bytes) -> bytes | None:
    """`answer`, which was made from `source`, with the payload types of `source`; None if it has them."""
    sources = {tuple(section[0].split()[:2]): section for section in sections(source)[1:]}
    renumbered = sections(answer)
    changed = False
    for place, section in enumerate(renumbered[1:], 1):
        original = sources.get(tuple(section[0].split()[:2]))
        if original is None:
            continue
        wanted = {codec.lower(): number for number, codec in _codecs(original)}
        numbers = {number: wanted.get(codec.lower(), number) for number, codec in _codecs(section)}
        if any(int(one) >= DYNAMIC and one != other for one, other in numbers.items()):
            renumbered[place] = _with_numbers(section, numbers)
            changed = True
    return joined(renumbered) if changed else None


def _codecs(section: Section) -> list[tuple[bytes, bytes]]:
    return [(match[1], match[2]) for line in section for match in [_RTPMAP.match(line)] if match]


def _with_numbers(section: Section, numbers: dict[bytes, bytes]) -> Section:
    media, port, profile, *formats = section[0].split()
    first = b" ".join([media, port, profile, *(numbers.get(number, number) for number in formats)])

    def renumber(match: re.Match[bytes]) -> bytes:
        return match[1] + numbers.get(match[2], match[2])

    return [first, *(_NUMBERED.sub(renumber, line, count=1) for line in section[1:])]
