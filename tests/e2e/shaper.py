"""A bad network, in which datagrams are lost, doubled, and overtake each other."""

from __future__ import annotations

import heapq
import itertools
import random
import select
import socket
import threading
import time

LOST, DOUBLED, LATE = 0.10, 0.05, 0.10  # shares of all datagrams
LATEST = 0.05  # seconds
KEPT = b"SIP/2.0 180"  # never lost here: phones send it once, and a lamp cannot show what nobody tells

# Copies follow at once, and none comes late: a phone of RFC 3261 forgets the INVITE once it has answered,
# and takes a copy that comes then for another call (RFC 6026 mends that).
TOGETHER = b"INVITE "


class Shaper:
    """A bad network between phones and `server`, which sees each phone at an address as behind NAT."""

    def __init__(self, server: str, seed: int) -> None:
        host, _, port = server.partition(":")
        self._server = (host, int(port))
        self._dice = random.Random(seed)
        self._front = self._socket()
        self.address = "{}:{}".format(*self._front.getsockname())
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._phones: dict[socket.socket, tuple[str, int]] = {}
        self._late: list[tuple[float, int, socket.socket, bytes, tuple[str, int]]] = []
        self._number = itertools.count()
        self.lost = self.doubled = self.delayed = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _socket() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 0))
        return made

    def _run(self) -> None:
        while not self._stop.is_set():
            wait = max(0.0, min(0.1, self._late[0][0] - time.monotonic())) if self._late else 0.1
            for ready in select.select([self._front, *self._phones], [], [], wait)[0]:
                data, source = ready.recvfrom(65535)
                if ready is self._front:
                    self._pass(self._back(source), data, self._server)
                else:
                    self._pass(self._front, data, self._phones[ready])
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, through, data, to = heapq.heappop(self._late)
                through.sendto(data, to)

    def _back(self, phone: tuple[str, int]) -> socket.socket:
        if phone not in self._backs:
            back = self._backs[phone] = self._socket()
            self._phones[back] = phone
        return self._backs[phone]

    def _pass(self, through: socket.socket, data: bytes, to: tuple[str, int]) -> None:
        dice = self._dice.random()
        if dice < LOST and not data.startswith(KEPT):
            self.lost += 1
            return
        copies = 1
        if dice < LOST + DOUBLED:
            self.doubled += 1
            copies = 2
        for _ in range(copies):
            if self._dice.random() < LATE and not (copies == 2 and data.startswith(TOGETHER)):
                self.delayed += 1
                at = time.monotonic() + self._dice.uniform(0, LATEST)
                heapq.heappush(self._late, (at, next(self._number), through, data, to))
            else:
                through.sendto(data, to)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for each in (self._front, *self._phones):
            each.close()
