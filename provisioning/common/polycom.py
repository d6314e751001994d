"""Polycom VVX and Poly Edge E: attributes of UC software."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provisioning.common.clock import HOUR, Change, clock
from provisioning.common.dialled import DIALLED
from provisioning.common.table import OFF, SILENT
from provisioning.common.telling import (
    SPREAD,
    Pair,
    Told,
    as_values,
    clock_time,
    each_line,
    minute,
    name_itself,
    ordered,
    servers,
    switch,
)
from provisioning.model import Device, Service

REGISTRATION = re.compile(
    r"reg\.(?P<line>\d+)\.(address|auth\.userId|auth\.password|server\.\d+\.(address|port|transport|register))"
    r"|device\.set|device\.prov\.(serverType|serverName|user|password)(\.set)?"
)
WEB_USERS = ("Admin", "User")  # kinds of sign-in, as it asks for no name
LANGUAGES = {
    "de": "German_Germany",
    "en": "English_United_States",
    "es": "Spanish_Spain",
    "fr": "French_France",
    "it": "Italian_Italy",
    "nl": "Dutch_Netherlands",
}
CODECS = {
    "pcmu": "G711_Mu",
    "pcma": "G711_A",
    "g722": "G722",
    "g729": "G729_AB",
    "ilbc": "iLBC.13_33kbps",
    "opus": "Opus",
}
SNTP = "tcpIpApp.sntp."
NO_RING, SEEN = "ringer1", "1"
HEARD = "ringer2"


def _timezone(device: Device, service: Service, value: str) -> Told:
    found = clock(value, service.year, (HOUR,))
    told: list[Pair] = [
        (SNTP + "gmtOffset", str(found.offset)),
        (SNTP + "gmtOffset.overrideDHCP", "1"),
        (SNTP + "daylightSavings.enable", "1" if found.summer else "0"),
    ]
    if found.summer:
        start, end = found.summer
        told += [(SNTP + "daylightSavings.fixedDayEnable", "0"), *_change("start", start)]
        told += _change("stop", end)
    return Told(tuple(told), found.note)


def _change(which: str, change: Change) -> Iterator[Pair]:
    """The settings of a change; `date` 1, 8, 15 or 22 is the first to fourth such weekday (1 is Sunday)."""
    name = f"{SNTP}daylightSavings.{which}."
    last = change.week == 5
    yield name + "month", str(change.month)
    yield name + "date", str(7 * (min(change.week, 4) - 1) + 1)
    yield name + "dayOfWeek", str(change.weekday % 7 + 1)
    yield name + "dayOfWeek.lastInMonth", "1" if last else "0"
    yield name + "time", str(change.hour)


def _codecs(device: Device, service: Service, value: str) -> Told:
    wanted, note = ordered(CODECS, value)
    places = {name: str(wanted.index(name) + 1) if name in wanted else "0" for name in CODECS.values()}
    return Told(tuple((f"voice.codecPref.{name}", place) for name, place in places.items()), note)


def _alerts(device: Device, service: Service, value: str) -> Told:
    seen, heard = value in ("screen", "both"), value in ("sound", "both")
    return Told(
        (
            ("attendant.behaviors.display.spontaneousCallAppearances.normal", SEEN if seen else "0"),
            ("attendant.ringType", HEARD if heard else NO_RING),
        )
    )


def _phonebook(device: Device, service: Service, value: str) -> Told:
    """The setting of the phonebook: only one that is not the user's own is fetched again with the files."""
    return Told((("dir.local.readonly", "0" if value == OFF else "1"),))


def _web(device: Device, service: Service, value: str) -> Told:
    return Told(
        (
            ("httpd.cfg.enabled", "0" if value == OFF else "1"),
            ("httpd.cfg.secureTunnelEnabled", "1" if value == "https" else "0"),
            ("httpd.cfg.secureTunnelRequired", "1" if value == "https" else "0"),
        )
    )


def _refetch(device: Device, service: Service, value: str) -> Told:
    """The settings of the next fetch, at random between two times of the day."""
    polling = "prov.polling."
    if value == OFF:
        return Told(((polling + "enabled", "0"),))
    return Told(
        (
            (polling + "enabled", "1"),
            (polling + "mode", "random"),
            (polling + "period", str(24 * HOUR)),
            (polling + "time", value),
            (polling + "timeRandomEnd", clock_time(minute(value) + SPREAD)),
        )
    )


TRANSLATIONS = {
    "timezone": _timezone,
    "ntp-servers": servers(SNTP + "address", "", (SNTP + "address.overrideDHCP", "1")),
    "time-format": as_values({"12": "0", "24": "1"}, "lcl.datetime.time.24HourClock"),
    "date-format": as_values({"dmy": "D,dM", "mdy": "D,Md"}, "lcl.datetime.date.format"),
    "language": as_values(LANGUAGES, "lcl.ml.lang"),
    **DIALLED,
    "codecs": _codecs,
    "ring-tone": as_values(
        {**{str(ring): f"ringer{ring + 1}" for ring in range(1, 9)}, SILENT: NO_RING}, "reg.{}.ringType"
    ),
    "key-alerts": _alerts,
    "call-waiting": switch("1", "0", "call.callWaiting.enable"),
    "dnd-key": switch("1", "0", "softkey.feature.doNotDisturb"),
    "forward-key": switch("1", "0", "softkey.feature.forward"),
    "phonebook": _phonebook,
    "web-access": _web,
    "refetch": _refetch,
}


def always(device: Device, service: Service) -> Iterator[Pair]:
    features = ("reg.{}.serverFeatureControl.dnd", "reg.{}.serverFeatureControl.cf")
    for name in each_line(device, *features):
        yield name, "1" if service.feature_sync else "0"


def passwords(device: Device) -> Iterator[Pair]:
    yield "device.set", "1"
    for name, value in (
        ("localAdminPassword", device.admin_password),
        ("localUserPassword", device.user_password),
    ):
        yield f"device.auth.{name}.set", "1"
        yield f"device.auth.{name}", value


slot = name_itself
