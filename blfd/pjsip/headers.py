"""Header fields and bodies of a message that PJSIP is about to send."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from blfd.core.values import Headers
from blfd.pjsip.endpoint import HEADER_ALLOW
from blfd.pjsip.library import CData, Text, ffi, lib

NAMES = 100  # that are remembered; all that the core says are fewer

_named = lru_cache(NAMES)(Text)


def set_headers(tdata: CData, headers: Headers) -> None:
    """Give the message these header fields, and no others of their names."""
    remove_headers(tdata, {name for name, _ in headers})
    for field in headers:
        value = Text(field[1])  # named, as PJSIP copies it only in the call
        added = lib.pjsip_generic_string_hdr_create(tdata.pool, _named(field[0]).pj, value.pj)
        if field[0] == "Allow":  # PJSIP looks for its kind, and adds its own where it finds none
            added.base.type = HEADER_ALLOW
        lib.pj_list_insert_before(ffi.addressof(tdata.msg, "hdr"), added)


def remove_headers(tdata: CData, names: Iterable[str]) -> None:
    """Remove header fields: PJSIP makes a response of the one before, which may have had them."""
    for name in names:
        while found := lib.pjsip_msg_find_hdr_by_name(tdata.msg, _named(name).pj, ffi.NULL):
            header = ffi.cast("pjsip_hdr *", found)
            header.prev.next, header.next.prev = header.next, header.prev


def set_body(tdata: CData, content_type: str, body: bytes) -> None:
    """Give the message a body of any type; `content_type` is the header's value, with its parameters."""
    if not body:
        return
    kind, _, rest = content_type.partition("/")
    parts = [Text(kind or "text"), Text(rest or "plain"), Text(body)]
    tdata.msg.body = lib.pjsip_msg_body_create(tdata.pool, *(part.pj for part in parts))
