"""Messages of any size out of PJSIP, which prints into 4,000 octets where nobody has printed before.

A module of ours prints each message before PJSIP does, into as much of the message's own memory as it takes;
PJSIP sends what it finds printed. So a phone's long Record-Routes, Vias and Contacts come back to it whole.
"""

from __future__ import annotations

from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.library import CData, callback, ffi, lib

PRIORITY = 9  # the last but one before a message leaves: PJSIP prints at 8
LONGEST = 262_144  # octets; what comes has 131,072 at most
TOO_LONG = 171_023  # PJSIP_EMSGTOOLONG
SOME_MORE = 256  # octets: what is printed again, as of a response that is made of the one before


class Printing:
    """Owns the memory that messages are printed into at first."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._buffer = ffi.new(f"char[{LONGEST}]")
        on_tx = callback("pj_status_t(pjsip_tx_data *)", self._print, TOO_LONG)
        endpoint.register_module(b"mod-blfd-print", PRIORITY, on_tx=on_tx)

    def _print(self, tdata: CData) -> int:
        place = tdata.buf
        if place.cur > place.start:  # it is sent again as it was
            return 0
        size = lib.pjsip_msg_print(tdata.msg, self._buffer, LONGEST)
        if size < 0:
            return TOO_LONG
        if place.start == ffi.NULL or place.end - place.start <= size:
            room = size + SOME_MORE
            place.start = ffi.cast("char *", lib.pj_pool_alloc(tdata.pool, room))
            place.end = place.start + room
        ffi.memmove(place.start, self._buffer, size)
        place.start[size] = b"\0"
        place.cur = place.start + size
        return 0
