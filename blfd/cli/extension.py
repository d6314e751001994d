"""`blfd extension ...`: the accounts of a tenant."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from blfd.cli.output import fail, options, print_json, print_table
from blfd.operations import extensions as operations
from blfd.operations import table
from blfd.store import NewExtension

extensions = typer.Typer(no_args_is_help=True, help="Add, show, change and remove extensions.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[str, typer.Argument(metavar="EXTENSION", help="Letters and digits, such as 101.")]
Password = Annotated[str | None, typer.Option(help="Asked for on a terminal if left out.")]
Name = Annotated[str | None, typer.Option(help="Shown to who is called or watched.")]


class Reach(Enum):
    """`blfd.core.values.Reach`, and that of the tenant."""

    ON = "on"
    OFF = "off"
    GROUPS = "groups"
    DEFAULT = "default"


class Pickable(Enum):
    ON = "on"
    OFF = "off"
    DEFAULT = "default"


@extensions.command()
def add(context: typer.Context, extension: Number, password: Password = None, name: Name = "") -> None:
    """Add an extension."""
    given = options(context)
    if password is None:
        if not sys.stdin.isatty():
            fail(f"extension {extension} needs a password: give --password")
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    operations.add(given.desk(), given.tenant, NewExtension(extension, password, name or ""))
    print(f"extension {extension} added")


@extensions.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """All extensions of the tenant."""
    given = options(context)
    rows = operations.all(given.desk(), given.tenant)
    if as_json:
        print_json(rows)
        return
    columns = ("extension", "name", "pickup", "pickable")
    cells = [tuple(escape(row[column]) for column in columns) for row in rows]
    print_table("Extensions", columns, cells, "none; add one with 'blfd extension add'")


@extensions.command()
def show(context: typer.Context, extension: Number, as_json: Json = False) -> None:
    """One extension."""
    given = options(context)
    row = operations.get(given.desk(), given.tenant, extension)
    if as_json:
        print_json(row)
    else:
        print_table("Extension", ("what", "value"), [(k, escape(v)) for k, v in row.items()], "")


@extensions.command("set")
def set_(
    context: typer.Context,
    extension: Number,
    password: Password = None,
    name: Name = None,
    pickup: Annotated[
        Reach | None,
        typer.Option(help="Whose calls it may pick up: anybody's, nobody's, or those of its groups."),
    ] = None,
    pickable: Annotated[Pickable | None, typer.Option(help="Whether others may pick up its calls.")] = None,
) -> None:
    """Change the password, the name, or what it may pick up; `default` is what the tenant says."""
    given = options(context)
    operations.change(
        given.desk(),
        given.tenant,
        extension,
        name=name,
        password=password,
        pickup=pickup and pickup.value,
        pickable=pickable and pickable.value,
    )
    print(f"extension {extension} changed")


@extensions.command()
def remove(context: typer.Context, extension: Number) -> None:
    """Remove an extension: its phones are unregistered, its watchers told."""
    given = options(context)
    operations.remove(given.desk(), given.tenant, extension)
    print(f"extension {extension} removed")


@extensions.command("import")
def import_(context: typer.Context, file: Path) -> None:
    """Add extensions from a CSV file with the header `extension,password,name`: all or none."""
    given = options(context)
    rows = table.read_file(file, operations.COLUMNS)
    added = operations.add_many(given.desk(), given.tenant, operations.read(rows))
    print(f"{added} extensions added")
