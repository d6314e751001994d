"""A message's octets, before and beside PJSIP: header fields, faults that PJSIP lets pass, refusals."""

from __future__ import annotations

import re

from blfd.pjsip.library import encode

MAX_HEADER_LINES = 256
MAX_FORWARDS = 255
SINGLE = frozenset(
    (
        b"call-id",
        b"content-length",
        b"content-type",
        b"cseq",
        b"event",
        b"expires",
        b"from",
        b"max-forwards",
        b"to",
    )
)
SERVED_SCHEMES = (b"sip", b"sips", b"tel")

COMPACT = {
    b"b": b"referred-by",
    b"e": b"content-encoding",
    b"s": b"subject",
    b"v": b"via",
    b"f": b"from",
    b"t": b"to",
    b"i": b"call-id",
    b"m": b"contact",
    b"o": b"event",
    b"u": b"allow-events",
    b"l": b"content-length",
    b"c": b"content-type",
    b"k": b"supported",
}
_LINE = re.compile(rb"^([!-9;-~]+)[ \t]*:[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.M)
NAMES = {b"via": b"Via: ", b"from": b"From: ", b"to": b"To: ", b"call-id": b"Call-ID: ", b"cseq": b"CSeq: "}
_START_LINE = re.compile(rb"^([!-~]+) +(?:[^\r\n]+? +)?SIP/(\d+\.\d+)[ \t]*\r?\n", re.I)  # URI may be missing
_REQUEST_LINE = re.compile(rb"[!-~]+ [!-~\x80-\xff]+ SIP/2\.0", re.I)
_OTHER_CREDENTIALS = re.compile(rb"^(?:proxy-)?authorization(?=[ \t]*:\s*(?!\s|digest\b))", re.I | re.M)
_SCHEME = re.compile(rb"^[!-~]+ +([a-z][a-z0-9+.-]*):", re.I)


_LONG_NAMES: dict[bytes, bytes] = {}  # what phones write is a small set, and lower() on each line adds up


def _long_name(written: bytes) -> bytes:
    name = written.lower()
    name = COMPACT.get(name, name)
    if len(_LONG_NAMES) < 1000:
        _LONG_NAMES[written] = name
    return name


def fields_of(data: bytes) -> dict[bytes, list[bytes]]:
    """Header fields by lower-case long name, their values as they came (RFC 3261, section 7.3)."""
    found: dict[bytes, list[bytes]] = {}
    end = data.find(b"\r\n\r\n")
    for written, value in _LINE.findall(data, 0, end if end >= 0 else len(data)):
        name = _LONG_NAMES.get(written) or _long_name(written)
        if name in found:
            found[name].append(value)
        else:
            found[name] = [value]
    return found


def text_of(value: bytes) -> str:
    """A header's value: unfolded, trimmed."""
    if b"\n" in value:
        value = b" ".join(value.split())
    return value.strip().decode("utf-8", "surrogateescape")


def _digits(fields: dict[bytes, list[bytes]], name: bytes) -> bytes:
    """A header's value if it is a number, else b""."""
    value = fields[name][0].strip() if name in fields else b""
    return value if value.isdigit() else b""


def fault_of_lines(data: bytes) -> str:
    """What is wrong with the header's lines, "" if nothing is: PJSIP would end them at other places."""
    end = data.find(b"\r\n\r\n") + 2
    if end < 2:
        return "no empty line after the header"
    lines = data.count(b"\r\n", 0, end)
    if data.count(b"\n", 0, end) != lines or data.count(b"\r", 0, end) != lines:
        return "a line that does not end with CRLF"
    return f"more than {MAX_HEADER_LINES} header lines" if lines > MAX_HEADER_LINES else ""


def fault_of(data: bytes, fields: dict[bytes, list[bytes]]) -> str:
    """What is wrong with a request that PJSIP takes, "" if nothing is (RFC 3261, sections 7.1, 7.3, 18.3)."""
    start = data[: data.find(b"\r\n")]
    if not _REQUEST_LINE.fullmatch(start):
        return "bad spaces in the request line"
    if b"?" in start and b"?" in start.rpartition(b"@")[2] and b" sip" in start:
        return "the Request-URI has headers"
    for name in NAMES:
        if name not in fields:
            return f"no {name.decode().title()}"
    for name, values in fields.items():
        if len(values) > 1 and name in SINGLE:
            return f"more than one {name.decode().title()}"
    if int(_digits(fields, b"max-forwards") or 70) > MAX_FORWARDS:
        return f"Max-Forwards is beyond {MAX_FORWARDS}"
    length = _digits(fields, b"content-length")
    if length:
        came = len(data) - data.find(b"\r\n\r\n") - 4
        if int(length) > came:
            return f"Content-Length says {int(length)}, {came} octets came"
    return ""


def without_other_credentials(data: bytes) -> bytes:
    """The message, in its length, with credentials of other schemes than Digest under a name nobody reads."""
    return _OTHER_CREDENTIALS.sub(lambda found: b"X" + found[0][1:], data)


def answer_to_malformed(data: bytes, fault: str) -> bytes | None:
    """400 (or 505, 416) with what can be copied; None if `data` is no request or has no Via."""
    start, scheme = _START_LINE.match(data), _SCHEME.match(data)
    if start and start[2] != b"2.0":
        return answer_unread(data, "505 Version Not Supported")
    if scheme and scheme[1].lower() not in SERVED_SCHEMES:
        return answer_unread(data, "416 Unsupported URI Scheme")
    return answer_unread(data, f"400 Bad Request: {fault}")


def answer_unread(data: bytes, status: str, *headers: str) -> bytes | None:
    """A response to what PJSIP has not read, with what can be copied; None as above, and for ACK."""
    start = _START_LINE.match(data)
    fields = fields_of(data)
    if not start or start[1] == b"ACK" or b"via" not in fields:
        return None
    lines = [b"SIP/2.0 " + encode(status)]
    for name in (b"via", b"from", b"to", b"call-id", b"cseq"):
        lines += [NAMES[name] + value for value in fields.get(name, ())]
    lines = [line + b";tag=unread" if line[:4] == b"To: " and b"tag=" not in line else line for line in lines]
    return b"\r\n".join([*lines, *map(encode, headers), b"Content-Length: 0", b"", b""])
