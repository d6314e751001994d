"""Calls that an earlier process has left while they were up.

They are calls as all others from the first moment on. What a new process cannot know is whether both phones
are still there, and what they were told in the last moment before. So within moments each is asked by a
re-INVITE with the media of the other one: a phone whose call is over says so (481), or nothing (408), and
both ends of the call are told. A connection to a trusted edge or a trunk is made anew for that. Where that of
a phone has gone with the process, both are asked when it has come back, and the other one alone if that takes
long; until then its session ends when it would have ended without the restart.
"""

from __future__ import annotations

from enum import IntEnum

from blfd.core.calls.calls import Calls
from blfd.core.calls.keeping import party_of
from blfd.core.calls.leg_effects import Adopt, HangUp, PhoneMoved, Secure
from blfd.core.calls.leg_inputs import LegDescribed
from blfd.core.effects import Effect, Level, Log
from blfd.core.events.dialog_state import Dialogs, WatchedDialog
from blfd.core.inputs import CallsRestored
from blfd.core.next_hop import NextHops
from blfd.core.party import Party
from blfd.core.saved import SavedCall, SavedLeg, SavedSeat
from blfd.core.timers import Timers
from blfd.core.values import Reason
from dialog_info import DialogState, Direction

FIRST = 0.5  # seconds until the first phone is asked: watchers come first
APART = 0.005  # and between two calls, so that a server with all its watchers to tell keeps up
PATIENCE = 30.0  # with a phone that is to connect again, before the other one is asked alone
LATER = 1.0  # than the session timer that a phone is to be dead by
DEAD = "The session was not refreshed"
UNREACHABLE = "The other phone cannot be reached any more"


class Kind(IntEnum):
    ASK = 0  # the phones of a call
    OVER = 1  # a leg's session is
    ALONE = 2  # to ask the phone of a call to which there is a way


Key = tuple[Kind, int]


class Survivors:
    """The calls that are left; `due` are those whose phones are to be asked, and legs whose session ends."""

    def __init__(self, calls: Calls, dialogs: Dialogs, next_hops: NextHops) -> None:
        self._calls, self._dialogs, self._next_hops = calls, dialogs, next_hops
        self._legs: dict[int, SavedLeg] = {}  # their sessions go by the timer of before, as far as known
        self._lost: set[int] = set()  # those of them to which there is no way yet
        self.timers: Timers[Key] = Timers(self._due)

    def restore(self, event: CallsRestored, now: float) -> list[Effect]:
        """Take what the store remembers: the calls go on, and lamps show them as they were."""
        everything = (*event.calls, *event.lost)
        legs = [leg for one in everything for leg in (one.number, one.caller.leg, one.callee.leg)]
        legs += [seat.leg for seat in event.halves]
        if not legs:
            return []
        self._calls.number_from(1 + max(legs))
        effects = [effect for seat in event.halves for effect in self._end_half(seat)]
        for number, saved in enumerate(event.calls):
            effects += self._adopt(saved, now)
            self.timers.set((Kind.ASK, saved.number), now + FIRST + APART * number)
        for saved in event.lost:
            effects += self._adopt(saved, now)
            effects += self._calls.end(saved.number, 480, UNREACHABLE, now)
        if not everything:
            return effects
        text = f"{len(event.calls)} calls go on, {len(event.lost)} cannot be reached any more"
        return [*effects, Log(Level.INFO, text)]

    def _end_half(self, seat: SavedSeat) -> list[Effect]:
        """Somebody has answered a call in which nobody was at the other end yet."""
        known = self._by_now(seat)
        party = party_of(known)
        account, user = self._calls.trunks.credentials(party), self._calls.contact_user(party, "")
        text = f"{party} had answered what the last process has not put through, and is hung up"
        return [
            Log(Level.INFO, text),
            Adopt(known.leg, known.saved, user, account),
            HangUp(known.leg, cause=Reason(480)),
        ]

    def _adopt(self, saved: SavedCall, now: float) -> list[Effect]:
        caller, callee = (self._by_now(seat) for seat in (saved.caller, saved.callee))
        self._calls.restore(saved._replace(caller=caller, callee=callee))
        withheld = caller.withheld or callee.withheld
        effects: list[Effect] = []
        for seat, other in ((caller, callee), (callee, caller)):
            self._dialogs.put(seat.aor, _watched(seat, other, saved.number, withheld))
            self._legs[seat.leg] = seat.saved
            if seat.flow_lost:
                self._lost.add(seat.leg)
            if seat.saved.timer:
                self.timers.set((Kind.OVER, seat.leg), seat.saved.timer.expires_at + LATER)
            account = self._calls.trunks.credentials(party_of(seat))
            user = self._calls.contact_user(party_of(seat), party_of(other).shown[0])
            effects.append(Adopt(seat.leg, seat.saved, user, account))
            if saved.secure:
                effects.append(Secure(seat.leg))
        return effects

    def _by_now(self, seat: SavedSeat) -> SavedSeat:
        """Connections are gone: one to a trusted edge or a trunk is made anew, a phone makes it itself."""
        saved = seat.saved
        if not saved.flow.is_connected:
            return seat
        party = party_of(seat)
        way = self._next_hops.reopened(saved.flow, saved.contact, saved.route_set)
        way = way or self._calls.trunks.way_to(party, saved.flow)
        is_edge = bool(saved.route_set) and self._next_hops.trusts(saved.flow.host)
        is_lost = way is None or not (is_edge or party.is_outside)
        return seat._replace(saved=saved._replace(flow=way or saved.flow), flow_lost=is_lost)

    def described(self, event: LegDescribed, now: float) -> None:
        """A session was refreshed, or its phone has come back."""
        leg, saved, before = event.leg, event.saved, self._legs.get(event.leg)
        if before is None:
            return
        call = self._calls.of(leg)
        if leg in self._lost and saved.flow != before.flow:
            self._lost.discard(leg)
            if call:
                self.timers.set((Kind.ASK, call.number), now)
        if saved.timer and (before.timer is None or saved.timer.expires_at > before.timer.expires_at + 1):
            self.forget(leg)
        else:
            self._legs[leg] = saved

    def forget(self, leg: int) -> None:
        """Forget a leg that has ended, or is as any other."""
        if self._legs.pop(leg, None):
            self._lost.discard(leg)
            self.timers.cancel((Kind.OVER, leg))

    def _due(self, key: Key, now: float) -> list[Effect]:
        kind, number = key
        if kind is not Kind.OVER:
            return self._ask(kind, number, now)
        call, saved, is_lost = self._calls.of(number), self._legs[number], number in self._lost
        self.forget(number)
        if call is None:
            return []
        if saved.timer and saved.timer.is_ours and not is_lost:  # it has refused to be asked
            return self._calls.ask_survivor(call.number, self._lost, now)
        text = (
            f"call {call.caller.aor} -> {call.callee.aor}: its session was not refreshed since the last start"
        )
        return [Log(Level.WARNING, text), *self._calls.end(call.number, 408, DEAD, now)]

    def _ask(self, kind: Kind, number: int, now: float) -> list[Effect]:
        """Ask both phones of a call, or after a while the one that is there."""
        call = self._calls.numbered(number)
        if call is None:
            return []
        lost = self._lost.intersection(call.legs())
        found = [move for leg in lost if (move := self._found(call.seat(leg).party, self._legs[leg]))]
        if kind is Kind.ASK and lost:
            self.timers.set((Kind.ALONE, number), now + PATIENCE)
        elif kind is Kind.ASK or len(lost) > len(found):
            return self._calls.ask_survivor(number, self._lost, now)
        return [*found]

    def _found(self, party: Party, saved: SavedLeg) -> PhoneMoved | None:
        """The move to a trunk's server whose name was looked up since; once a leg is there it is asked."""
        way = self._calls.trunks.way_to(party, saved.flow)
        return PhoneMoved((saved.contact,), saved.flow, way, saved.route_set) if way else None


def _watched(seat: SavedSeat, other: SavedSeat, call: int, withheld: bool) -> WatchedDialog:
    """What the lamp of a seat shows: what it has shown before."""
    return WatchedDialog(
        seat.saved.dialog,
        Direction.INITIATOR if seat.initiator else Direction.RECIPIENT,
        DialogState.CONFIRMED,
        seat.since,
        party_of(other).user,
        party_of(other).name,
        held=seat.held,
        leg=seat.leg,
        call=call,
        picked=seat.picked,
        withheld=withheld,
        referred_by=seat.referred_by,
        replaces=seat.replaces,
    )
