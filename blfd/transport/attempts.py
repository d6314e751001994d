"""When a peer that could not be reached is tried again: back-off. The caller gives the time."""

from __future__ import annotations

from blfd.core.values import Flow

FIRST, LONGEST = 1.0, 300.0  # seconds


class Attempts:
    """The peers that could not be reached, and until when each is left alone."""

    def __init__(self) -> None:
        self._failed: dict[str, dict[Flow, tuple[float, float]]] = {}  # by host: last pause, and its end

    def may(self, flow: Flow, now: float) -> bool:
        """Whether a connection is tried now."""
        known = self._failed.get(flow.host, {}).get(flow)
        return known is None or now >= known[1]

    def failed(self, flow: Flow, now: float) -> tuple[float, bool]:
        """Note a failure; seconds until the next attempt, twice as many each time, and if it is the first."""
        of_host = self._failed.setdefault(flow.host, {})
        known = of_host.get(flow)
        pause = min(known[0] * 2, LONGEST) if known else FIRST
        of_host[flow] = pause, now + pause
        return pause, known is None

    def heard_from(self, host: str) -> list[Flow]:
        """Forget what failed to a host, as something came from it; the flows, which may be tried again."""
        return list(self._failed.pop(host, ()))

    def forget_old(self, now: float) -> None:
        """Forget the failures of peers that nobody has tried for long: they begin anew."""
        for host, of_host in list(self._failed.items()):
            for flow in [flow for flow, (_, until) in of_host.items() if now > until + LONGEST]:
                del of_host[flow]
            if not of_host:
                del self._failed[host]
