"""Routes: which numbers go out by which trunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from blfd.core.advice import command
from blfd.core.trunk import OutRoute
from blfd.core.trunks import numbers
from blfd.core.trunks.faults import shadowed
from blfd.operations.desk import Desk, Row, etag
from blfd.operations.loss import Loss, some_of
from blfd.operations.said import taken
from blfd.store import StoreError
from blfd.store.trunks import OF_ROUTE

SETTINGS = tuple(OF_ROUTE)
"""What can be said of a route, by the names of `OutRoute`."""


def row(route: OutRoute) -> Row:
    found = {name: getattr(route, name) for name in SETTINGS}
    return {"pattern": route.pattern, "tenant": route.tenant, **found, "trunks": list(route.trunks)}


def all(desk: Desk, tenant: str) -> list[Row]:
    """The routes of a tenant, sorted by pattern."""
    desk.store.tenants.get(tenant)
    return [row(route) for route in desk.store.trunks.routes(tenant)]


def get(desk: Desk, tenant: str, pattern: str) -> Row:
    return row(desk.store.trunks.route(tenant, pattern))


def add(desk: Desk, tenant: str, pattern: str, said: Mapping[str, Any], *, force: bool = False) -> Row:
    """Add a route as `said`, by SETTINGS; with `force`, an extension may have the number. Raises Exists."""
    desk.store.tenants.get(tenant)
    new = replace(OutRoute(tenant, pattern, ()), **taken(said, OF_ROUTE, "a route"))
    _check_free(desk, new, force)
    with desk.change(tenant, "route.add", pattern, lambda: get(desk, tenant, pattern)):
        desk.store.trunks.put_route(new, is_new=True)
    return get(desk, tenant, pattern)


def change(
    desk: Desk,
    tenant: str,
    pattern: str,
    said: Mapping[str, Any],
    expected: str | None = None,
    *,
    force: bool = False,
) -> Row:
    """Change what is said of a route; trunks replace those of before."""
    if not said:
        raise StoreError("nothing to change", "'blfd route set --help' shows what there is")
    with desk.change(tenant, "route.change", pattern, lambda: get(desk, tenant, pattern), expected):
        known = desk.store.trunks.route(tenant, pattern)
        new = replace(known, **taken(said, OF_ROUTE, "a route"))
        if new.emergency and not known.emergency:
            _check_free(desk, new, force)
        desk.store.trunks.put_route(new, is_new=False)
    return get(desk, tenant, pattern)


def _check_free(desk: Desk, route: OutRoute, force: bool) -> None:
    """Check that no code or extension takes all calls of a route, and no extension some of an emergency
    route's. Raises StoreError."""
    if code := shadowed(route.pattern, desk.store.tenants.get(route.tenant)):
        text = f"route {route.pattern}: {code} is a code here, which gets all that begins so"
        change = command(route.tenant, "tenant", "set")
        raise StoreError(text, f"give it another pattern, or the code another one by {change}")
    if force:
        return
    if not route.emergency:
        if route.pattern in desk.store.extensions.names(route.tenant):
            text = f"route {route.pattern}: extension {route.pattern} gets all its calls"
            raise StoreError(text, "give it another pattern, or --force if the extension is to go")
        return
    taken = [name for name in desk.store.extensions.names(route.tenant) if numbers.match(route.pattern, name)]
    if taken:
        text = f"{some_of(taken)} is an extension, and would get the calls to the emergency number"
        raise StoreError(text, "give it another number, or --force")


def check_extensions(desk: Desk, tenant: str, names: Iterable[str]) -> None:
    """Check that no extension of such a name would take emergency calls. Raises StoreError."""
    patterns = [route.pattern for route in desk.store.trunks.routes(tenant) if route.emergency]
    taken = [name for name in names if any(numbers.match(pattern, name) for pattern in patterns)]
    if taken:
        text = f"{some_of(taken)} is an emergency number: an extension of that name would get the calls to it"
        raise StoreError(text, "choose another, or give --force")


def loss(desk: Desk, tenant: str, pattern: str) -> Loss:
    """What is lost when a route is removed."""
    found = get(desk, tenant, pattern)
    what = "emergency number" if found["emergency"] else "numbers of it"
    return Loss(f"route {pattern}", f"Nobody can call the {what} any more.", etag(found))


def remove(desk: Desk, tenant: str, pattern: str, expected: str | None = None) -> None:
    with desk.change(tenant, "route.remove", pattern, lambda: get(desk, tenant, pattern), expected):
        desk.store.trunks.remove_route(tenant, pattern)
