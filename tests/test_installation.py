"""What an installation relies on: log lines and fail2ban, systemd, backups."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sqlite3
import subprocess
import threading
import tomllib
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest
from commands import Answering, Blfd
from programs import program

from blfd.config.file import SIP, File, Tls
from blfd.core.errors import auth_failed
from blfd.core.visible import visible
from blfd.logs import JsonLine, OneLine
from blfd.server.systemd import Systemd
from blfd.store import NewExtension, Store, StoreError, backups

CONTRIB = Path(__file__).parents[1] / "contrib"
PACKAGES = ("blfd", "dialog_info", "provisioning")
FORMATTERS = (OneLine(), JsonLine())


def record(message: str, *arguments: object, error: bool = False) -> logging.LogRecord:
    raised = ValueError("why")
    info = (ValueError, raised, None) if error else None
    return logging.LogRecord("blfd.web", logging.WARNING, "", 0, message, arguments, info)


# What is installed


def test_each_file_that_the_packages_read_is_installed_with_them() -> None:
    """The tests run in the project's folder, where all files are there, whether or not a wheel has them."""
    project = Path(__file__).parents[1]
    listed = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    installed = {
        path
        for package, patterns in listed.items()
        for root in ([] if package == "*" else [project / package.replace(".", "/")])
        for pattern in patterns
        for path in root.glob(pattern)
    }
    files = (path for package in PACKAGES for path in (project / package).rglob("*") if path.is_file())
    read = {path for path in files if path.suffix not in (".py", ".pyc") and path.name not in listed["*"]}
    assert read == installed


# Log lines


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_a_record_is_a_line(formatter: logging.Formatter) -> None:
    line = formatter.format(record("%s", 'a\n"b"\x1b[31m\u2028c'))
    assert "\n" not in line
    assert "\x1b" not in line


def test_a_line_of_json() -> None:
    found = json.loads(JsonLine().format(record("%s went", "Ünï", error=True)))
    assert (found["level"], found["logger"], found["message"]) == ("WARNING", "blfd.web", "Ünï went")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"])
    assert found["traceback"] == "ValueError: why"


EVIL = "x AUTH-FAILED 198.51.100.1 y"
FAILED = {  # lines of the log, and who is to be blocked by them
    auth_failed("203.0.113.1", f"SIP REGISTER as {EVIL}: wrong user or password"): "203.0.113.1",
    auth_failed("2001:db8::7", "phones' files: no such phone, or not its secret"): "2001:db8::7",
    auth_failed("203.0.113.2", f"portal as {visible(EVIL)}: wrong name or password"): "203.0.113.2",
    auth_failed("203.0.113.3", 'portal as ", "message": "AUTH-FAILED 198.51.100.1 : wrong'): "203.0.113.3",
    f"101 sent {EVIL}": None,
    "blfd[812]: WARNING AUTH-FAILED 198.51.100.1 is the name of one": None,
    'a name: "message": "AUTH-FAILED 198.51.100.1 "': None,
    "2026-11-28 12:00:00,000 WARNING AUTH-FAILED 198.51.100.1 SIP": None,
}


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize("prefix", ["", "Nov 28 12:00:01 pbx blfd[812]: "])
def test_fail2ban_blocks_whoever_fails_and_nobody_else(
    tmp_path: Path, formatter: logging.Formatter, prefix: str
) -> None:
    log = tmp_path / "blfd.log"
    log.write_text("".join(f"{prefix}{formatter.format(record('%s', line))}\n" for line in FAILED))
    filter_ = CONTRIB / "fail2ban" / "filter.d" / "blfd.conf"
    command = [program("fail2ban-regex"), "--out", "ip", str(log), str(filter_)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert found.split() == [host for host in FAILED.values() if host]


# systemd


def test_systemd_is_told_what_it_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000000")
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        told = Systemd()
        assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys()
        told.ready()
        for _ in range(100):
            told.turned()
        told.stopping()
        assert [listening.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    told.turned()
    told.stopping()  # systemd does not listen any more, and the server goes on


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Mock()
    monkeypatch.setattr(socket, "socket", opened)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    told = Systemd()
    told.ready()
    told.turned()
    told.stopping()
    assert not opened.called


def test_the_unit_is_one_that_systemd_understands(tmp_path: Path) -> None:
    """Debian 12's systemd names what it does not know, and ignores it."""
    unit = (CONTRIB / "blfd.service").read_text().replace("/opt/blfd/bin/blfd", "/bin/true")
    (tmp_path / "blfd.service").write_text(unit)
    command = [program("systemd-analyze"), "verify", "--man=no", str(tmp_path / "blfd.service")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    about_it = [line for line in (found.stdout + found.stderr).splitlines() if "blfd.service" in line]
    assert not about_it


# Files in contrib, and the documentation


def test_variables_are_settings_and_ports_are_told() -> None:
    settings = {
        *File.model_fields,
        *(f"sip__{name}" for name in SIP),
        *(f"tls__{name}" for name in Tls.model_fields),
    }
    known = {f"BLFD_{name.upper()}" for name in settings} | {"BLFD_CONFIG", "BLFD_SECRETS", "BLFD_PJSIP"}
    root = CONTRIB.parent
    files = [
        root / "README.md",
        *root.glob("docs/*.md"),
        *(path for path in CONTRIB.rglob("*") if path.is_file()),
    ]
    named = {name for path in files for name in re.findall(r"\bBLFD_[A-Z_]*[A-Z]", path.read_text())}
    assert len(named) > 8
    assert named <= known
    (exposed,) = re.findall(r"^EXPOSE (.*)", (CONTRIB / "Containerfile").read_text(), re.M)
    told = re.findall(r"^\| (\d+) .*(?:UDP|TCP)", (root / "docs" / "network.md").read_text(), re.M)
    assert {port.partition("/")[0] for port in exposed.split()} == set(told)


# Backups


@pytest.fixture
def database(tmp_path: Path) -> Path:
    store = Store(tmp_path / "blfd.db")
    store.extensions.add("default", [NewExtension("101", "x", "Alice")])
    return store.path


def names(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [name for (name,) in db.execute("SELECT name FROM extensions ORDER BY extension")]


def test_a_backup_while_others_write_is_sound(database: Path, tmp_path: Path) -> None:
    store, done = Store(database), threading.Event()

    def write() -> None:
        for number in range(1000, 3000):
            if done.is_set():
                return
            store.extensions.add("default", [NewExtension(str(number), "x", f"N{number}")])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            assert backups.save(database, tmp_path / "saved.db") > 0
            assert names(tmp_path / "saved.db")[0] == "N1000" or "Alice" in names(tmp_path / "saved.db")
    finally:
        done.set()
        writer.join()
    assert (tmp_path / "saved.db").stat().st_mode & 0o777 == 0o600
    assert {each.name for each in tmp_path.iterdir()} <= {
        *("blfd.db", "blfd.db-wal", "blfd.db-shm", "saved.db"),
    }


def test_what_was_restored_is_that_of_the_backup(database: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.db"
    backups.save(database, saved)
    Store(database).extensions.add("default", [NewExtension("102", "x", "Bob")])
    kept = backups.restore(saved, database)
    assert names(database) == ["Alice"]
    assert kept
    assert names(kept) == ["Alice", "Bob"]
    assert backups.restore(saved, tmp_path / "elsewhere.db") is None
    assert names(tmp_path / "elsewhere.db") == ["Alice"]


@pytest.mark.parametrize("wrong", ["text", "empty", "foreign", "damaged", "missing"])
def test_what_is_no_backup_is_refused_and_nothing_is_touched(
    database: Path, tmp_path: Path, wrong: str
) -> None:
    file = tmp_path / "wrong.db"
    match wrong:
        case "text":
            file.write_text("no database\n" * 100)
        case "empty":
            file.write_bytes(b"")
        case "foreign":
            with closing(sqlite3.connect(file)) as db:
                db.execute("CREATE TABLE a (b)")
                db.commit()
        case "damaged":
            backups.save(database, file)
            file.write_bytes(file.read_bytes()[:8192])
    before = {each.name for each in tmp_path.iterdir()}
    with pytest.raises(StoreError) as caught:
        backups.restore(file, database)
    assert "\n" not in str(caught.value)
    assert names(database) == ["Alice"]
    assert {each.name for each in tmp_path.iterdir()} <= before | {"blfd.db-wal", "blfd.db-shm"}


def test_a_backup_over_the_database_itself(database: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(database)
    for other in (database, tmp_path / "link.db"):
        with pytest.raises(StoreError, match="is the database itself"):
            backups.save(database, other)
    with pytest.raises(StoreError, match="nowhere"):
        backups.save(database, tmp_path / "nowhere" / "saved.db")


def test_no_restore_under_a_running_server(inside: Blfd, server: Answering) -> None:
    server.answers = {"status": {}, "reload": {}}
    assert inside("extension", "add", "101", "--password", "x")[0] == 0
    assert inside("backup", "saved.db")[0] == 0
    code, out, errors = inside("restore", "saved.db", "--yes")
    assert (code, out) == (1, "")
    assert "a server runs on blfd.db: stop it first" in errors
