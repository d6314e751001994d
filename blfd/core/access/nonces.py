"""Nonces of digest challenges: made without keeping any, good for one source, each count good once."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import re

MAC_LENGTH = 32
MARK_OCTETS = 3
STAMP_LENGTH = 14 + 2 * MARK_OCTETS
MAX_USED = 100_000  # nonces whose counts are known; past it, those first used longest ago are forgotten
WINDOW = 32  # requests of a phone may overtake each other by less than that
ALL = (1 << WINDOW) - 1

_COUNT = re.compile(r"[0-9A-Fa-f]{8}")


class Nonces:
    """Makes and checks nonces. `secret`, of 64 octets at most, keys them, so that whoever has it could make
    them: a server before a restart and after it.

    `mark`, MARK_OCTETS in hexadecimal and of chance, tells those that this process has made. Which counts
    have been used with those of others is not known here.
    """

    def __init__(self, secret: bytes, mark: str) -> None:
        self._secret, self._mark = secret, mark
        self._counter = itertools.count()
        self._used: dict[str, tuple[int, int]] = {}  # the highest count, and a bit for it and each below

    def make(self, host: str, at: float) -> str:
        """A nonce for requests from `host`."""
        stamp = f"{int(at):08x}{self._mark}{next(self._counter) & 0xFFFFFF:06x}"
        return stamp + self._mac(stamp, host)

    def _mac(self, stamp: str, host: str) -> str:
        made = hashlib.blake2b(f"{stamp}{host}".encode(), key=self._secret, digest_size=MAC_LENGTH // 2)
        return made.hexdigest()

    def age(self, nonce: str, host: str, now: float) -> float | None:
        """Seconds since a nonce was made for `host`; None if it never was."""
        stamp, mac = nonce[:-MAC_LENGTH], nonce[-MAC_LENGTH:]
        if len(stamp) != STAMP_LENGTH or not nonce.isascii():
            return None
        if not hmac.compare_digest(mac, self._mac(stamp, host)):
            return None
        return now - int(stamp[:8], 16)

    def is_own(self, nonce: str) -> bool:
        """Whether a nonce that was made for its host was made by this process."""
        return nonce[8:].startswith(self._mark)

    def use(self, nonce: str, count: str) -> bool:
        """Whether `count` (nc, RFC 7616, section 3.4) is used for the first time; it is used from now on."""
        if not _COUNT.fullmatch(count):
            return False
        number = int(count, 16)
        highest, seen = self._used.get(nonce, (0, 0))
        behind = highest - number
        if behind >= WINDOW or (behind >= 0 and seen >> behind & 1):
            return False
        if behind >= 0:
            seen |= 1 << behind
        else:
            seen = (seen << -behind | 1) & ALL if -behind < WINDOW else 1
        self._used[nonce] = (max(highest, number), seen)
        if len(self._used) > MAX_USED:
            del self._used[next(iter(self._used))]
        return True
