"""The package `refer`: who has sent a REFER is told what becomes of it (RFC 3515, section 2.4.4; RFC 6665).

The REFER itself makes the subscription, in the dialog of its call, and each has a resource of its own: so the
notifier, whose packages are about extensions, has none of it. As there, one NOTIFY at most is in flight, and
what happens meanwhile is told by the next.
"""

from __future__ import annotations

from collections.abc import Iterator

from blfd.core.calls.leg_effects import NotifyLeg
from blfd.core.calls.leg_inputs import LegNotified
from blfd.core.effects import Effect
from blfd.core.errors import Refusal
from blfd.core.messages import Request

NAME = "refer"


class ReferSubscription:
    """The subscription of a REFER, by the phone on `leg`; `event` is its Event, and `until` when it would end
    by itself.

    `exchanges` numbers all NOTIFYs there are.
    """

    def __init__(self, leg: int, event: str, until: float, exchanges: Iterator[int]) -> None:
        self.leg = leg
        self._event, self._until, self._exchanges = event, until, exchanges
        self._in_flight = 0  # the exchange of the NOTIFY whose response has not come yet
        self._told = 0  # the last status
        self._waiting: tuple[int, str] | None = None
        self.is_over = False

    def tell(self, status: int, reason: str, now: float) -> list[Effect]:
        """Tell the newest status; from 200 on it is the last."""
        if self.is_over or self._told >= 200 or status == self._told:
            return []
        if self._in_flight:
            self._waiting = status, reason
            return []
        self._in_flight, self._told, self._waiting = next(self._exchanges), status, None
        expires = None if status >= 200 else max(1, round(self._until - now))
        return [NotifyLeg(self.leg, self._in_flight, self._event, expires, status, reason)]

    def responded(self, response: LegNotified, now: float) -> list[Effect]:
        """Take the response to a NOTIFY; a phone that refuses one has ended the subscription (RFC 6665,
        section 4.2.2)."""
        if not self._in_flight or response.exchange != self._in_flight:
            return []
        self._in_flight = 0
        self.is_over = response.status >= 300 or self._told >= 200
        return self.tell(*self._waiting, now) if self._waiting else []


def not_by_subscribe(request: Request) -> Refusal:
    """The refusal of a SUBSCRIBE for what a REFER alone begins, and for as long as it can last."""
    if request.to.tag:
        return Refusal(481, "This transfer is not told of any more")
    return Refusal(403, "Who transfers a call is told what becomes of it, and nobody else")
