"""What peers say, but for what happens on legs, as plain values: those of `inputs` that are SIP messages."""

from __future__ import annotations

from typing import NamedTuple

from blfd.core.values import Address, Flow, Headers, Uri


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

    `asserted` are the values of P-Asserted-Identity, `preferred` the URIs of P-Preferred-Identity, `privacy`
    the values of Privacy in lower case. `asks_rport`: the topmost Via has `rport` (RFC 3581).
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
    asserted: tuple[Address, ...] = ()
    preferred: tuple[Uri, ...] = ()
    privacy: frozenset[str] = frozenset()
    asks_rport: bool = True


class RegisterContact(NamedTuple):
    """One Contact of a REGISTER; `expires` is None where the parameter is absent.

    `instance` is its +sip.instance, with the reg-id if there is one (RFC 5626), "" where absent.
    """

    uri: str
    q: float = 1.0
    expires: int | None = None
    instance: str = ""


class RegisterReceived(NamedTuple):
    """A REGISTER; `star`: the Contact is `*`."""

    request: Request
    contacts: tuple[RegisterContact, ...] = ()
    star: bool = False
    expires: int | None = None
    path: tuple[str, ...] = ()


class SubscribeReceived(NamedTuple):
    """A SUBSCRIBE; `event` is the package's name, `event_id` its id parameter (RFC 6665, section 8.2.1).

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
    """A PUBLISH (RFC 3903); `event` is the package's name, `if_match` the values of SIP-If-Match;
    `content_type` is in lower case and without parameters."""

    request: Request
    event: str
    if_match: tuple[str, ...]
    expires: int | None
    content_type: str
    body: bytes


class Part(NamedTuple):
    """A part of a body in parts: `id` is its Content-ID without brackets, `content_type` as in a message."""

    id: str
    content_type: str
    content: bytes


class NotifyReceived(NamedTuple):
    """A NOTIFY; `event` is the package's name, `content_type` in lower case and without parameters. The four
    after `event` are what Subscription-State says, in lower case, "" and None where it does not; "" is taken
    as active. `parts` are those of a multipart body."""

    request: Request
    event: str
    state: str
    reason: str
    expires: int | None
    retry_after: int | None
    contact: str
    record_route: tuple[str, ...] = ()
    content_type: str = ""
    body: bytes = b""
    parts: tuple[Part, ...] = ()


class ProfileWanted(NamedTuple):
    """A phone that has no files yet asks all who hear it where they are: SUBSCRIBE by multicast (RFC 6080).

    `event` is the Event header as it came, `contact` the phone's.
    """

    request: Request
    event: str
    contact: str


class NotifyResponseReceived(NamedTuple):
    """The final response to the NOTIFY in flight; `status` is 408 when none came (timer F)."""

    subscription: str
    status: int
    retry_after: int | None = None


class ResponseReceived(NamedTuple):
    """The final response to a `SendRequest`; `status` is 408 without a `reason` when none came, and 503 where
    there is no connection. `contacts` and `expires` are of a REGISTER or SUBSCRIBE, `min_expires` of a 423.
    """

    token: str
    status: int
    reason: str = ""
    challenges: tuple[Challenge, ...] = ()
    contacts: tuple[RegisterContact, ...] = ()
    expires: int | None = None
    min_expires: int | None = None
    retry_after: int | None = None
    to_tag: str = ""
    record_route: tuple[str, ...] = ()


class InviteReceived(NamedTuple):
    """An INVITE outside a dialog. `offer` is its SDP, None for a delayed offer.

    `replaces` are the values of Replaces as they came (RFC 3891); `allows_update`: Allow names UPDATE.
    `named` are the URIs, or numbers as tel URIs, of header fields of which nothing else is asked, by their
    names in lower case.
    """

    request: Request
    offer: bytes | None
    max_forwards: int
    contact: str
    replaces: tuple[str, ...] = ()
    allows_update: bool = False
    headers: Headers = ()
    record_route: tuple[str, ...] = ()
    named: tuple[tuple[str, Uri], ...] = ()


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
