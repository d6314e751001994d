"""Nothing hidden that a peer wrote reaches a log line, a reason phrase, a cell or a page."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("Alice Ng", "Alice Ng"),
        ("Zoë Ω 张伟 👩‍👧", "Zoë Ω 张伟 👩‍👧"),
        ("می‌خواهم", "می‌خواهم"),  # the ZWNJ is a part of the word
        ("9\r\nBYE sip:x SIP/2.0", "9��BYE sip:x SIP/2.0"),
        ("a\x00\t\x1b[2J\x7fb", "a���[2J�b"),
        ("a\x85\x9bb", "a��b"),
        ("a\u2028b\u2029c", "a�b�c"),
        ("\u202egnp.exe\u2066x\u2069\u200f\u061c", "�gnp.exe�x���"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf�"),
        ("\ufeffx\U000e0041", "�x�"),
    ],
)
def test_what_is_hidden_is_replaced(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_what_is_long_is_cut() -> None:
    assert visible("x" * 64) == "x" * 64
    assert visible("x" * 65) == "x" * 63 + "…"
    assert visible("\n" * 5, 3) == "��…"
    assert visible("abc", 0) == "…"


# Any characters, among them those that Hypothesis leaves out by itself: lone surrogates.
ANY_TEXT = st.text(st.integers(0, 0x10FFFF).map(chr))


@given(ANY_TEXT, st.integers(1, 100))
def test_whatever_is_written(text: str, most: int) -> None:
    shown = visible(text, most)
    assert len(shown) == min(len(text), most)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, shown))
    assert visible(shown, most) == shown
