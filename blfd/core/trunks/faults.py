"""What is wrong with trunks and routes as they are set, each by itself and several together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import combinations, product
from typing import NamedTuple

from blfd.core import hosts
from blfd.core.advice import command
from blfd.core.directory import Directory, Tenant
from blfd.core.routing import FORWARDS, TELLS
from blfd.core.trunk import Mode, Trunk, doubles, split, wrong_source_of_numbers
from blfd.core.trunks import numbers
from blfd.core.trunks.remote import HostPort, wrong_sources
from blfd.core.values import Aor


class Fault(NamedTuple):
    """Something that is wrong, and what to do about it; `breaks`: it is no mere warning."""

    breaks: bool
    what: str
    advice: str


def clashes(one: Trunk, others: Iterable[Trunk]) -> Iterator[str]:
    """The numbers of a trunk that another tenant's has too, where the carrier's calls cannot be told apart.

    Calls are told apart by the token of our registration, where both have one, or by who has registered here.
    """
    for other in others:
        if other.tenant == one.tenant or not (one.enabled and other.enabled):
            continue
        if one.is_peer or other.is_peer or (_has_token(one) and _has_token(other)):
            continue
        if not _is_at_one_place(one, other):
            continue
        for mine, theirs in product(map(split, one.dids), map(split, other.dids)):
            if any(_overlap(mine[0], theirs[0], reading) for reading in (one, other)):
                yield mine[0]


def _has_token(trunk: Trunk) -> bool:
    return trunk.mode is Mode.REGISTER and trunk.line


def _is_at_one_place(one: Trunk, other: Trunk) -> bool:
    """Whether an INVITE may be of either trunk, by where it comes from."""
    if one.certificate and one.certificate.lower() == other.certificate.lower():
        return True
    (mine, my_networks), (theirs, their_networks) = _places(one), _places(other)
    return (
        bool(mine & theirs)
        or any(a.version == b.version and a.overlaps(b) for a, b in product(my_networks, their_networks))
        or _holds(my_networks, theirs)
        or _holds(their_networks, mine)
    )


def _places(trunk: Trunk) -> tuple[set[str], list[hosts.Network]]:
    proxy = [trunk.outbound_proxy] if trunk.outbound_proxy else []
    servers = {HostPort.parse(text).host for text in (*trunk.servers, *proxy)}
    return servers, [hosts.network(text) for text in trunk.sources]


def _holds(networks: list[hosts.Network], servers: set[str]) -> bool:
    addresses = [address for host in servers if (address := hosts.address(host))]
    return any(address in network for address, network in product(addresses, networks))


def _overlap(one: str, other: str, reading: Trunk) -> bool:
    """Whether a number is of both patterns, as a trunk reads numbers."""
    first, second = (
        numbers.normal(pattern, reading.country, reading.area).removeprefix("+").lower()
        for pattern in (one, other)
    )
    return len(first) == len(second) and all(
        a == b or "x" in (a, b) for a, b in zip(first, second, strict=True)
    )


def faults(directory: Directory, tenant: str) -> Iterator[Fault]:
    """The faults of a tenant: numbers that lead nowhere or to another, what is said twice, sources too wide,
    and emergency calls that reach nobody."""
    of_tenant = [trunk for trunk in directory.trunks if trunk.tenant == tenant]
    for trunk in of_tenant:
        yield from _of_trunk(trunk, directory)
    for one, other in combinations(of_tenant, 2):
        yield from _of_two(one, other)
    serving = {trunk.name for trunk in of_tenant if trunk.enabled}
    routes = [route for route in directory.routes if route.tenant == tenant]
    for route, second in combinations(routes, 2):
        if numbers.clash(route.pattern, second.pattern):
            what = f"route {route.pattern} and route {second.pattern}: neither says more of numbers of both"
            ends = command(tenant, "route", "remove", route.pattern)
            yield Fault(False, what, f"a pattern for these numbers alone, or {ends}")
    for route in routes:
        if double := next((name for name in route.trunks if route.trunks.count(name) > 1), ""):
            advice = f"{command(tenant, 'route', 'set', route.pattern, '--trunks')} names each once"
            yield Fault(False, f"route {route.pattern}: trunks has {double} twice", advice)
        if code := shadowed(route.pattern, directory.tenants[tenant]):
            what = f"route {route.pattern}: nothing reaches it, as {code} is a code here"
            change = command(tenant, "tenant", "set")
            yield Fault(route.emergency, what, f"another pattern, or {change} with another code")
        if Aor(tenant, route.pattern) in directory.extensions:
            what = f"route {route.pattern}: nothing reaches it, as extension {route.pattern} gets the calls"
            yield Fault(route.emergency, what, "another pattern, or another number of the extension")
        if not serving & set(route.trunks):
            what = f"route {route.pattern} has no trunk that is in use"
            change = command(tenant, "route", "set", route.pattern, "--trunks")
            uses = command(tenant, "trunk", "set", (*route.trunks, "NAME")[0], "--enabled", "on")
            advice = f"{change} gives it another, {uses} uses it"
            yield Fault(route.emergency, f"emergency {what}" if route.emergency else what, advice)
    if routes and not any(route.emergency for route in routes):
        wanted = ("route", "add", "112", "--trunks", "NAME", "--emergency", "on", "--caller-id", "NUMBER")
        advice = command(tenant, *wanted)
        yield Fault(False, "no emergency number can be called", advice)


def shadowed(pattern: str, tenant: Tenant) -> str:
    """The code that gets all calls that a pattern means; "" where there is none."""
    stem, stars = pattern.removesuffix("."), tenant.star_codes
    begin = (tenant.pickup_code, *(getattr(stars, name) for name in (*TELLS, *FORWARDS)))
    if pattern in (tenant.group_pickup_code, *stars.dialled.values()):
        return pattern
    return next((code for code in begin if code and stem.startswith(code)), "")


def _of_two(one: Trunk, other: Trunk) -> Iterator[Fault]:
    """A number that two trunks of a tenant, whose calls come from one place, lead to two extensions."""
    if not (one.enabled and other.enabled) or one.is_peer or other.is_peer:
        return
    if (_has_token(one) and _has_token(other)) or not _is_at_one_place(one, other):
        return
    for (mine, my_target), (theirs, their_target) in product(map(split, one.dids), map(split, other.dids)):
        digits = {side.lower().count("x") for side in (mine, theirs)}
        is_tied = len(digits) == 1 and my_target.lower() != their_target.lower()
        if is_tied and _overlap(mine, theirs, one):
            what = f"trunk {one.name} and trunk {other.name} are at one address, and both have {mine}"
            advice = f"it leads to {my_target} by one and to {their_target} by the other: leave it to one"
            yield Fault(False, what, advice)
            return


def _of_trunk(trunk: Trunk, directory: Directory) -> Iterator[Fault]:
    what = f"trunk {trunk.name}"
    change = partial(command, trunk.tenant, "trunk", "set", trunk.name)
    for text in wrong_sources(what, trunk.sources):
        yield Fault(not text.endswith(" twice"), text, f"{change('--source')} gives it others")
    for text in wrong_source_of_numbers(trunk):
        yield Fault(True, text, f"{change('--did-source')} says where it is")
    for text in doubles(trunk):
        yield Fault(False, text, f"{change()} says each once")
    if number := next(clashes(trunk, directory.trunks), ""):
        advice = (
            "whose calls are told apart by nothing: register there (--mode register), or give up the number"
        )
        yield Fault(True, f"{what}: {number} is a number of another tenant at the same carrier, too", advice)
    leads = [(*split(did), "--did") for did in trunk.dids]
    leads += [("every other number", trunk.default, "--default")] if trunk.default else []
    for number, target, option in leads:
        if "x" not in target.lower() and Aor(trunk.tenant, target) not in directory.extensions:
            text = f"{what}: {number} leads to {target}, which is no extension any more"
            gives = "gives all its numbers anew" if option == "--did" else "gives it another"
            yield Fault(False, text, f"{change(option)} {gives}")
    if trunk.is_peer and Aor(trunk.tenant, trunk.username) in directory.extensions:
        text = f"{what} cannot register: {trunk.username} is an extension, which has that name to itself"
        yield Fault(True, text, f"{change('--username')} gives it another")
