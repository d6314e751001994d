"""`blfd provision template ...`: a site's own files in the place of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blfd.cli.asking import Yes, agreed
from blfd.cli.lists import Chosen, Limit, Only, Sort, print_list
from blfd.cli.options import Options, options
from blfd.cli.output import Json
from blfd.operations import overrides
from blfd.store import StoreError

template = typer.Typer(no_args_is_help=True, help="Put a site's own templates in the place of ours.")

Scope = Annotated[str, typer.Argument(metavar="SCOPE", help="A maker (yealink) or a model (yealink/t54w).")]


@template.command("set")
def set_(
    context: typer.Context,
    scope: Scope,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The template, in UTF-8.")],
) -> None:
    """Have phones of a maker or a model, of all tenants, get the file that this Jinja2 template makes."""
    try:
        source = file.read_text("utf-8")
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StoreError(f"{file} is not UTF-8; save it as that") from None
    overrides.set_template(_options(context).desk, overrides.template_scope(scope), source)
    print(f"template set for {scope}; phones take it at their next fetch")


@template.command()
def show(context: typer.Context, scope: Scope) -> None:
    """A template as it was set."""
    print(_options(context).store.overrides.template(overrides.template_scope(scope)), end="")


@template.command()
def unset(context: typer.Context, scope: Scope, yes: Yes = False) -> None:
    """Take a template back: phones get our file again."""
    desk, found = _options(context).desk, overrides.template_scope(scope)
    agreed("Take back", lambda: overrides.template_loss(desk, found), yes)
    overrides.unset_template(desk, found)
    print(f"template of {scope} taken back; phones take ours at their next fetch")


@template.command("list")
def list_(
    context: typer.Context, only: Only = None, sort: Sort = None, limit: Limit = None, as_json: Json = False
) -> None:
    """All templates, and how long they are."""
    found = _options(context).store.overrides.templates()
    rows = [{"scope": scope, "lines": len(source.splitlines())} for scope, source in found.items()]
    empty = "none; phones get our own files"
    print_list("Templates", ("scope", "lines"), rows, empty, Chosen(only, sort, limit), as_json)


def _options(context: typer.Context) -> Options:
    given = options(context)
    given.of_no_tenant("templates are for the phones of all tenants")
    return given
