"""`blfd device` and `blfd provision`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from commands import Run

from blfd.phones import Phones, Place, Wanted
from blfd.store import NewExtension, Store
from blfd.store.devices import Fetch

MAC, BARE = "80:5e:c0:12:34:56", "805ec0123456"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "blfd.db")
    names = {"101": "Alice Ng", "102": "Bob Roy", "103": "Carol [x] Diaz", "104": ""}
    store.add_extensions("default", [NewExtension(e, "x", name) for e, name in names.items()])
    store.add_group("default", "sales", ["101", "103"], ["101", "103"])
    store.add_tenant("acme.example")
    store.add_extensions("acme.example", [NewExtension("201", "x")])
    return store


def add(blfd: Run, mac: str = MAC, keys: str = "102,*98=Group", *more: str, code: int = 0) -> str:
    arguments = ("device", "add", mac, "--model", "yealink/t54w", "--extension", "101", "--keys", keys, *more)
    return blfd(*arguments, code=code).stderr


def explained(blfd: Run, mac: str = MAC) -> dict[str, dict[str, str]]:
    rows = json.loads(blfd("provision", "show", mac, "--explain", "--json").stdout)
    return {row["name"]: row for row in rows}


def test_devices(blfd: Run, store: Store) -> None:
    assert "none; add one with 'blfd device add'" in blfd("device", "list").stdout
    add(blfd)
    (row,) = json.loads(blfd("device", "list", "--json").stdout)
    assert (row["mac"], row["model"], row["extensions"], row["keys"]) == (
        MAC,
        "yealink/t54w",
        ["101"],
        "102,*98=Group",
    )
    assert (row["fetched"], row["state"]) == ("never", "no server runs")
    blfd("device", "set", BARE, "--keys", "103=Carol", "--extension", "102", "--extension", "104")
    shown = json.loads(blfd("device", "show", MAC, "--json").stdout)
    assert (shown["extensions"], shown["keys"], shown["model"]) == (
        ["102", "104"],
        "103=Carol",
        "yealink/t54w",
    )
    line, bob = shown["pages"][0]["keys"][0], shown["pages"][0]["keys"][2]
    assert (line["kind"], line["label"]) == ("line", "Bob Roy")
    assert bob == {"number": 3, "kind": "blf", "label": "Carol", "value": "103"}
    assert "Carol" in blfd("device", "show", MAC).stdout
    blfd("device", "remove", MAC)
    assert json.loads(blfd("device", "list", "--json").stdout) == []
    assert "no device" in blfd("device", "show", MAC, code=1).stderr


def test_a_device_keeps_its_password_and_its_address(blfd: Run, store: Store) -> None:
    add(blfd)
    before = store.devices.get(BARE)
    blfd("device", "set", MAC, "--model", "yealink/t46u")
    after = store.devices.get(BARE)
    assert before
    assert after
    assert (after.password, after.secret, after.model) == (before.password, before.secret, "yealink/t46u")
    assert len({before.password, before.secret}) == 2


def test_a_renewed_device_has_others_and_has_never_fetched(blfd: Run, store: Store) -> None:
    add(blfd)
    store.devices.fetched(BARE, Fetch(1.0, "192.0.2.9", "Yealink"))
    before = store.devices.get(BARE)
    blfd("device", "renew", MAC)
    after = store.devices.get(BARE)
    assert before
    assert after
    assert (after.fetch, after.keys, after.extensions) == (None, before.keys, before.extensions)
    assert not {after.password, after.secret} & {before.password, before.secret}
    assert "no device" in blfd("device", "renew", "80:5e:c0:00:00:09", code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((MAC, "102"), "exists already; 'device set' changes it"),
        (("80:5e", "102"), "'80:5e' is no MAC address"),
        (("80:5e:c0:00:00:01", "109"), "a key watches 109, which does not exist"),
        (("80:5e:c0:00:00:01", "201"), "a key watches 201, which does not exist"),
        (("80:5e:c0:00:00:01", "1 2"), "is no extension and no code"),
        (("80:5e:c0:00:00:01", "team:nobody"), "no group nobody"),
        (("80:5e:c0:00:00:01", "102", "--transport", "tls"), "the server listens on"),
        (("80:5e:c0:00:00:01", "102", "--extension", "109"), "extension 109 does not exist"),
        (("80:5e:c0:00:00:01", ",".join(["102"] * 300)), "has 207 keys, and 301 are wanted"),
    ],
)
def test_what_is_refused(blfd: Run, store: Store, arguments: tuple[str, ...], words: str) -> None:
    add(blfd)
    said = add(blfd, *arguments, code=1)
    assert words in said
    assert len(said.splitlines()) == 1
    assert arguments[0] in said
    assert len(store.devices.all("default")) == 1


def test_an_unknown_model_lists_near_ones(blfd: Run, store: Store) -> None:
    said = blfd("device", "add", MAC, "--model", "yealink/t54", "--extension", "101", code=1).stderr
    assert "no phone 'yealink/t54' is known; near it: yealink/t54w" in said
    assert "yealink/t54w" in blfd("provision", "models").stdout


def test_a_team_is_everybody_else(blfd: Run, store: Store) -> None:
    add(blfd, MAC, "team")
    found = explained(blfd)
    assert [found[f"linekey.{key}.value"]["value"] for key in (2, 3, 4)] == ["102", "103", "104"]
    assert found["linekey.3.label"]["value"] == "Carol [x] Diaz"
    blfd("device", "set", MAC, "--keys", "team:sales")
    found = explained(blfd)
    assert (found["linekey.2.value"]["value"], found["linekey.3.type"]["value"]) == ("103", "0")


@pytest.mark.parametrize("keys", ["team", "team:sales", "102,*98=Group,104", "103=Carol", ""])
@pytest.mark.parametrize("extensions", [("101",), ("104", "103")])
def test_what_is_read_for_one_phone_is_enough(store: Store, keys: str, extensions: tuple[str, ...]) -> None:
    phones = Phones(store, lambda: Place("192.0.2.5", {"udp": 5060}, ""))
    phones.add("default", [Wanted(MAC, "yealink/t54w", extensions, keys)])
    row = phones.get("default", MAC)
    assert phones.device(row) == phones.device(row, store.names("default"))


def test_a_team_beyond_the_keys(store: Store) -> None:
    store.add_extensions("default", [NewExtension(str(n), "x", f"N {n}") for n in range(1000, 1400)])
    phones = Phones(store, lambda: Place("192.0.2.5", {"udp": 5060}, ""))
    phones.add("default", [Wanted(MAC, "yealink/t54w", ("1000", "104"), "team")])
    row = phones.get("default", MAC)
    assert phones.device(row) == phones.device(row, store.names("default"))


def test_overrides_and_where_they_come_from(blfd: Run, store: Store) -> None:
    add(blfd)
    for scope, value in (("*", "all"), ("yealink", "vendor"), ("yealink/t54w", "model"), (MAC, "device")):
        blfd("provision", "set", scope, "account.1.label", value)
        assert explained(blfd)["account.1.label"]["value"] == value
    assert explained(blfd)["account.1.label"]["origin"] == "this device"
    assert explained(blfd)["account.1.user_name"]["origin"] == "blfd"
    blfd("provision", "set", "polycom", "account.1.label", "not mine")
    blfd("provision", "unset", MAC, "account.1.label")
    assert explained(blfd)["account.1.label"] == {
        "name": "account.1.label",
        "value": "model",
        "origin": "model yealink/t54w",
    }
    blfd("provision", "set", "yealink", "features.blf.show_callinfo.enable")
    assert "features.blf.show_callinfo.enable" not in explained(blfd)
    assert "nothing is set" in blfd("provision", "unset", MAC, "account.1.label", code=1).stderr
    assert "scope 'siemens'" in blfd("provision", "set", "siemens", "x", "y", code=1).stderr


def test_files_are_shown_and_written(blfd: Run, store: Store, tmp_path: Path) -> None:
    add(blfd)
    assert f"{BARE}.cfg" in blfd("provision", "show", MAC).stdout
    folder = tmp_path / "files"
    blfd("provision", "write", str(folder))
    assert {path.name for path in folder.iterdir()} == {f"{BARE}.cfg", "y000000000096.cfg"}
    assert stat.S_IMODE((folder / f"{BARE}.cfg").stat().st_mode) == 0o600, "it holds a password"


def test_import(blfd: Run, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "phones.csv"
    file.write_text(
        f'mac,model,extensions,keys\n{MAC},t54w,101,"102,103=Carol"\n80:5e:c0:00:00:02,snom/d785,"102,104",team\n'
    )
    assert "2 devices added" in blfd("device", "import", str(file)).stdout
    assert [row.keys for row in store.devices.all("default")] == ["team", "102,103=Carol"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("mac,model\n", "the first line has to be mac,model,extensions,keys"),
        (f"mac,model,extensions,keys\n{MAC},t54w,101\n", "line 2: 4 values are needed"),
        (f"mac,model,extensions,keys\n{MAC},t54w,101,\n{MAC},t54w,101,\n", "line 3: device"),
        (
            f"mac,model,extensions,keys\n{MAC},t54w,101,\n80:5e:c0:00:00:02,t54,101,\n",
            "line 3: device 80:5e:c0:00:00:02",
        ),
    ],
)
def test_an_import_is_all_or_nothing(blfd: Run, store: Store, tmp_path: Path, lines: str, words: str) -> None:
    file = tmp_path / "phones.csv"
    file.write_text(lines)
    assert words in blfd("device", "import", str(file), code=1).stderr
    assert store.devices.all("default") == []


def test_another_tenants_device_is_none_here(blfd: Run, store: Store) -> None:
    add(blfd)
    assert "no device" in blfd("--tenant", "acme.example", "device", "show", MAC, code=1).stderr
    assert "no device" in blfd("--tenant", "acme.example", "device", "remove", MAC, code=1).stderr
    said = blfd(
        "--tenant", "acme.example", "device", "add", MAC, "--model", "t54w", "--extension", "201", code=1
    )
    assert "exists already" in said.stderr
