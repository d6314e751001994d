"""Calls on PJSIP: which messages it is given, and what it does with them.

PJSIP sees an INVITE once the core has accepted it, and then what belongs to that leg: requests and responses
whose Call-ID and tags are the leg's. Everything is read before by `sip/reader`; PJSIP gets the headers that
it needs, and the SDP (`received`).
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable

from blfd.core import capabilities
from blfd.core.calls import leg_effects as e
from blfd.core.calls.leg_inputs import LegFault, LegIdentified, OfferReceived
from blfd.core.calls.media import answering
from blfd.core.effects import Effect
from blfd.core.errors import Refusal
from blfd.core.inputs import Input
from blfd.core.messages import Challenge
from blfd.core.next_hop import NextHops
from blfd.core.values import Flow
from blfd.pjsip.adapter import Adapter
from blfd.pjsip.endpoint import HEADER_ALLOW, HEADER_SUPPORTED, USAGE_PRIORITY, Endpoint
from blfd.pjsip.invite_events import InviteEvents
from blfd.pjsip.leg import Leg
from blfd.pjsip.leg_states import State
from blfd.pjsip.legs import Legs
from blfd.pjsip.printing import Printing
from blfd.pjsip.received import Received, octets_of
from blfd.pjsip.session import CHALLENGING
from blfd.pjsip.sessions import Refused
from blfd.sip.bodies import readable_session_description
from blfd.sip.call_ids import CallIds
from blfd.sip.identities import connected
from blfd.sip.message import Request, Response
from blfd.sip.own_uris import OwnUris
from blfd.sip.writer import response_flow
from blfd.transport.network import Network

log = logging.getLogger("blfd.legs")

CHANGING = frozenset(("INVITE", "UPDATE"))
LATE = "CSeq is not higher than before"


class Calls:
    """All calls; `emit` takes every input at once. One thread makes it, and does everything with it."""

    def __init__(
        self,
        network: Network,
        own_uris: OwnUris,
        next_hops: NextHops,
        call_ids: CallIds,
        emit: Callable[[Input], None],
        session_expires: int,
        *,
        verbose: bool = False,
    ) -> None:
        self._emit, self._call_ids = emit, call_ids
        self._events = InviteEvents(emit)
        self.endpoint = Endpoint(self._events.callbacks, verbose=verbose)
        Printing(self.endpoint)
        self._adapter = Adapter(self.endpoint, network, own_uris, lambda octets: self.legs.too_large(octets))
        events = self._events
        usage = self.endpoint.register_module(
            b"mod-blfd-call", USAGE_PRIORITY, events.on_dialog_request, events.on_dialog_response
        )
        self.endpoint.announce(usage, HEADER_ALLOW, capabilities.OTHERS)
        self.endpoint.announce(usage, HEADER_SUPPORTED, capabilities.OPTION_TAGS)
        self.legs = Legs(
            self.endpoint,
            self._adapter,
            own_uris,
            next_hops,
            call_ids,
            usage,
            session_expires,
            emit,
            self._give_later,
        )
        self._events.legs = self.legs
        self._received = Received(self.endpoint, self._adapter.stand_ins)
        self._later: deque[tuple[Request, Flow, bytes | None]] = deque()
        self._timers_at: float | None = 0.0  # of time.monotonic(): when PJSIP's next is due without any call

    @property
    def given(self) -> int:
        """How many messages PJSIP was given since the start."""
        return self._received.given

    def knows(self, request: Request, flow: Flow) -> bool:
        """Whether a request belongs to a dialog that is a leg's, or was a moment ago."""
        return self.legs.knows(request.call_id, request.to.tag, request.from_.tag, flow)

    def leg_of(self, request: Request, flow: Flow) -> int:
        """The leg in whose dialog a request came that it `knows` and does not carry; 0 where that has ended.

        Raises Refusal for one that came late: PJSIP, which counts the others, does not see it.
        """
        leg = self.legs.of_tag(request.to.tag)
        if leg is None:
            return 0
        if request.cseq <= leg.session.remote_cseq:
            raise Refusal(500, LATE)
        self.legs.came_by(leg, request, flow)
        leg.session.remote_cseq = request.cseq
        self.legs.touch(leg)
        return leg.number

    def leg_elsewhere(self, request: Request) -> int:
        """The leg whose ids a request has that it does not know, as that came from elsewhere; 0 for none."""
        leg = self.legs.of_tag(request.to.tag)
        is_its = self.legs.knows(request.call_id, request.to.tag, request.from_.tag)
        return leg.number if leg and is_its else 0

    def moved(self, request: Request, flow: Flow) -> None:
        """Note that a request has come from where the phone of its leg is now."""
        leg = self.legs.of_tag(request.to.tag)
        if leg:
            self.legs.came_by(leg, request, flow)

    def is_up(self, leg: int) -> bool:
        return self.legs.is_up(leg)

    def perform(self, effect: Effect) -> None:
        """Do what the core has decided about a leg; what concerns legs that are gone is passed over."""
        self._timers_at = 0.0
        self.legs.perform(effect)

    def accept(self, effect: e.Accept, request: Request, flow: Flow) -> Refused | None:
        """Make an INVITE a leg; or why PJSIP does not take it."""
        if not self._fill(request, flow, readable_session_description(request)):
            return Refused(400)
        try:
            refused = self.legs.accept(effect, self._received.pj, request, flow)
            fault = self.legs.fault_of(self._events.sdp) if refused and not refused.is_sent else ""
            return Refused(400, fault) if fault else refused
        finally:
            self._events.message = self._events.sdp = None

    def has_sent(self, request: Request) -> bool:
        """Whether an INVITE is one of ours, come back to us for whom it was."""
        return self.legs.has_sent(request)

    def response(self, response: Response, flow: Flow) -> bool:
        """Take a response; PJSIP gets it where it is one of a leg's. False for a 2xx after another, or after
        our INVITE was forgotten, as with the process that had sent it."""
        call_id, tag = response.call_id, response.from_.tag
        is_success = response.method == "INVITE" and response.status // 100 == 2
        if not self.legs.knows(call_id, tag):
            return not (is_success and self._call_ids.is_ours(call_id, tag, time.time()))
        branch = self._adapter.branches.opened(response.via.branch)
        if not branch:  # a stranger's
            return True
        if is_success and self.legs.has_another_2xx(tag, response.to.tag):
            return False
        leg = self.legs.of_tag(tag)
        challenges: list[Challenge] = []
        if leg:
            challenges = leg.session.challenged(response.status, response.cseq, response.challenges())
        if not self._fill(response, flow, readable_session_description(response), challenges, branch):
            return not (self._given_up(leg, response) and is_success)
        self._process()
        if leg and response.status in CHALLENGING and self.legs.of_tag(tag) is leg:
            self.legs.refused_proof(leg)
        self._touch(tag, response)
        return True

    def _given_up(self, leg: Leg | None, response: Response) -> bool:
        """End a leg whose INVITE has a final response that PJSIP cannot be given: it would wait on."""
        ends = response.method == "INVITE" and response.status >= 200
        if leg is None or not ends or leg.session.is_answered:
            return False
        self._events.message = response
        try:
            leg.session.terminate(response.status if response.status >= 300 else 502, tells=True)
        finally:
            self._events.message = None
        return True

    def _touch(self, tag: str, message: Request | Response) -> None:
        """Note a message of a leg, if it changes what is kept: a request, a response to INVITE or UPDATE."""
        leg = self.legs.of_tag(tag)
        if leg and (isinstance(message, Request) or message.method in CHANGING):
            self.legs.touch(leg)
            if isinstance(message, Response) and leg.is_connected and message.status // 100 == 2:
                self.legs.refreshed_by(leg, message)

    def repeated(self, request: Request, flow: Flow) -> None:
        """Take an accepted INVITE that came again: PJSIP repeats its answer, as long as it remembers."""
        self._give(request, flow)

    def cancel(self, request: Request, flow: Flow) -> int:
        """Take a CANCEL of an accepted INVITE; the status to answer it with, 0 where PJSIP has."""
        return 0 if self._give(request, flow) else 481

    def request(self, request: Request, flow: Flow, sdp: bytes | None) -> int:
        """Take a request in a dialog that it `knows`; the status for it, 0 where PJSIP or nobody answers.

        Raises Refusal for SDP that PJSIP does not take.
        """
        self._give_held()  # it was first
        leg = self.legs.of_tag(request.to.tag)
        if leg is None:
            return 0 if self._give(request, flow, sdp) else 481
        self.legs.came_by(leg, request, flow)
        self._touch(request.to.tag, request)
        if request.method == "ACK":
            self._acknowledged(leg, request, flow, sdp)
            return 0
        if request.cseq <= leg.session.remote_cseq and not leg.is_held(request):
            return (
                0 if self._give(request, flow) else 481
            )  # PJSIP repeats its answer, or says that it is late
        if fault := self.legs.fault_of(sdp):
            self._emit(LegFault(leg.number, f"its {request.method} is refused: {fault}"))
            raise Refusal(400, fault)
        if request.method == "PRACK":
            return 0 if self._acknowledges_provisional(leg, request, flow, sdp) else 481
        session = leg.session
        if request.method in ("INVITE", "UPDATE") and not session.is_described:
            return 500  # PJSIP would assert
        if request.method == "INVITE" and not session.has_agreed:
            return 500  # likewise
        if request.method == "INVITE" and leg.state is State.UPDATED:
            return 491  # PJSIP does not know of the UPDATE, and would take another offer
        if request.method == "UPDATE" and leg.is_open and session.may_be_offered():
            return 0 if self._offered_early(leg, request, flow, sdp) else 481
        if request.method == "UPDATE" and sdp and leg.holds(request, sdp):
            return 0
        if request.method == "UPDATE" and not sdp and (who := connected(request.fields)):
            self._emit(LegIdentified(leg.number, who))
        return 0 if self._give(request, flow, sdp) else 481

    def _acknowledges_provisional(self, leg: Leg, request: Request, flow: Flow, sdp: bytes | None) -> bool:
        """Take a PRACK; PJSIP asserts that it has an answer to the SDP in it, unless that is one itself."""
        if leg.session.may_be_offered():
            return self._offered_early(leg, request, flow, sdp)
        return self._give(request, flow, sdp if leg.session.awaits_answer() else None)

    def _offered_early(self, leg: Leg, request: Request, flow: Flow, sdp: bytes | None) -> bool:
        """Take an offer of a phone before the call is up: the answer is what the phone knows already."""
        known = leg.session.sent_sdp
        if sdp and known:
            leg.waiting_answer = answering(known, sdp)
        is_taken = self._give(request, flow, sdp if leg.waiting_answer else None)
        if sdp and not leg.waiting_answer:  # PJSIP has had it
            self._emit(OfferReceived(leg.number, sdp, answered=True))
        leg.waiting_answer = b""
        return is_taken

    def _acknowledged(self, leg: Leg, request: Request, flow: Flow, sdp: bytes | None) -> None:
        """Take an ACK; the other phone hears of an answer to PJSIP's offer to a re-INVITE without SDP."""
        answers = leg.is_connected and leg.session.awaits_answer()
        self._give(request, flow, sdp)
        if answers and sdp and leg.state is State.UP:
            self._emit(OfferReceived(leg.number, sdp))

    def _give_later(self, request: Request, flow: Flow) -> None:
        self._later.append((request, flow, readable_session_description(request)))

    def give_waiting(self) -> None:
        """Give PJSIP the requests that were held and may go on; report of legs what has waited for that."""
        if self._later:
            self._give_held()
        self.legs.report()

    def _give_held(self) -> None:
        """Give PJSIP the requests that have waited here, which are late to it alone."""
        while self._later:
            request, flow, sdp = self._later.popleft()
            leg = self.legs.of_tag(request.to.tag)
            highest = leg.session.remote_cseq if leg else 0
            if leg:
                leg.session.remote_cseq = request.cseq - 1
            self._give(request, flow, sdp)
            if leg and self.legs.of_tag(request.to.tag) is leg:
                leg.session.remote_cseq = highest

    def _give(
        self,
        message: Request | Response,
        flow: Flow,
        sdp: bytes | None = None,
        challenges: Iterable[Challenge] = (),
        branch: str = "",
    ) -> bool:
        """Have PJSIP handle a message with this SDP; whether one of its layers took it.

        `branch` is that of a response as PJSIP has made it.
        """
        return self._fill(message, flow, sdp, challenges, branch) and self._process()

    def _process(self) -> bool:
        """Have PJSIP handle what it was filled with; whether one of its layers took it."""
        try:
            return self._received.process()
        finally:  # what its timers do later is nobody's message
            self._events.message = self._events.sdp = None

    def _fill(
        self,
        message: Request | Response,
        flow: Flow,
        sdp: bytes | None,
        challenges: Iterable[Challenge] = (),
        branch: str = "",
    ) -> bool:
        self._timers_at = 0.0
        transport = self._adapter.transport_of(flow)
        if transport is None:
            return False
        self._events.message, self._events.sdp = message, sdp
        source = response_flow(message.via, flow) if isinstance(message, Request) else flow
        if self._received.fill(octets_of(message, flow, sdp, challenges, branch), source, transport):
            return True
        self._events.message = self._events.sdp = None
        log.warning("%s of %s from %s: PJSIP cannot read it", message.method, message.call_id, flow)
        return False

    # Life

    def poll(self) -> float | None:
        """Fire the timers that are due; seconds until the next, None if there is none.

        PJSIP sets them while it is given something, or has a leg: with neither there is no need to ask it.
        """
        if not self.legs and not self._later and self._timers_at != 0.0:
            left = self._timers_at - time.monotonic() if self._timers_at is not None else None
            if left is None or left > 0.0:
                return left
        delay = self.endpoint.poll_timers()
        self._timers_at = None if delay is None else time.monotonic() + delay
        waits = self._later or self.legs.has_to_report
        return 0.0 if waits else delay

    def flow_closed(self, flow: Flow) -> None:
        self._adapter.closed(flow)
        self.legs.flow_closed(flow)

    def close(self) -> None:
        self.endpoint.destroy()
