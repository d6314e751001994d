"""What an administrator says of a trunk and of a route, as it is written, and whether that is sound."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from blfd.core import hosts
from blfd.core.trunks import numbers

RESERVED = "trunk+"
"""Before the name of a trunk it is the name of its lamp; no extension is named so."""

WIDEST = {4: 16, 6: 32}
"""The shortest prefix of a network from which calls are taken without a password, by the version of IP."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}").fullmatch
_DOMAIN = re.compile(r"[A-Za-z0-9.:\[\]-]{1,253}").fullmatch
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*(?=[a-z]){_LABEL}").fullmatch
_USER = re.compile(r"[A-Za-z0-9.!~*'()&=+$,?/_-]{0,64}").fullmatch
_DIGITS = re.compile(r"[0-9]{0,6}").fullmatch
_CODEC = re.compile(r"[A-Za-z0-9._-]{1,32}").fullmatch
_CONTROL = re.compile(r"[\x00-\x1f\x7f]").search


class Mode(Enum):
    """How the two ends know each other."""

    IP = "ip"  # by their addresses
    REGISTER = "register"  # blfd registers with the server


class DidSource(Enum):
    """Where an INVITE says which number was called."""

    REQUEST_URI = "request-uri"
    TO = "to"
    P_CALLED_PARTY_ID = "p-called-party-id"
    P_PREFERRED_IDENTITY = "p-preferred-identity"


class CallerIdIn(Enum):
    """Which header field of our INVITE has the caller's number; From has the account in all but the first."""

    FROM = "from"
    P_ASSERTED_IDENTITY = "p-asserted-identity"
    P_PREFERRED_IDENTITY = "p-preferred-identity"
    REMOTE_PARTY_ID = "remote-party-id"


class HostPort(NamedTuple):
    """A server as it is written (RFC 3261, `hostport`); `port` is 0 where that of the transport is meant."""

    host: str
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """Raises ValueError."""
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


@dataclass(frozen=True, slots=True)
class Trunk:
    """A line of a tenant to the outside. Times are seconds; "" and () are what is not said.

    With `mode` REGISTER it is asked for `expires`; what failed is tried again after `retry` at the latest,
    what was refused after `retry_forbidden`. Each server is asked with OPTIONS every `ping`, 0 for never.
    `servers` are tried in their order, each with a port behind a colon if it has one; `domain` is what stands
    in URIs, the first server's if it is not said. Requests go by `outbound_proxy` where there is one.
    Calls come from the servers, from `sources` (networks), from who has shown the `certificate` of that name.

    `dids` are `NUMBER=EXTENSION`, with x for digits that are the same on both sides; calls for other numbers
    go to `default`. Numbers without a country's code are in `country` and `area`. `caller_ids` are
    `EXTENSION=NUMBER`; `caller_id` is who calls for all others. `codecs` are those that may be offered, ()
    for all; `max_calls` 0 is no limit.
    """

    tenant: str
    name: str
    password: str = ""
    mode: Mode = Mode.IP
    expires: int = 3600
    retry: int = 60
    retry_forbidden: int = 600
    ping: int = 30
    servers: tuple[str, ...] = ()
    transport: str = "udp"
    domain: str = ""
    outbound_proxy: str = ""
    username: str = ""
    auth_name: str = ""
    sources: tuple[str, ...] = ()
    certificate: str = ""
    did_source: DidSource = DidSource.REQUEST_URI
    dids: tuple[str, ...] = ()
    default: str = ""
    country: str = ""
    area: str = ""
    caller_id: str = ""
    caller_ids: tuple[str, ...] = ()
    caller_id_in: CallerIdIn = CallerIdIn.FROM
    codecs: tuple[str, ...] = ()
    max_calls: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.tenant, self.name

    @property
    def resource(self) -> str:
        """The name of its lamp, as if it were an extension."""
        return f"{RESERVED}{self.name}"

    @property
    def taken(self) -> frozenset[str]:
        """The codecs that may be offered, in capitals; none where all may."""
        return frozenset(codec.upper() for codec in self.codecs)

    @property
    def host(self) -> str:
        """What stands in URIs behind the @."""
        return self.domain or (str(HostPort.parse(self.servers[0])) if self.servers else "")


@dataclass(frozen=True, slots=True)
class OutRoute:
    """Numbers of `pattern` that a tenant's extensions dial go out by `trunks`, the first that takes the call.

    `strip` characters are taken off their beginning, and `prefix` is put there. `emergency`: nothing keeps
    such a call from being tried, and the caller is `caller_id`, which others have too where it is said.
    """

    tenant: str
    pattern: str
    trunks: tuple[str, ...]
    strip: int = 0
    prefix: str = ""
    caller_id: str = ""
    emergency: bool = False


def split(mapping: str) -> tuple[str, str]:
    """Both sides of `NUMBER=EXTENSION` or `EXTENSION=NUMBER`."""
    left, _, right = mapping.partition("=")
    return left.strip(), right.strip()


def check(trunk: Trunk, extensions: Container[str]) -> None:
    """Raises ValueError, in words."""
    what = f"trunk {trunk.name}"
    if not _NAME(trunk.name):
        text = "small letters, digits and . - are allowed, 32 at most, first a letter or digit"
        raise ValueError(f"trunk {trunk.name!r}: {text}")
    if not trunk.servers:
        raise ValueError(f"{what} needs a server: its address, such as 192.0.2.7 or 192.0.2.7:5070")
    for text in (*trunk.servers, *([trunk.outbound_proxy] if trunk.outbound_proxy else [])):
        HostPort.parse(text)
    for text in trunk.sources:
        network = hosts.network(text)
        if network.prefixlen < (least := WIDEST[network.version]):
            raise ValueError(f"{what}: source {text} is too wide, give networks of /{least} or narrower")
    for name, value, fits in (
        ("domain", trunk.domain or "x", _DOMAIN),
        ("certificate", trunk.certificate or "x", _DOMAIN),
        ("username", trunk.username, _USER),
        ("country", trunk.country, _DIGITS),
        ("area", trunk.area, _DIGITS),
    ):
        if not fits(value):
            raise ValueError(f"{what}: {name} cannot be {value!r}")
    if _CONTROL(trunk.password + trunk.auth_name):
        raise ValueError(f"{what}: auth-name and password are without control characters and line ends")
    for mapping in trunk.dids:
        number, target = split(mapping)
        if not numbers.is_pattern(number) or number.endswith(".") or not target:
            raise ValueError(f"{what}: {mapping!r} is written NUMBER=EXTENSION, as +4930123451xx=1xx")
        if "x" not in target.lower() and target not in extensions:
            raise ValueError(f"{what}: {target!r} in {mapping!r} is no extension here")
    if trunk.default and trunk.default not in extensions:
        raise ValueError(f"{what}: {trunk.default!r} is no extension here")
    for mapping in trunk.caller_ids:
        extension, number = split(mapping)
        if not numbers.is_pattern(extension) or not numbers.is_pattern(number) or number.endswith("."):
            raise ValueError(f"{what}: {mapping!r} is written EXTENSION=NUMBER, as 1xx=+4930123451xx")
    if trunk.caller_id and not numbers.is_pattern(trunk.caller_id):
        raise ValueError(f"{what}: caller-id is a number, not {trunk.caller_id!r}")
    for codec in trunk.codecs:
        if not _CODEC(codec):
            raise ValueError(f"{what}: {codec!r} is no name of a codec, such as PCMA")
    if trunk.mode is Mode.REGISTER and not (trunk.username and trunk.password):
        raise ValueError(f"{what} registers, so it needs a username and a password; or mode ip")
    for name, seconds, least, most in (
        ("expires", trunk.expires, 60, 86_400),
        ("retry", trunk.retry, 2, 3600),
        ("retry-forbidden", trunk.retry_forbidden, 30, 86_400),
        ("ping", trunk.ping or 5, 5, 3600),
    ):
        if not least <= seconds <= most:
            raise ValueError(f"{what}: {name} is from {least} to {most} seconds, not {seconds}")
    if trunk.transport not in ("udp", "tcp", "tls"):
        raise ValueError(f"{what}: transport is udp, tcp or tls, not {trunk.transport!r}")
    if not 0 <= trunk.max_calls <= 100_000:
        raise ValueError(f"{what}: max-calls is a number up to 100000, 0 for no limit")


def check_route(route: OutRoute, trunks: Container[str]) -> None:
    """Raises ValueError, in words."""
    what = f"route {route.pattern}"
    if not numbers.is_pattern(route.pattern):
        raise ValueError(
            f"route {route.pattern!r}: digits, x for any digit, and . at the end for more of them"
        )
    if not route.trunks:
        raise ValueError(f"{what} needs a trunk")
    for name in route.trunks:
        if name not in trunks:
            raise ValueError(f"{what}: there is no trunk {name!r}")
    if not 0 <= route.strip <= len(route.pattern.removesuffix(".")):
        raise ValueError(f"{what}: strip takes off no more than stands in the pattern")
    for name, number in (("prefix", route.prefix), ("caller-id", route.caller_id)):
        if number and (not numbers.is_pattern(number) or "x" in number.lower() or number.endswith(".")):
            raise ValueError(f"{what}: {name} is a number, not {number!r}")
