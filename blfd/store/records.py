"""What the server keeps by itself, wherever that is: where phones are, who watches, who picked up what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from blfd.core.calls.attempts import Attempt
from blfd.core.saved import Kept, SavedCall, SavedHalf, SavedPublication, SavedSubscription
from blfd.core.values import Aor, Binding

ORDERS = {  # of attempts; numbers as numbers
    "at": "id",
    "picker": "length(picker), picker",
    "way": "way",
    "extension": "length(extension), extension",
    "caller": "caller",
    "status": "status, result",
    "milliseconds": "milliseconds",
}
SEARCHED = ("picker", "way", "extension", "caller", "status", "result")
KEPT = 100_000  # attempts to pick up; older ones are forgotten


class Records(Protocol):
    """All that the server asks of its store while it serves; several servers may share what is behind it."""

    @property
    def path(self) -> Path:
        """Where the database is, for people."""

    def secret(self, name: str) -> bytes:
        """32 octets that nobody can guess, the same at every start and in every server that asks."""

    def bindings(self) -> list[Binding]: ...

    def subscriptions(self, ahead: int) -> list[SavedSubscription]:
        """All subscriptions, to go on with; the store reserves `ahead` numbers more for each."""

    def publications(self) -> list[SavedPublication]: ...

    def halves(self) -> list[SavedHalf]:
        """Legs that were up without a call, to be ended; `calls` forgets them."""

    def calls(self, ahead: int) -> list[SavedCall]:
        """The calls that were up, to go on with; the store reserves `ahead` numbers more for each leg."""

    def save(
        self,
        changes: dict[Aor, tuple[Binding, ...]],
        attempts: Iterable[Attempt],
        subscriptions: dict[str, SavedSubscription | None],
        publications: dict[str, SavedPublication | None],
        calls: dict[int, Kept | None],
    ) -> None:
        """Replace the bindings of these AORs, but not of extensions that are gone; add the attempts; replace
        these subscriptions, publications and calls, or remove those that are None. All or nothing."""

    def clock_set(self, step: float) -> None:
        """Have the times of bindings, subscriptions, publications and calls follow the system's clock, which
        was set by so many seconds."""

    def attempts(
        self,
        tenant: str,
        since: float = 0.0,
        limit: int = KEPT,
        *,
        picker: str = "",
        extension: str = "",
        succeeded: bool | None = None,
        before: int | None = None,
    ) -> list[tuple[int, Attempt]]:
        """Attempts, the newest first, each with its number, as is `before`; `since` is seconds since the
        epoch."""

    def some_attempts(
        self,
        tenant: str,
        words: Sequence[str],
        order: str,
        part: tuple[int, int],
        since: float = 0.0,
        succeeded: bool | None = None,
    ) -> tuple[list[Attempt], int]:
        """The attempts with each of the words in who, how, whose or what came of it; and how many there are.

        A word may be `column=part`. `order` is a key of ORDERS, with a minus before it for the reverse order;
        `part` is how many are left out first, and how many are wanted.
        """
