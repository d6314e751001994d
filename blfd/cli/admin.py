"""`blfd admin ...` and `blfd token ...`: who may use the portal and the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from blfd.cli.asking import Password, Yes, agreed, password_of
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import options
from blfd.cli.output import Json
from blfd.core.advice import command
from blfd.core.values import DEFAULT_TENANT
from blfd.operations import Desk
from blfd.operations import admins as operations
from blfd.store.admins import Role

admins = typer.Typer(no_args_is_help=True, help="Who may sign in to the portal.")
tokens = typer.Typer(no_args_is_help=True, help="What programs show to the API.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as alice.")]
TokenName = Annotated[str, typer.Argument(metavar="NAME", help="Such as crm.")]
Tenant = Annotated[
    str | None,
    typer.Option(help="Of this tenant alone; without it, here or before the command, of the whole system."),
]

Whose = Annotated[str | None, typer.Option(help="One of this tenant, by the name in it.")]


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
    given = options(context)
    whose = given.tenant_or_system(tenant)
    row = operations.add(given.desk, name, password_of(f"administrator {name}", password), whose, role)
    of = f"of {whose}" if whose else "of the system"
    print(
        f"administrator {row['name']} added, {of}; 'blfd run --web http://127.0.0.1:8088' serves the portal"
    )


@admins.command("list")
def list_(
    context: typer.Context,
    tenant: Tenant = None,
    only: Only = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """All administrators, of the system and of tenants; or those of one tenant."""
    given = options(context)
    whose = given.tenant_or_system(tenant)
    rows = operations.all(given.desk, whose)
    columns = ("name", "tenant", "role")
    print_list(
        "Administrators",
        columns,
        rows,
        f"none; {command(DEFAULT_TENANT, 'admin', 'add', 'NAME', *_of(whose))} adds one",
        Chosen(only, sort, limit),
        as_json,
        lambda row: [row[column] or "all" for column in columns],
    )


@admins.command("password")
def password_(context: typer.Context, name: Name, tenant: Whose = None, password: Password = None) -> None:
    """Give a new password; signs out everywhere."""
    desk, name = _found(context, name, tenant)
    operations.change(desk, name, password=password_of(f"administrator {name}", password))
    print(f"administrator {name} has a new password")


@admins.command("role")
def role_(
    context: typer.Context,
    name: Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="administrator, attendant or viewer.")],
    tenant: Whose = None,
) -> None:
    """Give another role in the tenant; it holds at once."""
    row = operations.change(*_found(context, name, tenant), role=role)
    print(f"administrator {row['name']} has the role {row['role']} now")


@admins.command()
def remove(context: typer.Context, name: Name, tenant: Whose = None, yes: Yes = False) -> None:
    """Remove an administrator; signs out everywhere."""
    desk, name = _found(context, name, tenant)
    operations.remove(desk, name, agreed("Remove", lambda: operations.loss(desk, name), yes))
    print(f"administrator {name} removed")


def _found(context: typer.Context, name: str, tenant: str | None) -> tuple[Desk, str]:
    """The full name of one who exists: of the tenant, if one is named."""
    given = options(context)
    return given.desk, operations.get(given.desk, name, given.tenant_or_system(tenant))["name"]


@tokens.command("add")
def add_token(
    context: typer.Context,
    name: TokenName,
    scope: Annotated[list[str], typer.Option(help="lamps, callers, read, write; of the system also system.")],
    tenant: Tenant = None,
) -> None:
    """Make a token, and print it: it is not shown again."""
    given = options(context)
    _, secret = operations.add_token(given.desk, given.tenant_or_system(tenant), name, scope)
    print(secret)


@tokens.command("list")
def list_tokens(
    context: typer.Context,
    tenant: Tenant = None,
    only: Only = None,
    sort: Sort = None,
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """The tokens of a tenant, or of the system."""
    given = options(context)
    whose = given.tenant_or_system(tenant)
    rows = operations.tokens(given.desk, whose)
    print_list(
        "Tokens",
        ("name", "scopes", "last used"),
        rows,
        f"none; {command(DEFAULT_TENANT, 'token', 'add', 'NAME', *_of(whose))} makes one",
        Chosen(only, sort, limit),
        as_json,
        lambda row: (row["name"], " ".join(row["scopes"]), _when(row["used_at"])),
    )


@tokens.command("remove")
def remove_token(context: typer.Context, name: TokenName, tenant: Tenant = None, yes: Yes = False) -> None:
    """Remove a token: it opens nothing from now on."""
    given = options(context)
    whose = given.tenant_or_system(tenant)
    agreed("Remove", lambda: operations.token_loss(given.desk, whose, name), yes)
    operations.remove_token(given.desk, whose, name)
    print(f"token {name} removed")


def _when(at: float | None) -> str:
    return "never" if at is None else datetime.fromtimestamp(at).isoformat(" ", "minutes")


def _of(tenant: str | None) -> tuple[str, ...]:
    """The option for what is of a tenant, the default one too, and not of the system."""
    return () if tenant is None else ("--tenant", tenant)
