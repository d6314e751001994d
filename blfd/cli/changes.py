"""`blfd changes`: who has changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import options
from blfd.cli.output import Json
from blfd.operations.sentences import sentence
from blfd.store.audit import KEPT

SHOWN = 100


def add_changes(app: typer.Typer) -> None:
    app.command()(changes)


def changes(
    context: typer.Context,
    system: Annotated[bool, typer.Option("--system", help="Of all tenants, and of the system.")] = False,
    only: Only = None,
    sort: Sort = None,
    limit: Limit = SHOWN,
    as_json: Json = False,
) -> None:
    """Who has changed what, by command line, portal or API: the newest last; --json has before and after."""
    given = options(context)
    if system:
        given.of_no_tenant("--system is for all tenants")
    tenant = None if system else given.tenant
    found = given.store.audit.changes(tenant, limit=KEPT if only or sort else limit or KEPT)
    rows = [{**change._asdict(), "sentence": sentence(change)} for change in found]
    columns = ("when", "who", "tenant", "what") if system else ("when", "who", "what")
    print_list(
        "Changes",
        columns,
        rows,
        "nothing has been changed yet",
        Chosen(only, sort, limit, newest_last=True),
        as_json,
        lambda row: (
            datetime.fromtimestamp(row["at"]).strftime("%m-%d %H:%M:%S"),
            row["who"],
            *([row["tenant"]] if system else []),
            row["sentence"],
        ),
    )
