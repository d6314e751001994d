"""`blfd device ...`: the phones that are provisioned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from blfd.cli.output import Options, options, print_json, print_table
from blfd.cli.table import read
from blfd.control import ControlError, NotRunning
from blfd.phones import Phones, Wanted
from blfd.store import StoreError
from blfd.store.devices import DeviceRow
from provisioning import KeyPage, written_mac

devices = typer.Typer(no_args_is_help=True, help="Add, show, change and remove provisioned phones.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Mac = Annotated[str, typer.Argument(metavar="MAC", help="Such as 80:5e:c0:12:34:56.")]
Model = Annotated[str | None, typer.Option(help="Such as yealink/t54w; 'blfd provision models' lists them.")]
Extension = Annotated[
    list[str] | None, typer.Option(help="Whose phone it is; several for a phone with several lines.")
]
Keys = Annotated[
    str | None,
    typer.Option(help="Such as 102,103,*98=Group,104=Bob; or `team` or `team:GROUP` for everybody else."),
]
Transport = Annotated[str | None, typer.Option(help="udp or tcp.")]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A setting over ours for this phone, as 'provision set'."
    ),
]
COLUMNS = ("mac", "model", "extensions", "keys")


@devices.command()
def add(
    context: typer.Context,
    mac: Mac,
    model: Annotated[str, typer.Option(help="Such as yealink/t54w; 'blfd provision models' lists them.")],
    extension: Annotated[
        list[str], typer.Option(help="Whose phone it is; several for a phone with several lines.")
    ],
    keys: Keys = "",
    transport: Transport = "udp",
    settings: Setting = None,
) -> None:
    """Add a phone; it gets a SIP password of its own."""
    given = options(context)
    phones = given.phones()
    wanted = Wanted(mac, model, tuple(extension), keys or "", transport or "udp", _settings(settings or []))
    phones.add(given.tenant, [wanted])
    given.reload()
    url = phones.url(phones.get(given.tenant, mac))
    print(f"device {mac} added; its provisioning server: {url or 'none yet, see blfd run --provision'}")


@devices.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """All phones of the tenant: what they have fetched, and whether they work since."""
    given = options(context)
    phones = given.phones()
    states = _states(given, phones)
    rows = [_row(row, states[row.mac]) for row in phones.all(given.tenant)]
    if as_json:
        print_json(rows)
        return
    columns = ("mac", "model", "extensions", "fetched", "from", "firmware", "state")
    cells = [tuple(escape(str(row[column])) for column in columns) for row in rows]
    print_table("Devices", columns, cells, "none; add one with 'blfd device add'")


@devices.command()
def show(context: typer.Context, mac: Mac, as_json: Json = False) -> None:
    """One phone."""
    given = options(context)
    phones = given.phones()
    row = phones.get(given.tenant, mac)
    found = {**_row(row, _states(given, phones)[row.mac]), "url": phones.url(row)}
    pages = phones.layout(row)
    if as_json:
        print_json({**found, "pages": [_page(page) for page in pages]})
        return
    print_table("Device", ("what", "value"), [(k, escape(str(v))) for k, v in found.items()], "")
    for page in pages:
        keys = [(key.number, key.kind, escape(key.label), key.value) for key in page.keys if key.kind]
        print_table(page.title, ("key", "kind", "label", "value"), keys, f"{page.title}: all keys are free")


@devices.command("set")
def set_(
    context: typer.Context,
    mac: Mac,
    model: Model = None,
    extension: Extension = None,
    keys: Keys = None,
    transport: Transport = None,
    settings: Setting = None,
) -> None:
    """Change a phone; it keeps its password and its address for files."""
    given = options(context)
    phones = given.phones()
    row = phones.get(given.tenant, mac)
    if all(option is None for option in (model, extension, keys, transport, settings)):
        raise StoreError("nothing to change: give --model, --extension, --keys, --transport or --set")
    wanted = Wanted(
        mac,
        row.model if model is None else model,
        row.extensions if extension is None else tuple(extension),
        row.keys if keys is None else keys,
        row.transport if transport is None else transport,
        _settings(settings or []),
    )
    phones.change(given.tenant, wanted)
    given.reload()
    print(f"device {mac} changed")


@devices.command()
def remove(context: typer.Context, mac: Mac) -> None:
    """Remove a phone: its SIP password is worth nothing any more."""
    given = options(context)
    phones = given.phones()
    phones.remove(given.tenant, mac)
    given.reload()
    print(f"device {mac} removed")


@devices.command()
def sync(
    context: typer.Context,
    mac: Annotated[str, typer.Argument(metavar="[MAC]", help="Such as 80:5e:c0:12:34:56.")] = "",
    everybody: Annotated[bool, typer.Option("--all", help="All phones of the tenant.")] = False,
) -> None:
    """Have phones fetch their files now: NOTIFY Event: check-sync, in the maker's form."""
    given = options(context)
    phones = given.phones()
    if bool(mac) == everybody:
        raise StoreError("which phone? Give its MAC, or --all")
    rows = phones.all(given.tenant) if everybody else [phones.get(given.tenant, mac)]
    client, told = given.client(), 0
    for extension, event in sorted(phones.syncs(rows)):
        told += client.call("sync", tenant=given.tenant, extension=extension, event=event)
    print(f"{told} registered phones of {len(rows)} devices are told to fetch their files")


@devices.command("import")
def import_(context: typer.Context, file: Path) -> None:
    """Add phones from a CSV file with the header `mac,model,extensions,keys`: all or none."""
    given = options(context)
    added = given.phones().add(given.tenant, _read(file))
    given.reload()
    print(f"{added} devices added")


def _read(file: Path) -> Iterator[Wanted]:
    for where, (mac, model, extensions, keys) in read(file, COLUMNS):
        whose = tuple(part.strip() for part in extensions.split(",") if part.strip())
        yield Wanted(mac.strip(), model.strip(), whose, keys, where=f"{where}: ")


def _settings(written: list[str]) -> tuple[tuple[str, str], ...]:
    """Raises StoreError for one without a name or a value."""
    pairs = [each.partition("=") for each in written]
    for name, equals, _ in pairs:
        if not (name.strip() and equals):
            raise StoreError(f"--set {name!r}: write NAME=VALUE")
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)


def _page(page: KeyPage) -> dict[str, Any]:
    return {"title": page.title, "keys": [key._asdict() for key in page.keys if key.kind]}


def _row(row: DeviceRow, state: str) -> dict[str, Any]:
    fetch = row.fetch
    return {
        "mac": written_mac(row.mac),
        "tenant": row.tenant,
        "model": row.model,
        "extensions": ", ".join(row.extensions),
        "keys": row.keys,
        "transport": row.transport,
        "fetched": datetime.fromtimestamp(fetch.at).isoformat(" ", "seconds") if fetch else "never",
        "from": fetch.address if fetch else "",
        "firmware": fetch.user_agent if fetch else "",
        "state": state,
    }


def _states(given: Options, phones: Phones) -> dict[str, str]:
    """For each phone, whether it has registered and watches what its keys show, as the server knows."""
    rows, wanted = phones.all(given.tenant), phones.watched(given.tenant)
    try:
        registered = {row["extension"] for row in given.client().call("registrations", tenant=given.tenant)}
        watched = given.client().call("watchers", tenant=given.tenant)
    except (NotRunning, ControlError):
        return {row.mac: "no server runs" for row in rows}
    seen: dict[str, set[str]] = {}
    for each in watched:
        seen.setdefault(each["watcher"], set()).add(each["resource"])
    return {row.mac: _state(row, wanted[row.mac], registered, seen) for row in rows}


def _state(row: DeviceRow, wanted: set[str], registered: set[str], seen: dict[str, set[str]]) -> str:
    if not registered.intersection(row.extensions):
        return "not registered"
    watched = set().union(*(seen.get(extension, set()) for extension in row.extensions))
    missing = sorted(wanted - watched)
    return f"does not watch {', '.join(missing)}" if missing else "registered, watches all its keys"
