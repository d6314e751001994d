"""One call: a caller leg, the callee's ringing legs, the answered one (a back-to-back user agent).

What a message on one leg means for the others, and how a picker gets into the place of one of them.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from blfd.core.calls.codecs import only
from blfd.core.calls.forwarding import Asked, Cause, Rules, Target, cause_of, written
from blfd.core.calls.leg_inputs import (
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegProgress,
    LegTrying,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.media import APART, are_apart, differs, lifted, unnamed
from blfd.core.calls.offer_answer import NoAnswer, OfferAnswer, Then
from blfd.core.calls.party import Party, Picker, Seat, State
from blfd.core.calls.refusals import UNREACHABLE, Refused, better, of_invite
from blfd.core.calls.ringing import NO_WAY, SILENT, Branch, Ringing
from blfd.core.directory import Whose
from blfd.core.effects import (
    Acknowledge,
    Answer,
    AnswerOffer,
    Dial,
    Effect,
    HangUp,
    Identify,
    Level,
    Log,
    Offer,
    Progress,
)
from blfd.core.errors import Refusal
from blfd.core.events.dialog_state import Dialogs, WatchedDialog
from blfd.core.events.refer import ReferSubscription
from blfd.core.saved import SavedCall, SavedLeg
from blfd.core.trunks.outgoing import Line
from blfd.core.values import Aor, DialogId, Headers, Redirect
from blfd.core.visible import visible
from dialog_info import DialogState, Direction, StateEvent

NO_DIALOG = DialogId("", "", "")
ASSERTED = "P-Asserted-Identity"
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


class Call:
    """`domain` is what the caller calls this server; `offer` its SDP, None for a delayed offer.

    `dialog` is the caller's, without our tag until its leg is made. `number` is that of the caller's first
    leg, and stays; `source` is the address that the INVITE came from, `headers` what of it all phones of the
    callee hear, and `trusted` the legs of sources that are taken at their word. While a transfer stands in
    for the caller, `caller_leg` is below 0, and none that there is. `transfers` counts how often it was
    transferred, and `referred_by` has done so last. `first` is where it rings at first; `tells_history`:
    phones may hear by which way it has come.
    """

    def __init__(
        self,
        leg: int,
        caller: Party,
        first: Target,
        dialogs: Dialogs,
        rules: Rules,
        *,
        dialog: DialogId,
        domain: str,
        offer: bytes | None,
        started_at: float,
        allows_update: bool = False,
        source: str = "",
        headers: Headers = (),
        transfers: int = 0,
        referred_by: Party | None = None,
        asked: Asked | None = None,
        tells_history: bool = True,
    ) -> None:
        self.number, self.caller_leg, self.caller, self.callee = leg, leg, caller, first.party
        self.dialog, self.domain, self.offer = dialog, domain, offer
        self.transfers, self.referred_by = transfers, referred_by
        self.started_at, self.allows_update, self.source = started_at, allows_update, source
        self.headers = headers
        self.trusted: set[int] = set()
        self.codecs: dict[int, frozenset[str]] = {}  # those that may be offered, by the leg of a trunk
        self.referrals: dict[int, ReferSubscription | None] = {}  # by the leg that has sent REFER
        self.state = State.RINGING
        self.branches: dict[int, Branch] = {}
        self.answered_leg = 0
        self.exchange = OfferAnswer(0, 0)  # made anew by who answers
        self._dialogs, self._rules, self._first = dialogs, rules, first
        self._asked_before, self._tells_history = asked or Asked(caller.aor), tells_history
        self._ringing: list[Ringing] = []
        self._early_leg = 0  # whose SDP the caller has had in a provisional response
        self._early_told = b""  # that SDP
        self._early_sdp: dict[tuple[int, str], bytes] = {}  # what each phone sent so, by branch and To tag
        self._has_reoffered = False  # the caller, while it rang
        self._is_settled = True  # as an earlier process has left it
        self._refused: Refused | None = None  # the best refusal of where it has rung

    def start(self, tag: str, now: float) -> list[Effect]:
        """The caller leg is made with our `tag`: ring."""
        if not self.is_stood_in:
            self._watch_caller(tag, now)
        return self._ring(self._first, now)

    def _ring(self, target: Target, now: float) -> list[Effect]:
        """Call all phones of a target at once."""
        lines, further = self._rules.lines(target, self.caller, self.referred_by, self._asked, now)
        until = now + self._rules.patience(target, self._asked)
        ringing = Ringing(target, now, until, further=further)
        if not self._ringing:
            self.callee = target.party
            self._show_callee()
        self._ringing.append(ringing)
        if not lines:  # its last phone has gone in this instant, or no trunk can be had
            ringing.cause = Cause.UNREACHABLE
            if target.outside:
                ringing.refused = Refused(503, "All lines are busy or out of order")
            return self._over(ringing, StateEvent.TIMEOUT, now)
        effects: list[Effect] = []
        if target.outside is None:
            text = f"call {self.caller} -> {target.party}: ringing {len(lines)} phone(s)"
            effects.append(Log(Level.INFO, text))
        if target.hops and len(self._ringing) == 1:
            identity = self._identity(target.party)
            effects.append(Progress(self.caller_leg, 181, "Call Is Being Forwarded", None, identity))
        for line in lines:
            effects += self._dial(line, ringing, now)
        return effects

    def _dial(self, line: Line, ringing: Ringing, now: float) -> list[Effect]:
        """Send the INVITE to a phone, or by a trunk, whose lamp shows the call then."""
        leg, target, tells = self._rules.new_leg(), ringing.target, self._tells_history
        if line.trunk is None:
            self.branches[leg] = Branch(leg, line.contact, target.party, ringing, further=line.further)
            from_, to = self.caller.name_addr(self.domain), f"<sip:{target.party.user}@{self.domain}>"
            known = () if self.caller.withheld else self._identity(self.caller)
            way = written(target.hops, target.party, self.domain, self.headers, tells=tells)
            return [Dial(leg, line.flow, line.contact, from_, to, self.offer, (*known, *way), line.path)]
        party = replace(target.party, aor=Aor(line.trunk.tenant, line.trunk.resource))
        self.branches[leg] = Branch(leg, line.contact, party, ringing)
        if line.trunk.codecs:
            self.codecs[leg] = line.trunk.taken
        ringing.heard_by = now + SILENT if ringing.further else 0.0
        hops = self._rules.outside(target.hops, line.trunk)
        way = written(hops, party, line.domain, self.headers, tells=tells and not self.caller.withheld)
        log = Log(Level.INFO, f"call {self.caller} -> {party}: calling by {line.flow}")
        ends = line.contact, line.from_, line.to
        headers, user = (*line.identity, *way), line.trunk.username
        return [
            log,
            Dial(leg, line.flow, *ends, self.offer, headers, line.path, line.credentials, contact_user=user),
        ]

    def _dial_next(self, ringing: Ringing, now: float) -> list[Effect]:
        """By the next server of a trunk, or by the next trunk."""
        line, *further = ringing.further
        ringing.further = tuple(further)
        return self._dial(line, ringing, now)

    def _watch_caller(self, tag: str, now: float) -> None:
        self.dialog = self.dialog._replace(local_tag=tag)
        self._dialogs.put(
            self.caller.aor,
            WatchedDialog(
                self.dialog,
                Direction.INITIATOR,
                DialogState.TRYING,
                now,
                self.callee.user,
                self.callee.name,
                leg=self.caller_leg,
                call=self.number,
                withheld=self.withheld,
            ),
        )

    @property
    def _asked(self) -> Asked:
        return self._asked_before._replace(caller=self.caller.aor)

    def _show_callee(self) -> None:
        """The caller's dialog is with who is called now."""
        dialog, party = self._dialogs.get(self.caller.aor, self.caller_leg), self.callee
        if dialog:
            dialog = replace(dialog, remote=party.user, remote_name=party.name)
            self._dialogs.put(self.caller.aor, dialog)

    @property
    def rings_until(self) -> float:
        """Nowhere any longer; 0 where no phone is called yet."""
        return max((ringing.until for ringing in self._ringing), default=0.0)

    def rings_at(self) -> list[Party]:
        return [ringing.party for ringing in self._ringing]

    @property
    def withheld(self) -> bool:
        """Whether who looks at the lamp of either side may not see with whom it talks.

        That is so for the one who does not want to be known, too: its lamp would say whom it calls.
        """
        return self.caller.withheld or self.callee.withheld

    def veiled(self, effect: Effect) -> Effect:
        """The effect as it leaves: SDP does not name a party that does not want to be known, and offers no
        codec that a trunk does not take; nobody outside is told the extension with which he talks."""
        if isinstance(effect, Progress | Answer | Offer | Identify) and self._is_outside(effect.leg):
            effect = effect._replace(headers=tuple(one for one in effect.headers if one[0] != ASSERTED))
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

    @property
    def goes_outside(self) -> bool:
        """Whether one of its legs is a trunk's."""
        return self.caller.is_outside or any(branch.party.is_outside for branch in self.branches.values())

    def _is_outside(self, leg: int) -> bool:
        if leg == self.caller_leg:
            return self.caller.is_outside
        return leg in self.branches and self.branches[leg].party.is_outside

    def legs(self) -> list[int]:
        return [self.caller_leg, *self.branches]

    def seated(self, role: Direction) -> Party:
        """Who calls (INITIATOR), or is called (RECIPIENT), by now."""
        return self.caller if role is Direction.INITIATOR else self.callee

    # The callee's phones

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
        headers = (*self._identity(branch.party), *progress.headers)
        if progress.sdp:
            self._early_sdp[progress.leg, progress.dialog.remote_tag] = progress.sdp
        if progress.sdp and self.offer and not self._early_leg and not self.is_stood_in:
            self._early_leg, self._early_told = progress.leg, progress.sdp
            return [Progress(self.caller_leg, 183, "Session Progress", progress.sdp, headers)]
        if rings_already:
            return []
        return [Progress(self.caller_leg, 180, "Ringing", None, headers)]

    def answered(self, answer: LegAnswered, now: float) -> list[Effect]:
        """A phone answers; the first wins."""
        branch = self.branches.get(answer.leg)
        if branch is None or self.state is not State.RINGING:
            return [HangUp(answer.leg)]
        sdp = answer.sdp or self._early_sdp.get((answer.leg, answer.dialog.remote_tag))
        if sdp is None or answer.fault or are_apart(self.offer, sdp):
            why = answer.fault or (APART if sdp else "The phone answered without media")
            log = Log(Level.WARNING, f"{branch.party} at {visible(branch.contact)} answers a call: {why}")
            return [log, *self._end(HangUp(self.caller_leg, 488, why), StateEvent.ERROR, now)]
        self.state, self.answered_leg, self.callee = State.ANSWERED, answer.leg, branch.party
        self._ringing.clear()
        effects = self._drop_branches(ELSEWHERE, StateEvent.REPLACED, now, except_leg=answer.leg)
        self._watch_callee(branch, answer.dialog, DialogState.CONFIRMED, now)
        self._connect(self.caller, self.caller_leg, self.callee, now)
        exchange = self.exchange = OfferAnswer(self.caller_leg, answer.leg)
        if self.offer is None:
            exchange.due(self.caller_leg, Then.ACKNOWLEDGE)
        if self._early_leg and differs(self._early_told, sdp):
            exchange.later(Offer(self.caller_leg, sdp, self._identity(self.callee)))
        if self._has_reoffered and self.offer:
            exchange.later(Offer(answer.leg, self.offer, self._identity(self.caller)))
        given = None if self._early_leg else sdp
        headers = (*self._identity(self.callee), *answer.headers)
        return [*effects, exchange.answer(Answer(self.caller_leg, given, headers))]

    def offered(self, offer: OfferReceived) -> list[Effect]:
        """A phone asks for other media; before an answer the other phone hears of it with the answer."""
        if self.state is not State.RINGING or not offer.answered:
            return self.exchange.offered(offer)
        if offer.leg == self.caller_leg:
            self.offer, self._has_reoffered = offer.sdp, True
        elif offer.leg in self.branches:
            self._early_sdp |= {key: offer.sdp for key in self._early_sdp if key[0] == offer.leg}
        return []

    def _identity(self, party: Party) -> Headers:
        """Who the other one is now (RFC 3325)."""
        return ((ASSERTED, party.name_addr(self.domain)),)

    def _watch_callee(
        self,
        branch: Branch,
        id_: DialogId,
        state: DialogState,
        now: float,
        *,
        early_media: bool = False,
    ) -> None:
        dialog = WatchedDialog(
            id_,
            Direction.RECIPIENT,
            state,
            now,
            self.caller.user,
            self.caller.name,
            early_media=early_media,
            leg=branch.leg,
            call=self.number,
            withheld=self.withheld,
            referred_by=self.referred_by.shown if self.referred_by else ("", ""),
        )
        aor = branch.party.aor
        known = self._dialogs.get(aor, branch.leg)
        if known and known.state is state:
            dialog = replace(dialog, since=known.since, early_media=early_media or known.early_media)
        self.branches[branch.leg] = replace(branch, dialog=id_)
        self._dialogs.put(aor, dialog)

    def _connect(self, party: Party, leg: int, other: Party, now: float) -> None:
        """The dialog of `party` is up, with `other`."""
        dialog = self._dialogs.get(party.aor, leg)
        if dialog:
            since = dialog.since if dialog.state is DialogState.CONFIRMED else now
            dialog = replace(dialog, state=DialogState.CONFIRMED, since=since)
            dialog = replace(dialog, remote=other.user, remote_name=other.name)
            dialog = replace(dialog, withheld=self.withheld, call=self.number)
            self._dialogs.put(party.aor, dialog)

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
        to_caller = Answer(self.caller_leg, None if self._early_leg else media.to_peer, callee)
        answers: list[Effect] = []
        if media.to_picker is None:  # the caller's ACK brings the answer to the picker's offer
            exchange.due(self.caller_leg, Then.ANSWER, caller)
            answers.append(exchange.answer(to_caller))
        else:
            if media.to_peer is None:  # the picker's ACK brings the answer to the caller's offer
                then = Then.OFFER if self._early_leg else Then.ANSWER
                exchange.due(picker.leg, then, callee, self.offer)
            if media.to_peer or self._early_leg:
                answers.append(exchange.answer_within(to_caller, self.offer))
            answers.append(exchange.answer(Answer(picker.leg, media.to_picker, caller)))
        if self._early_leg and media.to_peer:
            exchange.later(Offer(self.caller_leg, media.to_peer, callee))
        elif self.allows_update and not self._early_leg:
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

    def _seat_callee(self, picker: Picker, now: float) -> None:
        self.callee, self.answered_leg = picker.party, picker.leg
        branch = Branch(picker.leg, picker.contact, picker.party, dialog=picker.dialog)
        self.branches = {picker.leg: branch}
        self._seat(picker, self.caller, now, picked=True)

    def _seat_caller(self, picker: Picker, now: float) -> None:
        self.caller, self.caller_leg, self.dialog = picker.party, picker.leg, picker.dialog
        self._seat(picker, self.callee, now, picked=False)

    def _seat(self, picker: Picker, other: Party, now: float, *, picked: bool) -> None:
        self._dialogs.put(
            picker.party.aor,
            WatchedDialog(
                picker.dialog,
                Direction.INITIATOR,
                DialogState.CONFIRMED,
                now,
                other.user,
                other.name,
                held=picker.held,
                leg=picker.leg,
                call=self.number,
                picked=picked,
                withheld=self.withheld,
                replaces=picker.replaces,
            ),
        )

    # What an earlier process has left

    @property
    def is_settled(self) -> bool:
        """Whether both phones know where the other one's media is."""
        return self._is_settled and self.exchange.is_settled

    def resume(self, saved: SavedCall) -> None:
        """It is up, as it was."""
        caller, callee = saved.caller, saved.callee
        self.caller_leg, self.answered_leg, self.state = caller.leg, callee.leg, State.TALKING
        self.trusted = {seat.leg for seat in (caller, callee) if seat.is_trusted}
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
        """
        first, second = sorted((self.caller_leg, self.answered_leg), key=self._holds, reverse=True)
        if lost & {first, second}:  # it could not be told what the other one says
            return []
        sdp = known[first].sent if self._is_settled else known[second].received
        self._is_settled = True
        asked = Offer(first, lifted(sdp), self._identity(self._facing(first)))
        return self.exchange.ask(asked, Offer(second, b"", self._identity(self._facing(second))), now)

    def _holds(self, leg: int) -> bool:
        dialog = self._dialogs.get(self.seat(leg).party.aor, leg)
        return dialog is not None and dialog.held

    def _facing(self, leg: int) -> Party:
        """Who the phone on `leg` talks with."""
        return self.callee if leg == self.caller_leg else self.caller

    # Transfers

    @property
    def has_ended(self) -> bool:
        return self.state is State.ENDED

    @property
    def is_stood_in(self) -> bool:
        """Whether the caller is there in name alone, as it talks elsewhere until the call is answered."""
        return self.caller_leg < 0

    @property
    def is_up(self) -> bool:
        return self.state is State.TALKING

    @property
    def rings(self) -> bool:
        """Whether one of its phones does."""
        return any(branch.dialog for branch in self.branches.values())

    def other(self, leg: int) -> int:
        """The leg at the other end of one of a call that is up."""
        return self.answered_leg if leg == self.caller_leg else self.caller_leg

    def who(self, leg: int) -> Aor | None:
        """Whose phone is on a leg, however far the call is; None where there is none."""
        if leg == self.caller_leg:
            return self.caller.aor
        if leg == self.answered_leg:
            return self.callee.aor
        branch = self.branches.get(leg)
        return branch.party.aor if branch else None

    def seat(self, leg: int) -> Seat:
        """Who is on a leg of a call that is up."""
        is_trusted = leg in self.trusted
        if leg == self.caller_leg:
            return Seat(leg, self.caller, self.dialog, is_trusted=is_trusted)
        branch = self.branches[leg]
        return Seat(leg, self.callee, branch.dialog or NO_DIALOG, branch.contact, is_trusted)

    def stand_in(self, leg: int, transferee: Seat, by: Party, now: float) -> list[Effect]:
        """The transferee calls, and no longer the caller; the phones ring on. Until one answers, `leg` stands
        in for its."""
        left, self.caller_leg = self.caller_leg, leg
        self._dialogs.end(self.caller.aor, left, now, StateEvent.REPLACED)
        self.caller, self.dialog, self.referred_by = transferee.party, NO_DIALOG, by
        self.allows_update = self._has_reoffered = False
        self._early_leg = 0
        for branch in self.branches.values():
            dialog = self._dialogs.get(branch.party.aor, branch.leg)
            if dialog:
                dialog = replace(dialog, remote=self.caller.user, remote_name=self.caller.name)
                dialog = replace(dialog, withheld=self.withheld, referred_by=by.shown)
                self._dialogs.put(branch.party.aor, dialog)
        return [HangUp(left)]

    def show_transferee(self, transferee: Seat, now: float) -> None:
        """It has nobody else to talk with: its lamp says whom it calls."""
        self._connect(self.caller, transferee.leg, self.callee, now)

    def adopt(self, transferee: Seat, sdp: bytes, now: float, *, is_new: bool) -> list[Effect]:
        """The call is won: the caller that was stood in for is asked for the media of who has answered.

        `is_new`: that one was called by somebody else, and learns who it talks with and where its media goes.
        """
        stood_in, self.caller_leg, self.dialog = self.caller_leg, transferee.leg, transferee.dialog
        self.trusted |= {transferee.leg} if transferee.is_trusted else set()
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
        self.trusted |= {transferee.leg} if transferee.is_trusted else set()
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
        """Its legs go on without it; their dialogs are none of its any more."""
        self.state = State.ENDED
        return self.exchange.dissolve()

    # Ends

    def ended(self, end: LegEnded, now: float) -> list[Effect]:
        """A leg is over: refused, cancelled, hung up, or lost."""
        ringing = self.state is State.RINGING
        cause = _cause(end.status, end.fault) if end.fault else ""
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

    def _refused_by(self, branch: Branch, ringing: Ringing, end: LegEnded, now: float) -> list[Effect]:
        """A phone does not take the call."""
        if branch.further and not branch.dialog and (end.silent or end.status == 503):
            where = f"{visible(branch.contact)} gives no answer, trying {branch.further.flow}"
            text = f"call {self.caller} -> {branch.party}: {where}"
            return [Log(Level.WARNING, text), *self._dial(branch.further, ringing, now)]
        if ringing.further and not branch.dialog and (end.silent or end.status in NO_WAY):
            said = "no answer" if end.silent else f"{end.status} {visible(end.reason)}".strip()
            text = (
                f"call {self.caller} -> {branch.party}: {visible(branch.contact)} says {said}, trying another"
            )
            return [Log(Level.WARNING, text), *self._dial_next(ringing, now)]
        if end.redirect and not branch.party.is_outside:  # nobody outside says where else to call
            try:
                return self._redirect(branch, ringing, end.redirect, now)
            except Refusal as refusal:
                refused = self._refusal_of(end, branch)[0]._replace(reason=refusal.reason)
                log: list[Effect] = [Log(Level.WARNING, refusal.log or refusal.reason)]
        else:
            refused, log = self._refusal_of(end, branch)
        self._dialogs.end(branch.party.aor, branch.leg, now, StateEvent.REJECTED)
        ringing.note(refused, end)
        if end.status >= 600 and self._rules.tenant(branch.party.aor).decline is Whose.ALL:
            log += self._drop_branches("", StateEvent.REJECTED, now)
            self._ringing = [ringing]
        elif any(other.ringing is ringing for other in self.branches.values()):
            return log
        return [*log, *self._over(ringing, StateEvent.REJECTED, now)]

    def _redirect(self, branch: Branch, ringing: Ringing, redirect: Redirect, now: float) -> list[Effect]:
        """A phone says where the call shall go. Raises Refusal where that is nowhere."""
        for_all = self._rules.tenant(branch.party.aor).redirect is Whose.ALL
        cause = cause_of(redirect.reason) or (Cause.DEFLECTED if branch.dialog else Cause.ALWAYS)
        at = ringing.target if for_all else replace(ringing.target, others=())
        target = self._rules.redirected(at, redirect.contacts, cause, self._asked, now)
        by = target.party.user
        self._dialogs.end(branch.party.aor, branch.leg, now, StateEvent.REJECTED, by)
        rings_there = any(party.aor == target.party.aor for party in self.rings_at())
        effects: list[Effect] = [self._log_forward(branch.party, target, f"by {visible(branch.contact)}")]
        if for_all:
            words = f'SIP;cause=302;text="Forwarded to {by}"'
            effects += self._drop_branches(words, StateEvent.REJECTED, now, taken_by=by)
            self._ringing.clear()
        elif not any(other.ringing is ringing for other in self.branches.values()):
            self._ringing.remove(ringing)
        return effects if rings_there and not for_all else [*effects, *self._ring(target, now)]

    def _over(self, ringing: Ringing, event: StateEvent, now: float) -> list[Effect]:
        """Nobody takes it where it rings: it goes on, or that was all."""
        log: list[Effect] = []
        onward: Target | None = None
        try:
            onward = self._rules.onward(ringing.target, ringing.cause, self._asked, now)
        except Refusal as refusal:
            ringing.refused = Refused(refusal.status, refusal.reason)
            log = [Log(Level.WARNING, refusal.log or refusal.reason)]
        by = onward.party.user if onward else ""
        dropped = self._drop_branches("", event, now, of=ringing, taken_by=by)
        self._ringing.remove(ringing)
        if onward:
            why = ringing.cause.reason if ringing.cause else "refused"
            return [*dropped, self._log_forward(ringing.party, onward, why), *self._ring(onward, now)]
        refused = ringing.refused or Refused(480, f"{ringing.party.user} {UNREACHABLE}")
        best = self._refused = better(self._refused, refused) if self._refused else refused
        if self._ringing:
            return [*log, *dropped]
        last = HangUp(self.caller_leg, best.status, best.reason, headers=best.headers)
        return [*log, *dropped, *self._end(last, event, now)]

    def _log_forward(self, party: Party, target: Target, why: str) -> Log:
        text = f"call {self.caller} -> {party}: forwarded to {target.party} ({why})"
        return Log(Level.INFO, text)

    def _refusal_of(self, end: LegEnded, branch: Branch) -> tuple[Refused, list[Effect]]:
        """What the caller is told of a phone's refusal, and what the operator reads."""
        extension = branch.party.user
        refused = of_invite(extension, end.status, end.reason, end.headers)
        if end.silent:
            refused = Refused(480, f"{extension} {UNREACHABLE}")
        if not refused.translated:
            return refused, []
        said = f"{end.status} {visible(end.reason)}".strip()
        text = f"{branch.party} at {visible(branch.contact)} refuses a call: {said}; the caller is told"
        return refused, [Log(Level.INFO, f"{text} {refused.status} {refused.reason}")]

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called."""
        if self.state is State.RINGING:
            heard_by = [ringing.heard_by for ringing in self._ringing if ringing.heard_by]
            return min((*heard_by, *(ringing.until for ringing in self._ringing)), default=None)
        return self.exchange.next_timer()

    def handle_timer(self, now: float) -> list[Effect]:
        """It has rung long enough somewhere, or an offer is made again."""
        if self.state is not State.RINGING:
            return self.exchange.next(now)
        silent = [ringing for ringing in self._ringing if 0 < ringing.heard_by <= now]
        effects = [effect for ringing in silent for effect in self._not_heard(ringing, now)]
        due = [ringing for ringing in self._ringing if ringing.until <= now]
        return effects + [effect for ringing in due for effect in self._not_answered(ringing, now)]

    def _not_heard(self, ringing: Ringing, now: float) -> list[Effect]:
        """A trunk's server says nothing: the next one."""
        dropped = self._drop_branches("", StateEvent.TIMEOUT, now, of=ringing)
        text = f"call {self.caller} -> {ringing.party}: no answer for {SILENT:.0f} s, trying another"
        return [*dropped, Log(Level.WARNING, text), *self._dial_next(ringing, now)]

    def _not_answered(self, ringing: Ringing, now: float) -> list[Effect]:
        """It goes on; where there is no way on, or no longer, it rings as long as any call does."""
        longest = ringing.since + self._rules.longest
        goes_on = self._rules.goes_on(ringing.target, self._asked, now)
        if not goes_on and now < longest:
            ringing.until = longest
            return []
        ringing.cause = Cause.NO_ANSWER
        ringing.refused = Refused(480, f"{ringing.party.user} does not answer")
        return self._over(ringing, StateEvent.TIMEOUT, now)

    def hang_up(self, status: int, reason: str, now: float) -> list[Effect]:
        """The server ends the call, and says why to both sides."""
        cause = _cause(status, reason)
        effects = self._drop_branches(cause, StateEvent.ERROR, now)
        self._end_caller(StateEvent.ERROR, now)
        return [*effects, HangUp(self.caller_leg, status, reason, cause)]

    def _end(self, last: HangUp, event: StateEvent, now: float) -> list[Effect]:
        effects = self._drop_branches("", event, now)
        self._end_caller(event, now)
        return [*effects, last]

    def _end_caller(self, event: StateEvent, now: float) -> None:
        self.state = State.ENDED
        self._ringing.clear()
        self._dialogs.end(self.caller.aor, self.caller_leg, now, event)

    def _drop_branches(
        self,
        cause: str,
        event: StateEvent,
        now: float,
        *,
        except_leg: int = 0,
        of: Ringing | None = None,
        taken_by: str = "",
        headers: Headers = (),
    ) -> list[Effect]:
        among = [b for b in self.branches.values() if of is None or b.ringing is of]
        dropped = [branch for branch in among if branch.leg != except_leg]
        for branch in dropped:
            del self.branches[branch.leg]
            self._dialogs.end(branch.party.aor, branch.leg, now, event, taken_by)
        return [HangUp(branch.leg, cause=cause, headers=headers) for branch in dropped]

    # Media

    def acknowledged(self, acknowledged: LegAcknowledged, now: float) -> list[Effect]:
        """An ACK; the last one that is missing makes it a call that is up."""
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
        """It cannot go on without an answer."""
        log = Log(Level.WARNING, f"call {self.caller} -> {self.callee}: {none}")
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


def _cause(status: int, text: str) -> str:
    """A Reason (RFC 3326); `text` is in our words."""
    return f'SIP;cause={status};text="{text}"'
