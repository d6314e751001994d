"""Htek UC9xx: numbered parameters."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning import formats
from provisioning.model import Device, KeyKind, Service

TRANSPORTS = {"udp": "0", "tcp": "1", "tls": "2"}
LINE, SPEED_DIAL, BLF = "1", "2", "3"
ANY_ACCOUNT = "255"
FIRST, PAGED = 5, 37  # keys from which the numbers follow another rule
SYNC = "resync"  # the Event that has the phone fetch its files


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """Of the first account, whose numbers are documented; the model has one for each of its lines."""
    account = device.accounts[0]
    yield "P271 Account1.Active", "1"
    yield "P47 Account1.SipServer", f"{account.domain or service.host}:{service.port}"
    yield "P48 Account1.OutboundProxy", f"{service.host}:{service.port}" if account.domain else ""
    yield "P130 Account1.SipTransport", TRANSPORTS[service.transport]
    yield "P31 Account1.SipRegistration", "1"
    yield "P35 Account1.SipUserId", account.extension
    yield "P36 Account1.AuthenticateID", account.extension
    yield "P34 Account1.AuthenticatePassword", account.password
    yield "P3 Account1.DisplayName", account.shown
    yield "P20970 Account1.SubscribeExpires", str(service.subscribe_expires)
    yield "P4705 Account1.DirectCallPickupCode", service.directed_code
    yield "P4706 Account1.GroupCallPickupCode", service.group_code
    if service.url:
        yield "P237 FirmwareUpgrade.ConfigServerPath", service.url
    yield from _key(1, LINE, "", account.shown, "")
    for place, key in enumerate(device.keys, 2):
        if key.kind is KeyKind.BLF:
            yield from _key(place, BLF, key.value, key.shown, service.directed_code)
        else:
            yield from _key(place, SPEED_DIAL, key.value, key.shown, "")


def _key(place: int, kind: str, value: str, label: str, code: str) -> Iterator[tuple[str, str]]:
    parts = (
        ("Type", kind),
        ("Value", value),
        ("Label", label),
        ("Account", ANY_ACCOUNT),
        ("PickupCode", code),
    )
    for offset, (name, content) in enumerate(parts):
        yield f"P{_number(place, offset)} LineKey{place}.{name}", content


def _number(place: int, offset: int) -> int:
    if place < FIRST:
        return 41200 + place - 1 + 100 * offset
    if place < PAGED:
        return 20200 + 5 * (place - FIRST) + offset
    return 23000 + 5 * (place - PAGED) + offset


def files(device: Device, found: list[tuple[str, str]]) -> dict[str, bytes]:
    return {f"cfg{device.mac}.xml": formats.numbered(found)}


def common(device: Device) -> dict[str, bytes]:
    return {}
