"""Nothing that was accepted waits for ever.

What an effect asks of the SIP stack or of a phone has to come back as an input, and what a phone asks has to
be answered by an effect. The watchdog sees both go by (`saw`), and waits as long as what has to come may
take. When it has not come, whatever the cause, the call ends on both sides with the reason, the operator
reads one line, and it is counted: the number should be zero. Twice a minute the stack is asked which legs it
has, as nothing else announces the end of a call that is up; and all subscriptions are gone through for a
NOTIFY without a response. The watchdog decides nothing while all goes well, and keeps no state of calls.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import NamedTuple, get_args

from blfd.core.calls.calls import Calls
from blfd.core.calls.codes import Codes
from blfd.core.calls.leg_effects import (
    Accept,
    Adopt,
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
    RefuseOffer,
    RespondToInfo,
    SendInfo,
)
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    InfoResponseReceived,
    LegAccepted,
    LegAcknowledged,
    LegEnded,
    LegInput,
    LegNotified,
    LegsListed,
    MediaFound,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.pickup import Pickups
from blfd.core.effects import Effect, Level, Log
from blfd.core.events.notifier import Notifier
from blfd.core.inputs import Input
from blfd.core.messages import NotifyResponseReceived
from blfd.core.party import State
from blfd.core.timers import Timers

TRANSACTION = 40.0  # seconds: 64*T1 (RFC 3261, timers B, F and H), and a margin for a busy machine
OFFER = 190.0  # a re-INVITE whose phone asks its user: timer C, which is 3 minutes at least
NOTIFY = 120.0  # timer F, and room for a stack that has thousands to give up
END = 75.0  # a CANCEL may have to wait for the INVITE's first response
LOOK = 1.0  # seconds between two looks at subscriptions
LIST = 30.0  # seconds between two looks at the legs of the SIP stack
GRACE = 60.0  # seconds beyond what a call may take to be answered, and to be up when it is

WAITS: dict[type, tuple[float, str]] = {
    Accept: (TRANSACTION, "the INVITE of {} was not taken"),
    MatchMedia: (TRANSACTION, "the media of {} was not matched"),
    FindMedia: (TRANSACTION, "the media of {} was not found"),
    Answer: (TRANSACTION, "{} has not acknowledged the answer"),
    Offer: (OFFER, "{} has not answered a change of media"),
    SendInfo: (TRANSACTION, "{} has not answered an INFO"),
    NotifyLeg: (TRANSACTION, "{} has not answered a NOTIFY of its transfer"),
    HangUp: (END, "the phone of {} has not taken the end of its call"),
    OfferReceived: (OFFER + TRANSACTION, "{} has got no answer to its change of media"),
    InfoReceived: (TRANSACTION + TRANSACTION, "{} has got no answer to its INFO"),
}
"""What is waited for, by what it answers: seconds, and what is said when it has not come, of whom."""

BROUGHT: dict[type, type] = {
    LegAccepted: Accept,
    MediaMatched: MatchMedia,
    MediaFound: FindMedia,
    LegAcknowledged: Answer,
    OfferAnswered: Offer,
    InfoResponseReceived: SendInfo,
    LegNotified: NotifyLeg,
    AnswerOffer: OfferReceived,
    RefuseOffer: OfferReceived,
    RespondToInfo: InfoReceived,
}
"""What ends a wait, besides the end of the leg."""


Sent = (
    Accept
    | Adopt
    | Dial
    | MatchMedia
    | FindMedia
    | Answer
    | Offer
    | SendInfo
    | NotifyLeg
    | HangUp
    | AnswerOffer
    | RefuseOffer
    | RespondToInfo
)
Heard = (
    LegAccepted
    | MediaMatched
    | MediaFound
    | LegAcknowledged
    | LegEnded
    | OfferReceived
    | OfferAnswered
    | InfoReceived
    | InfoResponseReceived
    | LegNotified
)
SENT, HEARD = frozenset(get_args(Sent)), frozenset(get_args(Heard))
"""The same, to be told by one look: most of what goes by is neither."""


class Wait(NamedTuple):
    """One wait; `number` is its own, `exchange` is that of an INFO or NOTIFY, of which there may be several;
    else 0."""

    number: int
    leg: int
    kind: type
    exchange: int


THE_LOOK = Wait(0, 0, ListLegs, 0)
"""Not a wait for anything: the next look round."""


class Whose(NamedTuple):
    """A leg in the words of people: its call, written with `parties`, and the extension at its end."""

    written: str
    extension: str
    parties: tuple[object, ...] = ()

    @property
    def call(self) -> str:
        return self.written.format(*self.parties)


class Watchdog:
    """Ends what waits for too long. `overdue` counts what should have come since the start and has not;
    `on_leg` takes what happened on a leg, whosever that is."""

    def __init__(
        self,
        calls: Calls,
        pickups: Pickups,
        codes: Codes,
        notifier: Notifier,
        on_leg: Callable[[LegInput, float], list[Effect]],
    ) -> None:
        self._calls, self._pickups, self._codes = calls, pickups, codes
        self._notifier, self._on_leg = notifier, on_leg
        self.overdue = 0
        self._numbers = itertools.count(1)
        self._legs: dict[int, Whose] = {}  # legs that the SIP stack has, as far as is known
        self._waits: dict[int, dict[tuple[type, int], Wait]] = {}
        self.timers = Timers(self._due)
        self._list_at = 0.0
        self._newest = 0  # newest leg; those made after the question are not in the answer
        self._asked_about = 0
        self._slow: dict[int, float] = {}  # calls that are not up yet, and since when that is known

    # What goes by

    def saw(self, event: Input | None, effects: Iterable[Effect], now: float) -> None:
        """Take an input, or None for a timer, and all that the core does about it."""
        if type(event) in HEARD and isinstance(event, Heard):
            self._take(event, now)
            if isinstance(event, LegEnded):
                self._forget(event.leg)
        for effect in effects:
            if type(effect) in SENT and isinstance(effect, Sent):
                match effect:
                    case Accept() | Dial() | Adopt():
                        self._list_at = self._list_at if self._legs else now + LIST
                        self._newest = max(self._newest, effect.leg)
                        self._legs[effect.leg] = self._whose(effect.leg)
                    case HangUp():
                        self._wait_no_more(effect.leg)
                self._take(effect, now)
        if THE_LOOK not in self.timers:
            self._look_later(now)

    def _take(self, message: Heard | Sent, now: float) -> None:
        """Take a message, which ends a wait, begins one, or neither."""
        leg, kind = message.leg, type(message)
        exchange = getattr(message, "exchange", 0)
        if kind in BROUGHT:
            wait = self._waits.get(leg, {}).pop((BROUGHT[kind], exchange), None)
            if wait:
                self.timers.cancel(wait)
        elif kind in WAITS and leg in self._legs:
            self._legs[leg] = self._whose(leg)
            of_leg = self._waits.setdefault(leg, {})
            if (kind, exchange) in of_leg:
                self.timers.cancel(of_leg[kind, exchange])
            wait = of_leg[kind, exchange] = Wait(next(self._numbers), leg, kind, exchange)
            self.timers.set(wait, now + WAITS[kind][0])

    def _wait_no_more(self, leg: int) -> None:
        for wait in self._waits.pop(leg, {}).values():
            self.timers.cancel(wait)

    def _forget(self, leg: int) -> None:
        self._legs.pop(leg, None)
        self._wait_no_more(leg)

    def _whose(self, leg: int) -> Whose:
        """The words for a leg as it is now; one that its call has given up keeps its name."""
        call, picker = self._calls.of(leg), self._pickups.picker(leg)
        dials = self._codes.caller(leg)
        if dials:
            return Whose("code dialled by {}", dials.extension, (dials,))
        if picker:
            return Whose("pickup by {}", picker.extension, (picker,))
        if call:
            party = call.caller if leg == call.caller_leg else call.callee
            return Whose("call {} -> {}", party.user, (call.caller, call.callee))
        return self._legs.get(leg, Whose("a leg of no call", "nobody"))

    # Time

    def _due(self, wait: Wait, now: float) -> list[Effect]:
        """End what waits for something that has not come in time, or look round."""
        if wait is THE_LOOK:
            return self._look(now)
        del self._waits[wait.leg][wait.kind, wait.exchange]
        return self._end(wait, now)

    def _look_later(self, now: float) -> None:
        """Set the time of the next look, as long as there is something to look at."""
        if self._legs or len(self._notifier.subscriptions):
            self.timers.set(THE_LOOK, now + LOOK)

    def _look(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        self._look_later(now)
        for subscription in self._notifier.without_response(now - NOTIFY):
            whose = Whose("lamp of {}", subscription.watcher.extension, (subscription.resource,))
            effects.append(self._count(whose, f"the NOTIFY to {subscription.watcher} has no answer"))
            effects += self._notifier.responded(NotifyResponseReceived(subscription.key, 408), now)
        if self._list_at <= now and self._legs:
            self._list_at, self._asked_about = now + LIST, self._newest
            effects += self._end_slow(now)
            effects.append(ListLegs())
        return effects

    def _end(self, wait: Wait, now: float) -> list[Effect]:
        leg, whose = wait.leg, self._whose(wait.leg)
        why = WAITS[wait.kind][1].format(whose.extension)
        log = self._count(whose, why)
        if wait.kind is HangUp:
            return [log, Drop(leg)]
        if wait.kind is SendInfo:
            return [log, *self._on_leg(InfoResponseReceived(leg, wait.exchange, 408, "Request Timeout"), now)]
        if wait.kind is NotifyLeg:
            return [log, *self._on_leg(LegNotified(leg, wait.exchange, 408), now)]
        if wait.kind is InfoReceived:
            return [log, RespondToInfo(leg, wait.exchange, 408)]
        return [log, *self._give_up(leg, why, now)]

    def _give_up(self, leg: int, why: str, now: float) -> list[Effect]:
        if leg in self._pickups:
            return self._pickups.give_up(leg, why, now)
        call = self._calls.of(leg)
        return self._calls.give_up(call, why, now) if call else [HangUp(leg, 500, why)]

    def _end_slow(self, now: float) -> list[Effect]:
        """End calls that take too long to be up and wait for nothing that is known here."""
        effects: list[Effect] = []
        slow = {call.number: call for call in self._calls if call.state is not State.TALKING}
        self._slow = {number: self._slow.get(number, now) for number in slow}
        for number, call in slow.items():
            rings = call.state is State.RINGING
            until = call.rings_until if rings and call.rings_until else self._slow[number] + 2 * TRANSACTION
            if now > until + GRACE:
                why = f"{call.callee.user} was called too long" if rings else "It was never up"
                effects += [self._count(self._whose(call.caller_leg), why)]
                effects += self._calls.give_up(call, why, now)
        return effects

    def _count(self, whose: Whose, why: str) -> Log:
        self.overdue += 1
        return Log(Level.WARNING, f"{whose.call}: {why}; given up, which should not be needed: report it")

    # The legs that there are

    def listed(self, listed: LegsListed, now: float) -> list[Effect]:
        """End each leg that the stack has no more, as nobody has said that it has ended."""
        effects: list[Effect] = []
        for leg in [leg for leg in self._legs if leg <= self._asked_about and leg not in listed.legs]:
            whose = self._whose(leg)
            self._forget(leg)
            effects.append(self._count(whose, f"the leg of {whose.extension} is lost"))
            end = LegEnded(leg, 408, "Request Timeout")
            effects += self._on_leg(end, now)
        return effects
