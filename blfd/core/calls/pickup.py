"""Pickup: from the picker's INVITE until it has the call that is meant (`pickup_search`), or is refused.

The picker's INVITE becomes a leg, its media is matched with the caller's, and only then, in one step, the
call is the picker's; until that step it rings on as if nothing had been asked. Whatever happened meanwhile
is found out there, so everybody who comes later gets a definite refusal. Calls that another server carries
are picked up there (`across`).
"""

from __future__ import annotations

from dataclasses import dataclass

from blfd.core import own_contact
from blfd.core.calls.across import Across
from blfd.core.calls.attempts import Way
from blfd.core.calls.call import Call
from blfd.core.calls.calls import Calls
from blfd.core.calls.leg_effects import Accept, HangUp, MatchMedia
from blfd.core.calls.leg_inputs import LegAccepted, LegEnded, MediaMatched
from blfd.core.calls.media import APART, are_apart, held
from blfd.core.calls.mismatch import NO_CODEC
from blfd.core.calls.outcome import outcome
from blfd.core.calls.pickup_search import Search, being_set_up
from blfd.core.calls.reporting import report, warning
from blfd.core.directory import Directory, Extension
from blfd.core.effects import Effect, Reply
from blfd.core.errors import Refusal
from blfd.core.events.dialog_state import Dialogs, WatchedDialog
from blfd.core.messages import InviteReceived
from blfd.core.party import Party, Picker, State
from blfd.core.permissions import Permissions
from blfd.core.routing import ToPickup
from blfd.core.values import Aor, DialogId
from blfd.core.visible import visible
from dialog_info import DialogState


@dataclass(slots=True)
class Pickup:
    """A pickup under way: from the picker's INVITE until the call is won or refused.

    `dialog` is the one at `target` that the picker is to replace, as it was then; one that is confirmed is
    taken over.
    """

    wish: ToPickup
    invite: InviteReceived
    picker: Extension
    started_at: float
    target: Aor
    dialog: WatchedDialog
    call: Call
    to_tag: str = ""

    @property
    def takes_over(self) -> bool:
        return self.dialog.state is DialogState.CONFIRMED

    @property
    def peer(self) -> int:
        """The leg that the picker is going to talk with."""
        return self.call.other(self.dialog.leg)


class Pickups:
    """All pickups that are under way, by the picker's leg."""

    def __init__(self, dialogs: Dialogs, calls: Calls) -> None:
        self._dialogs, self._calls = dialogs, calls
        self._by_leg: dict[int, Pickup] = {}
        self.across = Across(dialogs, calls)
        self.search = Search(dialogs, calls, self.across)

    def __contains__(self, leg: int) -> bool:
        return leg in self._by_leg

    def picker(self, leg: int) -> Aor | None:
        """The picker on a leg; None where it has won, or the leg is none of a picker."""
        pickup = self._by_leg.get(leg)
        return pickup.picker.aor if pickup else None

    def directory_changed(self, directory: Directory, permissions: Permissions) -> None:
        self.search.permissions_changed(permissions)
        self.across.directory_changed(directory)

    # The INVITE

    def start(self, wish: ToPickup, invite: InviteReceived, picker: Extension, now: float) -> list[Effect]:
        """Take the picker's INVITE, or refuse it and leave the call as it is."""
        transaction = invite.request.transaction
        try:
            aor, dialog, call = self.search.find(wish, picker.aor, invite.request, now)
            if call is None:
                return self.across.start(wish, invite, picker, aor, dialog, now)
        except Refusal as refusal:
            status, reason = refusal.status, refusal.reason
            headers = (*warning(refusal.log or reason), *refusal.headers)
            reply = Reply(transaction, status, reason, headers)
            extension = self._wanted(wish, picker.aor)
            return [reply, *report(wish.way, picker.aor, extension, status, reason, now, now)]
        leg = self._calls.new_leg()
        self._by_leg[leg] = Pickup(wish, invite, picker, now, aor, dialog, call)
        user = own_contact.user(picker.aor.tenant, invite.request.target.user)
        return [Accept(transaction, leg, user)]

    def _wanted(self, wish: ToPickup, picker: Aor) -> str:
        """Whose call is asked for, as far as that can be told; "" where it cannot."""
        if wish.replaces:
            found = self._dialogs.find(picker.tenant, wish.replaces.call_id)
            return found[0][0].extension if found else ""
        return visible(wish.extension)

    # The picker's leg

    def handle(self, event: LegAccepted | MediaMatched | LegEnded, now: float) -> list[Effect]:
        """What happened on the leg of a picker that has not won yet."""
        pickup = self._by_leg[event.leg]
        if isinstance(event, LegEnded):
            del self._by_leg[event.leg]
            reason = visible(event.reason) or "The picker's INVITE failed"
            return self._report(pickup, event.status, reason, now)
        gone = self._gone(pickup)
        if gone:
            return self._refuse(event.leg, *gone, now)
        if apart := pickup.call.apart(pickup.dialog.leg, pickup.invite.request):
            return self._refuse(event.leg, apart.status, apart.reason, now)
        if isinstance(event, LegAccepted):
            pickup.to_tag = event.tag
            return [MatchMedia(event.leg, pickup.peer)]
        if not event.fits or (pickup.takes_over and event.to_picker is None):
            return self._refuse(event.leg, 488, event.why or NO_CODEC, now)
        if are_apart(pickup.call.facing(pickup.dialog.leg), pickup.invite.offer):
            return self._refuse(event.leg, 488, APART, now)
        return self._win(pickup, event, now)

    def _gone(self, pickup: Pickup) -> tuple[int, str] | None:
        """Why the call cannot be had any more; None if it can: the one test that decides who wins."""
        call, target = pickup.call, pickup.target
        if call.state is State.RINGING and not pickup.takes_over:
            return None
        still_there = pickup.takes_over and pickup.dialog.leg in call.legs()
        if still_there and call.state is State.TALKING:
            return None
        if still_there and call.state is State.ANSWERED:  # somebody has taken the other's place
            return 491, being_set_up(target)
        found = self._dialogs.find(target.tenant, pickup.dialog.id.call_id)
        dialog = next((dialog for _, dialog in found if dialog.leg == pickup.dialog.leg), pickup.dialog)
        alive = self._calls.numbered(call.number)
        status = 603 if pickup.wish.replaces else 480
        return status, outcome(target, dialog, alive, pickup.picker.aor)

    def _win(self, pickup: Pickup, media: MediaMatched, now: float) -> list[Effect]:
        call = pickup.call
        request, offer = pickup.invite.request, pickup.invite.offer
        picker = Picker(
            media.leg,
            Party.of(request, pickup.picker),
            DialogId(request.call_id, pickup.to_tag, request.from_.tag),
            pickup.invite.contact,
            request.flow,
            held=offer is not None and held(offer),
            replaces=pickup.dialog.id if pickup.wish.replaces else None,
            secure=request.target.scheme == "sips",
        )
        if pickup.takes_over:
            pickup.wish = pickup.wish._replace(way=Way.TAKE_OVER)
        del self._by_leg[media.leg]
        report = self._report(pickup, 200, "picked up", now, call.caller.user)
        return [*self._calls.join(call, pickup.dialog.leg, picker, media, now), *report]

    def give_up(self, leg: int, why: str, now: float) -> list[Effect]:
        """Refuse a picker, as what it waits for has not come."""
        return self._refuse(leg, 500, why, now)

    def _refuse(self, leg: int, status: int, reason: str, now: float) -> list[Effect]:
        pickup = self._by_leg.pop(leg)
        last = HangUp(leg, status, reason, headers=warning(reason))
        return [last, *self._report(pickup, status, reason, now)]

    def _report(self, pickup: Pickup, status: int, result: str, now: float, caller: str = "") -> list[Effect]:
        way, who, whose = pickup.wish.way, pickup.picker.aor, pickup.target.extension
        caller = caller or pickup.dialog.remote
        return report(way, who, whose, status, result, pickup.started_at, now, caller)
