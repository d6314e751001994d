"""Plug and play: SUBSCRIBEs that come by multicast, held until it is known whether they are answered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from blfd.core.access.limits import Rates
from blfd.core.inputs import Input, ProfileWanted
from blfd.core.values import Flow
from blfd.pjsip.adapter import Adapter
from blfd.pjsip.message import Message
from blfd.transport.multicast import MulticastListener
from blfd.transport.network import Network
from blfd.transport.udp import UdpListener

log = logging.getLogger("blfd.pnp")

MAX_HELD = 1000  # requests; what comes beyond has to be sent again
A_SECOND = 2  # requests from one address that are looked at
EVENT = "ua-profile"


class Profiles:
    """Reads what `MulticastListener` hears, as `ProfileWanted`, and keeps it for the answer.

    `new_transaction` numbers it among the stack's.
    """

    def __init__(
        self,
        network: Network,
        adapter: Adapter,
        message: Message,
        emit: Callable[[Input], None],
        new_transaction: Callable[[], int],
    ) -> None:
        self._network, self._adapter, self._message, self._emit = network, adapter, message, emit
        self._new_transaction = new_transaction
        self._rates = Rates(A_SECOND)
        self._held: dict[int, tuple[bytes, Flow]] = {}
        self._keys: dict[str, int] = {}

    def listen(self, group: tuple[str, int]) -> None:
        """Raises OSError."""
        udp = next(each for each in self._network.listeners if isinstance(each, UdpListener))
        self._network.add(MulticastListener(udp, group, self._heard_safely))

    def _heard_safely(self, data: bytes, flow: Flow) -> None:
        """No message may end the server, whatever we have got wrong about it."""
        try:
            self._heard(data, flow)
        except Exception:
            log.exception("a question of %s was not handled:\n%r", flow, data)

    def _heard(self, data: bytes, flow: Flow) -> None:
        """Whatever is no question of a phone is none of ours: other servers' phones use the group as well."""
        if data[:10] != b"SUBSCRIBE " or not self._rates.take(flow.host, time.monotonic()):
            return
        message = self._message
        if len(self._held) >= MAX_HELD or not self._read(data, flow):
            return
        event = message.field(b"event")
        if event.partition(";")[0].strip().lower() != EVENT or message.key in self._keys:
            return
        number = self._new_transaction()
        self._held[number], self._keys[message.key] = (data, flow), number
        self._emit(ProfileWanted(message.request(number), event, message.contact_uri()))

    def _read(self, data: bytes, flow: Flow) -> bool:
        transport = self._adapter.transport_of(flow)
        if transport is None:
            return False
        return not self._message.parse(data, flow, transport) and self._message.is_request

    def take(self, transaction: int) -> bool:
        """Whether this request is held; it is the stack's message then, and held no longer."""
        if transaction not in self._held:
            return False
        self._read(*self._held.pop(transaction))
        self._keys.pop(self._message.key)
        return True
