"""Grandstream GXP21xx and GRP261x: named items."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from provisioning import formats
from provisioning.model import Device, KeyKind, Service

TRANSPORTS = {"udp": "UDP", "tcp": "TCP", "tls": "TlsOrTcp"}
FIXED = {KeyKind.SPEED_DIAL: "10", KeyKind.BLF: "11"}  # keyMode of a key that stands for a line, too
DYNAMIC = {KeyKind.SPEED_DIAL: "0", KeyKind.BLF: "1"}  # of those on its pages and on modules
LINE = "0"
SYNC = "resync"  # the Event that has the phone fetch its files


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    for number, account in enumerate(device.accounts, 1):
        line = f"account.{number}."
        yield line + "enable", "Yes"
        yield line + "name", account.shown
        yield line + "sip.server.1.address", f"{account.domain or service.host}:{service.port}"
        yield line + "sip.outboundProxy.1.address", f"{service.host}:{service.port}" if account.domain else ""
        yield line + "sip.userid", account.extension
        yield line + "sip.subscriber.userid", account.extension
        yield line + "sip.subscriber.password", account.password
        yield line + "sip.subscriber.name", account.shown
        yield line + "sip.transport", TRANSPORTS[service.transport]
        yield line + "sip.subscribe.expiration", str(max(1, service.subscribe_expires // 60))
        yield line + "sip.blf.callPickup.prefix", service.directed_code
        yield line + "sip.blf.callPickup.forcePrefix", "Yes"  # what Auto does is not documented
        yield line + "sip.callPickupBargeinCode", service.directed_code
    yield "sip.blf.pickupScreen.enable", "Yes"
    yield "sip.blf.pickupSound.enable", "Yes"
    if service.url:
        url = urlsplit(service.url)
        yield "provisioning.config.protocol", url.scheme.upper()
        yield "provisioning.config.serverPath", f"{url.netloc}{url.path}".rstrip("/")
        yield "provisioning.config.username", service.http_user
        yield "provisioning.config.password", service.http_password
    yield from _keys(device)


def _keys(device: Device) -> Iterator[tuple[str, str]]:
    model = device.model
    fixed = model.side
    for number, account in enumerate(device.accounts, 1):
        yield from _key(f"pks.vpk.{number}", LINE, number - 1, account.shown, "")
    for place, key in enumerate(device.keys, len(device.accounts) + 1):
        modes = FIXED if place <= fixed else DYNAMIC
        where = f"pks.vpk.{place}" if place <= model.keys else f"pks.ext.{place - model.keys}"
        yield from _key(where, modes[key.kind], 0, key.shown, key.value)


def _key(place: str, mode: str, account: int, label: str, value: str) -> Iterator[tuple[str, str]]:
    yield f"{place}.keyMode", mode
    yield f"{place}.account", str(account)
    yield f"{place}.description", label
    yield f"{place}.value", value


def files(device: Device, found: list[tuple[str, str]]) -> dict[str, bytes]:
    return {f"cfg{device.mac}.xml": formats.items(found)}


def common(device: Device) -> dict[str, bytes]:
    return {}
