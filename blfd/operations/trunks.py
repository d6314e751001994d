"""Trunks: lines to the outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from blfd.core.trunk import Trunk
from blfd.operations.desk import NEW_PASSWORD, Desk, Row, etag
from blfd.operations.loss import Loss, counted
from blfd.operations.said import plain, taken
from blfd.store import StoreError
from blfd.store.trunks import OF_TRUNK

SETTINGS = tuple(OF_TRUNK)
"""What can be said of a trunk, by the names of `Trunk`."""


def row(trunk: Trunk) -> Row:
    """The row of a trunk: all but the password, of which it says whether there is one."""
    found = {name: plain(getattr(trunk, name)) for name in SETTINGS}
    return {"name": trunk.name, "tenant": trunk.tenant, **found, "password": bool(trunk.password)}


def all(desk: Desk, tenant: str) -> list[Row]:
    """The trunks of a tenant, sorted by name."""
    desk.store.tenants.get(tenant)
    return [row(trunk) for trunk in desk.store.trunks.trunks(tenant)]


def get(desk: Desk, tenant: str, name: str) -> Row:
    return row(desk.store.trunks.trunk(tenant, name))


def add(desk: Desk, tenant: str, name: str, said: Mapping[str, Any]) -> Row:
    """Add a trunk; `said` has names of SETTINGS. Raises Exists."""
    desk.store.tenants.get(tenant)
    new = replace(Trunk(tenant, name), **taken(said, OF_TRUNK, "a trunk"))
    with desk.change(tenant, "trunk.add", name, lambda: get(desk, tenant, name)):
        desk.store.trunks.put(new, is_new=True)
    return get(desk, tenant, name)


def change(desk: Desk, tenant: str, name: str, said: Mapping[str, Any], expected: str | None = None) -> Row:
    """Change what is said of a trunk; lists replace those of before."""
    if not said:
        raise StoreError("nothing to change", "'blfd trunk set --help' shows what there is")
    unseen = NEW_PASSWORD if said.get("password") else None

    def look() -> Row:
        return get(desk, tenant, name)

    with desk.change(tenant, "trunk.change", name, look, expected, unseen=unseen):
        desk.store.trunks.put(
            replace(desk.store.trunks.trunk(tenant, name), **taken(said, OF_TRUNK, "a trunk")), is_new=False
        )
    return get(desk, tenant, name)


def loss(desk: Desk, tenant: str, name: str) -> Loss:
    """What is lost when a trunk is removed."""
    found = get(desk, tenant, name)
    text = (
        f"Nobody is called by its {counted(len(found['dids']), 'number')} any more; calls that are up go on."
    )
    return Loss(f"trunk {name}", text, etag(found))


def remove(desk: Desk, tenant: str, name: str, expected: str | None = None) -> None:
    """Remove a trunk. Raises StoreError while routes go by it."""
    with desk.change(tenant, "trunk.remove", name, lambda: get(desk, tenant, name), expected):
        desk.store.trunks.remove(tenant, name)
