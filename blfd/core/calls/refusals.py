"""What one side of a call is told of the other's refusal (RFC 3261, sections 16.7 and 21.4).

A status is passed on as it is where it says something of the person who was called. Where it is about the
way between blfd and a phone, it would tell the caller to do what only blfd could, so another status takes its
place. So it is with a status that requires a header field which the phone has not sent, or which is not for
the caller.
"""

from __future__ import annotations

from typing import NamedTuple

from blfd.core import capabilities
from blfd.core.values import Headers
from blfd.core.visible import visible

REQUIRED: dict[int, tuple[str, str | None]] = {
    401: ("WWW-Authenticate", None),
    405: capabilities.ALLOW,
    407: ("Proxy-Authenticate", None),
    415: capabilities.ACCEPT,  # what its absence means (RFC 3261, section 20.1)
    420: ("Unsupported", None),
    421: ("Require", None),
    422: ("Min-SE", None),
    423: ("Min-Expires", None),
    424: ("Geolocation-Error", None),
    469: ("Recv-Info", ""),
    489: capabilities.ALLOW_EVENTS,
    494: ("Security-Server", None),
}
"""Statuses that may not be without a header field (RFC 3261, 3329, 4028, 6086, 6442, 6665), and its value
where the other side has said none; None where nobody but that side could know it."""

EXPLAINS: dict[str, frozenset[int]] = {
    "Accept": frozenset((406, 415)),
    "Accept-Encoding": frozenset((415,)),
    "Accept-Language": frozenset((415,)),
    "Allow": frozenset((405,)),
    "Geolocation-Error": frozenset((424,)),
    "Recv-Info": frozenset((469,)),
    "Require": frozenset((421,)),
    "Unsupported": frozenset((420,)),
}
"""Header fields that say something else in other responses, and the statuses that they explain."""


class Refused(NamedTuple):
    """A final response above 299 as it is told; `translated` is what its status was, 0 if it is the same."""

    status: int
    reason: str
    headers: Headers = ()
    translated: int = 0


NOBODY_NOW = (500, "Nobody is there to take it now")
"""For an INFO in a call that goes on: by 481 or 408 its phone would know that its call is over (RFC 3261,
section 12.2.1.2)."""

UNREACHABLE = "is not reachable"
PASSWORD = "takes calls with a password only"
NOT_NOW = "cannot take calls now"
HUNG_UP = "has hung up before it answered"
OF_INVITE: dict[int, tuple[int, str]] = {
    # A password is asked of blfd, which has none for a phone. The caller's own would go to the phone.
    401: (480, PASSWORD),
    407: (480, PASSWORD),
    # The phone is not there; the caller's would think that this server is not.
    408: (480, UNREACHABLE),
    430: (480, UNREACHABLE),
    # These are of our transaction with the phone, which the caller's is not.
    481: (480, UNREACHABLE),
    487: (480, UNREACHABLE),
    491: (480, UNREACHABLE),
    # The caller's phone, or its proxy, would call this server no more (RFC 3261, section 16.7).
    503: (500, NOT_NOW),
}
"""Statuses of a callee's phone and what the caller is told instead, with what is said of the callee."""

OF_TRANSACTION = frozenset((481, 487, 491))
"""Statuses that say something of our INVITE alone."""

OF_SERVER = {
    UNREACHABLE: "gives no answer",
    PASSWORD: "got no password that it takes: look at its password and realm",
    NOT_NOW: "takes no calls now",
}
"""The same said of a trunk's server, which is the one that has refused, and not who is called by it."""


def of_invite(extension: str, status: int, reason: str, headers: Headers) -> Refused:
    """What the caller is told when a phone of `extension` refuses."""
    if status < 300:  # it has rung, and sent BYE instead of a response (RFC 3261, section 15.1, forbids that)
        return Refused(480, f"{extension} {HUNG_UP}", _explaining(headers, 480), status)
    if 300 <= status < 400:
        return Refused(480, f"{extension} has forwarded its calls", _explaining(headers, 480), status)
    if status in OF_INVITE:
        told, words = OF_INVITE[status]
        return Refused(told, f"{extension} {words}", _explaining(headers, told), status)
    passed = _as_it_is(status, reason, headers)
    return passed or Refused(480, f"{extension} wants what is not served here", (), status)


def of_server(trunk: str, status: int, reason: str, headers: Headers) -> Refused:
    """What the caller is told when the server of a trunk refuses."""
    found, name = of_invite("", status, reason, headers), f"Trunk {trunk}"
    if status < 300:
        return found._replace(reason=f"{name} {HUNG_UP}")
    if 300 <= status < 400:
        return found._replace(reason=f"{name} sends the call elsewhere ({status}), which is not followed")
    if status in OF_TRANSACTION:
        return found._replace(reason=f"{name} does not take the call ({status})")
    if status in OF_INVITE:
        return found._replace(reason=f"{name} {OF_SERVER[OF_INVITE[status][1]]} ({status})")
    if found.translated:
        return found._replace(reason=f"{name} wants what is not served here ({status})")
    return found


def of_no_connection(trunk: str) -> Refused:
    """What the caller is told when there is no connection with the server of a trunk."""
    return Refused(480, f"Trunk {trunk} cannot be reached", (), 503)


def better(known: Refused, new: Refused) -> Refused:
    """Which of two phones' refusals the caller is told (RFC 3261, section 16.7, step 6): 480 says least."""
    rank, other = known.status // 100, new.status // 100
    if 6 in (rank, other):
        return known if rank == 6 else new
    if rank != other:
        return min(known, new, key=lambda refused: refused.status)
    return new if known.status == 480 else known


def of_offer(status: int, reason: str, headers: Headers) -> Refused:
    """What a phone is told when the other refuses its re-INVITE or UPDATE: the call goes on as it was."""
    # 481, and whatever is not about the offer, would end the call or have the phone try another server.
    passes = 400 <= status < 500 and status not in (401, 407, 481)
    passed = _as_it_is(status, reason, headers) if passes else None
    return passed or Refused(488, "Not Acceptable Here", _explaining(headers, 488), status)


def of_info(status: int, reason: str, headers: Headers) -> Refused:
    """What a phone is told when the other refuses its INFO."""
    passed = _as_it_is(status, reason, headers) if status >= 400 else None
    return passed or Refused(403, visible(reason), (), status)


def _as_it_is(status: int, reason: str, headers: Headers) -> Refused | None:
    """The refusal of the same status, with what has to go with it; None where that is not there."""
    kept = _explaining(headers, status)
    required = REQUIRED.get(status)
    if required and required[0] not in (name for name, _ in kept):
        name, otherwise = required
        if otherwise is None:
            return None
        kept = (*kept, (name, otherwise))
    return Refused(status, visible(reason), kept)


def _explaining(headers: Headers, status: int) -> Headers:
    return tuple(field for field in headers if status in EXPLAINS.get(field[0], (status,)))
