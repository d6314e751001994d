"""`blfd trunk ...`: lines to the outside, and `blfd route ...`: which numbers go out by them."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import typer

from blfd.cli.asking import Yes, agreed
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import Switch, options, taking
from blfd.cli.output import Json, print_json, print_table
from blfd.control import ControlError, NotRunning
from blfd.core.trunks.trunk import DID_SOURCES, CallerIdIn, Mode, Replacing
from blfd.operations import routes as route_operations
from blfd.operations import trunks as operations
from blfd.operations.lists import listed

trunks = typer.Typer(no_args_is_help=True, help="Add, show, change and remove trunks (lines to the outside).")
routes = typer.Typer(no_args_is_help=True, help="Add, show, change and remove routes out, by number.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as carrier.")]
Texts = list[str] | None
Text = str | None
Number = int | None


def option(kind: Any, words: str, name: str = "") -> Any:
    return Annotated[kind, typer.Option(*([name] if name else []), help=words)]


OF_TRUNK = {
    "enabled": option(Switch | None, "Off: as if it were not there."),
    "server": option(Texts, "Its address or name, with :PORT if it has one. Repeatable.", "--server"),
    "mode": option(
        Mode | None, "How the two know each other: by address, or we register there, or it does here."
    ),
    "transport": option(Text, "udp, tcp or tls."),
    "expires": option(Number, "For how many seconds we register."),
    "line": option(Switch | None, "Whether a token in our Contact says whose a call is."),
    "retry": option(Number, "Seconds until what failed is tried again, at the latest."),
    "retry_forbidden": option(Number, "Seconds until what was refused is tried again."),
    "ping": option(Number, "Seconds between two looks whether it is there (OPTIONS), 0 for none."),
    "domain": option(Text, "What stands in URIs, if it is not the server."),
    "outbound_proxy": option(Text, "The address by which all requests go."),
    "username": option(Text, "The account, which is in From as well."),
    "auth_name": option(Text, "The name that goes with the password, if it is another."),
    "password": option(Text, "What the account's password is; it is not shown again."),
    "source": option(Texts, "Where calls come from besides the servers: 192.0.2.0/24.", "--source"),
    "certificate": option(Text, "The name in the certificate that it shows over TLS."),
    "did_source": option(
        Text, f"Where an INVITE has the number that is called: {', '.join(DID_SOURCES)}, or header:NAME."
    ),
    "did": option(Texts, "NUMBER=EXTENSION; x is any digit: +4930123451xx=1xx. Repeatable.", "--did"),
    "default": option(Text, "The extension that gets calls for all other numbers."),
    "country": option(Text, "The country's code of numbers without one, such as 49."),
    "area": option(Text, "The area's code of numbers without one, such as 30."),
    "caller_id": option(Text, "The number shown of extensions without their own."),
    "number": option(Texts, "EXTENSION=NUMBER, what is shown of one: 1xx=+4930123451xx.", "--number"),
    "caller_id_in": option(
        CallerIdIn | None, "Where that number is written; in all but the first, From has the account."
    ),
    "codecs": option(Text, "What may be offered, with commas: PCMA,PCMU,telephone-event."),
    "max_calls": option(Number, "How many calls it takes at a time, 0 for any number."),
    "replaces": option(
        Replacing | None, "Where INVITE with Replaces goes, to pick up a call that its server carries."
    ),
    "pickup_code": option(
        Text, "What is dialled there to pick up a call that its server carries: **{extension}."
    ),
}


def _said(given: dict[str, Any]) -> dict[str, Any]:
    """What was said, by the names that operations have."""
    renamed = {"server": "servers", "source": "sources", "did": "dids", "number": "caller_ids"}
    said = {renamed.get(name, name): _plain(value) for name, value in given.items() if value is not None}
    for name in ("codecs", "trunks"):
        if name in said:
            said[name] = listed(said[name], f"--{name}") if said[name].strip() else []
    return said


def _plain(value: Any) -> Any:
    return value is Switch.ON if isinstance(value, Switch) else value


@trunks.command()
@taking(OF_TRUNK)
def add(context: typer.Context, name: Name, **given: Any) -> None:
    """Add a trunk."""
    here = options(context)
    operations.add(here.desk, here.tenant, name, _said(given))
    print(f"trunk {name} added")


@trunks.command("set")
@taking(OF_TRUNK)
def set_(context: typer.Context, name: Name, **given: Any) -> None:
    """Change a trunk; what can be given several times replaces all of before, and '' is none."""
    here = options(context)
    operations.change(here.desk, here.tenant, name, _said(given))
    print(f"trunk {name} changed")


@trunks.command("list")
def list_(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """All trunks of the tenant, and how they are if a server runs."""
    here = options(context)
    try:
        live = {row["name"]: row for row in here.ask("trunks")}
    except (NotRunning, ControlError):
        live = {}
    rows = []
    for row in operations.all(here.desk, here.tenant):
        now = live.get(row["name"])
        state, calls = (now["state"], now["calls"]) if now else ("no server runs", "")
        rows.append({**row, "state": state, "calls": calls, "live": now})
    columns = ("name", "mode", "servers", "state", "calls")
    print_list(
        "Trunks",
        columns,
        rows,
        "none; add one with 'blfd trunk add'",
        Chosen(only, sort, limit),
        as_json,
    )


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
    print_settings(f"Trunk {name}", {**row, **{k: "" if v is None else v for k, v in now.items()}})


@trunks.command()
def remove(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Remove a trunk that no route goes by."""
    here = options(context)
    desk, tenant = here.desk, here.tenant
    expected = agreed("Remove", lambda: operations.loss(desk, tenant, name), yes)
    operations.remove(desk, tenant, name, expected)
    print(f"trunk {name} removed")


def print_settings(title: str, row: dict[str, Any]) -> None:
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
Force = Annotated[bool, typer.Option("--force", help="Although an extension has an emergency number.")]
OF_ROUTE = {
    "trunks": option(Text, "By which trunks, in their order, with commas."),
    "strip": option(Number, "How many characters are taken off its beginning."),
    "prefix": option(Text, "What is put there instead."),
    "caller_id": option(Text, "Who is said to call, whoever does."),
    "emergency": option(Switch | None, "Nothing keeps such calls from being tried, no limit and no privacy."),
}


@routes.command("add")
@taking(OF_ROUTE)
def add_route(context: typer.Context, pattern: Pattern, force: Force = False, **given: Any) -> None:
    """Add a route."""
    here = options(context)
    route_operations.add(here.desk, here.tenant, pattern, _said(given), force=force)
    print(f"route {pattern} added")


@routes.command("set")
@taking(OF_ROUTE)
def set_route(context: typer.Context, pattern: Pattern, force: Force = False, **given: Any) -> None:
    """Change a route."""
    here = options(context)
    route_operations.change(here.desk, here.tenant, pattern, _said(given), force=force)
    print(f"route {pattern} changed")


@routes.command("list")
def list_routes(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """All routes of the tenant."""
    here = options(context)
    print_list(
        "Routes",
        ("pattern", "trunks", "strip", "prefix", "caller_id", "emergency"),
        route_operations.all(here.desk, here.tenant),
        "none; add one with 'blfd route add'",
        Chosen(only, sort, limit),
        as_json,
    )


@routes.command("show")
def show_route(context: typer.Context, pattern: Pattern, as_json: Json = False) -> None:
    """One route."""
    here = options(context)
    row = route_operations.get(here.desk, here.tenant, pattern)
    if as_json:
        print_json(row)
        return
    print_settings(f"Route {pattern}", row)


@routes.command("remove")
def remove_route(context: typer.Context, pattern: Pattern, yes: Yes = False) -> None:
    """Remove a route."""
    here = options(context)
    desk, tenant = here.desk, here.tenant
    expected = agreed("Remove", lambda: route_operations.loss(desk, tenant, pattern), yes)
    route_operations.remove(desk, tenant, pattern, expected)
    print(f"route {pattern} removed")
