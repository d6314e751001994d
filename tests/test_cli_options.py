"""Every command with each option that stands before it, none of which is ignored; and removals, which ask."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import Answering, Blfd

from blfd.cli import app, board, lists
from blfd.control import ControlClient, socket_path
from blfd.core.phones_seen import told
from blfd.demo.demo import NAMES
from blfd.devices.phones import Phones
from blfd.devices.values import Place, Wanted
from blfd.operations import (
    Desk,
    admins,
    device_files,
    devices,
    extensions,
    groups,
    overrides,
    routes,
    trunks,
    upstreams,
)
from blfd.store import NewExtension, Store

DOCS = Path(__file__).parents[1] / "docs" / "cli.md"
MAC, OTHER_MAC = "80:5e:c0:12:34:56", "80:5e:c0:12:34:57"
PASSWORD = "--password 'correct horse'"

COMMANDS = {  # each with arguments that are right for the database below
    "run": "",
    "demo": "",
    "doctor": "",
    "status": "",
    "registrations": "",
    "lamps": "",
    "watchers": "",
    "calls": "",
    "publications": "",
    "pickups": "",
    "explain": "101",
    "changes": "",
    "backup": "saved.db",
    "restore": "backup.db --yes",
    "config schema": "",
    "extension add": f"103 {PASSWORD}",
    "extension list": "",
    "extension show": "101",
    "extension set": "101 --name Anna",
    "extension renumber": f"101 104 {PASSWORD}",
    "extension remove": "101 --yes",
    "extension import": "extensions.csv",
    "extension export": "",
    "trunk add": "other --server 192.0.2.8",
    "trunk list": "",
    "trunk show": "carrier",
    "trunk set": "carrier --did 4=101",
    "trunk remove": "carrier --yes",
    "route add": "0. --trunks carrier",
    "route list": "",
    "route show": "112",
    "route set": "112 --strip 0",
    "route remove": "112 --yes",
    "upstream add": "other --server 192.0.2.8 --extensions 2xx",
    "upstream list": "",
    "upstream show": "pbx",
    "upstream set": "pbx --rate 9",
    "upstream remove": "pbx --yes",
    "group add": "doors",
    "group list": "",
    "group show": "sales",
    "group set": "sales 102",
    "group remove": "sales --yes",
    "device add": f"{OTHER_MAC} --model yealink/t31 --extension 102",
    "device list": "",
    "device show": MAC,
    "device set": f"{MAC} --keys 102",
    "device remove": f"{MAC} --yes",
    "device renew": f"{MAC} --yes",
    "device sync": MAC,
    "device import": "devices.csv",
    "device export": "",
    "pjsip install": "--if-missing",
    "pjsip show": "",
    "provision show": MAC,
    "provision write": "files",
    "provision models": "",
    "provision settings": "",
    "provision set": "yealink a.b 1",
    "provision unset": "yealink features.dnd.allow",
    "provision template set": "polycom template.j2",
    "provision template show": "yealink",
    "provision template unset": "yealink --yes",
    "provision template list": "",
    "admin add": f"ann {PASSWORD}",
    "admin list": "",
    "admin password": f"bob {PASSWORD}",
    "admin role": "bob administrator",
    "admin remove": "bob --yes",
    "token add": "bot --scope lamps",
    "token list": "",
    "token remove": "crm --yes",
    "tenant add": "new.example",
    "tenant list": "",
    "tenant show": "",
    "tenant set": "--pickup off",
    "tenant remove": "acme.example --yes",
}
LASTING = ("run", "demo")  # commands that have no end by themselves
ASKING = (
    "status",
    "registrations",
    "lamps",
    "watchers",
    "calls",
    "publications",
    "explain",
    "device sync",
)  # commands that ask a server
OF_ALL = {  # commands that are not about a tenant, and refuse to be told one
    *LASTING,
    "status",
    "tenant list",
    *("pjsip install", "pjsip show", "backup", "restore", "config schema"),
    *("provision models", "provision settings"),
    *(f"provision template {what}" for what in ("set", "show", "unset", "list")),
}
TENANT_GIVEN = ("tenant add", "tenant remove")  # commands to which a tenant is an argument
ALONE = (
    "pjsip install",
    "pjsip show",
    "config schema",
    "provision models",
    "provision settings",
)  # commands without a database, as their help says


def walked(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """All commands, each with the words that one types."""
    if not hasattr(command, "commands"):
        yield " ".join(path), command
        return
    for name in command.list_commands(None):
        yield from walked(command.get_command(None, name), *path, name)


EVERY = dict(walked(typer.main.get_command(app)))
JSON = [name for name, command in EVERY.items() if any(option.name == "as_json" for option in command.params)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database with one of everything that has a tenant or none; acme.example is empty."""
    store = Store(tmp_path_factory.mktemp("prepared") / "blfd.db")
    store.extensions.add("default", [NewExtension(number, "x", f"N {number}") for number in ("101", "102")])
    store.tenants.add("acme.example")
    place = Place("192.0.2.5", {"udp": 5060, "tcp": 5060}, "")
    desk = Desk(store, ControlClient(socket_path(store.path)), Phones(store, lambda: place), "test")
    groups.add(desk, "default", "sales", ["101"], ["101"])
    devices.add(
        desk, "default", Wanted(MAC, "yealink/t54w", ("101",), "102", settings=(("own.setting", "1"),))
    )
    trunks.add(desk, "default", "carrier", {"servers": ["192.0.2.7"], "password": "x"})
    trunks.add(desk, "default", "spare", {"servers": ["192.0.2.8"]})
    routes.add(desk, "default", "112", {"trunks": ["spare"], "emergency": True})
    upstreams.add(desk, "default", "pbx", {"servers": ["192.0.2.7"], "extensions": ["1xx"]})
    overrides.set(desk, "default", "yealink", "features.dnd.allow", "0")
    overrides.set_template(desk, "yealink", "a\nb\n")
    for name in ("root", "bob"):
        admins.add(desk, name, "correct horse", None)
    admins.add_token(desk, None, "crm", ["lamps"])
    return store.path


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    with closing(sqlite3.connect(prepared)) as kept, closing(sqlite3.connect(tmp_path / "blfd.db")) as copy:
        kept.backup(copy)
    with closing(sqlite3.connect(prepared)) as kept, closing(sqlite3.connect(tmp_path / "backup.db")) as copy:
        kept.backup(copy)
        copy.execute("DELETE FROM groups")
        copy.commit()
    (tmp_path / "extensions.csv").write_text("extension,password,name\n104,x,Dan\n")
    (tmp_path / "devices.csv").write_text(f"mac,model,extensions,keys\n{OTHER_MAC},yealink/t31,102,\n")
    (tmp_path / "template.j2").write_text("c\n")
    return tmp_path


def line(command: str) -> list[str]:
    return [*command.split(), *shlex.split(COMMANDS[command])]


def rows(folder: Path, *, but_of: str = "") -> dict[str, list[Any]]:
    """The rows of each table of the database, without those of the tenant `but_of`."""
    found = {}
    with closing(sqlite3.connect(folder / "blfd.db")) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            kept = "WHERE tenant IS NOT ?" if but_of and "tenant" in columns else "WHERE ? IS NOT NULL"
            found[table] = db.execute(f"SELECT * FROM {table} {kept}", [but_of]).fetchall()
    return found


def test_every_command_is_tried_here() -> None:
    assert EVERY.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", EVERY)
def test_every_command_has_help_and_is_documented(inside: Blfd, command: str) -> None:
    code, out, _ = inside(*command.split(), "--help")
    assert code == 0
    assert command.split()[-1] in DOCS.read_text()
    assert ("--json" in out) == (command in JSON)
    assert "[[" not in out
    assert " ." not in out.replace(" ...", "").replace("[...]", ""), "what stood there was taken for markup"
    for parameter in EVERY[command].params:
        assert getattr(parameter, "help", ""), f"{command}: {parameter.name} is not explained"


def test_helps_name_what_commands_do(folder: Path, inside: Blfd) -> None:
    """What a help promises is what the command does, wherever that can be looked up."""
    helps = {name: " ".join((command.help or "").split()) for name, command in EVERY.items()}
    for what, columns in (("extension", extensions.COLUMNS), ("device", device_files.COLUMNS)):
        assert f": {', '.join(columns.all)}." in helps[f"{what} import"]
    words = {4: "four", 3: "three"}
    assert f" {words[len(NAMES)]} real SIP phones" in helps["demo"]
    asked = [
        name
        for name, command in EVERY.items()
        for option in command.params
        if "Asked for on a terminal" in (option.help or "")
    ]
    assert sorted(asked) == ["admin add", "admin password", "extension add", "extension renumber"]
    for name in asked:
        code, _, errors = inside(*shlex.split(f"{name} {COMMANDS[name].partition(' --')[0]}"))
        assert (code, errors.partition(":")[2].partition(":")[2]) == (1, " give --password\n"), errors
    assert {name for name, text in helps.items() if not text.endswith(".")} <= {"changes"}


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in LASTING])
def test_every_command_works(folder: Path, inside: Blfd, command: str) -> None:
    """The tests below then cannot pass because a command fails for some other reason."""
    code, _, errors = inside(*line(command))
    assert code in ((3,) if command in ASKING else (0, 1) if command == "doctor" else (0,)), errors


@pytest.mark.parametrize("command", COMMANDS)
def test_a_tenant_that_does_not_exist(folder: Path, inside: Blfd, command: str) -> None:
    before = rows(folder)
    code, out, errors = inside("--tenant", "Nowhere.example", *line(command))
    assert (code, out) == (2 if command in OF_ALL or command in TENANT_GIVEN else 1, "")
    assert "nowhere.example" in errors.lower()
    assert errors.count("\n") == 1
    assert ("leave --tenant Nowhere.example out" in errors) == (command in OF_ALL)
    assert rows(folder) == before


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in OF_ALL])
def test_another_tenant_alone_is_touched(folder: Path, inside: Blfd, command: str) -> None:
    """The command shows nothing of other tenants either."""
    before = rows(folder, but_of="acme.example")
    _, out, _ = inside("--tenant", "ACME.example", *line(command))
    tenants = before.pop("tenants")
    after = rows(folder, but_of="acme.example")
    changed = [tenant for tenant in after.pop("tenants") if tenant not in tenants]
    assert [tenant[0] for tenant in changed] == (["acme.example"] if command == "tenant set" else [])
    assert after == before
    assert not any(
        word in out for word in ("N 101", "sales", "805ec0123456", MAC, "root", "crm", "features.dnd")
    )


@pytest.mark.parametrize("tenant", ["", " ", "x" * 300, "no tenant"])
def test_a_tenant_that_is_no_name(folder: Path, inside: Blfd, tenant: str) -> None:
    """An empty variable in a script, for one, does not mean the default tenant."""
    code, out, errors = inside("--tenant", tenant, "extension", "remove", "101", "--yes")
    assert (code, out, errors.count("\n")) == (1, "", 1)
    assert errors.startswith("blfd: no tenant")


@pytest.mark.parametrize("option", ["--config", "--db"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_does_not_exist(folder: Path, inside: Blfd, command: str, option: str) -> None:
    before = rows(folder)
    code, out, errors = inside(option, "nowhere/file", *line(command))
    if command in ALONE:
        assert code == 0
        assert "needs neither" in (EVERY[command].help or "")
        return
    assert code == (2 if command == "demo" else 3 if command in ASKING and option == "--db" else 1) or (
        command in ("explain", "device sync") and code == 1  # these look into the database first
    )
    assert "nowhere" in errors + out
    assert rows(folder) == before


def test_two_tenants_at_once(folder: Path, inside: Blfd) -> None:
    before = rows(folder)
    for words in (
        "admin add ann --tenant default",
        "token list --tenant default",
        "tenant set default --pickup off",
    ):
        code, out, errors = inside("--tenant", "acme.example", *words.split())
        assert (code, out, errors.count("\n")) == (2, "", 1)
        assert "which" in errors
    for words in ("changes --system", "provision set * a.b 1 --all-tenants"):
        code, out, errors = inside("--tenant", "acme.example", *words.split())
        assert (code, out) == (2, "")
        assert "leave --tenant acme.example out" in errors
    assert rows(folder) == before
    assert inside("--tenant", "Acme.Example", "admin", "list", "--tenant", "acme.example")[0] == 0


def test_administrators_by_the_name_in_their_tenant(folder: Path, inside: Blfd) -> None:
    of_acme = ("--tenant", "acme.example")
    assert inside(*of_acme, "admin", "add", "ann", *shlex.split(PASSWORD))[0] == 0
    assert inside("admin", "role", "ann", "viewer")[2].startswith("blfd: no administrator ann")
    assert inside(*of_acme, "admin", "role", "ann", "viewer")[0] == 0
    assert inside("admin", "remove", "bob", "--tenant", "acme.example", "--yes")[0] == 1, (
        "bob is of the system"
    )
    _, out, _ = inside(*of_acme, "admin", "list", "--json")
    assert json.loads(out) == [{"name": "ann@acme.example", "tenant": "acme.example", "role": "viewer"}]
    assert (
        inside("admin", "remove", "ann", *of_acme, "--yes")[1] == "administrator ann@acme.example removed\n"
    )


ANSWERS: dict[str, Any] = {
    "status": {"notifies": {}},
    "phones": told([], []),
    "explain": {"dialogs": [], "watchers": [], "pickers": [], "lamp": "idle"},
    **{name: [] for name in ("registrations", "lamps", "watchers", "calls", "publications", "unknown")},
}


def test_json_is_json(folder: Path, inside: Blfd, server: Answering) -> None:
    for command in JSON:
        server.answers = ANSWERS if command != "doctor" else {}  # doctor asks for more
        server.answers |= {"reload": {}}
        _, out, errors = inside(*line(command), "--json")
        assert json.loads(out) is not None, errors


ROWS = ("registrations", "lamps", "watchers", "calls", "publications", "pickups", "changes")
ROWS_TOO = ("group show", "provision models", "provision settings")


def test_all_lists_are_chosen_from_alike() -> None:
    lists = [name for name in EVERY if name.endswith(" list")]
    assert len(lists) > 8
    for name in (*lists, *ROWS, *ROWS_TOO):
        options = {option for each in EVERY[name].params for option in each.opts}
        assert {"--filter", "--sort", "--limit", "--json"} <= options, name


LAMP = {
    "extension": "101",
    "name": "Ann",
    "lamp": "talking",
    "watchers": 1,
    "dialogs": [{"since": 3.0, "remote": "102", "remote_name": "", "direction": "initiator"}],
}
CALL = {"caller": "101", "callee": "102", "state": "answered", "since": 3.0, "legs": []}


def test_every_column_that_is_shown_sorts_and_filters(
    folder: Path, inside: Blfd, server: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A heading is what people know of a column, whatever the name of its values is."""
    shown: list[Sequence[str]] = []
    for module in (lists, board):
        monkeypatch.setattr(module, "print_table", lambda title, columns, *_: shown.append(columns))
    monkeypatch.setattr(board, "print_or", lambda table, _: shown.append([c.header for c in table.columns]))
    server.answers = {**ANSWERS, "lamps": [LAMP], "calls": [CALL], "trunks": [], "upstreams": []}
    server.answers |= {"place": {"host": "192.0.2.5", "ports": {"udp": 5060, "tcp": 5060}, "url": ""}}
    for command in (*(name for name in EVERY if name.endswith(" list")), "lamps", "calls", "changes"):
        shown.clear()
        inside(*command.split())
        assert shown, command
        for column in filter(None, shown[0]):
            code, _, errors = inside(
                *command.split(), "--sort", f"-{column}", "--filter", f"{column.replace(' ', '-')}="
            )
            assert (code, errors) == (0, ""), (command, column)


def test_wrong_usage_names_the_help_of_the_command_that_was_meant(folder: Path, inside: Blfd) -> None:
    def said(*words: str) -> str:
        code, out, errors = inside(*words)
        assert (code, out, errors.count("\n")) == (2, "", 1), words
        return errors

    for name, command in EVERY.items():
        for option in (each for each in command.params if each.opts[0].startswith("--") and not each.is_flag):
            text = said("--tenant", "acme.example", *name.split(), option.opts[0])
            assert text.startswith(f"blfd: {option.opts[0]} needs a value behind it: {option.help}"), text
            assert text.endswith(f"See 'blfd {name} --help'.\n"), text
        text = said(*name.split(), "--zzz")
        assert text == f"blfd: No such option: --zzz. See 'blfd {name} --help'.\n"
    assert said("extension", "addd").endswith("Did you mean 'add'? See 'blfd extension --help'.\n")
    assert said("lamps", "--json=1").endswith("does not take a value. See 'blfd lamps --help'.\n")
    assert said("group", "list", "--db", "x").startswith(
        "blfd: --db stands before the command: blfd --db ... group list. See "
    )
    assert said("--config") == (
        "blfd: --config needs a value behind it: TOML file; see docs/configuration.md. See 'blfd --help'.\n"
    )


def test_json_is_for_once(folder: Path, inside: Blfd) -> None:
    code, out, errors = inside("lamps", "--json", "--watch")
    assert (code, out) == (2, "")
    assert "leave --watch out" in errors


# Lists

GAPS = ("101,,102", ",101", "101,", ",", "101, ,102")


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize(
    "words",
    [
        f"device add {OTHER_MAC} --model yealink/t31 --extension 102 --keys",
        f"device set {MAC} --keys",
        f"device add {OTHER_MAC} --model yealink/t31 --extension",
        f"device set {MAC} --extension",
        "group add doors",
        "group set sales --pickers",
        "group set sales 101 --targets",
        "provision set * codecs",
        "provision set * ntp-servers",
    ],
)
def test_a_comma_too_many(folder: Path, inside: Blfd, words: str, gap: str) -> None:
    before = rows(folder)
    code, out, errors = inside(*words.split(), gap)
    assert (code, out, errors.count("\n")) == (1, "", 1)
    assert "leave that comma out" in errors
    assert rows(folder) == before


@pytest.mark.parametrize("cells", [f'"{gap}",' for gap in GAPS] + [f'101,"{gap}"' for gap in GAPS])
def test_a_comma_too_many_in_a_file(folder: Path, inside: Blfd, cells: str) -> None:
    before = rows(folder)
    with (folder / "devices.csv").open("a") as file:
        file.write(f"80:5e:c0:12:34:58,yealink/t31,{cells}\n")
    code, out, errors = inside("device", "import", "devices.csv")
    assert (code, out, errors.count("\n")) == (1, "", 1)
    assert "devices.csv, line 3: device 80:5e:c0:12:34:58: " in errors
    assert "leave that comma out" in errors
    assert rows(folder) == before


@pytest.mark.parametrize("control", ["\n", "\x1b[31m", "\x00", "\x85", "\u2028", "\t"])
@pytest.mark.parametrize(
    "words",
    [
        *("extension add A --password x", "extension add 103 --password xA", "extension set 101 --name A"),
        *("group add A", "tenant add A", "tenant add b.example --alias A", "tenant set --pickup-code *8A"),
        *(f"device set {MAC} --keys 102=A", f"device set {MAC} --keys 102A", f"device set {MAC} --set A=1"),
        *(f"device set {MAC} --set x=A", f"device set {MAC} --transport A", f"device set {MAC} --model A"),
        *("provision set * A 1", "provision set yealink a.b A", "provision set * language A"),
        *(f"admin add A {PASSWORD}", "token add A --scope lamps", "token add b --scope A"),
        *("extension show A", "device show A", "group show A", "provision unset * A", "pickups --since A"),
        *("--tenant A lamps", "--config A status", "--db A/x status", "run --listen A", "run --web A"),
    ],
)
def test_control_characters_are_refused(folder: Path, inside: Blfd, words: str, control: str) -> None:
    """Control characters do not reach the terminal either."""
    before = rows(folder)
    code, out, errors = inside(*(word.replace("A", f"a{control}b") for word in shlex.split(words)))
    assert (code in (1, 2, 3), out, errors.count("\n")) == (True, "", 1)
    assert errors[:-1].isprintable()
    assert rows(folder) == before


def test_lists_as_people_write_them(folder: Path, inside: Blfd) -> None:
    for words, gap in (
        (("device", "set", MAC, "--extension"), "101, 102"),
        (("device", "set", MAC, "--extension"), " 101 102 "),
        (("group", "set", "sales"), "101,102"),
        (("group", "set", "sales", "--pickers", "102 ,101", "--targets"), "101,102 "),
    ):
        assert inside(*words, gap)[0] == 0
        assert json.loads(inside("device", "show", MAC, "--json")[1])["extensions"] == ["101", "102"]
    assert json.loads(inside("group", "show", "sales", "--json")[1])["pickers"] == ["101", "102"]


# Removals

REMOVALS = {  # what a command asks where its arguments do not answer that already
    "extension remove": "extension 101 N 101: Its phones are unregistered, and keys that watch it go dark. "
    f"Group sales loses it. No other extension is on {MAC}: no files for that any more.",
    "group remove": "group sales: The extensions in it (1) stay, and no longer get each other's calls "
    "by the group's code.",
    "trunk remove": "trunk carrier: Nobody is called by its 0 numbers any more; calls that are up go on.",
    "route remove": "route 112: Nobody can call the emergency number any more.",
    "upstream remove": "upstream pbx: Nobody tells how its 2 extensions are any more; "
    "the PBX itself is not touched.",
    "device remove": f"phone {MAC}: It gets no files any more, and its SIP password is worth nothing. "
    "1 setting of its own goes with it.",
    "device renew": f"phone {MAC}: It is out of service until it has fetched its files from its new address",
    "admin remove": "administrator bob: They are signed out everywhere at once.",
    "token remove": "token crm: It opens nothing from now on: programs that show it are refused.",
    "tenant remove": "tenant acme.example: What its phones were set and who picked up what go with it.",
    "restore": "blfd.db by backup.db: What has been changed since that backup goes.",
    "provision template unset": "the template of yealink: Its 2 lines are kept in the changes alone; "
    "1 phone of all tenants",
}


def test_all_that_takes_away_asks() -> None:
    assert {command for command in COMMANDS if COMMANDS[command].endswith(" --yes")} == REMOVALS.keys()
    assert {name for name in EVERY if name.split()[-1] in ("remove", "renew")} < REMOVALS.keys()


@pytest.mark.parametrize("command", REMOVALS)
def test_without_a_terminal_it_is_refused(folder: Path, inside: Blfd, command: str) -> None:
    before = rows(folder)
    code, out, errors = inside(*line(command)[:-1])
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(f"blfd: {REMOVALS[command]}")
    assert errors.endswith("Give --yes if that is meant.\n")
    assert rows(folder) == before


@pytest.mark.parametrize("answer", ["y", "n", ""])
@pytest.mark.parametrize("command", REMOVALS)
def test_on_a_terminal_it_is_asked(folder: Path, inside: Blfd, command: str, answer: str) -> None:
    what, _, text = REMOVALS[command].partition(": ")
    before = rows(folder)
    code, out, errors = inside(*line(command)[:-1], typed=f"{answer}\n")
    assert text in errors
    assert f"{what}? [y/N]" in errors
    assert (code, bool(out.strip()), rows(folder) != before) == (
        (0, True, True) if answer == "y" else (1, False, False)
    )


def test_what_has_changed_since_it_was_asked_stays(folder: Path, inside: Blfd) -> None:
    """Whoever agrees has agreed only to what they have seen."""

    def meanwhile() -> str:
        assert inside("extension", "set", "101", "--name", "Anna")[0] == 0
        return "y\n"

    code, _, errors = inside("extension", "remove", "101", typed=meanwhile)
    assert code == 1
    assert "changed by somebody else" in errors


def test_what_goes_with_a_tenant(folder: Path, inside: Blfd) -> None:
    of_acme = ("--tenant", "acme.example")
    for words in (f"extension add 201 {PASSWORD}", f"extension add 202 {PASSWORD}", "group add a 201"):
        assert inside(*of_acme, *shlex.split(words))[0] == 0
    assert inside("admin", "add", "ann", *of_acme, *shlex.split(PASSWORD))[0] == 0
    _, _, errors = inside("tenant", "remove", "acme.example")
    assert "go with it, and 2 extensions, 1 group, 1 administrator. Give --yes" in errors


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("tenant remove default", "the default tenant cannot be removed"),
        ("extension remove 999", "no extension 999"),
        ("group remove none", "no group none"),
        ("token remove none", "no token none"),
        ("provision template unset snom", "no template is set for snom"),
        ("device remove 80:5e:c0:00:00:01", "no device 80:5e:c0:00:00:01"),
        ("admin remove nobody", "no administrator nobody"),
    ],
)
def test_nothing_is_asked_of_what_cannot_be(folder: Path, inside: Blfd, words: str, reason: str) -> None:
    for more in ((), ("--yes",)):
        code, out, errors = inside(*words.split(), *more)
        assert (code, out) == (1, "")
        assert reason in errors


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("--tenant default --tenant acme.example extension list", "--tenant"),
        ("--db blfd.db --db=other.db extension list", "--db"),
        ("extension set 101 --name Anna --name Bob", "--name"),
        ("extension list --limit 1 --limit=2", "--limit"),
        ("device set 80:5e:c0:12:34:56 --keys 101 --keys 102", "--keys"),
        ("run --web http://127.0.0.1:1 --web http://127.0.0.1:2", "--web"),
    ],
)
def test_an_option_that_is_given_twice(folder: Path, inside: Blfd, words: str, option: str) -> None:
    """The last one would count, and nobody would know."""
    before = rows(folder)
    code, out, errors = inside(*words.split())
    assert (code, out, errors) == (2, "", f"blfd: {option} is given twice: which of the two is meant?\n")
    assert rows(folder) == before


@pytest.mark.parametrize(
    "words",
    [
        "--tenant default admin list --tenant default",
        "extension list --json --json",
        "extension set 101 --name --name",
        "group set sales 101 --targets 102 --targets 101",
    ],
)
def test_what_is_no_option_given_twice(folder: Path, inside: Blfd, words: str) -> None:
    """One before the command and one of the command, a flag, a value, and an option with several values."""
    assert "twice" not in inside(*words.split())[2]
