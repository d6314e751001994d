"""Our own sockets: one epoll, any number of connections.

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

from blfd.core.values import TCP, UDP, Flow
from blfd.transport.addresses import ListenAddress, local_address_towards
from blfd.transport.framing import MAX_MESSAGE
from blfd.transport.tcp import TcpConnection, TcpListener
from blfd.transport.udp import UdpListener

log = logging.getLogger("blfd.network")

MAX_CONNECTIONS = 4096
MAX_LOCAL = 4096  # peers towards which our own address is remembered
SWEEP = 1.0  # seconds between looks for slow senders

Source = tuple[str, str, int, int]
"""The fields of a Flow, without the time that it takes to make one."""

Listener = UdpListener | TcpListener
LISTENERS: dict[str, type[UdpListener] | type[TcpListener]] = {UDP.name: UdpListener, TCP.name: TcpListener}


class Readable(Protocol):
    """A socket that is polled."""

    socket: socket.socket

    def readable(self) -> None: ...

    def close(self) -> None: ...


class Network:
    """All sockets, one epoll. `may_connect` is asked with an address and how many connections it has.

    A message may take `slowest` seconds to arrive over a connection.

    The owner sets, before the first `poll`: `receive`, which takes each message; `unreadable`, which takes
    what came over a connection and has no end that can be found, and why; `closed`, which takes the flow of
    a connection that has ended.
    """

    receive: Callable[[bytes, Source], None]
    unreadable: Callable[[bytes, Flow, str], None]
    closed: Callable[[Flow], None]

    def __init__(
        self,
        may_connect: Callable[[str, int], bool],
        slowest: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._may_connect, self._slowest, self.clock = may_connect, slowest, clock
        self.view = memoryview(bytearray(MAX_MESSAGE))  # what comes is read into it
        self.listeners: list[Listener] = []
        self._epoll = select.epoll()
        self._by_fd: dict[int, Readable] = {}
        self._apart: list[Readable] = []
        self._connections: dict[Source, TcpConnection] = {}
        self._from: Counter[str] = Counter()  # connections by address
        self._to_drop: list[TcpConnection] = []
        self._to_connect: set[Flow] = set()
        self._swept = 0.0
        self._local: dict[str, str] = {}
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)

    # Listeners

    def listen(self, address: ListenAddress) -> ListenAddress:
        """Open a listener; returns its address. Raises OSError."""
        kind = LISTENERS[address.transport]
        listener = kind(self, len(self.listeners), (address.host, address.port))
        self.listeners.append(listener)
        self._poll_too(listener)
        return listener.address

    def add(self, listener: Readable) -> None:
        """Poll a socket apart from the listeners: no flow leads to it."""
        self._poll_too(listener)
        self._apart.append(listener)

    def _poll_too(self, entry: Readable) -> None:
        self._by_fd[entry.socket.fileno()] = entry
        self._epoll.register(entry.socket.fileno(), select.EPOLLIN)

    def local_address(self, flow: Source) -> tuple[str, int]:
        """Our address as the peer of `flow` sees it: for Via and Contact."""
        address = self.listeners[flow[3]].address
        if not address.everywhere:
            return address.host, address.port
        host = self._local.get(flow[1])
        if host is None:
            if len(self._local) > MAX_LOCAL:
                self._local.clear()
            host = self._local[flow[1]] = local_address_towards(flow[1])
        return host, address.port

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
        while self._to_drop:
            self.drop(self._to_drop.pop())
        self._close_slow(self.clock())

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

    # Messages

    def send(self, data: bytes, flow: Source) -> bool:
        """Send to where a request came from; False if there is no way."""
        listener = self.listeners[flow[3]]
        if type(listener) is UdpListener:
            return listener.send(data, flow[1:3])
        connection = self._connections.get(flow) or self._connect(Flow._make(flow))
        return connection is not None and connection.send(data)

    # Connections

    def accepted(self, connected: socket.socket, flow: Flow) -> None:
        """Take a connection that has been made, if one more may be."""
        host = flow.host
        if len(self._connections) >= MAX_CONNECTIONS:
            log.warning("TCP: %d connections are open, one more is refused", MAX_CONNECTIONS)
            connected.close()
            return
        if not self._may_connect(host, self._from[host]):
            log.warning("TCP: %s has %d connections, one more is refused", host, self._from[host])
            connected.close()
            return
        try:
            connection = TcpConnection(self, connected, flow)
        except OSError as error:
            log.debug("TCP connection lost while it was accepted: %s", error)
            connected.close()
            return
        self._connections[flow] = connection
        self._from[host] += 1
        self._poll_too(connection)

    def connection(self, flow: Source) -> TcpConnection | None:
        """The connection that is open to a flow's peer."""
        return self._connections.get(flow)

    def adopt(self, flow: Flow, reached_at: tuple[str, int] | None = None) -> Flow | None:
        """Where a peer of an earlier process is reached; None if no listener serves its transport any more.

        A connection has ended with that process: one to the address `reached_at` is made when it is first
        needed; without one the flow stays, and leads nowhere until the phone comes again.
        """
        serving = [one for one in self.listeners if one.transport.name == flow.transport]
        if not serving:
            return None
        same = next((one for one in serving if one.index == flow.listener), serving[0])
        flow = flow._replace(listener=same.index)
        if same.transport.connected and reached_at:
            flow = flow._replace(host=reached_at[0], port=reached_at[1])
            self._to_connect.add(flow)
        return flow

    def _connect(self, flow: Flow) -> TcpConnection | None:
        """A connection of ours, once for each that was adopted."""
        if flow not in self._to_connect:
            return None
        self._to_connect.discard(flow)
        connecting = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connecting.setblocking(False)
        connecting.connect_ex((flow.host, flow.port))
        self.accepted(connecting, flow)
        return self._connections.get(flow)

    def watch_writable(self, connection: TcpConnection, wanted: bool) -> None:
        events = select.EPOLLIN | (select.EPOLLOUT if wanted else 0)
        self._epoll.modify(connection.socket.fileno(), events)

    def drop_later(self, connection: TcpConnection) -> None:
        """For use inside a send, whose caller still holds the connection."""
        self._to_drop.append(connection)

    def drop(self, connection: TcpConnection) -> None:
        flow = connection.flow
        if self._connections.get(flow) is not connection:
            return
        del self._connections[flow]
        self._from[flow.host] -= 1
        if not self._from[flow.host]:
            del self._from[flow.host]
        fd = connection.socket.fileno()
        del self._by_fd[fd]
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)
        connection.close()
        self.closed(flow)

    # Other ends

    def drops(self) -> int:
        """Datagrams that the kernel had no room for, since the start."""
        return sum(listener.drops() for listener in self.listeners)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        for listener in (*self.listeners, *self._apart):
            listener.close()
        self._epoll.close()
        os.close(self._wake_fd)
