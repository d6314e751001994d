"""Where stored rows name extensions, and what becomes of that when one is removed or renumbered.

The table has a row for each kind of place. Columns that hold an extension are changed by
`Extensions.renumber`, and their rows go with it by the database's own rules; all else is text, which is
changed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import NamedTuple

import provisioning
from blfd.core.values import Aor
from blfd.devices.survey import is_team
from blfd.operations import devices
from blfd.operations.desk import Desk, is_secret
from blfd.operations.loss import counted, some_of
from blfd.store import StoreError
from blfd.store.devices import DeviceRow
from blfd.store.trunks import words
from provisioning import KeyKind, LineKey, ProvisioningError, written_mac

Those = Collection[str]


class Mention(NamedTuple):
    """A kind of place: a function that finds who names any of some extensions, and words for what comes of
    that.

    `lost` is the sentence for one or several that are removed, `along` that for one that gets another number.
    """

    by: Callable[[Desk, str, Those], list[str]]
    lost: Callable[[list[str], bool], str]
    along: Callable[[list[str]], str]


def _groups(desk: Desk, tenant: str, those: Those) -> list[str]:
    return desk.store.groups.with_any(tenant, set(those))


def _forwarded(desk: Desk, tenant: str, those: Those) -> list[str]:
    return desk.store.extensions.forwarded_to(tenant, those)


def _led(desk: Desk, tenant: str, those: Those) -> list[str]:
    return [one.name for one in desk.store.trunks.trunks(tenant) if not one.leads_to.isdisjoint(those)]


def _shown(desk: Desk, tenant: str, those: Those) -> list[str]:
    return [one.name for one in desk.store.trunks.trunks(tenant) if not one.shows.isdisjoint(those)]


def _upstreams(desk: Desk, tenant: str, those: Those) -> list[str]:
    return [one.name for one in desk.store.upstreams.all(tenant) if not {*one.extensions}.isdisjoint(those)]


def _lines(desk: Desk, tenant: str, those: Those) -> list[str]:
    return [written_mac(row.mac) for row in desk.store.devices.with_any(tenant, those)]


def _dialled(desk: Desk, tenant: str, those: Those) -> list[str]:
    dialled = {code + one for code in _codes(desk, tenant) for one in those}
    found = ((row, _keys(row)) for row in desk.phones.all(tenant))
    return [
        written_mac(row.mac)
        for row, keys in found
        if any(key.kind is KeyKind.SPEED_DIAL and key.value in dialled for key in keys)
    ]


MENTIONS = {
    "keys": Mention(
        devices.watching,
        lambda who, one: f"{counted(len(who), 'phone')} got such keys from here.",
        lambda who: f"Keys that watch it follow on {some_of(who)}.",
    ),
    "groups": Mention(
        _groups,
        lambda who, one: f"{_many('Group', who, 'loses', 'lose')} {'it' if one else 'members'}.",
        lambda who: f"{_many('Group', who, 'has', 'have')} it by its new number.",
    ),
    "forwarding": Mention(
        _forwarded,
        lambda who, one: f"Calls of {some_of(who)} are no longer forwarded to {'it' if one else 'them'}.",
        lambda who: f"Calls of {some_of(who)} are forwarded to it as before.",
    ),
    "trunks": Mention(
        _led,
        lambda who, one: f"Numbers of trunk {some_of(who)} lead nowhere then.",
        lambda who: f"Numbers of trunk {some_of(who)} lead to it as before.",
    ),
    "caller ids": Mention(
        _shown,
        lambda who, one: f"Trunk {some_of(who)} still has a number to show for {'it' if one else 'them'}.",
        lambda who: f"Trunk {some_of(who)} shows the same number for it as before.",
    ),
    "upstreams": Mention(
        _upstreams,
        lambda who, one: f"Upstream {some_of(who)} still names {'it' if one else 'them'}.",
        lambda who: f"Upstream {some_of(who)} is asked for the new number, which that PBX has to know.",
    ),
    "dialling keys": Mention(
        _dialled,
        lambda who, one: (
            f"Keys of {some_of(who)} that dial a code for {'it' if one else 'them'} reach nobody."
        ),
        lambda who: f"Keys that dial a code for it follow on {some_of(who)}.",
    ),
    "lines": Mention(
        _lines,
        lambda who, one: "",  # phones without another extension are told of elsewhere
        lambda who: f"It is a line of {some_of(who)}, with a password of its own, which stays.",
    ),
}


def lost(desk: Desk, tenant: str, those: Those, *, one: bool) -> str:
    """What is lost with extensions that are removed, in sentences; `one`: they speak of a single one."""
    whose, them = ("Its", "it") if one else ("Their", "them")
    told = {name: _told(desk, tenant, those, name, one) for name in MENTIONS}
    watched = told.pop("keys").removesuffix(".")
    dark = f"{whose} phones are unregistered, and keys that watch {them} go dark"
    alone = devices.only_of_many(desk, tenant, those)
    last = f"No other extension is on {some_of(alone)}: no files for {'that' if one else 'them'} any more."
    said = [f"{dark}: {watched}." if watched else f"{dark}.", *told.values(), last if alone else ""]
    return " ".join(filter(None, said))


def _told(desk: Desk, tenant: str, those: Those, name: str, one: bool) -> str:
    found = MENTIONS[name].by(desk, tenant, those)
    return MENTIONS[name].lost(found, one) if found else ""


def along(desk: Desk, aor: Aor) -> list[str]:
    """What comes of it when an extension gets another number, a sentence each."""
    tenant, extension = aor
    desk.store.extensions.get(aor)
    found = {name: mention.by(desk, tenant, {extension}) for name, mention in MENTIONS.items()}
    said = [MENTIONS[name].along(who) for name, who in found.items() if who]
    if not found["lines"]:
        said.append(
            "Its phones are refused until they register by the new number and the password given with it."
        )
    else:
        said.append("Other phones of it are refused until they register by the new number and its password.")
    for trunk in desk.store.trunks.trunks(tenant):
        said += [f"Trunk {trunk.name} goes by digits: {one} stays." for one in trunk.by_digits(extension)]
    for scope, name in _settings(desk, aor):
        said.append(f"Setting {name} of {scope} stays; look whether it means this extension.")
    return said


def _settings(desk: Desk, aor: Aor) -> list[tuple[str, str]]:
    """Settings of phones that may name an extension; only its maker knows what a setting means."""
    word = re.compile(rf"(?<![\w.+-]){re.escape(aor.extension)}(?![\w.+-])")
    there = desk.store.overrides.all(aor.tenant)
    said = ((scope, name) for scope, name, value in there if value and word.search(value))
    return [(scope, name) for scope, name in said if not is_secret(name)]


def follow(desk: Desk, aor: Aor, new: str, password: str) -> None:
    """Give an extension another number, wherever it is named. Raises StoreError.

    It has to be done within a change, which is all or nothing.
    """
    store, tenant, old = desk.store, *aor
    store.extensions.renumber(aor, new, password)
    with words():
        for trunk in store.trunks.trunks(tenant):
            if (other := trunk.renumbered(old, new)) != trunk:
                store.trunks.put(other, is_new=False)
    for upstream in store.upstreams.all(tenant):
        if (after := upstream.renumbered(old, new)) != upstream:
            store.upstreams.put(after, {*store.extensions.names(tenant)}, is_new=False)
    codes = _codes(desk, tenant)
    values = {old: new} | {code + old: code + new for code in codes}
    for row in desk.phones.all(tenant):
        before = _keys(row)
        keys = [_renumbered(key, values) for key in before]
        if keys != before:
            store.devices.replace(row._replace(keys=_written(row, keys)), ())


def _renumbered(key: LineKey, values: dict[str, str]) -> LineKey:
    if key.kind not in (KeyKind.BLF, KeyKind.SPEED_DIAL):
        return key
    return replace(key, value=values.get(key.value, key.value))


def _written(row: DeviceRow, keys: Iterable[LineKey]) -> str:
    """The keys as they are kept. Raises StoreError for a number that none can have."""
    text = provisioning.written_keys(keys)
    try:
        provisioning.parse_keys(text)
    except ProvisioningError as error:
        raise StoreError(f"device {written_mac(row.mac)}: {error}") from None
    return text


def _keys(row: DeviceRow) -> list[LineKey]:
    """The keys of a phone that are written one by one; none where they cannot be read."""
    try:
        return [] if is_team(row.keys) else [*provisioning.parse_keys(row.keys)]
    except ProvisioningError:
        return []  # the phone gets no files, and its state says why


def _codes(desk: Desk, tenant: str) -> list[str]:
    """The codes behind which an extension is dialled."""
    found = desk.store.tenants.get(tenant)
    return [found.pickup_code, *found.star_codes.dialled.values()]


def _many(noun: str, names: list[str], one: str, many: str) -> str:
    return f"{noun} {names[0]} {one}" if len(names) == 1 else f"{noun}s {some_of(names)} {many}"
