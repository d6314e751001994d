"""`blfd run`, `blfd demo`, `blfd doctor`."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Annotated

import typer

from blfd.cli.options import options
from blfd.cli.output import Json, as_called, fail, print_json, print_table
from blfd.cli.panels import SERVER
from blfd.config import Config

OF_ITS_OWN = "the demo has a server and a database of its own"


class LogFormat(Enum):
    """The values of `blfd.logs.FORMATS`."""

    TEXT = "text"
    JSON = "json"


def add_running(app: typer.Typer) -> None:
    app.command(rich_help_panel=SERVER)(run)
    app.command(rich_help_panel=SERVER)(demo)
    app.command(rich_help_panel=SERVER)(doctor)


def run(
    context: typer.Context,
    listen: Annotated[
        list[str] | None,
        typer.Option(help="Such as udp:127.0.0.1:5060 or tls:0.0.0.0:5061; may be given several times."),
    ] = None,
    trust: Annotated[
        list[str] | None, typer.Option(help="CIDR whose requests are taken at their From, without digest.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Serve Prometheus metrics there, such as 127.0.0.1:9145.")
    ] = None,
    provision: Annotated[
        str | None, typer.Option(help="Serve the files of phones there, such as http://0.0.0.0:8080.")
    ] = None,
    web: Annotated[
        str | None, typer.Option(help="Serve the portal and its API there, such as http://127.0.0.1:8088.")
    ] = None,
    pnp: Annotated[
        bool, typer.Option("--pnp", help="Tell new phones that ask by multicast where their files are.")
    ] = False,
    certificate: Annotated[
        list[str] | None,
        typer.Option(
            help="PEM file with its chain, for TLS and https; several are chosen from by server name."
        ),
    ] = None,
    certificate_key: Annotated[
        list[str] | None, typer.Option(help="Its key, if that is in a file of its own.")
    ] = None,
    drain: Annotated[
        bool,
        typer.Option("--drain", help="When stopped, tell watchers `deactivated`, so that they come back."),
    ] = False,
    supervise: Annotated[
        bool,
        typer.Option("--supervise", help="Start the server again when it dies; for where nobody else does."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
    log_format: Annotated[LogFormat | None, typer.Option(help="How log lines look.")] = None,
) -> None:
    """Run the server until SIGTERM or Ctrl-C."""
    given = options(context)
    given.of_no_tenant("the server serves all tenants")
    from blfd.server import supervisor
    from blfd.server.listening import ServerError
    from blfd.server.loop import run as serve

    def load() -> Config:
        found = given.load(
            listen=listen,
            trust=trust,
            metrics=metrics,
            provision=provision,
            web=web,
            pnp=pnp,
            certificate=certificate,
            certificate_key=certificate_key,
            log_format=log_format and log_format.value,
        )
        return replace(found, drain=drain, verbose=verbose)

    if supervise and (ended := supervisor.run(load().log_format)) is not None:
        raise typer.Exit(ended)
    config = load()  # in each server anew
    try:
        code = serve(config)
    except ServerError as error:
        fail(str(error))
    raise typer.Exit(code)


def demo(context: typer.Context) -> None:
    """Show lamps and pickups: a server and four real SIP phones on this machine, in half a minute."""
    given = options(context)
    given.of_no_tenant(OF_ITS_OWN)
    for option, value in (("--db", given.db), ("--config", given.config)):
        if value is not None:
            fail(f"{OF_ITS_OWN}: leave {option} {value} out", 2)
    from blfd.cli.board import STYLES
    from blfd.demo.demo import run as show

    raise typer.Exit(show(STYLES))


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Find the usual faults of an installation; exit code 1 if there is one."""
    from rich.text import Text

    from blfd.cli.progress import waiting
    from blfd.doctor import examine

    given = options(context)
    with waiting("Examining"):
        findings = examine(given.load(), given.tenant)
    if as_json:
        print_json([{**each._asdict(), "advice": as_called(each.advice)} for each in findings])
    else:
        colours = {"ok": "green", "warning": "yellow", "fault": "red"}
        rows = [
            (Text(each.state, colours[each.state]), each.what, as_called(each.advice)) for each in findings
        ]
        print_table("Doctor", ("state", "what", "what to do"), rows, "nothing was examined")
    raise typer.Exit(int(any(finding.state == "fault" for finding in findings)))
