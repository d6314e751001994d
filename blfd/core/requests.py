"""What is done about a request of a peer: who may ask, and which part answers."""

from __future__ import annotations

from dataclasses import replace

from blfd.core import capabilities, privacy
from blfd.core.access.digest import Sender
from blfd.core.access.senders import RETRY_AFTER, Senders
from blfd.core.access.strangers import Strangers
from blfd.core.calls import outward, refer_subscription
from blfd.core.calls.calls import Calls
from blfd.core.calls.codes import Codes
from blfd.core.calls.leg_effects import PhoneMoved
from blfd.core.calls.own_rules import OwnRules
from blfd.core.calls.pickup import Pickups
from blfd.core.calls.transfers import Transfers
from blfd.core.directory import Directory, Extension
from blfd.core.effects import Effect, Ignore, LetIn, Level, Log, Reply
from blfd.core.errors import ONLY_TLS, Refusal, Silenced
from blfd.core.events.features import FeaturePackage
from blfd.core.events.notifier import Notifier
from blfd.core.inputs import RulesSet
from blfd.core.messages import (
    InviteReceived,
    MovedReceived,
    NotifyReceived,
    PublishReceived,
    ReferReceived,
    RegisterReceived,
    Request,
    RequestReceived,
    SubscribeReceived,
)
from blfd.core.next_hop import NextHops, is_sip
from blfd.core.party import Party
from blfd.core.publications.compositor import Compositor, Publisher
from blfd.core.registrar import Registrar
from blfd.core.routing import Refused, Routing, ToExtension, ToOutside, ToPickup, ToRule
from blfd.core.trunk import Trunk
from blfd.core.trunks import incoming
from blfd.core.upstreams.upstreams import Upstreams
from blfd.core.values import Aor


class Requests:
    """Hands requests to the parts that answer them, or refuses; once `is_draining`, new calls too."""

    def __init__(
        self,
        senders: Senders,
        registrar: Registrar,
        notifier: Notifier,
        compositor: Compositor,
        upstreams: Upstreams,
        calls: Calls,
        transfers: Transfers,
        pickups: Pickups,
        codes: Codes,
        own_rules: OwnRules,
        strangers: Strangers,
        feature_package: FeaturePackage,
        next_hops: NextHops,
    ) -> None:
        self._senders, self._registrar, self._notifier = senders, registrar, notifier
        self._compositor, self._calls, self._trunks = compositor, calls, calls.trunks
        self._upstreams = upstreams
        self._transfers, self._pickups, self._codes = transfers, pickups, codes
        self._strangers = strangers
        self._own_rules, self._feature_package, self._next_hops = own_rules, feature_package, next_hops
        self.is_draining = False

    def directory_changed(self, directory: Directory, routing: Routing) -> None:
        """Take what is set; to be called before the first request, too."""
        self._directory, self._routing = directory, routing

    def handle(
        self,
        event: (
            RegisterReceived
            | SubscribeReceived
            | InviteReceived
            | PublishReceived
            | NotifyReceived
            | ReferReceived
            | MovedReceived
            | RequestReceived
        ),
        now: float,
    ) -> list[Effect]:
        transaction = event.request.transaction
        told: list[Effect] = []
        proved = False
        try:
            if not isinstance(event, SubscribeReceived | RegisterReceived | InviteReceived):
                return self._of_another_kind(event, now)
            if isinstance(event, InviteReceived) and (trunks := self._outside(event.request, now)):
                self._strangers.proved(event.request)
                proved = True
                return self._call_in(event, trunks, now)
            sender = self._senders.sender(event.request, now)
            if isinstance(event, InviteReceived):
                self._strangers.proved(event.request)
                proved = True
            told = self._came_back(event, sender.account.aor, now)
            return [*self._serve(event, sender, now), *told, *self._follow(now)]
        except Silenced as silenced:
            log = [Log(Level.WARNING, silenced.log)] if silenced.log else []
            return [*log, Ignore(transaction)]
        except Refusal as refusal:
            once = isinstance(event, InviteReceived) and not proved
            reply = Reply(transaction, refusal.status, refusal.reason, refusal.headers, once=once)
            level = Level.WARNING if refusal.warns else Level.INFO
            logs: list[Effect] = [Log(level, refusal.log)] if refusal.log else []
            if once:
                try:
                    logs += self._strangers.refused(event.request, refusal, now)
                except Silenced:
                    return [Ignore(transaction)]
            return [*logs, reply, *told, *self._follow(now)]

    def _of_another_kind(
        self,
        event: PublishReceived | NotifyReceived | ReferReceived | MovedReceived | RequestReceived,
        now: float,
    ) -> list[Effect]:
        """Handle a request whose sender is known otherwise, or need not be."""
        match event:
            case NotifyReceived():
                return self._upstreams.hearing.notified(event, now)
            case RequestReceived():
                return [self._other_method(event)]
            case MovedReceived():
                return [self._let_in(event, now)]
            case ReferReceived():  # its sender is known by the dialog
                return self._transfers.refer(event, now)
            case PublishReceived():
                return self._publish(event, now)

    def _let_in(self, moved: MovedReceived, now: float) -> LetIn:
        """Let in a phone in a call that has another address, and has not registered there yet. The ids of a
        call prove nothing, as who watches it is told them."""
        call = self._calls.of(moved.leg)
        if call and call.secure and not moved.request.flow.is_secure:
            raise Refusal(403, ONLY_TLS)
        aor = call.who(moved.leg) if call else None
        is_there = aor in self._directory.extensions
        if not is_there or self._senders.sender(moved.request, now).account.aor != aor:
            raise Refusal(481, "")
        return LetIn(moved.request.transaction, moved.leg)

    def _publish(self, publish: PublishReceived, now: float) -> list[Effect]:
        try:
            effects = self._compositor.publish(publish, self._publisher(publish.request, now), now)
        except Refusal as refusal:
            self._compositor.note(publish, refusal, now)
            raise
        self._compositor.note(publish, None, now)
        return effects

    def _publisher(self, request: Request, now: float) -> Publisher:
        """Who has sent a PUBLISH: a source that is taken at its word publishes for whom it likes."""
        if self._senders.takes_at_its_word(request.flow):
            return Publisher(request.flow.host)
        extension, proof = self._senders.authenticated(request, now)
        return Publisher(f"{extension.aor}", extension, proof)

    def _came_back(
        self, event: RegisterReceived | SubscribeReceived | InviteReceived, aor: Aor, now: float
    ) -> list[Effect]:
        """Have what a phone's lost connection had carried go by the one that a request of it came over."""
        flow = event.request.flow
        if not flow.is_connected:
            return []
        if isinstance(event, RegisterReceived):
            contact, routes = event.contacts[0].uri if event.contacts else "", event.path
        else:
            contact, routes = event.contact, event.record_route
        self._registrar.came_back(aor, flow, contact)
        refreshed = event.request.to.tag if isinstance(event, SubscribeReceived) else ""
        return self._notifier.ways.came_back(aor, flow, contact, routes, refreshed, now)

    def _follow(self, now: float) -> list[Effect]:
        """Have lamps and calls of a phone go where its registration leads now."""
        effects: list[Effect] = []
        for old, new in self._registrar.take_moved():
            effects.append(PhoneMoved((old.contact, new.contact), old.flow, new.flow, new.path))
            effects += self._notifier.ways.phone_moved(old, new, now)
        return effects

    def _serve(
        self,
        event: RegisterReceived | SubscribeReceived | InviteReceived,
        sender: Sender,
        now: float,
    ) -> list[Effect]:
        match event:
            case SubscribeReceived():
                return self._subscribe(event, sender, now)
            case RegisterReceived():
                return self._registrar.register(event, sender.account, now, sender.proof)
            case InviteReceived():
                return self._invite(event, sender.account, now)

    def _subscribe(self, subscribe: SubscribeReceived, sender: Sender, now: float) -> list[Effect]:
        """Handle a SUBSCRIBE; one that sets rules as well is answered when they are stored."""
        if subscribe.event == refer_subscription.NAME:
            raise refer_subscription.not_by_subscribe(subscribe.request)
        watcher, proof = sender
        rules = self._feature_package.asked(subscribe, watcher.aor)
        if not rules:
            return self._notifier.subscribe(subscribe, watcher, now, proof)
        self._notifier.check(subscribe, watcher)

        def then(answer: RulesSet, now: float) -> list[Effect]:
            try:
                if answer.status == 200:
                    return self._notifier.subscribe(subscribe, watcher, now, proof)
            except Refusal as refusal:
                answer = RulesSet(0, refusal.status, refusal.reason)
            refused = Reply(subscribe.request.transaction, answer.status, answer.reason)
            return [refused, *self._notifier.tell_again(subscribe.request.to.tag, now)]

        return self._own_rules.set(watcher.aor, rules, then, now)

    @staticmethod
    def _other_method(event: RequestReceived) -> Reply:
        """The answer to another method; OPTIONS is for anybody: phones and proxies see by it if we live."""
        transaction = event.request.transaction
        if event.request.method == "OPTIONS":
            return Reply(transaction, 200, "OK", capabilities.ALL)
        if event.request.method == "INFO":
            return Reply(transaction, 481, "Call does not exist")
        return Reply(transaction, 405, "Method Not Allowed", (capabilities.ALLOW,))

    def _outside(self, request: Request, now: float) -> tuple[Trunk, ...]:
        """The trunks whose INVITE it may be; none where a phone has sent it.

        An address alone does not tell a carrier from phones. From proves nothing here: it has more asked.
        """
        if proved := self._trunks.proved(request):
            return proved
        if peer := self._peer(request, now):
            self._senders.prove(request, peer, now)
            return (peer,)
        found = self._trunks.at(request.flow.host)
        if found and (self._is_of_edge(request, found) or self._is_of_phone(request, now)):
            return ()
        return found

    def _is_of_edge(self, request: Request, trunks: tuple[Trunk, ...]) -> bool:
        """Whether a proxy that is taken at its word has sent it on, a trunk for picking up calls alone."""
        alone = all(trunk.picks_up and not trunk.takes_calls for trunk in trunks)
        return alone and self._senders.takes_at_its_word(request.flow)

    def _peer(self, request: Request, now: float) -> Trunk | None:
        """The trunk that registers here and is said to have sent an INVITE: by its password, or its place."""
        peers = list(self._trunks.peers())
        if not peers:
            return None
        for trunk in peers:
            realm = self._directory.tenants[trunk.tenant].realm
            if any((c.username, c.realm) == (trunk.username, realm) for c in request.credentials):
                return trunk
        if self._is_of_phone(request, now):
            return None
        lamps = ((trunk, Aor(trunk.tenant, trunk.resource)) for trunk in peers)
        return next((trunk for trunk, aor in lamps if self._registrar.is_over(aor, request.flow, now)), None)

    def _is_of_phone(self, request: Request, now: float) -> bool:
        """Whether a request answers a challenge of ours, or is said to be of who has registered by the same
        way."""
        given = {credentials.realm for credentials in request.credentials}
        if given and any(tenant.realm in given for tenant in self._directory.tenants.values()):
            return True
        aor = self._routing.aor_of(request.from_.uri)
        return aor is not None and self._registrar.is_over(aor, request.flow, now)

    def _call_in(self, invite: InviteReceived, trunks: tuple[Trunk, ...], now: float) -> list[Effect]:
        """Take a call from outside: an extension rings, or nothing."""
        try:
            trunk, callee = incoming.called(trunks, invite, self._directory.extensions)
        except Refusal:
            for tenant in {trunk.tenant for trunk in trunks}:
                self._senders.check_tenant_rate(tenant, now)
            raise
        self._senders.check_tenant_rate(trunk.tenant, now)
        caller = incoming.caller(trunk, invite.request, self._directory)
        try:
            self._check_invite(invite)
            self._trunks.check_room(trunk)
            return self._calls.invite(invite, caller, callee, now)
        except Refusal as told:
            raise outward.refusal(told, f"{caller}") from None

    def _check_invite(self, invite: InviteReceived) -> None:
        """Check an INVITE: raises Refusal where it can be no call, whoever has sent it."""
        if invite.max_forwards < 1:
            raise Refusal(483, "Too many hops")
        if not invite.contact:
            raise Refusal(400, "Contact is missing")
        if not is_sip(invite.contact):
            raise Refusal(400, "The Contact has to be a SIP URI")
        request = invite.request
        self._next_hops.of(request.flow, invite.contact, invite.record_route, request.asks_rport)
        privacy.check(invite.request)
        if self.is_draining:  # nobody would be left to end what begins now
            raise Refusal(503, "The server is stopping", (("Retry-After", RETRY_AFTER),))

    def _invite(self, invite: InviteReceived, caller: Extension, now: float) -> list[Effect]:
        self._check_invite(invite)
        request = invite.request
        telling = self._routing.telling(caller.aor, request.target)
        target, party = request.target, Party.of(request, caller)
        if telling:
            target, tells = telling
            party = replace(party, withheld=not tells, tells=tells)
        match self._routing.route(caller.aor, target, invite.replaces):
            case ToExtension(callee) | ToOutside(callee):
                return self._calls.invite(invite, party, callee, now)
            case Refused(status, reason, log):
                raise Refusal(status, reason, log=log)
            case _ if telling:
                raise Refusal(403, "Only a call can be withheld, or not be")
            case ToPickup() as wish:
                return self._pickups.start(wish, invite, caller, now)
            case ToRule() as to:
                return self._codes.start(to, invite, caller, now)
