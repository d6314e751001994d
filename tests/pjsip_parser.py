"""What PJSIP's parser makes of messages, in a process of its own, which mutated messages may end."""

from __future__ import annotations

from typing import Any

from blfd.pjsip.library import CData, ffi, lib, string, zero

MOST = 65_535
CONTACT, AUTHORIZATION = 9, 6  # pjsip_hdr_e
SIP_SCHEMES = ("sip", "sips")


class Parser:
    """PJSIP's parser, and nothing else of PJSIP."""

    def __init__(self) -> None:
        self._caching_pool = ffi.new("char[8192]")
        lib.pj_log_set_level(0)
        assert lib.pj_init() == 0
        assert lib.pjlib_util_init() == 0
        policy = ffi.addressof(lib, "pj_pool_factory_default_policy")
        lib.pj_caching_pool_init(self._caching_pool, policy, 0)
        endpoint = ffi.new("pjsip_endpoint **")
        assert lib.pjsip_endpt_create(self._caching_pool, b"parser", endpoint) == 0
        lib.pjsip_sip_cfg_var.allow_port_in_fromto_hdr = 1
        self._endpoint = endpoint[0]
        self._pool = lib.pj_pool_create(self._caching_pool, b"parser", 16_000, 16_000, ffi.NULL)
        self._buffer = ffi.new(f"char[{MOST + 1}]")
        self._rdata = ffi.new("pjsip_rx_data *")

    def parse(self, data: bytes) -> dict[str, Any]:
        """The values of a message by name, or only `bad`, the header field for which PJSIP refuses it."""
        rdata, info = self._rdata, self._rdata.msg_info
        lib.pj_pool_reset(self._pool)
        zero(rdata)
        ffi.memmove(self._buffer, data, len(data))
        self._buffer[len(data)] = b"\0"
        rdata.tp_info.pool = self._pool
        info.msg_buf, info.len = self._buffer, len(data)
        errors = ffi.addressof(info, "parse_err")
        errors.prev = errors.next = errors
        msg = info.msg = lib.pjsip_parse_rdata(self._buffer, len(data), rdata)
        if errors.next != errors:
            return {"bad": string(errors.next.hname)}
        if not msg or not (info.cid and info.from_ and info.to and info.via and info.cseq):
            return {"bad": "message"}
        return self._values(msg, info)

    def _values(self, msg: CData, info: CData) -> dict[str, Any]:
        via = info.via
        received = {
            "from": self._address(info.from_),
            "to": self._address(info.to),
            "call_id": string(info.cid.id),
            "cseq": (info.cseq.cseq, string(info.cseq.method.name)),
            "via": (string(via.transport).upper(), string(via.sent_by.host).lower(), via.sent_by.port),
            "via parameters": (
                string(via.branch_param),
                string(via.recvd_param),
                string(via.maddr_param),
                via.rport_param,
                via.ttl_param,
            ),
            "contacts": [
                ("*",)
                if contact.star or not contact.uri
                else self._uri(contact.uri.vptr.p_get_uri(contact.uri))
                for contact in self._all(msg, CONTACT, "pjsip_contact_hdr *")
            ],
        }
        if msg.type:
            return {**received, "status": msg.line.status.code}
        return {
            **received,
            "method": string(msg.line.req.method.name),
            "target": self._uri(msg.line.req.uri),
            "max_forwards": info.max_fwd.ivalue if info.max_fwd else None,
            "credentials": [
                (string(one.digest.username), string(one.digest.response), string(one.digest.nc))
                for one in self._all(msg, AUTHORIZATION, "pjsip_authorization_hdr *")
                if string(one.scheme).lower() == "digest"
            ],
        }

    @staticmethod
    def _all(msg: CData, kind: int, struct: str) -> list[CData]:
        found = []
        head = ffi.addressof(msg, "hdr")
        header = lib.pjsip_msg_find_hdr(msg, kind, ffi.NULL)
        while header:
            found.append(ffi.cast(struct, header))
            following = ffi.cast("pjsip_hdr *", header).next
            header = ffi.NULL if following == head else lib.pjsip_msg_find_hdr(msg, kind, following)
        return found

    def _address(self, header: CData) -> tuple[Any, ...]:
        name_addr = header.uri
        return (*self._uri(name_addr.uri), string(name_addr.display), string(header.tag))

    @staticmethod
    def _uri(uri: CData) -> tuple[Any, ...]:
        scheme = string(uri.vptr.p_get_scheme(uri)[0]).lower()
        if scheme not in SIP_SCHEMES:
            return (scheme,)
        sip = ffi.cast("pjsip_sip_uri *", uri)
        return (scheme, string(sip.user), string(sip.host).lower(), sip.port)


_parsers: list[Parser] = []


def parse_all(messages: list[bytes]) -> list[dict[str, Any]]:
    """Parse messages in a worker process, which keeps its parser."""
    if not _parsers:
        _parsers.append(Parser())
    return [_parsers[0].parse(data) for data in messages]
