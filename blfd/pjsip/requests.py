"""What a request is to the core."""

from __future__ import annotations

from blfd.core.calls.passed_on import HEARD
from blfd.core.inputs import Input, InviteReceived, RegisterReceived, RequestReceived, SubscribeReceived
from blfd.core.values import Headers
from blfd.pjsip.message import Message


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
