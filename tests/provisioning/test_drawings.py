"""The pictures of keys in docs/provisioning.md are those of layout()."""

from __future__ import annotations

import os
import re
from pathlib import Path

from provisioning import Account, Device, KeyPage, find, layout, parse_keys

DOCUMENT = Path(__file__).parents[2] / "docs" / "provisioning.md"
PICTURE = re.compile(r"<!-- keys: (\S+) -->\n(?:\n?```text\n.*?```\n)?", re.DOTALL)
KEYS = parse_keys("102=Bob Roy,103=Carol Diaz,*98=Group,104=Dan")
KINDS = {"line": "line", "blf": "lamp", "speed dial": "dial"}
ACROSS = 4


def drawing(model: str) -> str:
    """With a module, where its own keys are not enough."""
    found = find(model)
    modules = int(found.room(0) <= len(KEYS))
    pages = layout(Device("805ec0123456", found, (Account("101", "x", "Alice Ng"),), KEYS, modules))
    shown = [page for page in pages if any(key.kind for key in page.keys)]
    return "\n".join([f"{model}, {len(pages)} page{'s' * (len(pages) > 1)}", *map(page, shown)])


def page(page: KeyPage) -> str:
    cells = [f"{key.number:2} {key.label:10} {KINDS.get(key.kind, ''):4}" for key in page.keys]
    rows = [cells[at : at + ACROSS] for at in range(0, len(cells), ACROSS)]
    used = [row for row in rows if any(cell.split()[1:] for cell in row)]
    left = len(cells) - sum(len(row) for row in used)
    free = [f"  and {left} more, free"] if left else []
    return "\n".join([page.title, *("  [" + "] [".join(row) + "]" for row in used), *free])


def test_the_document_shows_the_keys_as_they_are() -> None:
    """With UPDATE_GOLDEN set they are drawn anew."""
    text = DOCUMENT.read_text()
    drawn = PICTURE.sub(lambda found: f"<!-- keys: {found[1]} -->\n```text\n{drawing(found[1])}\n```\n", text)
    if os.environ.get("UPDATE_GOLDEN"):
        DOCUMENT.write_text(drawn)
        return
    assert drawn == text
    assert len(PICTURE.findall(text)) == 8, "one for each maker"
