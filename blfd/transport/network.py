"""Our own sockets: one epoll, any number of connections.

PJSIP's transports would do for one UDP socket, but their I/O queue is select() with 64 handles, they drop
what they cannot parse without a word, and they cannot be woken by other threads.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Protocol

from blfd.core.values import TCP, TLS, UDP, Flow
from blfd.transport.addresses import LOOPBACK, ListenAddress, is_local, local_address_towards, new_socket
from blfd.transport.certificates import Certificates
from blfd.transport.connections import Connections
from blfd.transport.framing import MAX_MESSAGE
from blfd.transport.tcp import TcpConnection, TcpListener
from blfd.transport.tls import Handshakes, TlsListener
from blfd.transport.udp import UdpListener

log = logging.getLogger("blfd.network")

MAX_LOCAL = 4096  # peers towards which our own address is remembered

Source = tuple[str, str, int, int, str]
"""The fields of a Flow, without the time that it takes to make one."""

Listener = UdpListener | TcpListener
LISTENERS: dict[str, type[UdpListener] | type[TcpListener]] = {
    UDP.name: UdpListener,
    TCP.name: TcpListener,
    TLS.name: TlsListener,
}


class Polled(Protocol):
    def fileno(self) -> int: ...


class Readable(Protocol):
    """A socket that is polled, or an epoll of others."""

    @property
    def socket(self) -> Polled: ...

    def readable(self) -> None: ...

    def close(self) -> None: ...


class Network:
    """All sockets, one epoll. `may_connect` is asked with an address and how many connections it has.

    A message may take `slowest` seconds to arrive over a connection. TLS needs `certificates`;
    `may_shake_hands` is asked with the address of each peer that wants it.

    The owner sets, before the first `poll`: `receive`, which takes each message; `unreadable`, which takes
    what came over a connection and has no end that can be found, and why; `closed`, which takes the flow of
    a connection that has ended or could not be made; `reached`, which takes the flow of a peer to which that
    had happened, and which is there again; `named`, which takes the flow of a new connection and the names in
    its peer's certificate, where it has shown one.
    """

    receive: Callable[[bytes, Source], None]
    unreadable: Callable[[bytes, Flow, str], None]
    closed: Callable[[Flow], None]
    reached: Callable[[Flow], None]
    named: Callable[[Flow, tuple[str, ...]], None]

    def __init__(
        self,
        may_connect: Callable[[str, int], bool],
        slowest: float,
        clock: Callable[[], float] = time.monotonic,
        certificates: Certificates | None = None,
        may_shake_hands: Callable[[str], bool] = lambda host: True,
    ) -> None:
        self.clock, self.certificates = clock, certificates
        self.view = memoryview(bytearray(MAX_MESSAGE))  # what comes is read into it
        self.listeners: list[Listener] = []
        self._epoll = select.epoll()
        self._by_fd: dict[int, Readable] = {}
        self._apart: list[Readable] = []
        self.connections = Connections(self, may_connect, slowest)
        self._local: dict[str, str] = {}
        self.zones: dict[str, int] = {}  # by which interface addresses of one link alone (fe80::) were heard
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        self.handshakes = Handshakes(may_shake_hands)
        self.add(self.handshakes)

    # Listeners

    def listen(self, address: ListenAddress) -> ListenAddress:
        """Open a listener; returns its address. Raises OSError."""
        kind = LISTENERS[address.transport]
        listener = kind(self, len(self.listeners), (address.host, address.port))
        self.listeners.append(listener)
        self.add(listener)
        return listener.address

    def add_apart(self, listener: Readable) -> None:
        """Poll a socket apart from the listeners: no flow leads to it."""
        self.add(listener)
        self._apart.append(listener)

    def socket_for(self, flow: Flow) -> socket.socket:
        """A new socket for a connection to a flow's peer, from its listener's address. Raises OSError."""
        address = self.listeners[flow.listener].address
        if not address.reaches(flow.host):
            raise OSError(errno.EAFNOSUPPORT, f"{address} is of another address family")
        made = new_socket(flow.host, socket.SOCK_STREAM)
        if not address.everywhere:
            try:
                made.bind((address.host, 0))
            except OSError:
                made.close()
                raise
        return made

    def leads_here(self, way: Flow) -> bool:
        """Whether what is sent so comes to one of our own listeners."""
        for listener in self.listeners:
            address = listener.address
            if (address.transport, address.port) != (way.transport, way.port):
                continue
            for host in LOOPBACK.get(way.host, (way.host,)):
                if address.host == host or (address.everywhere and address.reaches(host) and is_local(host)):
                    return True
        return False

    def connection_kind(self, flow: Flow) -> type[TcpConnection]:
        """The class of a connection by the listener of `flow`."""
        listener = self.listeners[flow.listener]
        assert not isinstance(listener, UdpListener), "it has connections"
        return listener.connection

    # What is polled

    def add(self, entry: Readable) -> None:
        self._by_fd[entry.socket.fileno()] = entry
        self._epoll.register(entry.socket.fileno(), select.EPOLLIN)

    def watch(self, entry: Readable, writable: bool) -> None:
        """Poll a socket, and call `writable` as well if that is wanted."""
        self._epoll.modify(entry.socket.fileno(), select.EPOLLIN | (select.EPOLLOUT if writable else 0))

    def release(self, entry: Readable) -> None:
        """Poll a socket no more."""
        fd = entry.socket.fileno()
        del self._by_fd[fd]
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)

    def local_address(self, flow: Source) -> tuple[str, int]:
        """Our address as the peer of `flow` sees it: for Via and Contact."""
        address = self.listeners[flow[3]].address
        if not address.everywhere:
            return address.host, address.port
        host = self._local.get(flow[1])
        if host is None:
            if len(self._local) > MAX_LOCAL:
                self._local.clear()
            host = self._local[flow[1]] = local_address_towards(flow[1], self.zones.get(flow[1], 0))
        return host, address.port

    def heard_by(self, host: str, zone: int) -> None:
        """Note by which interface an address was heard that is one of its link alone."""
        if self.zones.get(host) != zone:
            if len(self.zones) > MAX_LOCAL:
                self.zones.clear()
            self.zones[host] = zone
            self._local.pop(host, None)

    # Time

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
        self.connections.settle()

    def wake(self) -> None:
        """End a `poll` that waits; may be called from any thread."""
        os.eventfd_write(self._wake_fd, 1)

    # Messages

    def send(self, data: bytes, flow: Source) -> bool:
        """Send by what is there; False if it will not arrive."""
        listener = self.listeners[flow[3]]
        if type(listener) is UdpListener:
            return listener.send(data, flow[1:3])
        connection = self.connections.get(flow)
        return connection is not None and connection.send(data)

    def send_request(self, data: bytes, flow: Source) -> bool:
        """Send as `send` does, but where no connection is open, one is made to the peer's address."""
        listener = self.listeners[flow[3]]
        if type(listener) is UdpListener:
            return listener.send(data, flow[1:3])
        connection = self.connections.get(flow) or self.connections.open(Flow._make(flow))
        return connection is not None and connection.send(data)

    def adopt(self, flow: Flow) -> Flow | None:
        """A flow of an earlier process by a listener of now; None if none leads there any more."""
        serving = [
            one
            for one in self.listeners
            if one.transport.name == flow.transport and one.address.reaches(flow.host)
        ]
        if not serving:
            return None
        same = next((one for one in serving if one.index == flow.listener), serving[0])
        return flow if same.index == flow.listener else flow._replace(listener=same.index)

    # Other ends

    def drops(self) -> int:
        """How many datagrams the kernel had no room for, since the start."""
        return sum(listener.drops() for listener in self.listeners)

    def close(self) -> None:
        self.connections.close()
        for listener in (*self.listeners, *self._apart):
            listener.close()
        self.handshakes.close()
        self._epoll.close()
        os.close(self._wake_fd)
