"""`blfd run --supervise`: starts the server again when it dies (PJSIP's assertions end the process).

Each server is a fork of the supervisor, which has loaded all that a server needs and done nothing with it: to
load it takes as long as all else of a start.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import threading
import time
from types import FrameType

from blfd import logs

log = logging.getLogger("blfd.supervisor")

RESTARTS = "BLFD_RESTARTS"  # in the server's environment: how often it was started again
SETTLED = 60.0  # seconds after which a death is a new one and not the last one again
LONGEST_PAUSE = 30.0
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG = 1  # prctl(2)


class Supervisor:
    """Forks until a server ends by itself, or by a signal that is passed on to it."""

    def __init__(self) -> None:
        self._server = 0
        self._stop = threading.Event()
        self._stopped_by = 0

    def run(self) -> int | None:
        """The exit code of the last server; None in a server, which is to go on."""
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)
        restarts = deaths = 0  # deaths: in a row, each soon after the start
        while True:
            started = time.monotonic()
            if self._fork(restarts):
                return None
            code = self._wait()
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

    def _fork(self, restarts: int) -> bool:
        """Make a server: whether this process is it."""
        supervisor = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        self._server = os.fork()
        is_server = not self._server
        if is_server:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # it does not outlive its supervisor
            if os.getppid() != supervisor:
                os._exit(1)
            os.setpgid(0, 0)  # a Ctrl-C is for the supervisor, who passes it on
            os.environ[RESTARTS] = str(restarts)
            for number in PASSED_ON:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        return is_server

    def _wait(self) -> int:
        """How the server has ended: its exit code, or the signal's number below zero."""
        if self._stop.is_set():  # the signal came before there was anybody to pass it on to
            os.kill(self._server, self._stopped_by)
        pid = self._server
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self._server = 0  # now that its number may be another's soon
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._stopped_by = number
        self._stop.set()
        if self._server:
            os.kill(self._server, number)


def restarts() -> int:
    """How often its supervisor has started this server again."""
    return int(os.environ.get(RESTARTS, "0"))


def run(log_format: str) -> int | None:
    """Supervise forks of this process: the exit code of the last; None in a fork, which is to serve."""
    logs.start(as_what=log_format)
    gc.freeze()  # what is loaded is shared as long as nobody touches it
    return Supervisor().run()
