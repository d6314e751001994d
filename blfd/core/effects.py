"""What to do: everything that the core can ever ask for. Performed in order by the server."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from blfd.core.calls.attempts import Attempt
from blfd.core.directory import Rule
from blfd.core.messages import ProfileWanted
from blfd.core.saved import Kept, SavedLeg, SavedPublication, SavedSubscription
from blfd.core.values import (
    Account,
    Aor,
    Binding,
    Flow,
    Headers,
    NameAddr,
    Reason,
    Server,
    SubscriptionDialog,
)


class Level(IntEnum):
    """Severity of a log line, with the values of `logging`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Log(NamedTuple):
    """One line for the operator."""

    level: Level
    text: str


class Reply(NamedTuple):
    """Answer a request. `to_tag` is given where the answer creates or belongs to a dialog.

    `contact_user` is the user in our Contact (`own_contact`); None for no Contact. `once`: who is answered
    has proved nothing, so that nothing is repeated until an ACK comes (RFC 3261, section 26.3.2.4).
    """

    transaction: int
    status: int
    reason: str = ""
    headers: Headers = ()
    to_tag: str = ""
    contact_user: str | None = None
    once: bool = False


class Ignore(NamedTuple):
    """Do not answer this request at all (a source that is kept in silence)."""

    transaction: int


class LetIn(NamedTuple):
    """The phone of a leg has sent this request (`MovedReceived`): the leg is there now, and takes it."""

    transaction: int
    leg: int


class FindProfile(NamedTuple):
    """Look up where the files of the phone with this address are; `ProfileFound` comes back.

    The request is held until `Reply` or `Ignore`.
    """

    wanted: ProfileWanted
    mac: str


class Locate(NamedTuple):
    """Look up where a server is; `Located` comes back, in some seconds at the latest."""

    server: Server


class SetRules(NamedTuple):
    """Store rules that an extension has set by its phone; `RulesSet` comes back with `number`."""

    number: int
    aor: Aor
    rules: tuple[Rule, ...]


class SaveBindings(NamedTuple):
    """Persist the complete list of contacts of an AOR; an empty one removes it."""

    aor: Aor
    bindings: tuple[Binding, ...]


class SaveSubscription(NamedTuple):
    """Persist a subscription; None removes it."""

    key: str
    saved: SavedSubscription | None


class SavePublication(NamedTuple):
    """Persist a publication under its entity-tag; None removes it."""

    etag: str
    saved: SavedPublication | None


class TellSaved(NamedTuple):
    """Say when all is stored that was to be before; `Saved` comes back with `number`, soon."""

    number: int


class SaveCalls(NamedTuple):
    """Persist calls that are up, or have a leg that is, by number, all at once; None removes one."""

    calls: dict[int, Kept | None]


class SavePickup(NamedTuple):
    """Persist how an attempt to pick up ended."""

    attempt: Attempt


class Notify(NamedTuple):
    """Send one NOTIFY; the notifier has put at most one in flight for a subscription.

    `subscription` is "" where nothing depends on the response. `expires` is in seconds, None where the
    subscription is over, for `reason` (RFC 6665, section 4.1.3; "" for none). `contact_user` is the user in
    our Contact.
    """

    subscription: str
    flow: Flow
    dialog: SubscriptionDialog
    cseq: int
    expires: int | None
    reason: str = ""
    content_type: str = ""
    body: bytes = b""
    contact_user: str = ""


class SendRequest(NamedTuple):
    """Send a request outside calls, other than NOTIFY; `RequestAnswered` always comes back with `token`.

    `contact` is the user of our Contact and the parameters of its URI; None for no Contact. `remote_tag` is
    that of To, inside a dialog.
    """

    token: str
    flow: Flow
    method: str
    target: str
    from_: NameAddr
    to: NameAddr
    call_id: str
    local_tag: str
    cseq: int
    headers: Headers = ()
    route_set: tuple[str, ...] = ()
    contact: tuple[str, str] | None = None
    remote_tag: str = ""


class NotifyAll(NamedTuple):
    """Send all of these: what many watchers are told of one change is one effect."""

    notifies: list[Notify]


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
    """Provisional response on a caller leg."""

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
    """Send INFO in a leg's dialog; `InfoAnswered` comes back with `exchange`."""

    leg: int
    exchange: int
    content_type: str
    body: bytes
    headers: Headers = ()


class AnswerInfo(NamedTuple):
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
    | AnswerInfo
    | NotifyLeg
    | Secure
)
"""What is wanted of one leg that there is."""

Effect = (
    OfLeg
    | Log
    | Reply
    | Ignore
    | LetIn
    | FindProfile
    | Locate
    | SetRules
    | SaveBindings
    | SaveSubscription
    | SavePublication
    | TellSaved
    | SaveCalls
    | SavePickup
    | Notify
    | NotifyAll
    | SendRequest
    | Accept
    | MatchMedia
    | FindMedia
    | Dial
    | Adopt
    | Drop
    | ListLegs
    | PhoneMoved
)
