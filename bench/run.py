"""Measure blfd beside Debian's Kamailio on this machine, both at the same rates (README.md)."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from generator import build
from load import QUICK, Run, Size
from measurements import MEASUREMENTS
from ratios import ratios
from report import machine, print_tables, write_readme, write_results
from rich.console import Console
from servers import BenchError, Blfd, Kamailio, Peer

ONCE = ("memory", "provision", "boards", "idle")  # these take long, and are much the same each time
SERVERS = ("kamailio", "blfd")  # Kamailio is first, since blfd is measured at the rate that Kamailio holds


def _chosen(text: str, known: list[str], what: str) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text else known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"no {what} is called {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def _measure(run: Run, measurements: list[str], peers: list[Peer], times: int) -> bool:
    complete = True
    for measurement in measurements:
        for _ in range(1 if measurement in ONCE else times):
            for peer in peers:
                try:
                    MEASUREMENTS[measurement](run, peer)
                except BenchError as error:
                    complete = False
                    run.notes.append(f"{measurement} of {peer.name} failed: {error}")
                    run.console.print(run.notes[-1], style="red", markup=False)
    return complete


def main(
    only: Annotated[str, typer.Option(help=f"Measurements, by comma: {', '.join(MEASUREMENTS)}.")] = "",
    server: Annotated[str, typer.Option(help="Servers, by comma: blfd, kamailio.")] = "",
    before: Annotated[
        Path | None, typer.Option(help="Another checkout of blfd with its .venv, measured in the same run.")
    ] = None,
    times: Annotated[int, typer.Option(help="How often; the median counts.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller, and once.")] = False,
    readme: Annotated[bool, typer.Option("--write-readme", help="Put the tables into README.md.")] = False,
) -> None:
    """Measure blfd beside Kamailio, print tables and write bench/results.json."""
    measurements = _chosen(only, list(MEASUREMENTS), "measurement")
    servers = _chosen(server, list(SERVERS), "server")
    if readme and (quick or only or server):
        raise typer.BadParameter("--write-readme needs a full run: no --quick, --only or --server")
    run, where = Run(QUICK if quick else Size(), Console()), machine()
    try:
        has_digest = build()
    except (BenchError, FileNotFoundError) as error:
        sys.exit(f"bench: {error}")
    if not has_digest and "digest" in measurements:
        measurements.remove("digest")
        run.notes.append("digest was skipped: OpenSSL's headers are missing (Debian: apt install libssl-dev)")
    if "kamailio" in servers and (missing := Kamailio.missing()):
        servers.remove("kamailio")
        run.notes.append(f"{missing}: blfd is measured alone")
        run.console.print(run.notes[-1])
    peers: list[Peer] = [Kamailio() if name == "kamailio" else Blfd() for name in servers]
    if before:
        peers.append(Blfd("before", before.resolve()))
    complete = _measure(run, measurements, peers, 1 if quick else times)
    names = [peer.name for peer in peers]
    found = ratios(run.size.subscriptions, run.size.audiences, run.size.restarts[-1])
    print_tables(run.console, run.rows, found, names, run.notes)
    write_results(where, run.rows, run.notes, run.raw)
    if readme:
        write_readme(where, run.rows, found, names, run.notes)
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    typer.run(main)
