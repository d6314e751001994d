"""Upstreams: PBXs whose lamps are shown as those of own extensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from blfd.core.upstreams.upstream import Upstream, fits
from blfd.operations.desk import NEW_PASSWORD, Desk, Row, etag
from blfd.operations.loss import Loss, counted
from blfd.operations.said import plain, taken
from blfd.store import StoreError
from blfd.store.upstreams import OF_UPSTREAM

SETTINGS = tuple(OF_UPSTREAM)
"""What can be said of an upstream, by the names of `Upstream`."""


def row(upstream: Upstream) -> Row:
    """The row of an upstream: all but the password, of which it says whether there is one."""
    found = {name: plain(getattr(upstream, name)) for name in SETTINGS}
    return {"name": upstream.name, "tenant": upstream.tenant, **found, "password": bool(upstream.password)}


def all(desk: Desk, tenant: str) -> list[Row]:
    """The upstreams of a tenant, sorted by name."""
    desk.store.tenants.get(tenant)
    return [row(upstream) for upstream in desk.store.upstreams.all(tenant)]


def get(desk: Desk, tenant: str, name: str) -> Row:
    return row(desk.store.upstreams.get(tenant, name))


def add(desk: Desk, tenant: str, name: str, said: Mapping[str, Any]) -> Row:
    """Add an upstream; `said` has names of SETTINGS. Raises Exists."""
    extensions = set(desk.store.extensions.names(tenant))
    new = replace(Upstream(tenant, name), **taken(said, OF_UPSTREAM, "an upstream"))
    with desk.change(tenant, "upstream.add", name, lambda: get(desk, tenant, name)):
        desk.store.upstreams.put(new, extensions, is_new=True)
    return get(desk, tenant, name)


def change(desk: Desk, tenant: str, name: str, said: Mapping[str, Any], expected: str | None = None) -> Row:
    """Change what is said of an upstream; lists replace those of before."""
    if not said:
        raise StoreError("nothing to change", "'blfd upstream set --help' shows what there is")
    unseen = NEW_PASSWORD if said.get("password") else None

    def look() -> Row:
        return get(desk, tenant, name)

    with desk.change(tenant, "upstream.change", name, look, expected, unseen=unseen):
        new = replace(desk.store.upstreams.get(tenant, name), **taken(said, OF_UPSTREAM, "an upstream"))
        desk.store.upstreams.put(new, set(desk.store.extensions.names(tenant)), is_new=False)
    return get(desk, tenant, name)


def loss(desk: Desk, tenant: str, name: str) -> Loss:
    """What is lost when an upstream is removed."""
    found = get(desk, tenant, name)
    names = desk.store.extensions.names(tenant)
    of = [each for each in names if any(fits(pattern, each) for pattern in found["extensions"])]
    text = (
        f"Nobody tells how its {counted(len(of), 'extension')} are any more; the PBX itself is not touched."
    )
    return Loss(f"upstream {name}", text, etag(found))


def remove(desk: Desk, tenant: str, name: str, expected: str | None = None) -> None:
    with desk.change(tenant, "upstream.remove", name, lambda: get(desk, tenant, name), expected):
        desk.store.upstreams.remove(tenant, name)
