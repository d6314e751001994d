"""Whether provisioned phones work since they have fetched: of what the server says, what concerns each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from blfd.core.macs import mac_in
from blfd.core.values import Flow
from blfd.store.devices import DeviceRow

MOST_NAMED = 3  # extensions; of more, it is said how many


@dataclass(slots=True)
class _Seen:
    """What a phone has done."""

    registered: bool = False
    watched: set[str] = field(default_factory=set)

    def state(self, wanted: set[str]) -> str:
        if not self.registered:
            return "not registered"
        missing = sorted(wanted - self.watched)
        if not missing:
            return "registered, watches all its keys"
        if len(missing) > MOST_NAMED:
            return f"{len(missing)} of {len(wanted)} keys silent"
        return f"does not watch {', '.join(missing)}"


def device_states(
    rows: Iterable[DeviceRow],
    wanted: Mapping[str, set[str] | str],
    registrations: Iterable[dict[str, Any]],
    watching: Iterable[dict[str, Any]],
) -> dict[str, str]:
    """The state of each phone in `wanted`, by its address: whether it has registered and watches what its
    keys show.

    `rows` are all phones of a tenant, or all of some extensions; `wanted` are the extensions that the keys of
    a phone watch, or what is wrong with it (`Phones.watched`); `registrations` and `watching` are the
    server's rows of these names, of that tenant or of those extensions.
    """
    rows = list(rows)
    of_extension: dict[str, list[DeviceRow]] = {}
    for row in rows:
        for extension in row.extensions:
            of_extension.setdefault(extension, []).append(row)
    surely = {row.mac: _Seen() for row in rows}
    perhaps = {row.mac: _Seen() for row in rows}
    for entry in registrations:
        for seen in _whose(entry, of_extension.get(entry["extension"], []), surely, perhaps):
            seen.registered = True
    for entry in watching:
        for seen in _whose(entry, of_extension.get(entry["watcher"], []), surely, perhaps):
            seen.watched.update(entry["resources"])
    return {
        row.mac: _state(row, wanted[row.mac], surely[row.mac], perhaps[row.mac])
        for row in rows
        if row.mac in wanted
    }


def _whose(
    entry: dict[str, Any], phones: list[DeviceRow], surely: dict[str, _Seen], perhaps: dict[str, _Seen]
) -> list[_Seen]:
    """The phones of an extension that may have sent what made an entry.

    Its User-Agent may name its MAC. Else it is the only one there is, or the only one whose files were
    fetched from where the entry came from. Else it may be any of them.
    """
    said = mac_in(entry["user_agent"])
    if said:
        found = [row for row in phones if row.mac == said]
    elif len(phones) > 1:
        host = Flow.parse(entry["source"]).host
        there = [row for row in phones if row.fetch and row.fetch.address == host]
        found = there if len(there) == 1 else []
    else:
        found = phones
    candidates = [] if said or found else phones
    return [
        *(surely[row.mac] for row in found),
        *(perhaps[row.mac] for row in (*found, *candidates)),
    ]


def _state(row: DeviceRow, wanted: set[str] | str, surely: _Seen, perhaps: _Seen) -> str:
    if isinstance(wanted, str):
        return wanted
    state = perhaps.state(wanted)
    if state == surely.state(wanted):
        return state
    return f"{state} (this phone or another of {', '.join(row.extensions)})"
