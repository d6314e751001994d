"""Extensions: the accounts of a tenant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Unpack

from blfd.core.directory import Extension, Forwarding
from blfd.core.values import Aor
from blfd.operations import mentions, routes
from blfd.operations.desk import NEW_PASSWORD, Desk, Row, etag
from blfd.operations.imports import Counts, counts
from blfd.operations.loss import Loss, counted, some_of
from blfd.operations.table import Columns, Line, write
from blfd.store import NewExtension, Outcome, StoreError
from blfd.store.checks import DEFAULT
from blfd.store.extensions import ORDERS, ExtensionChanges

MOST_LIKELY, LOOKED_AT = 20, 500  # extensions
FORWARDING = {
    "dnd": "dnd",
    "forward_always": "always",
    "forward_busy": "busy",
    "forward_no_answer": "no_answer",
    "forward_after": "after",
    "forward_unregistered": "unregistered",
}
"""What a row calls the fields of `values.Forwarding`."""
COLUMNS = Columns(
    ("extension", "password", "name", "pickup", "pickable", "owner", "publish", "withhold", *FORWARDING),
    ("extension",),
    ("password",),
)


def row(extension: Extension) -> Row:
    return {
        "extension": extension.aor.extension,
        "tenant": extension.aor.tenant,
        "name": extension.name,
        "pickup": extension.pickup.value if extension.pickup else DEFAULT,
        "pickable": {None: DEFAULT, True: "on", False: "off"}[extension.pickable],
        "owner": extension.owner.value if extension.owner else DEFAULT,
        "publish": "on" if extension.publishes else "off",
        "withhold": "on" if extension.withholds else "off",
        **{name: getattr(extension.forwarding, field) for name, field in FORWARDING.items()},
    }


def goes(row: Row) -> str:
    """Where the calls of a row's extension go, in words; "" where its phones ring."""
    return Forwarding(**{field: row[name] for name, field in FORWARDING.items()}).told


def all(desk: Desk, tenant: str) -> list[Row]:
    """The extensions of a tenant, sorted by number."""
    return [row(extension) for extension in desk.store.extensions.all(tenant)]


def some(desk: Desk, tenant: str, search: str, sort: str, part: tuple[int, int]) -> tuple[list[Row], int]:
    """The extensions with the words of `search` in number or name, and how many; without reading all.

    `sort` is a column of ORDERS, with a minus before it for the reverse order; `part` is how many are left
    out first, and how many are wanted. Raises StoreError for another column.
    """
    column = sort.removeprefix("-") or "extension"
    if column not in ORDERS:
        raise StoreError(f"no order by {column!r}", f"there are {', '.join(ORDERS)}")
    found, total = desk.store.extensions.some(tenant, search.split(), column, sort.startswith("-"), part)
    return [row(extension) for extension in found], total


def likely(desk: Desk, tenant: str, text: str) -> list[Row]:
    """Some extensions that somebody may mean who has typed this; first, those whose number begins so."""
    found, _ = some(desk, tenant, text, "", (0, LOOKED_AT))
    found.sort(key=lambda row: not row["extension"].startswith(text))
    return found[:MOST_LIKELY]


def get(desk: Desk, tenant: str, extension: str) -> Row:
    return row(desk.store.extensions.get(Aor(tenant, extension)))


def add(desk: Desk, tenant: str, new: NewExtension, *, force: bool = False) -> Row:
    """Add an extension; with `force`, it may have an emergency number. Raises Exists."""
    if not force:
        routes.check_extensions(desk, tenant, [new.extension])
    with desk.change(tenant, "extension.add", new.extension, lambda: get(desk, tenant, new.extension)):
        desk.store.extensions.add(tenant, [new])
    return get(desk, tenant, new.extension)


def change(
    desk: Desk,
    tenant: str,
    extension: str,
    *,
    forwarding: Mapping[str, Any] | None = None,
    expected: str | None = None,
    reloads: bool = True,
    **changes: Unpack[ExtensionChanges],
) -> Row:
    """Change what is given of an extension.

    `forwarding` has names of FORWARDING: numbers, "" for nowhere; None is not given.
    """
    given = {FORWARDING[k]: _plain(v) for k, v in (forwarding or {}).items() if v is not None}
    unseen = None if changes.get("password") is None else NEW_PASSWORD

    def look() -> Row:
        return get(desk, tenant, extension)

    with desk.change(tenant, "extension.change", extension, look, expected, unseen=unseen, reloads=reloads):
        aor = Aor(tenant, extension)
        known = desk.store.extensions.get(aor).forwarding if given else None
        desk.store.extensions.set(aor, forwarding=replace(known, **given) if known else None, **changes)
    return get(desk, tenant, extension)


def rules_as_text(rules: Mapping[str, Any]) -> dict[str, str]:
    """Values of FORWARDING as `NewExtension` has them."""
    return {
        name: ("off", "on")[value] if isinstance(value, bool) else str(_plain(value))
        for name, value in rules.items()
    }


def _plain(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def loss(desk: Desk, tenant: str, extension: str) -> Loss:
    """What is lost when an extension is removed."""
    found = get(desk, tenant, extension)
    return Loss(named(found), mentions.lost(desk, tenant, {extension}, one=True), etag(found))


def named(found: Row) -> str:
    return f"extension {found['extension']}{found['name'] and ' ' + found['name']}"


def remove(desk: Desk, tenant: str, extension: str, expected: str | None = None) -> None:
    """Remove an extension: its phones are unregistered, its watchers told."""
    with desk.change(tenant, "extension.remove", extension, lambda: get(desk, tenant, extension), expected):
        desk.store.extensions.remove(Aor(tenant, extension))


def chosen(desk: Desk, tenant: str, search: str) -> list[str]:
    """All extensions that match, by number."""
    found, _ = desk.store.extensions.some(tenant, search.split())
    return [each.aor.extension for each in found]


def change_many(
    desk: Desk,
    tenant: str,
    extensions: Collection[str],
    *,
    pickup: str | None = None,
    pickable: str | None = None,
    withhold: str | None = None,
) -> None:
    """Change extensions alike, all or none; values are as in NewExtension."""
    with desk.change(tenant, "extension.many", "extensions", _look(desk, tenant, extensions)):
        desk.store.extensions.set_all(tenant, extensions, pickup=pickup, pickable=pickable, withhold=withhold)


def remove_many(desk: Desk, tenant: str, extensions: Collection[str], expected: str | None = None) -> None:
    """Remove extensions, all or none."""
    with desk.change(tenant, "extension.many", "extensions", _look(desk, tenant, extensions), expected):
        desk.store.extensions.remove_all(tenant, extensions)


def loss_of_many(desk: Desk, tenant: str, extensions: Collection[str]) -> Loss:
    """What is lost when extensions are removed."""
    those = set(extensions)
    found = [each for each in all(desk, tenant) if each["extension"] in those]
    names = [each["extension"] for each in found]
    text = mentions.lost(desk, tenant, those, one=False)
    what = f"{counted(len(names), 'extension')} ({some_of(names)})"
    return Loss(what, text, etag(_look(desk, tenant, extensions)()))


def _look(desk: Desk, tenant: str, extensions: Collection[str]) -> Callable[[], Row]:
    those = set(extensions)
    return lambda: {
        each["extension"]: _told(each) for each in all(desk, tenant) if each["extension"] in those
    }


class Preview(NamedTuple):
    """What an import would do with a row of the file, or the `problem` that keeps it from that."""

    new: NewExtension
    outcome: Outcome | None
    problem: str


def read(desk: Desk, tenant: str, lines: Iterable[Line], update: bool = False) -> Iterator[NewExtension]:
    """The extensions in the lines of a file with COLUMNS; what an update says nothing of is as it was."""
    known = {each.aor.extension: _written(row(each)) for each in desk.store.extensions.all(tenant)}
    for where, values in lines:
        extension = values["extension"].strip(" ")
        there = known.get(extension, {}) if update else {}

        def said(column: str, empty: str, there: Row = there, values: dict[str, str] = values) -> str:
            return (values[column].strip(" ") or empty) if column in values else there.get(column, empty)

        yield NewExtension(
            extension,
            values.get("password", ""),
            said("name", ""),
            where,
            said("pickup", DEFAULT).lower(),
            said("pickable", DEFAULT).lower(),
            said("owner", DEFAULT).lower(),
            said("publish", "off").lower(),
            said("withhold", "off").lower(),
            said("dnd", "off").lower(),
            said("forward_always", ""),
            said("forward_busy", ""),
            said("forward_no_answer", ""),
            said("forward_after", NewExtension._field_defaults["forward_after"]),
            said("forward_unregistered", ""),
        )


def preview(desk: Desk, tenant: str, new: Iterable[NewExtension], update: bool = False) -> Iterator[Preview]:
    """What `put_many` would do; nothing is changed."""
    for each, found in desk.store.extensions.check(tenant, new, update):
        if isinstance(found, StoreError):
            yield Preview(each, None, found.text)
        else:
            yield Preview(each, found.outcome, "")


def put_many(desk: Desk, tenant: str, new: Iterable[NewExtension], update: bool = False) -> Counts:
    """Add extensions, and with `update` change those that exist: all or none.

    Where nothing is to be changed, nothing is done. Raises StoreError with all that is wrong.
    """
    planned = desk.store.extensions.checked(tenant, new, update)
    added = [each.row["extension"] for each in planned if each.outcome is Outcome.ADDED]
    routes.check_extensions(desk, tenant, added)
    writing = {each.row["extension"]: each for each in planned if each.outcome is not Outcome.UNCHANGED}
    written: list[bool] = []

    def look() -> Row:
        found = {each["extension"]: _told(each) for each in all(desk, tenant) if each["extension"] in writing}
        if written:
            for extension, each in writing.items():
                found[extension] |= {"password": "changed"} if each.renewed else {}
        return found

    if writing:
        with desk.change(tenant, "extension.import", "extensions", look, expected=etag(look())):
            desk.store.extensions.put(writing.values())
            written.append(True)
    return counts(each.outcome for each in planned)


def _told(found: Row) -> Row:
    return {name: value for name, value in found.items() if name not in ("extension", "tenant")}


def _written(found: Row) -> dict[str, str]:
    """A row as a file has it. Passwords are not kept, so it has none."""
    return {**{name: str(value) for name, value in found.items()}, "dnd": "on" if found["dnd"] else "off"}


def export(desk: Desk, tenant: str) -> bytes:
    """A file that `read` reads. Passwords are not kept, so it has none: an update leaves them."""
    columns = COLUMNS.all
    found = [{**_written(each), "password": ""} for each in all(desk, tenant)]
    return write(columns, ([each[column] for column in columns] for each in found))
