"""A call while it rings: where, and where it goes from there."""

from __future__ import annotations

from dataclasses import replace

from blfd.core import hosts, own_contact
from blfd.core.advice import command
from blfd.core.calls.forwarding import Asked, Rules, Target
from blfd.core.calls.hops import Cause, cause_of, written
from blfd.core.calls.leg_effects import Answer, Dial, HangUp, Offer, Progress
from blfd.core.calls.leg_inputs import LegAnswered, LegEnded, LegProgress, LegTrying, OfferReceived
from blfd.core.calls.media import APART, are_apart, differs
from blfd.core.calls.offer_answer import OfferAnswer, Then
from blfd.core.calls.outward import ELSEWHERE, SAYS_WHERE
from blfd.core.calls.refusals import UNREACHABLE, Refused, better
from blfd.core.calls.ringing import NO_WAY, SILENT, Branch, Ringing, refusal_of
from blfd.core.calls.seats import Seats
from blfd.core.directory import Whose
from blfd.core.effects import Effect, Level, Log
from blfd.core.errors import Refusal
from blfd.core.events.dialog_state import Dialogs
from blfd.core.party import Party, State
from blfd.core.trunks.incoming import identified
from blfd.core.trunks.outgoing import Line
from blfd.core.values import Aor, DialogId, Headers, NameAddr, Reason, Redirect
from blfd.core.visible import visible
from dialog_info import DialogState, StateEvent


class RingingCall(Seats):
    """The caller leg, and those of the callee's phones, until one answers or there is nowhere left to ring.

    `offer` is the caller's SDP, None for a delayed offer; `headers` are what of its INVITE all phones of the
    callee hear, `source` is the address that it came from, and `sender` what that counts as. `transfers`
    counts how often the call was transferred. `first` is where it rings at first; `tells_history`: phones may
    hear by which way it has come.
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
        super().__init__(
            leg, caller, first.party, dialogs, dialog=dialog, domain=domain, referred_by=referred_by
        )
        self.offer, self.transfers = offer, transfers
        self.started_at, self.allows_update, self.source = started_at, allows_update, source
        self.headers, self.sender = headers, hosts.sender(source)
        self.codecs: dict[int, frozenset[str]] = {}  # codecs that may be offered, by the leg of a trunk
        self.state = State.RINGING
        self._rules, self._first = rules, first
        self._asked_before, self._tells_history = asked or Asked(caller.aor), tells_history
        self.secure = self._asked_before.secure
        self._ringing: list[Ringing] = []
        self._early_leg = 0  # whose SDP the caller has had in a provisional response
        self._early_told = b""  # that SDP
        self._early_sdp: dict[tuple[int, str], bytes] = {}  # what each phone sent so, by branch and To tag
        self._has_reoffered = False  # whether the caller has, while it rang
        self.exchange = OfferAnswer(0, 0)  # made anew by who answers
        self._refused: Refused | None = None  # the best refusal of where it has rung

    def start(self, tag: str, now: float) -> list[Effect]:
        """The caller leg is made with our `tag`: ring."""
        if not self.is_stood_in:
            self._watch_caller(tag, now)
        return self._ring(self._first, now)

    def _ring(self, target: Target, now: float) -> list[Effect]:
        """Call all phones of a target at once."""
        self.secure |= target.secure
        lines, further = self._rules.lines(target, self.caller, self.referred_by, self._asked, now)
        until = now + self._rules.patience(target, self._asked)
        ringing = Ringing(target, now, until, further=further)
        if not self._ringing:
            self.callee = target.party
            self._show_callee()
        self._ringing.append(ringing)
        if not lines:  # its last phone has gone in this instant, or no trunk can be had
            ringing.cause = Cause.UNREACHABLE
            if target.outside is None:
                return self._over(ringing, StateEvent.TIMEOUT, now)
            none = self._rules.why_none(target.outside)
            ringing.refused = Refused(none.status, none.reason, none.headers)
            log = Log(Level.WARNING, f"call {self.caller} -> {target.party}: no trunk takes it: {none.log}")
            return [log, *self._over(ringing, StateEvent.TIMEOUT, now)]
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
            self.branches[leg] = Branch(leg, line.contact, target.party, ringing, line=line)
            from_, to = self.caller.name_addr(self.domain), NameAddr(f"sip:{target.party.user}@{self.domain}")
            known = () if self.caller.withheld else self._identity(self.caller)
            way = written(target.hops, target.party, self.domain, self.headers, tells=tells)
            user = own_contact.user(target.party.aor.tenant, self.caller.shown[0])
            headers = (*known, *way)
            return [
                Dial(
                    leg, line.flow, line.contact, from_, to, self.offer, headers, line.path, contact_user=user
                )
            ]
        party = replace(target.party, aor=Aor(line.trunk.tenant, line.trunk.resource))
        if self.callee == target.party:
            self.callee = party
        ringing.target = replace(target, party=party)
        self.branches[leg] = Branch(leg, line.contact, party, ringing, line=line)
        if line.trunk.codecs:
            self.codecs[leg] = line.trunk.taken
        ringing.heard_by = now + SILENT if ringing.further else 0.0
        hops = self._rules.outside(target.hops, line.trunk)
        ours = SAYS_WHERE if self.caller_leg not in self.outside else frozenset()
        said = tuple(field for field in self.headers if field[0] not in ours | {"Referred-By"})
        way = written(hops, party, line.domain, said, tells=tells and not self.caller.withheld)
        log = Log(Level.INFO, f"call {self.caller} -> {party}: calling by {line.flow}")
        ends = line.contact, line.from_, line.to
        headers = (*line.identity, *way)
        credentials, user = line.credentials, line.trunk.username
        return [
            log,
            Dial(leg, line.flow, *ends, self.offer, headers, line.path, credentials, contact_user=user),
        ]

    def _has_further(self, ringing: Ringing, tried: Line | None) -> bool:
        """Whether there is another server to try, of the trunk that was, or of one with room by now."""
        ringing.further = tuple(
            line
            for line in ringing.further
            if (tried and line.trunk is tried.trunk) or self._rules.has_room(line, ringing.target)
        )
        return bool(ringing.further)

    def _dial_next(self, ringing: Ringing, now: float) -> list[Effect]:
        """Call by the next server of a trunk, or by the next trunk."""
        line, *further = ringing.further
        ringing.further = tuple(further)
        return self._dial(line, ringing, now)

    @property
    def _asked(self) -> Asked:
        plain = self.caller_leg in self.plain
        return self._asked_before._replace(caller=self.caller.aor, secure=self.secure, plain=plain)

    @property
    def passed(self) -> frozenset[Aor]:
        """The extensions that have forwarded the call outside already, before it came back from there."""
        return self._asked_before.passed

    @property
    def rings(self) -> bool:
        """Whether one of the phones that are called rings."""
        return any(branch.dialog for branch in self.branches.values())

    @property
    def rings_until(self) -> float:
        """The time after which the call rings nowhere any longer; 0 where no phone is called yet."""
        return max((ringing.until for ringing in self._ringing), default=0.0)

    def forwarders(self) -> tuple[Aor, ...]:
        """The extensions by whose forwarding the call rings outside."""
        targets = [ringing.target for ringing in self._ringing]
        return tuple(target.hops[-1].party.aor for target in targets if target.outside and target.hops)

    def rings_at(self) -> list[Party]:
        return [ringing.party for ringing in self._ringing]

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
        who = identified(branch.party, progress.who)
        headers = (*self._identity(who), *progress.headers)
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

    # Refusals, and where it goes on

    def _refused_by(self, branch: Branch, ringing: Ringing, end: LegEnded, now: float) -> list[Effect]:
        """A phone does not take the call."""
        if branch.line and not branch.dialog and end.silent and not end.fault:
            self._rules.gave_no_response(branch.line, now)
        further = branch.line.further if branch.line else None
        if further and not branch.dialog and (end.silent or end.status == 503):
            where = f"{visible(branch.contact)} gives no answer, trying {further.flow}"
            text = f"call {self.caller} -> {branch.party}: {where}"
            return [Log(Level.WARNING, text), *self._dial(further, ringing, now)]
        tries_on = not branch.dialog and (end.silent or end.status in NO_WAY)
        if tries_on and self._has_further(ringing, branch.line):
            said = "no answer" if end.silent else f"{end.status} {visible(end.reason)}".strip()
            text = (
                f"call {self.caller} -> {branch.party}: {visible(branch.contact)} says {said}, trying another"
            )
            return [Log(Level.WARNING, text), *self._dial_next(ringing, now)]
        if end.redirect and not branch.party.is_outside:  # nobody outside says where else to call
            try:
                return self._redirect(branch, ringing, end.redirect, now)
            except Refusal as refusal:
                refused = refusal_of(end, branch)[0]._replace(reason=refusal.reason)
                log: list[Effect] = [Log(Level.WARNING, refusal.log or refusal.reason)]
        else:
            refused, log = refusal_of(end, branch)
        self._dialogs.end(branch.party.aor, branch.leg, now, StateEvent.REJECTED)
        ringing.note(refused, end)
        if end.status >= 600 and self._rules.tenant(branch.party.aor).decline is Whose.ALL:
            log += self._drop_branches(None, StateEvent.REJECTED, now)
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
            moved = Reason(302, f"Forwarded to {by}")
            effects += self._drop_branches(moved, StateEvent.REJECTED, now, taken_by=by)
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
        dropped = self._drop_branches(None, event, now, of=ringing, taken_by=by)
        self._ringing.remove(ringing)
        if onward:
            why = ringing.cause.reason if ringing.cause else "refused"
            return [*dropped, self._log_forward(ringing.party, onward, why), *self._ring(onward, now)]
        refused = ringing.refused or Refused(480, f"{ringing.party.user} {UNREACHABLE}")
        best = self._refused = better(self._refused, refused) if self._refused else refused
        if self._ringing:
            return [*log, *dropped]
        outside = ringing.target.outside
        if outside and outside.route.emergency:
            text = (
                f"emergency call {self.caller} -> {ringing.party} reaches nobody: {best.status} {best.reason}"
            )
            doctor = command(ringing.party.aor.tenant, "doctor")
            log.append(Log(Level.WARNING, f"{text}; {doctor} says which trunks are in order"))
        last = HangUp(self.caller_leg, best.status, best.reason, headers=best.headers)
        return [*log, *dropped, *self._end(last, event, now)]

    def _log_forward(self, party: Party, target: Target, why: str) -> Log:
        text = f"call {self.caller} -> {party}: forwarded to {target.party} ({why})"
        return Log(Level.INFO, text)

    # Time

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called."""
        heard_by = [ringing.heard_by for ringing in self._ringing if ringing.heard_by]
        return min((*heard_by, *(ringing.until for ringing in self._ringing)), default=None)

    def handle_timer(self, now: float) -> list[Effect]:
        """The call has rung long enough somewhere, or a trunk's server says nothing."""
        silent = [ringing for ringing in self._ringing if 0 < ringing.heard_by <= now]
        effects = [effect for ringing in silent for effect in self._not_heard(ringing, now)]
        due = [ringing for ringing in self._ringing if ringing.until <= now]
        return effects + [effect for ringing in due for effect in self._not_answered(ringing, now)]

    def _not_heard(self, ringing: Ringing, now: float) -> list[Effect]:
        """A trunk's server says nothing: the next one."""
        ringing.heard_by, tried = 0.0, None
        for branch in self.branches.values():
            if branch.ringing is ringing and branch.line:
                tried = branch.line
                self._rules.gave_no_response(branch.line, now)
        if not self._has_further(ringing, tried):
            return []
        dropped = self._drop_branches(None, StateEvent.TIMEOUT, now, of=ringing)
        text = f"call {self.caller} -> {ringing.party}: no answer for {SILENT:.0f} s, trying another"
        return [*dropped, Log(Level.WARNING, text), *self._dial_next(ringing, now)]

    def _not_answered(self, ringing: Ringing, now: float) -> list[Effect]:
        """The call goes on; where there is no way on, or no longer, it rings as long as any call does."""
        longest = ringing.since + self._rules.longest
        goes_on = self._rules.goes_on(ringing.target, self._asked, now)
        if not goes_on and now < longest:
            ringing.until = longest
            return []
        ringing.cause = Cause.NO_ANSWER
        ringing.refused = Refused(480, f"{ringing.party.user} does not answer")
        return self._over(ringing, StateEvent.TIMEOUT, now)

    # Ends

    def _end(self, last: HangUp, event: StateEvent, now: float) -> list[Effect]:
        effects = self._drop_branches(None, event, now)
        self._end_caller(event, now)
        return [*effects, last]

    def _end_caller(self, event: StateEvent, now: float) -> None:
        self.state = State.ENDED
        self._ringing.clear()
        self._dialogs.end(self.caller.aor, self.caller_leg, now, event)

    def _drop_branches(
        self,
        cause: Reason | None,
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
