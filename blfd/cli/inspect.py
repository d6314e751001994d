"""Commands that show what the running server knows."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from blfd.cli.options import Options, options
from blfd.cli.output import Json, cell, fail, new_table, print_json, print_or, print_table
from blfd.control import ControlError, NotRunning

Row = dict[str, Any]

STYLES = {
    "idle": "green",
    "trying": "yellow",
    "ringing": "bold blink red",
    "early media": "bold red",
    "talking": "red",
    "held": "magenta",
    "do not disturb": "blue",
    "not registered": "dim",
}
REDRAWS = 4  # a second
AT_THE_RIGHT = ("since", "watchers")


def add_inspecting(app: typer.Typer) -> None:
    for command in (status, registrations, lamps, watchers, calls, publications):
        app.command()(command)


def status(context: typer.Context, as_json: Json = False) -> None:
    """What the server does, in numbers."""
    given = options(context)
    given.of_no_tenant("the status is that of the whole server")
    found = given.client.call("status")
    if as_json:
        print_json(found)
        return
    notifies = found.pop("notifies")
    rows = [
        (key.replace("_", " "), ", ".join(value) if isinstance(value, list) else value)
        for key, value in found.items()
    ]
    rows += [(f"NOTIFYs {key}", value) for key, value in notifies.items()]
    print_table("Server", ("what", "value"), rows, "")


def registrations(context: typer.Context, as_json: Json = False) -> None:
    """Which phones are registered, and where."""
    columns = ("extension", "contact", "source", "reachable", "expires", "q", "user_agent")
    _show(context, "registrations", columns, "no phone is registered", as_json)


def watchers(context: typer.Context, as_json: Json = False) -> None:
    """Who watches whom, and what each watcher was last told."""
    columns = ("watcher", "resource", "event", "state", "version", "expires", "source", "user_agent")
    _show(context, "watchers", columns, "nobody watches a lamp: no phone has subscribed", as_json)


def calls(context: typer.Context, as_json: Json = False) -> None:
    """The calls that are up."""
    found = options(context).ask("calls")
    if as_json:
        print_json(found)
        return
    rows = [
        (row["caller"], row["callee"], row["state"], duration(row["since"]), str(len(row["legs"])))
        for row in found
    ]
    print_table("Calls", ("caller", "callee", "state", "since", "legs"), rows, "no call is up")


def publications(context: typer.Context, as_json: Json = False) -> None:
    """What others say of extensions whose calls are not carried here."""
    columns = ("extension", "publisher", "dialogs", "ago", "expires")
    _show(context, "publications", columns, "nobody publishes anything", as_json)


def lamps(
    context: typer.Context,
    as_json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing them, live.")] = False,
) -> None:
    """Every extension's lamp, as its watchers see it."""
    if as_json and watch:
        fail("--json prints once: leave --watch out", 2)
    given = options(context)
    found = given.ask("lamps")
    if as_json:
        print_json(found)
    elif watch:
        _watch(given, found)
    else:
        print_or(lamp_table(found), "no extension exists; add one with 'blfd extension add'")


def _show(context: typer.Context, call: str, columns: tuple[str, ...], empty: str, as_json: bool) -> None:
    found = options(context).ask(call)
    if as_json:
        print_json(found)
        return
    rows = [tuple(_plain(row[column]) for column in columns) for row in found]
    print_table(call.capitalize(), columns, rows, empty)


def _plain(value: Any) -> Any:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _watch(given: Options, found: list[Row]) -> None:
    """Until Ctrl-C. While no server answers, what is shown is said to be old."""
    silent_since = ""
    live = Live(lamp_table(found), refresh_per_second=REDRAWS, screen=False)
    with contextlib.suppress(KeyboardInterrupt), live:
        while True:
            time.sleep(1 / REDRAWS)
            try:
                found, silent_since = given.ask("lamps"), ""
            except (NotRunning, ControlError):
                silent_since = silent_since or datetime.now().strftime("%H:%M:%S")
            live.update(lamp_table(found, silent_since))


def lamp_table(rows: list[Row], silent_since: str = "") -> Table:
    """A picture of the lamps: one row an extension; all dark if they are of a server that is silent."""
    table = new_table("Lamps", ("", "extension", "name", "lamp", "with", "since", "watchers"), AT_THE_RIGHT)
    table.row_styles = ("", "on grey7")
    if silent_since:
        text = f"no server answers since {silent_since}: these lamps are of then; waiting for it"
        table.caption, table.caption_justify = Text(text, "bold red"), "left"
    for row in rows:
        style = "dim" if silent_since else STYLES[row["lamp"]]
        dialogs = row["dialogs"]
        others = ", ".join(_arrow(dialog) for dialog in dialogs)
        since = duration(max(dialog["since"] for dialog in dialogs)) if dialogs else ""
        watched = str(row["watchers"] or "")
        table.add_row(
            Text("●", style),
            cell(row["extension"]),
            cell(row["name"]),
            Text(row["lamp"], style),
            cell(others),
            since,
            watched,
        )
    return table


def _arrow(dialog: Row) -> str:
    name = f" {dialog['remote_name']}" if dialog["remote_name"] else ""
    return f"{'→' if dialog['direction'] == 'initiator' else '←'} {dialog['remote']}{name}"


def duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
