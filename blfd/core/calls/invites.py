"""What the INVITEs of a call say: to a phone of an extension, and to a trunk's server."""

from __future__ import annotations

from typing import NamedTuple

from blfd.core import own_contact
from blfd.core.calls.forwarding import Target
from blfd.core.calls.hops import written
from blfd.core.calls.leg_effects import Dial
from blfd.core.calls.outward import SAYS_WHERE
from blfd.core.party import Party
from blfd.core.trunk import Trunk
from blfd.core.trunks.outgoing import Line
from blfd.core.values import Headers, NameAddr


class Told(NamedTuple):
    """What every INVITE of a call tells of it, in the words of the side that it goes to.

    `identity` is the caller's (RFC 3325), `domain` what the caller calls this server, `headers` what of the
    caller's INVITE is passed on; `tells_history`: phones may hear by which way the call has come.
    """

    caller: Party
    identity: Headers
    domain: str
    offer: bytes | None
    headers: Headers
    tells_history: bool


def to_phone(leg: int, line: Line, target: Target, told: Told) -> Dial:
    """The INVITE to a phone here, which may know by whom the call was forwarded."""
    caller, domain = told.caller, told.domain
    known = () if caller.withheld else told.identity
    way = written(target.hops, target.party, domain, told.headers, tells=told.tells_history)
    return Dial(
        leg,
        line.flow,
        line.contact,
        caller.name_addr(domain),
        NameAddr(f"sip:{target.party.user}@{domain}"),
        told.offer,
        (*known, *way),
        line.path,
        contact_user=own_contact.user(target.party.aor.tenant, caller.shown[0]),
    )


def by_trunk(leg: int, line: Line, trunk: Trunk, target: Target, told: Told, *, from_outside: bool) -> Dial:
    """The INVITE to a trunk's server; the hops of `target` are named as they are known outside.

    Which extension the caller has reached stays here, unless the call comes `from_outside` and is sent on.
    """
    ours = frozenset() if from_outside else SAYS_WHERE
    said = tuple(field for field in told.headers if field[0] not in ours | {"Referred-By"})
    tells = told.tells_history and not told.caller.withheld
    way = written(target.hops, target.party, line.domain, said, tells=tells)
    return Dial(
        leg,
        line.flow,
        line.contact,
        line.from_,
        line.to,
        told.offer,
        (*line.identity, *way),
        line.path,
        line.credentials,
        contact_user=trunk.username,
    )
