"""Who watches what, and who was told what: SUBSCRIBE in, NOTIFY out (RFC 6665; RFC 4235)."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from blfd.core.dialogs import Dialogs, Lamp
from blfd.core.domains import Domains
from blfd.core.effects import Effect, Level, Log, Notify, Reply
from blfd.core.errors import Refusal
from blfd.core.inputs import NotifyAnswered, Request, SubscribeReceived
from blfd.core.permissions import Permissions
from blfd.core.subscription import Action, Event, Phase, Subscription
from blfd.core.values import Address, Aor, Directory, Extension, Flow, Settings, Tenant
from dialog_info import build_around_version

PACKAGE = "dialog"
CONTENT_TYPE = "application/dialog-info+xml"
ACCEPTABLE = frozenset((CONTENT_TYPE, "application/*", "*/*"))

GONE = frozenset((404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604))  # RFC 6665, 4.2.2
FIRST_PAUSE, LONGEST_PAUSE = 5, 300
MAX_FAILURES = 5
RENDERED, ENTITIES = 4096, 16  # documents kept: resources, and ways to write the URI of one


class Rendered(NamedTuple):
    """A document before and after its version, and the lamp that it shows."""

    before: bytes
    after: bytes
    lamp: Lamp


class Notifier:
    """All subscriptions; `new_tag` makes an unguessable token."""

    def __init__(self, dialogs: Dialogs, settings: Settings, new_tag: Callable[[], str]) -> None:
        self._dialogs, self._settings, self._new_tag = dialogs, settings, new_tag
        self._domains = Domains(Directory(), ())
        self._directory = Directory()
        self._permissions = Permissions(self._directory)
        self._by_key: dict[str, Subscription] = {}
        self._by_resource: dict[Aor, dict[str, Subscription]] = {}
        self._timers: list[tuple[float, str]] = []
        self._rendered: dict[Aor, dict[tuple[str, bool], Rendered]] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._by_key.values())

    def watchers(self, resource: Aor) -> list[Subscription]:
        return list(self._by_resource.get(resource, {}).values())

    # SUBSCRIBE

    def subscribe(self, subscribe: SubscribeReceived, watcher: Extension, now: float) -> list[Effect]:
        """Accept or refuse (Refusal) a SUBSCRIBE of `watcher` (RFC 6665, section 4.2.1)."""
        if subscribe.event != PACKAGE:
            allow = (("Allow-Events", PACKAGE),)
            raise Refusal(489, f"Event {subscribe.event or 'missing'}, only dialog is served", allow)
        if subscribe.accept is not None and ACCEPTABLE.isdisjoint(subscribe.accept):
            raise Refusal(406, f"Only {CONTENT_TYPE} is served", (("Accept", CONTENT_TYPE),))
        expires = self._granted(subscribe.expires)
        if subscribe.request.to.tag:
            return self._refresh(subscribe, watcher, expires, now)
        return self._create(subscribe, watcher, expires, now)

    def _granted(self, asked: int | None) -> int:
        settings = self._settings
        if asked is None:
            return settings.subscribe_default_expires
        if 0 < asked < settings.subscribe_min_expires:
            least = settings.subscribe_min_expires
            raise Refusal(423, f"At least {least} s", (("Min-Expires", str(least)),))
        return min(asked, settings.subscribe_max_expires)

    def _refresh(
        self, subscribe: SubscribeReceived, watcher: Extension, expires: int, now: float
    ) -> list[Effect]:
        request = subscribe.request
        subscription = self._by_key.get(request.to.tag)
        if (
            subscription is None
            or not subscription.alive
            or subscription.call_id != request.call_id
            or subscription.remote_tag != request.from_.tag
            or subscription.watcher != watcher.aor
        ):
            raise Refusal(481, "Subscription does not exist")
        if request.cseq <= subscription.remote_cseq:
            raise Refusal(500, "CSeq is not higher than before")
        subscription.remote_cseq = request.cseq
        subscription.flow = request.flow
        if subscribe.contact:
            subscription.request_uri = subscribe.contact
        reply = _accepted(request, expires, subscription.key)
        if not expires:
            return [reply, *self._terminate(subscription, "timeout", now)]
        self._expire_at(subscription, now + expires)
        return [reply, *self._step(subscription, Event.REFRESHED, now)]

    def _create(
        self, subscribe: SubscribeReceived, watcher: Extension, expires: int, now: float
    ) -> list[Effect]:
        request = subscribe.request
        resource, entity = self._resource(request, watcher)
        if not subscribe.contact:
            raise Refusal(400, "Contact is missing")
        if not request.from_.tag:
            raise Refusal(400, "From has no tag")
        subscription = Subscription(
            self._new_tag(),
            resource,
            watcher.aor,
            sys.intern(entity),
            call_id=request.call_id,
            remote_tag=request.from_.tag,
            remote_cseq=request.cseq,
            request_uri=subscribe.contact,
            head="",
            flow=request.flow,
            expires_at=now + expires,
            user_agent=sys.intern(request.user_agent),
            may_pick_up=self._permissions.may(watcher.aor, resource),
        )
        subscription.head = _head(subscribe, subscription.key)
        self._add(subscription)
        reply = _accepted(request, expires, subscription.key)
        if not expires:  # a fetch (RFC 6665, section 4.4.3)
            return [reply, *self._terminate(subscription, "timeout", now)]
        self._expire_at(subscription, subscription.expires_at)
        return [reply, *self._step(subscription, Event.REFRESHED, now)]

    def _resource(self, request: Request, watcher: Extension) -> tuple[Aor, str]:
        """Which extension is asked for, and its URI as the watcher writes it."""
        uri = request.target if request.target.user else request.to.uri
        resource = self._domains.aor_of(uri)
        if resource is None or not uri.user:
            raise Refusal(404, f"No such extension here: {uri.user}@{uri.host}")
        if resource.tenant != watcher.aor.tenant:
            text = f"{watcher.aor} may not watch {resource}: they belong to different tenants"
            raise Refusal(403, "Another tenant's extension", (), text)
        if resource not in self._directory.extensions:
            text = f"{watcher.aor} watches {resource.extension}, which does not exist: add it or fix the key"
            raise Refusal(404, f"Extension {resource.extension} does not exist", (), text)
        return resource, f"{uri.scheme}:{uri.user}@{uri.domain}"

    # NOTIFY

    def resources_changed(self, changed: Iterable[Aor], now: float) -> list[Effect]:
        """The lamps of `changed` show something else: tell their watchers."""
        effects: list[Effect] = []
        for resource in changed:
            self._rendered.pop(resource, None)
            for subscription in list(self._by_resource.get(resource, {}).values()):
                effects += self._step(subscription, Event.CHANGED, now)
        return effects

    def answered(self, answer: NotifyAnswered, now: float) -> list[Effect]:
        """The final response to a NOTIFY (RFC 6665, section 4.2.2)."""
        subscription = self._by_key.get(answer.subscription)
        if subscription is None:
            return []
        if answer.status < 300:
            subscription.failures = 0
            return self._step(subscription, Event.CONFIRMED, now)
        if answer.status in GONE:
            text = f"{subscription.watcher} no longer watches {subscription.resource}"
            effects = self._step(subscription, Event.REFUSED, now)
            return [Log(Level.INFO, f"{text}: its phone answered {answer.status}"), *effects]
        subscription.failures += 1
        if subscription.failures >= MAX_FAILURES:
            text = f"{subscription.watcher} at {subscription.flow} does not take NOTIFY ({answer.status})"
            effects = self._step(subscription, Event.REFUSED, now)
            hint = "dropped; its phone gets 481 when it refreshes and subscribes anew"
            return [
                Log(Level.WARNING, f"{text} for {subscription.resource}: {hint}"),
                *effects,
            ]
        pause = min(FIRST_PAUSE << (subscription.failures - 1), LONGEST_PAUSE)
        subscription.retry_at = now + max(pause, min(answer.retry_after or 0, LONGEST_PAUSE))
        return self._step(subscription, Event.FAILED, now)

    def _step(self, subscription: Subscription, event: Event, now: float) -> list[Effect]:
        match subscription.handle(event):
            case Action.SEND:
                left = max(0, round(subscription.expires_at - now))
                return [self._notify(subscription, f"active;expires={left}", now)]
            case Action.SEND_LAST:
                return [self._notify(subscription, f"terminated;reason={subscription.reason}", now)]
            case Action.PAUSE:
                heapq.heappush(self._timers, (subscription.retry_at, subscription.key))
            case Action.FORGET:
                self._remove(subscription)
        return []

    def _notify(self, subscription: Subscription, state: str, now: float) -> Notify:
        key = (subscription.entity, subscription.may_pick_up)
        before, after, lamp = self._render(subscription.resource, key)
        body = b"%b%d%b" % (before, subscription.version, after)
        headers = (
            f"{subscription.head}CSeq: {subscription.cseq} NOTIFY\r\n"
            f"Subscription-State: {state}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        )
        subscription.told, subscription.told_at = lamp, now
        subscription.version += 1
        subscription.cseq += 1
        request_line = f"NOTIFY {subscription.request_uri} SIP/2.0"
        return Notify(subscription.key, subscription.flow, request_line, headers, body)

    def _render(self, resource: Aor, key: tuple[str, bool]) -> Rendered:
        """Rendered once per resource, change, and what its watchers differ in: entity, and whether they may
        pick up."""
        known = self._rendered.get(resource)
        rendered = known.get(key) if known else None
        if rendered is None:
            if known is None or len(known) >= ENTITIES:
                if len(self._rendered) >= RENDERED:
                    self._rendered.clear()
                known = self._rendered[resource] = {}
            tenant = self._directory.tenants.get(resource.tenant) or Tenant(resource.tenant)
            entity, may_pick_up = key
            code = tenant.pickup_code if may_pick_up else ""
            single = tenant.single_dialog
            document = self._dialogs.document(resource, entity, pickup_code=code, single=single)
            lamp = self._dialogs.lamp(resource)
            rendered = known[key] = Rendered(*build_around_version(document), lamp)
        return rendered

    # Time and other ends

    def next_timer(self) -> float | None:
        return self._timers[0][0] if self._timers else None

    def handle_timer(self, now: float) -> list[Effect]:
        """Expiries and retries that are due."""
        effects: list[Effect] = []
        while self._timers and self._timers[0][0] <= now:
            subscription = self._by_key.get(heapq.heappop(self._timers)[1])
            if subscription is None or not subscription.alive:
                continue
            if subscription.expires_at <= now:
                effects += self._terminate(subscription, "timeout", now)
            elif subscription.phase is Phase.RETRYING and subscription.retry_at <= now:
                effects += self._step(subscription, Event.DUE, now)
        return effects

    def _expire_at(self, subscription: Subscription, at: float) -> None:
        subscription.expires_at = at
        heapq.heappush(self._timers, (at, subscription.key))

    def _terminate(self, subscription: Subscription, reason: str, now: float) -> list[Effect]:
        subscription.reason = subscription.reason or reason
        return self._step(subscription, Event.TERMINATE, now)

    def terminate_all(self, reason: str, now: float) -> list[Effect]:
        """Tell every watcher that its subscription is over, `reason` as in RFC 6665, section 4.1.3."""
        return [
            effect
            for subscription in list(self._by_key.values())
            if subscription.alive
            for effect in self._terminate(subscription, reason, now)
        ]

    def directory_changed(
        self, directory: Directory, domains: Domains, permissions: Permissions, now: float
    ) -> list[Effect]:
        """Subscriptions to or of removed extensions end; who may now pick up, or no longer, is told."""
        before, self._directory, self._domains = self._directory.tenants, directory, domains
        self._permissions = permissions
        self._rendered.clear()
        effects: list[Effect] = []
        for subscription in list(self._by_key.values()):
            if not subscription.alive:
                continue
            if subscription.resource not in directory.extensions:
                effects += self._terminate(subscription, "noresource", now)
            elif subscription.watcher not in directory.extensions:
                effects += self._terminate(subscription, "rejected", now)
            else:
                effects += self._permit(subscription, before, now)
        return effects

    def _permit(self, subscription: Subscription, before: dict[str, Tenant], now: float) -> list[Effect]:
        may = self._permissions.may(subscription.watcher, subscription.resource)
        domain = subscription.resource.tenant
        if may == subscription.may_pick_up and before.get(domain) == self._directory.tenants.get(domain):
            return []
        subscription.may_pick_up = may
        return self._step(subscription, Event.CHANGED, now)

    def flow_closed(self, flow: Flow) -> list[Effect]:
        """A TCP connection is gone, and with it the way to its watchers; they subscribe anew."""
        lost = [s for s in self._by_key.values() if s.flow == flow]
        for subscription in lost:
            self._remove(subscription)
        text = f"{len(lost)} subscription(s) over {flow} ended: the phone closed its connection"
        return [Log(Level.INFO, text)] if lost else []

    def _add(self, subscription: Subscription) -> None:
        self._by_key[subscription.key] = subscription
        self._by_resource.setdefault(subscription.resource, {})[subscription.key] = subscription

    def _remove(self, subscription: Subscription) -> None:
        subscription.phase = Phase.ENDED
        self._by_key.pop(subscription.key, None)
        watchers = self._by_resource.get(subscription.resource)
        if watchers:
            watchers.pop(subscription.key, None)
            if not watchers:
                del self._by_resource[subscription.resource]


def _accepted(request: Request, expires: int, key: str) -> Reply:
    return Reply(request.transaction, 200, "OK", (("Expires", str(expires)),), key)


def _head(subscribe: SubscribeReceived, tag: str) -> str:
    """The header lines that stay: the dialog's, from our side, and the event's."""
    request = subscribe.request
    identity = f";id={subscribe.event_id}" if subscribe.event_id else ""
    lines = [f"Route: {route}" for route in subscribe.record_route]
    lines += [
        f"From: {_name_addr(request.to)};tag={tag}",
        f"To: {_name_addr(request.from_)};tag={request.from_.tag}",
        f"Call-ID: {request.call_id}",
        f"Event: {PACKAGE}{identity}",
    ]
    return "\r\n".join(lines) + "\r\n"


def _name_addr(address: Address) -> str:
    if not address.display:
        return f"<{address.uri.text}>"
    display = address.display.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{display}" <{address.uri.text}>'
