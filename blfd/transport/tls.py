"""TLS: TCP connections whose first octets are a handshake (RFC 3261, section 26.3.1).

A handshake costs a server far more than a message, and whoever asks for one is a stranger. So those that are
being made are polled apart, for so long a turn; they end after a while; one address gets so many a second.
Once it is made, a connection is polled like one of TCP.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import time
from collections.abc import Callable

from blfd.core.values import TLS, Flow
from blfd.transport.certificate import names_in
from blfd.transport.certificates import Certificates
from blfd.transport.polling import Polling
from blfd.transport.tcp import NOTHING, Keeper, TcpConnection, TcpListener
from blfd.transport.told import Told

log = logging.getLogger("blfd.tls")

HANDSHAKE = 10.0  # seconds that one may take
TURN = 0.003  # seconds of handshakes before what is up already gets its turn

_NO_TLS = frozenset(("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL"))


class TlsConnection(TcpConnection):
    """One connection; until its handshake is done, `handshakes` polls it."""

    transport = TLS
    not_now = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

    def __init__(
        self,
        polling: Polling,
        keeper: Keeper,
        handshakes: Handshakes,
        connected: socket.socket,
        flow: Flow,
        opening_until: float | None,
    ) -> None:
        super().__init__(polling, keeper, connected, flow, opening_until)
        self._handshakes = handshakes
        self.descriptor = connected.fileno()
        self._shakes = False  # whether `handshakes` polls it
        if not self.is_ours:
            self.opening_until = polling.clock() + HANDSHAKE

    def attach(self) -> None:
        if self.is_ours:
            super().attach()
        else:
            self._shake_hands()

    def _shake_hands(self) -> None:
        self._shakes = True
        self._handshakes.add(self)

    def _connected(self) -> None:
        self._polling.release(self)
        self._shake_hands()

    def step(self) -> None:
        """Go on with the handshake."""
        try:
            if not isinstance(self.socket, ssl.SSLSocket):
                self._wrap()
            assert isinstance(self.socket, ssl.SSLSocket), "it has just been wrapped"
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._handshakes.watch(self, False)
        except ssl.SSLWantWriteError:
            self._handshakes.watch(self, True)
        except OSError as error:
            why, is_noise = explained(error, self.flow.name)
            self._handshakes.failed(self, why, is_noise)
            self._keeper.drop(self, why)
        else:
            self._made()

    def _wrap(self) -> None:
        """Make the plain socket one with TLS, of the same descriptor."""
        certificates = self._handshakes.certificates
        assert certificates, "there is no listener without"
        name = self.flow.name
        self.socket = (certificates.context_to(name) if self.is_ours else certificates.context).wrap_socket(
            self.socket,
            server_side=not self.is_ours,
            do_handshake_on_connect=False,
            server_hostname=name or None,
        )

    def _made(self) -> None:
        self._handshakes.release(self)
        self._shakes = False
        self._polling.add(self)
        self.opening_until = None
        self._keeper.made(self)
        assert isinstance(self.socket, ssl.SSLSocket), "its handshake is done"
        names = _names(self.socket)
        if names:
            self._polling.named(self.flow, names)
        if self._unsent:
            self.watch()
        self.readable()  # what came with the end of the handshake is in no poll

    def watch(self) -> None:
        if not self._shakes:  # else it is looked at again when they are made
            super().watch()

    def _receive(self) -> int:
        if self.opening_until is not None:
            return NOTHING
        return super()._receive()

    def detach(self) -> None:
        if self._shakes:
            self._handshakes.release(self)
        else:
            super().detach()

    def close(self) -> None:
        if self.opening_until is None and isinstance(self.socket, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self.socket.unwrap()  # says that it ends here, and waits for nothing
        super().close()


class TlsListener(TcpListener):
    """Accepts connections for TLS, from each address so many in a time."""

    transport = TLS

    def __init__(
        self, polling: Polling, keeper: Keeper, handshakes: Handshakes, index: int, address: tuple[str, int]
    ) -> None:
        super().__init__(polling, keeper, index, address)
        self._handshakes = handshakes

    def may_accept(self, host: str) -> bool:
        return self._handshakes.may(host)

    def connection(
        self, connected: socket.socket, flow: Flow, opening_until: float | None = None
    ) -> TlsConnection:
        return TlsConnection(self._polling, self._keeper, self._handshakes, connected, flow, opening_until)


class Handshakes:
    """Connections whose handshake is not done, in an epoll of their own; `may` says who may begin one.

    There is no listener for TLS without `certificates`.
    """

    def __init__(self, may: Callable[[str], bool], certificates: Certificates | None = None) -> None:
        self.socket = select.epoll()
        self.may, self.certificates = may, certificates
        self._by_fd: dict[int, TlsConnection] = {}
        self._told = Told(log)

    def __len__(self) -> int:
        return len(self._by_fd)

    def add(self, connection: TlsConnection) -> None:
        self._by_fd[connection.descriptor] = connection
        wanted = select.EPOLLOUT if connection.is_ours else select.EPOLLIN  # the client speaks first
        self.socket.register(connection.descriptor, wanted)

    def watch(self, connection: TlsConnection, writable: bool) -> None:
        self.socket.modify(connection.descriptor, select.EPOLLOUT if writable else select.EPOLLIN)

    def release(self, connection: TlsConnection) -> None:
        del self._by_fd[connection.descriptor]
        with contextlib.suppress(OSError):  # it is closed already
            self.socket.unregister(connection.descriptor)

    def readable(self) -> None:
        """Go on with some of the handshakes, and not for long."""
        until = time.perf_counter() + TURN
        while time.perf_counter() < until:
            ready = self.socket.poll(0, 1)
            if not ready:
                return
            self._by_fd[ready[0][0]].step()

    def failed(self, connection: TlsConnection, why: str, is_noise: bool) -> None:
        """Tell of a handshake that has failed, once in a while; what scanners do is no news."""
        if is_noise:
            log.debug("TLS with %s: %s", connection.flow, why)
        else:
            self._told.warn(connection.flow.host, f"TLS with %s: {why.replace('%', '%%')}", connection.flow)

    def close(self) -> None:
        self.socket.close()


def _names(of: ssl.SSLSocket) -> tuple[str, ...]:
    """The names in the peer's certificate, if it has shown one and we know who signed it."""
    said = of.getpeercert() if of.context.verify_mode != ssl.CERT_NONE else None
    return names_in(said) if said else ()


def explained(error: OSError, server: str = "") -> tuple[str, bool]:
    """Why a handshake has failed and what to do, and whether it is what strangers and scanners do all day.

    `server` is the name of whom we connected to, "" where we did by an address.
    """
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS:
        return "what came is not TLS", True
    if reason.startswith("UNSUPPORTED_PROTOCOL") or reason == "VERSION_TOO_LOW":
        return "it knows older versions of TLS only; `oldest` in [tls] may let it in", False
    if reason == "NO_SHARED_CIPHER":
        return "it knows none of our ciphers; for an old phone, `oldest` in [tls] brings older ones", False
    if "ALERT" in reason:
        words = reason.partition("ALERT_")[2].replace("_", " ").lower()
        return (
            f"it refuses our certificate or settings ({words}); 'blfd doctor' looks at the certificate",
            False,
        )
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "it shows no certificate, and client_certificates in [tls] requires one", False
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = "have it show none, or put who has signed it into client_ca in [tls]"
        if server:
            advice = "have it get one that is not, or put who has signed it into server_ca in [tls]"
        return f"its certificate is refused ({error.verify_message}): {advice}", False
    if isinstance(error, ssl.SSLError) and reason:
        return f"the handshake failed: {reason}", True
    return "closed during the handshake", True
