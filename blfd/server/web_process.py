"""The process that serves HTTP: phones' files, the portal with its API, metrics.

It is started with the server, started again when it dies, and ended with it.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from typing import Any

from blfd.config import Config
from blfd.devices.values import Place

log = logging.getLogger("blfd")

AGAIN = 5.0  # seconds until it is started again
PATIENCE = 5.0  # seconds for it to end by itself


class WebProcessError(Exception):
    """The process did not start; the text is what it said."""


class WebProcess:
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
        """Start the process. Raises WebProcessError."""
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
            raise WebProcessError(first or f"{self._name} ended without a word")
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
                except Exception as error:  # whatever it is, it is tried again
                    log.warning("%s did not start: %s; tried again in %.0f s", self._name, error, AGAIN)

    def leave(self) -> None:
        """Do not start the process again: where everybody is told to end, it may end before us."""
        self._closing.set()

    def close(self) -> None:
        """Have the process end, and wait until it has."""
        self.leave()
        process = self._process
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            log.warning("%s has not ended within %.0f s; it is killed", self._name, PATIENCE)
            process.kill()
            self._thread.join(PATIENCE)


def start(config: Config, place: Place) -> tuple[WebProcess | None, dict[str, str]]:
    """The process, if any of its listeners is wanted, and the address of each listener by its name.

    Raises WebProcessError.
    """
    wanted = {"provision": config.provision, "portal": config.web, "metrics": config.metrics}
    listeners = [
        {"name": name, "scheme": web.scheme, "address": web.host, "port": web.port}
        for name, web in wanted.items()
        if web
    ]
    if not listeners:
        return None, {}
    options: dict[str, Any] = {
        "database": str(config.database),
        "log_format": config.log_format,
        "host": place.host,
        "ports": place.ports,
        "ca": place.ca,
        "listeners": listeners,
    }
    if config.tls.certificates:
        options["certificate"], options["certificate_key"] = map(str, config.tls.certificates[0])
    process = WebProcess("blfd.web", json.dumps(options))
    return process, json.loads(process.said)
