"""The server's loop goes on whatever fails in one of its turns."""

from __future__ import annotations

import logging
from collections.abc import Callable

log = logging.getLogger("blfd")

MOST_FAILED = 100
"""Turns in a row: what fails so often fails for ever, and a process that begins anew may do better."""


def turn_until(is_over: Callable[[], bool], turn: Callable[[], None]) -> None:
    """Call `turn` again and again, until it `is_over`. What it raises concerns one input, timer or socket, so
    it is logged; raises that of the last of too many turns in a row."""
    failed = 0
    while not is_over():
        try:
            turn()
            failed = 0
        except Exception:
            failed += 1
            if failed == MOST_FAILED:
                raise
            log.exception("something was not done")
