"""The command line as a process of its own at each call, without half a second of imports each time.

One process has imported everything and forks for each command; what that prints, its folder, its environment
and its exit are those of any `blfd` that a shell starts.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

LATER = (  # what commands import where they need it
    "blfd.doctor",
    "blfd.store.migrations",
    "provisioning.directories",
    "provisioning.rendering",
    "provisioning.templating",
    "jinja2.sandbox",
    "rich.syntax",
    "sqlite_utils",
)


class Forked:
    """Runs commands one after the other; `close` ends the process that forks."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def run(
        self, arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as subprocess.run(["blfd", *arguments]) would, without standard input."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            code = self._ask(["run", arguments, str(folder), dict(environment)], out, err, timeout)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read().decode(), err.read().decode())

    def serve(
        self, arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], log: Path
    ) -> tuple[int, str]:
        """Start a command that serves; return its number for `end`, and its first line, "" if it has none."""
        reading, writing = os.pipe()
        with open(reading) as said, log.open("a") as err:
            with open(writing, "w") as out:
                pid = self._ask(["serve", arguments, str(folder), dict(environment)], out, err)
            return pid, said.readline().strip()

    def end(self, pid: int) -> int:
        """Send SIGTERM to what `serve` has started, and return its exit code."""
        with open(os.devnull, "w") as nothing:
            return self._ask(["end", [], str(pid), {}], nothing, nothing)

    def _ask(self, what: list[Any], out: IO[Any], err: IO[Any], timeout: float = 60) -> int:
        words = json.dumps(what).encode()
        self._socket.settimeout(timeout)
        socket.send_fds(self._socket, [struct.pack("!I", len(words))], [out.fileno(), err.fileno()])
        self._socket.sendall(words)
        (answer,) = struct.unpack("!i", _exactly(self._socket, 4))
        return int(answer)

    def close(self) -> None:
        self._socket.close()
        self._process.wait(timeout=30)


def _exactly(peer: socket.socket, count: int) -> bytes:
    octets = b""
    while len(octets) < count:
        if not (more := peer.recv(count - len(octets))):
            raise EOFError
        octets += more
    return octets


def _serve(peer: socket.socket) -> None:
    from blfd.cli import main

    for name in LATER:
        importlib.import_module(name)
    sys.argv = ["blfd", "extension", "list", "--help"]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main()
    gc.freeze()  # otherwise each child would look through all of this at its end, longer than it works
    while True:
        head, files, _flags, _address = socket.recv_fds(peer, 4, 2)
        if not head:
            return
        (length,) = struct.unpack("!I", head)
        what, arguments, folder, environment = json.loads(_exactly(peer, length))
        if what == "end":
            child = int(folder)
            os.kill(child, signal.SIGTERM)
        else:
            if what == "serve":
                importlib.import_module("blfd.server.loop")
                gc.freeze()
            child = os.fork()
        if child == 0:
            peer.close()
            for place, descriptor in enumerate(files, 1):
                os.dup2(descriptor, place)
                os.close(descriptor)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["blfd", *arguments]
            try:
                main()
            except SystemExit as end:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
            return
        for descriptor in files:
            os.close(descriptor)
        answer = child if what == "serve" else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        peer.sendall(struct.pack("!i", answer))


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of the tests, whose packages have the names of those that they test
    _serve(socket.socket(fileno=int(sys.argv[1])))
