"""The command line: what it promises, and that wrong input is refused in one line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from certificates import self_signed, signed
from commands import Answering, Run
from rich.console import Console
from rich.text import Text

from blfd.cli import board, output
from blfd.cli.board import Lamps, Screen
from blfd.cli.inspect import spoken
from blfd.config import Config
from blfd.control import ControlServer, socket_path
from blfd.core.directory import StarCodes
from blfd.doctor import Finding, examine, machine
from blfd.transport.addresses import ListenAddress
from blfd.transport.certificate import PemFiles, TlsSettings

LIVE = ("status", "registrations", "lamps", "watchers", "calls", "publications")
DIALOG = {
    "id": "c",
    "state": "early",
    "direction": "recipient",
    "call_id": "c",
    "local_tag": "l",
    "remote_tag": "r",
    "remote": "102",
    "remote_name": "Bob [x]",
    "held": False,
    "since": 65.2,
}
LAMPS = [
    {
        "extension": "101",
        "tenant": "default",
        "name": "Alice",
        "lamp": "ringing",
        "dialogs": [DIALOG],
        "watchers": 3,
    }
]


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


def test_lamps(blfd: Run, server: Answering) -> None:
    server.answers["lamps"] = LAMPS
    shown = blfd("lamps").stdout
    assert all(part in shown for part in ("101", "Alice", "ringing", "← 102 Bob [x]", "1:05", "3"))
    assert json.loads(blfd("lamps", "--json").stdout) == LAMPS


def test_a_change_reaches_the_server(blfd: Run, server: Answering) -> None:
    blfd("extension", "add", "101", "--password", "x")
    assert server.calls == ["reload"]


def test_nothing_to_show_is_said(blfd: Run, server: Answering) -> None:
    assert "no phone is registered" in blfd("registrations").stdout


@pytest.mark.parametrize("command", ["registrations", "lamps"])
def test_a_live_command_for_an_unknown_tenant(blfd: Run, server: Answering, command: str) -> None:
    server.answers["lamps"] = []
    said = blfd("--tenant", "none.example", command, code=1).stderr
    assert "no tenant none.example; 'blfd tenant list' shows them" in said


def test_a_change_that_the_server_does_not_take_is_kept_and_said(blfd: Run, server: Answering) -> None:
    del server.answers["reload"]
    said = blfd("extension", "add", "101", "--password", "x", code=1).stderr
    assert "saved, but the running server did not take it over" in said
    assert "101" in blfd("extension", "list").stdout


@pytest.mark.parametrize("server_is", ["up", "silent", "back"])
def test_watch_goes_on_until_ctrl_c(tmp_path: Path, server_is: str) -> None:
    """While no server answers, `lamps --watch` waits, and says that its lamps are old."""
    drawn = threading.Semaphore(0)

    def answer(name: str, arguments: dict[str, Any]) -> Any:
        if name == "place":
            return {}
        drawn.release()
        return {"server": "a", "number": 1, "all": not arguments.get("since"), "lamps": lamps, "pickups": []}

    path, lamps = socket_path(tmp_path / "blfd.db"), LAMPS
    server = ControlServer(path, answer)
    with subprocess.Popen(
        [sys.executable, "-m", "blfd", "lamps", "--watch"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        drawings = [drawn.acquire(timeout=20) for _ in range(3)]
        if server_is != "up":
            server.close()
            asked_in_vain(path, 2)
        if server_is == "back":
            lamps = [{**LAMPS[0], "name": "Alice is back"}]
            server = ControlServer(path, answer)
            drawings += [drawn.acquire(timeout=20) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        try:
            shown, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    if server_is != "silent":
        server.close()
    assert all(drawings), "it draws again and again"
    assert (process.returncode, errors) == (0, "")
    assert ("Alice is back" if server_is == "back" else "Alice") in shown
    assert ("no server answers since" in shown) == (server_is == "silent")


@pytest.mark.parametrize("call", ["watchers", "registrations", "calls"])
def test_who_waits_for_the_server_at_a_terminal_is_told(tmp_path: Path, call: str) -> None:
    told = threading.Event()
    server = ControlServer(socket_path(tmp_path / "blfd.db"), lambda name, arguments: [told.wait(60)][:0])
    ours, its = os.openpty()
    command = [sys.executable, "-m", "blfd", call]
    with subprocess.Popen(command, cwd=tmp_path, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        shown = b""
        while b"Asking the server" not in shown:
            assert select.select([ours], [], [], 60)[0], shown
            shown += os.read(ours, 1024)
        told.set()
        with contextlib.suppress(OSError):  # the other end is closed
            while more := os.read(ours, 1024):
                shown += more
        assert process.wait(60) == 0
    os.close(ours)
    server.close()
    end = shown.rpartition(b"Asking the server")[2]
    assert b"\x1b[?25h" in end, "the cursor is back"
    assert re.search(rb"nobody watches|no phone is|no call is", end)


def lamps_of(rows: Sequence[dict[str, Any]]) -> Lamps:
    class Client:
        def call(self, name: str, **arguments: Any) -> Any:
            return {"server": "a", "number": 1, "all": True, "lamps": rows}

    lamps = Lamps(Client(), "default")  # type: ignore[arg-type]
    lamps.ask()
    return lamps


MANY_LAMPS = [
    {**LAMPS[0], "extension": str(number), "lamp": "idle", "dialogs": [], "name": f"N{number}"}
    for number in range(1, 1000)
]
MANY_LAMPS[500] |= {"lamp": "ringing", "dialogs": [DIALOG]}


@pytest.mark.parametrize(
    ("keys", "first", "count"),
    [
        ("", "501", 999),
        ("lamp=ring", "501", 1),
        ("n99", "99", 11),
        ("n99\x7f\x7f\x7f", "501", 999),
        ("n99\x1b", "501", 999),
        ("\x1b[6~", "19", 999),
        ("\x1b[6~\x1b[5~\x1b[5~", "501", 999),
        ("\x1b[6~" * 500, "989", 999),
        ("aq", None, 0),
        ("nothing=", "501", 999),
    ],
)
def test_a_board_shows_calls_first_and_what_is_typed(keys: str, first: str | None, count: int) -> None:
    screen, lamps = Screen(""), lamps_of(MANY_LAMPS)
    screen.typed(keys)
    table = screen.picture(lamps, 24)
    shown = [str(each) for each in table.columns[1].cells]
    assert (shown[0] if shown else None) == first
    assert len(lamps.rows(screen.wanted)) == count
    assert len(shown) <= 24 - board.AROUND
    assert not screen.ended


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


def test_a_board_fits_its_screen() -> None:
    for height in (10, 24, 50):
        console = Console(width=80, height=height, file=io.StringIO(), force_terminal=True)
        with console.capture() as drawn:
            long = [{**row, "name": "Somebody with a long name"} for row in MANY_LAMPS]
            console.print(Screen("").picture(lamps_of(long), height))
        assert drawn.get().count("\n") <= height


@pytest.mark.parametrize("cut", [False, True])
def test_names_give_way_where_a_terminal_is_narrow(cut: bool) -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system=None)
    dialog = {**DIALOG, "remote": "+4930123456789", "remote_name": "Somebody Faraway", "since": 4000.0}
    row = {**LAMPS[0], "name": "Person Number 10001", "lamp": "not registered", "dialogs": [dialog] * 2}
    with console.capture() as drawn:
        console.print(board.lamp_table([row], cut=cut))
    (line,) = [line for line in drawn.get().splitlines() if "1:06:40" in line]
    assert all(each in line.split() for each in ("●", "101", "not", "registered", "1:06:40", "3"))
    assert not cut or drawn.get().count("\n") == 4, "each lamp is a line"


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


@pytest.mark.parametrize("keys", ["q", "x\x7fq", "x\x1bq"])
def test_q_ends_a_board(keys: str) -> None:
    screen = Screen("")
    screen.typed(keys)
    assert screen.ended


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


def asked_in_vain(path: Path, times: int) -> None:
    """Listen on the control socket, say nothing, and end after `times` calls."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(20)
        for _ in range(times):
            listener.accept()[0].close()
    path.unlink()


@pytest.fixture
def any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port of the system's choice for doctor, as it looks whether ports are free, and 5060 may not be."""
    monkeypatch.setenv("BLFD_LISTEN", "udp:127.0.0.1:0")


@pytest.mark.usefixtures("any_port")
def test_doctor(blfd: Run) -> None:
    blfd("extension", "add", "101", "--password", "x")
    findings = json.loads(blfd("doctor", "--json").stdout)
    assert {"state", "what", "advice"} == findings[0].keys()
    assert any("no server runs" in finding["what"] for finding in findings)
    assert any("1 extensions" in finding["what"] for finding in findings)


@pytest.mark.usefixtures("any_port")
def test_doctor_looks_where_numbers_lead(blfd: Run) -> None:
    for extension in ("101", "102"):
        blfd("extension", "add", extension, "--password", "x")
    numbers = ("--did", "+49301=101", "--did", "+4930xx=1xx", "--default", "102")
    blfd("trunk", "add", "carrier", "--server", "192.0.2.1", *numbers)
    blfd("route", "add", "0.", "--trunks", "carrier")

    def said(code: int = 0) -> set[str]:
        return {
            finding["what"] for finding in json.loads(blfd("doctor", "--json", code=code, lines=0).stdout)
        }

    none = "which is no extension any more"
    assert "no emergency number can be called" in said()
    assert not any(none in what for what in said())
    for extension in ("101", "102"):
        blfd("extension", "remove", extension, "--yes")
    blfd("extension", "add", "103", "--password", "x")
    blfd("route", "add", "112", "--trunks", "carrier", "--emergency", "on")
    assert not any("no trunk that is in use" in what for what in said())
    blfd("trunk", "add", "spare", "--server", "192.0.2.2", "--enabled", "off")
    blfd("route", "add", "110", "--trunks", "spare", "--emergency", "on")
    assert {what for what in said(1) if "no trunk that is in use" in what} == {
        "emergency route 110 has no trunk that is in use"
    }
    blfd("route", "remove", "110", "--yes")
    assert {what for what in said() if none in what or "emergency" in what} == {
        f"trunk carrier: +49301 leads to 101, {none}",
        f"trunk carrier: every other number leads to 102, {none}",
    }


@pytest.mark.usefixtures("any_port")
def test_what_the_doctor_advises_can_be_run(blfd: Run) -> None:
    blfd("tenant", "add", "acme.example")
    of = ("--tenant", "acme.example")
    for extension in ("101", "102"):
        blfd(*of, "extension", "add", extension, "--password", "x")
    blfd(*of, "trunk", "add", "carrier", "--server", "192.0.2.1", "--default", "101")
    blfd(*of, "extension", "remove", "101", "--yes")
    (advice,) = (
        finding["advice"]
        for finding in json.loads(blfd(*of, "doctor", "--json", lines=0).stdout)
        if "which is no extension any more" in finding["what"]
    )
    program, *words = shlex.split(advice.split("'")[1])
    assert program == "blfd"
    blfd(*words, "102")
    assert '"default": "102"' in blfd(*of, "trunk", "show", "carrier", "--json").stdout


@pytest.mark.usefixtures("any_port")
def test_doctor_finds_extensions_that_no_upstream_has(blfd: Run) -> None:
    for extension in ("101", "202", "203"):
        blfd("extension", "add", extension, "--password", "x")
    blfd("extension", "set", "202", "--owner", "upstream")
    blfd("upstream", "add", "pbx", "--server", "192.0.2.1", "--extensions", "1XX")
    found = {finding["what"] for finding in json.loads(blfd("doctor", "--json").stdout)}
    assert {what for what in found if "upstream" in what} == {"202: no upstream has their lamps"}
    blfd("upstream", "set", "pbx", "--extensions", "1xx,2xx")
    assert "no upstream" not in blfd("doctor").stdout


@pytest.mark.usefixtures("any_port")
def test_doctor_finds_upstreams_that_would_be_refused_now(blfd: Run, tmp_path: Path) -> None:
    """An earlier version has stored such upstreams."""
    blfd("upstream", "add", "pbx", "--server", "192.0.2.1", "--extensions", "1xx")
    blfd("upstream", "add", "other", "--server", "192.0.2.2", "--extensions", "2xx")
    with contextlib.closing(sqlite3.connect(tmp_path / "blfd.db")) as connection, connection:
        old = {"servers": ["192.0.2.2"], "extensions": ["1xx"], "sources": ["0.0.0.0/0"]}
        connection.execute("UPDATE upstreams SET settings = ? WHERE name = 'other'", [json.dumps(old)])
    found = {finding["what"] for finding in json.loads(blfd("doctor", "--json", code=1, lines=0).stdout)}
    assert "upstreams other and pbx both have 1xx: one of them is asked" in found
    assert "upstream other: source 0.0.0.0/0 is too wide, give networks of /16 or narrower" in found


@pytest.mark.usefixtures("any_port")
def test_doctor_looks_where_phones_emergency_numbers_lead(blfd: Run) -> None:
    def said(code: int) -> set[str]:
        found = json.loads(blfd("doctor", "--json", code=code, lines=0).stdout)
        return {finding["what"].split()[2] for finding in found if "as an emergency" in finding["what"]}

    blfd("extension", "add", "101", "--password", "x")
    blfd("trunk", "add", "carrier", "--server", "192.0.2.1")
    blfd("provision", "set", "snom", "emergency-numbers", "112,110")
    assert said(0) == set(), "none fetches its files from here"
    blfd("device", "add", "80:5e:c0:12:34:56", "--model", "snom/d785", "--extension", "101")
    assert said(1) == {"112", "110"}
    blfd("route", "add", "112", "--trunks", "carrier", "--emergency", "on")
    blfd("route", "add", "11x", "--trunks", "carrier")
    assert said(1) == {"110"}, "an ordinary route has limits and privacy"
    blfd("route", "set", "11x", "--emergency", "on")
    assert said(0) == set()


@pytest.mark.usefixtures("any_port")
def test_doctor_looks_at_the_clocks_of_phones(blfd: Run) -> None:
    def said() -> bool:
        return "not told their time zone" in blfd("doctor", "--json").stdout

    blfd("extension", "add", "101", "--password", "x")
    assert not said(), "none fetches its files from here"
    blfd("device", "add", "80:5e:c0:12:34:56", "--model", "snom/d785", "--extension", "101")
    assert said()
    blfd("provision", "set", "snom", "timezone", "UTC")
    assert not said()
    blfd("provision", "unset", "snom", "timezone")
    blfd("provision", "set", "*", "timezone", "UTC", "--all-tenants")
    assert not said()


ONE_PHONE = ({"extension": "201", "source": "udp:192.0.2.7:5060"},)


TRUNKS = (
    {"name": "carrier", "usable": True, "state": "registered"},
    {"name": "backup", "usable": False, "state": "the password is wrong"},
)


UPSTREAMS = (
    {"name": "pbx", "usable": True, "state": "all its lamps are known"},
    {"name": "old", "usable": False, "state": "down: no answer"},
)


REFUSED = (
    {"source": "192.0.2.9", "extension": "201", "status": 401, "reason": "Unauthorized"},
    {"source": "192.0.2.9", "extension": "202", "status": 401, "reason": "Unauthorized"},
    {"source": "192.0.2.8", "extension": "203", "status": 403, "reason": "The calls of 203 are carried here"},
)


def examined(tmp_path: Path, listen: str, of_acme: Sequence[dict[str, str]] = ONE_PHONE) -> list[Finding]:
    """Doctor's findings about a server that listens there, whose phones, of acme.example, watch nothing."""
    phones = {"acme.example": of_acme}
    answers: dict[str, Callable[[str], Any]] = {
        "status": lambda tenant: {
            "version": "0",
            "listen": [listen],
            "dropped": 7,
            "overdue": 0,
            "stuck": 0,
            "restarts": 0,
        },
        "unknown": lambda tenant: [{"watcher": "201", "wanted": "999"}],
        "registrations": lambda tenant: phones.get(tenant, []),
        "watching": lambda tenant: [],
        "trunks": lambda tenant: TRUNKS,
        "upstreams": lambda tenant: UPSTREAMS,
        "refused publishers": lambda tenant: REFUSED,
    }

    def answer(name: str, arguments: dict[str, Any]) -> Any:
        return answers[name](arguments.get("tenant", ""))

    server = ControlServer(socket_path(tmp_path / "blfd.db"), answer)
    try:
        return examine(Config(database=tmp_path / "blfd.db"), "acme.example")
    finally:
        server.close()


def test_doctor_looks_at_the_tenant_that_is_asked_for(tmp_path: Path) -> None:
    found = examined(tmp_path, "udp:127.0.0.1:5060")
    assert any(finding.what == "201 is registered and watches no lamp" for finding in found)
    said = {finding.what: finding.advice for finding in found}
    assert "fix the key" in said["201 has a key for 999, which does not exist"]
    assert "rmem_max" in said["7 datagrams were dropped for want of room"]
    assert any(finding.what == "the server listens on loopback only" for finding in found)
    states = {finding.what: finding.state for finding in found if finding.what.startswith("trunk ")}
    assert states == {"trunk carrier: registered": "ok", "trunk backup: the password is wrong": "fault"}
    states = {finding.what: finding.state for finding in found if finding.what.startswith("upstream ")}
    refused = {finding.what: finding.advice for finding in found if "publishes" in finding.what}
    assert "--trust" in refused["192.0.2.9 publishes 201, 202 and is refused: 401 Unauthorized"]
    told = "192.0.2.8 publishes 203 and is refused: 403 The calls of 203 are carried here"
    assert "--owner published" in refused[told]
    states = {finding.what: finding.state for finding in found if finding.what.startswith("upstream ")}
    assert states == {"upstream pbx: all its lamps are known": "ok", "upstream old: down: no answer": "fault"}


def test_doctor_finds_phones_whose_media_cannot_meet(tmp_path: Path) -> None:
    sources = {"201": ["udp:192.0.2.7:5060"], "202": ["udp:[2001:db8::7]:5060"]}
    sources["203"] = sources["201"] + sources["202"]
    phones = [{"extension": e, "source": source} for e, of in sources.items() for source in of]
    found = {f.what: f.advice for f in examined(tmp_path, "udp:[::]:5060", phones)}
    assert "(488)" in found["201 registered over IPv4 alone, 202 over IPv6 alone"]
    assert not any("alone" in f.what for f in examined(tmp_path, "udp:[::]:5060", phones[1:]))


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_doctor_finds_a_machine_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo")])
    interfaces = tmp_path / "if_inet6"
    loopback, link_local = "0" * 31 + "1 01 80 10 80 lo\n", "fe80" + "0" * 27 + "1 02 40 20 80 eth0\n"
    interfaces.write_text(loopback + link_local)
    monkeypatch.setattr(machine, "IF_INET6", interfaces)
    found = examined(tmp_path, f"udp:{host}:5060")
    assert any(f.state == "fault" and "no phone can reach it" in f.what for f in found)
    interfaces.write_text(loopback + "2001" + "0" * 27 + "1 02 40 00 80 eth0\n")
    found = examined(tmp_path, f"udp:{host}:5060")
    assert any(f.state == "fault" and "no phone can reach it" in f.what for f in found) == (host != "[::]")


@pytest.mark.parametrize(
    ("names", "days", "oldest", "words"),
    [
        ("DNS:pbx.example", 90, "1.2", []),
        ("DNS:pbx.example", 90, "1.0", ["TLS 1.0 is let in"]),
        ("DNS:other.example", 5, "1.2", ["ends on", "is for other.example, not for pbx.example"]),
        ("DNS:pbx.example", -1, "1.2", ["has ended on"]),
    ],
)
def test_doctor_looks_at_certificates(
    tmp_path: Path, names: str, days: int, oldest: str, words: list[str]
) -> None:
    authority = self_signed(tmp_path, "authority", "DNS:authority")
    files = PemFiles(*signed(tmp_path, "own", authority, names, days=days))
    tls = TlsSettings((files,), oldest=oldest, ca=authority.certificate)
    config = Config(database=tmp_path / "blfd.db", listen=(), address="pbx.example", tls=tls)
    found = [f for f in examine(config, "default") if "certificate" in f.what or "TLS" in f.what]
    said = [f"{finding.what}: {finding.advice}" for finding in found if finding.state == "warning"]
    assert len(said) == len(words)
    assert all(word in text for word, text in zip(words, said, strict=True))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_doctor_finds_a_taken_port(tmp_path: Path, transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if transport == "tcp":
            taken.listen()
        listen = ListenAddress(transport, *taken.getsockname())
        found = examine(Config(database=tmp_path / "blfd.db", listen=(listen,)), "default")
    assert any(f.state == "fault" and f.what.startswith(f"{listen} cannot be used") for f in found)
