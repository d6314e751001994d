"""Counts with a limit each, so that nobody takes what is there for all."""

from __future__ import annotations

from collections.abc import Hashable

from blfd.core.errors import Refusal


class Tally:
    """How many of something each owner has; owners that have none are forgotten. `most` is for each."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._counts: dict[Hashable, int] = {}

    def full(self, owner: Hashable) -> bool:
        return self._counts.get(owner, 0) >= self.most

    def add(self, owner: Hashable) -> None:
        self._counts[owner] = self._counts.get(owner, 0) + 1

    def remove(self, owner: Hashable) -> None:
        left = self._counts[owner] - 1
        if left:
            self._counts[owner] = left
        else:
            del self._counts[owner]


def too_many(what: str, most: int, whose: str, asking: object, setting: str) -> Refusal:
    """`whose` limit of `most` things refuses one more of `asking`; `setting` raises it."""
    text = f"{whose} has {most} {what} already: one more of {asking} is refused"
    return Refusal(403, f"At most {most} {what}", (), f"{text}; raise {setting} if that is right")
