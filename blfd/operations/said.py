"""What is said of a trunk, a route or an upstream: by names of its settings, as people and JSON have it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from blfd.store import StoreError
from blfd.store.trunks import typed


def plain(value: Any) -> Any:
    """The value of a setting, for people and JSON."""
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def taken(said: Mapping[str, Any], defaults: Mapping[str, Any], what: str) -> dict[str, Any]:
    """What is said, as the fields have it. Raises StoreError for a name that is none of `defaults`."""
    unknown = [name for name in said if name not in defaults]
    if unknown:
        raise StoreError(f"{what} has no {unknown[0]}", f"it has {', '.join(defaults)}")
    return {name: _stripped(typed(name, value, defaults)) for name, value in said.items()}


def _stripped(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(part for each in value if (part := each.strip()))
    return value.strip() if isinstance(value, str) else value
