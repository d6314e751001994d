"""One call: a caller leg, the callee's ringing legs, the answered one (a back-to-back user agent)."""

from __future__ import annotations

from collections.abc import Set

from blfd.core.calls.codecs import only
from blfd.core.calls.leg_effects import (
    Acknowledge,
    Answer,
    AnswerOffer,
    Dial,
    HangUp,
    Identify,
    Offer,
    Progress,
)
from blfd.core.calls.leg_inputs import LegAcknowledged, LegEnded, MediaMatched, OfferAnswered
from blfd.core.calls.media import lifted, unnamed
from blfd.core.calls.offer_answer import NoAnswer, OfferAnswer, Then
from blfd.core.calls.outward import ELSEWHERE, OnLeg, outward
from blfd.core.calls.ringing import Branch
from blfd.core.calls.ringing_call import RingingCall
from blfd.core.calls.seats import NO_DIALOG
from blfd.core.effects import Effect, Level, Log
from blfd.core.party import Party, Picker, Seat, State
from blfd.core.saved import SavedCall, SavedLeg
from blfd.core.trunks.incoming import identified
from blfd.core.values import Address, Reason
from dialog_info import StateEvent


class Call(RingingCall):
    """A call that rings, is answered or up; who is at its ends changes by pickups and transfers.

    It knows what a message on one leg means for the others, and how a picker, or a transferee, gets into the
    place of one of them.
    """

    _is_settled = True  # as an earlier process has left it

    def veiled(self, effect: Effect) -> Effect:
        """The effect as it leaves: SDP does not name a party that does not want to be known, and offers no
        codec that a trunk does not take; nobody outside is told who is inside."""
        if isinstance(effect, OnLeg) and effect.leg in self.outside:
            effect = outward(effect)
        match effect:
            case Dial(leg=leg, offer=bytes(offer)):
                offer = unnamed(offer) if self.caller.withheld else offer
                return effect._replace(offer=only(offer, self.codecs[leg]) if leg in self.codecs else offer)
            case Offer(leg=leg, sdp=sdp) if sdp and leg in self.codecs:
                effect = effect._replace(sdp=only(sdp, self.codecs[leg]))
        match effect:
            case Progress() | Answer() | Acknowledge() | Offer() | AnswerOffer():
                sender = self.callee if effect.leg == self.caller_leg else self.caller
                if sender.withheld and effect.sdp:
                    return effect._replace(sdp=unnamed(effect.sdp))
        return effect

    # Pickers

    def facing(self, leg: int) -> bytes | None:
        """The SDP of the phone that who takes the place of `leg` talks with; None if it has sent none."""
        return self.exchange.told(leg) or (None if leg == self.caller_leg else self.offer)

    def pick_up(self, picker: Picker, media: MediaMatched, now: float) -> list[Effect]:
        """The ringing call is the picker's: nobody else gets it from here on."""
        self.state = State.ANSWERED
        self._ringing.clear()
        by = picker.party.user
        dropped = self._drop_branches(ELSEWHERE, StateEvent.REPLACED, now, taken_by=by)
        self._seat_callee(picker, now)
        self._connect(self.caller, self.caller_leg, self.callee, now)
        exchange = self.exchange = OfferAnswer(self.caller_leg, picker.leg)
        callee, caller = self._identity(self.callee), self._identity(self.caller)
        to_caller = Answer(self.caller_leg, None if self.early.leg else media.to_peer, callee)
        answers: list[Effect] = []
        if media.to_picker is None:  # the caller's ACK brings the answer to the picker's offer
            exchange.due(self.caller_leg, Then.ANSWER, caller)
            answers.append(exchange.answer(to_caller))
        else:
            if media.to_peer is None:  # the picker's ACK brings the answer to the caller's offer
                then = Then.OFFER if self.early.leg else Then.ANSWER
                exchange.due(picker.leg, then, callee, self.offer)
            if media.to_peer or self.early.leg:
                answers.append(exchange.answer_within(to_caller, self.offer))
            answers.append(exchange.answer(Answer(picker.leg, media.to_picker, caller)))
        if self.early.leg and media.to_peer:
            exchange.later(Offer(self.caller_leg, media.to_peer, callee))
        elif self.allows_update and not self.early.leg:
            exchange.later(Identify(self.caller_leg, callee))
        if media.again:
            exchange.later(Offer(picker.leg, media.again, caller))
        return [*answers, *dropped]

    def take_over(self, leg: int, picker: Picker, media: MediaMatched, now: float) -> list[Effect]:
        """The picker takes the place of the phone on `leg` in a call that is up (RFC 3891, section 3)."""
        self.state = State.ANSWERED
        stays, effects = self.exchange.replace(leg, picker.leg)
        by = picker.party.user
        if leg == self.caller_leg:
            self._dialogs.end(self.caller.aor, leg, now, StateEvent.REPLACED, by)
            self._seat_caller(picker, now)
            peer = self.callee
        else:
            self._dialogs.end(self.callee.aor, leg, now, StateEvent.REPLACED, by)
            self._seat_callee(picker, now)
            peer = self.caller
        self._connect(peer, stays, picker.party, now)
        effects.append(self.exchange.answer(Answer(picker.leg, media.to_picker, self._identity(peer))))
        effects.append(HangUp(leg, cause=ELSEWHERE))
        if media.to_peer is None:
            self.exchange.due(picker.leg, Then.OFFER, self._identity(picker.party))
        else:
            effects += self.exchange.at_once(Offer(stays, media.to_peer, self._identity(picker.party)), now)
        if media.again:
            self.exchange.later(Offer(picker.leg, media.again, self._identity(peer)))
        return effects

    # What an earlier process has left

    @property
    def is_settled(self) -> bool:
        """Whether both phones know where the other one's media is."""
        return self._is_settled and self.exchange.is_settled

    def resume(self, saved: SavedCall) -> None:
        """Be up again, as the call was in an earlier process."""
        caller, callee = saved.caller, saved.callee
        self.caller_leg, self.answered_leg, self.state = caller.leg, callee.leg, State.TALKING
        for seat in (caller, callee):
            plain = not seat.saved.flow.is_secure
            self.goes_by(seat.leg, trusted=seat.is_trusted, plain=plain, outside=Party(seat.aor).is_outside)
        branch = Branch(callee.leg, callee.contact, self.callee, dialog=callee.saved.dialog)
        self.branches = {callee.leg: branch}
        self.exchange = OfferAnswer(caller.leg, callee.leg)
        for seat in (caller, callee):
            self.exchange.tell(seat.leg, seat.saved.sent)
        self._is_settled = saved.settled

    def ask(self, known: dict[int, SavedLeg], lost: Set[int], now: float) -> list[Effect]:
        """Have both phones say that they are there, and how: by re-INVITE with the media of the other one.

        `known` are both legs, and to `lost` ones there is no way yet. Who holds is asked first, as if nobody
        did, and what it answers is what the other one is told: so both are again as the one with the say is.
        Where one is lost, the other is asked by what it knows, and what it says is told when both are there.
        """
        first, second = sorted((self.caller_leg, self.answered_leg), key=self._holds, reverse=True)
        here = [leg for leg in (first, second) if leg not in lost]
        if not here:
            return []
        if len(here) == 1:
            self._is_settled = False
            alone = Offer(here[0], known[here[0]].sent, self._identity(self._facing(here[0])))
            return self.exchange.ask(alone, None, now)
        sdp = known[first].sent if self._is_settled else known[second].received
        self._is_settled = True
        asked = Offer(first, lifted(sdp), self._identity(self._facing(first)))
        return self.exchange.ask(asked, Offer(second, b"", self._identity(self._facing(second))), now)

    # Transfers

    @property
    def has_ended(self) -> bool:
        return self.state is State.ENDED

    @property
    def is_up(self) -> bool:
        return self.state is State.TALKING

    def stand_in(self, leg: int, transferee: Seat, by: Party, now: float) -> list[Effect]:
        """The transferee calls, and no longer the caller; the phones ring on. Until one answers, `leg` stands
        in for the transferee's."""
        left, self.caller_leg = self.caller_leg, leg
        self._dialogs.end(self.caller.aor, left, now, StateEvent.REPLACED)
        self.caller, self.dialog, self.referred_by = transferee.party, NO_DIALOG, by
        self.goes_as(leg, transferee, outside=False)
        self.allows_update = False
        self.early.caller_changes()
        for branch in self.branches.values():
            dialog = self._dialogs.get(branch.party.aor, branch.leg)
            if dialog:
                named = dialog._replace(remote=self.caller.user, remote_name=self.caller.name)
                told = named._replace(withheld=self.withheld, referred_by=by.shown)
                self._dialogs.put(branch.party.aor, told)
        return [HangUp(left)]

    def show_transferee(self, transferee: Seat, now: float) -> None:
        """Let the lamp of a transferee that has nobody else to talk with say whom it calls."""
        self._connect(self.caller, transferee.leg, self.callee, now)

    def adopt(self, transferee: Seat, sdp: bytes, now: float, *, is_new: bool) -> list[Effect]:
        """The call is won: the caller that was stood in for is asked for the media of who has answered.

        `is_new`: that one was called by somebody else, and learns who it talks with and where its media goes.
        """
        stood_in, self.caller_leg, self.dialog = self.caller_leg, transferee.leg, transferee.dialog
        self.goes_as(transferee.leg, transferee, outside=transferee.party.is_outside)
        self.exchange.seat(stood_in, transferee.leg, self.offer)
        if self.state is State.ANSWERED and not self.exchange.awaited:
            self.state = State.TALKING
        self._connect(self.caller, self.caller_leg, self.callee, now)
        asked = Offer(self.caller_leg, sdp, self._identity(self.callee))
        told = Offer(self.answered_leg, b"", self._identity(self.caller)) if is_new else None
        return self.exchange.connect(asked, told, now)

    def join(self, leg: int, transferee: Seat, media: MediaMatched, now: float) -> list[Effect]:
        """The transferee, which talks already, takes the place of the transferor on `leg`, which does too."""
        stays, effects = self.exchange.replace(leg, transferee.leg)
        self.goes_as(transferee.leg, transferee, outside=transferee.party.is_outside)
        if leg == self.caller_leg:
            self._dialogs.end(self.caller.aor, leg, now, StateEvent.REPLACED)
            self.caller, self.caller_leg = transferee.party, transferee.leg
            self.dialog = transferee.dialog
            peer = self.callee
        else:
            self._dialogs.end(self.callee.aor, leg, now, StateEvent.REPLACED)
            self.callee, self.answered_leg = transferee.party, transferee.leg
            branch = Branch(transferee.leg, transferee.contact, transferee.party, dialog=transferee.dialog)
            self.branches = {transferee.leg: branch}
            peer = self.caller
        self._connect(transferee.party, transferee.leg, peer, now)
        self._connect(peer, stays, transferee.party, now)
        asked = Offer(transferee.leg, media.to_peer or b"", self._identity(peer))
        told = Offer(stays, media.to_picker or b"", self._identity(transferee.party))
        return [*effects, HangUp(leg), *self.exchange.connect(asked, told, now)]

    def dissolve(self) -> list[Effect]:
        """End the call and not its legs, which go on without it; their dialogs are none of its any more."""
        self.state = State.ENDED
        return self.exchange.dissolve()

    # Ends

    def ended(self, end: LegEnded, now: float) -> list[Effect]:
        """A leg is over: refused, cancelled, hung up, or lost."""
        ringing = self.state is State.RINGING
        cause = Reason(end.status, end.fault) if end.fault else None
        if end.leg == self.caller_leg:
            self._end_caller(StateEvent.CANCELLED if ringing else StateEvent.LOCAL_BYE, now)
            event = StateEvent.CANCELLED if ringing else StateEvent.REMOTE_BYE
            return self._drop_branches(cause, event, now, headers=end.headers)
        branch = self.branches.pop(end.leg, None)
        if branch is None:
            return []
        if ringing and branch.ringing:
            return self._refused_by(branch, branch.ringing, end, now)
        self._dialogs.end(branch.party.aor, branch.leg, now, StateEvent.LOCAL_BYE)
        last = HangUp(self.caller_leg, cause=cause, headers=end.headers)
        return self._end(last, StateEvent.REMOTE_BYE, now)

    def identified(self, leg: int, who: Address | None, now: float) -> bool:
        """Whether a trunk says that somebody else is on a leg of a call that is answered: lamps say so from
        now on."""
        if leg not in self.outside or self.state not in (State.ANSWERED, State.TALKING):
            return False
        before = self.caller if leg == self.caller_leg else self.callee
        party, facing = identified(before, who), self._facing(leg)
        if party == before or self.is_stood_in:
            return False
        if leg == self.caller_leg:
            self.caller = party
        else:
            self.callee = party
            self.branches[leg] = self.branches[leg]._replace(party=party)
        self._connect(facing, self.other(leg), party, now)
        return True

    def naming(self, effect: Effect) -> Effect:
        """An offer that says with whom its phone talks by now."""
        if isinstance(effect, Offer):
            return effect._replace(headers=self._identity(self._facing(effect.leg)))
        return effect

    def tell_who(self, leg: int, now: float) -> list[Effect]:
        """Tell the other phone who is on a leg by now, if that phone knows how."""
        other = self.other(leg)
        if other != self.caller_leg or not self.allows_update:
            return []
        self.exchange.later(Identify(other, self._identity(self.callee)))
        return self.exchange.next(now)

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called."""
        return super().next_timer() if self.state is State.RINGING else self.exchange.next_timer()

    def handle_timer(self, now: float) -> list[Effect]:
        """The call has rung long enough somewhere, or an offer is made again."""
        return super().handle_timer(now) if self.state is State.RINGING else self.exchange.next(now)

    def hang_up(self, status: int, reason: str, now: float) -> list[Effect]:
        """The server ends the call, and says why to both sides."""
        cause = Reason(status, reason)
        effects = self._drop_branches(cause, StateEvent.ERROR, now)
        self._end_caller(StateEvent.ERROR, now)
        return [*effects, HangUp(self.caller_leg, status, reason, cause)]

    # Media

    def acknowledged(self, acknowledged: LegAcknowledged, now: float) -> list[Effect]:
        """Take an ACK; the last one that is missing makes it a call that is up."""
        if self.state is not State.ANSWERED:
            return []
        try:
            effects = self.exchange.acknowledged(acknowledged, now)
        except NoAnswer as none:
            return self._without(none, now)
        if not self.exchange.awaited:
            self.state = State.TALKING
        return effects

    def _without(self, none: NoAnswer, now: float) -> list[Effect]:
        """End the call, as it cannot go on without an answer."""
        log = Log(Level.WARNING, f"{self}: {none}")
        return [log, *self.hang_up(488, f"{none}", now)]

    def offer_answered(self, answer: OfferAnswered, now: float) -> list[Effect]:
        try:
            effects, hold = self.exchange.offer_answered(answer, now)
        except NoAnswer as none:
            return self._without(none, now)
        if hold and hold.leg == self.caller_leg:
            self._dialogs.hold(self.caller.aor, hold.leg, hold.holds)
        elif hold and hold.leg in self.branches:
            self._dialogs.hold(self.callee.aor, hold.leg, hold.holds)
        return effects
