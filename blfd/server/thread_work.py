"""What other threads want done on the SIP thread, and what that wants done on others."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, ParamSpec

log = logging.getLogger("blfd")

PATIENCE = 10.0  # seconds

P = ParamSpec("P")


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


class Worker:
    """A thread that does one thing after the other."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)

    def later(self, act: Callable[P, Any], *args: P.args, **more: P.kwargs) -> None:
        """Have `act` done; what it raises is logged, and what comes after it is done."""
        self._thread.submit(act, *args, **more).add_done_callback(_complain)

    def close(self) -> None:
        """Wait for what is being done, and do nothing else."""
        self._thread.shutdown(cancel_futures=True)


def _complain(future: Future[Any]) -> None:
    if not future.cancelled() and (error := future.exception()):
        log.error("what one thread wanted done on another failed", exc_info=error)
