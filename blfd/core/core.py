"""The whole core: an input and the time in, effects out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from blfd.core.access.digest import Authenticator
from blfd.core.access.domains import Domains
from blfd.core.access.senders import Senders
from blfd.core.access.strangers import Strangers
from blfd.core.alterations import altered
from blfd.core.calls.calls import Calls
from blfd.core.calls.codes import Codes
from blfd.core.calls.leg_inputs import LegAccepted, LegDescribed, LegEnded, LegInput, LegsListed, MediaMatched
from blfd.core.calls.own_rules import OwnRules
from blfd.core.calls.permissions import Permissions
from blfd.core.calls.pickup import Pickups
from blfd.core.calls.referral import Referrals
from blfd.core.calls.survivors import Survivors
from blfd.core.calls.transfers import Transfers
from blfd.core.changes import Changes
from blfd.core.directory import Directory
from blfd.core.effects import Effect, Level, Log, Notify
from blfd.core.events import check_sync, ua_profile
from blfd.core.events.dialog_state import Dialogs
from blfd.core.events.documents import DialogPackage
from blfd.core.events.features import FeaturePackage
from blfd.core.events.notifier import Notifier
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
from blfd.core.locations import Locations
from blfd.core.messages import (
    InviteReceived,
    MovedReceived,
    NotifyAnswered,
    NotifyReceived,
    ProfileWanted,
    PublishReceived,
    ReferReceived,
    RegisterReceived,
    RequestAnswered,
    RequestReceived,
    SubscribeReceived,
)
from blfd.core.next_hop import NextHops
from blfd.core.publications.composition import Composition
from blfd.core.publications.compositor import Compositor
from blfd.core.registrar import Registrar
from blfd.core.requests import Requests
from blfd.core.routing import Routing
from blfd.core.settings import Settings
from blfd.core.timers import Timers
from blfd.core.trunks import pings, registrations
from blfd.core.trunks.pings import Pings
from blfd.core.trunks.registrations import Registrations
from blfd.core.trunks.remote import Remote
from blfd.core.trunks.trunk import Trunk
from blfd.core.upstreams import watches
from blfd.core.upstreams.upstreams import Upstreams
from blfd.core.values import DEFAULT_TENANT, Flow
from blfd.core.visible import visible
from blfd.core.watchdog import Watchdog

LOOK = "look"  # whether an upstream is there
LONGEST_NAME = 100  # characters of a host in a log line


class Core:
    """Feeds the registrar, the calls and the notifier; one thread owns it.

    `addresses` are the hosts that the server listens on, `leads_here` says whether a way leads to one of its
    listeners, `may_reach` as in `NextHops`, and `adopt` by which listener a flow goes (None: by none).
    `locations` are shared with who chooses ways elsewhere. `secret` and `mark` are those of `Nonces`;
    `new_tag` makes unguessable tokens.
    """

    def __init__(
        self,
        settings: Settings,
        addresses: Iterable[str],
        *,
        secret: bytes,
        mark: str,
        new_tag: Callable[[], str],
        leads_here: Callable[[Flow], bool] = lambda way: False,
        may_reach: Callable[[Flow], bool] = lambda way: True,
        locations: Locations | None = None,
        adopt: Callable[[Flow], Flow | None] = lambda flow: flow,
    ) -> None:
        self._addresses, self._new_tag = tuple(addresses), new_tag
        self.directory = Directory()
        self.dialogs = Dialogs()
        self.changes = Changes()
        self.locations = Locations() if locations is None else locations  # an empty one is false
        next_hops = self._next_hops = NextHops(self.is_edge, leads_here, self.locations, may_reach)
        self.registrar = Registrar(settings, next_hops)
        self._dialog_package = DialogPackage(self.dialogs)
        self._authenticator = Authenticator(secret, mark, settings)
        self._feature_package = FeaturePackage()
        packages = (self._dialog_package, self._feature_package)
        self.notifier = Notifier(packages, settings, next_hops, new_tag)
        composition = Composition(self.dialogs)
        self.compositor = Compositor(composition, settings, new_tag)
        takes = self._authenticator.takes_at_its_word
        self.calls = Calls(self.dialogs, self.registrar, settings, takes, adopt, self.locations)
        trunks = self.trunks = self.calls.trunks
        self.registrations = Registrations(trunks.servers, secret, new_tag)

        def ways(remote: Remote) -> list[Flow]:
            return [way[1] for way in trunks.servers(remote)]

        self.pings = Pings(
            ways,
            new_tag,
            came_back=self.registrations.server_changed,
            has_gone=self.registrations.server_changed,
        )
        trunks.by_line, trunks.rank = self.registrations.by_line, self._rank
        trunks.registered = self.registrar.there
        self.upstreams = Upstreams(composition, trunks.servers, new_tag, leads_here)
        self.looks = Pings(ways, new_tag, LOOK, "upstream", self.upstreams.came_back)
        self.pickups = Pickups(self.dialogs, self.calls)
        referrals = Referrals(self.dialogs, self.calls, lambda who, uri: self._routing.route(who, uri))
        self.transfers = Transfers(self.dialogs, self.calls, referrals, settings)
        self.own_rules = OwnRules(self.calls.rules)
        self.codes = Codes(self.calls, self.own_rules)
        self.senders = Senders(self._authenticator, settings)
        self.strangers = Strangers(
            settings.stranger_refusals, self._is_of_somebody, self._authenticator.failed
        )
        self.requests = Requests(
            self.senders,
            self.registrar,
            self.notifier,
            self.compositor,
            self.upstreams,
            self.calls,
            self.transfers,
            self.pickups,
            self.codes,
            self.own_rules,
            self.strangers,
            self._feature_package,
            next_hops,
        )
        self.survivors = Survivors(self.calls, self.dialogs, next_hops)
        self.watchdog = Watchdog(self.calls, self.pickups, self.codes, self.notifier, self._on_leg)
        parts = (
            self.notifier,
            self.registrar,
            self.compositor,
            self.upstreams,
            self.calls,
            self.transfers,
            self.codes,
            self.pickups.across,
            self.survivors,
            self.watchdog,
            self.locations,
            self.registrations,
            self.pings,
            self.looks,
            self.strangers,
        )
        self._asked = {
            registrations.KIND: self.registrations.answered,
            pings.KIND: self.pings.answered,
            LOOK: self.looks.answered,
            watches.KIND: self.upstreams.answered,
        }
        self._timers: tuple[Timers[Any], ...] = tuple(part.timers for part in parts)
        self.permissions = Permissions(self.directory)
        self._routing = Routing(self.directory, Domains(self.directory, self._addresses))
        self.requests.directory_changed(self.directory, self._routing)

    def handle(self, event: Input, now: float) -> list[Effect]:
        """What to do about `event`; `now` is seconds since the epoch."""
        if type(event) is NotifyAnswered:  # the hot path: nothing else changes
            return self.notifier.answered(event, now)
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
            case NotifyAnswered():
                return self.notifier.answered(event, now)
            case RequestAnswered():
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
                flow = event.flow
                self._authenticator.edges.discard(flow)
                self.trunks.flow_closed(flow)
                registering = self.registrations.flow_closed(flow, now)
                self.upstreams.flow_closed(flow, now)
                lost = [*self.registrar.flow_closed(flow), *self.notifier.ways.flow_closed(flow, now)]
                return [*lost, *registering]
            case CertificateShown():
                self.trunks.shown(event)
                return self._authenticator.shown(event)
            case Located():
                return self._located(event, now)
            case FlowReached():
                return self.notifier.ways.flow_reached(event.flow, now)
            case DirectoryChanged():
                return self._directory_changed(event.directory, now)
            case BindingsRestored():
                self.registrar.restore(event.bindings, now)
                return []
            case SubscriptionsRestored():
                return self.notifier.restore(event.subscriptions, now)
            case PublicationsRestored():
                return self.compositor.restore(event.publications, now)
            case SyncWanted():
                return [*self._synchronize(event, now)]
            case Drain():
                self.requests.is_draining = True
                self.upstreams.leave()
                notifier = self.notifier
                last = notifier.terminate_all("deactivated", now) if event.tell else notifier.rest()
                ended = self.calls.hang_up_all(now, but_kept=not event.hang_up)
                ended += [*self.transfers.hang_up_all(now), *self.codes.hang_up_all()]
                return [*ended, *last, *self.registrations.leave(now)]
            case LegDescribed():
                self.survivors.described(event, now)
                return self.calls.described(event)
            case CallsRestored():
                return self.survivors.restore(event, now)
            case LegsListed():
                return self.watchdog.listed(event, now)
            case _:
                return self._on_leg(event, now)

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
            effects += self._route(event, now)
        return effects

    def _on_leg(self, event: LegInput, now: float) -> list[Effect]:
        """A leg is a picker's, or of a transfer, or of who has dialled a code, or of a call."""
        if isinstance(event, LegAccepted | MediaMatched | LegEnded) and event.leg in self.pickups:
            return self.pickups.handle(event, now)
        if self.transfers.takes(event):
            return self.transfers.handle(event, now)
        if event.leg in self.codes:
            return self.codes.handle(event, now)
        heard = self.pickups.across.heard(event, now)
        return self.calls.handle(heard, now) if heard else []

    def _synchronize(self, wanted: SyncWanted, now: float) -> Iterator[Notify]:
        """A NOTIFY to each phone where it is registered; nothing is done about the answers."""
        aor = wanted.aor
        domain = self._addresses[0] if aor.tenant == DEFAULT_TENANT else aor.tenant
        for binding in self.registrar.reachable(aor, now):
            yield check_sync.notify(binding, domain, wanted.event, self._new_tag())

    def _directory_changed(self, directory: Directory, now: float) -> list[Effect]:
        changed = altered(self.directory, directory)
        self.directory = directory
        domains = Domains(directory, self._addresses)
        self._routing = Routing(directory, domains)
        self.trunks.directory_changed(directory)
        registering = self.registrations.directory_changed(directory.trunks, now)
        self.pings.directory_changed(directory.trunks, now)
        self.looks.directory_changed(directory.upstreams, now)
        self.requests.directory_changed(directory, self._routing)
        self.calls.rules.directory_changed(directory, self._routing)
        self._authenticator.directory_changed(directory, domains)
        self.permissions = Permissions(directory)
        self.pickups.directory_changed(directory, self.permissions)
        effects: list[Effect] = [
            *registering,
            *self.upstreams.directory_changed(directory, changed.extensions, now),
        ]
        self.changes.everything()
        for aor in changed.extensions:
            if not directory.has_lamp(aor):
                effects += self.registrar.remove(aor)
                self.dialogs.forget(aor)
        self.dialogs.do_not_disturb(aor for aor, one in directory.extensions.items() if one.forwarding.dnd)
        self._dialog_package.directory_changed(directory, self.permissions)
        self._feature_package.directory_changed(directory)
        effects += self.compositor.directory_changed(directory, domains, now)
        return [*effects, *self.notifier.directory_changed(directory, domains, changed, now)]

    def trusts(self, host: str) -> bool:
        """Whether requests from an address are taken at their word."""
        return self._authenticator.trusts(host)

    def _rank(self, trunk: Trunk, flow: Flow) -> int:
        """Which servers of a trunk are asked first: where we are registered, last those that seem down."""
        if self.pings.is_down(flow) or self.locations.is_silent(flow):
            return 2
        registration = self.registrations.of(trunk)
        if registration and registration.is_registered and registration.flow == flow:
            return 0
        return 1

    def is_edge(self, host: str) -> bool:
        """Whether requests inside calls may come from an address, and be sent by its routes."""
        return self.trusts(host) or bool(self.trunks.at(host))

    def _is_of_somebody(self, host: str) -> bool:
        """Whether a trunk or a registered phone is at an address."""
        return self.is_edge(host) or self.registrar.has_phones_at(host)

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
        changed = self.dialogs.changed.take()
        for aor in (*changed, *self.registrar.changed.take(), *self.upstreams.changed.take()):
            self.changes.lamp(aor)
        return self.notifier.resources_changed(changed, now) if changed else []
