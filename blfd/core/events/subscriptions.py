"""All subscriptions: who watches what, found by every way that is needed, and how many are too many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from blfd.core import hosts
from blfd.core.access.limits import Tally, too_many
from blfd.core.alterations import Altered
from blfd.core.by_flow import ByFlow
from blfd.core.events.subscription import Phase, Subscription
from blfd.core.settings import Settings
from blfd.core.values import Aor, Flow


class Phone(NamedTuple):
    """A phone of a watcher, as it is told apart from its others, and the extensions that it watches."""

    flow: Flow
    user_agent: str
    watched: tuple[str, ...]


class Subscriptions:
    """All subscriptions, by key and resource, and counted by watcher, tenant and source."""

    def __init__(self, settings: Settings) -> None:
        self._of_watcher = Tally(settings.max_subscriptions)
        self._of_tenant = Tally(settings.tenant_subscriptions)
        self._of_source = Tally(settings.source_subscriptions)
        self._by_key: dict[str, Subscription] = {}
        self._by_resource: dict[Aor, dict[str, Subscription]] = {}
        self._by_watcher: dict[Aor, dict[str, Subscription]] = {}
        self._phones: dict[Aor, tuple[Phone, ...]] = {}
        self._over: ByFlow[str] = ByFlow()
        self._lost: dict[Aor, dict[str, Subscription]] = {}
        self._to_come: list[str] = []  # keys, in this round

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._by_key.values()))

    def get(self, key: str) -> Subscription | None:
        return self._by_key.get(key)

    def of(self, resource: Aor) -> list[Subscription]:
        return list(self._by_resource.get(resource, {}).values())

    def concerned(self, changed: Altered) -> list[Subscription]:
        """The subscriptions of or to what an administrator has altered."""
        extensions, tenants = changed.extensions, changed.tenants
        if not extensions and not tenants:
            return []
        return [
            one
            for one in self._by_key.values()
            if one.watcher in extensions or one.resource in extensions or one.resource.tenant in tenants
        ]

    def round(self, count: int) -> Iterator[Subscription]:
        """The next `count` subscriptions; who calls again and again gets all of them in turn."""
        if not self._to_come:
            self._to_come = list(self._by_key)
        part, self._to_come = self._to_come[-count:], self._to_come[:-count]
        return (self._by_key[key] for key in part if key in self._by_key)

    def over(self, flow: Flow) -> list[Subscription]:
        """The subscriptions whose NOTIFYs go by a connection."""
        return [self._by_key[key] for key in self._over.of(flow)]

    def lost(self, watcher: Aor) -> list[Subscription]:
        """The subscriptions of a watcher whose connection is gone."""
        return list(self._lost.get(watcher, {}).values())

    def watchers(self, tenant: str) -> list[Aor]:
        """Who of a tenant watches something."""
        return [watcher for watcher in self._by_watcher if watcher.tenant == tenant]

    def phones(self, watcher: Aor) -> tuple[Phone, ...]:
        """What each phone of a watcher watches; found out again only when that has changed."""
        found = self._phones.get(watcher)
        if found is None:
            watched = defaultdict[tuple[Flow, str], list[str]](list)
            for one in self._by_watcher.get(watcher, {}).values():
                watched[one.flow, one.user_agent].append(one.resource.extension)
            found = tuple(Phone(*of, tuple(sorted(resources))) for of, resources in watched.items())
            if found:
                self._phones[watcher] = found
        return found

    def by_watcher(self, watcher: Aor) -> list[Subscription]:
        return list(self._by_watcher.get(watcher, {}).values())

    def move(self, subscription: Subscription, flow: Flow, *, lost: bool = False, source: str = "") -> None:
        """Have NOTIFYs go by another flow from now on; `source` is where the watcher was heard, if it was."""
        if source and source != subscription.source:
            self._of_source.remove(hosts.sender(subscription.source))
            self._of_source.add(hosts.sender(source))
            subscription.source = source
        if flow != subscription.flow:
            self._over.remove(subscription.flow, subscription.key)
            subscription.flow = flow
            self._over.add(flow, subscription.key)
            self._phones.pop(subscription.watcher, None)
        if lost:
            self._lost.setdefault(subscription.watcher, {})[subscription.key] = subscription
        elif subscription.lost:
            self._found(subscription)
            subscription.losses = 0
        subscription.lost = lost

    def _found(self, subscription: Subscription) -> None:
        of_watcher = self._lost[subscription.watcher]
        del of_watcher[subscription.key]
        if not of_watcher:
            del self._lost[subscription.watcher]

    def room_for(self, watcher: Aor, source: str) -> Subscription | None:
        """The subscription that gives way to another: of a watcher that has as many as it may, the oldest
        that cannot be told anything. Raises Refusal where one more would be too many."""
        leaves, sender = None, hosts.sender(source)
        its_own_full = self._of_watcher.full(watcher)
        if its_own_full:
            leaves = next((one for one in self.lost(watcher) if one.phase is Phase.UNREACHABLE), None)
        if its_own_full and not leaves:
            tally, whose, setting = self._of_watcher, f"{watcher}", "max_subscriptions"
        elif self._of_tenant.full(watcher.tenant) and not leaves:
            tally, whose, setting = self._of_tenant, f"tenant {watcher.tenant}", "tenant_subscriptions"
        elif self._of_source.full(sender) and not (leaves and hosts.sender(leaves.source) == sender):
            tally, whose, setting = self._of_source, f"address {source}", "source_subscriptions"
        else:
            return leaves
        raise too_many("subscriptions", tally.most, whose, watcher, setting)

    def add(self, subscription: Subscription) -> None:
        self._by_key[subscription.key] = subscription
        self._by_resource.setdefault(subscription.resource, {})[subscription.key] = subscription
        of_watcher = self._by_watcher.setdefault(subscription.watcher, {})
        if of_watcher:  # nearly always of the same phone, and what is the same is kept once
            flow = of_watcher[next(reversed(of_watcher))].flow
            if flow == subscription.flow:
                subscription.flow = flow
                if flow.host == subscription.source:
                    subscription.source = flow.host
        of_watcher[subscription.key] = subscription
        self._phones.pop(subscription.watcher, None)
        self._over.add(subscription.flow, subscription.key)
        for tally, owner in self._tallied(subscription):
            tally.add(owner)

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription that is over; nothing happens where it was removed before."""
        subscription.phase = Phase.ENDED
        if self._by_key.pop(subscription.key, None) is None:
            return
        for tally, owner in self._tallied(subscription):
            tally.remove(owner)
        self._over.remove(subscription.flow, subscription.key)
        self._phones.pop(subscription.watcher, None)
        if subscription.lost:
            self._found(subscription)
        for index, owner in (
            (self._by_resource, subscription.resource),
            (self._by_watcher, subscription.watcher),
        ):
            del index[owner][subscription.key]
            if not index[owner]:
                del index[owner]

    def _tallied(self, subscription: Subscription) -> tuple[tuple[Tally, Hashable], ...]:
        watcher = subscription.watcher
        return (
            (self._of_watcher, watcher),
            (self._of_tenant, watcher.tenant),
            (self._of_source, hosts.sender(subscription.source)),
        )
