"""Somebody else's server, and our account there: what trunks and upstreams are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from blfd.core import hosts
from blfd.core.values import TRANSPORTS, Account

WIDEST = {4: 16, 6: 32}
"""The shortest prefix of a network that is taken at its word, by the version of IP."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}").fullmatch
is_domain = re.compile(r"[A-Za-z0-9.:\[\]-]{1,253}").fullmatch
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*(?=[a-z]){_LABEL}").fullmatch
_USER = re.compile(r"[A-Za-z0-9.!~*'()&=+$,?/_-]{0,64}").fullmatch
_CONTROL = re.compile(r"[\x00-\x1f\x7f]").search


class HostPort(NamedTuple):
    """A server as it is written (RFC 3261, `hostport`); `port` is 0 where that of the transport is meant."""

    host: str
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """Read a server as it is written. Raises ValueError."""
        if text.lower().startswith(("sip:", "sips:")):
            raise ValueError(f"{text} is a URI: give the host alone, and its port behind a colon")
        host, colon, port = text.rpartition(":")
        if not colon or (":" in host and host[-1:] != "]"):  # an IPv6 address without brackets, too
            host, port = text, ""
        if port and not (port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(f"{text}: a port is a number up to 65535")
        host = hosts.read(f"[{host}]" if ":" in host and host[:1] != "[" else host)
        if not hosts.is_address(host) and not _HOST_NAME(host):
            raise ValueError(f"{text} is neither an IP address nor the name of a host")
        return cls(host, int(port or 0))

    def __str__(self) -> str:
        return f"{hosts.written(self.host)}:{self.port}" if self.port else hosts.written(self.host)


def is_host(text: str) -> bool:
    """Whether a text can stand behind the @ of a URI, with a port or without: IPv6 in brackets."""
    try:
        HostPort.parse(text)
    except ValueError:
        return False
    return text[:1] == "[" or text.count(":") < 2


@dataclass(frozen=True, slots=True)
class Remote:
    """A server of somebody else, as it is set. Times are seconds; "" and () are what is not said.

    `servers` are tried in their order, each with a port behind a colon if it has one; `domain` is what stands
    in URIs, the first server's if it is not said. The password is proved to who asks in the `realm`, to
    anybody there if it is not said. Requests go by `outbound_proxy` where there is one. What
    failed is tried again after `retry` at the latest, what was refused after `retry_forbidden`. Each server
    is asked with OPTIONS every `ping`, 0 for never. What is not `enabled` is as if it were not
    there.
    """

    tenant: str
    name: str
    password: str = ""
    servers: tuple[str, ...] = ()
    transport: str = "udp"
    domain: str = ""
    outbound_proxy: str = ""
    username: str = ""
    auth_name: str = ""
    realm: str = ""
    retry: int = 60
    retry_forbidden: int = 600
    ping: int = 30
    enabled: bool = True

    @property
    def key(self) -> tuple[str, str]:
        return self.tenant, self.name

    @property
    def host(self) -> str:
        """What stands in URIs behind the @."""
        return self.domain or (str(HostPort.parse(self.servers[0])) if self.servers else "")

    @property
    def target(self) -> str:
        """The URI of the server itself."""
        return f"sip:{self.host}{TRANSPORTS[self.transport].parameter}"

    @property
    def route_set(self) -> tuple[str, ...]:
        """The routes by which requests outside dialogs go."""
        return (f"<sip:{HostPort.parse(self.outbound_proxy)};lr>",) if self.outbound_proxy else ()

    @property
    def account(self) -> tuple[object, ...]:
        """Who we are there, and by which way: what else is set changes nothing about that."""
        whose = (self.username, self.auth_name, self.password, self.realm)
        return (self.servers, self.transport, self.domain, self.outbound_proxy, *whose)

    @property
    def credentials(self) -> Account | None:
        """Who we are, where a server asks for a password."""
        name = self.auth_name or self.username
        return Account(name, self.password, self.realm) if self.password else None


def check_new(wrong: Iterable[str], before: Iterable[str] = ()) -> None:
    """Check what is set. Raises ValueError for the first thing that is wrong and was not before.

    What is stored, and was made by hand or by an older version, keeps nobody from changing the rest.
    """
    known = set(before)
    for text in wrong:
        if text not in known:
            raise ValueError(text)


def wrong_remote(one: Remote, what: str, *, needs_server: bool = True) -> Iterator[str]:
    """What is wrong with what is set of one, in words that begin with `what` it is."""
    if not _NAME(one.name):
        text = "small letters, digits and . - are allowed, 32 at most, first a letter or digit"
        yield f"{what.partition(' ')[0]} {one.name!r}: {text}"
    if needs_server and not one.servers:
        yield f"{what} needs a server: its address, such as 192.0.2.7 or 192.0.2.7:5070"
    for text in (*one.servers, *([one.outbound_proxy] if one.outbound_proxy else [])):
        yield from _wrong_server(what, text)
    for name, value, fits in (("domain", one.domain or "x", is_host), ("username", one.username, _USER)):
        if not fits(value):
            yield f"{what}: {name} cannot be {value!r}"
    if _CONTROL(one.password + one.auth_name + one.realm):
        yield f"{what}: auth-name, realm and password are without control characters and line ends"
    yield from wrong_seconds(what, "retry", one.retry, 2, 3600)
    yield from wrong_seconds(what, "retry-forbidden", one.retry_forbidden, 30, 86_400)
    yield from wrong_seconds(what, "ping", one.ping or 5, 5, 3600)
    if one.transport not in TRANSPORTS:
        yield f"{what}: transport is {', '.join(TRANSPORTS)}, not {one.transport!r}"


def _wrong_server(what: str, text: str) -> Iterator[str]:
    try:
        address = hosts.address(HostPort.parse(text).host)
    except ValueError as error:
        yield f"{error}"
        return
    if address and (address.is_unspecified or address.is_multicast):
        yield f"{what}: {text} is no address of one server"


def wrong_sources(what: str, sources: tuple[str, ...]) -> Iterator[str]:
    """The networks that are none, twice there, or too wide to be taken at their word."""
    read = []
    for text in sources:
        try:
            network = hosts.network(text)
        except ValueError as error:
            yield f"{error}"
            continue
        read.append(f"{network}")
        if network.prefixlen < (least := WIDEST[network.version]):
            yield f"{what}: source {text} is too wide, give networks of /{least} or narrower"
    yield from said_twice(what, "source", read)


def said_twice(what: str, option: str, said: Iterable[str]) -> Iterator[str]:
    """What is said twice, in words."""
    for text, times in Counter(said).items():
        if times > 1:
            yield f"{what}: {option} has {text} twice"


def wrong_seconds(what: str, name: str, seconds: int, least: int, most: int) -> Iterator[str]:
    """Say where so many seconds are not from `least` to `most`."""
    if not least <= seconds <= most:
        yield f"{what}: {name} is from {least} to {most} seconds, not {seconds}"
