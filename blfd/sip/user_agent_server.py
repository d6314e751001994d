"""Requests of peers, and our responses: we are their user agent server (RFC 3261).

What belongs to a call goes on to what carries it. All else is a transaction of ours, and the core says what
is answered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from blfd.core import capabilities
from blfd.core import effects as e
from blfd.core.calls.leg_effects import Accept
from blfd.core.calls.leg_inputs import LegEnded
from blfd.core.errors import Refusal
from blfd.core.inputs import Emit, Input
from blfd.core.messages import MovedReceived
from blfd.core.values import Flow, Headers
from blfd.core.visible import visible
from blfd.sip import bodies
from blfd.sip.bodies import readable_session_description, session_description
from blfd.sip.carrier import Carrier
from blfd.sip.message import Request
from blfd.sip.own_uris import OwnUris
from blfd.sip.phrases import PHRASES
from blfd.sip.requests import as_input, remote_target, request_of
from blfd.sip.server_transactions import ServerTransaction, ServerTransactions, State
from blfd.sip.tokens import Tokens
from blfd.sip.writer import Writer, reopened_flow, response_flow
from blfd.transport.network import Network

log = logging.getLogger("blfd.sip")

FOLLOWING = capabilities.IN_CALLS - {"INVITE"}  # what there is inside a call alone
LOGGED = 5000  # characters of what was not handled
OFFERING = frozenset(("INVITE", "UPDATE", "PRACK"))


class UserAgentServer:
    """`transactions` are those outside calls, and of INVITEs; else as in `Stack`."""

    def __init__(
        self,
        network: Network,
        own_uris: OwnUris,
        writer: Writer,
        calls: Carrier,
        emit: Emit,
        trusts: Callable[[str], bool],
    ) -> None:
        self._network, self._own_uris, self._writer, self._calls = network, own_uris, writer, calls
        self._emit, self._trusts, self._new_tag = emit, trusts, Tokens().new
        self.transactions = ServerTransactions(network.send, network.send_request, calls.is_up)

    def take(self, request: Request, flow: Flow) -> None:
        method = request.method
        if method == "ACK":
            self._acknowledged(request, flow)
            return
        known = self.transactions.find(key := request.key())
        if known is not None:
            self._repeated(known, request, flow)
        elif method == "CANCEL":
            self._cancelled(key, request, flow)
        elif method in capabilities.OUTSIDE_CALLS or not (request.to.tag or method in FOLLOWING):
            self._ask(self._begin(key, request, flow))
        else:
            self._in_call(key, request, flow)

    def take_all(self, requests: Iterable[tuple[Request, Flow]]) -> None:
        """Take requests that are of no call, such as SUBSCRIBEs: the core has all before any is answered."""
        new = []
        for request, flow in requests:
            try:
                known = self.transactions.find(key := request.key())
                if known is None:
                    new.append(self._begin(key, request, flow))
                else:
                    self._repeated(known, request, flow)
            except Exception:
                log.exception("a %s from %s was not handled", request.method, flow)
        self._ask(*new)

    def _begin(self, key: str, request: Request, flow: Flow) -> ServerTransaction:
        ways = response_flow(request.via, flow), self._anew(request, flow)
        return self.transactions.begin(key, request, flow, *ways)

    def _anew(self, request: Request, flow: Flow) -> Flow | None:
        """Where a trusted edge takes a response when it has closed the connection of its request."""
        if not flow.is_connected or not self._trusts(flow.host):
            return None
        anew = reopened_flow(request.via, flow)
        return None if self._network.leads_here(anew) else anew

    def _repeated(self, known: ServerTransaction, request: Request, flow: Flow) -> None:
        if known.state is State.ACCEPTED:
            self._calls.repeated(request, flow)
        else:
            self.transactions.repeated(known)

    def _acknowledged(self, request: Request, flow: Flow) -> None:
        """Take an ACK: it is for a refusal of ours, or it belongs to a call."""
        if self.transactions.acknowledged(request.key("INVITE"), time.monotonic()):
            return
        if self._calls.knows(request, flow):
            self._calls.request(request, flow, readable_session_description(request))

    def _cancelled(self, key: str, request: Request, flow: Flow) -> None:
        """Take a CANCEL (RFC 3261, section 9.2)."""
        invite = self.transactions.find(request.key("INVITE"))
        if invite is not None and invite.state is State.ACCEPTED:
            self._refuse_unless_taken(self._calls.cancel(request, flow), key, request, flow)
            return
        transaction = self._begin(key, request, flow)
        self._respond(transaction, 481 if invite is None else 200)
        if invite is not None and invite.is_open:
            self._respond(invite, 487)

    def _in_call(self, key: str, request: Request, flow: Flow) -> None:
        """Take a request inside a dialog that is no subscription's."""
        if self._calls.knows(request, flow):
            self._within(key, request, flow)
            return
        transaction = self._begin(key, request, flow)
        leg = self._calls.leg_elsewhere(request)
        if not leg:
            self._respond(transaction, 481)
            return
        self._emit(MovedReceived(request_of(request, flow, transaction.id), leg))
        if transaction.is_open:
            self.transactions.wait(transaction, time.monotonic())

    def _within(self, key: str, request: Request, flow: Flow) -> None:
        """Take a request of the phone of a leg."""
        if request.method in capabilities.IN_CALLS:
            try:
                _check_extensions(request)
                offers = request.method in OFFERING
                if offers:
                    remote_target(request)
                sdp = session_description(request.fields, request.body) if offers else None
                status = self._calls.request(request, flow, sdp)
            except Refusal as refusal:
                transaction = self._begin(key, request, flow)
                self._respond(transaction, refusal.status, refusal.reason, headers=refusal.headers)
                return
            self._refuse_unless_taken(status, key, request, flow)
        else:
            self._ask(self._begin(key, request, flow))

    def _refuse_unless_taken(self, status: int, key: str, request: Request, flow: Flow) -> None:
        if status:
            headers = (("Retry-After", "1"),) if status == 500 else ()
            self._respond(self._begin(key, request, flow), status, headers=headers)

    def _ask(self, *transactions: ServerTransaction) -> None:
        """Have the core respond to requests; it may do so later."""
        inputs = []
        for transaction in transactions:
            try:
                found = self._input_of(transaction)
            except Exception:
                log.exception("a %s from %s was not handled", transaction.method, transaction.source)
                if transaction.is_open:
                    self._respond(transaction, 500)
            else:
                if found is not None:
                    inputs.append(found)
        failed = False
        try:
            self._emit(*inputs)
        except Exception:
            failed = True  # of one that has no response; nearly all others have theirs
            log.exception("one of these was not handled:\n%s", "\n".join(map(repr, inputs))[:LOGGED])
        for transaction in transactions:
            if not transaction.is_open:
                continue
            if failed:
                self._respond(transaction, 500)
                continue
            if transaction.method == "INVITE":
                self._respond(transaction, 100)
            self.transactions.wait(transaction, time.monotonic())

    def _input_of(self, transaction: ServerTransaction) -> Input | None:
        """The input that the core is to respond to; None if it need not, as the request is refused here."""
        try:
            return self._checked(transaction)
        except Refusal as refusal:
            if refusal.log:
                log.warning("%s", refusal.log)
            self._respond(transaction, refusal.status, refusal.reason, headers=refusal.headers)
            return None

    def _checked(self, transaction: ServerTransaction) -> Input:
        """The input that a request is. Raises Refusal for what no core need see."""
        request = transaction.request
        assert request is not None, "it has just come"
        if request.method != "INVITE":
            _check_extensions(request)
            if request.method in capabilities.OTHERS:
                bodies.check(request)
            in_call = request.to.tag and request.method not in capabilities.OUTSIDE_CALLS
            leg = self._calls.leg_of(request, transaction.source) if in_call else 0
            if in_call and request.method == "REFER" and not leg:
                raise Refusal(481, "")
            return as_input(request, transaction.source, transaction.id, None, leg)
        if self._calls.has_sent(request):
            text = (
                f"INVITE {visible(request.target.text)} came back from {transaction.source}: a loop, refused"
            )
            raise Refusal(482, "", (), text)
        if self.transactions.is_merged(transaction, request):
            raise Refusal(482, "")
        accepted = request.tokens("accept")
        if accepted is not None and capabilities.TAKES_BODIES.isdisjoint(accepted):
            raise Refusal(406, "", (capabilities.ACCEPT,))
        sdp = session_description(request.fields, request.body)
        return as_input(request, transaction.source, transaction.id, sdp)

    # Effects

    def reply(self, reply: e.Reply) -> None:
        transaction = self.transactions.of(reply.transaction)
        if transaction is None or transaction.request is None:
            return  # the phone has cancelled meanwhile
        headers = reply.headers
        if reply.contact_user is not None:
            headers = (*headers, ("Contact", self._own_uris.contact(transaction.source, reply.contact_user)))
        self._respond(transaction, reply.status, reply.reason, reply.to_tag, headers, once=reply.once)

    def accept(self, effect: Accept) -> None:
        transaction = self.transactions.of(effect.transaction)
        if transaction is None or transaction.request is None:
            self._emit(LegEnded(effect.leg, 487, "The caller has hung up"))
            return
        refused = self._calls.accept(effect, transaction.request, transaction.source)
        if refused is not None:
            said = refused.reason or f"{refused.status} {PHRASES.get(refused.status, '')}".strip()
            why = "".join(f"; {name}: {visible(value)}" for name, value in refused.headers)
            fault = f"its INVITE is refused: {said}{why}"
            self._emit(LegEnded(effect.leg, refused.status, refused.reason or "refused", fault=fault))
        if refused is None or refused.is_sent:
            self.transactions.accepted(transaction, effect.leg, time.monotonic())
        else:
            self._respond(transaction, refused.status, refused.reason, headers=refused.headers)

    def let_in(self, effect: e.LetIn) -> None:
        """Take a request of a call as if it had come from where the phone was."""
        transaction = self.transactions.of(effect.transaction)
        if transaction is None or transaction.request is None:
            return
        request, flow = transaction.request, transaction.source
        self.transactions.withdraw(transaction)
        self._calls.moved(request, flow)
        self._within(transaction.key, request, flow)

    def ignore(self, effect: e.Ignore) -> None:
        transaction = self.transactions.of(effect.transaction)
        if transaction is not None:
            self.transactions.ignore(transaction, time.monotonic())

    def _respond(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        to_tag: str = "",
        headers: Headers = (),
        *,
        once: bool = False,
    ) -> None:
        request = transaction.request
        assert request is not None, "an open transaction has its request"
        tag = to_tag or (self._new_tag() if status > 100 else "")
        data = self._writer.response(request, transaction.source, status, reason, tag, headers)
        while once and len(data) > len(request.data) and len(headers) > 1:  # fewer algorithms to choose from
            headers = headers[1:]
            data = self._writer.response(request, transaction.source, status, reason, tag, headers)
        self.transactions.respond(transaction, status, data, time.monotonic(), once=once)


def _check_extensions(request: Request) -> None:
    """Raises Refusal for a request that asks for what is not served, unless it ends a call."""
    if "require" not in request.fields or request.method == "BYE":
        return
    known = capabilities.OF_NOTIFIERS if request.method == "NOTIFY" else capabilities.OPTION_TAGS
    unsupported = [tag for tag in request.tokens("require") or () if tag not in known]
    if unsupported:
        raise Refusal(420, "", (("Unsupported", ", ".join(unsupported)),))
