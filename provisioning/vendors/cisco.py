"""Cisco SPA5xx and the multiplatform firmware of the 88xx: a flat profile."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning import formats
from provisioning.model import Device, KeyKind, LineKey, Service

SYNC = "check-sync"  # the Event that has the phone fetch its files


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    for number, account in enumerate(device.accounts, 1):
        yield f"Proxy_{number}_", account.domain or f"{service.host}:{service.port}"
        yield f"Outbound_Proxy_{number}_", f"{service.host}:{service.port}" if account.domain else ""
        yield f"User_ID_{number}_", account.extension
        yield f"Password_{number}_", account.password
        yield f"Display_Name_{number}_", account.shown
        yield f"SIP_Transport_{number}_", service.transport.upper()
        yield f"Register_Expires_{number}_", str(service.register_expires)
        yield f"Extension_{number}_", str(number)
        yield f"Short_Name_{number}_", account.shown
    yield "Call_Pickup_Code", service.directed_code
    yield "Group_Call_Pickup_Code", service.group_code
    yield "Attendant_Console_Call_Pickup_Code", f"{service.directed_code}#"  # the # is the extension
    yield "Call_Pickup_Audio_Notification", "Yes"
    if service.url:
        yield "Profile_Rule", _rule(service)
    yield "Resync_On_Reset", "Yes"
    yield "Resync_From_SIP", "Yes"
    yield from _keys(device)


def _rule(service: Service) -> str:
    credentials = f"[--uid {service.http_user} --pwd {service.http_password}]" if service.http_user else ""
    return f"{credentials}{service.url}$MA.xml"


def _keys(device: Device) -> Iterator[tuple[str, str]]:
    for place, key in enumerate(device.keys, len(device.accounts) + 1):
        if place <= device.model.keys:
            yield f"Extension_{place}_", "Disabled"
            yield f"Short_Name_{place}_", key.shown
            yield f"Extended_Function_{place}_", _function(key)
        else:
            module, number = divmod(place - device.model.keys - 1, device.model.module_keys)
            yield f"Unit_{module + 1}_Key_{number + 1}", _function(key)


def _function(key: LineKey) -> str:
    name = key.shown.replace(";", ",")  # which ends a part of this
    if key.kind is KeyKind.SPEED_DIAL:
        return f"fnc=sd;ext={key.value}@$PROXY;nme={name}"
    return f"fnc=blf+sd+cp;sub={key.value}@$PROXY;nme={name}"


def files(device: Device, found: list[tuple[str, str]]) -> dict[str, bytes]:
    return {f"{device.mac}.xml": formats.flat(found)}


def common(device: Device) -> dict[str, bytes]:
    """What a phone from the box asks for by its model."""
    return {}
