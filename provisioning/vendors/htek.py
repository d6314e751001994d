"""Htek UC9xx: numbered parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from provisioning import formats
from provisioning.dialplan import SHORT_TIMER
from provisioning.model import CA_PEM, Device, KeyKind, LineKey, Service
from provisioning.vendors import Found

SYNC = "resync"
XML = True
SENDS_AT_ONCE = False
KINDS = frozenset({KeyKind.BLF, KeyKind.SPEED_DIAL, KeyKind.LIST})
TRANSPORTS = {"udp": "0", "tcp": "1", "tls": "2"}
PROTOCOLS = {"http": "1", "https": "3"}
LINE = "1"
TYPES = {KeyKind.SPEED_DIAL: "2", KeyKind.BLF: "3", KeyKind.LIST: "4"}
ANY_ACCOUNT = "255"
NOTHING = ("0", "", "", ANY_ACCOUNT, "")
FIRST, PAGED = 5, 37  # keys from which on the numbers follow another rule
MODULE_BASE, MODULE_PAGE = 60000, 20


class Numbers(NamedTuple):
    """The numbers of an account's parameters, which follow no rule."""

    active: int
    server: int
    proxy: int
    transport: int
    registration: int
    expiration: int
    user: int
    authentication: int
    password: int
    name: int
    subscription: int
    directed: int
    group: int
    event_list: int
    send_key: int
    dial_plan: int
    own_codes: int


ACCOUNTS = (
    Numbers(271, 47, 48, 130, 31, 32, 35, 36, 34, 3, 20970, 4705, 4706, 134, 72, 4200, 191),
    Numbers(401, 747, 748, 830, 731, 732, 735, 736, 734, 703, 20971, 4715, 4716, 444, 772, 4201, 751),
    Numbers(501, 502, 503, 930, 510, 512, 504, 505, 506, 507, 20972, 4725, 4726, 544, 1672, 4202, 1891),
    Numbers(601, 602, 603, 1030, 610, 612, 604, 605, 606, 607, 20973, 4735, 4736, 644, 1772, 4203, 1991),
)


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """The settings; a name is a number and what it stands for."""
    for number, (p, account) in enumerate(zip(ACCOUNTS, device.accounts, strict=False), 1):
        name = f"Account{number}"
        yield f"P{p.active} {name}.Active", "1"
        yield f"P{p.server} {name}.SipServer", service.host_port(account.domain)
        yield (
            f"P{p.proxy} {name}.OutboundProxy",
            service.host_port() if account.domain else "",
        )
        yield f"P{p.transport} {name}.SipTransport", TRANSPORTS[service.transport]
        yield f"P{p.registration} {name}.SipRegistration", "1"
        yield f"P{p.expiration} {name}.RegisterExpiration", formats.minutes(service.register_expires)
        yield f"P{p.user} {name}.SipUserId", account.extension
        yield f"P{p.authentication} {name}.AuthenticateID", account.extension
        yield f"P{p.password} {name}.AuthenticatePassword", account.password
        yield f"P{p.name} {name}.DisplayName", account.shown
        yield f"P{p.subscription} {name}.SubscribeExpires", str(service.subscribe_expires)
        yield f"P{p.directed} {name}.DirectCallPickupCode", service.directed_code
        yield f"P{p.group} {name}.GroupCallPickupCode", service.group_code
    yield from dialling(device, service)
    for number in device.free_lines:
        yield f"P{ACCOUNTS[number - 1].active} Account{number}.Active", "0"
    yield f"P{ACCOUNTS[0].event_list} Account1.EventlistBlfUrl", device.event_list
    yield from _pickup(service)
    yield "P20983 Preference.CheckSyncWithAuth", "0"  # nobody answers a challenge of our NOTIFY
    if service.ca_url(CA_PEM):
        yield "P20179 FirmwareUpGrade.TCAUrl", service.ca_url(CA_PEM)
    if service.url:
        yield "P212 FirmwareUpgrade.UpgradeMode", PROTOCOLS[urlsplit(service.url).scheme]
        yield "P237 FirmwareUpgrade.ConfigServerPath", service.url
        yield "P1360 FirmwareUpgrade.UserName", service.http_user
        yield "P1361 FirmwareUpgrade.Password", service.http_password
    yield from _keys(device, service)


def _pickup(service: Service) -> Iterator[tuple[str, str]]:
    yield "P4701 CallPickup.DirectCallPickup", "1"
    yield "P4745 CallPickup.DirectCallPickupCode", service.directed_code
    yield "P4702 CallPickup.GroupCallPickup", "1"
    yield "P4746 CallPickup.GroupCallPickupCode", service.group_code
    yield "P4703 CallPickup.VisualAlertForBLFPickup", "1"
    yield "P4704 CallPickup.AudioAlertForBLFPickup", "1"


def dialling(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """A plan of whatever keys, and the timer: no document says whether a fixed length is sent at once."""
    pound = service.dial_plan.needs_pound
    for number, (p, _) in enumerate(zip(ACCOUNTS, device.accounts, strict=False), 1):
        yield f"P{p.send_key} Account{number}.Use#AsDialKey", "0" if pound else "1"
        yield f"P{p.dial_plan} Account{number}.DialPlan", "{[x*#]+}" if pound else "{[x*]+}"
        yield f"P{p.own_codes} Account{number}.EnableCallFeatures", "0"  # star codes are ours
    yield "P85 Preference.NoKeyEntryTimeout", str(SHORT_TIMER)


def _keys(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    for place, account in enumerate(device.accounts, 1):
        yield from _key(device, place, (LINE, "", account.shown, ANY_ACCOUNT, ""))
    for place, key in enumerate(device.keys, len(device.accounts) + 1):
        yield from _key(device, place, _parts(key, service))
    for place in device.free_keys:
        yield from _key(device, place, NOTHING)


def _parts(key: LineKey, service: Service) -> tuple[str, ...]:
    value = "" if key.kind is KeyKind.LIST else key.value  # a list says itself who its members are
    code = "" if key.kind is KeyKind.SPEED_DIAL else service.directed_code
    return (TYPES[key.kind], value, key.shown, ANY_ACCOUNT, code)


def _key(device: Device, place: int, parts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    own = device.model.keys
    first = "Type" if place <= own else "KeyType"
    name = f"LineKey{place}" if place <= own else _module_key(device, place - own - 1)
    for offset, (part, content) in enumerate(
        zip((first, "Value", "Label", "Account", "PickupCode"), parts, strict=True)
    ):
        number = _number(place, offset) if place <= own else MODULE_BASE + 5 * (place - own - 1) + offset
        yield f"P{number} {name}.{part}", content


def _module_key(device: Device, at: int) -> str:
    """The name of a module's key; modules have pages: `Exp2_1_20` is the last of the second's first page."""
    module, key = divmod(at, device.model.module_keys)
    page, key = divmod(key, MODULE_PAGE)
    return f"Exp{module + 1}_{page + 1}_{key + 1}"


def _number(place: int, offset: int) -> int:
    if place < FIRST:
        return 41200 + place - 1 + 100 * offset
    if place < PAGED:
        return 20200 + 5 * (place - FIRST) + offset
    return 23000 + 5 * (place - PAGED) + offset


def body(found: Found) -> bytes:
    return formats.numbered(found)


def names(device: Device) -> tuple[str, ...]:
    return (f"cfg{device.mac}.xml",)


def boot(device: Device, service: Service) -> dict[str, bytes]:
    return {}


def common(device: Device) -> dict[str, bytes]:
    return {}
