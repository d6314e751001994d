"""`blfd upstream ...`: PBXs whose lamps are shown as those of own extensions."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from blfd.cli.asking import Yes, agreed
from blfd.cli.board import duration
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import Options, Switch, options, taking
from blfd.cli.output import Json, print_json, print_table
from blfd.cli.trunk import OF_TRUNK, Number, Text, Texts, option, print_settings
from blfd.control import ControlError, NotRunning
from blfd.operations import upstreams as operations
from blfd.operations.lists import listed

upstreams = typer.Typer(
    no_args_is_help=True, help="Add, show, change and remove upstreams (PBXs whose lamps are shown)."
)
SHOWN = 50  # extensions that are not told of

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as pbx.")]
SHARED = ("enabled", "server", "password", "auth_name", "transport", "domain", "outbound_proxy")
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


def _said(given: dict[str, Any]) -> dict[str, Any]:
    """What was said, by the names that operations have."""
    renamed = {"server": "servers", "source": "sources", "list": "list_uri"}
    said = {renamed.get(name, name): value for name, value in given.items() if value is not None}
    if "enabled" in said:
        said["enabled"] = said["enabled"] is Switch.ON
    if "extensions" in said:
        said["extensions"] = listed(said["extensions"].lower(), "--extensions")
    return said


@upstreams.command()
@taking(OF_UPSTREAM)
def add(context: typer.Context, name: Name, **given: Any) -> None:
    """Add an upstream."""
    here = options(context)
    operations.add(here.desk, here.tenant, name, _said(given))
    print(f"upstream {name} added")


@upstreams.command("set")
@taking(OF_UPSTREAM)
def set_(context: typer.Context, name: Name, **given: Any) -> None:
    """Change an upstream; what can be given several times replaces all of before, and '' is none."""
    here = options(context)
    operations.change(here.desk, here.tenant, name, _said(given))
    print(f"upstream {name} changed")


def _live(here: Options) -> dict[str, dict[str, Any]]:
    """The state of each upstream, if a server runs."""
    try:
        return {row["name"]: row for row in here.ask("upstreams")}
    except (NotRunning, ControlError):
        return {}


@upstreams.command("list")
def list_(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """All upstreams of the tenant, and how they are if a server runs."""
    here = options(context)
    live, rows = _live(here), []
    for row in operations.all(here.desk, here.tenant):
        now = live.get(row["name"])
        state, known = (now["state"], f"{now['known']} of {now['lamps']}") if now else ("no server runs", "")
        rows.append({**row, "state": state, "known": known, "live": now})
    print_list(
        "Upstreams",
        ("name", "servers", "extensions", "state", "known"),
        rows,
        "none; add one with 'blfd upstream add'",
        Chosen(only, sort, limit),
        as_json,
    )


@upstreams.command()
def show(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """One upstream: what is set, all but its password, how it is, and whose lamps are not known."""
    here = options(context)
    row, live = operations.get(here.desk, here.tenant, name), _live(here).get(name)
    lamps = [one for one in here.ask("upstream lamps") if one["upstream"] == name] if live else []
    if as_json:
        print_json({**row, "live": live, "lamps": lamps})
        return
    now = {f"now: {key}": value for key, value in (live or {}).items() if key not in ("name", "tenant")}
    print_settings(f"Upstream {name}", {**row, **now})
    if live:
        wrong = [one for one in lamps if one["error"] or not one["known"]]
        cells = [
            (one["extension"], one["state"], "yes" if one["known"] else "no", _ago(one), one["error"])
            for one in wrong[:SHOWN]
        ]
        columns = ("extension", "subscription", "lamp known", "last told", "why")
        print_table(f"Not as it should be ({len(wrong)})", columns, cells, "All its lamps are known.")


def _ago(row: dict[str, Any]) -> str:
    return "never" if row["told_ago"] is None else f"{duration(row['told_ago'])} ago"


@upstreams.command()
def remove(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Remove an upstream."""
    here = options(context)
    desk, tenant = here.desk, here.tenant
    expected = agreed("Remove", lambda: operations.loss(desk, tenant, name), yes)
    operations.remove(desk, tenant, name, expected)
    print(f"upstream {name} removed")
