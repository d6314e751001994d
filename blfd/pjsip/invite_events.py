"""PJSIP's INVITE callbacks, made into inputs.

They run inside the handling of a received message or of a timer; `message` is the former's.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

from blfd.core.calls.leg_inputs import InfoResponseReceived, LegNotified
from blfd.core.inputs import Input
from blfd.core.values import Headers, Redirect
from blfd.pjsip.errors import WORDS
from blfd.pjsip.leg import Leg, Said
from blfd.pjsip.leg_states import State
from blfd.pjsip.library import CData, callback, ffi, string
from blfd.pjsip.session import CONFIRMED, DISCONNECTED
from blfd.sip.identities import connected
from blfd.sip.message import Request, Response
from blfd.sip.requests import redirect, said

if TYPE_CHECKING:
    from blfd.pjsip.legs import Legs

EVENT_RX_MSG = 3
INVITE, BYE = 0, 3  # pjsip_method_e
HANDLED, DECLINED = 1, 0
TAKEN, NOT_TAKEN = 0, 70013


class Role(IntEnum):
    """The values of pjsip_role_e."""

    UAC = 0
    UAS = 1


class Tsx(IntEnum):
    """The values of pjsip_tsx_state_e, as far as they are looked at."""

    CALLING = 1
    TRYING = 2
    PROCEEDING = 3
    COMPLETED = 4
    TERMINATED = 6


class InviteEvents:
    """Owns the callbacks; `legs` is set before the first message, the others while one is handled."""

    legs: Legs
    message: Request | Response | None = None
    sdp: bytes | None = None

    def __init__(self, emit: Callable[[Input], None]) -> None:
        self._emit = emit
        session, event = "pjsip_inv_session *", "pjsip_event *"
        self._kept = [
            callback(f"void({session}, {event})", self._on_state),
            callback(f"void({session}, {event})", lambda inv, e: None),
            callback(f"void({session}, pjsip_transaction *, {event})", self._on_transaction),
            callback(f"void({session}, pjsip_inv_on_rx_offer_cb_param *)", self._on_offer),
            callback(
                f"pj_status_t({session}, const pjmedia_sdp_session *, pjsip_rx_data *)",
                self._on_reinvite,
                NOT_TAKEN,
            ),
            callback(f"void({session}, pj_status_t)", self._on_negotiated),
            callback(f"void({session}, pjsip_rx_data *)", self._on_ack_due),
        ]
        c = self.callbacks = ffi.new("pjsip_inv_callback *")
        c.on_state_changed, c.on_new_session, c.on_tsx_state_changed = self._kept[:3]
        c.on_rx_offer2, c.on_rx_reinvite, c.on_media_update, c.on_send_ack = self._kept[3:]
        self.on_dialog_request = callback("pj_bool_t(pjsip_rx_data *)", self._claim, DECLINED)
        self.on_dialog_response = callback("pj_bool_t(pjsip_rx_data *)", self._responded, DECLINED)

    def _responded(self, rdata: CData) -> int:
        """Tell a leg of a response before ACK and PRACK go out, which take its route set."""
        response = self.message
        if not isinstance(response, Response) or response.method != "INVITE":
            return DECLINED
        leg = self.legs.of_tag(response.from_.tag)
        if leg and not leg.is_connected and 100 < response.status < 300:
            self.legs.responded_by(leg, response)
        return DECLINED

    def _on_state(self, inv: CData, event: CData) -> None:
        state, leg = inv.state, self.legs.of(inv)
        if leg is None:
            return
        if state == DISCONNECTED:
            self.legs.ended(leg, *self._last_words(leg))
        elif state == CONFIRMED and leg.is_caller:
            leg.acknowledged(self._said(judged=not leg.session.has_agreed))

    def _last_words(self, leg: Leg) -> tuple[Headers, bool, Redirect | None]:
        """What has ended a leg says, whether nothing of the other side has, and where a 3xx leads."""
        message = self.message
        if message is None or message.call_id != leg.session.call_id:
            return (), True, None
        if isinstance(message, Response):
            heard, leads = message.status == leg.session.end_status[0], redirect(message)
        else:
            heard, leads = message.method in ("CANCEL", "BYE"), None
        return (said(message), False, leads) if heard else ((), True, None)

    def _said(self, *, judged: bool = False) -> Said:
        """What the message says; `judged`: with what is wrong with its SDP."""
        message = self.message
        if message is None:
            return Said()
        reason = message.reason if isinstance(message, Response) else ""
        fault = self.legs.fault_of(self.sdp) if judged else ""
        return Said(reason, said(message), self.sdp, fault, connected(message.fields))

    def _on_transaction(self, inv: CData, transaction: CData, event: CData) -> None:
        leg = self.legs.of(inv)
        if leg is None:
            return
        is_invite = transaction.method.id == INVITE
        match transaction.role, transaction.state:
            case (Role.UAC, _) if is_invite:
                self._on_our_invite(leg, transaction, event.tsx_state.type == EVENT_RX_MSG)
            case (Role.UAC, Tsx.CALLING) if transaction.method.id == BYE:
                leg.lost()
            case (Role.UAC, Tsx.COMPLETED | Tsx.TERMINATED) if transaction.cseq in leg.session.exchanges:
                status, received = transaction.status_code, event.tsx_state.type == EVENT_RX_MSG
                if received and leg.session.goes_again(status, transaction.cseq):
                    return
                exchange = leg.session.exchanges.pop(transaction.cseq)
                if string(transaction.method.name) == "NOTIFY":
                    self._emit(LegNotified(leg.number, exchange, status))
                else:
                    self._on_info_response(leg, exchange, status, received)
            case (Role.UAS, Tsx.TRYING) if string(transaction.method.name) == "INFO":
                leg.informed(transaction, event.tsx_state.src.rdata, *self._body(), self._said())
            case (Role.UAS, Tsx.TERMINATED):
                leg.forgotten(transaction)

    def _on_info_response(self, leg: Leg, exchange: int, status: int, received: bool) -> None:
        if not received:
            self._emit(InfoResponseReceived(leg.number, exchange, status))
            return
        said = self._said()
        self._emit(
            InfoResponseReceived(leg.number, exchange, status, said.reason, *self._body(), said.headers)
        )

    def _body(self) -> tuple[str, bytes]:
        """The body of an INFO or its response: Content-Type as it came, and octets."""
        message = self.message
        return (message.field("content-type"), message.body) if message and message.body else ("", b"")

    def _on_our_invite(self, leg: Leg, transaction: CData, received: bool) -> None:
        status, state = transaction.status_code, transaction.state
        accepted = state == Tsx.TERMINATED and status // 100 == 2
        if leg.state is State.OFFERING:
            if leg.session.has_another_invite(transaction):
                return
            if accepted or (state in (Tsx.COMPLETED, Tsx.TERMINATED) and status >= 300):
                leg.decided(status, self._said(judged=accepted) if received else Said())
        elif state == Tsx.PROCEEDING and received:
            leg.heard(status, self._said())
        elif accepted and received:
            leg.taken(self._said(judged=not leg.session.has_agreed))

    def _on_negotiated(self, inv: CData, status: int) -> None:
        leg = self.legs.of(inv)
        if leg and not status:
            leg.session.has_agreed = True
        elif leg and status in WORDS:
            leg.session.misfit = WORDS[status]

    def _on_ack_due(self, inv: CData, rdata: CData) -> None:
        leg = self.legs.of(inv)
        if leg:
            leg.ack_due(int(rdata.msg_info.cseq.cseq), self.sdp)

    def _on_offer(self, inv: CData, parameter: CData) -> None:
        leg = self.legs.of(inv)
        if leg:
            leg.offered()

    def _on_reinvite(self, inv: CData, offer: CData, rdata: CData) -> int:
        leg = self.legs.of(inv)
        takes = leg is not None and offer != ffi.NULL and leg.reinvited(rdata, self._said())
        return TAKEN if takes else NOT_TAKEN

    def _claim(self, rdata: CData) -> int:
        """Whether a request is ours: an INFO, which the core answers; PJSIP serves the other methods."""
        return HANDLED if self.message is not None and self.message.method == "INFO" else DECLINED
