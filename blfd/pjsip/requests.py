"""What a request is to the core, and what its refusals are called."""

from __future__ import annotations

from http import HTTPStatus

from blfd.core.calls.passed_on import HEARD
from blfd.core.inputs import Input, InviteReceived, RegisterReceived, RequestReceived, SubscribeReceived
from blfd.core.values import Headers
from blfd.pjsip.message import Message

PHRASES = {
    **{status.value: status.phrase for status in HTTPStatus if status.value < 600},
    403: "Forbidden",
    406: "Not Acceptable",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    469: "Bad Info Package",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    501: "Not Implemented",
    603: "Decline",
}


def said(message: Message) -> Headers:
    """The header fields of a call's message that the core decides about."""
    return tuple((name, value) for name in HEARD for value in message.fields(name.lower().encode()))


def as_input(message: Message, method: str, transaction: int) -> Input:
    """The input; `message` holds a sound request of this method."""
    request = message.request(transaction)
    match method:
        case "SUBSCRIBE":
            package, _, parameters = message.field(b"event").partition(";")
            identity = [p.strip()[3:] for p in parameters.split(";") if p.strip()[:3] == "id="]
            return SubscribeReceived(
                request,
                package.strip(),
                identity[0] if identity else "",
                message.list(b"accept") if message.has(b"accept") else None,
                message.number(b"expires"),
                message.contact_uri(),
                message.record_routes(),
            )
        case "REGISTER":
            star, contacts = message.register_contacts()
            expires = message.number(b"expires")
            return RegisterReceived(request, contacts, star, expires, message.fields(b"path"))
        case "INVITE":
            return InviteReceived(
                request,
                message.sdp,
                message.max_forwards(70),
                message.contact_uri(),
                message.fields(b"replaces"),
                "update" in message.list(b"allow"),
                said(message),
            )
        case _:
            return RequestReceived(request)
