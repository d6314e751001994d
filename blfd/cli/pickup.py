"""`blfd pickups` and `blfd explain`: who picked up what, and why a lamp shows what it shows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from blfd.cli import known
from blfd.cli.board import duration
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import options
from blfd.cli.output import Json, as_called, cell, fail, print_json, print_lines, print_table
from blfd.cli.panels import LOOKING
from blfd.core.lines import is_line
from blfd.operations import explained
from blfd.operations import pickups as operations
from blfd.store import StoreError
from blfd.store.records import KEPT

SHOWN = 1000  # unless --since says more
Row = dict[str, Any]


def add_pickup(app: typer.Typer) -> None:
    for command in (pickups, explain):
        app.command(rich_help_panel=LOOKING)(command)


def pickups(
    context: typer.Context,
    since: Annotated[
        str | None, typer.Option(help="30m, 8h or 7d ago, or a time such as 2026-11-23T08:00.")
    ] = None,
    only: Only = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Who tried to pick up what, and what came of it: the newest last.

    1,000 at most without --since and --limit.
    """
    given = options(context)
    most = limit or (SHOWN if since is None else None)
    try:
        after = 0.0 if since is None else operations.moment(since)
    except StoreError as error:
        fail(f"--since {error}", 2)
    wanted = KEPT if only or sort else most or KEPT
    shown = ("picker", "way", "extension", "caller", "status", "result")
    print_list(
        "Pickups",
        ("when", *shown, "ms"),
        operations.all(given.desk, given.tenant, since=after, limit=wanted),
        "nobody has tried to pick up a call",
        Chosen(only, sort, most, newest_last=True),
        as_json,
        lambda row: (
            datetime.fromisoformat(row["at"]).astimezone().strftime("%m-%d %H:%M:%S"),
            *(row[column] for column in shown),
            f"{row['milliseconds']:.1f}",
        ),
    )


def explain(
    context: typer.Context,
    extension: Annotated[
        str,
        typer.Argument(
            metavar="EXTENSION",
            help="Such as 102, trunk+NAME or upstream+NAME.",
            autocompletion=known.explained,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Why a lamp shows what it shows, who was told so, and who could pick up now."""
    given = options(context)
    explained.check(given.desk, given.tenant, extension)
    found = given.ask("explain", extension=extension)
    if as_json:
        print_json(found)
        return
    if is_line(extension):
        print_lines(map(as_called, explained.sentences(found)))
        return
    name = f" {found['name']}" if found["name"] else ""
    Console().print(cell(f"{extension}{name}: {found['lamp']}; {_phones(found['phones'])}"), soft_wrap=True)
    if found["forwarded"]:
        Console().print(cell(f"What it has set for its calls: {found['forwarded']}"), soft_wrap=True)
    if found["upstream"]:
        Console().print(cell(_upstream(found["upstream"])), soft_wrap=True)
    if found["owner"] == "published":
        rows = [
            (row["publisher"], str(row["dialogs"]), duration(row["ago"]), f"{row['expires']} s")
            for row in found["published"]
        ]
        empty = "Who publishes it: nobody, so its lamp is idle"
        print_table("Who publishes it", ("publisher", "dialogs", "ago", "for"), rows, empty)
    dialogs = [(d["lamp"], duration(d["since"]), _with(d), d["call_id"]) for d in found["dialogs"]]
    empty = f"Its dialogs: none; {found['why_idle']}"
    print_table("Its dialogs", ("lamp", "since", "with", "Call-ID"), dialogs, empty)
    watchers = [
        (
            row["watcher"],
            row["told"],
            duration(row["told_ago"]),
            row["confirmed"],
            "yes" if row["may_pick_up"] else "no",
            row["source"],
        )
        for row in found["watchers"]
    ]
    columns = ("watcher", "was told", "ago", "confirmed", "may pick up", "where")
    print_table("Who watches", columns, watchers, "Who watches: nobody; no phone has a key for it")
    pickers = [(row["picker"], ", ".join(row["ways"])) for row in found["pickers"]]
    empty = f"Who could pick up now: nobody; {found['why_nobody']}"
    print_table("Who could pick up now", ("extension", "how"), pickers, empty)


def _upstream(watch: Row) -> str:
    """Who says so, since when and until when; or why it is not known."""
    who = f"Its lamp is that of upstream {watch['upstream']} ({watch['server'] or 'not reached yet'})"
    if not watch["known"]:
        return f"{who}, and unknown: {watch['error'] or 'it has not told anything yet'}"
    for_now = f", for {watch['expires']} s more" if watch["expires"] is not None else ""
    error = f"; since then: {watch['error']}" if watch["error"] else ""
    return f"{who}, told {duration(watch['told_ago'])} ago{for_now}{error}"


def _phones(phones: int) -> str:
    return f"{phones} phone(s) registered" if phones else "no phone is registered"


def _with(dialog: Row) -> str:
    way = "calls" if dialog["direction"] == "initiator" else "called by"
    name = f" {dialog['remote_name']}" if dialog["remote_name"] else ""
    return f"{way} {dialog['remote']}{name}"
