"""Makers' own settings: which names are known, and on which of them a phone's registration depends."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from importlib.resources import files
from itertools import chain

from provisioning.catalog import models
from provisioning.common import is_common, maker_of, normal, own_name, told
from provisioning.common.table import COMMON
from provisioning.model import Account, Device, KeyKind, LineKey, ProvisioningError, Service, check_text
from provisioning.vendors import vendor_of

_NUMBER = re.compile(r"\d+")
_BY_NUMBER = ("htek",)  # makers whose settings are told apart by their numbers alone
_SERVICE = Service("192.0.2.1", url="http://192.0.2.1/", books="http://192.0.2.1/")


def accepted(
    vendors: Collection[str], name: str, value: str | None, lines: int = 1
) -> tuple[str, str | None]:
    """A setting for phones of these makers with so many accounts, as it is kept. Raises ProvisioningError."""
    check_text(name, "setting")
    if not own_name(name).strip():
        raise ProvisioningError("a setting needs a name")
    if not is_common(name):
        check_text(value or "", f"{name}: value")
        for vendor in vendors:
            check_registration(vendor, own_name(name), lines)
    return normal(name, value)


def check_registration(vendor: str, name: str, lines: int) -> None:
    """Check that the server does not have to say this itself, to phones of so many accounts. Raises
    ProvisioningError."""
    found = maker_of(vendor).REGISTRATION.fullmatch(name)
    line = found and found.groupdict().get("line")
    if found and (line is None or int(line) <= lines):
        raise ProvisioningError(
            f"{name} is not set: without blfd's own value the phone is not reached, or finds its files no "
            "more. Accounts follow from the device: see 'blfd device set', 'blfd device renew'"
        )


def unknown(vendors: Collection[str], name: str) -> str:
    """What is said of a name that none of these makers is known to have, with those near it; or ""."""
    if is_common(name):
        return ""
    name = own_name(name)
    shapes = {_shape(vendor, name) for vendor in vendors}
    known = frozenset().union(*(known_names(vendor) for vendor in vendors))
    if shapes & known:
        return ""
    near = difflib.get_close_matches(
        _shape(next(iter(vendors)), name), known | COMMON.keys(), n=3, cutoff=0.75
    )
    hint = f"; near it: {', '.join(_filled(each, name) for each in near)}" if near else ""
    whose = next(iter(vendors)) if len(vendors) == 1 else "any maker"
    return f"{name} is no setting of {whose} that is known here{hint}"


@lru_cache
def known_names(vendor: str) -> frozenset[str]:
    """The names that a maker is known to have, of our list and our own files; # stands for a number."""
    family = "snom" if vendor == "gigaset" else vendor
    listed = (files("provisioning.common") / "known" / f"{family}.txt").read_text().split()
    return frozenset(_shape(vendor, name) for name in chain(listed, _ours(vendor)))


def _ours(vendor: str) -> Iterator[str]:
    for model in models():
        if model.vendor != vendor:
            continue
        kinds = sorted(vendor_of(vendor).KINDS, key=lambda kind: kind is not KeyKind.LINE)  # lines first
        lines = model.accounts if vendor in _BY_NUMBER else 1
        keys = tuple(LineKey(kind, "1") for kind in kinds)[: model.keys - lines]
        device = Device("000000000000", model, (Account("1", "x"),) * lines, keys, 0, "x", "x")
        maker = maker_of(vendor)
        pairs = chain(
            vendor_of(vendor).settings(device, _SERVICE),
            maker.always(device, _SERVICE),
            maker.passwords(device),
        )
        yield from (name for name, _ in pairs)
        for name, common in COMMON.items():
            yield from (own for own, _ in told(device, _SERVICE, name, common.example).settings)


def _shape(vendor: str, name: str) -> str:
    if vendor in _BY_NUMBER:
        return name.partition(" ")[0]
    return _NUMBER.sub("#", name)


def _filled(shape: str, like: str) -> str:
    """A name of `known_names` with the numbers of what was written, or 1."""
    numbers = iter(_NUMBER.findall(like))
    return re.sub("#", lambda _: next(numbers, "1"), shape)
