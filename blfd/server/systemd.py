"""What systemd is told: that the server is ready, that its SIP loop turns, that it stops (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket
import time


class Systemd:
    """Tells systemd how the server is, and nothing where no systemd asks. The variables are taken away:
    children have nothing to say."""

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        patience = os.environ.pop("WATCHDOG_USEC", "")
        asked = os.environ.pop("WATCHDOG_PID", "") or str(os.getpid())
        is_mine = patience.isdigit() and asked == str(os.getpid())
        self._every = int(patience) / 1e6 / 3 if is_mine else 0.0  # seconds; 0.0 for never
        self._due = 0.0  # a time of time.monotonic()

    def ready(self) -> None:
        self._say("READY=1")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def turned(self) -> None:
        """Say that the SIP loop has turned: called often, and said three times in what systemd waits for."""
        if self._every and (now := time.monotonic()) >= self._due:
            self._due = now + self._every
            self._say("WATCHDOG=1")

    def _say(self, state: str) -> None:
        if not self._address:
            return
        name = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)  # it may be slow, and phones are not to notice
            out.sendto(state.encode(), name)
