"""Gigaset's desk phones P8xx: snom's software, under file names of their own."""

from __future__ import annotations

from provisioning.model import Device, Service
from provisioning.vendors.snom import KINDS, SENDS_AT_ONCE, SYNC, XML, body, dialling, settings

__all__ = [
    "KINDS",
    "SENDS_AT_ONCE",
    "SYNC",
    "XML",
    "body",
    "boot",
    "common",
    "dialling",
    "names",
    "settings",
]


def names(device: Device) -> tuple[str, ...]:
    mac = device.mac.upper()
    return f"{mac}.xml", f"{device.model.code}-{mac}.htm"


def boot(device: Device, service: Service) -> dict[str, bytes]:
    return {}


def common(device: Device) -> dict[str, bytes]:
    """A file with nothing in it, as each phone's own file has all."""
    return {f"{device.model.code}.htm": body([])}
