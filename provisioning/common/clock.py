"""A time zone as phones can be told it: an offset, and when in the year it is another one.

The rule is computed from the tz database, as phones know no names of zones, or other ones. Where a zone has
no rule that holds for long (Morocco follows the moon), it is one year's: phones fetch their files daily.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

LAST = 5  # the last week of a month, whether it has four or five such days
HORIZON = 10  # years in which a rule has to hold, to be written as the rule of all
HOUR = 3600
WEEK = timedelta(days=7)


class Change(NamedTuple):
    """A change of clocks: on the `week`th `weekday` (ISO: 7 is Sunday) of the month, or on its last (5).

    `minute` is that of the day, by the clock that is put.
    """

    month: int
    week: int
    weekday: int
    minute: int

    @property
    def hour(self) -> int:
        return self.minute // 60

    @property
    def time(self) -> str:
        """The time of day, as in 02:00:00."""
        return f"{self.hour:02d}:{self.minute % 60:02d}:00"

    def day(self, year: int) -> date:
        first = date(year, self.month, 1)
        days = (self.weekday - first.isoweekday()) % 7 + 7 * (min(self.week, 4) - 1)
        found = first + timedelta(days=days)
        later = found + timedelta(days=7)
        return later if self.week == LAST and later.month == self.month else found


class Clock(NamedTuple):
    """A zone's clock: `offset` in seconds east of UTC, and `shift` seconds more from `start` to `end`.

    Where `end` comes earlier in the year, it is that of the next year. Without both, the clock is the same
    all year. `note` says what could not be told.
    """

    offset: int
    shift: int = 0
    start: Change | None = None
    end: Change | None = None
    note: str = ""

    @property
    def summer(self) -> tuple[Change, Change] | None:
        return (self.start, self.end) if self.start and self.end else None


@lru_cache(maxsize=2048)
def clock(zone: str, year: int, shifts: tuple[int, ...] = ()) -> Clock:
    """The clock of a zone of the tz database in a year; `shifts` are those that a phone takes, where it does
    not take any.

    What no phone can be told becomes the offset that most days have, with a note. Raises KeyError and
    ValueError for a zone that does not exist.
    """
    there = ZoneInfo(zone)
    put = _changes(there, year)
    if not put:
        return Clock(_seconds(there, datetime(year, 1, 1, tzinfo=UTC)))
    up = [change for change in put if change.by > 0]
    down = [change for change in put if change.by < 0]
    if len(up) != 1 or len(down) != 1 or up[0].by != -down[0].by:
        return _same_all_year(there, zone, year, "its clocks are not put forward once a year, and back once")
    shift = up[0].by
    if shifts and shift not in shifts:
        return _same_all_year(there, zone, year, f"its summer time is {shift // 60} minutes, not an hour")
    later = [put for each in range(year, year + HORIZON) for put in _changes(there, each)]
    return Clock(up[0].before, shift, _rule(up[0], later), _rule(down[0], later))


class _Put(NamedTuple):
    """A moment when clocks are put: `at` by the clock that is put, the offset `before`, and `by` how much.

    Offsets are in seconds.
    """

    at: datetime
    before: int
    by: int


def _rule(this: _Put, later: Iterable[_Put]) -> Change:
    """The rule of all years if there is one, or else that of this year's date."""
    month, weekday, minute = this.at.month, this.at.isoweekday(), _minute(this.at)
    days = [put.at for put in later if (put.by > 0) == (this.by > 0)]
    for week in (LAST, _week(this.at)):
        rule = Change(month, week, weekday, minute)
        if len(days) == HORIZON and all(_matches(rule, day) for day in days):
            return rule
    return Change(month, _week(this.at), weekday, minute)


def _matches(rule: Change, at: datetime) -> bool:
    return rule.month == at.month and rule.day(at.year) == at.date() and _minute(at) == rule.minute


def _minute(at: datetime) -> int:
    return at.hour * 60 + at.minute


def _week(at: datetime) -> int:
    return (at.day - 1) // 7 + 1  # a fifth week is the last


@lru_cache(maxsize=8192)  # room for all zones in ten years
def _changes(zone: ZoneInfo, year: int) -> tuple[_Put, ...]:
    """The changes of a year of UTC, in local time, found by a look each week: none has two of them."""
    found, at, end = [], datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    before = _seconds(zone, at)
    while at < end:
        then = min(at + WEEK, end)
        after = _seconds(zone, then)
        if after != before:
            moment = _moment(zone, at, then, before) + timedelta(seconds=before)
            found.append(_Put(moment.replace(tzinfo=None), before, after - before))
        at, before = then, after
    return tuple(found)


def _moment(zone: ZoneInfo, start: datetime, end: datetime, before: int) -> datetime:
    """The first minute between the two moments that has another offset than the earlier one."""
    low, high = 0, int((end - start).total_seconds()) // 60
    while high - low > 1:
        middle = (low + high) // 2
        if _seconds(zone, start + timedelta(minutes=middle)) == before:
            low = middle
        else:
            high = middle
    return start + timedelta(minutes=high)


def _seconds(zone: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None, "a ZoneInfo has one at every moment"
    return int(offset.total_seconds())


def _same_all_year(there: ZoneInfo, zone: str, year: int, why: str) -> Clock:
    noon = datetime(year, 1, 1, 12, tzinfo=UTC)
    days = Counter(_seconds(there, noon + timedelta(days=number)) for number in range(365))
    offset = days.most_common(1)[0][0]
    return Clock(offset, note=f"{zone}: {why}; phones show {written(offset)} all year")


def written(offset: int) -> str:
    """An offset as people write it: UTC+05:30."""
    sign, minutes = "-" if offset < 0 else "+", abs(offset) // 60
    return f"UTC{sign}{minutes // 60:02d}:{minutes % 60:02d}"
