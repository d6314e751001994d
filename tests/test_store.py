"""The database: what it keeps, what it refuses, what it survives."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils.db import Database

from blfd.core.values import Aor, Binding, Flow
from blfd.store import NewExtension, Store, StoreError
from blfd.store_writer import StoreWriter

ALICE = Aor("default", "101")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "blfd.db")
    store.add_extensions("default", [NewExtension("101", "s3cret", "Alice Ng")])
    return store


def binding(user: str = "a", expires_at: float = 1e10) -> Binding:
    flow = Flow("udp", "192.0.2.1", 5060)
    return Binding(ALICE, f"sip:{user}@192.0.2.1", flow, "c", 1, expires_at, 0.5, "Yealink", ("<sip:e;lr>",))


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
    store.add_tenant("acme.example", ["pbx.acme.example"])
    store.add_extensions("acme.example", [NewExtension("101", "x")])
    extension = store.extension(Aor("acme.example", "101"))
    assert extension.ha1["MD5"] == hashlib.md5(b"101:acme.example:x").hexdigest()


def test_changing(store: Store) -> None:
    store.set_extension(ALICE, name="Alice B")
    before = store.extension(ALICE)
    store.set_extension(ALICE, password="other")
    after = store.extension(ALICE)
    assert (after.name, after.ha1 == before.ha1) == ("Alice B", False)
    store.set_tenant("default", single_dialog=True, aliases=["pbx.example"])
    assert store.tenant("default").single_dialog
    assert store.tenant("default").aliases == ("pbx.example",)


def test_removing_takes_along_what_belongs(store: Store) -> None:
    store.save_bindings({ALICE: (binding(),)})
    store.remove_extension(ALICE)
    assert store.bindings() == []
    store.add_tenant("acme.example")
    store.add_extensions("acme.example", [NewExtension("1", "x")])
    store.remove_tenant("acme.example")
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
    ],
)
def test_wrong_extensions(store: Store, row: NewExtension, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        store.add_extensions("default", [NewExtension("200", "x"), row])
    assert Aor("default", "200") not in store.directory().extensions, "all or none"


@pytest.mark.parametrize("domain", ["", "a b", "-a.example", "a..b", "x" * 300, "acme.example:5060"])
def test_wrong_domains(store: Store, domain: str) -> None:
    with pytest.raises(StoreError, match="domain name"):
        store.add_tenant(domain)


def test_what_is_not_there_or_taken(store: Store) -> None:
    store.add_tenant("Acme.Example", ["alias.example"])
    for act in (
        lambda: store.add_tenant("acme.example"),
        lambda: store.add_tenant("other.example", ["alias.example"]),
        lambda: store.remove_tenant("default"),
        lambda: store.remove_tenant("none.example"),
        lambda: store.set_tenant("acme.example"),
        lambda: store.set_extension(ALICE),
        lambda: store.remove_extension(Aor("default", "999")),
        lambda: store.extensions("none.example"),
    ):
        with pytest.raises(StoreError):
            act()


def test_bindings(store: Store) -> None:
    store.save_bindings({ALICE: (binding("a"), binding("b"))})
    assert sorted(b.contact for b in Store(store.path).bindings()) == ["sip:a@192.0.2.1", "sip:b@192.0.2.1"]
    store.save_bindings({ALICE: (binding("b"),)})
    assert store.bindings() == [binding("b")]
    gone = Aor("default", "999")
    store.save_bindings({ALICE: (), gone: (replace(binding(), aor=gone),)})
    assert store.bindings() == [], "an extension that was removed meanwhile has none"


def test_the_writer(store: Store) -> None:
    writer = StoreWriter(store)
    writer.save_bindings(ALICE, (binding("a"),))
    until = time.monotonic() + 5
    while not store.bindings():
        assert time.monotonic() < until
        time.sleep(0.01)
    for number in range(500):
        writer.save_bindings(ALICE, (binding(f"n{number}"),))
    writer.close()
    assert store.bindings() == [binding("n499")]


@pytest.mark.parametrize("kind", ["text", "foreign", "damaged", "newer", "a folder"])
def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "blfd.db"
    match kind:
        case "text":
            path.write_text("this is no database, it is a letter\n" * 50)
        case "foreign":
            Database(path)["songs"].insert({"title": "x"})  # type: ignore[union-attr]
        case "damaged":
            Store(path).add_extensions("default", [NewExtension(str(n), "x") for n in range(200)])
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
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert "\n" not in str(caught.value)
    assert not path.is_file() or path.read_bytes() == before


WRITES = """
import sys
from pathlib import Path
from blfd.store import NewExtension, Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for n in range(100000):
    store.add_extensions("default", [NewExtension(f"{sys.argv[2]}x{n}", "x")])
"""


def test_kill_9_in_the_middle_of_writes(tmp_path: Path) -> None:
    path = tmp_path / "blfd.db"
    for round_ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITES, str(path), str(round_)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            before, until = len(Store(path).directory().extensions), time.monotonic() + 10
            while len(Store(path).directory().extensions) < before + 5:
                assert time.monotonic() < until
            process.kill()
        found = Store(path).directory().extensions
        assert len(found) >= before + 5
