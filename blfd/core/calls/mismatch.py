"""Why the media of two phones do not fit, in words: what stands in the way first is told.

Phones decide themselves what they offer, so nothing is refused by what is found here: it is asked when a
negotiation has found nothing.
"""

from __future__ import annotations

import re
from enum import Enum

from blfd.core.calls.media import APART, are_apart
from blfd.core.calls.sdp import Section, sections

NO_CODEC = "The phones have no codec in common"
NO_SUITE = "Both phones encrypt media by SDES, and have no suite in common"
NO_STREAM = "A phone has offered no media at all"
CLOSED = "A phone has closed all its media: each stream has port 0"
OTHER_MEDIA = "The phones have no kind of media in common: audio, video, ..."

_SUITE = re.compile(rb"a=crypto:\S+\s+(\S+)")
_RTP = re.compile(rb"RTP/(S?)AVP", re.I)


class Keys(Enum):
    """How a stream is encrypted, as people say it."""

    NONE = "RTP without encryption"
    SDES = "SRTP by SDES"
    DTLS = "SRTP by DTLS"


def why(one: bytes, other: bytes) -> str:
    """Why what one phone offers and what the other does lead to nothing."""
    (session, *first), (other_session, *second) = sections(one), sections(other)
    if not first or not second:
        return NO_STREAM
    first, second = ([each for each in media if _word(each, 1) != b"0"] for media in (first, second))
    if not first or not second:
        return CLOSED
    kinds = {_word(each, 0) for each in first} & {_word(each, 0) for each in second}
    if not kinds:
        return OTHER_MEDIA
    if are_apart(one, other):
        return APART
    pairs = [
        (_keys(mine, session), _keys(theirs, other_session), mine, theirs)
        for mine in first
        for theirs in second
        if _word(mine, 0) == _word(theirs, 0) and _word(mine, 0) in kinds
    ]
    if not any(mine is theirs for mine, theirs, _, _ in pairs):
        mine, theirs, _, _ = pairs[0]
        return f"One phone has {mine.value} alone, the other {theirs.value}"
    if all(mine is Keys.SDES and theirs is Keys.SDES for mine, theirs, _, _ in pairs) and not any(
        _suites(mine) & _suites(theirs) for _, _, mine, theirs in pairs
    ):
        return NO_SUITE
    return NO_CODEC


def _word(section: Section, at: int) -> bytes:
    words = section[0][2:].split()
    return words[at].lower() if at < len(words) else b""


def _keys(section: Section, session: Section) -> Keys:
    """How a stream is encrypted; one that may go in the clear is none that is."""
    profile = _RTP.search(_word(section, 2))
    if not profile or not profile[1]:
        return Keys.NONE
    is_dtls = _word(section, 2).startswith(b"udp/tls") or b"tcp/tls" in _word(section, 2)
    has_print = any(line.startswith(b"a=fingerprint:") for line in (*section, *session))
    return Keys.DTLS if is_dtls or (has_print and not _suites(section)) else Keys.SDES


def _suites(section: Section) -> set[bytes]:
    return {match[1] for line in section if (match := _SUITE.match(line))}
