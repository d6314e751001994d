"""The command line. No logic: it reads and writes the store, and asks the running server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from blfd import __version__
from blfd.cli.admin import admins, tokens
from blfd.cli.changes import add_changes
from blfd.cli.device import devices
from blfd.cli.extension import extensions
from blfd.cli.group import groups
from blfd.cli.inspect import add_inspecting
from blfd.cli.options import Options
from blfd.cli.output import fail, fail_with
from blfd.cli.pickup import add_pickup
from blfd.cli.provision import provision
from blfd.cli.run import add_running
from blfd.cli.tenant import tenants
from blfd.config import ConfigError
from blfd.control import ControlError, NotRunning
from blfd.store import StoreError
from provisioning import ProvisioningError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(admins, name="admin")
app.add_typer(tokens, name="token")
app.add_typer(devices, name="device")
app.add_typer(extensions, name="extension")
app.add_typer(groups, name="group")
app.add_typer(provision, name="provision")
app.add_typer(tenants, name="tenant")
add_inspecting(app)
add_pickup(app)
add_changes(app)
add_running(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"blfd {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    context: typer.Context,
    db: Annotated[
        Path | None, typer.Option(help="Database file, made at first use; blfd.db if left out.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file; see docs/configuration.md.")] = None,
    tenant: Annotated[
        str | None, typer.Option(help="SIP domain that the command is for; the default tenant if left out.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A BLF presence server with call pickup: phones see each other's lamps."""
    context.obj = Options(db, config, tenant)


def main() -> None:
    """Run the command; errors are one line on standard error.

    Exit codes: 0, 1 for an error, 2 for wrong usage, 3 where no server runs.
    """
    try:
        sys.exit(app(standalone_mode=False))
    except NotRunning as error:
        fail(f"no server runs on this database ({error}); start one with 'blfd run'", 3)
    except StoreError as error:
        fail_with(error.lines)
    except (ConfigError, ControlError, ProvisioningError) as error:
        fail(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        say = getattr(error, "format_message", None)  # wrong usage, in click's or typer's own classes
        if say is None:
            raise
        if say():  # empty where the help has been printed
            fail(f"{say()} See 'blfd --help'.", getattr(error, "exit_code", 2))
        sys.exit(getattr(error, "exit_code", 2))
