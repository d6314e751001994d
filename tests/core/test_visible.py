"""Nothing hidden that a peer wrote reaches a log line, a reason phrase, a cell or a page."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from builders import World, directory, invite, register, request, subscribe, uri
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.calls.leg_effects import Accept, Dial
from blfd.core.calls.leg_inputs import LegAccepted, LegEnded
from blfd.core.effects import Log, Reply
from blfd.core.inputs import Input
from blfd.core.messages import (
    PublishReceived,
    ReferReceived,
    ReferTo,
    RegisterContact,
    RegisterReceived,
    Request,
)
from blfd.core.settings import Settings
from blfd.core.values import Redirect, Uri
from blfd.core.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("Alice Ng", "Alice Ng"),
        ("Zoë Ω 张伟 👩‍👧", "Zoë Ω 张伟 👩‍👧"),
        ("می‌خواهم", "می‌خواهم"),  # the zero-width non-joiner is a part of the word
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


# Any characters, among them lone surrogates, which Hypothesis leaves out by itself.
ANY_TEXT = st.text(st.integers(0, 0x10FFFF).map(chr))


@given(ANY_TEXT, st.integers(1, 100))
def test_any_text_is_shown_in_one_line_without_controls(text: str, most: int) -> None:
    shown = visible(text, most)
    assert len(shown) == min(len(text), most)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, shown))
    assert visible(shown, most) == shown


LONG = "9" * 300
FAR = f"sip:{LONG}@h"


def asked(method: str, user: str = "101", to: str = LONG, **over: object) -> Request:
    return request(method, user, to)._replace(user_agent=LONG, **over)  # type: ignore[arg-type]


def registered(contact: str, **over: object) -> RegisterReceived:
    return RegisterReceived(asked("REGISTER", "101", "101", **over), (RegisterContact(contact),))


OTHER_SCHEME = Uri(f"x{LONG}:1", f"x{LONG}", "", "", 0)
FROM_A_FAR_HOST = request("INVITE", host=LONG)


@pytest.mark.parametrize(
    "events",
    [
        *([invite("101", f"{code}{LONG}")] for code in ("", "*97", "*98", "*72")),
        [invite(LONG, "102")],
        [invite("101", "102", host=LONG)],
        [invite("101", "102", replaces=(f"{LONG};to-tag={LONG};from-tag={LONG}",))],
        [invite("101", "102")._replace(request=asked("INVITE", target=OTHER_SCHEME))],
        [invite("101", "102")._replace(request=asked("INVITE", privacy=frozenset(("critical", LONG))))],
        [subscribe("101", LONG)],
        [subscribe("101", "102", host=LONG)],
        [subscribe("101", "102", event=LONG)],
        [subscribe(LONG, "102")],
        [PublishReceived(asked("PUBLISH"), LONG, (), None, "", b"")],
        [PublishReceived(asked("PUBLISH"), "dialog", (), None, "", f"<{LONG}/>".encode())],
        [PublishReceived(asked("PUBLISH"), "dialog", (), None, "", f"<x>{LONG}".encode())],
        [registered(FAR), registered(f"sip:8{LONG}@h", call_id="x")],
        [registered(FAR), registered(FAR, cseq=2)._replace(expires=0)],
        [registered(f"sip:101@{LONG}"), registered(f"http://{LONG}")],
        [ReferReceived(asked("REFER", "101", "102"), 0, ReferTo(uri(LONG), ()), None, True)],
        [register("102", FAR), invite("101", "102")],
    ],
)
def test_what_a_peer_has_written_at_length_is_cut_wherever_people_read_it(events: list[Input]) -> None:
    world = World(replace(Settings(), max_bindings=1), phones=(), known=directory())
    told = [effect for event in events for effect in world.give(event)]
    for leg in [effect.leg for effect in told if isinstance(effect, Accept)]:
        told += world.give(LegAccepted(leg, "x"))
    for leg in [effect.leg for effect in told if isinstance(effect, Dial)]:
        leads = Redirect((uri(LONG, LONG),), LONG)
        told += world.give(LegEnded(leg, 302, LONG, (("Reason", LONG),), redirect=leads))
    texts = [effect.text for effect in told if isinstance(effect, Log)]
    texts += [effect.reason for effect in told if isinstance(effect, Reply)]
    assert texts
    assert not [text for text in texts if "9" * 65 in text]
