"""Writes what the server keeps, away from the SIP thread."""

from __future__ import annotations

import logging
import queue
import threading
import time

from blfd.core.values import Aor, Binding
from blfd.store import Store

log = logging.getLogger("blfd.store")

LATEST = 0.2  # seconds that a change of bindings may wait to be written
RETRY = 5.0

Changes = dict[Aor, tuple[Binding, ...]]


class StoreWriter:
    """Writes changed bindings from a thread of its own, at most `LATEST` seconds late.

    What a full or broken disk refuses is kept and tried again every `RETRY` seconds.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: queue.SimpleQueue[tuple[Aor, tuple[Binding, ...]] | None] = queue.SimpleQueue()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def save_bindings(self, aor: Aor, bindings: tuple[Binding, ...]) -> None:
        self._queue.put((aor, bindings))

    def close(self) -> None:
        """Write what is queued, then end; what the disk refuses even now is lost, and said."""
        self._queue.put(None)
        self._thread.join(30)

    def _run(self) -> None:
        changes: Changes = {}
        closing = False
        while not closing:
            closing = self._collect(changes)
            if self._write(changes):
                changes.clear()
        if changes:
            log.error("registrations of %d extensions are lost: phones register again", len(changes))

    def _collect(self, changes: Changes) -> bool:
        """Add what is queued until it is time to write; whether `close` was called."""
        until = time.monotonic() + RETRY if changes else None
        while until is None or time.monotonic() < until:
            try:
                item = self._queue.get(timeout=until and max(0.0, until - time.monotonic()))
            except queue.Empty:
                return False
            if item is None:
                return True
            changes[item[0]] = item[1]
            until = until or time.monotonic() + LATEST
        return False

    def _write(self, changes: Changes) -> bool:
        try:
            self._store.save_bindings(changes)
        except Exception as error:  # whatever it is, this thread has to live
            if not self._failing:
                text = "registrations are not saved, will be tried again: %s; look at the disk of %s"
                log.error(text, error, self._store.path)
            self._failing = True
            return False
        if self._failing:
            log.info("registrations are saved again")
        self._failing = False
        return True
