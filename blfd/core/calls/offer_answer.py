"""What two connected phones ask each other for, from the first 200 of a call on: SDP and INFO.

A phone's SDP is handed on to the other (RFC 3264); media goes directly between them. One offer is under way
at a time. It is a phone's, which the other phone decides (`_asked`), or the server's own (`_own`), by which a
phone learns what a pickup has changed. Meanwhile a phone's is refused (491), and an own one waits (`_later`),
as it does before both have acknowledged. An own offer that is refused with 491 is made again after a pause.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from blfd.core.calls.leg_effects import (
    Acknowledge,
    Answer,
    AnswerOffer,
    Identify,
    Offer,
    RefuseOffer,
    RespondToInfo,
    SendInfo,
)
from blfd.core.calls.leg_inputs import (
    InfoReceived,
    InfoResponseReceived,
    LegAcknowledged,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.calls.media import APART, answering, are_apart, held, moved
from blfd.core.calls.passed_on import fits
from blfd.core.calls.refusals import NOBODY_NOW, of_info, of_offer
from blfd.core.effects import Effect
from blfd.core.values import Headers

PAUSE = 2.05
"""Seconds until an offer that has crossed another's is made again. Phones take up to 2 s, or 2.1 to 4 s where
the Call-ID is theirs (RFC 3261, section 14.1): this is none of theirs."""
TIMES = 5  # times that an offer is made, before its 491 counts as a refusal


class NoAnswer(Exception):
    """A phone was to answer an offer and has not, or not as a call needs it: the call cannot go on.

    It says why, for people.
    """


class Then(Enum):
    """What the SDP in an ACK is for the other phone."""

    ACKNOWLEDGE = auto()  # the answer to what it offered in its 200
    ANSWER = auto()  # the answer to what it offered in its INVITE
    OFFER = auto()  # an offer, as it has SDP of somebody else


class Due(NamedTuple):
    """`offer` is what an `ANSWER` answers."""

    then: Then
    leg: int
    headers: Headers = ()
    offer: bytes | None = None


class Hold(NamedTuple):
    """`leg` has got its way: it holds the other phone now, or no longer."""

    leg: int
    holds: bool


class Asked(NamedTuple):
    """A phone's offer that the other one has, and whether it holds."""

    leg: int
    holds: bool


@dataclass(slots=True)
class Own:
    """An offer of the server's. `vital`: the call cannot go on without its answer; `at_once`: whoever has not
    acknowledged yet. Of what the answer changes the other phone is told, unless this tells it. `follows`: its
    SDP is what the other phone answers to the one before. `acknowledges`: the leg whose 200 has brought what
    is offered, and whose ACK takes the answer."""

    offer: Offer
    vital: bool = False
    at_once: bool = False
    tells: bool = False
    follows: bool = False
    acknowledges: int = 0
    times: int = 0
    not_before: float = 0.0


class OfferAnswer:
    """The offers and answers of two legs; `awaited` are those whose ACK has not come yet."""

    def __init__(self, one: int, other: int) -> None:
        self._other = {one: other, other: one}
        self.awaited: set[int] = set()
        self._due: dict[int, Due] = {}
        self._later: list[Own | Identify] = []
        self._own: Own | None = None
        self._asked: Asked | None = None
        self._vital = 0  # the leg that has to take our offer
        self._told: dict[int, bytes] = {}  # the last SDP that each leg was sent
        self._infos: dict[int, int] = {}  # who waits for the answer to its INFO, by exchange

    def other(self, leg: int) -> int:
        """The leg that `leg` talks with; 0 before both have acknowledged."""
        return 0 if self.awaited else self._other.get(leg, 0)

    @property
    def is_busy(self) -> bool:
        """Whether an offer waits for its answer."""
        return bool(self._asked or self._own)

    @property
    def is_settled(self) -> bool:
        """Whether each phone knows where the other one's media is, and nobody asks for anything else."""
        return not self.is_busy and not any(isinstance(one, Own) for one in self._later)

    def answer(self, answer: Answer) -> Answer:
        """`answer` is sent, so its ACK is awaited."""
        self.awaited.add(answer.leg)
        self.tell(answer.leg, answer.sdp)
        return answer

    def answer_within(self, answer: Answer, offer: bytes | None) -> Answer:
        """`answer` as `offer` allows it, its ACK awaited; the rest is asked for when the call is up."""
        if answer.sdp is None or offer is None:
            return self.answer(answer)
        allowed = answering(answer.sdp, offer)
        if allowed != answer.sdp or held(offer):
            self.later(Offer(answer.leg, answer.sdp, answer.headers))
        return self.answer(answer._replace(sdp=allowed))

    def due(self, leg: int, then: Then, headers: Headers = (), offer: bytes | None = None) -> None:
        """The ACK of `leg` brings SDP that the other one waits for."""
        self._due[leg] = Due(then, self._other[leg], headers, offer)

    def later(self, effect: Offer | Identify) -> None:
        """Have `effect` done when both have acknowledged; of who it is, the last word counts."""
        if isinstance(effect, Identify):
            self._later = [
                one for one in self._later if not (isinstance(one, Identify) and one.leg == effect.leg)
            ]
        self._later.append(self._new(effect) if isinstance(effect, Offer) else effect)

    def at_once(self, offer: Offer, now: float) -> list[Effect]:
        """Make an offer at once, to who has taken part before the other came."""
        own = self._new(offer)
        own.at_once = True
        self._later.insert(0, own)
        return self.next(now)

    def _new(self, offer: Offer) -> Own:
        vital = offer.leg == self._vital
        if vital:
            self._vital = 0
        return Own(offer, vital)

    def replace(self, old: int, new: int) -> tuple[int, list[Effect]]:
        """Put a phone in the place of `old`: the leg that stays, which has to follow, and what it is told."""
        stays = self._other[old]
        self._other = {new: stays, stays: new}
        effects: list[Effect] = []
        if self._asked and self._asked.leg == stays:
            effects.append(RefuseOffer(stays, 491, "Request Pending"))
        effects += [
            RespondToInfo(leg, exchange, *NOBODY_NOW) for exchange, leg in self._infos.items() if leg == stays
        ]
        self._infos.clear()
        self._later.clear()
        self._asked = None
        if self._own and self._own.offer.leg == old:
            self._own = None
        self._vital = stays
        return stays, effects

    def seat(self, old: int, new: int, known: bytes | None) -> None:
        """Put `new` in the place that `old` has kept; what is `known` of it on the other leg is as it was."""
        stays = self._other.pop(old)
        self._other = {new: stays, stays: new}
        self.awaited.discard(old)
        if old in self._due:
            self._due[new] = self._due.pop(old)
        if known:
            self._told.setdefault(stays, known)
        for own in self._later:
            if isinstance(own, Own) and own.offer.leg == old:
                own.offer = own.offer._replace(leg=new)

    def connect(self, offer: Offer, other: Offer | None, now: float) -> list[Effect]:
        """Connect two phones that talked with others: `offer` is what one can send, and what is answered to
        it the other one is asked for by `other`, or where its media moves."""
        due = self._due.pop(offer.leg, None)
        first = Own(offer, vital=True, at_once=True, acknowledges=due.leg if due else 0)
        second = [Own(other, vital=True, at_once=True, follows=True)] if other else []
        self._later[:0] = [first, *second]
        self._vital = 0
        return self.next(now)

    def ask(self, offer: Offer, other: Offer | None, now: float) -> list[Effect]:
        """Ask two phones that are as they were, as far as is known: what one answers to `offer` is what the
        other one is offered by `other`, if it can be told. Nothing depends on it."""
        second = [Own(other, at_once=True, follows=True)] if other else []
        self._later[:0] = [Own(offer, at_once=True, tells=other is None), *second]
        return self.next(now)

    def dissolve(self) -> list[Effect]:
        """The two no longer talk with each other: what one has asked the other is refused."""
        asked = [RefuseOffer(self._asked.leg, 491, "Request Pending")] if self._asked else []
        infos = [RespondToInfo(leg, exchange, *NOBODY_NOW) for exchange, leg in self._infos.items()]
        self._infos.clear()
        self._later.clear()
        self._asked = self._own = None
        self._other = {}
        return [*asked, *infos]

    def acknowledged(self, acknowledged: LegAcknowledged, now: float) -> list[Effect]:
        """Take an ACK. Raises NoAnswer where it lacks the SDP that it was to bring, or that is of no use."""
        leg, sdp, fault = acknowledged
        if leg not in self.awaited:
            return []
        self.awaited.discard(leg)
        effects: list[Effect] = []
        due = self._due.pop(leg, None)
        if due and sdp is None:
            raise NoAnswer(fault or "The ACK has no SDP")
        if due and are_apart(self.told(leg), sdp):
            raise NoAnswer(APART)
        match due:
            case Due(Then.ACKNOWLEDGE, to):
                effects.append(Acknowledge(to, sdp or b""))
            case Due(Then.ANSWER, to, headers, offer):
                effects.append(self.answer_within(Answer(to, sdp, headers), offer))
            case Due(Then.OFFER, to, headers):
                self.later(Offer(to, sdp or b"", headers))
        return [*effects, *self.next(now)]

    # Offers

    def offered(self, offer: OfferReceived) -> list[Effect]:
        """A phone asks for other media: the other one decides."""
        if offer.answered:
            self.later(Offer(self._other[offer.leg], offer.sdp))
            return []
        peer = self.other(offer.leg)
        if not peer or self._asked or self._own:
            return [RefuseOffer(offer.leg, 491, "Request Pending")]
        self._asked = Asked(offer.leg, held(offer.sdp))
        self.tell(peer, offer.sdp)
        return [Offer(peer, offer.sdp)]

    def offer_answered(self, answer: OfferAnswered, now: float) -> tuple[list[Effect], Hold | None]:
        """A phone has decided; raises NoAnswer where the call cannot go on without it."""
        own, asked = self._own, self._asked
        if own and own.offer.leg == answer.leg:
            hold = self._own_answered(own, answer, now)
            return [*self._acknowledged(own, answer.sdp), *self.next(now)], hold
        if asked is None or self._other.get(asked.leg) != answer.leg:
            return [], None
        self._asked = None
        if answer.sdp is None:
            refused = of_offer(answer.status, answer.reason, answer.headers)
            refusal = RefuseOffer(asked.leg, refused.status, refused.reason, refused.headers)
            return [refusal, *self.next(now)], None
        self.tell(asked.leg, answer.sdp)
        return [AnswerOffer(asked.leg, answer.sdp), *self.next(now)], Hold(*asked)

    def _own_answered(self, own: Own, answer: OfferAnswered, now: float) -> Hold | None:
        self._own = None
        leg, sdp = answer.leg, answer.sdp
        follower = self._later[0] if self._later else None
        if sdp is None:
            if answer.status == 491 and own.times < TIMES:
                own.not_before = now + PAUSE
                self._later.insert(0, own)
            elif own.vital:
                raise NoAnswer(f"A phone does not take the other one's media: {answer.status}")
            elif isinstance(follower, Own) and follower.follows:
                known = self._told.get(follower.offer.leg, b"")
                follower.offer, follower.follows = follower.offer._replace(sdp=known), False
            return None
        other = self._other[leg]
        if isinstance(follower, Own) and follower.follows:
            follower.offer = follower.offer._replace(sdp=sdp)
            follower.follows, follower.tells = False, True
        elif not own.tells and moved(self._told.get(other, b""), sdp):
            self._later.append(Own(Offer(other, sdp), tells=True))
        return Hold(leg, held(sdp))

    def _acknowledged(self, own: Own, sdp: bytes | None) -> list[Effect]:
        """The ACK with what a phone has answered, if a leg waits for it. Raises NoAnswer where the answer is
        of no use to that."""
        leg = own.acknowledges
        if not leg or sdp is None:
            return []
        if are_apart(own.offer.sdp, sdp):
            raise NoAnswer(APART)
        self.tell(leg, sdp)
        return [Acknowledge(leg, sdp)]

    def next(self, now: float) -> list[Effect]:
        """What has waited and may be sent now."""
        effects: list[Effect] = []
        while self._later and not self._asked and not self._own:
            first = self._later[0]
            if isinstance(first, Identify):
                if self.awaited:
                    break
                effects.append(first)
            elif (self.awaited and not first.at_once) or first.not_before > now:
                break
            else:
                self._own = first
                first.times += 1
                self.tell(first.offer.leg, first.offer.sdp)
                effects.append(first.offer)
            del self._later[0]
        return effects

    def next_timer(self) -> float | None:
        """When `next` has something to send, if nothing comes before."""
        first = self._later[0] if self._later else None
        if self._asked or self._own or not isinstance(first, Own) or (self.awaited and not first.at_once):
            return None
        return first.not_before

    def told(self, leg: int) -> bytes | None:
        """The last SDP that a leg was sent."""
        return self._told.get(leg)

    def tell(self, leg: int, sdp: bytes | None) -> None:
        if sdp:
            self._told[leg] = sdp

    # INFO

    def info(self, info: InfoReceived) -> Effect:
        peer = self.other(info.leg)
        if not peer:
            return RespondToInfo(info.leg, info.exchange, *NOBODY_NOW)
        self._infos[info.exchange] = info.leg
        return SendInfo(peer, info.exchange, _type(info.content_type), info.body, info.headers)

    def info_response(self, response: InfoResponseReceived) -> list[Effect]:
        leg = self._infos.pop(response.exchange, 0)
        if not leg:
            return []
        status, reason, headers = response.status, response.reason, response.headers
        if status >= 300:
            status, reason, headers, _ = of_info(status, reason, headers)
        kind = _type(response.content_type)
        return [RespondToInfo(leg, response.exchange, status, reason, kind, response.body, headers)]


def _type(content_type: str) -> str:
    return content_type if fits(content_type) else "application/octet-stream"
