"""Phones and PJSIP as a machine of Hypothesis: what may come next, and what the core has asked for."""

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
    number_anew,
    register,
    reply,
    subscribe,
    uri,
)
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

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
    LegProgress,
    LegsListed,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.directory import Whose
from blfd.core.effects import Effect, Notify, SaveCalls, SavePickup, SetRules
from blfd.core.inputs import DirectoryChanged, Input, RulesSet
from blfd.core.messages import NotifyResponseReceived
from blfd.core.saved import SavedCall, SavedLeg
from blfd.core.values import Aor, DialogId, NameAddr, Redirect
from dialog_info import DialogInfo, DialogState

PEOPLE = ("101", "102", "103")
OFFERED = st.sampled_from(["both", "otherwise numbered", "by peer", "by picker", "nothing in common"])
OFTEN = st.sampled_from([True, True, True, False])
HOLD = SDP + b"a=sendonly\r\n"


def dialog(leg: int) -> DialogId:
    """The dialog of the callee leg `leg`."""
    return DialogId(f"id{leg}", f"o{leg}", f"p{leg}")


ENDS = NameAddr("sip:a"), NameAddr("sip:b")
SAVED = SavedLeg(dialog(0), *ENDS, "sip:b@c", "sip:b@c", (), flow("101"), 1000, 7, SDP, SDP)


class Phones(RuleBasedStateMachine):
    """A machine that plays the phones: legs are those that the core has asked for, in any order."""

    def __init__(self) -> None:
        super().__init__()
        number_anew()
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
