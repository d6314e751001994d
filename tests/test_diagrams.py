"""The state diagrams of the documentation are those of the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "docs" / "diagrams.py"


def test_the_diagrams_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("diagrams", SCRIPT)
    assert spec
    assert spec.loader
    diagrams = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(diagrams)
    text = diagrams.DOCUMENT.read_text()
    assert text.count("stateDiagram-v2") == len(diagrams.TABLES)
    assert diagrams.written(text) == text, "run: python docs/diagrams.py"
