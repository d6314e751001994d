"""Yealink: parameters of firmware 83 and later."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provisioning.common.clock import HOUR, Change, clock
from provisioning.common.dialled import DIALLED
from provisioning.common.table import CODECS, OFF, SILENT
from provisioning.common.telling import (
    SPREAD,
    Pair,
    Told,
    alerts,
    as_values,
    clock_time,
    each_line,
    minute,
    ordered,
    servers,
    switch,
)
from provisioning.model import Device, Service
from provisioning.phonebooks import TITLE, book_url
from provisioning.vendors.yealink import NO_VALUE

REGISTRATION = re.compile(
    r"account\.(?P<line>\d+)\.(enable|user_name|auth_name|password|outbound_proxy.*"
    r"|sip_server\.\d+\.(address|port|transport_type))"
    r"|static\.auto_provision\.server\.(url|username|password)"
)
WEB_USERS = ("admin", "user")
ACCOUNT_OF_MAKER = "var"  # a third account of the web page, which would keep its well-known password
USER_PASSWORD = "static.security.user_password"
LANGUAGES = {
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ru": "Russian",
    "tr": "Turkish",
}
COUNTRIES = {
    "at": "Austria",
    "au": "Australia",
    "be": "Belgium",
    "br": "Brazil",
    "ch": "Switzerland",
    "cl": "Chile",
    "cn": "China",
    "cz": "Czech",
    "de": "Germany",
    "dk": "Denmark",
    "es": "Spain",
    "fi": "Finland",
    "fr": "France",
    "gb": "Great Britain",
    "gr": "Greece",
    "hu": "Hungary",
    "in": "India",
    "it": "Italy",
    "jp": "Japan",
    "lt": "Lithuania",
    "mx": "Mexico",
    "nl": "Netherlands",
    "no": "Norway",
    "nz": "New Zealand",
    "pt": "Portugal",
    "ru": "Russia",
    "se": "Sweden",
    "us": "United States",
}
NAMES_OF_CODECS = {codec: codec for codec in CODECS} | {"ilbc": "ilbc_13_33kbps"}


def _timezone(device: Device, service: Service, value: str) -> Told:
    """The settings of a time zone, with our own rule, by week: its zones are those of a list in the phone."""
    found = clock(value, service.year)
    hours, minutes = divmod(abs(found.offset) // 60, 60)
    sign = "-" if found.offset < 0 else "+" if found.offset else ""
    told = [
        ("local_time.dhcp_time", "0"),
        ("local_time.time_zone", f"{sign}{hours}:{minutes:02d}" if minutes else f"{sign}{hours}"),
        ("local_time.summer_time", "1" if found.summer else "0"),
    ]
    if found.summer:
        start, end = found.summer
        told += [
            ("local_time.dst_time_type", "1"),
            ("local_time.start_time", _change(start)),
            ("local_time.end_time", _change(end)),
            ("local_time.offset_time", str(found.shift * 60 // HOUR)),
        ]
    return Told(tuple(told), found.note)


def _change(change: Change) -> str:
    """A change: its month, week (5 is the last), day of the week (7 is Sunday) and hour."""
    return f"{change.month}/{change.week}/{change.weekday}/{change.hour}"


def _codecs(device: Device, service: Service, value: str) -> Told:
    wanted, note = ordered(NAMES_OF_CODECS, value)
    told: list[Pair] = []
    for codec in NAMES_OF_CODECS.values():
        place = wanted.index(codec) + 1 if codec in wanted else 0
        for name in each_line(device, f"account.{{}}.codec.{codec}"):
            told += [(f"{name}.enable", "1" if place else "0"), (f"{name}.priority", str(place))]
    return Told(tuple(told), note)


def _refetch(device: Device, service: Service, value: str) -> Told:
    """The settings of the next fetch, at a time between two that the phone chooses by chance."""
    weekly = "static.auto_provision.weekly."
    if value == OFF:
        return Told(((weekly + "enable", "0"),))
    return Told(
        (
            (weekly + "enable", "1"),
            (weekly + "dayofweek", "0123456"),
            (weekly + "begin_time", value),
            (weekly + "end_time", clock_time(minute(value) + SPREAD)),
        )
    )


def _web(device: Device, service: Service, value: str) -> Told:
    return Told(
        (
            ("static.wui.http_enable", "1" if value == "http" else "0"),
            ("static.wui.https_enable", "0" if value == OFF else "1"),
        )
    )


def _phonebook(device: Device, service: Service, value: str) -> Told:
    if value == OFF or not service.books:
        return Told((("remote_phonebook.data.1.url", NO_VALUE),))
    return Told(
        (
            ("features.remote_phonebook.enable", "1"),
            ("remote_phonebook.data.1.url", book_url(device, service)),
            ("remote_phonebook.data.1.name", TITLE),
        )
    )


TRANSLATIONS = {
    "timezone": _timezone,
    "ntp-servers": servers("local_time.ntp_server1", "local_time.ntp_server2"),
    "time-format": as_values({"12": "0", "24": "1"}, "local_time.time_format"),
    "date-format": as_values({"dmy": "3", "mdy": "4", "ymd": "2"}, "local_time.date_format"),
    "language": as_values(LANGUAGES, "lang.gui", "lang.wui"),
    "tones": as_values(COUNTRIES, "voice.tone.country"),
    **DIALLED,
    "codecs": _codecs,
    "ring-tone": as_values(
        {**{str(ring): f"Ring{ring}.wav" for ring in range(1, 9)}, SILENT: "Silent.wav"},
        "phone_setting.ring_type",
    ),
    "key-alerts": alerts(
        "features.pickup.blf_visual_enable", "features.pickup.blf_audio_enable", on="1", off="0"
    ),
    "call-waiting": switch("1", "0", "call_waiting.enable"),
    "dnd-key": switch("1", "0", "features.dnd.allow"),
    "forward-key": switch("1", "0", "features.fwd.allow"),
    "phonebook": _phonebook,
    "web-access": _web,
    "refetch": _refetch,
}


def always(device: Device, service: Service) -> Iterator[Pair]:
    on = "1" if service.feature_sync else "0"
    yield "features.feature_key_sync.enable", on
    yield "features.dnd.feature_key_sync.enable", on
    yield "features.forward.feature_key_sync.enable", on


def passwords(device: Device) -> Iterator[Pair]:
    """The passwords of its web page: settings of one name, a line for each user, who stands in the value."""
    admin, user = WEB_USERS
    yield USER_PASSWORD, f"{admin}:{device.admin_password}"
    yield USER_PASSWORD, f"{user}:{device.user_password}"
    yield USER_PASSWORD, f"{ACCOUNT_OF_MAKER}:{device.admin_password}"


def slot(name: str, value: str) -> str:
    return f"{name} {value.partition(':')[0]}" if name == USER_PASSWORD else name
