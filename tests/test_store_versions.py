"""Databases of earlier versions of blfd, the upgrade of each, and the way back."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from sqlite_utils.db import Database
from stored import ALICE, binding, call, subscription

from blfd.core.directory import Reach, StarCodes
from blfd.core.values import NameAddr
from blfd.store import NewExtension, Store, StoreError, backups, legs
from blfd.store.migrations import migrations
from blfd.store.opening import APPLICATION_ID

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
