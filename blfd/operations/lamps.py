"""Lamps as people and programs may see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from blfd.control import ControlError, NotRunning
from blfd.operations.desk import Desk, Row

OPEN = ("lamp", "state", "direction", "held", "since")  # of a dialog, for who may not know its parties


class Board(NamedTuple):
    """Some lamps, and how many there are; `down`: no server answers, so they show nothing."""

    rows: list[Row]
    total: int
    down: bool


def shown(row: Row, callers: bool) -> Row:
    """A row of the control call `lamps`; without `callers`, who talks with whom is left out."""
    if callers:
        return row
    return {**row, "dialogs": [{key: dialog[key] for key in OPEN} for dialog in row["dialogs"]]}


def of(desk: Desk, tenant: str, extensions: Sequence[str], callers: bool) -> list[Row]:
    """Of these extensions alone. Raises NotRunning and ControlError."""
    found: list[Row] = desk.client.call("lamps", tenant=tenant, extensions=extensions)
    return [shown(row, callers) for row in found]


def in_calls(desk: Desk, tenant: str, callers: bool) -> list[Row]:
    """Of the extensions that have a call. Raises NotRunning and ControlError."""
    found: list[Row] = desk.client.call("lamps", tenant=tenant, calls=True)
    return [shown(row, callers) for row in found]


def all(desk: Desk, tenant: str, callers: bool) -> list[Row]:
    """Of all extensions of a tenant. Raises NotRunning and ControlError."""
    found: list[Row] = desk.client.call("lamps", tenant=tenant)
    return [shown(row, callers) for row in found]


def board(
    desk: Desk,
    tenant: str,
    search: str,
    part: tuple[int, int],
    callers: bool,
    *,
    group: str = "",
    calls_only: bool = False,
) -> Board:
    """Those that have a call first, then the others, each by number; without asking for all of them.

    `search` and `part` as in `extensions.some`; `group`: of its members alone. Raises StoreError.
    """
    words, (offset, most) = search.split(), part
    try:
        busy = {row["extension"]: row for row in in_calls(desk, tenant, callers)}
        down = False
    except (NotRunning, ControlError):
        busy, down = {}, True
    some = desk.store.some_extensions
    first, calls = some(tenant, words, part=part, group=group, among=busy.keys())
    rest, others = first[:0], 0
    if not calls_only:
        left = (max(0, offset - calls), most - len(first))
        rest, others = some(tenant, words, part=left, group=group, without=busy.keys())
    try:
        quiet = of(desk, tenant, [each.aor.extension for each in rest], callers) if rest and not down else []
    except (NotRunning, ControlError):
        quiet, down = [], True
    known = busy | {row["extension"]: row for row in quiet}
    dark = {"lamp": "", "dialogs": [], "watchers": 0}  # stored, and not known to the server
    rows = [
        known.get(each.aor.extension)
        or {"extension": each.aor.extension, "tenant": tenant, "name": each.name, **dark}
        for each in (*first, *rest)
    ]
    return Board(rows, calls + others, down)
