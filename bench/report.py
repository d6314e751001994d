"""The results of a run as tables on the terminal, as JSON, and as tables in bench/README.md."""

import json
import platform
import re
import socket
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from servers import HERE, KAMAILIO

README = HERE / "README.md"
RESULTS = HERE / "results.json"
BEGIN, END = "<!-- figures: written by run.py --write-readme -->", "<!-- end of figures -->"


@dataclass(slots=True)
class Row:
    """One figure with the values that were measured of each server, of which the median counts.

    `goal` is what blfd is to stay within, or to reach if `at_least`.
    """

    figure: str
    goal: float | None = None
    at_least: bool = False
    values: dict[str, list[float]] = field(default_factory=dict)

    def value(self, server: str) -> float | None:
        values = self.values.get(server)
        return statistics.median(values) if values else None

    def cells(self, servers: list[str]) -> list[str]:
        """The figure, each server's value, and the goal, as they are printed."""
        values = [_number(self.value(name)) for name in servers]
        return [self.figure, *values, _goal(self.goal, at_least=self.at_least)]


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of a figure of blfd to another one, of the peer in the same run, or of its own.

    `of` and `to` are the figures' names, and `to` is the figure of `peer`.
    """

    what: str
    of: str
    to: str
    peer: str
    goal: float | None
    at_least: bool = False

    def value(self, rows: dict[str, Row], blfd: str) -> float | None:
        """The ratio of the server that is called `blfd`; None if one of the figures was not measured."""
        peer = blfd if self.peer == "blfd" else self.peer
        of = rows[self.of].value(blfd) if self.of in rows else None
        to = rows[self.to].value(peer) if self.to in rows else None
        return of / to if of is not None and to else None

    def cells(self, rows: dict[str, Row], names: list[str]) -> list[str]:
        values = [_number(self.value(rows, name)) for name in names]
        return [self.what, *values, _goal(self.goal, at_least=self.at_least)]


def is_met(value: float | None, goal: float | None, *, at_least: bool) -> bool:
    """Whether a value meets its goal; True where there is no goal or no value."""
    if goal is None or value is None:
        return True
    return value >= goal if at_least else value <= goal


def _goal(goal: float | None, *, at_least: bool) -> str:
    bound = "≥ " if at_least else "≤ " if goal else ""
    return "" if goal is None else bound + _number(goal)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def machine() -> dict[str, str]:
    """The machine on which the figures were measured, in the words that the README repeats."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    cores = Path("/proc/cpuinfo").read_text().count("processor\t:")
    return {
        "date": date.today().isoformat(),
        "cpu": f"{cores} × {cpu.group(1) if cpu else platform.machine()}",
        "memory": f"{int(memory.group(1)) / 2**20:.0f} GiB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kamailio": _kamailio_version(),
        "floor us": f"{min(_floor_us() for _ in range(5)):.1f}",
        "load before": Path("/proc/loadavg").read_text().split()[0],
    }


def _kamailio_version() -> str:
    if not KAMAILIO:
        return "not installed"
    text = subprocess.run([KAMAILIO, "-v"], capture_output=True, text=True).stdout
    found = re.search(r"kamailio (\S+)", text)
    return found.group(1) if found else "unknown"


def print_tables(
    console: Console, rows: dict[str, Row], ratios: list[Ratio], servers: list[str], notes: list[str]
) -> None:
    """Print ratios, then figures; blfd's are green within their goal and red outside it."""
    names = _ours(servers)
    found = [ratio for ratio in ratios if any(ratio.value(rows, name) is not None for name in names)]
    if found:
        table = _table("ratio", names, "blfd beside its peer and itself")
        for ratio in found:
            good = is_met(ratio.value(rows, "blfd"), ratio.goal, at_least=ratio.at_least)
            table.add_row(*_coloured(ratio.cells(rows, names), names, good=good))
        console.print(table)
    table = _table("figure", servers, "figures, medians")
    for row in rows.values():
        good = is_met(row.value("blfd"), row.goal, at_least=row.at_least)
        table.add_row(*_coloured(row.cells(servers), servers, good=good))
    console.print(table)
    for note in notes:
        console.print(f"note: {note}", markup=False)


def _ours(servers: list[str]) -> list[str]:
    """The servers that are blfd, of whatever age."""
    return [name for name in servers if name != "Kamailio"]


def _table(what: str, servers: list[str], title: str) -> Table:
    table = Table(what, *servers, "goal", title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _coloured(cells: list[str], servers: list[str], *, good: bool) -> list[str]:
    at = servers.index("blfd") + 1 if "blfd" in servers else 0
    if not at or not cells[-1] or cells[at] == "–":
        return cells
    return [*cells[:at], f"[{'green' if good else 'bold red'}]{cells[at]}[/]", *cells[at + 1 :]]


def write_results(where: dict[str, str], rows: dict[str, Row], notes: list[str], raw: dict[str, Any]) -> None:
    """Write all figures, with the generator's own reports, into results.json."""
    figures = [asdict(row) for row in rows.values()]
    found = {"machine": where, "figures": figures, "notes": notes, "reports": raw}
    RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def write_readme(
    where: dict[str, str], rows: dict[str, Row], ratios: list[Ratio], servers: list[str], notes: list[str]
) -> None:
    """Put the machine and both tables between the two marks in README.md."""
    names = _ours(servers)
    lines = [
        f"Measured {where['date']} on {where['cpu']}, {where['memory']}, {where['kernel']},"
        f" Python {where['python']}, Kamailio {where['kamailio']}; load before: {where['load before']}.",
        f"The floor then, a sendto and a recv of 1,000 octets in Python: {where['floor us']} µs of CPU.",
        "",
        *_markdown("ratio", names, [ratio.cells(rows, names) for ratio in ratios]),
        "",
        *_markdown("figure", servers, [row.cells(servers) for row in rows.values()]),
        *(["", *(f"* {note}" for note in notes)] if notes else []),
    ]
    head, _, rest = README.read_text().partition(BEGIN)
    README.write_text("\n".join([head + BEGIN, *lines, END + rest.partition(END)[2]]))


def _markdown(what: str, servers: list[str], rows: list[list[str]]) -> list[str]:
    head = [what, *servers, "goal"]
    return [
        f"| {' | '.join(head)} |",
        f"|---|{'--:|' * (len(head) - 1)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _floor_us() -> float:
    """The µs of CPU of a sendto and a recv of 1,000 octets on loopback: no server in Python can need less."""
    count, data = 20_000, bytes(1000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        address = own.getsockname()
        before = time.process_time()
        for _ in range(count):
            own.sendto(data, address)
            own.recv(2000)
        return (time.process_time() - before) / count * 1e6
