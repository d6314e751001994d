"""Words that are searched for: rows in memory and in the database are found alike, by every face."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Blfd
from core.test_searched import CASES

from blfd.operations.desk import Row
from blfd.operations.selection import matching
from blfd.store import NewExtension, Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("searched") / "blfd.db")


@pytest.mark.parametrize(("written", "value", "found"), CASES)
def test_lists_and_the_database_find_the_same(store: Store, written: str, value: str, found: bool) -> None:
    number = f"x{CASES.index((written, value, found))}"
    store.extensions.add("default", [NewExtension(number, "x", value)])
    rows, _ = store.extensions.some("default", [written], part=(0, 1000))
    assert (number in [row.aor.extension for row in rows]) is found
    listed: list[Row] = [{"a": value, "b": [], "c": None}]
    assert bool(matching(listed, written)) is found
    assert bool(matching(listed, f"a={written}")) is found


@pytest.mark.parametrize(
    "written", ["80:5e:c0:12:34:56", "805EC0123456", "80-5e-c0-12-34-56", "805e.c012.3456", "mac=805ec012"]
)
def test_phones_by_an_address_written_any_way(inside: Blfd, tmp_path: Path, written: str) -> None:
    assert inside("extension", "add", "101", "--password", "x", "--name", "J\u00f6rg")[0] == 0
    for mac in ("80:5e:c0:12:34:56", "80:5e:c0:99:34:56"):
        assert inside("device", "add", mac, "--model", "yealink/t54w", "--extension", "101")[0] == 0
    found = json.loads(inside("device", "list", "--filter", written, "--json")[1])
    assert [row["mac"] for row in found] == ["80:5e:c0:12:34:56"]
    assert json.loads(inside("extension", "list", "--filter", "jorg", "--json")[1])
