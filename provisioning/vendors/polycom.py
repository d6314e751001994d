"""Polycom VVX (UC software 4 to 6) and Poly Edge E: attributes of one element."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from lxml import etree

from provisioning import formats
from provisioning.dialplan import digit_map
from provisioning.model import Device, KeyKind, Service
from provisioning.vendors import Found

SYNC = "check-sync"
XML = True
SENDS_AT_ONCE = True
KINDS = frozenset({KeyKind.BLF, KeyKind.SPEED_DIAL, KeyKind.LINE})
TRANSPORTS = {"udp": "UDPOnly", "tcp": "TCPOnly", "tls": "TLS"}
SERVER_TYPES = {"ftp": "FTP", "http": "HTTP", "https": "HTTPS"}
CATEGORIES = {KeyKind.BLF: "BLF", KeyKind.SPEED_DIAL: "SpeedDial", KeyKind.LINE: "Line"}
NEXT_WATCHED = "0"  # the index of a key that watches the next of the resource list
FEW_KEYS = 2  # keys: phones with no more have nothing to arrange
AUDIBLE = "ringer2"  # the first ringer is silence
MASTER = "000000000000.cfg"
MAP_CHARACTERS, MAP_ENTRIES = 512, 20  # the room of old firmware
ENDED_BY_POUND = ("xx.#", "*xx.#")  # numbers whose # is not sent


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    for number, account in enumerate(device.accounts, 1):
        line = f"reg.{number}."
        more = sum(key.kind is KeyKind.LINE and key.value == str(number) for key in device.keys)
        yield (
            line + "address",
            f"{account.extension}@{account.domain}" if account.domain else account.extension,
        )
        yield line + "displayName", account.shown
        yield line + "label", account.shown
        yield line + "auth.userId", account.extension
        yield line + "auth.password", account.password
        yield line + "lineKeys", str(1 + more)
        yield line + "server.1.address", service.host
        yield line + "server.1.port", str(service.port)
        yield line + "server.1.transport", TRANSPORTS[service.transport]
        yield line + "server.1.expires", str(service.register_expires)
        yield line + "server.1.subscribe.expires", str(service.subscribe_expires)
        yield line + "server.1.register", "1"
    for number in device.free_lines:
        yield f"reg.{number}.address", ""
    yield from _watched(device)
    yield from _arranged(device)
    yield from _pickup(service)
    yield from dialling(device, service)
    if service.url:
        yield from _home(service)


def _watched(device: Device) -> Iterator[tuple[str, str]]:
    domain = device.accounts[0].domain
    watched = [key for key in device.keys if key.kind is KeyKind.BLF]
    for number, key in enumerate(watched, 1):
        resource = f"attendant.resourceList.{number}."
        yield resource + "address", f"{key.value}@{domain}" if domain else key.value
        yield resource + "label", key.shown
        yield resource + "type", "normal"
    for number in range(len(watched) + 1, device.room + 1):
        yield f"attendant.resourceList.{number}.address", ""  # otherwise one that was there before would stay
    yield "attendant.behaviors.display.spontaneousCallAppearances.normal", "1"
    yield "attendant.behaviors.display.remoteCallerID.normal", "1"
    yield "attendant.ringType", AUDIBLE
    yield "attendant.restrictPickup", "0"


def _arranged(device: Device) -> Iterator[tuple[str, str]]:
    """The keys in the administrator's order; those of modules are counted on from the phone's own."""
    if device.model.keys <= FEW_KEYS:
        return
    yield "lineKey.reassignment.enabled", "1"
    places = [("Line", str(number)) for number in range(1, len(device.accounts) + 1)]
    dialled = 0
    for key in device.keys:
        dialled += key.kind is KeyKind.SPEED_DIAL
        index = {KeyKind.BLF: NEXT_WATCHED, KeyKind.SPEED_DIAL: str(dialled)}.get(key.kind, key.value)
        places.append((CATEGORIES[key.kind], index))
    free = [("Unassigned", "0")] * len(device.free_keys)
    for place, (category, index) in enumerate(places + free, 1):
        yield f"lineKey.{place}.category", category
        yield f"lineKey.{place}.index", index


def _pickup(service: Service) -> Iterator[tuple[str, str]]:
    yield "call.directedCallPickupMethod", "legacy"  # code and extension; `native` is nowhere written down
    yield "call.directedCallPickupString", service.directed_code
    yield "feature.enhancedFeatureKeys.enabled", "1"
    yield "softkey.1.enable", "1"
    yield "softkey.1.label", "Pick up"
    yield "softkey.1.action", f"{service.group_code}$Tinvite$"
    yield "softkey.1.use.idle", "1"


def dialling(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """A digit map, as the phone's own one is for North America, and sends what it does not know at once."""
    plan = service.dial_plan
    entries = plan.written(digit_map, MAP_CHARACTERS, MAP_ENTRIES)
    with_pound = [*entries, *ENDED_BY_POUND]
    has_room = len(with_pound) <= MAP_ENTRIES and len("|".join(with_pound)) <= MAP_CHARACTERS
    yield "dialplan.digitmap", "|".join(with_pound if has_room and not plan.needs_pound else entries)
    yield "dialplan.impossibleMatchHandling", "2"  # it goes on collecting
    yield "dialplan.removeEndOfDial", "0" if plan.needs_pound else "1"


def _home(service: Service) -> Iterator[tuple[str, str]]:
    """The settings of the address at which the phone fetches this file the next time."""
    url = urlsplit(service.url)
    yield "device.set", "1"
    for name, value in (
        ("serverType", SERVER_TYPES.get(url.scheme, "HTTP")),
        ("serverName", f"{url.netloc}{url.path}".rstrip("/")),
        ("user", service.http_user),
        ("password", service.http_password),
        ("tagSerialNo", "1"),
    ):
        yield f"device.prov.{name}.set", "1"
        yield f"device.prov.{name}", value
    yield "voIpProt.SIP.specialEvent.checkSync.alwaysReboot", "0"


def body(found: Found) -> bytes:
    return formats.attributes(found, "polycomConfig")


def names(device: Device) -> tuple[str, ...]:
    return (f"{device.mac}-blfd.cfg",)


def boot(device: Device, service: Service) -> dict[str, bytes]:
    return {}


def common(device: Device) -> dict[str, bytes]:
    """The file that all phones begin with, and the one that goes before it where it is there."""
    (own,) = names(device)
    return {MASTER: _master("[PHONE_MAC_ADDRESS]-blfd.cfg"), f"{device.mac}.cfg": _master(own)}


def _master(config: str) -> bytes:
    """The file that says which others the phone goes on to fetch; the firmware stays as it is."""
    return formats.document(etree.Element("APPLICATION", APP_FILE_PATH="", CONFIG_FILES=config))
