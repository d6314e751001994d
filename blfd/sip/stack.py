"""SIP as the server sees it: messages become inputs, effects become messages.

Every message is read here. What belongs to a call goes on to `calls`, once the core has accepted the INVITE;
requests outside calls, and INVITEs until then, are answered by transactions of our own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from blfd.core import capabilities
from blfd.core import effects as e
from blfd.core.calls.leg_inputs import LegEnded
from blfd.core.errors import Refusal
from blfd.core.inputs import CertificateShown, FlowClosed, FlowReached, Input, NotifyLost
from blfd.core.messages import MovedReceived, NotifyAnswered, RequestAnswered
from blfd.core.values import Flow, Headers
from blfd.core.visible import visible
from blfd.sip import bodies, reader
from blfd.sip.bodies import readable_session_description, session_description
from blfd.sip.client_transactions import COOKIE, ClientTransactions
from blfd.sip.further_responses import FurtherResponses
from blfd.sip.headers import name_addr
from blfd.sip.message import Malformed, Request, Response
from blfd.sip.notifies import Notifies
from blfd.sip.own_uris import OwnUris
from blfd.sip.profiles import Profiles
from blfd.sip.requests import as_input, remote_target, request_answered, request_of
from blfd.sip.server_transactions import ServerTransaction, ServerTransactions, State
from blfd.sip.tokens import Tokens
from blfd.sip.writer import Writer, reopened_flow, response_flow
from blfd.transport.addresses import ListenAddress
from blfd.transport.admission import Admission
from blfd.transport.multicast import MulticastListener
from blfd.transport.network import Network, Source
from blfd.transport.udp import UdpListener

log = logging.getLogger("blfd.sip")

NOT_CONNECTED = "There is no connection"
FOLLOWING = capabilities.IN_CALLS - {"INVITE"}  # what there is inside a call alone
OFFERING = frozenset(("INVITE", "UPDATE", "PRACK"))


class Refusing(Protocol):
    """Why an accepted INVITE did not become a leg; `is_sent`: the carrier has answered it."""

    status: int
    reason: str
    headers: Headers
    is_sent: bool


class Carrier(Protocol):
    """What carries calls. A status is what a request is to be refused with, 0 where it has been taken.

    `request` raises Refusal where there is more to say.
    """

    def accept(self, effect: e.Accept, request: Request, flow: Flow) -> Refusing | None: ...
    def knows(self, request: Request, flow: Flow) -> bool: ...
    def leg_of(self, request: Request, flow: Flow) -> int: ...
    def leg_elsewhere(self, request: Request) -> int: ...
    def moved(self, request: Request, flow: Flow) -> None: ...
    def is_up(self, leg: int) -> bool: ...
    def has_sent(self, request: Request) -> bool: ...
    def repeated(self, request: Request, flow: Flow) -> None: ...
    def request(self, request: Request, flow: Flow, sdp: bytes | None) -> int: ...
    def cancel(self, request: Request, flow: Flow) -> int: ...
    def response(self, response: Response, flow: Flow) -> bool: ...
    def perform(self, effect: e.Effect) -> None: ...
    def give_waiting(self) -> None: ...
    def poll(self) -> float | None: ...
    def flow_closed(self, flow: Flow) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Counters:
    """For `blfd status`."""

    requests: int = 0
    malformed: int = 0


class Stack:
    """The SIP edge; `emit` takes every input at once, `calls` carries calls.

    `trusts` says which addresses may send as much as they like. One thread makes it, polls it and performs
    effects on it; only `wake` may be called from another.
    """

    def __init__(
        self,
        network: Network,
        own_uris: OwnUris,
        calls: Carrier,
        emit: Callable[[Input], None],
        *,
        user_agent: str = "blfd",
        max_waiting: int = 20_000,
        source_requests: int = 5000,
        trusts: Callable[[str], bool] = lambda host: False,
    ) -> None:
        self.network, self._own_uris, self._calls, self._emit = network, own_uris, calls, emit
        network.receive, network.unreadable = self._receive, self._unreadable
        network.closed, network.reached = self._flow_closed, self._flow_reached
        network.named = lambda flow, names: emit(CertificateShown(flow, names))
        self._writer, self._trusts = Writer(user_agent), trusts
        self._new_tag = Tokens().new
        self._servers = ServerTransactions(network.send, network.send_request, calls.is_up)
        self._profiles = Profiles(self._servers, emit)
        self.clients = ClientTransactions(network.send_request)
        self._requests = ClientTransactions(network.send_request)
        self.notifies = Notifies(self.clients, own_uris, self._writer)
        self._further_responses = FurtherResponses(network.send, self._requests, own_uris, self._writer)
        self.counters = Counters()
        self.admission = Admission(
            max_waiting=max_waiting,
            source_requests=source_requests,
            trusts=trusts,
            send_away=self._send_away,
        )

    # Time and sockets

    def listen(self, address: ListenAddress) -> ListenAddress:
        """Open a listener; returns its address. Raises OSError."""
        return self.network.listen(address)

    def listen_multicast(self, group: tuple[str, int]) -> None:
        """Hear phones that look for their files, after `listen`. Raises OSError."""
        listeners = self.network.listeners
        udp = next(one for one in listeners if isinstance(one, UdpListener) and one.address.reaches(group[0]))
        self.network.add_apart(MulticastListener(udp, group, self._profiles.heard))

    def poll(self, timeout: float) -> None:
        """Handle what comes within `timeout` seconds, and all timers that are due."""
        delay = self._calls.poll()
        self.network.poll(0.0 if self.admission.waiting else self._may_wait(timeout, delay))
        for data, flow in self.admission.turn():
            self._safely(self._take, data, flow)
        self._calls.give_waiting()
        now = time.monotonic()
        for token in self.clients.due(now):
            if token:
                self._emit(NotifyAnswered(token, 408))
        for token in self._requests.due(now):
            if token:
                self._emit(RequestAnswered(token, 408))
        self._servers.due(now)

    def _may_wait(self, timeout: float, delay: float | None) -> float:
        """Seconds until a timer is due, `timeout` at most; `delay` is until the first of the calls."""
        if delay is not None and delay < timeout:
            timeout = delay
        now = time.monotonic()
        for at in (self.clients.next_timer(), self._servers.next_timer(), self._requests.next_timer()):
            if at is not None and at - now < timeout:
                timeout = at - now
        return max(0.0, timeout)

    @property
    def unanswered(self) -> int:
        """Requests that the core has never answered: should be zero."""
        return self._servers.unanswered

    @property
    def undelivered(self) -> int:
        """Responses outside calls whose connection had ended, and that had no other way."""
        return self._servers.undelivered

    def wake(self) -> None:
        self.network.wake()

    def close(self) -> None:
        self._calls.close()
        self.network.close()

    # Messages

    def _receive(self, data: bytes, source: Source) -> None:
        if data[:8] == b"SIP/2.0 " or self.admission.admits(data, source):
            self._safely(self._take, data, source)

    @staticmethod
    def _safely(act: Callable[[bytes, Source], None], data: bytes, source: Source) -> None:
        """No message may end the server, whatever we have got wrong about it."""
        try:
            act(data, source)
        except Exception:
            log.exception("a message from %s:%d was not handled:\n%r", source[1], source[2], data[:2000])

    def _take(self, data: bytes, source: Source) -> None:
        if (
            data[:9] == b"SIP/2.0 2"
            and (answer := reader.plain_answer(data))
            and answer[0].startswith(COOKIE)
        ):
            self._answered(*answer)
            return
        try:
            message = reader.read(data)
        except Malformed as malformed:
            self._malformed(malformed, source)
            return
        if isinstance(message, Response):
            self._take_response(message, Flow._make(source))
        else:
            self._take_request(message, Flow._make(source))

    def _take_response(self, response: Response, flow: Flow) -> None:
        branch, status = response.via.branch, response.status
        if not branch.startswith(COOKIE):
            if not self._calls.response(response, flow):
                self._further_responses.hang_up(response, flow, time.monotonic())
            return
        if response.method != "NOTIFY":
            ids = branch, response.call_id, response.from_.tag, response.cseq
            token = self._requests.take(*ids, status)
            if token:
                self._emit(request_answered(token, response))
            return
        retry_after = response.number("retry-after") if status >= 300 else None
        self._answered(branch, response.call_id, response.from_.tag, response.cseq, status, retry_after)

    def _answered(
        self, branch: str, call_id: str, tag: str, cseq: int, status: int, retry_after: int | None = None
    ) -> None:
        """Somebody answers what is, or claims to be, a NOTIFY of ours outside calls."""
        token = self.clients.take(branch, call_id, tag, cseq, status)
        if token:
            self._emit(NotifyAnswered(token, status, retry_after))

    def _take_request(self, request: Request, flow: Flow) -> None:
        self.counters.requests += 1
        method = request.method
        if method == "ACK":
            self._acknowledged(request, flow)
            return
        known = self._servers.find(key := request.key())
        if known is not None:
            self._repeated(known, request, flow)
        elif method == "CANCEL":
            self._cancelled(key, request, flow)
        elif method in capabilities.OUTSIDE_CALLS or not (request.to.tag or method in FOLLOWING):
            self._ask(self._begin(key, request, flow), request)
        else:
            self._in_call(key, request, flow)

    def _begin(self, key: str, request: Request, flow: Flow) -> ServerTransaction:
        ways = response_flow(request.via, flow), self._anew(request, flow)
        return self._servers.begin(key, request, flow, *ways)

    def _anew(self, request: Request, flow: Flow) -> Flow | None:
        """Where a trusted edge takes a response when it has closed the connection of its request."""
        if not flow.is_connected or not self._trusts(flow.host):
            return None
        anew = reopened_flow(request.via, flow)
        return None if self.network.leads_here(anew) else anew

    def _repeated(self, known: ServerTransaction, request: Request, flow: Flow) -> None:
        if known.state is State.ACCEPTED:
            self._calls.repeated(request, flow)
        else:
            self._servers.repeated(known)

    def _acknowledged(self, request: Request, flow: Flow) -> None:
        """An ACK is for a refusal of ours, or it belongs to a call."""
        if self._servers.acknowledged(request.key("INVITE"), time.monotonic()):
            return
        if self._calls.knows(request, flow):
            self._calls.request(request, flow, readable_session_description(request))

    def _cancelled(self, key: str, request: Request, flow: Flow) -> None:
        """RFC 3261, section 9.2."""
        invite = self._servers.find(request.key("INVITE"))
        if invite is not None and invite.state is State.ACCEPTED:
            self._refuse_unless_taken(self._calls.cancel(request, flow), key, request, flow)
            return
        transaction = self._begin(key, request, flow)
        self._respond(transaction, 481 if invite is None else 200)
        if invite is not None and invite.is_open:
            self._respond(invite, 487)

    def _in_call(self, key: str, request: Request, flow: Flow) -> None:
        """A request inside a dialog that is no subscription's."""
        if self._calls.knows(request, flow):
            self._within(key, request, flow)
            return
        transaction = self._begin(key, request, flow)
        leg = self._calls.leg_elsewhere(request)
        if not leg:
            self._respond(transaction, 481)
            return
        self._emit(MovedReceived(request_of(request, flow, transaction.id), leg))
        if transaction.is_open:
            self._servers.wait(transaction, time.monotonic())

    def _within(self, key: str, request: Request, flow: Flow) -> None:
        """A request of the phone of a leg."""
        if request.method in capabilities.IN_CALLS:
            try:
                _check_extensions(request)
                offers = request.method in OFFERING
                if offers:
                    remote_target(request)
                sdp = session_description(request.fields, request.body) if offers else None
                status = self._calls.request(request, flow, sdp)
            except Refusal as refusal:
                transaction = self._begin(key, request, flow)
                self._respond(transaction, refusal.status, refusal.reason, headers=refusal.headers)
                return
            self._refuse_unless_taken(status, key, request, flow)
        else:
            self._ask(self._begin(key, request, flow), request)

    def _refuse_unless_taken(self, status: int, key: str, request: Request, flow: Flow) -> None:
        if status:
            headers = (("Retry-After", "1"),) if status == 500 else ()
            self._respond(self._begin(key, request, flow), status, headers=headers)

    def _ask(self, transaction: ServerTransaction, request: Request) -> None:
        """Have the core answer a request; it may do so later."""
        try:
            self._emit(self._checked(transaction, request))
        except Refusal as refusal:
            if refusal.log:
                log.warning("%s", refusal.log)
            self._respond(transaction, refusal.status, refusal.reason, headers=refusal.headers)
        except Exception:
            if transaction.is_open:
                self._respond(transaction, 500)
            raise
        if transaction.is_open:
            if request.method == "INVITE":
                self._respond(transaction, 100)
            self._servers.wait(transaction, time.monotonic())

    def _checked(self, transaction: ServerTransaction, request: Request) -> Input:
        """The input that a request is. Raises Refusal for what no core need see."""
        if request.method != "INVITE":
            _check_extensions(request)
            if request.method in capabilities.OTHERS:
                bodies.check(request)
            in_call = request.to.tag and request.method not in capabilities.OUTSIDE_CALLS
            leg = self._calls.leg_of(request, transaction.source) if in_call else 0
            if in_call and request.method == "REFER" and not leg:
                raise Refusal(481, "")
            return as_input(request, transaction.source, transaction.id, None, leg)
        if self._calls.has_sent(request):
            text = (
                f"INVITE {visible(request.target.text)} came back from {transaction.source}: a loop, refused"
            )
            raise Refusal(482, "", (), text)
        if self._servers.is_merged(transaction, request):
            raise Refusal(482, "")
        accepted = request.tokens("accept")
        if accepted is not None and capabilities.TAKES_BODIES.isdisjoint(accepted):
            raise Refusal(406, "", (capabilities.ACCEPT,))
        sdp = session_description(request.fields, request.body)
        return as_input(request, transaction.source, transaction.id, sdp)

    def _malformed(self, malformed: Malformed, source: Source) -> None:
        """Nothing is kept of what is answered here."""
        self.counters.malformed += 1
        flow = Flow._make(source)
        log.debug("from %s: %s", flow, visible(malformed.fault, 200))
        answer = self._writer.response_malformed(malformed, flow)
        if answer and malformed.unread:
            self.network.send(answer, response_flow(malformed.unread.via, flow))

    def _unreadable(self, data: bytes, flow: Flow, why: str) -> None:
        self._malformed(Malformed(why, 400, reader.unread(data)), flow)

    def _send_away(self, data: bytes, flow: Flow, retry_after: int) -> None:
        unread = reader.unread(data)
        if unread is not None:
            wait = (("Retry-After", str(retry_after)),)
            answer = self._writer.response_unread(unread, flow, 503, "Too Busy", wait)
            self.network.send(answer, response_flow(unread.via, flow))

    def _flow_closed(self, flow: Flow) -> None:
        self._calls.flow_closed(flow)
        # Before something is sent by a new connection to the same peer:
        lost, unanswered = self.clients.lost(flow), self._requests.lost(flow)
        self._emit(FlowClosed(flow))
        for token in lost:
            if token:
                self._emit(NotifyLost(token, flow))
        for token in filter(None, unanswered):
            self._emit(RequestAnswered(token, 503, NOT_CONNECTED))

    def _flow_reached(self, flow: Flow) -> None:
        self._emit(FlowReached(flow))

    # Effects

    def perform(self, effect: e.Effect) -> None:
        """Do what the core has decided, as far as it concerns SIP."""
        if type(effect) is e.Notify:
            self._tell((effect,))
        elif type(effect) is e.Reply:
            self._reply(effect)
        elif type(effect) is e.NotifyAll:
            self._tell(effect.notifies)
        elif type(effect) is e.Accept:
            self._accept(effect)
        elif type(effect) is e.Ignore:
            self._ignore(effect)
        elif type(effect) is e.SendRequest:
            self._send_request(effect)
        elif type(effect) is e.LetIn:
            self._let_in(effect)
        else:
            self._calls.perform(effect)

    def _tell(self, notifies: Iterable[e.Notify]) -> None:
        for lost in self.notifies.send(notifies):
            self._emit(NotifyLost(lost.subscription, lost.flow))

    def _send_request(self, effect: e.SendRequest) -> None:
        flow, branch = effect.flow, self._requests.new_branch()
        headers = effect.headers
        if effect.contact:
            headers = (("Contact", self._own_uris.contact(flow, *effect.contact)), *headers)
        data = self._writer.request(
            effect.method,
            effect.target,
            f"{self._own_uris.sent_by(flow)};rport;branch={branch}",
            name_addr(effect.from_, effect.local_tag),
            name_addr(effect.to, ""),
            effect.call_id,
            effect.cseq,
            headers,
            effect.route_set,
        )
        ids = effect.token, effect.call_id, effect.local_tag, effect.cseq
        if not self._requests.send(branch, *ids, data, flow, time.monotonic()):
            self._emit(RequestAnswered(effect.token, 503, NOT_CONNECTED))

    def _reply(self, reply: e.Reply) -> None:
        transaction = self._servers.of(reply.transaction)
        if transaction is None or transaction.request is None:
            return  # the phone has cancelled meanwhile
        headers = reply.headers
        if transaction.request.method in ("SUBSCRIBE", "REFER") and reply.status < 300:
            headers = (*headers, ("Contact", self._own_uris.contact(transaction.source)))
        self._respond(transaction, reply.status, reply.reason, reply.to_tag, headers)

    def _accept(self, effect: e.Accept) -> None:
        transaction = self._servers.of(effect.transaction)
        if transaction is None or transaction.request is None:
            self._emit(LegEnded(effect.leg, 487, "The caller has hung up"))
            return
        refused = self._calls.accept(effect, transaction.request, transaction.source)
        if refused is not None:
            fault = f"its INVITE is refused: {refused.reason or refused.status}"
            self._emit(LegEnded(effect.leg, refused.status, refused.reason or "refused", fault=fault))
        if refused is None or refused.is_sent:
            self._servers.accepted(transaction, effect.leg, time.monotonic())
        else:
            self._respond(transaction, refused.status, refused.reason, headers=refused.headers)

    def _let_in(self, effect: e.LetIn) -> None:
        """As if it had come from where the phone was."""
        transaction = self._servers.of(effect.transaction)
        if transaction is None or transaction.request is None:
            return
        request, flow = transaction.request, transaction.source
        self._servers.withdraw(transaction)
        self._calls.moved(request, flow)
        self._within(transaction.key, request, flow)

    def _ignore(self, effect: e.Ignore) -> None:
        transaction = self._servers.of(effect.transaction)
        if transaction is not None:
            self._servers.ignore(transaction, time.monotonic())

    def _respond(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        to_tag: str = "",
        headers: Headers = (),
    ) -> None:
        request = transaction.request
        assert request is not None, "an open transaction has its request"
        tag = to_tag or (self._new_tag() if status > 100 else "")
        data = self._writer.response(request, transaction.source, status, reason, tag, headers)
        self._servers.respond(transaction, status, data, time.monotonic())


def _check_extensions(request: Request) -> None:
    """Raises Refusal for a request that asks for what is not served, unless it ends a call."""
    if request.method == "BYE":
        return
    unsupported = [tag for tag in request.tokens("require") or () if tag not in capabilities.OPTION_TAGS]
    if unsupported:
        raise Refusal(420, "", (("Unsupported", ", ".join(unsupported)),))
