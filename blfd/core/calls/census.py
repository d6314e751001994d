"""How many calls there are of an extension, of a tenant and from an address, without looking at each."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from blfd.core.access.limits import Counts
from blfd.core.calls.call import Call
from blfd.core.values import Aor

Counted = tuple[Aor, str]
"""A call's caller, and what the address counts as that it came from."""


class Census:
    """Calls are counted as they are now: who is the caller changes by pickups and transfers."""

    def __init__(self) -> None:
        self._as: dict[int, Counted] = {}
        self._callers, self._tenants, self._senders = Counts(), Counts(), Counts()

    def count(self, call: Call) -> None:
        """Count a call that is there, or has changed."""
        now = (call.caller.aor, call.sender)
        if self._as.get(call.number) != now:
            self.forget(call.number)
            self._as[call.number] = now
            for counts, owner in self._owners(now):
                counts.add(owner)

    def forget(self, number: int) -> None:
        """Count a call no more that is over."""
        known = self._as.pop(number, None)
        if known is not None:
            for counts, owner in self._owners(known):
                counts.remove(owner)

    def _owners(self, counted: Counted) -> Iterator[tuple[Counts, Hashable]]:
        caller, sender = counted
        yield self._callers, caller
        yield self._tenants, caller.tenant
        yield self._senders, sender

    def of(self, caller: Aor, sender: str) -> tuple[int, int, int]:
        """How many calls there are of an extension, of its tenant, and from an address."""
        return self._callers.of(caller), self._tenants.of(caller.tenant), self._senders.of(sender)
