"""Htek UC9xx: numbered parameters, with what they stand for after the number."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provisioning.common.clock import HOUR, Change, clock, written
from provisioning.common.dialled import DIALLED
from provisioning.common.table import OFF
from provisioning.common.telling import (
    Pair,
    Told,
    alerts,
    as_values,
    by_mac,
    ordered,
    servers,
    switch,
)
from provisioning.model import Device, Service
from provisioning.phonebooks import TITLE, book_url

REGISTRATION = re.compile(
    r"P(271|47|48|130|31|35|36|34|401|747|748|830|731|735|736|734|501|502|503|930|510|504|505|506"
    r"|601|602|603|1030|610|604|605|606|237|212|1360|1361)( .*)?"
)
WEB_USERS = ("admin", "user")
NUMBERS_OF_CODECS = (57, 58, 59, 60, 61, 62)
CODECS = {"pcmu": "0", "pcma": "8", "g722": "9", "g729": "18"}
FEATURE_SYNC = (8633, 8634, 8635, 8656)
MINUTES_A_DAY, MINUTES_SPREAD = 1380, 120
# The phone's list of places: one for each offset, in hours.
PLACES = {
    -11: 105,
    -10: 2,
    -9: 3,
    -8: 6,
    -7: 10,
    -6: 14,
    -5: 18,
    -4.5: 19,
    -4: 20,
    -3.5: 26,
    -3: 30,
    -2: 31,
    -1: 32,
    0: 33,
    1: 49,
    2: 57,
    3: 73,
    3.5: 74,
    4: 77,
    5: 83,
    5.5: 84,
    6: 85,
    7: 88,
    8: 89,
    9: 93,
    9.5: 94,
    10: 96,
    10.5: 100,
    11: 101,
    12: 102,
    12.75: 103,
    13: 104,
}
COUNTRIES = {
    "au": "1",
    "at": "2",
    "br": "3",
    "be": "4",
    "cn": "5",
    "cl": "6",
    "cz": "7",
    "dk": "8",
    "fi": "9",
    "fr": "10",
    "de": "11",
    "gb": "12",
    "gr": "13",
    "hu": "14",
    "lt": "15",
    "in": "16",
    "it": "17",
    "jp": "18",
    "mx": "19",
    "nz": "20",
    "nl": "21",
    "no": "22",
    "pt": "23",
    "es": "24",
    "ch": "25",
    "se": "26",
    "ru": "27",
    "us": "28",
}


def _timezone(device: Device, service: Service, value: str) -> Told:
    """The settings of a time zone: a place with its offset, and days of this year, as no document says how
    weeks count."""
    found = clock(value, service.year, (HOUR,))
    hours = min(PLACES, key=lambda known: (abs(known - found.offset / HOUR), known))
    note, nearest = found.note, int(hours * HOUR)
    if nearest != found.offset:
        note = f"{value} is {written(found.offset)}, and the nearest it takes is {written(nearest)}"
    told: list[Pair] = [
        ("P64 Preference.TimeZone", str(PLACES[hours])),
        ("P143 Preference.DHCPTime", "0"),
        ("P75 Preference.DaylightSavingTime", "1" if found.summer else "0"),
    ]
    if found.summer:
        start, end = found.summer
        told += [("P23117 Preference.DaylightSavingTimeType", "0")]
        told += [*_change(20076, "Start", start, service.year), *_change(20079, "End", end, service.year)]
    return Told(tuple(told), note)


def _change(number: int, which: str, change: Change, year: int) -> Iterator[Pair]:
    day = change.day(year)
    for offset, (part, value) in enumerate((("Month", day.month), ("Day", day.day), ("Hour", change.hour))):
        yield f"P{number + offset} DST{which}Time-{part}", str(value)


def _codecs(device: Device, service: Service, value: str) -> Told:
    """The settings of codecs of its first account: the numbers of the others' are not documented."""
    wanted, note = ordered(CODECS, value)
    if not wanted:
        return Told(note=note)
    choices = [*wanted, *[wanted[-1]] * len(NUMBERS_OF_CODECS)]
    told = [
        (f"P{number} Account1.Choice{place}", choice)
        for place, (number, choice) in enumerate(zip(NUMBERS_OF_CODECS, choices, strict=False), 1)
    ]
    return Told(tuple(told), note)


def _phonebook(device: Device, service: Service, value: str) -> Told:
    is_on = value != OFF and service.books
    return Told(
        (
            ("P4401 RemotePhoneBook1.Url", book_url(device, service) if is_on else ""),
            ("P3316 RemotePhoneBook1.Name", TITLE if is_on else ""),
        )
    )


def _refetch(device: Device, service: Service, value: str) -> Told:
    """The settings of the next fetch, in minutes, as no time of day can be told."""
    name = "P194 FirmwareUpgrade.AutoUpgrade"
    if value == OFF:
        return Told(((name, "0"),))
    minutes = MINUTES_A_DAY + by_mac(device, MINUTES_SPREAD)
    note = f"every {minutes} minutes, as it takes no time of day"
    return Told(((name, "1"), ("P193 FirmwareUpgrade.CheckUpgradeTimes", str(minutes))), note)


TRANSLATIONS = {
    "timezone": _timezone,
    "ntp-servers": servers(
        "P30 UrlOrIpAddress", "P8622 DateTime.BackUpNTPServer", ("P144 DHCPOverrideNTP", "0")
    ),
    "time-format": as_values({"12": "1", "24": "0"}, "P8624 Preference.TimeFormat"),
    "date-format": as_values({"dmy": "2", "mdy": "1", "ymd": "0"}, "P102 Preference.DateDisplayFormat"),
    "tones": as_values(COUNTRIES, "P20058 ToneSelectCountry"),
    **DIALLED,
    "codecs": _codecs,
    "key-alerts": alerts(
        "P4703 CallPickup.VisualAlertForBLFPickup", "P4704 CallPickup.AudioAlertForBLFPickup", on="1", off="0"
    ),
    "call-waiting": switch("1", "0", "P8849 CallWaiting.OnOff"),
    "phonebook": _phonebook,
    "refetch": _refetch,
}


def always(device: Device, service: Service) -> Iterator[Pair]:
    for line, number in enumerate(FEATURE_SYNC[: len(device.accounts)], 1):
        yield f"P{number} Account{line}.FeatureKeySyn", "1" if service.feature_sync else "0"


def passwords(device: Device) -> Iterator[Pair]:
    admin, user = WEB_USERS
    yield "P8681 LogUser.Admin", admin
    yield "P2 AdminPassword", device.admin_password
    yield "P8682 LogUser.User", user
    yield "P196 UserPassword", device.user_password


def slot(name: str, value: str) -> str:
    """The number of a setting, as the name beside it is a comment."""
    return name.partition(" ")[0]
