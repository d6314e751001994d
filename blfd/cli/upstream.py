"""`blfd upstream ...`: PBXs whose lamps are shown as those of own extensions."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from blfd.cli import known
from blfd.cli.board import duration
from blfd.cli.kinds import SEVERAL, Kind, add_changing, add_removing, live, now, option, print_settings
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import options
from blfd.cli.output import Json, print_json, print_table
from blfd.cli.trunk import OF_TRUNK, Number, Text, Texts
from blfd.core.advice import command
from blfd.operations import upstreams as operations

upstreams = typer.Typer(
    no_args_is_help=True, help="Add, show, change and remove upstreams (PBXs whose lamps are shown)."
)
SHOWN = 50  # extensions that are not told of

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as pbx.", autocompletion=known.upstreams)]
SHARED = ("enabled", "server", "password", "auth_name", "realm", "transport", "domain", "outbound_proxy")
PAUSES = ("ping", "retry", "retry_forbidden")
OF_UPSTREAM = {
    **{name: OF_TRUNK[name] for name in SHARED},
    "extensions": option(Text, "Whose lamps it knows, with commas; x is any digit: 1xx,201."),
    "list": option(
        Text, "One subscription to this list of the PBX (RFC 4662), instead of one an extension.", "--list"
    ),
    "username": option(Text, "Our account there, which is in From as well."),
    "source": option(Texts, "Where NOTIFYs come from besides the servers: 192.0.2.0/24.", "--source"),
    "interval": option(Number, "For how many seconds we subscribe."),
    "rate": option(Number, "How many SUBSCRIBEs it gets a second, at most."),
    **{name: OF_TRUNK[name] for name in PAUSES},
}


UPSTREAM = Kind(
    "upstream",
    Name,
    OF_UPSTREAM,
    operations,
    {"server": "servers", "source": "sources", "list": "list_uri"},
    ("extensions",),
)
add_changing(upstreams, UPSTREAM, changes=SEVERAL)


@upstreams.command("list")
def list_(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """All upstreams of the tenant, and how they are if a server runs."""
    here = options(context)
    running, rows = live(here, "upstreams"), []
    for row in operations.all(here.desk, here.tenant):
        state, known, found = "no server runs", "", running.get(row["name"])
        if found:
            state, known = found["state"], f"{found['known']} of {found['lamps']}"
        rows.append({**row, "state": state, "known": known, "live": found})
    print_list(
        "Upstreams",
        ("name", "servers", "extensions", "state", "known"),
        rows,
        f"none; add one with {command(here.tenant, 'upstream', 'add')}",
        Chosen(only, sort, limit),
        as_json,
    )


@upstreams.command()
def show(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """One upstream: what is set, all but its password, how it is, and whose lamps are not known."""
    here = options(context)
    row, found = operations.get(here.desk, here.tenant, name), live(here, "upstreams").get(name)
    lamps = [one for one in here.ask("upstream lamps") if one["upstream"] == name] if found else []
    if as_json:
        print_json({**row, "live": found, "lamps": lamps})
        return
    print_settings(f"Upstream {name}", {**row, **now(found or {})})
    if found:
        wrong = [one for one in lamps if one["error"] or not one["known"]]
        cells = [
            (one["extension"], one["state"], "yes" if one["known"] else "no", _ago(one), one["error"])
            for one in wrong[:SHOWN]
        ]
        columns = ("extension", "subscription", "lamp known", "last told", "why")
        print_table(f"Not as it should be ({len(wrong)})", columns, cells, "All its lamps are known.")


def _ago(row: dict[str, Any]) -> str:
    return "never" if row["told_ago"] is None else f"{duration(row['told_ago'])} ago"


add_removing(upstreams, UPSTREAM, "Remove an upstream.")
