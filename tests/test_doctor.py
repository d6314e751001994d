"""What the doctor finds wrong with the machine, with what is set and with what is running."""

from __future__ import annotations

import contextlib
import json
import shlex
import socket
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from certificates import self_signed, signed
from commands import Run

from blfd.config import Config
from blfd.control import ControlServer, socket_path
from blfd.core.phones_seen import told
from blfd.doctor import Finding, examine, machine
from blfd.transport.addresses import ListenAddress
from blfd.transport.certificate import PemFiles, TlsSettings


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
    registered = [(each["extension"], each["source"], "") for each in of_acme]
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
        "phones": lambda tenant: told(registered if tenant == "acme.example" else (), ()),
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
