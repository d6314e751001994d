"""Our own transports under PJSIP: sockets in Python, one epoll, any number of connections.

PJSIP's transports would do for one UDP socket, but their I/O queue is select() with 64 handles, they drop
what they cannot parse without a word, and they cannot be woken by other threads.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from blfd.core.values import Flow
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.library import CData, PjsipError, address_of, ffi, lib
from blfd.pjsip.sockets import (
    MAX_MESSAGE,
    TcpConnection,
    TcpListener,
    UdpListener,
    address_in,
    get_address,
)
from blfd.transport.addresses import local_address_towards

log = logging.getLogger("blfd.network")

MAX_CONNECTIONS = 4096
SWEEP = 1.0  # seconds between looks for slow senders
PARTIAL_MESSAGE = 171_024  # PJSIP_EPARTIALMSG
INTERNAL_ERROR = 70001  # PJ_EUNKNOWN

Source = tuple[str, str, int, int]


class Receiver(Protocol):
    """Takes each message; `Network.buffer` holds a copy of `data`, with room for a final zero.

    `source` has the fields of a Flow.
    """

    def __call__(self, data: bytes, source: Source, transport: CData) -> None: ...


class Readable(Protocol):
    """A socket that is polled."""

    socket: socket.socket

    def readable(self) -> None: ...

    def close(self) -> None: ...


class Network:
    """All sockets, one epoll. `may_connect` is asked with an address and how many connections it has.

    A message may take `slowest` seconds to arrive over TCP.

    The owner sets, before the first `poll`: `receive`; `unreadable`, for what came over TCP and has no end
    that can be found; and `closed`.
    """

    receive: Receiver
    unreadable: Callable[[bytes, Flow], None]
    closed: Callable[[Flow], None]

    def __init__(self, endpoint: Endpoint, may_connect: Callable[[str, int], bool], slowest: int) -> None:
        self.endpoint = endpoint
        self._may_connect, self._slowest = may_connect, slowest
        self._from: Counter[str] = Counter()
        self._swept = 0.0
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
        self._by_fd: dict[int, Readable] = {}
        self._beside: list[Readable] = []
        self._by_transport: dict[int, UdpListener | TcpConnection] = {}
        self._connections: dict[tuple[str, int], TcpConnection] = {}
        self._to_drop: list[TcpConnection] = []
        self._to_connect: set[tuple[str, int]] = set()
        self._size = ffi.new("size_t *")
        self._local: dict[str, str] = {}
        self._contacts: dict[tuple[str, str, int], str] = {}
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

    def add_multicast(self, listener: Readable) -> None:
        """A socket beside the listeners: nothing is sent by it, and PJSIP does not know it."""
        self._by_fd[listener.socket.fileno()] = listener
        self._epoll.register(listener.socket.fileno(), select.EPOLLIN)
        self._beside.append(listener)

    def accepted(self, connected: socket.socket, index: int, peer: tuple[str, int]) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            log.warning("TCP: %d connections are open, one more is refused", MAX_CONNECTIONS)
            connected.close()
            return
        if not self._may_connect(peer[0], self._from[peer[0]]):
            log.warning("TCP: %s has %d connections, one more is refused", peer[0], self._from[peer[0]])
            connected.close()
            return
        try:
            connection = TcpConnection(self, index, connected, peer)
        except (OSError, PjsipError) as error:
            log.debug("TCP connection lost while it was accepted: %s", error)
            connected.close()
            return
        self._connections[connection.flow.host, connection.flow.port] = connection
        self._from[peer[0]] += 1
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
        self._close_slow(time.monotonic())

    def _close_slow(self, now: float) -> None:
        if now < self._swept + SWEEP:
            return
        self._swept = now
        for connection in list(self._connections.values()):
            since = connection.unfinished_since
            if since is not None and since < now - self._slowest:
                log.warning("TCP from %s: half a message for %d s, closed", connection.flow, self._slowest)
                self.drop(connection)

    def wake(self) -> None:
        """End a `poll` that waits; may be called from any thread."""
        os.eventfd_write(self._wake_fd, 1)

    def send(self, data: bytes, flow: Flow) -> bool:
        """Send to where a request came from; False if there is no way."""
        if flow.transport == "udp":
            listener = self.listeners[flow.listener]
            assert isinstance(listener, UdpListener)
            return listener.send(data, (flow.host, flow.port))
        connection = self._connections.get((flow.host, flow.port)) or self._connect(flow)
        return connection is not None and connection.send(data)

    def adopt(self, flow: Flow, contact: str = "") -> Flow | None:
        """Where a peer of an earlier process is reached; None if no listener serves its transport any more.

        A TCP connection has ended with that process: one to the address in `contact` is made when it is
        first needed; without a contact the flow stays, and leads nowhere until the phone comes again.
        """
        of_transport = [n for n, one in enumerate(self.listeners) if one.transport_name == flow.transport]
        if not of_transport:
            return None
        listener = flow.listener if flow.listener in of_transport else of_transport[0]
        if flow.transport == "tcp" and contact:
            host, port = address_in(contact)
            if not host:
                return None
            flow = Flow("tcp", host, port)
            self._to_connect.add((host, port))
        return flow._replace(listener=listener)

    def _connect(self, flow: Flow) -> TcpConnection | None:
        """A connection of ours, once for each that was adopted."""
        address = (flow.host, flow.port)
        if address not in self._to_connect:
            return None
        self._to_connect.discard(address)
        connecting = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connecting.setblocking(False)
        connecting.connect_ex(address)
        self.accepted(connecting, flow.listener, address)
        return self._connections.get(address)

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

    def contact(self, flow: Flow) -> str:
        """Our Contact as the peer of `flow` sees it."""
        place = (flow.transport, flow.host, flow.listener)
        contact = self._contacts.get(place)
        if contact is None:
            if len(self._contacts) > MAX_CONNECTIONS:
                self._contacts.clear()
            host, port = self.local_address(flow)
            parameter = ";transport=tcp" if flow.transport == "tcp" else ""
            contact = self._contacts[place] = f"<sip:{host}:{port}{parameter}>"
        return contact

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
        self._from[connection.flow.host] -= 1
        if not self._from[connection.flow.host]:
            del self._from[connection.flow.host]
        fd = connection.socket.fileno()
        del self._by_fd[fd]
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)
        connection.close()
        self.closed(connection.flow)

    def drops(self) -> int:
        """Datagrams that the kernel had no room for, since the start."""
        return sum(listener.drops() for listener in self.listeners)

    def close(self) -> None:
        for connection in list(self._connections.values()):
            connection.close()
        for listener in (*self.listeners, *self._beside):
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
        sent = entry.send(data, get_address(ffi.cast("pj_sockaddr *", address)))
        return 0 if sent else INTERNAL_ERROR

    def _on_destroy(self, tp: CData) -> int:
        entry = self._by_transport.pop(address_of(tp), None)
        if entry:
            lib.pj_pool_release(entry.transport.pj.pool)
        return 0
