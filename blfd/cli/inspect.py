"""Commands that show what the running server knows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from blfd.cli import board
from blfd.cli.board import duration
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import options
from blfd.cli.output import Json, fail, print_json, print_table
from blfd.cli.panels import LOOKING
from blfd.core.advice import command

Row = dict[str, Any]


def add_inspecting(app: typer.Typer) -> None:
    for each in (status, registrations, lamps, watchers, calls, publications):
        app.command(rich_help_panel=LOOKING)(each)


def status(context: typer.Context, as_json: Json = False) -> None:
    """What the server does, in numbers."""
    given = options(context)
    given.of_no_tenant("the status is that of the whole server")
    found = given.client.call("status")
    if as_json:
        print_json(found)
        return
    notifies = found.pop("notifies")
    if "uptime" in found:
        found["uptime"] = spoken(found["uptime"])
    rows = [
        (key.replace("_", " "), ", ".join(value) if isinstance(value, list) else value)
        for key, value in found.items()
    ]
    rows += [(f"NOTIFYs {key}", value) for key, value in notifies.items()]
    print_table("Server", ("what", "value"), rows, "")


def registrations(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """Which phones are registered, and where."""
    columns = ("extension", "contact", "source", "reachable", "expires", "q", "user_agent")
    empty = (
        "no phone is registered: in a phone, set this machine as server, an extension as user, its password"
    )
    _show(context, "registrations", columns, empty, Chosen(only, sort, limit), as_json)


def watchers(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """Who watches whom, and what each watcher was last told."""
    columns = ("watcher", "resource", "event", "state", "version", "expires", "source", "user_agent")
    _show(
        context,
        "watchers",
        columns,
        "nobody watches a lamp: no phone has a BLF key that it has subscribed to",
        Chosen(only, sort, limit),
        as_json,
    )


def calls(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """The calls that are up."""
    print_list(
        "Calls",
        ("caller", "callee", "state", "since", "legs"),
        options(context).ask("calls"),
        "no call is up",
        Chosen(only, sort, limit),
        as_json,
        lambda row: (row["caller"], row["callee"], row["state"], duration(row["since"]), len(row["legs"])),
    )


def publications(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """What others say of extensions whose calls are not carried here."""
    columns = ("extension", "publisher", "dialogs", "ago", "expires")
    _show(context, "publications", columns, "nobody publishes anything", Chosen(only, sort, limit), as_json)


def lamps(
    context: typer.Context,
    only: Only = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep showing them, live, calls first; q ends it.")
    ] = False,
) -> None:
    """Every extension's lamp, as its watchers see it."""
    if as_json and watch:
        fail("--json prints once: leave --watch out", 2)
    if watch and (sort or limit):
        fail("--watch shows calls first, and what fits: leave --sort and --limit out", 2)
    given = options(context)
    if watch:
        given.ask("place")  # where no server runs, that is said at once
        board.watch(given.client, given.tenant, only or "")
        return
    found = given.ask("lamps")
    rows = Chosen(only, sort, limit).of(found, board.COLUMNS, board.values)
    if as_json:
        print_json(rows)
    else:
        add = command(given.tenant, "extension", "add")
        board.show_once(rows, len(found), f"no extension exists; add one with {add}")


def _show(
    context: typer.Context, call: str, columns: tuple[str, ...], empty: str, chosen: Chosen, as_json: bool
) -> None:
    print_list(call.capitalize(), columns, options(context).ask(call), empty, chosen, as_json)


def spoken(seconds: int) -> str:
    """How long, in the two largest units: 3 d 4 h."""
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for name, of in units:
        count, seconds = divmod(seconds, of)
        parts.append((count, name))
    first = next((at for at, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2])
