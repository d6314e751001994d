"""What happened, as plain values: everything that the core is ever told.

`now` is given beside an input, never in it. A `transaction` names the server transaction that a `Reply`
answers; a `leg` is one INVITE dialog and is numbered by the core (`Accept`, `Dial`). `headers` are the fields
of a call's message that are named in `calls.passed_on.HEARD`, as they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from blfd.core.directory import Directory
from blfd.core.saved import SavedCall, SavedLeg, SavedPublication, SavedSubscription
from blfd.core.values import Address, Aor, Binding, DialogId, Flow, Headers, Location, Redirect, Server, Uri


class Credentials(NamedTuple):
    """One Authorization header of scheme Digest (RFC 7616, section 3.4); empty where absent."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = ""
    cnonce: str = ""
    qop: str = ""
    nc: str = ""


class Challenge(NamedTuple):
    """One WWW-Authenticate, or Proxy-Authenticate (`proxy`), of scheme Digest; "" is what it does not say."""

    realm: str
    nonce: str
    algorithm: str = ""
    qop: tuple[str, ...] = ()
    opaque: str = ""
    stale: bool = False
    proxy: bool = False

    @property
    def digest(self) -> str:
        """The name of its algorithm."""
        return self.algorithm.upper() or "MD5"


class Request(NamedTuple):
    """What every request carries.

    `asserted` are the URIs of P-Asserted-Identity, `preferred` those of P-Preferred-Identity, `called` those
    of P-Called-Party-ID (RFC 7315), `privacy` the values of Privacy in lower case. `asks_rport`: the topmost
    Via has `rport` (RFC 3581).
    """

    transaction: int
    flow: Flow
    method: str
    target: Uri
    from_: Address
    to: Address
    call_id: str
    cseq: int
    credentials: tuple[Credentials, ...] = ()
    user_agent: str = ""
    asserted: tuple[Uri, ...] = ()
    preferred: tuple[Uri, ...] = ()
    privacy: frozenset[str] = frozenset()
    asks_rport: bool = True
    called: tuple[Uri, ...] = ()


class RegisterContact(NamedTuple):
    """One Contact of a REGISTER; `expires` is None where the parameter is absent.

    `instance` is its +sip.instance, with the reg-id if there is one (RFC 5626), "" where absent.
    """

    uri: str
    q: float = 1.0
    expires: int | None = None
    instance: str = ""


class RegisterReceived(NamedTuple):
    """`star`: the Contact is `*`."""

    request: Request
    contacts: tuple[RegisterContact, ...] = ()
    star: bool = False
    expires: int | None = None
    path: tuple[str, ...] = ()


class SubscribeReceived(NamedTuple):
    """`event` is the package's name, `event_id` its id parameter (RFC 6665, section 8.2.1).

    `content_type` is in lower case and without parameters, "" where there is no body.
    """

    request: Request
    event: str
    event_id: str
    accept: tuple[str, ...] | None
    expires: int | None
    contact: str
    record_route: tuple[str, ...] = ()
    content_type: str = ""
    body: bytes = b""


class PublishReceived(NamedTuple):
    """`event` is the package's name, `if_match` the values of SIP-If-Match; `content_type` is in lower case
    and without parameters (RFC 3903)."""

    request: Request
    event: str
    if_match: tuple[str, ...]
    expires: int | None
    content_type: str
    body: bytes


class ProfileWanted(NamedTuple):
    """A phone that has no files yet asks all who hear it where they are: SUBSCRIBE by multicast (RFC 6080).

    `event` is the Event header as it came, `contact` the phone's.
    """

    request: Request
    event: str
    contact: str


class ProfileFound(NamedTuple):
    """What `FindProfile` has found: `url` is where the phone's files are.

    None: no such phone is known. "": the phone knows it already, as it has fetched them.
    """

    wanted: ProfileWanted
    mac: str
    url: str | None


class RulesSet(NamedTuple):
    """What has become of `SetRules`: `status` is 200 where they hold now, else a refusal's."""

    number: int
    status: int
    reason: str = ""


class NotifyAnswered(NamedTuple):
    """The final response to the NOTIFY in flight; `status` is 408 when none came (timer F)."""

    subscription: str
    status: int
    retry_after: int | None = None


class NotifyLost(NamedTuple):
    """The NOTIFY in flight will have no response: there is no connection to `flow`, by which it was sent."""

    subscription: str
    flow: Flow


class RequestAnswered(NamedTuple):
    """The final response to a `SendRequest`; `status` is 408 without a `reason` when none came, and 503 where
    there is no connection. `contacts` and `expires` are of a REGISTER, `min_expires` of a 423."""

    token: str
    status: int
    reason: str = ""
    challenges: tuple[Challenge, ...] = ()
    contacts: tuple[RegisterContact, ...] = ()
    expires: int | None = None
    min_expires: int | None = None
    retry_after: int | None = None


class InviteReceived(NamedTuple):
    """An INVITE outside a dialog. `offer` is its SDP, None for a delayed offer.

    `replaces` are the values of Replaces as they came (RFC 3891); `allows_update`: Allow names UPDATE.
    """

    request: Request
    offer: bytes | None
    max_forwards: int
    contact: str
    replaces: tuple[str, ...] = ()
    allows_update: bool = False
    headers: Headers = ()
    record_route: tuple[str, ...] = ()


class ReferTo(NamedTuple):
    """The target of a REFER, and the values of Replaces that its URI carries (RFC 3515, 3891)."""

    uri: Uri
    replaces: tuple[str, ...] = ()


class ReferredBy(NamedTuple):
    """Who refers, as a REFER says; `text` is the whole value (RFC 3892)."""

    uri: Uri
    text: str


class ReferReceived(NamedTuple):
    """A REFER; `leg` is the one in whose dialog it came, 0 outside calls.

    `subscribes`: its sender wants to be told what becomes of it (RFC 4488).
    """

    request: Request
    leg: int
    refer_to: ReferTo
    referred_by: ReferredBy | None = None
    subscribes: bool = True


class RequestReceived(NamedTuple):
    """Any other request outside a dialog."""

    request: Request


class MovedReceived(NamedTuple):
    """A request with the ids of a leg's dialog, from a place where its phone is not known to be."""

    request: Request
    leg: int


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
    """A provisional response above 100 came on a callee leg, from the phone that `dialog` is with."""

    leg: int
    status: int
    reason: str
    dialog: DialogId
    sdp: bytes | None
    headers: Headers = ()


class LegTrying(NamedTuple):
    """The other end of a callee leg has our INVITE: 100 came."""

    leg: int


class LegAnswered(NamedTuple):
    """A callee leg is answered; `sdp` is the phone's: an answer, or an offer if `Dial` had none.

    `fault`: what is wrong with the body that came, which is of no use.
    """

    leg: int
    dialog: DialogId
    sdp: bytes | None
    headers: Headers = ()
    fault: str = ""


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
    """

    leg: int
    sdp: bytes
    answered: bool = False


class OfferAnswered(NamedTuple):
    """A phone answered our `Offer`: `sdp` on 200, None on refusal with `status`."""

    leg: int
    status: int
    sdp: bytes | None
    reason: str = ""
    headers: Headers = ()


class InfoReceived(NamedTuple):
    """INFO on a leg, to be answered by `AnswerInfo` with the same `exchange`.

    `content_type` is the header's value, "" where there is no body.
    """

    leg: int
    exchange: int
    content_type: str
    body: bytes
    headers: Headers = ()


class InfoAnswered(NamedTuple):
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


class FlowClosed(NamedTuple):
    """A connection is gone, or could not be made."""

    flow: Flow


class CertificateShown(NamedTuple):
    """A connection is there whose peer has a certificate with these names, by somebody whom we trust."""

    flow: Flow
    names: tuple[str, ...]


class FlowReached(NamedTuple):
    """A peer that could not be reached for a while can be now."""

    flow: Flow


class Located(NamedTuple):
    """What `Locate` has found."""

    server: Server
    location: Location


@dataclass(frozen=True, slots=True)
class DirectoryChanged:
    """An administrator changed extensions or tenants."""

    directory: Directory


@dataclass(frozen=True, slots=True)
class BindingsRestored:
    """At start: what the store remembers."""

    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionsRestored:
    """At start, after the directory: what the store remembers, over listeners of now."""

    subscriptions: tuple[SavedSubscription, ...]


@dataclass(frozen=True, slots=True)
class PublicationsRestored:
    """At start, after the directory: what the store remembers."""

    publications: tuple[SavedPublication, ...]


@dataclass(frozen=True, slots=True)
class CallsRestored:
    """At start, after the directory: what the store remembers, over listeners of now.

    Those that are `lost` have an end that no listener leads to any more.
    """

    calls: tuple[SavedCall, ...]
    lost: tuple[SavedCall, ...] = ()


class SyncWanted(NamedTuple):
    """The phones of an extension shall fetch their files: NOTIFY with this Event, outside any dialog."""

    aor: Aor
    event: str


class Drain(NamedTuple):
    """The server stops: calls that are not up end, and all with `hang_up`; with `tell`, watchers are told
    `deactivated`."""

    tell: bool
    hang_up: bool = False


Input = (
    RegisterReceived
    | SubscribeReceived
    | PublishReceived
    | ProfileWanted
    | ProfileFound
    | RulesSet
    | NotifyAnswered
    | NotifyLost
    | RequestAnswered
    | InviteReceived
    | ReferReceived
    | MovedReceived
    | RequestReceived
    | LegAccepted
    | MediaMatched
    | MediaFound
    | LegTrying
    | LegProgress
    | LegAnswered
    | LegAcknowledged
    | LegEnded
    | LegFault
    | LegDescribed
    | LegsListed
    | OfferReceived
    | OfferAnswered
    | InfoReceived
    | InfoAnswered
    | LegNotified
    | FlowClosed
    | FlowReached
    | CertificateShown
    | Located
    | DirectoryChanged
    | BindingsRestored
    | SubscriptionsRestored
    | PublicationsRestored
    | CallsRestored
    | SyncWanted
    | Drain
)
