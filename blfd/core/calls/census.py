"""How many calls there are of an extension, a tenant, an address and a trunk, and how many an extension has
forwarded, without looking at each."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from blfd.core.access.limits import Counts
from blfd.core.calls.call import Call
from blfd.core.values import Aor

Counted = tuple[Aor, str, tuple[Aor, ...], tuple[Aor, ...]]
"""A call's caller, what the address counts as that it came from, the lamps of the trunks it goes by, and
by whose forwarding it rings outside."""


class Census:
    """Calls are counted as they are now: who is the caller changes by pickups and transfers."""

    def __init__(self) -> None:
        self._as: dict[int, Counted] = {}
        self._callers, self._tenants, self._senders = Counts(), Counts(), Counts()
        self._trunks, self._forwarders = Counts(), Counts()

    def count(self, call: Call) -> None:
        """Count a call that is there, or has changed."""
        now = (call.caller.aor, call.sender, call.lamps(), call.forwarders())
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
        caller, sender, lamps, forwarders = counted
        yield self._callers, caller
        yield self._tenants, caller.tenant
        yield self._senders, sender
        for lamp in lamps:
            yield self._trunks, lamp
        for forwarder in forwarders:
            yield self._forwarders, forwarder

    def of(self, caller: Aor, sender: str) -> tuple[int, int, int]:
        """How many calls there are of an extension, of its tenant, and from an address."""
        return self._callers.of(caller), self._tenants.of(caller.tenant), self._senders.of(sender)

    def by(self, lamp: Aor) -> int:
        """How many calls there are by a trunk."""
        return self._trunks.of(lamp)

    def forwarded(self, by: Aor) -> int:
        """How many calls ring outside that an extension has forwarded there."""
        return self._forwarders.of(by)
