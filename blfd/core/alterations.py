"""What an administrator has altered: a directory comes as a whole, and mostly one extension differs."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from blfd.core.directory import Directory, Extension
from blfd.core.values import Aor


class Altered(NamedTuple):
    """Extensions that have come, gone or changed, or that pick up for a group that has; lamps of trunks; and
    tenants. Of `passwords`, which are among the extensions, one holds no more."""

    extensions: frozenset[Aor]
    tenants: frozenset[str]
    passwords: frozenset[Aor] = frozenset()


def sharing(before: Directory, now: Directory) -> Directory:
    """`now`, with the very objects of `before` in the place of equal ones, which are compared at once.

    Names are shared, too: so little is made, and little has to be let go of `before`.
    """
    known = {aor: (aor, extension) for aor, extension in before.extensions.items()}
    extensions = dict[Aor, Extension]()
    for aor, extension in now.extensions.items():
        name, old = known.get(aor, (aor, extension))
        extensions[name] = old if old == extension else extension
    groups = before.groups if before.groups == now.groups else now.groups
    return replace(now, extensions=extensions, groups=groups)


def altered(before: Directory, now: Directory) -> Altered:
    """What differs between the two."""
    known, found = before.extensions, set(before.extensions.keys() - now.extensions.keys())
    passwords = set[Aor]()
    for aor, extension in now.extensions.items():
        old = known.get(aor)
        if old is not extension and old != extension:
            found.add(aor)
            if old and any(ha1 not in extension.ha1s for ha1 in old.ha1s):
                passwords.add(aor)
    if before.groups is not now.groups:
        for group in {*before.groups} ^ {*now.groups}:
            found.update(Aor(group.tenant, picker) for picker in group.pickers)
    for trunk in {*before.trunks} ^ {*now.trunks}:
        found.add(Aor(trunk.tenant, trunk.resource))
        if trunk.is_peer:
            passwords.add(Aor(trunk.tenant, trunk.resource))
    names = before.tenants.keys() | now.tenants.keys()
    tenants = {name for name in names if before.tenants.get(name) != now.tenants.get(name)}
    return Altered(frozenset(found), frozenset(tenants), frozenset(passwords))
