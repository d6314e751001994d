"""How the keys of a phone appear: which is where, on its pages and its modules. The files say the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, repeat
from typing import NamedTuple

from provisioning.model import Device, KeyKind, Model
from provisioning.rendering import check


class ShownKey(NamedTuple):
    """A key: `kind` is "line", "blf", "speed dial", "list", or "" for one that is free."""

    number: int  # from 1, as the maker counts: through all pages, and anew on each module
    kind: str
    label: str
    value: str


class KeyPage(NamedTuple):
    """Keys that are seen together."""

    title: str
    keys: tuple[ShownKey, ...]


def layout(device: Device) -> tuple[KeyPage, ...]:
    """The pages with all keys of the phone and its modules. Raises ProvisioningError."""
    check(device)
    shown = chain(_used(device), repeat(("", "", "")))
    pages = []
    for title, first, count in _pages(device.model, device.modules):
        keys = islice(shown, count)
        pages.append(KeyPage(title, tuple(ShownKey(number, *key) for number, key in enumerate(keys, first))))
    return tuple(pages)


def _used(device: Device) -> Iterator[tuple[str, str, str]]:
    for account in device.accounts:
        yield KeyKind.LINE.value, account.shown, account.extension
    for key in device.keys:
        value = device.accounts[int(key.value) - 1].extension if key.kind is KeyKind.LINE else key.value
        yield key.kind.value, device.label(key), value


def _pages(model: Model, modules: int) -> Iterator[tuple[str, int, int]]:
    """The pages: title, number of the first key, and how many keys there are."""
    own = model.keys - model.side
    page = model.page or own
    if model.side:
        yield "Beside the screen", 1, model.side
    for at in range(0, own, page or 1):
        title = "Keys" if page == own and not model.side else f"Page {at // page + 1}"
        yield title, model.side + at + 1, min(page, own - at)
    if model.multi_purpose:
        yield "Multi-purpose keys", 1, model.multi_purpose
    for module in range(modules):
        yield f"Module {module + 1}", 1, model.module_keys
