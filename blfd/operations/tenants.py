"""Tenants: SIP domains that never see each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Unpack

from blfd.core.directory import Tenant
from blfd.core.values import DEFAULT_TENANT
from blfd.operations.desk import Desk, Row, etag
from blfd.operations.loss import Loss, counted
from blfd.store import checks
from blfd.store.tenants import TenantChanges


def row(tenant: Tenant, extensions: int) -> Row:
    return {
        "domain": tenant.domain,
        "aliases": list(tenant.aliases),
        "single_dialog": tenant.single_dialog,
        "pickup_code": tenant.pickup_code,
        "group_pickup_code": tenant.group_pickup_code,
        "pickup": tenant.pickup.value,
        "pickable": tenant.pickable,
        "owner": tenant.owner.value,
        "dnd_lamp": tenant.dnd_lamp.value,
        "redirect": tenant.redirect.value,
        "decline": tenant.decline.value,
        "star_codes": asdict(tenant.star_codes),
        "feature_sync": tenant.feature_sync,
        "send_outside": tenant.send_outside,
        "extensions": extensions,
    }


def all(desk: Desk) -> list[Row]:
    """The tenants, sorted by domain, the default one first."""
    counts = desk.store.extensions.counts()
    domains = sorted(desk.store.tenants.domains(), key=lambda domain: (domain != DEFAULT_TENANT, domain))
    return [row(desk.store.tenants.get(domain), counts[domain]) for domain in domains]


def get(desk: Desk, domain: str) -> Row:
    return row(desk.store.tenants.get(domain), desk.store.extensions.counts()[domain])


def add(desk: Desk, domain: str, aliases: Iterable[str] = ()) -> Row:
    """Add a tenant. Raises Exists."""
    domain = checks.domain(domain)
    with desk.change(domain, "tenant.add", domain, lambda: get(desk, domain)):
        desk.store.tenants.add(domain, aliases)
    return get(desk, domain)


def change(desk: Desk, domain: str, *, expected: str | None = None, **changes: Unpack[TenantChanges]) -> Row:
    """Change what is given of a tenant."""
    with desk.change(domain, "tenant.change", domain, lambda: get(desk, domain), expected):
        desk.store.tenants.set(domain, **changes)
    return get(desk, domain)


def loss(desk: Desk, domain: str) -> Loss:
    """What is lost when a tenant is removed. Raises StoreError where it cannot be."""
    desk.store.tenants.check_removable(domain)
    found, store = get(desk, domain), desk.store
    counts = {
        "extension": found["extensions"],
        "group": len(store.groups.all(domain)),
        "phone": len(store.devices.all(domain)),
        "administrator": len(store.admins.all(domain)),
        "API token": len(store.admins.tokens(domain)),
    }
    going = ", ".join(counted(number, noun) for noun, number in counts.items() if number)
    text = "What its phones were set and who picked up what go with it"
    return Loss(f"tenant {domain}", f"{text}, and {going}." if going else f"{text}.", etag(found))


def remove(desk: Desk, domain: str, expected: str | None = None) -> None:
    """Remove a tenant with its extensions, groups, phones and administrators."""
    with desk.change(domain, "tenant.remove", domain, lambda: get(desk, domain), expected):
        desk.store.tenants.remove(domain)
