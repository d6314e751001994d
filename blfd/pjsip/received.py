"""What PJSIP is given of a message: the headers that it needs of a call, the SDP, and no octet more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from socket import inet_aton

from blfd.core import hosts
from blfd.core.challenges import text
from blfd.core.messages import Challenge
from blfd.core.values import Flow
from blfd.pjsip.descriptions import sound
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.library import CData, ffi, lib, zero
from blfd.pjsip.stand_ins import StandIns
from blfd.sip.grammar import QUOTED, TOKEN, is_token
from blfd.sip.headers import name_addrs
from blfd.sip.message import Request, Response
from blfd.sip.uris import request_uri
from blfd.sip.via import Via
from blfd.sip.writer import stamped_vias

LONGEST = 131_072  # octets: what may come, with room for what is written longer here
KNOWN_SOURCES = 100_000
TRUE = ";x-blfd="
"""Before the topmost Via as its response has it, in hexadecimal; PJSIP gets branch and sent-by of it."""
_true_via = re.compile(rb"\r\nVia: [^\r\n]*;x-blfd=([0-9a-f]+)[^\r\n]*").search

MOST_NAMES = 32  # PJSIP_GENERIC_ARRAY_MAX_COUNT: with one more PJSIP takes the whole message for none


def _names(values: Sequence[str]) -> list[str]:
    """Those names of a list that are names, as many as PJSIP has room for."""
    names = [name.strip() for value in values for name in value.split(",")]
    known = [name for name in names if is_token(name)][:MOST_NAMES]
    return [", ".join(known)] if known else []


def _one(pattern: str) -> Callable[[Sequence[str]], list[str]]:
    """The first value, as far as it is what it should be: what stands behind it is not PJSIP's."""
    match = re.compile(pattern, re.A | re.I).match

    def found(values: Sequence[str]) -> list[str]:
        value = match(values[0].strip())
        return [value[1]] if value else []

    return found


_seconds = _one(r"(\d{1,9})\s*(?:;|$)")
_refresher = re.compile(r";\s*refresher\s*=\s*(uac|uas)\s*(?:;|$)", re.I).search


def _session_expires(values: Sequence[str]) -> list[str]:
    """The seconds, and who refreshes where that is said."""
    who = _refresher(values[0])
    return [f"{seconds};refresher={who[1]}" if who else seconds for seconds in _seconds(values)]


_misfit_ttl = re.compile(
    r";ttl(?!=(?:\d{1,2}|1\d\d|2[0-4]\d|25[0-5])(?:[;?>]|$))(?:=[^;?>@\"]*+)?(?=[;?>]|$)", re.I
)
_parameters = re.compile(rf' *+; *+{TOKEN}(?: *+= *+({QUOTED}|[^;"]*+))?')
_may_stand = re.compile(rf" *+|{QUOTED}|{TOKEN} *+").fullmatch


def _readable(parameter: re.Match[str]) -> str:
    return parameter[0] if _may_stand(parameter[1] or "") else ""


def address(text: str) -> str:
    """A name-addr with its parameters, as it came but for those that PJSIP cannot read."""
    if "ttl" in text.lower():
        text = _misfit_ttl.sub("", text)
    before, bracket, behind = text.rpartition(">")
    if not bracket:  # it has no brackets, so all parameters are the header's
        before, bracket, behind = text.partition(";")
        behind, bracket = bracket + behind, ""
    if "=" not in behind:
        return text
    return f"{before}{bracket}{_parameters.sub(_readable, behind)}"


def _routes(values: Sequence[str]) -> list[str]:
    return [address(one.text) for value in values for one in name_addrs(value)]


READ: dict[str, tuple[str, Callable[[Sequence[str]], Sequence[str]]]] = {
    "record-route": ("Record-Route", _routes),
    "contact": ("Contact", lambda values: values),
    "max-forwards": ("Max-Forwards", _one(r"(\d{1,9})$")),
    "require": ("Require", _names),
    "supported": ("Supported", _names),
    "allow": ("Allow", _names),
    "session-expires": ("Session-Expires", _session_expires),
    "min-se": ("Min-SE", _seconds),
    "rseq": ("RSeq", _one(r"(\d{1,10})$")),
    "rack": ("RAck", _one(rf"(\d{{1,10}} +\d{{1,10}} +{TOKEN})$")),
}
"""What PJSIP reads of a message inside a call, and what of it PJSIP is given: all else passes it by.

A header field that it cannot read has it refuse the whole message, so a BYE would end nothing and a 200 be no
answer. Those that nothing depends on are left out where they are malformed (RFC 3261, section 8.2.2).
"""


class Received:
    """One pjsip_rx_data, filled anew for each message; PJSIP copies what it keeps."""

    def __init__(self, endpoint: Endpoint, stand_ins: StandIns) -> None:
        self._endpoint, self._stand_ins = endpoint, stand_ins
        self._pool = endpoint.pool(b"rdata", 16_000)
        self.pj = ffi.new("pjsip_rx_data *")
        zero(self.pj)
        self.pj.tp_info.pool = self._pool
        self._buffer = ffi.new(f"char[{LONGEST + 1}]")
        self._parse_errors = ffi.addressof(self.pj.msg_info, "parse_err")
        self._info_view = ffi.buffer(ffi.addressof(self.pj, "msg_info"))
        self._modules_view = ffi.buffer(ffi.addressof(self.pj, "endpt_info"))
        self._zero_info = bytes(len(self._info_view))
        self._zero_modules = bytes(len(self._modules_view))
        self._sources: dict[str, tuple[int, bytes]] = {}  # number and text of an address
        self._handled = ffi.new("pj_bool_t *")
        self.given = 0  # messages since the start

    def fill(self, octets: bytes, flow: Flow, transport: CData) -> bool:
        """Have PJSIP parse `octets`; whether it takes them for a message."""
        pj, info, length = self.pj, self.pj.msg_info, len(octets)
        if length > LONGEST:
            return False
        self.given += 1
        lib.pj_pool_reset(self._pool)
        self._info_view[:] = self._zero_info
        self._modules_view[:] = self._zero_modules
        pj.tp_info.transport = transport
        source = self._set_source(flow)
        ffi.memmove(self._buffer, octets, length)
        self._buffer[length] = b"\0"
        info.msg_buf, info.len = self._buffer, length
        errors = self._parse_errors
        errors.prev = errors.next = errors
        info.msg = lib.pjsip_parse_rdata(self._buffer, length, pj)
        if not info.msg or errors.next != errors or not self._is_whole():
            return False
        via = info.via.recvd_param
        if via.slen == 0:  # PJSIP asserts that there is one
            via.ptr, via.slen = pj.pkt_info.src_name, source
        return True

    def _is_whole(self) -> bool:
        info = self.pj.msg_info
        return bool(info.cid and info.from_ and info.to and info.via and info.cseq)

    def process(self) -> bool:
        """Give what was filled to PJSIP's layers; whether one of them took it."""
        self._handled[0] = 0
        lib.pjsip_endpt_process_rx_data(self._endpoint.pj, self.pj, ffi.NULL, self._handled)
        return bool(self._handled[0])

    def _set_source(self, flow: Flow) -> int:
        """Note where a message came from; returns the octets of the address."""
        packet, host = self.pj.pkt_info, self._stand_ins.of(flow.host)
        known = self._sources.get(host)
        if known is None:
            if len(self._sources) > KNOWN_SOURCES:
                self._sources.clear()
            known = self._sources[host] = int.from_bytes(inet_aton(host), "little"), host.encode() + b"\0"
        address, text = known
        ffi.memmove(packet.src_name, text, len(text))
        packet.src_port = flow.port
        source = packet.src_addr
        source.family, source.addr = 2, address
        source.port = (flow.port & 0xFF) << 8 | flow.port >> 8
        packet.src_addr_len = 16
        return len(text) - 1


def octets_of(
    message: Request | Response,
    flow: Flow,
    sdp: bytes | None,
    challenges: Iterable[Challenge] = (),
    branch: str = "",
) -> bytes:
    """A message as PJSIP gets it, with the challenges that it is to answer, and a response with its `branch`.

    A response to a request goes to where it is said to come from.
    """
    fields = message.fields
    if isinstance(message, Request):
        # PJSIP refuses sips: where the Contact is sip:, as makers write it; what that asks for is the core's.
        target = message.target.text
        target = f"sip{target[4:]}" if message.target.scheme == "sips" else target
        first = f"{message.method} {address(target)} SIP/2.0"
        top, *others = stamped_vias(message, flow)
        vias = [_plain_via(message.via, flow, top), *others]
    else:
        first = f"SIP/2.0 {message.status} {message.reason}"
        first_via, *others = fields["via"]
        vias = [first_via.replace(message.via.branch, branch, 1), *others]
    lines = [first, *(f"Via: {via}" for via in vias)]
    lines += [f"From: {address(fields['from'][0])}", f"To: {address(fields['to'][0])}"]
    lines.append(f"Call-ID: {message.call_id}")
    lines.append(f"CSeq: {message.cseq} {message.method}")
    for name, (title, readable) in READ.items():
        if name in fields:
            values = _contacts(message, flow) if name == "contact" else readable(fields[name])
            lines += [f"{title}: {value}" for value in values]
    lines += [f"{'Proxy' if one.proxy else 'WWW'}-Authenticate: {text(one)}" for one in challenges]
    if sdp:
        sdp = sound(sdp)
        lines.append("Content-Type: application/sdp")
    lines += [f"Content-Length: {len(sdp or b'')}", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + (sdp or b"")


def target(message: Request | Response, flow: Flow) -> str:
    """Where the sender of a message has its dialog's requests sent, "" where it does not say.

    By a flow without TLS nothing could be sent to sips:, so that counts as sip:, by the way that is there;
    and what is no SIP URI leads nowhere (RFC 3261, section 8.1.1.8).
    """
    uri = message.contacts[0].uri if message.contacts else None
    if uri is None or uri.scheme not in ("sip", "sips"):
        return ""
    return f"sip{uri.text[4:]}" if uri.scheme == "sips" and not flow.is_secure else uri.text


def _contacts(message: Request | Response, flow: Flow) -> Sequence[str]:
    """The values of Contact, as PJSIP can send requests there: its parameters are not PJSIP's."""
    redirects = isinstance(message, Response) and message.status >= 300
    if redirects or not message.contacts:
        return message.fields["contact"]
    found = target(message, flow)
    return [address(f"<{request_uri(found)}>")] if found else []


def _plain_via(via: Via, flow: Flow, true: str) -> str:
    """The topmost Via without what would lead PJSIP elsewhere than to the source, `true` with it."""
    port = f":{via.port}" if via.port else ""
    branch = f";branch={via.branch}" if via.branch else ""
    sent_by = f"SIP/2.0/{via.transport} {hosts.written(via.host)}{port}"
    return f"{sent_by};rport={flow.port}{branch}{TRUE}{true.encode('utf-8', 'surrogateescape').hex()}"


def true_via(response: bytes) -> bytes:
    """A response that PJSIP has printed, with the Via that its request had."""
    found = _true_via(response)
    if found is None:
        return response
    via = bytes.fromhex(found[1].decode())
    return b"".join((response[: found.start()], b"\r\nVia: ", via, response[found.end() :]))
