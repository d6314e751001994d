"""Calls out: by which trunks a number is reached, and who is said to call (RFC 3323, 3325)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from blfd.core import hosts, privacy
from blfd.core.quoting import name_addr
from blfd.core.trunk import CallerIdIn, OutRoute, Trunk, split
from blfd.core.trunks import numbers
from blfd.core.trunks.remote import HostPort
from blfd.core.values import TRANSPORTS, Account, Binding, Flow, Headers, NameAddr

_contact = re.compile(r"(sips?:)(?:[^@;?>]*@)?(([^;?>]*)[^?>]*)", re.I).match


class Taking(NamedTuple):
    """A call that a trunk's server carries and that is picked up there: `name` and `number` of who calls.

    `withheld`: who that is may not be told. `headers` say of which call the INVITE is, and `target` is where
    it goes, "" for the number. `proves`: who answers has the call.
    """

    name: str
    number: str
    withheld: bool = False
    headers: Headers = ()
    target: str = ""
    proves: bool = False


class Outside(NamedTuple):
    """A number outside, as it was dialled, and the route that leads there; `taking`: to pick up a call."""

    number: str
    route: OutRoute
    taking: Taking | None = None

    @property
    def sent(self) -> str:
        """The number as the trunks get it."""
        number = self.number[self.route.strip :] if self.route.strip else self.number
        return self.route.prefix + number


class Line(NamedTuple):
    """One place to send an INVITE to: a phone, or a server of a `trunk`.

    `others` are further ways to that phone, for when there is no answer by `flow` (RFC 3263, section 4.3).

    `from_`, `to`, `identity` and `domain` are what a trunk is told, and `callers` as which numbers or names;
    empty for a phone.
    """

    flow: Flow
    contact: str
    path: tuple[str, ...] = ()
    trunk: Trunk | None = None
    from_: NameAddr = NameAddr("")
    to: NameAddr = NameAddr("")
    identity: Headers = ()
    domain: str = ""
    callers: tuple[str, ...] = ()
    credentials: Account | None = None
    others: tuple[Flow, ...] = ()

    @property
    def further(self) -> Line | None:
        """The same line by the next way; None where there is no other."""
        return self._replace(flow=self.others[0], others=self.others[1:]) if self.others else None


class Caller(NamedTuple):
    """Who calls, as far as a trunk is told: `extension` is "" for somebody outside."""

    extension: str
    name: str
    withheld: bool


def route_of(routes: Iterable[OutRoute], tenant: str, dialled: str) -> OutRoute | None:
    """The route whose pattern says most of what was dialled."""
    if not numbers.is_dialled(dialled):
        return None
    found = [one for one in routes if one.tenant == tenant and _fits(one.pattern, dialled)]
    return max(found, key=lambda one: (*numbers.weight(one.pattern), one.emergency), default=None)


def _fits(pattern: str, dialled: str) -> bool:
    if pattern.startswith("+") != dialled.startswith("+"):
        return False
    if not dialled.removeprefix("+").startswith(numbers.beginning(pattern)):  # so most are left out unread
        return False
    return numbers.match(pattern, dialled) is not None


def caller_id(trunk: Trunk, route: OutRoute | None, extension: str) -> str:
    """The number that an extension has outside; "" where none is said."""
    if route and route.caller_id:
        return route.caller_id
    _, found = _numbers_of(trunk.caller_ids).of(extension) if extension else ((0, 0), "")
    return found or trunk.caller_id


@lru_cache(100)
def _numbers_of(caller_ids: tuple[str, ...]) -> numbers.Leads:
    return numbers.Leads(map(split, caller_ids))


def number_of(trunk: Trunk, route: OutRoute | None, extension: str) -> str:
    """What an extension is called outside, where nothing is withheld: its number, the account or itself."""
    return caller_id(trunk, route, extension) or trunk.username or extension


def line(trunk: Trunk, server: HostPort, flow: Flow, outside: Outside, caller: Caller) -> Line:
    """The INVITE for a number by one server of a trunk."""
    host = trunk.host
    transport = TRANSPORTS[trunk.transport]
    at = host if trunk.domain else f"{hosts.written(server.host)}{f':{server.port}' if server.port else ''}"
    target = f"sip:{_number(outside)}@{at}{transport.parameter}"
    path = trunk.route_set
    if outside.taking and outside.taking.target:
        target, path = outside.taking.target, (*path, f"<sip:{at}{transport.parameter};lr>")
    return _line(trunk, flow, target, path, host, outside, caller)


def to_peer(trunk: Trunk, binding: Binding, outside: Outside, caller: Caller) -> Line:
    """The INVITE for a number to a trunk that has registered here: its Contact, with the number as user."""
    found = _contact(binding.contact)
    scheme, there, host = found.groups() if found else ("sip:", binding.flow.host, binding.flow.host)
    target, path = f"{scheme}{_number(outside)}@{there}", binding.path
    if outside.taking and outside.taking.target:
        target, path = outside.taking.target, (*path, f"<{scheme}{there};lr>")
    return _line(trunk, binding.flow, target, path, trunk.domain or host, outside, caller)


def _number(outside: Outside) -> str:
    return outside.sent.replace("#", "%23")


def _line(
    trunk: Trunk, flow: Flow, target: str, path: tuple[str, ...], host: str, outside: Outside, caller: Caller
) -> Line:
    said = number_of(trunk, outside.route, caller.extension) or privacy.USER
    from_, identity = _identity(trunk, host, said, caller, outside.route)
    if outside.taking:
        identity += outside.taking.headers
    to = NameAddr(f"sip:{_number(outside)}@{host}")
    callers = (said, trunk.username) if trunk.username else (said,)
    return Line(flow, target, path, trunk, from_, to, identity, host, callers, trunk.credentials)


def _identity(
    trunk: Trunk, host: str, number: str, caller: Caller, route: OutRoute
) -> tuple[NameAddr, Headers]:
    """From, and the header fields that say who calls: the network is told in any case, the callee perhaps."""
    account = trunk.username or number
    uri = f"sip:{number.replace('#', '%23')}@{host}"
    shown = NameAddr(uri, caller.name)
    if caller.withheld and not route.emergency:
        asserted = "P-Preferred-Identity" if _prefers(trunk) else "P-Asserted-Identity"
        return privacy.NAME_ADDR, ((asserted, f"<{uri}>"), ("Privacy", "id"))
    match trunk.caller_id_in:
        case CallerIdIn.FROM:
            return shown, ()
        case CallerIdIn.P_ASSERTED_IDENTITY:
            fields: Headers = (("P-Asserted-Identity", name_addr(shown)),)
        case CallerIdIn.P_PREFERRED_IDENTITY:
            fields = (("P-Preferred-Identity", name_addr(shown)),)
        case CallerIdIn.REMOTE_PARTY_ID:
            fields = (("Remote-Party-ID", f"{name_addr(shown)};party=calling;privacy=off;screen=no"),)
    return NameAddr(f"sip:{account}@{host}"), fields


def _prefers(trunk: Trunk) -> bool:
    return trunk.caller_id_in is CallerIdIn.P_PREFERRED_IDENTITY
