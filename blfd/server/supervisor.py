"""`blfd run --supervise`: starts the server again when it dies (PJSIP's assertions end the process)."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

log = logging.getLogger("blfd.supervisor")

RESTARTS = "BLFD_RESTARTS"  # in the server's environment: how often it was started again
SETTLED = 60.0  # seconds after which a death is a new one and not the last one again
LONGEST_PAUSE = 30.0
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG = 1  # prctl(2)


class Supervisor:
    """Runs `command` until it ends by itself, or by a signal that is passed on to it."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._stopped_by = 0

    def run(self) -> int:
        """The exit code of the last process."""
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)
        restarts = deaths = 0  # deaths: in a row, each soon after the start
        while True:
            started = time.monotonic()
            code = self._run_once(restarts)
            lived = time.monotonic() - started
            if self._stop.is_set() or code == 0 or (code > 0 and not restarts):
                return code if code >= 0 else 128 - code
            deaths = 1 if lived > SETTLED else deaths + 1
            pause = 0.0 if deaths == 1 else min(LONGEST_PAUSE, 2.0 ** (deaths - 2))
            how = f"by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"with exit code {code}"
            when = f"in {pause:.0f} s" if pause else "at once"
            log.error("the server ended %s after %.0f s; it is started again %s", how, lived, when)
            if self._stop.wait(pause):
                return 128 + self._stopped_by
            restarts += 1

    def _run_once(self, restarts: int) -> int:
        environment = {**os.environ, RESTARTS: str(restarts)}
        self._child = subprocess.Popen(
            self._command,
            env=environment,
            preexec_fn=_end_with_parent,
            process_group=0,  # a Ctrl-C is for us, who pass it on
        )
        if self._stop.is_set():  # the signal came before there was anybody to pass it on to
            self._child.send_signal(self._stopped_by)
        return self._child.wait()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._stopped_by = number
        self._stop.set()
        if self._child and self._child.poll() is None:
            self._child.send_signal(number)


def _end_with_parent() -> None:
    """In the new process: a supervisor that is killed takes its server along."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def restarts() -> int:
    """In the server: how often its supervisor has started it again."""
    return int(os.environ.get(RESTARTS, "0"))


def run(arguments: list[str]) -> int:
    """Supervise `blfd` with these arguments."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    return Supervisor([sys.executable, "-m", "blfd", *arguments]).run()
