"""State diagrams in docs/architecture.md, written from the tables of the code: `python docs/diagrams.py`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from blfd.core.events import subscription
from blfd.sip import server_transactions

DOCUMENT = Path(__file__).with_name("architecture.md")
_BLOCK = re.compile(r"(<!-- diagram: ([\w ]+) -->\n).*?(<!-- end -->)", re.S)
Table = Mapping[tuple[Enum, Enum], tuple[Enum, Enum]]
TABLES: dict[str, tuple[Table, Enum]] = {
    "subscription": (subscription.TRANSITIONS, subscription.Action.NOTHING),
    "server transaction": (server_transactions.TABLE, server_transactions.Do.NOTHING),
}


def diagram(table: Table, nothing: Enum) -> str:
    """Mermaid's words for a table; what changes nothing and asks for nothing is left out."""
    first = next(iter(table))[0]
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first.name}"]
    for (state, event), (then, action) in table.items():
        if then is not state or action is not nothing:
            does = "" if action is nothing else f" / {_words(action)}"
            lines.append(f"    {state.name} --> {then.name} : {_words(event)}{does}")
    return "\n".join([*lines, "```", ""])


def _words(of: Enum) -> str:
    return of.name.lower().replace("_", " ")


def written(text: str) -> str:
    """The document with its diagrams as the tables are now."""
    return _BLOCK.sub(lambda found: found[1] + diagram(*TABLES[found[2]]) + found[3], text)


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
    sys.stdout.write(f"{DOCUMENT} is up to date\n")
