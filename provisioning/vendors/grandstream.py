"""Grandstream GXP21xx and GRP261x: named items."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from provisioning import formats
from provisioning.dialplan import DIGITS, SHORT_TIMER, Sequence, written_keys
from provisioning.model import Device, KeyKind, Service
from provisioning.vendors import Found, unknown_key

SYNC = "resync"
XML = True
SENDS_AT_ONCE = True
KINDS = frozenset({KeyKind.BLF, KeyKind.SPEED_DIAL, KeyKind.LINE})
TRANSPORTS = {"udp": "UDP", "tcp": "TCP", "tls": "Tls Or Tcp"}
LINE, NOTHING = "Line", "None"
PLAN_CHARACTERS = 1024
INTERNATIONAL = "\\+x+"  # a number from a book or a list of calls
MODES = {KeyKind.BLF: "BLF", KeyKind.SPEED_DIAL: "SpeedDial"}


def settings(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """The settings; expiries are in minutes here."""
    for number, account in enumerate(device.accounts, 1):
        line = f"account.{number}."
        yield line + "enable", "Yes"
        yield line + "name", account.shown
        yield line + "sip.server.1.address", service.host_port(account.domain)
        yield line + "sip.outboundProxy.1.address", service.host_port() if account.domain else ""
        yield line + "sip.userid", account.extension
        yield line + "sip.subscriber.userid", account.extension
        yield line + "sip.subscriber.password", account.password
        yield line + "sip.subscriber.name", account.shown
        yield line + "sip.transport", TRANSPORTS[service.transport]
        yield line + "sip.uriSchemeWhenUsingTls", "sip"  # by `sips`, phones without TLS could not be called
        yield line + "sip.registerExpiration", formats.minutes(service.register_expires)
        yield line + "sip.subscribe.expiration", formats.minutes(service.subscribe_expires)
        yield line + "sip.blf.callPickup.prefix", service.directed_code
        yield line + "sip.blf.callPickup.forcePrefix", "Force"  # what Auto does is not documented
        yield line + "sip.callPickupBargeinCode", service.directed_code
    yield from dialling(device, service)
    for number in device.free_lines:
        yield f"account.{number}.enable", "No"
    yield "sip.notify.challenge", "No"  # otherwise it challenges our NOTIFY, which nobody answers
    yield "sip.blf.pickupScreen.enable", "Yes"
    yield "sip.blf.pickupSound.enable", "Yes"
    if service.url:
        url = urlsplit(service.url)
        yield "provisioning.config.protocol", url.scheme.upper()
        yield "provisioning.config.serverPath", f"{url.netloc}{url.path}".rstrip("/")
        yield "provisioning.config.username", service.http_user
        yield "provisioning.config.password", service.http_password
    yield from _keys(device)


def dialling(device: Device, service: Service) -> Iterator[tuple[str, str]]:
    """A plan that knows `*`; star codes are ours, not the phone's."""
    plan = service.dial_plan
    entries = [*plan.written(_entry, PLAN_CHARACTERS - len(INTERNATIONAL) - 3), INTERNATIONAL]
    for number in range(1, len(device.accounts) + 1):
        line = f"account.{number}."
        yield line + "call.dialplan", f"{{{'|'.join(entries)}}}"
        yield line + "call.noKeyEntryTimeout", str(SHORT_TIMER)
        yield line + "call.keyAsSend", "Disabled" if plan.needs_pound else "Pound"
        yield line + "featureCodes.callFeatures", "No"


def _entry(sequence: Sequence) -> str:
    """An entry of the plan; `x+` is one digit or more. What may go on gets an entry without end, as not every
    firmware knows T.

    Where one is complete with a last key that is not any digit, its entry is for more than what is meant.
    """
    if sequence.at_once:
        return written_keys(sequence)
    *before, last = sequence.keys
    if sequence.more and last != DIGITS and sequence.keys[0] in DIGITS:
        return f"{written_keys(sequence)}x+"  # nothing that means something ends with it
    return f"{written_keys(sequence._replace(keys=(*before, DIGITS)))}+"


def _keys(device: Device) -> Iterator[tuple[str, str]]:
    lines = len(device.accounts)
    for number, account in enumerate(device.accounts, 1):
        yield from _key(f"pks.vpk.{number}", str(number - 1), account.shown, "", LINE)
    for place, key in enumerate(device.keys, lines + 1):
        if key.kind is KeyKind.LINE:
            if place > device.model.page:
                raise unknown_key(device, key, f"only its first {device.model.page} keys can be lines")
            yield from _key(f"pks.vpk.{place}", str(int(key.value) - 1), device.label(key), "", LINE)
        else:
            yield from _key(*_where(device, place), key.shown, key.value, MODES[key.kind])
    for place in device.free_keys:
        yield from _key(*_where(device, place), "", "", NOTHING)


def _where(device: Device, place: int) -> tuple[str, str]:
    """The name of a key of the pages, of the multi-purpose keys, or of a module; and the account there."""
    pages, beside = device.model.keys, device.model.multi_purpose
    if place <= pages:
        return f"pks.vpk.{place}", "0"
    if place <= pages + beside:
        return f"pks.mpk.{place - pages}", "Account1"
    return f"pks.ext.{place - pages - beside}", "Account1"


def _key(place: str, account: str, label: str, value: str, mode: str) -> Iterator[tuple[str, str]]:
    yield f"{place}.keyMode", mode
    yield f"{place}.account", account
    yield f"{place}.description", label
    yield f"{place}.value", value


def body(found: Found) -> bytes:
    return formats.items(found)


def names(device: Device) -> tuple[str, ...]:
    return (f"cfg{device.mac}.xml",)


def boot(device: Device, service: Service) -> dict[str, bytes]:
    return {}


def common(device: Device) -> dict[str, bytes]:
    return {}
