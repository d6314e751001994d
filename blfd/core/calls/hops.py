"""The way that a call has come: the extensions that it has left, why, and how phones hear of it."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple
from urllib.parse import quote

from blfd.core.party import Party
from blfd.core.quoting import name_addr
from blfd.core.values import Headers

_INDEX = re.compile(r";\s*index\s*=\s*([0-9.]+)", re.I)


class Cause(Enum):
    """Why a call is forwarded: the reason of Diversion (RFC 5806, section 4), and that of RFC 4458."""

    ALWAYS = "unconditional", 302
    DND = "do-not-disturb", 486
    BUSY = "user-busy", 486
    NO_ANSWER = "no-answer", 408
    UNREACHABLE = "unavailable", 503
    DEFLECTED = "deflection", 487

    @property
    def reason(self) -> str:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]


def cause_of(reason: str) -> Cause | None:
    """The cause that is the reason of a Diversion; None for one that says nothing of what is done here."""
    return next((cause for cause in Cause if cause.reason == reason.lower()), None)


class Hop(NamedTuple):
    """An extension that a call has left, and why."""

    party: Party
    cause: Cause


def written(hops: tuple[Hop, ...], target: Party, domain: str, said: Headers, *, tells: bool) -> Headers:
    """What a phone is told of the way that a call has come, beside what was `said` of it before.

    Diversion (RFC 5806) has the last first, History-Info (RFC 7044) the first first; without `tells` there is
    none of the latter, for privacy.
    """
    if not hops:
        return said
    left = [(name_addr(hop.party.name_addr(domain)), hop.cause.reason) for hop in reversed(hops)]
    diversions = tuple(("Diversion", f"{who};reason={reason}") for who, reason in left)
    if not tells:
        return (*diversions, *said)
    known = [value for name, value in said if name == "History-Info"]
    index = _INDEX.search(known[-1]) if known else None
    at = index[1] if index else "1"
    # what has brought it here has an entry of its own already
    entries = [] if index else [f"{_history(hops[0].party, domain, None, hops[0].cause)};index={at}"]
    for number, hop in enumerate(hops):
        onward = hops[number + 1] if number + 1 < len(hops) else None
        party, above, at = onward.party if onward else target, at, f"{at}.1"
        uri = _history(party, domain, hop.cause, onward.cause if onward else None)
        entries.append(f"{uri};index={at};mp={above}")
    return (*diversions, *said, *(("History-Info", entry) for entry in entries))


def _history(party: Party, domain: str, came: Cause | None, left: Cause | None) -> str:
    """An entry's URI: by what cause the call has come there (RFC 4458), and left it (RFC 3326)."""
    cause = f";cause={came.status}" if came else ""
    reason = f"?Reason={quote(f'SIP;cause={left.status}', safe='')}" if left else ""
    return f"<sip:{party.user}@{domain}{cause}{reason}>"
