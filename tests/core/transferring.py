"""Phones that transfer their calls, in the core alone: blind, or after a consultation."""

from __future__ import annotations

from typing import Any

from builders import SDP, request, uri
from office import Office

from blfd.core.calls.leg_effects import Dial, FindMedia, MatchMedia, NotifyLeg, Offer
from blfd.core.calls.leg_inputs import (
    LegAnswered,
    LegEnded,
    LegNotified,
    LegProgress,
    MediaFound,
    MediaMatched,
    OfferAnswered,
    OfferReceived,
)
from blfd.core.effects import Effect, Reply
from blfd.core.messages import ReferReceived, ReferTo
from blfd.core.values import Aor, DialogId, Uri

TRANSFEREE = b"v=0\r\nm=audio 4100 RTP/AVP 0\r\n"
TARGET = b"v=0\r\nm=audio 7000 RTP/AVP 0\r\n"
MOVED = b"v=0\r\nm=audio 4102 RTP/AVP 0\r\n"
HELD = SDP + b"a=sendonly\r\n"


class Transfers(Office):
    """101 talks with 102 on the legs `caller` and `callee`; the SIP stack answers what it can at once."""

    def __init__(self, *, by_caller: bool = False, tls: tuple[str, ...] = (), sips: bool = False) -> None:
        super().__init__(tls=tls)
        self.caller = self.talk("101", "102", sips=sips)
        (self.callee,) = self.phones[self.caller]
        both = (self.caller, self.callee)
        self.transferor, self.transferee = both if by_caller else both[::-1]
        self.told: list[tuple[int, int]] = []  # (leg, status)
        self.fits = True

    def give(self, event: object) -> list[Effect]:
        effects = super().give(event)
        for effect in list(effects):
            match effect:
                case FindMedia(leg):
                    effects += self.give(MediaFound(leg, TRANSFEREE))
                case MatchMedia(leg, peer) if self.world.core.calls.of(leg):
                    self.peer = peer
                    effects += self.give(MediaMatched(leg, self.fits, TARGET, TRANSFEREE))
                case NotifyLeg():
                    self.told.append((effect.leg, effect.status))
        return effects

    def confirm(self, effects: list[Effect], status: int = 200) -> list[Effect]:
        """Answer the NOTIFYs of a REFER among the effects, and return the effects with what comes of that."""
        sent = [e for e in effects if isinstance(e, NotifyLeg)]
        more = [e for n in sent for e in self.give(LegNotified(n.leg, n.exchange, status))]
        return [*more, *self.confirm(more)] if more else []

    def refer(self, to: str | Uri = "103", leg: int = 0, *, replaces: str = "", **more: Any) -> list[Effect]:
        """Send a REFER by the transferor, or on `leg`, and confirm all NOTIFYs."""
        target = uri(to) if isinstance(to, str) else to
        asked = request("REFER", "102", "x")
        effects = self.give(
            ReferReceived(
                asked, leg or self.transferor, ReferTo(target, (replaces,) if replaces else ()), **more
            )
        )
        return [*effects, *self.confirm(effects)]

    def refusal(self, to: str | Uri = "103", leg: int = 0, **more: Any) -> tuple[int, str]:
        (reply,) = [e for e in self.refer(to, leg, **more) if isinstance(e, Reply)]
        return reply.status, reply.reason

    def called(self, effects: list[Effect]) -> int:
        """The leg of the phone that is called by these effects."""
        (dial,) = [e for e in effects if isinstance(e, Dial)]
        return dial.leg

    def rings_at(self, leg: int) -> list[Effect]:
        effects = self.give(
            LegProgress(leg, 180, "Ringing", DialogId(f"id{leg}", "ours", f"phone{leg}"), None)
        )
        return [*effects, *self.confirm(effects)]

    def answers_at(self, leg: int, sdp: bytes = TARGET) -> list[Effect]:
        return self.give(LegAnswered(leg, DialogId(f"id{leg}", "ours", f"phone{leg}"), sdp))

    def blind(self) -> int:
        """Begin a blind transfer to 103, whose phone rings, and return that phone's leg."""
        leg = self.called(self.refer())
        self.rings_at(leg)
        return leg

    def statuses(self) -> list[int]:
        return [status for leg, status in self.told if leg == self.transferor]

    def dialog(self, extension: str):  # type: ignore[no-untyped-def]
        (dialog,) = self.world.core.dialogs.of(Aor("default", extension))
        return dialog

    def names(self) -> tuple[str, str]:
        """The extensions of transferor and transferee."""
        return ("101", "102") if self.transferor == self.caller else ("102", "101")


def offers(effects: list[Effect]) -> list[Offer]:
    return [e for e in effects if isinstance(e, Offer)]


class Consulting(Transfers):
    """102 talks with 101 and with 103, or 103 rings; in either call 102 may be caller or callee."""

    def __init__(
        self,
        *,
        by_caller: bool,
        calls: bool = True,
        rings: bool = False,
        held: bool = True,
        offer: bytes | None = SDP,
        tls: tuple[str, ...] = (),
        sips: str = "",
    ) -> None:
        super().__init__(tls=tls)
        self.give(LegEnded(self.caller, 200, ""))
        first = self.talk(*(("102", "101") if by_caller else ("101", "102")), sips=sips == "first")
        legs = (first, self.phones[first][0])
        self.transferor, self.transferee = legs if by_caller else legs[::-1]
        if held:
            self.give(OfferReceived(self.transferor, HELD))
            self.give(OfferAnswered(self.transferee, 200, SDP))
        if rings:
            self.second = self.call("102", "103", offer, sips=sips == "second")
            (self.target,) = self.phones[self.second]
        else:
            consulted = self.talk(*(("102", "103") if calls else ("103", "102")), sips=sips == "second")
            legs = (consulted, self.phones[consulted][0])
            self.second, self.target = legs if calls else legs[::-1]

    def consulted(self, tags: str = "right") -> str:
        (own,) = [d for d in self.world.core.dialogs.of(Aor("default", "102")) if d.leg == self.second]
        to_tag, from_tag = own.id.remote_tag, own.id.local_tag
        return {
            "right": f"{own.id.call_id};to-tag={to_tag};from-tag={from_tag}",
            "swapped": f"{own.id.call_id};to-tag={from_tag};from-tag={to_tag}",
            "one": f"{own.id.call_id};from-tag={from_tag}",
            "missing": own.id.call_id,
        }[tags]


def refused_for(who: str) -> tuple[int, str]:
    """The refusal of what would need TLS at `who`, who has none (RFC 5630)."""
    return 480, f"{who} has no TLS, which a call by sips: needs"
