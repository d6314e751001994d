"""Our own sockets: listeners, and any number of connections, polled together.

PJSIP's transports would do for one UDP socket, but their I/O queue is select() with 64 handles, they drop
what they cannot parse without a word, and they cannot be woken by other threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from blfd.core.values import TCP, TLS, UDP, Flow
from blfd.transport.addresses import LOOPBACK, ListenAddress, Source, is_local, local_address_towards
from blfd.transport.certificates import Certificates
from blfd.transport.connections import Connections
from blfd.transport.polling import Polling, Readable
from blfd.transport.tcp import TcpListener
from blfd.transport.tls import Handshakes, TlsListener
from blfd.transport.udp import UdpListener

MAX_LOCAL = 4096  # peers towards which our own address is remembered

Listener = UdpListener | TcpListener


class Network(Polling):
    """All sockets. `may_connect` is asked with an address and how many connections it has.

    A message may take `slowest` seconds to arrive over a connection. TLS needs `certificates`;
    `may_shake_hands` is asked with the address of each peer that wants it.
    """

    def __init__(
        self,
        may_connect: Callable[[str, int], bool],
        slowest: float,
        clock: Callable[[], float] = time.monotonic,
        certificates: Certificates | None = None,
        may_shake_hands: Callable[[str], bool] = lambda host: True,
    ) -> None:
        super().__init__(clock)
        self._local: dict[str, str] = {}  # our address as each peer sees it
        self.listeners: list[Listener] = []
        self._apart: list[Readable] = []
        self.connections = Connections(self, may_connect, slowest)
        self.handshakes = Handshakes(may_shake_hands, certificates)
        self.add(self.handshakes)
        self._kinds: dict[str, Callable[[int, tuple[str, int]], Listener]] = {
            UDP.name: partial(UdpListener, self),
            TCP.name: partial(TcpListener, self, self.connections),
            TLS.name: partial(TlsListener, self, self.connections, self.handshakes),
        }

    # Listeners

    def listen(self, address: ListenAddress) -> ListenAddress:
        """Open a listener; returns its address. Raises OSError."""
        kind = self._kinds[address.transport]
        listener = kind(len(self.listeners), (address.host, address.port))
        self.listeners.append(listener)
        self.add(listener)
        return listener.address

    def add_apart(self, listener: Readable) -> None:
        """Poll a socket apart from the listeners: no flow leads to it."""
        self.add(listener)
        self._apart.append(listener)

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
        if self.zones.get(host) != zone:
            self._local.pop(host, None)
        super().heard_by(host, zone)

    def poll(self, timeout: float) -> None:
        attempt = self.connections.next_attempt()
        super().poll(timeout if attempt is None else min(timeout, max(0.0, attempt - self.clock())))
        self.connections.settle()
        for flow in self.connections.due() if attempt is not None else ():
            listener = self.listeners[flow.listener]
            assert not isinstance(listener, UdpListener), "it has connections"
            self.connections.open(listener, flow, at_once=True)

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
        connection = self.connections.get(flow) or self.connections.open(listener, Flow._make(flow))
        return connection is not None and connection.send(data)

    def send_lasting(self, data: bytes, flow: Source, *, wants_response: bool) -> bool:
        """Send as `send_request` does a message of a call, which waits where there is no connection now."""
        listener = self.listeners[flow[3]]
        if type(listener) is UdpListener:
            return listener.send(data, flow[1:3])
        to = Flow._make(flow)
        return self.connections.send_lasting(listener, data, to, wants_response=wants_response)

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
        super().close()
