"""What the running server says of trunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from blfd.core.core import Core
from blfd.core.trunk import Trunk
from blfd.core.trunks.registrations import Registration
from blfd.core.values import Aor, Binding

Row = dict[str, Any]

USABLE = frozenset(("registered", "registered here", "up", "ready"))
OFF = "off"
HERE = "no way: its server is this server itself"


def trunks(core: Core, tenant: str, now: float) -> Iterator[Row]:
    """One row a trunk: how it is, in words too, and how many calls it has; seconds ago and from now."""
    return (row(core, trunk, now) for trunk in core.directory.trunks if trunk.tenant == tenant)


def row(core: Core, trunk: Trunk, now: float) -> Row:
    lamp = Aor(trunk.tenant, trunk.resource)
    registration, there = core.registrations.of(trunk), core.registrar.bindings(lamp, now)
    registered = registration is not None and registration.is_registered
    state = _state(core, trunk, registration, there)
    return {
        "name": trunk.name,
        "tenant": trunk.tenant,
        "state": state,
        "usable": state in USABLE or state == OFF,
        "registered": bool(there) if trunk.is_peer else registered if registration else None,
        "registered_since": round(now - registration.since, 1) if registration and registered else None,
        "expires": round(_until(registration, there) - now) if registered or there else None,
        "server": _server(registration, there),
        "error": registration.said if registration else "",
        "up": core.pings.is_up(trunk),
        "calls": core.calls.census.by(lamp),
    }


def _state(core: Core, trunk: Trunk, registration: Registration | None, there: Sequence[Binding]) -> str:
    is_up = core.pings.is_up(trunk)
    if not trunk.enabled:
        return OFF
    if core.requests.is_draining:
        return "no more calls: the server is stopping"
    if trunk.is_peer:
        return "registered here" if there else f"not registered: nobody has come as {trunk.username}"
    if core.trunks.is_here(trunk):
        return HERE
    if registration and not registration.is_registered:
        return f"not registered: {registration.said}" if registration.said else "not registered yet"
    if is_up is False:
        return "down: no answer"
    if not core.trunks.ways(trunk):
        return "no way: no listener of its transport, or its name is not found"
    return "registered" if registration else "up" if is_up else "ready"


def _until(registration: Registration | None, there: Sequence[Binding]) -> float:
    return there[0].expires_at if there else registration.until if registration else 0.0


def _server(registration: Registration | None, there: Sequence[Binding]) -> str:
    """The way by which a trunk is reached where one of the two registers; "" where there is none."""
    if there:
        return str(there[0].flow)
    return str(registration.flow) if registration and registration.flow else ""
