"""Yealink T2x to T8x, firmware 80 and later."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning import formats
from provisioning.dialplan import SHORT_TIMER, digit_map
from provisioning.model import CA_PEM, Device, KeyKind, LineKey, Service
from provisioning.vendors import Found

SYNC = "check-sync;reboot=false"
XML = False
SENDS_AT_ONCE = True
KINDS = frozenset(KeyKind)
TRANSPORTS = {"udp": "0", "tcp": "1", "tls": "2"}
NOTHING = "0"
NO_VALUE = "%NULL%"  # means no value, which an empty one does not
TYPES = {KeyKind.SPEED_DIAL: "13", KeyKind.LINE: "15", KeyKind.BLF: "16", KeyKind.LIST: "39"}
HEAD = "#!version:1.0.0.1"
BOOT = "y000000000000.boot"
MAP_CHARACTERS = 2048
INTERNATIONAL = "|+x.T"  # a number from a book or a list of calls
LONG_TIMER = 10  # seconds behind a number that nothing in the plan is like


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """Every parameter of the phone's own file."""
    for number, account in enumerate(device.accounts, 1):
        line = f"account.{number}."
        yield line + "enable", "1"
        yield line + "label", account.shown
        yield line + "display_name", account.shown
        yield line + "user_name", account.extension
        yield line + "auth_name", account.extension
        yield line + "password", account.password
        yield line + "sip_server.1.address", account.domain or service.host
        yield line + "sip_server.1.port", str(service.port)
        yield line + "sip_server.1.transport_type", TRANSPORTS[service.transport]
        yield line + "sip_server.1.expires", str(service.register_expires)
        yield line + "outbound_proxy_enable", "1" if account.domain else "0"
        if account.domain:
            yield line + "outbound_proxy.1.address", service.host
            yield line + "outbound_proxy.1.port", str(service.port)
        yield line + "blf.subscribe_period", str(service.subscribe_expires)
        yield line + "blf.subscribe_event", "0"  # Event: dialog
        yield line + "dialoginfo_callpickup", "1"  # INVITE with Replaces, from what our NOTIFY says
        yield line + "direct_pickup_code", service.directed_code
        yield line + "group_pickup_code", service.group_code
    for number in device.free_lines:
        yield f"account.{number}.enable", "0"  # otherwise a line that was there before would stay
    yield "account.1.blf.blf_list_uri", device.event_list or NO_VALUE
    if device.event_list:
        yield "account.1.blf_list_code", service.directed_code
        yield "phone_setting.auto_blf_list_enable", "0"  # its keys are where they were put
    yield from _pickup(service)
    yield from dialling(device, service)
    if service.url:
        yield "static.auto_provision.server.url", service.url
        yield "static.auto_provision.server.username", service.http_user
        yield "static.auto_provision.server.password", service.http_password
    if service.ca_url(CA_PEM):
        yield "static.trusted_certificates.url", service.ca_url(CA_PEM)
        yield "static.security.ca_cert", "2"  # it trusts those that are built in, and this one
    yield from _keys(device, service)


def _pickup(service: Service) -> Iterator[tuple[str, str]]:
    yield "features.pickup.direct_pickup_enable", "1"
    yield "features.pickup.direct_pickup_code", service.directed_code
    yield "features.pickup.group_pickup_enable", "1"
    yield "features.pickup.group_pickup_code", service.group_code
    yield "features.blf_pickup_only_send_code", "0"
    yield "features.pickup.blf_visual_enable", "1"
    yield "features.pickup.blf_audio_enable", "1"
    yield "features.blf.show_callinfo.enable", "1"


def dialling(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """A digit map, as the phone's own one is for North America."""
    entries = service.dial_plan.written(digit_map, MAP_CHARACTERS - len(INTERNATIONAL))
    yield "dialplan.digitmap.enable", "1"
    yield "dialplan.digitmap.string", "|".join(entries) + INTERNATIONAL
    yield "dialplan.digitmap.no_match_action", "2"  # it goes on collecting
    yield "dialplan.digitmap.interdigit_short_timer", str(SHORT_TIMER)
    yield "dialplan.digitmap.interdigit_long_timer", str(LONG_TIMER)


def _keys(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    places = _places(device)
    for number, account in enumerate(device.accounts, 1):
        yield from _line(next(places), str(number), account.shown)
    for key in device.keys:
        if key.kind is KeyKind.LINE:
            yield from _line(next(places), key.value, device.label(key))
        else:
            yield from _key(next(places), key, service)
    for place in places:  # otherwise keys that were there before would stay
        yield f"{place}.type", NOTHING


def _line(place: str, number: str, label: str) -> Iterator[tuple[str, str]]:
    yield f"{place}.type", TYPES[KeyKind.LINE]
    yield f"{place}.line", number
    yield f"{place}.label", label


def _key(place: str, key: LineKey, service: Service) -> Iterator[tuple[str, str]]:
    yield f"{place}.type", TYPES[key.kind]
    yield f"{place}.line", "1"
    if key.kind is not KeyKind.LIST:  # a list says itself who its members are
        yield f"{place}.value", key.value
    yield f"{place}.label", key.shown
    if key.kind is KeyKind.BLF:
        yield f"{place}.extension", service.directed_code


def _places(device: Device) -> Iterator[str]:
    model = device.model
    yield from (f"linekey.{number}" for number in range(1, model.keys + 1))
    for module in range(1, device.modules + 1):
        yield from (f"expansion_module.{module}.key.{key}" for key in range(1, model.module_keys + 1))


def body(found: Found) -> bytes:
    return formats.lines(found, HEAD)


def names(device: Device) -> tuple[str, ...]:
    return (f"{device.mac}.cfg",)


def boot(device: Device, service: Service) -> dict[str, bytes]:
    """The file that newer firmware begins with, as `MAC.boot` is not there; it names the others."""
    lines = (
        HEAD,
        f'include:config "{_common(device)}"',
        f'include:config "{device.mac}.cfg"',
        "overwrite_mode = 1",
    )
    return {BOOT: "".join(f"{line}\n" for line in lines).encode()}


def common(device: Device) -> dict[str, bytes]:
    """A file with nothing in it, as each phone's own file has all."""
    return {_common(device): body([])}


def _common(device: Device) -> str:
    return f"y{int(device.model.code):012d}.cfg"
