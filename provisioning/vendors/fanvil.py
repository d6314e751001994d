"""Fanvil X series, firmware 2: one document of elements."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from lxml import etree

from provisioning import formats
from provisioning.model import Device, KeyKind, LineKey, Service

TRANSPORTS = {"udp": "0", "tcp": "1", "tls": "3"}
MEMORY, LINE = "1", "2"  # types of keys
SYNC = "check-sync"  # the Event that has the phone fetch its files


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """A name is the way to the element: `sip/line[1]/PhoneNumber`."""
    for number, account in enumerate(device.accounts, 1):
        line = f"sip/line[{number}]/"
        yield line + "PhoneNumber", account.extension
        yield line + "DisplayName", account.shown
        yield line + "RegisterAddr", account.domain or service.host
        yield line + "RegisterPort", str(service.port)
        yield line + "RegisterUser", account.extension
        yield line + "RegisterPswd", account.password
        yield line + "RegisterTTL", str(service.register_expires)
        yield line + "EnableReg", "1"
        yield line + "Transport", TRANSPORTS[service.transport]
        yield line + "ProxyAddr", service.host if account.domain else ""
        yield line + "ProxyPort", str(service.port)
        yield line + "PickupNum", service.directed_code
        yield line + "PickupVisualAlert", "1"
        yield line + "PickupAudioAlert", "1"
    if service.url:
        yield "ap/FlashServerIP", service.url.rstrip("/")
        yield "ap/FlashFileName", "$mac.cfg"
        yield "ap/FlashProtocol", "4"  # HTTP
        yield "ap/FlashMode", "1"
        yield "ap/DefaultUsername", service.http_user
        yield "ap/DefaultPassword", service.http_password
    yield from _keys(device, service)


def _keys(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    keys = iter(device.keys)
    lines = len(device.accounts)
    for place in range(1, lines + len(device.keys) + 1):
        where = _where(device, place)
        if place <= lines:
            yield where + "Type", LINE
            yield where + "Value", f"SIP{place}"
            yield where + "Title", device.accounts[place - 1].shown
        else:
            key = next(keys)
            yield where + "Type", MEMORY
            yield where + "Value", _value(key, service)
            yield where + "Title", key.shown


def _where(device: Device, place: int) -> str:
    beside, on_page = device.model.side, device.model.page
    if place <= beside:
        return f"dsskey/dssSide[1]/Fkey[{place}]/"
    page, key = divmod(place - beside - 1, on_page)
    return f"dsskey/internal[{page + 1}]/Fkey[{key + 1}]/"


def _value(key: LineKey, service: Service) -> str:
    if key.kind is KeyKind.SPEED_DIAL:
        return f"{key.value}@1/f"
    return f"{key.value}@1/ba{service.directed_code}{key.value}"


def files(device: Device, found: list[tuple[str, str]]) -> dict[str, bytes]:
    """With a version that differs when anything else does, as the phone reads no other."""
    root = etree.Element("sysConf")
    version = zlib.crc32(repr(found).encode())
    etree.SubElement(root, "Version").text = f"2.{version:010d}"
    return {f"{device.mac}.cfg": formats.nested(found, root)}


def common(device: Device) -> dict[str, bytes]:
    return {}
