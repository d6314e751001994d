"""Writes what the server keeps, away from the SIP thread."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque

from blfd.core.effects import SaveBindings, SavePickup, SaveSubscription
from blfd.core.values import Aor, Attempt, Binding, SavedSubscription
from blfd.store.records import KEPT, Records

log = logging.getLogger("blfd.store")

LATEST = 0.2  # seconds that a change may wait to be written
RETRY = 5.0

Change = SaveBindings | SaveSubscription | SavePickup


class StoreWriter:
    """Writes from a thread of its own, at most `LATEST` seconds late.

    What a full or broken disk refuses is kept and tried again every `RETRY` seconds.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._queue: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._bindings: dict[Aor, tuple[Binding, ...]] = {}
        self._attempts: deque[Attempt] = deque(maxlen=KEPT)
        self._subscriptions: dict[str, SavedSubscription | None] = {}
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def save(self, effect: Change) -> None:
        self._queue.put(effect)

    def close(self) -> None:
        """Write what is queued, then end; what the disk refuses even now is lost, and said."""
        self._queue.put(None)
        self._thread.join(30)

    @property
    def _waiting(self) -> bool:
        return bool(self._bindings or self._attempts or self._subscriptions)

    def _run(self) -> None:
        closing = False
        while not closing:
            closing = self._collect()
            self._write()
        if self._waiting:
            lost = "registrations of %d extensions, %d subscriptions (phones renew both), %d pickups are lost"
            log.error(lost, len(self._bindings), len(self._subscriptions), len(self._attempts))

    def _collect(self) -> bool:
        """Take what is queued until it is time to write; whether `close` was called."""
        until = time.monotonic() + RETRY if self._waiting else None
        while until is None or time.monotonic() < until:
            try:
                item = self._queue.get(timeout=until and max(0.0, until - time.monotonic()))
            except queue.Empty:
                return False
            if item is None:
                return True
            match item:
                case SaveBindings(aor, bindings):
                    self._bindings[aor] = bindings
                case SaveSubscription(key, saved):
                    self._subscriptions[key] = saved
                case SavePickup(attempt):
                    self._attempts.append(attempt)
            until = until or time.monotonic() + LATEST
        return False

    def _write(self) -> None:
        try:
            self._records.save(self._bindings, self._attempts, self._subscriptions)
        except Exception as error:  # whatever it is, this thread has to live
            if not self._failing:
                text = "changes are not saved, will be tried again: %s; look at the disk of %s"
                log.error(text, error, self._records.path)
            self._failing = True
            return
        if self._failing:
            log.info("changes are saved again")
        self._failing = False
        self._bindings.clear()
        self._attempts.clear()
        self._subscriptions.clear()
