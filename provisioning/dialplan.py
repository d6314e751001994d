"""When a number that is dialled key by key is complete: the plan that each maker's module writes in its form.

The numbers that mean something in a tenant are patterns: extensions, codes and what is dialled behind them,
outside and emergency numbers, other star codes. After each key, some of them may be complete and some may go
on. A number is sent **at once** where nothing that means something goes on from it; where something does, it
waits for the phone's short timer. So the plan is read off the tree of all that can be dialled: its branches
are sequences, of which none that is sent at once is the beginning of another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

DIGITS = "0123456789"
STAR, POUND = "*", "#"
SHORT_TIMER = 3  # seconds, after the last key of what might go on
LEAST_OTHER = 2  # digits behind * or # in a star code that is not ours
PLANS = 256  # plans that are kept, as all phones of a tenant have the same
LEAST_RANGE = 3  # digits of a range; fewer are written one by one


class Kind(Enum):
    """What a pattern is for."""

    EXTENSION = "extension"
    CODE = "code"
    EMERGENCY = "emergency"
    OUTSIDE = "outside"
    OTHER = "other star code"


# A complete number waits where it may go on as one of these kinds: no number outside begins with an emergency
# number, and no other star code with one of ours. What has no fixed length is never sent at once.
_WAITS_FOR = {
    Kind.EXTENSION: frozenset(Kind) - {Kind.OTHER},
    Kind.CODE: frozenset(Kind) - {Kind.OTHER},
    Kind.EMERGENCY: frozenset({Kind.EXTENSION, Kind.CODE, Kind.EMERGENCY}),
    Kind.OUTSIDE: frozenset(Kind),
    Kind.OTHER: frozenset(Kind),
}


class Pattern(NamedTuple):
    """Numbers, or the rest of them: for each place the keys that may be there, then with `more` any digits or
    none. `code` is how many of the places are a code of ours, None where there is none.
    """

    kind: Kind
    keys: tuple[str, ...]
    more: bool = False
    code: int | None = None

    @property
    def ends(self) -> bool:
        return not self.keys

    @property
    def goes_on(self) -> bool:
        return bool(self.keys) or self.more

    def after(self, key: str) -> Pattern | None:
        """The rest of the pattern behind a key; None if the key does not fit."""
        if not self.keys:
            return self if self.more and key in DIGITS else None
        left = self.code and self.code - 1
        return self._replace(keys=self.keys[1:], code=left) if key in self.keys[0] else None


class Sequence(NamedTuple):
    """A branch of the tree: for each place the keys that lead on, and `more` digits or none behind them."""

    keys: tuple[str, ...]
    more: bool
    at_once: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """Extensions that begin with a digit and have a length."""

    first: str
    length: int

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.first, *[DIGITS] * (self.length - 1))

    def goes_on_from(self, number: str) -> bool:
        """Whether such an extension may begin with a number, and goes on behind it."""
        return number.startswith(self.first) and len(number) < self.length


def shape(extension: str) -> Shape | None:
    """The shape of an extension; None of one that no keypad can dial."""
    dialled = extension.isascii() and extension.isdecimal()
    return Shape(extension[0], len(extension)) if dialled else None


@dataclass(frozen=True, slots=True)
class DialPlan:
    """What can be dialled in a tenant.

    `star_codes` are further codes of ours that are dialled alone, and `prefix_codes` those behind which comes
    an extension. `outside` is what is dialled before a number outside, "" where nothing is, and None where
    there are no numbers outside. Emergency numbers are dialled with that or without.
    """

    directed_code: str
    group_code: str
    shapes: frozenset[Shape]
    outside: str | None = ""
    emergency: tuple[str, ...] = ()
    star_codes: tuple[str, ...] = ()
    prefix_codes: tuple[str, ...] = ()

    @property
    def needs_pound(self) -> bool:
        """Whether # is dialled as a part of a code, and so cannot be the key that sends."""
        return POUND in "".join((self.directed_code, self.group_code, *self.star_codes, *self.prefix_codes))

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        return _sequences(tuple(self._patterns(self.shapes)))

    @property
    def few_sequences(self) -> tuple[Sequence, ...]:
        """The sequences for phones with no room for all: the same numbers, more wait for the timer."""
        return _sequences(tuple(self._patterns(())))

    def written(self, write: Callable[[Sequence], str], characters: int, entries: int = 1000) -> list[str]:
        """Each sequence in a maker's form; of `few_sequences` where the phone has no room for all."""
        return [*_in_form(self, write, characters, entries)]

    @property
    def _emergencies(self) -> list[str]:
        prefixes = dict.fromkeys(("", self.outside or ""))
        return [prefix + number for prefix in prefixes for number in self.emergency]

    def _patterns(self, shapes: Iterable[Shape]) -> Iterator[Pattern]:
        """The patterns of all that can be dialled; without shapes, extensions are whatever digits."""
        code = tuple(self.directed_code)
        known = sorted(shapes, key=lambda shape: (shape.first, shape.length))
        for each in known:
            yield Pattern(Kind.EXTENSION, each.keys)
            yield Pattern(Kind.CODE, (*code, *each.keys), code=len(code))
        if not known:
            yield Pattern(Kind.OUTSIDE, (DIGITS,), more=True)
            yield Pattern(Kind.OUTSIDE, (*code, DIGITS), more=True, code=len(code))
        yield Pattern(Kind.CODE, tuple(self.group_code), code=len(self.group_code))
        if self.outside is not None:
            yield Pattern(Kind.OUTSIDE, (*self.outside, DIGITS), more=True)
        for number in self._emergencies:
            if known or not any(each.goes_on_from(number) for each in self.shapes):
                yield Pattern(Kind.EMERGENCY, tuple(number))
        yield from (Pattern(Kind.OTHER, tuple(star_code)) for star_code in self.star_codes)
        for star_code in self.prefix_codes:
            yield Pattern(Kind.OTHER, (*star_code, DIGITS), more=True)
        for sign in (STAR, POUND) if self.needs_pound else (STAR,):
            yield Pattern(Kind.OTHER, (sign, *[DIGITS] * LEAST_OTHER), more=True)


@lru_cache(PLANS)
def _in_form(
    plan: DialPlan, write: Callable[[Sequence], str], characters: int, entries: int
) -> tuple[str, ...]:
    for sequences in (plan.sequences, plan.few_sequences):
        found = tuple(dict.fromkeys(map(write, sequences)))
        if len(found) <= entries and len("|".join(found)) <= characters:
            break
    return found


def _sequences(patterns: tuple[Pattern, ...]) -> tuple[Sequence, ...]:
    return _Tree(patterns).sequences()


_State = frozenset[Pattern]  # the patterns that may still come


class _Tree:
    """All that the patterns let one dial."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._root = frozenset(patterns)
        self._rest: dict[_State, tuple[Sequence, ...]] = {}
        self._hopes: dict[_State, bool] = {}

    def sequences(self) -> tuple[Sequence, ...]:
        return self._from(self._root)

    def _from(self, state: _State) -> tuple[Sequence, ...]:
        if state not in self._rest:
            self._rest[state] = tuple(self._found(state))
        return self._rest[state]

    def _found(self, state: _State) -> Iterator[Sequence]:
        """The sequences that the rest of a number can be."""
        if _at_once(state):
            yield Sequence((), more=False, at_once=True)
        elif any(at.ends and at.more for at in state) and _digits_alone(state) and not self._hope(state):
            yield Sequence((), more=True, at_once=False)
        else:
            if any(at.ends for at in state):
                yield Sequence((), more=False, at_once=False)
            for keys, sequences in self._branches(state):
                yield from (each._replace(keys=(keys, *each.keys)) for each in sequences)

    def _branches(self, state: _State) -> Iterator[tuple[str, tuple[Sequence, ...]]]:
        """The branches of a state, with the keys that lead there, in one where they lead to the same."""
        following = {digit: _after(state, digit) for digit in DIGITS}
        if any(following.values()):
            found: dict[tuple[Sequence, ...], str] = {}
            for digit, then in following.items():
                rest = self._from(then) if then else _UNKNOWN
                found[rest] = found.get(rest, "") + digit
            yield from ((digits, rest) for rest, digits in found.items())
        for sign in (STAR, POUND):
            if then := _after(state, sign):
                yield sign, self._from(then)

    def _hope(self, state: _State) -> bool:
        """Whether a number that begins so is sent at once."""
        if state not in self._hopes:
            self._hopes[state] = False  # this holds for a state that leads to itself
            following = (_after(state, key) for key in (*DIGITS, STAR, POUND))
            self._hopes[state] = any(_at_once(each) or self._hope(each) for each in following if each)
        return self._hopes[state]


_UNKNOWN = (Sequence((), more=True, at_once=False),)  # what means nothing as yet, such as a new extension


def _after(state: _State, key: str) -> _State:
    """The state after a key; behind a code of ours there is no other star code."""
    following = frozenset(at for at in (each.after(key) for each in state) if at)
    if any(at.code == 0 for at in following):
        return frozenset(at for at in following if at.kind is not Kind.OTHER)
    return following


def _digits_alone(state: _State) -> bool:
    """Whether nothing but digits is to come, as in a number that has no end."""
    return all(keys[0] in DIGITS for at in state for keys in at.keys)


def _at_once(state: _State) -> bool:
    """Whether a number is complete, and none goes on for which it has to wait."""
    waiting = {at.kind for at in state if at.goes_on}
    return any(at.ends and not at.more and not waiting & _WAITS_FOR[at.kind] for at in state)


def written_keys(sequence: Sequence) -> str:
    """The keys of a sequence as most makers write them: `x` for any digit, `[02-9]` for some."""
    return "".join(map(_written, sequence.keys))


def digit_map(sequence: Sequence) -> str:
    """An entry of a digit map (RFC 3435, section 2.1.5): `x.` is digits or none, `T` the timer."""
    return f"{written_keys(sequence)}{'x.' * sequence.more}{'' if sequence.at_once else 'T'}"


def _written(keys: str) -> str:
    if len(keys) == 1:
        return keys
    return "x" if keys == DIGITS else in_brackets(keys)


def in_brackets(keys: str) -> str:
    """The keys in brackets, whatever they are: `[02-9]`."""
    runs: list[str] = []
    for key in keys:
        if runs and DIGITS.find(runs[-1][-1]) + 1 == DIGITS.find(key):
            runs[-1] += key
        else:
            runs.append(key)
    return f"[{''.join(run if len(run) < LEAST_RANGE else f'{run[0]}-{run[-1]}' for run in runs)}]"
