"""Telephone numbers: as people and carriers write them, normalised, and matched with patterns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

LONGEST = 40
_SEPARATORS = str.maketrans("", "", " -.()/")
_number = re.compile(r"\+?[0-9A-Za-z*#_]+").fullmatch
_dialled = re.compile(r"\+?[0-9*#]+").fullmatch
_context = re.compile(r"(?:^|;)phone-context=(\+[0-9.()-]+)(?=;|$)", re.I).search
_pattern = re.compile(r"\+?[0-9*#]*[xX0-9]*\.?").fullmatch


def plain(text: str) -> str:
    """A number without what makes it readable; "" where the text is no sound number.

    One of a country, or of an area, that is said beside it (`phone-context`, RFC 3966, section 5.1.5) is of
    that one.
    """
    local, _, parameters = text.partition(";")
    number = local.translate(_SEPARATORS)
    context = _context(parameters) if parameters and not number.startswith(("+", "00")) else None
    if context:
        number = context[1].translate(_SEPARATORS) + number.removeprefix("0")
    return number if len(number) <= LONGEST and _number(number) else ""


def is_dialled(text: str) -> bool:
    """Whether a text is what a keypad can write."""
    return len(text) <= LONGEST and bool(_dialled(text))


def normal(number: str, country: str, area: str) -> str:
    """The number with its country's code, where that is known; two that mean the same are the same."""
    digits = number.translate(_SEPARATORS)
    if digits.startswith("+"):
        return digits
    if not country:
        return digits
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    if digits.startswith("0"):
        return f"+{country}{digits[1:]}"
    if digits.startswith(country) and len(digits) > 10:
        return f"+{digits}"
    return f"+{country}{area}{digits}" if area else digits


class Match(NamedTuple):
    """What stood in the place of each x, and of the full stop."""

    digits: str
    rest: str


@lru_cache(1000)
def is_pattern(text: str) -> bool:
    """Whether a text is a pattern: x is any digit, and a full stop at the end is one character or more."""
    return bool(text.strip("+")) and len(text) <= LONGEST and bool(_pattern(text))


def is_whole(text: str) -> bool:
    """Whether a text is one number, and no pattern of several."""
    return is_pattern(text) and not text.endswith(".") and "x" not in text.lower()


def clash(one: str, other: str) -> bool:
    """Whether a number may be of both patterns, and neither says more than the other."""
    first, second = (text.removeprefix("+").lower() for text in (one, other))
    if weight(one) != weight(other) or len(first) != len(second):
        return False
    pairs = zip(first, second, strict=True)
    return all(a == b or ("x" in (a, b) and (a + b).replace("x", "").isdecimal()) for a, b in pairs)


def match(pattern: str, number: str) -> Match | None:
    """How a pattern fits a number, None where it does not; a + at the beginning is the same as none."""
    found = _reader(pattern)(number.removeprefix("+"))
    if found is None:
        return None
    parts = "".join(found.groups())
    count = len(found.groups()) - pattern.endswith(".")
    return Match(parts[:count], parts[count:])


@lru_cache(1000)
def _reader(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """What matches a pattern, with a group for each x, one digit each, and one for the full stop."""
    stem = pattern.removeprefix("+")
    letters = ("([0-9])" if letter in "xX" else re.escape(letter) for letter in stem.removesuffix("."))
    return re.compile("".join(letters) + ("(.+)" if stem.endswith(".") else "")).fullmatch


@lru_cache(1000)
def weight(pattern: str) -> tuple[int, int]:
    """How much a pattern says: of two that match, the one with the greater weight counts."""
    stem = pattern.removeprefix("+").removesuffix(".")
    return sum(letter not in "xX" for letter in stem), len(stem) + (not pattern.endswith("."))


class Leads:
    """What numbers lead to by patterns, `PATTERN=TARGET`: found by how they begin, without trying each."""

    def __init__(self, leads: Iterable[tuple[str, str]]) -> None:
        self._by_beginning: dict[str, list[tuple[str, str]]] = {}
        for pattern, target in leads:
            self._by_beginning.setdefault(beginning(pattern), []).append((pattern, target))
        self._longest = max(map(len, self._by_beginning), default=0)

    def of(self, number: str) -> tuple[tuple[int, int], str]:
        """What the pattern leads to that says most, and its weight; "" where none fits."""
        digits, found = number.removeprefix("+"), []
        for length in range(min(len(digits), self._longest) + 1):
            for pattern, target in self._by_beginning.get(digits[:length], ()):
                if there := match(pattern, number):
                    found.append((weight(pattern), filled(target, there.digits)))
        return max(found, default=((0, 0), ""))


def beginning(pattern: str) -> str:
    """The characters of a pattern that stand for themselves, up to the first that does not."""
    return pattern.removeprefix("+").removesuffix(".").lower().partition("x")[0]


def filled(template: str, digits: str) -> str:
    """The template with its x's replaced, the last digit in the last place."""
    left = list(digits)
    return "".join(reversed([_last(left, letter) for letter in reversed(template)]))


def _last(left: list[str], letter: str) -> str:
    return left.pop() if letter in "xX" and left else letter
