"""What two connected phones ask each other for, from the first 200 of a call on: SDP and INFO.

A phone's SDP is handed on to the other (RFC 3264); media goes directly between them.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from blfd.core.calls.media import held
from blfd.core.calls.passed_on import fits
from blfd.core.calls.refusals import of_info, of_offer
from blfd.core.effects import (
    Acknowledge,
    Answer,
    AnswerInfo,
    AnswerOffer,
    Effect,
    Identify,
    Offer,
    RefuseOffer,
    SendInfo,
)
from blfd.core.inputs import InfoAnswered, InfoReceived, LegAcknowledged, OfferAnswered, OfferReceived
from blfd.core.values import Headers


class NoAnswer(Exception):
    """A phone was to answer an offer and has not, or not as a call needs it: the call cannot go on."""


class Then(Enum):
    """What the SDP in an ACK is for the other phone."""

    ACKNOWLEDGE = auto()  # the answer to what it offered in its 200
    ANSWER = auto()  # the answer to what it offered in its INVITE
    OFFER = auto()  # an offer, as it has SDP of somebody else


class Due(NamedTuple):
    then: Then
    leg: int
    headers: Headers = ()


class Hold(NamedTuple):
    """`leg` has got its way: it holds the other phone now, or no longer."""

    leg: int
    holds: bool


class OfferAnswer:
    """Between two legs; `awaited` are those whose ACK has not come yet."""

    def __init__(self, one: int, other: int) -> None:
        self._other = {one: other, other: one}
        self.awaited: set[int] = set()
        self._due: dict[int, Due] = {}
        self._later: list[Offer | Identify] = []
        self._vital = 0  # the leg that has to take our offer
        self._asked = (0, False)  # the leg that waits for the answer to its offer, and whether it holds

    def other(self, leg: int) -> int:
        """The leg that `leg` talks with; 0 before both have acknowledged."""
        return 0 if self.awaited else self._other.get(leg, 0)

    def answer(self, answer: Answer) -> Answer:
        """`answer` is sent, so its ACK is awaited."""
        self.awaited.add(answer.leg)
        return answer

    def due(self, leg: int, then: Then, headers: Headers = ()) -> None:
        """The ACK of `leg` brings SDP that the other one waits for."""
        self._due[leg] = Due(then, self._other[leg], headers)

    def later(self, effect: Offer | Identify) -> None:
        """For when both have acknowledged."""
        self._later.append(effect)

    def replace(self, old: int, new: int) -> int:
        """Another phone has taken the place of `old`; returns the leg that stays, which has to follow."""
        stays = self._other[old]
        self._other = {new: stays, stays: new}
        self._asked = (0, False)
        self._vital = stays
        return stays

    def acknowledged(self, acknowledged: LegAcknowledged) -> list[Effect]:
        """Raises NoAnswer where the ACK lacks the SDP that it was to bring."""
        leg, sdp = acknowledged
        if leg not in self.awaited:
            return []
        self.awaited.discard(leg)
        effects: list[Effect] = []
        due = self._due.pop(leg, None)
        if due and sdp is None:
            raise NoAnswer
        match due:
            case Due(Then.ACKNOWLEDGE, to):
                effects.append(Acknowledge(to, sdp or b""))
            case Due(Then.ANSWER, to, headers):
                effects.append(self.answer(Answer(to, sdp, headers)))
            case Due(Then.OFFER, to, headers):
                self.later(Offer(to, sdp or b"", headers))
        if not self.awaited:
            effects += self._later
            self._later.clear()
        return effects

    def offered(self, offer: OfferReceived) -> list[Effect]:
        """A phone asks for other media: the other one decides."""
        peer = self.other(offer.leg)
        if not peer:
            return [RefuseOffer(offer.leg, 491, "Request Pending")]
        self._asked = (offer.leg, held(offer.sdp))
        return [Offer(peer, offer.sdp)]

    def offer_answered(self, answer: OfferAnswered) -> tuple[list[Effect], Hold | None]:
        """A phone has decided; raises NoAnswer where the call cannot go on without it."""
        leg, holds = self._asked
        if not leg or leg == answer.leg:  # an offer of our own
            if answer.leg == self._vital:
                self._vital = 0
                if answer.sdp is None:
                    raise NoAnswer
            return [], None
        self._asked = (0, False)
        if answer.sdp is None:
            refused = of_offer(answer.status, answer.reason, answer.headers)
            return [RefuseOffer(leg, refused.status, refused.reason, refused.headers)], None
        return [AnswerOffer(leg, answer.sdp)], Hold(leg, holds)

    def info(self, info: InfoReceived) -> Effect:
        peer = self.other(info.leg)
        if not peer:
            return AnswerInfo(info.leg, info.exchange, 481)
        return SendInfo(peer, info.exchange, _type(info.content_type), info.body, info.headers)

    def info_answered(self, answer: InfoAnswered) -> list[Effect]:
        peer, status, reason, headers = self.other(answer.leg), answer.status, answer.reason, answer.headers
        if not peer:
            return []
        if status >= 300:
            status, reason, headers, _ = of_info(status, reason, headers)
        kind = _type(answer.content_type)
        return [AnswerInfo(peer, answer.exchange, status, reason, kind, answer.body, headers)]


def _type(content_type: str) -> str:
    return content_type if fits(content_type) else "application/octet-stream"
