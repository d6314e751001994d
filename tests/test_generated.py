"""Diagrams and tables in the documentation are those that the code makes."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from blfd.cli import app
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


ROOT = SCRIPT.parents[1]
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^(?:\$ )?(?:podman exec blfd |sudo -u blfd )?(?:\S*/)?blfd (.*)$", re.M)


def commands_in(text: str) -> list[list[str]]:
    """The words after `blfd` of each command in blocks, in lines of text, and in tables."""
    blocks = [block.replace("\\\n", " ") for block in BLOCK.findall(text)]
    found = [line for block in blocks for line in COMMAND.findall(block)]
    found += re.findall(r"`blfd ([^`\n]+)`", text)  # commands in a line of text, or a table
    return [shlex.split(line.split(" | ")[0].split(" && ")[0], comments=True) for line in found]


@pytest.mark.parametrize("document", sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("*.md")]), ids=str)
def test_commands_in_the_documentation_exist_with_their_options(document: Path) -> None:
    for words in commands_in(document.read_text()):
        command, known = typer.main.get_command(app), list[str]()
        rest = list(words)
        while rest:
            word = rest.pop(0)
            known = [name for option in command.params for name in (*option.opts, *option.secondary_opts)]
            if word.startswith("--") and word.partition("=")[0] not in (*known, "--help"):
                pytest.fail(f"{document.name}: blfd {' '.join(words)}: no option {word}")
            of_group = getattr(command, "get_command", None)
            if of_group is not None and not word.startswith("--"):
                inner = of_group(None, word)
                if inner is not None:
                    command = inner
                elif not words[0].startswith("--"):  # after an option, the word may be its value
                    pytest.fail(f"{document.name}: blfd {' '.join(words)}: no command {word}")
