"""baresip as a phone: a process of it, over IPv4 or IPv6."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import wave
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from programs import program
from sites import PATIENCE_OF_LOSSY, password
from wire import Agent

from blfd.core import hosts

MD5 = '[sip]\ndigest_algorithms = ["MD5"]\n'
"""Debian's baresip 1.0 gives up at a SHA-256 challenge, so its sites offer MD5 alone."""

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
sip_listen {host}:0
sip_cafile {folder}/../site.pem
net_interface {interface}
prefer_ipv6 {is_ipv6}
"""


class Baresip:
    """A baresip at an address, driven over its control socket (netstrings of JSON)."""

    def __init__(self, folder: Path, user: str, server: str, transport: str, host: str = "127.0.0.1") -> None:
        program("baresip")
        if not Path(MODULES).is_dir():
            pytest.skip(f"baresip has no modules in {MODULES}")
        self.user, self.server, self.transport = user, server, transport
        folder = folder / f"baresip-{user}-{transport}"
        folder.mkdir()
        control = free_port()
        config = CONFIG.format(
            modules=MODULES,
            control=control,
            folder=folder,
            host=hosts.written(host),
            interface=host,
            is_ipv6="yes" if hosts.is_ipv6(host) else "no",
        )
        (folder / "config").write_text(config)
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

    def dial(self, what: str) -> None:
        self.do("dial", f"sip:{what}@{self.server};transport={self.transport}")

    def wait(self, kind: str) -> dict[str, Any]:
        """Wait for the next event of a type, and return it."""
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
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def a_day(caller: Baresip, callee: Baresip, picker: Baresip, watcher: Agent) -> None:
    """Make a call that is picked up by a code, one that is answered and one that is transferred; check what a
    watcher of the callee sees of them."""
    watcher.subscribe(callee.user)
    caller.dial(callee.user)
    callee.wait("CALL_INCOMING")
    watcher.notify("early", DEADLINE)
    picker.dial(f"*97{callee.user}")
    for phone in (picker, caller):
        phone.wait("CALL_ESTABLISHED")
    callee.wait("CALL_CLOSED")
    watcher.notify("terminated", DEADLINE)
    picker.do("hangup")
    for phone in (picker, caller):
        phone.wait("CALL_CLOSED")
    caller.dial(callee.user)
    callee.wait("CALL_INCOMING")
    callee.do("accept")
    for phone in (callee, caller):
        phone.wait("CALL_ESTABLISHED")
    watcher.notify("confirmed", DEADLINE)
    caller.do("transfer", f"sip:{picker.user}@{caller.server}")
    picker.wait("CALL_INCOMING")
    picker.do("accept")
    picker.wait("CALL_ESTABLISHED")
    caller.wait("CALL_CLOSED")
    callee.do("hangup")
    for phone in (callee, picker):
        phone.wait("CALL_CLOSED")
    watcher.notify("terminated", DEADLINE)
