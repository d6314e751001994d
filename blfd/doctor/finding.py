"""What the doctor finds."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What was found; `state` is ok, warning or fault; `advice` is empty where all is well."""

    state: str
    what: str
    advice: str = ""


def some(extensions: set[str]) -> str:
    """Some of the extensions, and how many more there are."""
    named = sorted(extensions)
    return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
