"""Bodies of any size past PJSIP, which prints 4,000 octets of a message at most, and of SDP what it knows.

PJSIP gets of each body what it needs: of SDP a short form for its negotiator, with a token in an attribute
of ours, of others the token alone. It prints the token wherever it sends that body, by itself as well
(retransmissions, session refreshes); what leaves is the body as the phone wrote it. Where another phone has
taken the place of one, the o= line goes on as PJSIP counts it (RFC 3264, section 8).
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict

MARK = b"x-blfd-"
TOKEN = 16  # hexadecimal digits
KEPT = 64 << 20  # octets; past it those go that have not been sent for longest
MOST_ATTRIBUTES, MOST_FORMATS, MOST_MEDIA = 60, 30, 16  # a section, a stream, a session: PJSIP has 68, 32, 16
SHORT = 1600  # octets of the short form
COPIED = (b"Via:", b"From:", b"To:", b"Call-ID:", b"CSeq:")
_TOKEN = re.compile(MARK + rb"([0-9a-f]{%d})" % TOKEN)
_LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*[0-9]+", re.IGNORECASE)
_ORIGIN = re.compile(rb"^o=[^\r\n]*", re.MULTILINE)
_NAMED = re.compile(rb"^s=", re.MULTILINE)
_MEDIA = re.compile(rb"^m=(\S+) (\S+)", re.MULTILINE)
# What the negotiator compares, the most needed first.
_NEGOTIATED = (b"a=rtpmap:", b"a=sendrecv", b"a=sendonly", b"a=recvonly", b"a=inactive", b"a=fmtp:")


def instead_of(response: bytes) -> bytes:
    """What is sent in the place of a final response that is too large to be sent."""
    head = response.partition(b"\r\n\r\n")[0]
    kept = [line for line in head.split(b"\r\n") if line.startswith(COPIED)]
    lines = [b"SIP/2.0 513 The response is too large to be sent", *kept, b"Content-Length: 0", b"", b""]
    return b"\r\n".join(lines)


class Bodies:
    """What is on its way through PJSIP, by token."""

    def __init__(self) -> None:
        self._by_token: OrderedDict[bytes, bytes] = OrderedDict()
        self._octets = 0

    def token(self, body: bytes) -> bytes:
        """What PJSIP gets in the place of `body`."""
        token = secrets.token_hex(TOKEN // 2).encode()
        self._by_token[token] = body
        self._octets += len(body)
        while self._octets > KEPT and len(self._by_token) > 1:
            _, oldest = self._by_token.popitem(last=False)
            self._octets -= len(oldest)
        return MARK + token

    def short(self, sdp: bytes) -> bytes:
        """The short form of SDP, with the token of all of it."""
        text = sound(sdp)
        return short(text, b"a=" + self.token(sdp)) if text is not sdp else sdp

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


def sound(sdp: bytes) -> bytes:
    """SDP that PJSIP takes, from what phones write: an o= of six fields, an s= and a t=."""
    lines = [line.rstrip(b" \t") for line in sdp.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")]
    lines = [line for line in lines if line[1:2] == b"="]
    first = next((at for at, line in enumerate(lines) if line[:2] == b"m="), len(lines))
    session, media = lines[:first], lines[first:]
    if not media:  # it is none, and PJSIP will say so
        return sdp
    by_kind = {line[:2]: line for line in reversed(session)}
    name = by_kind.get(b"s=", b"s=").strip()
    head = [
        b"v=0",
        _origin(by_kind.get(b"o=", b"o=")),
        name if len(name) > 2 else b"s=-",
        *([by_kind[b"c="]] if b"c=" in by_kind else []),
        *[line for line in session if line[:2] == b"b="],
        by_kind.get(b"t=", b"t=0 0") if len(by_kind.get(b"t=", b"t=0 0").split()) == 2 else b"t=0 0",
        *[line for line in session if line[:2] == b"a="],
    ]
    return b"\r\n".join([*_bounded(head), *_sections(media), b""])


def _origin(line: bytes) -> bytes:
    """Six fields (RFC 4566, section 5.2): a user with blanks is joined, what is missing is made up."""
    fields = line[2:].split()
    if len(fields) > 6:
        fields = [b"_".join(fields[:-5]), *fields[-5:]]
    if len(fields) == 5:
        fields.insert(0, b"-")
    if len(fields) != 6 or not (fields[1].isdigit() and fields[2].isdigit()):
        address = fields[-1] if fields and fields[-1].count(b".") == 3 else b"127.0.0.1"
        fields = [b"-", b"1", b"1", b"IN", b"IP4", address]
    return b"o=" + b" ".join(fields)


def _sections(lines: list[bytes]) -> list[bytes]:
    """The lines of all streams, each with as much as PJSIP holds."""
    found: list[bytes] = []
    section: list[bytes] = []
    streams = 0
    for line in [*lines, b"m="]:
        if line[:2] == b"m=":
            found += _bounded(section)
            streams += 1
            if streams > MOST_MEDIA:
                break
            section = [_stream(line)]
        elif line[:2] in (b"c=", b"b=", b"a="):
            section.append(line)
    return found


def _stream(line: bytes) -> bytes:
    kept = line.split()[: 3 + MOST_FORMATS]
    return b" ".join(kept)


def _bounded(section: list[bytes]) -> list[bytes]:
    """No more attributes than PJSIP holds: those that it negotiates first."""
    attributes = [line for line in section if line[:2] == b"a=" and MARK not in line]
    if len(attributes) > MOST_ATTRIBUTES:
        ranked = sorted(range(len(attributes)), key=lambda at: (_rank(attributes[at]), at))
        attributes = [attributes[at] for at in sorted(ranked[:MOST_ATTRIBUTES])]
    return [*[line for line in section if line[:2] != b"a="], *attributes]


def _rank(attribute: bytes) -> int:
    return next((n for n, kind in enumerate(_NEGOTIATED) if attribute.startswith(kind)), len(_NEGOTIATED))


def short(sdp: bytes, mark: bytes) -> bytes:
    """Of sound SDP what the negotiator compares, as far as it is short, with `mark` as an attribute."""
    lines = sdp.split(b"\r\n")
    compared = [line for line in lines if line[:2] not in (b"a=", b"b=") or line.startswith(_NEGOTIATED)]
    for dropped in (b"", b"a=fmtp:", b"a=rtpmap:"):
        if dropped:
            compared = [line for line in compared if not line.startswith(dropped)]
        if sum(map(len, compared)) <= SHORT:
            break
    at = next(n for n, line in enumerate(compared) if line[:2] == b"t=") + 1
    return b"\r\n".join([*compared[:at], mark, *compared[at:]])
