"""Looks names up on threads of its own, a bounded number at a time."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from blfd.core.values import Location, Server

log = logging.getLogger("blfd.dns")

THREADS = 4
MOST_WAITING = 200  # servers
PATIENCE = 6.0  # seconds that one may wait for its turn
STOP = None


class Resolver:
    """`found` is called, on another thread, with each server that was asked for.

    `servers` are the DNS servers to ask, none for the system's.
    """

    def __init__(
        self, servers: tuple[tuple[str, int], ...], found: Callable[[Server, Location], None]
    ) -> None:
        self._servers, self._found = servers, found
        self._asked: queue.Queue[tuple[Server, float] | None] = queue.Queue(MOST_WAITING)
        self._threads: list[threading.Thread] = []

    def ask(self, server: Server) -> None:
        """Ask where a server is: `found` follows, within seconds whatever DNS does."""
        while len(self._threads) < THREADS:  # few sites have any names
            thread = threading.Thread(target=self._work, name="dns", daemon=True)
            self._threads.append(thread)
            thread.start()
        try:
            self._asked.put_nowait((server, time.monotonic()))
        except queue.Full:
            fault = f"{MOST_WAITING} other names are being looked up"
            self._found(server, Location(fault=fault, unsure=True))

    def _work(self) -> None:
        while (asked := self._asked.get()) is not STOP:
            server, since = asked
            try:
                if time.monotonic() > since + PATIENCE:
                    location = Location(fault="others wait for DNS as well", unsure=True)
                else:
                    from blfd.transport.locating import Lookup  # all of dnspython

                    location = Lookup(server, self._servers).run()
            except Exception:  # the question waits for an answer, whatever we have got wrong about it
                log.exception("%s was not looked up", server.host)
                location = Location(fault="the look-up failed", unsure=True)
            self._found(server, location)

    def close(self) -> None:
        """End the threads, but wait for none that asks: they end with the process."""
        while not self._asked.empty():
            self._asked.get_nowait()
        for _ in self._threads:
            self._asked.put_nowait(STOP)
