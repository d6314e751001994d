"""Responses as they were sent, as long as copies of their requests may come."""

from __future__ import annotations

from mmap import mmap

BLOCK = 1 << 18  # octets: some 600 responses


class Kept:
    """Octets that are needed for half a minute, written one after the other into blocks.

    A block goes back to the system as a whole, when nothing of it is needed any more. As objects of their own
    they would lie between those that stay, and leave holes there: half a KiB for each subscription.
    """

    def __init__(self) -> None:
        self._block = mmap(-1, BLOCK)
        self._end = 0

    def add(self, data: bytes) -> tuple[mmap, int]:
        """The block that has the octets now, and their place in it, for `read`."""
        begin = self._end
        if begin + len(data) > len(self._block):
            self._block, begin = mmap(-1, max(BLOCK, len(data))), 0
        self._end = begin + len(data)
        self._block[begin : self._end] = data
        return self._block, begin << 32 | len(data)


def read(block: mmap, place: int) -> bytes:
    """Octets that were added."""
    begin = place >> 32
    return block[begin : begin + (place & 0xFFFFFFFF)]
