"""The whole core: an input and the time in, effects out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from blfd.core import capabilities, privacy
from blfd.core.access.digest import Authenticator
from blfd.core.access.domains import Domains
from blfd.core.access.limits import Rates
from blfd.core.alterations import altered
from blfd.core.calls.calls import Calls
from blfd.core.calls.codes import Codes
from blfd.core.calls.leg_inputs import LegAccepted, LegDescribed, LegEnded, LegInput, LegsListed, MediaMatched
from blfd.core.calls.own_rules import OwnRules
from blfd.core.calls.party import Party
from blfd.core.calls.permissions import Permissions
from blfd.core.calls.pickup import Pickups
from blfd.core.calls.referral import Referrals
from blfd.core.calls.survivors import Survivors
from blfd.core.calls.transfers import Transfers
from blfd.core.changes import Changes
from blfd.core.compositor import Compositor, Publisher
from blfd.core.directory import Directory, Extension
from blfd.core.effects import Effect, Ignore, LetIn, Level, Log, Notify, PhoneMoved, Reply
from blfd.core.errors import ONLY_TLS, Refusal, Silenced
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
    SubscriptionsRestored,
    SyncWanted,
)
from blfd.core.locations import Locations
from blfd.core.messages import (
    InviteReceived,
    MovedReceived,
    NotifyAnswered,
    ProfileWanted,
    PublishReceived,
    ReferReceived,
    RegisterReceived,
    Request,
    RequestAnswered,
    RequestReceived,
    SubscribeReceived,
)
from blfd.core.next_hop import NextHops, is_sip
from blfd.core.registrar import Registrar
from blfd.core.routing import Refused, Routing, ToExtension, ToOutside, ToPickup, ToRule
from blfd.core.settings import Settings
from blfd.core.timers import Timers
from blfd.core.trunks import pings
from blfd.core.trunks.pings import Pings
from blfd.core.trunks.registrations import Registrations
from blfd.core.trunks.trunk import Trunk
from blfd.core.values import DEFAULT_TENANT, Aor, Flow
from blfd.core.visible import visible
from blfd.core.watchdog import Watchdog

RETRY_AFTER = "5"  # seconds
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
        self.locations = locations or Locations()
        next_hops = self._next_hops = NextHops(self.is_edge, leads_here, self.locations, may_reach)
        self.registrar = Registrar(settings, next_hops)
        self._dialog_package = DialogPackage(self.dialogs)
        self._authenticator = Authenticator(secret, mark, settings)
        self._feature_package = FeaturePackage()
        packages = (self._dialog_package, self._feature_package)
        self.notifier = Notifier(packages, settings, next_hops, new_tag)
        self.compositor = Compositor(self.dialogs, settings, new_tag)
        takes = self._authenticator.takes_at_its_word
        self.calls = Calls(self.dialogs, self.registrar, settings, takes, adopt, self.locations)
        trunks = self.trunks = self.calls.trunks
        self.registrations = Registrations(trunks.servers, secret, new_tag)
        self.pings = Pings(lambda trunk: [way[1] for way in trunks.servers(trunk)], new_tag)
        trunks.by_line, trunks.rank = self.registrations.by_line, self._rank
        self.pickups = Pickups(self.dialogs, self.calls)
        referrals = Referrals(self.dialogs, self.calls, lambda who, uri: self._routing.route(who, uri))
        self.transfers = Transfers(self.dialogs, self.calls, referrals, settings)
        self.own_rules = OwnRules(self.calls.rules)
        self.codes = Codes(self.calls, self.own_rules)
        self.survivors = Survivors(self.calls, self.dialogs, next_hops)
        self.watchdog = Watchdog(self.calls, self.pickups, self.codes, self.notifier, self._on_leg)
        parts = (
            self.notifier,
            self.registrar,
            self.compositor,
            self.calls,
            self.transfers,
            self.codes,
            self.survivors,
            self.watchdog,
            self.locations,
            self.registrations,
            self.pings,
        )
        self._timers: tuple[Timers[Any], ...] = tuple(part.timers for part in parts)
        self.permissions = Permissions(self.directory)
        self._routing = Routing(self.directory, Domains(self.directory, self._addresses))
        self._extension_rates = Rates(settings.extension_requests)
        self._tenant_rates = Rates(settings.tenant_requests)
        self._draining = False

    def handle(self, event: Input, now: float) -> list[Effect]:
        """What to do about `event`; `now` is seconds since the epoch."""
        if type(event) is NotifyAnswered:  # the hot path: nothing else changes
            return self.notifier.answered(event, now)
        effects = self.transfers.settle(self._route(event, now), now)
        if isinstance(event, LegEnded):
            self.calls.keeping.forget(event.leg)
            self.survivors.forget(event.leg)
        effects += [*self.calls.keeping.take(), *self._tell(now)]
        effects += self.locations.take_wanted()
        self.watchdog.saw(event, effects, now)
        return effects

    def _route(self, event: Input, now: float) -> list[Effect]:
        match event:
            case RegisterReceived() | SubscribeReceived() | InviteReceived() if self._waits(event):
                return []
            case (
                RegisterReceived()
                | SubscribeReceived()
                | InviteReceived()
                | PublishReceived()
                | ReferReceived()
                | MovedReceived()
                | RequestReceived()
            ):
                return self._answer(event, now)
            case NotifyAnswered():
                return self.notifier.answered(event, now)
            case RequestAnswered():
                part = self.pings if event.token.startswith(pings.KIND) else self.registrations
                return part.answered(event, now)
            case NotifyLost():
                return self.notifier.lost(event, now)
            case ProfileWanted():
                return ua_profile.wanted(event)
            case ProfileFound():
                return ua_profile.found(event, self._new_tag())
            case RulesSet():
                return self.own_rules.are_set(event, now)
            case FlowClosed():
                flow = event.flow
                self._authenticator.edges.discard(flow)
                self.trunks.flow_closed(flow)
                registering = self.registrations.flow_closed(flow, now)
                lost = [*self.registrar.flow_closed(flow), *self.notifier.flow_closed(flow, now)]
                return [*lost, *registering]
            case CertificateShown():
                self.trunks.shown(event)
                return self._authenticator.shown(event)
            case Located():
                return self._located(event, now)
            case FlowReached():
                return self.notifier.flow_reached(event.flow, now)
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
                self._draining = True
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
        return self.calls.handle(event, now)

    def _answer(
        self,
        event: (
            RegisterReceived
            | SubscribeReceived
            | InviteReceived
            | PublishReceived
            | ReferReceived
            | MovedReceived
            | RequestReceived
        ),
        now: float,
    ) -> list[Effect]:
        transaction = event.request.transaction
        told: list[Effect] = []
        try:
            if isinstance(event, RequestReceived):
                return [self._other_method(event)]
            if isinstance(event, MovedReceived):
                return [self._let_in(event, now)]
            if isinstance(event, ReferReceived):  # its sender is known by the dialog
                return self.transfers.refer(event, now)
            if isinstance(event, PublishReceived):
                return self.compositor.publish(event, self._publisher(event.request, now), now)
            if isinstance(event, InviteReceived) and (trunk := self.trunks.sender(event.request)):
                return self._call_in(event, trunk, now)
            extension = self._sender(event.request, now)
            told = self._came_back(event, extension.aor, now)
            return [*self._serve(event, extension, now), *told, *self._follow(now)]
        except Silenced as silenced:
            log = [Log(Level.WARNING, silenced.log)] if silenced.log else []
            return [*log, Ignore(transaction)]
        except Refusal as refusal:
            reply = Reply(transaction, refusal.status, refusal.reason, refusal.headers)
            logs = [Log(Level.INFO, refusal.log)] if refusal.log else []
            return [*logs, reply, *told, *self._follow(now)]

    def _let_in(self, moved: MovedReceived, now: float) -> LetIn:
        """A phone in a call has another address, and has not registered from there yet. The ids of a call
        prove nothing, as who watches it is told them."""
        call = self.calls.of(moved.leg)
        aor = call.who(moved.leg) if call else None
        if aor not in self.directory.extensions or self._sender(moved.request, now).aor != aor:
            raise Refusal(481, "")
        return LetIn(moved.request.transaction, moved.leg)

    def _publisher(self, request: Request, now: float) -> Publisher:
        """Who has sent a PUBLISH: a source that is taken at its word publishes for whom it likes."""
        if self._authenticator.takes_at_its_word(request.flow):
            return Publisher(request.flow.host)
        extension = self._authenticator.authenticate(request, now)
        self._check_rates(extension.aor, request.flow, now)
        return Publisher(f"{extension.aor}", extension)

    def _sender(self, request: Request, now: float) -> Extension:
        """Who has sent a request; Refusal where that is not proved, or not served now."""
        if request.target.scheme not in ("sip", "sips"):
            raise Refusal(416, f"Scheme {visible(request.target.scheme)}, only sip is served")
        if request.target.scheme == "sips" and not request.flow.is_secure:
            raise Refusal(403, ONLY_TLS)
        extension = self._authenticator.authenticate(request, now)
        self._check_rates(extension.aor, request.flow, now)
        return extension

    def _came_back(
        self, event: RegisterReceived | SubscribeReceived | InviteReceived, aor: Aor, now: float
    ) -> list[Effect]:
        """What a phone's lost connection had carried goes by the one that a request of it came over."""
        flow = event.request.flow
        if not flow.is_connected:
            return []
        if isinstance(event, RegisterReceived):
            contact, routes = event.contacts[0].uri if event.contacts else "", event.path
        else:
            contact, routes = event.contact, event.record_route
        self.registrar.came_back(aor, flow, contact)
        refreshed = event.request.to.tag if isinstance(event, SubscribeReceived) else ""
        return self.notifier.came_back(aor, flow, contact, routes, refreshed, now)

    def _follow(self, now: float) -> list[Effect]:
        """Lamps and calls of a phone go where its registration leads now."""
        effects: list[Effect] = []
        for old, new in self.registrar.take_moved():
            effects.append(PhoneMoved((old.contact, new.contact), old.flow, new.flow, new.path))
            effects += self.notifier.phone_moved(old, new, now)
        return effects

    def _serve(
        self,
        event: RegisterReceived | SubscribeReceived | InviteReceived,
        extension: Extension,
        now: float,
    ) -> list[Effect]:
        match event:
            case SubscribeReceived():
                return self._subscribe(event, extension, now)
            case RegisterReceived():
                return self.registrar.register(event, extension, now)
            case InviteReceived():
                return self._invite(event, extension, now)

    def _subscribe(self, subscribe: SubscribeReceived, watcher: Extension, now: float) -> list[Effect]:
        """One that sets rules as well is answered when they are stored."""
        rules = self._feature_package.asked(subscribe, watcher.aor)
        if not rules:
            return self.notifier.subscribe(subscribe, watcher, now)
        self.notifier.check(subscribe, watcher)

        def then(answer: RulesSet, now: float) -> list[Effect]:
            try:
                if answer.status == 200:
                    return self.notifier.subscribe(subscribe, watcher, now)
            except Refusal as refusal:
                answer = RulesSet(0, refusal.status, refusal.reason)
            refused = Reply(subscribe.request.transaction, answer.status, answer.reason)
            return [refused, *self.notifier.tell_again(subscribe.request.to.tag, now)]

        return self.own_rules.set(watcher.aor, rules, then, now)

    def _check_rates(self, aor: Aor, source: Flow, now: float) -> None:
        """A phone gone mad may not take what is there for all; a trusted source looks after its own."""
        if self._authenticator.takes_at_its_word(source):
            return
        if not self._extension_rates.take(f"{aor}", now) or not self._tenant_rates.take(aor.tenant, now):
            raise Refusal(503, "Too many requests", (("Retry-After", RETRY_AFTER),))

    @staticmethod
    def _other_method(event: RequestReceived) -> Reply:
        """OPTIONS says what is served, to anybody: phones and proxies use it to see if we live."""
        transaction = event.request.transaction
        if event.request.method == "OPTIONS":
            return Reply(transaction, 200, "OK", capabilities.ALL)
        if event.request.method == "INFO":
            return Reply(transaction, 481, "Call does not exist")
        if event.request.method == "NOTIFY":  # nothing is subscribed to from here
            return Reply(transaction, 481, "Subscription does not exist")
        return Reply(transaction, 405, "Method Not Allowed", (capabilities.ALLOW,))

    def _synchronize(self, wanted: SyncWanted, now: float) -> Iterator[Notify]:
        """To each phone where it is registered; nothing is done about the answers."""
        aor = wanted.aor
        domain = self._addresses[0] if aor.tenant == DEFAULT_TENANT else aor.tenant
        for binding in self.registrar.reachable(aor, now):
            yield check_sync.notify(binding, domain, wanted.event, self._new_tag())

    def _call_in(self, invite: InviteReceived, trunk: Trunk, now: float) -> list[Effect]:
        """Somebody outside calls: an extension rings, or nothing."""
        if not self._tenant_rates.take(trunk.tenant, now):
            raise Refusal(503, "Too many requests", (("Retry-After", RETRY_AFTER),))
        self._check_invite(invite)
        callee = self.trunks.called(trunk, invite)
        self.trunks.check_room(trunk)
        return self.calls.invite(invite, self.trunks.caller(trunk, invite.request), callee, now)

    def _check_invite(self, invite: InviteReceived) -> None:
        """Refusal where it can be no call, whoever has sent it."""
        if invite.max_forwards < 1:
            raise Refusal(483, "Too many hops")
        if not invite.contact:
            raise Refusal(400, "Contact is missing")
        if not is_sip(invite.contact):
            raise Refusal(400, "The Contact has to be a SIP URI")
        request = invite.request
        self._next_hops.of(request.flow, invite.contact, invite.record_route, request.asks_rport)
        privacy.check(invite.request)
        if self._draining:  # nobody would be left to end what begins now
            raise Refusal(503, "The server is stopping", (("Retry-After", RETRY_AFTER),))

    def _invite(self, invite: InviteReceived, caller: Extension, now: float) -> list[Effect]:
        self._check_invite(invite)
        request = invite.request
        match self._routing.route(caller.aor, request.target, invite.replaces):
            case ToExtension(callee) | ToOutside(callee):
                return self.calls.invite(invite, Party.of(request, caller), callee, now)
            case ToPickup() as wish:
                return self.pickups.start(wish, invite, caller, now)
            case ToRule() as to:
                return self.codes.start(to, invite, caller, now)
            case Refused(status, reason, log):
                raise Refusal(status, reason, log=log)

    def _directory_changed(self, directory: Directory, now: float) -> list[Effect]:
        changed = altered(self.directory, directory)
        self.directory = directory
        domains = Domains(directory, self._addresses)
        self._routing = Routing(directory, domains)
        self.trunks.directory_changed(directory)
        registering = self.registrations.directory_changed(directory.trunks, now)
        self.pings.directory_changed(directory.trunks, now)
        self.calls.rules.directory_changed(directory, self._routing)
        self._authenticator.directory_changed(directory, domains)
        self.permissions = Permissions(directory)
        self.pickups.permissions_changed(self.permissions)
        effects: list[Effect] = registering
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

    @property
    def sent_away(self) -> int:
        """Requests of extensions and tenants that send too many."""
        return self._extension_rates.refused + self._tenant_rates.refused

    def trusts(self, host: str) -> bool:
        """Whether requests from an address are taken at their word."""
        return self._authenticator.trusts(host)

    def _rank(self, trunk: Trunk, flow: Flow) -> int:
        """Which servers of a trunk are asked first: where we are registered, last those that are down."""
        registration = self.registrations.of(trunk)
        if registration and registration.is_registered and registration.flow == flow:
            return 0
        return 2 if self.pings.is_down(flow) else 1

    def is_edge(self, host: str) -> bool:
        """Whether requests inside calls may come from an address, and be sent by its routes."""
        return self.trusts(host) or self.trunks.at(host) is not None

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called, in seconds since the epoch; None for never."""
        earliest = None
        for timers in self._timers:
            at = timers.next()
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return earliest

    def handle_timer(self, now: float) -> list[Effect]:
        """What is due: expiries, retries, calls that nobody answers."""
        effects: list[Effect] = []
        for timers in self._timers:
            effects += timers.handle(now)
        effects = self.transfers.settle(effects, now)
        effects += [*self.calls.keeping.take(), *self._tell(now)]
        self.watchdog.saw(None, effects, now)
        return effects

    def _tell(self, now: float) -> list[Effect]:
        """Watchers are told of what has changed; who looks on may ask."""
        changed = self.dialogs.changed.take()
        for aor in (*changed, *self.registrar.changed.take()):
            self.changes.lamp(aor)
        return self.notifier.resources_changed(changed, now) if changed else []
