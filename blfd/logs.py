"""Log lines: one line for each record, whatever peers have written that is in it."""

from __future__ import annotations

import logging

from blfd.core.visible import visible

LONGEST = 4000  # characters of a record without its traceback


class OneLine(logging.Formatter):
    """Makes a record visible; a traceback of ours follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return visible(super().formatMessage(record), LONGEST)


def start(level: int = logging.INFO) -> None:
    """Have this process log to its standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
