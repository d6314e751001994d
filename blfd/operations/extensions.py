"""Extensions: the accounts of a tenant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from blfd.core.values import Aor, Extension, Reach
from blfd.operations import devices
from blfd.operations.desk import Desk, Row, etag
from blfd.operations.loss import Loss, counted, some_of
from blfd.store import NewExtension, StoreError

COLUMNS = ("extension", "password", "name")  # of a CSV file
DEFAULT = "default"  # the tenant's holds
REACHES = (*(reach.value for reach in Reach), DEFAULT)
SWITCHES: dict[str, bool | str] = {"on": True, "off": False, DEFAULT: DEFAULT}


def row(extension: Extension) -> Row:
    return {
        "extension": extension.aor.extension,
        "tenant": extension.aor.tenant,
        "name": extension.name,
        "pickup": extension.pickup.value if extension.pickup else DEFAULT,
        "pickable": {None: DEFAULT, True: "on", False: "off"}[extension.pickable],
    }


def all(desk: Desk, tenant: str) -> list[Row]:
    """Sorted by extension."""
    return [row(extension) for extension in desk.store.extensions(tenant)]


def get(desk: Desk, tenant: str, extension: str) -> Row:
    return row(desk.store.extension(Aor(tenant, extension)))


def add(desk: Desk, tenant: str, new: NewExtension, *, pickup: str = DEFAULT, pickable: str = DEFAULT) -> Row:
    """`pickup` is one of REACHES, `pickable` of SWITCHES. Raises Exists."""
    _check(pickup, pickable)
    with desk.change(tenant, "extension.add", new.extension, lambda: get(desk, tenant, new.extension)):
        desk.store.add_extensions(tenant, [new])
        if (pickup, pickable) != (DEFAULT, DEFAULT):
            aor = Aor(tenant, new.extension)
            desk.store.set_extension(aor, pickup=pickup, pickable=SWITCHES[pickable])
    return get(desk, tenant, new.extension)


def _check(pickup: str | None, pickable: str | None) -> None:
    if pickup is not None and pickup not in REACHES:
        raise StoreError(f"pickup is one of {', '.join(REACHES)}, not {pickup!r}")
    if pickable is not None and pickable not in SWITCHES:
        raise StoreError(f"pickable is one of {', '.join(SWITCHES)}, not {pickable!r}")


def change(
    desk: Desk,
    tenant: str,
    extension: str,
    *,
    name: str | None = None,
    password: str | None = None,
    pickup: str | None = None,
    pickable: str | None = None,
    expected: str | None = None,
) -> Row:
    """Change what is given; `pickup` is one of REACHES, `pickable` of SWITCHES."""
    _check(pickup, pickable)
    changed: list[bool] = []

    def look() -> Row:
        found = get(desk, tenant, extension)
        return {**found, "password": "changed"} if changed and password is not None else found

    with desk.change(tenant, "extension.change", extension, look, expected):
        desk.store.set_extension(
            Aor(tenant, extension),
            name=name,
            password=password,
            pickup=pickup,
            pickable=None if pickable is None else SWITCHES[pickable],
        )
        changed.append(True)
    return get(desk, tenant, extension)


def loss(desk: Desk, tenant: str, extension: str) -> Loss:
    """What goes with an extension that is removed."""
    found = get(desk, tenant, extension)
    text = "Its phones are unregistered, and keys that watch it go dark"
    watching = devices.watching(desk, tenant, extension)
    text += f": {counted(len(watching), 'phone')} got such keys from here." if watching else "."
    groups = [group.name for group in desk.store.groups(tenant) if extension in group.pickers | group.targets]
    if groups:
        text += f" {'Group' if len(groups) == 1 else 'Groups'} {some_of(groups)} lose it."
    alone = devices.only_of(desk, tenant, extension)
    if alone:
        text += f" No other extension is on {some_of(alone)}: no files for that any more."
    return Loss(_named(found), text, etag(found))


def _named(found: Row) -> str:
    return f"extension {found['extension']}{found['name'] and ' ' + found['name']}"


def remove(desk: Desk, tenant: str, extension: str, expected: str | None = None) -> None:
    """Its phones are unregistered, its watchers told."""
    with desk.change(tenant, "extension.remove", extension, lambda: get(desk, tenant, extension), expected):
        desk.store.remove_extension(Aor(tenant, extension))


class Preview(NamedTuple):
    """What an import would do with a row of the file; `problem` is "" where it would be added."""

    new: NewExtension
    problem: str


def read(rows: Iterable[tuple[str, list[str]]]) -> Iterator[NewExtension]:
    """From the rows of a CSV file with COLUMNS."""
    for where, (extension, password, name) in rows:
        yield NewExtension(extension.strip(), password, name.strip(), where)


def preview(desk: Desk, tenant: str, new: Iterable[NewExtension]) -> list[Preview]:
    """What `add_many` would do; nothing is changed."""
    found = desk.store.check_extensions(tenant, new)
    return [Preview(each, problem.text if problem else "") for each, problem in found]


def add_many(desk: Desk, tenant: str, new: Iterable[NewExtension]) -> int:
    """All or none; how many. Raises StoreError with all lines that are wrong."""

    def look() -> Row:
        return {"extensions": list(desk.store.names(tenant))}

    with desk.change(tenant, "extension.import", "extensions", look):
        return desk.store.add_extensions(tenant, new)
