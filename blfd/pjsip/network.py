"""Our own transports under PJSIP: sockets in Python, one epoll, any number of connections.

PJSIP's transports would do for one UDP socket, but their I/O queue is select() with 64 handles, they drop
what they cannot parse without a word, and they cannot be woken by other threads. What PJSIP sees of a
transport is a `pjsip_transport` whose `send_msg` is ours.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

from blfd.core.values import Flow
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.library import CData, PjsipError, address_of, check, ffi, lib, zero

log = logging.getLogger("blfd.network")

MAX_MESSAGE = 65_535
READS_PER_TURN = 64  # datagrams taken from one socket before the others get their turn
RECEIVE_BUFFER = 16 << 20
MAX_CONNECTIONS = 4096
MAX_UNSENT = 1 << 20  # octets waiting on a TCP connection whose peer does not read

TYPE_UDP, TYPE_TCP = 1, 2
FLAG_RELIABLE, FLAG_DATAGRAM = 1, 2
AF_INET = 2
PARTIAL_MESSAGE = 171_024  # PJSIP_EPARTIALMSG


Source = tuple[str, str, int, int]


class Receiver(Protocol):
    """Takes each message; `Network.buffer` holds a copy of `data`, with room for a final zero.

    `source` has the fields of a Flow.
    """

    def __call__(self, data: bytes, source: Source, transport: CData) -> None: ...


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


def _get_address(sockaddr: CData) -> tuple[str, int]:
    return socket.inet_ntoa(sockaddr.addr.to_bytes(4, "little")), socket.ntohs(sockaddr.port)


class UdpListener:
    """One UDP socket: any number of phones."""

    def __init__(self, network: Network, index: int, address: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        _enlarge_buffers(self.socket)
        self.socket.setblocking(False)
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

    def close(self) -> None:
        self.socket.close()
        self.transport.close()


class TcpConnection:
    """One TCP connection, accepted or opened by us; PJSIP finds where its messages end."""

    def __init__(self, network: Network, index: int, connected: socket.socket) -> None:
        self.socket = connected
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host, port = connected.getpeername()
        self._network = network
        self.flow = Flow("tcp", host, port, index)
        self._received = bytearray()
        self._unsent: deque[bytes] = deque()
        self._unsent_octets = 0
        self.transport = Transport(network, "tcp", connected.getsockname(), (host, port))

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
        while received:
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
                return
            if not 0 < size < MAX_MESSAGE:
                log.warning("TCP from %s: what came is not SIP, closed", self.flow)
                network.drop(self)
                return
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
                connected, _peer = self.socket.accept()
            except OSError:
                return
            self._network.accepted(connected, self._index)

    def close(self) -> None:
        self.socket.close()


def _enlarge_buffers(sock: socket.socket) -> None:
    """A storm of SUBSCRIBEs waits in the kernel; without CAP_NET_ADMIN the sysctl is the limit."""
    force = 33  # SO_RCVBUFFORCE
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, RECEIVE_BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER)


def _visible(address: tuple[str, int]) -> tuple[str, int]:
    """An address to name in Via when listening on all of them."""
    return (local_address_towards("192.0.2.1"), address[1]) if address[0] == "0.0.0.0" else address


def local_address_towards(host: str) -> str:
    """The address of ours that the kernel would send from, 127.0.0.1 if it knows no way; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


class Network:
    """All sockets, one epoll. `receive` is set by the owner before the first `poll`."""

    receive: Receiver
    closed: Callable[[Flow], None]

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.buffer = ffi.new(f"char[{MAX_MESSAGE + 1}]")
        self.view = memoryview(ffi.buffer(self.buffer))[:MAX_MESSAGE]
        self.listeners: list[UdpListener | TcpListener] = []
        self.c_send = ffi.callback(
            "pj_status_t(pjsip_transport *, pjsip_tx_data *, const void *, int, void *, void *)",
            self._on_send,
            error=INTERNAL_ERROR,
        )
        self.c_shutdown = ffi.callback("pj_status_t(pjsip_transport *)", lambda tp: 0)
        self.c_destroy = ffi.callback("pj_status_t(pjsip_transport *)", self._on_destroy)
        endpoint.keep(self.c_send, self.c_shutdown, self.c_destroy)
        self._epoll = select.epoll()
        self._by_fd: dict[int, UdpListener | TcpListener | TcpConnection] = {}
        self._by_transport: dict[int, UdpListener | TcpConnection] = {}
        self._connections: dict[tuple[str, int], TcpConnection] = {}
        self._to_drop: list[TcpConnection] = []
        self._size = ffi.new("size_t *")
        self._local: dict[str, str] = {}
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)

    def listen(self, transport: str, address: tuple[str, int]) -> tuple[str, int]:
        """Open a listener ("udp" or "tcp"); returns its address. Raises OSError."""
        kind = UdpListener if transport == "udp" else TcpListener
        listener = kind(self, len(self.listeners), address)
        self.listeners.append(listener)
        self._add(listener)
        bound: tuple[str, int] = listener.address
        return bound

    def _add(self, entry: UdpListener | TcpListener | TcpConnection) -> None:
        self._by_fd[entry.socket.fileno()] = entry
        self._epoll.register(entry.socket.fileno(), select.EPOLLIN)
        if not isinstance(entry, TcpListener):
            self._by_transport[address_of(entry.transport.pj)] = entry

    def accepted(self, connected: socket.socket, index: int) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            log.warning("TCP: %d connections are open, one more is refused", MAX_CONNECTIONS)
            connected.close()
            return
        try:
            connection = TcpConnection(self, index, connected)
        except (OSError, PjsipError) as error:
            log.debug("TCP connection lost while it was accepted: %s", error)
            connected.close()
            return
        self._connections[connection.flow.host, connection.flow.port] = connection
        self._add(connection)

    def poll(self, timeout: float) -> None:
        """Wait for messages, a wake-up, or `timeout` seconds; hand each message to `receive`."""
        for fd, events in self._epoll.poll(timeout):
            entry = self._by_fd.get(fd)
            if entry is None:
                if fd == self._wake_fd:
                    os.eventfd_read(fd)
                continue
            if events & select.EPOLLOUT and isinstance(entry, TcpConnection):
                entry.writable()
            if events & ~select.EPOLLOUT:
                entry.readable()
        while self._to_drop:
            self.drop(self._to_drop.pop())

    def wake(self) -> None:
        """End a `poll` that waits; may be called from any thread."""
        os.eventfd_write(self._wake_fd, 1)

    def send(self, data: bytes, flow: Flow) -> bool:
        """Send to where a request came from; False if there is no way."""
        if flow.transport == "udp":
            listener = self.listeners[flow.listener]
            assert isinstance(listener, UdpListener)
            return listener.send(data, (flow.host, flow.port))
        connection = self._connections.get((flow.host, flow.port))
        return connection is not None and connection.send(data)

    def transport_of(self, flow: Flow) -> CData | None:
        """The pjsip_transport that reaches `flow`; None if its connection is gone."""
        if flow.transport == "udp":
            listener = self.listeners[flow.listener]
            assert isinstance(listener, UdpListener)
            return listener.transport.pj
        connection = self._connections.get((flow.host, flow.port))
        return connection.transport.pj if connection else None

    def local_address(self, flow: Flow) -> tuple[str, int]:
        """Our address as the peer of `flow` sees it: for Via and Contact."""
        host, port = self.listeners[flow.listener].address
        if host == "0.0.0.0":
            host = self._local.get(flow.host) or ""
            if not host:
                if len(self._local) > MAX_CONNECTIONS:
                    self._local.clear()
                host = self._local[flow.host] = local_address_towards(flow.host)
        return host, port

    def message_size(self, received: bytearray) -> int | None:
        """Octets of the first message in a stream; None: more is to come; 0: this is not SIP."""
        status = lib.pjsip_find_msg(ffi.from_buffer(received), len(received), 0, self._size)
        if status == 0:
            return int(self._size[0])
        return None if status == PARTIAL_MESSAGE else 0

    def watch_writable(self, connection: TcpConnection, wanted: bool) -> None:
        events = select.EPOLLIN | (select.EPOLLOUT if wanted else 0)
        self._epoll.modify(connection.socket.fileno(), events)

    def drop_later(self, connection: TcpConnection) -> None:
        """For use inside a send, where PJSIP still holds the transport."""
        self._to_drop.append(connection)

    def drop(self, connection: TcpConnection) -> None:
        if self._connections.get((connection.flow.host, connection.flow.port)) is not connection:
            return
        del self._connections[connection.flow.host, connection.flow.port]
        fd = connection.socket.fileno()
        del self._by_fd[fd]
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)
        connection.close()
        self.closed(connection.flow)

    def close(self) -> None:
        for connection in list(self._connections.values()):
            connection.close()
        for listener in self.listeners:
            listener.close()
        self._epoll.close()
        os.close(self._wake_fd)

    def _on_send(
        self, tp: CData, tdata: CData, address: CData, length: int, token: CData, callback: CData
    ) -> int:
        entry = self._by_transport.get(address_of(tp))
        if entry is None:
            return INTERNAL_ERROR
        data = bytes(ffi.buffer(tdata.buf.start, tdata.buf.cur - tdata.buf.start))
        sent = entry.send(data, _get_address(ffi.cast("pj_sockaddr *", address)))
        return 0 if sent else INTERNAL_ERROR

    def _on_destroy(self, tp: CData) -> int:
        entry = self._by_transport.pop(address_of(tp), None)
        if entry:
            lib.pj_pool_release(entry.transport.pj.pool)
        return 0


INTERNAL_ERROR = 70001  # PJ_EUNKNOWN
