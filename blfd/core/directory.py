"""What an administrator has set of tenants, their extensions and pickup groups, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import NamedTuple

from blfd.core.trunk import OutRoute, Trunk
from blfd.core.upstreams.upstream import Upstream
from blfd.core.values import DEFAULT_TENANT, REALM, Aor


class Owner(Enum):
    """Who knows how an extension is."""

    LOCAL = "local"  # this server, which carries its calls
    PUBLISHED = "published"  # who publishes it (RFC 3903)
    UPSTREAM = "upstream"  # a PBX, whose lamp is watched


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
    """The ringing phones of an extension for which holds what one of them says."""

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
        """What is set, in words for people; "" for nothing."""
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

    Behind those that forward comes the extension where calls are to go, and behind `withhold` who is called
    without being told by whom; behind `withhold_off` who is told, although the extension withholds that. The
    defaults are the factory codes of Cisco's SPA phones.
    """

    dnd: str = "*78"
    dnd_off: str = "*79"
    forward_always: str = "*72"
    forward_always_off: str = "*73"
    forward_busy: str = "*90"
    forward_busy_off: str = "*91"
    forward_no_answer: str = "*92"
    forward_no_answer_off: str = "*93"
    withhold: str = "*67"
    withhold_off: str = "*68"

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
    may publish the state of all extensions of its tenant whose calls are not carried here. `withholds`: its
    number is not shown outside, where nothing else is said of a call.
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
    withholds: bool = False

    @property
    def ha1s(self) -> tuple[dict[str, str], ...]:
        """All its HA1s, those of each password apart."""
        return (self.ha1, *self.device_ha1s)

    @property
    def proofs(self) -> frozenset[str]:
        """What its passwords are called in what was made by them."""
        return frozenset(map(proof, self.ha1s))


def proof(ha1: dict[str, str]) -> str:
    """What a password is called in what was made by it: as long as it is the same, so is this."""
    return sha256("".join(sorted(ha1.values())).encode()).hexdigest()[:16]


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
    upstreams: tuple[Upstream, ...] = ()

    def has_lamp(self, aor: Aor) -> bool:
        """Whether there is something to watch of that name: an extension, or a trunk's lamp."""
        return aor in self.extensions or any(aor == (one.tenant, one.resource) for one in self.trunks)

    def owner(self, extension: Extension) -> Owner:
        """Who knows an extension: what is said of itself counts, then the upstreams, then its tenant."""
        if extension.owner:
            return extension.owner
        if self.upstreams and self.upstream(extension.aor):
            return Owner.UPSTREAM
        tenant = self.tenants.get(extension.aor.tenant)
        return tenant.owner if tenant else Owner.LOCAL

    def upstream(self, aor: Aor) -> Upstream | None:
        """The upstream that knows an extension, whose pattern says most of it; None for none."""
        found = [
            (weight, one.name, one)
            for one in self.upstreams
            if one.enabled and one.tenant == aor.tenant and (weight := one.weight(aor.extension))
        ]
        return max(found, key=lambda each: each[:2])[2] if found else None
