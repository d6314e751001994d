"""How many calls there are of an extension, of a tenant and from an address, without looking at each."""

from __future__ import annotations

from collections import Counter

from blfd.core.calls.call import Call
from blfd.core.values import Aor

Counted = tuple[Aor, str]
"""A call's caller, and what the address counts as that it came from."""


class Census:
    """Calls are counted as they are now: who is the caller changes by pickups and transfers."""

    def __init__(self) -> None:
        self._as: dict[int, Counted] = {}
        self._callers: Counter[Aor | str] = Counter()
        self._tenants: Counter[Aor | str] = Counter()
        self._senders: Counter[Aor | str] = Counter()

    def count(self, call: Call) -> None:
        """Count a call that is there, or has changed."""
        now = (call.caller.aor, call.sender)
        if self._as.get(call.number) != now:
            self.forget(call.number)
            self._as[call.number] = now
            self._add(now, 1)

    def forget(self, number: int) -> None:
        """Count a call no more that is over."""
        known = self._as.pop(number, None)
        if known is not None:
            self._add(known, -1)

    def _add(self, counted: Counted, more: int) -> None:
        aor, sender = counted
        for counter, key in ((self._callers, aor), (self._tenants, aor.tenant), (self._senders, sender)):
            counter[key] += more
            if not counter[key]:  # strangers have many addresses
                del counter[key]

    def of(self, caller: Aor, sender: str) -> tuple[int, int, int]:
        """How many calls there are of an extension, of its tenant, and from an address."""
        return self._callers[caller], self._tenants[caller.tenant], self._senders[sender]
