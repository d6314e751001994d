"""The command line as a process of its own at each call, without half a second of imports each time.

One process has imported everything and forks for each command; what that prints, its folder, its environment
and its exit are those of any `blfd` that a shell starts.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path


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
        """As subprocess.run(["blfd", *arguments]) without standard input."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            words = json.dumps([arguments, str(folder), dict(environment)]).encode()
            self._socket.settimeout(timeout)
            socket.send_fds(self._socket, [struct.pack("!I", len(words))], [out.fileno(), err.fileno()])
            self._socket.sendall(words)
            (code,) = struct.unpack("!i", _exactly(self._socket, 4))
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read().decode(), err.read().decode())

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

    for name in ("provisioning.directories", "provisioning.rendering", "rich.syntax", "sqlite_utils"):
        importlib.import_module(name)  # those that commands import where they need them
    sys.argv = ["blfd", "extension", "list", "--help"]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main()
    while True:
        head, files, _flags, _address = socket.recv_fds(peer, 4, 2)
        if not head:
            return
        (length,) = struct.unpack("!I", head)
        arguments, folder, environment = json.loads(_exactly(peer, length))
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
            main()
            return
        for descriptor in files:
            os.close(descriptor)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        peer.sendall(struct.pack("!i", status))


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose packages have the names of those that they test
    _serve(socket.socket(fileno=int(sys.argv[1])))
