"""A server and simulated phones as child processes, for the demo and the end-to-end tests."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

Event = dict[str, Any]

PATIENCE = 60.0  # seconds: a busy machine starts a server with its pages in twenty


class Missing(Exception):
    """Raised where something that was waited for has not happened."""


class Child:
    """A process whose standard output is read line by line; ended by its pid on every way out.

    With `own_group`, what is sent to its process group reaches nobody else.
    """

    def __init__(
        self, arguments: list[str], *, log: Path, cwd: Path | None = None, own_group: bool = False
    ) -> None:
        self.log = log
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=cwd,
                process_group=0 if own_group else None,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            for line in output:
                self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def next_line(self, timeout: float) -> str:
        """The next line; raises Missing when none comes or the process has ended."""
        try:
            line = self._queue.get(timeout=max(0.0, timeout))
        except queue.Empty:
            raise Missing(f"nothing came within {timeout:.0f} s; see {self.log}") from None
        if line is None:
            self._queue.put(None)
            raise Missing(f"the process has ended ({self.process.wait()}); see {self.log}")
        self.lines.append(line)
        return line

    def stop(self, patience: float = PATIENCE) -> int:
        """Send SIGTERM, then SIGKILL; returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._reader.join()
            assert self.process.stdin
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class ServerProcess(Child):
    """`blfd run` on a database; `addresses` as it prints them when it is ready."""

    def __init__(
        self,
        database: Path,
        listen: list[str],
        *options: str,
        config: Path | None = None,
        own_group: bool = False,
    ) -> None:
        arguments = ["blfd", "--db", str(database)]
        if config:
            arguments += ["--config", str(config)]
        arguments += ["run", *(word for item in listen for word in ("--listen", item)), *options]
        super().__init__(arguments, log=database.with_suffix(".log"), own_group=own_group)
        line = ""
        while not line.startswith("ready"):
            try:
                line = self.next_line(PATIENCE)
            except Missing as error:
                self.stop()
                raise Missing(f"the server did not start: {error}\n{self.log.read_text()}") from None
        self.addresses = line.split()[1:]

    def address(self, transport: str = "udp") -> str:
        """HOST:PORT of the first listener of a transport; "udp6" and "tcp6" are those over IPv6."""
        listening = (address.partition(":") for address in self.addresses)
        return next(at for name, _, at in listening if transport == name + "6" * at.startswith("["))


class PhoneProcess(Child):
    """A phone of blfd.demo.simulated_phone; `events` is everything that it has reported."""

    def __init__(
        self,
        server: str,
        user: str,
        password: str,
        *,
        folder: Path,
        watch: str = "",
        transport: str = "udp",
        more: Iterable[str] = (),
        patience: float = PATIENCE,
    ) -> None:
        self.user, self.patience = user, patience
        self.events: list[Event] = []
        arguments = ["blfd.demo.simulated_phone", "--server", server, "--user", user, "--password", password]
        arguments += ["--watch", watch, "--transport", transport, *more]
        super().__init__(arguments, log=folder / f"phone-{user}.log")

    def do(self, what: str, **how: object) -> None:
        """Send a command."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": what, **how}) + "\n")
        self.process.stdin.flush()

    def wait(self, event: str, condition: Callable[[Event], bool] = lambda event: True) -> Event:
        """The next event of this kind that fulfils the condition; the others before it are recorded."""
        until = time.monotonic() + self.patience
        while True:
            try:
                found: Event = json.loads(self.next_line(until - time.monotonic()))
            except Missing as error:
                seen = [{k: v for k, v in e.items() if k != "document"} for e in self.events[-4:]]
                raise Missing(f"phone {self.user}: no {event} as expected, last {seen}; {error}") from None
            self.events.append(found)
            if found["event"] == event and condition(found):
                return found

    def wait_lamp(self, extension: str, lamp: str) -> Event:
        """Wait until the key of an extension shows `lamp`; what has come before counts, if it is the last."""

        def is_of_key(event: Event) -> bool:
            return event["event"] == "lamp" and str(event["entity"]).startswith(f"sip:{extension}@")

        known = [event for event in self.events if is_of_key(event)]
        if known and known[-1]["lamp"] == lamp:
            return known[-1]
        return self.wait("lamp", lambda event: is_of_key(event) and event["lamp"] == lamp)

    def wait_call(self, state: str) -> Event:
        """Wait until the call is "confirmed", "disconnected" and so on, PJSUA's words."""
        return self.wait("call", lambda event: event["state"] == state)

    def quit(self) -> None:
        """Tell the phone to go, which takes it a second, and do not wait."""
        with contextlib.suppress(OSError, ValueError):
            self.do("quit")

    def stop(self, patience: float = PATIENCE) -> int:
        self.quit()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        return super().stop(patience)
