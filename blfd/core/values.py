"""The plain values that everything else speaks of. Names are the RFCs' words."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import NamedTuple

DEFAULT_TENANT = "default"
"""Name of the tenant that a request belongs to when its domain is an address of this server."""

REALM = "blfd"
"""Digest realm of the default tenant; every other tenant's realm is its domain."""


class Aor(NamedTuple):
    """Address of record: one extension of one tenant (RFC 3261, section 6)."""

    tenant: str
    extension: str

    def __str__(self) -> str:
        return self.extension if self.tenant == DEFAULT_TENANT else f"{self.extension}@{self.tenant}"


class Flow(NamedTuple):
    """Where a request came from, and so where requests to its sender go (RFC 5626's word).

    `transport` is "udp" or "tcp"; `host` and `port` are the peer's; `listener` is the index of our
    listener, in the order of `--listen`.
    """

    transport: str
    host: str
    port: int
    listener: int = 0

    def __str__(self) -> str:
        return f"{self.transport}:{self.host}:{self.port}"


class Uri(NamedTuple):
    """The parts of a SIP URI that decide something; `text` is the whole of it as received.

    `user` is unescaped; `port` is 0 where none is given.
    """

    text: str
    scheme: str
    user: str
    host: str
    port: int

    @property
    def domain(self) -> str:
        """Host with the port, if there is one."""
        return f"{self.host}:{self.port}" if self.port else self.host


class Address(NamedTuple):
    """A From, To or P-Asserted-Identity value; `display` and `tag` are empty where absent."""

    uri: Uri
    display: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A SIP domain; nothing in it is seen from another.

    `single_dialog`: a NOTIFY carries one dialog at most, for phones that break on several.
    """

    domain: str
    aliases: tuple[str, ...] = ()
    single_dialog: bool = False

    @property
    def realm(self) -> str:
        return REALM if self.domain == DEFAULT_TENANT else self.domain


@dataclass(frozen=True, slots=True)
class Extension:
    """An account. `ha1` maps a digest algorithm (RFC 8760: "SHA-256", "MD5") to its hexadecimal HA1."""

    aor: Aor
    name: str = ""
    ha1: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that an administrator configures and the core reads; replaced as a whole on a change."""

    tenants: dict[str, Tenant] = field(default_factory=dict)
    extensions: dict[Aor, Extension] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of an AOR (RFC 3261, section 10). Times are seconds since the epoch."""

    aor: Aor
    contact: str
    flow: Flow
    call_id: str
    cseq: int
    expires_at: float
    q: float = 1.0
    user_agent: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the core may be told to do otherwise. Times are seconds; a TOML file overrides the defaults.

    Every field is a key of the section [sip] in the configuration file.
    """

    register_min_expires: int = 60
    register_default_expires: int = 3600
    register_max_expires: int = 7200
    max_bindings: int = 10
    subscribe_min_expires: int = 60
    subscribe_default_expires: int = 3600
    subscribe_max_expires: int = 7200
    digest_algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    nonce_lifetime: int = 300
    failures_before_silence: int = 20
    silence: int = 60
    no_answer_timeout: int = 120
    session_expires: int = 1800
    trust: tuple[IPv4Network, ...] = ()
