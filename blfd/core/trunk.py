"""What an administrator says of a trunk and of a route, as it is written, and whether that is sound."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from blfd.core.advice import command
from blfd.core.trunks import numbers
from blfd.core.trunks.remote import (
    Remote,
    check_new,
    is_domain,
    said_twice,
    wrong_remote,
    wrong_seconds,
    wrong_sources,
)
from blfd.core.values import Account

RESERVED = "trunk+"
"""Before the name of a trunk it is the name of its lamp; no extension is named so."""

EXTENSION = "{extension}"
"""What stands in `pickup_code` for the extension."""

_COUNTRY = re.compile(r"([1-9][0-9]{0,5})?").fullmatch
_AREA = re.compile(r"[0-9]{0,6}").fullmatch
_HEADER = re.compile(r"header:[A-Za-z0-9-]{1,64}").fullmatch
_CODEC = re.compile(r"[A-Za-z0-9._-]{1,32}").fullmatch
_CODE = re.compile(r"[0-9A-Za-z*#+._-]{0,30}\{extension\}[0-9A-Za-z*#+._-]{0,30}").fullmatch


class Mode(Enum):
    """How the two ends know each other."""

    IP = "ip"  # by their addresses
    REGISTER = "register"  # blfd registers with the server
    PEER_REGISTERS = "peer-registers"  # it registers with blfd, as a phone does


REQUEST_URI, TO = "request-uri", "to"
NAMED_SOURCES = ("p-called-party-id", "p-preferred-identity")
DID_SOURCES = (REQUEST_URI, TO, *NAMED_SOURCES)
"""Where an INVITE says which number was called, besides any header field: `header:NAME`."""


_NAMES_NO_NUMBER = re.compile(
    r"header:(Via|Call-ID|CSeq|Max-Forwards|From|Contact|Record-Route|Path|Content-.*|MIME-Version|Accept.*|"
    r"Allow.*|Supported|Require|Proxy-Require|Unsupported|(Proxy-)?Authorization|(WWW|Proxy)-Authenticate|"
    r"Authentication-Info|User-Agent|Server|Date|Timestamp|Expires|Min-.*|Session-Expires|Retry-After|RSeq|"
    r"RAck|Event|Subscription-State|Privacy|Warning|Priority|In-Reply-To|Replaces|SIP-.*|Identity.*)",
    re.I,
).fullmatch
"""Header fields that say how a request goes, what it has, or who calls: none can have the number called."""


class Replacing(Enum):
    """Where an INVITE with Replaces goes that picks up a call which the trunk's server carries (RFC 3891)."""

    NONE = "none"  # it takes none
    CALLER = "caller"  # a proxy: to the phone that calls, which ends the ringing
    EXTENSION = "extension"  # a B2BUA that knows the ids which it tells: to itself


class CallerIdIn(Enum):
    """Which header field of our INVITE has the caller's number; From has the account in all but the first."""

    FROM = "from"
    P_ASSERTED_IDENTITY = "p-asserted-identity"
    P_PREFERRED_IDENTITY = "p-preferred-identity"
    REMOTE_PARTY_ID = "remote-party-id"


@dataclass(frozen=True, slots=True)
class Trunk(Remote):
    """A line of a tenant to the outside. "" and () are what is not said.

    With `mode` REGISTER it is asked for `expires`
    seconds, and with `line` a token in our Contact says whose a call is. With PEER_REGISTERS there are no
    servers: it registers here as `username`, by `password`. Calls come from the servers, from `sources`
    (networks), from who has shown the `certificate` of that name.

    `dids` are `NUMBER=EXTENSION`, with x for digits that are the same on both sides; calls for other numbers
    go to `default`. Numbers without a country's code are in `country` and `area`. `caller_ids` are
    `EXTENSION=NUMBER`; `caller_id` is who calls for all others. `codecs` are those that may be offered, ()
    for all; `max_calls` 0 is no limit.

    Calls that its server carries, and tells of, are picked up by INVITE with Replaces, as `replaces` says,
    where their ids are told; else by dialling `pickup_code` there, with {extension} for whose call it is.
    """

    mode: Mode = Mode.IP
    expires: int = 3600
    line: bool = True
    sources: tuple[str, ...] = ()
    certificate: str = ""
    did_source: str = REQUEST_URI
    dids: tuple[str, ...] = ()
    default: str = ""
    country: str = ""
    area: str = ""
    caller_id: str = ""
    caller_ids: tuple[str, ...] = ()
    caller_id_in: CallerIdIn = CallerIdIn.FROM
    codecs: tuple[str, ...] = ()
    max_calls: int = 0
    replaces: Replacing = Replacing.NONE
    pickup_code: str = ""

    @property
    def is_peer(self) -> bool:
        """Whether the trunk registers here."""
        return self.mode is Mode.PEER_REGISTERS

    @property
    def credentials(self) -> Account | None:
        """Who we are there; None for one that registers here: its password proves it to us."""
        return None if self.is_peer else super(Trunk, self).credentials

    @property
    def resource(self) -> str:
        """The name of its lamp, as if it were an extension."""
        return f"{RESERVED}{self.name}"

    @property
    def taken(self) -> frozenset[str]:
        """The codecs that may be offered, in capitals; none where all may."""
        return frozenset(codec.upper() for codec in self.codecs)

    @property
    def picks_up(self) -> bool:
        """Whether calls that its server carries can be picked up."""
        return self.replaces is not Replacing.NONE or bool(self.pickup_code)

    @property
    def leads_to(self) -> frozenset[str]:
        """The extensions that are named where its numbers lead."""
        named = (split(mapping)[1] for mapping in self.dids)
        return frozenset((*(name for name in named if "x" not in name.lower()), self.default)) - {""}

    @property
    def shows(self) -> frozenset[str]:
        """The extensions that are named with the number that is shown of them."""
        named = (split(mapping)[0] for mapping in self.caller_ids)
        return frozenset(name for name in named if "x" not in name.lower())

    def by_digits(self, extension: str) -> list[str]:
        """What is said of the extension by a pattern alone: it has another meaning for another number."""
        sides = [(one, split(one)[1]) for one in self.dids] + [
            (one, split(one)[0]) for one in self.caller_ids
        ]
        patterns = [(one, side) for one, side in sides if side != extension and numbers.is_pattern(side)]
        return [one for one, side in patterns if numbers.match(side, extension)]

    def renumbered(self, old: str, new: str) -> Trunk:
        """The trunk with an extension's new number wherever the old one is named.

        Raises ValueError, in words, for one that would be read as a pattern.
        """

        def other(name: str) -> str:
            return new if name == old else name

        pairs = [split(one) for one in self.dids]
        if "x" in new.lower() and old in (target for _, target in pairs):
            raise ValueError(f"trunk {self.name}: a number of it leads to {old}, and x in {new} is any digit")
        return replace(
            self,
            dids=tuple(f"{number}={other(target)}" for number, target in pairs),
            default=other(self.default),
            caller_ids=tuple(
                f"{other(extension)}={number}" for extension, number in map(split, self.caller_ids)
            ),
        )

    @property
    def takes_calls(self) -> bool:
        """Whether the trunk has numbers of extensions here."""
        return bool(self.dids or self.default)


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


def check(trunk: Trunk, extensions: Container[str], before: Trunk | None = None) -> None:
    """Check a trunk as it is set. Raises ValueError, in words, for what was not as wrong `before`."""
    check_new(wrong(trunk, extensions), wrong(before, extensions) if before else ())


def wrong(trunk: Trunk, extensions: Container[str]) -> Iterator[str]:
    """What is wrong with a trunk as it is set, in words."""
    what = f"trunk {trunk.name}"
    yield from wrong_remote(trunk, what, needs_server=not trunk.is_peer)
    if trunk.is_peer:
        yield from _wrong_peer(trunk, extensions)
    yield from wrong_sources(what, trunk.sources)
    for name, value, fits in (
        ("certificate", trunk.certificate or "x", is_domain),
        ("country", trunk.country, _COUNTRY),
        ("area", trunk.area, _AREA),
    ):
        if not fits(value):
            yield f"{what}: {name} cannot be {value!r}"
    yield from _wrong_numbers(trunk, extensions)
    yield from doubles(trunk)
    for codec in trunk.codecs:
        if not _CODEC(codec):
            yield f"{what}: {codec!r} is no name of a codec, such as PCMA"
    if trunk.mode is Mode.REGISTER and not (trunk.username and trunk.password):
        yield f"{what} registers, so it needs a username and a password; or mode ip"
    if trunk.did_source not in DID_SOURCES and not _HEADER(trunk.did_source):
        yield f"{what}: did-source is {', '.join(DID_SOURCES)} or header:NAME, not {trunk.did_source!r}"
    yield from wrong_source_of_numbers(trunk)
    yield from wrong_seconds(what, "expires", trunk.expires, 60, 86_400)
    if not 0 <= trunk.max_calls <= 100_000:
        yield f"{what}: max-calls is a number up to 100000, 0 for no limit"
    if trunk.pickup_code and not _CODE(trunk.pickup_code):
        yield (
            f"{what}: pickup-code is dialled there, with {EXTENSION} for whose call it is, as "
            f"**{EXTENSION}, not {trunk.pickup_code!r}"
        )


def wrong_source_of_numbers(trunk: Trunk) -> Iterator[str]:
    """Say where the number that is called is looked for in a field that cannot have it."""
    if _NAMES_NO_NUMBER(trunk.did_source):
        name = trunk.did_source.partition(":")[2]
        text = f"did-source {trunk.did_source}: no number that is called stands in {name}"
        yield f"trunk {trunk.name}: {text}; give {', '.join(DID_SOURCES)}, or the field that has it"


def _wrong_numbers(trunk: Trunk, extensions: Container[str]) -> Iterator[str]:
    """What is wrong with the numbers of a trunk: where they lead, and who calls as which."""
    what = f"trunk {trunk.name}"
    for mapping in trunk.dids:
        number, target = split(mapping)
        if not numbers.is_pattern(number) or number.endswith(".") or not target:
            yield f"{what}: {mapping!r} is written NUMBER=EXTENSION, as +4930123451xx=1xx"
        yield from _wrong_digits(what, mapping)
        if "x" not in target.lower() and target not in extensions:
            yield f"{what}: {target!r} in {mapping!r} is no extension here"
    if trunk.default and trunk.default not in extensions:
        yield f"{what}: {trunk.default!r} is no extension here"
    for mapping in trunk.caller_ids:
        extension, number = split(mapping)
        if not numbers.is_pattern(extension) or not numbers.is_pattern(number) or number.endswith("."):
            yield f"{what}: {mapping!r} is written EXTENSION=NUMBER, as 1xx=+4930123451xx"
        yield from _wrong_digits(what, mapping)
    if trunk.caller_id and not numbers.is_whole(trunk.caller_id):
        yield f"{what}: caller-id is a number, not {trunk.caller_id!r}"


def doubles(trunk: Trunk) -> Iterator[str]:
    """What is said twice of a trunk, in words."""
    what = f"trunk {trunk.name}"
    yield from said_twice(what, "server", trunk.servers)
    yield from said_twice(what, "did", (_plain(trunk, split(one)[0]) for one in trunk.dids))
    yield from said_twice(what, "number", (split(one)[0] for one in trunk.caller_ids))


def _wrong_digits(what: str, mapping: str) -> Iterator[str]:
    """Say where the left side does not say all digits of the right one."""
    said, wanted = (side.lower().count("x") for side in split(mapping))
    if wanted > said:
        yield f"{what}: {mapping!r} has more x behind the = than before it"


def _plain(trunk: Trunk, number: str) -> str:
    """A number as the trunk compares it."""
    return numbers.normal(number, trunk.country, trunk.area).removeprefix("+").lower()


def _wrong_peer(trunk: Trunk, extensions: Container[str]) -> Iterator[str]:
    """What is wrong with a trunk that registers here."""
    what = f"trunk {trunk.name}"
    if trunk.servers or trunk.outbound_proxy:
        yield f"{what} is where it registers from, so it has neither servers nor outbound-proxy"
    if not (trunk.username and trunk.password):
        yield f"{what} registers here, so it needs a username and a password"
    if trunk.username in extensions:
        yield f"{what}: {trunk.username} is an extension, so it needs another username"


def check_route(route: OutRoute, trunks: Container[str], before: OutRoute | None = None) -> None:
    """Check a route as it is set. Raises ValueError, in words, for what was not as wrong `before`."""
    check_new(_wrong_route(route, trunks), _wrong_route(before, trunks) if before else ())


def _wrong_route(route: OutRoute, trunks: Container[str]) -> Iterator[str]:
    what = f"route {route.pattern}"
    if not numbers.is_pattern(route.pattern):
        yield f"route {route.pattern!r}: digits, x for any digit, and . at the end for more of them"
    if not route.trunks:
        yield f"{what} needs a trunk"
    yield from said_twice(what, "trunks", route.trunks)
    for name in route.trunks:
        if name not in trunks:
            yield f"{what}: there is no trunk {name!r}; {command(route.tenant, 'trunk', 'list')} shows them"
    if not 0 <= route.strip <= len(route.pattern.removesuffix(".")):
        yield f"{what}: strip takes off no more than stands in the pattern"
    if route.strip == len(route.pattern) and not route.prefix:
        yield f"{what}: strip leaves nothing to call; give a prefix"
    for name, number in (("prefix", route.prefix), ("caller-id", route.caller_id)):
        if number and not numbers.is_whole(number):
            yield f"{what}: {name} is a number, not {number!r}"
