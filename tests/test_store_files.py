"""The file of the database: who opens it, when, and which files are refused and left alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils.db import Database

from blfd.store import NewExtension, Store, StoreError
from blfd.store.opening import APPLICATION_ID, Connections, Unavailable


def test_the_password_is_nowhere_in_the_files(store: Store) -> None:
    assert b"s3cret" not in b"".join(path.read_bytes() for path in store.path.parent.iterdir())


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
