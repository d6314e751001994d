"""A scope says for which phones an override is, as people write it."""

from __future__ import annotations

from blfd.devices.files import EVERYWHERE
from blfd.store import StoreError
from provisioning import ProvisioningError, find, models, normal_mac

MAKERS = frozenset(model.vendor for model in models())


def scope_of(text: str) -> str:
    """The scope in `text`: `*`, a maker, a model or a bare MAC. Raises StoreError for what no phone is in."""
    if text == EVERYWHERE or text in MAKERS:
        return text
    try:
        return find(text).path if "/" in text else normal_mac(text)
    except ProvisioningError as error:
        raise StoreError(f"scope {text!r}: {error}; or *, or one of {', '.join(sorted(MAKERS))}") from None


def is_device(scope: str) -> bool:
    """Whether a scope is one phone's."""
    return scope != EVERYWHERE and scope.partition("/")[0] not in MAKERS
