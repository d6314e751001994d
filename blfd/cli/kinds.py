"""Commands of what is a name with settings: trunks, routes and upstreams are added and changed alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import typer

from blfd.cli.asking import Yes, agreed
from blfd.cli.options import Options, Switch, options, taking
from blfd.cli.output import print_table
from blfd.control import ControlError, NotRunning
from blfd.operations.lists import listed

Row = dict[str, Any]

SEVERAL = "; what can be given several times replaces all of before, and '' is none"


def option(kind: Any, words: str, name: str = "") -> Any:
    return Annotated[kind, typer.Option(*([name] if name else []), help=words)]


class Kind(NamedTuple):
    """What the commands of trunks, routes and upstreams differ in.

    `name` is the argument that says which one, `options` what can be said of it (annotations, as Typer has
    them), `renamed` what operations call an option otherwise, and `lists` are options that have commas.
    """

    what: str
    name: Any
    options: Mapping[str, Any]
    operations: Any
    renamed: Mapping[str, str] = {}
    lists: tuple[str, ...] = ()

    def said(self, given: Mapping[str, Any]) -> Row:
        """What was said, by the names that operations have. Raises StoreError."""
        return {
            self.renamed.get(name, name): self._read(name, value)
            for name, value in given.items()
            if value is not None
        }

    def _read(self, name: str, value: Any) -> Any:
        if name in self.lists:
            return listed(value, f"--{name}") if value.strip() else []
        return value is Switch.ON if isinstance(value, Switch) else value


def add_changing(app: typer.Typer, kind: Kind, *, changes: str = "", force: Any = None) -> None:
    """Add `add` and `set`; `changes` goes on in the help of `set`, `force` is an option of both."""
    of_both = {"force": force} if force else {}
    a = "an" if kind.what[0] in "aeiou" else "a"

    @app.command("add", help=f"Add {a} {kind.what}.")
    @taking({**of_both, **kind.options}, name=kind.name)
    def add(context: typer.Context, name: Any, **given: Any) -> None:
        here, more = options(context), {each: bool(given.pop(each)) for each in of_both}
        kind.operations.add(here.desk, here.tenant, name, kind.said(given), **more)
        print(f"{kind.what} {name} added")

    @app.command("set", help=f"Change {a} {kind.what}{changes}.")
    @taking({**of_both, **kind.options}, name=kind.name)
    def set_(context: typer.Context, name: Any, **given: Any) -> None:
        here, more = options(context), {each: bool(given.pop(each)) for each in of_both}
        kind.operations.change(here.desk, here.tenant, name, kind.said(given), **more)
        print(f"{kind.what} {name} changed")


def add_removing(app: typer.Typer, kind: Kind, says: str) -> None:
    """Add `remove`, with what it `says` of itself."""

    @app.command("remove", help=says)
    @taking({}, name=kind.name)
    def remove(context: typer.Context, name: Any, yes: Yes = False) -> None:
        here = options(context)
        expected = agreed("Remove", lambda: kind.operations.loss(here.desk, here.tenant, name), yes)
        kind.operations.remove(here.desk, here.tenant, name, expected)
        print(f"{kind.what} {name} removed")


def live(here: Options, call: str) -> dict[str, Row]:
    """The state of each by name, as the running server tells it; of none if none runs."""
    try:
        return {row["name"]: row for row in here.ask(call)}
    except (NotRunning, ControlError):
        return {}


def now(row: Row) -> Row:
    """The rows of a table that say what the running server says of one."""
    return {
        f"now: {name}": "" if value is None else value
        for name, value in row.items()
        if name not in ("name", "tenant")
    }


def print_settings(title: str, row: Row) -> None:
    cells = [(name.replace("_", " "), _cell(value)) for name, value in row.items()]
    print_table(title, ("setting", "value"), cells, "")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)
