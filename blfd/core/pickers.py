"""Who could pick up what rings at an extension, and by which ways; or why nobody could."""

from __future__ import annotations

from typing import Any

from blfd.core.advice import command
from blfd.core.core import Core
from blfd.core.directory import Owner
from blfd.core.events.subscription import Subscription
from blfd.core.values import Aor


def lamp_watchers(core: Core, aor: Aor) -> list[Subscription]:
    """The subscriptions to the lamp of an extension."""
    return [one for one in core.notifier.subscriptions.of(aor) if one.package.shows_dialogs]


def pickers(core: Core, aor: Aor, now: float) -> tuple[list[dict[str, Any]], str]:
    """The extensions that could take what rings at `aor`, and by which ways; without any, why there is none.

    Who is in a call of its own, as the caller is, has no hand free.
    """
    rings = sum(dialog.rings for dialog in core.dialogs.of(aor))
    if not rings:
        return [], "nothing rings there"
    found: list[dict[str, Any]] = []
    busy: list[str] = []
    plain: list[str] = []
    for picker in sorted(core.directory.extensions):
        phones = len(core.registrar.bindings(picker, now))
        if picker == aor:
            phones -= rings  # what already rings with the call need not pick it up
        elsewhere = core.directory.owner(core.directory.extensions[picker]) is not Owner.LOCAL
        has_phone = phones > 0 or (elsewhere and picker != aor)
        if not has_phone or not core.permissions.may(picker, aor):
            continue
        if picker != aor and not all(dialog.rings for dialog in core.dialogs.of(picker)):
            busy.append(picker.extension)
        elif rung := core.pickups.search.longest([aor], picker):
            call, bindings = rung[2], core.registrar.bindings(picker, now)
            if call and call.secure and not any(one.flow.is_secure for one in bindings):
                plain.append(picker.extension)
            else:
                found.append({"picker": picker.extension, "ways": _ways(core, aor, picker)})
    return found, "" if found else _why_nobody(core, aor, busy, plain)


def _ways(core: Core, aor: Aor, picker: Aor) -> list[str]:
    tenant = core.directory.tenants[aor.tenant]
    ways = [f"{tenant.pickup_code}{aor.extension}"]
    by_group = core.pickups.search.longest(core.permissions.in_groups(picker), picker)
    if by_group and by_group[0] == aor:
        ways.append(tenant.group_pickup_code)
    if any(s.watcher == picker and s.alive and s.view for s in lamp_watchers(core, aor)):
        ways.append("its key")
    return ways


def _why_nobody(core: Core, aor: Aor, busy: list[str], plain: list[str]) -> str:
    ringing = [dialog for dialog in core.dialogs.of(aor) if dialog.rings]
    if not any(core.pickups.across.way(aor, dialog) for dialog in ringing if dialog.publisher) and all(
        dialog.publisher for dialog in ringing
    ):
        return "another server carries the call, and no trunk says how it is picked up there"
    if not core.permissions.pickable(aor):
        advice = command(aor.tenant, "extension", "set", aor.extension, "--pickable", "on")
        return f"its calls may not be picked up; {advice}"
    if plain:
        return f"the call is by sips:, and who may has no phone over TLS: {', '.join(plain)}"
    if busy:
        return f"who may is on the phone: {', '.join(busy)}"
    return "nobody else who may is registered"
