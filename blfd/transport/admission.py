"""Who is served now: so many requests from each source, and SUBSCRIBEs take their turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from blfd.core.access.limits import Rates
from blfd.core.values import Flow
from blfd.pjsip.backlog import Backlog
from blfd.pjsip.network import Network, Source
from blfd.pjsip.octets import answer_unread

UNCOUNTED = (b"ACK ", b"BYE ", b"CANCEL ", b"PRACK ", b"\r", b"\n", b"\0")  # what ends or completes a call
TURN = 32  # SUBSCRIBEs served before the sockets are read again


class Admission:
    """`trusts` says which addresses may send as much as they like; `server` is a header line of refusals."""

    def __init__(
        self,
        network: Network,
        *,
        max_waiting: int,
        source_requests: int,
        trusts: Callable[[str], bool],
        server: str,
    ) -> None:
        self._network, self._trusts, self._server = network, trusts, server
        self._backlog = Backlog(max_waiting)
        self._rates = Rates(source_requests)

    def admits(self, data: bytes, source: Source) -> bool:
        """Whether a request is to be read now; else it waits, has been sent away, or is a keep-alive."""
        if not data.startswith(UNCOUNTED) and not self._may_ask(source[1]):
            self._send_away(data, Flow._make(source))
            return False
        if data[:10] == b"SUBSCRIBE ":
            self._let_wait(data, Flow._make(source))
            return False
        return bool(data.strip(b"\r\n\t \0"))

    def _may_ask(self, host: str) -> bool:
        return self._trusts(host) or self._rates.take(host, time.monotonic())

    def _let_wait(self, data: bytes, flow: Flow) -> None:
        if not self._backlog.put(data, flow):
            self._send_away(data, flow)

    def _send_away(self, data: bytes, flow: Flow) -> None:
        retry_after = f"Retry-After: {self._backlog.retry_after}"
        answer = answer_unread(data, "503 Too Busy", retry_after, self._server)
        if answer:
            self._network.send(answer, flow)

    def turn(self) -> Iterator[tuple[bytes, Flow]]:
        """Those that have waited, as many as are served before the sockets are read again."""
        for _ in range(min(len(self._backlog), TURN)):
            yield self._backlog.take()

    @property
    def waiting(self) -> int:
        return len(self._backlog)

    @property
    def sent_away(self) -> int:
        return self._backlog.refused + self._rates.refused
