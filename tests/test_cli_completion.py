"""What a shell completes: asked as bash asks, of the real program and a real database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from forked import Forked

from blfd.control import ControlClient, socket_path
from blfd.devices.phones import Phones
from blfd.devices.values import Place, Wanted
from blfd.operations import Desk, devices, groups, trunks
from blfd.store import NewExtension, Store

BARE, WRITTEN = "805ec0000001", "80:5e:c0:00:00:01"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = Store(tmp_path / "blfd.db")
    store.tenants.add("acme.example")
    store.extensions.add("default", [NewExtension(each, "x", "Alice Ng") for each in ("101", "102", "21")])
    store.extensions.add("acme.example", [NewExtension("201", "x", "Bob")])
    phones = Phones(store, lambda: Place("192.0.2.5", {"udp": 5060}, ""))
    desk = Desk(store, ControlClient(socket_path(tmp_path / "blfd.db")), phones, "me")
    groups.add(desk, "default", "sales", ["101"], ["101"])
    trunks.add(desk, "acme.example", "carrier", {"servers": ["192.0.2.1"]})
    devices.add(desk, "default", Wanted(BARE, "yealink/t54w", ("101",), "102"))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ext", ["extension"]),
        ("extension re", ["renumber", "remove"]),
        ("extension show 10", ["101", "102"]),
        ("extension renumber 2", ["21"]),
        ("--tenant acme.example extension show 2", ["201"]),
        ("--tenant acme", ["acme.example"]),
        ("--tenant nowhere extension show 1", []),
        ("tenant show acme", ["acme.example"]),
        ("group set s", ["sales"]),
        ("group set sales 1", ["101", "102"]),
        ("device show 80", [BARE]),
        ("provision show 80:5", [WRITTEN]),
        ("--tenant acme.example trunk show c", ["carrier"]),
        ("trunk show c", []),
        ("explain 10", ["101", "102"]),
        ("--tenant acme.example explain t", ["trunk+carrier"]),
        ("--db none.db extension show 1", []),
        ("--config none.toml extension show 1", []),
        ("--db blfd.toml extension show 1", []),
    ],
)
def test_names_are_completed(folder: Path, forked: Forked, line: str, found: list[str]) -> None:
    (folder / "blfd.toml").write_text("# no settings\n")
    asking = {"_BLFD_COMPLETE": "complete_bash", "COMP_WORDS": f"blfd {line}"}
    done = forked.run((), folder, {**os.environ, **asking, "COMP_CWORD": f"{len(line.split())}"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == found
    assert not (folder / "none.db").exists()
