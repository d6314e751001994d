"""Call-IDs of INVITEs that we send: nobody can guess one, and we know ours again, in whatever process.

Each has the time in it, random digits, and a MAC over both and our tag. So who answers an INVITE that an
earlier process has sent is told that the call is over; a stranger who makes up a 200 is told nothing.
"""

from __future__ import annotations

import hashlib
import hmac

from blfd.sip.tokens import Tokens

TIME = 8  # hexadecimal digits of the second
RANDOM, MAC = 16, 16  # hexadecimal digits
LONGEST = 3600.0  # seconds that an INVITE may wait for its answer


class CallIds:
    """Makes Call-IDs. `secret` is the same at each start; `now` is in seconds since the epoch."""

    def __init__(self, secret: bytes) -> None:
        self._secret, self._random = secret, Tokens(digits=RANDOM).new

    def new(self, tag: str, now: float) -> str:
        """A Call-ID for an INVITE whose From has our `tag`."""
        made = f"{int(now):0{TIME}x}{self._random()}"
        return made + self._mac(made, tag)

    def is_ours(self, call_id: str, tag: str, now: float) -> bool:
        """Whether an INVITE with this Call-ID and From tag is one of ours that may wait for its answer."""
        made, mac = call_id[: TIME + RANDOM], call_id[TIME + RANDOM :]
        if not hmac.compare_digest(mac.encode(errors="replace"), self._mac(made, tag).encode()):
            return False
        return int(made[:TIME], 16) > now - LONGEST

    def _mac(self, made: str, tag: str) -> str:
        text = f"{made} {tag}".encode(errors="surrogateescape")
        return hashlib.blake2b(text, key=self._secret, digest_size=MAC // 2).hexdigest()
