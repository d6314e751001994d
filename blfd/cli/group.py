"""`blfd group ...`: who may pick up whose calls by the group's code, and where --pickup is `groups`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from blfd.cli import known
from blfd.cli.asking import Yes, agreed
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import options
from blfd.cli.output import Json, fail, print_json
from blfd.core.advice import command
from blfd.operations import groups as operations
from blfd.operations.lists import listed
from blfd.operations.loss import some_of

SHOWN = 20  # members of a group in the list of groups

groups = typer.Typer(no_args_is_help=True, help="Add, show, change and remove pickup groups.")

Name = Annotated[str, typer.Argument(metavar="GROUP", help="Such as sales.", autocompletion=known.groups)]
Members = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="EXTENSION",
        help="Members: each may pick up each other's calls.",
        autocompletion=known.extensions,
    ),
]
Targets = Annotated[
    list[str] | None, typer.Option(help="Whose calls may be picked up, with commas; beside the members.")
]
Pickers = Annotated[list[str] | None, typer.Option(help="Who may pick up, with commas; beside the members.")]


@groups.command()
def add(
    context: typer.Context,
    group: Name,
    members: Members = None,
    targets: Targets = None,
    pickers: Pickers = None,
) -> None:
    """Add a group."""
    given = options(context)
    operations.add(given.desk, given.tenant, group, *_sides(members, pickers, targets))
    print(f"group {group} added")


@groups.command("set")
def set_(
    context: typer.Context,
    group: Name,
    members: Members = None,
    targets: Targets = None,
    pickers: Pickers = None,
    come: Annotated[
        list[str] | None, typer.Option("--add", help="Who becomes a member, with commas; all others stay.")
    ] = None,
    gone: Annotated[
        list[str] | None, typer.Option("--remove", help="Who is no member any more, with commas.")
    ] = None,
) -> None:
    """Replace the members of a group, or add and remove some."""
    given = options(context)
    desk, tenant = given.desk, given.tenant
    whole = not (members is None and targets is None and pickers is None)
    some = not (come is None and gone is None)
    if whole and some:
        fail("give all members, or those to --add and to --remove: which of the two?", 2)
    if some:
        sides = {"add": _split("--add", come), "remove": _split("--remove", gone)}
        operations.alter(desk, tenant, group, **sides, strict=True)
    elif whole:
        operations.change(desk, tenant, group, *_sides(members, pickers, targets))
    else:
        advice = f"--add and --remove change it, {command(tenant, 'group', 'remove', group)} removes it"
        fail(f"who is to be in {group}? Give extensions; {advice}")
    print(f"group {group} changed")


@groups.command("list")
def list_(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """All groups of the tenant."""
    given = options(context)
    rows = operations.all(given.desk, given.tenant)
    print_list(
        "Groups",
        ("group", "pickers", "targets"),
        rows,
        f"none; add one with {command(given.tenant, 'group', 'add')}",
        Chosen(only, sort, limit),
        as_json,
        lambda row: (row["name"], _list(row["pickers"]), _list(row["targets"])),
    )


@groups.command()
def show(
    context: typer.Context,
    group: Name,
    only: Only = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """One group: who may pick up, and whose calls. With --json, its two sides as they are."""
    given = options(context)
    desk = given.desk
    found = operations.get(desk, given.tenant, group)
    if as_json:
        print_json(found)
        return
    names = desk.store.extensions.names(given.tenant)
    pickers, targets = set(found["pickers"]), set(found["targets"])
    rows = [
        {
            "extension": member,
            "name": names[member],
            "may_pick_up": member in pickers,
            "may_be_picked_up": member in targets,
        }
        for member in sorted(pickers | targets)
    ]
    columns, empty = ("extension", "name", "may pick up", "may be picked up"), "is empty and opens nothing"
    chosen = Chosen(only, sort, limit)
    print_list(f"Group {group}", columns, rows, f"group {group} {empty}", chosen, as_json=False)


@groups.command()
def remove(context: typer.Context, group: Name, yes: Yes = False) -> None:
    """Remove a group; its members stay."""
    given = options(context)
    desk, tenant = given.desk, given.tenant
    expected = agreed("Remove", lambda: operations.loss(desk, tenant, group), yes)
    operations.remove(desk, tenant, group, expected)
    print(f"group {group} removed")


def _sides(
    members: list[str] | None, pickers: list[str] | None, targets: list[str] | None
) -> tuple[set[str], set[str]]:
    """Pickers and targets: the members are both."""
    both = _split("members", members)
    return both | _split("--pickers", pickers), both | _split("--targets", targets)


def _split(what: str, texts: list[str] | None) -> set[str]:
    return {extension for text in texts or () for extension in listed(text, what)}


def _list(members: Sequence[str]) -> str:
    return some_of(members, SHOWN) or "nobody"
