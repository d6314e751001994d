"""URIs (RFC 3261, sections 19.1 and 25.1): sip and sips to the last part, all others as text."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from blfd.core import hosts
from blfd.core.values import Uri
from blfd.sip.grammar import HOST, BadHeader

SIP_SCHEMES = frozenset(("sip", "sips"))
LONGEST_KEPT = (
    200  # characters of a text whose parts are remembered, as attackers would fill memory with longer ones
)
KEPT = 8192

_PARAMETER_CHARACTERS = r"[A-Za-z0-9\[\]/:&+$\-_.!~*'()%]"
_SIP_URI = re.compile(
    rf"""(sips?):
    (?:([A-Za-z0-9\-_.!~*'()&=+$,;?/\#%]++)(?::[A-Za-z0-9\-_.!~*'()&=+$,%]*+)?@)?
    ({HOST})(?::0*([0-9]{{1,5}}))?
    ((?:;{_PARAMETER_CHARACTERS}+(?:=[A-Za-z0-9\[\]/:&+$\-_.!~*'()%=]*)?)*)
    (?:\?([A-Za-z0-9\[\]/?:+$\-_.!~*'()%=&]*))?""",
    re.VERBOSE | re.IGNORECASE,
).fullmatch
_fit = re.compile(r"""[!#-;=?-~]+""").fullmatch
_other_uri = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+").fullmatch


def uri(text: str) -> Uri:
    """The parts of a URI without blanks. Raises BadHeader where it is none."""
    return _kept(text) if len(text) <= LONGEST_KEPT else parts(text)


def parts(text: str) -> Uri:
    """The parts of a URI, as by `uri`, for who remembers what is found himself."""
    found = plain(text)
    if found is not None:
        return found
    match = _SIP_URI(text)
    if match is None:
        other = _other_uri(text)
        if other is None or other[1].lower() in SIP_SCHEMES:
            raise BadHeader("not a URI")
        return Uri(text, other[1].lower(), "", "", 0)
    scheme, user, host, port, written, headers = match.groups()
    if port and int(port) > 65535:
        raise BadHeader("a port beyond 65535")
    try:
        host = hosts.read(host)
    except ValueError:
        raise BadHeader("no IPv6 address in brackets") from None
    return Uri(
        text,
        sys.intern(scheme.lower()),
        unescape(user) if user else "",
        host,
        int(port) if port else 0,
        _parameters(written) if written else (),
        headers or "",
    )


def plain(text: str) -> Uri | None:
    """The parts of a URI whose user is letters and digits, with a port or without; None of all others."""
    if text[:4] != "sip:" or not text.isascii():
        return None
    user, _, at = text[4:].partition("@")
    host, colon, port = at.partition(":")
    if not user.isalnum() or not host.replace(".", "").isalnum():
        return None
    if not colon:
        return Uri(text, "sip", user, hosts.read(host), 0)
    if len(port) > 5 or not port.isdigit() or int(port) > 65535:
        return None
    return Uri(text, "sip", user, hosts.read(host), int(port))


def _parameters(written: str) -> tuple[tuple[str, str], ...]:
    found = (part.partition("=") for part in written.split(";")[1:])
    return tuple((name.lower(), value) for name, _, value in found)


_kept = lru_cache(KEPT)(parts)


def unescape(text: str) -> str:
    """The text with octets written as %41 in their place; those that are no UTF-8 survive as surrogates."""
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape") if "%" in text else text


@lru_cache(KEPT)
def escaped_user(text: str) -> str:
    """A user part as it is written in a URI; "#", which some dial, is no character of one."""
    return quote(text.encode("utf-8", "surrogateescape"), safe="*+!'()")


def bracketed(text: str) -> str:
    """A URI fit to stand between angle brackets or in a start line: what may not stand there is escaped."""
    if _fit(text):
        return text
    return quote(text.encode("utf-8", "surrogatepass"), safe="!#$%&'()*+,-./:;=?@[]_~")


def request_uri(text: str) -> str:
    """The Request-URI of a request to a Contact: without the headers that it may have (RFC 3261, 19.1.1)."""
    if "?" not in text:
        return bracketed(text)
    try:
        without = uri(text).headers
    except BadHeader:
        without = ""
    return bracketed(text[: -1 - len(without)] if without else text)


def headers(of: Uri) -> tuple[tuple[str, str], ...]:
    """The header fields that a URI carries, as in Refer-To: names in lower case, values unescaped."""
    parts = (part.partition("=") for part in of.headers.split("&") if part)
    return tuple((unescape(name).lower(), unescape(value)) for name, _, value in parts)
