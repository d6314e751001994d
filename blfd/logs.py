"""Log lines: one line for each record, whatever peers have written that is in it."""

from __future__ import annotations

import json
import logging
import sys
import time

from blfd.core.visible import visible

LONGEST = 4000  # characters of a record without its traceback
FORMATS = ("text", "json")
TIME = "%Y-%m-%d %H:%M:%S"


class OneLine(logging.Formatter):
    """A record as one visible line; a traceback of ours follows on lines of its own."""

    _second, _when = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:  # what is the same all second is found out once
            self._second, self._when = second, time.strftime(TIME, time.localtime(second))
        when = f"{self._when},{int(record.msecs):03}"
        line = visible(f"{when} {record.levelname} {record.getMessage()}", LONGEST)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLine(logging.Formatter):
    """A record as a JSON object: `time` (RFC 3339), `level`, `logger`, `message`, and our `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        found = {
            "time": f"{when}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": visible(record.getMessage(), LONGEST),
        }
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found)


def start(level: int = logging.INFO, as_what: str = FORMATS[0]) -> None:
    """Have this process log to its standard error, in one of FORMATS, and as no other before it."""
    # Where in the source a line comes from, and of which thread and task: nobody reads it, and finding it
    # out takes half of the time that a line takes.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLine() if as_what == "json" else OneLine())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    sys.unraisablehook = unraisable


def unraisable(told: sys.UnraisableHookArgs) -> None:
    """Log what Python cannot raise, as nobody would catch it.

    In a handshake that is a server name which is none: `ssl` wants ASCII, and strangers send what they like.
    """
    log = logging.getLogger("blfd")
    if isinstance(told.exc_value, UnicodeDecodeError) and isinstance(told.object, bytes):
        log.debug("TLS: a server name that is none: %s", told.object)
        return
    log.error("%s: %r", told.err_msg or "ignored", told.object, exc_info=told.exc_value)
