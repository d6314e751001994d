"""What a request is to the core."""

from __future__ import annotations

from blfd.core import messages
from blfd.core.calls.passed_on import HEARD
from blfd.core.errors import Refusal
from blfd.core.inputs import Input
from blfd.core.messages import (
    InviteReceived,
    NotifyReceived,
    PublishReceived,
    ReferReceived,
    RegisterReceived,
    RequestReceived,
    ResponseReceived,
    SubscribeReceived,
)
from blfd.core.values import Flow, Headers, Redirect
from blfd.sip import bodies, grammar, headers, identities
from blfd.sip.grammar import BadHeader
from blfd.sip.message import Message, Request, Response

MOST_CONTACTS = 10  # of a 3xx
TARGETED = frozenset(
    ("INVITE", "NOTIFY", "REFER", "REGISTER", "SUBSCRIBE")
)  # their Contacts are where requests go
_HEARD = tuple((name, name.lower()) for name in HEARD)
_HEARD_KEYS = frozenset(key for _, key in _HEARD)


def said(message: Message) -> Headers:
    """The header fields of a call's message that the core decides about."""
    fields = message.fields
    if _HEARD_KEYS.isdisjoint(fields):  # as in nearly all
        return ()
    return tuple((name, value) for name, key in _HEARD if key in fields for value in fields[key])


def redirect(response: Response) -> Redirect | None:
    """Where a 3xx says that the call shall go (RFC 3261, section 21.3); None of any other response."""
    if not 300 <= response.status < 400:
        return None
    found = [one for one in response.contacts if one.uri is not headers.STAR][:MOST_CONTACTS]
    found.sort(key=lambda one: -float(one.parameters.get("q") or 1.0))
    return Redirect(tuple(one.uri for one in found), _reason(response.field("diversion")))


def _reason(diversion: str) -> str:
    try:
        values = headers.name_addrs(diversion) if diversion else ()
    except grammar.BadHeader:
        return ""
    return grammar.unquote(values[0].parameters.get("reason", "")) if values else ""


def request_of(message: Request, flow: Flow, transaction: int) -> messages.Request:
    """What all requests have for the core."""
    return messages.Request(
        transaction,
        flow,
        message.method,
        message.target,
        message.from_,
        message.to,
        message.call_id,
        message.cseq,
        message.credentials,
        message.field("user-agent"),
        identities.addresses(message.fields.get("p-asserted-identity")),
        identities.uris(message.fields.get("p-preferred-identity")),
        identities.privacy(message.fields.get("privacy")),
        message.via.rport is not None,
    )


def remote_target(message: Request) -> str:
    """The URI of the Contact, "" if there is none. Raises Refusal for what cannot be a target (RFC 3261,
    sections 8.1.1.8 and 19.1.1)."""
    if len(message.contacts) > 1 and message.method != "REGISTER":
        raise Refusal(400, "More than one Contact")
    for one in message.contacts:
        if one.uri.parameter("method") is not None:
            raise Refusal(400, "A Contact with a method")
    return message.contacts[0].uri.text if message.contacts else ""


def response_received(token: str, response: Response) -> ResponseReceived:
    """What a request of ours outside calls has led to."""
    return ResponseReceived(
        token,
        response.status,
        response.reason,
        tuple(response.challenges()),
        tuple(headers.register_contact(one) for one in response.contacts if one.uri is not headers.STAR),
        response.number("expires"),
        response.number("min-expires"),
        response.number("retry-after"),
        response.to.tag,
        response.routes("record-route"),
    )


def as_input(message: Request, flow: Flow, transaction: int, sdp: bytes | None, leg: int = 0) -> Input:
    """The input; `sdp` is the session description of an INVITE, None if it has none, and `leg` the one in
    whose dialog the request came. Raises Refusal."""
    request = request_of(message, flow, transaction)
    contact = remote_target(message) if message.method in TARGETED else ""
    match message.method:
        case "SUBSCRIBE":
            package, parameters = grammar.with_parameters(message.field("event"))
            return SubscribeReceived(
                request,
                package,
                parameters.get("id", ""),
                message.tokens("accept"),
                message.expires,
                contact,
                message.routes("record-route"),
                message.content_type,
                message.body,
            )
        case "PUBLISH":
            return PublishReceived(
                request,
                grammar.with_parameters(message.field("event"))[0],
                message.values("sip-if-match"),
                message.expires,
                message.content_type,
                message.body,
            )
        case "NOTIFY":
            return _notify(message, request, contact)
        case "REGISTER":
            star = any(one.uri is headers.STAR for one in message.contacts)
            contacts = tuple(
                headers.register_contact(one) for one in message.contacts if one.uri is not headers.STAR
            )
            return RegisterReceived(request, contacts, star, message.expires, message.routes("path"))
        case "INVITE":
            return InviteReceived(
                request,
                sdp,
                70 if message.max_forwards is None else message.max_forwards,
                contact,
                message.values("replaces"),
                "update" in (message.tokens("allow") or ()),
                said(message),
                message.routes("record-route"),
                identities.named(message.fields),
            )
        case "REFER":
            return _refer(message, request, leg)
        case _:
            return RequestReceived(request)


def _notify(message: Request, request: messages.Request, contact: str) -> NotifyReceived:
    state, parameters = grammar.with_parameters(message.field("subscription-state"))
    return NotifyReceived(
        request,
        grammar.with_parameters(message.field("event"))[0],
        state.lower(),
        parameters.get("reason", "").lower(),
        grammar.number(parameters.get("expires", "")),
        grammar.number(parameters.get("retry-after", "")),
        contact,
        message.routes("record-route"),
        message.content_type,
        message.body,
        bodies.related(message) if message.content_type.startswith(bodies.MULTIPART) else (),
    )


def _refer(message: Request, request: messages.Request, leg: int) -> ReferReceived:
    targets, referrers = message.values("refer-to"), message.values("referred-by")
    if len(targets) != 1:
        raise Refusal(400, "More than one Refer-To" if targets else "Refer-To is missing")
    try:
        target = headers.refer_to(targets[0])
    except BadHeader:
        raise Refusal(400, "Refer-To cannot be read, or names more than one") from None
    try:
        referrer = headers.referred_by(referrers[0]) if referrers else None
    except BadHeader:  # it says who transfers, which is known
        referrer = None
    subscribes = message.field("refer-sub").partition(";")[0].strip(" ").lower() != "false"
    return ReferReceived(request, leg, target, referrer, subscribes)
