"""Imports run one way (docs/architecture.md, rule 3)."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "dialog_info": {"dialog_info", "lxml"},
    "provisioning": {"provisioning", "jinja2", "lxml"},
    "blfd/core": {"blfd.core", "dialog_info"},
    "blfd/addresses.py": set(),
    "blfd/pjsip": {"blfd.addresses", "blfd.core", "blfd.pjsip", "dialog_info", "cffi", "pjsua2"},
    "blfd/store": {"blfd.core", "blfd.store", "sqlite_utils"},
    "blfd/config.py": {"blfd.core"},
    "blfd/control.py": set(),
    "blfd/phones.py": {"blfd.addresses", "blfd.core", "blfd.store", "provisioning"},
    "blfd/device_states.py": {"blfd.core", "blfd.store"},
    "blfd/web": {
        "blfd",
        "blfd.config",
        "blfd.control",
        "blfd.core",
        "blfd.doctor",
        "blfd.operations",
        "blfd.phones",
        "blfd.store",
        "blfd.web",
        "fastapi",
        "h11",
        "jinja2",
        "prometheus_client",
        "provisioning",
        "pydantic",
        "starlette",
        "uvicorn",
    },
    "blfd/operations": {
        "blfd.device_states",
        "argon2",
        "blfd.control",
        "blfd.core",
        "blfd.operations",
        "blfd.phones",
        "blfd.store",
        "provisioning",
    },
    "blfd/doctor.py": {"blfd.config", "blfd.control", "blfd.core", "blfd.store"},
    "blfd/simulation.py": set(),
    "blfd/supervisor.py": set(),
    "blfd/companion.py": set(),
    "blfd/beside.py": {"blfd.companion", "blfd.config", "blfd.phones"},
    "blfd/work.py": set(),
    "blfd/answers.py": {
        "blfd",
        "blfd.core",
        "blfd.phones",
        "blfd.pjsip",
        "blfd.store",
        "blfd.supervisor",
        "blfd.work",
    },
    "blfd/server.py": {
        "blfd",
        "blfd.answers",
        "blfd.beside",
        "blfd.companion",
        "blfd.config",
        "blfd.control",
        "blfd.core",
        "blfd.phones",
        "blfd.pjsip",
        "blfd.store",
        "blfd.work",
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


def within(name: str, allowed: set[str]) -> bool:
    return any(name == other or (other != "blfd" and name.startswith(f"{other}.")) for other in allowed)


@pytest.mark.parametrize("module", [m for m in MODULES if any(m.startswith(layer) for layer in ALLOWED)])
def test_a_layer_imports_only_what_is_below(module: str) -> None:
    layer = next(layer for layer in ALLOWED if module.startswith(layer))
    wrong = {name for name in imports(module) if not within(name, ALLOWED[layer])}
    assert not wrong, f"{module} imports {wrong}"


def test_only_the_command_line_imports_the_command_line() -> None:
    importers = {m for m in MODULES if any(within(name, {"blfd.cli"}) for name in imports(m))}
    allowed = {"blfd/__main__.py", "blfd/demo.py"}
    assert {m for m in importers if not m.startswith("blfd/cli/")} <= allowed


def test_only_one_folder_knows_pjsip() -> None:
    importers = {m for m in MODULES if imports(m) & {"cffi", "pjsua2"}}
    assert importers
    assert all(m.startswith("blfd/pjsip/") for m in importers)
