"""The whole core: an input and the time in, effects out."""

from __future__ import annotations

from collections.abc import Iterator

from blfd.core.calls.leg_inputs import LegDescribed, LegEnded, LegsListed
from blfd.core.effects import Effect, Level, Log, Notify, apart
from blfd.core.events import check_sync, ua_profile
from blfd.core.inputs import (
    BindingsRestored,
    CallsRestored,
    CertificateShown,
    DirectoryChanged,
    Drain,
    FlowClosed,
    FlowReached,
    Input,
    Located,
    NotifyLost,
    ProfileFound,
    PublicationsRestored,
    RulesSet,
    Saved,
    SubscriptionsRestored,
    SyncWanted,
)
from blfd.core.messages import (
    InviteReceived,
    MovedReceived,
    NotifyReceived,
    NotifyResponseReceived,
    ProfileWanted,
    PublishReceived,
    ReferReceived,
    RegisterReceived,
    RequestReceived,
    ResponseReceived,
    SubscribeReceived,
)
from blfd.core.parts import Parts
from blfd.core.values import DEFAULT_TENANT, Flow
from blfd.core.visible import visible

LONGEST_NAME = 100  # characters of a host in a log line


class Core(Parts):
    """Hands each input to the part that it is for; one thread owns it."""

    def handle(self, event: Input, now: float) -> list[Effect]:
        """What to do about `event`; `now` is seconds since the epoch."""
        if type(event) is NotifyResponseReceived:  # the hot path: nothing else changes
            return self.notifier.responded(event, now)
        effects = self._settle(self._route(event, now), now)
        if isinstance(event, LegEnded):
            self.calls.keeping.forget(event.leg)
            self.survivors.forget(event.leg)
        effects += [*self.calls.keeping.take(), *self._tell(now), *self.locations.take_wanted()]
        self.watchdog.saw(event, effects, now)
        return effects

    def _settle(self, effects: list[Effect], now: float) -> list[Effect]:
        """The effects, with what has become of pickups elsewhere and transfers by what was done."""
        return self.transfers.settle(self.pickups.across.settle(effects, now), now)

    def _route(self, event: Input, now: float) -> list[Effect]:
        match event:
            case RegisterReceived() | SubscribeReceived() | InviteReceived() if self._waits(event):
                return []
            case (
                RegisterReceived()
                | SubscribeReceived()
                | InviteReceived()
                | PublishReceived()
                | NotifyReceived()
                | ReferReceived()
                | MovedReceived()
                | RequestReceived()
            ):
                return self.requests.handle(event, now)
            case NotifyResponseReceived():
                return self.notifier.responded(event, now)
            case ResponseReceived():
                return self._asked[event.token.partition(" ")[0]](event, now)
            case NotifyLost():
                return self.notifier.ways.lost(event, now)
            case ProfileWanted():
                return ua_profile.wanted(event)
            case ProfileFound():
                return ua_profile.found(event, self._new_tag())
            case RulesSet():
                return self.own_rules.are_set(event, now)
            case Saved():
                return self.compositor.saved(event)
            case FlowClosed():
                return self._flow_closed(event.flow, now)
            case CertificateShown():
                self.trunks.shown(event)
                return self._authenticator.shown(event)
            case Located():
                return self._located(event, now)
            case FlowReached():
                return self.notifier.ways.flow_reached(event.flow, now)
            case DirectoryChanged():
                return self.directory_changed(event.directory, event.altered, now)
            case BindingsRestored():
                return self._restored(event, now)
            case SubscriptionsRestored():
                return self.notifier.restore(event.subscriptions, now)
            case PublicationsRestored():
                return self.compositor.restore(event.publications, now)
            case SyncWanted():
                return [*self._synchronize(event, now)]
            case Drain():
                return self._drain(event, now)
            case LegDescribed():
                self.survivors.described(event, now)
                return self.calls.described(event)
            case CallsRestored():
                return self.survivors.restore(event, now)
            case LegsListed():
                return self.watchdog.listed(event, now)
            case _:
                return self._on_leg(event, now)

    def _restored(self, restored: BindingsRestored, now: float) -> list[Effect]:
        """Go on with the phones of before, but those whose password was changed meanwhile."""
        self.registrar.restore(restored.bindings, now)
        effects: list[Effect] = []
        for aor in {binding.aor for binding in restored.bindings if binding.proof}:
            effects += self.registrar.keep_proved(aor, self._authenticator.proofs(aor))
        return effects

    def _flow_closed(self, flow: Flow, now: float) -> list[Effect]:
        self._authenticator.edges.discard(flow)
        self.trunks.flow_closed(flow)
        registering = self.registrations.flow_closed(flow, now)
        self.upstreams.flow_closed(flow, now)
        lost = [*self.registrar.flow_closed(flow), *self.notifier.ways.flow_closed(flow, now)]
        return [*lost, *registering]

    def _drain(self, wanted: Drain, now: float) -> list[Effect]:
        self.requests.is_draining = True
        self.upstreams.leave()
        notifier = self.notifier
        last = notifier.terminate_all("deactivated", now) if wanted.tell else notifier.rest()
        ended = self.calls.hang_up_all(now, but_kept=not wanted.hang_up)
        ended += [*self.transfers.hang_up_all(now), *self.codes.hang_up_all()]
        return [*ended, *last, *self.registrations.leave(now)]

    def _waits(self, event: RegisterReceived | SubscribeReceived | InviteReceived) -> bool:
        """Whether a request has to wait until it is known where its edge is."""
        routes = event.path if isinstance(event, RegisterReceived) else event.record_route
        server = self._next_hops.unknown(event.request.flow, routes)
        return server is not None and self.locations.hold(server, event)

    def _located(self, found: Located, now: float) -> list[Effect]:
        """What has waited for a name goes on; where that leads nowhere, as if it had named no way."""
        effects: list[Effect] = []
        self.trunks.looked_up()
        held = self.locations.located(found, now)
        fault = found.location.fault
        if fault and held:
            name = visible(found.server.host, LONGEST_NAME)
            text = f"{name}, where an edge wants requests for its phones, is not found: {fault}"
            effects.append(Log(Level.WARNING, f"{text}; they go where the edge sends from"))
        for event in held:
            effects += apart(self._route, event, now)
        return effects

    def _synchronize(self, wanted: SyncWanted, now: float) -> Iterator[Notify]:
        """A NOTIFY to each phone where it is registered; nothing is done about the answers."""
        aor = wanted.aor
        domain = self._addresses[0] if aor.tenant == DEFAULT_TENANT else aor.tenant
        for binding in self.registrar.reachable(aor, now):
            yield check_sync.notify(binding, domain, wanted.event, self._new_tag())

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called, in seconds since the epoch; None for never."""
        earliest = None
        for timers in self._timers:
            at = timers.next() if timers.queue else None
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return earliest

    def handle_timer(self, now: float) -> list[Effect]:
        """What is due: expiries, retries, calls that nobody answers."""
        effects: list[Effect] = []
        for timers in self._timers:
            effects += timers.handle(now)
        effects = self._settle(effects, now)
        effects += [*self.calls.keeping.take(), *self._tell(now), *self.locations.take_wanted()]
        self.watchdog.saw(None, effects, now)
        return effects

    def _tell(self, now: float) -> list[Effect]:
        """Watchers are told of what has changed; who looks on may ask."""
        if not (self.dialogs.changed or self.registrar.changed or self.upstreams.changed):
            return []
        changed = self.dialogs.changed.take()
        for aor in (*changed, *self.registrar.changed.take(), *self.upstreams.changed.take()):
            self.changes.lamp(aor)
        return self.notifier.resources_changed(changed, now) if changed else []
