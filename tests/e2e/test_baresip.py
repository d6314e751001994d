"""baresip as a phone: it registers, calls and is called.

Debian's baresip 1.0 gives up at a SHA-256 challenge, so this site offers MD5 alone.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import program
from sites import LOSSY, PATIENCE_OF_LOSSY, Site, password

DEADLINE = PATIENCE_OF_LOSSY
MODULES = "/usr/lib/baresip/modules"
CONFIG = """
module_path {modules}
module g711.so
module aufile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
audio_source aufile,{folder}/said.wav
audio_player aufile,{folder}/heard.wav
sip_listen 127.0.0.1:0
sip_cafile {folder}/../site.pem
net_interface 127.0.0.1
"""


class Baresip:
    """A process, driven over its control socket (netstrings of JSON)."""

    def __init__(self, site: Site, user: str, transport: str) -> None:
        folder = site.folder / f"baresip-{user}-{transport}"
        folder.mkdir()
        control = _free_port()
        config = CONFIG.format(modules=MODULES, control=control, folder=folder)
        (folder / "config").write_text(config)
        server, transport = site.reach(transport)
        (folder / "accounts").write_text(
            f"<sip:{user}@{server};transport={transport}>;auth_pass={password(user)};regint=600\n"
        )
        with wave.open(str(folder / "said.wav"), "wb") as said:
            said.setparams((1, 2, 8000, 0, "NONE", ""))
            said.writeframes(bytes(16000))
        self.events: list[dict[str, Any]] = []
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [program("baresip"), "-f", str(folder)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.log = folder / "log"
        self._socket = self._connect(control)
        self._buffer = b""

    def _connect(self, port: int) -> socket.socket:
        until = time.monotonic() + DEADLINE
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
            except ConnectionRefusedError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.02)

    def do(self, command: str, parameters: str = "") -> None:
        text = json.dumps({"command": command, "params": parameters, "token": "t"})
        self._socket.sendall(f"{len(text)}:{text},".encode())

    def wait(self, kind: str) -> dict[str, Any]:
        """The next event of a type."""
        until = time.monotonic() + DEADLINE
        while True:
            while b":" in self._buffer:
                length, _, rest = self._buffer.partition(b":")
                size = int(length)
                if len(rest) <= size:
                    break
                self._buffer = rest[size + 1 :]
                event: dict[str, Any] = json.loads(rest[:size])
                self.events.append(event)
                if event.get("type") == kind:
                    return event
            self._socket.settimeout(max(0.01, until - time.monotonic()))
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                data = b""
            assert data, f"no {kind}: {self.events[-5:]}\n{self.log.read_text()[-2000:]}"
            self._buffer += data

    def stop(self) -> None:
        self._socket.close()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def md5_site(own_site: Callable[..., Site]) -> Site:
    return own_site(config='[sip]\ndigest_algorithms = ["MD5"]\n')


@pytest.fixture
def baresip(md5_site: Site) -> Iterator[Callable[[str, str], Baresip]]:
    program("baresip")
    if not Path(MODULES).is_dir():
        pytest.skip(f"baresip has no modules in {MODULES}")
    running: list[Baresip] = []

    def start(user: str, transport: str) -> Baresip:
        running.append(Baresip(md5_site, user, transport))
        md5_site.wait_registered(user)
        return running[-1]

    yield start
    for phone in running:
        phone.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", LOSSY])
def test_baresip_calls_and_is_called(
    md5_site: Site, baresip: Callable[[str, str], Baresip], transport: str
) -> None:
    site = md5_site
    phone = baresip("101", transport)
    other = site.phone("102", transport=transport)
    watcher = site.agent("103")
    watcher.subscribe("101")

    server, protocol = site.reach(transport)
    phone.do("dial", f"sip:102@{server};transport={protocol}")
    assert "Name 101" in other.wait("incoming")["remote"]
    phone.wait("CALL_RINGING")
    watcher.notify("trying", DEADLINE)
    other.do("answer")
    phone.wait("CALL_ESTABLISHED")
    other.wait_call("confirmed")
    watcher.notify("confirmed", DEADLINE)
    phone.do("hangup")
    other.wait_call("disconnected")
    watcher.notify("terminated", DEADLINE)

    other.do("call", to="101")
    phone.wait("CALL_INCOMING")
    watcher.notify("early", DEADLINE)
    phone.do("accept")
    other.wait_call("confirmed")
    watcher.notify("confirmed", DEADLINE)
    other.do("hangup")
    phone.wait("CALL_CLOSED")
    watcher.notify("terminated", DEADLINE)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_baresip_transfers_and_is_transferred(
    md5_site: Site, baresip: Callable[[str, str], Baresip], transport: str
) -> None:
    """It writes Refer-To without brackets, and says nothing of who it is."""
    site = md5_site
    first, last = baresip("101", transport), baresip("103", transport)
    other, watcher = site.phone("102", transport=transport), site.agent("104")
    watcher.subscribe("101")
    server, protocol = site.reach(transport)
    first.do("dial", f"sip:102@{server};transport={protocol}")
    other.wait("incoming")
    other.do("answer")
    first.wait("CALL_ESTABLISHED")
    watcher.notify("confirmed", DEADLINE)
    first.do("transfer", f"sip:103@{server}")
    last.wait("CALL_INCOMING")
    last.do("accept")
    last.wait("CALL_ESTABLISHED")
    first.wait("CALL_CLOSED")
    watcher.notify("terminated", DEADLINE)
    other.do("transfer", to="101")
    first.wait("CALL_INCOMING")
    first.do("accept")
    assert other.wait("transfer", lambda event: event["final"])["code"] == 200
    other.wait_call("disconnected")
    watcher.notify("confirmed", DEADLINE)
    first.do("hangup")
    last.wait("CALL_CLOSED")


def test_phones_dial_codes_for_their_own_rules(
    md5_site: Site, baresip: Callable[[str, str], Baresip]
) -> None:
    """To two SIP stacks it is a call that is answered, and ended by the other side."""
    site = md5_site
    phone, other, watcher = baresip("101", "udp"), site.phone("102"), site.agent("103")
    watcher.subscribe("101")
    server, _ = site.reach("udp")
    for code, state in (("*78", "confirmed"), ("*79", "terminated")):
        phone.do("dial", f"sip:{code}@{server}")
        phone.wait("CALL_ESTABLISHED")
        watcher.notify(state, DEADLINE)
        phone.wait("CALL_CLOSED")
    for code, lamp in (("*78", "do not disturb"), ("*79", "idle")):
        other.do("call", to=code)
        other.wait_call("confirmed")
        site.wait_lamp("102", lamp)
        assert other.wait_call("disconnected")["code"] == 200
    site.wait_no_call()
