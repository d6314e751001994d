"""Snom D series, and Gigaset's DE series, which is the same software."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from provisioning import formats
from provisioning.model import Device, KeyKind, Service

_PLACE = re.compile(r"([\w.-]+)(?:\[(\d+)\])?")
SYNC = "check-sync;reboot=false"  # the Event that has the phone fetch its files


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """`name[1]` is `<name idx="1">`; of keys there is what they do (`fkey[0]`) and their `fkey.label[0]`."""
    for number, account in enumerate(device.accounts, 1):
        at = f"[{number}]"
        yield "user_active" + at, "on"
        yield "user_realname" + at, account.shown
        yield "user_idle_text" + at, account.shown
        yield "user_name" + at, account.extension
        yield "user_pname" + at, account.extension
        yield "user_pass" + at, account.password
        yield "user_host" + at, account.domain or service.host
        yield "user_outbound" + at, f"{service.host}:{service.port};transport={service.transport}"
        yield "user_expiry" + at, str(service.register_expires)
        yield "user_subscription_expiry" + at, str(service.subscribe_expires)
    yield "callpickup_dialoginfo", "on"
    yield "refuse_call_pickup_of_connected_calls", "on"
    if service.url:
        yield "setting_server", service.url
    for number, account in enumerate(device.accounts):
        yield f"fkey[{number}]", "line"
        yield f"fkey.label[{number}]", account.shown
    for number, key in enumerate(device.keys, len(device.accounts)):
        watches = f"blf {key.value}|{service.directed_code}"
        yield f"fkey[{number}]", watches if key.kind is KeyKind.BLF else f"speed {key.value}"
        yield f"fkey.label[{number}]", key.shown


def files(device: Device, found: list[tuple[str, str]]) -> dict[str, bytes]:
    mac, model = device.mac.upper(), device.model.name.upper()
    return {f"{mac}.xml": _settings(found), f"snom{model}-{mac}.htm": _settings(found)}


def common(device: Device) -> dict[str, bytes]:
    return {}


def _settings(found: list[tuple[str, str]]) -> bytes:
    root = etree.Element("settings")
    phone, keys = etree.SubElement(root, "phone-settings"), etree.SubElement(root, "functionKeys")
    labels = dict(found)
    for name, value in found:
        place = _PLACE.fullmatch(name)
        assert place, name
        if place[1] == "fkey.label":
            continue
        is_key = place[1] == "fkey"
        element = etree.SubElement(keys if is_key else phone, place[1])
        if place[2]:
            element.set("idx", place[2])
        if is_key:
            element.set("context", "active")
            element.set("label", formats.one_line(labels.get(f"fkey.label[{place[2]}]", "")))
        element.set("perm", "R")
        element.text = formats.one_line(value)
    return formats.document(root)
