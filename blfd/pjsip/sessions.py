"""PJSIP's INVITE sessions as they are made: a dialog, the way that its requests take, session timers.

docs/architecture.md, "How PJSIP is bound", says what has to be minded.
"""

from __future__ import annotations

import time

from blfd.core.calls.leg_effects import Adopt, Dial
from blfd.core.values import Account, Flow, Headers
from blfd.pjsip.adapter import Adapter
from blfd.pjsip.adopted import Adopted, set_call_id
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.errors import PjsipError
from blfd.pjsip.library import CData, Text, check, ffi, lib, string
from blfd.pjsip.session import Outgoing, Session
from blfd.sip.call_ids import CallIds
from blfd.sip.headers import name_addr
from blfd.sip.message import Malformed
from blfd.sip.own_uris import OwnUris
from blfd.sip.reader import read

SUPPORT_100REL, SUPPORT_TIMER, ALWAYS_USE_TIMER = 1, 2, 128  # pjsip_inv_option
TRANSPORT_SELECTOR = 1  # PJSIP_TPSELECTOR_TRANSPORT
MIN_SE = 90
PRINTED = 131_072  # octets of a refusal: it has the Vias and Record-Routes of what came
EXPLAINING = ("Accept", "Unsupported", "Require", "Min-SE", "Warning")


class Refused(Exception):
    """Raised where PJSIP does not take an INVITE; `is_sent`: it has said so itself."""

    def __init__(
        self, status: int, reason: str = "", headers: Headers = (), *, is_sent: bool = False
    ) -> None:
        super().__init__(str(status))
        self.status, self.reason, self.headers, self.is_sent = status, reason, headers, is_sent


class Sessions:
    """Makes sessions; `usage` is our module in each dialog, `session_expires` in seconds (RFC 4028)."""

    def __init__(
        self,
        endpoint: Endpoint,
        adapter: Adapter,
        own_uris: OwnUris,
        call_ids: CallIds,
        usage: CData,
        session_expires: int,
    ) -> None:
        self._endpoint, self._call_ids, self._usage = endpoint, call_ids, usage
        self._adapter, self._own_uris = adapter, own_uris
        self.outgoing = Outgoing(endpoint, adapter.bodies)
        self.adopted = Adopted(endpoint, adapter.bodies)
        self._tdata = ffi.new("pjsip_tx_data **")
        self._dialog = ffi.new("pjsip_dialog **")
        self._inv = ffi.new("pjsip_inv_session **")
        self._options = ffi.new("unsigned *")
        self._has_digests = False
        self._route = Text("Route")
        self._selector = ffi.new("pjsip_tpselector *")
        self._selector.type = TRANSPORT_SELECTOR
        self._routes = ffi.new("pjsip_routing_hdr *")
        self._timer = ffi.new("pjsip_timer_setting *", (MIN_SE, max(MIN_SE, session_expires)))

    def accept(
        self,
        rdata: CData,
        flow: Flow,
        routes: tuple[str, ...],
        contact_user: str,
        credentials: Account | None = None,
    ) -> tuple[Session, CData]:
        """The session of an INVITE, whose requests go by `flow`, and its 100 Trying. Raises Refused."""
        endpoint = self._endpoint
        self._options[0] = SUPPORT_100REL | SUPPORT_TIMER
        self._tdata[0] = ffi.NULL
        if lib.pjsip_inv_verify_request(rdata, self._options, ffi.NULL, ffi.NULL, endpoint.pj, self._tdata):
            raise self._refusal()
        contact = Text(self._own_uris.contact(flow, contact_user))
        if lib.pjsip_dlg_create_uas_and_inc_lock(endpoint.user_agent, rdata, contact.pj, self._dialog):
            raise Refused(400)
        dialog = self._dialog[0]
        self.route(dialog, flow, routes)
        if credentials:
            self._set_credentials(dialog, credentials)
        try:
            return self._answering(dialog, rdata, credentials)
        finally:
            lib.pjsip_dlg_dec_lock(dialog)

    def _refusal(self) -> Refused:
        """What PJSIP would say to an INVITE whose extensions or media it does not take."""
        tdata = self._tdata[0]
        if tdata == ffi.NULL:
            return Refused(400)
        buffer = ffi.new(f"char[{PRINTED}]")
        size = lib.pjsip_msg_print(tdata.msg, buffer, PRINTED)
        status = tdata.msg.line.status.code
        lib.pjsip_tx_data_dec_ref(tdata)
        try:
            said = read(bytes(ffi.buffer(buffer, max(size, 0))))
        except Malformed:
            return Refused(status)
        return Refused(status, "", tuple((name, v) for name in EXPLAINING for v in said.values(name.lower())))

    def _answering(self, dialog: CData, rdata: CData, credentials: Account | None) -> tuple[Session, CData]:
        options = self._options[0] | ALWAYS_USE_TIMER
        if lib.pjsip_inv_create_uas(dialog, rdata, ffi.NULL, options, self._inv):
            lib.pjsip_dlg_respond(dialog, rdata, 400, ffi.NULL, ffi.NULL, ffi.NULL)
            raise Refused(400, is_sent=True)
        inv = self._inv[0]
        self._tdata[0] = ffi.NULL
        lib.pjsip_timer_init_session(inv, self._timer)
        if lib.pjsip_inv_initial_answer(inv, rdata, 100, ffi.NULL, ffi.NULL, self._tdata):
            response, status = self._tdata[0], 500
            if response == ffi.NULL:
                lib.pjsip_dlg_respond(dialog, rdata, 500, ffi.NULL, ffi.NULL, ffi.NULL)
            else:
                status = response.msg.line.status.code
                lib.pjsip_inv_send_msg(inv, response)
            lib.pjsip_inv_terminate(inv, status, 0)
            raise Refused(status, is_sent=True)
        lib.pjsip_dlg_add_usage(dialog, self._usage, ffi.NULL)
        return Session(inv, self.outgoing, credentials), self._tdata[0]

    def dial(self, effect: Dial) -> Session:
        """The session of an INVITE that is about to be sent. Raises PjsipError."""
        contact = self._own_uris.contact(effect.flow, effect.contact_user)
        ends = name_addr(effect.from_), contact, name_addr(effect.to), effect.contact
        texts = [Text(text) for text in ends]
        offer = self.outgoing.described(effect.offer) if effect.offer else ffi.NULL
        check(
            "dialog",
            lib.pjsip_dlg_create_uac(self._endpoint.user_agent, *(text.pj for text in texts), self._dialog),
        )
        dialog = self._dialog[0]
        # PJSIP draws from rand(), and responses are believed by it.
        set_call_id(dialog, self._call_ids.new(string(dialog.local.info.tag), time.time()))
        lib.pjsip_dlg_inc_lock(dialog)  # a dialog without a session ends with its last lock
        try:
            self.route(dialog, effect.flow, effect.route)
            if effect.credentials:
                self._set_credentials(dialog, effect.credentials)
            options = SUPPORT_TIMER | ALWAYS_USE_TIMER
            if effect.offer:  # else a reliable response brings one, and its PRACK has to answer
                options |= SUPPORT_100REL
            check("session", lib.pjsip_inv_create_uac(dialog, offer, options, self._inv))
            lib.pjsip_dlg_add_usage(dialog, self._usage, ffi.NULL)
            lib.pjsip_timer_init_session(self._inv[0], self._timer)
        finally:
            lib.pjsip_dlg_dec_lock(dialog)
        return Session(self._inv[0], self.outgoing, effect.credentials)

    def adopt(self, effect: Adopt) -> Session:
        """The session of a call that is up, as an earlier process has left it. Raises PjsipError."""
        saved, flow = effect.saved, effect.saved.flow
        contact = Text(self._own_uris.contact(flow, effect.contact_user))
        local, remote, target = map(Text, (name_addr(saved.local), name_addr(saved.remote), saved.target))
        check(
            "dialog",
            lib.pjsip_dlg_create_uac(
                self._endpoint.user_agent, local.pj, contact.pj, remote.pj, target.pj, self._dialog
            ),
        )
        dialog = self._dialog[0]
        lib.pjsip_dlg_inc_lock(dialog)
        try:
            self.adopted.name(dialog, saved)
            self.route(dialog, flow, saved.route_set)
            if effect.credentials:
                self._set_credentials(dialog, effect.credentials)
            options = SUPPORT_TIMER | ALWAYS_USE_TIMER | SUPPORT_100REL
            check("session", lib.pjsip_inv_create_uac(dialog, ffi.NULL, options, self._inv))
            lib.pjsip_dlg_add_usage(dialog, self._usage, ffi.NULL)
            lib.pjsip_timer_init_session(self._inv[0], self._timer)
            session = Session(self._inv[0], self.outgoing, effect.credentials)
            try:
                self.adopted.agree(session, saved)
            except PjsipError:
                session.terminate(500)
                raise
        finally:
            lib.pjsip_dlg_dec_lock(dialog)
        return session

    def prove_anew(self, session: Session) -> None:
        """Have PJSIP forget all challenges that it has met in a dialog, and how often."""
        dialog = session.dialog
        where = ffi.addressof(dialog, "auth_sess")
        if session.account and not lib.pjsip_auth_clt_deinit(where):
            check("proofs", lib.pjsip_auth_clt_init(where, self._endpoint.pj, dialog.pool, 0))
            self._set_credentials(dialog, session.account)

    def _set_credentials(self, dialog: CData, account: Account) -> None:
        """Give PJSIP, which copies them, what to answer challenges of any realm with. Raises PjsipError."""
        if not self._has_digests:  # its OpenSSL knows none until something of TLS is asked for
            lib.pj_ssl_cipher_get_availables(ffi.new("int[1]"), ffi.new("unsigned *", 1))
            self._has_digests = True
        session = dialog.auth_sess
        if session.pool != dialog.pool or session.endpt != dialog.endpt:
            raise PjsipError("the dialogs of this PJSIP have their credentials elsewhere")
        texts = [Text(text) for text in ("*", "digest", account.username, account.password)]
        found = ffi.new("pjsip_cred_info *")
        found.realm, found.scheme, found.username, found.data = (text.pj[0] for text in texts)
        where = ffi.addressof(dialog, "auth_sess")
        check("credentials", lib.pjsip_auth_clt_set_credentials(where, 1, found))

    def route(self, dialog: CData, flow: Flow, routes: tuple[str, ...]) -> None:
        """Send all requests of a dialog by `flow`, with `routes` from Path or Record-Route.

        The first Route is one that PJSIP follows and does not print (";hide"): so a phone behind NAT is
        reached where it came from, at its own Contact, and no name has to be looked up.
        """
        self._selector.transport = self._adapter.transport_to(flow) or ffi.NULL
        lib.pjsip_dlg_set_transport(dialog, self._selector)
        head = self._routes
        head.base.prev = head.base.next = ffi.addressof(head, "base")
        host = self._adapter.stand_ins.of(flow.host)
        kept = []  # until PJSIP has copied it
        for value in (f"<sip:{host}:{flow.port};transport={flow.transport};lr;hide>", *routes):
            text = Text(value)
            kept.append(text)
            header = lib.pjsip_parse_hdr(dialog.pool, self._route.pj, text.pj.ptr, text.pj.slen, ffi.NULL)
            if header != ffi.NULL:
                lib.pj_list_insert_before(head, header)
        lib.pjsip_dlg_set_route_set(dialog, head)
        dialog.route_set_frozen = 1  # PJSIP makes none of Record-Route
