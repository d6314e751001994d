"""Snom D series; Gigaset's P8xx have the same software (`gigaset`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provisioning.common.clock import Change, clock
from provisioning.common.dialled import DIALLED
from provisioning.common.table import OFF, ON, SILENT
from provisioning.common.telling import (
    SPREAD,
    UNKNOWN,
    Pair,
    Told,
    as_values,
    clock_time,
    minute,
    name_itself,
    ordered,
    servers,
    switch,
)
from provisioning.model import Device, Service

REGISTRATION = re.compile(
    r"user_(active|name|pname|pass|host|outbound)\[(?P<line>\d+)\]"
    r"|setting_server|http_client_user|http_client_pass"
)
WEB_USERS = ("admin", "user")
LANGUAGES = {
    "bs": "Bosanski",
    "cs": "Čeština",
    "da": "Dansk",
    "de": "Deutsch",
    "en": "English",
    "es": "Español",
    "fi": "Suomi",
    "fr": "Français",
    "hu": "Magyar",
    "it": "Italiano",
    "lt": "Lietuvių",
    "nl": "Nederlands",
    "no": "Norsk",
    "pt": "Português",
    "ru": "Русский",
    "sl": "Slovenščina",
    "sv": "Svenska",
    "tr": "Türkçe",
}
COUNTRIES = {
    "at": "AUT",
    "au": "AUS",
    "cn": "CHN",
    "de": "GER",
    "dk": "DNK",
    "es": "ESP",
    "fr": "FRA",
    "gb": "GBR",
    "gr": "GRE",
    "in": "IND",
    "it": "ITA",
    "jp": "JPN",
    "mx": "MEX",
    "nl": "NLD",
    "no": "NOR",
    "nz": "NZL",
    "se": "SWE",
    "us": "USA",
}
# Zones whose rules its own names stand for; other zones with the same clock get the same name.
OWN_NAMES = {
    "Europe/London": "GBR-0",
    "Europe/Berlin": "GER+1",
    "Europe/Helsinki": "FIN+2",
    "Asia/Kolkata": "IND+5.5",
    "America/New_York": "USA-5",
    "America/Chicago": "USA-6",
    "America/Denver": "USA-7",
    "America/Los_Angeles": "USA-8",
}
CODECS = {"pcmu": "pcmu", "pcma": "pcma", "g722": "g722", "g729": "g729"}
LAST_CODEC = "telephone-event"


def _timezone(device: Device, service: Service, value: str) -> Told:
    """The settings of a time zone: offset, rule, and the phone's own name where it is known to have one."""
    found = clock(value, service.year)
    rule = ""
    if found.summer:
        start, end = found.summer
        rule = f"{found.shift} {_change(start)} {_change(end)}"
    same = (name for zone, name in OWN_NAMES.items() if clock(zone, service.year) == found)
    told = (("timezone", next(same, "")), ("utc_offset", f"{found.offset:+d}"), ("dst", rule))
    return Told(told, found.note)


def _change(change: Change) -> str:
    """A change: its month, week (05 is the last), day of the week (07 is Sunday) and time."""
    return f"{change.month:02d}.{change.week:02d}.{change.weekday:02d} {change.time}"


def _codecs(device: Device, service: Service, value: str) -> Told:
    wanted, note = ordered(CODECS, value)
    if not wanted:
        return Told(note=note)
    text = ",".join([*wanted, LAST_CODEC])
    lines = range(1, len(device.accounts) + 1)
    return Told(tuple((f"codec_priority_list[{line}]", text) for line in lines), note)


def _ring(device: Device, service: Service, value: str) -> Told:
    tone = "Silent" if value == SILENT else f"Ringer{value}"
    lines = range(1, len(device.accounts) + 1)
    return Told((("ring_sound", tone), *((f"user_ringer[{line}]", tone) for line in lines)))


def _alerts(device: Device, service: Service, value: str) -> Told:
    seen = ON if value in ("screen", "both") else OFF
    note = f"{UNKNOWN} for the sound" if value in ("sound", "both") else ""
    return Told((("callpickup_dialoginfo", seen),), note)


def _phonebook(device: Device, service: Service, value: str) -> Told:
    """No settings: the phonebook is in the first file that the phone asks for, and has no name in another."""
    return Told()


def _refetch(device: Device, service: Service, value: str) -> Told:
    """The settings of the next fetch, at random between two times of the day."""
    polling = "prov_polling_"
    if value == OFF:
        return Told(((polling + "enabled", OFF),))
    return Told(
        (
            (polling + "enabled", ON),
            (polling + "mode", "random"),
            (polling + "period", "86400"),
            (polling + "time", value),
            (polling + "time_rand_end", clock_time(minute(value) + SPREAD)),
        )
    )


TRANSLATIONS = {
    "timezone": _timezone,
    "ntp-servers": servers("ntp_server", ""),
    "time-format": as_values({"12": OFF, "24": ON}, "time_24_format"),
    "date-format": as_values({"dmy": OFF, "mdy": ON}, "date_us_format"),
    "language": as_values(LANGUAGES, "language", "web_language"),
    "tones": as_values(COUNTRIES, "tone_scheme"),
    **DIALLED,
    "codecs": _codecs,
    "ring-tone": _ring,
    "key-alerts": _alerts,
    "call-waiting": switch(ON, OFF, "call_waiting"),
    "phonebook": _phonebook,
    "web-access": as_values({"https": "https", "http": "http_https", OFF: OFF}, "webserver_type"),
    "refetch": _refetch,
}


def always(device: Device, service: Service) -> Iterator[Pair]:
    yield from ()  # what it asks for of features is off as it comes


def passwords(device: Device) -> Iterator[Pair]:
    """The passwords of its web page, in the names of both generations of its software."""
    admin, user = WEB_USERS
    yield "http_user", admin
    yield "http_pass", device.admin_password
    yield "webserver_admin_name", admin
    yield "webserver_admin_password", device.admin_password
    yield "webserver_user_name", user
    yield "webserver_user_password", device.user_password
    yield "admin_mode_password", device.admin_password
    yield "admin_mode_password_confirm", device.admin_password


slot = name_itself
