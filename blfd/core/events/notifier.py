"""Who watches what, and who was told what: SUBSCRIBE in, NOTIFY out (RFC 6665).

A subscription is a record with a table of states (`subscription`). What is told comes from its event package
(`package`); this module says when, and sees to it that one NOTIFY at most is in flight for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from blfd.core import own_contact
from blfd.core.access.domains import Domains
from blfd.core.alterations import Altered
from blfd.core.directory import Directory, Extension
from blfd.core.effects import Effect, Level, Log, Notify, NotifyAll, Reply, SaveSubscription
from blfd.core.errors import Refusal
from blfd.core.events.package import Package
from blfd.core.events.requests import Requests, target_of
from blfd.core.events.subscription import (
    AHEAD,
    IN_FLIGHT,
    INDIFFERENT,
    Action,
    Event,
    Phase,
    Subscription,
    kept,
    unkept,
)
from blfd.core.events.subscriptions import Subscriptions
from blfd.core.events.ways import AT_ONCE_PER_SECOND, FIRST_PAUSE, LONGEST_PAUSE, Ways
from blfd.core.messages import NotifyResponseReceived, Request, SubscribeReceived
from blfd.core.next_hop import NextHops
from blfd.core.saved import SavedSubscription
from blfd.core.settings import Settings
from blfd.core.timers import Timers
from blfd.core.values import Aor

GONE = frozenset((404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604))  # RFC 6665, 4.2.2
ANOTHER_WAY = frozenset((408, 503))  # RFC 3263, section 4.3
MAX_FAILURES = 5
LOOKED_AT = 2000  # subscriptions at a time, for a NOTIFY that has no response: a fifth of a millisecond
# These are read often, and a name of an Enum is looked up each time:
CHANGED, REFRESHED, CONFIRMED, RETRYING = Event.CHANGED, Event.REFRESHED, Event.CONFIRMED, Phase.RETRYING
NOTHING, SEND, SEND_LAST, PAUSE, FORGET = Action


class Notifier:
    """All subscriptions to `packages`; `new_tag` makes an unguessable token."""

    def __init__(
        self,
        packages: Iterable[Package],
        settings: Settings,
        next_hops: NextHops,
        new_tag: Callable[[], str],
    ) -> None:
        self.requests = Requests(packages, settings, next_hops, new_tag)
        self._packages, self._next_hops = self.requests.packages, next_hops
        self._directory = Directory()
        self.subscriptions = Subscriptions(settings)
        self.silent = 0  # subscriptions dropped since the start, as their phones took no NOTIFY
        self.timers = Timers(self._due)
        self.ways = Ways(self.subscriptions, next_hops, self._step, self._set_timer)

    # Restart

    def restore(self, saved: Iterable[SavedSubscription], now: float) -> list[Effect]:
        """Go on where the last process was ended: every watcher is told the full state, soon (`DUE`)."""
        effects: list[Effect] = []
        for number, one in enumerate(saved):
            package = self._packages.get(one.package)
            if package is None:  # one that an older blfd served
                effects.append(SaveSubscription(one.key, None))
                continue
            last = now + self.requests.longest  # the system's clock may have been set back since
            one = one._replace(expires_at=min(one.expires_at, last))
            subscription = Subscription.restored(one, package, AHEAD)
            self.subscriptions.add(subscription)
            subscription.phase, subscription.retry_at = Phase.RETRYING, now + number / AT_ONCE_PER_SECOND
            if one.flow.is_connected:
                self.ways.lose(subscription, now)
            self._set_timer(subscription)
            effects += self._end_if_over(subscription, now)
        return effects

    def rest(self) -> list[Effect]:
        """What to store before the process ends, so that the next one goes on with the very next number."""
        return [
            SaveSubscription(one.key, one.save(0)) for one in self.subscriptions if one.alive and one.reserved
        ]

    # SUBSCRIBE

    def subscribe(
        self, subscribe: SubscribeReceived, watcher: Extension, now: float, proof: str = ""
    ) -> list[Effect]:
        """Accept or refuse (Refusal) a SUBSCRIBE of `watcher` (RFC 6665, section 4.2.1); `proof` is the
        password by which it is the watcher's."""
        package = self.requests.package(subscribe)
        expires = self.requests.granted(subscribe.expires)
        if subscribe.request.to.tag:
            return self._refresh(subscribe, watcher, expires, now, proof)
        return self._create(subscribe, package, watcher, expires, now, proof)

    def check(self, subscribe: SubscribeReceived, watcher: Extension) -> None:
        """Check a SUBSCRIBE: raises Refusal where `subscribe` would, and changes nothing."""
        package = self.requests.package(subscribe)
        if tag := subscribe.request.to.tag:
            self.requests.refreshed(subscribe, watcher, self.subscriptions.get(tag))
        else:
            self.requests.new(subscribe, package, watcher, 0)

    def tell_again(self, key: str, now: float) -> list[Effect]:
        """Tell a watcher the state again, as its phone may show what it has tried to set, and what is not."""
        subscription = self.subscriptions.get(key)
        return self._step(subscription, Event.REFRESHED, now) if subscription and subscription.alive else []

    def _refresh(
        self, subscribe: SubscribeReceived, watcher: Extension, expires: int, now: float, proof: str
    ) -> list[Effect]:
        request = subscribe.request
        known = self.subscriptions.get(request.to.tag)
        subscription = self.requests.refreshed(subscribe, watcher, known)
        target = target_of(subscribe.contact) if subscribe.contact else subscription.dialog.target
        dialog = subscription.dialog
        routes = self._next_hops.renewed(dialog.route_set, subscribe.record_route, request.flow)
        flow = self._next_hops.of(request.flow, target, routes, request.asks_rport)
        subscription.remote_cseq = request.cseq
        subscription.proved_by(proof)
        self.subscriptions.move(subscription, flow, source=request.flow.host)
        if (target, routes) != (dialog.target, dialog.route_set):
            subscription.dialog = dialog._replace(target=target, route_set=routes)
        reply = _accepted(request, expires, subscription)
        if not expires:
            return [reply, *self._terminate(subscription, "timeout", now)]
        self._expire_at(subscription, now + expires)
        return [reply, kept(subscription), *self._step(subscription, REFRESHED, now)]

    def _create(
        self,
        subscribe: SubscribeReceived,
        package: Package,
        watcher: Extension,
        expires: int,
        now: float,
        proof: str,
    ) -> list[Effect]:
        request = subscribe.request
        subscription = self.requests.new(subscribe, package, watcher, now + expires)
        subscription.proved_by(proof)
        unreachable = self.subscriptions.room_for(watcher.aor, request.flow.host)
        gone = self._remove(unreachable) if unreachable else []
        self.subscriptions.add(subscription)
        reply = _accepted(request, expires, subscription)
        if not expires:  # a fetch (RFC 6665, section 4.4.3)
            return [*gone, reply, *self._terminate(subscription, "timeout", now)]
        self._expire_at(subscription, subscription.expires_at)
        return [*gone, reply, kept(subscription), *self._step(subscription, REFRESHED, now)]

    # NOTIFY

    def resources_changed(self, changed: Iterable[Aor], now: float) -> list[Effect]:
        """The lamps of `changed` show something else: tell their watchers, all at once."""
        effects: list[Effect] = []
        told: list[Notify] = []
        for resource in changed:
            for package in self._packages.values():
                package.changed(resource)
            for subscription in self.subscriptions.of(resource):
                if not subscription.package.shows_dialogs:
                    continue
                if subscription.phase not in INDIFFERENT and subscription.handle(CHANGED) is SEND:
                    if self._must_save(subscription):
                        effects.append(kept(subscription))
                    told.append(self._notify(subscription, now))
        if told:
            effects.append(NotifyAll(told))
        return effects

    def responded(self, response: NotifyResponseReceived, now: float) -> list[Effect]:
        """Take the final response to a NOTIFY (RFC 6665, section 4.2.2)."""
        subscription = self.subscriptions.get(response.subscription)
        if subscription is None or subscription.phase not in IN_FLIGHT:
            return []
        subscription.losses = 0
        if response.status < 300:
            subscription.failures = 0
            return self._step(subscription, CONFIRMED, now)
        if response.status in GONE:
            text = f"{subscription.watcher} no longer watches {subscription.resource}"
            effects = self._step(subscription, Event.REFUSED, now)
            return [Log(Level.INFO, f"{text}: its phone answered {response.status}"), *effects]
        subscription.failures += 1
        if subscription.failures >= MAX_FAILURES:
            self.silent += 1
            text = f"{subscription.watcher} at {subscription.flow} does not take NOTIFY ({response.status})"
            effects = self._step(subscription, Event.REFUSED, now)
            hint = "dropped; its phone gets 481 when it refreshes and subscribes anew"
            return [
                Log(Level.WARNING, f"{text} for {subscription.resource}: {hint}"),
                *effects,
            ]
        pause = min(FIRST_PAUSE << (subscription.failures - 1), LONGEST_PAUSE)
        if response.status in ANOTHER_WAY and self.ways.try_another(subscription, now):
            pause = 0
        subscription.retry_at = now + max(pause, min(response.retry_after or 0, LONGEST_PAUSE))
        return self._step(subscription, Event.FAILED, now)

    def _step(self, subscription: Subscription, event: Event, now: float) -> list[Effect]:
        action = subscription.handle(event)
        if action is NOTHING:
            return []
        if action is SEND:
            if self._must_save(subscription):
                return [kept(subscription), self._notify(subscription, now)]
            return [self._notify(subscription, now)]
        if action is SEND_LAST:
            return [self._notify(subscription, now, last=True)]
        if action is FORGET:
            return self._remove(subscription)
        self._set_timer(subscription)
        return []

    @staticmethod
    def _must_save(subscription: Subscription) -> bool:
        """Whether the store has to know of it before the next NOTIFY, which takes the number `cseq`."""
        return subscription.cseq + AHEAD // 2 >= subscription.reserved

    @staticmethod
    def _notify(subscription: Subscription, now: float, *, last: bool = False) -> Notify:
        package, cseq = subscription.package, subscription.cseq
        left = round(subscription.expires_at - now)
        rendered = package.document(subscription.resource, subscription.entity, subscription.view)
        subscription.told, subscription.told_at = rendered.told, now
        subscription.cseq = cseq + 1
        return Notify(
            subscription.key,
            subscription.flow,
            subscription.dialog,
            cseq,
            None if last else left if left > 0 else 0,
            subscription.reason,
            package.content_type,
            rendered.body(cseq - 1),
            own_contact.user(subscription.resource.tenant),
        )

    def without_response(self, since: float) -> list[Subscription]:
        """The subscriptions, in the next part of all, whose NOTIFY is in flight since `since` or longer."""
        part = self.subscriptions.round(LOOKED_AT)
        return [one for one in part if one.phase in IN_FLIGHT and one.told_at <= since]

    # Time and other ends

    def _due(self, key: str, now: float) -> list[Effect]:
        """End a subscription that has expired, or send a NOTIFY that is to be tried again."""
        subscription = self.subscriptions.get(key)
        if subscription is None or not subscription.alive:
            return []
        if subscription.expires_at <= now:
            return self._terminate(subscription, "timeout", now)
        retries = subscription.phase is Phase.RETRYING and subscription.retry_at <= now
        effects = self._step(subscription, Event.DUE, now) if retries else []
        self._set_timer(subscription)
        return effects

    def _set_timer(self, subscription: Subscription) -> None:
        """Set the time of its expiry, or of a retry before; where it needs none by then, `_due` finds out."""
        at = subscription.expires_at
        if subscription.phase is RETRYING:
            at = min(at, subscription.retry_at)
        self.timers.set(subscription.key, at)

    def _expire_at(self, subscription: Subscription, at: float) -> None:
        subscription.expires_at = at
        self._set_timer(subscription)

    def _terminate(self, subscription: Subscription, reason: str, now: float) -> list[Effect]:
        subscription.reason = subscription.reason or reason
        return [*unkept(subscription), *self._step(subscription, Event.TERMINATE, now)]

    def terminate_all(self, reason: str, now: float) -> list[Effect]:
        """Tell every watcher that its subscription is over, `reason` as in RFC 6665, section 4.1.3."""
        return [
            effect
            for subscription in self.subscriptions
            if subscription.alive
            for effect in self._terminate(subscription, reason, now)
        ]

    def directory_changed(
        self, directory: Directory, domains: Domains, changed: Altered, now: float
    ) -> list[Effect]:
        """End subscriptions to or of removed extensions, and those that were made by a password that holds no
        more; who may now pick up, or no longer, is told."""
        self._directory = directory
        self.requests.directory_changed(directory, domains)
        effects: list[Effect] = []
        for one in self.subscriptions.concerned(changed):
            if one.alive:
                effects += self._end_if_over(one, now) or self._look_again(one, changed.tenants, now)
        return effects

    def _end_if_over(self, subscription: Subscription, now: float) -> list[Effect]:
        """End a subscription whose watcher or resource is no longer there, or not for it any more, or whose
        watcher has another password."""
        if not self._directory.has_lamp(subscription.resource):
            return self._terminate(subscription, "noresource", now)
        watcher = self._directory.extensions.get(subscription.watcher)
        if watcher is None:
            return self._terminate(subscription, "rejected", now)
        try:
            subscription.package.check(subscription.watcher, subscription.resource)
        except Refusal:
            return self._terminate(subscription, "rejected", now)
        if subscription.proof and subscription.proof not in watcher.proofs:
            return self._terminate(subscription, "deactivated", now)  # it may ask again at once (RFC 6665)
        return []

    def _look_again(self, subscription: Subscription, tenants: frozenset[str], now: float) -> list[Effect]:
        """Tell a watcher whose view has changed, or whose tenant has."""
        view = subscription.package.view(subscription.watcher, subscription.resource)
        if view == subscription.view and subscription.resource.tenant not in tenants:
            return []
        subscription.view = view
        return self._step(subscription, Event.CHANGED, now)

    def _remove(self, subscription: Subscription) -> list[Effect]:
        self.subscriptions.remove(subscription)
        self.timers.cancel(subscription.key)
        return unkept(subscription)


def _accepted(request: Request, expires: int, subscription: Subscription) -> Reply:
    user = own_contact.user(subscription.resource.tenant)
    return Reply(request.transaction, 200, "OK", (("Expires", str(expires)),), subscription.key, user)
