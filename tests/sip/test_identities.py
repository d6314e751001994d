"""P-Asserted-Identity, P-Preferred-Identity and Privacy as they are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blfd.sip import identities


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ((), []),
        (('"Alice" <sip:101@acme.example>',), ["sip:101@acme.example"]),
        (("sip:101@acme.example",), ["sip:101@acme.example"]),
        (("<sip:101@x>, <tel:+49301>",), ["sip:101@x", "tel:+49301"]),
        (("<sip:101@x>", "<tel:+49301>"), ["sip:101@x", "tel:+49301"]),
        (("no URI", "<sip:101@x>", '"<sip:102@x>'), ["sip:101@x"]),
        (('"<sip:102@x>" <sip:101@x>',), ["sip:101@x"]),
    ],
)
def test_identities(values: tuple[str, ...], read: list[str]) -> None:
    assert [uri.text for uri in identities.uris(values)] == read


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ((), set()),
        (("id",), {"id"}),
        (("ID; User;critical",), {"id", "user", "critical"}),
        (("id", "header"), {"id", "header"}),
        (("id, user",), {"id", "user"}),
        ((";;",), set()),
    ],
)
def test_privacy(values: tuple[str, ...], read: set[str]) -> None:
    assert identities.privacy(values) == read


@given(st.lists(st.text()))
def test_whatever_is_written_can_be_read(values: list[str]) -> None:
    identities.uris(values)
    assert all(value == value.lower() for value in identities.privacy(values))
