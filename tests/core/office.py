"""An office's phones in the core alone, which call each other and pick up each other's calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from builders import (
    HOST,
    SDP,
    World,
    directory,
    group,
    invite,
    over_tls,
    register,
    reply,
    uri,
)

from blfd.core.calls.attempts import Attempt
from blfd.core.calls.leg_effects import Accept, Answer, Dial, HangUp, MatchMedia
from blfd.core.calls.leg_inputs import LegAccepted, LegAcknowledged, LegAnswered, LegProgress, MediaMatched
from blfd.core.directory import Group, Reach
from blfd.core.effects import Effect, Log, Reply, SavePickup
from blfd.core.inputs import DirectoryChanged
from blfd.core.messages import InviteReceived
from blfd.core.values import Aor, DialogId, Headers, Reason

TO_CALLER, TO_PICKER, AGAIN = b"for the caller", b"for the picker", b"in the caller's numbers"
PEOPLE = ("101", "102", "103", "104", "105")
SALES = (group("102 103 104"),)


class Office:
    """The phones 101 to 105, all registered, those of `tls` over TLS; 102, 103 and 104 are a group."""

    def __init__(self, groups: tuple[Group, ...] = SALES, tls: tuple[str, ...] = ()) -> None:
        self.tls = tls
        self.world = World(None, [who for who in PEOPLE if who not in tls], directory(PEOPLE, groups))
        for who in tls:
            self.world.give(over_tls(register(who)))
        self.phones: dict[int, list[int]] = {}  # the legs of callees by that of their caller
        self.attempts: list[Attempt] = []
        self.lines: list[str] = []  # of the log

    def give(self, event: object) -> list[Effect]:
        effects = self.world.give(event)  # type: ignore[arg-type]
        self.attempts += [e.attempt for e in effects if isinstance(e, SavePickup)]
        self.lines += [e.text for e in effects if isinstance(e, Log)]
        return effects

    def call(
        self,
        who: str,
        whom: str,
        offer: bytes | None = SDP,
        *,
        rings: bool = True,
        update: bool = False,
        dialog: DialogId | None = None,
        sips: bool = False,
    ) -> int:
        """Begin a call, which rings, and return its caller's leg; `dialog` gives the caller's identifiers."""
        asked = self._sent(invite(who, whom, offer, allows_update=update), sips=sips)
        if dialog:
            from_ = asked.request.from_._replace(tag=dialog.remote_tag)
            asked = asked._replace(request=asked.request._replace(call_id=dialog.call_id, from_=from_))
        (accept,) = self.give(asked)
        assert isinstance(accept, Accept)
        effects = self.give(LegAccepted(accept.leg, dialog.local_tag if dialog else "ours"))
        legs = self.phones[accept.leg] = [e.leg for e in effects if isinstance(e, Dial)]
        for leg in legs if rings else ():
            self.ring(leg)
        return accept.leg

    def _sent(self, asked: InviteReceived, *, sips: bool = False) -> InviteReceived:
        return over_tls(asked, sips=sips) if asked.request.from_.uri.user in self.tls else asked

    def ring(self, leg: int, sdp: bytes | None = None) -> None:
        self.world.now += 1
        self.give(LegProgress(leg, 180, "", DialogId(f"id{leg}", "ours", f"phone{leg}"), sdp))

    def talk(self, who: str, whom: str, *, sips: bool = False) -> int:
        caller = self.call(who, whom, sips=sips)
        (leg,) = self.phones[caller]
        self.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", f"phone{leg}"), SDP))
        self.give(LegAcknowledged(caller, None))
        return caller

    def ask(
        self, who: str, to: str, offer: bytes | None = SDP, replaces: str = "", *, sips: bool = False
    ) -> int:
        """Send a picker's INVITE, and return its leg; the core waits for the picker's media to be matched."""
        asked = invite(who, to, offer, replaces=(replaces,) if replaces else ())
        (accept,) = self.give(self._sent(asked, sips=sips))
        assert isinstance(accept, Accept), accept
        (match,) = self.give(LegAccepted(accept.leg, "mine"))
        assert isinstance(match, MatchMedia)
        self.peer = match.peer
        return accept.leg

    def pick_up(
        self,
        who: str,
        to: str,
        *,
        to_peer: bytes | None = TO_CALLER,
        to_picker: bytes | None = TO_PICKER,
        again: bytes | None = None,
        replaces: str = "",
    ) -> tuple[int, list[Effect]]:
        leg = self.ask(who, to, replaces=replaces)
        return leg, self.give(MediaMatched(leg, True, to_peer, to_picker, again))

    def refused(
        self, who: str, to: str, *, host: str = HOST, replaces: str = "", sips: bool = False
    ) -> Reply:
        """Send an INVITE that is refused before it is a leg, and return the refusal."""
        asked = invite(who, to, replaces=(replaces,) if replaces else ())
        asked = asked._replace(request=asked.request._replace(target=uri(to, host)))
        return reply(self.give(self._sent(asked, sips=sips)))

    def lamps(self, *extensions: str) -> list[str]:
        return [self.world.lamp(extension) for extension in extensions]


def replaces(leg: int, more: str = "") -> str:
    """The Replaces that a phone makes of a NOTIFY for the callee leg `leg`."""
    return naming(DialogId(f"id{leg}", "ours", f"phone{leg}"), more)


def naming(dialog: DialogId, more: str = "") -> str:
    """The value of a Replaces that names a dialog as its other end knows it."""
    return f"{dialog.call_id};to-tag={dialog.local_tag};from-tag={dialog.remote_tag}{more}"


def answers(effects: list[Effect]) -> dict[int, tuple[bytes | None, Headers]]:
    return {e.leg: (e.sdp, e.headers) for e in effects if isinstance(e, Answer)}


def hung_up(effects: list[Effect]) -> dict[int, tuple[int, str | Reason | None]]:
    return {e.leg: (e.status, e.reason or e.cause or "") for e in effects if isinstance(e, HangUp)}


def identity(extension: str) -> Headers:
    return (("P-Asserted-Identity", f'"Name {extension}" <sip:{extension}@{HOST}>'),)


def ringing(office: Office) -> str:
    caller = office.call("101", "102")
    return replaces(office.phones[caller][0])


def without_right(reach: Reach = Reach.ON, pickable: bool = True, **who: str) -> Callable[[Office], str]:
    def situation(office: Office) -> str:
        known = directory(PEOPLE, ())
        extensions = dict(known.extensions)
        for aor, change in (
            (Aor("default", "103"), {"pickup": reach}),
            (Aor("default", "102"), {"pickable": pickable}),
        ):
            extensions[aor] = replace(extensions[aor], **change)
        office.give(DirectoryChanged(replace(known, extensions=extensions)))
        return ringing(office)

    return situation
