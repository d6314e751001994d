"""One INVITE session of PJSIP, and all that is asked of it.

PJSIP checks its preconditions with assertions that end the process, so each method is for a state in which
PJSIP's source accepts it; `leg` and the properties here see to that.
"""

from __future__ import annotations

from collections.abc import Iterable

from blfd.core.challenges import Rounds
from blfd.core.messages import Challenge
from blfd.core.values import Account, DialogId, Headers
from blfd.pjsip.bodies import Bodies
from blfd.pjsip.descriptions import SHORT, SdpParser
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.errors import PjsipError
from blfd.pjsip.headers import remove_headers, set_body, set_headers
from blfd.pjsip.library import CData, Text, check, ffi, lib, string

CONNECTING, CONFIRMED, DISCONNECTED = 4, 5, 6  # pjsip_inv_state
LOCAL_OFFER, REMOTE_OFFER, DONE = 1, 2, 4  # pjmedia_sdp_neg_state
MEDIA_MAY_CHANGE = 1  # PJMEDIA_SDP_NEG_ALLOW_MEDIA_CHANGE
UAS = 1  # pjsip_role_e
OTHER_METHOD = 6
MOST_REASONS = 1000
CHALLENGING = frozenset((401, 407))


class Outgoing:
    """The memory of what is about to be sent, for all sessions: PJSIP keeps pointers into some of it."""

    def __init__(self, endpoint: Endpoint, bodies: Bodies) -> None:
        self.sdp, self._bodies = SdpParser(endpoint), bodies
        self.tdata = ffi.new("pjsip_tx_data **")
        self._names = {name: Text(name) for name in ("INFO", "NOTIFY")}
        self.methods = {name: _method(text) for name, text in self._names.items()}
        self._reasons: dict[str, Text] = {}

    def described(self, sdp: bytes) -> CData:
        """SDP for the next call of PJSIP, which copies it. Raises PjsipError."""
        return self.sdp.parse(self._bodies.short(sdp))

    def reason(self, reason: str) -> CData:
        if not reason:
            return ffi.NULL
        if reason not in self._reasons:
            if len(self._reasons) > MOST_REASONS:
                self._reasons.clear()
            self._reasons[reason] = Text(reason)
        return self._reasons[reason].pj

    def set_body(self, tdata: CData, content_type: str, body: bytes) -> None:
        set_body(tdata, content_type, self._bodies.token(body) if len(body) > SHORT else body)


def _method(name: Text) -> CData:
    """A method that PJSIP does not know by number; `name` has to stay."""
    method = ffi.new("pjsip_method *")
    method.id, method.name = OTHER_METHOD, name.pj[0]
    return method


class Session:
    """One session; `sent_sdp` is the last that its phone was sent, `misfit` what is wrong with an answer.

    `has_agreed`: PJSIP has a description of each side, which it asserts now and then. `exchanges` are those
    of our INFOs and NOTIFYs that are not answered, by CSeq. Challenges are answered with `account`.
    """

    def __init__(self, inv: CData, outgoing: Outgoing, account: Account | None = None) -> None:
        self.inv, self._out, self.account = inv, outgoing, account
        # A stream has its place from who offers it, also one of other media, as a fax (RFC 3264, 8.3.3).
        inv.sdp_neg_flags = MEDIA_MAY_CHANGE
        self.dialog = inv.dlg
        self.call_id = string(inv.dlg.call_id.id)
        self.local_tag = string(inv.dlg.local.info.tag)
        self.sent_sdp: bytes | None = None
        self.misfit = "The answer does not fit the offer"
        self.has_agreed = False
        self.exchanges: dict[int, int] = {}
        self._rounds = Rounds()
        self._next_cseq = 0  # of our requests, as it was when the last response came
        self._told: frozenset[str] = frozenset()  # names of the header fields set in the last response

    # How far it is

    @property
    def remote_tag(self) -> str:
        return string(self.dialog.remote.info.tag)

    @property
    def remote_cseq(self) -> int:
        """The highest CSeq of its phone's requests, whoever serves them (RFC 3261, 12.2.2); -1 before."""
        return int(self.dialog.remote.cseq)

    @remote_cseq.setter
    def remote_cseq(self, cseq: int) -> None:
        self.dialog.remote.cseq = cseq

    @property
    def dialog_id(self) -> DialogId:
        return DialogId(self.call_id, self.local_tag, self.remote_tag)

    @property
    def is_answered(self) -> bool:
        """Whether its INVITE has a 2xx, or another end."""
        return bool(self.inv.state >= CONNECTING)

    @property
    def awaits_ack(self) -> bool:
        return bool(self.inv.state == CONNECTING)

    @property
    def is_up(self) -> bool:
        return bool(self.inv.state == CONFIRMED)

    @property
    def may_respond(self) -> bool:
        """Whether an INVITE of the phone's waits, the first or a later one."""
        return bool(self.inv.invite_tsx != ffi.NULL and self.inv.last_answer != ffi.NULL)

    @property
    def end_status(self) -> tuple[int, str]:
        """The status and reason with which it has ended."""
        return int(self.inv.cause), string(self.inv.cause_text)

    # Who we are

    def challenged(self, status: int, cseq: int, challenges: Iterable[Challenge]) -> list[Challenge]:
        """The challenges that PJSIP is to answer; where there are none, the response is a refusal.

        PJSIP itself bounds how often a nonce of a request may be stale.
        """
        self._next_cseq = int(self.dialog.local.cseq)
        if status in CHALLENGING:
            realm = self.account.realm if self.account else ""
            return self._rounds.asked(cseq, self._next_cseq, challenges, realm)
        if status >= 200:
            self._rounds.finished(cseq)
        return []

    @property
    def is_refused(self) -> bool:
        """Whether PJSIP has answered none of the challenges that have just come."""
        return bool(self.dialog.local.cseq == self._next_cseq)

    def forget_challenges(self) -> None:
        """Forget what was to go again and has not: the next request has its CSeq."""
        self._rounds.finished(self._next_cseq)

    def goes_again(self, status: int, cseq: int) -> bool:
        """Whether PJSIP has answered the challenge that has just come for one of `exchanges`."""
        if status not in CHALLENGING or self.is_refused:
            return False
        self.exchanges[self._next_cseq] = self.exchanges.pop(cseq)
        return True

    def has_another_invite(self, transaction: CData) -> bool:
        """Whether another INVITE has taken the place of this one, as PJSIP has answered its challenge."""
        return self.inv.invite_tsx not in (ffi.NULL, transaction)

    # Its media

    def _negotiation(self) -> int:
        """The state of PJSIP's negotiator, 0 before anything was offered."""
        neg = self.inv.neg
        return int(lib.pjmedia_sdp_neg_get_state(neg)) if neg != ffi.NULL else 0

    @property
    def is_described(self) -> bool:
        """Whether anything was offered; PJSIP asserts that in a re-INVITE or UPDATE."""
        return bool(self.inv.neg != ffi.NULL)

    def awaits_answer(self) -> bool:
        """Whether PJSIP has offered and waits for the phone's answer."""
        return self._negotiation() == LOCAL_OFFER

    def owes_answer(self) -> bool:
        """Whether the phone has offered, and PJSIP has no answer."""
        return self._negotiation() == REMOTE_OFFER

    def may_be_offered(self) -> bool:
        """Whether PJSIP takes an offer in a PRACK or UPDATE."""
        return self._negotiation() == DONE

    def negotiating(self) -> bool:
        """Whether PJSIP would fail (an assertion) or refuse if another offer came now."""
        return self.inv.invite_tsx != ffi.NULL or self._negotiation() != DONE

    @property
    def remote_sdp(self) -> CData | None:
        """What the phone has offered, or last agreed on; None if it has sent nothing yet.

        Raises PjsipError while an offer is being answered.
        """
        found = ffi.new("const pjmedia_sdp_session **")
        match self._negotiation():
            case 0:
                return None
            case state if state == REMOTE_OFFER:
                check("SDP", lib.pjmedia_sdp_neg_get_neg_remote(self.inv.neg, found))
            case state if state == DONE and self.has_agreed:
                check("SDP", lib.pjmedia_sdp_neg_get_active_remote(self.inv.neg, found))
            case _:
                raise PjsipError("An offer waits for its answer")
        return found[0]

    @property
    def agreed_sdp(self) -> CData | None:
        """What the phone has last agreed on; None before that. Raises PjsipError."""
        if not self.is_described or not self.has_agreed:
            return None
        found = ffi.new("const pjmedia_sdp_session **")
        check("SDP", lib.pjmedia_sdp_neg_get_active_remote(self.inv.neg, found))
        return found[0]

    def _described(self, sdp: bytes) -> CData:
        self.sent_sdp = sdp
        return self._out.described(sdp)

    # What is sent; what cannot be is told by the transport (`legs.too_large`)

    def _send(self) -> None:
        lib.pjsip_inv_send_msg(self.inv, self._out.tdata[0])

    def _say(self, headers: Headers) -> None:
        """Set the header fields of a response, which PJSIP makes of the one before."""
        tdata = self._out.tdata[0]
        remove_headers(tdata, self._told)
        set_headers(tdata, headers)
        self._told = frozenset(name for name, _ in headers)

    def invite(self, offer: bytes | None, headers: Headers) -> bool:
        """Send the INVITE; whether that was possible."""
        self.sent_sdp = offer
        if lib.pjsip_inv_invite(self.inv, self._out.tdata):
            return False
        set_headers(self._out.tdata[0], headers)
        return not lib.pjsip_inv_send_msg(self.inv, self._out.tdata[0])

    def respond(self, status: int, reason: str, sdp: bytes | None, headers: Headers) -> None:
        """Answer its INVITE, if it `may_respond`. Raises PjsipError where the answer does not fit."""
        fresh = self._negotiation() in (0, REMOTE_OFFER)
        body = self._described(sdp) if sdp and fresh else ffi.NULL
        text = self._out.reason(reason)
        check("answer", lib.pjsip_inv_answer(self.inv, status, text, body, self._out.tdata))
        self._say(headers)
        self._send()

    def refuse(self, status: int, reason: str, headers: Headers = ()) -> None:
        """Refuse its re-INVITE, if it `may_respond`."""
        if not lib.pjsip_inv_answer(self.inv, status, self._out.reason(reason), ffi.NULL, self._out.tdata):
            self._say(headers)
            self._send()

    def hold_reinvite(self, rdata: CData) -> bool:
        """Send 100 Trying to a re-INVITE, which waits; False where PJSIP has it answered at once."""
        tdata = self._out.tdata
        if lib.pjsip_inv_initial_answer(self.inv, rdata, 100, ffi.NULL, ffi.NULL, tdata):
            return False
        self._send()
        return True

    def set_answer(self, sdp: bytes) -> None:
        """Set the answer to what the phone has offered, for what is sent next. Raises PjsipError."""
        check("answer", lib.pjsip_inv_set_sdp_answer(self.inv, self._described(sdp)))

    def acknowledge(self, cseq: int) -> None:
        if not lib.pjsip_inv_create_ack(self.inv, cseq, self._out.tdata):
            self._send()

    def reinvite(self, sdp: bytes, headers: Headers) -> None:
        """Send a re-INVITE, where it is not `negotiating`. Raises PjsipError."""
        body = self._described(sdp)
        check("re-INVITE", lib.pjsip_inv_reinvite(self.inv, ffi.NULL, body, self._out.tdata))
        set_headers(self._out.tdata[0], headers)
        self._send()

    def update(self, headers: Headers) -> None:
        """Send an UPDATE without SDP."""
        if not lib.pjsip_inv_update(self.inv, ffi.NULL, ffi.NULL, self._out.tdata):
            set_headers(self._out.tdata[0], headers)
            self._send()

    def request(self, method: str, exchange: int, headers: Headers, content_type: str, body: bytes) -> bool:
        """Send an INFO or NOTIFY; whether PJSIP makes it."""
        if lib.pjsip_dlg_create_request(self.dialog, self._out.methods[method], -1, self._out.tdata):
            return False
        tdata = self._out.tdata[0]
        set_headers(tdata, headers)
        self._out.set_body(tdata, content_type, body)
        self.exchanges[int(self.dialog.local.cseq)] = exchange
        lib.pjsip_dlg_send_request(self.dialog, tdata, -1, ffi.NULL)
        return True

    def responding(self, rdata: CData) -> CData | None:
        """A 200 to a request, to be sent by `respond_to_request`; None where PJSIP makes none."""
        made = lib.pjsip_dlg_create_response(self.dialog, rdata, 200, ffi.NULL, self._out.tdata)
        return None if made else self._out.tdata[0]

    def respond_to_request(
        self,
        transaction: CData,
        response: CData,
        status: int,
        reason: str,
        headers: Headers,
        content_type: str,
        body: bytes,
    ) -> None:
        if status != 200:
            response.msg.line.status.code = status
            response.msg.line.status.reason = self._out.reason(reason)[0]
        set_headers(response, headers)
        self._out.set_body(response, content_type, body)
        lib.pjsip_dlg_send_response(self.dialog, transaction, response)

    # Its end

    def end(self, status: int, reason: str, headers: Headers, farewell: Headers) -> None:
        """Send a final response to its INVITE with `headers`, or CANCEL or BYE with `farewell`, as it is."""
        inv, tdata = self.inv, self._out.tdata
        if inv.state == DISCONNECTED:
            return
        if inv.state < CONNECTING and inv.invite_tsx == ffi.NULL:
            self.terminate(status)
            return
        tdata[0] = ffi.NULL
        refuses = inv.role == UAS and inv.state < CONNECTING
        text = self._out.reason(reason) if refuses else ffi.NULL
        if lib.pjsip_inv_end_session(inv, status, text, tdata) or tdata[0] == ffi.NULL:
            return
        if refuses:
            self._say(headers)
        else:
            set_headers(tdata[0], farewell)
        self._send()

    def terminate(self, status: int, *, tells: bool = False) -> None:
        """Forget the session; `tells`: PJSIP says so, by the callback of its state."""
        lib.pjsip_inv_terminate(self.inv, status, int(tells))
