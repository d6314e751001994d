"""SIP as the server sees it: messages become inputs, effects become messages.

Every message is read here. What belongs to a call goes on to `calls`, once the core has accepted the INVITE;
requests outside calls, and INVITEs until then, are answered by transactions of our own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from blfd.core import effects as e
from blfd.core.calls.leg_effects import Accept
from blfd.core.inputs import CertificateShown, Emit, FlowClosed, FlowReached
from blfd.core.values import Flow
from blfd.core.visible import visible
from blfd.sip import reader
from blfd.sip.carrier import Carrier
from blfd.sip.client_transactions import COOKIE
from blfd.sip.message import Malformed, Request, Response
from blfd.sip.own_uris import OwnUris
from blfd.sip.profiles import Profiles
from blfd.sip.user_agent_client import UserAgentClient
from blfd.sip.user_agent_server import UserAgentServer
from blfd.sip.writer import Writer, response_flow
from blfd.transport.addresses import ListenAddress, Source
from blfd.transport.admission import Admission
from blfd.transport.multicast import MulticastListener
from blfd.transport.network import Network
from blfd.transport.udp import UdpListener

log = logging.getLogger("blfd.sip")


@dataclass(slots=True)
class Counters:
    """Counts for `blfd status`."""

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
        emit: Emit,
        *,
        user_agent: str = "blfd",
        max_waiting: int = 20_000,
        source_requests: int = 5000,
        trusts: Callable[[str], bool] = lambda host: False,
    ) -> None:
        self.network, self._calls, self._emit = network, calls, emit
        network.receive, network.unreadable = self._receive, self._unreadable
        network.closed, network.reached = self._flow_closed, self._flow_reached
        network.named = lambda flow, names: emit(CertificateShown(flow, names))
        writer = self._writer = Writer(user_agent)
        self.client = UserAgentClient(network, own_uris, writer, emit)
        self._server = UserAgentServer(network, own_uris, writer, calls, emit, trusts)
        self._profiles = Profiles(self._server.transactions, emit)
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
        delay, due_at = self._calls.poll(), self.client.next_timer()
        self.network.poll(0.0 if self.admission.waiting else self._may_wait(timeout, delay, due_at))
        self._tell_responses()
        try:
            if self.admission.waiting:
                self._take_all(self.admission.turn())
        except Exception:
            log.exception("something that came was not handled")
        self._calls.give_waiting()
        now = time.monotonic()
        if due_at is not None and due_at <= now:
            self.client.due(now)
        self._server.transactions.due(now)

    def _may_wait(self, timeout: float, delay: float | None, due_at: float | None) -> float:
        """Seconds until a timer is due, `timeout` at most; `delay` is until the first of the calls, and at
        `due_at` is the first of our requests."""
        if delay is not None and delay < timeout:
            timeout = delay
        now = time.monotonic()
        for at in (due_at, self._server.transactions.next_timer()):
            if at is not None and at - now < timeout:
                timeout = at - now
        return max(0.0, timeout)

    @property
    def without_response(self) -> int:
        """How many requests the core has given no response to: should be zero."""
        return self._server.transactions.without_response

    @property
    def undelivered(self) -> int:
        """How many responses outside calls had a connection that had ended, and no other way."""
        return self._server.transactions.undelivered

    def wake(self) -> None:
        self.network.wake()

    def close(self) -> None:
        self._calls.close()
        self.network.close()

    # Messages

    def _receive(self, data: bytes, source: Source) -> None:
        if data[:8] == b"SIP/2.0 " or self.admission.admits(data, source):
            try:
                self._take(data, source)
            except Exception:
                self._not_handled(data, source)

    def _tell_responses(self) -> None:
        """Tell of responses now, so that all stays in order: a change has to find free who has answered."""
        try:
            self.client.tell()
        except Exception:
            log.exception("a response to a NOTIFY was not handled")

    @staticmethod
    def _not_handled(data: bytes, source: Source) -> None:
        """Log what was not handled: no message may end the server, whatever we have got wrong about it."""
        log.exception("a message from %s:%d was not handled:\n%r", source[1], source[2], data[:2000])

    def _take_all(self, subscribes: Iterable[tuple[bytes, Flow]]) -> None:
        """Take SUBSCRIBEs, which are all read before the first is answered, as in the server's loop."""
        read: list[tuple[Request, Flow]] = []
        for data, flow in subscribes:
            try:
                message = self._read(data, flow)
            except Exception:
                self._not_handled(data, flow)
                continue
            if isinstance(message, Request):
                read.append((message, flow))
        self.counters.requests += len(read)
        self._server.take_all(read)

    def _take(self, data: bytes, source: Source) -> None:
        if data[:9] == b"SIP/2.0 2" and (plain := reader.plain_response(data, self.client.clients.sent_with)):
            self.client.responded(*plain)
            return
        message = self._read(data, source)
        if isinstance(message, Response):
            self._take_response(message, Flow._make(source))
        elif message is not None:
            self._tell_responses()
            self.counters.requests += 1
            self._server.take(message, Flow._make(source))

    def _read(self, data: bytes, source: Source) -> Request | Response | None:
        """The message in `data`; None if it is malformed, which its sender has been told then."""
        try:
            return reader.read(data)
        except Malformed as malformed:
            self._malformed(malformed, source)
            return None

    def _take_response(self, response: Response, flow: Flow) -> None:
        if response.via.branch.startswith(COOKIE):
            self.client.take(response)
            return
        self._tell_responses()
        if not self._calls.response(response, flow):
            self.client.take_further(response, flow)

    def _malformed(self, malformed: Malformed, source: Source) -> None:
        """Tell the sender what is wrong; nothing is kept of what is answered here."""
        self.counters.malformed += 1
        flow = Flow._make(source)
        log.debug("from %s: %s", flow, visible(malformed.fault, 200))
        response = self._writer.response_malformed(malformed, flow)
        if response and malformed.unread:
            self.network.send(response, response_flow(malformed.unread.via, flow))

    def _unreadable(self, data: bytes, flow: Flow, why: str) -> None:
        self._malformed(Malformed(why, 400, reader.unread(data)), flow)

    def _send_away(self, data: bytes, flow: Flow, retry_after: int) -> None:
        unread = reader.unread(data)
        if unread is not None:
            wait = (("Retry-After", str(retry_after)),)
            response = self._writer.response_unread(unread, flow, 503, "Too Busy", wait)
            self.network.send(response, response_flow(unread.via, flow))

    def _flow_closed(self, flow: Flow) -> None:
        self._tell_responses()
        self._calls.flow_closed(flow)
        # Before something is sent by a new connection to the same peer:
        lost = self.client.lost(flow)
        self._emit(FlowClosed(flow))
        for each in lost:
            self._emit(each)

    def _flow_reached(self, flow: Flow) -> None:
        self._emit(FlowReached(flow))

    # Effects

    def perform(self, effect: e.Effect) -> None:
        """Do what the core has decided, as far as it concerns SIP."""
        if type(effect) is e.Notify:
            self.client.notify((effect,))
        elif type(effect) is e.Reply:
            self._server.reply(effect)
        elif type(effect) is e.NotifyAll:
            self.client.notify(effect.notifies)
        elif type(effect) is Accept:
            self._server.accept(effect)
        elif type(effect) is e.Ignore:
            self._server.ignore(effect)
        elif type(effect) is e.SendRequest:
            self.client.send(effect)
        elif type(effect) is e.LetIn:
            self._server.let_in(effect)
        else:
            self._calls.perform(effect)
