"""What an administrator says of a PBX whose lamps are shown here, and whether that is sound."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from blfd.core.trunks import numbers
from blfd.core.trunks.remote import (
    Remote,
    check_new,
    is_host,
    said_twice,
    wrong_remote,
    wrong_seconds,
    wrong_sources,
)

_USER = r"([A-Za-z0-9.!~*'()&=+$,;?/_-]|%[0-9A-Fa-f]{2}){1,100}"
_LIST = re.compile(
    rf"sips?:({_USER}@)?(?P<host>[^;@?]{{1,253}})(;[A-Za-z0-9=;._-]{{0,100}})?|{_USER}"
).fullmatch


@dataclass(frozen=True, slots=True)
class Upstream(Remote):
    """A PBX that knows how the tenant's `extensions` are, which are numbers or patterns with x for digits.

    Each is subscribed to for `interval` seconds, at most `rate` of them a second; or all by one subscription
    to `list_uri`, a list that the PBX has (RFC 4662): its user, or a whole SIP URI. NOTIFYs are taken from
    the servers, and from `sources` (networks).
    """

    extensions: tuple[str, ...] = ()
    interval: int = 600
    rate: int = 50
    sources: tuple[str, ...] = ()
    list_uri: str = ""

    @property
    def resource_list(self) -> str:
        """The URI of the list, "" without one."""
        if not self.list_uri or ":" in self.list_uri:
            return self.list_uri
        return f"sip:{self.list_uri}@{self.host}"

    def weight(self, extension: str) -> tuple[int, int] | None:
        """How much the pattern says that the extension fits best; None where it fits none."""
        found = [numbers.weight(one) for one in self.extensions if fits(one, extension)]
        return max(found, default=None)

    def renumbered(self, old: str, new: str) -> Upstream:
        """The upstream with an extension's new number where the old one is named."""
        named = dict.fromkeys(new if one == old else one for one in self.extensions)
        return replace(self, extensions=tuple(named))


def fits(pattern: str, extension: str) -> bool:
    return pattern == extension or (numbers.is_pattern(pattern) and bool(numbers.match(pattern, extension)))


def clashes(one: Upstream, others: Iterable[Upstream]) -> Iterator[tuple[str, str]]:
    """The patterns that another upstream of the tenant claims as much, and the name of that one.

    Only one would be asked.
    """
    for other in others:
        if other.name == one.name or other.tenant != one.tenant or not (one.enabled and other.enabled):
            continue
        for mine, theirs in product(one.extensions, other.extensions):
            both = numbers.is_pattern(mine) and numbers.is_pattern(theirs)
            if mine == theirs or (both and numbers.clash(mine, theirs)):
                yield mine, other.name


def check(upstream: Upstream, extensions: Container[str], before: Upstream | None = None) -> None:
    """Check an upstream as it is set. Raises ValueError, in words, for what was not as wrong `before`."""
    check_new(_wrong(upstream, extensions), _wrong(before, extensions) if before else ())


def _wrong(upstream: Upstream, extensions: Container[str]) -> Iterator[str]:
    what = f"upstream {upstream.name}"
    yield from wrong_remote(upstream, what)
    if not upstream.extensions:
        yield f"{what} needs extensions: which lamps it knows, such as 1xx"
    for pattern in upstream.extensions:
        if not numbers.is_pattern(pattern) and pattern not in extensions:
            yield f"{what}: {pattern!r} is neither an extension here nor a pattern with x for digits"
    found = _LIST(upstream.list_uri or "none")
    if found is None or not is_host(found["host"] or "none"):
        yield f"{what}: list is a name or a SIP URI, not {upstream.list_uri!r}"
    yield from wrong_sources(what, upstream.sources)
    yield from said_twice(what, "server", upstream.servers)
    yield from said_twice(what, "extensions", upstream.extensions)
    yield from wrong_seconds(what, "interval", upstream.interval, 60, 86_400)
    if not 1 <= upstream.rate <= 1000:
        yield f"{what}: rate is from 1 to 1000 a second, not {upstream.rate}"
