"""By which way NOTIFYs go to a watcher, when its connection ends, and when its phone comes back.

Nothing is dropped when a connection ends: NOTIFYs go by a new one, or wait for the watcher to come again.
"""

from __future__ import annotations

from collections.abc import Callable

from blfd.core.effects import Effect, Level, Log
from blfd.core.events.subscription import Event, Phase, Subscription, kept
from blfd.core.events.subscriptions import Subscriptions
from blfd.core.inputs import NotifyLost
from blfd.core.next_hop import NextHops, Routes, address_in
from blfd.core.values import Aor, Binding, Flow

FIRST_PAUSE, LONGEST_PAUSE = 5, 300
AT_ONCE_PER_SECOND = 50_000  # NOTIFYs that are due together, so that responses are read between them


class Ways:
    """Finds the ways of NOTIFYs. `step` has a subscription take an event, and `set_timer` has it looked at
    when it is due."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        next_hops: NextHops,
        step: Callable[[Subscription, Event, float], list[Effect]],
        set_timer: Callable[[Subscription], None],
    ) -> None:
        self._subscriptions, self._next_hops = subscriptions, next_hops
        self._step, self._set_timer = step, set_timer

    def try_another(self, subscription: Subscription, now: float) -> bool:
        """Move to the next address of an edge that has several, as it may be there; whether there is one."""
        dialog = subscription.dialog
        flow = self._next_hops.without_response(subscription.flow, dialog.target, dialog.route_set, now)
        return self._moved(subscription, flow)

    def _moved(self, subscription: Subscription, way: Flow | None) -> bool:
        """Move a subscription to `way`; whether its NOTIFYs go another way now."""
        if way is None or way == subscription.flow:
            return False
        self._subscriptions.move(subscription, way, lost=subscription.lost)
        return True

    def lost(self, lost: NotifyLost, now: float) -> list[Effect]:
        """Try a NOTIFY again that went nowhere, no fault of its watcher: at once if there is another way."""
        subscription = self._subscriptions.get(lost.subscription)
        if subscription is None:
            return []
        dialog = subscription.dialog
        way = self._next_hops.reopened(lost.flow, dialog.target, dialog.route_set)
        if subscription.flow == lost.flow and not self._moved(subscription, way):
            pause = min(FIRST_PAUSE << subscription.losses, LONGEST_PAUSE)
            subscription.losses += pause < LONGEST_PAUSE
            subscription.retry_at = now + pause
        else:
            subscription.retry_at = now
        return self._step(subscription, Event.LOST, now)

    def flow_closed(self, flow: Flow, now: float) -> list[Effect]:
        """Look for other ways, as a connection is gone. What was in flight over it, `NotifyLost` tells."""
        effects: list[Effect] = []
        unreachable = 0
        for subscription in self._subscriptions.over(flow):
            effects += self.lose(subscription, now)
            unreachable += subscription.phase is Phase.UNREACHABLE
        if unreachable:
            text = f"{flow} closed its connection: {unreachable} subscription(s) wait until it connects again"
            effects.append(Log(Level.INFO, text))
        return effects

    def lose(self, subscription: Subscription, now: float) -> list[Effect]:
        dialog = subscription.dialog
        way = self._next_hops.reopened(subscription.flow, dialog.target, dialog.route_set)
        self._subscriptions.move(subscription, way or subscription.flow, lost=True)
        return [] if way else self._step(subscription, Event.CUT_OFF, now)

    def flow_reached(self, flow: Flow, now: float) -> list[Effect]:
        """Have all that waits for a peer due, as it can be reached again."""
        waiting = (one for one in self._subscriptions.over(flow) if one.phase is Phase.RETRYING)
        for number, subscription in enumerate(waiting):
            self._retry_at(subscription, now + number / AT_ONCE_PER_SECOND)
        return []

    def _retry_at(self, subscription: Subscription, at: float) -> None:
        subscription.retry_at = at
        self._set_timer(subscription)

    def came_back(
        self, watcher: Aor, flow: Flow, contact: str, routes: Routes, refreshed: str, now: float
    ) -> list[Effect]:
        """Move what is lost of a watcher's phone to `flow`, as something came from the phone over that.

        The request itself looks after the subscription with the key `refreshed`.
        """
        effects: list[Effect] = []
        host = address_in(contact, flow)[0]
        for one in self._subscriptions.lost(watcher):
            same_way = (one.flow.transport, one.source) == flow[:2] and one.alive and one.key != refreshed
            if same_way and address_in(one.dialog.target, flow)[0] == host:
                effects += self._move(one, flow, routes, now)
        return effects

    def phone_moved(self, old: Binding, new: Binding, now: float) -> list[Effect]:
        """Tell a phone everything at `new`, where it is registered; before it was at `old`."""
        effects: list[Effect] = []
        host = address_in(old.contact, old.flow)[0]
        for one in self._subscriptions.by_watcher(new.aor):
            same_way = one.flow == old.flow and one.flow.transport == new.flow.transport and one.alive
            if same_way and address_in(one.dialog.target, old.flow)[0] == host:
                effects += self._move(one, new.flow, new.path, now)
        return effects

    def _move(self, subscription: Subscription, flow: Flow, routes: Routes, now: float) -> list[Effect]:
        """Tell a watcher's phone everything by `flow`, over `routes`, where it is heard."""
        dialog = subscription.dialog
        renewed = self._next_hops.renewed(dialog.route_set, routes, flow)
        subscription.dialog = dialog._replace(route_set=renewed)
        self._subscriptions.move(subscription, flow, source=flow.host)
        return [kept(subscription), *self._step(subscription, Event.REFRESHED, now)]
