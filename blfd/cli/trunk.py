"""`blfd trunk ...`: lines to the outside, and `blfd route ...`: which numbers go out by them."""

from __future__ import annotations

from typing import Annotated

import typer

from blfd.cli import known
from blfd.cli.kinds import SEVERAL, Kind, add_changing, add_removing, live, now, option, print_settings
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import Switch, options
from blfd.cli.output import Json, print_json
from blfd.core.advice import command
from blfd.core.trunk import DID_SOURCES, CallerIdIn, Mode, Replacing
from blfd.operations import routes as route_operations
from blfd.operations import trunks as operations

trunks = typer.Typer(no_args_is_help=True, help="Add, show, change and remove trunks (lines to the outside).")
routes = typer.Typer(no_args_is_help=True, help="Add, show, change and remove routes out, by number.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as carrier.", autocompletion=known.trunks)]
Texts = list[str] | None
Text = str | None
Number = int | None


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
    "realm": option(Text, "The realm that the password is for; challenges of others are not answered."),
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


TRUNK = Kind(
    "trunk",
    Name,
    OF_TRUNK,
    operations,
    {"server": "servers", "source": "sources", "did": "dids", "number": "caller_ids"},
    ("codecs",),
)
add_changing(trunks, TRUNK, changes=SEVERAL)


@trunks.command("list")
def list_(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """All trunks of the tenant, and how they are if a server runs."""
    here = options(context)
    running, rows = live(here, "trunks"), []
    for row in operations.all(here.desk, here.tenant):
        found = running.get(row["name"])
        state, calls = (found["state"], found["calls"]) if found else ("no server runs", "")
        rows.append({**row, "state": state, "calls": calls, "live": found})
    columns = ("name", "mode", "servers", "state", "calls")
    print_list(
        "Trunks",
        columns,
        rows,
        f"none; add one with {command(here.tenant, 'trunk', 'add')}",
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
    print_settings(f"Trunk {name}", {**row, **now(live(here, "trunks").get(name, {}))})


add_removing(trunks, TRUNK, "Remove a trunk that no route goes by.")


# Routes

Pattern = Annotated[
    str, typer.Argument(metavar="PATTERN", help="What is dialled: 112, 0. (0 and more), +49xxx.")
]
Force = Annotated[bool | None, typer.Option("--force", help="Although an extension has the number.")]
OF_ROUTE = {
    "trunks": option(Text, "By which trunks, in their order, with commas."),
    "strip": option(Number, "How many characters are taken off its beginning."),
    "prefix": option(Text, "What is put there instead."),
    "caller_id": option(Text, "Who is said to call, whoever does."),
    "emergency": option(Switch | None, "Nothing keeps such calls from being tried, no limit and no privacy."),
}


ROUTE = Kind("route", Pattern, OF_ROUTE, route_operations, lists=("trunks",))
add_changing(routes, ROUTE, force=Force)


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
        f"none; add one with {command(here.tenant, 'route', 'add')}",
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


add_removing(routes, ROUTE, "Remove a route.")
