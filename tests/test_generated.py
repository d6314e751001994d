"""Diagrams and tables in the documentation are those of the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from blfd.pjsip import declaring

SCRIPT = Path(__file__).parents[1] / "docs" / "generated.py"


def test_what_is_generated_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generated", SCRIPT)
    assert spec
    assert spec.loader
    generated = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generated)
    texts = [document.read_text() for document in generated.DOCUMENTS]
    for part in generated.PARTS:
        assert sum(text.count(f"<!-- generated: {part} -->") for text in texts) == 1
    for text in texts:
        assert generated.written(text) == text, "run: python docs/generated.py"


def test_the_declarations_are_those_that_are_loaded() -> None:
    assert declaring.DECLARED.read_text() == declaring.text(), "run: python -m blfd.pjsip.declaring"
