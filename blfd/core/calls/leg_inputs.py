"""What happened on a leg, as plain values: those of `inputs` that are about calls."""

from __future__ import annotations

from typing import NamedTuple

from blfd.core.saved import SavedLeg
from blfd.core.values import Address, DialogId, Headers, Redirect


class LegAccepted(NamedTuple):
    """A caller leg is made: `tag` is our To tag. What PJSIP refuses ends with LegEnded instead."""

    leg: int
    tag: str


class MediaMatched(NamedTuple):
    """What `MatchMedia` has found for a picker's `leg`; without `fits` they cannot talk, and `why` says more.

    `to_peer` and `to_picker` are the SDP to send each: answers where both had offered, else the other's
    offer for who had none (and None for who made it). `again` is for a re-INVITE to the picker afterwards,
    None where both number their payload types alike.
    """

    leg: int
    fits: bool
    to_peer: bytes | None = None
    to_picker: bytes | None = None
    again: bytes | None = None
    why: str = ""


class MediaFound(NamedTuple):
    """What `FindMedia` has found: an offer of all that the phone of `leg` can send, as if nobody held it.

    None where the leg is gone, or its phone has said nothing yet.
    """

    leg: int
    sdp: bytes | None


class LegProgress(NamedTuple):
    """A provisional response above 100 came on a callee leg, from the phone that `dialog` is with.

    `who` is said to be there, None where nothing is said.
    """

    leg: int
    status: int
    reason: str
    dialog: DialogId
    sdp: bytes | None
    headers: Headers = ()
    who: Address | None = None


class LegTrying(NamedTuple):
    """The other end of a callee leg has our INVITE: 100 came."""

    leg: int


class LegAnswered(NamedTuple):
    """A callee leg is answered; `sdp` is the phone's: an answer, or an offer if `Dial` had none.

    `fault`: what is wrong with the body that came, which is of no use. `who` is said to have answered.
    """

    leg: int
    dialog: DialogId
    sdp: bytes | None
    headers: Headers = ()
    fault: str = ""
    who: Address | None = None


class LegIdentified(NamedTuple):
    """A phone, or what is behind it, says who is there by now, and asks for nothing."""

    leg: int
    who: Address


class LegAcknowledged(NamedTuple):
    """The ACK of an INVITE that we took came; `sdp` is what it carries, None if it carries none.

    `fault`: what is wrong with the body that came, which is of no use.
    """

    leg: int
    sdp: bytes | None
    fault: str = ""


class LegEnded(NamedTuple):
    """The dialog of a leg is over: refused, cancelled, hung up or failed; `status` says how.

    `headers` are those of the response, CANCEL or BYE, `redirect` is what a 3xx says. `silent`: there was
    none, the other side is not heard. `fault`: why the server has ended it, for the operator, and for the
    phones in a Reason.
    """

    leg: int
    status: int
    reason: str
    headers: Headers = ()
    silent: bool = False
    fault: str = ""
    redirect: Redirect | None = None


class LegFault(NamedTuple):
    """What went wrong on a leg, and its call survives, for the operator."""

    leg: int
    fault: str


class LegDescribed(NamedTuple):
    """What has to be kept of a leg that is up, where that has changed."""

    leg: int
    saved: SavedLeg


class LegsListed(NamedTuple):
    """All legs that there are, those among them that are ending."""

    legs: frozenset[int]


class OfferReceived(NamedTuple):
    """A phone asks for other media (re-INVITE or UPDATE) and waits for `AnswerOffer` or `RefuseOffer`.

    `answered`: it has asked before the call was up (PRACK or UPDATE), and got what it had been told already.
    `who` is said to be there by now.
    """

    leg: int
    sdp: bytes
    answered: bool = False
    who: Address | None = None


class OfferAnswered(NamedTuple):
    """A phone answered our `Offer`: `sdp` on 200, None on refusal with `status`."""

    leg: int
    status: int
    sdp: bytes | None
    reason: str = ""
    headers: Headers = ()


class InfoReceived(NamedTuple):
    """INFO on a leg, to be answered by `RespondToInfo` with the same `exchange`.

    `content_type` is the header's value, "" where there is no body.
    """

    leg: int
    exchange: int
    content_type: str
    body: bytes
    headers: Headers = ()


class InfoResponseReceived(NamedTuple):
    """The final response to our `SendInfo`, with the body that it may have (RFC 6086, section 4.2.2)."""

    leg: int
    exchange: int
    status: int
    reason: str = ""
    content_type: str = ""
    body: bytes = b""
    headers: Headers = ()


class LegNotified(NamedTuple):
    """The final response to our `NotifyLeg`; `status` is 408 when none came."""

    leg: int
    exchange: int
    status: int


LegInput = (
    LegAccepted
    | MediaMatched
    | MediaFound
    | LegNotified
    | LegTrying
    | LegProgress
    | LegAnswered
    | LegIdentified
    | LegAcknowledged
    | LegEnded
    | LegFault
    | OfferReceived
    | OfferAnswered
    | InfoReceived
    | InfoResponseReceived
)
