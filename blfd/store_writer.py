"""Writes what the server keeps, away from the SIP thread."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time

from blfd.core.values import Aor, Binding
from blfd.store import Store

log = logging.getLogger("blfd.store")

LATEST = 0.2  # seconds that a change of bindings may wait to be written
RETRY = 5.0


class StoreWriter:
    """Writes changed bindings from a thread of its own, at most `LATEST` seconds late."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: queue.SimpleQueue[tuple[Aor, tuple[Binding, ...]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def save_bindings(self, aor: Aor, bindings: tuple[Binding, ...]) -> None:
        self._queue.put((aor, bindings))

    def close(self) -> None:
        """Write what is queued, then end."""
        self._queue.put(None)
        self._thread.join(30)

    def _run(self) -> None:
        closing = False
        while not closing:
            changes: dict[Aor, tuple[Binding, ...]] = {}
            until: float | None = None
            while until is None or time.monotonic() < until:
                try:
                    left = None if until is None else max(0.0, until - time.monotonic())
                    item = self._queue.get(timeout=left)
                except queue.Empty:
                    break
                if item is None:
                    closing = True
                    break
                changes[item[0]] = item[1]
                until = until or time.monotonic() + LATEST
            self._write(changes, give_up=closing)

    def _write(self, changes: dict[Aor, tuple[Binding, ...]], *, give_up: bool) -> None:
        reported = False
        while changes:
            try:
                self._store.save_bindings(changes)
                return
            except sqlite3.Error as error:
                if not reported:
                    log.error("registrations are not saved: %s; look at %s", error, self._store.path)
                reported = True
                if give_up:
                    return
                time.sleep(RETRY)
