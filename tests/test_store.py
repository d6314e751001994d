"""The database: what it keeps, what it refuses, what it survives."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import queue
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import pytest
from sqlite_utils.db import Database

from blfd.core.calls.attempts import Attempt, Way
from blfd.core.directory import Group, Reach, StarCodes
from blfd.core.effects import (
    SaveBindings,
    SaveCalls,
    SavePickup,
    SavePublication,
    SaveSubscription,
    TellSaved,
)
from blfd.core.saved import (
    SavedCall,
    SavedHalf,
    SavedLeg,
    SavedPublication,
    SavedSeat,
    SavedSubscription,
    SessionTimer,
)
from blfd.core.values import Aor, Binding, DialogId, Flow, NameAddr, SubscriptionDialog
from blfd.store import NewExtension, Store, StoreError, backups, legs, sqlite_records
from blfd.store import writer as store_writer
from blfd.store.migrations import migrations
from blfd.store.opening import APPLICATION_ID, Connections, Unavailable
from blfd.store.records import Records
from blfd.store.writer import StoreWriter

ALICE = Aor("default", "101")
ATTEMPT = Attempt(1000.5, ALICE, Way.DIRECTED, "102", "103", 200, "picked up", 0.75)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "blfd.db")
    store.extensions.add("default", [NewExtension("101", "s3cret", "Alice Ng")])
    return store


def binding(user: str = "a", expires_at: float = 1e10) -> Binding:
    flow = Flow("udp", "192.0.2.1", 5060)
    more = (0.5, "Yealink", ("<sip:e;lr>",), "<urn:uuid:x>")
    return Binding(ALICE, f"sip:{user}@192.0.2.1", flow, "c", 1, expires_at, *more)


def test_what_is_kept(store: Store) -> None:
    again = Store(store.path).directory()
    extension = again.extensions[ALICE]
    assert extension.name == "Alice Ng"
    assert extension.ha1 == {
        "SHA-256": hashlib.sha256(b"101:blfd:s3cret").hexdigest(),
        "MD5": hashlib.md5(b"101:blfd:s3cret").hexdigest(),
    }
    assert again.tenants.keys() == {"default"}


def test_the_password_is_nowhere_in_the_files(store: Store) -> None:
    assert b"s3cret" not in b"".join(path.read_bytes() for path in store.path.parent.iterdir())


def test_a_tenants_realm_is_its_domain(store: Store) -> None:
    store.tenants.add("acme.example", ["pbx.acme.example"])
    store.extensions.add("acme.example", [NewExtension("101", "x")])
    extension = store.extensions.get(Aor("acme.example", "101"))
    assert extension.ha1["MD5"] == hashlib.md5(b"101:acme.example:x").hexdigest()


def test_changing(store: Store) -> None:
    store.extensions.set(ALICE, name="Alice B")
    before = store.extensions.get(ALICE)
    store.extensions.set(ALICE, password="other")
    after = store.extensions.get(ALICE)
    assert (after.name, after.ha1 == before.ha1) == ("Alice B", False)
    store.tenants.set("default", single_dialog=True, aliases=["pbx.example"])
    assert store.tenants.get("default").single_dialog
    assert store.tenants.get("default").aliases == ("pbx.example",)


def test_removing_takes_along_what_belongs(store: Store) -> None:
    store.records.save({ALICE: (binding(),)}, (), {}, {}, {})
    store.extensions.remove(ALICE)
    assert store.records.bindings() == []
    store.tenants.add("acme.example")
    store.extensions.add("acme.example", [NewExtension("1", "x")])
    store.tenants.remove("acme.example")
    assert store.directory().extensions == {}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (NewExtension("101", "x"), "exists already"),
        (NewExtension("", "x"), "letters, digits"),
        (NewExtension("*97", "x"), "letters, digits"),
        (NewExtension("a b", "x"), "letters, digits"),
        (NewExtension("x" * 65, "x"), "letters, digits"),
        (NewExtension("102", ""), "needs a password"),
        (NewExtension("102", "a\nb"), "control characters"),
        (NewExtension("102", "x", "a\tb"), "control characters"),
        (NewExtension("102", "x", "a\x7fb"), "control characters"),
        (NewExtension("#1", "x"), "letters, digits"),
    ],
)
def test_wrong_extensions(store: Store, row: NewExtension, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        store.extensions.add("default", [NewExtension("200", "x"), row])
    assert Aor("default", "200") not in store.directory().extensions, "all or none"


def test_unusual_extensions(store: Store) -> None:
    names = {"+4989123", "alice.b-c_d", "x" * 64}
    store.extensions.add("default", [NewExtension(name, "x", "Zoë\u00a0 \U0001f600") for name in names])
    assert {e.aor.extension for e in store.extensions.all("default")} == {"101", *names}


@pytest.mark.parametrize("domain", ["", "a b", "-a.example", "a..b", "x" * 300, "acme.example:5060"])
def test_wrong_domains(store: Store, domain: str) -> None:
    with pytest.raises(StoreError, match="domain name"):
        store.tenants.add(domain)


def test_what_is_not_there_or_taken(store: Store) -> None:
    store.tenants.add("Acme.Example", ["alias.example"])
    for act in (
        lambda: store.tenants.add("acme.example"),
        lambda: store.tenants.add("other.example", ["alias.example"]),
        lambda: store.tenants.remove("default"),
        lambda: store.tenants.remove("none.example"),
        lambda: store.tenants.set("acme.example"),
        lambda: store.extensions.set(ALICE),
        lambda: store.extensions.remove(Aor("default", "999")),
        lambda: store.extensions.all("none.example"),
    ):
        with pytest.raises(StoreError):
            act()


def test_bindings(store: Store) -> None:
    store.records.save({ALICE: (binding("a"), binding("b"))}, (), {}, {}, {})
    assert sorted(b.contact for b in Store(store.path).records.bindings()) == [
        "sip:a@192.0.2.1",
        "sip:b@192.0.2.1",
    ]
    store.records.save({ALICE: (binding("b"),)}, (), {}, {}, {})
    assert store.records.bindings() == [binding("b")]
    gone = Aor("default", "999")
    store.records.save({ALICE: (), gone: (replace(binding(), aor=gone),)}, (), {}, {}, {})
    assert store.records.bindings() == [], "an extension that was removed meanwhile has none"


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


def test_groups(store: Store) -> None:
    store.extensions.add("default", [NewExtension(e, "x") for e in ("102", "103")])
    store.groups.add("default", "Büro 1", ["101", "102"], ["103"])
    expected = Group("default", "Büro 1", frozenset(("101", "102")), frozenset(("103",)))
    assert Store(store.path).directory().groups == (expected,)
    store.groups.set("default", "Büro 1", [], ["101"])
    assert store.groups.get("default", "Büro 1").targets == {"101"}
    store.extensions.remove(ALICE)
    assert store.groups.get("default", "Büro 1") == Group("default", "Büro 1"), "it is empty and stays"
    store.tenants.add("acme.example")
    with pytest.raises(StoreError, match=r"no extension 102@acme\.example"):
        store.groups.add("acme.example", "x", ["102"], [])
    assert store.groups.all("acme.example") == []


def test_attempts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = replace(ATTEMPT, at=2000.0, extension="\udcff", result="404 \udcff does not exist")
    store.records.save({}, [ATTEMPT, odd], {}, {}, {})
    ((_, newest), (_, oldest)) = store.records.attempts("default")
    assert oldest == ATTEMPT
    assert newest.extension == "?"
    assert [attempt for _, attempt in store.records.attempts("default", since=1500.0)] == [newest]
    assert [attempt for _, attempt in store.records.attempts("default", limit=1)] == [newest]
    assert store.records.attempts("acme.example") == []
    monkeypatch.setattr(sqlite_records, "KEPT", 3)
    store.records.save({}, [replace(ATTEMPT, at=float(n)) for n in range(5)], {}, {}, {})
    assert [attempt.at for _, attempt in store.records.attempts("default")] == [4.0, 3.0, 2.0]
    gone = replace(ATTEMPT, picker=Aor("none.example", "1"))
    store.records.save({}, [gone], {}, {}, {})
    assert store.records.attempts("none.example") == [], "of a tenant that was removed meanwhile"


OF_THREE = (  # (picker, extension, status, milliseconds) of attempts a second apart
    ("101", "103", 200, 7.0),
    ("1000", "102", 480, 30.0),
    ("99", "1010", 480, 4.0),
)


@pytest.mark.parametrize(
    ("words", "order", "asked", "pickers", "total"),
    [
        ((), "-at", {}, ["99", "1000", "101"], 3),
        ((), "at", {"part": (1, 1)}, ["1000"], 3),
        ((), "picker", {}, ["99", "101", "1000"], 3),
        ((), "-extension", {}, ["99", "101", "1000"], 3),
        ((), "milliseconds", {}, ["99", "101", "1000"], 3),
        (("101",), "-at", {}, ["99", "101"], 2),
        (("picker=101",), "-at", {}, ["101"], 1),
        (("REPLACES", "480"), "-at", {}, ["99", "1000"], 2),
        (("at=101",), "-at", {}, [], 0),
        (("%",), "-at", {}, [], 0),
        ((), "-at", {"succeeded": True}, ["101"], 1),
        ((), "-at", {"succeeded": False, "since": 2002.0}, ["99"], 1),
    ],
)
def test_some_attempts(
    store: Store, words: tuple[str, ...], order: str, asked: Any, pickers: list[str], total: int
) -> None:
    store.records.save({}, [replace(ATTEMPT, at=1.0, picker=Aor("none.example", "1"))], {}, {}, {})
    made = [
        replace(
            ATTEMPT,
            at=2000.0 + at,
            picker=Aor("default", picker),
            way=Way.REPLACES,
            extension=extension,
            caller="7",
            status=status,
            milliseconds=took,
        )
        for at, (picker, extension, status, took) in enumerate(OF_THREE)
    ]
    store.records.save({}, made, {}, {}, {})
    found, count = store.records.some_attempts("default", words, order, **{"part": (0, 100), **asked})
    assert ([attempt.picker.extension for attempt in found], count) == (pickers, total)


def subscription(key: str = "k", **over: Any) -> SavedSubscription:
    flow = Flow("udp", "192.0.2.1", 5060)
    who = Aor("default", "102"), ALICE
    dialog = SubscriptionDialog(
        DialogId("\udcff", key, "t"),
        NameAddr("sip:102@host"),
        NameAddr("sip:101@host", 'Zoë "\udcfe"'),
        "sip:a@192.0.2.1",
        ("<sip:edge;lr>", "<sip:\udcfd;lr>"),
        "dialog;id=3",
    )
    whole = SavedSubscription(*who, "dialog", "sip:102@host", dialog, 7, flow, 1e10, "Zoë", 5, "p1")
    return whole._replace(**over)


def test_subscriptions(store: Store) -> None:
    records = store.records
    records.save({}, (), {"k": subscription(), "other": subscription("other"), "gone": None}, {}, {})
    assert records.subscriptions(1000) == [subscription(), subscription("other")]
    assert [one.cseq for one in records.subscriptions(1000)] == [1005, 1005], "what may have been used since"
    records.save({}, (), {"k": subscription(cseq=9), "other": None}, {}, {})
    assert Store(store.path).records.subscriptions(1000) == [subscription(cseq=9)]


def test_publications(store: Store) -> None:
    one = SavedPublication("e1", ALICE, "192.0.2.20", 5.0, 1e10, b"<dialog-info/>\xff", "p1")
    other = one._replace(etag="e2", at=6.0, proof="")
    store.records.save({}, (), {}, {"e1": one, "e2": other, "gone": None}, {})
    assert store.records.publications() == [one, other]
    store.records.save({}, (), {}, {"e1": None, "e2": other._replace(expires_at=7.0)}, {})
    assert Store(store.path).records.publications() == [other._replace(expires_at=7.0)]


def leg(tag: str = "ours", **over: Any) -> SavedLeg:
    whole = SavedLeg(
        DialogId("\udcff", tag, "t\udcfe"),
        NameAddr("sip:102@host"),
        NameAddr("sip:101@host", 'Zoë "\udcfe"'),
        "sip:a@192.0.2.1;x=\udcfd",
        "sip:b@192.0.2.1;x=\udcfd",
        ("<sip:edge;lr>", "<sip:\udcfd;lr>"),
        Flow("udp", "192.0.2.1", 5060, 2),
        5,
        7,
        b"v=0\r\ns=\xff\r\n",
        b"v=0\r\n\0",
        True,
        SessionTimer(1800, True, 1e10),
    )
    return whole._replace(**over)


def call(number: int = 3, **over: Any) -> SavedCall:
    one = SavedSeat(
        2 * number,
        ALICE,
        "Zoë",
        True,
        False,
        "",
        True,
        5.5,
        True,
        False,
        ("104", "Dan \udcff"),
        DialogId("a", "b", "c"),
        leg(f"{number}"),
    )
    other = SavedSeat(
        2 * number + 1,
        Aor("default", "102"),
        "",
        False,
        True,
        "sip:\udcfc@b",
        False,
        6.5,
        False,
        True,
        ("", ""),
        None,
        leg(f"{number}", allows_update=False, timer=None),
        number="+4930",
    )
    return SavedCall(number, "host", "192.0.2.1", 4.5, 2, False, one, other)._replace(**over)


def test_calls(store: Store) -> None:
    """All of a call comes back, and its requests get numbers that cannot have been used yet."""
    records = store.records
    records.save({}, (), {}, {}, {3: call(), 4: call(4, secure=True), 5: None})
    assert records.calls(1000) == [call(), call(4, secure=True)]
    assert [(one.caller.saved.cseq, one.callee.saved.cseq) for one in records.calls(1000)] == [
        (1005, 1005)
    ] * 2
    moved = call(5, caller=call().caller)  # the call that a leg of the first one has got into
    records.save({}, (), {}, {}, {3: None, 4: None, 5: moved})
    assert Store(store.path).records.calls(1000) == [moved]
    assert count(store, "legs") == 2
    records.save({}, (), {}, {}, {6: call(6, caller=moved.caller)})
    (half,) = records.halves()
    assert (half.number, half.seat.leg) == (5, moved.callee.leg), "the leg that is alone is to be ended"
    assert records.calls(0) == [call(6, caller=moved.caller)], "half a call is none"
    assert count(store, "legs") == 2
    assert records.halves() == []
    half = SavedHalf(7, "host", "192.0.2.1", 4.5, call(7).callee)
    records.save({}, (), {}, {}, {6: None, 7: half})
    assert (records.halves(), records.calls(0), records.halves()) == ([half], [], [])


@pytest.mark.parametrize(
    "wrong",
    [
        "route_set = 'x'",
        "route_set = '[1]'",
        "route_set = 'null'",
        "replaces = '[1]'",
        "referred_by = '[1, 2, 3]'",
        "side = 'neither'",
        "transport = 'pigeon'",
        "host = ''",
        "port = 'x'",
        "listener = 'x'",
        "remote_cseq = 'x'",
        "cseq = -4000",
        "since = 'x'",
        "session_interval = 'x'",
        "session_interval = 90, session_expires_at = NULL",
        "sent = 5",
    ],
)
def test_a_call_that_cannot_be_read(store: Store, wrong: str) -> None:
    """Such a call is forgotten, and the server starts with the others."""
    store.records.save({}, (), {}, {}, {3: call(), 4: call(4)})
    spoil(store, f"UPDATE legs SET {wrong} WHERE side = 'callee' AND call = 3")
    assert [one.number for one in store.records.calls(0)] == [4]
    assert count(store, "legs") == 2, "nor does the next start read of it"


def spoil(store: Store, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
        assert connection.execute(statement).rowcount == 1


FLOW = ("transport = 'pigeon'", "host = ''", "host = x'ff'", "port = 'x'", "listener = 'x'")
OF_NO_USE = {
    "bindings": (
        *FLOW,
        *(f"path = '{path}'" for path in ("x", "[1]", "null", "{")),
        *(f"{name} = x'ff'" for name in ("contact", "call_id", "instance", "cseq")),
        *(f"{name} = 'x'" for name in ("expires_at", "q")),
    ),
    "subscriptions": (
        *FLOW,
        *(f"route_set = '{routes}'" for routes in ("x", "[1]", "null", "{")),
        *(f"{name} = 'x'" for name in ("expires_at", "remote_cseq", "cseq")),
    ),
    "publications": [f"{name} = 'x'" for name in ("at", "expires_at", "body")],
}


@pytest.mark.parametrize("table", OF_NO_USE)
def test_what_cannot_be_read_of_others(store: Store, table: str, caplog: pytest.LogCaptureFixture) -> None:
    """A row that cannot be read is told in one line, and the phone registers, or its key subscribes, anew."""
    records = store.records
    published = SavedPublication("e1", ALICE, "192.0.2.20", 5.0, 1e10, b"<dialog-info/>")
    watching: dict[str, SavedSubscription | None] = {"k": subscription(), "other": subscription("other")}
    both: dict[str, SavedPublication | None] = {"e1": published, "e2": published._replace(etag="e2")}
    first = {
        "bindings": "contact = 'sip:a@192.0.2.1'",
        "subscriptions": "key = 'k'",
        "publications": "etag = 'e1'",
    }
    for wrong in OF_NO_USE[table]:
        records.save({ALICE: (binding("a"), binding("b"))}, (), watching, both, {})
        spoil(store, f"UPDATE {table} SET {wrong} WHERE {first[table]}")
        for _ in range(2):
            left = len(records.bindings()), len(records.subscriptions(0)), len(records.publications())
            assert [*left] == [2 - (table == one) for one in first], wrong
        (line,) = [record.getMessage() for record in caplog.records]
        assert "of before the start cannot be read from the database and is forgotten: " in line
        assert line.startswith(("a phone of 101", "a key that watches 102", "what was published of 101"))
        caplog.clear()


def count(store: Store, table: str) -> int:
    connection = sqlite3.connect(store.path)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


def test_a_secret_is_the_same_for_who_asks_again(store: Store) -> None:
    other = Store(store.path)
    secret = store.records.secret("nonces")
    assert (len(secret), other.records.secret("nonces")) == (32, secret)
    assert store.records.secret("another") != secret


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


@pytest.mark.parametrize("name", ["a?b.db", "a#b.db", "%41.db", "ü.db", "a b.db"])
def test_any_file_name(tmp_path: Path, name: str) -> None:
    Store(tmp_path / name).tenants.add("acme.example")
    assert "acme.example" in Store(tmp_path / name).directory().tenants
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()} == {name}


def test_the_file_is_its_owners_only(store: Store) -> None:
    assert {path.stat().st_mode & 0o777 for path in store.path.parent.iterdir()} == {0o600}


def test_many_open_it_for_the_first_time_at_once(tmp_path: Path) -> None:
    for round_ in range(5):
        path = tmp_path / f"{round_}.db"
        with ThreadPoolExecutor(8) as threads:
            stores = list(threads.map(Store, [path] * 8))
        assert all(store.directory().tenants.keys() == {"default"} for store in stores)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_start_that_was_killed_is_finished_by_the_next(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "blfd.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.close()
    assert Store(path).directory().tenants.keys() == {"default"}


VERSION_1 = f"""
PRAGMA application_id = {APPLICATION_ID};
CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT);
CREATE UNIQUE INDEX idx__sqlite_migrations_migration_set_name ON _sqlite_migrations (migration_set, name);
INSERT INTO _sqlite_migrations VALUES (1, 'blfd', 'tenants_extensions_bindings', '2026-11-23 18:00:00+00:00');
CREATE TABLE tenants (domain TEXT PRIMARY KEY, aliases TEXT NOT NULL, single_dialog INTEGER NOT NULL);
CREATE TABLE extensions (
    tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE, extension TEXT NOT NULL,
    name TEXT NOT NULL, ha1_sha256 TEXT NOT NULL, ha1_md5 TEXT NOT NULL, PRIMARY KEY (tenant, extension));
CREATE TABLE bindings (
    tenant TEXT NOT NULL, extension TEXT NOT NULL, contact TEXT NOT NULL, transport TEXT NOT NULL,
    host TEXT NOT NULL, port INTEGER NOT NULL, listener INTEGER NOT NULL, call_id TEXT NOT NULL,
    cseq INTEGER NOT NULL, expires_at REAL NOT NULL, q REAL NOT NULL, user_agent TEXT NOT NULL,
    path TEXT NOT NULL, PRIMARY KEY (tenant, extension, contact),
    FOREIGN KEY (tenant, extension) REFERENCES extensions(tenant, extension) ON DELETE CASCADE);
INSERT INTO tenants VALUES ('default', '[]', 0), ('acme.example', '["pbx.acme.example"]', 1);
INSERT INTO extensions VALUES ('default', '101', 'Alice Ng', 's', 'm');
INSERT INTO bindings VALUES ('default', '101', 'sip:a@192.0.2.1', 'udp', '192.0.2.1', 5060, 0, 'c', 1, 1e10,
    0.5, 'Yealink', '["<sip:e;lr>"]');
"""


def of_version(path: Path, version: int) -> Database:
    """A database as that version of the schema left it."""
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    db = Database(path)
    db.execute("PRAGMA synchronous = OFF")
    for migration in migrations.pending(db)[: version - 1]:
        migration.fn(db)
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('blfd', ?, '')",
            [migration.name],
        )
    return db


def test_a_database_of_version_1_is_read_and_changed(tmp_path: Path) -> None:
    path = tmp_path / "blfd.db"
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    connection.close()
    store = Store(path)
    tenant = store.tenants.get("acme.example")
    assert (tenant.aliases, tenant.single_dialog) == (("pbx.acme.example",), True)
    extension = store.extensions.get(ALICE)
    assert (extension.name, extension.ha1) == ("Alice Ng", {"SHA-256": "s", "MD5": "m"})
    assert store.records.bindings() == [replace(binding(), instance="")]
    store.extensions.remove(ALICE)
    assert store.records.bindings() == []
    assert (tenant.pickup_code, tenant.group_pickup_code, tenant.pickup, tenant.pickable) == (
        "*97",
        "*98",
        Reach.ON,
        True,
    )
    assert (extension.pickup, extension.pickable) == (None, None)
    assert (store.groups.all("default"), store.records.attempts("default")) == ([], [])


def applied(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM _sqlite_migrations ORDER BY id")]


@pytest.mark.parametrize("version", range(1, len(migrations.pending(Database(memory=True))) + 1))
def test_an_upgrade_and_the_way_back(tmp_path: Path, version: int) -> None:
    """Upgrade from each version that there was, and go back, as docs/operation.md says."""
    path, saved = tmp_path / "blfd.db", tmp_path / "saved.db"
    with closing(of_version(path, version).conn) as connection:
        connection.commit()
    backups.save(path, saved)  # by the new version, if somebody has forgotten it before
    assert len(applied(saved)) == version, "the old one can still read it"
    store = Store(path)
    store.extensions.add("default", [NewExtension("102", "x")])
    found = store.directory()
    assert {each.extension for each in found.extensions} == {"101", "102"}
    assert found.tenants.keys() == {"default", "acme.example"}
    assert [row.contact for row in store.records.bindings()] == [binding().contact]
    kept = backups.restore(saved, path)
    assert {each.extension for each in Store(path).directory().extensions} == {"101"}
    assert kept
    assert {each.extension for each in Store(kept).directory().extensions} == {"101", "102"}
    assert len(applied(saved)) == version


def test_the_way_back_leads_over_a_database_of_a_newer_version(tmp_path: Path) -> None:
    path, saved = tmp_path / "blfd.db", tmp_path / "saved.db"
    Store(path).extensions.add("default", [NewExtension("101", "x")])
    backups.save(path, saved)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('blfd', 'next', '')"
        )
        connection.commit()
    with pytest.raises(StoreError, match=r"is of a newer blfd \(next\); update blfd, or 'blfd restore'"):
        Store(path)
    assert backups.restore(saved, path)
    assert {each.extension for each in Store(path).directory().extensions} == {"101"}


def test_codes_of_version_15_keep_what_they_mean(tmp_path: Path) -> None:
    path = tmp_path / "blfd.db"
    db = of_version(path, 15)
    for domain, directed, group in (("a.example", "*7", "*98"), ("b.example", "*8", "*9")):
        row = {"domain": domain, "aliases": "[]", "single_dialog": 0}
        db.table("tenants").insert({**row, "pickup_code": directed, "group_pickup_code": group})
    db.conn.commit()
    db.close()
    store = Store(path)
    assert store.tenants.get("default").star_codes == StarCodes()
    of_pickup = {code for code in asdict(StarCodes()).values() if code.startswith(("*6", "*7"))}
    assert set(store.tenants.get("a.example").star_codes.dialled.values()) == {
        "*67",
        "*68",
        "*90",
        "*91",
        "*92",
        "*93",
    }
    assert set(store.tenants.get("b.example").star_codes.dialled.values()) == of_pickup
    for domain in ("default", "a.example", "b.example"):
        store.tenants.set(domain, pickup_code=store.tenants.get(domain).pickup_code)


def test_the_code_that_shows_a_number_takes_no_code_and_no_route_of_version_26(tmp_path: Path) -> None:
    path = tmp_path / "blfd.db"
    db = of_version(path, 26)
    for domain, directed in (("a.example", "*6"), ("b.example", "*97"), ("c.example", "*97")):
        db.table("tenants").insert(
            {"domain": domain, "aliases": "[]", "single_dialog": 0, "pickup_code": directed}
        )
    db.table("routes").insert({"tenant": "b.example", "pattern": "*68.", "settings": "{}"})
    db.conn.commit()
    db.close()
    codes = [Store(path).tenants.get(f"{each}.example").star_codes.withhold_off for each in "abc"]
    assert codes == ["", "", "*68"]


def test_phones_of_version_8_get_passwords_for_their_web_pages(tmp_path: Path) -> None:
    path = tmp_path / "blfd.db"
    db = of_version(path, 8)
    for mac in ("805ec0000001", "805ec0000002"):
        row = (mac, "default", "snom/d785", "udp", "team", f"p{mac}", f"s{mac}")
        columns = "mac, tenant, model, transport, keys, password, secret"
        db.execute(f"INSERT INTO devices ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    db.execute("INSERT INTO device_settings VALUES ('default', 'snom', 'timezone', 'AUT+1')")
    db.execute("INSERT INTO site_settings VALUES ('*', 'ntp_server', 'ntp.example')")
    db.conn.commit()
    db.close()
    store = Store(path)
    phones = store.devices.all("default")
    assert [phone.password for phone in phones] == ["p805ec0000001", "p805ec0000002"]
    passwords = {word for phone in phones for word in (phone.admin_password, phone.user_password)}
    assert len(passwords) == 4
    assert all(re.fullmatch("[A-Za-z2-9]{12}", password) for password in passwords)
    assert store.overrides.settings("default", "snom") == {"raw:timezone": "AUT+1"}
    assert store.overrides.settings(None, "*") == {"ntp_server": "ntp.example"}


def test_keys_of_version_9_lose_their_gaps(tmp_path: Path) -> None:
    path = tmp_path / "blfd.db"
    db = of_version(path, 9)
    for number, keys in enumerate(("102,,103=A B", " ,", ",102,", "team:a")):
        row = (f"805ec000000{number}", "default", "snom/d785", "udp", keys, "p", f"s{number}")
        columns = "mac, tenant, model, transport, keys, password, secret"
        db.execute(f"INSERT INTO devices ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    db.conn.commit()
    db.close()
    kept = [phone.keys for phone in Store(path).devices.all("default")]
    assert kept == ["102,103=A B", "", "102", "team:a"]


def test_subscriptions_of_version_3_keep_their_dialog(tmp_path: Path) -> None:
    path = tmp_path / "blfd.db"
    db = of_version(path, 6)
    head = (
        "Route: <sip:e1;lr>\r\nRoute: <sip:\udcfd;lr>\r\nFrom: <sip:102@host>;tag=k\r\n"
        'To: "Zoë \\"\udcfe\\"" <sip:101@host;a>;tag=t\r\nCall-ID: \udcff\r\nEvent: dialog;id=3\r\n'
    ).encode("utf-8", "surrogateescape")
    who = ("k", "default", "102", "101", "sip:102@host", b"\xff", "t", 7, "sip:a@192.0.2.1", head)
    row = (*who, "udp", "192.0.2.1", 5060, 0, 1e10, "Zoë", 5)
    db.execute(f"INSERT INTO subscriptions VALUES ({', '.join('?' * 17)})", row)
    db.conn.commit()
    db.close()
    (found,) = Store(path).records.subscriptions(1000)
    routes = ("<sip:e1;lr>", "<sip:\udcfd;lr>")
    remote = NameAddr("sip:101@host;a", 'Zoë "\udcfe"')
    dialog = subscription().dialog._replace(remote=remote, route_set=routes)
    assert found == subscription(dialog=dialog, proof="")


def test_calls_of_version_24_keep_who_they_are_with(tmp_path: Path) -> None:
    """Version 24 kept From and To as header text that PJSIP had printed."""
    path = tmp_path / "blfd.db"
    db = of_version(path, 24)
    texts = {"local_uri": "<sip:102@host>", "remote_uri": b'"Zo\xc3\xab \\"\xfe\\"" <sip:101@host>;x=y'}
    for row in legs.rows(call()):
        known = {name: value for name, value in row.items() if name not in ("local_name", "remote_name")}
        insert = f"INSERT INTO legs ({', '.join(known)}) VALUES ({', '.join('?' * len(known))})"
        db.execute(insert, list({**known, **texts}.values()))
    db.conn.commit()
    db.close()
    (found,) = Store(path).records.calls(0)
    ours, theirs = NameAddr("sip:102@host"), NameAddr("sip:101@host", 'Zoë "\udcfe"')
    for seat in (found.caller, found.callee):
        assert (seat.saved.local, seat.saved.remote) == (ours, theirs)


def test_large_changes_of_version_26_are_kept_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "blfd.db"
    db = of_version(path, 26)
    before = {str(number): {"name": "x" * 100} for number in range(40)}
    after = {name: row for name, row in before.items() if name != "7"} | {"8": {"name": "y"}}
    after |= {str(number): {"name": "new" * 30} for number in range(100, 160)}
    small = {"name": "Anna"}
    for old, new in ((before, after), (None, small), ({"80:5e": "left out"}, {})):
        told = [None if each is None else json.dumps(each) for each in (old, new)]
        row = (1.0, "me", "default", "extension.import", "extensions", *told)
        db.execute(
            "INSERT INTO audit (at, who, tenant, operation, subject, before, after) VALUES (?,?,?,?,?,?,?)",
            row,
        )
    db.conn.commit()
    db.close()
    audit = Store(path).audit
    third, second, first = audit.changes("default")
    assert (third.before, second.after, second.counts) == ({"80:5e": "left out"}, small, None)
    assert first.counts == {"added": 60, "changed": 1, "removed": 1, "unchanged": 38}
    parts, total = audit.parts(first.id)
    assert (total, {part.name: part.after for part in parts if part.after}) == (100, after)
    assert {part.name: part.before for part in parts if part.before} == before
    assert audit.some("default", ["159"], "at", (0, 9))[1] == 1
    assert len(json.dumps(first)) < 10_000


def test_shapes_of_extensions(store: Store) -> None:
    """Shapes are the first digits and lengths of one tenant's extensions that a keypad can dial."""
    store.tenants.add("acme.example")
    numbers = ("101", "102", "1001", "7", "012", "bob", "1a", "+49301", "12345678901234567890")
    store.extensions.add("acme.example", [NewExtension(number, "x") for number in numbers])
    assert store.devices.shapes("acme.example") == [("0", 3), ("1", 3), ("1", 4), ("1", 20), ("7", 1)]
    assert store.devices.shapes("nobody.example") == []


@pytest.mark.parametrize(
    ("model", "keys", "modules"),
    [
        ("yealink/t54w", ",".join(["103"] * 25), 0),
        ("yealink/t54w", ",".join(["103"] * 26), 1),
        ("yealink/t54w", "team", 3),
        ("yealink/t54w", "team:sales", 1),
        ("yealink/t31", "team", 0),
        ("cisco/spa504g", "103, ,104,", 0),
        ("cisco/spa504g", "103,104,105", 1),
        ("siemens/gone", "team", 0),
    ],
)
def test_phones_of_version_7_have_the_modules_that_their_keys_need(
    tmp_path: Path, model: str, keys: str, modules: int
) -> None:
    """Each phone has two lines, in a tenant of 400 extensions of which 60 are in a group."""
    path = tmp_path / "blfd.db"
    db = of_version(path, 7)
    extensions = [str(number) for number in range(101, 501) if number != 101]
    db.table("extensions").insert_all(
        {"tenant": "default", "extension": e, "name": "", "ha1_sha256": "", "ha1_md5": ""} for e in extensions
    )
    db.table("groups").insert({"tenant": "default", "name": "sales"})
    db.table("group_members").insert_all(
        {"tenant": "default", "name": "sales", "extension": e, "picks": 1, "is_picked": int(e > "102")}
        for e in extensions[:60]
    )
    insert = "INSERT INTO devices VALUES ('0', 'default', ?, 'udp', ?, 'x', 'y', NULL, '', '')"
    db.execute(insert, [model, keys])
    for position, extension in enumerate(("101", "102")):
        db.execute("INSERT INTO device_extensions VALUES ('0', ?, 'default', ?)", [position, extension])
    db.conn.commit()
    db.close()
    (device,) = Store(path).devices.all("default")
    kept = "103,104" if keys == "103, ,104," else keys  # version 10 takes such gaps out
    assert (device.modules, device.keys, device.password) == (modules, kept, "x")


@pytest.mark.parametrize("kind", ["text", "foreign", "foreign in WAL mode", "damaged", "newer", "a folder"])
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "blfd.db"
    match kind:
        case "text":
            path.write_text("this is no database, it is a letter\n" * 50)
        case "foreign":
            Database(path)["songs"].insert({"title": "x"})  # type: ignore[union-attr]
        case "foreign in WAL mode":
            with sqlite3.connect(path) as connection:
                connection.execute("PRAGMA journal_mode = wal")
                connection.execute("CREATE TABLE songs (title)")
            connection.close()
        case "damaged":
            Store(path).extensions.add("default", [NewExtension(str(n), "x") for n in range(200)])
            with sqlite3.connect(path) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
            data = bytearray(path.read_bytes())
            data[4096:20000] = b"\xff" * 15904
            path.write_bytes(data)
        case "newer":
            Store(path)
            with sqlite3.connect(path) as connection:
                connection.execute(
                    "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
                    "VALUES ('blfd', 'x', '')"
                )
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
        case "a folder":
            path.mkdir()
    before = path.read_bytes() if path.is_file() else b""
    beside = set(tmp_path.iterdir())
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert "\n" not in str(caught.value)
    assert not path.is_file() or path.read_bytes() == before
    assert not kind.startswith("foreign") or set(tmp_path.iterdir()) == beside


WRITES = """
import sys
from pathlib import Path
from blfd.store import NewExtension, Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for n in range(100000):
    store.extensions.add("default", [NewExtension(f"{sys.argv[2]}x{n}", "x")])
"""


def test_kill_9_in_the_middle_of_writes(tmp_path: Path) -> None:
    path = tmp_path / "blfd.db"
    for round_ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITES, str(path), str(round_)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            before, until = len(Store(path).directory().extensions), time.monotonic() + 30
            while len(Store(path).directory().extensions) < before + 5:
                assert time.monotonic() < until
            process.kill()
        found = Store(path).directory().extensions
        assert len(found) >= before + 5


@pytest.mark.parametrize(
    ("fault", "said", "advice"),
    [
        ("full", "database or disk is full", "free some of its disk"),
        ("no place", "unable to open database file", "which must not be mounted read-only"),
        ("locked", "database is locked", "try again"),
    ],
)
def test_a_sound_database_that_cannot_be_used_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, said: str, advice: str
) -> None:
    path = tmp_path / "blfd.db"
    monkeypatch.setattr("blfd.store.opening.BUSY", 0.05)
    connections = Connections(path)
    other = sqlite3.connect(path)
    if fault == "full":
        connections.connection.execute("PRAGMA max_page_count = 1")
    else:
        connections.connection.close()
    if fault == "locked":
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
    elif fault == "no place":
        other.close()
        (tmp_path / "blfd.db-wal").mkdir()

    def use() -> None:
        opened = connections if fault == "full" else Connections(path)
        with opened.transaction() as connection:
            connection.execute("CREATE TABLE large AS SELECT zeroblob(100000)")

    with closing(other), pytest.raises(Unavailable) as found:
        use()
    assert said in str(found.value)
    assert advice in str(found.value)
    assert "damaged" not in str(found.value)
