"""What PJSIP knows of our sockets: `pjsip_transport`s whose `send_msg` is ours."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable
from functools import lru_cache

from blfd.core.values import TCP, TLS, TRANSPORTS, UDP, Flow
from blfd.pjsip.bodies import Bodies
from blfd.pjsip.branches import Branches
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.errors import PjsipError
from blfd.pjsip.library import CData, callback, check, ffi, lib, zero
from blfd.pjsip.received import true_via
from blfd.pjsip.stand_ins import StandIns
from blfd.sip.own_uris import OwnUris
from blfd.transport.addresses import Source
from blfd.transport.network import Network
from blfd.transport.udp import LONGEST_DATAGRAM

log = logging.getLogger("blfd.pjsip")

INTERNAL_ERROR = 70001  # PJ_EUNKNOWN
TYPES = {UDP.name: 1, TCP.name: 2, TLS.name: 3}  # pjsip_transport_type_e
FLAG_RELIABLE, FLAG_DATAGRAM, FLAG_SECURE = 1, 2, 4
INCOMING = 2  # PJSIP_TP_DIR_INCOMING
AF_INET = 2
LOCAL = ("127.0.0.1", 5060)  # what PJSIP takes for our address; it is in none of what leaves
VIA = b"\r\nVia: "
IN_DIALOG = re.compile(rb"\r\nTo: [^\r]*>;tag=")
KNOWN = 10_000  # peers whose address is remembered


class Adapter:
    """Makes PJSIP's transports when they are first needed.

    That of a connection goes with it (the owner of the network calls `closed`), or when no transaction or
    dialog has had it for a while. It may be there before its connection: one is made when PJSIP sends.
    `too_large` is asked what is sent, if anything, in the place of a message that a datagram cannot hold.

    PJSIP knows stand-ins of IPv6 addresses. What leaves has the true ones: a request our sent-by as its peer
    sees us and a sealed branch, a response the Via that its peer wrote.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        network: Network,
        own_uris: OwnUris,
        too_large: Callable[[bytes], bytes] = lambda message: b"",
    ) -> None:
        self._endpoint, self._network, self._own_uris = endpoint, network, own_uris
        self._too_large = too_large
        self.bodies, self.branches, self.stand_ins = Bodies(), Branches(), StandIns()
        self._of_listener: dict[int, PjsipTransport] = {}
        self._of_connection: dict[Source, PjsipTransport] = {}
        self._by_pointer: dict[CData, PjsipTransport] = {}  # until PJSIP lets go of them
        self.c_send = callback(
            "pj_status_t(pjsip_transport *, pjsip_tx_data *, const void *, int, void *, void *)",
            self._on_send,
            INTERNAL_ERROR,
        )
        self.c_shutdown = callback("pj_status_t(pjsip_transport *)", lambda tp: 0, 0)
        self.c_destroy = callback("pj_status_t(pjsip_transport *)", self._on_destroy, 0)
        endpoint.keep(self.c_send, self.c_shutdown, self.c_destroy)

    def transport_of(self, flow: Source) -> CData | None:
        """The pjsip_transport over which something came from `flow`; None if its connection is gone."""
        if TRANSPORTS[flow[0]].connected and self._network.connections.get(flow) is None:
            return None
        return self.transport_to(flow)

    def transport_to(self, flow: Source) -> CData | None:
        """The pjsip_transport that reaches `flow`; None if PJSIP makes none."""
        name, host, port, index, _ = flow
        connected = TRANSPORTS[name].connected
        made = self._of_connection.get(flow) if connected else self._of_listener.get(index)
        if made is None:
            try:
                made = self._make_connected(flow) if connected else self._make_for_listener(flow)
            except PjsipError as error:
                log.error("PJSIP makes no transport for %s:%s:%d: %s", name, host, port, error)
                return None
        return made.pj

    def _make_for_listener(self, flow: Source) -> PjsipTransport:
        made = self._of_listener[flow[3]] = self._make(flow, None)
        lib.pjsip_transport_add_ref(made.pj)  # ours, for ever: PJSIP's idle timer never ends it
        return made

    def _make_connected(self, flow: Source) -> PjsipTransport:
        made = self._of_connection[flow] = self._make(flow, (self.stand_ins.of(flow[1]), flow[2]))
        return made

    def _make(self, flow: Source, peer: tuple[str, int] | None) -> PjsipTransport:
        made = PjsipTransport(self, self._endpoint, flow, peer)
        self._by_pointer[made.pj] = made
        return made

    def closed(self, flow: Flow) -> None:
        """Let go of a connection; PJSIP keeps its transport as long as a transaction or dialog has it."""
        made = self._of_connection.pop(flow, None)
        if made:
            lib.pjsip_transport_shutdown(made.pj)

    def _on_send(
        self, tp: CData, tdata: CData, address: CData, length: int, token: CData, callback: CData
    ) -> int:
        made = self._by_pointer.get(tp)
        if made is None:
            return INTERNAL_ERROR
        printed = tdata.buf
        data = ffi.unpack(printed.start, printed.cur - printed.start)
        way = made.way_to(address)
        if not way[1]:
            return INTERNAL_ERROR
        data = self._true(self.bodies.whole(data), way)
        if len(data) > LONGEST_DATAGRAM and made.peer is None:
            data = self._too_large(data)
        return 0 if data and self._sends(data, way, made) else INTERNAL_ERROR

    def _sends(self, data: bytes, way: Source, made: PjsipTransport) -> bool:
        """Send; whether it may arrive. What is of a call lasts; an INVITE that begins one goes elsewhere."""
        if made.peer is None or self._of_connection.get(made.flow) is not made:  # the connection has ended
            return self._network.send(data, way)
        is_response = data.startswith(b"SIP/2.0 ")
        begins = data.startswith(b"INVITE ") and not IN_DIALOG.search(data, 0, data.find(b"\r\n\r\n"))
        if begins or data.startswith(b"SIP/2.0 1"):
            return self._network.send_request(data, way)
        wants_response = not is_response and not data.startswith(b"ACK ")
        return self._network.send_lasting(data, way, wants_response=wants_response)

    def _true(self, data: bytes, way: Source) -> bytes:
        """A message with the true address in its topmost Via."""
        if data.startswith(b"SIP/2.0 "):
            return true_via(data)
        start = data.index(VIA) + len(VIA)
        via = self.branches.sealed(data[data.index(b";", start) :])
        return data[:start] + self._own_uris.sent_by(way).encode() + via

    def _on_destroy(self, tp: CData) -> int:
        made = self._by_pointer.pop(tp, None)
        if made:
            if self._of_connection.get(made.flow) is made:
                del self._of_connection[made.flow]
            lib.pj_pool_release(made.pj.pool)
        return 0


class PjsipTransport:
    """One pjsip_transport: a UDP listener, or the connection with `peer`. Raises PjsipError."""

    def __init__(
        self,
        adapter: Adapter,
        endpoint: Endpoint,
        flow: Source,
        peer: tuple[str, int] | None,
    ) -> None:
        self.flow, self.peer, self._stand_ins = flow, peer, adapter.stand_ins
        transport = TRANSPORTS[flow[0]]
        self._pool = endpoint.pool(b"transport", 512)
        tp = ffi.cast("pjsip_transport *", lib.pj_pool_alloc(self._pool, ffi.sizeof("pjsip_transport")))
        zero(tp)
        out = ffi.new("void **")
        check("atomic", lib.pj_atomic_create(self._pool, 0, out))
        tp.ref_cnt = out[0]
        check("lock", lib.pj_lock_create_recursive_mutex(self._pool, b"tp", out))
        tp.lock = out[0]
        tp.pool, tp.endpt, tp.dir = self._pool, endpoint.pj, INCOMING if peer else 0
        self._name = ffi.new("char[]", transport.via.encode())
        tp.type_name = tp.info = self._name
        ffi.memmove(tp.obj_name, self._name, len(transport.via))
        tp.key.type = TYPES[transport.name]
        tp.flag = FLAG_RELIABLE if transport.reliable else FLAG_DATAGRAM
        tp.flag |= FLAG_SECURE if transport.secure else 0
        tp.addr_len = 16
        _set_address(tp.local_addr, LOCAL)
        self._host = ffi.new("char[]", LOCAL[0].encode())
        tp.local_name.host.ptr, tp.local_name.host.slen = self._host, len(LOCAL[0])
        tp.local_name.port = LOCAL[1]
        tp.key.rem_addr.family = AF_INET
        if peer:
            _set_address(tp.key.rem_addr, peer)
            self._peer_host = ffi.new("char[]", peer[0].encode())
            tp.remote_name.host.ptr, tp.remote_name.host.slen = self._peer_host, len(peer[0])
            tp.remote_name.port = peer[1]
        tp.send_msg, tp.do_shutdown, tp.destroy = adapter.c_send, adapter.c_shutdown, adapter.c_destroy
        self.pj = tp
        check("transport", lib.pjsip_transport_register(endpoint.transport_manager, tp))

    def way_to(self, sockaddr: CData) -> Source:
        """Where what PJSIP sends by this transport goes; `sockaddr` counts where there is no connection."""
        if self.peer:
            return self.flow
        name, _, _, index, named = self.flow
        address = ffi.cast("pj_sockaddr *", sockaddr)
        host, port = _get_address(address.addr, address.port)
        return name, self._stand_ins.host(host), port, index, named


def _set_address(sockaddr: CData, address: tuple[str, int]) -> None:
    sockaddr.family, sockaddr.port = AF_INET, socket.htons(address[1])
    sockaddr.addr = int.from_bytes(socket.inet_aton(address[0]), "little")


@lru_cache(KNOWN)
def _get_address(address: int, port: int) -> tuple[str, int]:
    return socket.inet_ntoa(address.to_bytes(4, "little")), socket.ntohs(port)
