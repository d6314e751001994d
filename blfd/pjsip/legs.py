"""The legs of calls: which there are, how they begin, where their requests go, and what becomes of them."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable

from blfd.core.calls import leg_effects as e
from blfd.core.calls.leg_inputs import (
    InfoResponseReceived,
    LegAccepted,
    LegDescribed,
    LegEnded,
    LegFault,
    LegNotified,
    LegsListed,
    MediaFound,
    MediaMatched,
    OfferAnswered,
)
from blfd.core.effects import Effect
from blfd.core.errors import Refusal
from blfd.core.inputs import Input
from blfd.core.next_hop import NextHops, address_in, leads_to_same
from blfd.core.values import Flow, Headers, Redirect
from blfd.core.visible import visible
from blfd.pjsip.adapter import Adapter
from blfd.pjsip.bodies import instead_of
from blfd.pjsip.endpoint import Endpoint
from blfd.pjsip.errors import PjsipError
from blfd.pjsip.leg import Leg, Outside
from blfd.pjsip.library import CData, lib
from blfd.pjsip.matcher import Matcher
from blfd.pjsip.received import target
from blfd.pjsip.sessions import Refused, Sessions
from blfd.sip.call_ids import CallIds
from blfd.sip.message import Request, Response
from blfd.sip.own_uris import OwnUris
from blfd.sip.reader import read
from blfd.sip.timers import LIFETIME
from blfd.sip.uris import uri

REFRESHING = frozenset(("INVITE", "UPDATE"))  # their Contact is where a phone is from now on
TOO_LARGE = "A message is too large to be sent"


class Legs:
    """All legs. `emit` takes inputs; `resume` feeds a held request to PJSIP as if it came now."""

    def __init__(
        self,
        endpoint: Endpoint,
        adapter: Adapter,
        own_uris: OwnUris,
        next_hops: NextHops,
        call_ids: CallIds,
        usage: CData,
        session_expires: int,
        emit: Callable[[Input], None],
        resume: Callable[[Request, Flow], None],
    ) -> None:
        self._sessions = Sessions(endpoint, adapter, own_uris, call_ids, usage, session_expires)
        self._emit, self._next_hops = emit, next_hops
        self._outside = Outside(emit, resume, itertools.count(1))
        self._by_number: dict[int, Leg] = {}
        self._by_inv: dict[CData, Leg] = {}  # pointers are equal where they point at the same
        self._by_tag: dict[str, Leg] = {}
        self.of: Callable[[CData], Leg | None] = self._by_inv.get
        self.of_tag: Callable[[str], Leg | None] = self._by_tag.get
        self._ended: dict[str, str] = {}  # Call-IDs by our tags: PJSIP still repeats, or waits for an ACK
        self._ends: deque[tuple[float, str]] = deque()
        self._matcher = Matcher(endpoint)
        self._failing: deque[Leg] = deque()
        self._touched: dict[Leg, None] = {}  # of whom there may be something else to keep

    def __len__(self) -> int:
        return len(self._by_number)

    def ending(self) -> int:
        """How many legs are not up: when nothing begins any more, they end."""
        return sum(not leg.is_connected for leg in self._by_number.values())

    def knows(self, call_id: str, local_tag: str, remote_tag: str = "", source: Flow | None = None) -> bool:
        """Whether a dialog is a leg's, or was one's as long as what belongs to it may come.

        Without a `remote_tag` it does not count, as in responses: a proxy may have forked our INVITE. A
        request has to come from where the phone, its Contact or a trusted edge is (`source`): whoever watches
        a phone is told the ids of its dialogs, so they prove nothing. To a call by sips: nothing belongs that
        comes without TLS.
        """
        leg = self._by_tag.get(local_tag)
        if leg is None:
            return self._ended.get(local_tag) == call_id
        is_its = not remote_tag or not leg.is_connected or leg.session.remote_tag == remote_tag
        if not is_its or leg.session.call_id != call_id:
            return False
        if source is not None and leg.is_secure and not source.is_secure:
            return False
        if source is None or source.host in (leg.flow.host, address_in(leg.contact, leg.flow)[0]):
            return True
        return self._next_hops.trusts(source.host)

    def has_another_2xx(self, local_tag: str, remote_tag: str) -> bool:
        """Whether a 2xx to the INVITE of a known dialog comes after another phone's, or after its end."""
        leg = self._by_tag.get(local_tag)
        return leg is None or bool(leg.session.dialog.uac_has_2xx and leg.session.remote_tag != remote_tag)

    def is_up(self, leg: int) -> bool:
        return leg in self._by_number

    def has_sent(self, request: Request) -> bool:
        """Whether an INVITE is one of ours, come back to us for whom it was: as it was, or by the extension's
        name. For another it may come back, as an edge forwards it, and a number from a trunk."""
        leg = self._by_tag.get(request.from_.tag)
        if leg is None or not leg.target or leg.session.call_id != request.call_id:
            return False
        if request.target.text == leg.target:
            return True
        to = uri(leg.to)
        return request.target.user == to.user and f"@{to.domain}" not in leg.target

    def fault_of(self, sdp: bytes | None) -> str:
        """What is wrong with the SDP of a phone, "" if nothing is."""
        return self._sessions.outgoing.sdp.fault(sdp) if sdp else ""

    # How they begin

    def accept(self, effect: e.Accept, rdata: CData, request: Request, source: Flow) -> Refused | None:
        """Make an INVITE, which `rdata` holds for PJSIP, a leg; why not, where PJSIP finds it wanting."""
        contact, routes = target(request, source), request.routes("record-route")
        flow = self._next_hops.of(source, contact, routes, request.via.rport is not None)
        try:
            session, trying = self._sessions.accept(
                rdata, flow, routes, effect.contact_user, effect.credentials
            )
        except Refused as refused:
            return refused
        self._add(Leg(effect.leg, session, flow, contact, routes, self._outside))
        lib.pjsip_inv_send_msg(session.inv, trying)
        self._emit(LegAccepted(effect.leg, session.local_tag))
        return None

    def _dial(self, effect: e.Dial) -> None:
        try:
            session = self._sessions.dial(effect)
        except PjsipError as error:
            fault = f"calling {visible(effect.contact)} failed: {error}"
            self._emit(LegEnded(effect.leg, 503, "Unreachable", silent=True, fault=fault))
            return
        leg = Leg(
            effect.leg,
            session,
            effect.flow,
            effect.contact,
            effect.route,
            self._outside,
            target=effect.contact,
            to=effect.to.uri,
            delayed_offer=effect.offer is None,
        )
        self._add(leg)
        if not session.invite(effect.offer, effect.headers) and effect.leg in self._by_number:
            self._forget(leg)
            session.terminate(503)
            self._emit(LegEnded(effect.leg, 503, "Unreachable", silent=True))

    def _adopt(self, effect: e.Adopt) -> None:
        """Make a leg of one that an earlier process has made."""
        saved = effect.saved
        try:
            session = self._sessions.adopt(effect)
        except PjsipError as error:
            fault = f"its call of before the start cannot go on: {error}"
            self._emit(LegEnded(effect.leg, 500, "Server Internal Error", silent=True, fault=fault))
            return
        leg = Leg(effect.leg, session, saved.flow, saved.contact, saved.route_set, self._outside, is_up=True)
        self._add(leg)
        self.touch(leg)

    def refused_proof(self, leg: Leg) -> None:
        """Begin anew with challenges where one was not answered, which is no other request's fault: PJSIP
        counts on, whatever it sends next, how often a nonce was stale."""
        if leg.session.is_refused:
            leg.session.forget_challenges()
            self._sessions.prove_anew(leg.session)

    # What is kept of them

    def touch(self, leg: Leg) -> None:
        """Note that something was said in the dialog of a leg."""
        self._touched[leg] = None

    def clock_set(self, step: float) -> None:
        """Have sessions follow the system's clock, which was set: PJSIP has its time of when they began."""
        for leg in self._by_number.values():
            timer = leg.session.inv.timer
            if timer:
                timer.last_refresh.sec += round(step)

    def _describe_touched(self) -> None:
        """Tell the core what has to outlive the process, of legs that are up and of which it has changed."""
        touched, self._touched = self._touched, {}
        for leg in touched:
            if self._by_number.get(leg.number) is not leg or not leg.is_connected:
                continue
            saved = self._sessions.adopted.describe(leg.session, leg.flow, leg.contact, leg.routes)
            if saved and saved != leg.described:
                leg.described = saved
                self._emit(LegDescribed(leg.number, saved))

    # What the core wants

    def perform(self, effect: Effect) -> None:
        """Do what the core has decided; what concerns a leg that is gone is passed over, or answered."""
        if isinstance(effect, e.OfLeg):
            leg = self._by_number.get(effect.leg)
            if leg is None:
                self._gone(effect)
            else:
                leg.perform(effect)
                self.touch(leg)
            return
        match effect:
            case e.Dial():
                self._dial(effect)
            case e.Adopt():
                self._adopt(effect)
            case e.Drop():
                self._drop(effect)
            case e.PhoneMoved():
                self._phone_moved(effect)
            case e.ListLegs():
                self._emit(LegsListed(frozenset(self._by_number)))
            case e.MatchMedia():
                self._match_media(effect)
            case e.FindMedia():
                leg = self._by_number.get(effect.leg)
                self._emit(MediaFound(effect.leg, self._matcher.describe(leg) if leg else None))

    def _gone(self, effect: e.OfLeg) -> None:
        """Answer the core for a leg that is not there any more."""
        match effect:
            case e.Offer():
                self._emit(OfferAnswered(effect.leg, 481, None))
            case e.SendInfo():
                self._emit(InfoResponseReceived(effect.leg, effect.exchange, 481))
            case e.NotifyLeg():
                self._emit(LegNotified(effect.leg, effect.exchange, 481))

    def _drop(self, effect: e.Drop) -> None:
        """End a session here and now; PJSIP tells `ended` of it."""
        leg = self._by_number.get(effect.leg)
        if leg is None:
            self._emit(LegEnded(effect.leg, 481, "Call does not exist"))
            return
        leg.hang_up(e.HangUp(leg.number, 408))
        if leg.number in self._by_number:
            leg.session.terminate(408, tells=True)

    def _match_media(self, effect: e.MatchMedia) -> None:
        """Tell the core whether two legs' media fit; where a leg is gone, nothing does."""
        leg, peer = self._by_number.get(effect.leg), self._by_number.get(effect.peer)
        fits = self._matcher.match(leg, peer) if leg and peer else MediaMatched(effect.leg, False)
        self._emit(fits)

    # What cannot be sent

    def too_large(self, octets: bytes) -> bytes:
        """What is sent instead of a message that is too large; `report` does what has to follow."""
        message = read(octets)
        is_request = isinstance(message, Request)
        leg = self._by_tag.get((message.from_ if is_request else message.to).tag)
        if leg and message.method == "INFO":
            if is_request and (exchange := leg.session.exchanges.pop(message.cseq, 0)):
                self._emit(
                    InfoResponseReceived(leg.number, exchange, 513, "The INFO is too large to be sent")
                )
        elif leg and leg not in self._failing:
            self._failing.append(leg)
        is_final = isinstance(message, Response) and message.status >= 200
        if leg and is_final and message.method == "INVITE" and not leg.session.is_up:
            leg.is_refused = True
        return instead_of(octets) if is_final else b""

    @property
    def has_to_report(self) -> bool:
        return bool(self._failing or self._touched)

    def report(self) -> None:
        """Do what has waited until PJSIP was left."""
        if self._failing:
            self._report_failing()
        if self._touched:
            self._describe_touched()

    def _report_failing(self) -> None:
        """Have both ends of a call end at once where a message of it cannot be sent."""
        while self._failing:
            leg = self._failing[0]
            if leg.number in self._by_number and leg.is_refused:  # there is no dialog to end by BYE
                leg.session.terminate(513, tells=True)
            elif leg.number in self._by_number and (leg.is_open or leg.is_connected):
                leg.give_up(513, TOO_LARGE)
            self._failing.popleft()

    # How they end

    def _add(self, leg: Leg) -> None:
        self._by_number[leg.number] = leg
        self._by_inv[leg.session.inv] = leg
        self._by_tag[leg.session.local_tag] = leg

    def _forget(self, leg: Leg) -> None:
        session = leg.session
        self._by_number.pop(leg.number, None)
        self._by_inv.pop(session.inv, None)
        self._by_tag.pop(session.local_tag, None)
        now = time.monotonic()
        self._ended[session.local_tag] = session.call_id
        self._ends.append((now + LIFETIME, session.local_tag))
        while self._ends[0][0] <= now:
            self._ended.pop(self._ends.popleft()[1], None)

    def ended(self, leg: Leg, headers: Headers, silent: bool, redirect: Redirect | None) -> None:
        """Report a session that PJSIP has ended, with what the other side has said to it."""
        try:
            leg.over()
        finally:  # PJSIP frees the session
            self._forget(leg)
            if leg in self._failing:
                self._emit(LegEnded(leg.number, 513, TOO_LARGE, headers, fault=TOO_LARGE))
            else:
                status = leg.session.end_status
                self._emit(LegEnded(leg.number, *status, headers, silent, redirect=redirect))

    # Where their requests go

    def responded_by(self, leg: Leg, response: Response) -> None:
        """Take route set and target from a response to our INVITE; the flow stays (RFC 3261, 12.1.2)."""
        leg.contact = target(response, leg.flow) or leg.contact
        said = response.contacts[0].uri.text if response.contacts else leg.contact
        if response.status >= 200 and said != leg.contact:
            text = f"it says {visible(said)} is where it is: its requests go to {visible(leg.contact)}"
            self._emit(LegFault(leg.number, f"{text} by {leg.flow}"))
        routes = response.routes("record-route")[::-1]
        if routes != leg.routes:
            self._move(leg, leg.flow, routes)

    def refreshed_by(self, leg: Leg, response: Response) -> None:
        """Take from a 2xx to a later request of ours where the phone is now; the route set stays."""
        leg.contact = target(response, leg.flow) or leg.contact

    def flow_closed(self, flow: Flow) -> None:
        """Handle a connection that is gone: its calls live on, by a new one, when there is something to send.

        Without a way to the phone they go on until it comes again, or the session timer ends them. Those that
        still ring end now, as do those whose INVITE found no connection: only a new one has another way.
        """
        for leg in [leg for leg in self._by_number.values() if leg.flow == flow]:
            way = self._next_hops.reopened(flow, leg.contact, leg.routes)
            is_lost = way is None or way == flow or not self._next_hops.may_reach(flow)
            if not leg.session.is_answered and is_lost:
                leg.session.terminate(503, tells=True)
            elif way:
                self._move(leg, way, leg.routes)

    def came_by(self, leg: Leg, request: Request, source: Flow) -> None:
        """Send a call's requests to where its phone is now, as it has sent one; a late copy says nothing."""
        if request.cseq < leg.session.remote_cseq:
            return
        contact = (target(request, source) if request.method in REFRESHING else "") or leg.contact
        routes = self._next_hops.renewed(leg.routes, request.routes("record-route"), source)
        try:
            flow = self._next_hops.of(source, contact, routes, request.via.rport is not None)
        except Refusal:  # it would lead to ourselves
            return
        leg.contact = contact
        if (flow, routes) != (leg.flow, leg.routes):
            self._move(leg, flow, routes)

    def _phone_moved(self, effect: e.PhoneMoved) -> None:
        """Move the calls of a phone that has registered from elsewhere there, too."""
        for leg in [leg for leg in self._by_number.values() if leg.flow == effect.before]:
            if leg.is_secure and not effect.flow.is_secure:
                continue
            if any(leads_to_same(leg.contact, contact) for contact in effect.contacts):
                leg.contact = effect.contacts[-1]  # it may register from elsewhere again
                self._move(leg, effect.flow, self._next_hops.renewed(leg.routes, effect.routes, effect.flow))

    def _move(self, leg: Leg, flow: Flow, routes: tuple[str, ...]) -> None:
        self.touch(leg)
        leg.flow, leg.routes = flow, routes
        self._sessions.route(leg.session.dialog, flow, routes)
