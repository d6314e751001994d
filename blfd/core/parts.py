"""What the core is made of, and which of its parts ask and tell which others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from blfd.core.access.digest import Authenticator
from blfd.core.access.domains import Domains
from blfd.core.access.senders import Senders
from blfd.core.access.strangers import Strangers
from blfd.core.alterations import Altered, altered
from blfd.core.calls.calls import Calls
from blfd.core.calls.codes import Codes
from blfd.core.calls.leg_inputs import LegAccepted, LegEnded, LegInput, MediaMatched
from blfd.core.calls.own_rules import OwnRules
from blfd.core.calls.pickup import Pickups
from blfd.core.calls.referral import Referrals
from blfd.core.calls.survivors import Survivors
from blfd.core.calls.transfers import Transfers
from blfd.core.changes import Changes
from blfd.core.directory import Directory
from blfd.core.effects import Effect
from blfd.core.events.dialog_state import Dialogs
from blfd.core.events.documents import DialogPackage
from blfd.core.events.features import FeaturePackage
from blfd.core.events.notifier import Notifier
from blfd.core.locations import Locations
from blfd.core.next_hop import NextHops
from blfd.core.permissions import Permissions
from blfd.core.publications.composition import Composition
from blfd.core.publications.compositor import Compositor
from blfd.core.registrar import Registrar
from blfd.core.requests import Requests
from blfd.core.routing import Routing
from blfd.core.settings import Settings
from blfd.core.timers import Timers
from blfd.core.trunk import Trunk
from blfd.core.trunks import pings, registrations
from blfd.core.trunks.pings import Pings
from blfd.core.trunks.registrations import Registrations
from blfd.core.trunks.remote import Remote
from blfd.core.trunks.trunks import DOWN
from blfd.core.upstreams import watches
from blfd.core.upstreams.upstreams import Upstreams
from blfd.core.values import Flow
from blfd.core.watchdog import Watchdog

LOOK = "look"  # whether an upstream is there


class Parts:
    """The parts of the core, put together; all of them know what is set.

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
        self.permissions = Permissions(self.directory)
        self._routing = Routing(self.directory, Domains(self.directory, self._addresses))
        self.changes = Changes()
        self.locations = Locations() if locations is None else locations  # an empty one is false
        self._next_hops = NextHops(self.is_edge, leads_here, self.locations, may_reach)
        self.registrar = Registrar(settings, self._next_hops)
        self._authenticator = Authenticator(secret, mark, settings)
        self.trusts = self._authenticator.trusts
        self.senders = Senders(self._authenticator, settings)
        self.strangers = Strangers(
            settings.stranger_refusals, self._is_of_somebody, self._authenticator.failed
        )
        self._make_lamps(settings)
        self._make_calls(settings, adopt)
        self._make_outside(secret, leads_here)
        self.requests = self._made_requests()
        self.watchdog = Watchdog(self.calls, self.pickups, self.codes, self.notifier, self._on_leg)
        self._timers = self._all_timers()

    def _make_lamps(self, settings: Settings) -> None:
        """How extensions are, whose calls are carried here or elsewhere, and who is told."""
        self.dialogs = Dialogs()
        self._dialog_package, self._feature_package = DialogPackage(self.dialogs), FeaturePackage()
        packages = (self._dialog_package, self._feature_package)
        self.notifier = Notifier(packages, settings, self._next_hops, self._new_tag)
        self._composition = Composition(self.dialogs)
        self.compositor = Compositor(self._composition, settings, self._new_tag)

    def _make_calls(self, settings: Settings, adopt: Callable[[Flow], Flow | None]) -> None:
        """Calls, and what may become of them."""
        takes = self._authenticator.takes_at_its_word
        self.calls = Calls(self.dialogs, self.registrar, settings, takes, adopt, self.locations)
        self.pickups = Pickups(self.dialogs, self.calls)
        referrals = Referrals(self.dialogs, self.calls, lambda who, uri: self._routing.route(who, uri))
        self.transfers = Transfers(self.dialogs, self.calls, referrals, settings)
        self.own_rules = OwnRules(self.calls.rules)
        self.codes = Codes(self.calls, self.own_rules)
        self.survivors = Survivors(self.calls, self.dialogs, self._next_hops)

    def _make_outside(self, secret: bytes, leads_here: Callable[[Flow], bool]) -> None:
        """Trunks and upstreams: our registrations and subscriptions there, and whether they are there."""
        trunks = self.trunks = self.calls.trunks

        def ways(remote: Remote) -> list[Flow]:
            return [way[1] for way in trunks.servers(remote)]

        self.registrations = Registrations(trunks.servers, secret, self._new_tag)
        changed = self.registrations.server_changed

        def came_back(remote: Remote, now: float) -> None:
            for way in ways(remote):
                self.locations.answers_again(way)
            changed(remote, now)

        self.pings = Pings(ways, self._new_tag, came_back, has_gone=changed)
        trunks.by_line, trunks.rank = self.registrations.by_line, self._rank
        trunks.registered, trunks.leads_here = self.registrar.there, leads_here
        self.upstreams = Upstreams(self._composition, trunks.servers, self._new_tag, leads_here)
        self.looks = Pings(ways, self._new_tag, self.upstreams.came_back, LOOK, "upstream")
        self._asked = {  # who takes the answers, by what the tokens of requests begin with
            registrations.KIND: self.registrations.responded,
            pings.KIND: self.pings.responded,
            LOOK: self.looks.responded,
            watches.KIND: self.upstreams.responded,
        }

    def _made_requests(self) -> Requests:
        made = Requests(
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
            self._next_hops,
        )
        made.directory_changed(self.directory, self._routing)
        return made

    def _all_timers(self) -> tuple[Timers[Any], ...]:
        """All that are set, in the order in which they are handled."""
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
        return tuple(part.timers for part in parts)

    def directory_changed(self, directory: Directory, changed: Altered | None, now: float) -> list[Effect]:
        """Give each part what is set now."""
        changed = changed or altered(self.directory, directory)
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
        for aor in sorted(changed.passwords):
            effects += self.registrar.keep_proved(aor, self._authenticator.proofs(aor))
        for aor in sorted(changed.extensions):
            one = directory.extensions.get(aor)
            self.dialogs.do_not_disturb(aor, bool(one and one.forwarding.dnd))
        self._dialog_package.directory_changed(directory, self.permissions)
        self._feature_package.directory_changed(directory)
        effects += self.compositor.directory_changed(directory, domains, changed.extensions, now)
        return [*effects, *self.notifier.directory_changed(directory, domains, changed, now)]

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

    def _rank(self, trunk: Trunk, flow: Flow) -> int:
        """Which servers of a trunk are asked first: where we are registered, last those that seem down."""
        if self.pings.is_down(flow) or self.locations.is_silent(flow):
            return DOWN
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
