"""The commands of `blfd group`, `pickups` and `explain`, and who may pick up."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from commands import Answering, Run

from blfd.core.calls.attempts import Attempt, Way
from blfd.core.values import Aor
from blfd.store import NewExtension, Store

CAROL = Aor("default", "103")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "blfd.db")
    names = {"101": "Alice Ng", "102": "Bob Roy", "103": "Carol [x] Diaz"}
    store.extensions.add("default", [NewExtension(e, "x", name) for e, name in names.items()])
    return store


def test_groups(blfd: Run, store: Store, server: Answering) -> None:
    assert "none; add one with 'blfd group add'" in blfd("group", "list").stdout
    blfd("group", "add", "sales", "101", "102", "103")
    blfd("group", "add", "doors", "--targets", "101,102", "--pickers", "103")
    assert server.calls == ["reload"] * 2
    everybody = ["101", "102", "103"]
    assert json.loads(blfd("group", "list", "--json").stdout) == [
        {"name": "doors", "tenant": "default", "pickers": ["103"], "targets": ["101", "102"]},
        {"name": "sales", "tenant": "default", "pickers": everybody, "targets": everybody},
    ]
    shown = blfd("group", "show", "doors").stdout
    assert "Carol [x] Diaz" in shown
    blfd("group", "set", "sales", "101", "--targets", "102")
    changed = json.loads(blfd("group", "show", "sales", "--json").stdout)
    assert (changed["pickers"], changed["targets"]) == (["101"], ["101", "102"])
    blfd("group", "set", "doors", "--add", "103", "--remove", "101")
    changed = json.loads(blfd("group", "show", "doors", "--json").stdout)
    assert (changed["pickers"], changed["targets"]) == (["103"], ["102", "103"])
    blfd("group", "set", "sales", "--pickers", "")
    assert "is empty and opens nothing" in blfd("group", "show", "sales").stdout
    blfd("group", "remove", "sales", "--yes")
    assert "sales" not in blfd("group", "list").stdout
    blfd("extension", "remove", "103", "--yes")
    assert json.loads(blfd("group", "show", "doors", "--json").stdout)["pickers"] == []


def test_who_may_pick_up(blfd: Run, store: Store, server: Answering) -> None:
    blfd("extension", "set", "101", "--pickup", "groups", "--pickable", "off")
    (row, *_) = json.loads(blfd("extension", "list", "--json").stdout)
    assert (row["pickup"], row["pickable"]) == ("groups", "off")
    blfd("extension", "set", "101", "--pickup", "default", "--pickable", "on")
    shown = json.loads(blfd("extension", "show", "101", "--json").stdout)
    assert (shown["pickup"], shown["pickable"]) == ("default", "on")
    assert "False" not in blfd("extension", "show", "101").stdout
    blfd("tenant", "set", "--pickup", "off", "--pickable", "off", "--pickup-code", "*8")
    (tenant,) = json.loads(blfd("tenant", "list", "--json").stdout)
    assert (tenant["pickup"], tenant["pickable"], tenant["pickup_code"]) == ("off", False, "*8")
    assert server.calls == ["reload"] * 3


def test_pickups(blfd: Run, store: Store) -> None:
    assert "nobody has tried" in blfd("pickups").stdout
    now = time.time()
    old = Attempt(now - 7200, CAROL, Way.GROUP, "", "", 480, "Nothing rings at your groups", 0.125)
    new = Attempt(now, CAROL, Way.DIRECTED, "102", "101", 200, "picked up", 0.75)
    store.records.save({}, [old, new], {}, {}, {})
    rows = json.loads(blfd("pickups", "--json").stdout)
    assert [row["status"] for row in rows] == [480, 200], "the newest last"
    assert (
        rows[1].items()
        >= {
            "picker": "103",
            "tenant": "default",
            "way": "directed",
            "extension": "102",
            "caller": "101",
            "result": "picked up",
            "milliseconds": 0.75,
        }.items()
    )
    assert rows[1]["at"].endswith("+00:00")
    assert len(json.loads(blfd("pickups", "--since", "1h", "--json").stdout)) == 1
    assert len(json.loads(blfd("pickups", "--since", "2026-01-01", "--json").stdout)) == 2
    (failed,) = json.loads(blfd("pickups", "--filter", "way=group", "--json").stdout)
    assert failed["status"] == 480
    by_status = json.loads(blfd("pickups", "--sort", "status", "--limit", "1", "--json").stdout)
    assert [row["status"] for row in by_status] == [200]
    shown = blfd("pickups").stdout
    assert all(word in shown for word in ("103", "directed", "101", "200", "picked up", "0.8"))
    store.tenants.add("acme.example")
    assert json.loads(blfd("--tenant", "acme.example", "pickups", "--json").stdout) == []


def test_explain(blfd: Run, store: Store, server: Answering) -> None:
    dialog = {"lamp": "ringing", "since": 5.0, "direction": "recipient", "remote": "101"}
    server.answers["explain"] = {
        "extension": "102",
        "name": "Bob [x] Roy",
        "lamp": "ringing",
        "phones": 2,
        "dialogs": [{**dialog, "remote_name": "Alice Ng", "call_id": "c7"}],
        "why_idle": "",
        "watchers": [
            {
                "watcher": "105",
                "told": "ringing",
                "told_ago": 3.0,
                "confirmed": "not yet",
                "may_pick_up": False,
                "source": "udp:192.0.2.9:5060",
            }
        ],
        "pickers": [{"picker": "103", "ways": ["*97102", "*98"]}],
        "why_nobody": "",
        "forwarded": "no answer for 20 s: 105",
        "owner": "local",
        "published": [],
        "upstream": None,
    }
    shown = blfd("explain", "102").stdout
    for part in (
        "Bob [x] Roy: ringing; 2 phone(s)",
        "called by 101 Alice Ng",
        "c7",
        "105",
        "not yet",
        "no answer for 20 s",
    ):
        assert part in shown
    assert "*97102, *98" in shown
    assert json.loads(blfd("explain", "102", "--json").stdout) == server.answers["explain"]
    nothing = {"dialogs": [], "watchers": [], "pickers": [], "forwarded": ""}
    why = {"why_idle": "it had none since the server started", "why_nobody": "nothing rings there"}
    server.answers["explain"] = {**server.answers["explain"], **nothing, **why, "lamp": "idle"}
    assert blfd("explain", "102").stdout.splitlines()[1:] == [
        "Its dialogs: none; it had none since the server started",
        "Who watches: nobody; no phone has a key for it",
        "Who could pick up now: nobody; nothing rings there",
    ]
    watch = {"upstream": "pbx", "server": "udp:192.0.2.7:5060", "known": True, "told_ago": 61.0}
    for more, words in (
        ({"expires": 300, "error": ""}, "told 1:01 ago, for 300 s more"),
        ({"expires": None, "error": "no answer"}, "told 1:01 ago; since then: no answer"),
        ({"known": False, "expires": None, "error": ""}, "and unknown: it has not told anything yet"),
        ({"known": False, "expires": None, "error": "404 No"}, "and unknown: 404 No"),
    ):
        server.answers["explain"] = {**server.answers["explain"], "upstream": {**watch, **more}}
        assert f"of upstream pbx (udp:192.0.2.7:5060), {words}" in blfd("explain", "102").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("group", "add", "sales", "101", "999"), 1, "no extension 999; 'blfd extension list' shows them"),
        (("group", "add", "", "101"), 1, "letters, digits, spaces"),
        (("group", "add", "a/b", "101"), 1, "letters, digits, spaces"),
        (
            ("group", "add", "doors", "101"),
            1,
            "group doors exists already; 'blfd group set doors' changes it",
        ),
        (("group", "set", "none", "101"), 1, "no group none"),
        (("group", "set", "doors"), 1, "who is to be in doors?"),
        (("group", "set", "doors", "101", "--add", "102"), 2, "which of the two?"),
        (("group", "set", "doors", "--remove", "102,103,999"), 1, "group doors: 103, 999 are not in it"),
        (("group", "set", "doors", "--add", "101", "--remove", "101"), 1, "101: to be added, or removed?"),
        (("group", "set", "doors", "--add", "999"), 1, "no extension 999"),
        (("group", "show", "none"), 1, "no group none; 'blfd group list' shows them"),
        (("group", "remove", "none"), 1, "no group none"),
        (("--tenant", "none.example", "group", "list"), 1, "no tenant none.example"),
        (("extension", "set", "101", "--pickup", "some"), 2, "'on', 'off', 'groups', 'default'"),
        (("extension", "set", "101", "--pickable", "groups"), 2, "'on', 'off', 'default'"),
        (("extension", "set", "101"), 1, "'blfd extension set --help' shows what there is"),
        (("extension", "set", "101", "--forward-always", "999"), 1, "'999', which is no extension here"),
        (("extension", "set", "101", "--forward-busy", "sip:102@x"), 1, "which is no extension here"),
        (("extension", "set", "101", "--forward-busy", "101"), 1, "cannot be forwarded to itself"),
        (("extension", "set", "101", "--forward-after", "0"), 1, "can ring for 1 to 300 s"),
        (("extension", "set", "101", "--dnd", "maybe"), 2, "'on', 'off'"),
        (("tenant", "set", "--dnd-lamp", "red"), 2, "'busy', 'idle'"),
        (("tenant", "set", "--redirect", "none"), 2, "'all', 'phone'"),
        (("tenant", "set", "--pickup-code", ""), 1, "* or #, then 1 to 7 digits"),
        (("tenant", "set", "--pickup-code", "97"), 1, "* or #, then 1 to 7 digits"),
        (("tenant", "set", "--group-pickup-code", "*9"), 1, "neither may begin with the other"),
        (("tenant", "set", "--group-pickup-code", "*97"), 1, "neither may begin with the other"),
        (("tenant", "set", "--pickup-code", "*7"), 1, "'--star-code dnd=' does without *78"),
        (("tenant", "set", "--star-code", "dnd=*98"), 1, "codes *98 and *98: neither may begin"),
        (("tenant", "set", "--star-code", "dnd=78"), 1, "dnd code '78': * or #, then"),
        (("tenant", "set", "--star-code", "nap=*55"), 1, "no star code is named 'nap'"),
        (("tenant", "set", "--star-code", "*55"), 2, "it is NAME=CODE"),
        (("pickups", "--since", "yesterday"), 2, "write 30m, 8h, 7d, or a time"),
        (("--tenant", "none.example", "pickups"), 1, "no tenant none.example"),
        (("explain", "999"), 1, "no extension 999"),
        (("explain", "101"), 3, "start one with 'blfd run'"),
    ],
)
def test_wrong_input(blfd: Run, store: Store, arguments: tuple[str, ...], code: int, words: str) -> None:
    store.groups.add("default", "doors", ["101"], ["102"])
    before = store.directory()
    assert words in blfd(*arguments, code=code).stderr
    assert store.directory() == before, "nothing half-written"


def test_trunks_and_upstreams_are_explained(blfd: Run, store: Store, server: Answering) -> None:
    blfd("trunk", "add", "carrier", "--server", "192.0.2.7")
    found = {
        "kind": "trunk",
        "name": "carrier",
        "lamp": "idle",
        "state": "not registered: 403 Forbidden",
        "usable": False,
        "calls": 0,
        "server": "udp:192.0.2.7:5060",
        "error": "403 Forbidden",
        "failures": 3,
        "next": 40,
        "advice": "look at 'blfd trunk show carrier'",
    }
    server.answers["explain"] = found
    assert blfd("explain", "trunk+carrier").stdout.splitlines() == [
        "trunk carrier: not registered: 403 Forbidden; its lamp: idle, 0 calls",
        "Last tried: udp:192.0.2.7:5060: 403 Forbidden, 3 times in a row",
        "Tried again in 40 s",
        "What to do: look at 'blfd trunk show carrier'",
    ]
    assert json.loads(blfd("explain", "trunk+carrier", "--json").stdout) == found
    assert "no trunk other; 'blfd trunk list'" in blfd("explain", "trunk+other", code=1).stderr
    assert "no upstream pbx; 'blfd upstream list'" in blfd("explain", "upstream+pbx", code=1).stderr
