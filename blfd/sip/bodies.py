"""Bodies: the session description that a message carries, also inside multipart (RFC 2046, 5.1; RFC 5621)."""

from __future__ import annotations

import re
from typing import NamedTuple

from blfd.core import messages
from blfd.core.capabilities import ACCEPT, ACCEPT_ENCODING, accept
from blfd.core.errors import Refusal
from blfd.sip import headers
from blfd.sip.fields import Fields, any_fields
from blfd.sip.grammar import BadHeader, Parameters, unquote, with_parameters
from blfd.sip.message import Message, Request

SDP = "application/sdp"
PLAINLY = [SDP]  # the values of Content-Type, as nearly all phones write it
SPECIAL = frozenset(("content-disposition", "content-encoding", "content-transfer-encoding"))
MULTIPART, ALTERNATIVE = "multipart/", "multipart/alternative"
MOST_DEPTH, MOST_PARTS = 4, 32
MOST_RESOURCES = 1000  # of a list, in one NOTIFY
LONGEST_BOUNDARY = 70  # RFC 2046, section 5.1.1
PLAIN = frozenset(("", "7bit", "8bit", "binary", "identity"))
"""Content codings and transfer encodings that change nothing."""
_blank_line = re.compile(rb"(?:\A|\r?\n)\r?\n").search
_LINE_END = re.compile(rb"\r?\n")


class Part(NamedTuple):
    """A body, or a part of one: its header fields, and its content with line ends as they came."""

    fields: Fields
    content: bytes

    def field(self, name: str) -> str:
        return self.fields[name][0] if name in self.fields else ""


def session_description(fields: Fields, body: bytes) -> bytes | None:
    """The SDP of a message with these header fields and this body, None if it carries none.

    Raises Refusal: 400 for a multipart body that is malformed, 415 where there is something else instead, or
    beside it something that may not be ignored. Parts that do not say so may be: phones that mean it say so,
    whatever the default of RFC 3261, section 20.11 is.
    """
    if not body or "content-type" not in fields:
        return None
    if fields["content-type"] == PLAINLY and SPECIAL.isdisjoint(fields):
        return body
    whole = Part(fields, body)
    found = _find(whole, 1)
    if found is None and _handling(whole) != "optional":
        raise _unsupported("There is no SDP in the body")
    return found


def check(request: Request) -> None:
    """Raises Refusal (415) for the body of a request outside calls that is in parts, or in a coding."""
    if request.content_type.startswith(MULTIPART) and request.method != "NOTIFY":
        raise Refusal(415, "", (accept(request.method),))
    if request.body and request.field("content-encoding").lower() not in PLAIN:
        raise Refusal(415, "A content-encoding that is not served", (ACCEPT_ENCODING,))


def readable_session_description(message: Message) -> bytes | None:
    """The SDP of what cannot be refused, or has been read before; what is malformed counts as none."""
    if message.method == "INFO":  # its body is between the phones
        return None
    try:
        return session_description(message.fields, message.body)
    except Refusal:
        return None


def _find(part: Part, depth: int) -> bytes | None:
    """The session description in `part`; of alternatives the last, which is the best (RFC 2046, 5.1.4)."""
    kind, parameters = _media_type(part)
    if kind.startswith(MULTIPART):
        if depth > MOST_DEPTH:
            raise Refusal(400, f"Multipart in more than {MOST_DEPTH} layers")
        inner = [
            _find(each, depth + 1) for each in parts(part.content, unquote(parameters.get("boundary", "")))
        ]
        found = [each for each in inner if each is not None]
        return found[-1 if kind == ALTERNATIVE else 0] if found else None
    if kind == SDP and _disposition(part)[0] in ("session", ""):
        if part.field("content-encoding").lower() not in PLAIN:
            raise Refusal(415, "SDP with a content-encoding that is not served", (ACCEPT_ENCODING,))
        if part.field("content-transfer-encoding").lower() not in PLAIN:
            raise _unsupported("SDP with a content-transfer-encoding that is not served")
        return part.content or None
    if depth > 1 and _handling(part) == "required":
        raise _unsupported("A part of the body is required and not understood")
    return None


def _media_type(part: Part) -> tuple[str, Parameters]:
    value = part.field("content-type")
    if not value:
        return "text/plain", {}
    try:
        return headers.media_type(value)
    except BadHeader:
        raise Refusal(400, "A part of the body has a bad Content-Type") from None


def _disposition(part: Part) -> tuple[str, Parameters]:
    kind, parameters = with_parameters(part.field("content-disposition"))
    return kind.lower(), parameters


def _handling(part: Part) -> str:
    """What is said of a part that is not understood: required, optional, or nothing."""
    return unquote(_disposition(part)[1].get("handling", "")).lower()


def _unsupported(reason: str) -> Refusal:
    return Refusal(415, reason, (ACCEPT,))


def related(message: Message) -> tuple[messages.Part, ...]:
    """The parts of a NOTIFY's body with a list of resources (RFC 4662, section 5). Raises Refusal (400)."""
    boundary = headers.media_type(message.field("content-type"))[1].get("boundary", "")
    return tuple(
        messages.Part(part.field("content-id").strip(" <>"), _media_type(part)[0], part.content)
        for part in parts(message.body, unquote(boundary), MOST_RESOURCES)
    )


def parts(content: bytes, boundary: str, most: int = MOST_PARTS) -> list[Part]:
    """The parts of a multipart body; what stands before the first and after the last is left out.

    One that is not closed has all its parts (RFC 2046, section 5.1.2). Raises Refusal (400).
    """
    if not 0 < len(boundary) <= LONGEST_BOUNDARY or not boundary.isascii():
        raise Refusal(400, "Multipart without a boundary")
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    found: list[Part] = []
    start = None
    for match in delimiter.finditer(content):
        if start is not None:
            found.append(_part(content[start : match.start()]))
        if match[1]:
            return found
        if len(found) == most:
            raise Refusal(400, f"Multipart of more than {most} parts")
        start = match.end()
    if start is None:
        raise Refusal(400, "Multipart without its boundary in the body")
    return [*found, _part(content[start:])]


def _part(text: bytes) -> Part:
    """What stands between two delimiters: the rest of a line, fields, an empty line, content."""
    head, content = text.partition(b"\n")[2], b""
    if blank := _blank_line(head):
        head, content = head[: blank.start()], head[blank.end() :]
    try:
        fields = any_fields("\r\n" + _LINE_END.sub(b"\r\n", head).decode("utf-8", "surrogateescape"))
    except BadHeader:
        raise Refusal(400, "A part of the body has a bad header") from None
    return Part(fields, content)
