"""`blfd changes`: who has changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import options
from blfd.cli.output import Json
from blfd.cli.panels import LOOKING
from blfd.core.advice import command
from blfd.core.values import DEFAULT_TENANT
from blfd.operations.sentences import sentence
from blfd.store.audit import KEPT, Audit

SHOWN = 100


def add_changes(app: typer.Typer) -> None:
    app.command(rich_help_panel=LOOKING)(changes)


def changes(
    context: typer.Context,
    system: Annotated[bool, typer.Option("--system", help="Of all tenants, and of the system.")] = False,
    of: Annotated[
        int | None,
        typer.Option("--of", metavar="NUMBER", help="What a change of many has done to each of them."),
    ] = None,
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
    if of is not None:
        _print_parts(given.store.audit, tenant, of, Chosen(only, sort, limit), as_json)
        return
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
            f"{row['sentence']}; --of {row['id']} shows each" if row["counts"] else row["sentence"],
        ),
    )


def _print_parts(audit: Audit, tenant: str | None, number: int, chosen: Chosen, as_json: bool) -> None:
    """Print what a change has done to each."""
    every = (0, -1) if chosen.only or chosen.sort or as_json else (0, chosen.limit or -1)
    parts, total = audit.parts(audit.get(tenant, number).id, part=every)
    rows = [part._asdict() for part in parts]
    which = command(tenant or DEFAULT_TENANT, "changes", "--json")
    empty = f"it has changed one thing alone, which {which} has"
    print_list(f"Change {number}: {total}", ("of", "before", "after"), rows, empty, chosen, as_json, _cells)


def _cells(row: dict[str, Any]) -> tuple[str, str, str]:
    """The name, and what is not as it was."""
    before, after = row["before"] or {}, row["after"] or {}
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return row["name"], _said(before, names), _said(after, names)


def _said(fields: dict[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name} {fields[name]}" for name in names if fields.get(name) not in (None, ""))
