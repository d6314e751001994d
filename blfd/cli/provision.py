"""`blfd provision ...`: the files of provisioned phones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from blfd.cli.output import fail, options, print_json, print_table
from blfd.phones import EVERYWHERE
from blfd.store import StoreError
from provisioning import ProvisioningError, find, normal_mac
from provisioning import models as known_models

provision = typer.Typer(no_args_is_help=True, help="Show and override what provisioned phones are told.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Mac = Annotated[str, typer.Argument(metavar="MAC", help="Such as 80:5e:c0:12:34:56.")]
Scope = Annotated[
    str,
    typer.Argument(metavar="SCOPE", help="`*` for all, yealink, yealink/t54w, or the MAC of one phone."),
]
Setting = Annotated[str, typer.Argument(metavar="NAME", help="As `show --explain` names it.")]


@provision.command()
def show(
    context: typer.Context,
    mac: Mac,
    explain: Annotated[bool, typer.Option("--explain", help="Say where each setting comes from.")] = False,
    as_json: Json = False,
) -> None:
    """The files that a phone fetches, with its password."""
    given = options(context)
    phones = given.phones()
    row = phones.get(given.tenant, mac)
    if explain:
        settings = phones.settings(row)
        if as_json:
            print_json([setting._asdict() for setting in settings])
            return
        cells = [tuple(escape(cell) for cell in setting) for setting in settings]
        print_table("Settings", ("name", "value", "from"), cells, "")
        return
    files = phones.files(row)
    if as_json:
        print_json({name: content.decode() for name, content in files.items()})
        return
    from rich.syntax import Syntax  # which takes as long to load as all the rest

    console = Console()
    for name, content in files.items():
        console.rule(escape(name))
        lexer = "xml" if content.startswith(b"<?xml") else "ini"
        console.print(Syntax(content.decode(), lexer, background_color="default", word_wrap=True))


@provision.command()
def write(context: typer.Context, folder: Path) -> None:
    """Write the files of all phones of the tenant into a folder, for another server to serve."""
    given = options(context)
    phones = given.phones()
    rendered = [phones.files(row) for row in phones.all(given.tenant)]  # all, before one is written
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for files in rendered:
            for name, content in files.items():
                path = folder / name
                path.touch(mode=0o600)  # it holds a password
                path.write_bytes(content)
    except OSError as error:
        fail(f"{error.filename or folder}: {error.strerror}")
    print(f"files of {len(rendered)} devices written to {folder}")


@provision.command()
def models(as_json: Json = False) -> None:
    """The phones that are known, and how many keys they have."""
    rows = [
        {
            "model": model.path,
            "keys": model.keys,
            "modules": f"{model.modules} x {model.module_keys}" if model.modules else "",
            "extensions": model.accounts,
        }
        for model in known_models()
    ]
    if as_json:
        print_json(rows)
    else:
        print_table("Models", tuple(rows[0]), [tuple(row.values()) for row in rows], "")


@provision.command("set")
def set_(
    context: typer.Context,
    scope: Scope,
    name: Setting,
    value: Annotated[
        str | None, typer.Argument(help="Without it, the phone is not told the setting.")
    ] = None,
) -> None:
    """Override a setting for all phones, a vendor's, a model's or one."""
    given = options(context)
    given.store().tenant(given.tenant)
    given.store().devices.set(given.tenant, _scope(scope), name, value)
    print(
        f"{name} is {'left out' if value is None else 'set'} for {scope}; phones take it at their next fetch"
    )


@provision.command()
def unset(context: typer.Context, scope: Scope, name: Setting) -> None:
    """Take an override back."""
    given = options(context)
    given.store().devices.unset(given.tenant, _scope(scope), name)
    print(f"{name} is no longer set for {scope}")


def _scope(text: str) -> str:
    """Raises StoreError for what no phone can be in."""
    vendors = {model.vendor for model in known_models()}
    if text == EVERYWHERE or text in vendors:
        return text
    try:
        return find(text).path if "/" in text else normal_mac(text)
    except ProvisioningError as error:
        raise StoreError(f"scope {text!r}: {error}; or *, or one of {', '.join(sorted(vendors))}") from None
