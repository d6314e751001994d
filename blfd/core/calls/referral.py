"""What a REFER asks for: whom its sender's call is to be with, or why it cannot be (RFC 3515, RFC 5589)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from blfd.core.advice import command
from blfd.core.calls.call import Call
from blfd.core.calls.calls import Calls
from blfd.core.calls.forwarding import Asked, Callee
from blfd.core.calls.passed_on import fits
from blfd.core.calls.replaces import parse
from blfd.core.calls.transfer import Consultation
from blfd.core.errors import Refusal, no_tls
from blfd.core.events.dialog_state import Dialogs
from blfd.core.messages import ReferReceived
from blfd.core.party import Seat, State
from blfd.core.quoting import name_addr
from blfd.core.routing import Refused, Route, ToExtension, ToOutside
from blfd.core.values import DEFAULT_TENANT, Aor, Headers, Uri
from blfd.core.visible import visible
from dialog_info import DialogState

MOST = 5  # transfers of one call, one after the other
HOPS = ("Max-Forwards", "70")


class Referral(NamedTuple):
    """`target` is to be called with `headers`, or there is a `consultation`, whose other end it is.

    `secure`: over TLS alone.
    """

    target: Callee | None
    headers: Headers
    consultation: Consultation | None
    secure: bool


class Referrals:
    """`route` says what a URI means that an extension dials."""

    def __init__(self, dialogs: Dialogs, calls: Calls, route: Callable[[Aor, Uri], Route]) -> None:
        self._dialogs, self._calls, self._route = dialogs, calls, route

    def call_of(self, refer: ReferReceived, busy: Collection[int]) -> Call:
        """The call in which a REFER came; `busy` are the legs that are in a transfer. Raises Refusal."""
        if not refer.leg:
            detail = "REFER outside a call: only who is in a call can transfer it"
            raise Refusal(403, "Transfer a call from within it", log=detail)
        call = self._calls.of(refer.leg)
        if any(leg in busy for leg in (refer.leg, *(call.legs() if call else ()))):
            raise Refusal(491, "This call is just being transferred")
        if call is None:
            raise Refusal(481, "Call does not exist")
        if call.state is State.RINGING:
            raise Refusal(403, "A call is transferred once it is up")
        if call.transfers >= MOST:
            raise Refusal(483, f"This call was transferred {MOST} times already")
        return call

    def find(self, refer: ReferReceived, call: Call, busy: Collection[int], now: float) -> Referral:
        """Whom a REFER means. Raises Refusal."""
        transferor = call.seat(refer.leg)
        if transferor.party.is_outside:
            detail = f"{transferor.party} wants to transfer a call: nobody outside does"
            raise Refusal(403, "", log=detail)
        target = refer.refer_to.uri
        method = target.parameter("method")
        if method is not None and method.upper() != "INVITE":
            raise Refusal(400, f"A call is transferred, and no {visible(method)}")
        transferee, secure = call.seat(call.other(refer.leg)), call.secure or target.scheme == "sips"
        if refer.refer_to.replaces:
            consultation = self._consultation(refer.refer_to.replaces, transferor, call, busy)
            secure |= consultation.call.secure
            if secure:
                _check_tls(transferee, consultation)
            return Referral(None, (), consultation, secure)
        who = transferor.party.aor
        may_leave = self._calls.rules.tenant(who).send_outside
        dialled = _dialled(target, refer)
        match self._route(who, dialled):
            case ToOutside() if not may_leave:
                raise _stays(who)
            case ToExtension(callee) | ToOutside(callee):
                asked = Asked(transferee.party.aor, secure=secure, plain=transferee.is_plain)
                self._calls.rules.first(callee, asked, now)
                return Referral(callee, (HOPS, *_referred_by(refer, transferor, call)), None, secure)
            case Refused(status, reason, log):
                raise Refusal(status, reason, log=log)
            case _:
                code = visible(dialled.user)
                detail = f"{who} transfers a call to {code}: that is for who dials it"
                raise Refusal(403, f"A call cannot be transferred to {code}", log=detail)

    def _consultation(
        self, values: tuple[str, ...], transferor: Seat, call: Call, busy: Collection[int]
    ) -> Consultation:
        """The transferor's other call that Replaces names (RFC 5589, section 7), in whatever way one fits."""
        aor = transferor.party.aor
        replaces = parse(values, is_complete=False)
        tags = {replaces.to_tag, replaces.from_tag} - {""}
        found = [
            dialog
            for owner, dialog in self._dialogs.find(aor.tenant, replaces.call_id)
            if owner == aor and tags <= {dialog.id.local_tag, dialog.id.remote_tag}
        ]
        live = [dialog for dialog in found if dialog.state is not DialogState.TERMINATED]
        if len(live) != 1:
            reason = "The other call is over" if found and not live else f"{aor.extension} has no such call"
            raise Refusal(481, reason)
        (dialog,) = live
        other = self._calls.numbered(dialog.call)
        if other is None or dialog.leg not in other.legs():
            raise Refusal(481, "The other call is over")
        if other is call:
            raise Refusal(400, "A call cannot be transferred to itself")
        if any(leg in busy for leg in other.legs()):
            raise Refusal(491, "The other call is just being transferred")
        if max(call.transfers, other.transfers) >= MOST:
            raise Refusal(483, f"This call was transferred {MOST} times already")
        if other.state is State.RINGING and dialog.leg != other.caller_leg:
            raise Refusal(403, f"{aor.extension} has not answered the other call")
        target = other.callee if dialog.leg == other.caller_leg else other.caller
        if target.is_outside and not self._calls.rules.tenant(aor).send_outside:
            raise _stays(aor)
        if other.is_up and replaces.early_only:
            raise Refusal(486, "The other call is up already")
        return Consultation(other, dialog.leg)


def _check_tls(transferee: Seat, consultation: Consultation) -> None:
    """Check that those who are to talk by sips: have TLS. Raises Refusal where one has none."""
    if transferee.is_plain:
        raise no_tls(transferee.party.user)
    other = consultation.call
    if any(leg in other.plain for leg in other.legs() if leg != consultation.leg):
        raise no_tls((other.callee if consultation.leg == other.caller_leg else other.caller).user)


def _stays(who: Aor) -> Refusal:
    lets = command(DEFAULT_TENANT, "tenant", "set", who.tenant, "--send-outside", "on")
    detail = f"{who} transfers a call outside: {lets} lets it"
    return Refusal(403, "Calls are not transferred outside", log=detail)


def _dialled(target: Uri, refer: ReferReceived) -> Uri:
    """What a phone's own keypad would have sent: a number alone, or at our Contact, is one of its domain."""
    host = refer.request.from_.uri.host
    if target.scheme == "tel":
        number = target.text.partition(":")[2].partition(";")[0]
        user = "".join(digit for digit in number if digit not in "-.()")
        return target._replace(scheme="sip", user=user, host=host)
    return target._replace(host=host) if target.host == refer.request.target.host else target


def _referred_by(refer: ReferReceived, transferor: Seat, call: Call) -> Headers:
    """Who has transferred, as its phone says, which may name nobody else (RFC 3892)."""
    party, said = transferor.party, refer.referred_by
    if party.withheld:
        return ()
    is_own = said is not None and said.uri.user == party.aor.extension and "cid=" not in said.text
    if said and fits(said.text) and (transferor.is_trusted or is_own):
        return (("Referred-By", said.text),)
    return (("Referred-By", name_addr(party.name_addr(call.domain))),)
