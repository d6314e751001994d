"""Our requests outside calls, and the responses to them: we are their user agent client (RFC 3261)."""

from __future__ import annotations

import time
from collections.abc import Sequence

from blfd.core import effects as e
from blfd.core.inputs import Emit, Input, NotifyLost
from blfd.core.messages import NotifyResponseReceived, ResponseReceived
from blfd.core.values import DialogId, Flow
from blfd.sip.client_transactions import ClientTransactions
from blfd.sip.further_responses import FurtherResponses
from blfd.sip.headers import name_addr
from blfd.sip.message import Response
from blfd.sip.notifies import Notifies
from blfd.sip.own_uris import OwnUris
from blfd.sip.requests import response_received
from blfd.sip.writer import Writer
from blfd.transport.network import Network

NOT_CONNECTED = "There is no connection"


class UserAgentClient:
    """`clients` are the transactions of NOTIFYs, which are most; `emit` takes what has become of each."""

    def __init__(self, network: Network, own_uris: OwnUris, writer: Writer, emit: Emit) -> None:
        self._own_uris, self._writer, self._emit = own_uris, writer, emit
        self.clients = ClientTransactions(network.send_request)
        self._requests = ClientTransactions(network.send_request)
        self.notifies = Notifies(self.clients, own_uris, self._writer)
        self._responses: list[Input] = []
        self._further_responses = FurtherResponses(network.send, self._requests, own_uris, self._writer)

    def take(self, response: Response) -> None:
        """Take a response whose branch is ours, or is said to be."""
        ids = response.via.branch, response.call_id, response.from_.tag, response.cseq
        status = response.status
        if response.method != "NOTIFY":
            token = self._requests.take(*ids, status)
            if token:
                self._emit(response_received(token, response))
            return
        token = self.clients.take(*ids, status)
        if token:
            retry_after = response.number("retry-after") if status >= 300 else None
            self._responses.append(NotifyResponseReceived(token, status, retry_after))

    def take_further(self, response: Response, flow: Flow) -> None:
        """Take a response to an INVITE that no call waits for."""
        self._further_responses.hang_up(response, flow, time.monotonic())

    def responded(self, branch: str, status: int) -> None:
        """Note the 2xx to the NOTIFY with a branch, which waits for that: `tell` says so."""
        token = self.clients.finish(branch, status)
        if token:
            self._responses.append(NotifyResponseReceived(token, status))

    def tell(self) -> None:
        """Tell the core of the responses to NOTIFYs: of all together, as many come at once."""
        if self._responses:
            responses, self._responses = self._responses, []
            self._emit(*responses)

    def notify(self, notifies: Sequence[e.Notify]) -> None:
        for lost in self.notifies.send(notifies):
            self._emit(NotifyLost(lost.subscription, lost.flow))

    def send(self, effect: e.SendRequest) -> None:
        flow, branch = effect.flow, self._requests.new_branch()
        headers = effect.headers
        if effect.contact:
            headers = (("Contact", self._own_uris.contact(flow, *effect.contact)), *headers)
        data = self._writer.request(
            effect.method,
            effect.target,
            f"{self._own_uris.sent_by(flow)};rport;branch={branch}",
            name_addr(effect.from_, effect.local_tag),
            name_addr(effect.to, effect.remote_tag),
            effect.call_id,
            effect.cseq,
            headers,
            effect.route_set,
        )
        token, dialog = effect.token, DialogId(effect.call_id, effect.local_tag, effect.remote_tag)
        if not self._requests.send(branch, token, dialog, effect.cseq, data, flow, time.monotonic()):
            self._emit(ResponseReceived(token, 503, NOT_CONNECTED))

    def lost(self, flow: Flow) -> list[Input]:
        """What has become of the requests that had no response when the connection of `flow` was lost."""
        lost, without_response = self.clients.lost(flow), self._requests.lost(flow)
        found: list[Input] = [NotifyLost(token, flow) for token in lost if token]
        return found + [ResponseReceived(token, 503, NOT_CONNECTED) for token in without_response if token]

    def due(self, now: float) -> None:
        """Send again, or give up, what has no response."""
        for token in self.clients.due(now):
            if token:
                self._emit(NotifyResponseReceived(token, 408))
        for token in self._requests.due(now):
            if token:
                self._emit(ResponseReceived(token, 408))

    def next_timer(self) -> float | None:
        """When `due` wants to be called; None for never."""
        notify, other = self.clients.next_timer(), self._requests.next_timer()
        if notify is None or other is None:
            return other if notify is None else notify
        return min(notify, other)
