"""Calls to codes by which an extension sets its own rules, such as `*78` for do not disturb.

Such a call is answered when the rule is stored and holds, and ended a moment later: phones show who has
answered, and that is the words for what holds now. There is no media: both sides are silent. A change that
cannot be stored is a refused call.
"""

from __future__ import annotations

from dataclasses import dataclass

from blfd.core import own_contact
from blfd.core.calls.calls import Calls
from blfd.core.calls.leg_effects import Accept, Answer, HangUp, RefuseOffer, RespondToInfo
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    LegAccepted,
    LegAcknowledged,
    LegEnded,
    LegInput,
    OfferReceived,
)
from blfd.core.calls.media import silent
from blfd.core.calls.own_rules import OwnRules
from blfd.core.calls.refusals import NOBODY_NOW
from blfd.core.directory import Extension
from blfd.core.effects import Effect, Reply
from blfd.core.errors import Refusal
from blfd.core.inputs import RulesSet
from blfd.core.messages import InviteReceived
from blfd.core.quoting import name_addr
from blfd.core.routing import ToRule
from blfd.core.timers import Timers
from blfd.core.values import Aor, NameAddr, Reason

SHOWN = 2.0  # seconds, for a person to read what the phone shows
MOST = 5  # calls to codes that an extension has at a time
STOPPING = HangUp(0, 503, "The server is stopping")


@dataclass(frozen=True, slots=True)
class CodeCall:
    """A call to a code; `told` are the words for what holds now."""

    caller: Aor
    invite: InviteReceived
    told: str


class Codes:
    """All calls to codes that are up or about to be, by their leg."""

    def __init__(self, calls: Calls, own_rules: OwnRules) -> None:
        self._calls, self._own_rules = calls, own_rules
        self._by_leg: dict[int, CodeCall] = {}
        self.timers = Timers(self._due)

    def __contains__(self, leg: int) -> bool:
        return leg in self._by_leg

    def legs(self) -> set[int]:
        return set(self._by_leg)

    def caller(self, leg: int) -> Aor | None:
        """Who has called a code by a leg; None where the leg is of no such call."""
        call = self._by_leg.get(leg)
        return call.caller if call else None

    def start(self, to: ToRule, invite: InviteReceived, caller: Extension, now: float) -> list[Effect]:
        """Have the rule stored, or refuse the call (Refusal)."""
        if sum(call.caller == caller.aor for call in self._by_leg.values()) >= MOST:
            raise Refusal(486, "The calls before are not over")

        def then(answer: RulesSet, now: float) -> list[Effect]:
            if answer.status != 200:
                return [Reply(invite.request.transaction, answer.status, answer.reason)]
            leg = self._calls.new_leg()
            told = words(to, self._calls.rules.of(caller.aor).after)
            self._by_leg[leg] = CodeCall(caller.aor, invite, told)
            user = own_contact.user(caller.aor.tenant, invite.request.target.user)
            return [Accept(invite.request.transaction, leg, user)]

        return self._own_rules.set(caller.aor, (to.rule,), then, now)

    def handle(self, event: LegInput, now: float) -> list[Effect]:
        """Take what has happened on one of the legs."""
        leg = event.leg
        match event:
            case LegAccepted():
                return [self._answer(leg)]
            case LegAcknowledged():
                self.timers.set(leg, now + SHOWN)
            case LegEnded():
                self._forget(leg)
            case OfferReceived(answered=False):
                return [RefuseOffer(leg, 488, "There is nobody to talk with")]
            case InfoReceived():
                return [RespondToInfo(leg, event.exchange, *NOBODY_NOW)]
        return []

    def _answer(self, leg: int) -> Effect:
        """The answer to a call; where nothing can be silent in the phone's form, a refusal with the words."""
        call = self._by_leg[leg]
        sdp = silent(call.invite.offer)
        if sdp is None:
            self._forget(leg)
            return HangUp(leg, 480, call.told)
        request = call.invite.request
        dialled = request.target.user.replace("#", "%23")
        shown = NameAddr(f"sip:{dialled}@{request.target.domain}", call.told)
        return Answer(leg, sdp, (("P-Asserted-Identity", name_addr(shown)),))

    def _due(self, leg: int, now: float) -> list[Effect]:
        call = self._by_leg[leg]
        self._forget(leg)
        return [HangUp(leg, 200, call.told, Reason(200, call.told))]

    def _forget(self, leg: int) -> None:
        del self._by_leg[leg]
        self.timers.cancel(leg)

    def hang_up_all(self) -> list[Effect]:
        legs = list(self._by_leg)
        self._by_leg.clear()
        return [STOPPING._replace(leg=leg) for leg in legs]


def words(to: ToRule, after: int) -> str:
    """What holds now that a rule is set, for a phone to show."""
    match to.rule.field:
        case "dnd":
            return f"Do not disturb is {'on' if to.rule.value else 'off'}"
        case "busy":
            when = "when busy"
        case "no_answer":
            when = f"after {after} s" if to.to else "when nobody answers"
        case _:
            when = "at once" if to.to else ""
    where = f"Calls go to {to.to} {when}" if to.to else f"Calls are not forwarded {when}"
    return where.rstrip()
