"""One leg of a call: an INVITE dialog between the server and a phone, by the table of `leg_states`.

The core's effects come in by `perform`, what its phone says by the other methods; what has to be known of it
goes out as inputs. PJSIP is behind `Session`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from blfd.core.calls import leg_effects as e
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    InfoResponseReceived,
    LegAnswered,
    LegEnded,
    LegFault,
    LegNotified,
    LegProgress,
    LegTrying,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.leg_inputs import LegAcknowledged as Acknowledged
from blfd.core.inputs import Input
from blfd.core.saved import SavedLeg
from blfd.core.values import Address, Flow, Headers, Reason
from blfd.pjsip.errors import PjsipError
from blfd.pjsip.leg_states import CONNECTED, OPEN, TABLE, Action, Event, State
from blfd.sip import headers
from blfd.sip.identities import connected
from blfd.sip.message import Request
from blfd.sip.phrases import PHRASES
from blfd.sip.writer import sipfrag

if TYPE_CHECKING:
    from blfd.pjsip.library import CData
    from blfd.pjsip.session import Session

SIPFRAG = "message/sipfrag;version=2.0"
NOT_NOW, NOT_HERE = 491, 481
NO_ACK = "The answer was not acknowledged (ACK)"


class Outside(NamedTuple):
    """What legs speak to: `emit` takes what the core is to know, `resume` has PJSIP handle a request that was
    held; `exchanges` numbers what phones ask each other for."""

    emit: Callable[[Input], None]
    resume: Callable[[Request, Flow], None]
    exchanges: Iterator[int]


class Said(NamedTuple):
    """What of a message is told to the core; `fault`: what is wrong with its SDP; `who`: who is there."""

    reason: str = ""
    headers: Headers = ()
    sdp: bytes | None = None
    fault: str = ""
    who: Address | None = None


class Leg:
    """One leg; `flow` is where its requests go, `contact` and `routes` once that connection is gone.

    `target` is the Request-URI of our INVITE, `to` the URI of its To; `delayed_offer`: that has no SDP.
    `is_up`: an earlier process has made it. `is_secure`: it stays on TLS.
    """

    def __init__(
        self,
        number: int,
        session: Session,
        flow: Flow,
        contact: str,
        routes: tuple[str, ...],
        outside: Outside,
        *,
        target: str = "",
        to: str = "",
        delayed_offer: bool = False,
        is_up: bool = False,
    ) -> None:
        self.number, self.session, self.flow = number, session, flow
        self.contact, self.routes, self.target, self.to = contact, routes, target, to
        self.is_caller, self.delayed_offer = not target, delayed_offer
        self.state = State.UP if is_up else State.CALLING if target else State.RINGING
        self.described: SavedLeg | None = None  # as the core knows it
        self.is_secure = False
        self.is_refused = False  # what PJSIP takes for its 200 was too large, and has left as a refusal
        self.waiting_answer = b""  # to what PJSIP is about to be offered by the phone
        self._emit, self._resume, self._exchanges = outside
        self._ack_cseq = 0  # of the ACK that waits for the caller's answer
        self._farewell: Headers = ()  # for a CANCEL that has to wait
        self._update: Request | None = None  # the UPDATE of the phone that is held, or was last
        self._infos: dict[int, tuple[CData, CData]] = {}  # theirs: transaction and response

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    @property
    def is_connected(self) -> bool:
        return self.state in CONNECTED

    def _take(self, event: Event) -> Action:
        """Go to the next state; returns what is to be done. Raises KeyError where that cannot happen."""
        self.state, action = TABLE[self.state, event]
        return action

    def _allows(self, event: Event, action: Action) -> bool:
        return TABLE[self.state, event][1] is action

    # What the core wants

    def perform(self, effect: e.OfLeg) -> None:
        match effect:
            case e.Progress(_, status, reason, sdp, headers):
                self._respond(status, reason, sdp, headers)
            case e.Answer(_, sdp, headers):
                self._respond(200, "OK", sdp, headers)
            case e.Acknowledge():
                self._acknowledge(effect.sdp)
            case e.HangUp():
                self.hang_up(effect)
            case e.Offer():
                self._offer(effect)
            case e.AnswerOffer():
                self._decide(effect)
            case e.RefuseOffer():
                self._decide(effect)
            case e.Identify():
                if self._take(Event.REQUEST) is Action.PERFORM and self.session.is_up:
                    self.session.update(effect.headers)
            case e.SendInfo():
                status = self._request("INFO", effect, effect.headers, effect.content_type, effect.body)
                if status:
                    self._emit(InfoResponseReceived(self.number, effect.exchange, status))
            case e.NotifyLeg():
                self._notify(effect)
            case e.RespondToInfo():
                self._respond_to_info(effect)
            case e.Secure():
                self.is_secure = True

    def _respond(self, status: int, reason: str, sdp: bytes | None, headers: Headers) -> None:
        session = self.session
        if self._take(Event.RESPOND) is not Action.PERFORM or session.is_answered or not session.may_respond:
            return
        try:
            session.respond(status, reason, sdp, headers)
        except PjsipError as error:
            self.give_up(488, error.words)

    def _acknowledge(self, sdp: bytes) -> None:
        """Send the ACK that takes the caller's answer to the offer in this leg's 200."""
        session = self.session
        if not self._ack_cseq or not session.awaits_ack:
            return
        try:
            if session.owes_answer():
                session.set_answer(sdp)
        except PjsipError as error:
            self.give_up(488, error.words)
            return
        cseq, self._ack_cseq = self._ack_cseq, 0
        session.acknowledge(cseq)
        if not session.has_agreed:  # PJSIP has found so while it made the ACK
            self.give_up(488, session.misfit)

    def hang_up(self, effect: e.HangUp) -> None:
        before = self.state
        action = self._take(Event.HANG_UP)
        if self.state is before:
            return
        self._let_go(before)
        cause = (("Reason", headers.reason(effect.cause)),) if effect.cause else ()
        self._farewell = (*effect.headers, *cause)
        if action is Action.END:
            self.session.end(effect.status, effect.reason, effect.headers, self._farewell)

    def give_up(self, status: int, reason: str) -> None:
        """End the leg, which cannot go on; the core ends the other side."""
        self.hang_up(e.HangUp(self.number, status, reason, Reason(status, reason)))
        self._emit(LegEnded(self.number, status, reason, fault=reason))

    def _offer(self, offer: e.Offer) -> None:
        session = self.session
        if not self._allows(Event.OFFER, Action.PERFORM) or not session.is_up or session.negotiating():
            self._emit(OfferAnswered(self.number, NOT_NOW if self.is_connected else NOT_HERE, None))
            return
        self._take(Event.OFFER)
        try:
            session.reinvite(offer.sdp, offer.headers)
        except PjsipError as error:
            self._emit(LegFault(self.number, f"cannot be offered other media: {error}"))
            self.decided(488, Said())

    def _decide(self, decision: e.AnswerOffer | e.RefuseOffer) -> None:
        """Answer or refuse what its phone has asked for."""
        before = self.state
        if self._take(Event.DECIDE) is not Action.PERFORM:
            return
        if before is State.UPDATED:
            self.waiting_answer = decision.sdp if isinstance(decision, e.AnswerOffer) else b""
            self._go_on()
        elif not (self.session.is_up and self.session.may_respond):
            return  # the phone has cancelled it, or hung up meanwhile
        elif isinstance(decision, e.RefuseOffer):
            self.session.refuse(decision.status, decision.reason, decision.headers)
        else:
            self._accept_reinvite(decision.sdp)

    def _accept_reinvite(self, sdp: bytes) -> None:
        try:
            self.session.set_answer(sdp)
            self.session.respond(200, "OK", None, ())
        except PjsipError as error:
            self._emit(LegFault(self.number, f"the answer to its re-INVITE does not fit: {error}"))
            self.session.refuse(488, error.words)

    def _go_on(self) -> None:
        """Have PJSIP handle the UPDATE that was held."""
        if self._update is not None:
            self._resume(self._update, self.flow)

    def _let_go(self, before: State) -> None:
        """Answer what was held when the leg ends: 487 to a re-INVITE (RFC 3261, section 15.1.2)."""
        for exchange in list(self._infos):
            self._respond_to_info(e.RespondToInfo(self.number, exchange, NOT_HERE))
        if before is State.ASKED and self.session.may_respond:
            self.session.refuse(487, "Request Terminated")
        elif before is State.UPDATED:
            self._go_on()

    def _notify(self, effect: e.NotifyLeg) -> None:
        """Tell the sender of a REFER what becomes of it, in the call's dialog (RFC 3515, section 2.4.4)."""
        over = "terminated;reason=noresource"
        state = over if effect.expires is None else f"active;expires={effect.expires}"
        headers = (("Event", effect.event), ("Subscription-State", state))
        status = self._request("NOTIFY", effect, headers, SIPFRAG, sipfrag(effect.status, effect.reason))
        if status:
            self._emit(LegNotified(self.number, effect.exchange, status))

    def _request(
        self,
        method: str,
        effect: e.SendInfo | e.NotifyLeg,
        headers: Headers,
        content_type: str,
        body: bytes,
    ) -> int:
        """Send a request in its dialog; the status that it has failed with, 0 where it was sent."""
        if self._take(Event.REQUEST) is not Action.PERFORM or not self.session.is_up:
            return NOT_HERE
        return 0 if self.session.request(method, effect.exchange, headers, content_type, body) else 500

    def _respond_to_info(self, effect: e.RespondToInfo) -> None:
        waiting = self._infos.pop(effect.exchange, None)
        if waiting is not None:
            reason = effect.reason or PHRASES.get(effect.status, "Refused")
            self.session.respond_to_request(
                *waiting, effect.status, reason, effect.headers, effect.content_type, effect.body
            )

    # What its phone says

    def heard(self, status: int, said: Said) -> None:
        """Take a provisional response to our INVITE."""
        action = self._take(Event.HEARD)
        if action is Action.END:  # with the CANCEL that has waited for it
            self._end()
        elif action is Action.TELL and status == 100:
            self._emit(LegTrying(self.number))
        elif action is Action.TELL:
            ids = self.session.dialog_id
            self._emit(LegProgress(self.number, status, said.reason, ids, said.sdp, said.headers, said.who))

    def taken(self, said: Said) -> None:
        """Take a 2xx to our INVITE."""
        action = self._take(Event.TAKEN)
        if action is Action.END:
            self._end()
        elif action is Action.TELL:
            fault = ""
            if said.sdp and not self.session.has_agreed:
                fault = said.fault or ("" if self.delayed_offer else self.session.misfit)
            ids, heard = self.session.dialog_id, said.headers
            self._emit(LegAnswered(self.number, ids, said.sdp, heard, fault, said.who))

    def _end(self) -> None:
        self.session.end(487, "", (), self._farewell)

    def ack_due(self, cseq: int, sdp: bytes | None) -> None:
        """Acknowledge a 2xx, now or with the answer to the offer in it, which the caller's ACK brings."""
        if self.delayed_offer and self.is_open and sdp:
            self._ack_cseq = cseq
        else:
            self.session.acknowledge(cseq)

    def acknowledged(self, said: Said) -> None:
        """Take the ACK to our 2xx."""
        if self._take(Event.ACKNOWLEDGED) is Action.TELL:
            is_of_use = self.session.has_agreed or not said.sdp
            fault = "" if is_of_use else said.fault or self.session.misfit
            self._emit(Acknowledged(self.number, said.sdp if is_of_use else None, fault))

    def decided(self, status: int, said: Said) -> None:
        """Take a final response to our re-INVITE, which may be one of PJSIP's making."""
        if self._take(Event.DECIDED) is not Action.TELL:
            return
        if status // 100 == 2 and said.fault:
            self._emit(LegFault(self.number, f"its answer is of no use: {said.fault}"))
            self._emit(OfferAnswered(self.number, 488, None, said.fault))
        else:
            sdp = said.sdp if status // 100 == 2 else None
            self._emit(OfferAnswered(self.number, status, sdp, said.reason, said.headers))

    def reinvited(self, rdata: CData, said: Said) -> bool:
        """Whether a re-INVITE waits for the other phone."""
        if not self._allows(Event.REINVITE, Action.TELL) or not self.session.hold_reinvite(rdata):
            return False
        self._take(Event.REINVITE)
        self._emit(OfferReceived(self.number, said.sdp or b"", who=said.who))
        return True

    def holds(self, update: Request, sdp: bytes) -> bool:
        """Whether an UPDATE with an offer waits for the other phone; PJSIP repeats what it has answered."""
        if self._update is not None and update.key() == self._update.key():
            return self.is_held(update)
        if not self._allows(Event.UPDATE, Action.TELL) or self.session.negotiating():
            return False
        self._take(Event.UPDATE)
        self._update, self.session.remote_cseq = update, update.cseq
        self._emit(OfferReceived(self.number, sdp, who=connected(update.fields)))
        return True

    def is_held(self, request: Request) -> bool:
        """Whether it is a copy of the UPDATE that waits for the other phone."""
        held = self._update if self.state is State.UPDATED else None
        return held is not None and request.key() == held.key()

    def offered(self) -> None:
        """Give PJSIP the answer to an offer that it lets nobody wait for."""
        answer, self.waiting_answer = self.waiting_answer, b""
        if not answer or not self.session.owes_answer():
            return
        try:
            self.session.set_answer(answer)
        except PjsipError as error:
            self._emit(LegFault(self.number, f"the answer to its UPDATE does not fit: {error}"))

    def informed(self, transaction: CData, rdata: CData, content_type: str, body: bytes, said: Said) -> None:
        """Take an INFO; the core answers it."""
        response = self.session.responding(rdata)
        if response is not None:
            exchange = next(self._exchanges)
            self._infos[exchange] = transaction, response
            self._emit(InfoReceived(self.number, exchange, content_type, body, said.headers))

    def forgotten(self, transaction: CData) -> None:
        """Forget an INFO whose transaction PJSIP has ended, as it asserts that nobody answers it any more."""
        self._infos = {key: info for key, info in self._infos.items() if info[0] != transaction}

    # Its end

    def lost(self) -> None:
        """Report that PJSIP has found its phone dead: nobody waits 32 s for the answer to this BYE."""
        before = self.state
        if self._take(Event.LOST) is Action.TELL:
            self._let_go(before)
            fault = NO_ACK if before is State.RINGING else ""
            self._emit(LegEnded(self.number, 408, "Request Timeout", fault=fault))

    def over(self) -> None:
        """Answer what waits in a session that PJSIP has ended. What that means is told by `legs`."""
        before = self.state
        self._take(Event.OVER)
        self._let_go(before)
