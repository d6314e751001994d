"""Plug and play: SUBSCRIBEs that come by multicast, held until it is known whether they are answered."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from blfd.core.access.limits import Rates
from blfd.core.inputs import Input, ProfileWanted
from blfd.core.values import Flow
from blfd.pjsip.library import ffi
from blfd.pjsip.message import Message
from blfd.pjsip.network import Network
from blfd.pjsip.sockets import UdpListener, enlarge_buffers

log = logging.getLogger("blfd.pnp")

MAX_HELD = 1000  # requests; what comes beyond has to be sent again
MAX_SIZE = 4000  # octets of a request
A_SECOND = 2  # requests from one address that are looked at
READS_PER_TURN = 50  # calls are not to wait for strangers
EVENT = "ua-profile"


class MulticastListener:
    """A socket that hears what is sent to the group; answers leave by `listener`, so that NOTIFY's are heard.

    It is bound to the group's address, so nothing that is sent to this machine alone gets in here.
    """

    def __init__(self, network: Network, listener: UdpListener, group: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        enlarge_buffers(self.socket)  # after a power cut all phones ask at once
        self.socket.setblocking(False)
        # Only now: two servers on one port were no error otherwise.
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind(group)
            if IPv4Address(group[0]).is_multicast:
                self._join(group[0], listener.address[0])
        except OSError:
            self.socket.close()
            raise
        self._view = memoryview(bytearray(MAX_SIZE + 1))
        self._index = network.listeners.index(listener)
        self.heard: Callable[[bytes, Flow], None]

    def _join(self, group: str, host: str) -> None:
        """On the listener's network; on all of them if it listens everywhere. Raises OSError."""
        if host != "0.0.0.0":
            self._join_at(group, host, 0)
            return
        for index, _ in socket.if_nameindex():
            with contextlib.suppress(OSError):  # one that is down, or knows no multicast
                self._join_at(group, host, index)

    def _join_at(self, group: str, host: str, interface: int) -> None:
        request = struct.pack("=4s4si", socket.inet_aton(group), socket.inet_aton(host), interface)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)

    def readable(self) -> None:
        for _ in range(READS_PER_TURN):
            try:
                length, (host, port) = self.socket.recvfrom_into(self._view)
            except OSError:
                return
            if length <= MAX_SIZE:
                self.heard(bytes(self._view[:length]), Flow("udp", host, port, self._index))

    def close(self) -> None:
        self.socket.close()


class Profiles:
    """Reads what `MulticastListener` hears, as `ProfileWanted`, and keeps it for the answer.

    `new_transaction` numbers it among the stack's.
    """

    def __init__(
        self,
        network: Network,
        message: Message,
        emit: Callable[[Input], None],
        new_transaction: Callable[[], int],
    ) -> None:
        self._network, self._message, self._emit = network, message, emit
        self._new_transaction = new_transaction
        self._rates = Rates(A_SECOND)
        self._held: dict[int, tuple[bytes, Flow]] = {}
        self._keys: dict[str, int] = {}

    def listen(self, group: tuple[str, int]) -> None:
        """Raises OSError."""
        udp = next(each for each in self._network.listeners if isinstance(each, UdpListener))
        listener = MulticastListener(self._network, udp, group)
        listener.heard = self._heard_safely
        self._network.add_multicast(listener)

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
        transport, buffer = self._network.transport_of(flow), self._network.buffer
        if transport is None:
            return False
        ffi.memmove(buffer, data, len(data))
        return not self._message.parse(data, buffer, flow, transport) and self._message.is_request

    def take(self, transaction: int) -> bool:
        """Whether this request is held; it is the stack's message then, and held no longer."""
        if transaction not in self._held:
            return False
        self._read(*self._held.pop(transaction))
        self._keys.pop(self._message.key)
        return True
