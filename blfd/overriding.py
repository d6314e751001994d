"""Changes of what a site puts over blfd's settings, made only if no phone in their scope breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from blfd.phones import EVERYWHERE, Phones, Place
from blfd.store import Store, StoreError
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


class Overriding:
    """Sets what applies to phones; raises StoreError, in one line that names the phone, if one breaks."""

    def __init__(self, store: Store, place: Place) -> None:
        self._store, self._place = store, place

    def set(self, tenant: str | None, scope: str, name: str, value: str | None) -> None:
        self._check(Trial(self._store.overrides, tenant, scope, {name: value}), tenant, scope)
        self._store.overrides.set(tenant, scope, name, value)

    def set_template(self, scope: str, source: str) -> None:
        self._check(Trial(self._store.overrides, changed_templates={scope: source}), None, scope)
        self._store.overrides.set_template(scope, source)

    def _check(self, trial: Trial, tenant: str | None, scope: str) -> None:
        phones = Phones(self._store, self._place, trial)
        for row in self._rows(tenant, scope):
            try:
                phones.files(row)
            except ProvisioningError as error:
                raise StoreError(str(error)) from None

    def _rows(self, tenant: str | None, scope: str) -> Iterator[DeviceRow]:
        devices = self._store.devices
        for row in devices.everywhere() if tenant is None else devices.all(tenant):
            if scope in (EVERYWHERE, row.model.partition("/")[0], row.model, row.mac):
                yield row
