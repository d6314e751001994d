"""Calls that come back: an extension has forwarded them outside, and a carrier leads them to us again.

A carrier is a user agent to either side, so nothing of our INVITE has to come back with them: neither its
Call-ID nor a header field of ours, and Max-Forwards begins anew with some. What does come back is who calls,
as we have said it, while our own call rings: by that a call from outside goes on in the chain of the one that
it comes of, and no extension of that forwards it outside a second time. And with carriers that keep it the
Diversion comes back that we have written: twice that of one extension is a circle, whatever else it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from blfd.core import privacy
from blfd.core.calls.call import Call
from blfd.core.messages import InviteReceived
from blfd.core.party import Party, State
from blfd.core.trunk import Trunk
from blfd.core.trunks import numbers
from blfd.core.trunks.outgoing import number_of
from blfd.core.trunks.trunks import Trunks
from blfd.core.values import Aor

REMEMBERED = 1000  # numbers; those that ring are compared with each that calls
MOST_NAMELESS = 3
"""Calls of who does not say his name that an extension forwards at a time: those may be of as many people."""

_users = re.compile(r"(?:sips?|tel):([^@;>?\s]{1,64})", re.I).findall
_ENDS_IN = 2
"""Characters at the end of a number by which it is found: they are there however it is written."""
_LOCAL = 7
"""Digits at the end that make a number the same where nobody says which country's it is."""


class _Out(NamedTuple):
    """A number that rings outside: who has forwarded the call there, and all that have so far.

    `is_named`: it was said to be of who calls now, by the number.
    """

    number: str
    is_named: bool
    has_forwarded: bool
    passed: frozenset[Aor]


class RingingOutside:
    """The calls that ring outside, found by how the numbers end that they were said to be of.

    Those of whom nobody is named are found by "".
    """

    def __init__(self) -> None:
        self._by_end: dict[str, dict[int, Call]] = {}
        self._ends: dict[int, frozenset[str]] = {}

    def note(self, call: Call) -> None:
        """Know a call that has changed as what it is now."""
        now = frozenset(_ends(call)) if call.state is State.RINGING else frozenset[str]()
        known = self._ends.get(call.number, frozenset())
        if now == known:
            return
        for end in known - now:
            del self._by_end[end][call.number]
            if not self._by_end[end]:
                del self._by_end[end]
        for end in now - known:
            self._by_end.setdefault(end, {})[call.number] = call
        if now:
            self._ends[call.number] = now
        else:
            del self._ends[call.number]

    def of(self, *ends: str) -> Iterator[Call]:
        """The calls that one of these ends is of, each once."""
        found = (self._by_end.get(end, {}) for end in ends)
        return iter({number: call for calls in found for number, call in calls.items()}.values())


def _ends(call: Call) -> Iterator[str]:
    for branch in call.branches.values():
        if branch.line and branch.line.trunk and branch.ringing:
            yield from (numbers.plain(number)[-_ENDS_IN:] for number in branch.line.callers)
            if branch.line.from_ == privacy.NAME_ADDR:
                yield ""


def passed(
    calls: RingingOutside, trunks: Trunks, caller: Party, callee: Aor, invite: InviteReceived
) -> frozenset[Aor]:
    """The extensions that have forwarded outside what `caller`, who is outside, calls `callee` with now."""
    trunk = trunks.of(caller)
    if trunk is None:
        return frozenset()
    request = invite.request
    called = [uri.user for uri in (request.target, request.to.uri)]
    found = list(_as_whom(calls, trunk, caller))
    exact = [one for one in found if any(_are_same(one.number, number, trunk) for number in called)]
    chains = [one.passed for one in exact or found if one.has_forwarded]
    if not exact and not any(one.is_named for one in found) and len(chains) < MOST_NAMELESS:
        chains = []
    known = frozenset((callee,)) if _diversions(trunk, callee, invite) > 1 else frozenset()
    return known.union(*chains)


def _as_whom(calls: RingingOutside, trunk: Trunk, caller: Party) -> Iterator[_Out]:
    """What rings outside and was said to be of who calls now."""
    ends = [numbers.plain(caller.number)[-_ENDS_IN:]]
    for call in calls.of(*ends, *([""] if caller.withheld else [])):
        for branch in call.branches.values():
            line, ringing = branch.line, branch.ringing
            if line is None or line.trunk is None or ringing is None:
                continue
            is_named = any(_are_same(caller.number, number, trunk) for number in line.callers)
            if is_named or (caller.withheld and line.from_ == privacy.NAME_ADDR):
                before = frozenset(hop.party.aor for hop in ringing.target.hops) | call.passed
                yield _Out(branch.party.number, is_named, bool(before), before)


def _diversions(trunk: Trunk, callee: Aor, invite: InviteReceived) -> int:
    """How often an extension has forwarded the call, by the number that it is called there."""
    ours = number_of(trunk, None, callee.extension)
    said = [user for name, value in invite.headers if name == "Diversion" for user in _users(value)]
    return sum(_are_same(unquote(user), ours, trunk) for user in said)


def _are_same(one: str, other: str, trunk: Trunk) -> bool:
    """Whether two numbers are one, as a trunk writes them; without its country only their ends tell."""
    first, second = _normal(one, trunk), _normal(other, trunk)
    if first == second or trunk.country:
        return first == second
    ends = first[-_LOCAL:], second[-_LOCAL:]
    return ends[0] == ends[1] and len(ends[0]) == _LOCAL and ends[0].isdecimal()


def _normal(number: str, trunk: Trunk) -> str:
    find = _remembered if len(number) <= numbers.LONGEST else _of_country
    return find(number, trunk.country, trunk.area)


def _of_country(number: str, country: str, area: str) -> str:
    return numbers.normal(numbers.plain(number), country, area)


_remembered = lru_cache(REMEMBERED)(_of_country)
