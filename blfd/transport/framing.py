"""Where a message ends in a stream (RFC 3261, sections 7.5 and 18.3; keep-alives: RFC 5626, section 3.5.1).

A header ends at its first empty line, CRLF alone counting as a line's end; then come as many octets as
Content-Length says. What could be read in two ways, as by us and by a proxy that passes it on, is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_MESSAGE = 65_535  # octets, header and body
PING = b""
"""Stands for CRLF CRLF between messages, which is answered with CRLF."""

END = b"\r\n\r\n"
_BARE_END = re.compile(rb"\n\n|(?<!\r)\n\r\n")
_CONTENT_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)", re.I)


class Unreadable(Exception):
    """Raised where no end of a message can be found; `octets` are what came of it, and str() says why."""

    def __init__(self, why: str, octets: bytes) -> None:
        super().__init__(why)
        self.octets = octets


class Framing:
    """One stream: octets in, messages out, however the octets were split."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._searched = 0  # octets in which no header ends
        self._size = 0  # of the first message, 0 until its header is there
        self._line_ends = 0  # since the last message or ping

    @property
    def unfinished(self) -> bool:
        """Whether a part of a message waits for the rest of it."""
        return bool(self._received)

    def take(self, octets: bytes | memoryview) -> Iterator[bytes]:
        """The messages that end with `octets`, and PINGs, in their order; raises Unreadable."""
        received = self._received
        received += octets
        while received:
            if received[0] in b"\r\n":
                yield from self._pings()
                continue
            size = self._size = self._size or self._find_size()
            if not size or len(received) < size:
                return
            message = bytes(received[:size])
            del received[:size]
            self._searched = self._size = self._line_ends = 0
            yield message

    def _pings(self) -> Iterator[bytes]:
        """Take the line ends before a message."""
        received = self._received
        blank = len(received) - len(received.lstrip(b"\r\n"))
        self._line_ends += received.count(b"\n", 0, blank)
        del received[:blank]
        pings, self._line_ends = divmod(self._line_ends, 2)
        yield from (PING for _ in range(pings))

    def _find_size(self) -> int:
        """How many octets the first message has, 0 while its header has not come whole."""
        received = self._received
        start = max(0, self._searched - len(END) + 1)
        end = received.find(END, start, MAX_MESSAGE)
        if _BARE_END.search(received, start, end if end >= 0 else MAX_MESSAGE):
            raise Unreadable("a header whose lines do not end with CRLF", self._so_far())
        if end < 0:
            if len(received) >= MAX_MESSAGE:
                raise Unreadable(f"no end of the header within {MAX_MESSAGE} octets", self._so_far())
            self._searched = len(received)
            return 0
        size = end + len(END) + self._content_length(bytes(received[: end + 2]))
        if size > MAX_MESSAGE:
            raise Unreadable(f"a message of {size} octets, {MAX_MESSAGE} at most are taken", self._so_far())
        return size

    def _content_length(self, header: bytes) -> int:
        values = {b" ".join(value.split()) for value in _CONTENT_LENGTH.findall(header)}
        if len(values) != 1:
            raise Unreadable("two Content-Lengths" if values else "no Content-Length", self._so_far())
        value = values.pop()
        if not value.isdigit() or len(value) > 10:
            raise Unreadable("a Content-Length that is no number", self._so_far())
        return int(value)

    def _so_far(self) -> bytes:
        return bytes(self._received[:MAX_MESSAGE])
