"""What other threads want done on the SIP thread."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

log = logging.getLogger("blfd")

PATIENCE = 10.0  # seconds


class Work:
    """A queue of what is to be done; `wake` has the SIP thread look."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._queue: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._closed = False

    def _put(self, act: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self._queue.put((act, future))
        if self._closed:  # looked at after it was put: either we or `close` see it
            future.cancel()
        else:
            self._wake()
        return future

    def later(self, act: Callable[[], Any]) -> None:
        """Have `act` done soon, from another thread; what it raises is logged."""
        self._put(act).add_done_callback(_complain)

    def do(self, act: Callable[[], Any]) -> Any:
        """Have `act` done, from another thread: what it returns. Raises what it raises, and ValueError at the
        server's end."""
        future = self._put(act)
        try:
            return future.result(PATIENCE)
        except CancelledError:
            raise ValueError("the server is stopping") from None
        except TimeoutError:
            if not future.cancel():  # it has just begun, or raises this itself
                return future.result()
            raise ValueError(f"the server has had no time for it within {PATIENCE:.0f} s") from None

    def run(self) -> None:
        """Do what there is, on the SIP thread."""
        while not self._queue.empty():
            act, future = self._queue.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(act())
            except Exception as error:
                future.set_exception(error)

    def close(self) -> None:
        """Do nothing any more, on the SIP thread, and have nobody wait for it."""
        self._closed = True
        while not self._queue.empty():
            self._queue.get()[1].cancel()


def _complain(future: Future[Any]) -> None:
    if not future.cancelled() and (error := future.exception()):
        log.error("what another thread wanted done failed", exc_info=error)
