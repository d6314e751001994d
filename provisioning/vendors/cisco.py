"""Cisco SPA5xx and the multiplatform firmware of the 88xx: a flat profile."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning import formats
from provisioning.dialplan import SHORT_TIMER, Sequence, written_keys
from provisioning.model import CA_PEM, Device, KeyKind, LineKey, Model, Service
from provisioning.vendors import Found, unknown_key

SYNC = "check-sync"
CODECS = (
    *("G711u", "G711a", "G722", "G722.2", "G723", "G729a", "L16", "iLBC", "ISAC", "OPUS"),
    *("G726r16", "G726r24", "G726r32", "G726r40"),
)
XML = True
SENDS_AT_ONCE = True
KINDS = frozenset({KeyKind.BLF, KeyKind.SPEED_DIAL, KeyKind.LINE})
NO_LINE = "Disabled"
PLAN_CHARACTERS = 2000
LONG_TIMER = 10  # seconds behind a number that is not complete
STAR_CODES = (
    *("Call_Return_Code", "Blind_Transfer_Code", "Call_Back_Act_Code", "Call_Back_Deact_Code"),
    *("Cfwd_All_Act_Code", "Cfwd_All_Deact_Code", "Cfwd_Busy_Act_Code", "Cfwd_Busy_Deact_Code"),
    *("Cfwd_No_Ans_Act_Code", "Cfwd_No_Ans_Deact_Code", "CW_Act_Code", "CW_Deact_Code"),
    *("CW_Per_Call_Act_Code", "CW_Per_Call_Deact_Code", "Block_CID_Act_Code", "Block_CID_Deact_Code"),
    *("Block_CID_Per_Call_Act_Code", "Block_CID_Per_Call_Deact_Code", "Block_ANC_Act_Code"),
    *("Block_ANC_Deact_Code", "DND_Act_Code", "DND_Deact_Code", "Secure_All_Call_Act_Code"),
    *("Secure_No_Call_Act_Code", "Secure_One_Call_Act_Code", "Secure_One_Call_Deact_Code", "Paging_Code"),
    *("Call_Park_Code", "Call_UnPark_Code", "Call_Unpark_Code", "Media_Loopback_Code"),
    *("Referral_Services_Codes", "Feature_Dial_Services_Codes"),
    *(f"{wish}_{codec}_Code" for codec in CODECS for wish in ("Prefer", "Force")),
)
_ENDS = str.maketrans({";": ",", "$": ""})  # what ends a part of a key's function, and what begins a variable


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    for number, account in enumerate(device.accounts, 1):
        yield f"Proxy_{number}_", account.domain or service.host_port()
        yield f"Outbound_Proxy_{number}_", service.host_port() if account.domain else ""
        yield f"Line_Enable_{number}_", "Yes"
        yield f"User_ID_{number}_", account.extension
        yield f"Password_{number}_", account.password
        yield f"Display_Name_{number}_", account.shown
        yield f"SIP_Transport_{number}_", service.transport.upper()
        yield f"Register_Expires_{number}_", str(service.register_expires)
        yield f"Auth_Resync-Reboot_{number}_", "No"  # else it challenges our NOTIFY, which nobody answers
        yield from _key(number, str(number), account.shown, "")
    for number in device.free_lines:
        yield f"Line_Enable_{number}_", "No"
    yield from dialling(device, service)
    yield "Attendant_Console_Call_Pickup_Code", f"{service.directed_code}#"  # the # stands for the extension
    yield "Call_Pickup_Audio_Notification", "Yes"
    yield "Subscribe_Expires", str(service.subscribe_expires)
    if _is_spa(device.model):
        yield "Server_Type", "Asterisk"
    if service.url:
        yield "Profile_Rule", _rule(service)
    if service.ca_url(CA_PEM):
        yield "Custom_CA_URL" if _is_spa(device.model) else "Custom_CA_Rule", service.ca_url(CA_PEM)
    yield "Resync_On_Reset", "Yes"
    yield "Resync_From_SIP", "Yes"
    yield from _keys(device)


def dialling(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """Our own plan, without the phone's star codes, which would act before ours are complete.

    One of those has to stay on the 88xx: its keys pick up by it, and no document tells of another way.
    """
    entries = service.dial_plan.written(_entry, PLAN_CHARACTERS)
    addresses = "Enable_IP_Dialing" if _is_spa(device.model) else "Enable_URI_Dialing"
    for number in range(1, len(device.accounts) + 1):
        yield f"Dial_Plan_{number}_", f"({'|'.join(entries)})"
        yield f"{addresses}_{number}_", "No"  # in an address that is dialled, `*` is a dot
    yield "Interdigit_Short_Timer", str(SHORT_TIMER)
    yield "Interdigit_Long_Timer", str(LONG_TIMER)
    directed, group = ("", "") if _is_spa(device.model) else (service.directed_code, service.group_code)
    yield "Call_Pickup_Code", directed
    yield "Group_Call_Pickup_Code", group
    for name in STAR_CODES:
        yield name, ""


def _entry(sequence: Sequence) -> str:
    """An entry of the plan; `S0` is a short timer of nothing."""
    return f"{written_keys(sequence)}{'x.' * sequence.more}{'S0' * sequence.at_once}"


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
    """The settings that say which modules are there."""
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


def names(device: Device) -> tuple[str, ...]:
    return (f"{device.mac}.xml",)


def boot(device: Device, service: Service) -> dict[str, bytes]:
    """The file that a phone from the box asks for by its model."""
    if not (_is_spa(device.model) and service.url):
        return {}
    rule = [("Profile_Rule", _rule(service)), ("Resync_On_Reset", "Yes")]
    return {f"{device.model.name}.cfg": formats.flat(rule)}


def common(device: Device) -> dict[str, bytes]:
    return {}
