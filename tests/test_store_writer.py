"""The thread that writes to the database: in order, told when it is done, and on a disk that refuses."""

from __future__ import annotations

import logging
import queue
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import pytest
from stored import ALICE, ATTEMPT, binding, call

from blfd.core.calls.attempts import Attempt
from blfd.core.effects import (
    SaveBindings,
    SaveCalls,
    SavePickup,
    SavePublication,
    SaveSubscription,
    TellSaved,
)
from blfd.core.saved import SavedCall, SavedPublication, SavedSubscription
from blfd.core.values import Aor, Binding
from blfd.store import Store
from blfd.store import writer as store_writer
from blfd.store.records import Records
from blfd.store.writer import StoreWriter


def test_the_writer(store: Store) -> None:
    writer = StoreWriter(store.records)
    writer.save(SaveBindings(ALICE, (binding("a"),)))
    until = time.monotonic() + 30
    while writer.unsaved:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert store.records.bindings() == [binding("a")]
    for number in range(500):
        writer.save(SaveBindings(ALICE, (binding(f"n{number}"),)))
    writer.close()
    assert store.records.bindings() == [binding("n499")]


class Disk:
    """A stand-in for the records, whose disk refuses to write while `error` is set."""

    path = Path("blfd.db")

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.refused = 0
        self.kept: dict[Aor, tuple[Binding, ...]] = {}
        self.tried: list[Attempt] = []
        self.watching: dict[str, SavedSubscription | None] = {}
        self.calls: dict[int, SavedCall | None] = {}

    def save(
        self,
        changes: dict[Aor, tuple[Binding, ...]],
        attempts: Iterable[Attempt],
        subscriptions: dict[str, SavedSubscription | None],
        publications: dict[str, SavedPublication | None],
        calls: dict[int, SavedCall | None],
    ) -> None:
        if self.error:
            self.refused += 1
            raise self.error
        self.watching |= subscriptions
        self.calls |= calls
        self.kept |= changes
        self.tried += attempts


def wait_for_refusals(disk: Disk, count: int) -> None:
    until = time.monotonic() + 30
    while disk.refused < count:
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), OverflowError("odd")])
def test_the_writer_outlives_a_disk_that_refuses(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_writer, "RETRY", 0.02)
    disk, other = Disk(error), Aor("default", "102")
    writer = StoreWriter(cast(Records, disk))
    writer.save(SaveBindings(ALICE, (binding("old"),)))
    wait_for_refusals(disk, 2)
    writer.save(SaveBindings(ALICE, (binding("new"),)))
    writer.save(SaveBindings(other, ()))
    writer.save(SavePickup(ATTEMPT))
    writer.save(SaveSubscription("k", None))
    writer.save(SaveCalls({1: None, 2: call(2)}))
    writer.save(SaveCalls({2: None}))
    wait_for_refusals(disk, disk.refused + 2)
    assert writer.unsaved == 7
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1, "said once, not at every try"
    assert "look at the disk of blfd.db" in errors[0].getMessage()
    disk.error = None
    writer.close()
    assert writer.unsaved == 0
    assert disk.kept == {ALICE: (binding("new"),), other: ()}
    assert disk.tried == [ATTEMPT]
    assert disk.watching == {"k": None}
    assert disk.calls == {1: None, 2: None}


def test_the_writer_tells_when_it_is_written(store: Store) -> None:
    told: queue.Queue[tuple[tuple[int, ...], int]] = queue.Queue()
    writer = StoreWriter(
        store.records, lambda numbers: told.put((numbers, len(store.records.publications())))
    )
    for number in range(20):
        etag = f"{number}"
        saved = SavedPublication(etag, ALICE, "proxy", 1.0, 2.0, b"x")
        writer.save(SavePublication(etag, saved))
        writer.save(TellSaved(number))
    seen: list[int] = []
    while len(seen) < 20:
        numbers, written = told.get(timeout=20)
        seen += numbers
        assert written >= len(seen), "nobody is told before it is on the disk"
    assert seen == list(range(20))
    writer.save(TellSaved(20))
    writer.close()
    assert told.get(timeout=20) == ((20,), 20)


def test_the_writer_tells_of_a_disk_that_refuses_too() -> None:
    """A change that cannot be written is in memory, and is written as soon as that is possible."""
    told: queue.Queue[tuple[int, ...]] = queue.Queue()
    writer = StoreWriter(cast(Records, Disk(sqlite3.OperationalError("disk full"))), told.put)
    writer.save(SaveBindings(ALICE, ()))
    writer.save(TellSaved(1))
    assert told.get(timeout=20) == (1,)
    writer.close()


def test_closing_on_a_broken_disk_does_not_wait_for_it(caplog: pytest.LogCaptureFixture) -> None:
    writer = StoreWriter(cast(Records, Disk(sqlite3.OperationalError("disk full"))))
    writer.save(SaveBindings(ALICE, ()))
    writer.close()
    lost = "registrations of 1 extensions, 0 subscriptions (phones renew both), 0 publications, 0 pickups and"
    assert f"{lost} what 0 calls need to outlive the process are lost" in caplog.text


@pytest.mark.parametrize("step", [3600.0, -86_400.0])
def test_what_is_stored_follows_the_systems_clock(store: Store, step: float) -> None:
    """What was stored before the clock was set, and what comes after it, is in the system's time."""
    writer = StoreWriter(store.records)
    before = binding("before")
    writer.save(SaveBindings(ALICE, (before,)))
    writer.save(SavePickup(ATTEMPT))
    writer.save(SaveCalls({1: call(1)}))
    until = time.monotonic() + 30
    while writer.unsaved:
        assert time.monotonic() < until
        time.sleep(0.005)
    writer.clock_set(step)
    writer.save(SaveCalls({2: call(2)}))
    writer.close()
    assert [one.expires_at for one in store.records.bindings()] == [before.expires_at + step]
    found, given = store.records.calls(0), [call(1), call(2)]
    assert [one.started_at for one in found] == [one.started_at + step for one in given]
    assert [one.callee.since for one in found] == [one.callee.since + step for one in given]
    assert [attempt.at for _, attempt in store.records.attempts("default")] == [ATTEMPT.at], "it has happened"
