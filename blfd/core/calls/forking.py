"""Where a call rings, and where it goes from there (RFC 3261 calls it forking).

All phones of an extension are called at once, and servers of trunks one after the other. A refusal, a 3xx and
time move the call on: to the next server, by the extension's rules, or to an end.
"""

from __future__ import annotations

from dataclasses import replace

from blfd.core import hosts
from blfd.core.advice import command
from blfd.core.calls.early_media import EarlyMedia
from blfd.core.calls.forwarding import Asked, Rules, Target
from blfd.core.calls.hops import Cause, cause_of
from blfd.core.calls.invites import Told, by_trunk, to_phone
from blfd.core.calls.leg_effects import HangUp, Progress
from blfd.core.calls.leg_inputs import LegEnded
from blfd.core.calls.offer_answer import OfferAnswer
from blfd.core.calls.refusals import UNREACHABLE, Refused, better
from blfd.core.calls.ringing import NO_WAY, SILENT, Branch, Ringing, refusal_of
from blfd.core.calls.seats import Seats
from blfd.core.directory import Whose
from blfd.core.effects import Effect, Level, Log
from blfd.core.errors import Refusal
from blfd.core.events.dialog_state import Dialogs
from blfd.core.party import Party, State
from blfd.core.trunks.outgoing import Line
from blfd.core.values import Aor, DialogId, Headers, Reason, Redirect
from blfd.core.visible import visible
from dialog_info import StateEvent


class Forking(Seats):
    """The caller leg, and those of the phones and servers that are called for it.

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
        self.early = EarlyMedia()
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
        leg, target, trunk = self._rules.new_leg(), ringing.target, line.trunk
        caller, identity = self.caller, self._identity(self.caller)
        told = Told(caller, identity, self.domain, self.offer, self.headers, self._tells_history)
        if trunk is None:
            self.branches[leg] = Branch(leg, line.contact, target.party, ringing, line=line)
            return [to_phone(leg, line, target, told)]
        party = replace(target.party, aor=Aor(trunk.tenant, trunk.resource))
        if self.callee == target.party:
            self.callee = party
        target = ringing.target = replace(target, party=party)
        self.branches[leg] = Branch(leg, line.contact, party, ringing, line=line)
        if trunk.codecs:
            self.codecs[leg] = trunk.taken
        ringing.heard_by = now + SILENT if ringing.further else 0.0
        known = replace(target, hops=self._rules.outside(target.hops, trunk))
        log = Log(Level.INFO, f"call {caller} -> {party}: calling by {line.flow}")
        from_outside = self.caller_leg in self.outside
        return [log, by_trunk(leg, line, trunk, known, told, from_outside=from_outside)]

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

    # Refusals, and where it goes on

    def _refused_by(self, branch: Branch, ringing: Ringing, end: LegEnded, now: float) -> list[Effect]:
        """A phone does not take the call."""
        another = self._another_way(branch, ringing, end, now)
        if another is not None:
            return another
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

    def _another_way(
        self, branch: Branch, ringing: Ringing, end: LegEnded, now: float
    ) -> list[Effect] | None:
        """Try a phone's next way, or the next server, where this one has not served; None where that is no
        cause to, or there is none."""
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
        return None

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
