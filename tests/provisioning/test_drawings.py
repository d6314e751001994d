"""The pictures of phones' keys show what layout() says, and docs/phones.md has one of each maker."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from provisioning import models

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def keys() -> ModuleType:
    spec = importlib.util.spec_from_file_location("keys", DOCS / "keys.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pictures_show_the_keys_as_they_are(keys: ModuleType) -> None:
    for place in keys.PLACES:
        drawn = keys.drawing(place)
        assert keys.file_of(place).read_text() == drawn, "run: python docs/keys.py"
        words = [each.text for each in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
        for number, label in enumerate(("Alice Ng", "Bob Roy", "Carol Diaz", "Group"), 1):
            assert f"{number} {label}" in words, place.model


def test_each_maker_has_a_picture(keys: ModuleType) -> None:
    shown = re.findall(r"\(pictures/keys-(\w+)\.svg\)", (DOCS / "phones.md").read_text())
    assert sorted(shown) == sorted({model.vendor for model in models()})
    assert [keys.file_of(place).stem for place in keys.PLACES] == [f"keys-{vendor}" for vendor in shown]
