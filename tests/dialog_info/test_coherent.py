"""What a watcher knows after another document (RFC 4235, section 4.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_info import Dialog, DialogInfo, DialogState, DocumentState, VersionGap, apply, same_state

FULL, PARTIAL = DocumentState.FULL, DocumentState.PARTIAL
EARLY, CONFIRMED, TERMINATED = DialogState.EARLY, DialogState.CONFIRMED, DialogState.TERMINATED


def info(version: int, state: DocumentState, **dialogs: DialogState) -> DialogInfo:
    return DialogInfo("sip:1@x", version, state, tuple(Dialog(id, state) for id, state in dialogs.items()))


@pytest.mark.parametrize(
    ("known", "update", "after"),
    [
        (None, info(0, FULL), info(0, FULL)),
        (None, info(9, FULL, a=EARLY), info(9, FULL, a=EARLY)),
        (info(1, FULL, a=EARLY), info(5, FULL, b=EARLY), info(5, FULL, b=EARLY)),
        (info(1, FULL, a=EARLY), info(2, PARTIAL, a=CONFIRMED), info(2, FULL, a=CONFIRMED)),
        (info(1, FULL, a=EARLY), info(2, PARTIAL, b=EARLY), info(2, FULL, a=EARLY, b=EARLY)),
        (info(1, FULL, a=EARLY, b=EARLY), info(2, PARTIAL, a=TERMINATED), info(2, FULL, b=EARLY)),
        (info(1, FULL), info(2, PARTIAL, never=TERMINATED), info(2, FULL)),
        (info(1, FULL, a=EARLY), info(2, PARTIAL), info(2, FULL, a=EARLY)),
        (info(3, FULL, a=EARLY), info(3, FULL), info(3, FULL, a=EARLY)),
        (info(3, FULL, a=EARLY), info(2, PARTIAL, a=CONFIRMED), info(3, FULL, a=EARLY)),
    ],
)
def test_apply(known: DialogInfo | None, update: DialogInfo, after: DialogInfo) -> None:
    assert apply(known, update) == after


@pytest.mark.parametrize(
    ("known", "version", "have"),
    [(None, 0, "nothing"), (None, 4, "nothing"), (info(1, FULL), 3, "version 1")],
)
def test_a_gap(known: DialogInfo | None, version: int, have: str) -> None:
    with pytest.raises(VersionGap, match=f"partial version {version} on {have}: refresh"):
        apply(known, info(version, PARTIAL, a=EARLY))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (info(1, FULL, a=EARLY), info(9, FULL, a=EARLY), True),
        (info(1, FULL, a=EARLY, b=CONFIRMED), info(1, FULL, b=CONFIRMED, a=EARLY), True),
        (info(1, FULL, a=EARLY), info(1, FULL, a=CONFIRMED), False),
        (info(1, FULL, a=EARLY), info(1, FULL, b=EARLY), False),
        (info(1, FULL, a=EARLY), info(1, FULL), False),
        (info(1, FULL, a=EARLY), info(1, PARTIAL, a=EARLY), False),
        (info(1, FULL), info(1, FULL)._replace(entity="sip:2@x"), False),
    ],
)
def test_same_state(one: DialogInfo, other: DialogInfo, same: bool) -> None:
    assert same_state(one, other) is same
    assert same_state(other, one) is same


CHANGES = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([EARLY, CONFIRMED, TERMINATED]), max_size=3),
    max_size=8,
)


@given(CHANGES)
def test_partials_lead_to_what_a_full_one_says(changes: list[dict[str, DialogState]]) -> None:
    known, model = info(0, FULL), dict[str, DialogState]()
    for number, change in enumerate(changes, 1):
        known = apply(known, info(number, PARTIAL, **change))
        model = {id: state for id, state in (model | change).items() if state is not TERMINATED}
        assert same_state(known, info(0, FULL, **model))
