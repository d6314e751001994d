"""SIP messages changed as broken phones, broken networks and attackers change them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

EXTREMES = (
    *b"0 -1 1 255 256 65536 2147483648 4294967296 0x10 1e9 9999999999999999999999999999999999999999".split(),
    b"",
)
TOKENS = (
    *b"INVITE ACK BYE CANCEL PRACK UPDATE INFO SUBSCRIBE REGISTER NOTIFY OPTIONS SIP/2.0 SIP/2.1".split(),
    *b'sip: sips: tel: * < > " ; , = @ % \\ <<<< [::1] 127.0.0.1 a.b.c.d 1.2.3.4:99999 %00 %2A97'.split(),
    *b";tag= ;tag= ;lr ;maddr= ;rport= ;received= ;ttl= ;transport=tcp ;branch=z9hG4bK".split(),
    *b"%0d%0aBYE%20x %0D%0A%0D%0A %7f %00%01%1b[2J %e2%80%ae %c2%85 %ff 9%0d%0aContent-Length%3a%200".split(),
    *(b"multipart/mixed;boundary=b", b"\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n"),
    *(b"\x01", b"\x7f", b"\x1b[31m", b"\x85", "\u202e".encode(), "\u2028".encode()),
    b"a=x:" + b"y" * 9000 + b"\r\n",
    *b"dialog presence application/sdp multipart/mixed;boundary=b timer 100rel replaces".split(),
    *(b"\r\n", b"\n", b"\r\n ", b"\r\n\r\n", b"\0", b"\xff\xfe", b"\xc3\x28", b"a" * 300, b"x" * 5000),
    *(b"m=audio 0 RTP/AVP 0\r\n", b"a=rtpmap:101 x/0\r\n", b"c=IN IP6 ::1\r\n", b"a=inactive\r\n"),
)
HEADERS = (
    (
        rb"""Require: 100rel|Require: nothing|Supported: 100rel, timer|Session-Expires: 1|Min-SE: 99999
Replaces: x;to-tag=y;from-tag=z|Contact: *|Expires: 0|RSeq: 1|RAck: 1 1 INVITE|Event: dialog;id=x
Record-Route: <sip:127.0.0.9;lr>|Route: <sip:127.0.0.9;lr>|Path: <sip:127.0.0.9;lr>|v: SIP/2.0/UDP x
Content-Type: multipart/mixed;boundary=b|Content-Encoding: gzip|Content-Length: 99999|l: 0|To: <sip:x@y>
Refer-To: <sip:x@y>|Authorization: Digest|Authorization: Basic eDp5|Accept: text/plain|Proxy-Require: x
Max-Forwards: 0|Date: never|Subscription-State: active|Session-Expires: 90;refresher=uac|Reason: x
Privacy: id;critical|Privacy: session;none|P-Asserted-Identity: <sip:102@x>, <tel:1>|P-Preferred-Identity: x
Alert-Info: <http://a/b>;info=x|Call-Info: <sip:x>;answer-after=0|Answer-Mode: Auto|Priority: emergency
Diversion: <sip:x@y>;privacy=full|History-Info: <sip:x?Privacy=history>|User-to-User: 00|Subject: x|s: y
Contact: <sip:x@127.0.0.9;method=BYE>|Contact: <sip:x@y>, <sip:z@y>|Path: <sip:localhost;lr>|CSeq: 1 BYE
Recv-Info: |Info-Package: x|Unsupported: x|Warning: 399 x "y"|Retry-After: 99999999999|Allow: x"""
    )
    .replace(b"\n", b"|")
    .split(b"|")
)
Change = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def flip(data: bytearray, dice: random.Random, others: Sequence[bytes]) -> None:
    data[dice.randrange(len(data))] = dice.randrange(256)


def cut_out(data: bytearray, dice: random.Random, others: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.choice((1, 2, 5, 20, 200))]


def repeat(data: bytearray, dice: random.Random, others: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    data[at:at] = data[at : at + dice.randint(1, 30)] * dice.choice((1, 2, 9, 200))


def truncate(data: bytearray, dice: random.Random, others: Sequence[bytes]) -> None:
    del data[dice.randrange(len(data)) :]


def insert_token(data: bytearray, dice: random.Random, others: Sequence[bytes]) -> None:
    at = dice.randrange(len(data))
    data[at:at] = dice.choice(TOKENS)


def replace_word(data: bytearray, dice: random.Random, others: Sequence[bytes]) -> None:
    found = dice.choice(list(re.finditer(rb"[\w.*-]+", data)) or [None])
    if found:
        data[found.start() : found.end()] = dice.choice(TOKENS)


def replace_number(data: bytearray, dice: random.Random, others: Sequence[bytes]) -> None:
    found = dice.choice(list(re.finditer(rb"\d+", data)) or [None])
    if found:
        data[found.start() : found.end()] = dice.choice(EXTREMES)


def with_lines(change: Callable[[list[bytes], int, random.Random], None]) -> Change:
    """A change to the lines of the header."""

    def changed(data: bytearray, dice: random.Random, others: Sequence[bytes]) -> None:
        head, end, body = bytes(data).partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        change(lines, dice.randrange(len(lines)), dice)
        data[:] = b"\r\n".join(lines) + end + body

    return changed


def _double(lines: list[bytes], at: int, dice: random.Random) -> None:
    lines.insert(dice.randint(0, len(lines)), lines[at])


def _drop(lines: list[bytes], at: int, dice: random.Random) -> None:
    del lines[at]


def _swap(lines: list[bytes], at: int, dice: random.Random) -> None:
    other = dice.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


def _add(lines: list[bytes], at: int, dice: random.Random) -> None:
    lines.insert(at + 1, dice.choice(HEADERS))


def _empty(lines: list[bytes], at: int, dice: random.Random) -> None:
    lines[at] = lines[at].partition(b":")[0] + b":"


def splice(data: bytearray, dice: random.Random, others: Sequence[bytes]) -> None:
    other = dice.choice(others) if others else b""
    at = dice.randrange(len(data))
    data[at:] = other[min(at, len(other)) :]


CHANGES: tuple[Change, ...] = (
    *(
        flip,
        cut_out,
        repeat,
        truncate,
        insert_token,
        replace_word,
        replace_word,
        replace_number,
        replace_number,
    ),
    *map(with_lines, (_double, _drop, _swap, _add, _add, _empty)),
    splice,
)


def mutated(data: bytes, dice: random.Random, others: Sequence[bytes]) -> bytes:
    """`data` after one to four changes; `others` are messages to splice with."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4))):
        if changed:
            dice.choice(CHANGES)(changed, dice, others)
    return bytes(changed[:60_000])


_START = re.compile(rb"([!-~]+) [!-~]+ [Ss][Ii][Pp]/2\.0\r?\n")
_NUMBERED = re.compile(rb"\s*\d+\s*([^\d\s][!-~]*)\s*")
_SINGLE = {b"f": b"from", b"t": b"to", b"i": b"call-id", b"l": b"content-length", b"v": b"via"}


def is_sound(data: bytes) -> bool:
    """Whether a request has the form without which it may not get a 2xx (RFC 3261, sections 7.1, 8.1.1)."""
    data = data.lstrip(b"\r\n")  # line ends before the start line are ignored (RFC 3261, section 7.5)
    start = _START.match(data)
    head, _, body = data.partition(b"\r\n\r\n")
    if not start:
        return False
    values: dict[bytes, list[bytes]] = {}
    for line in re.sub(rb"\r?\n[ \t]+", b" ", head).split(b"\n")[1:]:
        name, _, value = line.partition(b":")
        key = name.strip().lower()
        values.setdefault(_SINGLE.get(key, key), []).append(value.strip())
    if (
        any(len(values.get(name, ())) != 1 for name in (b"from", b"to", b"call-id", b"cseq"))
        or b"via" not in values
    ):
        return False
    cseq = _NUMBERED.fullmatch(values[b"cseq"][0])
    length = values.get(b"content-length", [b"0"])
    fits = len(length) == 1 and length[0].isdigit() and int(length[0]) <= len(body)
    return fits and cseq is not None and cseq[1] == start[1] and bool(values[b"call-id"][0])
