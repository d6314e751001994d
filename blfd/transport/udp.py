"""The sockets, and what PJSIP knows of them: a `pjsip_transport` whose `send_msg` is ours."""

from __future__ import annotations

import logging
import re
import socket
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from blfd.core.values import Flow
from blfd.pjsip.library import CData, check, ffi, lib, zero
from blfd.transport.addresses import ANYWHERE, local_address_towards

if TYPE_CHECKING:
    from blfd.pjsip.network import Network

log = logging.getLogger("blfd.network")

MAX_MESSAGE = 65_535
READS_PER_TURN = 500  # datagrams taken from one socket before the others get their turn
RECEIVE_BUFFER = 16 << 20
MAX_UNSENT = 1 << 20  # octets waiting on a TCP connection whose peer does not read
KEEPALIVE = (
    (socket.TCP_KEEPIDLE, 120),
    (socket.TCP_KEEPINTVL, 15),
    (socket.TCP_KEEPCNT, 4),
)  # of silent peers

_ADDRESS = re.compile(r"sips?:(?:[^@;?]*@)?(\d+\.\d+\.\d+\.\d+)(?::(\d{1,5}))?(?=[;?]|$)", re.I)
TYPE_UDP, TYPE_TCP = 1, 2
FLAG_RELIABLE, FLAG_DATAGRAM = 1, 2
AF_INET = 2
IP_MULTICAST_ALL = 49  # Linux: ip(7)
SO_MEMINFO, SK_MEMINFO_DROPS = 55, 8  # Linux: sock_diag(7)


class Transport:
    """What PJSIP knows of a socket."""

    def __init__(self, network: Network, kind: str, local: tuple[str, int], peer: tuple[str, int] | None):
        endpoint = network.endpoint
        self._pool = endpoint.pool(b"transport", 512)
        tp = ffi.cast("pjsip_transport *", lib.pj_pool_alloc(self._pool, ffi.sizeof("pjsip_transport")))
        zero(tp)
        out = ffi.new("void **")
        check("atomic", lib.pj_atomic_create(self._pool, 0, out))
        tp.ref_cnt = out[0]
        check("lock", lib.pj_lock_create_recursive_mutex(self._pool, b"tp", out))
        tp.lock = out[0]
        tp.pool, tp.endpt, tp.dir = self._pool, endpoint.pj, 2 if peer else 0
        self._name = ffi.new("char[]", kind.upper().encode())
        tp.type_name = tp.info = self._name
        ffi.memmove(tp.obj_name, kind.encode(), len(kind))
        tp.key.type = TYPE_UDP if kind == "udp" else TYPE_TCP
        tp.flag = FLAG_DATAGRAM if kind == "udp" else FLAG_RELIABLE
        tp.addr_len = 16
        _set_address(tp.local_addr, local)
        self._host = ffi.new("char[]", local[0].encode())
        tp.local_name.host.ptr, tp.local_name.host.slen = self._host, len(local[0])
        tp.local_name.port = local[1]
        tp.key.rem_addr.family = AF_INET
        if peer:
            _set_address(tp.key.rem_addr, peer)
            self._peer = ffi.new("char[]", peer[0].encode())
            tp.remote_name.host.ptr, tp.remote_name.host.slen = self._peer, len(peer[0])
            tp.remote_name.port = peer[1]
        tp.send_msg, tp.do_shutdown, tp.destroy = network.c_send, network.c_shutdown, network.c_destroy
        self.pj = tp
        check("transport", lib.pjsip_transport_register(endpoint.transport_manager, tp))
        lib.pjsip_transport_add_ref(tp)  # ours, until close(): PJSIP's idle timer never ends it

    def close(self) -> None:
        lib.pjsip_transport_shutdown(self.pj)
        lib.pjsip_transport_dec_ref(self.pj)


def _set_address(sockaddr: CData, address: tuple[str, int]) -> None:
    sockaddr.family, sockaddr.port = AF_INET, socket.htons(address[1])
    sockaddr.addr = int.from_bytes(socket.inet_aton(address[0]), "little")


def get_address(sockaddr: CData) -> tuple[str, int]:
    return socket.inet_ntoa(sockaddr.addr.to_bytes(4, "little")), socket.ntohs(sockaddr.port)


class UdpListener:
    """One UDP socket: any number of phones."""

    transport_name = "udp"

    def __init__(self, network: Network, index: int, address: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        enlarge_buffers(self.socket)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)  # it has a listener of its own
        self.socket.bind(address)
        self._network, self._index = network, index
        self.address = self.socket.getsockname()
        self.transport = Transport(network, "udp", _visible(self.address), None)

    def readable(self) -> None:
        network, receive = self._network, self.socket.recvfrom_into
        view, index, transport = network.view, self._index, self.transport.pj
        for _ in range(READS_PER_TURN):
            try:
                length, (host, port) = receive(view)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier send; the timers deal with it
                continue
            network.receive(bytes(view[:length]), ("udp", host, port, index), transport)

    def send(self, data: bytes, address: tuple[str, int]) -> bool:
        try:
            self.socket.sendto(data, address)
        except OSError as error:
            log.debug("UDP to %s:%d failed: %s", *address, error)
            return False
        return True

    def drops(self) -> int:
        """Datagrams that came and found no room in the socket's buffer."""
        values = self.socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * (SK_MEMINFO_DROPS + 1))
        return int.from_bytes(values[4 * SK_MEMINFO_DROPS :], sys.byteorder)

    def close(self) -> None:
        self.socket.close()
        self.transport.close()


class TcpConnection:
    """One TCP connection with `peer`; PJSIP finds where its messages end."""

    def __init__(self, network: Network, index: int, connected: socket.socket, peer: tuple[str, int]) -> None:
        self.socket = connected
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)
        self._network = network
        self.flow = Flow("tcp", *peer, index)
        self._received = bytearray()
        self.unfinished_since: float | None = None  # when a message that is not all there yet began
        self._unsent: deque[bytes] = deque()
        self._unsent_octets = 0
        self.transport = Transport(network, "tcp", connected.getsockname(), peer)

    def readable(self) -> None:
        try:
            length = self.socket.recv_into(self._network.view)
        except BlockingIOError:
            return
        except OSError:
            length = 0
        if not length:
            self._network.drop(self)
            return
        self._received += self._network.view[:length]
        self._take_messages()

    def _take_messages(self) -> None:
        received, network = self._received, self._network
        while True:
            if not received:
                self.unfinished_since = None
                return
            keepalive = len(received) - len(received.lstrip(b"\r\n"))
            if keepalive:
                if received.startswith(b"\r\n\r\n"):
                    self.send(b"\r\n")  # the pong of RFC 5626, section 3.5.1
                del received[:keepalive]
                continue
            size = network.message_size(received)
            if size is None:
                if len(received) >= MAX_MESSAGE:
                    log.warning("TCP from %s: no message within %d octets, closed", self.flow, MAX_MESSAGE)
                    network.drop(self)
                elif self.unfinished_since is None:
                    self.unfinished_since = time.monotonic()
                return
            if not 0 < size < MAX_MESSAGE:
                log.warning("TCP from %s: what came is not SIP, closed", self.flow)
                network.unreadable(bytes(received[:MAX_MESSAGE]), self.flow)
                network.drop(self)
                return
            self.unfinished_since = None
            message = bytes(received[:size])
            network.view[:size] = message
            del received[:size]
            network.receive(message, self.flow, self.transport.pj)

    def send(self, data: bytes, address: tuple[str, int] | None = None) -> bool:
        if not self._unsent:
            try:
                data = data[self.socket.send(data) :]
            except BlockingIOError:
                pass
            except OSError:
                self._network.drop_later(self)
                return False
        if data:
            self._unsent.append(data)
            self._unsent_octets += len(data)
            self._network.watch_writable(self, True)
            if self._unsent_octets > MAX_UNSENT:
                log.warning("TCP to %s: the phone does not read, closed", self.flow)
                self._network.drop_later(self)
                return False
        return True

    def writable(self) -> None:
        while self._unsent:
            data = self._unsent.popleft()
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._network.drop(self)
                return
            self._unsent_octets -= sent
            if sent < len(data):
                self._unsent.appendleft(data[sent:])
                return
        self._network.watch_writable(self, False)

    def close(self) -> None:
        self.socket.close()
        self.transport.close()


class TcpListener:
    """Accepts connections."""

    transport_name = "tcp"

    def __init__(self, network: Network, index: int, address: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setblocking(False)
        self.socket.bind(address)
        self.socket.listen(1024)
        self._network, self._index = network, index
        self.address = self.socket.getsockname()

    def readable(self) -> None:
        for _ in range(READS_PER_TURN):
            try:
                connected, peer = self.socket.accept()
            except OSError:
                return
            self._network.accepted(connected, self._index, peer)

    def drops(self) -> int:
        return 0  # TCP asks again

    def close(self) -> None:
        self.socket.close()


def enlarge_buffers(sock: socket.socket) -> None:
    """A storm of SUBSCRIBEs waits in the kernel; without CAP_NET_ADMIN the sysctl is the limit."""
    force = 33  # SO_RCVBUFFORCE
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, RECEIVE_BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER)


def address_in(uri: str) -> tuple[str, int]:
    """Host and port of a SIP URI; ("", 0) where the host is a name, as nothing here waits for DNS."""
    found = _ADDRESS.match(uri)
    if not found:
        return "", 0
    try:
        socket.inet_aton(found[1])
    except OSError:
        return "", 0
    return found[1], int(found[2] or 5060)


def _visible(address: tuple[str, int]) -> tuple[str, int]:
    """An address to name in Via when listening on all of them."""
    return (local_address_towards(ANYWHERE), address[1]) if address[0] == "0.0.0.0" else address
