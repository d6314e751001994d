"""`blfd changes`: who has changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from blfd.cli.options import options
from blfd.cli.output import Json, print_json, print_table

SHOWN = 100


def add_changes(app: typer.Typer) -> None:
    app.command()(changes)


def changes(
    context: typer.Context,
    system: Annotated[bool, typer.Option("--system", help="Of all tenants, and of the system.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = SHOWN,
    as_json: Json = False,
) -> None:
    """Who has changed what, by command line, portal or API: the newest last; --json has before and after."""
    given = options(context)
    if system:
        given.of_no_tenant("--system is for all tenants")
    tenant = None if system else given.tenant
    found = given.store.audit.changes(tenant, limit=limit)[::-1]
    if as_json:
        print_json([change._asdict() for change in found])
        return
    rows = [
        (
            datetime.fromtimestamp(change.at).strftime("%m-%d %H:%M:%S"),
            change.who,
            change.tenant,
            change.operation,
            change.subject,
        )
        for change in found
    ]
    print_table("Changes", ("when", "who", "tenant", "what", "of"), rows, "nothing has been changed yet")
