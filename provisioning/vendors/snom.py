"""Snom D series; Gigaset's desk phones P8xx have the same software (`gigaset`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from provisioning import formats
from provisioning.dialplan import DIGITS, Sequence, in_brackets
from provisioning.model import CA_DER, Device, KeyKind, LineKey, Service
from provisioning.vendors import Found

SYNC = "check-sync;reboot=false"
XML = True
SENDS_AT_ONCE = True
KINDS = frozenset(KeyKind)
AUTO_DIAL = "5"  # seconds; of the values that all firmware knows, the one that lets people think
PLAN_CHARACTERS = 2000
PARTS = ("context", "label")  # attributes of a key's element
_PLACE = re.compile(r"([\w.-]+)(?:\[(\d+)\])?", re.ASCII)


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """The settings: `name[1]` is `<name idx="1">`; a key has `fkey[0]`, what it does, and its attributes.

    `certificate` is the URL of one that the phone is to trust.
    """
    for number, account in enumerate(device.accounts, 1):
        at = f"[{number}]"
        yield "user_active" + at, "on"
        yield "user_realname" + at, account.shown
        yield "user_idle_text" + at, account.shown
        yield "user_name" + at, account.extension
        yield "user_pname" + at, account.extension
        yield "user_pass" + at, account.password
        yield "user_host" + at, account.domain or service.host
        yield "user_outbound" + at, f"{service.host_port()};transport={service.transport}"
        yield "user_expiry" + at, str(service.register_expires)
        yield "user_subscription_expiry" + at, str(service.subscribe_expires)
    for number in device.free_lines:
        yield f"user_active[{number}]", "off"
    yield "user_event_list_uri[1]", device.event_list
    yield from dialling(device, service)
    yield "challenge_response", "off"  # otherwise it challenges our NOTIFY, which nobody answers
    yield "callpickup_dialoginfo", "on"
    yield "refuse_call_pickup_of_connected_calls", "on"
    if service.url:
        yield "setting_server", service.url
        yield "http_client_user", service.http_user
        yield "http_client_pass", service.http_password
    if service.ca_url(CA_DER):
        yield "certificate", service.ca_url(CA_DER)
    for number, account in enumerate(device.accounts, 1):
        yield from _key(number - 1, "line", str(number), account.shown)
    for place, key in enumerate(device.keys, len(device.accounts)):
        context = key.value if key.kind is KeyKind.LINE else "active"
        yield from _key(place, _function(key, service), context, device.label(key))
    for place in device.free_keys:
        yield from _key(place - 1, "none", "active", "")  # without a type it is one more key of a line


def dialling(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """Rules for numbers that are sent at once, and the timer for which the rest waits; it is off by
    default."""
    plan = service.dial_plan
    rules = [rule for rule in plan.written(_rule, PLAN_CHARACTERS) if rule]
    if not plan.needs_pound:
        rules.append(r"|^([^#]+)#$|sip:\1@\d|d")
    for number in range(1, len(device.accounts) + 1):
        yield f"user_dp_str[{number}]", " ".join(rules)
    yield "auto_dial", AUTO_DIAL


def _rule(sequence: Sequence) -> str:
    """A rule: the pattern, what is dialled (`\\d` is the registrar), and that it is complete."""
    if not sequence.at_once:
        return ""
    keys = "".join(key if key in DIGITS and len(key) == 1 else in_brackets(key) for key in sequence.keys)
    return rf"|^({keys})$|sip:\1@\d|d"


def _key(place: int, function: str, context: str, label: str) -> Iterator[tuple[str, str]]:
    yield f"fkey[{place}]", function
    yield f"fkey.context[{place}]", context
    yield f"fkey.label[{place}]", label


def _function(key: LineKey, service: Service) -> str:
    match key.kind:
        case KeyKind.BLF:
            return f"blf {key.value}|{service.directed_code}"
        case KeyKind.LINE:
            return "line"
        case KeyKind.LIST:
            return "BW-ServerBLF"
        case _:
            return f"speed {key.value}"


def body(found: Found) -> bytes:
    root = etree.Element("settings")
    phone, keys = etree.SubElement(root, "phone-settings"), etree.SubElement(root, "functionKeys")
    values = dict(found)
    for name, value in found:
        place = _PLACE.fullmatch(name)
        if not place:
            raise ValueError(f"{name!r} is not written name or name[1]")
        if name == "certificate":
            etree.SubElement(etree.SubElement(root, "certificates"), name, url=formats.one_line(value))
        elif place[1] == "fkey":
            _element(keys, place, value, {part: values.get(f"fkey.{part}[{place[2]}]", "") for part in PARTS})
        elif not place[1].startswith("fkey."):
            _element(phone, place, value, {})
    return formats.document(root)


def _element(parent: formats.Element, place: re.Match[str], value: str, more: dict[str, str]) -> None:
    element = etree.SubElement(parent, place[1])
    if place[2]:
        element.set("idx", place[2])
    for name, text in more.items():
        element.set(name, formats.one_line(text))
    element.set("perm", "R")
    element.text = formats.one_line(value)


def names(device: Device) -> tuple[str, ...]:
    mac = device.mac.upper()
    return f"{mac}.xml", f"snom{device.model.name.upper()}-{mac}.htm"


def boot(device: Device, service: Service) -> dict[str, bytes]:
    return {}


def common(device: Device) -> dict[str, bytes]:
    """A file with nothing in it, as each phone's own file has all."""
    return {f"snom{device.model.name.upper()}.htm": body([])}
