"""`blfd admin ...` and `blfd token ...`: who may use the portal and the API."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape

from blfd.cli.output import fail, options, print_json, print_table
from blfd.operations import admins as operations
from blfd.store.admins import Role

admins = typer.Typer(no_args_is_help=True, help="Who may sign in to the portal.")
tokens = typer.Typer(no_args_is_help=True, help="What programs show to the API.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as alice.")]
Tenant = Annotated[
    str | None, typer.Option(help="Of this tenant alone; without it, of the system with all tenants.")
]
Password = Annotated[str | None, typer.Option(help="Asked for on a terminal if left out.")]


@admins.command()
def add(
    context: typer.Context,
    name: Name,
    tenant: Tenant = None,
    role: Annotated[
        Role, typer.Option(help="An attendant sees lamps and who calls whom, a viewer lamps alone.")
    ] = Role.ADMINISTRATOR,
    password: Password = None,
) -> None:
    """Add an administrator."""
    desk = options(context).desk()
    row = operations.add(desk, name, password or _asked(name), tenant and tenant.lower(), role)
    print(f"administrator {row['name']} added, {f'of {tenant.lower()}' if tenant else 'of the system'}")


@admins.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """All administrators, of the system and of tenants."""
    rows = operations.all(options(context).desk())
    if as_json:
        print_json(rows)
        return
    cells = [tuple(escape(row[column] or "all") for column in ("name", "tenant", "role")) for row in rows]
    print_table("Administrators", ("name", "tenant", "role"), cells, "none; 'blfd admin add' adds one")


@admins.command("password")
def password_(context: typer.Context, name: Name, password: Password = None) -> None:
    """Give a new password; signs out everywhere."""
    operations.change(options(context).desk(), name, password=password or _asked(name))
    print(f"administrator {name} has a new password")


@admins.command("role")
def role_(context: typer.Context, name: Name, role: Annotated[Role, typer.Argument()]) -> None:
    """Give another role in the tenant; it holds at once."""
    row = operations.change(options(context).desk(), name, role=role)
    print(f"administrator {row['name']} has the role {row['role']} now")


@admins.command()
def remove(context: typer.Context, name: Name) -> None:
    """Remove an administrator; signs out everywhere."""
    operations.remove(options(context).desk(), name)
    print(f"administrator {name} removed")


def _asked(name: str) -> str:
    if not sys.stdin.isatty():
        fail(f"administrator {name} needs a password: give --password")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer


@tokens.command("add")
def add_token(
    context: typer.Context,
    name: Name,
    scope: Annotated[list[str], typer.Option(help="lamps, callers, read, write; of the system also system.")],
    tenant: Tenant = None,
) -> None:
    """Make a token, and print it: it is not shown again."""
    _, secret = operations.add_token(options(context).desk(), tenant and tenant.lower(), name, scope)
    print(secret)


@tokens.command("list")
def list_tokens(context: typer.Context, tenant: Tenant = None, as_json: Json = False) -> None:
    """The tokens of a tenant, or of the system."""
    rows = operations.tokens(options(context).desk(), tenant and tenant.lower())
    if as_json:
        print_json(rows)
        return
    cells = [(escape(row["name"]), " ".join(row["scopes"]), _when(row["used_at"])) for row in rows]
    print_table("Tokens", ("name", "scopes", "last used"), cells, "none; 'blfd token add' makes one")


@tokens.command("remove")
def remove_token(context: typer.Context, name: Name, tenant: Tenant = None) -> None:
    """Remove a token: it opens nothing from now on."""
    operations.remove_token(options(context).desk(), tenant and tenant.lower(), name)
    print(f"token {name} removed")


def _when(at: float | None) -> str:
    return "never" if at is None else datetime.fromtimestamp(at).isoformat(" ", "minutes")
