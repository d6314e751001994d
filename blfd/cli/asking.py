"""What a person at a terminal is asked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from blfd.cli.output import fail
from blfd.operations.loss import Loss

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")]
Password = Annotated[str | None, typer.Option(help="Asked for on a terminal if left out.")]


def agreed(verb: str, loss: Callable[[], Loss], yes: bool) -> str | None:
    """The version that whoever sits there has seen; ends the command unless they agree.

    `verb` is what is done: "Remove".
    """
    if yes:
        return None
    found = loss()
    if not sys.stdin.isatty():
        fail(f"{found.what}: {found.text} Give --yes if that is meant.", 2)
    typer.echo(found.text, err=True)
    if not typer.confirm(f"{verb} {found.what}?", err=True):
        fail("nothing has been changed")
    return found.version


def password_of(whom: str, given: str | None) -> str:
    """The password that was given, or else the one that is typed on the terminal."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        fail(f"{whom} needs a password: give --password")
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return typed
