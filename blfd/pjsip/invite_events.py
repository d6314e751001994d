"""PJSIP's INVITE callbacks, made into inputs.

They run inside the handling of a received message or of a timer; `message` is the former's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import IntEnum
from types import TracebackType
from typing import TYPE_CHECKING

from blfd.core.inputs import (
    InfoAnswered,
    InfoReceived,
    Input,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegFault,
    LegNotified,
    LegProgress,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.values import Headers
from blfd.pjsip.leg import INV_CONFIRMED, INV_DISCONNECTED, NEG_REMOTE_OFFER, Leg, Pending, Phase
from blfd.pjsip.library import CData, PjsipError, ffi, lib, string
from blfd.pjsip.words import WORDS
from blfd.sip.message import Request, Response
from blfd.sip.requests import said

if TYPE_CHECKING:
    from blfd.pjsip.legs import Legs

log = logging.getLogger("blfd.legs")

EVENT_RX_MSG = 3
INVITE, BYE = 0, 3  # pjsip_method_e
HANDLED, DECLINED = 1, 0
TAKEN, NOT_TAKEN = 0, 70013


class Role(IntEnum):
    """pjsip_role_e."""

    UAC = 0
    UAS = 1


class Tsx(IntEnum):
    """pjsip_tsx_state_e, as far as it is looked at."""

    CALLING = 1
    TRYING = 2
    PROCEEDING = 3
    COMPLETED = 4
    TERMINATED = 6


def _on_error(kind: type[BaseException], error: BaseException, trace: TracebackType) -> None:
    """An exception cannot pass through C: the callback's `error` value is returned instead."""
    log.error("in a callback of PJSIP", exc_info=(kind, error, trace))


def callback(signature: str, function: Callable[..., object], error: int | None = None) -> CData:
    """A C function pointer whose exceptions are logged; keep it alive as long as PJSIP may call it."""
    return ffi.callback(signature, function, error=error, onerror=_on_error)


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
        self.on_dialog_response = callback("pj_bool_t(pjsip_rx_data *)", self._answered, DECLINED)

    def _answered(self, rdata: CData) -> int:
        """PJSIP has just made the route set anew out of a response; ACK and PRACK come next."""
        response = self.message
        if not isinstance(response, Response) or response.method != "INVITE":
            return DECLINED
        leg = self.legs.of_tag(response.from_.tag)
        if leg and leg.phase is not Phase.CONFIRMED and 100 < response.status < 300:
            self.legs.answered_by(leg, response)
        return DECLINED

    def _on_state(self, inv: CData, event: CData) -> None:
        leg = self.legs.of(inv)
        if leg is None:
            return
        if inv.state == INV_DISCONNECTED:
            self.legs.ended(leg, *self._last_words(leg))
        elif inv.state == INV_CONFIRMED and leg.is_caller and leg.phase is Phase.PROCEEDING:
            leg.phase = Phase.CONFIRMED
            is_of_use = leg.has_agreed or not self.sdp
            fault = "" if is_of_use else self.legs.fault_of(self.sdp) or leg.misfit
            self._emit(LegAcknowledged(leg.number, self.sdp if is_of_use else None, fault))

    def _last_words(self, leg: Leg) -> tuple[Headers, bool]:
        """What has ended a leg says, and whether nothing of the other side has."""
        message = self.message
        if message is None or message.call_id != leg.call_id:
            return (), True
        if isinstance(message, Response):
            heard = message.status == leg.inv.cause
        else:
            heard = message.method in ("CANCEL", "BYE")
        return (said(message), False) if heard else ((), True)

    @property
    def _reason(self) -> str:
        return self.message.reason if isinstance(self.message, Response) else ""

    def _said(self) -> Headers:
        return said(self.message) if self.message else ()

    def _on_transaction(self, inv: CData, transaction: CData, event: CData) -> None:
        leg = self.legs.of(inv)
        if leg is None:
            return
        is_invite = transaction.method.id == INVITE
        match transaction.role, transaction.state:
            case (Role.UAC, _) if is_invite:
                self._on_our_invite(leg, transaction, event.tsx_state.type == EVENT_RX_MSG)
            case (Role.UAC, Tsx.CALLING) if transaction.method.id == BYE and leg.phase is Phase.CONFIRMED:
                # The session timer has found the phone dead; nobody waits 32 s for the answer to this BYE.
                leg.phase = Phase.ENDING
                self._emit(LegEnded(leg.number, 408, "Request Timeout"))
            case (Role.UAC, Tsx.COMPLETED | Tsx.TERMINATED) if transaction.cseq in leg.sent:
                exchange = leg.sent.pop(transaction.cseq)
                status, received = transaction.status_code, event.tsx_state.type == EVENT_RX_MSG
                if string(transaction.method.name) == "NOTIFY":
                    self._emit(LegNotified(leg.number, exchange, status))
                else:
                    self._on_info_answer(leg, exchange, status, received)
            case (Role.UAS, Tsx.TRYING) if not is_invite:
                self._on_their_request(leg, transaction, event.tsx_state.src.rdata)

    def _on_info_answer(self, leg: Leg, exchange: int, status: int, received: bool) -> None:
        if not received:
            self._emit(InfoAnswered(leg.number, exchange, status))
            return
        more = (self._reason, *self._body(), self._said())
        self._emit(InfoAnswered(leg.number, exchange, status, *more))

    def _body(self) -> tuple[str, bytes]:
        """What an INFO or its response carries: Content-Type as it came, and octets."""
        message = self.message
        return (message.field("content-type"), message.body) if message and message.body else ("", b"")

    def _on_our_invite(self, leg: Leg, transaction: CData, received: bool) -> None:
        status, state = transaction.status_code, transaction.state
        if leg.pending is Pending.OURS:
            self._on_our_reinvite(leg, status, state, received)
        elif state == Tsx.PROCEEDING and received and leg.phase is not Phase.CONFIRMED:
            self._on_provisional(leg, status)
        elif state == Tsx.TERMINATED and status // 100 == 2 and received:
            self._on_answer(leg)

    def _on_our_reinvite(self, leg: Leg, status: int, state: int, received: bool) -> None:
        accepted = state == Tsx.TERMINATED and status // 100 == 2
        if not accepted and not (state in (Tsx.COMPLETED, Tsx.TERMINATED) and status >= 300):
            return
        leg.pending = Pending.NOTHING
        if not received:
            self._emit(OfferAnswered(leg.number, status, None))
            return
        fault = self.legs.fault_of(self.sdp) if accepted else ""
        if fault:
            self._emit(LegFault(leg.number, f"its answer is of no use: {fault}"))
            self._emit(OfferAnswered(leg.number, 488, None, fault))
            return
        sdp = self.sdp if accepted else None
        self._emit(OfferAnswered(leg.number, status, sdp, self._reason, self._said()))

    def _on_provisional(self, leg: Leg, status: int) -> None:
        if leg.phase is Phase.ENDING:  # the CANCEL that waited for a response
            self.legs.end_session(leg)
            return
        leg.phase = Phase.PROCEEDING
        if status > 100:
            self._emit(LegProgress(leg.number, status, self._reason, leg.dialog, self.sdp, self._said()))

    def _on_answer(self, leg: Leg) -> None:
        if leg.phase is Phase.ENDING:  # the 200 that crossed our CANCEL
            self.legs.end_session(leg)
        elif leg.phase is not Phase.CONFIRMED:
            leg.phase = Phase.CONFIRMED
            fault = ""
            if self.sdp and not leg.has_agreed:
                fault = self.legs.fault_of(self.sdp) or ("" if leg.delayed_offer else leg.misfit)
            self._emit(LegAnswered(leg.number, leg.dialog, self.sdp, self._said(), fault))

    def _on_negotiated(self, inv: CData, status: int) -> None:
        leg = self.legs.of(inv)
        if leg and not status:
            leg.has_agreed = True
        elif leg and status in WORDS:
            leg.misfit = WORDS[status]

    def _on_ack_due(self, inv: CData, rdata: CData) -> None:
        leg = self.legs.of(inv)
        if leg is None:
            return
        cseq = rdata.msg_info.cseq.cseq
        if leg.delayed_offer and leg.phase in (Phase.SENT, Phase.PROCEEDING) and self.sdp:
            leg.ack_cseq = cseq  # with the caller's answer, which its own ACK brings
        else:
            self.legs.send_ack(leg, cseq)

    def _on_offer(self, inv: CData, parameter: CData) -> None:
        leg = self.legs.of(inv)
        if leg is None or not leg.offer_answer:
            return
        answer, leg.offer_answer = leg.offer_answer, b""
        if lib.pjmedia_sdp_neg_get_state(inv.neg) != NEG_REMOTE_OFFER:
            return
        try:
            lib.pjsip_inv_set_sdp_answer(inv, self.legs.describe(leg, answer))
        except PjsipError as error:
            self._emit(LegFault(leg.number, f"the answer to its UPDATE does not fit: {error}"))

    def _on_reinvite(self, inv: CData, offer: CData, rdata: CData) -> int:
        leg = self.legs.of(inv)
        if leg is None or offer == ffi.NULL or leg.phase is not Phase.CONFIRMED:
            return NOT_TAKEN
        tdata = ffi.new("pjsip_tx_data **")
        if lib.pjsip_inv_initial_answer(inv, rdata, 100, ffi.NULL, ffi.NULL, tdata):
            return NOT_TAKEN
        lib.pjsip_inv_send_msg(inv, tdata[0])
        leg.pending = Pending.REINVITE
        self._emit(OfferReceived(leg.number, self.sdp or b""))
        return TAKEN

    def _claim(self, rdata: CData) -> int:
        """INFO is ours, answered in `_on_their_request`; PJSIP serves the other methods that it is given."""
        return HANDLED if string(rdata.msg_info.msg.line.req.method.name) == "INFO" else DECLINED

    def _on_their_request(self, leg: Leg, transaction: CData, rdata: CData) -> None:
        if string(transaction.method.name) != "INFO":
            return
        tdata = ffi.new("pjsip_tx_data **")
        if lib.pjsip_dlg_create_response(leg.inv.dlg, rdata, 200, ffi.NULL, tdata):
            return
        exchange = next(self.legs.exchanges)
        leg.infos[exchange] = (transaction, tdata[0])
        self._emit(InfoReceived(leg.number, exchange, *self._body(), self._said()))
