"""Octets to messages, and what of them is malformed.

What phones plainly write goes a short way, in `fields` and in `headers`; all else goes a longer one, to the
same end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from blfd.core.capabilities import METHODS
from blfd.core.messages import Credentials
from blfd.core.values import Uri
from blfd.sip import headers, uris
from blfd.sip.fields import COMPACT, TITLES, Fields, fields_of
from blfd.sip.grammar import MOST_SECONDS, TOKEN, BadHeader, clean, is_token, seconds, whole_number
from blfd.sip.headers import AddressParam
from blfd.sip.message import Malformed, Request, Response, Unread
from blfd.sip.via import Via, via_parms

MAX_HEADER_LINES = 256
MAX_FORWARDS = 255
SERVED_SCHEMES = frozenset(("sip", "sips", "tel"))
ESSENTIAL = ("via", "from", "to", "call-id", "cseq")
CHECKED: dict[str, Callable[[str], object]] = {
    "content-type": headers.media_type,
    "path": headers.name_addrs,
    "record-route": headers.name_addrs,
    "route": headers.name_addrs,
}
"""Headers that are not read with the message but must be sound."""
UNREFUSED = frozenset(("ACK", "BYE", "CANCEL", "PRACK"))
"""Methods of requests that end or confirm something: what is refused, or not heard, goes on for ever."""
LEFT_OUT: dict[str, Callable[[str], object]] = {
    **CHECKED,
    "contact": headers.contacts,
    "max-forwards": lambda value: whole_number(value, MAX_FORWARDS),
    "expires": seconds,
    "authorization": headers.credentials,
    "proxy-authorization": headers.credentials,
}
"""Headers that are left out of those requests, and of responses, where they cannot be read."""

_method = re.compile(r"[!-~]+").fullmatch
_version = re.compile(r"SIP/([0-9]+\.[0-9]+)", re.IGNORECASE).fullmatch
_status_line = re.compile(r"SIP/2\.0 +([1-6][0-9][0-9])(?: (.*))?", re.IGNORECASE).fullmatch
_scheme = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):").match
_LOOSE_LINE = re.compile(r"^([!-9;-~]+)[ \t]*:[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.MULTILINE)
_LOOSE_FOLD = re.compile(r"(?<![ \t])[ \t]*\r?\n[ \t]+")


_PORT_NUMBER = r"(?:[0-9]{1,4}|[1-5][0-9]{4})"
_PORT = rf"(?::{_PORT_NUMBER})?"
_URI = rf"sips?:(?:[A-Za-z0-9\-_.!~*'()]+@)?[A-Za-z0-9.\-]+{_PORT}(?:;transport=[a-z]+)?"
_NAMED = rf"""(?:"[ !#-;=?-\[\]-~]*" ?)?<{_URI}>"""
_OTHERS = "User-Agent|Server|Allow|Supported|Allow-Events|Accept|Accept-Language"
_STAMP = rf"(?:;rport(?:={_PORT_NUMBER})?)?"
_response_begins = re.compile(
    rf"SIP/2\.0 (2[0-9][0-9]) [ -~]*\r\nVia: SIP/2\.0/[A-Z]+ [A-Za-z0-9.\-]+{_PORT}{_STAMP}"
    rf";branch=({TOKEN}){_STAMP}(?:;received=[0-9.]+)?(?=\r\nFrom: )".encode()
).match
_ECHOED_FROM, _ECHOED_TO = b"\r\nFrom: ", b" NOTIFY\r\n"
_response_ends = re.compile(
    rf"(?:(?:Contact: {_NAMED}|(?:{_OTHERS}): [ -~]*)\r\n){{0,20}}"
    rf"(?:Event: [ -~]*\r\n)?(?:(?:{_OTHERS}): [ -~]*\r\n){{0,20}}Content-Length: 0\r\n\r\n".encode()
).fullmatch
_SHORTEST_END = b"Content-Length: 0\r\n\r\n"


def plain_response(data: bytes, sent: Callable[[str], bytes]) -> tuple[str, int] | None:
    """The branch and status of a phone's 2xx to a NOTIFY, as phones plainly write it: From, To, Call-ID and
    CSeq are those of the NOTIFY, octet by octet. None for all else, of which `read` finds what it says.

    `sent` is asked for the NOTIFY with a branch, b"" if none has it.
    """
    match = _response_begins(data)
    if match is None:
        return None
    branch, start = match[2].decode(), match.end()
    end = data.find(_ECHOED_TO, start) + len(_ECHOED_TO)
    if end < start:
        return None
    notify = sent(branch)
    if not notify.startswith(data[start:end], notify.find(_ECHOED_FROM)):
        return None
    if data[end:] != _SHORTEST_END and not _response_ends(data, end):
        return None
    return branch, int(match[1])


def read(data: bytes) -> Request | Response:
    """One message: a datagram, or what the length of its body has cut out of a stream. Raises Malformed."""
    try:
        return _read(data)
    except BadHeader as bad:
        fault = str(bad)
    raise Malformed(fault, _status(data), unread(data))


def _read(data: bytes) -> Request | Response:
    if data[:1] in (b"\r", b"\n"):
        data = data.lstrip(b"\r\n")
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise BadHeader("no empty line after the header")
    head = data[:end]
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    if len(lines) > MAX_HEADER_LINES:
        raise BadHeader(f"more than {MAX_HEADER_LINES} header lines")
    fields = fields_of(head, text, lines)
    read = _response if lines[0][:4].upper() == "SIP/" else _request
    try:
        return read(data, lines[0], fields, data[end + 4 :])
    except BadHeader:
        if read is _request and lines[0].partition(" ")[0] not in UNREFUSED:
            raise
        if not _leave_out(fields):
            raise
        return read(data, lines[0], fields, data[end + 4 :])


def _request(data: bytes, start: str, fields: Fields, body: bytes) -> Request:
    method, target = _start(start)
    part = ""
    try:
        part = "Via"
        vias = fields["via"]
        via = via_parms(vias[0])[0]
        for lower in vias[1:]:
            via_parms(lower)
        part = "From"
        from_ = headers.address(fields["from"][0])
        part = "To"
        to = headers.address(fields["to"][0])
        part = "CSeq"
        cseq, of_cseq = headers.cseq(fields["cseq"][0])
        part = "Max-Forwards"
        values = fields.get("max-forwards")
        max_forwards = whole_number(values[0], MAX_FORWARDS) if values else None
        part = "Expires"
        values = fields.get("expires")
        expires = seconds(values[0]) if values else None
        part = "Authorization"
        credentials = _credentials(fields)
        part = "Contact"
        contacts = _contacts(fields)
    except KeyError:
        raise BadHeader(f"no {part}") from None
    except BadHeader:
        raise BadHeader(f"bad {part}") from None
    _check(fields)
    if of_cseq != method:
        raise BadHeader("CSeq names another method")
    return Request(
        data,
        fields,
        _body(fields, body),
        via,
        from_,
        to,
        _call_id(fields),
        cseq,
        method,
        contacts,
        target,
        max_forwards,
        expires,
        credentials,
    )


def _response(data: bytes, start: str, fields: Fields, body: bytes) -> Response:
    line = _status_line(start)
    if not line:
        raise BadHeader("bad status line")
    part = ""
    try:
        part = "Via"
        via = via_parms(fields["via"][0])[0]
        part = "From"
        from_ = headers.address(fields["from"][0])
        part = "To"
        to = headers.address(fields["to"][0])
        part = "CSeq"
        cseq, method = headers.cseq(fields["cseq"][0])
        part, status = "Contact", int(line[1])
        contacts = _contacts(fields)
    except KeyError:
        raise BadHeader(f"no {part}") from None
    except BadHeader:
        raise BadHeader(f"bad {part}") from None
    _check(fields)
    return Response(
        data,
        fields,
        _body(fields, body),
        via,
        from_,
        to,
        _call_id(fields),
        cseq,
        method,
        contacts,
        status,
        clean((line[2] or "").replace("\t", " ")),
    )


def _start(line: str) -> tuple[str, Uri]:
    """Method and Request-URI."""
    parts = line.split(" ")
    if len(parts) != 3 or (parts[2] != "SIP/2.0" and parts[2].upper() != "SIP/2.0"):
        raise BadHeader("bad spaces in the request line")
    method, written, _ = parts
    if method not in METHODS and not is_token(method):
        raise BadHeader("bad method")
    try:
        target = uris.uri(written)
    except BadHeader:
        raise BadHeader("bad Request-URI") from None
    if target.headers or written[-1] == "?":
        raise BadHeader("the Request-URI has headers")
    if target.scheme not in SERVED_SCHEMES:
        raise BadHeader("a Request-URI of a scheme that is not served")
    return method, target


def _call_id(fields: Fields) -> str:
    values = fields.get("call-id")
    if not values:
        raise BadHeader("no Call-ID")
    if not values[0]:
        raise BadHeader("empty Call-ID")
    return values[0]


def _contacts(fields: Fields) -> tuple[AddressParam, ...]:
    values = fields.get("contact")
    if not values:
        return ()
    if len(values) == 1:
        return headers.contacts(values[0])
    return tuple(one for value in values for one in headers.contacts(value))


def _leave_out(fields: Fields) -> bool:
    """Leave out what cannot be read and nothing depends on; whether there was any."""
    found = [name for name, look in LEFT_OUT.items() if name in fields and not _is_sound(fields[name], look)]
    for name in found:
        del fields[name]
    return bool(found)


def _is_sound(values: Sequence[str], look: Callable[[str], object]) -> bool:
    try:
        for value in values:
            look(value)
    except BadHeader:
        return False
    return True


def _credentials(fields: Fields) -> tuple[Credentials, ...]:
    if "authorization" not in fields and "proxy-authorization" not in fields:
        return ()
    values = (*fields.get("authorization", ()), *fields.get("proxy-authorization", ()))
    return tuple(given for value in values if (given := headers.credentials(value)) is not None)


def _check(fields: Fields) -> None:
    """Raises BadHeader for what is not read now, and must be sound all the same."""
    if fields.keys().isdisjoint(CHECKED):
        return
    for name, look in CHECKED.items():
        if name in fields:
            try:
                for value in fields[name]:
                    look(value)
            except BadHeader:
                raise BadHeader(f"bad {TITLES[name]}") from None


def _body(fields: Fields, rest: bytes) -> bytes:
    """The body: as many octets as Content-Length says (RFC 3261, section 18.3)."""
    values = fields.get("content-length")
    if not values:
        return rest
    if values[0] == "0":
        return b""
    try:
        length = whole_number(values[0], MOST_SECONDS)
    except BadHeader:
        raise BadHeader("bad Content-Length") from None
    if length > len(rest):
        raise BadHeader(f"Content-Length says {length}, {len(rest)} octets came")
    return rest[:length]


# What is refused unread


def unread(data: bytes) -> Unread | None:
    """What a response copies; None if `data` is no request, an ACK, or has no Via."""
    head = _head(data)
    line = _loose_request_line(head)
    if line is None or line[0] == "ACK":
        return None
    found: dict[str, list[str]] = {}
    for match in _LOOSE_LINE.finditer(head.partition("\n")[2]):
        name = match[1].lower()
        name = COMPACT.get(name, name)
        if name in ESSENTIAL:
            value = _LOOSE_FOLD.sub(" ", match[2]).replace("\t", " ").strip(" ")
            found.setdefault(name, []).append(clean(value))
    if "via" not in found:
        return None
    via, from_, to, call_id, cseq = (found.get(name, [""]) for name in ESSENTIAL)
    return Unread(line[0], via, _via(via[0]), from_[0], to[0], call_id[0], cseq[0])


def _head(data: bytes) -> str:
    return data.lstrip(b"\r\n").partition(b"\r\n\r\n")[0].decode("utf-8", "surrogateescape")


def _loose_request_line(head: str) -> tuple[str, str, str] | None:
    """Method, Request-URI (or nothing) and version, however they are spaced; None of what is no request."""
    words = head.partition("\n")[0].rstrip("\r\t ").split(" ")
    version = _version(words[-1])
    if len(words) < 2 or not version or not _method(words[0]) or words[0][:4].upper() == "SIP/":
        return None
    return words[0], " ".join(words[1:-1]).strip(" "), version[1]


def _via(text: str) -> Via | None:
    try:
        return via_parms(text)[0]
    except BadHeader:
        return None


def _status(data: bytes) -> int:
    """The status of the response to what is malformed: another version and scheme have their own."""
    line = _loose_request_line(_head(data))
    if line and line[2] != "2.0":
        return 505
    scheme = _scheme(line[1]) if line else None
    return 416 if scheme and scheme[1].lower() not in SERVED_SCHEMES else 400
