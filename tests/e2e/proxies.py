"""Debian's Kamailio as a process of a test's own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ports import free_port
from programs import program

PATIENCE = 60.0  # seconds, which include the pauses between attempts


class Kamailio:
    """A Kamailio at `address`, whose configuration and log are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"

    def run(self, config: str, memory: int, is_ready: Callable[[], bool]) -> None:
        """Start Kamailio, and wait until it is ready; its processes share `memory` MiB."""
        (self.folder / "kamailio.cfg").write_text(config)
        command = [program("kamailio"), "-f", "kamailio.cfg", "-DD", "-E", "-m", str(memory), "-M", "8"]
        log_file = self.folder / "kamailio.log"
        with log_file.open("a") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not is_ready():
            assert self.process.poll() is None, log_file.read_text()
            assert time.monotonic() < end, "Kamailio does not start"

    def kill(self) -> None:
        """Send SIGKILL to all processes of Kamailio."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self.process.kill()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        self.process.wait()
        end = time.monotonic() + PATIENCE
        while not all(map(_is_over, children)):
            assert time.monotonic() < end, "Kamailio survives kill -9"
            time.sleep(0.02)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Have all processes of Kamailio halt for a while: its sockets are there, and say nothing."""
        pid = self.process.pid
        all_of_them = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        for one in all_of_them:
            os.kill(one, signal.SIGSTOP)
        try:
            yield
        finally:
            for one in all_of_them:
                os.kill(one, signal.SIGCONT)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _is_over(pid: str) -> bool:
    """Whether a process has ended, even if nobody has waited for it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
