"""A network on loopback with a clock that the test moves, and peers that are plain sockets."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

import pytest

from blfd.core.values import Flow
from blfd.transport.addresses import ListenAddress, Source, family
from blfd.transport.certificates import Certificates
from blfd.transport.network import Network

DEADLINE = 30.0


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


HAS_IPV6 = _has_ipv6()
needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6, not even on loopback")
OPTIONS = b"OPTIONS sip:x SIP/2.0\r\nl: 0\r\n\r\n"


class Site:
    """A network on a clock of the test, with all that it has told, such as `came` and `closed`."""

    def __init__(
        self,
        *listen: str,
        slowest: float = 30.0,
        most: int = 100,
        certificates: Certificates | None = None,
        may_shake_hands: Callable[[str], bool] = lambda host: True,
    ) -> None:
        self.now = 1000.0
        self.came: list[tuple[bytes, Source]] = []
        self.unreadable: list[tuple[bytes, Flow, str]] = []
        self.closed: list[Flow] = []
        self.reached: list[Flow] = []
        self.named: list[tuple[Flow, tuple[str, ...]]] = []
        self.network = Network(
            lambda host, count: count < most,
            slowest,
            lambda: self.now,
            certificates=certificates,
            may_shake_hands=may_shake_hands,
        )
        self.network.named = lambda flow, names: self.named.append((flow, names))
        self.network.receive = lambda data, source: self.came.append((data, source))
        self.network.unreadable = lambda data, flow, why: self.unreadable.append((data, flow, why))
        self.network.closed, self.network.reached = self.closed.append, self.reached.append
        wanted = listen or ("udp:127.0.0.1:0", "tcp:127.0.0.1:0")
        self.addresses = [self.network.listen(ListenAddress.parse(text)) for text in wanted]
        self._peers: list[socket.socket] = []

    def until(self, condition: Callable[[], object], pace: float = 0.0) -> None:
        """Poll until `condition` holds; the clock goes on by `pace` seconds each time."""
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, f"not within {DEADLINE} s"
            self.now += pace
            self.network.poll(0.01)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.network.poll(0.0)

    def udp(self, host: str = "127.0.0.1") -> socket.socket:
        peer = self.keep(socket.socket(family(host), socket.SOCK_DGRAM))
        peer.bind((host, 0))
        return peer

    def tcp(self, listener: int = 1, host: str = "127.0.0.1") -> socket.socket:
        address = self.addresses[listener]
        there = (host if address.everywhere else address.host, address.port)
        return self.keep(socket.create_connection(there, DEADLINE, source_address=(host, 0)))

    def keep(self, peer: socket.socket) -> socket.socket:
        peer.settimeout(DEADLINE)
        self._peers.append(peer)
        return peer

    def is_closed(self, peer: socket.socket) -> bool:
        """Whether the server closes the peer's connection; what it sends before that is skipped."""
        peer.setblocking(False)
        gone: list[bool] = []

        def look() -> bool:
            try:
                while peer.recv(65535):
                    pass
            except BlockingIOError:
                return False
            except ConnectionResetError:
                pass
            gone.append(True)
            return True

        self.until(look)
        return bool(gone)

    def close(self) -> None:
        for peer in self._peers:
            peer.close()
        self.network.close()


def flow_of(peer: socket.socket, transport: str, listener: int) -> Flow:
    host, port = peer.getsockname()[:2]
    return Flow(transport, host, port, listener)
