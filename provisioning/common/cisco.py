"""Cisco SPA5xx and the multiplatform firmware of the 88xx."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provisioning.common.clock import HOUR, Change, clock, written
from provisioning.common.dialled import DIALLED
from provisioning.common.table import OFF, ON, SILENT
from provisioning.common.telling import (
    UNKNOWN,
    Pair,
    Told,
    as_values,
    by_mac,
    clock_time,
    each_line,
    minute_of_day,
    name_itself,
    ordered,
    servers,
    switch,
)
from provisioning.model import Device, Model, Service
from provisioning.phonebooks import TITLE, book_url

REGISTRATION = re.compile(
    r"(Proxy|Outbound_Proxy|User_ID|Password|SIP_Transport|Extension)_(?P<line>\d+)_"
    r"|Profile_Rule|Provision_Enable|Resync_On_Reset"
)
WEB_USERS = ("admin", "user")
YES, NO = "Yes", "No"
CODECS_OF_SPA = {"pcmu": "G711u", "pcma": "G711a", "g722": "G722", "g729": "G729a"}
CODECS = {**CODECS_OF_SPA, "ilbc": "iLBC", "opus": "OPUS"}
CHOICES = ("Preferred_Codec_{}_", "Second_Preferred_Codec_{}_", "Third_Preferred_Codec_{}_")
HALVES = (-3.5, 3.5, 4.5, 5.5, 5.75, 6.5, 9.5)
ZONES = frozenset(int(hours * HOUR) for hours in (*range(-12, 15), *HALVES))
SECONDS_A_DAY, SECONDS_SPREAD = 82800, 7200


def is_spa(model: Model) -> bool:
    return model.name.startswith("spa")


def _timezone(device: Device, service: Service, value: str) -> Told:
    """The settings of a time zone: one of a list of offsets, and a rule."""
    found = clock(value, service.year)
    offset = min(ZONES, key=lambda known: (abs(known - found.offset), known))
    note = found.note
    if offset != found.offset:
        note = f"{value} is {written(found.offset)}, and the nearest it takes is {written(offset)}"
    told = [
        ("Time_Zone", written(offset).replace("UTC", "GMT") if offset else "GMT"),
        ("Daylight_Saving_Time_Enable", YES if found.summer else NO),
    ]
    if found.summer:
        start, end = found.summer
        hours, minutes = divmod(found.shift // 60, 60)
        save = f"{hours}:{minutes}:0" if minutes else str(hours)
        told.append(("Daylight_Saving_Time_Rule", f"start={_change(start)};end={_change(end)};save={save}"))
    if not is_spa(device.model):
        told.append(("Ignore_DHCP_Time_Offset", YES))
    return Told(tuple(told), note)


def _change(change: Change) -> str:
    """A change as month/day/weekday/time: the first weekday (7 is Sunday) from that day on; -1: the last."""
    day = -1 if change.week == 5 else 7 * (change.week - 1) + 1
    return f"{change.month}/{day}/{change.weekday}/{change.hour}:{change.minute % 60}:0"


def _date(device: Device, service: Service, value: str) -> Told:
    orders = {"dmy": "day/month", "mdy": "month/day"}
    return as_values(orders, "Date_Format")(device, service, value)


def _codecs(device: Device, service: Service, value: str) -> Told:
    wanted, note = ordered(CODECS_OF_SPA if is_spa(device.model) else CODECS, value)
    if not wanted:
        return Told(note=note)
    if len(wanted) > len(CHOICES):
        note = "; ".join(filter(None, [note, f"only the first {len(CHOICES)} can be put in order"]))
    choices = [*wanted, *["Unspecified"] * len(CHOICES)]
    told = [
        (name, choice)
        for template, choice in zip(CHOICES, choices, strict=False)
        for name in each_line(device, template)
    ]
    return Told(tuple(told), note)


def _ring(device: Device, service: Service, value: str) -> Told:
    name = "Default_Ring__{}__" if is_spa(device.model) else "Default_Ring_{}_"
    tone = "No Ring" if value == SILENT else value
    return Told(tuple((each, tone) for each in each_line(device, name)))


def _alerts(device: Device, service: Service, value: str) -> Told:
    heard = YES if value in ("sound", "both") else NO
    note = f"{UNKNOWN} for the screen" if value in ("screen", "both") else ""
    return Told((("Call_Pickup_Audio_Notification", heard),), note)


def _phonebook(device: Device, service: Service, value: str) -> Told:
    is_on = value == ON and service.books
    return Told(
        (
            ("XML_Directory_Service_Name", TITLE if is_on else ""),
            ("XML_Directory_Service_URL", book_url(device, service) if is_on else ""),
        )
    )


def _web(device: Device, service: Service, value: str) -> Told:
    served = ("Enable_Web_Server", NO if value == OFF else YES)
    if is_spa(device.model):
        return Told((served,), "it has http only" if value == "https" else "")
    return Told((served, ("Enable_Protocol", "Http" if value == "http" else "Https")))


def _refetch(device: Device, service: Service, value: str) -> Told:
    """The settings of the next fetch: the multiplatform firmware takes a time of day, the SPA's seconds."""
    if value == OFF:
        return Told((("Resync_Periodic", "0"), *_at(device, "")))
    seconds = str(SECONDS_A_DAY + by_mac(device, SECONDS_SPREAD))
    time = clock_time(minute_of_day(device, value)).replace(":", "")
    note = f"every {seconds} seconds, as it takes no time of day" if is_spa(device.model) else ""
    return Told((("Resync_Periodic", seconds), *_at(device, time)), note)


def _at(device: Device, time: str) -> Iterator[Pair]:
    if not is_spa(device.model):
        yield "Resync_At__HHmm_", time


TRANSLATIONS = {
    "timezone": _timezone,
    "ntp-servers": servers("Primary_NTP_Server", "Secondary_NTP_Server"),
    "time-format": as_values({"12": "12hr", "24": "24hr"}, "Time_Format"),
    "date-format": _date,
    **DIALLED,
    "codecs": _codecs,
    "ring-tone": _ring,
    "key-alerts": _alerts,
    "call-waiting": switch(YES, NO, "CW_Setting"),
    "dnd-key": switch(YES, NO, "DND_Serv"),
    "forward-key": switch(YES, NO, "Cfwd_All_Serv", "Cfwd_Busy_Serv", "Cfwd_No_Ans_Serv"),
    "phonebook": _phonebook,
    "web-access": _web,
    "refetch": _refetch,
}


def always(device: Device, service: Service) -> Iterator[Pair]:
    for name in each_line(device, "Feature_Key_Sync_{}_"):
        yield name, YES if service.feature_sync else NO


def passwords(device: Device) -> Iterator[Pair]:
    yield "Admin_Passwd" if is_spa(device.model) else "Admin_Password", device.admin_password
    yield "User_Password", device.user_password


slot = name_itself
