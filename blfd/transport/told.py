"""What strangers do may fill no log: each thing is told of each sender once in a while."""

from __future__ import annotations

import logging
import time

from blfd.core.hosts import sender

WHILE = 600.0  # seconds
MOST = 100  # lines in this time


class Told:
    """The warnings of `log`; those that were given lately are for who debugs."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: set[tuple[str, str]] = set()
        self._since = 0.0

    def warn(self, host: str, text: str, *values: object) -> None:
        """Warn of a host; `text` is for `%`, and says by itself what is told of the host."""
        now = time.monotonic()
        if now > self._since + WHILE:
            self._told.clear()
            self._since = now
        known = sender(host), text
        is_news = known not in self._told and len(self._told) < MOST
        if is_news:
            self._told.add(known)
        self._log.log(logging.WARNING if is_news else logging.DEBUG, text, *values)
