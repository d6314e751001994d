"""Which calls outlive the process: those that are up, with what has to be known to go on with them; and what
has to be known of a leg to end it."""

from __future__ import annotations

from blfd.core.calls.call import Call
from blfd.core.effects import Effect, SaveCalls
from blfd.core.events.dialog_state import Dialogs
from blfd.core.party import Party, Seat, State
from blfd.core.saved import Kept, SavedCall, SavedHalf, SavedLeg, SavedSeat
from dialog_info import Direction


class Keeping:
    """Compares what is stored with what is true, of the calls that something has happened to.

    A call that is between two states, as while somebody takes it over, stays in the store as it was: who of
    it is gone by then says so when asked. So does one that is over, while one of its phones waits for another
    (`keep`). `legs` is what is known of each.
    """

    def __init__(self, dialogs: Dialogs) -> None:
        self._dialogs = dialogs
        self.legs: dict[int, SavedLeg] = {}
        self._stored: dict[int, Kept] = {}
        self._touched: dict[int, Call] = {}
        self._waiting: set[int] = set()  # calls that are over, but for the store

    def stored(self, saved: SavedCall) -> None:
        """Note a call that is in the store, as it was; an earlier process has put it there."""
        self._stored[saved.number] = saved
        for seat in (saved.caller, saved.callee):
            self.legs[seat.leg] = seat.saved

    def describe(self, leg: int, saved: SavedLeg) -> None:
        self.legs[leg] = saved

    def forget(self, leg: int) -> None:
        """Forget a leg that has ended."""
        self.legs.pop(leg, None)

    def touch(self, call: Call) -> None:
        """Note a call to which something has happened."""
        self._touched[call.number] = call

    def keep(self, call: Call) -> None:
        """Keep a call that ends and of which a phone waits, in no call: another process finds that by it."""
        self._waiting.add(call.number)

    def let_go(self, call: Call) -> None:
        """Keep a call no longer, as nobody waits any more."""
        if call.number in self._waiting:
            self._waiting.discard(call.number)
            self.touch(call)

    def take(self) -> list[Effect]:
        """What is to be stored of what has happened since it was asked last."""
        if not self._touched:
            return []
        touched, self._touched = self._touched, {}
        changes: dict[int, Kept | None] = {}
        for number, call in touched.items():
            saved = self._now(call)
            if saved == self._stored.get(number):
                continue
            changes[number] = saved
            if saved:
                self._stored[number] = saved
            else:
                del self._stored[number]
        return [SaveCalls(changes)] if changes else []

    def _now(self, call: Call) -> Kept | None:
        if call.has_ended:
            return self._stored.get(call.number) if call.number in self._waiting else None
        stored = self._stored.get(call.number)
        if stored is None and self.legs.keys().isdisjoint(call.legs()):  # as long as it rings
            return None
        return self._saved(call) or self._half(call) or stored

    def holds(self, call: Call) -> bool:
        """Whether the call will go on in another process."""
        return call.is_up and call.number in self._stored

    def _saved(self, call: Call) -> SavedCall | None:
        """The call as it is stored; None where there is not all of it yet."""
        if not call.is_up or call.is_stood_in:
            return None
        caller, callee = (self._seat(call.seat(leg)) for leg in (call.caller_leg, call.answered_leg))
        if caller is None or callee is None:
            return None
        return SavedCall(
            call.number,
            call.domain,
            call.source,
            call.started_at,
            call.transfers,
            call.is_settled,
            caller,
            callee,
            call.secure,
        )

    def _half(self, call: Call) -> SavedHalf | None:
        """What is stored of a server whose answer is held (`Across`); None where there is none."""
        up = [branch for branch in call.branches.values() if branch.leg in self.legs]
        if call.state is not State.RINGING or not up:
            return None
        leg, party, is_trusted = up[0].leg, up[0].party, up[0].leg in call.trusted
        who = leg, party.aor, party.name, party.withheld, is_trusted, up[0].contact
        seat = SavedSeat(
            *who, False, call.started_at, False, False, ("", ""), None, self.legs[leg], number=party.number
        )
        return SavedHalf(call.number, call.domain, call.source, call.started_at, seat)

    def _seat(self, seat: Seat) -> SavedSeat | None:
        leg, party = self.legs.get(seat.leg), seat.party
        dialog = self._dialogs.get(party.aor, seat.leg)
        if leg is None or dialog is None:
            return None
        return SavedSeat(
            seat.leg,
            party.aor,
            party.name,
            party.withheld,
            seat.is_trusted,
            seat.contact,
            dialog.direction is Direction.INITIATOR,
            dialog.since,
            dialog.held,
            dialog.picked,
            dialog.referred_by,
            dialog.replaces,
            leg,
            number=party.number,
        )


def party_of(seat: SavedSeat) -> Party:
    return Party(seat.aor, seat.name, seat.withheld, seat.number)
