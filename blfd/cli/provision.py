"""`blfd provision ...`: the files of provisioned phones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from blfd.cli import known
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import Options, options
from blfd.cli.output import Json, fail, print_json, print_lines, print_notes, print_table
from blfd.cli.progress import watched
from blfd.cli.template import template as template_commands
from blfd.devices.phones import Phones
from blfd.operations import overrides
from blfd.store.devices import DeviceRow
from provisioning import COMMON
from provisioning import models as known_models

provision = typer.Typer(no_args_is_help=True, help="Show and override what provisioned phones are told.")
provision.add_typer(template_commands, name="template")

Mac = Annotated[
    str, typer.Argument(metavar="MAC", help="Such as 80:5e:c0:12:34:56.", autocompletion=known.devices)
]
Scope = Annotated[
    str,
    typer.Argument(metavar="SCOPE", help="`*` for all, yealink, yealink/t54w, or the MAC of one phone."),
]
Setting = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="One that `settings` lists, or a maker's as `show --explain` names it."
    ),
]

AllTenants = Annotated[bool, typer.Option("--all-tenants", help="For the phones of every tenant.")]


@provision.command()
def show(
    context: typer.Context,
    mac: Mac,
    explain: Annotated[bool, typer.Option("--explain", help="Say where each setting comes from.")] = False,
    as_json: Json = False,
) -> None:
    """The files that a phone fetches, with its password."""
    given = options(context)
    phones = given.phones
    row = phones.get(given.tenant, mac)
    if explain:
        _explain(phones, row, as_json)
        return
    files = phones.files(row)
    if as_json:
        print_json({name: content.decode() for name, content in files.items()})
        return
    from rich.syntax import Syntax  # which takes as long to load as all the rest

    console = Console()
    for name, content in files.items():
        console.rule(Text(name))
        if not console.is_terminal:  # whoever keeps it wants each line as the phone gets it
            print(content.decode())
            continue
        lexer = "xml" if content.startswith(b"<?xml") else "ini"
        console.print(Syntax(content.decode(), lexer, background_color="default", word_wrap=True))


def _explain(phones: Phones, row: DeviceRow, as_json: bool) -> None:
    found, template, untold = phones.settings(row), phones.template(row), phones.untold(row)
    used = f"of this site, for {template.scope}" if template else "blfd's own"
    if as_json:
        of_all = [setting._asdict() for setting in found]
        print_json({"template": used, "settings": of_all, "untold": untold})
        return
    print_table(f"Settings (template: {used})", ("name", "value", "from"), found, "")
    print_lines(f"not told: {note}" for note in untold)


@provision.command()
def write(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="It is made if it is missing.")],
) -> None:
    """Write the files of all phones of the tenant into a folder, for another server to serve."""
    given = options(context)
    phones = given.phones
    rows = phones.all(given.tenant)
    # All, before one is written.
    files, survey = dict[str, bytes](), phones.survey(given.tenant)
    for row in watched(rows, len(rows), "Making files"):
        files |= phones.of_folder(row, survey)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in watched(files.items(), len(files), "Writing files"):
            path = folder / name
            path.touch(mode=0o600)  # it holds a password
            path.chmod(0o600)  # and may have been there
            path.write_bytes(content)
    except OSError as error:
        fail(f"{error.filename or folder}: {error.strerror}")
    print(f"files of {len(rows)} devices written to {folder}")


@provision.command()
def models(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """The phones that are known, and how many keys they have; needs neither database nor server."""
    options(context).of_no_tenant("blfd knows the same phones for all tenants")
    rows = [
        {
            "model": model.path,
            "keys": model.keys,
            "modules": f"{model.modules} x {model.module_keys}" if model.modules else "",
            "extensions": model.accounts,
        }
        for model in known_models()
    ]
    print_list("Models", tuple(rows[0]), rows, "", Chosen(only, sort, limit), as_json)


@provision.command()
def settings(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """The settings that have one name for all makers, and their values; needs neither database nor server."""
    options(context).of_no_tenant("settings have the same names for all tenants")
    rows = [
        {"name": name, "values": each.values, "default": each.default, "what": each.help}
        for name, each in COMMON.items()
    ]
    chosen = Chosen(only, sort, limit)
    print_list("Settings for all makers", tuple(rows[0]), rows, "", chosen, as_json)


@provision.command("set")
def set_(
    context: typer.Context,
    scope: Scope,
    name: Setting,
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="Without it, phones are not told the setting.")
    ] = None,
    all_tenants: AllTenants = False,
) -> None:
    """Override a setting for all phones, a maker's, a model's or one."""
    given = options(context)
    notes = overrides.set(given.desk, _tenant(given, all_tenants), scope, name, value)
    print(
        f"{name} is {'left out' if value is None else 'set'} for {scope}; phones take it at their next fetch"
    )
    print_notes(notes)


@provision.command()
def unset(context: typer.Context, scope: Scope, name: Setting, all_tenants: AllTenants = False) -> None:
    """Take an override back."""
    given = options(context)
    overrides.unset(given.desk, _tenant(given, all_tenants), scope, name)
    print(f"{name} is no longer set for {scope}")


def _tenant(given: Options, all_tenants: bool) -> str | None:
    """The tenant that is meant, None for all. Raises StoreError for one that does not exist."""
    if not all_tenants:
        return given.tenant
    given.of_no_tenant("--all-tenants is for all")
    return None
