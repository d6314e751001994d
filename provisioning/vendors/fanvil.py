"""Fanvil X series, firmware 2: one document of elements."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from provisioning import formats
from provisioning.dialplan import SHORT_TIMER
from provisioning.model import Device, KeyKind, LineKey, Service
from provisioning.vendors import Found

SYNC = "check-sync"
XML = True
SENDS_AT_ONCE = False
KINDS = frozenset({KeyKind.BLF, KeyKind.SPEED_DIAL, KeyKind.LINE})
PROTOCOLS = {"http": "4", "https": "5"}
TRANSPORTS = {"udp": "0", "tcp": "1", "tls": "3"}
NOTHING, MEMORY, LINE = "0", "1", "2"  # types of keys


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """The settings; a name is the way to the element: `sip/line[1]/PhoneNumber`.

    The phone reads a file only if its version is higher than that of the last one; or, where it compares
    digests, if it has changed.
    """
    yield "Version", f"2.{service.version}"
    yield "mt/AutoServerDigest", "1"
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
        yield line + "SubExpire", str(service.subscribe_expires)
        yield line + "PickupNum", service.directed_code
    yield from dialling(device, service)
    for number in device.free_lines:
        yield f"sip/line[{number}]/EnableReg", "0"
    yield "phone/PickupVisualAlert", "1"
    yield "phone/PickupAudioAlert", "1"
    if service.url:
        yield "ap/FlashServerIP", service.url.rstrip("/")
        yield "ap/FlashFileName", "$mac.cfg"
        yield "ap/FlashProtocol", PROTOCOLS[urlsplit(service.url).scheme]
        yield "ap/FlashMode", "1"
        yield "ap/DefaultUsername", service.http_user
        yield "ap/DefaultPassword", service.http_password
    yield from _keys(device, service)


def dialling(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """The settings of the timer, which alone decides: no document names those of its digit map."""
    yield "call/basic/DialbyPound", "0" if service.dial_plan.needs_pound else "1"
    yield "call/basic/DialFixedLength", "0"
    yield "call/basic/DialbyTimeout", "1"
    yield "call/basic/DialTimeoutvalue", str(SHORT_TIMER)


def _keys(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    lines = len(device.accounts)
    pages = -(-(lines + len(device.keys) - device.model.side) // device.model.page)
    yield "dsskey/FuncKeyPageNum", str(max(1, pages))
    for number, account in enumerate(device.accounts, 1):
        yield from _key(_where(device, number), LINE, f"SIP{number}", account.shown)
    for place, key in enumerate(device.keys, lines + 1):
        kind = LINE if key.kind is KeyKind.LINE else MEMORY
        yield from _key(_where(device, place), kind, _value(key, service), device.label(key))
    for place in device.free_keys:
        yield from _key(_where(device, place), NOTHING, "", "")


def _key(where: str, kind: str, value: str, title: str) -> Iterator[tuple[str, str]]:
    yield where + "Type", kind
    yield where + "Value", value
    yield where + "Title", title


def _where(device: Device, place: int) -> str:
    beside, on_page = device.model.side, device.model.page
    if place <= beside:
        return f"dsskey/dssSide[1]/Fkey[{place}]/"
    page, key = divmod(place - beside - 1, on_page)
    return f"dsskey/internal[{page + 1}]/Fkey[{key + 1}]/"


def _value(key: LineKey, service: Service) -> str:
    match key.kind:
        case KeyKind.LINE:
            return f"SIP{key.value}"
        case KeyKind.SPEED_DIAL:
            return f"{key.value}@1/f"
        case _:
            return f"{key.value}@1/ba{service.directed_code}{key.value}"


def body(found: Found) -> bytes:
    return formats.nested(found, "sysConf")


def names(device: Device) -> tuple[str, ...]:
    return (f"{device.mac}.cfg",)


def boot(device: Device, service: Service) -> dict[str, bytes]:
    return {}


def common(device: Device) -> dict[str, bytes]:
    """No files: its common ones are about firmware, and without them the phone keeps what it has."""
    return {}
