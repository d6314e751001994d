"""`blfd config ...`: what may be set in the configuration file."""

from __future__ import annotations

import typer

from blfd.cli.options import options
from blfd.cli.output import print_json

config = typer.Typer(no_args_is_help=True, help="What may be set in the configuration file.")


@config.callback()
def _config() -> None:
    """So that it has commands, though there is one alone."""


@config.command()
def schema(context: typer.Context) -> None:
    """JSON Schema of the TOML file, for editors; needs neither --db nor --config."""
    from blfd.config.file import File

    options(context).of_no_tenant("the configuration is that of the whole server")
    print_json(File.model_json_schema())
