"""`blfd backup` and `blfd restore`: the database in another file, and back."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from blfd.cli.asking import Yes, agreed
from blfd.cli.options import options
from blfd.cli.output import fail
from blfd.cli.panels import SITE
from blfd.cli.progress import waiting
from blfd.control import NotRunning
from blfd.operations.loss import Loss
from blfd.store import backups

OF_ALL = "the database has all tenants"


def add_backup(app: typer.Typer) -> None:
    app.command(rich_help_panel=SITE)(backup)
    app.command(rich_help_panel=SITE)(restore)


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Replaced as a whole, once it is complete.")],
) -> None:
    """Copy the database as it is at this moment, while the server runs; the file holds secrets."""
    given = options(context)
    given.of_no_tenant(OF_ALL)
    path = given.load().database
    with waiting("Copying the database"):
        size = backups.save(path, file)
    print(f"{path} is saved in {file}: {size} octets; whoever reads it has the phones' passwords")


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="One that 'blfd backup' has made.")],
    yes: Yes = False,
) -> None:
    """Put a backup in the place of the database, which is kept beside it; no server may run on that."""
    given = options(context)
    given.of_no_tenant(OF_ALL)
    path = given.load().database
    with contextlib.suppress(NotRunning):
        given.client.call("status")
        fail(f"a server runs on {path}: stop it first")
    loss = Loss(f"{path} by {file}", "What has been changed since that backup goes.")
    agreed("Replace", lambda: loss, yes or not path.exists())
    with waiting("Checking and copying"):
        kept = backups.restore(file, path)
    print(f"{path} is that of {file}" + (f"; what it was before is {kept}" if kept else ""))
