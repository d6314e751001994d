"""Dialogs of several sources at one extension: each is a dialog of its own, whatever its ids are."""

from __future__ import annotations

import pytest

from blfd.core.events import dialog_state
from blfd.core.events.dialog_state import Dialogs, Published, Source, WatchedDialog
from blfd.core.values import DEFAULT_TENANT, Aor, DialogId
from dialog_info import DialogState, Direction, StateEvent

ALICE, BOB = Aor(DEFAULT_TENANT, "101"), Aor(DEFAULT_TENANT, "102")
ID = DialogId("same", "l", "r")


def carried(leg: int) -> WatchedDialog:
    return WatchedDialog(ID, Direction.RECIPIENT, DialogState.EARLY, 0.0, "103", leg=leg)


def published(publisher: str, name: str = "1") -> WatchedDialog:
    state = DialogState.CONFIRMED
    return WatchedDialog(ID, None, state, 0.0, "103", publisher=publisher, published_id=name)


ALL: list[tuple[Aor, WatchedDialog]] = [
    (ALICE, carried(1)),
    (ALICE, carried(2)),
    (BOB, carried(3)),
    (ALICE, published("pbx")),
    (ALICE, published("pbx", "2")),
    (ALICE, published("other")),
    (BOB, published("pbx")),
]


def live(dialogs: Dialogs) -> list[tuple[Aor, WatchedDialog]]:
    found = dialogs.find(DEFAULT_TENANT, "same")
    return [(aor, dialog) for aor, dialog in found if dialog.state is not DialogState.TERMINATED]


@pytest.mark.parametrize("number", range(len(ALL)))
def test_the_end_of_one_dialog_ends_no_other(number: int) -> None:
    dialogs = Dialogs()
    for aor, dialog in ALL:
        dialogs.put(aor, dialog)
    aor, over = ALL[number]
    dialogs.end(aor, over.source, 1.0, StateEvent.REMOTE_BYE)
    assert live(dialogs) == [one for one in ALL if one != (aor, over)]
    assert len(dialogs.find(DEFAULT_TENANT, "same")) == len(ALL)


@pytest.mark.parametrize("source", [0, -1, 99, Published("pbx", "1", ""), Published("", "1", "same")])
def test_the_end_of_an_unknown_dialog_changes_nothing(source: Source) -> None:
    """A leg below zero, for one, stands in for a caller that is transferred, and has no dialog."""
    dialogs = Dialogs()
    for aor, dialog in ALL:
        dialogs.put(aor, dialog)
    dialogs.changed.take()
    dialogs.end(ALICE, source, 1.0, StateEvent.REMOTE_BYE)
    assert live(dialogs) == ALL
    assert dialogs.changed.take() == []


def test_a_publisher_uses_its_ids_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialog_state, "REMEMBERED", 2)
    dialogs = Dialogs()
    for now in range(5):
        dialogs.put(ALICE, published("pbx"))
        assert live(dialogs) == [(ALICE, published("pbx"))]
        dialogs.end(ALICE, published("pbx").source, float(now), StateEvent.REMOTE_BYE)
        assert len(dialogs.find(DEFAULT_TENANT, "same")) == 1
    for leg in range(1, 4):
        dialogs.put(BOB, carried(leg))
        dialogs.end(BOB, leg, 9.0, StateEvent.REMOTE_BYE)
    assert [aor for aor, _ in dialogs.find(DEFAULT_TENANT, "same")] == [BOB, BOB]
