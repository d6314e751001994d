"""Values to octets: the one place where text becomes a message (RFC 3261, sections 7 and 8).

No start line and no header value gets a control character, whatever the values are that came from peers or
people, so none can end its line: `clean` makes values fit, and `uris.bracketed` URIs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from blfd.core.effects import Notify
from blfd.core.values import TRANSPORTS, Flow, Headers, SubscriptionDialog
from blfd.core.visible import visible
from blfd.sip import headers, uris
from blfd.sip.grammar import BadHeader, clean
from blfd.sip.message import Malformed, Request, Unread
from blfd.sip.phrases import PHRASES
from blfd.sip.via import Via, stamped

LONGEST_REASON = 160  # characters of a reason phrase; the values of peers in it are shorter, see `visible`
UNREAD_TAG = "unread"
"""Our tag in responses to what is not read: the same each time, as they are kept nowhere (8.2.7)."""
_is_loose = re.compile(r"<[^<>]*;lr[;=>]").match  # as all proxies of today write their routes
_has_tag = re.compile(r"; *tag *=", re.IGNORECASE).search

# Where a response goes


def is_symmetric(via: Via, flow: Flow) -> bool:
    """Whether the sender is reached at the port that it sent from: it says so, or is behind a NAT."""
    return via.rport is not None or via.host != flow.host


def response_flow(via: Via | None, flow: Flow) -> Flow:
    """Where the response to a request goes that came by `flow` (RFC 3261, section 18.2.2; RFC 3581).

    A `maddr` is not followed: no phone gives one, and whoever does would have us send to where he likes.
    """
    if flow.transport != "udp" or via is None or is_symmetric(via, flow):
        return flow
    return flow._replace(port=via.port or 5060)


def reopened_flow(via: Via, flow: Flow) -> Flow:
    """Where a response goes over a new connection: to the port at which its sender listens by its Via."""
    return flow._replace(port=via.port or TRANSPORTS[flow.transport].default_port)


def _stamped(via: Via, line: str, flow: Flow) -> str:
    """The topmost Via line as the response has it; `line` may have other values after the first."""
    top = stamped(via, flow.host, flow.port if is_symmetric(via, flow) else 0)
    if len(line) == len(via.text):
        return top
    _, _, others = line.partition(via.text)
    return top + others


def stamped_vias(request: Request, flow: Flow) -> list[str]:
    """The Via lines of a request that came by `flow`, as a response has them."""
    top, *others = request.fields["via"]
    return [_stamped(request.via, top, flow), *others]


class Writer:
    """Writes messages as `product`, which is our Server and User-Agent."""

    def __init__(self, product: str) -> None:
        self._server = f"Server: {clean(product)}\r\n"
        self._user_agent = f"User-Agent: {clean(product)}\r\n"

    def response(
        self,
        request: Request,
        flow: Flow,
        status: int,
        reason: str = "",
        to_tag: str = "",
        more: Headers = (),
        content_type: str = "",
        body: bytes = b"",
    ) -> bytes:
        """A response with what it must copy (RFC 3261, sections 8.2.6 and 12.1.1).

        `reason` is the status' own phrase if it is empty. `to_tag` is put where the request has none.
        """
        fields, via = request.fields, request.via
        vias = fields["via"]
        top = vias[0]
        if top[-6:] == ";rport" and via.rport == 0 and not via.received and top == via.text:
            top = f"{top}={flow.port};received={flow.host}"  # as nearly all phones ask for it
        else:
            top = _stamped(via, top, flow)
        if len(vias) > 1:
            top = "\r\nVia: ".join((top, *vias[1:]))
        tag = f";tag={to_tag}" if to_tag and status > 100 and not request.to.tag else ""
        lines = self._server
        if "record-route" in fields and 100 < status < 300:
            lines += "".join([f"Record-Route: {value}\r\n" for value in fields["record-route"]])
        if more:
            lines += _lines(more)
        if content_type:
            lines += f"Content-Type: {clean(content_type)}\r\n"
        return (
            f"SIP/2.0 {status} {_phrase(status, reason)}\r\nVia: {top}\r\nFrom: {fields['from'][0]}\r\n"
            f"To: {fields['to'][0]}{tag}\r\nCall-ID: {request.call_id}\r\nCSeq: {fields['cseq'][0]}\r\n"
            f"{lines}Content-Length: {len(body)}\r\n\r\n"
        ).encode("utf-8", "surrogateescape") + body

    def response_unread(
        self, unread: Unread, flow: Flow, status: int, reason: str = "", more: Headers = ()
    ) -> bytes:
        """A response to what is not read: malformed, or too much."""
        first, *others = unread.vias
        lines = [f"SIP/2.0 {status} {_phrase(status, reason)}"]
        lines += [f"Via: {_stamped(unread.via, first, flow) if unread.via else first}"]
        lines += [f"Via: {value}" for value in others]
        if unread.from_:
            lines.append(f"From: {unread.from_}")
        if unread.to:
            lines.append(f"To: {unread.to}" if _has_tag(unread.to) else f"To: {unread.to};tag={UNREAD_TAG}")
        if unread.call_id:
            lines.append(f"Call-ID: {unread.call_id}")
        if unread.cseq:
            lines.append(f"CSeq: {unread.cseq}")
        lines.append(f"{self._server}{_lines(more)}Content-Length: 0\r\n\r\n")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape")

    def response_malformed(self, bad: Malformed, flow: Flow) -> bytes | None:
        """The response that tells what is wrong; None where there can be none."""
        if bad.unread is None:
            return None
        reason = f"Bad Request: {bad.fault}" if bad.status == 400 else ""
        return self.response_unread(bad.unread, flow, bad.status, reason)

    def request(
        self,
        method: str,
        target: str,
        via: str,
        from_: str,
        to: str,
        call_id: str,
        cseq: int,
        more: Headers = (),
        route_set: Sequence[str] = (),
        body: bytes = b"",
    ) -> bytes:
        """A request outside calls. `from_` and `to` are what `headers.name_addr` gives."""
        uri, routes = _routed(target, route_set) if route_set else (uris.request_uri(target), "")
        lines = _lines(more)
        return (
            f"{method} {uri} SIP/2.0\r\nVia: {via}\r\n{routes}Max-Forwards: 70\r\n"
            f"From: {from_}\r\nTo: {to}\r\nCall-ID: {clean(call_id)}\r\nCSeq: {cseq} {method}\r\n"
            f"{lines}{self._user_agent}Content-Length: {len(body)}\r\n\r\n"
        ).encode("utf-8", "surrogateescape") + body

    def notify(self, notify: Notify, head: NotifyHead, branch: str) -> bytes:
        """A NOTIFY (RFC 6665, section 4.2.2); `head` is that of its dialog, `branch` that of its Via."""
        cseq, expires, reason, content_type, body = notify[3:8]
        before, between, after = head
        if expires is not None:
            state = f"active;expires={expires}"
        else:
            state = f"terminated;reason={clean(reason)}" if reason else "terminated"
        kind = f"Content-Type: {clean(content_type)}\r\n" if content_type else ""
        return (
            f"{before}{branch}{between}{cseq}{after}{state}\r\n{kind}{self._user_agent}"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode("utf-8", "surrogateescape") + body


class NotifyHead(NamedTuple):
    """What the NOTIFYs of a subscription have in common: the text before the branch, from there to the number
    of CSeq, and on to Subscription-State."""

    before: str
    between: str
    after: str


def notify_head(dialog: SubscriptionDialog, sent_by: str, contact: str) -> NotifyHead:
    """The head of NOTIFYs; `sent_by` is what the Via begins with, `contact` the value of Contact."""
    (call_id, local_tag, remote_tag), local, remote, target, route_set, event = dialog
    uri, routes = _routed(target, route_set) if route_set else (uris.request_uri(target), "")
    return NotifyHead(
        f"NOTIFY {uri} SIP/2.0\r\nVia: {sent_by};rport;branch=",
        f"\r\n{routes}Max-Forwards: 70\r\nFrom: {headers.name_addr(local, local_tag)}\r\n"
        f"To: {headers.name_addr(remote, remote_tag)}\r\nCall-ID: {clean(call_id)}\r\nCSeq: ",
        f" NOTIFY\r\nContact: {contact}\r\nEvent: {clean(event)}\r\nSubscription-State: ",
    )


def sipfrag(status: int, reason: str) -> bytes:
    """The start line of a response, which is all of it that a NOTIFY of a REFER has (RFC 3515, 2.4.5)."""
    return f"SIP/2.0 {status} {_phrase(status, reason)}\r\n".encode("utf-8", "surrogateescape")


def _phrase(status: int, reason: str) -> str:
    return visible(reason, LONGEST_REASON) if reason else PHRASES.get(status, "Refused")


def _lines(more: Iterable[tuple[str, str]]) -> str:
    return "".join([f"{name}: {value if value.isprintable() else clean(value)}\r\n" for name, value in more])


def _routed(target: str, route_set: Sequence[str]) -> tuple[str, str]:
    """The Request-URI and the Route lines (RFC 3261, section 12.2.1.1)."""
    first = route_set[0]
    if not _is_loose(first):
        try:
            routes = [route for value in route_set for route in headers.name_addrs(value)]
        except BadHeader:  # stored by a version that read less closely
            routes = []
        if routes and routes[0].uri.parameter("lr") is None:  # a strict router of RFC 2543
            rest = (*(route.text for route in routes[1:]), f"<{uris.bracketed(target)}>")
            return uris.request_uri(routes[0].uri.text), _lines([("Route", route) for route in rest])
    return uris.request_uri(target), _lines([("Route", route) for route in route_set])
