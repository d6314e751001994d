"""The plain values that everything else speaks of. Names are the RFCs' words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple

from blfd.core import hosts
from blfd.core.trunks.trunk import OutRoute, Trunk

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
    is the index of our listener, in the order of `--listen`.
    """

    transport: str
    host: str
    port: int
    listener: int = 0

    def __str__(self) -> str:
        return f"{self.transport}:{hosts.written(self.host)}:{self.port}"

    @property
    def is_connected(self) -> bool:
        return TRANSPORTS[self.transport].connected

    @property
    def is_reliable(self) -> bool:
        """Whether the transport repeats by itself what is lost."""
        return TRANSPORTS[self.transport].reliable

    @property
    def is_secure(self) -> bool:
        """Whether what it carries is encrypted."""
        return TRANSPORTS[self.transport].secure


class Server(NamedTuple):
    """What the way to is looked up (RFC 3263): a host's name, the port that is written behind it, 0 for none.

    `transports` are the names of those that may be used, the preferred one first.
    """

    host: str
    port: int
    transports: tuple[str, ...]


class Target(NamedTuple):
    """Where requests to a `Server` may go; the fields are those of a Flow."""

    transport: str
    host: str
    port: int


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
        return next((value for known, value in self.parameters if known == name), None)


class Address(NamedTuple):
    """A From, To or P-Asserted-Identity value; `display` and `tag` are empty where absent."""

    uri: Uri
    display: str = ""
    tag: str = ""


class NameAddr(NamedTuple):
    """A From or To that we write: `uri` as it came, `display` without its quotes."""

    uri: str
    display: str = ""


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
    """Who we are to a server that asks for a password."""

    username: str
    password: str


class Replaces(NamedTuple):
    """Which dialog a new INVITE is to replace (RFC 3891); the tags are those that its sender gave."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False


class Owner(Enum):
    """Who knows how an extension is."""

    LOCAL = "local"  # this server, which carries its calls
    PUBLISHED = "published"  # who publishes it (RFC 3903)


class Reach(Enum):
    """Whose calls somebody may pick up."""

    ON = "on"  # anybody's of the tenant
    OFF = "off"  # nobody's
    GROUPS = "groups"  # those of the members of own groups


class DndLamp(Enum):
    """What the lamp of an extension shows that does not want to be disturbed, while it is in no call."""

    BUSY = "busy"
    IDLE = "idle"


class Whose(Enum):
    """For which phones of an extension that ring holds what one of them says."""

    ALL = "all"
    PHONE = "phone"  # for that one alone


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What an extension has set for its calls: the numbers where they go instead, "" for nowhere.

    `no_answer` holds when it has rung for `after` seconds, `unregistered` where none of its phones can be
    reached. `dnd`, do not disturb: calls go where `busy` says, and are refused where it says nothing.
    """

    dnd: bool = False
    always: str = ""
    busy: str = ""
    no_answer: str = ""
    unregistered: str = ""
    after: int = 20

    @property
    def told(self) -> str:
        """For people; "" where nothing is set."""
        found = {
            "always": self.always,
            "busy": self.busy,
            f"no answer for {self.after} s": self.no_answer,
            "not registered": self.unregistered,
        }
        words = [f"{when}: {target}" for when, target in found.items() if target]
        return ", ".join(["do not disturb", *words] if self.dnd else words)


class Rule(NamedTuple):
    """One of the rules that an extension has set: a field of `Forwarding`, and its value."""

    field: str
    value: bool | str | int


@dataclass(frozen=True, slots=True)
class StarCodes:
    """What is dialled to set one's own rules, "" where nothing is.

    Behind those that forward comes the extension where calls are to go. The defaults are the factory codes of
    Cisco's SPA phones.
    """

    dnd: str = "*78"
    dnd_off: str = "*79"
    forward_always: str = "*72"
    forward_always_off: str = "*73"
    forward_busy: str = "*90"
    forward_busy_off: str = "*91"
    forward_no_answer: str = "*92"
    forward_no_answer_off: str = "*93"

    @property
    def dialled(self) -> dict[str, str]:
        """The codes that there are, by name."""
        return {name: code for name in self.__slots__ if (code := getattr(self, name))}


@dataclass(frozen=True, slots=True)
class Tenant:
    """A SIP domain; nothing in it is seen from another.

    `single_dialog`: a NOTIFY carries one dialog at most, for phones that break on several. `pickup` and
    `pickable` hold for extensions that say nothing else. `redirect` says for whom a phone's 3xx holds, and
    `decline` for whom its 6xx does. `feature_sync`: phones are told of their extension's rules, and set them.
    `send_outside`: calls may be forwarded and transferred outside.
    """

    domain: str
    aliases: tuple[str, ...] = ()
    single_dialog: bool = False
    pickup_code: str = "*97"
    group_pickup_code: str = "*98"
    pickup: Reach = Reach.ON
    pickable: bool = True
    owner: Owner = Owner.LOCAL
    dnd_lamp: DndLamp = DndLamp.BUSY
    redirect: Whose = Whose.ALL
    decline: Whose = Whose.ALL
    star_codes: StarCodes = StarCodes()
    feature_sync: bool = True
    send_outside: bool = True

    @property
    def realm(self) -> str:
        return REALM if self.domain == DEFAULT_TENANT else self.domain


@dataclass(frozen=True, slots=True)
class Extension:
    """An account. `ha1` maps a digest algorithm (RFC 8760: "SHA-256", "MD5") to its hexadecimal HA1.

    `device_ha1s` are those of its provisioned phones, each of which has a password of its own. `pickup`,
    `pickable` (may others pick up its calls) and `owner` are None where the tenant's hold. `publishes`: it
    may publish the state of all extensions of its tenant whose calls are not carried here.
    """

    aor: Aor
    name: str = ""
    ha1: dict[str, str] = field(default_factory=dict)
    pickup: Reach | None = None
    pickable: bool | None = None
    device_ha1s: tuple[dict[str, str], ...] = ()
    owner: Owner | None = None
    publishes: bool = False
    forwarding: Forwarding = Forwarding()


@dataclass(frozen=True, slots=True)
class Group:
    """A pickup group: each of `pickers` may pick up the calls of each of `targets`, all extensions."""

    tenant: str
    name: str
    pickers: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that an administrator configures and the core reads; replaced as a whole on a change."""

    tenants: dict[str, Tenant] = field(default_factory=dict)
    extensions: dict[Aor, Extension] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    trunks: tuple[Trunk, ...] = ()
    routes: tuple[OutRoute, ...] = ()

    def has_lamp(self, aor: Aor) -> bool:
        """Whether there is something to watch of that name: an extension, or a trunk's lamp."""
        return aor in self.extensions or any(aor == (one.tenant, one.resource) for one in self.trunks)

    def owner(self, extension: Extension) -> Owner:
        tenant = self.tenants.get(extension.aor.tenant)
        return extension.owner or (tenant.owner if tenant else Owner.LOCAL)


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of an AOR (RFC 3261, section 10). Times are seconds since the epoch.

    `flow` is where requests go. `lost`: the connection over which it was registered is gone (not stored: none
    outlives the process). `instance` is as in RegisterContact.
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


class SavedSubscription(NamedTuple):
    """What has to outlive the process so that NOTIFYs go on in the same dialog (RFC 6665, section 4.4.1).

    `cseq` has not been used, and neither has any higher one; `remote_cseq` is the watcher's last.
    """

    resource: Aor
    watcher: Aor
    package: str
    entity: str
    dialog: SubscriptionDialog
    remote_cseq: int
    flow: Flow
    expires_at: float
    user_agent: str
    cseq: int

    @property
    def key(self) -> str:
        """Our tag, which is the subscription's name everywhere."""
        return self.dialog.id.local_tag


class SavedPublication(NamedTuple):
    """What one publisher has said of one extension at `at`, under the entity-tag that it was given last.

    `publisher` is an address that is trusted, or the AOR whose password was used; `body` is as it came.
    """

    etag: str
    aor: Aor
    publisher: str
    at: float
    expires_at: float
    body: bytes


class SessionTimer(NamedTuple):
    """RFC 4028: who has to refresh the session, `is_ours` or its phone, and when it is over otherwise."""

    interval: int
    is_ours: bool
    expires_at: float


class SavedLeg(NamedTuple):
    """What has to outlive the process so that the dialog of a leg that is up goes on.

    `local` and `remote` are From and To of our requests without their tags, `target` is their Request-URI.
    `contact` is where the phone said last that it is, in the dialog or by registering. `cseq` has not been
    used, and neither has any higher one; `remote_cseq` is the phone's last. `sent` is the SDP that the phone
    has last agreed on, and `received` its own. `timer` is None where nobody refreshes.
    """

    dialog: DialogId
    local: str
    remote: str
    target: str
    contact: str
    route_set: tuple[str, ...]
    flow: Flow
    cseq: int
    remote_cseq: int
    sent: bytes
    received: bytes
    allows_update: bool = False
    timer: SessionTimer | None = None


class SavedSeat(NamedTuple):
    """Who is at one end of a call that is up, and what the lamp shows of it: see `Seat` and `WatchedDialog`.

    `flow_lost`: nothing can be sent to its phone before that sends something (not stored). `number` is that
    of who is outside.
    """

    leg: int
    aor: Aor
    name: str
    withheld: bool
    is_trusted: bool
    contact: str
    initiator: bool
    since: float
    held: bool
    picked: bool
    referred_by: tuple[str, str]
    replaces: DialogId | None
    saved: SavedLeg
    flow_lost: bool = False
    number: str = ""


class SavedCall(NamedTuple):
    """What has to outlive the process so that a call that is up goes on.

    `settled`: both phones know where the other one's media is; else they were just being told.
    """

    number: int
    domain: str
    source: str
    started_at: float
    transfers: int
    settled: bool
    caller: SavedSeat
    callee: SavedSeat


class Way(Enum):
    """How a phone asks for somebody else's call."""

    DIRECTED = "directed"  # the code and an extension, dialled or by the key
    GROUP = "group"  # the group's code
    REPLACES = "replaces"  # INVITE with Replaces for a call that rings (RFC 3891)
    TAKE_OVER = "take-over"  # the same for a call that is up


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to pick up, and what came of it: `status` and `result` are what the picker was told.

    `at` is in seconds since the epoch, `milliseconds` from the INVITE to the decision. `extension` is whose
    call was wanted and `caller` whose it was; both are empty where there was none.
    """

    at: float
    picker: Aor
    way: Way
    extension: str
    caller: str
    status: int
    result: str
    milliseconds: float

    def row(self) -> dict[str, Any]:
        """For people and programs: times as ISO 8601."""
        return {
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
            "picker": self.picker.extension,
            "tenant": self.picker.tenant,
            "way": self.way.value,
            "extension": self.extension,
            "caller": self.caller,
            "status": self.status,
            "result": self.result,
            "milliseconds": self.milliseconds,
        }


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
    publish_min_expires: int = 1  # what ends is published for some seconds more
    publish_default_expires: int = 3600
    publish_max_expires: int = 7200
    digest_algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    nonce_lifetime: int = 300
    failures_before_silence: int = 20
    silence: int = 60
    no_answer_timeout: int = 120
    session_expires: int = 1800
    max_waiting: int = 20_000
    max_subscriptions: int = 500
    max_calls: int = 50
    tenant_subscriptions: int = 100_000
    tenant_publications: int = 100_000
    source_publications: int = 100_000
    tenant_calls: int = 5000
    tenant_bindings: int = 50_000
    tenant_requests: int = 10_000
    extension_requests: int = 100
    source_subscriptions: int = 50_000
    source_bindings: int = 10_000
    source_calls: int = 2000
    source_requests: int = 5000
    source_connections: int = 500
    source_handshakes: int = 100
    slowest_message: int = 30
    trust: tuple[hosts.Network, ...] = ()
    trust_names: tuple[str, ...] = ()  # of certificates; [tls] has them
