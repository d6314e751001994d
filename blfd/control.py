"""The Unix socket beside the database: what the CLI asks the running server.

One JSON object a line: {"call": NAME, "tenant": DOMAIN} and {"result": ...} or {"error": TEXT}.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger("blfd.control")

MAX_REQUEST = 64 * 1024
PATIENCE = 15.0  # seconds
GRACE = 2.0  # seconds that a client has to read its answer when the server stops


class NotRunning(Exception):
    """Raised where no server answers on the socket."""


class ControlError(Exception):
    """Raised where the server answered with an error, or another server has the socket."""


def socket_path(database: Path) -> Path:
    return database.with_name(database.name + ".sock")


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for `path` that fits into the 107 octets of a socket address."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    timeout = PATIENCE

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while line := self.rfile.readline(MAX_REQUEST + 1):
                # What phones send need not be sound UTF-8; what does not belong there becomes "?".
                self.wfile.write(self._answer(line).encode("utf-8", "replace") + b"\n")

    def _answer(self, line: bytes) -> str:
        try:
            request = json.loads(line)
            name = str(request.pop("call"))
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            return json.dumps({"error": 'a request is one line of JSON, {"call": NAME, ...}'})
        try:
            return json.dumps({"result": self.server.answer(name, request)}, ensure_ascii=False)
        except ValueError as error:
            return json.dumps({"error": str(error)}, ensure_ascii=False)
        except Exception as error:
            log.exception("the control call %r failed", name)
            return json.dumps({"error": f"{type(error).__name__}: {error}"})


class _Server(socketserver.ThreadingUnixStreamServer):
    answer: Callable[[str, dict[str, Any]], Any]

    def __init__(self, name: str) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(name, _Handler)

    def server_bind(self) -> None:
        os.fchmod(self.socket.fileno(), 0o600)  # before it has a name: never open to others
        super().server_bind()


class ControlServer:
    """Serves `answer(name, arguments)`, called on threads of its own. Raises ControlError."""

    def __init__(self, path: Path, answer: Callable[[str, dict[str, Any]], Any]) -> None:
        self._path = path
        self._replace_stale()
        with _short(path) as name:
            self._server = _Server(name)
        self._server.answer = answer
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)
        self._thread.start()

    def _replace_stale(self) -> None:
        try:
            ControlClient(self._path).call("status")
        except NotRunning:
            self._path.unlink(missing_ok=True)
            return
        except ControlError:
            pass
        raise ControlError(f"another server runs on this database ({self._path}): stop it first")

    def close(self) -> None:
        """Ask nobody any more, and wait for the threads: one that outlives us leaves its database open."""
        self._server.shutdown()
        self._cut(socket.SHUT_RD)
        late = threading.Timer(GRACE, self._cut, (socket.SHUT_RDWR,))  # for who does not read its answer
        late.start()
        self._server.server_close()
        late.cancel()
        late.join()
        self._path.unlink(missing_ok=True)

    def _cut(self, how: int) -> None:
        for connection in self._server.connections.copy():
            with contextlib.suppress(OSError):
                connection.shutdown(how)


class ControlClient:
    """Asks the server of one database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def call(self, name: str, **arguments: Any) -> Any:
        """The result of a call. Raises NotRunning and ControlError."""
        try:
            with socket.socket(socket.AF_UNIX) as connection, _short(self._path) as address:
                connection.settimeout(PATIENCE)
                connection.connect(address)
                with connection.makefile("rwb") as stream:
                    stream.write(json.dumps({"call": name, **arguments}).encode() + b"\n")
                    stream.flush()
                    line = stream.readline()
        except (FileNotFoundError, ConnectionError, NotADirectoryError) as error:
            raise NotRunning(str(self._path)) from error
        except OSError as error:
            raise ControlError(f"{self._path}: {error}") from error
        if not line:
            raise NotRunning(str(self._path))
        try:
            answer = json.loads(line)
            if "error" in answer:
                raise ControlError(answer["error"])
            return answer["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise ControlError(f"what answers at {self._path} is not blfd: {error}") from error
