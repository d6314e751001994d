"""Sessions that an earlier process has made: a dialog and its INVITE session, put together as they were.

PJSIP makes them as for an INVITE that is about to be sent. What that would lead to is then written into them:
Call-ID, tags and numbers of the dialog, the media that was agreed on, and the state of a call that is up. Who
had sent the first INVITE is of no account from there on. The session timer learns what it needs from a 200 of
our making.
"""

from __future__ import annotations

from blfd.core.saved import SavedLeg, SessionTimer
from blfd.core.values import Flow, NameAddr
from blfd.pjsip.bodies import Bodies
from blfd.pjsip.descriptions import LONGEST, SdpParser, SdpPrinter
from blfd.pjsip.endpoint import HEADER_ALLOW, Endpoint
from blfd.pjsip.errors import PjsipError
from blfd.pjsip.library import CData, Text, check, encode, ffi, lib, string
from blfd.pjsip.received import Received
from blfd.pjsip.session import CONFIRMED, Session
from blfd.pjsip.stand_ins import StandIns
from blfd.sip.grammar import unquote

ESTABLISHED = 1  # pjsip_dialog_state
SUPPORTED = 1  # pjsip_dialog_cap_status
UAC, UAS = 1, 2  # enum timer_refresher of sip_timer.c
RESERVED = 1000  # numbers of requests that are written at once
AT_LEAST = 100  # of them are left: so many are not used before the next ones are written
REQUEST_URI, FROM_OR_TO = 0, 1  # pjsip_uri_context_e

RESPONSE = (
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKadopted\r\n"
    "From: <sip:adopted@127.0.0.1>;tag=a\r\nTo: <sip:adopted@127.0.0.1>;tag=b\r\nCall-ID: adopted\r\n"
    "CSeq: 1 INVITE\r\nSupported: timer\r\n{more}Content-Length: 0\r\n\r\n"
)
NOWHERE = Flow("udp", "127.0.0.1", 5060)


class Adopted:
    """Reads what has to be kept of sessions, and writes it into those that take their place."""

    def __init__(self, endpoint: Endpoint, bodies: Bodies) -> None:
        self._endpoint, self._bodies = endpoint, bodies
        self._received = Received(endpoint, StandIns())
        self._local, self._remote = SdpParser(endpoint), SdpParser(endpoint)
        self._neg = ffi.new("pjmedia_sdp_neg **")
        self._found = ffi.new("const pjmedia_sdp_session **")
        self._printed = ffi.new(f"char[{LONGEST}]")
        self._text = SdpPrinter().text
        self._status = ffi.new("int *")
        self._update = Text("UPDATE")

    # What is kept

    def describe(
        self, session: Session, flow: Flow, contact: str, routes: tuple[str, ...]
    ) -> SavedLeg | None:
        """What has to be kept of a session; None while it is not up, or an offer waits for its answer."""
        if not session.is_up or not session.has_agreed or session.negotiating():
            return None
        dialog, neg = session.dialog, session.inv.neg
        check("SDP", lib.pjmedia_sdp_neg_get_active_local(neg, self._found))
        sent = self._bodies.session(self._text(self._found[0]))
        check("SDP", lib.pjmedia_sdp_neg_get_active_remote(neg, self._found))
        return SavedLeg(
            session.dialog_id,
            self._party(dialog.local.info),
            self._party(dialog.remote.info),
            self._uri(dialog.target, REQUEST_URI),
            contact,
            routes,
            flow,
            reserved(int(dialog.local.cseq)),
            int(dialog.remote.cseq),
            sent,
            self._text(self._found[0]),
            self._allows_update(dialog),
            _timer(session.inv),
        )

    def _allows_update(self, dialog: CData) -> bool:
        has = lib.pjsip_dlg_remote_has_cap(dialog, HEADER_ALLOW, ffi.NULL, self._update.pj)
        return bool(has == SUPPORTED)

    def _uri(self, uri: CData, context: int) -> str:
        uri = uri.vptr.p_get_uri(uri)
        length = uri.vptr.p_print(context, uri, self._printed, LONGEST)
        if length < 0:
            raise PjsipError("A URI is too long", length)
        return bytes(ffi.buffer(self._printed, length)).decode("utf-8", "surrogateescape")

    def _party(self, header: CData) -> NameAddr:
        """The name and URI of a From or To; what a phone may have written besides is of use to nobody."""
        named = header.uri  # whose name has its escapes, and no quotes
        return NameAddr(self._uri(named.uri, FROM_OR_TO), unquote(f'"{string(named.display)}"'))

    # What is made of it

    def name(self, dialog: CData, saved: SavedLeg) -> None:
        """Make a dialog that was just made for a UAC the saved one from here on. Raises PjsipError."""
        agent = self._endpoint.user_agent
        check("dialog", lib.pjsip_ua_unregister_dlg(agent, dialog))  # it is found by our tag
        set_call_id(dialog, saved.dialog.call_id)
        _set_tag(dialog, dialog.local, saved.dialog.local_tag)
        _set_tag(dialog, dialog.remote, saved.dialog.remote_tag)
        check("dialog", lib.pjsip_ua_register_dlg(agent, dialog))
        dialog.local.first_cseq = dialog.local.cseq = saved.cseq
        # The phone may not have heard the answer to its last request, and repeats it.
        dialog.remote.first_cseq = dialog.remote.cseq = max(saved.remote_cseq - 1, -1)
        dialog.state, dialog.uac_has_2xx, dialog.ack_sent, dialog.route_set_frozen = ESTABLISHED, 1, 1, 1

    def agree(self, session: Session, saved: SavedLeg) -> None:
        """Make a session that was just made one that is up, with the media of before. Raises PjsipError."""
        inv, pool = session.inv, session.dialog.pool
        local = self._local.parse(self._bodies.short(saved.sent))
        remote = self._remote.parse(saved.received)
        check("SDP", lib.pjmedia_sdp_neg_create_w_remote_offer(pool, local, remote, self._neg))
        check("SDP", lib.pjmedia_sdp_neg_negotiate(pool, self._neg[0], 0))
        inv.neg, inv.state = self._neg[0], CONFIRMED
        session.sent_sdp, session.has_agreed = saved.sent, True
        more = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n" if saved.allows_update else ""
        if saved.timer:
            refresher = "uac" if saved.timer.is_ours else "uas"
            more += f"Session-Expires: {saved.timer.interval};refresher={refresher}\r\n"
        if not self._received.fill(RESPONSE.format(more=more).encode(), NOWHERE, ffi.NULL):
            raise PjsipError("A 200 of our making cannot be read")
        if saved.allows_update:
            lib.pjsip_dlg_update_remote_cap(session.dialog, self._received.pj.msg_info.msg, 0)
        if saved.timer:
            lib.pjsip_timer_process_resp(inv, self._received.pj, self._status)
            began = inv.timer.last_refresh  # as it was, until the session is refreshed
            began.sec = int(saved.timer.expires_at - saved.timer.interval)


def reserved(cseq: int) -> int:
    """A number that will not have been used when the next one is written; `cseq` is the next to be used."""
    return ((cseq + AT_LEAST) // RESERVED + 1) * RESERVED


def _timer(inv: CData) -> SessionTimer | None:
    timer = inv.timer
    if timer == ffi.NULL or not timer.active:
        return None
    interval, began = int(timer.setting.sess_expires), timer.last_refresh
    return SessionTimer(interval, _is_ours(timer), began.sec + began.msec / 1000 + interval)


def _is_ours(timer: CData) -> bool:
    """Whether we refresh: who that is was said in the words of the last transaction, which was one's or the
    other's."""
    return bool((timer.refresher == UAC) == (timer.role == 0))


def set_call_id(dialog: CData, call_id: str) -> None:
    dialog.call_id.id = _kept(dialog.pool, call_id)


def _set_tag(dialog: CData, party: CData, tag: str) -> None:
    party.info.tag = _kept(dialog.pool, tag)
    text = Text(tag)
    party.tag_hval = lib.pj_hash_calc_tolower(0, ffi.NULL, text.pj)


def _kept(pool: CData, text: str) -> CData:
    """A pj_str_t in the memory of `pool`."""
    octets = encode(text)
    place = ffi.cast("char *", lib.pj_pool_alloc(pool, len(octets) + 1))
    ffi.memmove(place, octets + b"\0", len(octets) + 1)
    return ffi.new("pj_str_t *", (place, len(octets)))[0]
