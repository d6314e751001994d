"""SIPp scenarios of phones that watch 102, pick up its calls and transfer theirs, each as its maker's do.

The shapes are those of traces and manuals; a header that decides nothing is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

SDP = """v=0
o=- 3 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 6000 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
"""
REPLACES = "Replaces: [$call_id];to-tag=[$remote_tag];from-tag=[$local_tag]"
CAPTURED = {
    "call_id": ' call-id="([^"]*)"',
    "local_tag": ' local-tag="([^"]*)"',
    "remote_tag": ' remote-tag="([^"]*)"',
    "target": '<remote>.*<target uri="([^"]*)"',
}
QUOTED = {'"': "&quot;"}  # SIPp reads an attribute to the next double quote
HOST = "[remote_ip]:[remote_port]"
WATCHED, TARGET, CODE = f"sip:102@{HOST}", "[$target]", f"sip:*97102@{HOST}"


@dataclass(frozen=True)
class Phone:
    """A maker's phone: header lines in `subscribe`, `invite` and `refer`, and the URI `pressed` of its key.

    A phone that `stays` waits for the end of its transfer, and does not hang up when the target rings.
    """

    user_agent: str
    subscribe: tuple[str, ...]
    pressed: str = CODE
    invite: tuple[str, ...] = ()
    refer: tuple[str, ...] = ()
    stays: bool = True

    @property
    def is_told(self) -> bool:
        """Whether NOTIFYs tell the phone how its transfer goes."""
        return "Refer-Sub: false" not in self.refer


_ECHOED = ("[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]")

_YEALINK = Phone(
    "Yealink SIP-T46G 28.82.0.20",
    ("Accept: application/dialog-info+xml", "Expires: 1800"),
)
_POLYCOM = Phone(
    "PolycomVVX-VVX_450-UA/5.9.0.9373",
    ("Accept: application/dialog-info+xml", "Accept-Language: en", "Expires: 3600"),
)
_GRANDSTREAM = Phone(
    "Grandstream GXP2170 1.0.11.3",
    (
        "Accept: application/dialog-info+xml, multipart/related, application/rlmi+xml",
        "Supported: replaces, path, timer, eventlist",
        "Expires: 120",
    ),
)
_SNOM = Phone("snom821/873_19_20130321", ("Accept: application/dialog-info+xml", "Expires: 3600"))
_SPA = Phone("Linksys/SPA962-6.1.5(a)", ("Accept: application/dialog-info+xml", "Expires: 1800"))
_POLYCOMS = (
    "Supported: replaces, 100rel",
    "Allow-Events: conference,talk,hold",
    "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, MESSAGE, SUBSCRIBE, NOTIFY, PRACK, UPDATE, REFER",
)


def _by(phone: Phone, pressed: str, *invite: str) -> Phone:
    return Phone(phone.user_agent, phone.subscribe, pressed, invite)


WATCHERS = {"yealink": _YEALINK, "polycom": _POLYCOM, "grandstream": _GRANDSTREAM}

PICKERS = {
    "yealink, code": _by(_YEALINK, CODE),
    "yealink, dialoginfo_callpickup": _by(_YEALINK, TARGET, REPLACES, "Supported: replaces"),
    "polycom, legacy": _by(_POLYCOM, f"{CODE};user=phone", *_POLYCOMS),
    "polycom, native": _by(_POLYCOM, TARGET, REPLACES, "Require: replaces", *_POLYCOMS),
    "grandstream, prefix": _by(_GRANDSTREAM, CODE, "Supported: replaces, path, timer"),
    "grandstream, Replaces": _by(_GRANDSTREAM, WATCHED, REPLACES, "Supported: replaces, path, timer"),
    "snom, blf 102|*97": _by(_SNOM, CODE, "Supported: timer, 100rel, replaces, from-change"),
    "snom, Replaces": _by(_SNOM, TARGET, f"{REPLACES};early-only", "Require: replaces"),
    "snom, remote target": _by(_SNOM, TARGET),
    "cisco spa, code": _by(_SPA, CODE),
    "cisco spa, Replaces": _by(_SPA, TARGET, REPLACES, "Supported: replaces"),
}


BY = f"Referred-By: <sip:[field0]@{HOST}>"

TRANSFERRING = {
    "yealink": replace(_YEALINK, refer=(f"Refer-To: <sip:103@{HOST}>", BY, "Event: refer")),
    "polycom": replace(_POLYCOM, refer=(f"Refer-To: sip:103@{HOST}", BY, *_POLYCOMS)),
    "snom": replace(
        _SNOM,
        refer=(f"Refer-To: <sip:103@{HOST};user=phone>", BY, "Allow-Events: talk, hold, refer"),
        stays=False,
    ),
    "grandstream": replace(_GRANDSTREAM, refer=(f'Refer-To: "103" <sip:103@{HOST}>', BY)),
    "cisco spa": replace(_SPA, refer=(f"Refer-To: <sip:103@{HOST};transport=udp>", BY)),
    "without a subscription": replace(
        _SPA, refer=(f"r: <sip:103@{HOST}>", "Refer-Sub: false", "Supported: norefersub")
    ),
}
"""A blind transfer, or the BLF key of 103 pressed in a call: how each writes it (the key sends the same)."""


def transferring(phone: Phone) -> str:
    """The scenario of a phone that calls 102, and transfers it to 103 when it is up."""
    called = WATCHED
    head = _request(phone, "INVITE", called, f"<{called}>", "call")
    body = SDP.replace("\n", "\n      ")
    in_dialog, tag = f"<{called}>;tag=[$tag]", _checks({"tag=(.*)": "whole,tag"}, "To:")
    refer = _joined(_request(phone, "REFER", "[next_url]", in_dialog, "call", 2), *phone.refer)
    progress = (_told(phone, "100"), _told(phone, "180")) if phone.is_told else ()
    bye = _request(phone, "BYE", "[next_url]", in_dialog, "call", 3)
    leaves = (_send(_joined(bye)), '<recv response="200"/>')
    is_left = (
        f'<recv request="BYE" timeout="60000"><action>{_checks({"BYE": "whole"}, "CSeq:")}</action></recv>',
        _send(_joined("SIP/2.0 200 OK", *_ECHOED), again=False),
    )
    return _scenario(
        _send(f"{_joined(head, *phone.invite, 'Content-Type: application/sdp')}\n\n      {body}"),
        '<recv response="100" optional="true"/>',
        '<recv response="180" optional="true"/>',
        f'<recv response="200" rrs="true"><action>{tag}</action></recv>',
        _send(_joined(_request(phone, "ACK", "[next_url]", in_dialog, "call")), again=False),
        _send(refer),
        f'<recv response="{202 if phone.is_told else 200}"/>',
        *progress,
        *((*((_told(phone, "200"),) if phone.is_told else ()), *is_left) if phone.stays else leaves),
    )


def told_mark(status: str) -> str:
    """The name of the file that SIPp writes when it has been told this status of its transfer."""
    return f"told-{status}"


def _told(phone: Phone, status: str) -> str:
    """The step where a NOTIFY of its transfer comes, and its 200 goes."""
    wanted = _checks({f"^SIP/2.0 {status} ": "whole"}) + _checks({"refer": "whole"}, "Event:")
    reply = _joined("SIP/2.0 200 OK", *_ECHOED, f"User-Agent: {phone.user_agent}")
    said = f'<exec command="touch {told_mark(status)}"/>'
    received = f'<recv request="NOTIFY" timeout="60000"><action>{wanted}{said}</action></recv>'
    return f"{received}\n{_send(reply, again=False)}"


def watching(phone: Phone) -> str:
    """The scenario of a key that is idle, ringing, talking and idle again, and checks every NOTIFY."""
    states = ("terminated", "early", "confirmed", "terminated")
    return _scenario(_subscribe(phone), *(_notified(phone, state) for state in states))


def picking_up(phone: Phone) -> str:
    """The scenario of a key that flashes and is pressed; the call is up for a moment, and is hung up."""
    called = phone.pressed.replace(TARGET, WATCHED)
    head = _request(phone, "INVITE", phone.pressed, f"<{called}>", "pickup")
    body = SDP.replace("\n", "\n      ")
    invite = _send(f"{_joined(head, *phone.invite, 'Content-Type: application/sdp')}\n\n      {body}")
    in_dialog = f"<{called}>;tag=[$tag]"
    ack = _request(phone, "ACK", "[next_url]", in_dialog, "pickup")
    bye = _request(phone, "BYE", "[next_url]", in_dialog, "pickup", 2)
    identity = _checks({'Name 101" <sip:101@': "whole"}, "P-Asserted-Identity:")
    tag = _checks({"tag=(.*)": "whole,tag"}, "To:")
    return _scenario(
        _subscribe(phone),
        _notified(phone, "terminated"),
        _notified(phone, "early", capture=True),
        invite,
        '<recv response="100" optional="true"/>',
        f'<recv response="200" rrs="true"><action>{identity}{tag}</action></recv>',
        # SIPp fails when the NOTIFY, which is in the same segment, comes before it has sent its ACK
        _notified(phone, "terminated"),
        _send(_joined(ack), again=False),
        _send(_joined(bye)),
        '<recv response="200"/>',
    )


def _scenario(*steps: str) -> str:
    text = "\n".join(steps)
    names = [name for name in ("whole", "tag", *CAPTURED) if f'"{name}"' in text or f",{name}" in text]
    reference = f'<Reference variables="{",".join(names)}"/>'  # SIPp takes an unused one for an error
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="phone">\n{text}\n{reference}\n</scenario>\n'
    )


def _subscribe(phone: Phone) -> str:
    head = _request(phone, "SUBSCRIBE", WATCHED, f"<{WATCHED}>")
    return _send(_joined(head, "Event: dialog", *phone.subscribe)) + '\n<recv response="200"/>'


def _request(phone: Phone, method: str, uri: str, to: str, dialog: str = "watch", number: int = 1) -> str:
    """The head of a request; SIPp takes all with the same Call-ID behind `///` for one call of its own."""
    return _joined(
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport",
        f"From: <sip:[field0]@{HOST}>;tag={dialog}[call_number]",
        f"To: {to}",
        f"Call-ID: {dialog}///[call_id]",
        f"CSeq: {number} {method}",
        "Contact: <sip:[field0]@[local_ip]:[local_port]>",
        "Max-Forwards: 70",
        f"User-Agent: {phone.user_agent}",
    )


def _joined(*lines: str) -> str:
    return "\n      ".join(lines)


def _send(text: str, *, again: bool = True) -> str:
    retransmission = ' retrans="500"' if again else ""
    if "application/sdp" in text:
        text = text.replace("Content-Type", "Content-Length: [len]\n      Content-Type", 1)
    else:
        text += "\n      Content-Length: 0\n"
    return f"<send{retransmission}><![CDATA[\n      {text}\n]]></send>"


def _notified(phone: Phone, state: str, *, capture: bool = False) -> str:
    """The step where a NOTIFY with this state comes, and its 200 goes."""
    wanted = {f"<state>{state}</state>": "whole"}
    if capture:
        wanted |= {expression: f"whole,{name}" for name, expression in CAPTURED.items()}
    kind = _checks({"application/dialog-info.xml": "whole"}, "Content-Type:")
    reply = _joined("SIP/2.0 200 OK", *_ECHOED, f"User-Agent: {phone.user_agent}")
    action = f"<action>{_checks(wanted)}{kind}</action>"
    return f'<recv request="NOTIFY" timeout="60000">{action}</recv>\n{_send(reply, again=False)}'


def _checks(wanted: dict[str, str], header: str = "") -> str:
    place = f'search_in="hdr" header="{header}"' if header else 'search_in="body"'
    found = [
        f'<ereg regexp="{escape(expression, QUOTED)}" {place} check_it="true" assign_to="{names}"/>'
        for expression, names in wanted.items()
    ]
    return "".join(found)
