"""What to do with the legs of calls: those of `effects` that are about them."""

from __future__ import annotations

from typing import NamedTuple

from blfd.core.saved import SavedLeg
from blfd.core.values import Account, Flow, Headers, NameAddr, Reason


class Accept(NamedTuple):
    """Make an INVITE a caller leg: 100 Trying, and a dialog from here on.

    A challenge inside it is answered with `credentials`; `contact_user` is the user in our Contact.
    """

    transaction: int
    leg: int
    contact_user: str
    credentials: Account | None = None


class MatchMedia(NamedTuple):
    """Find what the picker's `leg` and `peer` can send each other; `MediaMatched` comes back."""

    leg: int
    peer: int


class FindMedia(NamedTuple):
    """Say what the phone of a leg can send; `MediaFound` comes back."""

    leg: int


class Dial(NamedTuple):
    """Send an INVITE to one contact. `offer` is None for a delayed offer.

    `route` is the binding's Path (RFC 3327). A challenge is answered with `credentials`; `contact_user` is
    the user in our Contact.
    """

    leg: int
    flow: Flow
    contact: str
    from_: NameAddr
    to: NameAddr
    offer: bytes | None
    headers: Headers = ()
    route: tuple[str, ...] = ()
    credentials: Account | None = None
    contact_user: str = ""


class Adopt(NamedTuple):
    """Make a leg that is up, as an earlier process has left it; requests go by `saved.flow`, and challenges
    are answered with `credentials`; `contact_user` is the user in our Contact."""

    leg: int
    saved: SavedLeg
    contact_user: str
    credentials: Account | None = None


class Progress(NamedTuple):
    """Send a provisional response on a caller leg."""

    leg: int
    status: int
    reason: str
    sdp: bytes | None = None
    headers: Headers = ()


class Answer(NamedTuple):
    """200 on a caller leg; `sdp` answers its offer, is the offer if it made none, and is None when an
    earlier provisional response has carried the answer."""

    leg: int
    sdp: bytes | None
    headers: Headers = ()


class Acknowledge(NamedTuple):
    """ACK a callee leg whose 200 carried the offer, with the answer."""

    leg: int
    sdp: bytes


class HangUp(NamedTuple):
    """End a leg, whatever its state: final response `status`, CANCEL or BYE.

    `cause` is told in CANCEL and BYE. `headers` go into whichever of the three it is.
    """

    leg: int
    status: int = 487
    reason: str = ""
    cause: Reason | None = None
    headers: Headers = ()


class Drop(NamedTuple):
    """Forget a leg that was hung up and does not end, whatever its phone says; `LegEnded` comes back."""

    leg: int


class PhoneMoved(NamedTuple):
    """A phone with one of `contacts`, the newest last, that was reached by `before` is reached by `flow`,
    over `routes`."""

    contacts: tuple[str, ...]
    before: Flow
    flow: Flow
    routes: tuple[str, ...]


class ListLegs(NamedTuple):
    """Say which legs there are; `LegsListed` comes back."""


class Offer(NamedTuple):
    """Ask a phone for other media (re-INVITE); `OfferAnswered` comes back."""

    leg: int
    sdp: bytes
    headers: Headers = ()


class Identify(NamedTuple):
    """Tell a phone with whom it talks now: UPDATE without SDP (RFC 3311; RFC 5876, section 4)."""

    leg: int
    headers: Headers


class AnswerOffer(NamedTuple):
    """200 with `sdp` to the offer that `OfferReceived` told of."""

    leg: int
    sdp: bytes


class RefuseOffer(NamedTuple):
    """Refuse the offer that `OfferReceived` told of; media stays as it was."""

    leg: int
    status: int
    reason: str = ""
    headers: Headers = ()


class Secure(NamedTuple):
    """Take requests of a leg's dialog over TLS alone, and send ours so: its call was made by sips:."""

    leg: int


class SendInfo(NamedTuple):
    """Send INFO in a leg's dialog; `InfoResponseReceived` comes back with `exchange`."""

    leg: int
    exchange: int
    content_type: str
    body: bytes
    headers: Headers = ()


class RespondToInfo(NamedTuple):
    """Answer the INFO that came as `exchange`."""

    leg: int
    exchange: int
    status: int
    reason: str = ""
    content_type: str = ""
    body: bytes = b""
    headers: Headers = ()


class NotifyLeg(NamedTuple):
    """Send NOTIFY in a leg's dialog: what became of its REFER; `LegNotified` comes back with `exchange`.

    `event` is the whole value of Event; `status` and `reason` are of the response to the call that the REFER
    has led to (RFC 3515, section 2.4.5). `expires` is in seconds, None in the last one.
    """

    leg: int
    exchange: int
    event: str
    expires: int | None
    status: int
    reason: str = ""


OfLeg = (
    Progress
    | Answer
    | Acknowledge
    | HangUp
    | Offer
    | Identify
    | AnswerOffer
    | RefuseOffer
    | SendInfo
    | RespondToInfo
    | NotifyLeg
    | Secure
)
"""What is wanted of one leg that there is."""

LegEffect = OfLeg | Accept | MatchMedia | FindMedia | Dial | Adopt | Drop | PhoneMoved | ListLegs
