"""UDP: one socket for any number of phones."""

from __future__ import annotations

import errno
import logging
import socket
import sys
from typing import final

from blfd.core.hosts import MAPPED, is_ipv6
from blfd.core.values import UDP
from blfd.transport.addresses import ListenAddress, new_socket, peer
from blfd.transport.framing import MAX_MESSAGE
from blfd.transport.polling import Polling

LONGEST_DATAGRAM = 65_507  # octets that IPv4 and UDP leave of 64 KiB

log = logging.getLogger("blfd.network")

READS_PER_TURN = 500  # datagrams taken from one socket before the others get their turn
RECEIVE_BUFFER = 16 << 20
IP_MULTICAST_ALL = 49  # Linux: ip(7)
SO_RCVBUFFORCE = 33  # Linux: socket(7)
SO_MEMINFO, SK_MEMINFO_DROPS = 55, 8  # Linux: sock_diag(7)


@final
class UdpListener:
    """Hands each datagram to `polling.receive`."""

    transport = UDP

    def __init__(self, polling: Polling, index: int, address: tuple[str, int]) -> None:
        self.socket = new_socket(address[0], socket.SOCK_DGRAM)
        self._maps = self.socket.family == socket.AF_INET6  # IPv4 addresses
        enlarge_buffers(self.socket)
        self.socket.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)  # it has a listener of its own
        self.socket.bind(address)
        self._polling, self.index = polling, index
        self.address = ListenAddress(UDP.name, *peer(self.socket.getsockname()))

    def readable(self) -> None:
        polling, take = self._polling, self.socket.recvfrom
        receive, index, name, maps = polling.receive, self.index, UDP.name, self._maps
        for _ in range(READS_PER_TURN):
            try:
                data, address = take(MAX_MESSAGE)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier send; the timers deal with it
                continue
            host, port = peer(address) if maps else address
            if maps and address[3]:
                polling.heard_by(host, address[3])
            receive(data, (name, host, port, index, ""))

    def send(self, data: bytes, address: tuple[str, int]) -> bool:
        host, port = address
        zones = self._polling.zones
        try:
            if zones and host in zones:
                self.socket.sendto(data, (host, port, 0, zones[host]))
            else:
                self.socket.sendto(
                    data, (MAPPED + host, port) if self._maps and not is_ipv6(host) else address
                )
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                text = "%d octets to %s port %d do not fit into a datagram: have that phone use TCP"
                self._polling.told.warn(host, text, len(data), host, port)
            log.debug("UDP to %s port %d failed: %s", host, port, error)
            return False
        return True

    def drops(self) -> int:
        """How many datagrams came and found no room in the socket's buffer."""
        values = self.socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (SK_MEMINFO_DROPS + 1))
        return int.from_bytes(values[4 * SK_MEMINFO_DROPS :], sys.byteorder)

    def close(self) -> None:
        self.socket.close()


def enlarge_buffers(sock: socket.socket) -> None:
    """Make room for a storm of SUBSCRIBEs; without CAP_NET_ADMIN, the sysctl is the limit."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER)
