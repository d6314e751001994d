"""`blfd device ...`: the phones that are provisioned."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from blfd.cli import known
from blfd.cli.asking import Yes, agreed
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import options
from blfd.cli.output import Json, as_called, fail, print_json, print_lines, print_notes, print_table
from blfd.cli.progress import waiting
from blfd.cli.tables import All, Csv, File, Out, Update, first_of_wrong, import_help, lines_of, print_octets
from blfd.core.advice import command
from blfd.devices.values import Wanted
from blfd.operations import Desk, device_files, overrides
from blfd.operations import devices as operations
from blfd.store import StoreError
from provisioning import KeyKind

devices = typer.Typer(no_args_is_help=True, help="Add, show, change and remove provisioned phones.")

Mac = Annotated[
    str, typer.Argument(metavar="MAC", help="Such as 80:5e:c0:12:34:56.", autocompletion=known.devices)
]
Model = Annotated[str | None, typer.Option(help="Such as yealink/t54w; 'blfd provision models' lists them.")]
Extension = Annotated[
    list[str] | None, typer.Option(help="Whose phone it is; several for a phone with several lines.")
]
Keys = Annotated[
    str | None,
    typer.Option(
        help="Such as 102,103,*98=Group,104=Bob,line:2,list:URI; or `team` or `team:GROUP` for everybody."
    ),
]
Transport = Annotated[str | None, typer.Option(help="udp, tcp or tls.")]
Modules = Annotated[int | None, typer.Option(min=0, help="How many expansion modules stand beside it.")]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A setting over ours for this phone; 'blfd provision settings' lists names.",
    ),
]


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
    modules: Modules = 0,
    settings: Setting = None,
) -> None:
    """Add a phone; it gets a SIP password of its own."""
    given = options(context)
    desk = given.desk
    who = (mac, model, tuple(extension), keys or "", transport or "udp", modules or 0)
    mac = operations.add(desk, given.tenant, Wanted(*who, _settings(settings)))["mac"]
    url = desk.phones.url(desk.phones.get(given.tenant, mac))
    print(f"device {mac} added; its provisioning server: {url or 'none yet, see blfd run --provision'}")
    _say_fit(desk, given.tenant, mac)
    _say_notes(desk, given.tenant, mac, settings)


@devices.command("list")
def list_(
    context: typer.Context,
    only: Only = None,
    sort: Sort = None,
    limit: Limit = None,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """All phones of the tenant: what they have fetched, and whether they work since.

    --csv and --json have their provisioning addresses, which hold their secrets.
    """
    given = options(context)
    _once(as_csv, as_json)
    rows = Chosen(only, sort, limit).of(operations.all(given.desk, given.tenant))
    columns = ("mac", "model", "extensions", "fetched", "state")
    if as_csv or as_json:
        urls = {row["mac"]: row["url"] for row in device_files.addresses(given.desk, given.tenant)}
        rows = [{**row, "url": urls.get(row["mac"], "")} for row in rows]
    if as_csv:
        named = ("mac", "model", "extensions", "url", "fetched", "from", "firmware", "state")
        print_octets(device_files.in_file(rows, named))
        return
    empty = f"none; add one with {command(given.tenant, 'device', 'add')}"
    print_list("Devices", columns, rows, empty, Chosen(), as_json, _shown)


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    """The cells of a phone; a fetch is to the minute, without its year: `device show` has all of it."""
    fetched = row["fetched"] if row["fetched"] == "never" else row["fetched"][5:16]
    return (row["mac"], row["model"], ", ".join(row["extensions"]), fetched, row["state"])


@devices.command()
def show(
    context: typer.Context,
    mac: Mac,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="With the passwords of its web page; the audit says who asked.")
    ] = False,
    as_json: Json = False,
) -> None:
    """One phone."""
    given = options(context)
    desk = given.desk
    found, pages = operations.show(desk, given.tenant, mac)
    if secrets:
        found |= operations.secrets(desk, given.tenant, mac)
    if as_json:
        print_json({**found, "pages": pages})
        return
    print_table("Device", ("what", "value"), [(k, _cell(v)) for k, v in found.items()], "")
    for page in pages:
        keys = [
            (*list(key.values())[:-1], _shown_value(key, found["missing"]))
            for key in page["keys"]
            if key["kind"]
        ]
        title = page["title"]
        print_table(title, ("key", "kind", "label", "value"), keys, f"{title}: all keys are free")
    _say_fit(desk, given.tenant, mac)


@devices.command("set")
def set_(
    context: typer.Context,
    mac: Mac,
    model: Model = None,
    extension: Extension = None,
    keys: Keys = None,
    transport: Transport = None,
    modules: Modules = None,
    settings: Setting = None,
) -> None:
    """Change a phone; it keeps its password and its address for files."""
    given = options(context)
    desk = given.desk
    mac = operations.change(
        desk,
        given.tenant,
        mac,
        model=model,
        extensions=extension,
        keys=keys,
        transport=transport,
        modules=modules,
        settings=_settings(settings),
    )["mac"]
    print(f"device {mac} changed")
    _say_fit(desk, given.tenant, mac)
    _say_notes(desk, given.tenant, mac, settings)


@devices.command()
def remove(context: typer.Context, mac: Mac, yes: Yes = False) -> None:
    """Remove a phone: its SIP password is worth nothing any more."""
    given = options(context)
    desk, tenant = given.desk, given.tenant
    mac = operations.get(desk, tenant, mac)["mac"]
    operations.remove(desk, tenant, mac, agreed("Remove", lambda: operations.loss(desk, tenant, mac), yes))
    print(f"device {mac} removed")


@devices.command()
def renew(context: typer.Context, mac: Mac, yes: Yes = False) -> None:
    """Give a phone other passwords and another secret, as one that was reset or whose secret leaked."""
    given = options(context)
    desk, tenant = given.desk, given.tenant
    mac = operations.get(desk, tenant, mac)["mac"]
    agreed("Renew", lambda: operations.loss_by_renewal(desk, tenant, mac), yes)
    operations.renew(desk, tenant, mac)
    url = desk.phones.url(desk.phones.get(tenant, mac))
    print(f"device {mac} renewed; its provisioning server: {url or 'none yet, see blfd run --provision'}")


@devices.command()
def sync(
    context: typer.Context,
    mac: Annotated[
        str, typer.Argument(metavar="MAC", help="Such as 80:5e:c0:12:34:56.", autocompletion=known.devices)
    ] = "",
    everybody: Annotated[bool, typer.Option("--all", help="All phones of the tenant.")] = False,
) -> None:
    """Have phones fetch their files now: NOTIFY Event: check-sync, in the maker's form."""
    given = options(context)
    if bool(mac) == everybody:
        fail("which phone? Give its MAC, or --all", 2)
    with waiting("Telling phones"):
        told, of = operations.sync(given.desk, given.tenant, mac or None)
    phones = "1 phone" if of == 1 else f"{of} phones"
    if told:
        print(f"{told} registration{'s' * (told > 1)} of {phones} told to fetch their files")
    else:
        shows = command(given.tenant, "registrations")
        print(as_called(f"of {phones} none is registered, so none is told; {shows} shows who is"))


@devices.command("import", help=import_help("phones", device_files.COLUMNS))
def import_(
    context: typer.Context,
    file: File,
    update: Update = False,
    every: All = False,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    given = options(context)
    _once(as_csv, as_json)
    desk, tenant = given.desk, given.tenant
    with first_of_wrong(every):
        wanted = device_files.read(desk, tenant, lines_of(file, device_files.COLUMNS), update)
        counts, addresses = device_files.put(desk, tenant, wanted, update)
    if as_json:
        print_json({**counts._asdict(), "devices": addresses})
    elif as_csv:
        print_octets(device_files.in_file(addresses, device_files.ADDRESSES))
    else:
        print(counts.said("devices"))


@devices.command()
def export(context: typer.Context, file: Out = None) -> None:
    """All phones as a CSV file that `import --update` takes; without passwords, addresses and settings."""
    given = options(context)
    print_octets(device_files.export(given.desk, given.tenant), file)
    print_notes(["what is secret, and what was set for phones alone, is not in it"])


def _once(as_csv: bool, as_json: bool) -> None:
    if as_csv and as_json:
        fail("--csv and --json: which of them?", 2)


def _say_fit(desk: Desk, tenant: str, mac: str) -> None:
    fit = operations.fit(desk, tenant, mac)
    if fit.left_out:
        print_lines([f"device {mac}: {fit}"])


def _say_notes(desk: Desk, tenant: str, mac: str, settings: list[str] | None) -> None:
    """Print what there is to say of a phone's settings that is no error."""
    print_notes(overrides.notes(desk, tenant, mac, (name for name, _ in _settings(settings))))


def _settings(written: list[str] | None) -> tuple[tuple[str, str], ...]:
    """The names and values of --set. Raises StoreError for one without a name or a value."""
    pairs = [each.partition("=") for each in written or ()]
    for name, equals, _ in pairs:
        if not (name.strip() and equals):
            raise StoreError(f"--set {name!r}: write NAME=VALUE")
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)


def _shown_value(key: dict[str, Any], missing: list[str]) -> str:
    """What a key does; its extension is marked where it does not exist."""
    is_missing = key["kind"] == KeyKind.BLF.value and key["value"] in missing
    return f"{key['value']} (does not exist)" if is_missing else key["value"]


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
