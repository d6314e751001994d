"""Writes what the server keeps, away from the SIP thread, and says when that is done."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from blfd.core.calls.attempts import Attempt
from blfd.core.effects import (
    SaveBindings,
    SaveCalls,
    SavePickup,
    SavePublication,
    SaveSubscription,
    TellSaved,
)
from blfd.core.saved import Kept, SavedCall, SavedPublication, SavedSubscription
from blfd.core.values import Aor, Binding
from blfd.store.records import KEPT, Records

log = logging.getLogger("blfd.store")

LATEST = 0.2  # seconds that a change may wait to be written
SOON = 0.01  # the same where somebody waits: time for others, as one write is for all
RETRY = 5.0

Given = tuple[
    dict[Aor, tuple[Binding, ...]],
    Iterable[Attempt],
    dict[str, SavedSubscription | None],
    dict[str, SavedPublication | None],
    dict[int, Kept | None],
]

Change = SaveBindings | SaveSubscription | SavePublication | SaveCalls | SavePickup | TellSaved


class StoreWriter:
    """Writes from a thread of its own, at most `LATEST` seconds late; calls `told` there with what was to be
    told (`TellSaved`).

    What a full or broken disk refuses is kept and tried again every `RETRY` seconds. The thread is woken by
    the first change after a write only: to be woken by each would cost the SIP thread more than the change.
    """

    def __init__(
        self, records: Records, told: Callable[[tuple[int, ...]], None] = lambda numbers: None
    ) -> None:
        self._records, self._told = records, told
        self._changes: deque[Change] = deque()
        self._changed, self._urgent = threading.Event(), threading.Event()
        self._closing = threading.Event()
        self._bindings: dict[Aor, tuple[Binding, ...]] = {}
        self._attempts: deque[Attempt] = deque(maxlen=KEPT)
        self._subscriptions: dict[str, SavedSubscription | None] = {}
        self._publications: dict[str, SavedPublication | None] = {}
        self._calls: dict[int, Kept | None] = {}
        self._given = self._taken = self._written = 0  # how many changes, ever
        self._awaited: list[int] = []
        self._failing = False
        self._offset = self._stored_offset = 0.0
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    @property
    def unsaved(self) -> int:
        """How many changes are not on the disk yet; what is given on the asking thread counts at once."""
        return self._given - self._written

    def save(self, effect: Change) -> None:
        self._given += 1
        self._changes.append(effect)
        if type(effect) is TellSaved and not self._urgent.is_set():  # what it waits for is in the queue
            self._urgent.set()
        if not self._changed.is_set():
            self._changed.set()

    def clock_set(self, offset: float) -> None:
        """Store times as they are by the system's clock, which was set: so much more than those that are
        given. What is stored already follows."""
        self._offset = offset
        self._changed.set()

    def close(self) -> None:
        """Write what is queued, then end; what the disk refuses even now is lost, and said."""
        self._closing.set()
        self._urgent.set()
        self._changed.set()
        self._thread.join(30)

    @property
    def _waiting(self) -> bool:
        kept = self._bindings, self._attempts, self._subscriptions, self._publications, self._calls
        return any(kept) or self._offset != self._stored_offset

    def _run(self) -> None:
        while not self._closing.is_set():
            self._changed.wait(RETRY if self._waiting else None)
            if self._urgent.wait(LATEST):
                self._closing.wait(LATEST if self._failing else SOON)
            self._changed.clear()
            self._urgent.clear()
            self._collect()
            self._write()
        self._collect()
        self._write()
        if self._waiting:
            log.error(
                "registrations of %d extensions, %d subscriptions (phones renew both), %d publications, "
                "%d pickups and what %d calls need to outlive the process are lost",
                len(self._bindings),
                len(self._subscriptions),
                len(self._publications),
                len(self._attempts),
                len(self._calls),
            )

    def _collect(self) -> None:
        """Take what is queued; of what changed several times, the last counts."""
        while self._changes:
            self._taken += 1
            match self._changes.popleft():
                case SaveBindings(aor, bindings):
                    self._bindings[aor] = bindings
                case SaveSubscription(key, saved):
                    self._subscriptions[key] = saved
                case SavePublication(etag, published):
                    self._publications[etag] = published
                case SaveCalls(calls):
                    self._calls |= calls
                case SavePickup(attempt):
                    self._attempts.append(attempt)
                case TellSaved(number):
                    self._awaited.append(number)

    def _write(self) -> None:
        self._try_to_write()
        if self._awaited:  # whatever the disk says: it is known here, and is written when that can be
            numbers, self._awaited = tuple(self._awaited), []
            self._told(numbers)

    def _by_the_wall(self, offset: float) -> Given:
        """What waits to be saved, with its times as they are by the system's clock."""
        given = self._bindings, self._attempts, self._subscriptions, self._publications, self._calls
        if not offset:
            return given
        bindings, attempts, subscriptions, publications, calls = given
        return (
            {
                aor: tuple(replace(one, expires_at=one.expires_at + offset) for one in known)
                for aor, known in bindings.items()
            },
            [replace(one, at=one.at + offset) for one in attempts],
            {
                key: one and one._replace(expires_at=one.expires_at + offset)
                for key, one in subscriptions.items()
            },
            {
                etag: one and one._replace(at=one.at + offset, expires_at=one.expires_at + offset)
                for etag, one in publications.items()
            },
            {number: one and by_the_wall(one, offset) for number, one in calls.items()},
        )

    def _try_to_write(self) -> None:
        offset = self._offset
        if not self._waiting:
            self._written = self._taken
            return
        try:
            if offset != self._stored_offset:
                self._records.clock_set(offset - self._stored_offset)
                self._stored_offset = offset
            self._records.save(*self._by_the_wall(offset))
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
        self._publications.clear()
        self._calls.clear()
        self._written = self._taken


def by_the_wall(kept: Kept, offset: float) -> Kept:
    """A call, or half of one, with its times by the system's clock, as that of its session is already."""
    started_at = kept.started_at + offset
    if isinstance(kept, SavedCall):
        caller, callee = (one._replace(since=one.since + offset) for one in (kept.caller, kept.callee))
        return kept._replace(started_at=started_at, caller=caller, callee=callee)
    return kept._replace(started_at=started_at, seat=kept.seat._replace(since=kept.seat.since + offset))
