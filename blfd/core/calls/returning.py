"""Calls that come back: an extension has forwarded them outside, and a carrier leads them to us again.

A carrier is a user agent to either side, so nothing of our INVITE has to come back with them: neither its
Call-ID nor a header field of ours, and Max-Forwards begins anew with some. What does come back is who calls,
as we have said it, while our own call rings: by that a call from outside goes on in the chain of the one that
it comes of, and no extension of that forwards it outside a second time. And with carriers that keep it the
Diversion comes back that we have written: twice that of one extension is a circle, whatever else it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from blfd.core import privacy
from blfd.core.calls.call import Call
from blfd.core.calls.party import Party, State
from blfd.core.messages import InviteReceived
from blfd.core.trunks import numbers
from blfd.core.trunks.outgoing import number_of
from blfd.core.trunks.trunk import Trunk
from blfd.core.trunks.trunks import Trunks
from blfd.core.values import Aor

REMEMBERED = 1000  # numbers; those that ring are compared with each that calls
MOST_NAMELESS = 3
"""Calls of who does not say his name that an extension forwards at a time: those may be of as many people."""

_USER = re.compile(r"(?:sips?|tel):([^@;>?\s]{1,64})", re.I).search


class _Out(NamedTuple):
    """A number that rings outside: who has forwarded the call there, and all that have so far."""

    number: str
    has_forwarded: bool
    passed: frozenset[Aor]


def passed(
    calls: Iterable[Call], trunks: Trunks, caller: Party, callee: Aor, invite: InviteReceived
) -> frozenset[Aor]:
    """The extensions that have forwarded outside what `caller`, who is outside, calls `callee` with now."""
    trunk = trunks.of(caller)
    if trunk is None:
        return frozenset()
    request = invite.request
    called = {_normal(uri.user, trunk) for uri in (request.target, request.to.uri)}
    found = list(_as_whom(calls, trunk, caller))
    exact = [one for one in found if _normal(one.number, trunk) in called]
    chains = [one.passed for one in exact or found if one.has_forwarded]
    if caller.withheld and not exact and len(chains) < MOST_NAMELESS:
        chains = []
    known = frozenset((callee,)) if _diversions(trunk, callee, invite) > 1 else frozenset()
    return known.union(*chains)


def _as_whom(calls: Iterable[Call], trunk: Trunk, caller: Party) -> Iterator[_Out]:
    """What rings outside and was said to be of who calls now."""
    who = _normal(caller.number, trunk)
    for call in calls:
        if call.state is not State.RINGING:
            continue
        for branch in call.branches.values():
            line, ringing = branch.line, branch.ringing
            if line is None or line.trunk is None or ringing is None:
                continue
            if who in {_normal(number, trunk) for number in line.callers} or (
                caller.withheld and line.from_ == privacy.NAME_ADDR
            ):
                before = frozenset(hop.party.aor for hop in ringing.target.hops) | call.passed
                yield _Out(branch.party.number, bool(before), before)


def _diversions(trunk: Trunk, callee: Aor, invite: InviteReceived) -> int:
    """How often an extension has forwarded the call, by the number that it is called there."""
    ours = _normal(number_of(trunk, None, callee.extension), trunk)
    found = (_USER(value) for name, value in invite.headers if name == "Diversion")
    return sum(user is not None and _normal(user[1], trunk) == ours for user in found)


def _normal(number: str, trunk: Trunk) -> str:
    find = _remembered if len(number) <= numbers.LONGEST else _of_country
    return find(number, trunk.country, trunk.area)


def _of_country(number: str, country: str, area: str) -> str:
    return numbers.normal(numbers.plain(number), country, area)


_remembered = lru_cache(REMEMBERED)(_of_country)
