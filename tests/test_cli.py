"""The command line: what it promises, its lists, and that wrong input is refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from commands import Run
from rich.console import Console
from rich.text import Text

from blfd.cli import output
from blfd.cli.inspect import spoken
from blfd.core.directory import StarCodes

LIVE = ("status", "registrations", "lamps", "watchers", "calls", "publications")


def test_the_command_line_starts_without_the_sip_stack() -> None:
    script = "import sys, blfd.cli; sys.exit(sum(m in sys.modules for m in ('cffi', 'pjsua2', 'lxml')))"
    assert subprocess.run([sys.executable, "-c", script], timeout=30).returncode == 0


DEFAULTS = {
    "pickup": "default",
    "pickable": "default",
    "owner": "default",
    "publish": "off",
    "withhold": "off",
    "dnd": False,
    "forward_always": "",
    "forward_busy": "",
    "forward_no_answer": "",
    "forward_after": 20,
    "forward_unregistered": "",
}


def test_extensions(blfd: Run) -> None:
    blfd("extension", "add", "101", "--password", "s3cret", "--name", "Alice Ng")
    blfd("extension", "add", "alice", "--password", "x")
    assert json.loads(blfd("extension", "list", "--json").stdout) == [
        {"extension": "101", "tenant": "default", "name": "Alice Ng", **DEFAULTS},
        {"extension": "alice", "tenant": "default", "name": "", **DEFAULTS},
    ]
    blfd("extension", "set", "101", "--name", "Alice B", "--withhold", "on")
    shown = json.loads(blfd("extension", "show", "101", "--json").stdout)
    assert (shown["name"], shown["withhold"]) == ("Alice B", "on")
    blfd("extension", "remove", "alice", "--yes")
    assert "alice" not in blfd("extension", "list").stdout


def test_tenants(blfd: Run) -> None:
    blfd("tenant", "add", "Acme.example", "--alias", "pbx.acme.example")
    blfd("--tenant", "acme.example", "extension", "add", "101", "--password", "x")
    blfd("tenant", "set", "acme.example", "--single-dialog", "on", "--pickup", "groups")
    blfd("tenant", "set", "acme.example", "--pickup-code", "*8", "--pickable", "off")
    blfd("tenant", "set", "acme.example", "--star-code", "dnd=*3", "--star-code", "dnd-off=")
    blfd("tenant", "set", "acme.example", "--feature-sync", "off")
    rows = json.loads(blfd("tenant", "list", "--json").stdout)
    assert rows[1] == {
        "domain": "acme.example",
        "aliases": ["pbx.acme.example"],
        "single_dialog": True,
        "pickup_code": "*8",
        "group_pickup_code": "*98",
        "pickup": "groups",
        "pickable": False,
        "owner": "local",
        "dnd_lamp": "busy",
        "redirect": "all",
        "decline": "all",
        "star_codes": {**asdict(StarCodes()), "dnd": "*3", "dnd_off": ""},
        "feature_sync": False,
        "send_outside": True,
        "extensions": 1,
    }
    blfd("tenant", "remove", "acme.example", "--yes")
    assert len(json.loads(blfd("tenant", "list", "--json").stdout)) == 1


def test_import(blfd: Run, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text('extension,password,name\n101,a,"Ng, Alice"\n102,b,\n')
    assert "2 extensions added" in blfd("extension", "import", "u.csv").stdout
    assert "Ng, Alice" in blfd("extension", "list").stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("101,a,b\n", "first line has to name its columns, as extension,password,name"),
        ("extension,password,name\n101,a\n", "line 2"),
        ("extension,password,name\n101,a,b\n102,c,d,e\n", "line 3"),
        ("extension,password,name\n101,,b\n", "needs a password"),
        ("extension,password,name\n101,a,b\n101,a,b\n", "exists already"),
        ("", "first line has to name"),
    ],
)
def test_wrong_imports_add_nothing(blfd: Run, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "u.csv").write_text(text)
    assert words in blfd("extension", "import", "u.csv", code=1).stderr
    assert json.loads(blfd("extension", "list", "--json").stdout) == []


def test_of_thousands_of_wrong_lines_some_are_shown(blfd: Run, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("extension,password,name\n" + "".join(f"{n},,b\n" for n in range(2000)))
    said = blfd("extension", "import", "u.csv", code=1, lines=21).stderr
    assert "line 21:" in said
    assert "line 22:" not in said
    assert "and 1980 more lines are wrong; --all shows all of them" in said
    assert "line 2001:" in blfd("extension", "import", "u.csv", "--all", code=1, lines=2000).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("extension", "add", "101"), 1, "give --password"),
        (("extension", "add", "*97", "--password", "x"), 1, "letters, digits"),
        (("extension", "show", "999"), 1, "no extension 999"),
        (("extension", "import", "none.csv"), 1, "No such file"),
        (("--tenant", "none.example", "extension", "list"), 1, "no tenant none.example"),
        (("tenant", "remove", "default"), 1, "cannot be removed"),
        (("run", "--listen", "5060"), 1, "write udp:"),
        (("run", "--trust", "everybody"), 1, "write 10.0.0.0/8"),
        (("--config", "none.toml", "run"), 1, "No such file"),
        (("--db", "/nowhere/x.db", "extension", "list"), 1, "choose another"),
        (("--db", "x" * 300, "extension", "list"), 1, "File name too long"),
        (("lamps", "--bogus"), 2, "--bogus"),
        (("bogus",), 2, "bogus"),
        *(((name,), 3, "start one with 'blfd run'") for name in LIVE),
    ],
)
def test_wrong_input(blfd: Run, arguments: tuple[str, ...], code: int, words: str) -> None:
    assert words in blfd(*arguments, code=code).stderr


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("rows", [3, output.MANY + 1])
def test_a_table_fits_its_terminal_and_is_whole_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rows: int, width: int
) -> None:
    columns = ("when", "way", "result", "user_agent")
    row = ("11-29 06:11:30", "take-over", "picked up at last", "Yealink SIP-T54W 96.86.0.70 805ec0000001")
    monkeypatch.setenv("COLUMNS", str(width))
    for terminal in (True, False):
        monkeypatch.setenv("FORCE_COLOR" if terminal else "NO_COLOR", "1")
        monkeypatch.delenv("NO_COLOR" if terminal else "FORCE_COLOR", raising=False)
        output.print_table("Pickups", columns, [row] * rows, "")
        lines = Text.from_ansi(capsys.readouterr().out).plain.splitlines()
        if not terminal:
            assert sum(all(cell in line for cell in row) for line in lines) == rows
            continue
        assert all(len(line) <= width for line in lines)
        assert sum(row[0] in line for line in lines) == rows, "a time is a line"
        if width >= 80 and rows <= output.MANY:
            words = {word for cell in row for word in cell.split()}
            assert words <= {word for line in lines for word in line.split()}, "no word is broken"


def test_lines_of_a_long_list_keep_their_macs_where_a_terminal_is_narrow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "60")
    rows = [("80:5e:c0:12:34:56", "yealink/t54w", "x" * n) for n in range(400)]
    output.print_table("Devices", ("mac", "model", "state"), rows, "")
    lines = capsys.readouterr().out.splitlines()
    assert sum("80:5e:c0:12:34:56" in line for line in lines) == 400
    assert max(map(len, lines)) <= 60


def test_lists_are_chosen_from(blfd: Run) -> None:
    for number, name in (("101", "Alice Ng"), ("9", "Bob"), ("102", "alice Z"), ("x1", "")):
        blfd("extension", "add", number, "--password", "x", "--name", name)

    def chosen(*options: str) -> list[str]:
        return [row["extension"] for row in json.loads(blfd("extension", "list", "--json", *options).stdout)]

    assert chosen("--filter", "alice") == ["101", "102"]
    assert chosen("--filter", "alice name=z") == ["102"]
    assert chosen("--sort", "extension") == ["9", "101", "102", "x1"]
    assert chosen("--sort", "-name", "--limit", "2") == ["9", "102"]
    assert "none of 4 has 'carol'" in blfd("extension", "list", "--filter", "carol").stdout
    said = blfd("extension", "list", "--sort", "nam", code=1).stderr
    assert "no column is called 'nam'; near it: name" in said
    assert "there are extension, tenant" in blfd("extension", "list", "--filter", "zzz=1", code=1).stderr


def test_a_long_list_is_a_line_a_row(blfd: Run, tmp_path: Path) -> None:
    rows = "".join(f"{number},x,{'N' * (number % 90)}\n" for number in range(1000, 3000))
    (tmp_path / "many.csv").write_text(f"extension,password,name\n{rows}")
    blfd("extension", "import", str(tmp_path / "many.csv"))
    shown = blfd("extension", "list").stdout.splitlines()
    assert len(shown) == 2000 + 4
    assert shown[-1] == "2000 rows"
    assert all(f"{number}" in line for number, line in zip(range(1000, 3000), shown[3:], strict=False))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (3600, "1 h 0 min"),
        (90_061, "1 d 1 h"),
        (864_000, "10 d 0 h"),
    ],
)
def test_how_long_in_words(seconds: int, words: str) -> None:
    assert spoken(seconds) == words
