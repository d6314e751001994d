"""How a maker's phones are told a common setting: in its names and values, or not at all."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from provisioning.common.table import OFF
from provisioning.model import Device, Service

Pair = tuple[str, str]
UNKNOWN = "no document says how"
SPREAD = 4 * 60  # minutes in which all phones fetch their files


class Told(NamedTuple):
    """What a phone is told, in the maker's settings; `note` says what of the wish it is not told, and why."""

    settings: tuple[Pair, ...] = ()
    note: str = ""


Translation = Callable[[Device, Service, str], Told]


class Maker(Protocol):
    """What each maker's module of this package offers.

    `TRANSLATIONS` has those of the common settings that the maker's documents tell of, by name, and
    `REGISTRATION` matches names of settings without which a phone is not reached any more: a group `line` in
    it is the number of the account. `WEB_USERS` are the administrator's and the user's name on its web page.
    """

    TRANSLATIONS: Mapping[str, Translation]
    REGISTRATION: re.Pattern[str]
    WEB_USERS: tuple[str, str]

    def always(self, device: Device, service: Service) -> Iterator[Pair]:
        """What every phone is told: among others, whether the server takes part in its features."""

    def passwords(self, device: Device) -> Iterator[Pair]:
        """The passwords of the phone's web page."""

    def slot(self, name: str, value: str) -> str:
        """What a setting is for: of two settings for the same, the later one counts."""


def as_values(values: Mapping[str, str], *names: str) -> Translation:
    """The translation to settings that all get one of `values`; `{}` in a name stands for each account."""

    def tell(device: Device, service: Service, value: str) -> Told:
        if value not in values:
            return Told(note=UNKNOWN)
        return Told(tuple((name, values[value]) for name in each_line(device, *names)))

    return tell


def each_line(device: Device, *names: str) -> Iterator[str]:
    """The names of settings, those with `{}` once for each account."""
    for name in names:
        if "{}" in name:
            yield from (name.format(line) for line in range(1, len(device.accounts) + 1))
        else:
            yield name


def switch(on: str, off: str, *names: str) -> Translation:
    return as_values({"on": on, OFF: off}, *names)


def alerts(screen: str, sound: str, on: str, off: str) -> Translation:
    """The translation of alerts of a watched extension that rings, to settings for the eye and the ear."""

    def tell(device: Device, service: Service, value: str) -> Told:
        return Told(
            (
                (screen, on if value in ("screen", "both") else off),
                (sound, on if value in ("sound", "both") else off),
            )
        )

    return tell


def servers(first: str, second: str, *more: Pair) -> Translation:
    """The translation of one or two time servers; without a `second` setting only one can be told."""

    def tell(device: Device, service: Service, value: str) -> Told:
        hosts = value.split(",")
        told = [(first, hosts[0])]
        if second:
            told.append((second, hosts[1] if len(hosts) > 1 else ""))
        note = f"it takes one server, which is {hosts[0]}" if len(hosts) > 1 and not second else ""
        return Told((*told, *more), note)

    return tell


def ordered(names: Mapping[str, str], value: str) -> tuple[list[str], str]:
    """Codecs in the maker's names, the best first; and a note on those for which it has no name."""
    wanted = value.split(",")
    unknown = [codec for codec in wanted if codec not in names]
    note = f"{UNKNOWN} for {', '.join(unknown)}" if unknown else ""
    return [names[codec] for codec in wanted if codec in names], note


def by_mac(device: Device, count: int) -> int:
    """A number below `count`, so that phones that are alike do not all do it at once."""
    return zlib.crc32(device.mac.encode()) % count


def minute_of_day(device: Device, begin: str) -> int:
    """The minute of the day when a phone fetches its files: its own one in the hours that begin then."""
    return (minute(begin) + by_mac(device, SPREAD)) % (24 * 60)


def minute(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


def clock_time(minute: int) -> str:
    """A minute of the day as HH:MM."""
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"


def name_itself(name: str, value: str) -> str:
    """`slot` for makers where a setting has one name, and stands once in a file."""
    return name
