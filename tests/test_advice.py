"""Each command that blfd advises, in log lines, errors and findings, works as it stands there: in an office
of two tenants, for the one that is meant."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from commands import Answering, Blfd

from blfd.cli import app
from blfd.control import ControlClient, socket_path
from blfd.core.advice import command, where_missing
from blfd.devices.phones import Phones
from blfd.devices.values import Place, Wanted
from blfd.operations import Desk, admins, devices, groups, routes, trunks, upstreams
from blfd.store import NewExtension, Store

ROOT = Path(__file__).parents[1]
ACME, MAC = "acme.example", "80:5e:c0:12:34:56"
OF_ALL = frozenset(
    (
        *("run", "status", "backup", "restore", "pjsip install", "tenant list", "admin list"),
        *("provision models", "provision settings", "provision template list"),
    )
)
"""Commands that are the same for all tenants."""

NAMES = {  # what stands in the place of what is not known before
    "NAME": "carrier",
    "NUMBER": "+4930123",
    "FILE": "extensions.csv",
    "EXTENSION": "201",
    "NUMBER=EXTENSION": "4=201",
}
WORDS = {  # what an expression of the code stands for in acme.example
    "add": "add",
    "admin.name": "bob",
    "aor.extension": "201",
    "by_it[0]": "112",
    "dialled": "4=201",
    "event.mac": MAC,
    "extension": "201",
    "flow.host": "192.0.2.7",
    "group": "doors",
    "key.value": "203",
    "line.name": "carrier",
    "min(having)": MAC,
    "name": "carrier",
    "number": "911",
    "one.name": "pbx",
    "own.aor.extension": "201",
    "option": "--did",
    "pattern": "112",
    "ping.trunk.name": "carrier",
    "picker.extension": "201",
    "both": "201,202",
    "route.pattern": "112",
    "row['wanted']": "203",
    "row['mac']": MAC,
    "row['name']": "carrier",
    "self._what": "trunk",
    "kind": "trunk",
    "target.extension": "202",
    "trunk.name": "carrier",
    "upstream.name": "pbx",
    "who.tenant": ACME,
}
KNOWN = {  # the same, of one kind each, whose word for it is `name` or `NAME` as well
    "group": "doors",
    "upstream": "pbx",
    "extension": "201",
    "token": "crm",
    "admin": "ann",
}
MORE = {  # what has to stand behind a command that is advised without
    "extension add": "203",
    "device add": "80:5e:c0:12:34:57",
}
GIVEN = {  # and how it is given all that it needs
    "extension add": "--password 'correct horse'",
    "extension renumber": "--password 'correct horse'",
    "device add": "--model yealink/t31 --extension 201",
    "trunk add": "other --server 192.0.2.8",
    "route add": "",
    "upstream add": "other --server 192.0.2.8 --extensions 9xx",
    "group add": "more 201",
    "tenant add": "new.example",
    "admin add": "--password 'correct horse'",
    "admin password": "--password 'correct horse'",
    "token add": "--scope lamps",
}
VALUES = {  # of options that stand at the end, for who reads it to say
    "--trunks": "carrier",
    "--source": "192.0.2.9/32",
    "--did-source": "to",
    "--did": "4=201",
    "--default": "201",
    "--username": "line",
    "--server": "192.0.2.8",
    "--max-calls": "3",
    "--pickup-code": "**{extension}",
    "--replaces": "caller",
    "--alias": "office.example",
    "--extensions": "2xx",
    "--forward-always": "202",
    "--keys": "202",
    "--password": "another",
}
CHANGES = {  # what may be said with a command that needs something to change
    "extension set": "--name Anna",
    "trunk set": "--max-calls 3",
    "route set": "--strip 0",
    "upstream set": "--rate 9",
    "tenant set": "--pickup off",
    "device set": "--keys 202",
    "group set": "201",
}


class Site(NamedTuple):
    """A call of `command` or `where_missing` in the code."""

    where: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}: {' '.join(self.words)}"


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("blfd", "provisioning"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def literal(node: ast.expr, found: dict[str, ast.expr]) -> Iterator[str]:
    """The words of an argument; `found` are the names that are set in its module, by name."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Starred(value=ast.Name(id=name)) if name in found:
            yield from literal(found[name], found)
        case ast.Tuple(elts=elements):
            for element in elements:
                yield from literal(element, found)
        case ast.Starred(value=ast.IfExp(body=body)) | ast.IfExp(body=body):
            yield from literal(body, found)
        case ast.Starred(value=ast.Call()):  # `--tenant` of tokens and administrators, where there is one
            return
        case ast.Subscript(value=ast.Tuple(elts=elements)):
            yield from literal(elements[-1], found)
        case _:
            yield f"<{ast.unparse(node)}>"


@cache
def sites() -> tuple[Site, ...]:
    found = []
    for where, module in sources():
        if where == "blfd/core/advice.py":
            continue
        made = {
            target.id: node.value
            for node in ast.walk(module)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        partial = any(isinstance(n, ast.Call) and ast.unparse(n.func) == "partial" for n in ast.walk(module))
        for node in ast.walk(module):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            at = f"{where}:{node.lineno}"
            if name in ("command", "where_missing") and not (
                node.args and ast.unparse(node.args[0]) == "None"
            ):
                words = tuple(word for argument in node.args[1:] for word in literal(argument, made))
                ways = [()] if name == "command" else [("list",), ("add",)]
                found += [Site(at, (*words, *way)) for way in ways]
            elif name == "change" and partial:  # of `partial(command, ...)`
                words = tuple(word for argument in node.args for word in literal(argument, made))
                found.append(Site(at, ("trunk", "set", "carrier", *words)))
    return tuple(found)


@cache
def groups_of_commands() -> dict[str, list[str]]:
    """Commands by their first word: those within a group, or none."""
    root = typer.main.get_command(app)
    names = root.list_commands(None)  # type: ignore[attr-defined]
    whole = {name: root.get_command(None, name) for name in names}  # type: ignore[attr-defined]
    return {name: list(getattr(found, "commands", ())) for name, found in whole.items()}


def strings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """All texts that are no docstrings, those with values in them as one."""
    told = {
        id(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.JoinedStr):
            told |= {id(part) for part in node.values}
            parts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
            yield node.lineno, "".join(map(str, parts))
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value


def test_no_text_has_a_command_for_one_tenant_alone() -> None:
    """Such a command is written by `command`, which says the tenant."""
    kinds = {name: verbs for name, verbs in groups_of_commands().items() if name not in OF_ALL}
    wrong = []
    for where, module in sources():
        for number, text in strings(module):
            for is_whole, first, second, rest in re.findall(
                r"(blfd |(?<![\w])')([a-z]+)(?: ([a-z]+))?([^',;)]*)", text
            ):
                verbs = kinds.get(first)
                meant = verbs is not None and (second in verbs if verbs else is_whole == "blfd ")
                if meant and f"{first} {second}" not in OF_ALL and not rest.endswith(" --help"):
                    wrong.append(f"{where}:{number}: {text}")
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def office(inside: Blfd, tmp_path: Path) -> Path:
    """A folder with a database of two tenants; the default one has nothing."""
    (tmp_path / "extensions.csv").write_text("extension,password,name\n201,x,Dan\n")
    (tmp_path / "devices.csv").write_text(f"mac,model,extensions,keys\n{MAC},yealink/t54w,201,\n")
    store = Store(tmp_path / "blfd.db")
    store.tenants.add(ACME)
    store.extensions.add(ACME, [NewExtension(number, "x", f"N {number}") for number in ("201", "202")])
    place = Place("192.0.2.5", {"udp": 5060, "tcp": 5060}, "")
    desk = Desk(store, ControlClient(socket_path(store.path)), Phones(store, lambda: place), "test")
    groups.add(desk, ACME, "doors", ["201"], ["202"])
    devices.add(desk, ACME, Wanted(MAC, "yealink/t54w", ("201",), "202"))
    trunks.add(desk, ACME, "carrier", {"servers": ["192.0.2.7"], "caller_id": "+4930123"})
    routes.add(desk, ACME, "112", {"trunks": ["carrier"], "emergency": True})
    upstreams.add(desk, ACME, "pbx", {"servers": ["192.0.2.7"], "extensions": ["2xx"]})
    admins.add(desk, "bob", "correct horse", None)
    admins.add_token(desk, ACME, "crm", ["lamps"])
    return tmp_path


def completed(words: tuple[str, ...]) -> tuple[str, list[str]]:
    """The command as somebody types it who knows what stands for what; and its name."""
    name = " ".join(words[:2]) if words[0] in KINDS else words[0]
    name = name.replace("<kind>", "trunk").replace("<self._what>", "trunk").replace("<verb>", "set")
    typed = []
    for at, word in enumerate(words):
        text = WORDS[word[1:-1]] if word.startswith("<") else NAMES.get(word, word)
        if at == 2 and word in ("NAME", "<name>") and words[0] in KNOWN:
            text = KNOWN[words[0]]
        typed.append(text)
    if typed[-1] in VALUES:
        typed.append(VALUES[typed[-1]])
    if len(words) == 2 and name in MORE:
        typed.append(MORE[name])
    if name == "extension add":
        typed[2] = "203"
    if typed[:3] == ["route", "add", "112"]:
        typed[2] = "110"
    if typed[:2] == ["device", "import"]:
        typed[2] = "devices.csv"
    if name in GIVEN and name != "route add":
        typed += shlex.split(GIVEN[name])
    if name == "route add" and len(words) == 2:
        typed += ["9.", "--trunks", "carrier"]
    if name in CHANGES and not any(word.startswith("--") for word in typed):
        typed += shlex.split(CHANGES[name])
    if typed[1:2] in (["remove"], ["renew"]):
        typed.append("--yes")
    return name, typed


KINDS = frozenset(name for name, verbs in groups_of_commands().items() if verbs) | {"<kind>", "<self._what>"}


@pytest.mark.parametrize("site", sites(), ids=str)
def test_a_command_that_is_advised_works_for_its_tenant(
    office: Path, inside: Blfd, server: Answering, site: Site
) -> None:
    server.answers |= {call: [] for call in ("lamps", "publications", "trunks", "upstreams")}
    name, words = completed(site.words)
    of_system = name.split()[0] in ("admin", "token") or name in ("tenant list", "tenant add")
    tenant = "default" if of_system or ACME in words else ACME
    told = command(tenant, *words[: len(site.words)]).strip("'")
    assert "..." not in told, "a shell may take a word for more"
    typed = [*shlex.split(told), *words[len(site.words) :]]
    assert typed[0] == "blfd"
    if name == "token list":
        typed += ["--tenant", ACME]
    code, _, errors = inside(*typed[1:])
    assert code in ((0, 1) if name == "doctor" else (0,)), f"{typed}: {errors}"


def test_there_are_many() -> None:
    assert len(sites()) > 60


@pytest.mark.parametrize(
    ("tenant", "words", "told"),
    [
        ("default", ("doctor",), "'blfd doctor'"),
        (ACME, ("doctor",), "'blfd --tenant acme.example doctor'"),
        (ACME, ("provision", "set", "*", "a", "b"), r"'blfd --tenant acme.example provision set \* a b'"),
        ("default", ("route", "show", "#31#"), r"'blfd route show \#31#'"),
        ("default", ("extension", "add", "a;reboot"), "'blfd extension add ...'"),
        ("default", ("extension", "add", "$(reboot)"), "'blfd extension add ...'"),
        ("default", ("extension", "add", ""), "'blfd extension add ...'"),
    ],
)
def test_what_a_shell_would_take_for_more(tenant: str, words: tuple[str, ...], told: str) -> None:
    assert command(tenant, *words) == told


def test_what_is_not_there_and_how_it_comes() -> None:
    assert where_missing(ACME, "group") == (
        "'blfd --tenant acme.example group list' shows them, 'blfd --tenant acme.example group add' adds one"
    )


@pytest.mark.parametrize("given", [("--db", "blfd.db"), ("--db=blfd.db",)])
def test_advice_is_for_the_database_that_was_named(
    office: Path, inside: Blfd, given: tuple[str, ...]
) -> None:
    """Where another one than blfd.db is in use, the command without --db would look into that, or make it."""
    of_acme = ("--tenant", ACME)
    errors = inside(*given, *of_acme, "extension", "show", "999")[2]
    assert "'blfd --db blfd.db --tenant acme.example extension list' shows them" in errors
    assert "'blfd --db blfd.db run'" in inside(*given, *of_acme, "lamps")[2]
    (office / "doctor's.toml").write_text('database = "blfd.db"\n')
    findings = inside("--config", "doctor's.toml", *of_acme, "doctor", "--json")[1]
    assert "'blfd --config 'doctor'\\\"'\\\"'s.toml' run'" in findings
