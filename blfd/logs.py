"""Log lines: one line for each record, whatever peers have written that is in it."""

from __future__ import annotations

import json
import logging
import sys
import time

from blfd.core.visible import visible

LONGEST = 4000  # characters of a record without its traceback
FORMATS = ("text", "json")


class OneLine(logging.Formatter):
    """Makes a record visible; a traceback of ours follows on lines of its own."""

    _second, _when = -1, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - likewise
        """The time as `logging` writes it; what is the same all second is found out once."""
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._when = time.strftime(self.default_time_format, time.localtime(second))
        return f"{self._when},{int(record.msecs):03}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return visible(super().formatMessage(record), LONGEST)


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
    text = OneLine("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonLine() if as_what == "json" else text)
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
