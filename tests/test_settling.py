"""The order in which the core gets inputs and effects are done, and what happens when something fails."""

from __future__ import annotations

import logging

import pytest

from blfd.core.effects import Effect, Level, Log
from blfd.core.inputs import Input, SyncWanted
from blfd.core.values import Aor
from blfd.server.settling import Settling


def said(word: str) -> Input:
    return SyncWanted(Aor("default", word), "")


class Office:
    """A core that answers a word by the effects of `leads_to`, and a world where effects lead to words."""

    def __init__(self, leads_to: dict[str, list[str]], comes_back: dict[str, list[str]]) -> None:
        self.seen: list[str] = []
        self._leads_to, self._comes_back = leads_to, comes_back
        self.settling = Settling(lambda: 5.0, self._perform)
        self.settling.handle = self._handle

    def _handle(self, event: Input, now: float) -> list[Effect]:
        assert isinstance(event, SyncWanted)
        assert now == 5.0
        word = event.aor.extension
        self.seen.append(word)
        if word == "broken":
            raise RuntimeError("the core")
        return [Log(Level.INFO, each) for each in self._leads_to.get(word, [])]

    def _perform(self, effect: Effect) -> None:
        assert isinstance(effect, Log)
        self.seen.append(effect.text)
        if effect.text == "FAILS":
            raise RuntimeError("the world")
        for word in self._comes_back.get(effect.text, []):
            self.settling.emit(said(word))


def test_the_core_has_all_before_anything_is_done_and_what_comes_back_has_its_turn() -> None:
    office = Office({"a": ["A1", "A2"], "b": ["B"], "c": ["C"]}, {"A1": ["c"], "B": ["d"]})
    office.settling.emit(said("a"), said("b"))
    assert office.seen == ["a", "b", "A1", "A2", "B", "c", "d", "C"]
    office.seen.clear()
    office.settling.settle([Log(Level.INFO, "B")])
    assert office.seen == ["B", "d"]
    office.settling.emit()
    assert office.seen == ["B", "d"]


def test_a_failure_concerns_one_input_or_effect_alone(caplog: pytest.LogCaptureFixture) -> None:
    office = Office({"a": ["A1", "FAILS", "A2"], "b": ["B"]}, {"A1": ["c"]})
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError, match="the core") as caught:
        office.settling.emit(said("a"), said("broken"), said("b"))
    assert "'broken'" in caught.value.__notes__[0]
    assert office.seen == ["a", "broken", "b", "A1", "FAILS", "A2", "B", "c"]
    assert "the world" in caplog.text, "further faults are told"
    office.seen.clear()
    office.settling.emit(said("b"))
    assert office.seen == ["b", "B"], "it goes on"
