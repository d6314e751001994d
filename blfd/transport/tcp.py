"""TCP: a listener, and the connections that it accepts or that we open."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections import deque
from typing import Protocol

from blfd.core.values import TCP, Flow, Transport
from blfd.transport.addresses import ListenAddress, new_socket, peer
from blfd.transport.framing import Framing, Unreadable
from blfd.transport.polling import Polling

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


class Keeper(Protocol):
    """Who keeps connections, and is told what becomes of each."""

    def accepted(self, listener: TcpListener, connected: socket.socket, flow: Flow) -> None: ...

    def made(self, connection: TcpConnection) -> None: ...

    def heard(self, connection: TcpConnection) -> None: ...

    def responded(self, connection: TcpConnection) -> None: ...

    def drop(self, connection: TcpConnection, why: str = ...) -> None: ...

    def drop_later(self, connection: TcpConnection, why: str) -> None: ...


class TcpConnection:
    """One connection; `flow` is its peer. Messages go to `polling.receive`.

    One that we open (`is_ours`) is given until when it has to be made; `was_heard`: something came over it;
    `awaits_response`: it has carried what is sent again where nothing comes.
    `opening_until` is None once it is made: what is sent before waits.
    """

    transport: Transport = TCP
    not_now: tuple[type[OSError], ...] = (BlockingIOError,)
    """What a socket raises that has nothing yet, or takes nothing yet."""

    def __init__(
        self,
        polling: Polling,
        keeper: Keeper,
        connected: socket.socket,
        flow: Flow,
        opening_until: float | None = None,
    ) -> None:
        """Take a socket as a connection. Raises OSError for one that is lost already."""
        self.socket, self.flow = connected, flow
        self.opening_until, self.is_ours = opening_until, opening_until is not None
        self.was_heard = self.awaits_response = False
        self.fault = ""
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)
        self._polling, self._keeper = polling, keeper
        self._framing = Framing()
        self.unfinished_since: float | None = None  # when a message that is not all there yet began
        self._unsent: deque[bytes] = deque()
        self._unsent_octets = 0

    def attach(self) -> None:
        """Have the connection polled."""
        self._polling.add(self)
        if self.opening_until is not None:
            self.watch()

    def detach(self) -> None:
        """Have the connection polled no more."""
        self._polling.release(self)

    def _receive(self) -> int:
        """Read what has come; how many octets it is, 0 at the end, NOTHING where there are none yet."""
        try:
            return self.socket.recv_into(self._polling.view)
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
        polling = self._polling
        length = self._receive()
        if length == NOTHING:
            return
        if not length:
            self._keeper.drop(self)
            return
        if not self.was_heard:
            self.was_heard = True
            self._keeper.heard(self)
        if self.awaits_response:
            self._keeper.responded(self)
        try:
            self._take(bytes(polling.view[:length]))
        except Unreadable as error:
            told = self._polling.told
            told.warn(self.flow.host, f"%s from %s: {error}, closed", self.transport.via, self.flow)
            polling.unreadable(error.octets, self.flow, f"{error}")
            self._keeper.drop(self)

    def _take(self, octets: bytes) -> None:
        polling = self._polling
        ended = False
        for message in self._framing.take(octets):
            ended = True
            if message:
                polling.receive(message, self.flow)
            else:
                self.send(PONG)
        if not self._framing.unfinished:
            self.unfinished_since = None
        elif ended or self.unfinished_since is None:
            self.unfinished_since = polling.clock()

    def send(self, data: bytes) -> bool:
        """Send data: False if it will not arrive; True says that it may."""
        if not self._unsent and self.opening_until is None:
            try:
                data = data[self._transmit(data) :]
            except OSError as error:
                self._keeper.drop_later(self, f"{error.strerror}")
                return False
        if not data:
            return True
        if self._unsent_octets + len(data) > MAX_UNSENT:
            if self.opening_until is None:
                text = "%s to %s: the phone does not read, closed"
                self._polling.told.warn(self.flow.host, text, self.transport.via, self.flow)
                self._keeper.drop_later(self, "the phone does not read")
            return False
        self._unsent.append(data)
        self._unsent_octets += len(data)
        self.watch()
        return True

    def watch(self) -> None:
        """Have `writable` called once something can be sent, where that is waited for."""
        self._polling.watch(self, bool(self._unsent) or self.opening_until is not None)

    def writable(self) -> None:
        if self.opening_until is not None:
            failure = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failure:
                self._keeper.drop(self, os.strerror(failure))
                return
            self._connected()
            if self.opening_until is not None:
                return
        while self._unsent:
            data = self._unsent.popleft()
            try:
                sent = self._transmit(data)
            except OSError as error:
                self._keeper.drop(self, f"{error.strerror}")
                return
            self._unsent_octets -= sent
            if sent < len(data):
                self._unsent.appendleft(data[sent:])
                return
        self.watch()

    def _connected(self) -> None:
        """Note that a connection that we open has reached its peer."""
        self.opening_until = None
        self._keeper.made(self)

    def close(self) -> None:
        self.socket.close()


class TcpListener:
    """Accepts connections."""

    transport: Transport = TCP

    def __init__(self, polling: Polling, keeper: Keeper, index: int, address: tuple[str, int]) -> None:
        self.socket = new_socket(address[0], socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address)
        self.socket.listen(1024)
        self._polling, self._keeper, self.index = polling, keeper, index
        self.address = ListenAddress(self.transport.name, *peer(self.socket.getsockname()))

    def connection(
        self, connected: socket.socket, flow: Flow, opening_until: float | None = None
    ) -> TcpConnection:
        """A connection over a socket. Raises OSError for one that is lost already."""
        return TcpConnection(self._polling, self._keeper, connected, flow, opening_until)

    def socket_to(self, host: str) -> socket.socket:
        """A new socket for a connection to a host, from our address. Raises OSError."""
        if not self.address.reaches(host):
            raise OSError(errno.EAFNOSUPPORT, f"{self.address} is of another address family")
        made = new_socket(host, socket.SOCK_STREAM)
        if not self.address.everywhere:
            try:
                made.bind((self.address.host, 0))
            except OSError:
                made.close()
                raise
        return made

    def readable(self) -> None:
        for _ in range(ACCEPTED_PER_TURN):
            try:
                connected, address = self.socket.accept()
            except OSError:
                return
            host, port = peer(address)
            if len(address) == 4 and address[3]:
                self._polling.heard_by(host, address[3])
            if self.may_accept(host):
                flow = Flow(self.transport.name, host, port, self.index)
                self._keeper.accepted(self, connected, flow)
            else:
                connected.close()

    def may_accept(self, host: str) -> bool:
        """Whether a connection from an address is looked at."""
        return True

    def drops(self) -> int:
        return 0  # TCP asks again

    def close(self) -> None:
        self.socket.close()
