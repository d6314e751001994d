"""What a site says of numbers outside: each maker makes its dial plan of that and of the tenant's numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from provisioning.common.table import EMERGENCY_NUMBERS, NONE, OUTSIDE_PREFIX
from provisioning.common.telling import Told, Translation
from provisioning.model import Device, Service
from provisioning.vendors import vendor_of

BY_TIMER = "all numbers go out by its timer, as no document tells how they do at once"


def with_dialling(service: Service, values: Mapping[str, str]) -> Service:
    """The service with what the common settings say of numbers outside."""
    prefix, numbers = values.get(OUTSIDE_PREFIX), values.get(EMERGENCY_NUMBERS)
    outside = service.outside if prefix is None else None if prefix == NONE else prefix
    emergency = service.emergency if numbers is None else tuple(numbers.split(","))
    if (outside, emergency) == (service.outside, service.emergency):
        return service
    return replace(service, outside=outside, emergency=emergency)


def _dialled(name: str) -> Translation:
    def tell(device: Device, service: Service, value: str) -> Told:
        """The settings of the whole dial plan, as each of these settings concerns all of it."""
        vendor = vendor_of(device.model.path)
        plan = vendor.dialling(device, with_dialling(service, {name: value}))
        return Told(tuple(plan), "" if vendor.SENDS_AT_ONCE else BY_TIMER)

    return tell


DIALLED = {name: _dialled(name) for name in (OUTSIDE_PREFIX, EMERGENCY_NUMBERS)}
