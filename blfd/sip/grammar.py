"""What header values are made of: tokens, quoted strings, parameters, lists, numbers (RFC 3261, 25.1).

All take values as the reader leaves them: unfolded, with SP as the only blank and no control character.
What they return is to be read only, as it may be shared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from blfd.core.quoting import quoted

Parameters = Mapping[str, str]
"""By name in lower case; a value as written, with its quotes, "" where there is none."""

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
QUOTED = r'"(?:[^"\\]|\\.)*+"'
# Wider than a token: phones write what should have been quoted. Nothing in it ends a value or a parameter.
LOOSE = r"""[!#-+\--:=A-\[\]-~]*"""
HOST = r"(?:[A-Za-z0-9_.\-]++|\[[0-9A-Fa-f:.]++\])"

MOST_SECONDS = 0xFFFF_FFFF  # of a delta-seconds (RFC 3261, section 20.19)

is_token = re.compile(TOKEN).fullmatch
parameter_at = re.compile(rf" *+; *+({TOKEN})(?: *+= *+({QUOTED}|{LOOSE}))? *+").match
_element = re.compile(rf"(?:[^\",]|{QUOTED})*+").match
_PAIR = re.compile(r"\\(.)")
_number = re.compile(r"[0-9]+").match
# Control characters, and surrogates that stand for no octet.
_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")


class BadHeader(ValueError):
    """A header's value is not what its grammar allows."""


def clean(text: str) -> str:
    """`text` with what no start line and no header value may have replaced."""
    return text if text.isprintable() else _UNFIT.sub("\ufffd", text)


def quote(text: str) -> str:
    """`text` as a quoted-string."""
    return quoted(clean(text))


def unquote(text: str) -> str:
    """What a quoted-string says; any other value as it is."""
    if text[:1] != '"':
        return text
    return _PAIR.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]


def parameters(text: str, start: int = 0, twice: str = "") -> tuple[dict[str, str], int]:
    """The parameters that begin at `start` with a semicolon, and where they end.

    One given twice is bad, but for the one that is named `twice`, of which the first counts.
    """
    found: dict[str, str] = {}
    while match := parameter_at(text, start):
        name = match[1].lower()
        if name not in found:
            found[name] = match[2] or ""
        elif name != twice:
            raise BadHeader(f"{name} is given twice")
        start = match.end()
    return found, start


def with_parameters(text: str) -> tuple[str, Parameters]:
    """A value such as Event's: what stands before the parameters, and these, as far as they can be read."""
    value, semicolon, _ = text.partition(";")
    if not semicolon:
        return value.strip(" "), {}
    try:
        return value.strip(" "), parameters(text, len(value))[0]
    except BadHeader:
        return value.strip(" "), {}


def elements(text: str) -> Iterator[str]:
    """The elements of a list with commas, without those that are empty; commas in quoted strings are none."""
    if '"' not in text:
        yield from (part for each in text.split(",") if (part := each.strip(" ")))
        return
    start = 0
    while start <= len(text):
        match = _element(text, start)
        end = match.end() if match else start
        if part := text[start:end].strip(" "):
            yield part
        if text[end : end + 1] == '"':  # one that nothing ends
            raise BadHeader("a quoted string has no end")
        start = end + 1


def number(text: str, most: int = MOST_SECONDS) -> int | None:
    """The number that a value begins with, `most` if it is beyond that; None if it begins with none."""
    match = _number(text)
    if not match:
        return None
    digits = match[0]
    if len(digits) > 10:  # of thousands of digits Python makes no number
        digits = digits.lstrip("0") or "0"
    return min(int(digits), most) if len(digits) <= 10 else most


def whole_number(text: str, most: int) -> int:
    """A value that is a number of at most `most` and nothing else. Raises BadHeader."""
    if not text.isdigit() or not text.isascii():
        raise BadHeader("no number")
    found = int(text) if len(text) <= 10 else number(text, most + 1)
    if found is None or found > most:
        raise BadHeader(f"no number up to {most}")
    return found


def seconds(text: str) -> int:
    """A delta-seconds; what is beyond the most that there can be is that. Raises BadHeader."""
    try:
        return whole_number(text, MOST_SECONDS)
    except BadHeader:
        if text.isdigit() and text.isascii():
            return MOST_SECONDS
        raise
