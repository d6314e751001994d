"""Offers without the codecs that a trunk does not take: without media of its own, blfd can but leave out."""

from __future__ import annotations

import re
from collections.abc import Container

from blfd.core.calls.sdp import Section, joined, sections

_MEDIA = re.compile(rb"m=(?:audio|video) \S+ \S+ (.*)").fullmatch
_NAMED = re.compile(rb"a=rtpmap:(\d+) ([^/ ]+)").match
_OF_FORMAT = re.compile(rb"a=(?:rtpmap|fmtp|rtcp-fb):(\d+)\b").match
_BESIDE = frozenset(("TELEPHONE-EVENT", "CN", "RED", "ULPFEC", "FLEXFEC", "RTX"))
"""What goes beside a codec, and carries neither voice nor picture alone."""
_STATIC = {
    b"0": "PCMU",
    b"3": "GSM",
    b"4": "G723",
    b"8": "PCMA",
    b"9": "G722",
    b"13": "CN",
    b"18": "G729",
    b"26": "JPEG",
    b"31": "H261",
    b"34": "H263",
}


def only(offer: bytes, codecs: Container[str]) -> bytes:
    """The offer with these codecs, named in capitals; a stream of which no codec is left stays as it is."""
    session, *media = sections(offer)
    return joined([session, *(_only(section, codecs) for section in media)])


def _only(section: Section, codecs: Container[str]) -> Section:
    media = _MEDIA(section[0])
    if not media:
        return section
    names = dict(_STATIC)
    names |= {found[1]: found[2].decode("ascii", "replace") for line in section if (found := _NAMED(line))}
    formats = media[1].split()
    kept = [one for one in formats if names.get(one, "").upper() in codecs]
    if all(names.get(one, "").upper() in _BESIDE for one in kept):
        return section
    gone = set(formats) - set(kept)
    first = section[0][: len(section[0]) - len(media[1])] + b" ".join(kept)
    rest = [line for line in section[1:] if not ((found := _OF_FORMAT(line)) and found[1] in gone)]
    return [first, *rest]
