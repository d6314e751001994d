"""Who is served now: so many requests from each source, and SUBSCRIBEs take their turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from blfd.core.access.limits import Rates
from blfd.core.hosts import sender
from blfd.core.values import Flow
from blfd.transport.addresses import Source
from blfd.transport.backlog import Backlog

UNCOUNTED = (b"ACK ", b"BYE ", b"CANCEL ", b"PRACK ", b"\r", b"\n", b"\0")  # what ends or completes a call
TURN = 32  # SUBSCRIBEs served before the sockets are read again


class Admission:
    """Says who is served now; `trusts` says which addresses may send as much as they like.

    `send_away` refuses a request, and tells its sender after how many seconds to come back.
    """

    def __init__(
        self,
        *,
        max_waiting: int,
        source_requests: int,
        trusts: Callable[[str], bool],
        send_away: Callable[[bytes, Flow, int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trusts, self._send_away, self._clock = trusts, send_away, clock
        self._backlog = Backlog(max_waiting)
        self._rates = Rates(source_requests)

    def admits(self, data: bytes, source: Source) -> bool:
        """Whether a request is to be read now; else it waits, has been sent away, or is a keep-alive."""
        if not data.startswith(UNCOUNTED) and not self._may_ask(source[1]):
            self._refuse(data, Flow._make(source))
            return False
        if data[:10] == b"SUBSCRIBE ":
            self._let_wait(data, Flow._make(source))
            return False
        return bool(data.strip(b"\r\n\t \0"))

    def _may_ask(self, host: str) -> bool:
        return self._trusts(host) or self._rates.take(sender(host), self._clock())

    def _let_wait(self, data: bytes, flow: Flow) -> None:
        if not self._backlog.put(data, flow):
            self._refuse(data, flow)

    def _refuse(self, data: bytes, flow: Flow) -> None:
        self._send_away(data, flow, self._backlog.retry_after)

    def turn(self) -> Iterator[tuple[bytes, Flow]]:
        """The SUBSCRIBEs that have waited, as many as are served before the sockets are read again."""
        for _ in range(min(len(self._backlog.waiting), TURN)):
            yield self._backlog.take()

    @property
    def waiting(self) -> int:
        return len(self._backlog.waiting)

    @property
    def sent_away(self) -> int:
        return self._backlog.refused + self._rates.refused
