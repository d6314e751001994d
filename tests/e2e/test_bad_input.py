"""Input that nobody should send or type is refused with words, and the server goes on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import Calling, sdp
from sites import Site
from wire import DEADLINE, Agent, Message

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
GARBAGE = [
    b"\0" * 100,
    b"hello\r\n\r\n",
    b"\r\n\r\n",
    b"INVITE",
    b"SIP/2.0 200 OK\r\n\r\n",
    b"\xff" * 65000,
]
Typed = Callable[..., subprocess.CompletedProcess[str]]


def still_works(site: Site) -> None:
    """Check that the server works: a phone registers, another watches it, and the lamp follows a call."""
    callee, caller, watcher = site.registered("102"), site.registered("101"), site.agent("103")
    watcher.subscribe("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    watcher.notify("early")
    callee.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486
    watcher.notify("terminated")


def answer_to(agent: Agent, start: str, without: str = "", **over: str) -> Message:
    headers = agent.headers(start.split()[0], "101", **over)
    headers.pop(without, None)
    agent.send(start, headers)
    return agent.wait(lambda m: m.status >= 200)


# On the wire


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"without": "CSeq"}, "no CSeq"),
        ({"without": "From"}, "no From"),
        ({"without": "To"}, "no To"),
        ({"without": "Call-ID"}, "no Call-ID"),
        ({"CSeq": "one OPTIONS"}, "bad CSeq"),
        ({"CSeq": "1 INVITE"}, "CSeq names another method"),
        ({"From": "<<<>>"}, "bad From"),
        ({"To": '"Bob <sip:'}, "bad To"),
        ({"Contact": "<<>"}, "bad Contact"),
        ({"Max_Forwards": "many"}, ""),
        ({"start": "OPTIONS ht!tp:// SIP/2.0"}, ""),
        ({"start": "OPTIONS  SIP/2.0"}, ""),
        ({"start": "OPTIONS SIP/2.0"}, ""),
    ],
    ids=lambda value: next(iter(value.items()), "")[-1] if isinstance(value, dict) else "",
)
def test_a_malformed_request_gets_400(site: Site, transport: str, over: dict[str, str], reason: str) -> None:
    answer = answer_to(site.agent("101", transport), **{"start": "OPTIONS sip:101@host SIP/2.0", **over})
    assert answer.status == 400
    assert answer.start.startswith("SIP/2.0 400 Bad Request: ")
    assert reason in answer.start


def test_another_version_of_sip(site: Site) -> None:
    assert answer_to(site.agent(), "OPTIONS sip:101@host SIP/3.0").status == 505


@pytest.mark.parametrize("method", ["MESSAGE", "FOO"])
def test_an_unknown_method_gets_405(site: Site, method: str) -> None:
    answer = answer_to(site.agent(), f"{method} sip:101@host SIP/2.0")
    assert answer.status == 405
    allowed = {word.strip() for word in answer["allow"].split(",")}
    assert {"INVITE", "REGISTER", "SUBSCRIBE"} <= allowed
    assert method not in allowed


@pytest.mark.parametrize("method", ["BYE", "UPDATE", "PRACK", "CANCEL"])
def test_a_request_of_no_call_gets_481(site: Site, method: str) -> None:
    assert answer_to(site.agent(), f"{method} sip:101@host SIP/2.0").status == 481


def test_garbage_does_no_harm(site: Site) -> None:
    agent = site.agent()
    for data in GARBAGE:
        agent.send_raw(data)
    still_works(site)


def test_the_corpus_does_no_harm(site: Site) -> None:
    if not CORPUS.is_dir():
        pytest.skip("there is no corpus beside the project")
    messages = sorted(CORPUS.glob("*.sip"))
    assert messages
    agent = site.agent()
    for path in messages:
        data = path.read_bytes()
        agent.send_raw(data)
        agent.send_raw(re.sub(rb"(?<!\r)\n", b"\r\n", data))
        over_tcp = site.agent("101", "tcp")
        over_tcp.send_raw(data)
    still_works(site)


# On the command line


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """A function that runs a command which has to be refused, and returns its exit code and words."""

    def run(*arguments: str, database: Path = tmp_path / "blfd.db") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "blfd", "--db", str(database), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, cwd=tmp_path)

    return run


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode not in (0, None)
    assert result.returncode > 0
    assert "Traceback" not in result.stderr
    assert "ready" not in result.stdout
    (line,) = result.stderr.strip().splitlines()
    for word in words:
        assert word in line


def test_a_taken_port(site: Site, typed: Typed) -> None:
    taken = site.server.addresses[0]
    refused(typed("run", "--listen", taken), taken, "choose another with --listen")


@pytest.mark.parametrize("content", [b"This is a letter.\n" * 100, b"\xff" * 5000])
def test_a_database_that_is_not_ours(typed: Typed, tmp_path: Path, content: bytes) -> None:
    letter = tmp_path / "letter.db"
    letter.write_bytes(content)
    refused(typed("run", database=letter), str(letter), "--db")
    assert letter.read_bytes() == content


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[sip\n", ["not valid TOML"]),
        ("[sip]\nnonce_lifetme = 3\n", ["nonce_lifetme", "nonce_lifetime"]),
        ("[sip]\nsilence = 'long'\n", ["silence", "whole number"]),
        ("listen = 5060\n", ["listen"]),
        ("trust = ['10.0.0.1/8']\n", ["10.0.0.1/8"]),
    ],
)
def test_a_broken_configuration_file(typed: Typed, tmp_path: Path, toml: str, words: list[str]) -> None:
    file = tmp_path / "blfd.toml"
    file.write_text(toml)
    refused(typed("--config", str(file), "run"), *words)


def test_a_missing_configuration_file(typed: Typed) -> None:
    refused(typed("--config", "missing.toml", "run"), "missing.toml", "No such file")


@pytest.mark.parametrize(
    ("listen", "advice"),
    [
        ("5060", "write udp:127.0.0.1:5060"),
        ("sctp:127.0.0.1:5060", "write udp:127.0.0.1:5060"),
        ("udp:127.0.0.1:99999", "write udp:127.0.0.1:5060"),
        ("udp:example:5060", "is not an address"),
    ],
)
def test_an_unsound_listener(typed: Typed, listen: str, advice: str) -> None:
    refused(typed("run", "--listen", listen), listen, advice)


def test_an_unknown_option(typed: Typed) -> None:
    result = typed("run", "--lissten", "udp:127.0.0.1:5060")
    assert result.returncode == 2
    assert "--lissten" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["status", "registrations", "lamps", "watchers", "calls"])
def test_no_server_runs(typed: Typed, command: str) -> None:
    result = typed(command)
    assert result.returncode == 3
    refused(result, "no server runs", "start one with")


# Starts and ends


def test_a_second_server_on_a_database_is_refused(site: Site, typed: Typed) -> None:
    refused(typed("run", "--listen", "udp:127.0.0.1:0", database=site.database), "blfd.db")
    still_works(site)


def test_kill_9_and_start(own_site: Callable[..., Site]) -> None:
    site = own_site()
    site.kill()
    site.start()
    still_works(site)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(own_site: Callable[..., Site], number: signal.Signals) -> None:
    site = own_site()
    still_works(site)
    site.forget()
    site.server.process.send_signal(number)
    assert site.server.process.wait(DEADLINE) == 0
    assert "stopped" in site.server.log.read_text()
