"""Pickup groups: who may pick up whose calls by the group's code."""

from __future__ import annotations

from collections.abc import Iterable

from blfd.core.advice import command
from blfd.core.directory import Group
from blfd.devices.survey import TEAM
from blfd.operations.desk import Desk, Row, etag
from blfd.operations.loss import Loss, some_of
from blfd.store import StoreError
from provisioning import written_mac


def row(group: Group) -> Row:
    return {
        "name": group.name,
        "tenant": group.tenant,
        "pickers": sorted(group.pickers),
        "targets": sorted(group.targets),
    }


def all(desk: Desk, tenant: str) -> list[Row]:
    """The groups of a tenant, sorted by name."""
    return [row(group) for group in desk.store.groups.all(tenant)]


def get(desk: Desk, tenant: str, name: str) -> Row:
    return row(desk.store.groups.get(tenant, name))


def add(desk: Desk, tenant: str, name: str, pickers: Iterable[str], targets: Iterable[str]) -> Row:
    """Add a group. Raises Exists."""
    with desk.change(tenant, "group.add", name, lambda: get(desk, tenant, name)):
        desk.store.groups.add(tenant, name, pickers, targets)
    return get(desk, tenant, name)


def change(
    desk: Desk,
    tenant: str,
    name: str,
    pickers: Iterable[str],
    targets: Iterable[str],
    *,
    rename: str | None = None,
    expected: str | None = None,
) -> Row:
    """Change a group: both sides replace those of before; keys of phones that name it follow a new name.

    Raises Exists for a new name that is taken.
    """
    new, shown = rename or name, [name]

    def look() -> Row:
        return get(desk, tenant, shown[0])

    with desk.change(tenant, "group.change", name, look, expected):
        if new == name:
            desk.store.groups.set(tenant, name, pickers, targets)
        else:
            desk.store.groups.get(tenant, name)
            desk.store.groups.add(tenant, new, pickers, targets)
            for device in desk.phones.of_group(tenant, name):
                desk.store.devices.replace(device._replace(keys=f"{TEAM}:{new}"), ())
            desk.store.groups.remove(tenant, name)
            shown[0] = new
    return get(desk, tenant, new)


def alter(
    desk: Desk,
    tenant: str,
    name: str,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    strict: bool = False,
) -> Row:
    """Add some members and remove others, on both sides of a group.

    With `strict`, raises StoreError for one who is to be removed and is not in it, or is to be both added and
    removed.
    """
    found = get(desk, tenant, name)
    come, gone = set(add), set(remove)
    if strict and (both := come & gone):
        raise StoreError(f"group {name}: {some_of(sorted(both))}: to be added, or removed?")
    if strict and (strange := gone - {*found["pickers"], *found["targets"]}):
        text = f"group {name}: {some_of(sorted(strange))} {'is' if len(strange) == 1 else 'are'} not in it"
        raise StoreError(text, f"{command(tenant, 'group', 'show', name)} shows who is")
    pickers, targets = ((set(found[side]) | come) - gone for side in ("pickers", "targets"))
    return change(desk, tenant, name, pickers, targets, expected=etag(found))


def loss(desk: Desk, tenant: str, name: str) -> Loss:
    """What is lost when a group is removed. Raises StoreError where it cannot be."""
    found = get(desk, tenant, name)
    _check_unused(desk, tenant, name)
    members = len({*found["pickers"], *found["targets"]})
    text = f"The extensions in it ({members}) stay, and no longer get each other's calls by the group's code."
    return Loss(f"group {name}", text, etag(found))


def remove(desk: Desk, tenant: str, name: str, expected: str | None = None) -> None:
    """Remove a group. Raises StoreError while keys of phones name it."""
    with desk.change(tenant, "group.remove", name, lambda: get(desk, tenant, name), expected):
        _check_unused(desk, tenant, name)
        desk.store.groups.remove(tenant, name)


def _check_unused(desk: Desk, tenant: str, name: str) -> None:
    phones = [written_mac(device.mac) for device in desk.phones.of_group(tenant, name)]
    if phones:
        text = f"group {name}: the keys of {some_of(phones)} are its members"
        raise StoreError(text, "give these phones other keys first")
