"""Whether provisioned phones work since they have fetched: of what the server says, what concerns each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from blfd.store.devices import DeviceRow


def device_states(
    rows: Iterable[DeviceRow],
    wanted: Mapping[str, set[str]],
    registrations: Iterable[dict[str, Any]],
    watchers: Iterable[dict[str, Any]],
) -> dict[str, str]:
    """For each phone, by its address, whether it has registered and watches what its keys show.

    `wanted` are the extensions that each phone's keys watch (`Phones.watched`); `registrations` and
    `watchers` are the server's rows of these names, of the phones' tenant.
    """
    registered = {row["extension"] for row in registrations}
    seen: dict[str, set[str]] = {}
    for each in watchers:
        seen.setdefault(each["watcher"], set()).add(each["resource"])
    return {row.mac: _state(row, wanted[row.mac], registered, seen) for row in rows}


def _state(row: DeviceRow, wanted: set[str], registered: set[str], seen: dict[str, set[str]]) -> str:
    if not registered.intersection(row.extensions):
        return "not registered"
    watched = set().union(*(seen.get(extension, set()) for extension in row.extensions))
    missing = sorted(wanted - watched)
    return f"does not watch {', '.join(missing)}" if missing else "registered, watches all its keys"
