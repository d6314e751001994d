"""Lamps as people and programs may see them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from blfd.control import ControlError, NotRunning
from blfd.core.directory import Extension
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
    """The lamps of these extensions alone. Raises NotRunning and ControlError."""
    found: list[Row] = desk.client.call("lamps", tenant=tenant, extensions=extensions)
    return [shown(row, callers) for row in found]


def in_calls(desk: Desk, tenant: str, callers: bool) -> list[Row]:
    """The lamps of the extensions that have a call. Raises NotRunning and ControlError."""
    found: list[Row] = desk.client.call("lamps", tenant=tenant, calls=True)
    return [shown(row, callers) for row in found]


def all(desk: Desk, tenant: str, callers: bool) -> list[Row]:
    """The lamps of all extensions of a tenant. Raises NotRunning and ControlError."""
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
    """A part of the lamps, those with a call first, then by number; the server is not asked for all of them.

    `search` and `part` as in `extensions.some`; `group`: of its members alone. Raises StoreError.
    """
    busy = _busy(desk, tenant, callers)
    chosen = _chosen(desk, tenant, search.split(), part, group, busy or {}, calls_only)
    return _boards(desk, tenant, [chosen], busy, callers)[0]


def by_group(
    desk: Desk,
    tenant: str,
    search: str,
    groups: Sequence[str],
    most: int,
    callers: bool,
    *,
    calls_only: bool = False,
) -> list[Board]:
    """The boards of these groups, each as by `board`, with `most` lamps in all. Raises StoreError."""
    busy = _busy(desk, tenant, callers)
    chosen, left = list[tuple[list[Extension], int]](), most
    for group in groups:
        found, total = _chosen(desk, tenant, search.split(), (0, left), group, busy or {}, calls_only)
        chosen.append((found, total))
        left -= len(found)
    return _boards(desk, tenant, chosen, busy, callers)


def _busy(desk: Desk, tenant: str, callers: bool) -> dict[str, Row] | None:
    """The rows of those that have a call; None where no server answers."""
    try:
        return {row["extension"]: row for row in in_calls(desk, tenant, callers)}
    except (NotRunning, ControlError):
        return None


def _chosen(
    desk: Desk,
    tenant: str,
    words: Sequence[str],
    part: tuple[int, int],
    group: str,
    busy: Iterable[str],
    calls_only: bool,
) -> tuple[list[Extension], int]:
    """A part of the extensions that match, and how many there are; those that are busy first."""
    some, (offset, most) = desk.store.extensions.some, part
    found, total = some(tenant, words, part=part, group=group, among=busy)
    if not calls_only:
        left = (max(0, offset - total), most - len(found))
        rest, others = some(tenant, words, part=left, group=group, without=busy)
        found, total = [*found, *rest], total + others
    return found, total


def _boards(
    desk: Desk,
    tenant: str,
    chosen: Sequence[tuple[list[Extension], int]],
    busy: dict[str, Row] | None,
    callers: bool,
) -> list[Board]:
    """The boards of what was chosen, with the lamps of all, asked for at once."""
    down, known = busy is None, busy or {}
    numbers = {each.aor.extension for found, _ in chosen for each in found} - known.keys()
    if numbers and not down:
        try:
            known |= {row["extension"]: row for row in of(desk, tenant, sorted(numbers), callers)}
        except (NotRunning, ControlError):
            down = True
    dark = {"lamp": "", "dialogs": [], "watchers": 0}  # stored, and not known to the server

    def row(each: Extension) -> Row:
        number = each.aor.extension
        return known.get(number) or {"extension": number, "tenant": tenant, "name": each.name, **dark}

    return [Board([row(each) for each in found], total, down) for found, total in chosen]
