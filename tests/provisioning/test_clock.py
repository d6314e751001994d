"""Time zones: which time each maker's phones show by their settings, for every zone and day of two years."""

from __future__ import annotations

import calendar
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest

from provisioning import Account, Device, Service, find
from provisioning.common import told
from provisioning.common.clock import Change
from provisioning.common.snom import OWN_NAMES

THIS_YEAR = date.today().year
YEARS = (THIS_YEAR, THIS_YEAR + 1)
ZONES = sorted(available_timezones() - {"Factory", "localtime"})
Settings = dict[str, str]


class Summer(NamedTuple):
    """The clock that a phone keeps: seconds from UTC, how many more in summer, and from when to when."""

    offset: int
    shift: int = 0
    start: datetime | None = None
    end: datetime | None = None

    def at(self, noon: datetime) -> int:
        if self.start is None or self.end is None:
            return self.offset
        if self.start < self.end:
            return self.offset + self.shift * (self.start <= noon < self.end)
        return self.offset + self.shift * (noon < self.end or noon >= self.start)


def nth(year: int, month: int, week: int, weekday: int, hour: int) -> datetime:
    """The time of a change: in `week` of the month (5 is the last), on `weekday` (0 is Monday)."""
    days = [row[weekday] for row in calendar.monthcalendar(year, month) if row[weekday]]
    return datetime(year, month, days[-1] if week == 5 else days[week - 1], hour)


def yealink(found: Settings, year: int) -> Summer:
    """A Yealink's: hours or hours:minutes; month/week/day of the week/hour, where 1 is Monday."""
    sign, hours, _, minutes = re.fullmatch(r"([+-]?)(\d+)(:(\d\d))?", found["local_time.time_zone"]).groups()  # type: ignore[union-attr]
    offset = (int(hours) * 3600 + int(minutes or 0) * 60) * (-1 if sign == "-" else 1)
    if found["local_time.summer_time"] == "0":
        return Summer(offset)
    assert (found["local_time.summer_time"], found["local_time.dst_time_type"]) == ("1", "1")
    days = []
    for name in ("start", "end"):
        month, week, weekday, hour = map(int, found[f"local_time.{name}_time"].split("/"))
        days.append(nth(year, month, week, weekday - 1, hour))
    shift = int(found["local_time.offset_time"])
    assert -300 <= shift <= 300
    return Summer(offset, shift * 60, *days)


def polycom(found: Settings, year: int) -> Summer:
    """A Polycom's: seconds; `date` 1, 8, 15, 22 is the first to fourth `dayOfWeek`, 1 is Sunday; one hour."""
    sntp, saving = "tcpIpApp.sntp.", "tcpIpApp.sntp.daylightSavings."
    offset = int(found[sntp + "gmtOffset"])
    if found[saving + "enable"] == "0":
        return Summer(offset)
    assert found[saving + "fixedDayEnable"] == "0"
    days = []
    for which in ("start", "stop"):
        name = f"{saving}{which}."
        number = {"1": 1, "8": 2, "15": 3, "22": 4}[found[name + "date"]]
        week = 5 if found[name + "dayOfWeek.lastInMonth"] == "1" else number
        weekday = (int(found[name + "dayOfWeek"]) + 5) % 7
        days.append(nth(year, int(found[name + "month"]), week, weekday, int(found[name + "time"])))
    return Summer(offset, 3600, *days)


def grandstream(found: Settings, year: int) -> Summer:
    """A Grandstream's, in the form of POSIX: hours west of Greenwich, 0 is Sunday."""
    assert found["dateTime.timezone"] == "customize"
    text = found["dateTime.timezone.custom"]
    assert len(text) <= 64
    hours = r"([+-]\d+(?::\d\d)?)"
    rule = r"M(\d+)\.(\d)\.(\d)/(\d\d):(\d\d):00"
    parts = re.fullmatch(rf"STD{hours}(?:DST{hours},{rule},{rule})?", text)
    assert parts, text
    offset = -posix(parts[1])
    if not parts[2]:
        return Summer(offset)
    changes = [[int(part) for part in parts.groups()[at : at + 4]] for at in (2, 7)]
    days = [nth(year, month, week, (day - 1) % 7, hour) for month, week, day, hour in changes]
    return Summer(offset, -posix(parts[2]) - offset, *days)


def posix(text: str) -> int:
    hours, _, minutes = text.lstrip("+-").partition(":")
    return (int(hours) * 3600 + int(minutes or 0) * 60) * (-1 if text[0] == "-" else 1)


def snom(found: Settings, year: int) -> Summer:
    """A Snom's: seconds, then month.week.day and time of both changes, where 07 is Sunday."""
    offset = int(found["utc_offset"])
    if not found["dst"]:
        return Summer(offset)
    change = r"(\d\d)\.(\d\d)\.(\d\d) (\d\d):[0-5]\d:[0-5]\d"
    parts = re.fullmatch(rf"(\d+) {change} {change}", found["dst"])
    assert parts, found["dst"]
    shift, *numbers = map(int, parts.groups())
    changes = (numbers[0:4], numbers[4:8])
    days = [nth(year, month, week, day - 1, hour) for month, week, day, hour in changes]
    return Summer(offset, shift, *days)


def fanvil(found: Settings, year: int) -> Summer:
    """A Fanvil's: the offset in quarters of an hour, the shift in minutes, 0 is Sunday."""
    name = "phone/date/"
    offset = int(found[name + "TimeZone"]) * 900
    if found[name + "EnableDST"] == found[name + "DSTType"] == "0":
        return Summer(offset)
    days = []
    for which in ("DSTStart", "DSTEnd"):
        month, week, day, hour = (
            int(found[f"{name}{which}{part}"]) for part in ("Mon", "Week", "Wday", "Hour")
        )
        days.append(nth(year, month, week, (day - 1) % 7, hour))
    return Summer(offset, int(found[name + "DSTMinOffset"]) * 60, *days)


def cisco(found: Settings, year: int) -> Summer:
    """A Cisco's: GMT+hh:mm; month/day/weekday/time, the first weekday from that day on or the last (-1)."""
    zone = re.fullmatch(r"GMT(?:([+-])(\d\d):(\d\d))?", found["Time_Zone"])
    assert zone, found
    sign, hours, minutes = zone.groups()
    offset = (int(hours or 0) * 3600 + int(minutes or 0) * 60) * (-1 if sign == "-" else 1)
    if found["Daylight_Saving_Time_Enable"] == "No":
        return Summer(offset)
    change = r"(\d+)/(-?\d+)/(\d)/(\d+):(\d+):0"
    parts = re.fullmatch(
        rf"start={change};end={change};save=(\d+)(?::(\d+):0)?", found["Daylight_Saving_Time_Rule"]
    )
    assert parts, found
    numbers = [int(part or 0) for part in parts.groups()]
    days = []
    for month, day, weekday, hour in (numbers[0:4], numbers[5:9]):
        if day == -1:
            days.append(nth(year, month, 5, weekday - 1, hour))
        else:
            first = datetime(year, month, day, hour)
            days.append(first + timedelta(days=(weekday - first.isoweekday()) % 7))
    return Summer(offset, numbers[10] * 3600 + numbers[11] * 60, *days)


HTEK_PLACES = dict(  # the hours from UTC of the places in an Htek's list
    zip(
        (
            105,
            2,
            3,
            6,
            10,
            14,
            18,
            19,
            20,
            26,
            30,
            31,
            32,
            33,
            49,
            57,
            73,
            74,
            77,
            83,
            84,
            85,
            88,
            89,
            93,
            94,
        ),
        (
            -11,
            -10,
            -9,
            -8,
            -7,
            -6,
            -5,
            -4.5,
            -4,
            -3.5,
            -3,
            -2,
            -1,
            0,
            1,
            2,
            3,
            3.5,
            4,
            5,
            5.5,
            6,
            7,
            8,
            9,
            9.5,
        ),
        strict=True,
    )
) | {96: 10, 100: 10.5, 101: 11, 102: 12, 103: 12.75, 104: 13}


def htek(found: Settings, year: int) -> Summer:
    """An Htek's: a place for the offset, the days of this year's changes, and always one hour."""
    by_number = {name.partition(" ")[0]: value for name, value in found.items()}
    offset = int(HTEK_PLACES[int(by_number["P64"])] * 3600)
    if by_number["P75"] == "0":
        return Summer(offset)
    numbers = [[int(by_number[f"P{n + part}"]) for part in range(3)] for n in (20076, 20079)]
    days = [datetime(year, month, day, hour) for month, day, hour in numbers]
    return Summer(offset, 3600, *days)


PHONES: dict[str, Callable[[Settings, int], Summer]] = {
    "yealink/t54w": yealink,
    "polycom/vvx450": polycom,
    "grandstream/gxp2170": grandstream,
    "snom/d785": snom,
    "gigaset/p82x": snom,
    "fanvil/x5u": fanvil,
    "cisco/cp8851-3pcc": cisco,
    "cisco/spa504g": cisco,
    "htek/uc924": htek,
}
NOONS = {year: [datetime(year, 1, 1, 12) + timedelta(days=number) for number in range(365)] for year in YEARS}


@cache
def offsets(zone: str, year: int) -> tuple[int, ...]:
    """The seconds from UTC of a zone at noon of each day."""
    there = ZoneInfo(zone)
    found = [noon.replace(tzinfo=there).utcoffset() for noon in NOONS[year]]
    return tuple(int(offset.total_seconds()) for offset in found if offset is not None)


@pytest.mark.parametrize("model", PHONES)
def test_every_zone_on_every_day(model: str) -> None:
    """A phone shows the right time, or a note says what it cannot show; that is so of few zones."""
    read = PHONES[model]
    device = Device("805ec0123456", find(model), (Account("101", "x"),))
    shown: dict[tuple[object, ...], tuple[int, ...]] = {}
    noted = defaultdict(set)
    for zone in ZONES:
        for year in YEARS:
            found = told(device, Service("192.0.2.5", year=year), "timezone", zone)
            if found.note:
                noted[found.note.partition(",")[0].partition(";")[0]].add(zone)
                continue
            key = (*found.settings, year)
            if key not in shown:
                summer = read(dict(found.settings), year)
                shown[key] = tuple(summer.at(noon) for noon in NOONS[year])
            assert shown[key] == offsets(zone, year), (zone, year, found.settings)
    given_up = {zone for zones in noted.values() for zone in zones}
    assert len(given_up) < 25, sorted(given_up)
    assert all(re.search(r"UTC[+-]\d\d:\d\d|its summer time is (30|120) minutes", note) for note in noted)
    assert not given_up & {"Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Santiago", "UTC"}


def test_what_cannot_be_told_is_said() -> None:
    def note(model: str, zone: str) -> str:
        device = Device("805ec0123456", find(model), (Account("101", "x"),))
        return told(device, Service("192.0.2.5", year=2026), "timezone", zone).note

    minutes = (
        "Australia/Lord_Howe: its summer time is 30 minutes, not an hour; phones show UTC+11:00 all year"
    )
    assert note("polycom/vvx450", "Australia/Lord_Howe") == minutes
    assert note("yealink/t54w", "Australia/Lord_Howe") == ""
    chatham = "Pacific/Chatham is UTC+12:45, and the nearest it takes is UTC+13:00"
    assert note("cisco/spa504g", "Pacific/Chatham") == chatham
    assert note("htek/uc924", "Asia/Kathmandu").endswith(
        "is UTC+05:45, and the nearest it takes is UTC+05:30"
    )


def test_snoms_own_names_stand_for_zones_of_one_clock() -> None:
    """Such names are told beside the rule, so name and rule may not differ."""
    device = Device("805ec0123456", find("snom/d785"), (Account("101", "x"),))
    service = Service("192.0.2.5", year=THIS_YEAR)
    named = dict[str, set[tuple[int, ...]]]()
    for zone in ZONES:
        own = dict(told(device, service, "timezone", zone).settings)["timezone"]
        named.setdefault(own, set()).add(offsets(zone, THIS_YEAR))
    assert set(OWN_NAMES.values()) <= named.keys()
    assert all(len(clocks) == 1 for own, clocks in named.items() if own)


@pytest.mark.parametrize(
    ("change", "days"),
    [
        (Change(3, 5, 7, 120), (date(2026, 3, 29), date(2027, 3, 28))),
        (Change(3, 2, 7, 120), (date(2026, 3, 8), date(2027, 3, 14))),
        (Change(11, 1, 7, 120), (date(2026, 11, 1), date(2027, 11, 7))),
        (Change(2, 5, 6, 0), (date(2026, 2, 28), date(2027, 2, 27))),
    ],
)
def test_days_of_changes(change: Change, days: tuple[date, date]) -> None:
    assert tuple(change.day(year) for year in (2026, 2027)) == days
