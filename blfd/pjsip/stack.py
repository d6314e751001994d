"""SIP as the server sees it: messages become inputs, effects become messages."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from blfd.core import capabilities
from blfd.core import effects as e
from blfd.core.inputs import (
    FlowClosed,
    Input,
    OfferReceived,
)
from blfd.core.values import Flow
from blfd.pjsip.adapter import Adapter
from blfd.pjsip.endpoint import (
    APPLICATION_PRIORITY,
    HEADER_ALLOW,
    HEADER_SUPPORTED,
    USAGE_PRIORITY,
    Endpoint,
)
from blfd.pjsip.invite_events import HANDLED, InviteEvents, callback
from blfd.pjsip.leg import Pending, Phase
from blfd.pjsip.legs import Legs
from blfd.pjsip.library import CData, ffi, lib
from blfd.pjsip.message import Message
from blfd.pjsip.octets import answer_to_malformed, answer_unread
from blfd.pjsip.profiles import Profiles
from blfd.pjsip.requests import as_input
from blfd.pjsip.transactions import NotifyTransactions, ServerTransactions
from blfd.sip.own_uris import OwnUris
from blfd.sip.phrases import PHRASES
from blfd.transport.addresses import ListenAddress
from blfd.transport.admission import Admission
from blfd.transport.network import Network, Source

log = logging.getLogger("blfd.sip")


@dataclass(slots=True)
class Counters:
    """For `blfd status`."""

    requests: int = 0
    malformed: int = 0


class Stack:
    """PJSIP, the sockets, and the hot path past PJSIP; `emit` takes every input at once.

    `trusts` says which addresses may send as much as they like. One thread makes it, polls it and performs
    effects on it; only `wake` may be called from another.
    """

    def __init__(
        self,
        emit: Callable[[Input], None],
        *,
        user_agent: str = "blfd",
        session_expires: int = 1800,
        max_waiting: int = 20_000,
        source_requests: int = 5000,
        source_connections: int = 500,
        slowest_message: int = 30,
        trusts: Callable[[str], bool] = lambda host: False,
        verbose: bool = False,
    ) -> None:
        self._emit = emit
        self._events = InviteEvents(emit)
        endpoint = self.endpoint = Endpoint(self._events.callbacks, verbose=verbose)
        self.network = Network(
            lambda host, count: count < source_connections or trusts(host), slowest_message
        )
        self._adapter, self._own_uris = Adapter(endpoint, self.network), OwnUris(self.network)
        self.network.receive, self.network.closed = self._receive_safely, self._flow_closed
        self.network.unreadable = self._unreadable
        self._message = Message(endpoint)
        self._profiles = Profiles(self.network, self._adapter, self._message, emit, self._new_transaction)
        usage = endpoint.register_module(b"mod-blfd-call", USAGE_PRIORITY, self._events.on_dialog_request)
        on_request = callback("pj_bool_t(pjsip_rx_data *)", self._on_request, HANDLED)
        endpoint.register_module(b"mod-blfd", APPLICATION_PRIORITY, on_request)
        endpoint.announce(usage, HEADER_ALLOW, capabilities.OTHERS)
        endpoint.announce(usage, HEADER_SUPPORTED, capabilities.OPTION_TAGS)
        self.legs = Legs(
            endpoint, self._adapter, self._own_uris, usage, session_expires, emit, self._redispatch
        )
        self._events.legs, self._events.message = self.legs, self._message
        self._answers = ServerTransactions(self.network)
        self.notifies = NotifyTransactions(self.network, self._own_uris, user_agent)
        self.counters = Counters()
        self._server = f"Server: {user_agent}"
        self.admission = Admission(
            max_waiting=max_waiting,
            source_requests=source_requests,
            trusts=trusts,
            send_away=self._send_away,
        )
        self._transaction = 0
        self._replied = False
        self._held: deque[tuple[bytes, Flow]] = deque()
        self._performers: dict[type, Callable[..., object]] = {
            e.Accept: self._accept,
            e.Dial: self.legs.dial,
            e.Progress: self.legs.progress,
            e.Answer: self.legs.answer,
            e.Acknowledge: self.legs.acknowledge,
            e.HangUp: self.legs.hang_up,
            e.MatchMedia: self.legs.match_media,
            e.Offer: self.legs.offer,
            e.Identify: self.legs.identify,
            e.AnswerOffer: self.legs.answer_offer,
            e.RefuseOffer: self.legs.refuse_offer,
            e.SendInfo: self.legs.send_info,
            e.AnswerInfo: self.legs.answer_info,
            e.Ignore: self._ignore,
            e.Reply: self._reply,
        }

    # Time and sockets

    def listen(self, address: ListenAddress) -> ListenAddress:
        """Open a listener; returns its address. Raises OSError."""
        return self.network.listen(address)

    def listen_multicast(self, address: tuple[str, int]) -> None:
        """Hear phones that look for their files, after `listen`. Raises OSError."""
        self._profiles.listen(address)

    def poll(self, timeout: float) -> None:
        """Handle what comes within `timeout` seconds, and all timers that are due."""
        delay = self.endpoint.poll_timers()
        now = time.monotonic()
        at = self.notifies.next_timer()
        waits = [0.0 if self.admission.waiting else timeout]
        if delay is not None:
            waits.append(delay)
        if at is not None:
            waits.append(at - now)
        self.network.poll(max(0.0, min(waits)))
        self._take_waiting()
        while self._held:
            self._feed(*self._held.popleft())
        now = time.monotonic()
        for answered in self.notifies.due(now):
            self._emit(answered)
        self._answers.expire(now)

    def wake(self) -> None:
        self.network.wake()

    def close(self) -> None:
        self._adapter.close()
        self.network.close()
        self.endpoint.destroy()

    # Messages

    def _receive_safely(self, data: bytes, source: Source) -> None:
        self._safely(self._receive, data, source)

    @staticmethod
    def _safely(act: Callable[[bytes, Source], None], data: bytes, source: Source) -> None:
        """No message may end the server, whatever we have got wrong about it."""
        try:
            act(data, source)
        except Exception:
            log.exception("a message from %s:%d was not handled:\n%r", source[1], source[2], data[:2000])

    def _receive(self, data: bytes, source: Source) -> None:
        if data[:8] == b"SIP/2.0 ":
            number = self.notifies.find(data)
            if number is not None:
                self._notify_answered(number, data, source)
                return
        elif not self.admission.admits(data, source):
            return
        self._take(data, source)

    def _take_waiting(self) -> None:
        for data, flow in self.admission.turn():
            self._safely(self._take, data, flow)

    def _take(self, data: bytes, source: Source) -> None:
        """A message whose turn it is."""
        transport = self._adapter.transport_of(source)
        if transport is None:
            return  # its connection is gone
        message, flow = self._message, Flow._make(source)
        fault = message.parse(data, flow, transport)
        if fault:
            self._malformed(data, fault, flow)
        elif not message.is_request:
            self._process()
        else:
            self.counters.requests += 1
            self._dispatch(data)

    def _notify_answered(self, number: int, data: bytes, source: Source) -> None:
        code = data[8:11]
        if not code.isdigit():
            return
        status = int(code)
        retry_after = None
        if status >= 300:
            transport = self._adapter.transport_of(source) or ffi.NULL
            fault = self._message.parse(data, Flow._make(source), transport)
            retry_after = None if fault else self._message.number(b"retry-after")
        answered = self.notifies.answered(number, status, retry_after)
        if answered:
            self._emit(answered)

    def _malformed(self, data: bytes, fault: str, flow: Flow) -> None:
        self.counters.malformed += 1
        log.debug("from %s: %s", flow, fault)
        answer = answer_to_malformed(data, fault)
        if answer:
            self.network.send(answer, flow)

    def _send_away(self, data: bytes, flow: Flow, retry_after: int) -> None:
        answer = answer_unread(data, "503 Too Busy", f"Retry-After: {retry_after}", self._server)
        if answer:
            self.network.send(answer, flow)

    def _unreadable(self, data: bytes, flow: Flow, why: str) -> None:
        self._malformed(data, why, flow)

    def _dispatch(self, data: bytes) -> None:
        """A sound request: to PJSIP if it belongs to a call, else to the core."""
        message = self._message
        method = message.method
        if method != "ACK" and self._answers.absorb(message.key):
            return
        in_dialog = bool(message.to_tag)
        unsupported = [tag for tag in message.list(b"require") if tag not in capabilities.OPTION_TAGS]
        if unsupported and method not in capabilities.OF_CALLS:
            self._answer(420, PHRASES[420], "", [f"Unsupported: {', '.join(unsupported)}"])
        elif method not in capabilities.OF_CALLS and (not in_dialog or method in capabilities.OUTSIDE_CALLS):
            self._ask(method)
        elif not in_dialog:
            self._process()
        elif method == "ACK":
            self._acknowledged()
        elif not self._hold(data, method):
            self._process()

    def _acknowledged(self) -> None:
        """An ACK; the other phone hears of an answer to what PJSIP offered to a re-INVITE without SDP."""
        leg = self.legs.of_tag(self._message.to_tag)
        answers = leg is not None and leg.phase is Phase.CONFIRMED and leg.awaits_answer()
        sdp = self._message.sdp
        self._process()
        if leg and answers and sdp and leg.pending is Pending.NOTHING:
            self._emit(OfferReceived(leg.number, sdp))

    def _hold(self, data: bytes, method: str) -> bool:
        """Whether a request inside a call has been taken before PJSIP sees it."""
        leg = self.legs.of_tag(self._message.to_tag)
        if leg is None:
            return False
        message = self._message
        if method in ("INVITE", "UPDATE", "PRACK") and leg.inv.neg == ffi.NULL:
            self._answer(500, "Server Internal Error", "", ["Retry-After: 1"])  # PJSIP would assert
            return True
        sdp = message.sdp
        if method == "UPDATE" and sdp:
            if leg.pending is Pending.UPDATE:
                return message.key == leg.update_key  # its retransmission
            if leg.phase is Phase.CONFIRMED and leg.pending is Pending.NOTHING and not leg.negotiating():
                leg.pending, leg.update, leg.update_key = Pending.UPDATE, data, message.key
                self._emit(OfferReceived(leg.number, sdp))
                return True
        return False

    def _redispatch(self, data: bytes, flow: Flow) -> None:
        self._held.append((data, flow))

    def _feed(self, data: bytes, flow: Flow) -> None:
        """Give a held request to PJSIP."""
        transport = self._adapter.transport_of(flow)
        if transport is not None and not self._message.parse(data, flow, transport):
            self._process()

    def _process(self) -> None:
        lib.pjsip_endpt_process_rx_data(self.endpoint.pj, self._message.pj, ffi.NULL, ffi.NULL)

    def _on_request(self, rdata: CData) -> int:
        """What no layer of PJSIP has taken: an INVITE that starts a call, or a stray."""
        message = self._message
        method = message.method
        if method == "INVITE" and lib.pjsip_tsx_detect_merged_requests(rdata):
            self._answer(482, PHRASES[482], "", [])
        elif method == "INVITE" and not self._takes_sdp():
            self._answer(406, PHRASES[406], "", [": ".join(capabilities.ACCEPT)])
        elif method == "INVITE":
            self._ask(method)
        elif method != "ACK":
            self._answer(481, PHRASES[481], "", [])
        return HANDLED

    def _takes_sdp(self) -> bool:
        accepted = self._message.list(b"accept")
        return not capabilities.TAKES_BODIES.isdisjoint(accepted) or not self._message.has(b"accept")

    def _ask(self, method: str) -> None:
        """Emit the input that a request is, which has to be answered at once; 500 where it was not."""
        self._replied = False
        self._emit(as_input(self._message, method, self._new_transaction()))
        if not self._replied:
            log.error("%s was not answered by the core", method)
            self._answer(500, "Server Internal Error", "", [])

    def _new_transaction(self) -> int:
        self._transaction += 1
        return self._transaction

    def _flow_closed(self, flow: Flow) -> None:
        self.legs.flow_closed(flow)
        self._adapter.closed(flow)
        self._emit(FlowClosed(flow))

    # Effects

    def perform(self, effect: e.Effect) -> None:
        """Do what the core has decided, as far as it concerns SIP."""
        if type(effect) is e.Notify:
            self.notifies.send(effect, time.monotonic())
        else:
            self._performers[type(effect)](effect)

    def _reply(self, reply: e.Reply) -> None:
        if not self._profiles.take(reply.transaction):
            assert reply.transaction == self._transaction, "a reply is given while its request is handled"
        self._replied = True
        headers = [f"{name}: {value}" for name, value in reply.headers]
        if self._message.method == "SUBSCRIBE" and reply.status < 300:
            headers.append(f"Contact: {self._own_uris.contact(self._message.flow)}")
        reason = reply.reason or PHRASES.get(reply.status, "Refused")
        self._answer(reply.status, reason, reply.to_tag, headers)

    def _answer(self, status: int, reason: str, to_tag: str, headers: list[str]) -> None:
        message = self._message
        tag = to_tag or os.urandom(8).hex()
        data = message.answer(status, reason, tag, [*headers, self._server])
        self._answers.send(message.key, data, message.answer_flow(), time.monotonic())

    def _ignore(self, effect: e.Ignore) -> None:
        self._profiles.take(effect.transaction)
        self._replied = True

    def _accept(self, effect: e.Accept) -> None:
        self._replied = True
        refusal = self.legs.accept(effect, self._message)
        if refusal:
            message = self._message
            self._answers.send(message.key, refusal, message.answer_flow(), time.monotonic())
