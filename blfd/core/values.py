"""The plain values that everything else speaks of. Names are the RFCs' words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from blfd.core import hosts

DEFAULT_TENANT = "default"
"""Name of the tenant that a request belongs to when its domain is an address of this server."""

REALM = "blfd"
"""Digest realm of the default tenant; every other tenant's realm is its domain."""

Headers = tuple[tuple[str, str], ...]
"""Header fields, as (name, value)."""


class Aor(NamedTuple):
    """Address of record: one extension of one tenant (RFC 3261, section 6)."""

    tenant: str
    extension: str

    def __str__(self) -> str:
        return self.extension if self.tenant == DEFAULT_TENANT else f"{self.extension}@{self.tenant}"


class Transport(NamedTuple):
    """A transport protocol (RFC 3261, section 18).

    `name` is what flows, listeners and stored rows call it; `via` and `parameter` are what it is called in a
    Via and behind the host of a SIP URI. A transport that is `reliable` needs no retransmissions; one that is
    `connected` has a connection for each peer, which may end; what one that is `secure` carries is encrypted.
    """

    name: str
    via: str
    parameter: str
    reliable: bool
    connected: bool
    default_port: int = 5060
    secure: bool = False


UDP = Transport("udp", "UDP", "", reliable=False, connected=False)
TCP = Transport("tcp", "TCP", ";transport=tcp", reliable=True, connected=True)
TLS = Transport("tls", "TLS", ";transport=tls", True, True, default_port=5061, secure=True)
TRANSPORTS = {transport.name: transport for transport in (UDP, TCP, TLS)}


class Flow(NamedTuple):
    """Where a request came from, and so where requests to its sender go (RFC 5626's word).

    `transport` is the name of one of TRANSPORTS; `host` (see `hosts`) and `port` are the peer's; `listener`
    is the index of our listener, in the order of `--listen`. `name` is whom the certificate has to be for
    that the peer shows when we connect to it by TLS: a host that was looked up, "" for none.
    """

    transport: str
    host: str
    port: int
    listener: int = 0
    name: str = ""

    def __str__(self) -> str:
        return f"{self.transport}:{hosts.written(self.host)}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Flow:
        """The flow that `str` has written. Raises ValueError."""
        transport, _, at = text.partition(":")
        host, _, port = at.rpartition(":")
        return cls(transport, hosts.read(host), int(port))

    def to(self, host: str, port: int) -> Flow:
        """The way to another address, or another port; nobody has looked up another's name."""
        return self._replace(host=host, port=port, name=self.name if host == self.host else "")

    @property
    def is_connected(self) -> bool:
        return TRANSPORTS[self.transport].connected

    @property
    def is_reliable(self) -> bool:
        """Whether the transport repeats by itself what is lost."""
        return TRANSPORTS[self.transport].reliable

    @property
    def is_secure(self) -> bool:
        """Whether what the transport carries is encrypted."""
        return TRANSPORTS[self.transport].secure


class Server(NamedTuple):
    """What the way to is looked up (RFC 3263): a host's name, the port that is written behind it, 0 for none.

    `transports` are the names of those that may be used, the preferred one first.
    """

    host: str
    port: int
    transports: tuple[str, ...]


class Target(NamedTuple):
    """Where requests to a `Server` may go."""

    transport: str
    host: str
    port: int

    def by(self, asked: Server) -> Flow:
        """The way there, for whoever has asked for that server (RFC 5922, section 7.1)."""
        secure = TRANSPORTS[self.transport].secure
        return Flow(*self, name=asked.host.removesuffix(".") if secure else "")


class Location(NamedTuple):
    """What has been found of a `Server`: its targets, the best first, and for how many seconds that holds.

    Where there are none, `fault` says why; `unsure`: nobody has said so, DNS does not answer as it should.
    """

    targets: tuple[Target, ...] = ()
    seconds: float = 0.0
    fault: str = ""
    unsure: bool = False


class Uri(NamedTuple):
    """The parts of a SIP URI that decide something; `text` is the whole of it as received.

    `user` is unescaped, `host` as in `hosts`, `port` 0 where none is given.
    `parameters` are names in lower case and values as written, `headers` what follows the question mark. Of
    other schemes there are `text` and `scheme` only.
    """

    text: str
    scheme: str
    user: str
    host: str
    port: int
    parameters: tuple[tuple[str, str], ...] = ()
    headers: str = ""

    @property
    def domain(self) -> str:
        """Host with the port, if there is one."""
        host = hosts.written(self.host)
        return f"{host}:{self.port}" if self.port else host

    def parameter(self, name: str) -> str | None:
        """The value of a parameter, "" if it has none; None where it is absent."""
        for known, value in self.parameters:
            if known == name:
                return value
        return None


class Address(NamedTuple):
    """A From, To or P-Asserted-Identity value; `display` and `tag` are empty where absent."""

    uri: Uri
    display: str = ""
    tag: str = ""


class NameAddr(NamedTuple):
    """A From or To that we write: `uri` as it came, `display` without its quotes."""

    uri: str
    display: str = ""


class Reason(NamedTuple):
    """Why a leg ends, for a Reason header (RFC 3326): a status of SIP, and our words for it."""

    cause: int
    text: str = ""


class DialogId(NamedTuple):
    """A dialog as we, its local end, know it (RFC 3261, section 12)."""

    call_id: str
    local_tag: str
    remote_tag: str


class SubscriptionDialog(NamedTuple):
    """What every NOTIFY of a subscription repeats: its dialog's state from our side, and the Event.

    `target` is the watcher's Contact, `route_set` what Record-Route of the SUBSCRIBE gave, in the order to
    be sent; `event` is the whole value of Event.
    """

    id: DialogId
    local: NameAddr
    remote: NameAddr
    target: str
    route_set: tuple[str, ...]
    event: str


class Redirect(NamedTuple):
    """Where a 3xx says that a call shall go, the best first by q; `reason` is its Diversion's, or ""."""

    contacts: tuple[Uri, ...]
    reason: str = ""


class Account(NamedTuple):
    """Who we are to a server that asks for a password, in one `realm` alone if that is given."""

    username: str
    password: str
    realm: str = ""


class Replaces(NamedTuple):
    """Which dialog a new INVITE is to replace (RFC 3891); the tags are those that its sender gave."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of an AOR (RFC 3261, section 10). Times are seconds since the epoch.

    `flow` is where requests go. `lost`: the connection over which it was registered is gone (not stored: none
    outlives the process). `instance` is as in RegisterContact. `proof` says by which password it was made
    (`Extension.proofs`), "" where none was asked for.
    """

    aor: Aor
    contact: str
    flow: Flow
    call_id: str
    cseq: int
    expires_at: float
    q: float = 1.0
    user_agent: str = ""
    path: tuple[str, ...] = ()
    instance: str = ""
    lost: bool = False
    proof: str = ""
