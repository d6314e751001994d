"""Extensions set their own rules, by their phones: one change of each at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

from blfd.core.access.limits import Rates
from blfd.core.calls.forwarding import Rules
from blfd.core.directory import Rule
from blfd.core.effects import Effect, SetRules
from blfd.core.errors import Refusal
from blfd.core.inputs import RulesSet
from blfd.core.values import Aor

PER_SECOND = 1  # changes of an extension, for long: each is written, and is in the audit

Then = Callable[[RulesSet, float], list[Effect]]
"""What is done when it is known what has become of a change."""


class Change(NamedTuple):
    aor: Aor
    then: Then


class OwnRules:
    """The changes that are being stored. A phone that asks again and again keeps nobody else waiting."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._numbers = itertools.count(1)
        self._changes: dict[int, Change] = {}
        self._rates = Rates(PER_SECOND)

    def set(self, aor: Aor, rules: tuple[Rule, ...], then: Then, now: float) -> list[Effect]:
        """Have rules stored, unless they hold already. Raises Refusal while another change is under way."""
        if any(change.aor == aor for change in self._changes.values()):
            raise Refusal(500, "The change before is still being stored", (("Retry-After", "1"),))
        known = self._rules.of(aor)
        if all(getattr(known, rule.field) == rule.value for rule in rules):
            return then(RulesSet(0, 200), now)
        if not self._rates.take(f"{aor}", now):
            raise Refusal(500, "Too many changes at once", (("Retry-After", "2"),))
        number = next(self._numbers)
        self._changes[number] = Change(aor, then)
        return [SetRules(number, aor, rules)]

    def are_set(self, answer: RulesSet, now: float) -> list[Effect]:
        """Go on with who waits, as rules are stored, or cannot be."""
        return self._changes.pop(answer.number).then(answer, now)
