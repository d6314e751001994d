"""Settings with one name for all makers, and what each maker's phones are told for them.

`table` has their names and values, a module for each maker the translations, `clock` what a time zone means.
A maker's own settings go before them; one that is called as one of these is written with `raw:` before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import NamedTuple, cast

from provisioning.common.table import COMMON
from provisioning.common.telling import UNKNOWN, Maker, Told
from provisioning.model import Device, ProvisioningError, Service

RAW = "raw:"


class Chosen(NamedTuple):
    """The value of a common setting, and who has chosen it: "" for our default."""

    value: str
    origin: str = ""


def maker_of(path: str) -> Maker:
    """The maker's module of a model as `yealink/t54w`, or of `yealink`."""
    return _module(path.partition("/")[0])


@cache
def _module(maker: str) -> Maker:
    return cast(Maker, import_module(f"provisioning.common.{maker}"))


def is_common(name: str) -> bool:
    return name in COMMON


def own_name(name: str) -> str:
    """A maker's setting as the maker calls it."""
    return name.removeprefix(RAW)


def normal(name: str, value: str | None) -> tuple[str, str | None]:
    """A setting as it is kept; None leaves out what we would tell. Raises ProvisioningError."""
    if is_common(name):
        if value is None:
            return name, None
        try:
            return name, COMMON[name].normal(value)
        except ProvisioningError as error:
            raise ProvisioningError(f"{name}: {error}") from None
    own = own_name(name)
    return (name if is_common(own) else own), value


def chosen(layers: Iterable[tuple[str, Mapping[str, str | None]]]) -> dict[str, Chosen]:
    """The common settings that hold: of several layers the last one's, and our default where there is
    none."""
    found: dict[str, Chosen] = {
        name: Chosen(common.default) for name, common in COMMON.items() if common.default
    }
    for origin, settings in layers:
        for name, value in settings.items():
            if not is_common(name):
                continue
            if value is None:
                found.pop(name, None)
            else:
                found[name] = Chosen(value, origin)
    return {name: found[name] for name in COMMON if name in found}


def told(device: Device, service: Service, name: str, value: str) -> Told:
    """What a phone is told for a common setting.

    A value that is no longer one, such as a zone that the tz database has dropped, keeps no phone from its
    file.
    """
    translation = maker_of(device.model.path).TRANSLATIONS.get(name)
    if translation is None:
        return Told(note=UNKNOWN)
    try:
        return translation(device, service, value)
    except (KeyError, ValueError):
        return Told(note="it is no value of this setting here; set another")
