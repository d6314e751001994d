"""All calls, found by leg, and their clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Set

from blfd.core import hosts, own_contact, privacy
from blfd.core.access.limits import too_many
from blfd.core.calls import leg_events, returning
from blfd.core.calls.call import Call
from blfd.core.calls.census import Census
from blfd.core.calls.codecs import only
from blfd.core.calls.forwarding import Asked, Callee, Rules, Target, callee_party
from blfd.core.calls.keeping import Keeping, party_of
from blfd.core.calls.leg_effects import Accept, Dial, HangUp, Secure
from blfd.core.calls.leg_inputs import (
    LegAnswered,
    LegDescribed,
    LegEnded,
    LegIdentified,
    LegInput,
    LegProgress,
    MediaMatched,
    OfferReceived,
)
from blfd.core.calls.passed_on import NOT_FROM_OUTSIDE, TELL_WHO, In, passed_on
from blfd.core.calls.seats import NO_DIALOG
from blfd.core.directory import Extension
from blfd.core.effects import Effect, Level, Log
from blfd.core.errors import Refusal
from blfd.core.events.dialog_state import Dialogs
from blfd.core.locations import Locations
from blfd.core.messages import InviteReceived, Request
from blfd.core.party import Party, Picker, Seat, State
from blfd.core.registrar import Registrar
from blfd.core.saved import SavedCall
from blfd.core.settings import Settings
from blfd.core.timers import Timers
from blfd.core.trunks.outgoing import Outside
from blfd.core.trunks.trunks import Trunks
from blfd.core.values import Address, DialogId, Flow, Headers, Uri
from blfd.core.visible import visible

NOBODY = Address(Uri(privacy.URI, "sip", privacy.USER, "anonymous.invalid", 0))


class Calls:
    """Makes calls and hands each input to the one that it belongs to.

    `trusts` says whether what comes by a flow is taken at its word.
    """

    def __init__(
        self,
        dialogs: Dialogs,
        registrar: Registrar,
        settings: Settings,
        trusts: Callable[[Flow], bool],
        adopt: Callable[[Flow], Flow | None] = lambda flow: flow,
        locations: Locations | None = None,
    ) -> None:
        self._dialogs, self._settings, self._trusts = dialogs, settings, trusts
        self.census = Census()
        self.trunks = Trunks(adopt, self.census.by, locations)
        self.rules = Rules(registrar, self.trunks, self.new_leg, settings, self.census.forwarded)
        self._numbers = itertools.count(1)
        self._by_leg: dict[int, Call] = {}
        self._by_number: dict[int, Call] = {}  # calls that have not ended
        self._ringing_outside = returning.RingingOutside()
        self.keeping = Keeping(dialogs)
        self.timers = Timers(self._due)

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._by_number.values())

    def invite(self, invite: InviteReceived, party: Party, callee: Callee, now: float) -> list[Effect]:
        """Start a call of `party`; Refusal if nothing rings, there or where it is forwarded."""
        request = invite.request
        if not (isinstance(callee, Outside) and callee.route.emergency):
            self._check_limits(party, request.flow.host)
        leg = self.new_leg()
        without = TELL_WHO if party.withheld else privacy.hides(request)
        if party.is_outside:
            without |= NOT_FROM_OUTSIDE
        offer, codecs = invite.offer, self.trunks.codecs(party)
        if offer and codecs:
            offer = only(offer, codecs)
        trusted = party.is_outside or self._trusts(request.flow)
        passed = passed_on(invite.headers, In.INVITE, trusted=trusted, without=without)
        before = sum(name == "Diversion" for name, _ in passed)
        asked = Asked(party.aor, before, request.target.scheme == "sips", not request.flow.is_secure)
        if party.is_outside and isinstance(callee, Extension):
            asked = asked._replace(
                passed=returning.passed(self._ringing_outside, self.trunks, party, callee.aor, invite)
            )
        first = self.rules.first(callee, asked, now)
        call = self._by_leg[leg] = self._by_number[leg] = Call(
            leg,
            party,
            first,
            self._dialogs,
            self.rules,
            dialog=DialogId(request.call_id, "", request.from_.tag),
            domain=_named(request),
            offer=offer,
            started_at=now,
            allows_update=invite.allows_update,
            source=request.flow.host,
            headers=(("Max-Forwards", f"{invite.max_forwards - 1}"), *passed),
            asked=asked,
            tells_history="History-Info" not in without,
        )
        self.census.count(call)
        if codecs:
            call.codecs[leg] = codecs
        self._goes_by(call, leg, request.flow, outside=party.is_outside)
        user = self.contact_user(party, request.target.user)
        found: list[Effect] = [Accept(request.transaction, leg, user, self.trunks.credentials(party))]
        if first.party.aor in asked.passed:
            who = first.party
            text = f"{party} calls {who} with what {who} has forwarded outside: it is not sent there again"
            found.append(Log(Level.WARNING, text))
        return found

    def contact_user(self, party: Party, other: str) -> str:
        """The user in our Contact for `party`, who talks with `other`: outside it is our account there."""
        if party.is_outside:
            return self.trunks.account(party)
        return own_contact.user(party.aor.tenant, other)

    def _goes_by(self, call: Call, leg: int, flow: Flow, *, outside: bool) -> None:
        call.goes_by(leg, trusted=self._trusts(flow), plain=not flow.is_secure, outside=outside)

    def _check_limits(self, party: Party, source: str) -> None:
        settings, caller = self._settings, party.aor
        own, tenants, sources = self.census.of(caller, hosts.sender(source))
        most_own = settings.tenant_calls if party.is_outside else settings.max_calls
        for found, most, whose, setting in (
            (own, most_own, f"{caller}", "max_calls"),
            (tenants, settings.tenant_calls, f"tenant {caller.tenant}", "tenant_calls"),
            (sources, settings.source_calls, f"address {source}", "source_calls"),
        ):
            if found >= most:
                raise too_many("calls", most, whose, caller, setting)

    def new_leg(self) -> int:
        return next(self._numbers)

    def of(self, leg: int) -> Call | None:
        return self._by_leg.get(leg)

    def numbered(self, number: int) -> Call | None:
        """The call of a number; None where it has ended."""
        return self._by_number.get(number)

    def join(self, call: Call, leg: int, picker: Picker, media: MediaMatched, now: float) -> list[Effect]:
        """The picker takes the place of the phone on `leg`, which rings or talks."""
        self._by_leg[picker.leg] = call
        self._goes_by(call, picker.leg, picker.source, outside=picker.party.is_outside)
        call.secure |= picker.secure
        if call.state is State.RINGING:
            return self._settle(call, call.pick_up(picker, media, now))
        return self._settle(call, call.take_over(leg, picker, media, now))

    # What an earlier process has left

    def number_from(self, number: int) -> None:
        """Number new calls from here on, as lower numbers are in use."""
        self._numbers = itertools.count(number)

    def restore(self, saved: SavedCall) -> None:
        """Make a call that was up in an earlier process; its legs are adopted."""
        caller, callee = saved.caller, saved.callee
        call = Call(
            saved.number,
            party_of(caller),
            Target(party_of(callee)),
            self._dialogs,
            self.rules,
            dialog=caller.saved.dialog,
            domain=saved.domain,
            offer=caller.saved.received,
            started_at=saved.started_at,
            source=saved.source,
            transfers=saved.transfers,
        )
        call.resume(saved)
        call.secure = saved.secure
        codecs = {seat.leg: self.trunks.codecs(party_of(seat)) for seat in (caller, callee)}
        call.codecs = {leg: taken for leg, taken in codecs.items() if taken}
        self._by_number[call.number] = self._by_leg[caller.leg] = self._by_leg[callee.leg] = call
        self.census.count(call)
        self.keeping.stored(saved)

    def described(self, event: LegDescribed) -> list[Effect]:
        """Take what has to be kept of a leg."""
        self.keeping.describe(event.leg, event.saved)
        call = self._by_leg.get(event.leg)
        if call:
            plain, outside = not event.saved.flow.is_secure, event.leg in call.outside
            call.goes_by(event.leg, trusted=event.leg in call.trusted, plain=plain, outside=outside)
            self.keeping.touch(call)
        return []

    def ask_survivor(self, number: int, lost: Set[int], now: float) -> list[Effect]:
        """Whether the phones of a call are there; to `lost` legs there is no way yet."""
        call = self._by_number.get(number)
        if call is None or not call.is_up:
            return []
        known = {leg: self.keeping.legs[leg] for leg in call.legs()}
        return self._settle(call, call.ask(known, lost, now))

    def end(self, number: int, status: int, why: str, now: float) -> list[Effect]:
        """End a call, and say why to both sides."""
        call = self._by_number.get(number)
        return self._settle(call, call.hang_up(status, why, now)) if call else []

    # Transfers

    def refer(
        self,
        of: Call,
        transferee: Seat,
        by: Party,
        target: Callee,
        offer: bytes,
        headers: Headers,
        now: float,
        *,
        secure: bool,
    ) -> tuple[Call, list[Effect]]:
        """A call to `target` for the transferee, which a stand-in makes: it goes on in the call `of`."""
        number, refused = self.new_leg(), None
        asked = Asked(transferee.party.aor, secure=secure, plain=transferee.is_plain)
        try:
            first = self.rules.first(target, asked, now)
        except Refusal as refusal:
            first, refused = Target(callee_party(target)), refusal
        call = Call(
            -number,
            transferee.party,
            first,
            self._dialogs,
            self.rules,
            dialog=NO_DIALOG,
            domain=of.domain,
            offer=offer,
            started_at=now,
            source=of.source,
            headers=headers,
            transfers=of.transfers + 1,
            referred_by=by,
            asked=asked,
            tells_history=not transferee.party.withheld,
        )
        call.number = number
        call.goes_as(-number, transferee, outside=False)
        self._by_leg[-number] = self._by_number[number] = call
        if refused:
            return call, self._settle(call, call.hang_up(refused.status, refused.reason, now))
        return call, self._settle(call, call.start("", now))

    def stand_in(
        self, call: Call, transferee: Seat, by: Party, transfers: int, now: float, *, secure: bool
    ) -> list[Effect]:
        """The transferee calls in the caller's place; the stand-in's leg is the call's `caller_leg`."""
        call.transfers, call.secure = transfers, secure
        effects = call.stand_in(-call.number, transferee, by, now)
        self._by_leg[-call.number] = call
        return self._settle(call, effects)

    def adopt(self, call: Call, transferee: Seat, sdp: bytes, now: float, *, is_new: bool) -> list[Effect]:
        """The transferee takes the place of its stand-in, as it is there itself."""
        del self._by_leg[call.caller_leg]
        self._by_leg[transferee.leg] = call
        return self._settle(call, call.adopt(transferee, sdp, now, is_new=is_new))

    def join_transferee(
        self,
        call: Call,
        leg: int,
        transferee: Seat,
        media: MediaMatched,
        transfers: int,
        now: float,
        *,
        secure: bool,
    ) -> list[Effect]:
        """The transferee takes the place of the transferor on `leg`, in a call that is up."""
        call.transfers, call.secure = transfers, secure
        self._by_leg[transferee.leg] = call
        return self._settle(call, call.join(leg, transferee, media, now))

    def dissolve(self, call: Call) -> list[Effect]:
        """End a call in which nobody has a place any more; its legs are somebody else's or wait."""
        for leg in call.legs():
            self._by_leg.pop(leg, None)
        return self._settle(call, call.dissolve())

    def handle(self, event: LegInput, now: float) -> list[Effect]:
        """Take what happened on a leg; legs that the core has given up are answered and forgotten."""
        call = self._by_leg.get(event.leg)
        if call is None:
            return leg_events.stray(event)
        effects = self._settle(call, leg_events.take(call, self._sound(call, event), now))
        if isinstance(event, LegEnded):
            self._by_leg.pop(event.leg, None)
        return effects

    def _sound(self, call: Call, event: LegInput) -> LegInput:
        """The input without an identity that nobody outside has."""
        if (
            isinstance(event, LegProgress | LegAnswered | LegIdentified | OfferReceived)
            and event.leg in call.outside
        ):
            is_ours = event.who is not None and self.trunks.is_ours(call.caller, event.who.uri)
            return event._replace(who=NOBODY) if is_ours else event
        return event

    def _settle(self, call: Call, effects: list[Effect]) -> list[Effect]:
        """Know the legs that the core makes, and forget those that it gives up."""
        for effect in effects:
            if type(effect) is HangUp:
                self._by_leg.pop(effect.leg, None)
            elif type(effect) is Dial:
                self._by_leg[effect.leg] = call
                branch = call.branches.get(effect.leg)
                is_outside = branch is not None and branch.party.is_outside
                self._goes_by(call, effect.leg, effect.flow, outside=is_outside)
        if call.outside:
            self._ringing_outside.note(call)
            effects += [log for effect in effects if (log := _not_told(call, effect))]
        if call.withheld or call.codecs or call.outside:
            effects = [call.veiled(effect) for effect in effects]
        self.keeping.touch(call)
        if call.state is State.ENDED:
            self._by_number.pop(call.number, None)
            self.census.forget(call.number)
            self.timers.cancel(call.number)
            return [*effects, Log(Level.INFO, f"{call}: ended")]
        self.census.count(call)
        if call.secure:
            effects += [Secure(leg) for leg in call.legs() if leg > 0 and leg not in call.told_secure]
            call.told_secure.update(call.legs())
        at = call.next_timer()
        if at is None:
            self.timers.cancel(call.number)
        else:
            self.timers.set(call.number, at)
        return effects

    def _due(self, number: int, now: float) -> list[Effect]:
        """A call has rung long enough, or makes an offer again."""
        call = self._by_number[number]
        return self._settle(call, call.handle_timer(now))

    def hang_up_all(self, now: float, *, but_kept: bool = False) -> list[Effect]:
        """End all calls; with `but_kept` those stay that go on in the next process."""
        ending = [call for call in self if not (but_kept and self.keeping.holds(call))]
        return [effect for call in ending for effect in self._stop(call, now)]

    def _stop(self, call: Call, now: float) -> list[Effect]:
        return self._settle(call, call.hang_up(503, "The server is stopping", now))

    def give_up(self, call: Call, why: str, now: float) -> list[Effect]:
        """End a call, as what it waits for has not come."""
        return self._settle(call, call.hang_up(500, why, now))


def _named(request: Request) -> str:
    """What the caller calls this server, with the port if it says one anywhere; a tel URI says nothing."""
    target, to = request.target.domain, request.to.uri.domain
    return (target if request.target.port else to) or target or hosts.written(request.flow.host)


def _not_told(call: Call, effect: Effect) -> Log | None:
    """Why a call from outside is refused, in words that its caller does not get."""
    if not isinstance(effect, HangUp) or effect.leg not in call.outside or not effect.reason:
        return None
    return Log(Level.INFO, f"{call}: {effect.status} {visible(effect.reason, 200)}")
