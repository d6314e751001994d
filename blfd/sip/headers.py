"""The values of header fields, each read and written in one place (RFC 3261, section 20).

All take values as the message reader leaves them (see `grammar`) and raise BadHeader for what their grammar
does not allow. Where phones plainly write one form, a first look takes that; the result is the same.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from blfd.core.capabilities import METHODS
from blfd.core.messages import Challenge, Credentials, ReferredBy, ReferTo, RegisterContact
from blfd.core.quoting import name_addr as name_addr_text
from blfd.core.values import Address, NameAddr, Reason, Uri
from blfd.sip import uris
from blfd.sip.grammar import (
    QUOTED,
    TOKEN,
    BadHeader,
    Parameters,
    clean,
    elements,
    is_token,
    number,
    parameters,
    quote,
    unquote,
    whole_number,
)

KEPT_CONTACTS = 2048  # a phone's requests, which all have the same one, come one after the other
MOST_CSEQ = 2**31 - 1  # RFC 3261, section 8.1.1.5
MALFORMED_EXPIRES = 3600  # RFC 3261, section 10.2.1.1
NO_PARAMETERS: Parameters = {}
STAR = Uri("*", "*", "", "", 0)
"""The URI of `Contact: *`."""


# Name-addrs: From, To, Contact, Route, Record-Route, Path, Refer-To, P-Asserted-Identity


class AddressParam(NamedTuple):
    """A name-addr or addr-spec with the parameters of its header; `text` is all of it, as it came."""

    uri: Uri
    display: str
    parameters: Parameters
    text: str


_PLAIN = re.compile(r"""(?:"([^"\\]*)" ?|([A-Za-z0-9][A-Za-z0-9 ._\-]*))?<([^<>" ]+)>""").fullmatch
_name_addr = re.compile(rf" *+(?:({QUOTED})|([^<>:\"][^<>:]*+))? *+< *+([^<>\" ]++) *+> *+").match
_name_addr_in_list = re.compile(rf" *+(?:({QUOTED})|([^<>:\",][^<>:,]*+))? *+< *+([^<>\" ]++) *+> *+").match
_addr_spec = re.compile(r""" *+([A-Za-z][A-Za-z0-9+.\-]*+:[^<>"?;, ]++) *+""").match


_qvalue = re.compile(r"0(?:\.[0-9]{0,9})?|\.[0-9]{1,9}|1(?:\.0{0,9})?").fullmatch


def contacts(text: str) -> tuple[AddressParam, ...]:
    """The values of one line of Contact: `*` has STAR for its URI."""
    return _kept_contacts(text) if len(text) <= uris.LONGEST_KEPT else _contacts(text)


def _contacts(text: str) -> tuple[AddressParam, ...]:
    if text == "*":
        return (AddressParam(STAR, "", {}, text),)
    plain = _plain(text)
    if plain is not None:
        return (AddressParam(*plain, NO_PARAMETERS, text),)
    found = name_addrs(text)
    for each in found:
        q = each.parameters.get("q")
        if q and not _qvalue(q):
            raise BadHeader("a q that is no qvalue")
    return found


def _plain(text: str) -> tuple[Uri, str] | None:
    """URI and display name of a name-addr without parameters behind it; None of all else."""
    uri = uris.plain(text[1:-1]) if text[:1] == "<" and text[-1:] == ">" else None
    if uri is not None:
        return uri, ""
    match = _PLAIN(text)
    if match is None:
        return None
    quoted, words, written = match.groups()
    return uris.parts(written), quoted or (words or "").rstrip(" ")


_kept_contacts = lru_cache(KEPT_CONTACTS)(_contacts)


def name_addrs(text: str) -> tuple[AddressParam, ...]:
    """The values of one line of Route, Record-Route or Path."""
    found = []
    start = 0
    while True:
        one, end = _one(text, start, _name_addr_in_list(text, start))
        found.append(one)
        if end == len(text):
            return tuple(found)
        if text[end] != ",":
            raise BadHeader("what follows the parameters")
        start = end + 1


def _one(text: str, start: int, match: re.Match[str] | None) -> tuple[AddressParam, int]:
    """The value at `start`, and where it ends; `match` is its name-addr, None if it may be an addr-spec."""
    if match:
        quoted, words, written = match.groups()
        display = unquote(quoted) if quoted else (words or "").strip(" ")
    elif match := _addr_spec(text, start):
        display, written = "", match[1]
    else:
        raise BadHeader("no name-addr")
    given, end = parameters(text, match.end())
    return AddressParam(uris.uri(written), display, given, text[start:end].strip(" ")), end


def address(text: str) -> Address:
    """The value of From or To."""
    if len(text) > uris.LONGEST_KEPT:
        return _address(text)
    plain, tagged, tag = text.partition(">;tag=")
    if not tagged:
        return _kept_address(text)
    try:
        uri, display, _ = _kept_address(plain + ">")
    except BadHeader:  # these octets stand in the display name
        return _address(text)
    return Address(uri, display, tag) if is_token(tag) else _address(text)


def _address(text: str) -> Address:
    plain = _plain(text)
    if plain is not None:
        return Address(*plain)
    one, end = _one(text, 0, _name_addr(text))  # which may have a comma in its name, as it stands alone
    if end != len(text):
        raise BadHeader("what follows the parameters")
    tag = one.parameters.get("tag")
    if tag is None:
        return Address(one.uri, one.display)
    if not is_token(tag):
        raise BadHeader("a tag that is no token")
    return Address(one.uri, one.display, tag)


_kept_address = lru_cache(uris.KEPT)(_address)


_in_brackets = re.compile(rf' *(?:{QUOTED} *|[^<>:\\"]*)<([^<>"]*)> *(?:;[^<>,]*)?').fullmatch


def refer_to(text: str) -> ReferTo:
    """The value of Refer-To, of which there is one (RFC 3515, section 2.1).

    Phones write it without brackets, and what stands behind the question mark unescaped, so that its
    semicolons would be parameters of the header.
    """
    match = _in_brackets(text)
    written, _, carried = (match[1] if match else text).partition("?")
    uri = uris.uri(written.strip(" "))
    fields = uris.headers(uri._replace(headers=carried))
    return ReferTo(uri, tuple(value for name, value in fields if name == "replaces"))


def referred_by(text: str) -> ReferredBy:
    """The value of Referred-By (RFC 3892)."""
    one, _ = _one(text, 0, _name_addr(text))
    return ReferredBy(one.uri, text)


def name_addr(of: NameAddr, tag: str = "") -> str:
    """A name-addr as From and To have it, and P-Asserted-Identity without the tag."""
    written = name_addr_text(NameAddr(uris.bracketed(of.uri), clean(of.display)))
    return f"{written};tag={tag}" if tag else written


def reason(of: Reason) -> str:
    """The value of Reason (RFC 3326)."""
    return f"SIP;cause={of.cause};text={quote(of.text)}" if of.text else f"SIP;cause={of.cause}"


def register_contact(of: AddressParam) -> RegisterContact:
    """What a registrar wants of a Contact (RFC 3261, section 10.3)."""
    q, expires = of.parameters.get("q"), of.parameters.get("expires")
    wanted = number(expires) if expires else None
    return RegisterContact(
        of.uri.text,
        float(q) if q else 1.0,
        MALFORMED_EXPIRES if expires and wanted is None else wanted,
        instance(of.parameters.get("+sip.instance", ""), of.parameters.get("reg-id", "")),
    )


def instance(written: str, reg_id: str) -> str:
    """Which phone a Contact is of, and which of its flows (RFC 5626, section 4.1); "" where unknown."""
    named = unquote(written)
    return f"{named} {reg_id}" if named and reg_id else named


# CSeq and Content-Type


def cseq(text: str) -> tuple[int, str]:
    """The number and the method of a CSeq."""
    digits, _, rest = text.partition(" ")
    if rest in METHODS and digits.isascii() and digits.isdigit() and len(digits) < 10:
        return int(digits), rest
    method = rest.lstrip(" ")
    if not is_token(method):
        raise BadHeader("no method")
    return whole_number(digits, MOST_CSEQ), method


def media_type(text: str) -> tuple[str, Parameters]:
    """The value of Content-Type: type and subtype in lower case with the slash between, and parameters."""
    match = _media_type(text)
    if not match:
        raise BadHeader("no media type")
    given, end = parameters(text, match.end())
    if end != len(text):
        raise BadHeader("what follows the parameters")
    return f"{match[1]}/{match[2]}".lower(), given


_media_type = re.compile(rf" *({TOKEN}) */ *({TOKEN}) *").match


# Digest

AUTH_PARAMS = frozenset(
    ("username", "realm", "nonce", "uri", "response", "algorithm", "cnonce", "opaque", "qop", "nc")
)
_auth_param = re.compile(rf"({TOKEN}) *= *({QUOTED}|[!#-+\--~]*)").fullmatch


def credentials(text: str) -> Credentials | None:
    """The credentials in an Authorization or Proxy-Authorization; None for another scheme than Digest."""
    scheme, _, rest = text.partition(" ")
    if scheme != "Digest" and scheme.lower() != "digest":
        return None
    given = _plain_auth_params(rest)
    get = (_auth_params(rest) if given is None else given).get
    return Credentials(
        get("username", ""),
        get("realm", ""),
        get("nonce", ""),
        get("uri", ""),
        get("response", ""),
        get("algorithm", ""),
        get("cnonce", ""),
        get("qop", ""),
        get("nc", ""),
    )


def challenge(text: str, *, proxy: bool) -> Challenge | None:
    """The WWW- or Proxy-Authenticate in `text`; None for another scheme than Digest. Raises BadHeader."""
    scheme, _, rest = text.partition(" ")
    if scheme.lower() != "digest":
        return None
    get = _auth_params(rest).get
    qop = tuple(part.strip().lower() for part in get("qop", "").split(",") if part.strip())
    stale = get("stale", "").lower() == "true"
    return Challenge(
        get("realm", ""), get("nonce", ""), get("algorithm", ""), qop, get("opaque", ""), stale, proxy
    )


def _plain_auth_params(text: str) -> Parameters | None:
    """The result of `_auth_params`, if plainly written: no escape, no comma in quotes; else None."""
    given: dict[str, str] = {}
    quotes = 0
    for part in text.split(","):
        name, _, value = part.lstrip(" ").partition("=")
        if name not in AUTH_PARAMS or name in given:
            return None
        if value[:1] == '"' and value[-1:] == '"' and len(value) > 1:
            quotes += 2
            given[name] = value[1:-1]
        elif (value.isalnum() and value.isascii()) or value == "SHA-256":
            given[name] = value
        else:
            return None
    return given if quotes == text.count('"') and "\\" not in text else None


def _auth_params(text: str) -> Parameters:
    given: dict[str, str] = {}
    for element in elements(text):
        match = _auth_param(element)
        if not match or match[1].lower() in given:
            raise BadHeader("no auth-param, or one given twice")
        given[match[1].lower()] = unquote(match[2])
    return given
