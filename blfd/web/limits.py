"""What one client may take of the process that serves HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
from collections.abc import MutableMapping
from typing import Any

import h11
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from blfd.core import hosts
from blfd.core.access.limits import Rates

LONGEST = 30.0  # seconds that a connection lives, whatever comes over it: a phone needs one
MAX_HEADER = 16_384  # octets
BEHIND_SIP = 5  # steps of niceness
LINES_PER_SECOND = 1  # with the same text, which names the client
FILES = 4096  # connections at a time, where the system lets us


class _OfClient(logging.LoggerAdapter[logging.Logger]):
    """uvicorn's log, where each line says whose request it is about."""

    @property
    def level(self) -> int:
        return self.logger.level

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"HTTP from {self.extra['client'] if self.extra else ''}: {msg}", kwargs


class Seldom(logging.Filter):
    """Leaves out lines that one client causes too often, such as that its requests cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self._rates = Rates(LINES_PER_SECOND)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno > logging.WARNING:  # a fault of ours
            return True
        return self._rates.take(record.getMessage(), record.created)


class _Named(H11Protocol):
    """HTTP that names the client in the log where a request cannot be read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        client = hosts.unmapped(self.client[0]) if self.client else "nobody"
        self.logger = _OfClient(self.logger, {"client": client})  # type: ignore[assignment]


class ShortLived(_Named):
    """HTTP whose connections end after `LONGEST`.

    uvicorn has no limit for a request that arrives slowly, or for an answer that is not taken. A body does
    not pile up: it is dropped as it comes once its request is answered, and is not read before.
    """

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._end = self.loop.call_later(LONGEST, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end:
            self._end.cancel()
        super().connection_lost(exc)


class Prompt(_Named):
    """HTTP whose requests have to be complete `LONGEST` seconds after the connection was made.

    After that they may take their time, as the answer of a lamp board has no end.
    """

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._end = self.loop.call_later(LONGEST, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop()
        elif self._end is None:
            self._end = self.loop.call_later(LONGEST, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _stop(self) -> None:
        if self._end:
            self._end.cancel()
            self._end = None


class BoundedBody:
    """An application that gets HTTPException 413 when it reads more than `largest` octets of a body.

    Starlette's own limit would answer in plain text, past the application's handlers.
    """

    def __init__(self, app: ASGIApp, largest: int) -> None:
        self._app, self._largest = app, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self._largest

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"A body may have {self._largest >> 20} MiB at most")
            return message

        await self._app(scope, bounded, send)


def make_room() -> None:
    """Let SIP go first, and allow open files enough for all phones at once after a power cut: 1,024 are
    few."""
    os.nice(BEHIND_SIP)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
