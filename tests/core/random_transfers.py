"""Phones that transfer their calls at any time, as a machine of Hypothesis."""

from __future__ import annotations

from builders import SDP, request, uri
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from random_phones import OFFERED, OFTEN, PEOPLE, Phones, dialog

from blfd.core.calls.leg_inputs import LegAnswered, LegNotified, LegProgress, MediaFound
from blfd.core.messages import ReferReceived, ReferTo
from blfd.core.party import State
from blfd.core.values import Aor


class TransferringPhones(Phones):
    """Some transfers go on as they do in an office; in others each step comes at any time."""

    def connect(self, who: str, whom: str, *, answers: bool = True, delayed: bool = False) -> int:
        """The caller's leg of a call that is up, or rings; 0 where it was refused."""
        before = set(self.legs)
        self.call(who, whom, delayed=delayed, at_once=True)
        made = sorted(self.legs.keys() - before)
        callees = [leg for leg in made if self.legs[leg] == "callee"]
        if answers and callees:
            self.legs[callees[0]] = "answered"
            self.give(LegAnswered(callees[0], dialog(callees[0]), SDP))
            if made[0] in self.answered:
                self.acknowledge(made[0], SDP)
        return made[0] if made else 0

    def up(self) -> list[int]:
        calls = [call for call in self.world.core.calls if call.state is State.TALKING]
        return sorted(leg for call in calls for leg in call.legs() if leg in self.legs)

    @rule(
        data=st.data(), who=st.sampled_from(PEOPLE), whom=st.sampled_from(PEOPLE), at_once=OFTEN, tells=OFTEN
    )
    def transfers(self, data: st.DataObject, who: str, whom: str, at_once: bool, tells: bool) -> None:
        """Somebody who talks transfers, as a rule; now and then anybody else."""
        if not self.up():
            self.connect(who, data.draw(st.sampled_from(PEOPLE)))
        legs = self.up() if data.draw(OFTEN) else sorted(self.legs)
        if not legs:
            return
        leg = data.draw(st.sampled_from(legs))
        asked, before = request("REFER", cseq=next(self.exchanges)), set(self.legs)
        self.give(ReferReceived(asked, leg, ReferTo(uri(whom)), None, tells))
        if at_once:
            self.go_on_transferring(before)
            for called in sorted(self.legs.keys() - before):
                self.give(LegProgress(called, 180, "", dialog(called), None))

    @rule(
        data=st.data(),
        whom=st.sampled_from(PEOPLE),
        at_once=OFTEN,
        offered=OFFERED,
        answers=OFTEN,
        delayed=st.booleans(),
    )
    def transfers_to_whom_it_has_consulted(
        self, data: st.DataObject, whom: str, at_once: bool, offered: str, answers: bool, delayed: bool
    ) -> None:
        """A phone joins two of its calls, mostly; now and then one that is not its own."""
        legs = self.up() or sorted(self.legs)
        if not legs:
            return
        leg, dialogs = data.draw(st.sampled_from(legs)), self.world.core.dialogs
        who = next((who for who in PEOPLE if dialogs.get(Aor("default", who), leg)), "101")
        if data.draw(OFTEN):
            self.connect(who, whom, answers=answers, delayed=delayed)
        own = [each for each in dialogs.of(Aor("default", who)) if each.leg != leg]
        found = own or [each for whose in PEOPLE for each in dialogs.of(Aor("default", whose))]
        if not found:
            return
        other = data.draw(st.sampled_from(sorted(found, key=lambda each: each.leg)))
        value = "{};to-tag={};from-tag={}".format(*other.id)
        asked = request("REFER", cseq=next(self.exchanges))
        self.give(ReferReceived(asked, leg, ReferTo(uri("x"), (value,))))
        if at_once:
            self.go_on_transferring(set(self.legs), "both" if data.draw(OFTEN) else offered)

    def go_on_transferring(self, before: set[int], offered: str = "both") -> None:
        """PJSIP says what it is asked, and the transferor confirms the NOTIFYs that it is sent."""
        for leg in sorted(self.finding):
            self.finding.discard(leg)
            self.give(MediaFound(leg, SDP))
        for leg in sorted(self.matching.keys() & before):
            del self.matching[leg]
            self.match(leg, offered)
        for exchange in sorted(self.telling):
            self.confirm_transfer(exchange, 200)

    @precondition(lambda self: self.finding)
    @rule(data=st.data(), found=OFTEN)
    def media_is_found(self, data: st.DataObject, found: bool) -> None:
        leg = data.draw(st.sampled_from(sorted(self.finding)))
        self.finding.discard(leg)
        self.give(MediaFound(leg, SDP if found else None))

    @precondition(lambda self: self.telling)
    @rule(data=st.data(), status=st.sampled_from([200, 200, 200, 481, 408]))
    def confirms_its_transfer(self, data: st.DataObject, status: int) -> None:
        self.confirm_transfer(data.draw(st.sampled_from(sorted(self.telling))), status)

    def confirm_transfer(self, exchange: int, status: int) -> None:
        told = self.telling.pop(exchange, None)
        if told:
            self.give(LegNotified(told[0], exchange, status))
