"""Plug and play: what phones ask all who hear them, by multicast (RFC 6080)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from blfd.core import hosts
from blfd.core.access.limits import Rates
from blfd.core.inputs import Input
from blfd.core.messages import ProfileWanted
from blfd.core.values import Flow
from blfd.sip import grammar
from blfd.sip.message import Malformed, Request
from blfd.sip.reader import read
from blfd.sip.requests import request_of
from blfd.sip.server_transactions import ServerTransactions
from blfd.sip.writer import response_flow

log = logging.getLogger("blfd.pnp")

MAX_WAITING = 1000  # requests; what comes beyond has to be sent again
A_SECOND = 2  # requests from one sender that are looked at
EVENT = "ua-profile"


class Profiles:
    """Makes `ProfileWanted` of what is heard; whether and what is answered, is decided later."""

    def __init__(self, servers: ServerTransactions, emit: Callable[[Input], None]) -> None:
        self._servers, self._emit = servers, emit
        self._rates = Rates(A_SECOND)

    def heard(self, data: bytes, flow: Flow) -> None:
        """Handle a datagram; none may end the server, whatever we have got wrong about it."""
        try:
            self._heard(data, flow)
        except Exception:
            log.exception("a question of %s was not handled:\n%r", flow, data)

    def _heard(self, data: bytes, flow: Flow) -> None:
        """Handle a phone's question, and nothing else: phones of other servers use the group as well."""
        now = time.monotonic()
        if data[:10] != b"SUBSCRIBE " or not self._rates.take(hosts.sender(flow.host), now):
            return
        try:
            request = read(data)
        except Malformed:
            return
        event = request.field("event")
        if not isinstance(request, Request) or grammar.with_parameters(event)[0].lower() != EVENT:
            return
        known = self._servers.find(key := request.key())
        if known is not None:
            self._servers.repeated(known)
        elif self._servers.waiting < MAX_WAITING:
            transaction = self._servers.begin(key, request, flow, response_flow(request.via, flow))
            self._servers.wait(transaction, now)
            contact = request.contacts[0].uri.text if request.contacts else ""
            self._emit(ProfileWanted(request_of(request, flow, transaction.id), event, contact))
