"""`blfd tenant ...`: SIP domains that never see each other."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from blfd.cli import known
from blfd.cli.asking import Yes, agreed
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import Options, Switch, options
from blfd.cli.output import Json, fail, print_json, print_table
from blfd.core.directory import DndLamp, Owner, Reach, StarCodes, Whose
from blfd.operations import tenants as operations

tenants = typer.Typer(no_args_is_help=True, help="Add, show, change and remove tenants (SIP domains).")

Domain = Annotated[
    str, typer.Argument(metavar="DOMAIN", help="Such as acme.example.", autocompletion=known.tenants)
]
Meant = Annotated[
    str | None,
    typer.Argument(
        metavar="DOMAIN",
        help="Without it, that of --tenant, or the default one.",
        autocompletion=known.tenants,
    ),
]
Alias = Annotated[
    list[str] | None, typer.Option(help="Another name of the domain; may be given several times.")
]

LISTED = ("domain", "aliases", "codes", "extensions")
"""Columns of the list, in which domains have room; `show` and --json have all settings."""


def _star_codes(given: list[str] | None) -> dict[str, str] | None:
    """Codes by name, of what was given as `NAME=CODE`."""
    if given is None:
        return None
    found: dict[str, str] = {}
    for each in given:
        name, sign, code = each.partition("=")
        if sign:
            found[name] = code
        elif name == "default":
            found |= asdict(StarCodes())
        elif name == "none":
            found |= dict.fromkeys(asdict(StarCodes()), "")
        else:
            fail(f"--star-code {each}: it is NAME=CODE, such as dnd=*78", 2)
    return found


def _is_on(switch: Switch | None) -> bool | None:
    return None if switch is None else switch is Switch.ON


@tenants.command()
def add(context: typer.Context, domain: Domain, alias: Alias = None) -> None:
    """Add a tenant."""
    given = _options(context, domain)
    operations.add(given.desk, domain, alias or ())
    print(f"tenant {domain.lower()} added")


@tenants.command("list")
def list_(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """All tenants; `show` and --json have all that is set."""
    given = options(context)
    given.of_no_tenant("this shows all tenants")
    print_list(
        "Tenants",
        LISTED,
        operations.all(given.desk),
        "",
        Chosen(only, sort, limit),
        as_json,
        lambda row: (
            row["domain"],
            _cell(row["aliases"]),
            f"{row['pickup_code']} {row['group_pickup_code']}",
            row["extensions"],
        ),
    )


@tenants.command()
def show(context: typer.Context, domain: Meant = None, as_json: Json = False) -> None:
    """One tenant: what is set."""
    given = _options(context, domain)
    row = operations.get(given.desk, given.tenant if domain is None else domain.lower())
    if as_json:
        print_json(row)
        return
    rows = [(name.replace("_", " "), _cell(value)) for name, value in row.items()]
    print_table(f"Tenant {row['domain']}", ("setting", "value"), rows, "")


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return " ".join(code for code in value.values() if code)
    return ", ".join(value) if isinstance(value, list) else str(value)


@tenants.command("set")
def set_(
    context: typer.Context,
    domain: Meant = None,
    single_dialog: Annotated[
        Switch | None, typer.Option(help="One dialog a NOTIFY, for phones that break on several.")
    ] = None,
    alias: Alias = None,
    pickup_code: Annotated[str | None, typer.Option(help="Dialled before an extension, such as *97.")] = None,
    group_pickup_code: Annotated[str | None, typer.Option(help="Dialled alone, such as *98.")] = None,
    pickup: Annotated[
        Reach | None,
        typer.Option(help="Whose calls an extension may pick up that says nothing else."),
    ] = None,
    pickable: Annotated[
        Switch | None, typer.Option(help="Whether the calls of one that says nothing else may be picked up.")
    ] = None,
    owner: Annotated[
        Owner | None,
        typer.Option(help="Who knows the state of one that says nothing else: blfd, or who publishes it."),
    ] = None,
    dnd_lamp: Annotated[
        DndLamp | None, typer.Option(help="What the lamp of one shows that does not want to be disturbed.")
    ] = None,
    redirect: Annotated[
        Whose | None,
        typer.Option(help="When one phone of several forwards a call: for all, or for that phone alone."),
    ] = None,
    decline: Annotated[
        Whose | None, typer.Option(help="When one phone of several declines (603): the same.")
    ] = None,
    star_code: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=CODE",
            help="What an extension dials to set its own rules, such as dnd=*78, or dnd= for nothing; "
            "'none' for none at all, 'default' for those of the beginning. May be given several times.",
        ),
    ] = None,
    feature_sync: Annotated[
        Switch | None,
        typer.Option(help="Whether phones show and set their extension's do not disturb and forwarding."),
    ] = None,
    send_outside: Annotated[
        Switch | None, typer.Option(help="Whether calls may be forwarded and transferred outside.")
    ] = None,
) -> None:
    """Change a tenant; aliases replace those of before."""
    given = _options(context, domain)
    domain = given.tenant if domain is None else domain.lower()
    operations.change(
        given.desk,
        domain,
        aliases=alias,
        single_dialog=_is_on(single_dialog),
        pickup_code=pickup_code,
        group_pickup_code=group_pickup_code,
        pickup=pickup,
        pickable=_is_on(pickable),
        owner=owner,
        dnd_lamp=dnd_lamp,
        redirect=redirect,
        decline=decline,
        star_codes=_star_codes(star_code),
        feature_sync=_is_on(feature_sync),
        send_outside=_is_on(send_outside),
    )
    print(f"tenant {domain} changed")


@tenants.command()
def remove(context: typer.Context, domain: Domain, yes: Yes = False) -> None:
    """Remove a tenant with all its extensions."""
    desk, domain = _options(context, domain).desk, domain.lower()
    operations.remove(desk, domain, agreed("Remove", lambda: operations.loss(desk, domain), yes))
    print(f"tenant {domain} removed")


def _options(context: typer.Context, domain: str | None) -> Options:
    """The options of a command whose tenant is an argument: --tenant may not name another one."""
    given = options(context)
    if domain and given.given_tenant and domain.lower() != given.given_tenant.lower():
        fail(f"which tenant is meant, {domain} or --tenant {given.given_tenant}?", 2)
    return given
