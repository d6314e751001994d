"""`blfd trunk ...`: lines to the outside, and `blfd route ...`: which numbers go out by them."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import typer

from blfd.cli.asking import Yes, agreed
from blfd.cli.options import Switch, options
from blfd.cli.output import Json, print_json, print_table
from blfd.control import ControlError, NotRunning
from blfd.core.trunks.trunk import CallerIdIn, DidSource, Mode, Replacing
from blfd.operations import routes as route_operations
from blfd.operations import trunks as operations
from blfd.operations.lists import listed

trunks = typer.Typer(no_args_is_help=True, help="Add, show, change and remove trunks (lines to the outside).")
routes = typer.Typer(no_args_is_help=True, help="Add, show, change and remove routes out, by number.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as carrier.")]
Texts = list[str] | None
Servers = Annotated[
    Texts,
    typer.Option("--server", help="Its address or name, with :PORT if it has one. Repeatable."),
]
ModeOf = Annotated[
    Mode | None, typer.Option(help="How the two know each other: by address, or we register there.")
]
Expires = Annotated[int | None, typer.Option(help="For how many seconds we register.")]
Retry = Annotated[int | None, typer.Option(help="Seconds until what failed is tried again, at the latest.")]
RetryForbidden = Annotated[int | None, typer.Option(help="Seconds until what was refused is tried again.")]
Ping = Annotated[
    int | None, typer.Option(help="Seconds between two looks whether it is there (OPTIONS), 0 for none.")
]
Transport = Annotated[str | None, typer.Option(help="udp, tcp or tls.")]
Domain = Annotated[str | None, typer.Option(help="What stands in URIs, if it is not the server.")]
Proxy = Annotated[str | None, typer.Option(help="The address by which all requests go.")]
Username = Annotated[str | None, typer.Option(help="The account, which is in From as well.")]
AuthName = Annotated[str | None, typer.Option(help="The name that goes with the password, if it is another.")]
Password = Annotated[str | None, typer.Option(help="What the account's password is; it is not shown again.")]
Source = Annotated[
    Texts,
    typer.Option("--source", help="Where calls come from besides the servers: 192.0.2.0/24."),
]
Certificate = Annotated[
    str | None,
    typer.Option(help="The name in the certificate that it shows over TLS."),
]
DidSourceOf = Annotated[DidSource | None, typer.Option(help="Where an INVITE has the number that is called.")]
Did = Annotated[
    Texts, typer.Option("--did", help="NUMBER=EXTENSION; x is any digit: +4930123451xx=1xx. Repeatable.")
]
Default = Annotated[str | None, typer.Option(help="The extension that gets calls for all other numbers.")]
Country = Annotated[str | None, typer.Option(help="The country's code of numbers without one, such as 49.")]
Area = Annotated[str | None, typer.Option(help="The area's code of numbers without one, such as 30.")]
CallerId = Annotated[str | None, typer.Option(help="The number shown of extensions without their own.")]
CallerIds = Annotated[
    Texts, typer.Option("--number", help="EXTENSION=NUMBER, what is shown of one: 1xx=+4930123451xx.")
]
CallerIdInOf = Annotated[
    CallerIdIn | None,
    typer.Option(help="Where that number is written; in all but the first, From has the account."),
]
Codecs = Annotated[
    str | None, typer.Option(help="What may be offered, with commas: PCMA,PCMU,telephone-event.")
]
MaxCalls = Annotated[int | None, typer.Option(help="How many calls it takes at a time, 0 for any number.")]
ReplacesOf = Annotated[
    Replacing | None,
    typer.Option(help="Where INVITE with Replaces goes, to pick up a call that its server carries."),
]
PickupCode = Annotated[
    str | None,
    typer.Option(help="What is dialled there to pick up a call that its server carries: **{extension}."),
]


def _said(given: dict[str, Any]) -> dict[str, Any]:
    """What was said, by the names that operations have."""
    renamed = {"server": "servers", "source": "sources", "did": "dids", "number": "caller_ids"}
    said = {renamed.get(name, name): value for name, value in given.items() if value is not None}
    if "codecs" in said:
        said["codecs"] = listed(said["codecs"], "--codecs") if said["codecs"].strip() else []
    return said


@trunks.command()
def add(
    context: typer.Context,
    name: Name,
    server: Servers = None,
    mode: ModeOf = None,
    transport: Transport = None,
    expires: Expires = None,
    retry: Retry = None,
    retry_forbidden: RetryForbidden = None,
    ping: Ping = None,
    domain: Domain = None,
    outbound_proxy: Proxy = None,
    username: Username = None,
    auth_name: AuthName = None,
    password: Password = None,
    source: Source = None,
    certificate: Certificate = None,
    did_source: DidSourceOf = None,
    did: Did = None,
    default: Default = None,
    country: Country = None,
    area: Area = None,
    caller_id: CallerId = None,
    number: CallerIds = None,
    caller_id_in: CallerIdInOf = None,
    codecs: Codecs = None,
    max_calls: MaxCalls = None,
    replaces: ReplacesOf = None,
    pickup_code: PickupCode = None,
) -> None:
    """Add a trunk."""
    given = {name: value for name, value in locals().items() if name not in ("context", "name")}
    here = options(context)
    operations.add(here.desk, here.tenant, name, _said(given))
    print(f"trunk {name} added")


@trunks.command("set")
def set_(
    context: typer.Context,
    name: Name,
    server: Servers = None,
    mode: ModeOf = None,
    transport: Transport = None,
    expires: Expires = None,
    retry: Retry = None,
    retry_forbidden: RetryForbidden = None,
    ping: Ping = None,
    domain: Domain = None,
    outbound_proxy: Proxy = None,
    username: Username = None,
    auth_name: AuthName = None,
    password: Password = None,
    source: Source = None,
    certificate: Certificate = None,
    did_source: DidSourceOf = None,
    did: Did = None,
    default: Default = None,
    country: Country = None,
    area: Area = None,
    caller_id: CallerId = None,
    number: CallerIds = None,
    caller_id_in: CallerIdInOf = None,
    codecs: Codecs = None,
    max_calls: MaxCalls = None,
    replaces: ReplacesOf = None,
    pickup_code: PickupCode = None,
) -> None:
    """Change a trunk; what can be given several times replaces all of before, and '' is none."""
    given = {name: value for name, value in locals().items() if name not in ("context", "name")}
    here = options(context)
    operations.change(here.desk, here.tenant, name, _said(given))
    print(f"trunk {name} changed")


@trunks.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """All trunks of the tenant, and how they are if a server runs."""
    here = options(context)
    rows = operations.all(here.desk, here.tenant)
    try:
        live = {row["name"]: row for row in here.ask("trunks")}
    except (NotRunning, ControlError):
        live = {}
    if as_json:
        print_json([{**row, "live": live.get(row["name"])} for row in rows])
        return
    cells = [
        (row["name"], row["mode"], ", ".join(row["servers"]), *_live(live.get(row["name"]))) for row in rows
    ]
    columns = ("trunk", "mode", "servers", "state", "calls")
    print_table("Trunks", columns, cells, "none; add one with 'blfd trunk add'")


def _live(row: dict[str, Any] | None) -> tuple[str, str]:
    return (row["state"], str(row["calls"])) if row else ("no server runs", "")


@trunks.command()
def show(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """One trunk: what is set, all but its password."""
    here = options(context)
    row = operations.get(here.desk, here.tenant, name)
    if as_json:
        print_json(row)
        return
    live: dict[str, Any] = {}
    with contextlib.suppress(NotRunning, ControlError):
        live = next((one for one in here.ask("trunks") if one["name"] == name), {})
    now = {f"now: {key}": value for key, value in live.items() if key not in ("name", "tenant")}
    _print(f"Trunk {name}", {**row, **{k: "" if v is None else v for k, v in now.items()}})


@trunks.command()
def remove(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Remove a trunk that no route goes by."""
    here = options(context)
    desk, tenant = here.desk, here.tenant
    expected = agreed("Remove", lambda: operations.loss(desk, tenant, name), yes)
    operations.remove(desk, tenant, name, expected)
    print(f"trunk {name} removed")


def _print(title: str, row: dict[str, Any]) -> None:
    cells = [(name.replace("_", " "), _cell(value)) for name, value in row.items()]
    print_table(title, ("setting", "value"), cells, "")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


# Routes

Pattern = Annotated[
    str, typer.Argument(metavar="PATTERN", help="What is dialled: 112, 0. (0 and more), +49xxx.")
]
Trunks = Annotated[str | None, typer.Option(help="By which trunks, in their order, with commas.")]
Strip = Annotated[int | None, typer.Option(help="How many characters are taken off its beginning.")]
Prefix = Annotated[str | None, typer.Option(help="What is put there instead.")]
RouteCallerId = Annotated[str | None, typer.Option(help="Who is said to call, whoever does.")]
Emergency = Annotated[
    Switch | None, typer.Option(help="Nothing keeps such calls from being tried, no limit and no privacy.")
]
Force = Annotated[bool, typer.Option("--force", help="Although an extension has an emergency number.")]


def _of_route(
    trunks: str | None, strip: int | None, prefix: str | None, caller_id: str | None, on: Switch | None
) -> dict[str, Any]:
    said: dict[str, Any] = {"strip": strip, "prefix": prefix, "caller_id": caller_id}
    said["trunks"] = None if trunks is None else listed(trunks, "--trunks")
    said["emergency"] = None if on is None else on is Switch.ON
    return {name: value for name, value in said.items() if value is not None}


@routes.command("add")
def add_route(
    context: typer.Context,
    pattern: Pattern,
    trunks: Trunks = None,
    strip: Strip = None,
    prefix: Prefix = None,
    caller_id: RouteCallerId = None,
    emergency: Emergency = None,
    force: Force = False,
) -> None:
    """Add a route."""
    here = options(context)
    said = _of_route(trunks, strip, prefix, caller_id, emergency)
    route_operations.add(here.desk, here.tenant, pattern, said, force=force)
    print(f"route {pattern} added")


@routes.command("set")
def set_route(
    context: typer.Context,
    pattern: Pattern,
    trunks: Trunks = None,
    strip: Strip = None,
    prefix: Prefix = None,
    caller_id: RouteCallerId = None,
    emergency: Emergency = None,
    force: Force = False,
) -> None:
    """Change a route."""
    here = options(context)
    said = _of_route(trunks, strip, prefix, caller_id, emergency)
    route_operations.change(here.desk, here.tenant, pattern, said, force=force)
    print(f"route {pattern} changed")


@routes.command("list")
def list_routes(context: typer.Context, as_json: Json = False) -> None:
    """All routes of the tenant."""
    here = options(context)
    rows = route_operations.all(here.desk, here.tenant)
    if as_json:
        print_json(rows)
        return
    columns = ("pattern", "trunks", "strip", "prefix", "caller_id", "emergency")
    cells = [tuple(_cell(row[column]) for column in columns) for row in rows]
    print_table(
        "Routes", [c.replace("_", " ") for c in columns], cells, "none; add one with 'blfd route add'"
    )


@routes.command("show")
def show_route(context: typer.Context, pattern: Pattern, as_json: Json = False) -> None:
    """One route."""
    here = options(context)
    row = route_operations.get(here.desk, here.tenant, pattern)
    if as_json:
        print_json(row)
        return
    _print(f"Route {pattern}", row)


@routes.command("remove")
def remove_route(context: typer.Context, pattern: Pattern, yes: Yes = False) -> None:
    """Remove a route."""
    here = options(context)
    desk, tenant = here.desk, here.tenant
    expected = agreed("Remove", lambda: route_operations.loss(desk, tenant, pattern), yes)
    route_operations.remove(desk, tenant, pattern, expected)
    print(f"route {pattern} removed")
