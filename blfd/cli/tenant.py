"""`blfd tenant ...`: SIP domains that never see each other."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Annotated, Any

import typer

from blfd.cli.output import options, print_json, print_table
from blfd.core.values import DEFAULT_TENANT

tenants = typer.Typer(no_args_is_help=True, help="Add, show, change and remove tenants (SIP domains).")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="Such as acme.example.")]
Alias = Annotated[
    list[str] | None, typer.Option(help="Another name of the domain; may be given several times.")
]


class Switch(Enum):
    ON = "on"
    OFF = "off"


@tenants.command()
def add(context: typer.Context, domain: Domain, alias: Alias = None) -> None:
    """Add a tenant."""
    given = options(context)
    given.store().add_tenant(domain, alias or ())
    given.reload()
    print(f"tenant {domain.lower()} added")


@tenants.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """All tenants."""
    directory = options(context).store().directory()
    counts = Counter(aor.tenant for aor in directory.extensions)
    rows: list[dict[str, Any]] = [
        {
            "domain": tenant.domain,
            "aliases": list(tenant.aliases),
            "single_dialog": tenant.single_dialog,
            "extensions": counts[tenant.domain],
        }
        for tenant in directory.tenants.values()
    ]
    if as_json:
        print_json(rows)
        return
    cells = [
        (r["domain"], ", ".join(r["aliases"]), "on" if r["single_dialog"] else "off", r["extensions"])
        for r in rows
    ]
    print_table("Tenants", ("domain", "aliases", "single dialog", "extensions"), cells, "")


@tenants.command("set")
def set_(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN")] = DEFAULT_TENANT,
    single_dialog: Annotated[
        Switch | None, typer.Option(help="One dialog a NOTIFY, for phones that break on several.")
    ] = None,
    alias: Alias = None,
) -> None:
    """Change a tenant; aliases replace those of before."""
    given = options(context)
    single = None if single_dialog is None else single_dialog is Switch.ON
    given.store().set_tenant(domain.lower(), aliases=alias, single_dialog=single)
    given.reload()
    print(f"tenant {domain.lower()} changed")


@tenants.command()
def remove(context: typer.Context, domain: Domain) -> None:
    """Remove a tenant with all its extensions."""
    given = options(context)
    given.store().remove_tenant(domain.lower())
    given.reload()
    print(f"tenant {domain.lower()} removed")
