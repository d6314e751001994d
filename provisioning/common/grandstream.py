"""Grandstream GXP21xx and GRP261x: named items."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice, repeat
from urllib.parse import urlsplit

from provisioning.common.clock import Change, clock
from provisioning.common.dialled import DIALLED
from provisioning.common.table import OFF, SILENT
from provisioning.common.telling import (
    Pair,
    Told,
    alerts,
    as_values,
    each_line,
    minute_of_day,
    name_itself,
    ordered,
    servers,
    switch,
)
from provisioning.model import Device, Service

REGISTRATION = re.compile(
    r"account\.(?P<line>\d+)\.(enable|sip\.(server\.\d+\.address|outboundProxy\.\d+\.address|userid"
    r"|subscriber\.(userid|password)|transport))"
    r"|provisioning\.config\.(protocol|serverPath|username|password)"
)
WEB_USERS = ("admin", "user")
YES, NO = "Yes", "No"
CHOICES = 8  # choices of codecs; there is no "off"
CODECS = {
    "pcmu": "PCMU",
    "pcma": "PCMA",
    "g722": "G.722",
    "g729": "G.729A/B",
    "ilbc": "iLBC",
    "opus": "OPUS",
}
SAME = ("ar", "de", "en", "es", "fr", "he", "hr", "hu", "it", "ja", "ko", "lv", "nl", "pl", "pt", "ru", "sl")
LANGUAGES = {**{code: code for code in (*SAME, "tr", "zh")}, "cs": "cz", "sv": "se"}
ACCESS = {"https": "HTTPS", "http": "HTTP", OFF: "Disabled"}
MOST_OFTEN = "720"  # minutes between two downloads of the book


def _timezone(device: Device, service: Service, value: str) -> Told:
    """The settings of a time zone, which is written as POSIX has it, with names that nobody sees."""
    found = clock(value, service.year)
    text = f"STD{_west(found.offset)}"
    if found.summer:
        start, end = found.summer
        text += f"DST{_west(found.offset + found.shift)},{_change(start)},{_change(end)}"
    return Told(
        (
            ("dateTime.timezone", "customize"),
            ("dateTime.timezone.custom", text),
            ("dateTime.override.dhcp.allowOption2", NO),
        ),
        found.note,
    )


def _west(offset: int) -> str:
    """The hours that are added for UTC, so that those of zones east of it are negative."""
    hours, minutes = divmod(abs(offset) // 60, 60)
    sign = "-" if offset > 0 else "+"
    return f"{sign}{hours}:{minutes:02d}" if minutes else f"{sign}{hours}"


def _change(change: Change) -> str:
    """A change: its month, week (5 is the last), day of the week (0 is Sunday) and time."""
    return f"M{change.month}.{change.week}.{change.weekday % 7}/{change.time}"


def _codecs(device: Device, service: Service, value: str) -> Told:
    """The settings of codecs; the last one is repeated, so that none is left that nobody wants."""
    wanted, note = ordered(CODECS, value)
    if not wanted:
        return Told(note=note)
    choices = list(islice(chain(wanted, repeat(wanted[-1])), CHOICES))
    told = [
        (f"{name}.{number}", choice)
        for name in each_line(device, "account.{}.codec.choice")
        for number, choice in enumerate(choices, 1)
    ]
    return Told(tuple(told), note)


def _phonebook(device: Device, service: Service, value: str) -> Told:
    """The settings of the phonebook; what users have written into it themselves stays."""
    if value == OFF or not service.books:
        return Told((("phonebook.download.mode", "Disabled"),))
    url = urlsplit(service.books)
    return Told(
        (
            ("phonebook.download.mode", f"EnabledUse{url.scheme.upper()}"),
            ("phonebook.download.server", f"{url.netloc}{url.path}".rstrip("/")),
            ("phonebook.download.interval", MOST_OFTEN),
            ("phonebook.download.removeEditedEntries", NO),
        )
    )


def _refetch(device: Device, service: Service, value: str) -> Told:
    auto = "provisioning.auto."
    if value == OFF:
        return Told(((auto + "mode", NO),))
    return Told(
        (
            (auto + "mode", "YesUpgradeHourOfDay"),
            (auto + "hour", str(minute_of_day(device, value) // 60)),
            (auto + "randomTime.enable", YES),
        )
    )


TRANSLATIONS = {
    "timezone": _timezone,
    "ntp-servers": servers(
        "dateTime.ntp.server.1", "dateTime.ntp.server.2", ("dateTime.override.dhcp.allowOption42", NO)
    ),
    "time-format": as_values({"12": "12Hour", "24": "24Hour"}, "dateTime.format.time"),
    "date-format": as_values(
        {"dmy": "dd-mm-yyyy", "mdy": "mm-dd-yyyy", "ymd": "yyyy-mm-dd"}, "dateTime.format.date"
    ),
    "language": as_values(LANGUAGES, "language.gui"),
    **DIALLED,
    "codecs": _codecs,
    "ring-tone": as_values({SILENT: "4"}, "account.{}.ring.ringtone"),
    "key-alerts": alerts("sip.blf.pickupScreen.enable", "sip.blf.pickupSound.enable", on=YES, off=NO),
    "call-waiting": switch(YES, NO, "call.callWaiting.enable"),
    "dnd-key": switch(YES, NO, "call.dnd.enable"),
    "phonebook": _phonebook,
    "web-access": as_values(ACCESS, "security.webAccessMode"),
    "refetch": _refetch,
}


def always(device: Device, service: Service) -> Iterator[Pair]:
    for name in each_line(device, "account.{}.sip.syncFeatureKey"):
        yield name, YES if service.feature_sync else NO


def passwords(device: Device) -> Iterator[Pair]:
    yield "users.admin.password", device.admin_password
    yield "users.user.password", device.user_password


slot = name_itself
