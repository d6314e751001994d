"""Carriers as raw agents on addresses of their own, which a site has as trunks."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading

from calls import Calling, Dialog, sdp
from sites import Site
from wire import DEADLINE, Agent, Message, proved

from blfd.control import ControlClient, socket_path
from blfd.devices.phones import Phones
from blfd.devices.values import Place
from blfd.operations import Desk, trunks
from blfd.store import Store

DID = "+4930123451"


class Carrier:
    """A carrier's server at an address of loopback, which the site has as a trunk."""

    def __init__(self, site: Site, host: str, transport: str = "udp") -> None:
        self.agent = Agent(site.server.address(transport), "carrier", "", transport, host=host)
        self.desk = desk_of(site)

    def set(self, **said: object) -> None:
        trunks.change(self.desk, "default", "carrier", said)

    def call(self, number: str, **over: str) -> Calling:
        from_ = f'"Carla" <sip:+491701234567@{self.agent.host}>;tag=c{id(self)}'
        return Calling.trusted(self.agent, number, sdp(7000), **{"From": from_, **over})

    def invited(self, method: str = "INVITE") -> Message:
        return self.agent.wait_request(method)

    @staticmethod
    def asks(status: int, nonce: str, algorithm: str = "MD5") -> dict[str, str]:
        name = "WWW_Authenticate" if status == 401 else "Proxy_Authenticate"
        return {name: f'Digest realm="{status}", nonce="{nonce}", algorithm={algorithm}, qop="auth"'}

    def challenge(self, invite: Message, status: int, nonce: str, algorithm: str = "MD5") -> None:
        self.agent.reply(invite, status, "Who are you", b"", **self.asks(status, nonce, algorithm))
        self.agent.wait_request("ACK")


def desk_of(site: Site) -> Desk:
    """A desk at which trunks are set, as the command line does it."""
    store = Store(site.database)
    phones = Phones(store, lambda: Place("127.0.0.1", {}, ""))
    return Desk(store, ControlClient(socket_path(site.database)), phones, "a test")


def rings(agent: Agent) -> Message:
    invite = agent.wait_request("INVITE")
    agent.reply(invite, 180, "Ringing")
    return invite


def talks(carrier: Carrier, callee: Agent) -> tuple[Dialog, Dialog]:
    """Set up a call in; return the carrier's side, at port 7000, and the extension's, at 5001."""
    calling = carrier.call(f"{DID}{callee.user[1:]}")
    invite = rings(callee)
    callee.reply(invite, 200, "OK", sdp(5001), Content_Type="application/sdp")
    dialog = calling.acknowledge(calling.final())
    callee.wait_request("ACK")
    return dialog, Dialog.of_invite(callee, invite)


class Registrar:
    """A registrar that challenges, on a thread of its own; `taken` has the requests that it has accepted."""

    def __init__(self, host: str, transport: str, port: int = 0) -> None:
        self.transport = transport
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self._socket = socket.socket(type=kind)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        if transport == "tcp":
            self._socket.listen()
        self.address = f"{host}:{self._socket.getsockname()[1]}"
        self.taken: queue.Queue[Message] = queue.Queue()
        self.contact = ""
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def registered(self) -> Message:
        """Wait for the next REGISTER that is accepted and does not unregister, and return it."""
        return self.wait("3600")

    def wait(self, expires: str) -> Message:
        while True:
            found = self.taken.get(timeout=DEADLINE)
            if found["expires"] == expires:
                return found

    def cut(self) -> None:
        assert self._connection
        self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()

    def end(self) -> None:
        """End as kill -9 ends it: nobody listens, and then the connection is gone."""
        connection = self._connection
        assert connection
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                if self.transport == "udp":
                    data, source = self._socket.recvfrom(65535)
                    if not data:
                        return
                    self._socket.sendto(self._answer(Message.read(data)), source)
                    continue
                self._connection, _ = self._socket.accept()
                with contextlib.suppress(OSError), self._connection:
                    while data := self._connection.recv(65535):
                        self._connection.sendall(self._answer(Message.read(data)))

    def _answer(self, request: Message) -> bytes:
        status, more = "200 OK", []
        if not request.all("authorization"):
            status = "401 Unauthorized"
            more = ['WWW-Authenticate: Digest realm="c", nonce="n", algorithm=MD5, qop="auth"']
        elif not proved(request, "authorization", "acct", "s3cret"):
            status = "403 Forbidden"
        else:
            self.contact = request["contact"]
            more = [f"Contact: {self.contact};expires={request['expires']}"]
            self.taken.put(request)
        copied = [f"{name}: {request[name]}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        return "\r\n".join([f"SIP/2.0 {status}", *copied, *more, "Content-Length: 0", "", ""]).encode()
