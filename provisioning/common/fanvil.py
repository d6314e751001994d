"""Fanvil X series, firmware 2."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provisioning.common.clock import Change, clock
from provisioning.common.dialled import DIALLED
from provisioning.common.table import OFF
from provisioning.common.telling import (
    Pair,
    Told,
    alerts,
    as_values,
    by_mac,
    each_line,
    name_itself,
    ordered,
    servers,
    switch,
)
from provisioning.model import Device, Service
from provisioning.phonebooks import TITLE, book_url

REGISTRATION = re.compile(
    r"sip/line\[(?P<line>\d+)\]/(PhoneNumber|RegisterAddr|RegisterPort|RegisterUser|RegisterPswd|EnableReg"
    r"|Transport|ProxyAddr|ProxyPort)"
    r"|ap/(FlashServerIP|FlashFileName|FlashProtocol|DefaultUsername|DefaultPassword)"
)
WEB_USERS = ("admin", "guest")
LANGUAGES = {
    **{code: code for code in ("ar", "de", "en", "es", "fr", "he", "hr", "it", "ko", "nl", "pl", "pt", "ru")},
    "tr": "tr",
    "ca": "cat",
    "cs": "cz",
    "eu": "eus",
    "sk": "slo",
    "uk": "ua",
    "zh": "cn",
}
COUNTRIES = {
    "be": "0",
    "cn": "1",
    "de": "2",
    "jp": "4",
    "nl": "5",
    "no": "6",
    "se": "8",
    "ch": "9",
    "tw": "10",
    "us": "11",
    "cz": "12",
    "gb": "13",
    "za": "14",
    "au": "15",
    "br": "16",
    "ca": "18",
    "ru": "19",
    "cl": "20",
    "it": "21",
    "at": "22",
    "dk": "23",
    "fi": "24",
    "fr": "25",
    "gr": "26",
    "hu": "27",
    "lt": "28",
    "in": "29",
    "mx": "30",
    "nz": "31",
    "pt": "32",
    "es": "33",
}
CODECS = {"pcmu": "PCMU", "pcma": "PCMA", "g722": "G722", "g729": "G729", "ilbc": "iLBC", "opus": "opus"}
BY_HAND, BY_WEEK = "2", "2"
QUARTER = 15 * 60
HOURS_A_DAY, HOURS_SPREAD = 22, 5
ANY_LINE, BOOK = "-1", "phone/xmlContact[1]/"


def _timezone(device: Device, service: Service, value: str) -> Told:
    """The settings of a time zone, by week, in two spellings: no document says which a firmware reads."""
    found = clock(value, service.year)
    date = "phone/date/"
    told: list[Pair] = [
        ("net/DHCPAutoTime", "0"),
        (date + "TimeZone", str(found.offset // QUARTER)),
        (date + "EnableDST", BY_HAND if found.summer else "0"),
        (date + "DSTType", BY_HAND if found.summer else "0"),
    ]
    if found.summer:
        start, end = found.summer
        told += [
            (date + "DSTFixedType", BY_WEEK),
            (date + "DSTMinOffset", str(found.shift // 60)),
            *_change(date + "DSTStart", start),
            *_change(date + "DSTEnd", end),
        ]
    return Told(tuple(told), found.note)


def _change(name: str, change: Change) -> Iterator[Pair]:
    """The settings of a change; week 5 is the last, and weekday 0 Sunday."""
    yield name + "Mon", str(change.month)
    yield name + "Week", str(change.week)
    yield name + "Wday", str(change.weekday % 7)
    yield name + "Hour", str(change.hour)


def _codecs(device: Device, service: Service, value: str) -> Told:
    wanted, note = ordered(CODECS, value)
    lines = each_line(device, "sip/line[{}]/VoiceCodecMap") if wanted else ()
    return Told(tuple((name, ",".join(wanted)) for name in lines), note)


def _phonebook(device: Device, service: Service, value: str) -> Told:
    if value == OFF or not service.books:
        return Told(((BOOK + "Name", ""), (BOOK + "Addr", "")))
    return Told(
        (
            (BOOK + "Name", TITLE),
            (BOOK + "Addr", book_url(device, service)),
            (BOOK + "Sipline", ANY_LINE),
            (BOOK + "BindLine", ANY_LINE),
            (BOOK + "PhonebookType", "0"),
        )
    )


def _refetch(device: Device, service: Service, value: str) -> Told:
    """The settings of the next fetch, in hours, as no time of day can be told."""
    if value == OFF:
        return Told((("ap/FlashMode", "1"),))  # it fetches only when it starts
    hours = HOURS_A_DAY + by_mac(device, HOURS_SPREAD)
    note = f"every {hours} hours from its start, as it takes no time of day"
    return Told((("ap/FlashMode", "2"), ("ap/FlashInterval", str(hours))), note)


TRANSLATIONS = {
    "timezone": _timezone,
    "ntp-servers": servers(
        "phone/date/SNTPServer", "phone/date/SecondSNTPServer", ("phone/date/EnableSNTP", "1")
    ),
    "time-format": as_values({"12": "1", "24": "0"}, "phone/timeDisplay/TimeDisplayStyle"),
    "date-format": as_values({"dmy": "9", "mdy": "11", "ymd": "13"}, "phone/timeDisplay/DateDisplayStyle"),
    "language": as_values(LANGUAGES, "phone/display/DefaultLanguage"),
    "tones": as_values(COUNTRIES, "mm/SelectYourTone"),
    **DIALLED,
    "codecs": _codecs,
    "ring-tone": as_values({str(ring): f"Type {ring}" for ring in range(1, 9)}, "sip/line[{}]/RingType"),
    "key-alerts": alerts("phone/PickupVisualAlert", "phone/PickupAudioAlert", on="1", off="0"),
    "call-waiting": switch("1", "0", "call/port[1]/CallWaiting"),
    "dnd-key": switch("1", "0", "call/port[1]/EnableDND"),
    "phonebook": _phonebook,
    "refetch": _refetch,
}


def always(device: Device, service: Service) -> Iterator[Pair]:
    for name in each_line(device, "sip/line[{}]/FeatureSync"):
        yield name, "1" if service.feature_sync else "0"


def passwords(device: Device) -> Iterator[Pair]:
    admin, guest = WEB_USERS
    for number, name, password, level in (
        (1, admin, device.admin_password, "10"),
        (2, guest, device.user_password, "5"),
    ):
        account = f"web/account[{number}]/"
        yield account + "Name", name
        yield account + "Password", password
        yield account + "Level", level


slot = name_itself
