"""How many of something each owner may have, for how long, and how many requests each sender may send."""

from __future__ import annotations

from collections.abc import Hashable

from blfd.core.errors import Refusal

BURST = 10  # seconds' worth of requests that may come at once
MAX_KNOWN = 10_000  # senders; past it, the one seen first is forgotten


class Counts:
    """How many of something each owner has; owners that have none are forgotten."""

    def __init__(self) -> None:
        self._counts: dict[Hashable, int] = {}

    def of(self, owner: Hashable) -> int:
        return self._counts.get(owner, 0)

    def has(self, owner: Hashable) -> bool:
        return owner in self._counts

    def add(self, owner: Hashable) -> None:
        self._counts[owner] = self._counts.get(owner, 0) + 1

    def remove(self, owner: Hashable) -> None:
        left = self._counts[owner] - 1
        if left:
            self._counts[owner] = left
        else:
            del self._counts[owner]


class Tally(Counts):
    """Counts in which no owner may have more than `most`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def full(self, owner: Hashable) -> bool:
        return self._counts.get(owner, 0) >= self.most


def too_many(what: str, most: int, whose: str, asking: object, setting: str) -> Refusal:
    """The refusal of one more of `asking`, by `whose` limit of `most` things; `setting` raises it."""
    text = f"{whose} has {most} {what} already: one more of {asking} is refused"
    return Refusal(403, f"At most {most} {what}", (), f"{text}; raise {setting} if that is right")


def granted(asked: int | None, default: int, least: int, most: int) -> int:
    """Seconds for which what was asked for lasts, 0 for no longer. Refusal (423) for what is too brief."""
    if asked is None:
        return default
    if 0 < asked < least:
        raise Refusal(423, f"At least {least} s", (("Min-Expires", str(least)),))
    return min(asked, most)


class Rates:
    """A limit of `per_second` requests from each sender; `now` is in seconds of any clock."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._full = float(per_second * BURST)
        self._left: dict[str, tuple[float, float]] = {}
        self.refused = 0

    def take(self, sender: str, now: float) -> bool:
        """Whether one more request from `sender` is served."""
        left, since = self._left.get(sender, (self._full, now))
        left = min(self._full, left + max(0.0, now - since) * self._per_second)
        served = left >= 1.0
        if not served:
            self.refused += 1
        self._left[sender] = (left - 1.0 if served else left, now)
        if len(self._left) > MAX_KNOWN:
            del self._left[next(iter(self._left))]
        return served
