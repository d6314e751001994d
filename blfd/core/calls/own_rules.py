"""Extensions set their own rules, by their phones: one change of each at a time, in order."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from blfd.core.access.limits import Rates
from blfd.core.calls.forwarding import Rules
from blfd.core.directory import Rule
from blfd.core.effects import Effect, SetRules, apart
from blfd.core.errors import Refusal
from blfd.core.inputs import RulesSet
from blfd.core.values import Aor

PER_SECOND = 1  # changes of an extension, for long: each is written, and is in the audit
MOST = 5  # changes of an extension that are not stored yet

Then = Callable[[RulesSet, float], list[Effect]]
"""What is done when it is known what has become of a change."""


class Change(NamedTuple):
    rules: tuple[Rule, ...]
    then: Then


class OwnRules:
    """The changes that are not stored yet: those of one extension are done in the order in which they came.

    A phone that asks again and again keeps nobody else waiting.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._numbers = itertools.count(1)
        self._changes: dict[Aor, deque[Change]] = {}  # the first of each is being stored
        self._stored: dict[int, Aor] = {}  # whose is being stored, by its number
        self._rates = Rates(PER_SECOND)

    def set(self, aor: Aor, rules: tuple[Rule, ...], then: Then, now: float) -> list[Effect]:
        """Have rules stored after the changes before, unless they hold already. Raises Refusal."""
        waiting = self._changes.get(aor, ())
        change = Change(rules, then)
        if not waiting and self._hold(aor, change):
            return then(RulesSet(0, 200), now)
        if len(waiting) >= MOST:
            raise Refusal(500, "The changes before are still being stored", (("Retry-After", "1"),))
        if not self._rates.take(f"{aor}", now):
            raise Refusal(500, "Too many changes at once", (("Retry-After", "2"),))
        self._changes.setdefault(aor, deque()).append(change)
        return [] if waiting else [self._store(aor)]

    def are_set(self, answer: RulesSet, now: float) -> list[Effect]:
        """Go on with who waits, as rules are stored, or cannot be; then with the next of that extension."""
        aor = self._stored.pop(answer.number)
        changes = self._changes[aor]
        effects = apart(changes.popleft().then, answer, now)
        while changes and self._hold(aor, changes[0]):
            effects += apart(changes.popleft().then, RulesSet(0, 200), now)
        if changes:
            return [*effects, self._store(aor)]
        del self._changes[aor]
        return effects

    def _hold(self, aor: Aor, change: Change) -> bool:
        known = self._rules.of(aor)
        return all(getattr(known, rule.field) == rule.value for rule in change.rules)

    def _store(self, aor: Aor) -> SetRules:
        number = next(self._numbers)
        self._stored[number] = aor
        return SetRules(number, aor, self._changes[aor][0].rules)
