"""A call while it rings: what its phones say until the first one answers."""

from __future__ import annotations

from blfd.core.calls.forking import Forking
from blfd.core.calls.leg_effects import Answer, HangUp, Offer, Progress
from blfd.core.calls.leg_inputs import LegAnswered, LegProgress, LegTrying, OfferReceived
from blfd.core.calls.media import APART, are_apart, differs
from blfd.core.calls.offer_answer import OfferAnswer, Then
from blfd.core.calls.outward import ELSEWHERE
from blfd.core.effects import Effect, Level, Log
from blfd.core.party import State
from blfd.core.trunks.incoming import identified
from blfd.core.visible import visible
from dialog_info import DialogState, StateEvent


class RingingCall(Forking):
    """A call whose phones ring: the caller hears of them, and has the media and the answer of one."""

    def trying(self, trying: LegTrying) -> list[Effect]:
        """A trunk's server has the INVITE, and may take as long as it likes."""
        branch = self.branches.get(trying.leg)
        if branch and branch.ringing:
            branch.ringing.heard_by = 0.0
        return []

    def progress(self, progress: LegProgress, now: float) -> list[Effect]:
        """A phone rings, or plays early media."""
        branch = self.branches.get(progress.leg)
        if branch is None or self.state is not State.RINGING:
            return []
        rings_already = self.rings
        if branch.ringing and branch.ringing.heard_by:
            branch.ringing.heard_by = 0.0
        if branch.ringing and branch.party.is_outside:  # it rings there now: no other server is tried
            branch.ringing.further = ()
        self._watch_callee(branch, progress.dialog, DialogState.EARLY, now, early_media=bool(progress.sdp))
        who = identified(branch.party, progress.who)
        headers = (*self._identity(who), *progress.headers)
        if progress.sdp:
            self.early.by_dialog[progress.leg, progress.dialog.remote_tag] = progress.sdp
        if progress.sdp and self.offer and not self.early.leg and not self.is_stood_in:
            self.early.leg, self.early.told = progress.leg, progress.sdp
            return [Progress(self.caller_leg, 183, "Session Progress", progress.sdp, headers)]
        if rings_already:
            return []
        return [Progress(self.caller_leg, 180, "Ringing", None, headers)]

    def answered(self, answer: LegAnswered, now: float) -> list[Effect]:
        """A phone answers; the first wins."""
        branch = self.branches.get(answer.leg)
        if branch is None or self.state is not State.RINGING:
            return [HangUp(answer.leg)]
        sdp = answer.sdp or self.early.by_dialog.get((answer.leg, answer.dialog.remote_tag))
        if sdp is None or answer.fault or are_apart(self.offer, sdp):
            why = answer.fault or (APART if sdp else "The phone answered without media")
            log = Log(Level.WARNING, f"{branch.party} at {visible(branch.contact)} answers a call: {why}")
            return [log, *self._end(HangUp(self.caller_leg, 488, why), StateEvent.ERROR, now)]
        self.state, self.answered_leg = State.ANSWERED, answer.leg
        self._ringing.clear()
        effects = self._drop_branches(ELSEWHERE, StateEvent.REPLACED, now, except_leg=answer.leg)
        self.callee = identified(branch.party, answer.who)
        if self.callee != branch.party:
            text = f"call {self.caller} -> {branch.party}: {self.callee.user} answers"
            effects.append(Log(Level.INFO, text))
            branch = self.branches[answer.leg] = branch._replace(party=self.callee)
        self._watch_callee(branch, answer.dialog, DialogState.CONFIRMED, now)
        self._connect(self.caller, self.caller_leg, self.callee, now)
        exchange = self.exchange = OfferAnswer(self.caller_leg, answer.leg)
        if self.offer is None:
            exchange.due(self.caller_leg, Then.ACKNOWLEDGE)
        if self.early.leg and differs(self.early.told, sdp):
            exchange.later(Offer(self.caller_leg, sdp, self._identity(self.callee)))
        if self.early.is_reoffered and self.offer:
            exchange.later(Offer(answer.leg, self.offer, self._identity(self.caller)))
        given = None if self.early.leg else sdp
        headers = (*self._identity(self.callee), *answer.headers)
        return [*effects, exchange.answer(Answer(self.caller_leg, given, headers))]

    def offered(self, offer: OfferReceived) -> list[Effect]:
        """A phone asks for other media; before an answer the other phone hears of it with the answer."""
        if self.state is not State.RINGING or not offer.answered:
            return self.exchange.offered(offer)
        if offer.leg == self.caller_leg:
            self.offer, self.early.is_reoffered = offer.sdp, True
        elif offer.leg in self.branches:
            self.early.offered(offer.leg, offer.sdp)
        return []
