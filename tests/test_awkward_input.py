"""Input that nobody expects leads to one line and an exit code, to no traceback, and changes nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Blfd

from blfd.control import MAX_REQUEST, ControlClient, ControlServer
from blfd.store import Store


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--config", "number.toml", "status"], 1, "database: the name of a file is needed, not 3"),
        (["--config", "letter", "status"], 1, "not valid TOML"),
        (["--config", ".", "status"], 1, "Is a directory"),
        (["--db", ".", "extension", "list"], 1, "choose another"),
        (["--db", "nowhere/blfd.db", "status"], 3, "start one with"),
        (["extension", "add", "101", "--password", "x", "--name", "\udcff"], 1, "101: password and"),
        (["extension", "add", "101", "--password", "\udcff"], 1, "extension 101: password and"),
        (["extension", "add", "101", "--password", "x", "--name", "x" * 201], 1, "200 letters at most"),
        (["tenant", "add", "\udcff"], 1, "no domain name"),
        (["tenant", "set", "--single-dialog", "maybe"], 2, "maybe"),
        (["extension", "import", "."], 1, "Is a directory"),
    ],
)
def test_each_refusal_is_one_line(inside: Blfd, arguments: list[str], code: int, words: str) -> None:
    Path("letter").write_text("Dear all, this is no database and no TOML.\n")
    Path("number.toml").write_text("database = 3\n")
    assert (found := inside(*arguments))[:2] == (code, "")
    assert words in found[2]
    assert found[2].startswith("blfd: ")
    assert found[2].count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--listen", "udp:127.0.0.1:²"], "write udp:"),
        (["run", "--listen", "udp:127.0.0.1:"], "write udp:"),
        (["--db", "letter", "run", "--listen", "udp:127.0.0.1:0"], "not a database of blfd"),
    ],
)
def test_a_server_that_cannot_start(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "letter").write_text("Dear all, this is no database.\n")
    command = [sys.executable, "-m", "blfd", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert words in done.stderr


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b"1 2,x,b\n", "x.csv, line 3: extension '1 2'"),
        (b"102,,b\n", "x.csv, line 3: extension 102 needs a password"),
        (b"101,x,b\n", "x.csv, line 3: extension 101 exists already"),
        (b"102,x,a\x01\n", "x.csv, line 3: extension 102: password and name"),
        (b'102,x,"b\n', "x.csv, line 3: unexpected end"),
        (b"102,x,\xff\n", "x.csv is not UTF-8"),
    ],
)
def test_an_import_names_the_line_and_adds_nothing(inside: Blfd, lines: bytes, words: str) -> None:
    Path("x.csv").write_bytes(b"extension,password,name\n101,x,a\n" + lines)
    code, out, errors = inside("extension", "import", "x.csv")
    assert (code, out, errors.count("\n")) == (1, "", 1)
    assert words in errors
    assert Store(Path("blfd.db")).directory().extensions == {}


def test_an_import_as_a_spreadsheet_writes_it(inside: Blfd) -> None:
    Path("x.csv").write_bytes('\ufeffextension,password,name\r\n101,"a,b",Älice\r\nabc,p, Bob \r\n'.encode())
    assert inside("extension", "import", "x.csv") == (0, "2 extensions added\n", "")
    found = Store(Path("blfd.db")).extensions.all("default")
    assert [(each.aor.extension, each.name) for each in found] == [("101", "Älice"), ("abc", "Bob")]


@pytest.mark.parametrize("database", ["nowhere/blfd.db", "letter"])
def test_doctor_finds_a_database_that_cannot_be_used(inside: Blfd, database: str) -> None:
    Path("letter").write_text("Dear all, this is no database.\n")
    code, out, errors = inside("--db", database, "doctor")
    assert (code, errors) == (1, "")
    assert "fault" in out


def test_an_oversized_line_on_the_control_socket(tmp_path: Path) -> None:
    path = tmp_path / "blfd.db.sock"
    server = ControlServer(path, lambda name, arguments: name)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(path))
            connection.sendall(b"x" * (MAX_REQUEST + 1))
            assert b'"error"' in connection.recv(4096)
        assert ControlClient(path).call("status") == "status"
    finally:
        server.close()
