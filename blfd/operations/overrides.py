"""Changes of what a site puts over blfd's settings, made only if no phone in their scope breaks.

Phones are tried before the change: thousands take a while, and nobody else can write during a change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from blfd.devices.files import EVERYWHERE
from blfd.operations.desk import SYSTEM, Desk, Row, told
from blfd.operations.scope import is_device
from blfd.store import StoreError
from blfd.store.devices import DeviceRow
from blfd.store.overrides import Overrides
from provisioning import ProvisioningError


@dataclass(frozen=True, slots=True)
class Trial:
    """The overrides as they would be after a change."""

    overrides: Overrides
    tenant: str | None = None
    scope: str = ""
    changed: dict[str, str | None] = field(default_factory=dict)
    changed_templates: dict[str, str] = field(default_factory=dict)

    def settings(self, tenant: str | None, scope: str) -> dict[str, str | None]:
        found = self.overrides.settings(tenant, scope)
        return found | self.changed if (tenant, scope) == (self.tenant, self.scope) else found

    def templates(self) -> dict[str, str]:
        return self.overrides.templates() | self.changed_templates


def set(desk: Desk, tenant: str | None, scope: str, name: str, value: str | None) -> None:
    """For a tenant's phones, or with None for all tenants'; a value of None leaves our setting out."""
    overrides = desk.store.overrides

    def look() -> Row | None:
        found = overrides.settings(tenant, scope)
        return told({name: found[name]}) if name in found else None

    if tenant is not None and is_device(scope):
        desk.phones.get(tenant, scope)  # says so where there is no such device
    _check(desk, Trial(overrides, tenant, scope, {name: value}), tenant, scope)
    with desk.change(tenant or SYSTEM, "setting.set", scope, look, reloads=False):
        overrides.set(tenant, scope, name, value)


def unset(desk: Desk, tenant: str | None, scope: str, name: str) -> None:
    """Raises NotFound."""
    overrides = desk.store.overrides

    def look() -> Row | None:
        found = overrides.settings(tenant, scope)
        return told({name: found[name]}) if name in found else None

    with desk.change(tenant or SYSTEM, "setting.unset", scope, look, reloads=False):
        overrides.unset(tenant, scope, name)


def set_template(desk: Desk, scope: str, source: str) -> None:
    """For a vendor or a model, of all tenants."""
    _check(desk, Trial(desk.store.overrides, changed_templates={scope: source}), None, scope)
    with desk.change(SYSTEM, "template.set", scope, lambda: _template(desk, scope), reloads=False):
        desk.store.overrides.set_template(scope, source)


def unset_template(desk: Desk, scope: str) -> None:
    """Raises NotFound."""
    with desk.change(SYSTEM, "template.unset", scope, lambda: _template(desk, scope), reloads=False):
        desk.store.overrides.unset_template(scope)


def _template(desk: Desk, scope: str) -> Row | None:
    found = desk.store.overrides.templates()
    return {"source": found[scope]} if scope in found else None


def _check(desk: Desk, trial: Trial, tenant: str | None, scope: str) -> None:
    """Raises StoreError, in one line that names the phone, if one breaks that was sound before."""
    phones = desk.phones.over(trial)
    for row in _rows(desk, tenant, scope):
        try:
            phones.files(row)
        except (ProvisioningError, StoreError) as error:
            if _is_sound(desk, row):
                raise StoreError(str(error)) from None


def _is_sound(desk: Desk, row: DeviceRow) -> bool:
    try:
        desk.phones.files(row)
    except (ProvisioningError, StoreError):
        return False
    return True


def _rows(desk: Desk, tenant: str | None, scope: str) -> Iterator[DeviceRow]:
    devices = desk.store.devices
    for row in devices.everywhere() if tenant is None else devices.all(tenant):
        if scope in (EVERYWHERE, row.model.partition("/")[0], row.model, row.mac):
            yield row
