"""Thousands of lamp keys on one socket: what each was told last, and whether its numbers only rise."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from wire import DEADLINE

MANY = "max_subscriptions = 100000\n"  # a setting of [sip]: more keys than any phone has

READ = re.compile(
    rb"Call-ID: key(\d+)@.*?CSeq: (\d+) NOTIFY.*?version=\"(\d+)\".*?entity=\"sip:(\w+)@", re.S | re.I
)
STATE = re.compile(rb"<state[^>]*>(\w+)</state>")
ORDER = [b"early", b"confirmed", b"trying", b"terminated"]
ECHOED = re.compile(rb"^(?:Via|From|To|Call-ID|CSeq):.*\r\n", re.M | re.I)


@dataclass
class Key:
    resource: str
    state: str = ""
    cseq: int = 0
    version: int = -1
    notifies: int = 0
    faults: list[str] = field(default_factory=list)


class Keys:
    """Lamp keys of a trusted source, spread over the extensions, which answer NOTIFYs while they wait."""

    def __init__(self, server: str, watcher: str, extensions: list[str], count: int) -> None:
        host, _, port = server.partition(":")
        self.peer = (host, int(port))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.watcher, self.server = watcher, server
        self.all = [Key(extensions[number % len(extensions)]) for number in range(count)]
        self.answered: set[int] = set()
        self.refused: dict[int, int] = {}
        self.silent = False

    def subscribe(self, patience: float = DEADLINE) -> None:
        """Subscribe with every key and wait until each has its first NOTIFY."""
        for first in range(0, len(self.all), 100):
            for number in range(first, min(first + 100, len(self.all))):
                self.send_subscribe(number)
            self.wait(lambda end=first + 100: len(self.answered) >= min(end, len(self.all)), patience)  # type: ignore[misc]
        self.wait(lambda: all(key.notifies for key in self.all), patience)

    def send_subscribe(self, number: int) -> None:
        own = "{}:{}".format(*self.socket.getsockname())
        to = f"sip:{self.all[number].resource}@{self.server}"
        lines = [
            f"SUBSCRIBE {to} SIP/2.0",
            f"Via: SIP/2.0/UDP {own};branch=z9hG4bKkey{number};rport",
            f"From: <sip:{self.watcher}@{self.server}>;tag=k{number}",
            f"To: <{to}>",
            f"Call-ID: key{number}@{own}",
            "CSeq: 1 SUBSCRIBE",
            f"Contact: <sip:{self.watcher}@{own}>",
            "Event: dialog",
            "Expires: 3600",
            "Content-Length: 0",
        ]
        self.socket.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), self.peer)

    def wait(self, condition: Callable[[], bool], patience: float = DEADLINE) -> None:
        until = time.monotonic() + patience
        while not condition():
            left = until - time.monotonic()
            assert left > 0, f"{len(self.answered)} of {len(self.all)} answered, refused {self.refused}"
            self.pump(min(left, 0.05))

    def pump(self, seconds: float = 0.0) -> bool:
        """Take what has come, and return whether anything had."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return False
        for _ in range(500):
            try:
                data, source = self.socket.recvfrom(65535)
            except (BlockingIOError, ConnectionRefusedError):
                break
            if data.startswith(b"NOTIFY"):
                self._notified(data, source)
            elif data.startswith(b"SIP/2.0"):
                self._answered(data)
        return True

    def _answered(self, data: bytes) -> None:
        found = re.search(rb"branch=z9hG4bKkey(\d+)", data)
        assert found
        status = int(data[8:11])
        if status == 200:
            self.answered.add(int(found[1]))
        elif status >= 300:
            self.refused[status] = self.refused.get(status, 0) + 1

    def _notified(self, data: bytes, source: tuple[str, int]) -> None:
        if self.silent:
            return
        head = b"".join(match[0] for match in ECHOED.finditer(data.partition(b"\r\n\r\n")[0] + b"\r\n"))
        self.socket.sendto(b"SIP/2.0 200 OK\r\n" + head + b"Content-Length: 0\r\n\r\n", source)
        read = READ.search(data)
        assert read, data
        key, cseq, version = self.all[int(read[1])], int(read[2]), int(read[3])
        if cseq == key.cseq:
            return  # the NOTIFY is a retransmission
        if cseq < key.cseq or version <= key.version or read[4].decode() != key.resource:
            key.faults.append(f"CSeq {key.cseq} -> {cseq}, version {key.version} -> {version}, {read[4]!r}")
        key.cseq, key.version, key.notifies = cseq, version, key.notifies + 1
        states = STATE.findall(data)
        key.state = min(states, key=ORDER.index).decode()

    def forget(self) -> None:
        """Count NOTIFYs anew."""
        for key in self.all:
            key.notifies = 0

    def faults(self) -> list[str]:
        return [fault for key in self.all for fault in key.faults]

    def close(self) -> None:
        self.socket.close()
