"""`blfd extension ...`: the accounts of a tenant."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from blfd.cli import known
from blfd.cli.asking import Password, Yes, agreed, password_of
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import Switch, options
from blfd.cli.output import Json, print_json, print_notes, print_table
from blfd.cli.tables import All, File, Out, Update, first_of_wrong, import_help, lines_of, print_octets
from blfd.core.advice import command
from blfd.operations import extensions as operations
from blfd.operations import renumbering
from blfd.store import NewExtension

extensions = typer.Typer(no_args_is_help=True, help="Add, show, change and remove extensions.")

Number = Annotated[
    str,
    typer.Argument(
        metavar="EXTENSION", help="Letters and digits, such as 101.", autocompletion=known.extensions
    ),
]
ENDS = "`off` ends it"
Name = Annotated[str | None, typer.Option(help="Shown to those whom it calls, or who watch it.")]


class Reach(Enum):
    """The values of `blfd.core.directory.Reach`, and that of the tenant."""

    ON = "on"
    OFF = "off"
    GROUPS = "groups"
    DEFAULT = "default"


class Owner(Enum):
    """The values of `blfd.core.directory.Owner`, and that of the tenant."""

    LOCAL = "local"
    PUBLISHED = "published"
    UPSTREAM = "upstream"
    DEFAULT = "default"


class Pickable(Enum):
    ON = "on"
    OFF = "off"
    DEFAULT = "default"


@extensions.command()
def add(
    context: typer.Context,
    extension: Number,
    password: Password = None,
    name: Name = "",
    force: Annotated[bool, typer.Option("--force", help="Although it is an emergency number.")] = False,
) -> None:
    """Add an extension."""
    given = options(context)
    tenant = given.tenant  # before anything is asked
    new = NewExtension(extension, password_of(f"extension {extension}", password), name or "")
    operations.add(given.desk, tenant, new, force=force)
    print(f"extension {extension} added")


@extensions.command("list")
def list_(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """All extensions of the tenant."""
    given = options(context)
    rows = operations.all(given.desk, given.tenant)
    columns = ("extension", "name", "pickup", "pickable")
    print_list(
        "Extensions",
        (*columns, "forwarded"),
        rows,
        f"none; add one with {command(given.tenant, 'extension', 'add')}",
        Chosen(only, sort, limit),
        as_json,
        lambda row: (*(row[column] for column in columns), operations.goes(row)),
    )


@extensions.command()
def show(context: typer.Context, extension: Number, as_json: Json = False) -> None:
    """One extension."""
    given = options(context)
    row = operations.get(given.desk, given.tenant, extension)
    if as_json:
        print_json(row)
    else:
        written = {**row, "dnd": "on" if row["dnd"] else "off"}  # as `set` takes it
        print_table("Extension", ("what", "value"), written.items(), "")


@extensions.command("set")
def set_(
    context: typer.Context,
    extension: Number,
    password: Annotated[str | None, typer.Option(help="Another one; without it, the old one stays.")] = None,
    name: Name = None,
    pickup: Annotated[
        Reach | None,
        typer.Option(help="Whose calls it may pick up: anybody's, nobody's, or those of its groups."),
    ] = None,
    pickable: Annotated[Pickable | None, typer.Option(help="Whether others may pick up its calls.")] = None,
    owner: Annotated[
        Owner | None,
        typer.Option(help="Who knows its state: blfd, which carries its calls, or whoever publishes it."),
    ] = None,
    publish: Annotated[
        Switch | None, typer.Option(help="Whether it may publish the state of all of its tenant.")
    ] = None,
    withhold: Annotated[
        Switch | None,
        typer.Option(help="Whether its number is not shown outside, unless dialled behind *68."),
    ] = None,
    dnd: Annotated[Switch | None, typer.Option(help="Do not disturb: nothing rings.")] = None,
    forward_always: Annotated[str | None, typer.Option(help=f"Where all its calls go; {ENDS}.")] = None,
    forward_busy: Annotated[
        str | None, typer.Option(help=f"Where calls go that are refused, or may not disturb; {ENDS}.")
    ] = None,
    forward_no_answer: Annotated[
        str | None, typer.Option(help=f"Where calls go that nobody answers; {ENDS}.")
    ] = None,
    forward_after: Annotated[int | None, typer.Option(help="Seconds until nobody answers.")] = None,
    forward_unregistered: Annotated[
        str | None, typer.Option(help=f"Where calls go while no phone can be reached; {ENDS}.")
    ] = None,
) -> None:
    """Change the password, the name, what it may pick up, who knows its state, or where its calls go.

    `default` is what the tenant says.
    """
    given = options(context)
    targets = {
        "forward_always": forward_always,
        "forward_busy": forward_busy,
        "forward_no_answer": forward_no_answer,
        "forward_unregistered": forward_unregistered,
    }
    operations.change(
        given.desk,
        given.tenant,
        extension,
        name=name,
        password=password,
        pickup=pickup and pickup.value,
        pickable=pickable and pickable.value,
        owner=owner and owner.value,
        publish=publish and publish.value,
        withhold=withhold and withhold.value,
        forwarding={
            "dnd": dnd and dnd is Switch.ON,
            "forward_after": forward_after,
            **{name: "" if target == "off" else target for name, target in targets.items()},
        },
    )
    print(f"extension {extension} changed")


@extensions.command()
def renumber(
    context: typer.Context,
    extension: Number,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The number that it gets.")],
    password: Password = None,
    force: Annotated[bool, typer.Option("--force", help="Although it is an emergency number.")] = False,
) -> None:
    """Give an extension another number: groups, keys, forwarding, trunks and phones' lines go along.

    The password is said again, also if it stays: only a hash is kept, which has the number in it.
    Its phones are unregistered, its watchers told.
    """
    given = options(context)
    desk, tenant = given.desk, given.tenant
    operations.get(desk, tenant, extension)  # before anything is asked
    wanted = password_of(f"extension {new}", password)
    done = renumbering.renumber(desk, tenant, extension, new, wanted, force=force)
    print(f"extension {extension} is {new} now")
    print_notes([*(note.removesuffix(".") for note in done.notes), *renumbering.fetching(done)])


@extensions.command()
def remove(context: typer.Context, extension: Number, yes: Yes = False) -> None:
    """Remove an extension: its phones are unregistered, its watchers told."""
    given = options(context)
    desk, tenant = given.desk, given.tenant
    expected = agreed("Remove", lambda: operations.loss(desk, tenant, extension), yes)
    operations.remove(desk, tenant, extension, expected)
    print(f"extension {extension} removed")


@extensions.command("import", help=import_help("extensions", operations.COLUMNS))
def import_(context: typer.Context, file: File, update: Update = False, every: All = False) -> None:
    given = options(context)
    desk, tenant = given.desk, given.tenant
    with first_of_wrong(every):
        new = operations.read(desk, tenant, lines_of(file, operations.COLUMNS), update)
        print(operations.put_many(desk, tenant, new, update).said("extensions"))


@extensions.command()
def export(context: typer.Context, file: Out = None) -> None:
    """All extensions as a CSV file that `import --update` takes; without their passwords."""
    given = options(context)
    content = operations.export(given.desk, given.tenant)
    print_octets(content, file)
    print_notes(
        ["passwords are kept as hashes alone, so that column is empty: an update leaves them as they are"]
    )
