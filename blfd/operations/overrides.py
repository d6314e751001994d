"""Changes of what a site puts over blfd's settings, made only if no phone in their scope breaks.

Phones are tried before the change: thousands take a while, and nobody else can write during a change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import provisioning
from blfd.devices.files import EVERYWHERE, places
from blfd.operations import devices
from blfd.operations.desk import SYSTEM, Desk, Row, is_secret, told
from blfd.operations.loss import Loss, counted
from blfd.operations.scope import MAKERS, is_device, scope_of
from blfd.store import NotFound, StoreError
from blfd.store.devices import DeviceRow
from blfd.store.overrides import Overrides
from provisioning import ProvisioningError, written_mac


@dataclass(frozen=True, slots=True)
class Trial:
    """The overrides as they would be after a change."""

    overrides: Overrides
    tenant: str | None = None
    scopes: Collection[str] = ()
    changed: dict[str, str | None] = field(default_factory=dict)
    changed_templates: dict[str, str] = field(default_factory=dict)

    def settings(self, tenant: str | None, scope: str) -> dict[str, str | None]:
        found = self.overrides.settings(tenant, scope)
        return found | self.changed if tenant == self.tenant and scope in self.scopes else found

    def templates(self) -> dict[str, str]:
        return self.overrides.templates() | self.changed_templates


def set(desk: Desk, tenant: str | None, scope: str, name: str, value: str | None) -> list[str]:
    """Set an override for a tenant's phones, or for those of all tenants with None; a value of None leaves
    ours out.

    Returns notes on it that are no errors, line by line. A common setting can break no phone but one with a
    template of the site.
    """
    overrides, scope = desk.store.overrides, scoped(desk, tenant, scope)
    rows = list(_rows(desk, tenant, scope))
    makers = _makers(scope, rows)
    name, value = _accepted(makers, name, value, rows)
    trial = Trial(overrides, tenant, (scope,), {name: value})
    _try(desk, trial, name, rows)
    with desk.change(
        tenant or SYSTEM, "setting.set", scope, _look(overrides, tenant, scope, name), reloads=False
    ):
        overrides.set(tenant, scope, name, value)
    return _notes(desk, trial, rows, makers, name)


def set_many(desk: Desk, tenant: str, macs: Iterable[str], name: str, value: str | None) -> None:
    """Set an override for each of some phones, for all or none."""
    rows = devices.many(desk, tenant, macs)
    name, value = _accepted(sorted({row.model.partition("/")[0] for row in rows}), name, value, rows)
    overrides, scopes = desk.store.overrides, {row.mac for row in rows}
    _try(desk, Trial(overrides, tenant, scopes, {name: value}), name, rows)
    with desk.change(
        tenant, "setting.many", name, _look_at_many(overrides, tenant, scopes, name), reloads=False
    ):
        for scope in scopes:
            overrides.set(tenant, scope, name, value)


def unset_many(desk: Desk, tenant: str, macs: Iterable[str], name: str) -> None:
    """Take an override of these phones back where it is set. Raises NotFound where it is set for none."""
    overrides = desk.store.overrides
    name, _ = _accepted((), name, None)
    having = {scope for scope, each, _ in overrides.all(tenant) if each == name}
    scopes = having & {row.mac for row in devices.many(desk, tenant, macs)}
    if not scopes:
        raise NotFound(f"{name} is set for none of these phones alone")
    with desk.change(
        tenant, "setting.many", name, _look_at_many(overrides, tenant, scopes, name), reloads=False
    ):
        for scope in scopes:
            overrides.unset(tenant, scope, name)


def _accepted(
    makers: Sequence[str], name: str, value: str | None, rows: Iterable[DeviceRow] = ()
) -> tuple[str, str | None]:
    lines = max((len(row.extensions) for row in rows), default=1)
    try:
        return provisioning.accepted(makers, name, value, lines)
    except ProvisioningError as error:
        raise StoreError(str(error)) from None


def _try(desk: Desk, trial: Trial, name: str, rows: Iterable[DeviceRow]) -> None:
    """Try a change on the phones that it could break."""
    _check(desk, trial, [row for row in rows if name not in provisioning.COMMON or desk.phones.template(row)])


def _look_at_many(overrides: Overrides, tenant: str, scopes: Iterable[str], name: str) -> Callable[[], Row]:
    def look() -> Row:
        found = {scope: overrides.settings(tenant, scope) for scope in sorted(scopes)}
        return {
            written_mac(scope): "left out" if settings[name] is None else told({name: settings[name]})[name]
            for scope, settings in found.items()
            if name in settings
        }

    return look


def notes(desk: Desk, tenant: str, mac: str, names: Iterable[str]) -> list[str]:
    """What there is to say of settings that one phone has been given."""
    row = desk.phones.get(tenant, mac)
    trial = Trial(desk.store.overrides)
    return [note for name in names for note in _notes(desk, trial, [row], _makers(row.mac, [row]), name)]


def unset(desk: Desk, tenant: str | None, scope: str, name: str) -> None:
    """Take an override back. Raises NotFound."""
    overrides, scope = desk.store.overrides, scoped(desk, tenant, scope)
    name, _ = _accepted((), name, None)
    look = _look(overrides, tenant, scope, name)
    with desk.change(tenant or SYSTEM, "setting.unset", scope, look, reloads=False):
        overrides.unset(tenant, scope, name)


def scoped(desk: Desk, tenant: str | None, text: str) -> str:
    """A scope as it is kept; of one phone only for its own tenant. Raises StoreError."""
    scope = scope_of(text)
    if is_device(scope):
        if tenant is None:
            raise StoreError(f"scope {text!r}: a phone is of one tenant", "leave --all-tenants out")
        desk.phones.get(tenant, scope)  # says so where there is no such device
    return scope


def row(scope: str, name: str, value: str | None) -> Row:
    """The row of an override; with a value of None, phones are not told it. A secret is `hidden`, and ""
    here."""
    hidden = bool(value) and is_secret(name)
    return {"scope": _written(scope), "name": name, "value": "" if hidden else value, "hidden": hidden}


def _written(scope: str) -> str:
    return written_mac(scope) if is_device(scope) else scope


def all(desk: Desk, tenant: str | None) -> list[Row]:
    """What is set for a tenant's phones, or with None for all tenants'."""
    return [row(*each) for each in desk.store.overrides.all(tenant)]


def own(desk: Desk, tenant: str | None, scope: str) -> list[Row]:
    """The overrides that are set for exactly that scope."""
    scope = scoped(desk, tenant, scope)
    return [row(scope, *each) for each in desk.store.overrides.settings(tenant, scope).items()]


def common(desk: Desk, tenant: str | None, scope: str) -> list[Row]:
    """Each common setting: whether it `is_set` for that scope and to which value, and what holds `otherwise`.

    `from` is the wider scope that says so, or "" for our own default.
    """
    scope = scoped(desk, tenant, scope)
    here = desk.store.overrides.settings(tenant, scope)
    wider = []
    for whose, where, what in _places(desk, tenant, scope):
        if (whose, where) == (tenant, scope):
            break
        wider.append((what, desk.store.overrides.settings(whose, where)))
    others = provisioning.chosen(wider)
    return [
        {
            "name": name,
            "what": each.help,
            "values": each.values,
            "example": each.example,
            "is_set": name in here,
            "value": here.get(name),
            "otherwise": others[name].value if name in others else None,
            "from": others[name].origin if name in others else "",
        }
        for name, each in provisioning.COMMON.items()
    ]


def _places(desk: Desk, tenant: str | None, scope: str) -> Iterator[tuple[str | None, str, str]]:
    if tenant is not None and is_device(scope):
        return places(tenant, desk.phones.get(tenant, scope).model, scope)
    return places(tenant, "" if scope == EVERYWHERE else scope)


def _look(overrides: Overrides, tenant: str | None, scope: str, name: str) -> Callable[[], Row | None]:
    def look() -> Row | None:
        found = overrides.settings(tenant, scope)
        return told({name: found[name]}) if name in found else None

    return look


def _makers(scope: str, rows: list[DeviceRow]) -> list[str]:
    """The makers whose phones are in a scope."""
    if scope == EVERYWHERE:
        return sorted(MAKERS)
    return [(rows[0].model if is_device(scope) else scope).partition("/")[0]]


def _notes(desk: Desk, trial: Trial, rows: list[DeviceRow], makers: list[str], name: str) -> list[str]:
    """What to tell of a setting: that no maker is known to have it, or what its phones are not told of it."""
    unknown = provisioning.unknown_setting(makers, name)
    if unknown:
        return [unknown]
    phones, found = desk.phones.over(trial), dict[str, None]()
    for model, row in {row.model: row for row in rows}.items():
        try:
            notes = phones.untold(row)
        except (ProvisioningError, StoreError):
            continue  # it gets no files, and `device list` says why
        found |= {f"{model.partition('/')[0]}: {note}": None for note in notes if note.startswith(f"{name} ")}
    return list(found)


def template_scope(text: str) -> str:
    """The scope as it is kept. Raises StoreError for what is neither a maker nor a model."""
    scope = scope_of(text)
    if scope == EVERYWHERE or is_device(scope):
        raise StoreError(f"scope {text!r}: a template is for a maker (yealink) or a model (yealink/t54w)")
    return scope


def set_template(desk: Desk, scope: str, source: str) -> None:
    """Set the template of a vendor or a model, for all tenants."""
    _check(desk, Trial(desk.store.overrides, changed_templates={scope: source}), _rows(desk, None, scope))
    with desk.change(SYSTEM, "template.set", scope, lambda: _template(desk, scope), reloads=False):
        desk.store.overrides.set_template(scope, source)


def template_loss(desk: Desk, scope: str) -> Loss:
    """What is lost with a template that is taken back. Raises NotFound."""
    lines = len(desk.store.overrides.template(scope).splitlines())
    phones = counted(sum(1 for _ in _rows(desk, None, scope)), "phone")
    text = f"Its {counted(lines, 'line')} are kept in the changes alone; {phones} of all tenants may have it."
    return Loss(f"the template of {scope}", text)


def unset_template(desk: Desk, scope: str) -> None:
    """Take a template back. Raises NotFound."""
    with desk.change(SYSTEM, "template.unset", scope, lambda: _template(desk, scope), reloads=False):
        desk.store.overrides.unset_template(scope)


def _template(desk: Desk, scope: str) -> Row | None:
    found = desk.store.overrides.templates()
    return {"source": found[scope]} if scope in found else None


def _check(desk: Desk, trial: Trial, rows: Iterable[DeviceRow]) -> None:
    """Check that no phone breaks that was sound before. Raises StoreError, in one line that names the
    phone."""
    phones = desk.phones.over(trial)
    for row in rows:
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
    stored = desk.store.devices
    for row in stored.everywhere() if tenant is None else stored.all(tenant):
        if scope in (EVERYWHERE, row.model.partition("/")[0], row.model, row.mac):
            yield row
