"""A received message: parsed by PJSIP, read into the core's values, answered with what must be copied."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from socket import inet_aton

from blfd.core.inputs import Credentials, RegisterContact, Request
from blfd.core.values import TRANSPORTS, Address, Flow, Uri
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.library import CData, encode, ffi, lib, raw, string, zero
from blfd.pjsip.octets import fault_of, fault_of_lines, fields_of, text_of, without_other_credentials
from blfd.transport.framing import MAX_MESSAGE

AUTHORIZATION, CONTACT, PROXY_AUTHORIZATION = 6, 9, 27  # pjsip_hdr_e

NO_EXPIRES = 0xFFFFFFFF  # PJSIP_EXPIRES_NOT_SPECIFIED
PRINT_BUFFER = 16_384
IN_CONTACT = 2  # pjsip_uri_context_e: parameters and port are printed

SIP_URI = ffi.typeof("pjsip_sip_uri *")
_RPORT = re.compile(rb"[ \t]*;[ \t]*rport(?:[ \t]*=[ \t]*\d*)?(?![\w-])", re.I)
_NUMBER = re.compile(rb"\s*(\d{1,10})(?![\w.])")
_ESCAPED = re.compile(r"\\(.)")


class Message:
    """One pjsip_rx_data, filled anew by `parse` for each message; what it yields does not outlive it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._pool = endpoint.pool(b"rdata", 16_000)
        self.pj = ffi.new("pjsip_rx_data *")
        zero(self.pj)
        self.info = self.pj.msg_info
        self.pj.tp_info.pool = self._pool
        self._parse_errors = ffi.addressof(self.info, "parse_err")
        self._info_view = ffi.buffer(ffi.addressof(self.pj, "msg_info"))
        self._modules_view = ffi.buffer(ffi.addressof(self.pj, "endpt_info"))
        self._zero_info = bytes(len(self._info_view))
        self._zero_modules = bytes(len(self._modules_view))
        self._buffer = ffi.new(f"char[{MAX_MESSAGE + 1}]")  # PJSIP wants a final zero
        self._printed = ffi.new(f"char[{PRINT_BUFFER}]")
        self._sources: dict[str, int] = {}
        self._fields: dict[bytes, list[bytes]] = {}
        self._lists: dict[bytes, tuple[str, ...]] = {}
        self.method = self.to_tag = self._key = ""

    def parse(self, data: bytes, flow: Flow, transport: CData) -> str:
        """Parse `data`; "" if sound, else what is wrong."""
        r, info, length, buffer = self.pj, self.info, len(data), self._buffer
        if length > MAX_MESSAGE:
            return f"more than {MAX_MESSAGE} octets"
        ffi.memmove(buffer, data, length)
        lib.pj_pool_reset(self._pool)
        self._info_view[:] = self._zero_info
        self._modules_view[:] = self._zero_modules
        r.tp_info.transport = transport
        self._set_source(flow)
        info.msg_buf, info.len = buffer, length
        errors = self._parse_errors
        errors.prev = errors.next = errors
        buffer[length] = b"\0"
        self.data, self.flow, self._key = data, flow, ""
        fault = fault_of_lines(data)
        if fault:
            return fault
        msg = info.msg = lib.pjsip_parse_rdata(buffer, length, r)
        if errors.next != errors:
            known = without_other_credentials(data)
            if known != data:  # PJSIP stumbles over schemes that it does not know
                return self.parse(known, flow, transport)
            return f"bad {string(errors.next.hname) or 'header'} in line {errors.next.line}"
        if not msg:
            return "not a SIP message"
        self._fields = fields_of(data)
        if msg.type:
            return self._missing() or self._response_fault()
        return self._missing() or fault_of(data, self._fields) or self._request_fault()

    def _set_source(self, flow: Flow) -> None:
        packet, host = self.pj.pkt_info, flow.host
        address = self._sources.get(host)
        if address is None:
            if len(self._sources) > 100_000:
                self._sources.clear()
            address = self._sources[host] = int.from_bytes(inet_aton(host), "little")
        octets = host.encode()
        ffi.memmove(packet.src_name, octets + b"\0", len(octets) + 1)
        packet.src_port = flow.port
        source = packet.src_addr
        source.family, source.addr = 2, address
        source.port = (flow.port & 0xFF) << 8 | flow.port >> 8
        packet.src_addr_len = 16

    def _missing(self) -> str:
        info = self.info
        if info.cid and info.from_ and info.to and info.via and info.cseq:
            return "" if info.cid.id.slen else "empty Call-ID"
        fields = {"Call-ID": info.cid, "From": info.from_, "To": info.to, "Via": info.via}
        return f"no {next((name for name, header in fields.items() if not header), 'CSeq')}"

    def _response_fault(self) -> str:
        return "" if 100 <= self.info.msg.line.status.code < 700 else "status out of range"

    def _request_fault(self) -> str:
        info = self.info
        self.method = string(info.msg.line.req.method.name)
        self.to_tag = string(info.to.tag)
        if string(info.cseq.method.name) != self.method:
            return "CSeq names another method"
        via = info.via
        via.recvd_param.ptr, via.recvd_param.slen = self.pj.pkt_info.src_name, len(self.flow.host)
        behind_nat = string(via.sent_by.host) != self.flow.host
        if via.rport_param == 0 or (via.rport_param < 0 and behind_nat):
            via.rport_param = self.flow.port
        return ""

    @property
    def is_request(self) -> bool:
        return bool(self.info.msg.type == 0)

    @property
    def call_id(self) -> str:
        return string(self.info.cid.id) if self.info.cid else ""

    @property
    def status(self) -> int:
        """Of a response."""
        return int(self.info.msg.line.status.code)

    @property
    def reason(self) -> str:
        """Of a response."""
        return string(self.info.msg.line.status.reason)

    @property
    def key(self) -> str:
        """Matches a request to its server transaction (RFC 3261, section 17.2.3)."""
        self._key = self._key or self._make_key()
        return self._key

    def _make_key(self) -> str:
        via = self.info.via
        branch = string(via.branch_param)
        if branch.startswith("z9hG4bK") and len(branch) > 7:
            return f"{branch}|{string(via.sent_by.host)}|{via.sent_by.port}|{self.method}"
        info = self.info
        sender = f"{string(via.sent_by.host)}|{via.sent_by.port}"
        return f"{sender}|{string(info.cid.id)}|{string(info.from_.tag)}|{info.cseq.cseq}|{self.method}"

    @property
    def body(self) -> bytes:
        body = self.info.msg.body
        return bytes(ffi.buffer(ffi.cast("char *", body.data), body.len)) if body != ffi.NULL else b""

    @property
    def sdp(self) -> bytes | None:
        """The session description, also out of a multipart body; None if there is none."""
        kind = self.content_type
        if kind == "application/sdp":
            return self.body or None
        if kind.startswith("multipart/"):
            return raw(lib.pjsip_rdata_get_sdp_info(self.pj).body) or None
        return None

    @property
    def content_type(self) -> str:
        if self.info.ctype == ffi.NULL:
            return ""
        media = self.info.ctype.media
        return f"{string(media.type)}/{string(media.subtype)}".lower()

    def all(self, kind: int, struct: str) -> Iterator[CData]:
        """Every header of one type, as PJSIP has parsed it."""
        msg = self.info.msg
        head = ffi.addressof(msg, "hdr")
        header = lib.pjsip_msg_find_hdr(msg, kind, ffi.NULL)
        while header:
            found = ffi.cast("pjsip_hdr *", header)
            yield ffi.cast(struct, found)
            if found.next == head:
                return
            header = lib.pjsip_msg_find_hdr(msg, kind, found.next)

    def fields(self, name: bytes) -> tuple[str, ...]:
        """The values of a header, given by its long name in lower case."""
        values = self._fields.get(name)
        return tuple(text_of(value) for value in values) if values else ()

    def field(self, name: bytes) -> str:
        """The first value of a header, "" if absent."""
        values = self._fields.get(name)
        return text_of(values[0]) if values else ""

    def number(self, name: bytes) -> int | None:
        """The number that a header begins with, None if absent; PJSIP has refused what is none."""
        values = self._fields.get(name)
        found = _NUMBER.match(values[0]) if values else None
        return int(found[1]) if found else None

    def list(self, name: bytes) -> tuple[str, ...]:
        """The elements of a comma-separated header, without parameters, in lower case."""
        value = b",".join(self._fields.get(name, ()))
        found = self._lists.get(value)
        if found is None:  # what phones write is a small set
            parts = (part.partition(";")[0].strip().lower() for part in text_of(value).split(","))
            found = tuple(part for part in parts if part)
            if len(self._lists) < 1000:
                self._lists[value] = found
        return found

    def has(self, name: bytes) -> bool:
        return name in self._fields

    def max_forwards(self, default: int) -> int:
        header = self.info.max_fwd
        return int(header.ivalue) if header else default

    def record_routes(self) -> tuple[str, ...]:
        """The values of Record-Route, topmost first."""
        return self.fields(b"record-route")

    def contact_uri(self) -> str:
        """The first Contact's URI, "" if there is none."""
        values = self._fields.get(b"contact")
        if not values:
            return ""
        if len(values) == 1 and values[0].count(b"<") == 1:
            return text_of(_between_brackets(values[0]))
        for header in self.all(CONTACT, "pjsip_contact_hdr *"):
            if header.uri and not header.star:
                return self.uri_text(header.uri.vptr.p_get_uri(header.uri))
        return ""

    def register_contacts(self) -> tuple[bool, tuple[RegisterContact, ...]]:
        """Whether a Contact is `*`, and all the others."""
        star, found = False, []
        for header in self.all(CONTACT, "pjsip_contact_hdr *"):
            if header.star or not header.uri:
                star = True
                continue
            expires = int(header.expires)
            found.append(
                RegisterContact(
                    self.uri_text(header.uri.vptr.p_get_uri(header.uri)),
                    header.q1000 / 1000 if header.q1000 else 1.0,
                    None if expires == NO_EXPIRES else expires,
                )
            )
        return star, tuple(found)

    def request(self, transaction: int) -> Request:
        info = self.info
        return Request(
            transaction,
            self.flow,
            self.method,
            self._uri(info.msg.line.req.uri, self.data.split(b" ", 2)[1]),
            self._address(info.from_, self._fields[b"from"][0]),
            self._address(info.to, self._fields[b"to"][0]),
            string(info.cid.id),
            info.cseq.cseq,
            self._credentials(),
            self.field(b"user-agent"),
        )

    def _credentials(self) -> tuple[Credentials, ...]:
        found = []
        for name, kind in ((b"authorization", AUTHORIZATION), (b"proxy-authorization", PROXY_AUTHORIZATION)):
            if name not in self._fields:
                continue
            for given in self.all(kind, "pjsip_authorization_hdr *"):
                if string(given.scheme).lower() == "digest":
                    d = given.digest
                    found.append(
                        Credentials(
                            string(d.username),
                            string(d.realm),
                            string(d.nonce),
                            string(d.uri),
                            string(d.response),
                            string(d.algorithm),
                            string(d.cnonce),
                            string(d.qop),
                            string(d.nc),
                        )
                    )
        return tuple(found)

    def _address(self, header: CData, value: bytes) -> Address:
        name_addr = header.uri
        uri = self._uri(name_addr.uri, _between_brackets(value))
        display = string(name_addr.display)
        if "\\" in display:
            display = _ESCAPED.sub(r"\1", display)
        return Address(uri, display, string(header.tag))

    def _uri(self, uri: CData, written: bytes) -> Uri:
        """`written` is the URI as it came, b"" where that is not plain to see."""
        text = text_of(written) if written else self.uri_text(uri)
        scheme = text.partition(":")[0].lower()
        if scheme not in ("sip", "sips"):
            return Uri(text, scheme, "", "", 0)
        uri = ffi.cast(SIP_URI, uri)
        return Uri(text, scheme, string(uri.user), string(uri.host).lower(), uri.port)

    def uri_text(self, uri: CData) -> str:
        length = uri.vptr.p_print(IN_CONTACT, uri, self._printed, PRINT_BUFFER)
        octets: bytes = ffi.unpack(self._printed, max(length, 0))
        return octets.decode("utf-8", "surrogateescape")

    def answer(self, status: int, reason: str, to_tag: str, headers: Iterable[str]) -> bytes:
        """The response to this request as octets (RFC 3261, section 8.2.6): what must be copied is."""
        fields = self._fields
        via = self.info.via
        top, *others = fields[b"via"]
        first, comma, rest = top.partition(b",")
        if via.rport_param > 0:
            first = _RPORT.sub(b"", first) + b";rport=%d" % via.rport_param
        first += b";received=%b" % self.flow.host.encode()
        lines = [b"SIP/2.0 %d %b" % (status, encode(reason)), b"Via: " + first + comma + rest]
        lines += [b"Via: " + value for value in others]
        if status < 300:
            lines += [b"Record-Route: " + value for value in fields.get(b"record-route", ())]
        to = fields[b"to"][0]
        if not self.to_tag and status > 100:
            to += b";tag=" + to_tag.encode()
        lines += [
            b"From: " + fields[b"from"][0],
            b"To: " + to,
            b"Call-ID: " + fields[b"call-id"][0],
            b"CSeq: " + fields[b"cseq"][0],
        ]
        lines += map(encode, headers)
        lines += [b"Content-Length: 0", b"", b""]
        return b"\r\n".join(lines)

    def answer_flow(self) -> Flow:
        """Where the response goes (RFC 3261, section 18.2.2; RFC 3581), NAT or not."""
        via = self.info.via
        if TRANSPORTS[self.flow.transport].connected or via.rport_param > 0:
            return self.flow
        return self.flow._replace(port=via.sent_by.port or 5060)


def _between_brackets(value: bytes) -> bytes:
    """The URI of a name-addr, b"" for an addr-spec; PJSIP has found the header sound."""
    start = value.rfind(b"<")
    return value[start + 1 : value.find(b">", start)] if start >= 0 else b""
