"""Where a call goes that its callee's phones do not take: by the extension's rules, or by a phone's 3xx.

A call that is forwarded goes from extension to extension; each that it has left is a `Hop`, with the cause.
It may go on five times, and never to where it has been. A rule that leads nowhere, as its target is gone or
is the caller, counts as none, so that the call rings where it is: who answers somebody's calls can call
through to that one. An extension's rules are asked for again at each step, so a change holds at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from blfd.core.access.domains import Domains
from blfd.core.advice import command
from blfd.core.calls.hops import Cause, Hop
from blfd.core.directory import Directory, Extension, Forwarding, Tenant
from blfd.core.errors import SIPS_NOT_ALLOWED, Refusal, no_tls
from blfd.core.hosts import is_address
from blfd.core.next_hop import without_headers
from blfd.core.party import Party
from blfd.core.registrar import Registrar
from blfd.core.routing import Refused, Routing, ToExtension, ToOutside
from blfd.core.settings import Settings
from blfd.core.trunk import RESERVED, Trunk
from blfd.core.trunks.outgoing import Line, Outside, number_of
from blfd.core.trunks.trunks import Trunks
from blfd.core.values import Aor, Binding, Uri
from blfd.core.visible import visible

NO_TLS = "has no phone over TLS, and is called by sips:"
MOST = 5  # times that a call is forwarded

Callee = Extension | Outside
"""Who can be called: here, or by a trunk."""


class Other(NamedTuple):
    """Where a call may go as well, as a phone's 3xx had several Contacts, and the hops that lead there."""

    uri: Uri
    hops: tuple[Hop, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call is to ring, how it came there, and `others` if nothing comes of it.

    `outside` is the number that is called by a trunk, None where the party is an extension. `secure`: it was
    named by a sips: URI.
    """

    party: Party
    hops: tuple[Hop, ...] = ()
    others: tuple[Other, ...] = ()
    outside: Outside | None = None
    secure: bool = False


class Asked(NamedTuple):
    """Who calls, and how often the call had been forwarded before it came here.

    `passed` are extensions that have forwarded it outside already, from where it has come back. `secure`: it
    is for a sips: URI, and goes over TLS to whom it rings at (RFC 5630). `plain`: it has not come over TLS.
    """

    caller: Aor
    before: int = 0
    secure: bool = False
    plain: bool = False
    passed: frozenset[Aor] = frozenset()


class Rules:
    """The rules by which calls go on, from a directory and from which phones can be reached.

    `longest` is for how many seconds a call rings anywhere. `forwarded` counts the calls that ring outside as
    an extension has forwarded them, of which there may be `settings.max_forwarded`.
    """

    def __init__(
        self,
        registrar: Registrar,
        trunks: Trunks,
        new_leg: Callable[[], int],
        settings: Settings,
        forwarded: Callable[[Aor], int],
    ) -> None:
        self._registrar, self._trunks = registrar, trunks
        self.new_leg, self.longest = new_leg, settings.no_answer_timeout
        self._forwarded, self._most_forwarded = forwarded, settings.max_forwarded
        self._directory = Directory()
        self._routing = Routing(self._directory, Domains(self._directory, ()))

    def directory_changed(self, directory: Directory, routing: Routing) -> None:
        self._directory, self._routing = directory, routing

    def of(self, aor: Aor) -> Forwarding:
        extension = self._directory.extensions.get(aor)
        return extension.forwarding if extension else Forwarding()

    def tenant(self, aor: Aor) -> Tenant:
        return self._directory.tenants.get(aor.tenant) or Tenant(aor.tenant)

    def first(self, callee: Callee, asked: Asked, now: float) -> Target:
        """Where a call rings that is for `callee`. Raises Refusal where nothing rings."""
        return self._at(callee, (), (), asked, now)

    def onward(self, at: Target, cause: Cause | None, asked: Asked, now: float) -> Target | None:
        """Where a call goes that nobody has taken at `at`; None for nowhere. Raises Refusal for a circle."""
        found = self._rule(at.party.aor, cause, asked) if cause else None
        if cause and found:
            return self._at(found, (*at.hops, Hop(at.party, cause)), at.others, asked, now)
        try:
            return self._next(at.others, asked, now) if at.others else None
        except Refusal:  # what the phones have said says more
            return None

    def redirected(
        self, at: Target, contacts: Iterable[Uri], cause: Cause, asked: Asked, now: float
    ) -> Target:
        """Where a call goes as a phone at `at` says, the best first. Raises Refusal where none leads."""
        hops = (*at.hops, Hop(at.party, cause))
        others = tuple(Other(uri, hops) for uri in contacts)
        if not others:
            raise Refusal(480, f"{at.party.user} has forwarded its calls and not said where")
        return self._next((*others, *at.others), asked, now)

    def goes_on(self, at: Target, asked: Asked, now: float) -> bool:
        """Whether there is somewhere to go when nobody answers."""
        try:
            return self.onward(at, Cause.NO_ANSWER, asked, now) is not None
        except Refusal:
            return False

    def patience(self, target: Target, asked: Asked) -> float:
        """The seconds that a call rings at a target until it goes on."""
        aor = target.party.aor
        goes_on = target.others or self._rule(aor, Cause.NO_ANSWER, asked)
        return min(self.longest, self.of(aor).after) if goes_on else self.longest

    def lines(
        self, target: Target, caller: Party, by: Party | None, asked: Asked, now: float
    ) -> tuple[list[Line], tuple[Line, ...]]:
        """What is rung at once, and what is tried after that, one by one; `by` has transferred the call."""
        if target.outside is None:
            found = self._phones(target.party.aor, asked, now)
            lines = []
            for one in found:
                flow, *others = self._registrar.ways(one)
                lines.append(Line(flow, without_headers(one.contact), one.path, others=tuple(others)))
            return lines, ()
        known = caller
        if caller.is_outside:  # who has sent a stranger's call on answers for it outside
            known = target.hops[-1].party if target.hops else by or caller
        withheld = caller.withheld or self._hides(known)
        lines = self._trunks.lines(target.outside, replace(known, withheld=withheld))
        if asked.secure and not target.outside.route.emergency:
            lines = [line for line in lines if line.flow.is_secure]
        return lines[:1], tuple(lines[1:])

    def _hides(self, party: Party) -> bool:
        """Whether nobody outside is shown whose a call is: by what is said of it, or set of the extension."""
        extension = self._directory.extensions.get(party.aor)
        return party.withheld or bool(extension and extension.withholds and not party.tells)

    def has_room(self, line: Line, target: Target) -> bool:
        """Whether the trunk of a line, if it has one, takes one more call by now."""
        full = line.trunk and target.outside and not self._trunks.has_room(line.trunk, target.outside)
        return not full

    def why_none(self, outside: Outside) -> Refusal:
        """Why no trunk takes a call."""
        return self._trunks.why_none(outside)

    def gave_no_response(self, line: Line, now: float) -> None:
        """Nothing came to an INVITE: where there are other ways, this one comes last for a while."""
        if line.trunk:
            self._trunks.gave_no_response(line.flow, now)
        else:
            self._registrar.gave_no_response(line.contact, line.flow, line.path, now)

    def _phones(self, aor: Aor, asked: Asked, now: float) -> list[Binding]:
        """The bindings at which an extension can be called; over TLS alone, where that is asked for."""
        found = self._registrar.reachable(aor, now)
        return [binding for binding in found if binding.flow.is_secure or not asked.secure]

    def outside(self, hops: tuple[Hop, ...], trunk: Trunk) -> tuple[Hop, ...]:
        """Hops as they are named outside: by the numbers that they have there."""
        lamp = Aor(trunk.tenant, trunk.resource)
        numbers = [number_of(trunk, None, hop.party.aor.extension) for hop in hops]
        return tuple(
            hop._replace(party=Party(lamp, "", self._hides(hop.party), number))
            for hop, number in zip(hops, numbers, strict=True)
        )

    def _next(self, others: tuple[Other, ...], asked: Asked, now: float) -> Target:
        refusals: list[Refusal] = []
        for number, other in enumerate(others, 1):
            by = asked._replace(secure=asked.secure or other.uri.scheme == "sips")
            try:
                found = self._named(other)
                if isinstance(found, Outside) and other.hops[-1].party.aor in asked.passed:
                    raise _comes_back(other.hops[-1].party.aor, "a phone of it", found)
                return self._at(found, other.hops, others[number:], by, now)
            except Refusal as refusal:
                refusals.append(refusal)
        raise refusals[0]

    def _at(
        self,
        callee: Callee,
        hops: tuple[Hop, ...],
        others: tuple[Other, ...],
        asked: Asked,
        now: float,
    ) -> Target:
        """What the rules of an extension say before anything rings there."""
        while True:
            party = callee_party(callee)
            self._check(party, hops, asked)
            self._check_secure(callee, asked)
            if isinstance(callee, Outside):
                if hops:
                    self._check_forwarded(hops[-1], callee)
                return Target(party, hops, others, callee, asked.secure)
            found = self._before_ringing(callee, asked, now)
            if found is None:
                return Target(party, hops, others, None, asked.secure)
            callee, hops = found[0], (*hops, Hop(party, found[1]))

    def _check_forwarded(self, last: Hop, outside: Outside) -> None:
        """Check that not too many calls ring outside by a forwarding: of a circle through a carrier nothing
        need come back by which it could be known. Raises Refusal."""
        aor, most = last.party.aor, self._most_forwarded
        if self._forwarded(aor) < most:
            return
        what = (
            f"{most} calls that {aor} forwards outside ring there: one more for {outside.number} is refused"
        )
        advice = f"if that number leads here again, {_another_number(aor)}; else raise max_forwarded"
        text = f"{aor.extension} forwards too many calls outside"
        raise Refusal(480, text, log=f"{what} ({last.cause.reason}); {advice}", warns=True)

    def _check_secure(self, callee: Callee, asked: Asked) -> None:
        outside = callee if isinstance(callee, Outside) else None
        if not asked.secure or (outside and outside.route.emergency):
            return
        if asked.plain:
            raise no_tls(asked.caller.extension.removeprefix(RESERVED))
        if outside and not self._trunks.speaks_tls(outside):
            text = f"{outside.number} is called by sips:, and no trunk goes there over TLS"
            raise Refusal(480, text, SIPS_NOT_ALLOWED)

    @staticmethod
    def _check(party: Party, hops: tuple[Hop, ...], asked: Asked) -> None:
        if not hops:
            return
        passed = [hop.party.aor for hop in hops]
        first, here = passed[0].extension, party.user
        if party.aor == asked.caller and not party.is_outside:
            raise Refusal(480, f"{passed[-1].extension} forwards its calls to {here}, who calls")
        if party.aor in passed:
            way = ", ".join([*(aor.extension for aor in passed), here])
            listed = command(passed[0].tenant, "extension", "list")
            advice = f"look at {listed}, and at what the phones of {first} have set"
            text = f"calls of {passed[0]} go in a circle: {way}; {advice}"
            raise Refusal(480, f"Calls of {first} go in a circle: {way}", log=text)
        if len(hops) + asked.before > MOST:
            text = f"a call of {asked.caller} is forwarded more than {MOST} times, at last by {passed[-1]}"
            raise Refusal(480, f"The call is forwarded more than {MOST} times", log=text)

    def _before_ringing(self, extension: Extension, asked: Asked, now: float) -> tuple[Callee, Cause] | None:
        aor = extension.aor
        always = self._rule(aor, Cause.ALWAYS, asked)
        if always:
            return always, Cause.ALWAYS
        if self.of(aor).dnd:
            cause, why = Cause.DND, "does not want to be disturbed"
        elif not self._phones(aor, asked, now):
            cause, why = Cause.UNREACHABLE, self._why_unreachable(aor, now)
        else:
            return None
        found = self._rule(aor, cause, asked)
        if found is None:
            raise Refusal(480, f"{aor.extension} {why}", SIPS_NOT_ALLOWED if why is NO_TLS else ())
        return found, cause

    def _why_unreachable(self, aor: Aor, now: float) -> str:
        if self._registrar.reachable(aor, now):
            return NO_TLS
        return "cannot be reached" if self._registrar.registered(aor, now) else "is not registered"

    def _rule(self, aor: Aor, cause: Cause, asked: Asked) -> Callee | None:
        """Where the extension's own rule leads; None where there is none, or it leads to who calls.

        Raises Refusal where it leads outside without ringing, and the call has come back from there.
        """
        rules = self.of(aor)
        number = {
            Cause.ALWAYS: rules.always,
            Cause.DND: rules.busy,
            Cause.BUSY: rules.busy,
            Cause.NO_ANSWER: rules.no_answer,
            Cause.UNREACHABLE: rules.unregistered,
        }.get(cause)
        if not number:
            return None
        match self._routing.route(aor, _in_tenant(aor, number)):
            case ToExtension(extension) if extension.aor != asked.caller:
                return extension
            case ToOutside(outside) if self.tenant(aor).send_outside and not outside.route.emergency:
                if aor not in asked.passed:
                    return outside
                if cause is Cause.ALWAYS:
                    raise _comes_back(aor, cause.reason, outside)
        return None

    def _named(self, other: Other) -> Callee:
        """Whom a Contact means: who writes an address in the place of the domain means ours."""
        who, uri = other.hops[-1].party.aor, other.uri
        number = uri.user or uri.text.partition(":")[2].partition(";")[0]
        known = uri.scheme in ("sip", "sips") and not is_address(uri.host)
        match self._routing.route(who, uri if known else _in_tenant(who, number)):
            case ToExtension(extension):
                return extension
            case ToOutside(outside) if self.tenant(who).send_outside and not outside.route.emergency:
                return outside
            case ToOutside(outside) if outside.route.emergency:
                text = f"{who.extension} forwards its calls to {visible(number)}, an emergency number"
            case ToOutside():
                text = f"{who.extension} forwards its calls to {visible(number)}, and none go on outside here"
            case Refused():
                text = f"{who.extension} forwards its calls to {visible(number)}, which is no extension here"
            case _:
                text = f"{who.extension} forwards its calls to {visible(number)}, which is a code"
        raise Refusal(480, text, log=f"a phone of {who}: {text}; no route leads there")


def _comes_back(aor: Aor, by: str, outside: Outside) -> Refusal:
    way = f"they are forwarded ({by}) to {outside.number}, outside, and come back"
    advice = _another_number(aor)
    return Refusal(
        480,
        f"Calls of {aor.extension} go in a circle",
        log=f"calls of {aor} go in a circle: {way}; {advice}",
        warns=True,
    )


def _another_number(aor: Aor) -> str:
    advice = command(aor.tenant, "extension", "set", aor.extension, "--forward-always")
    return f"forward them to another number: {advice}"


def callee_party(callee: Callee) -> Party:
    """Who is called; outside it is the number, and the lamp is that of the trunk which is tried first."""
    if isinstance(callee, Outside):
        if taking := callee.taking:  # the picker talks with who calls there
            trunk = Aor(callee.route.tenant, f"{RESERVED}{callee.route.trunks[0]}")
            return Party(trunk, taking.name, taking.withheld, taking.number)
        return Party(Aor(callee.route.tenant, f"{RESERVED}{callee.route.trunks[0]}"), number=callee.number)
    return Party(callee.aor, callee.name)


def _in_tenant(who: Aor, number: str) -> Uri:
    return Uri(f"sip:{number}@{who.tenant}", "sip", number, who.tenant, 0)
