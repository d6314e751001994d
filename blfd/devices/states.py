"""Whether provisioned phones work since they have fetched: of what the server says, what concerns each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cache
from typing import Any

from blfd.core.macs import mac_in
from blfd.core.values import Flow
from blfd.store.devices import DeviceRow

MOST_NAMED = 3  # extensions; of more, it is said how many


@dataclass(slots=True)
class _Seen:
    """What a phone has done."""

    registered: bool = False
    watched: Set[str] = frozenset()

    def __or__(self, other: _Seen) -> _Seen:
        return _Seen(self.registered or other.registered, self.watched | other.watched)

    def state(self, wanted: Set[str]) -> str:
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
    wanted: Mapping[str, Set[str] | str],
    registrations: Iterable[dict[str, Any]],
    watching: Iterable[dict[str, Any]],
) -> dict[str, str]:
    """The state of each phone in `wanted`, by its address: whether it has registered and watches what its
    keys show.

    `rows` are all phones of a tenant, or all of some extensions; `wanted` are the extensions that the keys of
    a phone watch, or what is wrong with it (`Phones.watched`); `registrations` and `watching` are what
    phones have been `Seen` to do, of that tenant or of those extensions.
    """
    rows = list(rows)
    of_extension: dict[str, list[DeviceRow]] = {}
    for row in rows:
        for extension in row.extensions:
            of_extension.setdefault(extension, []).append(row)
    surely, perhaps = defaultdict[str, _Seen](_Seen), defaultdict[str, _Seen](_Seen)
    said = cache(mac_in)  # what a phone calls itself when it registers, it does when it watches
    for entry in registrations:
        phones = of_extension.get(entry["extension"], [])
        for seen in _whose(entry, said(entry["user_agent"]), phones, surely, perhaps):
            seen.registered = True
    for entry in watching:
        phones = of_extension.get(entry["watcher"], [])
        for seen in _whose(entry, said(entry["user_agent"]), phones, surely, perhaps):
            seen.watched = seen.watched | entry["resources"] if seen.watched else entry["resources"]
    return {
        row.mac: _state(row, wanted[row.mac], surely[row.mac], perhaps.get(row.mac))
        for row in rows
        if row.mac in wanted
    }


def _whose(
    entry: dict[str, Any],
    said: str,
    phones: list[DeviceRow],
    surely: Mapping[str, _Seen],
    perhaps: Mapping[str, _Seen],
) -> list[_Seen]:
    """The phones of an extension that have sent what made an entry, or of which each may have.

    Its User-Agent may name its MAC (`said`). Else it is the only one there is, or the only one whose files
    were fetched from where the entry came from. Else it may be any of them.
    """
    if said:
        return [surely[row.mac] for row in phones if row.mac == said]
    if len(phones) > 1:
        host = Flow.parse(entry["source"]).host
        there = [row for row in phones if row.fetch and row.fetch.address == host]
        if len(there) != 1:
            return [perhaps[row.mac] for row in phones]
        phones = there
    return [surely[row.mac] for row in phones]


def _state(row: DeviceRow, wanted: Set[str] | str, surely: _Seen, perhaps: _Seen | None) -> str:
    if isinstance(wanted, str):
        return wanted
    state = surely.state(wanted)
    if perhaps is None or state == (at_best := (surely | perhaps).state(wanted)):
        return state
    return f"{at_best} (this phone or another of {', '.join(row.extensions)})"
