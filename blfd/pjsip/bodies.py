"""Bodies as they are past PJSIP, which prints of SDP what it knows, and copies what it holds.

PJSIP gets of each body what it needs: of SDP a short form for its negotiator, with a token in an attribute
of ours, of others the token alone. It prints the token wherever it sends that body, by itself as well
(retransmissions, session refreshes); what leaves is the body as the phone wrote it. Where another phone has
taken the place of one, the o= line goes on as PJSIP counts it (RFC 3264, section 8).
"""

from __future__ import annotations

import re
from collections import OrderedDict

from blfd.pjsip.descriptions import MARK, short, sound
from blfd.sip.tokens import Tokens

TOKEN = 16  # hexadecimal digits
KEPT = 64 << 20  # octets; past it those go that have not been sent for longest
COPIED = (b"Via:", b"From:", b"To:", b"Call-ID:", b"CSeq:")
_TOKEN = re.compile(MARK + rb"([0-9a-f]{%d})" % TOKEN)
_LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*[0-9]+", re.IGNORECASE)
_ORIGIN = re.compile(rb"^o=[^\r\n]*", re.MULTILINE)
_NAMED = re.compile(rb"^s=", re.MULTILINE)
_MEDIA = re.compile(rb"^m=(\S+) (\S+)", re.MULTILINE)


def instead_of(response: bytes) -> bytes:
    """What is sent in the place of a final response that is too large to be sent."""
    head = response.partition(b"\r\n\r\n")[0]
    kept = [line for line in head.split(b"\r\n") if line.startswith(COPIED)]
    lines = [b"SIP/2.0 513 The response is too large to be sent", *kept, b"Content-Length: 0", b"", b""]
    return b"\r\n".join(lines)


class Bodies:
    """The bodies that are on their way through PJSIP, by token."""

    def __init__(self) -> None:
        self._by_token: OrderedDict[bytes, bytes] = OrderedDict()
        self._octets = 0
        self._new_token = Tokens(digits=TOKEN).new

    def token(self, body: bytes) -> bytes:
        """What PJSIP gets in the place of `body`."""
        token = self._new_token().encode()
        self._by_token[token] = body
        self._octets += len(body)
        while self._octets > KEPT and len(self._by_token) > 1:
            _, oldest = self._by_token.popitem(last=False)
            self._octets -= len(oldest)
        return MARK + token

    def short(self, sdp: bytes) -> bytes:
        """The short form of SDP, with the token of all of it."""
        text = sound(sdp)
        return sdp if text is sdp else short(text, b"a=" + self.token(sdp))

    def session(self, printed: bytes) -> bytes:
        """The SDP that leaves for what PJSIP has `printed` of it."""
        found = _TOKEN.search(printed)
        body = self._by_token.get(found[1]) if found else None
        return _without_mark(printed) if body is None else _session(body, printed)

    def whole(self, message: bytes) -> bytes:
        """A message that PJSIP has printed, with the body that it stands for."""
        end = message.find(b"\r\n\r\n") + 4
        found = _TOKEN.search(message, end)
        if found is None:
            return message
        printed, body = message[end:], self._by_token.get(found[1])
        is_session = printed.startswith(b"v=")
        if body is not None:
            self._by_token.move_to_end(found[1])
            body = _session(body, printed) if is_session else body
        elif is_session:
            body = _without_mark(printed)
        else:  # a peer's own words
            return message
        head = _LENGTH.sub(b"\r\nContent-Length: %d" % len(body), message[: end - 4], count=1)
        return head + b"\r\n\r\n" + body


def _session(sdp: bytes, printed: bytes) -> bytes:
    """SDP as its phone wrote it, in the version that PJSIP has given it.

    Where PJSIP has put other streams in than there were, as in an offer that must go on with the streams of
    before (RFC 3264, section 8), its own words count.
    """
    if _MEDIA.findall(sdp) != _MEDIA.findall(printed):
        return _without_mark(printed)
    origin, own = _ORIGIN.search(printed), _ORIGIN.search(sdp)
    assert origin, "PJSIP prints an o= line"
    if own is None or own[0].split()[:2] != origin[0].split()[:2]:  # the session of before goes on
        sdp = _ORIGIN.sub(lambda found: origin[0], sdp, count=1)
    first = _ORIGIN.search(sdp)
    if first is None or _NAMED.search(sdp):
        return sdp
    return sdp[: first.end()] + b"\r\ns=-" + sdp[first.end() :]


def _without_mark(printed: bytes) -> bytes:
    return b"".join(line for line in printed.splitlines(True) if MARK not in line)
