"""Messages as values (RFC 3261, section 7), and those that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from blfd.core.messages import Challenge, Credentials
from blfd.core.values import Address, Uri
from blfd.sip import headers, uris
from blfd.sip.fields import Fields
from blfd.sip.grammar import BadHeader, elements, number
from blfd.sip.headers import AddressParam
from blfd.sip.via import Via


@dataclass(slots=True)
class Message:
    """What requests and responses have. `fields` are all header fields, read or not; `via` is the topmost.

    `method` is the CSeq's, which is a request's own. Values are decoded as UTF-8; other octets survive as
    surrogates.
    """

    data: bytes
    fields: Fields
    body: bytes
    via: Via
    from_: Address
    to: Address
    call_id: str
    cseq: int
    method: str
    contacts: tuple[AddressParam, ...]

    def field(self, name: str) -> str:
        """The first value of a header, given by its long name in lower case; "" if absent."""
        values = self.fields.get(name)
        return values[0] if values else ""

    def values(self, name: str) -> tuple[str, ...]:
        """All values of a header, one for each line."""
        return tuple(self.fields.get(name, ()))

    def number(self, name: str) -> int | None:
        """The number that a header begins with; None if it is absent or begins with none."""
        values = self.fields.get(name)
        return number(values[0]) if values else None

    def tokens(self, name: str) -> tuple[str, ...] | None:
        """The elements of a list such as Accept, without parameters, in lower case; None if it is absent."""
        values = self.fields.get(name)
        return _tokens(values[0] if len(values) == 1 else ",".join(values)) if values else None

    def routes(self, name: str) -> tuple[str, ...]:
        """The values of Route, Record-Route or Path, one by one, topmost first."""
        values = self.fields.get(name)
        return tuple(one.text for each in values for one in headers.name_addrs(each)) if values else ()

    @property
    def content_type(self) -> str:
        """Type and subtype in lower case, "" if there is none."""
        values = self.fields.get("content-type")
        return headers.media_type(values[0])[0] if values else ""


@dataclass(slots=True)
class Request(Message):
    """A request; `max_forwards` is None where it is absent, `expires` likewise."""

    target: Uri
    max_forwards: int | None
    expires: int | None
    credentials: tuple[Credentials, ...]

    def key(self, method: str = "") -> str:
        """The key of its server transaction, or of a `method` with the same branch (RFC 3261, 17.2.3)."""
        via, method = self.via, method or self.method
        if via.branch[:7] == "z9hG4bK" and len(via.branch) > 7:
            return f"{via.branch}|{via.host}|{via.port}|{method}"
        return f"{via.host}|{via.port}|{self.call_id}|{self.from_.tag}|{self.cseq}|{method}"


@dataclass(slots=True)
class Response(Message):
    """A response; its reason phrase is what the peer says, in whatever words."""

    status: int
    reason: str

    def challenges(self) -> list[Challenge]:
        """What a 401 or 407 asks for; what cannot be read of it asks for nothing."""
        found = []
        for name, proxy in (("www-authenticate", False), ("proxy-authenticate", True)):
            for value in self.values(name):
                try:
                    one = headers.challenge(value, proxy=proxy)
                except BadHeader:
                    continue
                if one:
                    found.append(one)
        return found


@dataclass(slots=True)
class Unread:
    """What a response copies of a request that is not read; `via` is None if the topmost is none.

    Control characters are replaced.
    """

    method: str
    vias: list[str]
    via: Via | None
    from_: str
    to: str
    call_id: str
    cseq: str


class Malformed(Exception):
    """What cannot be read. `fault` says why; with `unread` it is answered with `status`, else not at all."""

    def __init__(self, fault: str, status: int, unread: Unread | None) -> None:
        super().__init__(fault)
        self.fault, self.status, self.unread = fault, status, unread


def _tokens(text: str) -> tuple[str, ...]:
    """The elements of a list, remembered if it is short: what phones write in lists is a small set."""
    return _kept_tokens(text) if len(text) <= uris.LONGEST_KEPT else _tokens_of(text)


def _tokens_of(text: str) -> tuple[str, ...]:
    try:
        parts = list(elements(text))
    except BadHeader:
        parts = text.split(",")
    found = (part.partition(";")[0].strip(" ").lower() for part in parts)
    return tuple(part for part in found if part)


_kept_tokens = lru_cache(1000)(_tokens_of)
