"""One call: a caller leg, the callee's ringing legs, the answered one (a back-to-back user agent).

What a message on one leg means for the others. Media goes directly between the phones: a phone's SDP is
handed on to the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from blfd.core.dialogs import Dialogs, WatchedDialog
from blfd.core.effects import (
    Acknowledge,
    Answer,
    AnswerInfo,
    AnswerOffer,
    Dial,
    Effect,
    HangUp,
    Headers,
    Offer,
    Progress,
    RefuseOffer,
    SendInfo,
)
from blfd.core.inputs import (
    InfoAnswered,
    InfoReceived,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegProgress,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.media import held
from blfd.core.values import Aor, Binding
from dialog_info import DialogState, Direction

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
UNREACHABLE = frozenset((401, 407, 408, 481, 487, 500, 503))  # says nothing that helps the caller


class State(Enum):
    RINGING = auto()  # INVITEs are out, none is answered
    ANSWERED = auto()  # 200 to the caller, no ACK yet
    TALKING = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Party:
    """Who takes part: `aor` and the display name that the directory gives."""

    aor: Aor
    name: str = ""

    def name_addr(self, domain: str) -> str:
        """For From and P-Asserted-Identity."""
        uri = f"<sip:{self.aor.extension}@{domain}>"
        name = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{name}" {uri}' if name else uri


@dataclass(frozen=True, slots=True)
class Branch:
    """One contact of the callee; `dialog_id` is "" until it rings."""

    leg: int
    contact: str
    dialog_id: str = ""


class Call:
    """`domain` is what the caller calls this server; `offer` its SDP, None for a delayed offer."""

    def __init__(
        self,
        leg: int,
        caller: Party,
        callee: Party,
        dialogs: Dialogs,
        *,
        call_id: str,
        from_tag: str,
        domain: str,
        offer: bytes | None,
        started_at: float,
    ) -> None:
        self.caller_leg, self.caller, self.callee = leg, caller, callee
        self.call_id, self.from_tag, self.domain, self.offer = call_id, from_tag, domain, offer
        self.started_at = started_at
        self.state = State.RINGING
        self.branches: dict[int, Branch] = {}
        self.answered_leg = 0
        self._dialogs = dialogs
        self._early_leg = 0  # whose SDP the caller has had in a provisional response
        self._early_sdp: dict[int, bytes] = {}  # what each branch sent so
        self._late_sdp = b""  # the answered phone's, where the caller has had another's before
        self._failure = (0, "")
        self._asked = (0, False)  # the leg that waits for the answer to its offer, and whether it holds

    def start(self, tag: str, dials: list[tuple[int, Binding]], now: float) -> list[Effect]:
        """The caller leg is made with our `tag`: ring all contacts at once."""
        self._dialogs.put(
            self.caller.aor,
            WatchedDialog(
                self.call_id,
                self.from_tag,
                tag,
                Direction.INITIATOR,
                DialogState.TRYING,
                now,
                self.callee.aor.extension,
                self.callee.name,
            ),
        )
        self.branches = {leg: Branch(leg, binding.contact) for leg, binding in dials}
        identity = self.caller.name_addr(self.domain)
        to = f"<sip:{self.callee.aor.extension}@{self.domain}>"
        headers: Headers = (("P-Asserted-Identity", identity),)
        return [
            Dial(leg, binding.flow, binding.contact, identity, to, self.offer, headers, binding.path)
            for leg, binding in dials
        ]

    def legs(self) -> list[int]:
        return [self.caller_leg, *self.branches]

    # The callee's phones

    def progress(self, progress: LegProgress, now: float) -> list[Effect]:
        """A phone rings, or plays early media."""
        branch = self.branches.get(progress.leg)
        if branch is None or self.state is not State.RINGING:
            return []
        rings_already = any(other.dialog_id for other in self.branches.values())
        self._watch_callee(branch, progress, DialogState.EARLY, now, early_media=bool(progress.sdp))
        headers = self._connected_identity()
        if progress.sdp:
            self._early_sdp[progress.leg] = progress.sdp
        if progress.sdp and self.offer and not self._early_leg:
            self._early_leg = progress.leg
            return [Progress(self.caller_leg, 183, "Session Progress", progress.sdp, headers)]
        if rings_already:
            return []
        return [Progress(self.caller_leg, 180, "Ringing", None, headers)]

    def answered(self, answer: LegAnswered, now: float) -> list[Effect]:
        """A phone answers; the first wins."""
        branch = self.branches.get(answer.leg)
        if branch is None or self.state is not State.RINGING:
            return [HangUp(answer.leg)]
        sdp = answer.sdp or self._early_sdp.get(answer.leg)
        if sdp is None:
            return self._end(HangUp(self.caller_leg, 488, "The phone answered without media"), now)
        self.state, self.answered_leg = State.ANSWERED, answer.leg
        effects = self._drop_branches(except_leg=answer.leg, cause=ELSEWHERE, now=now)
        self._watch_callee(branch, answer, DialogState.CONFIRMED, now)
        self._update_caller(DialogState.CONFIRMED, now)
        if self._early_leg and self._early_leg != answer.leg:
            self._late_sdp = sdp
        given = None if self._early_leg else sdp
        return [*effects, Answer(self.caller_leg, given, self._connected_identity())]

    def _connected_identity(self) -> Headers:
        return (("P-Asserted-Identity", self.callee.name_addr(self.domain)),)

    def _watch_callee(
        self,
        branch: Branch,
        ids: LegProgress | LegAnswered,
        state: DialogState,
        now: float,
        *,
        early_media: bool = False,
    ) -> None:
        dialog = WatchedDialog(
            ids.call_id,
            ids.remote_tag,
            ids.local_tag,
            Direction.RECIPIENT,
            state,
            now,
            self.caller.aor.extension,
            self.caller.name,
            early_media=early_media,
        )
        known = next((d for d in self._dialogs.of(self.callee.aor) if d.id == dialog.id), None)
        if known and known.state is state:
            dialog = replace(dialog, since=known.since, early_media=early_media or known.early_media)
        self.branches[branch.leg] = replace(branch, dialog_id=dialog.id)
        self._dialogs.put(self.callee.aor, dialog)

    def _update_caller(self, state: DialogState, now: float) -> None:
        for dialog in self._dialogs.of(self.caller.aor):
            if dialog.id == self.call_id:
                self._dialogs.put(self.caller.aor, replace(dialog, state=state, since=now))

    # Ends

    def ended(self, end: LegEnded, now: float) -> list[Effect]:
        """A leg is over: refused, cancelled, hung up, or lost."""
        if end.leg == self.caller_leg:
            self._end_dialogs(now)
            return self._drop_branches(except_leg=0, cause="", now=now)
        branch = self.branches.pop(end.leg, None)
        if branch is None:
            return []
        self._dialogs.end(self.callee.aor, branch.dialog_id, now)
        if self.state is not State.RINGING:
            return self._end(HangUp(self.caller_leg), now)
        self._note_failure(end)
        if self.branches and end.status < 600:
            return []
        return self._end(HangUp(self.caller_leg, *self._failure), now)

    def _note_failure(self, end: LegEnded) -> None:
        """Keep the best final response (RFC 3261, section 16.7, step 6)."""
        status, reason = end.status, end.reason
        if status in UNREACHABLE or not 400 <= status < 700:
            status, reason = 480, f"{self.callee.aor.extension} is not reachable"
        best = self._failure[0]
        if not best or status >= 600 or (best < 600 and (best == 480 or status // 100 < best // 100)):
            self._failure = (status, reason)

    def no_answer(self, now: float) -> list[Effect]:
        """It has rung long enough."""
        if self.state is not State.RINGING:
            return []
        return self._end(HangUp(self.caller_leg, 480, f"{self.callee.aor.extension} does not answer"), now)

    def hang_up(self, now: float) -> list[Effect]:
        """The server ends the call."""
        return self._end(HangUp(self.caller_leg, 503, "The server is stopping"), now)

    def _end(self, last: HangUp, now: float) -> list[Effect]:
        effects = self._drop_branches(except_leg=0, cause="", now=now)
        self._end_dialogs(now)
        return [*effects, last]

    def _end_dialogs(self, now: float) -> None:
        self.state = State.ENDED
        self._dialogs.end(self.caller.aor, self.call_id, now)

    def _drop_branches(self, *, except_leg: int, cause: str, now: float) -> list[Effect]:
        dropped = [branch for branch in self.branches.values() if branch.leg != except_leg]
        for branch in dropped:
            del self.branches[branch.leg]
            self._dialogs.end(self.callee.aor, branch.dialog_id, now)
        return [HangUp(branch.leg, cause=cause) for branch in dropped]

    # Media and INFO

    def _peer(self, leg: int) -> int:
        """The leg that `leg` talks with, 0 if it does not."""
        if self.state is not State.TALKING:
            return 0
        return self.answered_leg if leg == self.caller_leg else self.caller_leg

    def acknowledged(self, acknowledged: LegAcknowledged, now: float) -> list[Effect]:
        """The caller's ACK: with a delayed offer it brings the answer."""
        if self.state is not State.ANSWERED:
            return []
        self.state = State.TALKING
        if self.offer is None:
            if acknowledged.sdp is None:
                return self._end(HangUp(self.caller_leg), now)
            return [Acknowledge(self.answered_leg, acknowledged.sdp)]
        if self._late_sdp:
            return [Offer(self.caller_leg, self._late_sdp)]
        return []

    def offered(self, offer: OfferReceived) -> list[Effect]:
        """A phone asks for other media: the other one decides."""
        peer = self._peer(offer.leg)
        if not peer:
            return [RefuseOffer(offer.leg, 491, "Request Pending")]
        self._asked = (offer.leg, held(offer.sdp))
        return [Offer(peer, offer.sdp)]

    def offer_answered(self, answer: OfferAnswered) -> list[Effect]:
        """The other phone has decided."""
        leg, holds = self._asked
        if not leg or leg == answer.leg:
            return []  # the answer to an offer of our own
        self._asked = (0, False)
        if answer.sdp is None:
            status = answer.status if 400 <= answer.status < 500 and answer.status != 481 else 488
            return [RefuseOffer(leg, status)]
        if leg == self.caller_leg:
            self._dialogs.hold(self.caller.aor, self.call_id, holds)
        elif leg in self.branches:
            self._dialogs.hold(self.callee.aor, self.branches[leg].dialog_id, holds)
        return [AnswerOffer(leg, answer.sdp)]

    def info(self, info: InfoReceived) -> list[Effect]:
        peer = self._peer(info.leg)
        if not peer:
            return [AnswerInfo(info.leg, info.exchange, 481)]
        return [SendInfo(peer, info.exchange, info.content_type, info.body)]

    def info_answered(self, answer: InfoAnswered) -> list[Effect]:
        peer = self._peer(answer.leg)
        return [AnswerInfo(peer, answer.exchange, answer.status)] if peer else []
