"""TCP: a listener, and the connections that it accepts or that we open."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from typing import TYPE_CHECKING

from blfd.core.values import TCP, Flow, Transport
from blfd.transport.addresses import ListenAddress, new_socket, peer
from blfd.transport.framing import Framing, Unreadable

if TYPE_CHECKING:
    from blfd.transport.network import Network

log = logging.getLogger("blfd.network")

ACCEPTED_PER_TURN = 500
MAX_UNSENT = 1 << 20  # octets that wait for a peer that does not read
NOTHING = -1  # octets received where there are none yet
PONG = b"\r\n"
KEEPALIVE = (
    (socket.TCP_KEEPIDLE, 120),
    (socket.TCP_KEEPINTVL, 15),
    (socket.TCP_KEEPCNT, 4),
)  # of silent peers


class TcpConnection:
    """One connection; `flow` is its peer. Messages go to `network.receive`.

    One that we open (`is_ours`) is given until when it has to be made; `was_heard`: something came over it.
    `opening_until` is None once it is made: what is sent before waits.
    """

    transport: Transport = TCP
    not_now: tuple[type[OSError], ...] = (BlockingIOError,)
    """What a socket raises that has nothing yet, or takes nothing yet."""

    def __init__(
        self, network: Network, connected: socket.socket, flow: Flow, opening_until: float | None = None
    ) -> None:
        """Take a socket as a connection. Raises OSError for one that is lost already."""
        self.socket, self.flow = connected, flow
        self.opening_until, self.is_ours = opening_until, opening_until is not None
        self.was_heard, self.fault = False, ""
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)
        self.local_host = peer(connected.getsockname())[0]
        self._network, self._connections = network, network.connections
        self._framing = Framing()
        self.unfinished_since: float | None = None  # when a message that is not all there yet began
        self._unsent: deque[bytes] = deque()
        self._unsent_octets = 0

    def attach(self) -> None:
        """Have the connection polled."""
        self._network.add(self)
        if self.opening_until is not None:
            self.watch()

    def detach(self) -> None:
        """Have the connection polled no more."""
        self._network.release(self)

    def _receive(self) -> int:
        """Read into the network's view; how many octets, 0 at the end, NOTHING where there are none yet."""
        try:
            return self.socket.recv_into(self._network.view)
        except self.not_now:
            return NOTHING
        except OSError:
            return 0

    def _transmit(self, data: bytes) -> int:
        """Give octets to the system; how many of them it has taken. Raises OSError."""
        try:
            return self.socket.send(data)
        except self.not_now:
            return 0

    def readable(self) -> None:
        network = self._network
        length = self._receive()
        if length == NOTHING:
            return
        if not length:
            self._connections.drop(self)
            return
        if not self.was_heard:
            self.was_heard = True
            self._connections.heard(self)
        try:
            self._take(bytes(network.view[:length]))
        except Unreadable as error:
            told = self._connections.told
            told.warn(self.flow.host, f"%s from %s: {error}, closed", self.transport.via, self.flow)
            network.unreadable(error.octets, self.flow, f"{error}")
            self._connections.drop(self)

    def _take(self, octets: bytes) -> None:
        network = self._network
        ended = False
        for message in self._framing.take(octets):
            ended = True
            if message:
                network.receive(message, self.flow)
            else:
                self.send(PONG)
        if not self._framing.unfinished:
            self.unfinished_since = None
        elif ended or self.unfinished_since is None:
            self.unfinished_since = network.clock()

    def send(self, data: bytes) -> bool:
        """Send data: False if it will not arrive; True says that it may."""
        if not self._unsent and self.opening_until is None:
            try:
                data = data[self._transmit(data) :]
            except OSError as error:
                self._connections.drop_later(self, f"{error.strerror}")
                return False
        if not data:
            return True
        if self._unsent_octets + len(data) > MAX_UNSENT:
            if self.opening_until is None:
                text = "%s to %s: the phone does not read, closed"
                self._connections.told.warn(self.flow.host, text, self.transport.via, self.flow)
                self._connections.drop_later(self, "the phone does not read")
            return False
        self._unsent.append(data)
        self._unsent_octets += len(data)
        self.watch()
        return True

    def watch(self) -> None:
        """Have `writable` called once something can be sent, where that is waited for."""
        self._network.watch(self, bool(self._unsent) or self.opening_until is not None)

    def writable(self) -> None:
        if self.opening_until is not None:
            failure = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failure:
                self._connections.drop(self, os.strerror(failure))
                return
            self._connected()
            if self.opening_until is not None:
                return
        while self._unsent:
            data = self._unsent.popleft()
            try:
                sent = self._transmit(data)
            except OSError as error:
                self._connections.drop(self, f"{error.strerror}")
                return
            self._unsent_octets -= sent
            if sent < len(data):
                self._unsent.appendleft(data[sent:])
                return
        self.watch()

    def _connected(self) -> None:
        """Note that a connection that we open has reached its peer."""
        self._connections.made(self)
        self.opening_until = None

    def close(self) -> None:
        self.socket.close()


class TcpListener:
    """Accepts connections, each of which is a `connection`."""

    transport: Transport = TCP
    connection = TcpConnection

    def __init__(self, network: Network, index: int, address: tuple[str, int]) -> None:
        self.socket = new_socket(address[0], socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address)
        self.socket.listen(1024)
        self._network, self.index = network, index
        self.address = ListenAddress(self.transport.name, *peer(self.socket.getsockname()))

    def readable(self) -> None:
        for _ in range(ACCEPTED_PER_TURN):
            try:
                connected, address = self.socket.accept()
            except OSError:
                return
            host, port = peer(address)
            if len(address) == 4 and address[3]:
                self._network.heard_by(host, address[3])
            if self.may_accept(host):
                flow = Flow(self.transport.name, host, port, self.index)
                self._network.connections.accepted(connected, flow)
            else:
                connected.close()

    def may_accept(self, host: str) -> bool:
        """Whether a connection from an address is looked at."""
        return True

    def drops(self) -> int:
        return 0  # TCP asks again

    def close(self) -> None:
        self.socket.close()
