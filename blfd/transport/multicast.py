"""What is sent to a multicast group: a listener apart from the others, which hears nothing else."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address

from blfd.core.hosts import EVERY_IPV4
from blfd.core.values import UDP, Flow
from blfd.transport.addresses import ListenAddress
from blfd.transport.udp import UdpListener, enlarge_buffers

MAX_SIZE = 4000  # octets of a request
READS_PER_TURN = 50  # calls are not to wait for strangers


class MulticastListener:
    """A socket that hears what is sent to the group. We send by `listener`, which hears the responses.

    It is bound to the group's address, so nothing that is sent to this machine alone gets in here.
    """

    def __init__(
        self, listener: UdpListener, group: tuple[str, int], heard: Callable[[bytes, Flow], None]
    ) -> None:
        """Open the socket and join the group. Raises OSError."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        enlarge_buffers(self.socket)  # after a power cut all phones ask at once
        self.socket.setblocking(False)
        # Only now: two servers on one port were no error otherwise.
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.socket.bind(group)
            if IPv4Address(group[0]).is_multicast:
                self._join(group[0], listener.address)
        except OSError:
            self.socket.close()
            raise
        self._view = memoryview(bytearray(MAX_SIZE + 1))
        self._index, self._heard = listener.index, heard

    def _join(self, group: str, address: ListenAddress) -> None:
        """Join a group on the listener's network; on all of them if it listens everywhere. Raises OSError."""
        if not address.everywhere:
            self._join_at(group, address.host, 0)
            return
        for index, _ in socket.if_nameindex():
            with contextlib.suppress(OSError):  # one that is down, or knows no multicast
                self._join_at(group, EVERY_IPV4, index)

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
                self._heard(bytes(self._view[:length]), Flow(UDP.name, host, port, self._index))

    def close(self) -> None:
        self.socket.close()
