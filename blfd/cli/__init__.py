"""The command line. No logic: it reads and writes the store, and asks the running server."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from blfd import __version__
from blfd.cli import panels
from blfd.cli.options import Options
from blfd.cli.output import fail, fail_with
from blfd.cli.run import add_running
from blfd.config import CONFIG_FILE, ConfigError
from blfd.control import ControlError, NotRunning


class Commands(TyperGroup):
    """Commands: those of `run` are there at once, all others when one of them, or the list, is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        self._load()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            self._load()
        return super().get_command(ctx, cmd_name)

    def _load(self) -> None:
        found = {**self.commands, **_others()}
        in_order = sorted(found, key=lambda name: panels.ORDER.index(found[name].rich_help_panel))
        self.commands = {name: found[name] for name in in_order}


@cache
def _others() -> dict[str, Any]:
    """All commands but those of `run`: to put them together takes longer than most of them take."""
    from blfd.cli.commands import app as others

    found: dict[str, Any] = getattr(typer.main.get_command(others), "commands", {})
    return found


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)
add_running(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"blfd {__version__}")
        raise typer.Exit


def _tenants(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    from blfd.cli import known

    return known.tenants(ctx, incomplete)


@app.callback()
def _global(
    context: typer.Context,
    db: Annotated[
        Path | None, typer.Option(help="Database file, made at first use; blfd.db if left out.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(envvar=CONFIG_FILE, help="TOML file; see docs/configuration.md.")
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(
            help="SIP domain that the command is for; the default tenant if left out.",
            autocompletion=_tenants,
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A BLF presence server with call pickup: phones see each other's lamps."""
    context.obj = Options(db, config, tenant)


def _mistakes() -> tuple[type[Exception], ...]:
    """What is told in one line; asked for only when something has been raised."""
    from blfd.pjsip.wheel import PjsipMissing
    from blfd.store import StoreError
    from provisioning import ProvisioningError

    return StoreError, ConfigError, ControlError, PjsipMissing, ProvisioningError


def _refuse_doubled(words: list[str]) -> None:
    """End the command where an option is given twice."""
    names = [word.partition("=")[0] for word in words if word.startswith("--")]
    if len(set(names)) == len(names):  # which needs no look at what the commands have
        return
    from blfd.cli.usage import doubled

    if text := doubled(typer.main.get_command(app), words):
        fail(text, 2)


def main() -> None:
    """Run the command; errors are one line on standard error.

    Exit codes: 0, 1 for an error, 2 for wrong usage, 3 where no server runs.
    """
    try:
        _refuse_doubled(sys.argv[1:])
        sys.exit(app(standalone_mode=False))
    except NotRunning as error:
        fail(f"no server runs on this database ({error}); start one with 'blfd run'", 3)
    except _mistakes() as error:
        fail_with(getattr(error, "lines", (str(error),)))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        from blfd.cli.usage import told

        code = getattr(error, "exit_code", 2)
        if text := told(error, typer.main.get_command(app), sys.argv[1:]):
            fail(text, code)
        sys.exit(code)
