"""The load generator (load.c and its parts): how it is built, started, and told what to do."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from servers import HERE, BenchError, Server

BINARY = HERE / "load"
SOURCES = ("load.c", "watchers.c", "calls.c", "pickup.c", "publish.c", "wire.c")
LOCAL_ADDRESS = "127.0.7.9"


def build() -> bool:
    """Compile the generator. False if there are no headers of OpenSSL: it answers no challenge then."""
    command = ["gcc", "-O2", "-Wall", "-o", str(BINARY), *(str(HERE / name) for name in SOURCES)]
    if subprocess.run([*command, "-DWITH_DIGEST", "-lcrypto"], capture_output=True).returncode == 0:
        return True
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"gcc cannot build the load generator:\n{done.stderr}")
    return False


@dataclass(frozen=True, slots=True)
class Generator:
    """A running generator beside a running server."""

    process: subprocess.Popen[str]
    server: Server

    def command(self, text: str) -> dict[str, Any]:
        """Do one command (load.c lists them), and return its report, with the server's `server_cpu_s`."""
        assert self.process.stdin
        assert self.process.stdout
        before = self.server.cpu_seconds()
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr
            raise BenchError(f"{text}: {self.process.stderr.read().strip() or 'the generator died'}")
        report: dict[str, Any] = json.loads(line)
        return report | {"server_cpu_s": round(self.server.cpu_seconds() - before, 2)}


@contextmanager
def generator(server: Server, digest: bool = False) -> Iterator[Generator]:
    """A generator that talks to `server` until the block ends."""
    command = [str(BINARY), server.address, LOCAL_ADDRESS, *(["--digest"] if digest else [])]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        yield Generator(process, server)
