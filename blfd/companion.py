"""A process beside the server: started with it, started again when it dies, ended with it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

log = logging.getLogger("blfd")

AGAIN = 5.0  # seconds until it is started again
PATIENCE = 5.0  # seconds for it to end by itself


class CompanionError(Exception):
    """It did not start; the text is what it said."""


class Companion:
    """Runs `python -m MODULE ARGUMENTS...`, which ends when its standard input does.

    Its first line is `ready`, and what follows is `said`; or else why it cannot start. What it writes on
    standard error goes where ours goes.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._name = module
        self._closing = threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._keep, name=module, daemon=True)
        self._thread.start()

    def _start(self) -> subprocess.Popen[str]:
        """Raises CompanionError."""
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,  # a Ctrl-C is for the server, which ends it
        )
        assert process.stdout
        first = process.stdout.readline().strip()
        ready, _, self.said = first.partition(" ")
        if ready != "ready":
            process.communicate()
            raise CompanionError(first or f"{self._name} ended without a word")
        return process

    def _keep(self) -> None:
        while True:
            code = self._process.wait()
            if self._closing.is_set():
                return
            log.warning("%s ended (%d); it is started again in %.0f s", self._name, code, AGAIN)
            while not self._closing.wait(AGAIN):
                try:
                    self._process = self._start()
                    break
                except (CompanionError, OSError) as error:
                    log.warning("%s did not start: %s; tried again in %.0f s", self._name, error, AGAIN)

    def close(self) -> None:
        self._closing.set()
        process = self._process
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            log.warning("%s has not ended within %.0f s; it is killed", self._name, PATIENCE)
            process.kill()
