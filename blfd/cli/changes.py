"""`blfd changes`: who has changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape

from blfd.cli.output import options, print_json, print_table

SHOWN = 100


def add_changes(app: typer.Typer) -> None:
    app.command()(changes)


def changes(
    context: typer.Context,
    system: Annotated[bool, typer.Option("--system", help="Of all tenants, and of the system.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with before and after.")] = False,
) -> None:
    """Who has changed what, by command line, portal or API: the newest last."""
    given = options(context)
    store = given.store()
    tenant = None if system else store.tenant(given.tenant).domain
    found = store.audit.changes(tenant, limit=limit)[::-1]
    if as_json:
        print_json([change._asdict() for change in found])
        return
    rows = [
        (
            datetime.fromtimestamp(change.at).strftime("%m-%d %H:%M:%S"),
            *(escape(text) for text in (change.who, change.tenant, change.operation, change.subject)),
        )
        for change in found
    ]
    print_table("Changes", ("when", "who", "tenant", "what", "of"), rows, "nothing has been changed yet")
