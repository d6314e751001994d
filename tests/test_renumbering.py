"""What names an extension in what is stored: it goes along with another number, or a removal tells of it.

Each place is in the tables here: a column, or a field of a trunk or upstream, that is new fails the test
until it is said whether it names extensions, and then until renumbering and removal know it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from blfd.control import ControlClient, NotRunning, socket_path
from blfd.core.calls.attempts import Attempt, Way
from blfd.core.values import Aor, Binding, Flow
from blfd.devices.phones import Phones
from blfd.devices.values import Place, Wanted
from blfd.operations import (
    Desk,
    devices,
    extensions,
    groups,
    mentions,
    overrides,
    renumbering,
    routes,
    tenants,
    trunks,
    upstreams,
)
from blfd.operations.sentences import sentence
from blfd.store import Conflict, Exists, NewExtension, NotFound, Store, StoreError, rows
from blfd.store.kept import binding_row
from blfd.store.trunks import OF_ROUTE, OF_TRUNK
from blfd.store.upstreams import OF_UPSTREAM

OLD, NEW = "4711", "5822"
OWN, KEYS, TEAM = "80:5e:c0:00:00:01", "80:5e:c0:00:00:02", "80:5e:c0:00:00:03"
PLACE = Place("192.0.2.5", {"udp": 5060, "tcp": 5060}, "http://192.0.2.5:8080")
PASSWORD = "s3cret"

NAMING = {  # the columns that name extensions, of what an administrator sets
    "extensions": {
        "extension",
        "forward_always",
        "forward_busy",
        "forward_no_answer",
        "forward_unregistered",
    },
    "group_members": {"extension"},
    "devices": {"keys"},
    "device_extensions": {"extension"},
    "device_settings": {"value"},
    "trunks": {"settings"},
    "upstreams": {"settings"},
}
FIELDS = {"trunks": {"dids", "default", "caller_ids"}, "upstreams": {"extensions"}, "routes": set[str]()}
SET = {  # how many columns each table has whose rows an administrator sets
    "tenants": 14,
    "extensions": 16,
    "groups": 2,
    "group_members": 5,
    "devices": 13,
    "device_extensions": 4,
    "device_settings": 4,
    "site_settings": 3,
    "provisioning_templates": 2,
    "trunks": 4,
    "routes": 3,
    "upstreams": 4,
    "admins": 4,
    "tokens": 6,
}
HISTORY = {"pickups", "audit", "audit_parts"}
SERVERS = {"legs", "subscriptions", "publications"}  # the server ends them, as those of a removed extension
NO_NAMES = {"_sqlite_migrations", "sessions", "secrets"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "blfd.db")


@pytest.fixture
def desk(store: Store) -> Desk:
    """A site where all that can name OLD does."""
    desk = Desk(store, ControlClient(socket_path(store.path)), Phones(store, lambda: PLACE), "me")
    store.extensions.add(
        "default", [NewExtension(number, "x") for number in (OLD, "101", "102", "103", "104")]
    )
    tenants.add(desk, "acme.example")
    store.extensions.add("acme.example", [NewExtension(OLD, "x"), NewExtension("101", "x")])
    groups.add(desk, "default", "sales", [OLD, "101"], ["102", OLD])
    for at, when in enumerate(("always", "busy", "no_answer", "unregistered")):
        forwarding = {f"forward_{when}": OLD}
        extensions.change(desk, "default", f"10{1 + at}", forwarding=forwarding)
    extensions.change(desk, "default", OLD, name="Alice", pickup="off", forwarding={"forward_busy": "104"})
    keys = f"{OLD}=Alice,101,*97{OLD},*72{OLD}=To Alice,*97101,line:1"
    devices.add(desk, "default", Wanted(OWN, "yealink/t54w", (OLD, "101"), "102"))
    devices.add(desk, "default", Wanted(KEYS, "snom/d785", ("102",), keys))
    devices.add(desk, "default", Wanted(TEAM, "yealink/t54w", ("103",), "team:sales"))
    overrides.set(desk, "default", KEYS.replace(":", ""), "user_mailbox1", OLD)
    said: dict[str, Any] = {
        "servers": ["192.0.2.7"],
        "default": OLD,
        "dids": [f"+49301={OLD}", "+4930247xx=47xx"],
    }
    trunks.add(desk, "default", "carrier", {**said, "caller_ids": [f"{OLD}=+49301", "47xx=+4930247xx"]})
    upstreams.add(desk, "default", "pbx", {"servers": ["192.0.2.8"], "extensions": ["101", OLD]})
    return desk


def cells(store: Store, number: str, tenant: str = "default") -> set[tuple[str, str]]:
    """The columns, by table, that have a number of the tenant."""
    word = re.compile(rf"(^|[^0-9A-Za-z]|\*97|\*72){number}(?![0-9A-Za-z])")  # not in a secret
    found = set[tuple[str, str]]()
    for table in tables(store):
        for row in rows.all_of(store._connections.connection, table):
            if row.get("tenant", tenant) == tenant:
                found |= {(table, column) for column, value in row.items() if word.search(str(value))}
    return found


def tables(store: Store) -> list[str]:
    named = store._connections.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return [name for (name,) in named if not name.startswith("sqlite_")]


def test_the_tables_here_are_whole(store: Store, desk: Desk) -> None:
    known = {*SET, *HISTORY, *SERVERS, *NO_NAMES, "bindings"}
    assert {*tables(store)} == known
    connection = store._connections.connection
    assert {name: len([*connection.execute(f"PRAGMA table_info({name})")]) for name in SET} == SET
    assert {(table, column) for table, columns in NAMING.items() for column in columns} == {
        found for found in cells(store, OLD) if found[0] not in HISTORY
    }, "each of them names the extension at the site that these tests use"
    others = {
        "password",
        "servers",
        "transport",
        "domain",
        "outbound_proxy",
        "username",
        "auth_name",
        "realm",
    }
    others |= {"retry", "retry_forbidden", "ping", "enabled", "sources"}
    of_trunks = {"mode", "expires", "line", "certificate", "did_source", "country", "area", "caller_id"}
    of_trunks |= {"caller_id_in", "codecs", "max_calls", "replaces", "pickup_code"}
    assert OF_TRUNK.keys() == others | of_trunks | FIELDS["trunks"]
    assert OF_UPSTREAM.keys() == others | {"interval", "rate", "list_uri"} | FIELDS["upstreams"]
    assert OF_ROUTE.keys() == {"trunks", "strip", "prefix", "caller_id", "emergency"} | FIELDS["routes"]


def test_all_that_names_an_extension_goes_along(store: Store, desk: Desk) -> None:
    elsewhere = cells(store, OLD, "acme.example")
    named = {table: columns for table, columns in cells(store, OLD) if table not in HISTORY}
    before = extensions.get(desk, "default", OLD)
    done = renumbering.renumber(desk, "default", OLD, NEW, PASSWORD)
    assert done.row == {**before, "extension": NEW}
    assert {found for found in cells(store, OLD) if found[0] not in HISTORY} == {("device_settings", "value")}
    assert named.keys() - {"device_settings"} == {table for table, _ in cells(store, NEW)} - HISTORY
    assert cells(store, OLD, "acme.example") == elsewhere, "another tenant has nothing to do with it"
    assert groups.get(desk, "default", "sales")["pickers"] == ["101", NEW]
    assert groups.get(desk, "default", "sales")["targets"] == ["102", NEW]
    assert devices.get(desk, "default", OWN)["extensions"] == [NEW, "101"]
    keys = f"{NEW}=Alice,101,*97{NEW},*72{NEW}=To Alice,*97101,line:1"
    assert devices.get(desk, "default", KEYS)["keys"] == keys
    trunk = trunks.get(desk, "default", "carrier")
    assert trunk["dids"] == [f"+49301={NEW}", "+4930247xx=47xx"]
    assert (trunk["default"], trunk["caller_ids"]) == (NEW, [f"{NEW}=+49301", "47xx=+4930247xx"])
    assert upstreams.get(desk, "default", "pbx")["extensions"] == ["101", NEW]
    found = store.directory().extensions[Aor("default", NEW)]
    wanted = rows.by_algorithm(rows.ha1(NEW, store.tenants.get("default").realm, PASSWORD))
    assert found.ha1 == wanted, "the hash has the number in it"
    assert len(found.device_ha1s) == 1, "its phone has a password of its own, which stays"
    assert not [*store._connections.connection.execute("PRAGMA foreign_key_check")]
    assert done.devices == [OWN, KEYS, TEAM]
    told = " ".join(done.notes)
    for words in (
        f"It is a line of {OWN}",
        "Group sales has it by its new number.",
        "Calls of 101, 102, 103 and 1 more are forwarded to it as before.",
        "Numbers of trunk carrier lead to it as before.",
        "Trunk carrier goes by digits: +4930247xx=47xx stays.",
        "Trunk carrier goes by digits: 47xx=+4930247xx stays.",
        "Upstream pbx is asked for the new number",
        "stays; look whether it means this extension.",
    ):
        assert words in told
    change = store.audit.changes("default")[0]
    assert sentence(change) == f"gave extension {OLD} the number {NEW}"
    assert change.after
    assert (change.after["along"], change.after["password"]) == (done.notes, "changed")
    back = renumbering.renumber(desk, "default", NEW, OLD, PASSWORD)
    assert back.row == before


@pytest.mark.parametrize("many", [False, True])
def test_a_removal_tells_of_all_that_names_an_extension(store: Store, desk: Desk, many: bool) -> None:
    those = {OLD}
    loss = extensions.loss_of_many(desk, "default", [OLD]) if many else extensions.loss(desk, "default", OLD)
    for name, mention in mentions.MENTIONS.items():
        who = mention.by(desk, "default", those)
        assert who, f"nobody at this site names it in {name}"
        assert mention.by(desk, "default", {"999"}) == []
        assert mention.lost(who, not many).rstrip(".").lower() in loss.text.lower()
        assert mention.along(who)
    extensions.remove(desk, "default", OLD)
    left = {found for found in cells(store, OLD) if found[0] not in HISTORY}
    assert left == {(name, "settings") for name in ("trunks", "upstreams")} | {
        ("devices", "keys"),
        ("device_settings", "value"),
    }, "what still names it is what the loss has told of"


def test_where_it_was_is_forgotten_and_what_was_stays(store: Store, desk: Desk) -> None:
    aor = Aor("default", OLD)
    flow = Flow("udp", "192.0.2.9", 5060, 0)
    binding = Binding(aor, f"sip:{OLD}@192.0.2.9", flow, "c", 1, 9e9, 1.0, "", (), "")
    connection = store._connections.connection
    with store.writing() as db:
        row = binding_row(binding)
        db.execute(f"INSERT INTO bindings VALUES ({', '.join('?' * len(row))})", row)
        attempt = rows.attempt_row(Attempt(1.0, aor, Way.DIRECTED, OLD, "102", 200, "", 1.0))
        db.table("pickups").insert(attempt)
    renumbering.renumber(desk, "default", OLD, NEW, PASSWORD)
    assert not [*connection.execute("SELECT * FROM bindings")]
    assert [*connection.execute("SELECT picker, extension FROM pickups")] == [(OLD, OLD)]


@pytest.mark.parametrize(
    ("new", "kind", "words"),
    [
        ("101", Exists, "extension 101 exists already"),
        (OLD, Exists, f"extension {OLD} exists already"),
        ("*97", StoreError, "extension '\\*97': letters, digits"),
        ("", StoreError, "extension '': letters, digits"),
        ("a b", StoreError, "letters, digits"),
        ("9" * 65, StoreError, "64 at most"),
        ("112", StoreError, "112 is an emergency number"),
        ("gateway", StoreError, "trunk peer registers as gateway"),
        ("x1", StoreError, "x in x1 is any digit"),
        ("0170", StoreError, "cannot be forwarded to itself"),
        ("0171", StoreError, "in a circle: 0171 to 103 to 0171"),
        ("201", StoreError, "upstream pbx: 201 is of upstream other as well"),
    ],
)
def test_a_number_that_cannot_be_is_refused_and_nothing_changed(
    store: Store, desk: Desk, new: str, kind: type[StoreError], words: str
) -> None:
    peer = {"mode": "peer-registers", "username": "gateway", "password": "s3cret"}
    trunks.add(desk, "default", "peer", peer)
    upstreams.add(desk, "default", "other", {"servers": ["192.0.2.9"], "extensions": ["201"]})
    routes.add(desk, "default", "0.", {"trunks": ["carrier"]})
    routes.add(desk, "default", "112", {"trunks": ["carrier"], "emergency": True})
    forwarding = {"forward_no_answer": "0170", "forward_always": "103"}
    extensions.change(desk, "default", OLD, forwarding=forwarding)
    extensions.change(desk, "default", "103", forwarding={"forward_always": "0171", "forward_no_answer": ""})
    before = [*store._connections.connection.iterdump()]
    with pytest.raises(kind, match=words):
        renumbering.renumber(desk, "default", OLD, new, PASSWORD)
    assert [*store._connections.connection.iterdump()] == before


def test_what_else_is_refused(store: Store, desk: Desk) -> None:
    before = [*store._connections.connection.iterdump()]
    for password in ("", "a\nb"):
        with pytest.raises(StoreError, match="password"):
            renumbering.renumber(desk, "default", OLD, NEW, password)
    with pytest.raises(NotFound, match="no extension 999"):
        renumbering.renumber(desk, "default", "999", NEW, PASSWORD)
    with pytest.raises(Conflict, match="changed by somebody else"):
        renumbering.renumber(desk, "default", OLD, NEW, PASSWORD, expected="stale")
    assert [*store._connections.connection.iterdump()] == before


def test_an_emergency_number_is_given_by_force(desk: Desk) -> None:
    routes.add(desk, "default", "112", {"trunks": ["carrier"], "emergency": True})
    done = renumbering.renumber(desk, "default", OLD, "112", PASSWORD, force=True)
    assert done.row["extension"] == "112"


def test_phones_are_told_while_they_are_registered(store: Store, desk: Desk) -> None:
    """The server forgets by `reload` where the old number is registered: only before can a phone be told."""
    client = Mock(spec=ControlClient)
    client.call.side_effect = lambda name, **given: len(given["extensions"]) if name == "sync" else {}
    done = renumbering.renumber(Desk(store, client, desk.phones, "me"), "default", OLD, NEW, PASSWORD)
    called = [(call.args[0], call.kwargs.get("extensions")) for call in client.call.call_args_list]
    synced = [extension for name, extensions in called if name == "sync" for extension in extensions]
    assert called[-1] == ("reload", None)
    assert sorted(synced) == ["101", "102", "103", OLD]
    assert done.told == len(synced)
    client.call.side_effect = NotRunning("none runs")
    again = renumbering.renumber(Desk(store, client, desk.phones, "me"), "default", NEW, OLD, PASSWORD)
    assert again.told == 0


def test_a_phone_that_is_broken_keeps_nobody_from_another_number(store: Store, desk: Desk) -> None:
    with store.writing() as db:
        db.table("devices").update("805ec0000001", {"model": "yealink/nobody"})
        db.table("devices").update("805ec0000003", {"keys": "(,"})
    assert renumbering.renumber(desk, "default", OLD, NEW, PASSWORD).row["extension"] == NEW
    assert devices.get(desk, "default", OWN)["extensions"] == [NEW, "101"]
