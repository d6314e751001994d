"""Words that are searched for, in lists."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.searched import bare, folded, word

MAC = "80:5e:c0:12:34:56"
CASES = [
    *(
        (written, MAC, True)
        for written in (
            MAC, MAC.upper(), "80-5E-C0-12-34-56", "805ec0123456", "805EC0123456", "805e.c012.3456",
            "805EC0", "80-5e-c0", "c0:12", "805e.c012", "12-34-56", "5ec0-12",
        )
    ),
    ("805ec0123457", MAC, False),
    ("01", "80:5e:c0:1f:34:56", False),
    ("12345", MAC, False),  # an extension, more likely than a part of an address
    ("+49-30-1234", "+49301234", True),
    ("+49/30/1234", "+49301234", True),
    ("030/12-34", "0301234", True),
    ("0301234", "030 12-34", True),
    ("(030)", "030 1234", True),
    ("030-99", "0301234", False),
    ("2001:DB8:0:0::5", "tcp:[2001:db8::5]:5060", True),
    ("[2001:db8:0000::0005]", "tcp:[2001:db8::5]:5060", True),
    ("2001:db8::6", "tcp:[2001:db8::5]:5060", False),
    ("192.0.2.5", "udp:192.0.2.5:5060", True),
    ("192.0.2.5", "19202555", False),
    ("jorg", "J\u00f6rg M\u00fcller", True),
    ("MULLER", "J\u00f6rg M\u00fcller", True),
    ("M\u00fcller", "Muller", True),
    ("mu\u0308ller", "J\u00f6rg M\u00fcller", True),  # the accent as a letter of its own
    ("stra\u00dfe", "STRASSE 5", True),
    ("%", "a", False),
    ("_", "a", False),
]  # fmt: skip


@pytest.mark.parametrize(("written", "value", "found"), CASES)
def test_what_is_found_however_it_is_written(written: str, value: str, found: bool) -> None:
    assert word(written).is_in(value) is found


@given(st.text(max_size=20))
def test_a_text_is_found_in_itself(text: str) -> None:
    assert word(text).is_in(text)


@given(st.text(string.ascii_letters, max_size=20), st.text(max_size=5), st.text(max_size=5))
def test_a_part_of_a_text_is_found_in_it(text: str, before: str, behind: str) -> None:
    assert word(text.swapcase()).is_in(f"{before}{text}{behind}")
    assert folded(text) == folded(folded(text))


@given(st.text(string.hexdigits, min_size=12, max_size=12), st.sampled_from([":", "-", ""]))
def test_any_mac_is_found(digits: str, between: str) -> None:
    written = between.join(digits[at : at + 2] for at in range(0, 12, 2))
    kept = ":".join(digits.lower()[at : at + 2] for at in range(0, 12, 2))
    assert word(written).is_in(kept)
    assert bare(written) == digits.lower()
