"""Cisco SPA5xx and the multiplatform firmware of the 88xx: a flat profile."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning import formats
from provisioning.model import Device, KeyKind, LineKey, Model, Service
from provisioning.vendors import Found, unknown_key

SYNC = "check-sync"
XML = True
KINDS = frozenset({KeyKind.BLF, KeyKind.SPEED_DIAL, KeyKind.LINE})
NO_LINE = "Disabled"
_ENDS = str.maketrans({";": ",", "$": ""})  # what ends a part of a key's function, and what begins a variable


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    for number, account in enumerate(device.accounts, 1):
        yield f"Proxy_{number}_", account.domain or f"{service.host}:{service.port}"
        yield f"Outbound_Proxy_{number}_", f"{service.host}:{service.port}" if account.domain else ""
        yield f"Line_Enable_{number}_", "Yes"
        yield f"User_ID_{number}_", account.extension
        yield f"Password_{number}_", account.password
        yield f"Display_Name_{number}_", account.shown
        yield f"SIP_Transport_{number}_", service.transport.upper()
        yield f"Register_Expires_{number}_", str(service.register_expires)
        yield from _key(number, str(number), account.shown, "")
    for number in device.free_lines:
        yield f"Line_Enable_{number}_", "No"
    yield "Call_Pickup_Code", service.directed_code
    yield "Group_Call_Pickup_Code", service.group_code
    yield "Attendant_Console_Call_Pickup_Code", f"{service.directed_code}#"  # the # is the extension
    yield "Call_Pickup_Audio_Notification", "Yes"
    yield "Subscribe_Expires", str(service.subscribe_expires)
    if _is_spa(device.model):
        yield "Server_Type", "Asterisk"
    if service.url:
        yield "Profile_Rule", _rule(service)
    yield "Resync_On_Reset", "Yes"
    yield "Resync_From_SIP", "Yes"
    yield from _keys(device)


def _is_spa(model: Model) -> bool:
    return model.name.startswith("spa")


def _rule(service: Service) -> str:
    credentials = f"[--uid {service.http_user} --pwd {service.http_password}]" if service.http_user else ""
    return f"{credentials}{service.url}$MA.xml"


def _keys(device: Device) -> Iterator[tuple[str, str]]:
    own = device.model.keys
    yield from _modules(device)
    for place, key in enumerate(device.keys, len(device.accounts) + 1):
        if key.kind is KeyKind.LINE:
            if place > own:
                raise unknown_key(device, key, f"only its first {own} keys can be lines")
            yield from _key(place, key.value, device.label(key), "")
        elif place <= own:
            yield from _key(place, NO_LINE, key.shown, _function(key))
        else:
            yield _module_key(device, place), _function(key)
    for place in device.free_keys:
        if place <= own:
            yield from _key(place, NO_LINE, "", "")
        else:
            yield _module_key(device, place), ""


def _key(place: int, line: str, name: str, function: str) -> Iterator[tuple[str, str]]:
    yield f"Extension_{place}_", line
    yield f"Short_Name_{place}_", name
    yield f"Extended_Function_{place}_", function


def _modules(device: Device) -> Iterator[tuple[str, str]]:
    """Which of them are there."""
    if _is_spa(device.model):
        for module in range(1, device.model.modules + 1):
            yield f"Unit_{module}_Enable", "Yes" if module <= device.modules else "No"
    elif device.model.modules:
        yield "Number_of_Units", str(device.modules)


def _module_key(device: Device, place: int) -> str:
    module, number = divmod(place - device.model.keys - 1, device.model.module_keys)
    end = "" if _is_spa(device.model) else "_"
    return f"Unit_{module + 1}_Key_{number + 1}{end}"


def _function(key: LineKey) -> str:
    name = key.shown.translate(_ENDS)
    if key.kind is KeyKind.SPEED_DIAL:
        return f"fnc=sd;ext={key.value}@$PROXY;nme={name}"
    return f"fnc=blf+sd+cp;sub={key.value}@$PROXY;nme={name}"


def body(found: Found) -> bytes:
    return formats.flat(found)


def files(device: Device, body: bytes) -> dict[str, bytes]:
    return {f"{device.mac}.xml": body}


def boot(device: Device, service: Service) -> dict[str, bytes]:
    """A phone from the box asks for it by its model."""
    if not (_is_spa(device.model) and service.url):
        return {}
    rule = [("Profile_Rule", _rule(service)), ("Resync_On_Reset", "Yes")]
    return {f"{device.model.name}.cfg": formats.flat(rule)}


def common(device: Device) -> dict[str, bytes]:
    return {}
