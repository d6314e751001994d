"""Header fields (RFC 3261, section 7.3): names, and the lines that they stand in."""

from __future__ import annotations

import re

from blfd.sip.grammar import BadHeader, clean, is_token

Fields = dict[str, list[str]]
"""Header fields by long name in lower case, their values in order: unfolded and trimmed."""

_LONG = """
    Accept Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authorization Call-ID Call-Info
    Contact Content-Disposition Content-Encoding Content-Language Content-Length Content-Type CSeq Date
    Diversion Error-Info Event Expires From History-Info Identity In-Reply-To Info-Package Max-Forwards
    MIME-Version
    Min-Expires Min-SE Organization P-Asserted-Identity P-Preferred-Identity Path Priority Privacy
    Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Record-Route Recv-Info Refer-Sub Refer-To
    Referred-By Remote-Party-ID Replaces Reply-To Require Retry-After Route RSeq Server Service-Route
    Session-Expires SIP-ETag SIP-If-Match Subject Subscription-State Supported Target-Dialog Timestamp To
    Unsupported User-Agent User-to-User Via Warning WWW-Authenticate
"""
TITLES = {name.lower(): name for name in _LONG.split()}
COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
NAMES = {
    **COMPACT,
    **{name.upper(): long for name, long in COMPACT.items()},
    **{name: name for name in TITLES},
    **{title: name for name, title in TITLES.items()},
}
"""What nearly everybody writes; other ways of writing a name are looked at letter by letter."""

ONCE = frozenset(
    ("call-id", "content-length", "content-type", "cseq", "event", "expires", "from", "max-forwards", "to")
)
_CONTROLS = bytes((*range(0x20), 0x7F))
# A Reason-Phrase may have tabs (RFC 3261, section 25.1). Whatever else is in it, who has sent it cannot be
# told, and to throw the response away would leave its request without one.
_with_reason = re.compile(r"SIP/2\.0 +[1-6][0-9][0-9] [^\r\n]*", re.IGNORECASE).fullmatch
_FOLD = re.compile(r"(?<![ \t])[ \t]*\r\n[ \t]+")  # looks at each blank once


def fields_of(head: bytes, text: str, lines: list[str]) -> Fields:
    """The fields of a header, given as octets, decoded, and cut at CRLF; the first line is the start line.

    Raises BadHeader.
    """
    fields = plain_fields(head, text, lines)
    return any_fields(text) if fields is None else fields


def plain_fields(head: bytes, text: str, lines: list[str]) -> Fields | None:
    """The fields of a header as plainly written: each control character ends a line, nothing is folded.

    None for any other.
    """
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls != 2 * len(lines) - 2 or " \r\n" in text or ":  " in text or text[-1:] == " ":
        return None
    fields: Fields = {}
    names = NAMES
    for line in lines[1:]:
        written, colon, value = line.partition(": ")
        name = names.get(written)
        if name is None or not colon:
            if not colon or not is_token(written):
                return None
            name = written.lower()
        if name in fields:
            _check_once(name)
            fields[name].append(value)
        else:
            fields[name] = [value]
    return fields


def any_fields(text: str) -> Fields:
    """The fields of any header: folded, with odd blanks."""
    start, _, rest = text.partition("\r\n")
    if clean(start) != start and not _with_reason(start):
        raise BadHeader("a control character in the start line")
    if rest[:1] in (" ", "\t"):
        raise BadHeader("a start line that goes on in the next one")
    fields: Fields = {}
    for line in _FOLD.sub(" ", rest).split("\r\n") if rest else ():
        line = line.replace("\t", " ")
        if "\r" in line or "\n" in line:
            raise BadHeader("a line that does not end with CRLF")
        if clean(line) != line:
            raise BadHeader("a control character in a header")
        written, colon, value = line.partition(":")
        written = written.rstrip(" ")
        if not colon or not is_token(written):
            raise BadHeader("a line that is no header")
        name = COMPACT.get(written.lower(), written.lower())
        if name in fields:
            _check_once(name)
        fields.setdefault(name, []).append(value.strip(" "))
    return fields


def _check_once(name: str) -> None:
    if name in ONCE:
        raise BadHeader(f"more than one {TITLES[name]}")
