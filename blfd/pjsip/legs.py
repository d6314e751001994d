"""The legs of calls: PJSIP's INVITE sessions, made and driven by the core's effects.

PJSIP checks its preconditions with assertions that end the process, so every call below is made only in a
state that PJSIP's source accepts.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable

from blfd.core.effects import (
    Accept,
    Acknowledge,
    Answer,
    AnswerInfo,
    AnswerOffer,
    Dial,
    Drop,
    FindMedia,
    HangUp,
    Identify,
    ListLegs,
    MatchMedia,
    NotifyLeg,
    Offer,
    Progress,
    RefuseOffer,
    SendInfo,
)
from blfd.core.inputs import (
    InfoAnswered,
    Input,
    LegAccepted,
    LegEnded,
    LegFault,
    LegNotified,
    LegsListed,
    MediaFound,
    MediaMatched,
    OfferAnswered,
)
from blfd.core.next_hop import NextHops
from blfd.core.values import Flow, Headers
from blfd.pjsip.adapter import Adapter
from blfd.pjsip.bodies import instead_of
from blfd.pjsip.descriptions import SHORT
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.headers import remove_headers, set_body, set_headers
from blfd.pjsip.leg import (
    INV_CONFIRMED,
    INV_CONNECTING,
    INV_DISCONNECTED,
    NEG_REMOTE_OFFER,
    Leg,
    Pending,
    Phase,
)
from blfd.pjsip.library import (
    CData,
    PjsipError,
    Text,
    address_of,
    check,
    ffi,
    lib,
    string,
)
from blfd.pjsip.matcher import Matcher
from blfd.pjsip.sessions import Refused, Sessions
from blfd.sip.message import Message, Request, Response
from blfd.sip.own_uris import OwnUris
from blfd.sip.phrases import PHRASES
from blfd.sip.reader import read
from blfd.sip.timers import LIFETIME
from blfd.sip.writer import sipfrag

OTHER_METHOD = 6
SIPFRAG = "message/sipfrag;version=2.0"
TOO_LARGE = "A message is too large to be sent"


class Legs:
    """All legs. `emit` takes inputs; `redispatch` feeds a held request to PJSIP as if it came now."""

    def __init__(
        self,
        endpoint: Endpoint,
        adapter: Adapter,
        own_uris: OwnUris,
        next_hops: NextHops,
        usage: CData,
        session_expires: int,
        emit: Callable[[Input], None],
        redispatch: Callable[[Request, Flow], None],
    ) -> None:
        self._sessions = Sessions(endpoint, adapter, own_uris, usage, session_expires)
        self._emit, self._redispatch, self._next_hops = emit, redispatch, next_hops
        self._by_number: dict[int, Leg] = {}
        self._by_inv: dict[int, Leg] = {}
        self._by_tag: dict[str, Leg] = {}
        self._ended: dict[str, str] = {}  # Call-IDs by our tags: PJSIP still repeats, or waits for an ACK
        self._ends: deque[tuple[float, str]] = deque()
        self._sdp, self._bodies = self._sessions.sdp, adapter.bodies
        self._matcher = Matcher(endpoint)
        self._tdata = ffi.new("pjsip_tx_data **")
        self._names = {name: Text(name) for name in ("INFO", "NOTIFY")}
        self._methods = {name: _method(text) for name, text in self._names.items()}
        self._reasons: dict[str, Text] = {}
        self._failing: deque[Leg] = deque()
        self.exchanges = itertools.count(1)

    def __len__(self) -> int:
        return len(self._by_number)

    def describe(self, leg: Leg, sdp: bytes) -> CData:
        """SDP that the leg's phone is sent by the next call of PJSIP; raises PjsipError."""
        leg.sent_sdp = sdp
        return self._sdp.parse(self._bodies.short(sdp))

    def fault_of(self, sdp: bytes | None) -> str:
        """What is wrong with the SDP of a phone, "" if nothing is."""
        return self._sdp.fault(sdp) if sdp else ""

    def of(self, inv: CData) -> Leg | None:
        return self._by_inv.get(address_of(inv))

    def of_tag(self, tag: str) -> Leg | None:
        return self._by_tag.get(tag)

    def knows(self, call_id: str, local_tag: str, remote_tag: str = "") -> bool:
        """Whether a dialog is a leg's, or was one's as long as what belongs to it may come.

        Without a `remote_tag` it does not count, as in responses: a proxy may have forked our INVITE.
        """
        leg = self._by_tag.get(local_tag)
        if leg is None:
            return self._ended.get(local_tag) == call_id
        is_its = not remote_tag or leg.phase is not Phase.CONFIRMED or leg.remote_tag == remote_tag
        return is_its and leg.call_id == call_id

    def has_another_2xx(self, local_tag: str, remote_tag: str) -> bool:
        """Whether a 2xx to the INVITE of a known dialog comes after another phone's, or after its end."""
        leg = self._by_tag.get(local_tag)
        return leg is None or bool(leg.inv.dlg.uac_has_2xx and leg.remote_tag != remote_tag)

    def is_up(self, leg: int) -> bool:
        return leg in self._by_number

    # Caller legs

    def has_sent(self, request: Request) -> bool:
        """Whether an INVITE is one of ours, come back to us as it was."""
        leg = self._by_tag.get(request.from_.tag)
        return bool(leg and leg.target == request.target.text and leg.call_id == request.call_id)

    def accept(self, effect: Accept, rdata: CData, request: Request, source: Flow) -> Refused | None:
        """Make an INVITE, which `rdata` holds for PJSIP, a leg; why not where PJSIP finds it wanting."""
        contact, routes = _contact(request), request.routes("record-route")
        flow = self._next_hops.of(source, contact, routes, request.via.rport is not None)
        try:
            inv, trying = self._sessions.accept(rdata, flow, routes)
        except Refused as refused:
            return refused
        leg = self._add(Leg(effect.leg, inv, flow, True, Phase.PROCEEDING, contact, routes))
        lib.pjsip_inv_send_msg(inv, trying)
        self._emit(LegAccepted(effect.leg, leg.local_tag))
        return None

    def progress(self, effect: Progress) -> None:
        leg = self._by_number.get(effect.leg)
        if leg and self._may_answer(leg):
            self._answer(leg, effect.status, effect.reason, effect.sdp, effect.headers)

    def answer(self, effect: Answer) -> None:
        leg = self._by_number.get(effect.leg)
        if leg and self._may_answer(leg):
            self._answer(leg, 200, "OK", effect.sdp, effect.headers)

    @staticmethod
    def _may_answer(leg: Leg) -> bool:
        inv = leg.inv
        return bool(
            leg.is_caller
            and inv.state < INV_CONNECTING
            and inv.invite_tsx != ffi.NULL
            and inv.last_answer != ffi.NULL
            and leg.phase is not Phase.ENDING
        )

    def _answer(self, leg: Leg, status: int, reason: str, sdp: bytes | None, headers: Headers) -> None:
        inv = leg.inv
        fresh = inv.neg == ffi.NULL or lib.pjmedia_sdp_neg_get_state(inv.neg) == NEG_REMOTE_OFFER
        try:
            body = self.describe(leg, sdp) if sdp and fresh else ffi.NULL
            check(
                "answer",
                lib.pjsip_inv_answer(inv, status, self._reason(reason), body, self._tdata),
            )
        except PjsipError as error:
            self._give_up(leg, 488, error.words)
            return
        self._tell(leg, self._tdata[0], headers)
        self._send(leg)

    @staticmethod
    def _tell(leg: Leg, tdata: CData, headers: Headers) -> None:
        """The header fields of a response, which PJSIP makes of the one before."""
        remove_headers(tdata, leg.told)
        set_headers(tdata, headers)
        leg.told = frozenset(name for name, _ in headers)

    # Callee legs

    def dial(self, effect: Dial) -> None:
        try:
            inv = self._sessions.dial(effect)
        except PjsipError as error:
            fault = f"calling {effect.contact} failed: {error}"
            self._emit(LegEnded(effect.leg, 503, "Unreachable", silent=True, fault=fault))
            return
        target = effect.contact
        leg = self._add(
            Leg(effect.leg, inv, effect.flow, False, Phase.SENT, target, effect.route, target=target)
        )
        leg.delayed_offer, leg.sent_sdp = effect.offer is None, effect.offer
        status = lib.pjsip_inv_invite(inv, self._tdata)
        if not status:
            set_headers(self._tdata[0], effect.headers)
            status = lib.pjsip_inv_send_msg(inv, self._tdata[0])
        if status and effect.leg in self._by_number:
            self._forget(leg)
            lib.pjsip_inv_terminate(inv, 503, 0)
            self._emit(LegEnded(effect.leg, 503, "Unreachable", silent=True))

    def acknowledge(self, effect: Acknowledge) -> None:
        leg = self._by_number.get(effect.leg)
        if not leg or not leg.ack_cseq or leg.inv.state != INV_CONNECTING:
            return
        try:
            if lib.pjmedia_sdp_neg_get_state(leg.inv.neg) == NEG_REMOTE_OFFER:
                check("answer", lib.pjsip_inv_set_sdp_answer(leg.inv, self.describe(leg, effect.sdp)))
        except PjsipError as error:
            self._give_up(leg, 488, error.words)
            return
        cseq, leg.ack_cseq = leg.ack_cseq, 0
        self.send_ack(leg, cseq)
        if not leg.has_agreed:  # PJSIP has found so while it made the ACK
            self._give_up(leg, 488, leg.misfit)

    def send_ack(self, leg: Leg, cseq: int) -> None:
        if not lib.pjsip_inv_create_ack(leg.inv, cseq, self._tdata):
            self._send(leg)

    # Both

    def hang_up(self, effect: HangUp) -> None:
        leg = self._by_number.get(effect.leg)
        if leg is None or leg.phase is Phase.ENDING:
            return
        self._refuse_pending(leg)
        waiting = leg.phase is Phase.SENT
        leg.phase = Phase.ENDING
        leg.farewell = (*effect.headers, ("Reason", effect.cause)) if effect.cause else effect.headers
        if not waiting:  # else on the first response: before it there is nothing to cancel
            self.end_session(leg, effect.status, effect.reason, effect.headers)

    def _give_up(self, leg: Leg, status: int, reason: str) -> None:
        """A leg cannot go on: it ends, and the core ends the other side."""
        self.hang_up(HangUp(leg.number, status, reason, f'SIP;cause={status};text="{reason}"'))
        self._emit(LegEnded(leg.number, status, reason, fault=reason))

    def drop(self, effect: Drop) -> None:
        """The session ends here and now; PJSIP tells `ended` of it."""
        leg = self._by_number.get(effect.leg)
        if leg is None:
            self._emit(LegEnded(effect.leg, 481, "Call does not exist"))
            return
        self.hang_up(HangUp(leg.number, 408))
        if leg.number in self._by_number:
            lib.pjsip_inv_terminate(leg.inv, 408, 1)

    def list_legs(self, effect: ListLegs) -> None:
        self._emit(LegsListed(frozenset(self._by_number)))

    def end_session(self, leg: Leg, status: int = 487, reason: str = "", headers: Headers = ()) -> None:
        inv = leg.inv
        if inv.state == INV_DISCONNECTED:
            return
        if inv.state < INV_CONNECTING and inv.invite_tsx == ffi.NULL:
            lib.pjsip_inv_terminate(inv, status, 0)
            return
        self._tdata[0] = ffi.NULL
        refuses = leg.is_caller and inv.state < INV_CONNECTING
        text = self._reason(reason) if refuses else ffi.NULL
        if lib.pjsip_inv_end_session(inv, status, text, self._tdata) or self._tdata[0] == ffi.NULL:
            return
        if refuses:
            self._tell(leg, self._tdata[0], headers)
        else:
            set_headers(self._tdata[0], leg.farewell)
        lib.pjsip_inv_send_msg(inv, self._tdata[0])

    def offer(self, effect: Offer) -> None:
        leg = self._by_number.get(effect.leg)
        if leg is None or leg.phase is not Phase.CONFIRMED:
            self._emit(OfferAnswered(effect.leg, 481, None))
            return
        if leg.inv.state != INV_CONFIRMED or leg.pending is not Pending.NOTHING or leg.negotiating():
            self._emit(OfferAnswered(effect.leg, 491, None))
            return
        try:
            sdp = self.describe(leg, effect.sdp)
            check("re-INVITE", lib.pjsip_inv_reinvite(leg.inv, ffi.NULL, sdp, self._tdata))
            set_headers(self._tdata[0], effect.headers)
        except PjsipError as error:
            self._emit(LegFault(effect.leg, f"cannot be offered other media: {error}"))
            self._emit(OfferAnswered(effect.leg, 488, None))
            return
        leg.pending = Pending.OURS
        self._send(leg)

    def match_media(self, effect: MatchMedia) -> None:
        """Where a leg is gone, nothing fits."""
        leg, peer = self._by_number.get(effect.leg), self._by_number.get(effect.peer)
        if leg and peer:
            self._emit(self._matcher.match(leg, peer))
        else:
            self._emit(MediaMatched(effect.leg, False))

    def find_media(self, effect: FindMedia) -> None:
        leg = self._by_number.get(effect.leg)
        self._emit(MediaFound(effect.leg, self._matcher.describe(leg) if leg else None))

    def identify(self, effect: Identify) -> None:
        """Nothing depends on the answer: a phone that refuses shows the old name."""
        leg = self._by_number.get(effect.leg)
        if leg is None or leg.phase is not Phase.CONFIRMED or leg.inv.state != INV_CONFIRMED:
            return
        if not lib.pjsip_inv_update(leg.inv, ffi.NULL, ffi.NULL, self._tdata):
            set_headers(self._tdata[0], effect.headers)
            self._send(leg)

    def answer_offer(self, effect: AnswerOffer) -> None:
        leg = self._by_number.get(effect.leg)
        if leg is None:
            return
        pending, leg.pending = leg.pending, Pending.NOTHING
        if pending is Pending.UPDATE:
            leg.offer_answer = effect.sdp
            self._go_on(leg)
        elif pending is Pending.REINVITE:
            try:
                check("answer", lib.pjsip_inv_set_sdp_answer(leg.inv, self.describe(leg, effect.sdp)))
                self._answer_reinvite(leg, 200, "OK")
            except PjsipError as error:
                self._emit(LegFault(leg.number, f"the answer to its re-INVITE does not fit: {error}"))
                self._answer_reinvite(leg, 488, error.words)

    def refuse_offer(self, effect: RefuseOffer) -> None:
        leg = self._by_number.get(effect.leg)
        if leg is None:
            return
        pending, leg.pending = leg.pending, Pending.NOTHING
        if pending is Pending.UPDATE:
            self._go_on(leg)
        elif pending is Pending.REINVITE:
            self._answer_reinvite(leg, effect.status, effect.reason, effect.headers)

    def _go_on(self, leg: Leg) -> None:
        """The UPDATE that was held may go to PJSIP."""
        if leg.update is not None:
            self._redispatch(leg.update, leg.flow)

    def _answer_reinvite(self, leg: Leg, status: int, reason: str, headers: Headers = ()) -> None:
        inv = leg.inv
        if inv.invite_tsx == ffi.NULL or inv.last_answer == ffi.NULL or inv.state != INV_CONFIRMED:
            return  # the phone has cancelled or hung up meanwhile
        check("re-INVITE", lib.pjsip_inv_answer(inv, status, self._reason(reason), ffi.NULL, self._tdata))
        self._tell(leg, self._tdata[0], headers)
        self._send(leg)

    def send_info(self, effect: SendInfo) -> None:
        status = self._request("INFO", effect, effect.headers, effect.content_type, effect.body)
        if status:
            self._emit(InfoAnswered(effect.leg, effect.exchange, status))

    def notify(self, effect: NotifyLeg) -> None:
        """What becomes of a REFER, to its sender, in the dialog of the call (RFC 3515, section 2.4.4)."""
        over = "terminated;reason=noresource"
        state = over if effect.expires is None else f"active;expires={effect.expires}"
        headers = (("Event", effect.event), ("Subscription-State", state))
        status = self._request("NOTIFY", effect, headers, SIPFRAG, sipfrag(effect.status, effect.reason))
        if status:
            self._emit(LegNotified(effect.leg, effect.exchange, status))

    def _request(
        self, method: str, effect: SendInfo | NotifyLeg, headers: Headers, content_type: str, body: bytes
    ) -> int:
        """Send a request in a leg's dialog; the status that it has failed with, 0 where it was sent."""
        leg = self._by_number.get(effect.leg)
        if leg is None or leg.phase is not Phase.CONFIRMED or leg.inv.state != INV_CONFIRMED:
            return 481
        dialog = leg.inv.dlg
        if lib.pjsip_dlg_create_request(dialog, self._methods[method], -1, self._tdata):
            return 500
        tdata = self._tdata[0]
        set_headers(tdata, headers)
        self._set_body(tdata, content_type, body)
        leg.sent[dialog.local.cseq] = effect.exchange
        lib.pjsip_dlg_send_request(dialog, tdata, -1, ffi.NULL)
        return 0

    def answer_info(self, effect: AnswerInfo) -> None:
        leg = self._by_number.get(effect.leg)
        waiting = leg.infos.pop(effect.exchange, None) if leg else None
        if leg is None or waiting is None:
            return
        transaction, response = waiting
        if effect.status != 200:
            reason = effect.reason or PHRASES.get(effect.status, "Refused")
            response.msg.line.status.code = effect.status
            response.msg.line.status.reason = self._reason(reason)[0]
        set_headers(response, effect.headers)
        self._set_body(response, effect.content_type, effect.body)
        lib.pjsip_dlg_send_response(leg.inv.dlg, transaction, response)

    def _set_body(self, tdata: CData, content_type: str, body: bytes) -> None:
        set_body(tdata, content_type, self._bodies.token(body) if len(body) > SHORT else body)

    # What cannot be sent

    def _send(self, leg: Leg) -> None:
        """Send what PJSIP has made; where a datagram cannot hold it, `too_large` is asked."""
        lib.pjsip_inv_send_msg(leg.inv, self._tdata[0])

    def _fails(self, leg: Leg) -> None:
        if leg not in self._failing:
            self._failing.append(leg)

    def too_large(self, octets: bytes) -> bytes:
        """A message cannot be sent; what is sent instead. What has to follow is done by `report_failing`."""
        message = read(octets)
        is_request = isinstance(message, Request)
        leg = self._by_tag.get((message.from_ if is_request else message.to).tag)
        if leg and message.method == "INFO":
            if is_request and (exchange := leg.sent.pop(message.cseq, 0)):
                self._emit(InfoAnswered(leg.number, exchange, 513, "The INFO is too large to be sent"))
        elif leg:
            self._fails(leg)
        is_final = isinstance(message, Response) and message.status >= 200
        return instead_of(octets) if is_final else b""

    @property
    def are_failing(self) -> bool:
        return bool(self._failing)

    def report_failing(self) -> None:
        """Both ends of a call end at once where a message of it cannot be sent."""
        while self._failing:
            leg = self._failing.popleft()
            if leg.number not in self._by_number or leg.phase is Phase.ENDING:
                continue
            self._give_up(leg, 513, TOO_LARGE)

    # Book-keeping

    def _add(self, leg: Leg) -> Leg:
        self._by_number[leg.number] = leg
        self._by_inv[address_of(leg.inv)] = leg
        self._by_tag[leg.local_tag] = leg
        return leg

    def _forget(self, leg: Leg) -> None:
        self._by_number.pop(leg.number, None)
        self._by_inv.pop(address_of(leg.inv), None)
        self._by_tag.pop(leg.local_tag, None)
        now = time.monotonic()
        self._ended[leg.local_tag] = leg.call_id
        self._ends.append((now + LIFETIME, leg.local_tag))
        while self._ends[0][0] <= now:
            self._ended.pop(self._ends.popleft()[1], None)

    def ended(self, leg: Leg, headers: Headers, silent: bool) -> None:
        """PJSIP has ended the session: report it, with what the other side has said to it."""
        try:
            for exchange in list(leg.infos):
                self.answer_info(AnswerInfo(leg.number, exchange, 481))
            self._refuse_pending(leg)
        finally:  # PJSIP frees the session
            self._forget(leg)
            if leg in self._failing:
                self._emit(LegEnded(leg.number, 513, TOO_LARGE, headers, fault=TOO_LARGE))
            else:
                cause, reason = int(leg.inv.cause), string(leg.inv.cause_text)
                self._emit(LegEnded(leg.number, cause, reason, headers, silent))

    def _refuse_pending(self, leg: Leg) -> None:
        """487 to the re-INVITE that waits while the call ends (RFC 3261, section 15.1.2)."""
        inv, pending, leg.pending = leg.inv, leg.pending, Pending.NOTHING
        if pending is Pending.REINVITE and inv.invite_tsx and inv.last_answer:
            reason = self._reason("Request Terminated")
            if not lib.pjsip_inv_answer(inv, 487, reason, ffi.NULL, self._tdata):
                lib.pjsip_inv_send_msg(inv, self._tdata[0])

    def answered_by(self, leg: Leg, response: Response) -> None:
        """A response to our INVITE gives the route set and the target; the flow stays (RFC 3261, 12.1.2)."""
        leg.contact = _contact(response) or leg.contact
        leg.routes = response.routes("record-route")[::-1]
        self._sessions.route(leg.inv.dlg, leg.flow, leg.routes)

    def flow_closed(self, flow: Flow) -> None:
        """Calls whose connection is gone live on: by a new one, when there is something to send.

        Without a way to the phone they go on until it comes again, or the session timer ends them; those
        that still ring end now.
        """
        for leg in [leg for leg in self._by_number.values() if leg.flow == flow]:
            way = self._next_hops.reopened(flow, leg.contact, leg.routes)
            if leg.inv.state < INV_CONNECTING and (way is None or way == flow):
                lib.pjsip_inv_terminate(leg.inv, 503, 1)
            elif way:
                self._move(leg, way)

    def came_by(self, leg: Leg, flow: Flow) -> None:
        """A phone has sent a request of its call by another connection: that is where ours go now."""
        if flow != leg.flow and flow.is_connected:
            self._move(leg, flow)

    def _move(self, leg: Leg, flow: Flow) -> None:
        leg.flow = flow
        self._sessions.route(leg.inv.dlg, flow, leg.routes)

    def _reason(self, reason: str) -> CData:
        """A reason phrase that stays in memory: PJSIP keeps the pointer."""
        if not reason:
            return ffi.NULL
        if reason not in self._reasons:
            if len(self._reasons) > 1000:
                self._reasons.clear()
            self._reasons[reason] = Text(reason)
        return self._reasons[reason].pj


def _method(name: Text) -> CData:
    """One that PJSIP does not know by number; `name` has to stay."""
    method = ffi.new("pjsip_method *")
    method.id, method.name = OTHER_METHOD, name.pj[0]
    return method


def _contact(message: Message) -> str:
    return message.contacts[0].uri.text if message.contacts else ""
