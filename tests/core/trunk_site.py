"""A site with a trunk to a carrier in the core alone, and what calls by it say."""

from __future__ import annotations

from dataclasses import replace

from builders import SDP, World, dials, directory, invite, reply, request, uri

from blfd.core.calls.leg_effects import Accept, Dial, HangUp
from blfd.core.calls.leg_inputs import LegAccepted, LegAcknowledged, LegAnswered, LegProgress
from blfd.core.directory import Directory, Forwarding
from blfd.core.effects import Effect, Log, Reply
from blfd.core.messages import InviteReceived
from blfd.core.settings import Settings
from blfd.core.trunk import OutRoute, Trunk
from blfd.core.values import Address, Aor, DialogId, Flow, Uri

PEOPLE = ("101", "102", "103", "104")
CARRIER, BACKUP = "203.0.113.1", "203.0.113.2"
TRUNK = Trunk(
    "default",
    "carrier",
    servers=(CARRIER,),
    dids=("+49301234501=101", "+4930123451xx=1xx"),
    country="49",
    area="30",
)
ROUTE = OutRoute("default", "0.", ("carrier",))
ACME = Trunk("acme.example", "line", servers=(CARRIER,), username="acme")
MOBILE, ANOTHER = "0170", "0171"
ONE_NUMBER = replace(TRUNK, caller_id="+49301234500")
ALWAYS, BUSY, LATER = (
    Forwarding(always=MOBILE),
    Forwarding(busy=MOBILE),
    Forwarding(no_answer=MOBILE, after=5),
)


def site(trunk: Trunk = TRUNK, *more: Trunk, routes: tuple[OutRoute, ...] = (ROUTE,)) -> Directory:
    return replace(directory(PEOPLE), trunks=(trunk, *more), routes=routes)


class Story:
    """A site with a trunk; phones at the usual address are trusted, as in the other tests."""

    def __init__(self, known: Directory | None = None, settings: Settings | None = None) -> None:
        self.world = World(settings, PEOPLE, known or site())
        self.effects: list[Effect] = []
        self.dial: Dial

    def give(self, event: object) -> list[Effect]:
        self.effects = self.world.give(event)  # type: ignore[arg-type]
        calls = self.world.core.calls
        lamps = [lamp for call in calls for lamp in call.lamps()]
        for trunk in self.world.core.directory.trunks:
            lamp = Aor(trunk.tenant, trunk.resource)
            assert calls.census.by(lamp) == lamps.count(lamp)
        return self.effects

    def call_in(self, invited: InviteReceived) -> list[Dial]:
        """Call from outside, and return the INVITEs that this leads to."""
        (accept,) = self.give(invited)
        assert isinstance(accept, Accept), accept
        self.caller = accept.leg
        return dials(self.give(LegAccepted(accept.leg, "ours")))

    def take(self, invited: InviteReceived) -> list[Effect]:
        """Take an INVITE from outside, go on if it becomes a call, and return what came of it first."""
        found = self.give(invited)
        for accept in found:
            if isinstance(accept, Accept):
                self.give(LegAccepted(accept.leg, "ours"))
        return found

    def call_out(self, number: str, who: str = "101") -> list[Dial]:
        (accept,) = self.give(invite(who, number))
        assert isinstance(accept, Accept), accept
        self.caller = accept.leg
        return dials(self.give(LegAccepted(accept.leg, "ours")))

    def ring(self, leg: int) -> list[Effect]:
        return self.give(LegProgress(leg, 180, "", DialogId(f"id{leg}", "ours", f"far{leg}"), None))

    def answer(self, leg: int) -> list[Effect]:
        won = self.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", f"far{leg}"), SDP))
        return [*won, *self.give(LegAcknowledged(self.caller, None))]

    def refused(self, event: object) -> Reply:
        return reply(self.give(event))

    def said(self) -> str:
        return " ".join(effect.text for effect in self.effects if isinstance(effect, Log))

    def told(self) -> list[tuple[int, str]]:
        """The statuses and reasons by which the caller's leg is ended."""
        return [(e.status, e.reason) for e in self.effects if isinstance(e, HangUp) and e.leg == self.caller]


def outside(
    number: str = "+49301234501",
    *,
    source: str = CARRIER,
    from_: Address | None = None,
    method: str = "INVITE",
    named: tuple[tuple[str, Uri], ...] = (),
    **over: object,
) -> InviteReceived:
    """An INVITE from outside to a number."""
    asked = request(method, "x", number, source=Flow("udp", source, 5060))
    who = from_ or Address(uri("+491701234567", CARRIER), "Carla", "far")
    asked = asked._replace(from_=who, **over)  # type: ignore[arg-type]
    return InviteReceived(asked, SDP, 70, f"sip:{CARRIER}", named=named)


def forwarding(trunk: Trunk, rules: dict[str, Forwarding]) -> Directory:
    """A site whose extensions forward their calls by `rules`."""
    known = site(trunk)
    extensions = {
        aor: replace(one, forwarding=rules.get(aor.extension, Forwarding()))
        for aor, one in known.extensions.items()
    }
    return replace(known, extensions=extensions)


def answerer(number: str, name: str = "") -> Address:
    """Who has answered, as the carrier says."""
    return Address(uri(number, CARRIER), name)
