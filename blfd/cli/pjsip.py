"""`blfd pjsip`: the library that carries calls, where no package of this Python brings it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blfd.cli.options import options
from blfd.pjsip.wheel import VERSION, is_there, shared_object
from blfd.pjsip.wheel import install as bring

pjsip = typer.Typer(no_args_is_help=True, help="See where PJSIP is, and bring it for any Python.")


OF_ALL = "PJSIP is the same for all tenants"


@pjsip.command()
def install(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="The wheel, where this machine reaches no package index.")
    ] = None,
    if_missing: Annotated[bool, typer.Option("--if-missing", help="Only where there is none.")] = False,
) -> None:
    """Fetch the wheel by pip, check it, unpack it beside this Python; needs neither --db nor --config."""
    options(context).of_no_tenant(OF_ALL)
    if if_missing and is_there():
        print(f"PJSIP {VERSION} is there already: {shared_object()}")
        return
    print(f"PJSIP {VERSION} is in {bring(file)}")


@pjsip.command()
def show(context: typer.Context) -> None:
    """Which file is opened; needs neither --db nor --config."""
    options(context).of_no_tenant(OF_ALL)
    print(shared_object())
