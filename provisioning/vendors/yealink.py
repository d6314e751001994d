"""Yealink T2x to T5x, firmware 80 and later."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning import formats
from provisioning.model import Device, KeyKind, LineKey, Service

TRANSPORTS = {"udp": "0", "tcp": "1", "tls": "2"}
LINE, SPEED_DIAL, BLF, NOTHING = "15", "13", "16", "0"
SYNC = "check-sync;reboot=false"  # the Event that has the phone fetch its files


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """Every parameter of the phone's own file."""
    for number, account in enumerate(device.accounts, 1):
        line = f"account.{number}."
        yield line + "enable", "1"
        yield line + "label", account.extension
        yield line + "display_name", account.shown
        yield line + "user_name", account.extension
        yield line + "auth_name", account.extension
        yield line + "password", account.password
        yield line + "sip_server.1.address", account.domain or service.host
        yield line + "sip_server.1.port", str(service.port)
        yield line + "sip_server.1.transport_type", TRANSPORTS[service.transport]
        yield line + "sip_server.1.expires", str(service.register_expires)
        if account.domain:
            yield line + "outbound_proxy_enable", "1"
            yield line + "outbound_proxy.1.address", service.host
            yield line + "outbound_proxy.1.port", str(service.port)
        yield line + "blf.subscribe_period", str(service.subscribe_expires)
        yield line + "blf.subscribe_event", "0"  # dialog
        yield line + "dialoginfo_callpickup", "1"  # INVITE with Replaces, from what our NOTIFY says
        yield line + "direct_pickup_code", service.directed_code
        yield line + "group_pickup_code", service.group_code
    yield "features.pickup.direct_pickup_enable", "1"
    yield "features.pickup.direct_pickup_code", service.directed_code
    yield "features.pickup.group_pickup_enable", "1"
    yield "features.pickup.group_pickup_code", service.group_code
    yield "features.blf_pickup_only_send_code", "0"
    yield "features.pickup.blf_visual_enable", "1"
    yield "features.pickup.blf_audio_enable", "1"
    yield "features.blf.show_callinfo.enable", "1"
    if service.url:
        yield "static.auto_provision.server.url", service.url
        yield "static.auto_provision.server.username", service.http_user
        yield "static.auto_provision.server.password", service.http_password
    yield from _keys(device, service)


def _keys(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    places = _places(device)
    for number, account in enumerate(device.accounts, 1):
        place = next(places)
        yield f"{place}.type", LINE
        yield f"{place}.line", str(number)
        yield f"{place}.label", account.shown
    for key in device.keys:
        yield from _key(next(places), key, service)
    for place in places:
        if place.startswith("linekey"):
            yield f"{place}.type", NOTHING


def _key(place: str, key: LineKey, service: Service) -> Iterator[tuple[str, str]]:
    yield f"{place}.type", BLF if key.kind is KeyKind.BLF else SPEED_DIAL
    yield f"{place}.line", "1"
    yield f"{place}.value", key.value
    yield f"{place}.label", key.shown
    if key.kind is KeyKind.BLF:
        yield f"{place}.extension", service.directed_code


def _places(device: Device) -> Iterator[str]:
    model = device.model
    yield from (f"linekey.{number}" for number in range(1, model.keys + 1))
    for module in range(1, model.modules + 1):
        yield from (f"expansion_module.{module}.key.{key}" for key in range(1, model.module_keys + 1))


def files(device: Device, found: list[tuple[str, str]]) -> dict[str, bytes]:
    return {f"{device.mac}.cfg": formats.key_value(found)}


def common(device: Device) -> dict[str, bytes]:
    """What all phones of a model ask for: nothing is in it, as each file of their own has all."""
    return {f"y{int(device.model.code):012d}.cfg": formats.key_value(())}
