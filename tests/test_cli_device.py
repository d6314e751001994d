"""The commands of `blfd device` and `blfd provision`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from commands import Run

from blfd.devices.phones import Phones
from blfd.devices.values import Place, Wanted
from blfd.store import NewExtension, Store
from blfd.store.devices import Fetch

MAC, BARE = "80:5e:c0:12:34:56", "805ec0123456"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "blfd.db")
    names = {"101": "Alice Ng", "102": "Bob Roy", "103": "Carol [x] Diaz", "104": ""}
    store.extensions.add("default", [NewExtension(e, "x", name) for e, name in names.items()])
    store.groups.add("default", "sales", ["101", "103"], ["101", "103"])
    store.tenants.add("acme.example")
    store.extensions.add("acme.example", [NewExtension("201", "x")])
    return store


def add(blfd: Run, mac: str = MAC, keys: str = "102,*98=Group", *more: str, code: int = 0) -> str:
    arguments = ("device", "add", mac, "--model", "yealink/t54w", "--extension", "101", "--keys", keys, *more)
    return blfd(*arguments, code=code).stderr


def explained(blfd: Run, mac: str = MAC) -> dict[str, dict[str, str]]:
    found = json.loads(blfd("provision", "show", mac, "--explain", "--json").stdout)
    return {row["name"]: row for row in found["settings"]}


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
    blfd("device", "remove", MAC, "--yes")
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
    blfd("device", "renew", MAC, "--yes")
    after = store.devices.get(BARE)
    assert before
    assert after
    assert (after.fetch, after.keys, after.extensions) == (None, before.keys, before.extensions)
    assert not {after.password, after.secret} & {before.password, before.secret}
    assert "no device" in blfd("device", "renew", "80:5e:c0:00:00:09", code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((MAC, "102"), "exists already; 'blfd device set 805ec0123456' changes it"),
        (("80:5e", "102"), "'80:5e' is no MAC address"),
        (("80:5e:c0:00:00:01", "109"), "a key watches 109, which does not exist"),
        (("80:5e:c0:00:00:01", "201"), "a key watches 201, which does not exist"),
        (("80:5e:c0:00:00:01", "1 2"), "is no extension and no code"),
        (("80:5e:c0:00:00:01", "team:nobody"), "no group nobody"),
        (("80:5e:c0:00:00:01", "line:2"), "a key is for line 2, and it has 1"),
        (("80:5e:c0:00:00:01", "list:a@x,list:b@x"), "all its list keys have to be for one list"),
        (("80:5e:c0:00:00:01", "102", "--transport", "tls"), "the server listens on"),
        (("80:5e:c0:00:00:01", "102", "--extension", "109"), "extension 109 does not exist"),
        (("80:5e:c0:00:00:01", ",".join(["102"] * 300)), "has 27 keys, and 301 are wanted"),
        (("80:5e:c0:00:00:01", ",".join(["102"] * 90)), "with --modules 2 it would have 147"),
        (("80:5e:c0:00:00:01", "102", "--modules", "4"), "takes 3 modules at most, not 4"),
    ],
)
def test_what_is_refused(blfd: Run, store: Store, arguments: tuple[str, ...], words: str) -> None:
    add(blfd)
    said = add(blfd, *arguments, code=1)
    assert words in said
    assert len(said.splitlines()) == 1
    assert arguments[0] in said
    assert len(store.devices.all("default")) == 1


def test_a_key_of_who_has_left_keeps_nobody_from_changing_a_phone(
    blfd: Run, store: Store, tmp_path: Path
) -> None:
    add(blfd, MAC, "102,103")
    blfd("extension", "remove", "102", "--yes")
    blfd("device", "set", MAC, "--extension", "104", "--modules", "1")
    blfd("device", "set", MAC, "--keys", "103,102,101")
    path = tmp_path / "phones.csv"
    path.write_text(f"mac,model,transport\n{MAC},yealink/t46u,tcp\n")
    blfd("device", "import", str(path), "--update")
    row = store.devices.get(BARE)
    assert row
    assert (row.extensions, row.keys, row.model, row.transport) == (
        ("104",),
        "103,102,101",
        "yealink/t46u",
        "tcp",
    )
    blfd("device", "set", MAC, "--keys", "103,101")
    said = blfd("device", "set", MAC, "--keys", "103,102", code=1).stderr
    assert "a key watches 102, which does not exist" in said


def test_a_key_of_who_has_left_is_marked(blfd: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLFD_LISTEN", "udp:127.0.0.1:0")
    add(blfd, MAC, "102,103,104,*98=Group")
    add(blfd, "80:5e:c0:00:00:02", "team")

    def said() -> list[str]:
        found = json.loads(blfd("doctor", "--json", lines=0).stdout)
        return [each["what"] for each in found if "keys of" in each["what"]]

    assert said() == []
    blfd("extension", "remove", "102", "--yes")
    assert said() == [f"keys of {MAC} watch 102, which does not exist"]
    assert json.loads(blfd("device", "show", MAC, "--json").stdout)["missing"] == ["102"]
    shown = blfd("device", "show", MAC).stdout
    assert "102 (does not exist)" in shown
    assert shown.count("(does not exist)") == 1
    blfd("extension", "remove", "104", "--yes")
    assert said() == [f"keys of {MAC} watch 102, 104, which do not exist"]


def test_a_phone_without_an_extension_says_so_once(blfd: Run, store: Store) -> None:
    add(blfd, BARE, "102")
    blfd("extension", "remove", "101", "--yes")
    (row,) = (
        Phones(store, lambda: Place("192.0.2.1", {"udp": 5060}, ""))
        .watched(store.devices.all("default"))
        .values()
    )
    assert row == "gets no files: it has no extension"


def test_a_mac_is_written_alike_however_it_is_typed(blfd: Run, store: Store) -> None:
    typed = ("device", "add", BARE.upper(), "--model", "yealink/t54w", "--extension", "101")
    assert f"device {MAC} added" in blfd(*typed).stdout
    assert f"device {MAC} changed" in blfd("device", "set", BARE, "--keys", "102").stdout
    blfd("provision", "set", BARE, "timezone", "Europe/Berlin")
    assert f"device {MAC} renewed" in blfd("device", "renew", BARE, "--yes").stdout
    assert f"device {MAC} removed" in blfd("device", "remove", BARE, "--yes").stdout
    told = [each["sentence"] for each in json.loads(blfd("changes", "--json").stdout)]
    assert len(told) == 5
    assert all(MAC in each and BARE not in each for each in told)


def test_files_that_are_shown_to_a_program_have_their_lines_whole(blfd: Run, store: Store) -> None:
    add(blfd, MAC, ",".join(["102=" + "B" * 30] * 20))
    files = json.loads(blfd("provision", "show", MAC, "--json").stdout)
    shown = blfd("provision", "show", MAC).stdout
    assert max(len(line) for content in files.values() for line in content.splitlines()) > 80
    assert all(content in shown for content in files.values())


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
    phones.keep(phones.checked("default", [Wanted(MAC, "yealink/t54w", extensions, keys)]))
    row = phones.get("default", MAC)
    assert phones.device(row) == phones.device(row, phones.survey("default"))


def test_a_team_beyond_the_keys(store: Store) -> None:
    store.extensions.add("default", [NewExtension(str(n), "x", f"N {n}") for n in range(1000, 1400)])
    phones = Phones(store, lambda: Place("192.0.2.5", {"udp": 5060}, ""))
    for modules, fits in (
        (0, "25 of 402 in its team fit on its keys, 377 do not; with --modules 3, 205 would"),
        (2, "145 of 402 in its team fit on its keys, 257 do not; with --modules 3, 205 would"),
        (3, "205 of 402 in its team fit on its keys, 197 do not"),
    ):
        mac = f"80:5e:c0:00:00:{modules:02}"
        wanted = Wanted(mac, "yealink/t54w", ("1000", "104"), "team", modules=modules)
        phones.keep(phones.checked("default", [wanted]))
        row = phones.get("default", mac)
        device = phones.device(row)
        assert device == phones.device(row, phones.survey("default"))
        assert str(phones.fit(row)) == fits
        assert len(device.keys) == phones.fit(row).fitting


def test_a_team_that_does_not_fit_is_said(blfd: Run, store: Store) -> None:
    store.extensions.add("default", [NewExtension(str(n), "x") for n in range(200, 230)])
    who = ("device", "add", MAC, "--model", "yealink/t54w", "--extension", "101", "--keys", "team")
    said = f"device {MAC}: 26 of 33 in its team fit on its keys, 7 do not; with --modules 1, all would"
    assert said in blfd(*who).stdout
    assert said in blfd("device", "show", MAC).stdout.replace("\n", " ")
    (row,) = json.loads(blfd("device", "list", "--json").stdout)
    assert (row["modules"], row["left_out"]) == (0, 7)
    assert "in its team" not in blfd("device", "set", MAC, "--modules", "1").stdout
    shown = json.loads(blfd("device", "show", MAC, "--json").stdout)
    assert (shown["modules"], shown["left_out"], shown["pages"][3]["title"]) == (1, 0, "Module 1")
    assert shown["pages"][3]["keys"][6]["kind"] == "blf"
    assert "in its team" in blfd("device", "set", MAC, "--modules", "0").stdout
    assert "Module" not in blfd("device", "show", MAC).stdout


def test_the_dial_plan_follows_the_tenant(blfd: Run, store: Store) -> None:
    add(blfd)

    def plan() -> dict[str, str]:
        return explained(blfd)["dialplan.digitmap.string"]

    assert "1xx" not in plan()["value"].split("|"), "101 may be the beginning of a number outside"
    assert "*971xx" in plan()["value"].split("|")
    blfd("provision", "set", "*", "outside-prefix", "0")
    blfd("provision", "set", "yealink", "emergency-numbers", "112, 110")
    assert {"1xx", "011[02]"} <= set(plan()["value"].split("|"))
    assert plan()["origin"] == "vendor yealink: emergency-numbers"
    blfd("tenant", "set", "--pickup-code", "*8", "--group-pickup-code", "#9")
    store.extensions.add("default", [NewExtension("1010", "x"), NewExtension("bob", "x")])
    assert {"1xxT", "1xxx", "*81xxx", "#9"} <= set(plan()["value"].split("|"))
    blfd("provision", "set", MAC, "outside-prefix", "none")
    assert not any(entry.startswith("0") for entry in plan()["value"].split("|"))
    for name, value in (("outside-prefix", "+49"), ("emergency-numbers", "112,x"), ("emergency-numbers", "")):
        assert f"{name}: {value!r}: write" in blfd("provision", "set", "*", name, value, code=1).stderr
    said = blfd("provision", "set", "htek", "outside-prefix", "0").stdout
    assert "all numbers go out by its timer" not in said, "no such phone is there"


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


def test_a_common_setting_is_told_to_each_maker_in_its_words(blfd: Run, store: Store) -> None:
    add(blfd)
    other = "80:5e:c0:00:00:02"
    blfd("device", "add", other, "--model", "snom/d785", "--extension", "102")
    blfd("provision", "set", "*", "timezone", "europe/berlin", "--all-tenants")
    assert explained(blfd)["local_time.time_zone"] == {
        "name": "local_time.time_zone",
        "value": "+1",
        "origin": "all tenants, all phones: timezone",
    }
    assert explained(blfd, other)["timezone"]["value"] == "GER+1"
    blfd("provision", "set", "yealink", "timezone", "Asia/Kolkata")
    blfd("device", "set", MAC, "--set", "language=DE", "--set", "codecs=PCMA, g722")
    found = explained(blfd)
    assert (found["local_time.time_zone"]["value"], found["lang.gui"]["value"]) == ("+5:30", "German")
    assert found["account.1.codec.g722.priority"]["value"] == "2"
    assert found["lang.gui"]["origin"] == "this device: language"
    blfd("provision", "set", MAC, "local_time.time_zone", "+9")
    assert explained(blfd)["local_time.time_zone"]["origin"] == "this device"
    blfd("provision", "unset", MAC, "local_time.time_zone")
    blfd("provision", "unset", "yealink", "timezone")
    assert explained(blfd)["local_time.time_zone"]["value"] == "+1"
    names = [row["name"] for row in json.loads(blfd("provision", "settings", "--json").stdout)]
    assert names[0] == "timezone"
    assert "Where the phone gets the time" in blfd("provision", "settings").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("provision", "set", "*", "timezone", "Berlin"),
            "timezone: 'Berlin' is no time zone; near it: Europe/",
        ),
        (("provision", "set", "yealink", "codecs", "mp3"), "codecs: 'mp3': write some of pcmu,pcma"),
        (("device", "set", MAC, "--set", "language=xx"), "language: 'xx' is not one of ar,"),
        (
            ("provision", "set", "yealink", "account.1.password", "x"),
            "account.1.password is not set: without",
        ),
        (("provision", "set", "*", "Profile_Rule", "http://x/"), "Profile_Rule is not set: without"),
        (("provision", "set", MAC, "static.auto_provision.server.url"), "finds its files no more"),
        (("device", "set", MAC, "--set", "raw:account.1.user_name=9"), "see 'blfd device set'"),
    ],
)
def test_a_setting_that_is_refused(blfd: Run, store: Store, arguments: tuple[str, ...], words: str) -> None:
    add(blfd)
    before = explained(blfd)
    said = blfd(*arguments, code=1).stderr
    assert words in said
    assert len(said.splitlines()) == 1
    assert explained(blfd) == before


def test_what_a_setting_does_not_tell_is_said(blfd: Run, store: Store) -> None:
    add(blfd)
    blfd("device", "add", "80:5e:c0:00:00:02", "--model", "polycom/vvx450", "--extension", "102")
    said = blfd("provision", "set", "*", "tones", "de").stderr
    assert said == "blfd: note: polycom: tones de: no document says how\n"
    said = blfd("provision", "set", "yealink", "features.dnd.alow", "0").stderr
    assert (
        "note: features.dnd.alow is no setting of yealink that is known here; near it: features.dnd" in said
    )
    assert explained(blfd)["features.dnd.alow"]["value"] == "0", "it is set all the same"
    assert blfd("provision", "set", "yealink", "features.dnd.allow", "0").stderr == ""
    shown = json.loads(blfd("provision", "show", "80:5e:c0:00:00:02", "--explain", "--json").stdout)
    assert shown["untold"] == ["tones de: no document says how"]
    given = ("--set", "features.dnd.alow=0", "--set", "language=zh")
    notes = blfd("device", "set", MAC, *given).stderr
    assert "features.dnd.alow is no setting of yealink that is known here; near it: features.dnd" in notes
    assert "note: yealink: language zh: no document says how" in notes


def test_passwords_of_the_web_page_are_shown_where_they_are_asked_for(blfd: Run, store: Store) -> None:
    add(blfd)
    row = store.devices.get(BARE)
    assert row
    both = (row.admin_password, row.user_password)
    assert all(len(password) >= 12 for password in {*both})
    assert len({*both, row.password, row.secret}) == 4
    shown = json.loads(blfd("device", "show", MAC, "--secrets", "--json").stdout)
    assert (shown["admin"], shown["admin_password"], shown["user"]) == ("admin", both[0], "user")
    assert both[1] in blfd("device", "show", MAC, "--secrets").stdout
    elsewhere = (("device", "show", MAC), ("device", "list", "--json"), ("changes", "--json"))
    assert not any(password in blfd(*each).stdout for each in elsewhere for password in both)
    assert "looked at the passwords" in blfd("changes").stdout, "who has looked"
    own = (
        "P2",
        "raw:P196 UserPassword",
        "static.security.user_password",
        "phone_setting.phone_lock.unlock_pin",
    )
    for name in own:
        blfd("provision", "set", "*", name, "hush-hush")
    assert "hush-hush" not in blfd("changes", "--json").stdout
    blfd("device", "renew", MAC, "--yes")
    after = store.devices.get(BARE)
    assert after
    assert not {after.admin_password, after.user_password} & {*both}


def test_overrides_for_all_tenants_are_the_widest(blfd: Run, store: Store) -> None:
    add(blfd)
    label = "account.1.label"
    scopes = ("*", "yealink", "yealink/t54w")
    origins = ("all phones", "vendor yealink", "model yealink/t54w")
    for scope, origin in zip(scopes, origins, strict=True):
        blfd("provision", "set", scope, label, f"site {scope}", "--all-tenants")
        assert explained(blfd)[label]["origin"] == f"all tenants, {origin}"
    for scope, origin in zip(scopes, origins, strict=True):
        blfd("provision", "set", scope, label, f"ours {scope}")
        assert explained(blfd)[label]["origin"] == origin
    blfd("device", "set", MAC, "--set", f"{label}=Reception")
    assert explained(blfd)[label] == {"name": label, "value": "Reception", "origin": "this device"}
    blfd("provision", "unset", "*", label, "--all-tenants")
    assert "nothing is set" in blfd("provision", "unset", "*", label, "--all-tenants", code=1).stderr
    said = blfd("provision", "set", MAC, label, "x", "--all-tenants", code=1).stderr
    assert "a phone is of one tenant; leave --all-tenants out" in said


def test_settings_of_one_device_come_and_go_with_it(blfd: Run, store: Store) -> None:
    add(blfd, MAC, "102", "--set", "account.1.label=Desk", "--set", "phone_setting.x=a=b")
    found = explained(blfd)
    assert (found["account.1.label"]["value"], found["phone_setting.x"]["value"]) == ("Desk", "a=b")
    blfd("device", "set", MAC, "--set", "phone_setting.x=c")
    changed, added = json.loads(blfd("changes", "--json").stdout)[::-1][:2]
    assert added["after"]["settings"] == {"account.1.label": "Desk", "phone_setting.x": "a=b"}
    assert (changed["after"]["settings"], changed["before"]["keys"]) == ({"phone_setting.x": "c"}, "102")
    blfd("device", "remove", MAC, "--yes")
    add(blfd)
    assert explained(blfd)["account.1.label"]["value"] == "Alice Ng"
    for wrong in ("nothing", "=x"):
        said = blfd("device", "set", MAC, "--set", wrong, code=1).stderr
        assert "write NAME=VALUE" in said


def test_a_setting_that_breaks_a_phone_is_not_set(blfd: Run, store: Store) -> None:
    who = ("--model", "fanvil/x5u", "--extension", "101")
    blfd("device", "add", MAC, *who)
    broken = "sip/line 1/x"
    for arguments in (
        ("provision", "set", "*", broken, "y"),
        ("provision", "set", "fanvil", broken, "y", "--all-tenants"),
        ("device", "set", MAC, "--set", f"{broken}=y"),
        ("device", "add", "80:5e:c0:00:00:02", *who, "--set", f"{broken}=y"),
    ):
        said = blfd(*arguments, code=1).stderr
        assert "(fanvil/x5u): a setting has no place in its files: 'line 1' is not written name or" in said
        assert len(said.splitlines()) == 1
    assert len(store.devices.all("default")) == 1
    assert all(setting["origin"] == "blfd" for setting in explained(blfd).values())
    blfd("provision", "set", "yealink", broken, "y")


def test_a_template_in_the_place_of_ours(blfd: Run, store: Store, tmp_path: Path) -> None:
    add(blfd)
    assert "none; phones get our own files" in blfd("provision", "template", "list").stdout
    of_vendor, of_model = tmp_path / "vendor.j2", tmp_path / "model.j2"
    of_vendor.write_text("vendor {{ device.accounts[0].extension }}\n")
    of_model.write_text("model {% for name, value in settings %}{{ name }}={{ value }};{% endfor %}\n")
    blfd("provision", "template", "set", "yealink", str(of_vendor))
    assert "vendor 101" in blfd("provision", "show", MAC).stdout
    blfd("provision", "template", "set", "yealink/t54w", str(of_model))
    assert "account.1.user_name=101;" in blfd("provision", "show", MAC).stdout.replace("\n", "")
    shown = json.loads(blfd("provision", "show", MAC, "--explain", "--json").stdout)
    assert shown["template"] == "of this site, for yealink/t54w"
    assert blfd("provision", "template", "show", "yealink").stdout == of_vendor.read_text()
    rows = json.loads(blfd("provision", "template", "list", "--json").stdout)
    assert [row["scope"] for row in rows] == ["yealink", "yealink/t54w"]
    blfd("provision", "template", "unset", "yealink/t54w", "--yes")
    blfd("provision", "template", "unset", "yealink", "--yes")
    assert "no template is set" in blfd("provision", "template", "unset", "yealink", code=1).stderr
    assert "no template is set" in blfd("provision", "template", "show", "yealink", code=1).stderr
    assert (
        json.loads(blfd("provision", "show", MAC, "--explain", "--json").stdout)["template"] == "blfd's own"
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a\n{% for %}", "template yealink, line 2: "),
        ("a\n{{ device.nothing }}", "template yealink, line 2: "),
        ("{{ 1 / 0 }}", "template yealink, line 1: division by zero"),
        ("{{ ''.__class__.__mro__ }}", "template yealink, line 1: access to attribute '__class__'"),
        ("{{ none + 1 }}", "template yealink, line 1: unsupported operand"),
    ],
)
def test_a_template_that_does_not_render_is_not_set(
    blfd: Run, store: Store, tmp_path: Path, source: str, words: str
) -> None:
    add(blfd)
    file = tmp_path / "x.j2"
    file.write_text(source)
    said = blfd("provision", "template", "set", "yealink", str(file), code=1).stderr
    assert f"{MAC} (yealink/t54w): {words}" in said
    assert len(said.splitlines()) == 1
    assert store.overrides.templates() == {}


def test_a_template_is_for_a_maker_or_a_model(blfd: Run, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "x.j2"
    file.write_bytes(b"\xff")
    assert "is not UTF-8" in blfd("provision", "template", "set", "yealink", str(file), code=1).stderr
    file.write_text("x")
    for scope in ("*", MAC):
        said = blfd("provision", "template", "set", scope, str(file), code=1).stderr
        assert "a template is for a maker (yealink) or a model (yealink/t54w)" in said
    assert "No such file" in blfd("provision", "template", "set", "yealink", "nothing.j2", code=1).stderr


def test_a_phone_that_a_template_cannot_make_is_not_added(blfd: Run, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "x.j2"
    file.write_text("{{ device.keys[1].value }}")
    blfd("provision", "template", "set", "yealink", str(file))
    add(blfd)
    said = add(blfd, "80:5e:c0:00:00:02", "102", code=1)
    assert "80:5e:c0:00:00:02 (yealink/t54w): template yealink, line 1: " in said
    assert len(store.devices.all("default")) == 1


def test_files_are_shown_and_written(blfd: Run, store: Store, tmp_path: Path) -> None:
    add(blfd)
    assert f"{BARE}.cfg" in blfd("provision", "show", MAC).stdout
    folder = tmp_path / "files"
    blfd("provision", "write", str(folder))
    assert {path.name for path in folder.iterdir()} == {f"{BARE}.cfg", "y000000000096.cfg"}, "no boot file"
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
        ("model,keys\n", "line 1: the column mac is missing"),
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


def test_an_import_names_all_that_is_wrong(blfd: Run, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "phones.csv"
    lines = [
        "mac,model,extensions,keys",
        f"{MAC},t54w,101,102",
        f"{MAC},t54w,101,102",
        "80:5e:c0:00:00:02,t54,101,",
        "80:5e:c0:00:00:03,t54w,101",
        "80:5e:c0:00:00:04,t54w,109,",
        "80:5e:c0:00:00:05,vvx450,101,list:sales",
    ]
    file.write_text("\n".join(lines))
    said = blfd("device", "import", str(file), code=1, lines=5).stderr
    for line, words in (
        (3, "exists already"),
        (4, "near it: "),
        (5, "4 values are needed"),
        (6, "extension 109 does not exist"),
        (7, "no list key (sales): no document of polycom tells how to set one"),
    ):
        assert any(f"line {line}: " in text and words in text for text in said.splitlines()), said
    assert "line 2" not in said
    file.write_text("\n".join([lines[0], *["80:5e,t54w,101,"] * 13]))
    refused = blfd("device", "import", str(file), code=1, lines=13).stderr.splitlines()
    assert [f"line {number}: " in text for number, text in enumerate(refused, 2)] == [True] * 13
    assert store.devices.all("default") == []


def test_another_tenants_device_is_unknown_here(blfd: Run, store: Store) -> None:
    add(blfd)
    assert "no device" in blfd("--tenant", "acme.example", "device", "show", MAC, code=1).stderr
    assert "no device" in blfd("--tenant", "acme.example", "device", "remove", MAC, code=1).stderr
    said = blfd(
        "--tenant", "acme.example", "device", "add", MAC, "--model", "t54w", "--extension", "201", code=1
    )
    assert "exists already" in said.stderr
