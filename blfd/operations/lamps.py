"""Lamps as people and programs may see them."""

from __future__ import annotations

from collections.abc import Sequence

from blfd.operations.desk import Desk, Row

OPEN = ("lamp", "state", "direction", "held", "since")  # of a dialog, for who may not know its parties


def shown(row: Row, callers: bool) -> Row:
    """A row of the control call `lamps`; without `callers`, who talks with whom is left out."""
    if callers:
        return row
    return {**row, "dialogs": [{key: dialog[key] for key in OPEN} for dialog in row["dialogs"]]}


def of(desk: Desk, tenant: str, extensions: Sequence[str], callers: bool) -> list[Row]:
    """Of these extensions alone. Raises NotRunning and ControlError."""
    found: list[Row] = desk.client.call("lamps", tenant=tenant, extensions=extensions)
    return [shown(row, callers) for row in found]


def all(desk: Desk, tenant: str, callers: bool) -> list[Row]:
    """Of all extensions of a tenant. Raises NotRunning and ControlError."""
    found: list[Row] = desk.client.call("lamps", tenant=tenant)
    return [shown(row, callers) for row in found]
