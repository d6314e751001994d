"""What the server keeps in the database, and what becomes of rows that cannot be read."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from typing import Any

import pytest
from stored import ALICE, ATTEMPT, binding, call, count, subscription

from blfd.core.calls.attempts import Way
from blfd.core.saved import SavedHalf, SavedPublication, SavedSubscription
from blfd.core.values import Aor
from blfd.store import Store, sqlite_records


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


def test_a_secret_is_the_same_for_who_asks_again(store: Store) -> None:
    other = Store(store.path)
    secret = store.records.secret("nonces")
    assert (len(secret), other.records.secret("nonces")) == (32, secret)
    assert store.records.secret("another") != secret
