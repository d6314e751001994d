"""An input of a leg: which method of its call takes it, and what the other side hears of it."""

from __future__ import annotations

from blfd.core.calls.call import Call
from blfd.core.calls.leg_effects import HangUp, RefuseOffer, RespondToInfo
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    InfoResponseReceived,
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegFault,
    LegIdentified,
    LegInput,
    LegNotified,
    LegProgress,
    LegTrying,
    MediaFound,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.passed_on import In, passed_on
from blfd.core.effects import Effect, Level, Log
from blfd.core.party import State
from blfd.core.visible import visible


def take(call: Call, event: LegInput, now: float) -> list[Effect]:
    """Hand an input to its call."""
    event = _heard(call, event)
    match event:
        case LegAccepted():
            return call.start(event.tag, now)
        case MediaMatched() | MediaFound() | LegNotified():
            return []  # for a picker that has gone, or a transfer that is over
        case LegTrying():
            return call.trying(event)
        case LegProgress():
            return call.progress(event, now)
        case LegAnswered():
            effects = call.answered(event, now)
            is_won = call.answered_leg == event.leg
            return [*effects, Log(Level.INFO, f"{call}: answered")] if is_won else effects
        case LegAcknowledged():
            return call.acknowledged(event, now)
        case LegEnded():
            return [*_fault(call, event), *call.ended(event, now)]
        case LegFault():
            return _fault(call, event)
        case LegIdentified():
            return call.tell_who(event.leg, now) if call.identified(event.leg, event.who, now) else []
        case OfferReceived():
            is_another = call.identified(event.leg, event.who, now)
            return [call.naming(effect) if is_another else effect for effect in call.offered(event)]
        case OfferAnswered():
            return call.offer_answered(event, now)
        case InfoReceived():
            return [call.exchange.info(event)]
        case InfoResponseReceived():
            return call.exchange.info_response(event)


def _heard(call: Call, event: LegInput) -> LegInput:
    """The input with those of its header fields that the other side hears."""
    match event:
        case LegProgress():
            message = In.PROGRESS
        case LegAnswered():
            message = In.ANSWER
        case LegEnded() if call.state is not State.RINGING:
            message = In.BYE
        case LegEnded():
            message = In.CANCEL if event.leg == call.caller_leg else In.REFUSAL
        case OfferAnswered():
            message = In.REFUSAL
        case InfoReceived():
            message = In.INFO
        case InfoResponseReceived():
            message = In.INFO_RESPONSE
        case _:
            return event
    if not event.headers:
        return event
    return event._replace(headers=passed_on(event.headers, message, trusted=event.leg in call.trusted))


def _fault(call: Call, event: LegEnded | LegFault) -> list[Effect]:
    """What the operator reads of a fault, if there is one: whose phone, and what."""
    if not event.fault:
        return []
    party = call.caller if event.leg == call.caller_leg else call.callee
    whose = f"{party}" if party.is_outside else f"the phone of {party}"
    return [Log(Level.WARNING, f"{call}: {whose}: {visible(event.fault, 200)}")]


def stray(event: LegInput) -> list[Effect]:
    """What a leg gets whose call is over, or never was."""
    match event:
        case LegAccepted() | LegAnswered():
            return [HangUp(event.leg)]
        case OfferReceived(answered=False):
            return [RefuseOffer(event.leg, 481, "Call does not exist")]
        case InfoReceived():
            return [RespondToInfo(event.leg, event.exchange, 481)]
        case _:
            return []
