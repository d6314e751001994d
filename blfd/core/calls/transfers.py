"""All transfers: what happens to those that are under way, and what that means for the calls concerned."""

from __future__ import annotations

import itertools
from collections import deque

from blfd.core import own_contact
from blfd.core.calls import outward
from blfd.core.calls.call import Call
from blfd.core.calls.calls import Calls
from blfd.core.calls.leg_effects import (
    Answer,
    FindMedia,
    HangUp,
    MatchMedia,
    Progress,
    RefuseOffer,
    RespondToInfo,
)
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    LegEnded,
    LegInput,
    LegNotified,
    MediaFound,
    MediaMatched,
    OfferReceived,
)
from blfd.core.calls.mismatch import NO_CODEC
from blfd.core.calls.refer_subscription import NAME, ReferSubscription
from blfd.core.calls.referral import Referrals
from blfd.core.calls.refusals import NOBODY_NOW
from blfd.core.calls.transfer import Action, Event, Stage, Transfer
from blfd.core.effects import Effect, Level, Log, Reply
from blfd.core.errors import Refusal
from blfd.core.events.dialog_state import Dialogs
from blfd.core.messages import ReferReceived, Request
from blfd.core.party import Party, Seat, State
from blfd.core.settings import Settings
from blfd.core.timers import Timers
from blfd.core.values import Reason
from dialog_info import StateEvent

PATIENCE = 2.0  # seconds that a transferor has to confirm that it knows, before its leg ends
# Seconds between looks whether the calls are settled, as an ACK, or a hold, takes its time; most looks.
PAUSE, TIMES = 0.25, 40
OTHER_IS_OVER = HangUp(0, 481, "The other call is over")
NOT_SUBSCRIBED = ("Refer-Sub", "false")  # RFC 4488, section 4

OF_LEGS = frozenset((Progress, Answer, HangUp, MatchMedia))
"""Effects that may concern a transfer."""

Cause = Effect | LegInput | None
"""What has led to a step of a transfer."""


class Transfers:
    """The transfers that are under way, by the legs that they depend on, with those of stand-ins."""

    def __init__(self, dialogs: Dialogs, calls: Calls, referrals: Referrals, settings: Settings) -> None:
        self._dialogs, self._calls, self._referrals, self._settings = dialogs, calls, referrals, settings
        self._by_leg: dict[int, Transfer] = {}
        self._exchanges = itertools.count(1)
        self.timers = Timers(self._due)

    def legs(self) -> set[int]:
        """The legs that are in no call: of who waits for a target, and of who is told that all is done."""
        return {leg for leg, transfer in self._by_leg.items() if _is_apart(transfer, leg)}

    def takes(self, event: LegInput) -> bool:
        """Whether what has happened on a leg is a transfer's to handle, and no call's."""
        if isinstance(event, MediaFound | LegNotified):
            return True
        transfer = self._by_leg.get(event.leg)
        if transfer is None:
            return False
        if isinstance(event, MediaMatched):
            return transfer.stage is Stage.LOOKING
        if transfer.stage is Stage.CALLING:
            return isinstance(event, LegEnded) and event.leg == transfer.transferor.leg
        return _is_apart(transfer, event.leg)

    # The REFER

    def refer(self, refer: ReferReceived, now: float) -> list[Effect]:
        """Take a REFER, or refuse it (Refusal)."""
        try:
            return self._take(refer, now)
        except Refusal as told:
            party = self._party(refer.leg)
            if party and party.is_outside:
                raise outward.refusal(told, f"{party}", "a transfer") from None
            raise

    def _party(self, leg: int) -> Party | None:
        """Who is on a leg of a call, or of a transfer that has it alone."""
        if call := self._calls.of(leg):
            return call.seat(leg).party
        found = self._by_leg.get(leg)
        seats = (found.transferor, found.transferee) if found else ()
        return next((seat.party for seat in seats if seat.leg == leg), None)

    def _take(self, refer: ReferReceived, now: float) -> list[Effect]:
        request = refer.request
        call = self._referrals.call_of(refer, self._by_leg)
        found = self._referrals.find(refer, call, self._by_leg, now)
        subscription = self._subscription(request, refer.leg, refer.leg in call.referrals, now)
        call.referrals[refer.leg] = subscription if refer.subscribes else None
        transfer = Transfer(
            call,
            call.seat(refer.leg),
            call.seat(call.other(refer.leg)),
            call.referrals[refer.leg],
            *found,
        )
        self._by_leg |= {transfer.transferor.leg: transfer, transfer.transferee.leg: transfer}
        user = own_contact.user(transfer.transferor.party.aor.tenant)
        if refer.subscribes:
            reply = Reply(request.transaction, 202, "Accepted", contact_user=user)
        else:
            reply = Reply(request.transaction, 200, "OK", (NOT_SUBSCRIBED,), contact_user=user)
        log = Log(Level.INFO, transfer.name)
        return [log, reply, *self._tell(transfer, 100, "Trying", now), *self._look(transfer, now)]

    def _subscription(self, request: Request, leg: int, is_again: bool, now: float) -> ReferSubscription:
        event = f"{NAME};id={request.cseq}" if is_again else NAME  # RFC 3515, section 2.4.6
        until = now + self._settings.no_answer_timeout + PATIENCE
        return ReferSubscription(leg, event, until, self._exchanges)

    def _look(self, transfer: Transfer, now: float) -> list[Effect]:
        """Go on, once the calls concerned are as they have been asked to be."""
        consultation, transferee = transfer.consultation, transfer.transferee
        if consultation and consultation.call.state is State.RINGING:  # it rings on, for the transferee
            return self._step(transfer, Event.FOUND, None, now)
        if consultation:
            target = consultation.call.other(consultation.leg)
            self._by_leg |= {consultation.leg: transfer, target: transfer}
        if self._is_settled(transfer):
            transfer.asked = target if consultation else transferee.leg
            return [MatchMedia(target, transferee.leg) if consultation else FindMedia(transferee.leg)]
        if transfer.looks == TIMES:
            return self._step(transfer, Event.FAILED, HangUp(0, 491, "Request Pending"), now)
        transfer.looks += 1
        self.timers.set(transfer.transferor.leg, now + PAUSE)
        return []

    @staticmethod
    def _is_settled(transfer: Transfer) -> bool:
        """Whether each call is up, and, of two, whether neither is changing its media."""
        consultation, call = transfer.consultation, transfer.call
        if consultation is None:
            return call.is_up
        calls = call, consultation.call
        return all(each.is_up and not each.exchange.is_busy for each in calls)

    # What happens

    def handle(self, event: LegInput, now: float) -> list[Effect]:
        """Take an event that is a transfer's, as `takes` says."""
        match event:
            case LegNotified():
                return self._notified(event, now)
            case MediaFound():
                return self._found(event, now)
            case MediaMatched():
                return self._matched(event, now)
            case LegEnded():
                transfer = self._by_leg[event.leg]
                is_transferor = event.leg == transfer.transferor.leg
                gone = Event.TRANSFEROR_GONE if is_transferor else Event.TRANSFEREE_GONE
                seat = transfer.transferor if is_transferor else transfer.transferee
                self._leaves(seat, StateEvent.LOCAL_BYE, now)
                return self._step(transfer, gone, event, now)
            case OfferReceived(answered=False):
                return [RefuseOffer(event.leg, 491, "Request Pending")]
            case InfoReceived():
                return [RespondToInfo(event.leg, event.exchange, *NOBODY_NOW)]
            case _:
                return []

    def _notified(self, event: LegNotified, now: float) -> list[Effect]:
        transfer, call = self._by_leg.get(event.leg), self._calls.of(event.leg)
        if transfer and transfer.transferor.leg == event.leg:
            subscription = transfer.subscription
        else:
            subscription = call.referrals.get(event.leg) if call else None
        if subscription is None:
            return []
        effects = subscription.responded(event, now)
        if transfer and transfer.stage is Stage.TELLING and subscription.is_over:
            effects += self._step(transfer, Event.TOLD, event, now)
        return effects

    def _found(self, event: MediaFound, now: float) -> list[Effect]:
        transfer = self._by_leg.get(event.leg)
        if transfer is None or transfer.stage is not Stage.LOOKING:
            return []
        if transfer.consultation or transfer.asked != event.leg:
            return []
        if event.sdp is None:
            return self._step(transfer, Event.FAILED, HangUp(0, 488, "Not Acceptable Here"), now)
        return self._step(transfer, Event.FOUND, event, now)

    def _matched(self, event: MediaMatched, now: float) -> list[Effect]:
        transfer = self._by_leg[event.leg]
        if transfer.consultation is None or transfer.asked != event.leg:
            return []
        call, leg = transfer.consultation
        if not call.is_up or leg not in call.legs() or call.other(leg) != event.leg:
            return self._step(transfer, Event.FAILED, OTHER_IS_OVER, now)
        if not event.fits or event.to_peer is None or event.to_picker is None:
            why = event.why or NO_CODEC
            return self._step(transfer, Event.FAILED, HangUp(0, 488, why), now)
        return self._step(transfer, Event.FITS, event, now)

    def settle(self, effects: list[Effect], now: float) -> list[Effect]:
        """What the core does, with what the transfers make of it: they are the phones behind stand-ins."""
        if OF_LEGS.isdisjoint(map(type, effects)):
            return effects
        done: list[Effect] = []
        queue = deque(effects)
        while queue:
            effect = queue.popleft()
            more = self._taken(effect, now)
            if more is None:
                done.append(effect)
            else:
                queue.extendleft(reversed(more))
        return done

    def _taken(self, effect: Effect, now: float) -> list[Effect] | None:
        """What takes the place of an effect; None where it is to be done as it is."""
        match effect:
            case Progress(leg) if leg < 0:
                return self._step_of(leg, Event.RINGS, effect, now)
            case Answer(leg) if leg < 0:
                return self._step_of(leg, Event.ANSWERED, effect, now)
            case HangUp(leg) if leg < 0:
                return self._step_of(leg, Event.FAILED, effect, now)
            case MatchMedia(leg, peer) if peer < 0:
                return [MatchMedia(leg, self._by_leg[peer].transferee.leg)]
            case HangUp(leg) if leg in self._by_leg:
                return [*self._hung_up(self._by_leg[leg], leg, now), effect]
        return None

    def _hung_up(self, transfer: Transfer, leg: int, now: float) -> list[Effect]:
        """A leg ends that a transfer depends on, and not by its doing."""
        for seat in (transfer.transferor, transfer.transferee):
            if seat.leg == leg:
                if leg in self.legs():
                    self._leaves(seat, StateEvent.ERROR, now)
                return self._step(transfer, Event.SPLIT, None, now)
        return self._step(transfer, Event.FAILED, OTHER_IS_OVER, now)

    def _step_of(self, leg: int, event: Event, cause: Effect, now: float) -> list[Effect]:
        transfer = self._by_leg.get(leg)
        return self._step(transfer, event, cause, now) if transfer else []

    def _step(self, transfer: Transfer, event: Event, cause: Cause, now: float) -> list[Effect]:
        action = transfer.handle(event)
        if transfer.stage is Stage.OVER:
            self._forget(transfer)
        return self._act(transfer, action, cause, now)

    def _forget(self, transfer: Transfer) -> None:
        self._by_leg = {leg: each for leg, each in self._by_leg.items() if each is not transfer}
        self._calls.keeping.let_go(transfer.call)
        self.timers.cancel(transfer.transferor.leg)

    # What is done

    def _act(self, transfer: Transfer, action: Action, cause: Cause, now: float) -> list[Effect]:
        match action, cause:
            case Action.CALL, _:
                return self._call(transfer, cause, now)
            case Action.JOIN, MediaMatched():
                return [*self._join(transfer, cause, now), *self._done(transfer, now)]
            case Action.TELL, Progress(_, status, reason):
                return self._tell(transfer, 180 if status == 183 else status, reason, now)
            case Action.CONNECT, Answer(_, sdp):
                return [*self._connect(transfer, sdp or b"", now), *self._done(transfer, now)]
            case Action.REPORT, HangUp(_, status, reason):
                log = Log(Level.INFO, f"{transfer.name}: {status} {reason}, the call goes on")
                return [log, *self._tell(transfer, status, reason, now)]
            case Action.KEEP, _:
                assert transfer.onward
                self._calls.keeping.keep(transfer.call)
                effects = self._calls.dissolve(transfer.call)
                transfer.onward.show_transferee(transfer.transferee, now)
                return effects
            case Action.CANCEL, _:
                assert transfer.onward
                cancelled = LegEnded(transfer.onward.caller_leg, 487, "")
                return self._calls.handle(cancelled, now)
            case Action.END, HangUp(_, status, reason):
                self._leaves(transfer.transferee, StateEvent.REMOTE_BYE, now)
                log = Log(Level.INFO, f"{transfer.name}: {status} {reason}, its transferor has gone")
                text = reason or "The target does not answer"
                return [log, HangUp(transfer.transferee.leg, status, reason, Reason(status, text))]
            case Action.HANG_UP, _:
                self._leaves(transfer.transferor, StateEvent.REMOTE_BYE, now)
                return [HangUp(transfer.transferor.leg)]
        return []

    def _call(self, transfer: Transfer, cause: Cause, now: float) -> list[Effect]:
        """Call the target, in the transferee's name."""
        by, transferee = transfer.transferor.party, transfer.transferee
        if transfer.consultation:
            call = transfer.onward = transfer.consultation.call
            transfers = max(call.transfers, transfer.call.transfers) + 1
            effects = self._calls.stand_in(call, transferee, by, transfers, now, secure=transfer.secure)
            effects += self._tell(transfer, 180, "Ringing", now) if call.rings else []
        else:
            assert transfer.target
            assert isinstance(cause, MediaFound)
            sdp, headers, secure = cause.sdp or b"", transfer.headers, transfer.secure
            call, effects = self._calls.refer(
                transfer.call, transferee, by, transfer.target, sdp, headers, now, secure=secure
            )
            transfer.onward = call
        self._by_leg[call.caller_leg] = transfer
        return effects

    def _join(self, transfer: Transfer, media: MediaMatched, now: float) -> list[Effect]:
        """Have transferee and target talk with each other, as each talks with the transferor already."""
        assert transfer.consultation
        call, leg = transfer.consultation
        transfers = max(call.transfers, transfer.call.transfers) + 1
        self._move(transfer, call)
        effects = self._calls.dissolve(transfer.call)
        joined = self._calls.join_transferee(
            call, leg, transfer.transferee, media, transfers, now, secure=transfer.secure
        )
        return [*effects, *joined]

    def _connect(self, transfer: Transfer, sdp: bytes, now: float) -> list[Effect]:
        """The transferee takes the stand-in's place, with what `sdp` says of who has answered."""
        call = transfer.onward
        assert call
        self._move(transfer, call)
        effects = self._calls.dissolve(transfer.call) if transfer.stage is Stage.TELLING else []
        is_new = transfer.consultation is not None
        return [*effects, *self._calls.adopt(call, transfer.transferee, sdp, now, is_new=is_new)]

    @staticmethod
    def _move(transfer: Transfer, call: Call) -> None:
        """The transferee's dialog goes on in `call`, with what REFERs it has had (RFC 3515, 2.4.6)."""
        leg, before = transfer.transferee.leg, transfer.call.referrals
        if leg in before:
            call.referrals[leg] = before[leg]

    def _done(self, transfer: Transfer, now: float) -> list[Effect]:
        """The transferor, if it is there, is told, and has its time to confirm it."""
        effects: list[Effect] = [Log(Level.INFO, f"{transfer.name}: done")]
        if transfer.stage is not Stage.TELLING:
            return effects
        self._forget(transfer)
        self._by_leg[transfer.transferor.leg] = transfer
        self.timers.set(transfer.transferor.leg, now + PATIENCE)
        if transfer.subscription is None or transfer.subscription.is_over:
            return [*effects, *self._step(transfer, Event.TOLD, None, now)]
        return [*effects, *self._tell(transfer, 200, "OK", now)]

    def _tell(self, transfer: Transfer, status: int, reason: str, now: float) -> list[Effect]:
        return transfer.subscription.tell(status, reason, now) if transfer.subscription else []

    def _leaves(self, seat: Seat, event: StateEvent, now: float) -> None:
        self._dialogs.end(seat.party.aor, seat.leg, now, event)

    def _due(self, leg: int, now: float) -> list[Effect]:
        """A transferor that has not confirmed within its time is gone, or as good as that; or its calls had
        to settle their media."""
        transfer = self._by_leg[leg]
        if transfer.stage is Stage.LOOKING:
            return self._look(transfer, now)
        return self._step(transfer, Event.TOLD, None, now)

    def hang_up_all(self, now: float) -> list[Effect]:
        """End the legs of transferors that are in no call; the others end with their calls."""
        telling = [transfer for transfer in self._by_leg.values() if transfer.stage is Stage.TELLING]
        return [effect for one in telling for effect in self._step(one, Event.TOLD, None, now)]


def _is_apart(transfer: Transfer, leg: int) -> bool:
    """Whether a leg of a transfer is in no call."""
    if transfer.stage is Stage.WAITING:
        return leg == transfer.transferee.leg
    return transfer.stage is Stage.TELLING and leg == transfer.transferor.leg
