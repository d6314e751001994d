"""Proves the declared struct layouts before the server starts.

A layout that is off by one pointer does not crash, it lies; and nothing else would notice a wheel built
otherwise. So known messages are parsed and every field that blfd reads or writes is compared, the
transmit side included: one message goes through PJSIP's transmit path to ourselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from blfd.core.values import UDP, Flow
from blfd.pjsip.adapter import Adapter
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.library import CData, Text, ffi, lib, raw
from blfd.pjsip.received import Received, octets_of
from blfd.pjsip.stand_ins import StandIns
from blfd.sip.message import Request
from blfd.sip.own_uris import OwnUris
from blfd.sip.reader import read
from blfd.transport.addresses import ListenAddress, Source
from blfd.transport.network import Network

VERSION = b"2.15.1"

REQUEST = (
    b"INVITE sip:al%69ce:pw@example.com:5070;user=phone;transport=tcp;lr;maddr=192.0.2.9;x=1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5066;branch=z9hG4bKabc;rport=5099;received=192.0.2.55;"
    b"maddr=192.0.2.8;ttl=7;y=2\r\n"
    b"Record-Route: <sip:192.0.2.7;lr>\r\n"
    b"Route: <sip:192.0.2.6;lr>\r\n"
    b'From: "Bob B" <sip:bob@example.com>;tag=ft\r\n'
    b"To: <sip:alice@example.com>;tag=tt\r\n"
    b"Call-ID: cid@example.com\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Max-Forwards: 69\r\n"
    b"Contact: <sip:bob@192.0.2.1:5066>;q=0.5;expires=77\r\n"
    b"Require: 100rel\r\n"
    b"Supported: timer\r\n"
    b"Accept: application/sdp, text/plain\r\n"
    b"Expires: 3600\r\n"
    b"X-Other: value\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 4\r\n\r\nv=0\n"
)
RESPONSE = (
    b"SIP/2.0 486 Busy Here\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKabc\r\n"
    b"From: <sip:bob@example.com>;tag=ft\r\nTo: <sip:alice@example.com>;tag=tt\r\n"
    b"Call-ID: cid@example.com\r\nCSeq: 7 INVITE\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n"
)
BROKEN = REQUEST.replace(b"Max-Forwards: 69", b"Max-Forwards: ;;")
SOURCE = Flow("udp", "192.0.2.55", 5099)

TIMED = (
    b"%b\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKabc\r\n"
    b"From: <sip:bob@example.com>;tag=ft\r\nTo: <sip:alice@example.com>;tag=tt\r\n"
    b"Call-ID: cid@example.com\r\nCSeq: 7 INVITE\r\nSupported: timer\r\nAllow: INVITE, UPDATE\r\n"
    b"Session-Expires: 1234;refresher=%b\r\nContent-Length: 0\r\n\r\n"
)

OF_IPV6 = (
    b"INVITE sip:102@[2001:db8::2]:5070 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP [2001:db8::9];branch=z9hG4bKabc;rport;maddr=[2001:db8::8]\r\n"
    b"From: <sip:bob@[2001:db8::2]>;tag=ft\r\nTo: <sip:102@[2001:db8::2]>\r\n"
    b"Call-ID: cid@[2001:db8::9]\r\nCSeq: 7 INVITE\r\nContact: <sip:bob@[2001:db8::9]:5066>\r\n"
    b"Content-Length: 0\r\n\r\n"
)
FLOW = Flow("udp", "2001:db8::7", 5099)
SENT_VIA = "SIP/2.0/UDP [2001:db8::9];branch=z9hG4bKabc;maddr=[2001:db8::8];rport=5099;received=2001:db8::7"

Pair = tuple[str, Any, Any]
A_MINUTE = 60


class SelfCheckFailed(Exception):
    """The PJSIP that was found is not the one that blfd was written for."""


def check_layouts(endpoint: Endpoint) -> None:
    """Compare everything; raises SelfCheckFailed with the first difference."""
    found = ffi.string(lib.pj_get_version())
    if found != VERSION:
        raise SelfCheckFailed(f"PJSIP is {found.decode()}, not {VERSION.decode()}: {_ADVICE}")
    received = Received(endpoint, StandIns())
    for pairs in (_request, _response, _broken, _transmitted, _stood_in, _session):
        for name, seen, expected in pairs(received, endpoint):
            if seen != expected:
                raise SelfCheckFailed(f"PJSIP's {name} reads {seen!r}, not {expected!r}: {_ADVICE}")


_ADVICE = "blfd knows the one of pjsua2-python 2.15.1.post1: 'blfd pjsip install' brings it"


def _request(received: Received, endpoint: Endpoint) -> Iterator[Pair]:
    yield "parsed", received.fill(REQUEST, SOURCE, ffi.NULL), True
    info, msg = received.pj.msg_info, received.pj.msg_info.msg
    yield "msg.type", msg.type, 0
    yield "msg.line.req.method.id", msg.line.req.method.id, 0
    yield "msg.line.req.method.name", raw(msg.line.req.method.name), b"INVITE"
    yield "msg_info.len", info.len, len(REQUEST)
    yield "cid.id", raw(info.cid.id), b"cid@example.com"
    yield "from.tag", raw(info.from_.tag), b"ft"
    yield "from.display", raw(info.from_.uri.display), b"Bob B"
    yield "to.tag", raw(info.to.tag), b"tt"
    yield "cseq.cseq", info.cseq.cseq, 7
    yield "cseq.method.name", raw(info.cseq.method.name), b"INVITE"
    yield "max_fwd.ivalue", info.max_fwd.ivalue, 69
    yield "clen.ivalue", info.clen.ivalue, 4
    yield "ctype.media.type", raw(info.ctype.media.type), b"application"
    yield "ctype.media.subtype", raw(info.ctype.media.subtype), b"sdp"
    yield "require", (info.require.count, raw(info.require.values[0])), (1, b"100rel")
    yield "supported", (info.supported.count, raw(info.supported.values[0])), (1, b"timer")
    yield "body", bytes(ffi.buffer(ffi.cast("char *", msg.body.data), msg.body.len)), b"v=0\n"
    yield "body.content_type", raw(msg.body.content_type.subtype), b"sdp"
    yield from _uris(msg.line.req.uri)
    yield from _routing(info)
    yield from _headers(msg)
    modules = received.pj.endpt_info.mod_data
    yield "endpt_info.mod_data", (len(modules), any(modules)), (32, False)
    yield "pkt_info.src_name", ffi.string(received.pj.pkt_info.src_name), SOURCE.host.encode()
    yield "pkt_info.src_port", received.pj.pkt_info.src_port, SOURCE.port


def _uris(uri: CData) -> Iterator[Pair]:
    sip = ffi.cast("pjsip_sip_uri *", uri)
    yield "uri.scheme", raw(sip.vptr.p_get_scheme(sip)[0]), b"sip"
    for name, expected in (
        ("user", b"alice"),
        ("passwd", b"pw"),
        ("host", b"example.com"),
        ("user_param", b"phone"),
        ("transport_param", b"tcp"),
        ("maddr_param", b"192.0.2.9"),
        ("method_param", b""),
    ):
        yield f"uri.{name}", raw(getattr(sip, name)), expected
    yield "uri.port", sip.port, 5070
    yield "uri.ttl_param", sip.ttl_param, -1
    yield "uri.lr_param", sip.lr_param, 1
    yield "uri.other_param", _first(sip.other_param), (b"x", b"1")


def _first(parameters: CData) -> tuple[bytes, bytes]:
    node = ffi.cast("pjsip_param_node *", parameters.next)
    return raw(node.name), raw(node.value)


def _routing(info: CData) -> Iterator[Pair]:
    via = info.via
    yield "via.transport", raw(via.transport), b"UDP"
    yield "via.sent_by", (raw(via.sent_by.host), via.sent_by.port), (b"192.0.2.1", 5066)
    yield "via.ttl_param", via.ttl_param, 7
    yield "via.maddr_param", raw(via.maddr_param), b"192.0.2.8"
    yield "via.branch_param", raw(via.branch_param), b"z9hG4bKabc"
    yield "via.rport_param", via.rport_param, 5099
    yield "via.recvd_param", raw(via.recvd_param), b"192.0.2.55"
    yield "via.other_param", _first(via.other_param), (b"y", b"2")
    for name, host in (("route", b"192.0.2.6"), ("record_route", b"192.0.2.7")):
        uri = ffi.cast("pjsip_sip_uri *", getattr(info, name).name_addr.uri)
        yield name, raw(uri.host), host


def _headers(msg: CData) -> Iterator[Pair]:
    contact = _header(msg, 9, "pjsip_contact_hdr *")
    yield "contact", (contact.star, contact.q1000, contact.expires), (0, 500, 77)
    accept = _header(msg, 0, "pjsip_generic_array_hdr *")
    yield "accept", [raw(accept.values[n]) for n in range(accept.count)], [b"application/sdp", b"text/plain"]
    yield "expires", _header(msg, 18, "pjsip_generic_int_hdr *").ivalue, 3600
    other = _header(msg, 44, "pjsip_generic_string_hdr *")
    yield "X-Other", (raw(other.base.name), raw(other.hvalue)), (b"X-Other", b"value")


def _header(msg: CData, kind: int, struct: str) -> CData:
    """The first header of a type (pjsip_hdr_e)."""
    return ffi.cast(struct, lib.pjsip_msg_find_hdr(msg, kind, ffi.NULL))


def _response(received: Received, endpoint: Endpoint) -> Iterator[Pair]:
    yield "parsed", received.fill(RESPONSE, SOURCE, ffi.NULL), True
    msg = received.pj.msg_info.msg
    line = msg.line.status
    yield "status.code", line.code, 486
    yield "status.reason", raw(line.reason), b"Busy Here"
    yield "retry_after", _header(msg, 32, "pjsip_generic_int_hdr *").ivalue, 9


def _broken(received: Received, endpoint: Endpoint) -> Iterator[Pair]:
    yield "parsed", received.fill(BROKEN, SOURCE, ffi.NULL), False
    error = received.pj.msg_info.parse_err.next
    yield "parse_err", (raw(error.hname), error.line), (b"Max-Forwards", 9)


def _transmitted(received: Received, endpoint: Endpoint) -> Iterator[Pair]:
    """Answer a request through PJSIP, over loopback, and read what arrives and the tdata behind it."""
    network = Network(lambda host, count: True, slowest=30)
    here = network.listen(ListenAddress(UDP.name, "127.0.0.1", 0))
    transport = Adapter(endpoint, network, OwnUris(network)).transport_of(Flow(*here))
    arrived: list[bool] = []

    def receive(data: bytes, source: Source) -> None:
        arrived.append(received.fill(data, Flow._make(source), transport))

    network.receive = receive
    yield from _through(Flow(*here), transport, endpoint)
    network.poll(1.0)
    network.close()
    yield "loopback", arrived, [True]
    yield "loopback status", received.pj.msg_info.msg.line.status.code, 404


def _through(here: Flow, transport: CData, endpoint: Endpoint) -> Iterator[Pair]:
    received = Received(endpoint, StandIns())
    request = REQUEST.replace(b"192.0.2.1:5066", b"%b:%d" % (here.host.encode(), here.port))
    request = request.replace(b";rport=5099;received=192.0.2.55;maddr=192.0.2.8", b"")
    yield "parsed", received.fill(request, here, transport), True
    reason = ffi.new("pj_str_t *", (ffi.new("char[]", b"Gone"), 4))
    tdata = ffi.new("pjsip_tx_data **")
    created = lib.pjsip_endpt_create_response(endpoint.pj, received.pj, 404, ffi.NULL, tdata)
    yield "create_response", created, 0
    yield "tdata.msg", (tdata[0].msg.type, tdata[0].msg.line.status.code), (1, 404)
    yield "tdata.obj_name", ffi.string(tdata[0].obj_name)[:3], b"tdt"
    lib.pjsip_tx_data_dec_ref(tdata[0])
    del reason
    sent = lib.pjsip_endpt_respond_stateless(endpoint.pj, received.pj, 404, ffi.NULL, ffi.NULL, ffi.NULL)
    yield "respond", sent, 0


class _Recorder(Network):
    """A network that keeps what is to be sent, and sends nothing."""

    def __init__(self) -> None:
        super().__init__(lambda host, count: True, slowest=30)
        self.sent: list[tuple[bytes, Source]] = []

    def send(self, data: bytes, flow: Source) -> bool:
        self.sent.append((data, flow))
        return True


def _stood_in(received: Received, endpoint: Endpoint) -> Iterator[Pair]:
    """Refuse an INVITE of an IPv6 phone: what leaves goes to its true address, and has its Via."""
    network = _Recorder()
    network.listen(ListenAddress(UDP.name, "127.0.0.1", 0))
    adapter = Adapter(endpoint, network, OwnUris(network))
    received = Received(endpoint, adapter.stand_ins)
    transport = adapter.transport_of(FLOW)
    invite = read(OF_IPV6)
    assert isinstance(invite, Request), "it is one"
    yield "IPv6 parsed", received.fill(octets_of(invite, FLOW, None), FLOW, transport), True
    target = ffi.cast("pjsip_sip_uri *", received.pj.msg_info.msg.line.req.uri)
    yield "IPv6 uri", (raw(target.host), target.port), (b"2001:db8::2", 5070)
    respond = lib.pjsip_endpt_respond_stateless
    yield "IPv6 respond", respond(endpoint.pj, received.pj, 404, ffi.NULL, ffi.NULL, ffi.NULL), 0
    network.close()
    said = [(read(data), Flow._make(flow)) for data, flow in network.sent]
    yield "IPv6 sent", [(message.via.text, flow) for message, flow in said], [(SENT_VIA, FLOW)]


def _session(received: Received, endpoint: Endpoint) -> Iterator[Pair]:
    """What is read of a dialog and its session timer, and written where one goes on from before the start."""
    texts = [Text(text) for text in ("<sip:a@192.0.2.1>", "<sip:192.0.2.1>", "<sip:b@192.0.2.2>")]
    local, contact, remote = (text.pj for text in texts)
    found = ffi.new("pjsip_dialog **")
    create, agent = lib.pjsip_dlg_create_uac, endpoint.user_agent
    yield "create_uac", create(agent, local, contact, remote, ffi.NULL, found), 0
    dialog, made = found[0], ffi.new("pjsip_inv_session **")
    lib.pjsip_dlg_inc_lock(dialog)
    yield "dialog.local.tag_hval", _hash(dialog.local.info.tag), dialog.local.tag_hval
    parts = (dialog.state, dialog.role, dialog.remote.cseq, dialog.route_set_frozen)
    yield "dialog", parts, (0, 0, -1, 0)
    head = ffi.addressof(dialog.route_set, "base")
    yield "dialog.route_set", (dialog.route_set.base.prev, dialog.route_set.base.next), (head, head)
    yield "inv_create_uac", lib.pjsip_inv_create_uac(dialog, ffi.NULL, 0x82, made), 0
    inv, status = made[0], ffi.new("int *")
    setting = ffi.new("pjsip_timer_setting *", (90, 1800))
    yield "timer_init_session", lib.pjsip_timer_init_session(inv, setting), 0
    yield "inv.sdp_neg_flags", inv.sdp_neg_flags, 0
    timer = inv.timer
    yield "timer", (timer.active, timer.setting.min_se, timer.setting.sess_expires), (0, 90, 1800)
    for first, refresher, process, expected in (
        (b"SIP/2.0 200 OK", b"uac", lib.pjsip_timer_process_resp, (1, 1234, 1, 0)),
        (b"INVITE sip:a@192.0.2.1 SIP/2.0", b"uac", lib.pjsip_timer_process_req, (1, 1234, 1, 1)),
        (b"SIP/2.0 200 OK", b"uas", lib.pjsip_timer_process_resp, (1, 1234, 2, 0)),
    ):
        yield "parsed", received.fill(TIMED % (first, refresher), SOURCE, ffi.NULL), True
        yield "timer processed", process(inv, received.pj, status), 0
        seen = (timer.active, timer.setting.sess_expires, timer.refresher, timer.role)
        yield "timer", seen, expected
    yield "timer.last_refresh", abs(timer.last_refresh.sec - time.time()) < A_MINUTE, True
    lib.pjsip_inv_terminate(inv, 500, 0)
    lib.pjsip_dlg_dec_lock(dialog)


def _hash(tag: CData) -> int:
    return int(lib.pj_hash_calc_tolower(0, ffi.NULL, ffi.new("pj_str_t *", tag)))
