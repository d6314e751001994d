"""The Unix socket between the command line and the server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blfd.control import ControlClient, ControlError, ControlServer, NotRunning

DEADLINE = 30.0


def answer(name: str, arguments: dict[str, Any]) -> Any:
    if name == "fail":
        raise ValueError("no such call")
    if name == "crash":
        raise RuntimeError("broken")
    if name == "lose":
        return dict[str, Any]()["nothing"]
    if name == "odd":
        return object()
    return {"name": name, **arguments}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "blfd.db.sock"


@pytest.fixture
def server(path: Path) -> Iterator[ControlServer]:
    server = ControlServer(path, answer)
    yield server
    server.close()


def test_a_call(server: ControlServer, path: Path) -> None:
    assert ControlClient(path).call("lamps", tenant="x") == {"name": "lamps", "tenant": "x"}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("fail", "^no such call$"),
        ("crash", "^RuntimeError: broken$"),
        ("lose", "^KeyError: 'nothing'$"),
        ("odd", "^TypeError: .* not JSON serializable"),
    ],
)
def test_errors_come_back_as_text(server: ControlServer, path: Path, call: str, words: str) -> None:
    with pytest.raises(ControlError, match=words):
        ControlClient(path).call(call)
    assert ControlClient(path).call("status"), "the server lives"


DEEP = b"[" * 9999 + b"\n"


@pytest.mark.parametrize("line", [b"garbage\n", b"[1]\n", b"{}\n", b'{"x": 1}\n', b"\xff\n", DEEP])
def test_garbage(server: ControlServer, path: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        with connection.makefile("rwb") as stream:
            stream.write(line)
            stream.flush()
            assert "error" in json.loads(stream.readline())
            stream.write(b'{"call": "status"}\n')
            stream.flush()
            assert json.loads(stream.readline()) == {"result": {"name": "status"}}


@pytest.mark.parametrize("sent", [b"", b'{"ca', b'{"call": "status"}\n', b'{"call": "large"}\n'])
def test_no_thread_outlives_the_server(path: Path, sent: bytes) -> None:
    """Of whoever says nothing, half of a line, or reads no answer: each may have the database open."""
    began, before = threading.Event(), threading.active_count()

    def late(name: str, arguments: dict[str, Any]) -> Any:
        began.set()
        return "x" * (1 << 22 if name == "large" else 1)

    server = ControlServer(path, late)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        ControlClient(path).call("status")  # whoever came before is being served
        began.clear()
        client.sendall(sent)
        if sent.endswith(b"\n"):
            assert began.wait(DEADLINE)
        server.close()
        assert threading.active_count() == before


def test_nobody_there(path: Path) -> None:
    with pytest.raises(NotRunning):
        ControlClient(path).call("status")


def test_a_stale_socket_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NotRunning):
        ControlClient(path).call("status")
    server = ControlServer(path, answer)
    assert ControlClient(path).call("status")
    server.close()
    assert not path.exists()


def test_a_second_server_is_refused(server: ControlServer, path: Path) -> None:
    with pytest.raises(ControlError, match="another server"):
        ControlServer(path, answer)
    assert ControlClient(path).call("status")


def test_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    path = folder / "blfd.db.sock"
    server = ControlServer(path, answer)
    assert ControlClient(path).call("status")
    server.close()
