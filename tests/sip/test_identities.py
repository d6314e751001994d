"""What is read of P-Asserted-Identity, P-Preferred-Identity and Privacy."""

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


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("x-did", "<sip:0301@carrier>", ["sip:0301@carrier"]),
        ("x-did", "+49 30 1", ["tel:+49 30 1"]),
        ("p-called-party-id", '"x" <tel:+49301>;a=b', ["tel:+49301"]),
        ("p-preferred-identity", "sip:0301@carrier", ["sip:0301@carrier"]),
        ("diversion", "<sip:0301@carrier>;reason=unknown", ["sip:0301@carrier"]),
        ("to", "<sip:0301@carrier>", []),
        ("via", "0301", []),
        ("x-did", '"<sip:0302@carrier>"', []),
        ("x-did", "<sip:" + "1" * 256 + "@carrier>", []),
        ("x-did", "1" * 50, []),
    ],
)
def test_what_else_names_who_is_called(name: str, value: str, read: list[str]) -> None:
    assert [(of, uri.text) for of, uri in identities.named({name: [value]})] == [
        (name, text) for text in read
    ]


CONNECTED = [
    ({}, ""),
    ({"p-asserted-identity": ['"Bob" <sip:0170@x>', "<tel:+49170>"]}, "sip:0170@x Bob"),
    ({"p-asserted-identity": ["no URI", "<tel:+49170>"]}, "tel:+49170 "),
    ({"p-asserted-identity": ["<sip:1@x>"], "remote-party-id": ["<sip:2@x>"]}, "sip:1@x "),
    ({"p-asserted-identity": ["<sip:1@x>"], "privacy": ["none"]}, "sip:1@x "),
    ({"p-asserted-identity": ["<sip:1@x>"], "privacy": ["id"]}, ""),
    ({"p-asserted-identity": ["<sip:1@x>"], "privacy": ["history"]}, ""),
    ({"remote-party-id": ['"B" <sip:2@x>;party=called;privacy=off;screen=no']}, "sip:2@x B"),
    ({"remote-party-id": ["<sip:2@x>;privacy=full"]}, ""),
    ({"remote-party-id": ["<sip:2@x>;privacy=name"]}, ""),
]


@pytest.mark.parametrize(("fields", "read"), CONNECTED)
def test_who_is_at_the_other_end(fields: dict[str, list[str]], read: str) -> None:
    found = identities.connected(fields)
    assert (f"{found.uri.text} {found.display}" if found else "") == read


@given(st.lists(st.text()))
def test_whatever_is_written_can_be_read(values: list[str]) -> None:
    identities.uris(values)
    identities.named({"x-did": values})
    identities.connected({"p-asserted-identity": values, "remote-party-id": values})
    assert all(value == value.lower() for value in identities.privacy(values))
