"""Any order of events, and lost ones: the lamps stay true, and nothing waits for ever (Hypothesis)."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from builders import (
    SDP,
    World,
    directory,
    document,
    flow,
    group,
    invite,
    notifies,
    register,
    reply,
    request,
    subscribe,
    uri,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from blfd.core.calls.leg_effects import (
    Accept,
    Answer,
    AnswerOffer,
    Dial,
    Drop,
    FindMedia,
    HangUp,
    ListLegs,
    MatchMedia,
    NotifyLeg,
    Offer,
    Progress,
    RefuseOffer,
    RespondToInfo,
)
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    InfoResponseReceived,
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegDescribed,
    LegEnded,
    LegNotified,
    LegProgress,
    LegsListed,
    MediaFound,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.directory import Whose
from blfd.core.effects import Effect, Notify, Reply, SaveCalls, SavePickup, SetRules
from blfd.core.events.subscription import IN_FLIGHT
from blfd.core.inputs import DirectoryChanged, Input, RulesSet
from blfd.core.messages import NotifyResponseReceived, ReferReceived, ReferTo
from blfd.core.party import State
from blfd.core.saved import SavedCall, SavedLeg
from blfd.core.values import Aor, DialogId, NameAddr, Redirect
from dialog_info import DialogInfo, DialogState, same_state

PEOPLE = ("101", "102", "103")
OFFERED = st.sampled_from(["both", "otherwise numbered", "by peer", "by picker", "nothing in common"])
OFTEN = st.sampled_from([True, True, True, False])
HOLD = SDP + b"a=sendonly\r\n"
LOSABLE = (
    LegAccepted,
    LegAcknowledged,
    LegAnswered,
    LegEnded,
    LegNotified,
    LegProgress,
    LegsListed,
    MediaFound,
    MediaMatched,
    InfoResponseReceived,
    NotifyResponseReceived,
    OfferAnswered,
)


def dialog(leg: int) -> DialogId:
    """The dialog of the callee leg `leg`."""
    return DialogId(f"id{leg}", f"o{leg}", f"p{leg}")


ENDS = NameAddr("sip:a"), NameAddr("sip:b")
SAVED = SavedLeg(dialog(0), *ENDS, "sip:b@c", "sip:b@c", (), flow("101"), 1000, 7, SDP, SDP)


class Switchboard(RuleBasedStateMachine):
    """A machine that plays the phones: legs are those that the core has asked for, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(known=directory(PEOPLE, (group("101 103", "101 102"),)), stack=False)
        self.world.give(register("102", "sip:102@198.51.100.99", cseq=2))
        self.legs: dict[int, str] = {}  # those in PJSIP: new, caller, callee, answered
        self.ending: set[int] = set()  # legs that are hung up, and have not ended yet
        self.lost: set[int] = set()  # legs that have ended, of which the core has not heard
        self.losing: set[type] = set()  # kinds of inputs of which the next one never arrives
        self.endless: set[int] = set()  # legs that are ending, and end only by a Drop
        self.asking: set[int] = set()  # phones that wait for the answer to their offer
        self.informing: dict[int, int] = {}  # phones that wait for the answer to their INFO, by exchange
        self.had_200: set[int] = set()
        self.answered: set[int] = set()  # legs whose 200 has had no ACK yet
        self.flying: dict[str, Notify] = {}
        self.sent_at: dict[str, float] = {}
        self.told: dict[str, DialogInfo] = {}
        self.versions: dict[str, int] = {}
        self.ended: dict[str, set[str]] = {}  # dialog ids that a watcher saw end
        self.watching: dict[str, Aor] = {}
        self.finding: set[int] = set()  # legs whose media is looked up
        self.telling: dict[int, tuple[int, str]] = {}  # NOTIFYs of REFERs in flight: leg and Event
        self.matching: dict[int, int] = {}  # pickers' legs whose media is being matched, and with which leg's
        self.stored: dict[int, SavedCall] = {}
        self.storing: dict[int, SetRules] = {}  # rules that phones have set
        self.exchanges = itertools.count(1)
        self.attempts = 0  # pickups that were asked for and not answered yet

    @initialize(delayed=st.booleans(), talks=st.booleans())
    def begins_with_a_call_that_is_watched(self, delayed: bool, talks: bool) -> None:
        self.watches("103", "102", 600)
        self.watches("103", "101", 600)
        for key in sorted(self.flying):
            self.confirm(key, 200)
        self.call("101", "102", delayed, at_once=True)
        if talks:
            leg = min(leg for leg, kind in self.legs.items() if kind == "callee")
            self.legs[leg] = "answered"
            self.give(LegAnswered(leg, dialog(leg), SDP))
            self.acknowledge(min(self.answered), SDP)
        for key in sorted(self.flying):
            self.confirm(key, 200)

    def give(self, event: Input) -> None:
        self.world.now += 1
        if type(event) not in self.losing:
            self.take(self.world.give(event))
            if isinstance(event, LegAnswered | LegAcknowledged) and event.leg in self.legs:
                self.take(self.world.give(LegDescribed(event.leg, SAVED)))  # the stack does so at once
            return
        self.losing.discard(type(event))
        if isinstance(event, LegEnded):
            self.lost.add(event.leg)

    def take(self, effects: list[Effect]) -> None:
        stack: list[Input] = []  # what the SIP stack says to it at once
        for effect in effects:
            assert getattr(effect, "leg", 1) > 0, "a stand-in is nobody"
            match effect:
                case Accept():
                    self.legs[effect.leg] = "new"
                case Dial():
                    assert effect.leg not in self.legs
                    self.legs[effect.leg] = "callee"
                case HangUp():
                    self.ending |= {effect.leg} & self.legs.keys()
                    self.gone(effect.leg)
                case Drop():
                    self.ending.discard(effect.leg)
                    self.endless.discard(effect.leg)
                    stack.append(LegEnded(effect.leg, 408, ""))
                case ListLegs():
                    stack.append(LegsListed(frozenset(self.legs) | self.ending))
                case MatchMedia():
                    assert self.legs.get(effect.leg) in ("caller", "answered") or effect.leg in self.lost
                    assert effect.peer in self.legs.keys() | self.lost
                    self.matching[effect.leg] = effect.peer
                case FindMedia():
                    assert effect.leg in self.legs.keys() | self.lost
                    self.finding.add(effect.leg)
                case NotifyLeg():
                    assert effect.leg in self.legs.keys() | self.lost
                    told = effect.leg, effect.event
                    assert told not in self.telling.values(), "two NOTIFYs of a REFER in flight"
                    self.telling[effect.exchange] = told
                case SetRules():
                    assert effect.aor not in (each.aor for each in self.storing.values()), "one at a time"
                    self.storing[effect.number] = effect
                case SavePickup():
                    self.attempts -= 1
                case SaveCalls(calls):
                    stored = {**self.stored, **calls}
                    self.stored = {n: one for n, one in stored.items() if isinstance(one, SavedCall)}
                case Offer():
                    assert effect.leg in self.legs.keys() | self.lost
                case AnswerOffer() | RefuseOffer():
                    self.asking.discard(effect.leg)
                case RespondToInfo():
                    self.informing.pop(effect.exchange, None)
                case Progress():
                    assert effect.leg not in self.had_200
                case Answer():
                    assert self.legs.get(effect.leg) == "caller" or effect.leg in self.lost
                    assert effect.leg not in self.had_200, "a caller gets one 200"
                    self.had_200.add(effect.leg)
                    self.answered.add(effect.leg)
                case Notify():
                    self.notified(effect)
        for event in stack:
            self.give(event)

    def gone(self, leg: int) -> None:
        """Nobody waits at a leg that is over."""
        self.legs.pop(leg, None)
        self.finding.discard(leg)
        self.telling = {exchange: told for exchange, told in self.telling.items() if told[0] != leg}
        self.asking.discard(leg)
        self.informing = {exchange: who for exchange, who in self.informing.items() if who != leg}

    def notified(self, notify: Notify) -> None:
        key, info = notify.subscription, document(notify)
        assert key not in self.flying, "two NOTIFYs in flight"
        assert info.version == self.versions.get(key, -1) + 1
        self.flying[key], self.versions[key] = notify, info.version
        self.sent_at[key] = self.world.now
        gone = self.ended.setdefault(key, set())
        for dialog in info.dialogs:
            comes_back = dialog.state is DialogState.TERMINATED or dialog.id == "dnd"
            assert dialog.id not in gone or comes_back, "alive after its end"
            if dialog.state is DialogState.TERMINATED:
                gone.add(dialog.id)
        before = self.told.get(key)
        if before:
            gone |= {d.id for d in before.dialogs} - {d.id for d in info.dialogs}
        self.told[key] = info

    def pick(self, data: st.DataObject, *kinds: str) -> int:
        return data.draw(st.sampled_from([leg for leg, kind in self.legs.items() if kind in kinds]))

    @rule(
        who=st.sampled_from(PEOPLE),
        whom=st.sampled_from(PEOPLE),
        delayed=st.booleans(),
        at_once=OFTEN,
        call_id=st.sampled_from(["", "", "everybody's", "id2", "id3"]),
    )
    def call(self, who: str, whom: str, delayed: bool, at_once: bool, call_id: str = "") -> None:
        before = set(self.legs)
        self.give(invite(who, whom, None if delayed else SDP, call_id=call_id))
        if at_once:  # mostly the call goes on as calls do; else what follows is left to chance
            self.go_on(before)
            for leg in self.legs.keys() - before:
                if self.legs[leg] == "callee":
                    self.give(LegProgress(leg, 180, "", dialog(leg), None))

    def go_on(self, before: set[int], offered: str = "both") -> None:
        """PJSIP takes the INVITE that was sent last, and matches its media if it is a picker's."""
        for leg in self.legs.keys() - before:
            self.legs[leg] = "caller"
            self.give(LegAccepted(leg, f"ours{leg}"))
            if self.matching.pop(leg, None):
                self.match(leg, offered)

    def match(self, leg: int, offered: str) -> None:
        to_peer = None if offered == "by peer" else SDP
        to_picker = None if offered == "by picker" else SDP
        again = SDP if offered == "otherwise numbered" else None
        self.give(MediaMatched(leg, offered != "nothing in common", to_peer, to_picker, again))

    @rule(who=st.sampled_from(PEOPLE), code=st.sampled_from(["*98", "*97"]), at_once=OFTEN, offered=OFFERED)
    def dials_a_code(self, who: str, code: str, at_once: bool, offered: str) -> None:
        rings = next((whom for whom in PEOPLE if self.world.lamp(whom) == "ringing"), "103")
        before = set(self.legs)
        self.attempts += 1
        self.give(invite(who, code if code == "*98" else code + rings))
        if at_once:
            self.go_on(before, offered)

    @precondition(lambda self: self.told)
    @rule(data=st.data(), who=st.sampled_from(PEOPLE), offered=OFFERED, swapped=st.booleans())
    def presses_the_key(self, data: st.DataObject, who: str, offered: str, swapped: bool) -> None:
        """A phone sends Replaces by what some watcher was told last, mostly of a live call, however old."""
        dialogs = [d for info in self.told.values() for d in info.dialogs if d.call_id]
        live = [d for d in dialogs if d.state in (DialogState.EARLY, DialogState.CONFIRMED)]
        if len(live) > 0 and data.draw(OFTEN):
            dialogs = live
        if not dialogs:
            return
        dialog = data.draw(st.sampled_from(sorted(dialogs, key=lambda d: (d.id, d.state.value))))
        before = set(self.legs)
        tags = (dialog.remote_tag, dialog.local_tag)
        to_tag, from_tag = reversed(tags) if swapped else tags
        value = f"{dialog.call_id};to-tag={to_tag};from-tag={from_tag}"
        value += ";early-only" if data.draw(st.booleans()) else ""
        self.attempts += 1
        self.give(invite(who, "anything", SDP, replaces=(value,)))
        if data.draw(OFTEN):
            self.go_on(before, offered)

    @precondition(lambda self: self.matching.keys() & self.legs.keys())
    @rule(data=st.data(), offered=OFFERED)
    def media_is_matched(self, data: st.DataObject, offered: str) -> None:
        leg = data.draw(st.sampled_from(sorted(self.matching.keys() & self.legs.keys())))
        del self.matching[leg]
        self.match(leg, offered)

    @precondition(lambda self: "new" in self.legs.values())
    @rule(data=st.data())
    def accepted(self, data: st.DataObject) -> None:
        leg = self.pick(data, "new")
        self.legs[leg] = "caller"
        self.give(LegAccepted(leg, f"ours{leg}"))

    @precondition(lambda self: "callee" in self.legs.values())
    @rule(data=st.data(), media=st.booleans())
    def rings(self, data: st.DataObject, media: bool) -> None:
        leg = self.pick(data, "callee")
        self.give(LegProgress(leg, 180, "", dialog(leg), SDP if media else None))

    @precondition(lambda self: "callee" in self.legs.values())
    @rule(data=st.data(), media=st.booleans())
    def picks_up(self, data: st.DataObject, media: bool) -> None:
        leg = self.pick(data, "callee")
        self.legs[leg] = "answered"
        self.give(LegAnswered(leg, dialog(leg), SDP if media else None))

    @precondition(lambda self: self.answered & self.legs.keys())
    @rule(data=st.data(), media=st.booleans())
    def acknowledges(self, data: st.DataObject, media: bool) -> None:
        leg = data.draw(st.sampled_from(sorted(self.answered & self.legs.keys())))
        self.acknowledge(leg, SDP if media else None)

    def acknowledge(self, leg: int, sdp: bytes | None) -> None:
        self.answered.discard(leg)
        self.give(LegAcknowledged(leg, sdp))

    @precondition(lambda self: self.legs)
    @rule(data=st.data(), status=st.sampled_from([200, 404, 408, 480, 486, 487, 503, 603]))
    def ends(self, data: st.DataObject, status: int) -> None:
        leg = self.pick(data, "new", "caller", "callee", "answered")
        self.gone(leg)
        self.give(LegEnded(leg, status, ""))

    @precondition(lambda self: "callee" in self.legs.values())
    @rule(data=st.data(), where=st.lists(st.sampled_from((*PEOPLE, "999")), max_size=3))
    def forwards(self, data: st.DataObject, where: list[str]) -> None:
        leg = self.pick(data, "callee")
        self.gone(leg)
        self.give(LegEnded(leg, 302, "", redirect=Redirect(tuple(map(uri, where)))))

    @rule(
        who=st.sampled_from(PEOPLE),
        dnd=st.booleans(),
        where=st.sampled_from(("", *PEOPLE)),
        when=st.sampled_from(["always", "busy", "no_answer", "unregistered"]),
        whose=st.sampled_from(Whose),
    )
    def sets_a_rule(self, who: str, dnd: bool, where: str, when: str, whose: Whose) -> None:
        known = self.world.core.directory
        extension = known.extensions[Aor("default", who)]
        goes: dict[str, Any] = {when: where}
        rules = replace(extension.forwarding, dnd=dnd, **goes)
        extensions = {**known.extensions, extension.aor: replace(extension, forwarding=rules)}
        tenant = replace(known.tenants["default"], redirect=whose, decline=whose)
        tenants = {**known.tenants, "default": tenant}
        self.give(DirectoryChanged(replace(known, extensions=extensions, tenants=tenants)))

    @rule(
        who=st.sampled_from(PEOPLE),
        code=st.sampled_from(["*78", "*79", "*72102", "*73", "*90103", "*91", "*92101", "*93"]),
        at_once=OFTEN,
    )
    def sets_a_rule_by_its_phone(self, who: str, code: str, at_once: bool) -> None:
        before = set(self.legs)
        self.give(invite(who, code))
        if at_once:
            for number in sorted(self.storing):
                self.store(number, 200)
            self.go_on(before)

    @precondition(lambda self: self.storing)
    @rule(data=st.data(), status=st.sampled_from([200, 403, 500]))
    def a_rule_is_stored(self, data: st.DataObject, status: int) -> None:
        self.store(data.draw(st.sampled_from(sorted(self.storing))), status)

    def store(self, number: int, status: int) -> None:
        asked, known = self.storing.pop(number), self.world.core.directory
        extension = known.extensions[asked.aor]
        fields: dict[str, Any] = {rule.field: rule.value for rule in asked.rules}
        if status == 200:
            rules = replace(extension.forwarding, **fields)
            extensions = {**known.extensions, asked.aor: replace(extension, forwarding=rules)}
            self.give(DirectoryChanged(replace(known, extensions=extensions)))
        self.give(RulesSet(number, status))

    @precondition(lambda self: self.ending - self.endless)
    @rule(data=st.data())
    def has_ended(self, data: st.DataObject) -> None:
        leg = data.draw(st.sampled_from(sorted(self.ending - self.endless)))
        self.ending.discard(leg)
        self.give(LegEnded(leg, 200, ""))

    @precondition(lambda self: self.legs.keys() - self.asking)
    @rule(data=st.data(), hold=st.booleans())
    def offers(self, data: st.DataObject, hold: bool) -> None:
        leg = data.draw(st.sampled_from(sorted(self.legs.keys() - self.asking)))
        self.asking.add(leg)
        self.give(OfferReceived(leg, HOLD if hold else SDP))

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

    @precondition(lambda self: self.legs)
    @rule(data=st.data(), status=st.sampled_from([200, 488, 491]))
    def answers_an_offer(self, data: st.DataObject, status: int) -> None:
        leg = self.pick(data, *self.legs.values())
        self.give(OfferAnswered(leg, status, SDP if status == 200 else None))

    @precondition(lambda self: self.legs)
    @rule(data=st.data(), answers=st.booleans())
    def informs(self, data: st.DataObject, answers: bool) -> None:
        leg, exchange = self.pick(data, *self.legs.values()), next(self.exchanges)
        self.informing[exchange] = leg
        self.give(InfoReceived(leg, exchange, "application/dtmf-relay", b"Signal=1"))
        if answers and self.legs:
            self.give(InfoResponseReceived(self.pick(data, *self.legs.values()), exchange, 200))

    @rule(who=st.sampled_from(PEOPLE), whom=st.sampled_from(PEOPLE), expires=st.sampled_from([0, 60, 600]))
    def watches(self, who: str, whom: str, expires: int) -> None:
        self.world.now += 1
        effects = self.world.give(subscribe(who, whom, expires))
        self.watching[reply(effects).to_tag] = Aor("default", whom)
        self.take(effects)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), status=st.sampled_from([200, 200, 200, 481, 503]))
    def confirms(self, data: st.DataObject, status: int) -> None:
        self.confirm(data.draw(st.sampled_from(sorted(self.flying))), status)

    def confirm(self, key: str, status: int) -> None:
        del self.flying[key], self.sent_at[key]
        self.give(NotifyResponseReceived(key, status))

    @rule(seconds=st.sampled_from([1, 30, 70, 130]))
    def time_passes(self, seconds: int) -> None:
        for key in [key for key, at in self.sent_at.items() if self.world.now + seconds > at + 32]:
            self.confirm(key, 408)  # timer F
        self.take(self.world.at(self.world.now + seconds))

    @invariant()
    def calls_are_counted(self) -> None:
        calls = list(self.world.core.calls)
        for sender in {call.sender for call in calls} | {"192.0.2.250"}:
            of_sender = sum(call.sender == sender for call in calls)
            for who in (Aor("default", each) for each in PEOPLE):
                own = sum(call.caller.aor == who for call in calls)
                assert self.world.core.calls.census.of(who, sender) == (own, len(calls), of_sender)

    @invariant()
    def who_confirmed_knows_the_truth(self) -> None:
        for subscription in self.world.core.notifier.subscriptions:
            if subscription.phase.name == "TOLD":
                truth = self.world.core.dialogs.document(
                    subscription.resource, subscription.entity, pickup_code="*97"
                )
                assert same_state(self.told[subscription.key], truth)

    @invariant()
    def no_call_no_dialog(self) -> None:
        if not len(self.world.core.calls) and not self.world.core.transfers.legs():
            assert all(not self.world.core.dialogs.of(Aor("default", who)) for who in PEOPLE)

    @invariant()
    def the_core_knows_the_legs_that_live(self) -> None:
        assert self.known() <= self.legs.keys() | self.lost

    @invariant()
    def every_attempt_is_answered_once(self) -> None:
        pickers = [leg for leg in self.legs.keys() | self.lost if leg in self.world.core.pickups]
        assert self.attempts == len(pickers)

    @invariant()
    def a_lamp_that_talks_is_in_a_call(self) -> None:
        calls = list(self.world.core.calls)
        for who in PEOPLE:
            for dialog in self.world.core.dialogs.of(Aor("default", who)):
                among = [leg for call in calls for leg in call.legs()]
                assert dialog.leg in among or dialog.leg in self.world.core.transfers.legs()

    @invariant()
    def a_leg_is_in_one_place(self) -> None:
        among = [leg for call in self.world.core.calls for leg in call.legs()]
        among += self.world.core.transfers.legs()
        assert len(among) == len(set(among))

    @invariant()
    def who_talks_has_a_lamp_that_says_so(self) -> None:
        dialogs = self.world.core.dialogs
        for call in self.world.core.calls:
            if call.state is State.TALKING:
                ends = (call.caller.aor, call.caller_leg), (call.callee.aor, call.answered_leg)
                shown = [found.state for end in ends for found in [dialogs.get(*end)] if found]
                assert shown == [DialogState.CONFIRMED] * 2

    @invariant()
    def what_is_stored_goes_on(self) -> None:
        """A call that is up is stored as it is, one that changes as it was; who waits is in its last call."""
        calls = {call.number: call for call in self.world.core.calls}
        waiting = self.world.core.transfers.legs()
        legs = [seat.leg for one in self.stored.values() for seat in (one.caller, one.callee)]
        assert len(legs) == len(set(legs)), "a leg is stored once"
        for number, one in self.stored.items():
            assert number in calls or {one.caller.leg, one.callee.leg} & waiting
        for call in calls.values():
            known = self.world.core.calls.keeping.legs.keys() >= set(call.legs())
            if call.is_up and known and not call.is_stood_in:
                one = self.stored[call.number]
                assert (one.caller.leg, one.callee.leg) == (call.caller_leg, call.answered_leg)

    def known(self) -> set[int]:
        legs = {leg for call in self.world.core.calls for leg in call.legs() if leg > 0}
        return legs | self.world.core.transfers.legs()

    def teardown(self) -> None:
        """Let the phones fall silent: only calls that are up go on, and nobody waits for an answer."""
        self.losing.clear()
        for number in sorted(self.storing):
            self.store(number, 200)
        for _ in range(20):
            for key in sorted(self.flying):
                self.confirm(key, 200)
            for leg in sorted(self.ending - self.endless):
                self.ending.discard(leg)
                self.give(LegEnded(leg, 200, ""))
            self.take(self.world.at(self.world.now + 30))
        assert {call.state for call in self.world.core.calls} <= {State.TALKING}
        assert self.known() == self.legs.keys()
        assert not self.ending
        assert not self.world.core.codes.legs()
        assert not self.attempts
        assert not self.asking, "who waits for the answer to its offer"
        assert not self.informing, "or to its INFO"
        assert self.stored.keys() <= {call.number for call in self.world.core.calls}
        for call in self.world.core.calls:
            offer = OfferReceived(call.caller_leg, SDP)
            assert Offer in map(type, self.world.give(offer)), "nothing is under way that hinders it"
            refer = ReferReceived(request("REFER"), call.caller_leg, ReferTo(uri("*98")))
            (refused,) = [e for e in self.world.give(refer) if isinstance(e, Reply)]
            assert refused.status in (403, 483), "nor a transfer"
        subscriptions = self.world.core.notifier.subscriptions
        assert {one.key for one in subscriptions if one.phase in IN_FLIGHT} == self.flying.keys()


class Lossy(Switchboard):
    """A switchboard where now and then something that should come never arrives, whatever the cause."""

    @rule(kind=st.sampled_from(LOSABLE))
    def the_next_is_lost(self, kind: type) -> None:
        self.losing.add(kind)

    @precondition(lambda self: self.legs)
    @rule(data=st.data())
    def a_leg_is_lost(self, data: st.DataObject) -> None:
        leg = self.pick(data, *self.legs.values())
        self.gone(leg)
        self.lost.add(leg)

    @precondition(lambda self: self.ending - self.endless)
    @rule(data=st.data())
    def a_leg_does_not_end(self, data: st.DataObject) -> None:
        self.endless.add(data.draw(st.sampled_from(sorted(self.ending - self.endless))))


TestLossy = Lossy.TestCase
TestLossy.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestSwitchboard = Switchboard.TestCase
TestSwitchboard.settings = settings(max_examples=500, stateful_step_count=50, deadline=None)


def test_a_storm_of_everything_leaves_nothing() -> None:
    """A call that goes through every state and is watched by all ends with no record of it."""
    world = World()
    for who in PEOPLE:
        world.confirm(world.give(subscribe(who, "102")))
    (accept,) = world.give(invite())
    assert isinstance(accept, Accept)
    effects = world.give(LegAccepted(accept.leg, "t"))
    (dial,) = [effect for effect in effects if isinstance(effect, Dial)]
    for event in (
        LegProgress(dial.leg, 180, "", DialogId("id", "o", "p"), None),
        LegAnswered(dial.leg, DialogId("id", "o", "p"), SDP),
        LegAcknowledged(accept.leg, None),
        LegEnded(accept.leg, 200, ""),
    ):
        effects = world.give(event)
        assert len(notifies(effects)) == (0 if isinstance(event, LegAcknowledged) else 3)
        world.confirm(effects)
    assert len(world.core.calls) == 0
