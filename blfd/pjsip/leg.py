"""One INVITE dialog as blfd sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from blfd.core.values import DialogId, Flow, Headers
from blfd.pjsip.library import INVALID_OPERATION, CData, PjsipError, check, ffi, lib, string
from blfd.sip.message import Request

INV_CONNECTING, INV_CONFIRMED, INV_DISCONNECTED = 4, 5, 6  # pjsip_inv_state
NEG_LOCAL_OFFER, NEG_REMOTE_OFFER, NEG_DONE = 1, 2, 4  # pjmedia_sdp_neg_state


class Phase(Enum):
    """How far a leg is, as far as what may be asked of PJSIP differs."""

    SENT = auto()  # callee: nothing heard yet, so a CANCEL has to wait
    PROCEEDING = auto()
    CONFIRMED = auto()
    ENDING = auto()  # hung up by us; nothing more is reported


class Pending(Enum):
    """The offer that is on its way on a confirmed leg; there is one at most (RFC 3264, section 4)."""

    NOTHING = auto()
    OURS = auto()  # our re-INVITE
    REINVITE = auto()  # theirs, held in PJSIP until the other phone has answered
    UPDATE = auto()  # theirs, held by us: PJSIP answers an UPDATE at once


@dataclass(slots=True)
class Leg:
    """`flow` is where its requests go; `contact` and `routes` say where, once that connection is gone."""

    number: int
    inv: CData
    flow: Flow
    is_caller: bool
    phase: Phase
    contact: str
    routes: tuple[str, ...]
    target: str = ""  # the Request-URI of our INVITE
    pending: Pending = Pending.NOTHING
    delayed_offer: bool = False
    ack_cseq: int = 0
    farewell: Headers = ()  # for a CANCEL that has to wait
    told: frozenset[str] = frozenset()  # names of the header fields that we have set in the last response
    update: Request | None = None  # the held UPDATE
    offer_answer: bytes = b""  # to what PJSIP is about to be offered by the phone
    sent_sdp: bytes | None = None  # the last that the phone was sent
    misfit: str = "The answer does not fit the offer"  # what PJSIP has found wrong with what was to agree
    has_agreed: bool = False  # whether PJSIP has a description of each side: it asserts that it does
    infos: dict[int, tuple[CData, CData]] = field(default_factory=dict)  # theirs: (transaction, response)
    sent: dict[int, int] = field(default_factory=dict)  # our INFOs and NOTIFYs: CSeq -> exchange

    @property
    def remote_sdp(self) -> CData | None:
        """What the phone has offered, or last agreed on; None if it has sent nothing yet.

        Raises PjsipError while an offer is being answered.
        """
        neg = self.inv.neg
        if neg == ffi.NULL:
            return None
        found = ffi.new("const pjmedia_sdp_session **")
        match lib.pjmedia_sdp_neg_get_state(neg):
            case state if state == NEG_REMOTE_OFFER:
                check("SDP", lib.pjmedia_sdp_neg_get_neg_remote(neg, found))
            case state if state == NEG_DONE and self.has_agreed:
                check("SDP", lib.pjmedia_sdp_neg_get_active_remote(neg, found))
            case _:
                raise PjsipError("an offer waits for its answer", INVALID_OPERATION)
        return found[0]

    @property
    def agreed_sdp(self) -> CData | None:
        """What the phone has last agreed on; None before that. Raises PjsipError."""
        if self.inv.neg == ffi.NULL or not self.has_agreed:
            return None
        found = ffi.new("const pjmedia_sdp_session **")
        check("SDP", lib.pjmedia_sdp_neg_get_active_remote(self.inv.neg, found))
        return found[0]

    @property
    def call_id(self) -> str:
        return string(self.inv.dlg.call_id.id)

    @property
    def local_tag(self) -> str:
        return string(self.inv.dlg.local.info.tag)

    @property
    def remote_tag(self) -> str:
        return string(self.inv.dlg.remote.info.tag)

    @property
    def dialog(self) -> DialogId:
        return DialogId(self.call_id, self.local_tag, self.remote_tag)

    def awaits_answer(self) -> bool:
        """Whether PJSIP has offered and waits for the phone's answer."""
        neg = self.inv.neg
        return bool(neg and lib.pjmedia_sdp_neg_get_state(neg) == NEG_LOCAL_OFFER)

    def may_be_offered(self) -> bool:
        """Whether PJSIP takes an offer in a PRACK or UPDATE."""
        neg = self.inv.neg
        return bool(neg and lib.pjmedia_sdp_neg_get_state(neg) == NEG_DONE)

    def negotiating(self) -> bool:
        """Whether PJSIP would fail (an assertion) or refuse if another offer came now."""
        inv = self.inv
        return bool(
            inv.neg == ffi.NULL
            or inv.invite_tsx != ffi.NULL
            or lib.pjmedia_sdp_neg_get_state(inv.neg) != NEG_DONE
        )
