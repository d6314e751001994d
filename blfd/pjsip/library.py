"""PJSIP, opened with cffi, and the small conversions that all need."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

from blfd.pjsip import declared
from blfd.pjsip.errors import WORDS, PjsipError
from blfd.pjsip.wheel import PjsipMissing, shared_object

log = logging.getLogger("blfd.pjsip")

CData = Any
"""A cffi object; cffi has no types of its own to name."""

ffi: CData = declared.ffi
_unpack = ffi.unpack


def _open() -> CData:
    """The library, opened. Raises PjsipMissing. Whether the layouts hold, `selfcheck` looks."""
    path = shared_object()
    try:
        opened = ffi.dlopen(str(path))
        for name in dir(opened):  # all that is declared
            getattr(opened, name)
    except (OSError, AttributeError, ffi.error) as error:
        raise PjsipMissing(f"{path} cannot be opened as PJSIP: {error}") from None
    return opened


lib: CData = _open()


def strerror(status: int) -> str:
    buffer = ffi.new("char[128]")
    return string(lib.pj_strerror(status, buffer, 128))


def check(what: str, status: int) -> None:
    """Raise PjsipError unless `status` is PJ_SUCCESS."""
    if status:
        raise PjsipError(WORDS.get(status) or f"{what}: {strerror(status)} ({status})", status)


def raw(s: CData) -> bytes:
    """The bytes of a pj_str_t."""
    return _unpack(s.ptr, s.slen) if s.slen > 0 else b""


def string(s: CData) -> str:
    """The text of a pj_str_t; octets that are not UTF-8 survive as surrogates."""
    length = s.slen
    if length <= 0:
        return ""
    octets: bytes = _unpack(s.ptr, length)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _on_error(kind: type[BaseException], error: BaseException, trace: TracebackType) -> None:
    """Log an exception, which cannot pass through C: the callback's `error` value is returned instead."""
    log.error("in a callback of PJSIP", exc_info=(kind, error, trace))


def callback(signature: str, function: Callable[..., object], error: int | None = None) -> CData:
    """A C function pointer whose exceptions are logged; keep it alive as long as PJSIP may call it."""
    return ffi.callback(signature, function, error=error, onerror=_on_error)


class Text:
    """A pj_str_t that lives as long as this object."""

    __slots__ = ("_bytes", "pj")

    def __init__(self, text: str | bytes) -> None:
        value = encode(text) if isinstance(text, str) else text
        self._bytes = ffi.new("char[]", value)  # one octet more: PJSIP wants room for a final zero
        self.pj = ffi.new("pj_str_t *", (self._bytes, len(value)))


def zero(pointer: CData) -> None:
    """Fill what `pointer` points at with zero octets."""
    view = ffi.buffer(pointer)
    view[:] = bytes(len(view))
