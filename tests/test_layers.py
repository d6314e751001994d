"""Imports run one way (docs/architecture.md, rule 3)."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WEB = {"fastapi", "h11", "jinja2", "prometheus_client", "pydantic", "starlette", "uvicorn"}
ALLOWED: dict[str, set[str]] = {
    "dialog_info/": {"dialog_info", "lxml"},
    "provisioning/": {"provisioning", "jinja2", "lxml"},
    "blfd/__init__.py": set(),
    "blfd/__main__.py": {"blfd.cli"},
    "blfd/core/": {"blfd.core", "dialog_info"},
    "blfd/transport/locating.py": {"blfd.core.hosts", "blfd.core.values", "dns"},
    "blfd/transport/": {"blfd.core.access.limits", "blfd.core.hosts", "blfd.core.values", "blfd.transport"},
    "blfd/sip/": {"blfd.core", "blfd.sip", "blfd.transport"},
    "blfd/pjsip/declared.py": {"_cffi_backend"},
    "blfd/pjsip/": {"blfd.core", "blfd.pjsip", "blfd.sip", "blfd.transport", "dialog_info", "cffi", "pjsua2"},
    "blfd/store/": {"blfd.core", "blfd.store", "sqlite_utils"},
    "blfd/config/": {
        "blfd.config",
        "blfd.core",
        "blfd.transport.addresses",
        "blfd.transport.certificate",
        "pydantic",
        "pydantic_settings",
    },
    "blfd/control.py": set(),
    "blfd/logs.py": {"blfd.core.visible"},
    "blfd/doctor/": {
        "blfd.config",
        "blfd.control",
        "blfd.core",
        "blfd.devices",
        "blfd.doctor",
        "blfd.store",
        "blfd.transport.addresses",
        "blfd.transport.certificate",
        "blfd.transport.certificate_faults",
        "provisioning",
    },
    "blfd/devices/": {"blfd.core", "blfd.devices", "blfd.store", "blfd.transport.addresses", "provisioning"},
    "blfd/operations/": {
        "argon2",
        "blfd.control",
        "blfd.core",
        "blfd.devices",
        "blfd.operations",
        "blfd.store",
        "provisioning",
    },
    "blfd/web/": {
        "blfd",
        "blfd.config",
        "blfd.logs",
        "blfd.control",
        "blfd.core",
        "blfd.devices",
        "blfd.doctor",
        "blfd.operations",
        "blfd.store",
        "blfd.transport.certificate",
        "blfd.transport.certificates",
        "blfd.web",
        "provisioning",
        *WEB,
    },
    "blfd/server/": {
        "blfd",
        "blfd.config",
        "blfd.logs",
        "blfd.control",
        "blfd.core",
        "blfd.devices",
        "blfd.operations",
        "blfd.pjsip",
        "blfd.server",
        "blfd.sip",
        "blfd.store",
        "blfd.transport",
    },
    "blfd/demo/demo.py": {"blfd.core", "blfd.demo", "blfd.store", "dialog_info", "rich"},
    "blfd/demo/": {"blfd.demo", "blfd.pjsip", "dialog_info", "pjsua2"},
    "blfd/cli/": {
        "blfd",
        "blfd.pjsip.wheel",
        "blfd.cli",
        "blfd.config",
        "blfd.control",
        "blfd.core",
        "blfd.demo.demo",
        "blfd.devices",
        "blfd.doctor",
        "blfd.operations",
        "blfd.server",
        "blfd.store",
        "blfd.transport.certificate",
        "provisioning",
        "click",
        "rich",
        "typer",
    },
}
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("blfd", "dialog_info", "provisioning")
    for path in (ROOT / package).rglob("*.py")
)


def imports(module: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            found.add(node.module or "")
    return {name for name in found if name.partition(".")[0] not in sys.stdlib_module_names}


HOUSE = (ROOT / "docs/architecture.md").read_text().partition("\n## A pickup")[0]
ROOMS = dict(re.findall(r"^\| `(\S+/)` \| (.*) \|$", HOUSE, re.M))
"""What each folder has, in the words of the documentation, which name each of its modules."""


@pytest.mark.parametrize("module", [module for module in MODULES if not module.endswith("__.py")])
def test_a_module_is_named_in_its_room(module: str) -> None:
    """Newcomers find each module in the documentation, and whoever adds one says what it is for."""
    folder, _, name = module.rpartition("/")
    assert f"{folder}/" in ROOMS, f"{folder}/ is no room of docs/architecture.md"
    said = f"`{name.removesuffix('.py')}`"
    assert said in ROOMS[f"{folder}/"], f"docs/architecture.md does not say what {module} is for"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_what_it_is_said_to_have(room: str) -> None:
    parts = {path.relative_to(ROOT / room).with_suffix("").as_posix() for path in (ROOT / room).rglob("*.py")}
    folders = {path.name for path in (ROOT / "blfd").iterdir()}
    assert {name for name in re.findall(r"`([a-z_/]+)`", ROOMS[room]) if name not in folders} <= parts


ROOTS = ("", "blfd/", "blfd/core/")
RECIPES = re.findall(r"`([a-z_/]+)(?:\.([A-Za-z_]+))?`", (ROOT / "docs/architecture.md").read_text())


@pytest.mark.parametrize(("module", "name"), sorted({each for each in RECIPES if "/" in each[0]}))
def test_what_the_documentation_points_at_is_there(module: str, name: str) -> None:
    paths = [ROOT / root / f"{module}{end}" for root in ROOTS for end in ("", ".py", "/__init__.py")]
    found = [path for path in paths if path.exists()]
    assert found, f"there is no {module}"
    texts = [path.read_text() for path in found if path.suffix == ".py"]
    defined = rf"^\s*(?:(?:def|class) {name}\b|(?:self\.)?{name} *[:=])"
    assert not name or name == "py" or any(re.search(defined, text, re.M) for text in texts), name


def within(name: str, allowed: set[str]) -> bool:
    return any(name == other or (other != "blfd" and name.startswith(f"{other}.")) for other in allowed)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_its_layer_and_imports_only_what_is_below(module: str) -> None:
    layer = next((layer for layer in ALLOWED if module.startswith(layer)), None)
    assert layer, f"{module} has no place: name it in ALLOWED"
    wrong = {name for name in imports(module) if not within(name, ALLOWED[layer])}
    assert not wrong, f"{module} imports {wrong}"


HOUSES: dict[str, dict[str, Path]] = {
    "the house": {
        module.removesuffix(".py").removesuffix("/__init__").replace("/", "."): ROOT / module
        for module in MODULES
    },
    "bench": {path.stem: path for path in (ROOT / "bench").rglob("*.py")},
    "tests": {path.stem: path for path in (ROOT / "tests").rglob("*.py")},
}
"""Modules by the names by which others import them."""


def imported(path: Path, known: Collection[str]) -> set[str]:
    """The known modules that a module imports, even those for types alone and inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner | ({node.module} if inner - set(known) else set())
    return found & set(known)


@pytest.mark.parametrize("house", HOUSES)
def test_no_imports_run_in_a_circle(house: str) -> None:
    """Imports for types alone, or inside functions, count, too: each module is read without later ones."""
    modules = HOUSES[house]
    try:
        TopologicalSorter({name: imported(path, modules) for name, path in modules.items()}).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("parent", ["blfd", "blfd.core", "blfd.web"])
def test_no_folders_know_each_other_both_ways(parent: str) -> None:
    """Those side by side; modules that lie beside them are the words of all, or join them."""

    def folder(module: str) -> str:
        inner = module.removeprefix(f"{parent}.").partition(".")[0]
        is_within = module.startswith(f"{parent}.") and (ROOT / parent.replace(".", "/") / inner).is_dir()
        return inner if is_within else ""

    knows: dict[str, set[str]] = {}
    for name, path in HOUSES["the house"].items():
        knows.setdefault(folder(name), set()).update(map(folder, imported(path, HOUSES["the house"])))
    among = {name: others - {name, ""} for name, others in knows.items() if name}
    assert len(among) > 2
    try:
        TopologicalSorter(among).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_only_the_command_line_imports_the_command_line() -> None:
    importers = {m for m in MODULES if any(within(name, {"blfd.cli"}) for name in imports(m))}
    assert {m for m in importers if not m.startswith("blfd/cli/")} == {"blfd/__main__.py"}


def test_only_one_folder_knows_pjsip() -> None:
    importers = {m for m in MODULES if imports(m) & {"cffi", "pjsua2"}}
    assert importers
    assert all(m.startswith("blfd/pjsip/") or m == "blfd/demo/simulated_phone.py" for m in importers)


CHANGES = {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove"}
CHANGES |= {"setdefault", "sort", "update"}


def named(node: ast.AST) -> str:
    """The name at the root of `a`, `a.b` or `a[b]`."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def targets(node: ast.AST) -> list[ast.expr]:
    """The targets that a statement assigns to or deletes."""
    match node:
        case ast.Assign() | ast.Delete():
            return node.targets
        case ast.AugAssign() | ast.AnnAssign():
            return [node.target]
    return []


def names(node: ast.AST) -> set[str]:
    """The variables that are set anywhere in `node`."""
    set_here = (
        each for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    )
    return {each.id for each in set_here}


def changed_by(node: ast.AST) -> list[str]:
    """The names of what a node changes, and does not set."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
        return [named(node.func.value)]
    return [named(target) for target in targets(node) if isinstance(target, ast.Attribute | ast.Subscript)]


def state_of(tree: ast.Module) -> list[str]:
    """The names of what a module keeps for all who import it and its functions change."""
    kept = set().union(*(names(target) for statement in tree.body for target in targets(statement)))
    found = [f"line {node.lineno}: global" for node in ast.walk(tree) if isinstance(node, ast.Global)]
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            own = names(function) | {arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)}
            changed = {name for node in ast.walk(function) for name in changed_by(node)}
            found += [f"line {function.lineno}: {name}" for name in changed & (kept - own)]
    return found


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("blfd/")])
def test_no_module_has_state(module: str) -> None:
    """Several servers, or their tests, live beside each other in one process."""
    assert state_of(ast.parse((ROOT / module).read_text())) == []


@pytest.mark.parametrize(
    "code",
    [
        "n = 0\ndef f():\n    global n\n    n += 1",
        "known = {}\ndef f(k):\n    known[k] = 1",
        "known: dict[str, int] = {}\nclass A:\n    def f(self, k):\n        del known[k]",
        "known = []\nasync def f(k):\n    known.append(k)",
        "class A: ...\nthe = A()\ndef f(k):\n    the.value.known += 1",
        "known = set()\nf = lambda k: known.add(k)",
    ],
)
def test_what_state_is(code: str) -> None:
    assert len(state_of(ast.parse(code))) == 1
    shadowed = "known = {}\ndef f(known):\n    known[1] = 2\ndef g():\n    known = {}\n    known.clear()"
    assert state_of(ast.parse(shadowed)) == []
