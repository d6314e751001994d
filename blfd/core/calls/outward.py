"""What leaves for who is outside: nothing of ours by which that one would learn who is inside.

Our words name extensions, and so may what a phone says: they are for phones and for the log. Outside goes
the status with its own phrase, and of header fields what the other end needs to go on with the call.
"""

from __future__ import annotations

import re
from typing import Any

from blfd.core.calls.leg_effects import (
    Acknowledge,
    Answer,
    AnswerOffer,
    Dial,
    HangUp,
    Identify,
    Offer,
    Progress,
    RefuseOffer,
    RespondToInfo,
    SendInfo,
)
from blfd.core.calls.media import unnamed
from blfd.core.errors import Refusal
from blfd.core.values import Headers, Reason

ELSEWHERE = Reason(200, "Call completed elsewhere")
KEPT = frozenset(("Call-Info", "Error-Info", "Organization", "Reply-To", "Warning"))
"""Fields with words, addresses and names of here, which no call depends on."""
SAYS_WHERE = frozenset(("Diversion", "History-Info", "P-Asserted-Identity"))
"""Where a call is by now, and who has it; what is told of that in an INVITE is written for who gets it."""

OnLeg = (
    Dial
    | Progress
    | Answer
    | Acknowledge
    | Offer
    | AnswerOffer
    | Identify
    | HangUp
    | RefuseOffer
    | SendInfo
    | RespondToInfo
)
_CAUSE = re.compile(r"\s*[A-Za-z0-9.-]{1,32}\s*;\s*cause\s*=\s*\d{1,3}\b").match


def outward(effect: OnLeg) -> OnLeg:
    """An effect on the leg of somebody outside, as it leaves."""
    changed: dict[str, Any] = {}
    match effect:
        case Dial():
            changed = {"headers": fields(effect.headers), "offer": effect.offer and unnamed(effect.offer)}
        case Acknowledge() | AnswerOffer():
            changed = {"sdp": unnamed(effect.sdp)}
        case Progress() | Answer() | Offer():
            changed = {"headers": _told(effect.headers), "sdp": effect.sdp and unnamed(effect.sdp)}
        case Identify() | SendInfo():
            changed = {"headers": _told(effect.headers)}
        case HangUp():
            changed = {"reason": "", "cause": _untold(effect.cause), "headers": _told(effect.headers)}
        case RefuseOffer() | RespondToInfo():
            changed = {"reason": "", "headers": _told(effect.headers)}
    return effect._replace(**changed)


def refusal(told: Refusal, who: str, what: str = "a call") -> Refusal:
    """The refusal of what `who` outside has asked for by a request of its own, which the log names."""
    log = told.log or f"{what} by {who} is refused: {told.status} {told.reason}"
    return Refusal(told.status, "", fields(told.headers), log, warns=told.warns)


def fields(headers: Headers) -> Headers:
    """The header fields that may be told."""
    kept = (
        (name, _bare(value) if name == "Reason" else value) for name, value in headers if name not in KEPT
    )
    return tuple((name, value) for name, value in kept if value)


def _told(headers: Headers) -> Headers:
    return tuple(field for field in fields(headers) if field[0] not in SAYS_WHERE)


def _untold(cause: Reason | None) -> Reason | None:
    """A cause without our words, but for those that say no more than the number."""
    return cause if cause is None or cause == ELSEWHERE else Reason(cause.cause)


def _bare(reason: str) -> str:
    """A phone's Reason without its text (RFC 3326), unless that is ours."""
    if reason == f'SIP;cause={ELSEWHERE.cause};text="{ELSEWHERE.text}"':
        return reason
    found = _CAUSE(reason)
    return found[0].strip() if found else ""
