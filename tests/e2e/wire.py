"""A small SIP agent that sends exactly the octets that a test wants, over UDP, TCP, or TLS."""

from __future__ import annotations

import hashlib
import itertools
import re
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dialog_info import DialogInfo, parse

DEADLINE = 60.0
PONG = b"\r\n"  # RFC 5626, section 3.5.1
_numbers = itertools.count(1)
COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}


@dataclass
class Message:
    """A message that was received; `headers` has lower-case names, in order."""

    start: str
    headers: list[tuple[str, str]]
    body: bytes
    source: tuple[str, int] = ("", 0)

    @property
    def status(self) -> int:
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        return "" if self.status else self.start.split()[0]

    @property
    def uri(self) -> str:
        return self.start.split()[1]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    def __getitem__(self, name: str) -> str:
        values = self.all(name)
        assert values, f"{name} is missing in {self}"
        return values[0]

    def tag(self, name: str) -> str:
        found = re.search(r";tag=([^;>\s]+)", self[name])
        return found[1] if found else ""

    @property
    def document(self) -> DialogInfo:
        return parse(self.body)

    @classmethod
    def read(cls, data: bytes) -> Message:
        head, _, body = data.partition(b"\r\n\r\n")
        start, *lines = head.decode("utf-8", "replace").split("\r\n")
        headers = []
        for line in lines:
            name, _, value = line.partition(":")
            key = name.strip().lower()
            headers.append((COMPACT.get(key, key), value.strip()))
        return cls(start, headers, body)


class Unclean(Exception):
    """The server sent something that is not one message with sound lines. No test may ignore that."""


def check_frame(data: bytes) -> None:
    """Raise Unclean for control characters in start line or header, and for a wrong length."""
    head, end, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if not end or any(octet < 0x20 or octet == 0x7F for line in lines for octet in line):
        raise Unclean(f"a control character, or no end: {data!r}")
    lengths = [line.split(b":")[1] for line in lines if line.lower().startswith(b"content-length")]
    if len(lengths) != 1 or int(lengths[0]) != len(body) or not all(b":" in line for line in lines[1:]):
        raise Unclean(f"not one message: {data!r}")


def _transaction(request: Message) -> tuple[str, str]:
    """A key that only retransmissions share (RFC 3261, section 17.2.3)."""
    return request["via"], request.method


@dataclass
class Agent:
    """One phone's socket, at `host`. `transport` is "udp", "tcp" or "tls"; `server` is HOST:PORT.

    Over TLS it trusts what `trusting` does, or else everybody.
    """

    server: str
    user: str = "101"
    password: str = ""
    transport: str = "udp"
    auto_answer: bool = True  # whether it answers every NOTIFY with 200
    takes_repeats: bool = False  # whether retransmissions are received again
    is_registered: bool = False
    received: list[Message] = field(default_factory=list)
    host: str = ""  # "" for an address of loopback
    zone: int = 0  # the interface, where both addresses are only of its link
    leave_by: list[Callable[[], object]] = field(default_factory=list)  # requests that end its calls
    watched: list[tuple[str, Message]] = field(default_factory=list)  # with the 200 of each SUBSCRIBE
    trusting: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        host, _, port = self.server.rpartition(":")
        link = (0, self.zone) if self.zone else ()
        self.peer: tuple[str, int, *tuple[int, ...]] = (host.strip("[]"), int(port), *link)
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        is_ipv6 = host.startswith("[")
        self.socket = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, kind)
        self.host = self.host or ("::1" if is_ipv6 else "127.0.0.1")
        self.socket.bind((self.host, 0, *link))
        if self.transport != "udp":
            self.socket.connect(self.peer)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # phones set that, too
        if self.transport == "tls":
            self.socket.settimeout(DEADLINE)
            self.socket = (self.trusting or trusting_all()).wrap_socket(
                self.socket, server_hostname=self.peer[0]
            )
        self._stream = b""
        self._replies: dict[tuple[str, str], bytes] = {}
        self._taken: set[bytes] = set()
        self.cseq = 0

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        self.socket.close()

    # Messages that go out

    def send_raw(self, data: bytes) -> None:
        if self.transport == "udp":
            self.socket.sendto(data, self.peer)
        else:
            self.socket.sendall(data)

    def send(self, start: str, headers: dict[str, str], body: bytes = b"") -> None:
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([start, *lines, f"Content-Length: {len(body)}", "", ""])
        self.send_raw(head.encode() + body)

    def via(self) -> str:
        number = next(_numbers)
        return f"SIP/2.0/{self.transport.upper()} {self.address};branch=z9hG4bKt{number}.{id(self)};rport"

    def headers(self, method: str, to: str, **over: str) -> dict[str, str]:
        """The headers of a request outside a dialog; `over` replaces or adds some, with _ for -."""
        self.cseq += 1
        number = next(_numbers)
        headers = {
            "Via": self.via(),
            "Max-Forwards": "70",
            "From": f"<sip:{self.user}@{self.server}>;tag=f{number}",
            "To": f"<sip:{to}@{self.server}>",
            "Call-ID": f"c{number}-{id(self)}@127.0.0.1",
            "CSeq": f"{self.cseq} {method}",
            "Contact": f"<sip:{self.user}@{self.address}>",
        }
        headers.update({name.replace("_", "-"): value for name, value in over.items()})
        return {name: value for name, value in headers.items() if value}

    def request(self, method: str, to: str, uri: str = "", body: bytes = b"", **over: str) -> Message:
        """Send a request, answer a challenge, and return the final response."""
        uri = uri or f"sip:{to}@{self.server}"
        headers = self.headers(method, to, **over)
        self.send(f"{method} {uri} SIP/2.0", headers, body)
        answer = self.final(headers)
        if answer.status == 401 and self.password:
            if method == "INVITE":
                self.ack(answer, uri, headers)
            headers = self.authorized(headers, method, uri, answer)
            self.send(f"{method} {uri} SIP/2.0", headers, body)
            answer = self.final(headers)
        self.sent = headers
        return answer

    def authorized(
        self, headers: dict[str, str], method: str, uri: str, challenge: Message, algorithm: str = ""
    ) -> dict[str, str]:
        """The headers with credentials, for the first algorithm of the challenge or the named one."""
        offered = challenge.all("www-authenticate")
        value = next(v for v in offered if not algorithm or f"algorithm={algorithm}" in v)
        self.cseq += 1
        return {
            **headers,
            "Via": self.via(),
            "CSeq": f"{self.cseq} {method}",
            "Authorization": digest(value, self.user, self.password, method, uri),
        }

    def ack(self, answer: Message, uri: str, headers: dict[str, str]) -> None:
        """Send ACK for a response above 299."""
        number = headers["CSeq"].split()[0]
        self.send(f"ACK {uri} SIP/2.0", {**headers, "To": answer["to"], "CSeq": f"{number} ACK"})

    def reply(
        self, request: Message, status: int, reason: str = "OK", body: bytes = b"", **more: str
    ) -> None:
        """Answer a request; `more` has further headers, as `over` of `headers`."""
        to = request["to"] if ";tag=" in request["to"] or status == 100 else f"{request['to']};tag={id(self)}"
        lines = [f"SIP/2.0 {status} {reason}"]
        lines += [f"Via: {via}" for via in request.all("via")]
        lines += [f"Record-Route: {route}" for route in request.all("record-route")]
        lines += [f"From: {request['from']}", f"To: {to}", f"Call-ID: {request['call-id']}"]
        contact = more.pop("Contact", f"<sip:{self.user}@{self.address}>")
        lines += [f"CSeq: {request['cseq']}", f"Contact: {contact}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        data = "\r\n".join(lines).encode() + body
        self._replies[_transaction(request)] = data
        self.received[:] = [m for m in self.received if m.status or _transaction(m) != _transaction(request)]
        self.send_raw(data)

    # Messages that come in

    def wait(self, condition: Callable[[Message], bool], timeout: float = DEADLINE) -> Message:
        """Wait for the first message that fulfils the condition, received already or not, and take it."""
        until = time.monotonic() + timeout
        while True:
            for message in self.received:
                if condition(message):
                    self.received.remove(message)
                    return message
            left = until - time.monotonic()
            if left <= 0 or not self.receive(left):
                starts = [message.start for message in self.received]
                raise AssertionError(f"{self.user}: not received within {timeout} s; there is {starts}")

    def take_all(self) -> None:
        """Receive all messages that are there already."""
        while self.receive(0):
            pass

    def receive(self, timeout: float) -> bool:
        if not self._has_come() and not select.select([self.socket], [], [], timeout)[0]:
            return False
        if self.transport == "udp":
            data, source = self.socket.recvfrom(65535)
            self._take(data, source[:2])
            return True
        if self.transport == "tls":
            self.socket.settimeout(0)
        try:
            data = self.socket.recv(65535)
        except ssl.SSLWantReadError:  # the record was one of TLS itself
            return True
        finally:
            if self.transport == "tls":
                self.socket.settimeout(DEADLINE)
        assert data, "the server closed the connection"
        self._stream = (self._stream + data).lstrip(PONG)
        while found := re.match(rb"(?s)(.*?\r\n\r\n)", self._stream):
            length = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", found[1])
            end = found.end() + (int(length[1]) if length else 0)
            if len(self._stream) < end:
                break
            self._take(self._stream[:end], self.peer[:2])
            self._stream = self._stream[end:].lstrip(PONG)
        return True

    def _has_come(self) -> bool:
        return isinstance(self.socket, ssl.SSLSocket) and bool(self.socket.pending())

    def _take(self, data: bytes, source: tuple[str, int]) -> None:
        check_frame(data)
        message = Message.read(data)
        message.source = source
        again = None if message.status else self._replies.get(_transaction(message))
        if again:  # the next step of a slow test must not take an earlier step's request for its own
            self.send_raw(again)
            return
        if (
            data in self._taken and not self.takes_repeats
        ):  # a test was slow, and its peer did not wait for it
            return
        self._taken.add(data)
        if message.method == "NOTIFY" and self.auto_answer:
            self.reply(message, 200)
        self.received.append(message)

    def final(self, headers: dict[str, str], timeout: float = DEADLINE) -> Message:
        """Wait for the final response to a request, and return it."""
        wanted = ([headers["Call-ID"]], [headers["CSeq"]])
        return self.wait(lambda m: m.status >= 200 and (m.all("call-id"), m.all("cseq")) == wanted, timeout)

    def wait_request(self, method: str, timeout: float = DEADLINE) -> Message:
        return self.wait(lambda m: m.method == method, timeout)

    def silent(self, condition: Callable[[Message], bool], seconds: float = 0.6) -> bool:
        """Whether no message that fulfils the condition comes for a while."""
        try:
            self.wait(condition, seconds)
        except AssertionError:
            return True
        return False

    # Requests that phones send

    def register(self, expires: int = 3600, contact: str = "", **over: str) -> Message:
        contact = contact or f"<sip:{self.user}@{self.address}>"
        return self.request(
            "REGISTER",
            self.user,
            f"sip:{self.server}",
            body=b"",
            Contact=contact,
            Expires=str(expires),
            **over,
        )

    def subscribe(self, to: str, expires: int = 600, **over: str) -> tuple[Message, Message]:
        """Send SUBSCRIBE, and return the 200 and the first NOTIFY."""
        answer = self.request(
            "SUBSCRIBE", to, body=b"", **{"Event": "dialog", "Expires": str(expires), **over}
        )
        assert answer.status == 200, answer.start
        call_id = answer["call-id"]
        self.watched.append((to, answer))
        return answer, self.wait(lambda m: m.method == "NOTIFY" and m["call-id"] == call_id)

    def unsubscribe(self) -> None:
        """End its subscriptions, of which its next connection would be told otherwise."""
        for to, answer in self.watched:
            ids = {"From": answer["from"], "To": answer["to"], "Call_ID": answer["call-id"]}
            self.request("SUBSCRIBE", to, body=b"", Event="dialog", Expires="0", **ids)
        self.watched.clear()

    def notify(self, state: str, timeout: float = DEADLINE) -> Message:
        """Wait for the next NOTIFY whose document has a dialog in `state`, and return it."""
        return self.wait(
            lambda m: m.method == "NOTIFY" and any(d.state.value == state for d in m.document.dialogs),
            timeout,
        )


def trusting_all() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def digest(challenge: str, user: str, password: str, method: str, uri: str) -> str:
    """The Authorization value for a WWW-Authenticate value (RFC 7616)."""
    parts = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    algorithm = parts.get("algorithm", "MD5")
    h = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]

    def hexadecimal(text: str) -> str:
        return h(text.encode()).hexdigest()

    ha1 = hexadecimal(f"{user}:{parts['realm']}:{password}")
    ha2 = hexadecimal(f"{method}:{uri}")
    response = hexadecimal(f"{ha1}:{parts['nonce']}:00000001:abc:auth:{ha2}")
    return (
        f'Digest username="{user}", realm="{parts["realm"]}", nonce="{parts["nonce"]}", uri="{uri}", '
        f'response="{response}", algorithm={algorithm}, cnonce="abc", qop=auth, nc=00000001'
    )


def proved(request: Message, name: str, user: str, secret: str) -> bool:
    """Whether a request proves that its sender knows the secret."""
    parts: dict[str, str] = dict(re.findall(r'(\w+)="?([^",]+)"?', request[name]))
    h = hashlib.sha256 if parts.get("algorithm") == "SHA-256" else hashlib.md5

    def hexadecimal(text: str) -> str:
        return h(text.encode()).hexdigest()

    ha1 = hexadecimal(f"{user}:{parts['realm']}:{secret}")
    ha2 = hexadecimal(f"{request.method}:{parts['uri']}")
    wanted = hexadecimal(f"{ha1}:{parts['nonce']}:{parts['nc']}:{parts['cnonce']}:{parts['qop']}:{ha2}")
    return parts["username"] == user and parts["response"] == wanted
