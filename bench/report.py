"""What a run found, as a table on the terminal, as JSON, and as the table in bench/README.md."""

import json
import platform
import re
import subprocess
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
    """One figure of both servers. `goal`: what blfd is to stay within (at least, when `at_least`)."""

    figure: str
    goal: float | None = None
    at_least: bool = False
    values: dict[str, float] = field(default_factory=dict)

    def is_met(self) -> bool:
        """Whether blfd's value meets the goal; true when there is no goal or no value."""
        value = self.values.get("blfd")
        if self.goal is None or value is None:
            return True
        return value >= self.goal if self.at_least else value <= self.goal

    def cells(self) -> tuple[str, str, str, str]:
        """Figure, blfd, Kamailio, goal, as they are printed."""
        bound = "≥ " if self.at_least else "≤ " if self.goal else ""
        goal = "" if self.goal is None else bound + _number(self.goal)
        blfd, peer = (_number(self.values.get(name)) for name in ("blfd", "Kamailio"))
        return self.figure, blfd, peer, goal


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def machine() -> dict[str, str]:
    """What the figures were measured on, in the words that the README repeats."""
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
        "load before": Path("/proc/loadavg").read_text().split()[0],
    }


def _kamailio_version() -> str:
    if not KAMAILIO:
        return "not installed"
    text = subprocess.run([KAMAILIO, "-v"], capture_output=True, text=True).stdout
    found = re.search(r"kamailio (\S+)", text)
    return found.group(1) if found else "unknown"


def print_table(console: Console, rows: list[Row], notes: list[str]) -> None:
    """The figures side by side; blfd's are green within their goal and red outside it."""
    table = Table("figure", "blfd", "Kamailio", "goal", title="blfd beside Kamailio", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        figure, blfd, peer, goal = row.cells()
        colour = "" if not goal or blfd == "–" else "green" if row.is_met() else "bold red"
        table.add_row(figure, f"[{colour}]{blfd}[/]" if colour else blfd, peer, goal)
    console.print(table)
    for note in notes:
        console.print(f"note: {note}", markup=False)


def write_results(where: dict[str, str], rows: list[Row], notes: list[str], raw: dict[str, Any]) -> None:
    """Everything, with the generator's own reports, in results.json."""
    found = {"machine": where, "figures": [asdict(row) for row in rows], "notes": notes, "reports": raw}
    RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def write_readme(where: dict[str, str], rows: list[Row], notes: list[str]) -> None:
    """Put the machine and the table between the two marks in README.md."""
    lines = [
        f"Measured {where['date']} on {where['cpu']}, {where['memory']}, {where['kernel']},"
        f" Python {where['python']}, Kamailio {where['kamailio']}.",
        "",
        "| figure | blfd | Kamailio | goal |",
        "|---|--:|--:|--:|",
        *("| {} | {} | {} | {} |".format(*row.cells()) for row in rows),
        *(["", *(f"* {note}" for note in notes)] if notes else []),
    ]
    head, _, rest = README.read_text().partition(BEGIN)
    README.write_text("\n".join([head + BEGIN, *lines, END + rest.partition(END)[2]]))
