"""How commands print, and the global options."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from blfd.config import Config, load
from blfd.control import ControlClient, ControlError, NotRunning, socket_path
from blfd.core.values import DEFAULT_TENANT
from blfd.devices.files import Phones
from blfd.devices.values import Place, place
from blfd.operations import Desk
from blfd.store import Store


@dataclass(frozen=True, slots=True)
class Options:
    """The options before the command."""

    db: Path | None
    config: Path | None
    given_tenant: str | None
    verbose: bool

    @property
    def tenant(self) -> str:
        return (self.given_tenant or DEFAULT_TENANT).lower()

    def load(
        self,
        listen: list[str] | None = None,
        trust: list[str] | None = None,
        metrics: str | None = None,
        provision: str | None = None,
        web: str | None = None,
        pnp: bool = False,
    ) -> Config:
        return load(
            self.config,
            database=self.db,
            listen=listen,
            trust=trust,
            metrics=metrics,
            provision=provision,
            web=web,
            pnp=pnp,
        )

    def store(self) -> Store:
        return Store(self.load().database)

    def phones(self) -> Phones:
        """The provisioned phones."""
        return Phones(self.store(), self._place)

    def _place(self) -> Place:
        """Of the running server if there is one, or else as configured."""
        config = self.load()
        try:
            return Place(**self.client().call("place"))
        except (NotRunning, ControlError):
            url = str(config.provision) if config.provision else ""
            return place(config.listen, config.address, url)

    def client(self) -> ControlClient:
        return ControlClient(socket_path(self.load().database))

    def ask(self, call: str) -> Any:
        """Ask the running server about the tenant; raises NotRunning, and StoreError for an unknown one."""
        found = self.client().call(call, tenant=self.tenant)
        if not found:
            self.store().tenant(self.tenant)
        return found

    def desk(self) -> Desk:
        """Where operations are done, by whoever is logged in on this machine."""
        phones = self.phones()
        return Desk(phones.store, self.client(), phones, f"{getpass.getuser()} (command line)")


def options(context: typer.Context) -> Options:
    found: Options = context.obj
    return found


def fail(text: str, code: int = 1) -> NoReturn:
    """One line on standard error, and the end."""
    print(f"blfd: {text}", file=sys.stderr)
    sys.exit(code)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_notes(notes: Iterable[str]) -> None:
    """On standard error: what is no error, and worth to know."""
    for note in notes:
        print(f"blfd: note: {note}", file=sys.stderr)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """A Rich table; `empty` says what it means that there are no rows."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, str) else str(cell) for cell in row))
    console = Console()
    if table.row_count:
        console.print(table)
    else:
        console.print(escape(empty))
