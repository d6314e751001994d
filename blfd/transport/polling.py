"""What all sockets share: one epoll, memory that is read into, the clock, and who is told what comes."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import time
from collections.abc import Callable
from typing import Protocol

from blfd.core.values import Flow
from blfd.transport.addresses import Source
from blfd.transport.framing import MAX_MESSAGE
from blfd.transport.told import Told

log = logging.getLogger("blfd.network")

MAX_ZONES = 4096  # addresses of one link alone that are remembered


class Polled(Protocol):
    def fileno(self) -> int: ...


class Readable(Protocol):
    """A socket that is polled, or an epoll of others."""

    @property
    def socket(self) -> Polled: ...

    def readable(self) -> None: ...

    def close(self) -> None: ...


class Writable(Readable, Protocol):
    """A socket that may have to wait until its peer takes more."""

    def writable(self) -> None: ...


class Polling:
    """The sockets that are polled, and what they need of who polls them.

    The owner sets, before the first `poll`: `receive`, which takes each message; `unreadable`, which takes
    what came over a connection and has no end that can be found, and why; `closed`, which takes the flow of
    a connection that has ended or could not be made; `reached`, which takes the flow of a peer to which that
    had happened, and which is there again; `named`, which takes the flow of a new connection and the names in
    its peer's certificate, where it has shown one.
    """

    receive: Callable[[bytes, Source], None]
    unreadable: Callable[[bytes, Flow, str], None]
    closed: Callable[[Flow], None]
    reached: Callable[[Flow], None]
    named: Callable[[Flow, tuple[str, ...]], None]

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.view = memoryview(bytearray(MAX_MESSAGE))  # what comes is read into it
        self.told = Told(log)
        self.zones: dict[str, int] = {}  # by which interface addresses of one link alone (fe80::) were heard
        self._epoll = select.epoll()
        self._by_fd: dict[int, Readable] = {}
        self._writing: dict[int, Writable] = {}  # those that wait until they can send
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)

    def add(self, entry: Readable) -> None:
        """Poll a socket from now on."""
        self._by_fd[entry.socket.fileno()] = entry
        self._epoll.register(entry.socket.fileno(), select.EPOLLIN)

    def watch(self, entry: Writable, writable: bool) -> None:
        """Poll a socket, and call `writable` as well if that is wanted."""
        fd = entry.socket.fileno()
        if writable:
            self._writing[fd] = entry
        else:
            self._writing.pop(fd, None)
        self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if writable else 0))

    def release(self, entry: Readable) -> None:
        """Poll a socket no more."""
        fd = entry.socket.fileno()
        del self._by_fd[fd]
        self._writing.pop(fd, None)
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)

    def heard_by(self, host: str, zone: int) -> None:
        """Note by which interface an address was heard that is one of its link alone."""
        if self.zones.get(host) != zone:
            if len(self.zones) > MAX_ZONES:
                self.zones.clear()
            self.zones[host] = zone

    def poll(self, timeout: float) -> None:
        """Wait for messages, a wake-up, or `timeout` seconds; hand each message to `receive`."""
        for fd, events in self._epoll.poll(timeout):
            entry = self._by_fd.get(fd)
            if entry is None:
                if fd == self._wake_fd:
                    os.eventfd_read(fd)
                continue
            try:
                if events & select.EPOLLOUT and fd in self._writing:
                    self._writing[fd].writable()
                if events & ~select.EPOLLOUT:
                    entry.readable()
            except Exception:  # of this socket alone, whatever we have got wrong about it
                log.exception("what came of %r was not handled", entry)

    def wake(self) -> None:
        """End a `poll` that waits; may be called from any thread."""
        os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._wake_fd)
