"""A server that carries the calls of 102 and 104 and publishes them, and phones here that pick them up."""

from __future__ import annotations

from dataclasses import replace

from builders import HOST, SDP, World, dials, group, invite, reply
from publishers import KAMAILIO, body, publish, published

from blfd.core.calls.attempts import Attempt
from blfd.core.calls.leg_effects import Accept, Answer, Dial, HangUp
from blfd.core.calls.leg_inputs import LegAccepted, LegAnswered
from blfd.core.directory import Directory
from blfd.core.effects import Effect, Reply, SavePickup
from blfd.core.trunk import Replacing, Trunk
from blfd.core.values import Aor, DialogId

AOR = Aor("default", "102")
PBX = Trunk("default", "pbx", servers=(KAMAILIO.host,), pickup_code="**{extension}")
PROXY = Trunk("default", "proxy", servers=(KAMAILIO.host,), replaces=Replacing.CALLER)
SWITCH = Trunk("default", "switch", servers=(KAMAILIO.host,), replaces=Replacing.EXTENSION)
CALL = "a84b4c76e66710"


def site(*trunks: Trunk) -> Directory:
    """A directory in which 102 and 104 are the other server's; 103 and 105 pick up."""
    known = published("102", "104")
    return replace(known, trunks=trunks, groups=(group("103 105", "101 102 104"),))


class Story:
    """The server publishes with `publish`; `ask` has a phone here ask for what rings there."""

    def __init__(self, *trunks: Trunk, known: Directory | None = None) -> None:
        people = replace(known or site(*(trunks or (PBX,))))
        extensions = dict(people.extensions)
        for name in ("104", "105"):
            extensions.setdefault(
                Aor("default", name),
                replace(extensions[AOR], aor=Aor("default", name), name=f"Name {name}"),
            )
        extensions[Aor("default", "105")] = replace(extensions[Aor("default", "105")], owner=None)
        self.known = replace(people, extensions=extensions)
        self.world = World(phones=("101", "103", "105"), known=self.known)
        self.attempts: list[Attempt] = []
        self.effects: list[Effect] = []

    def give(self, event: object) -> list[Effect]:
        return self._kept(self.world.give(event))  # type: ignore[arg-type]

    def wait(self, seconds: float) -> list[Effect]:
        return self._kept(self.world.at(self.world.now + seconds))

    def _kept(self, effects: list[Effect]) -> list[Effect]:
        self.effects = effects
        self.attempts += [e.attempt for e in effects if isinstance(e, SavePickup)]
        return effects

    def publish(self, content: bytes, etag: str = "") -> str:
        return dict(reply(self.give(publish(content, etag))).headers)["SIP-ETag"]

    def ask(self, who: str = "103", to: str = "*97102", *replaces: str) -> Dial:
        """Ask for the call at 102, and return the INVITE that goes to the other server."""
        (accept,) = self.give(invite(who, to, replaces=replaces))
        assert isinstance(accept, Accept), accept
        self.leg = accept.leg
        (dial,) = dials(self.give(LegAccepted(accept.leg, "ours")))
        self.far = dial.leg
        return dial

    def refused(self, who: str = "103", to: str = "*97102", *replaces: str) -> tuple[int, str]:
        answer: Reply = reply(self.give(invite(who, to, replaces=replaces)))
        return answer.status, answer.reason

    def answer(self) -> list[Effect]:
        return self.give(LegAnswered(self.far, DialogId("far", "ours", "theirs"), SDP))

    def told(self, effects: list[Effect]) -> list[tuple[int, str]]:
        """What the picker is told in the end: 200, or the refusal."""
        return [
            (200, "") if isinstance(e, Answer) else (e.status, e.reason)
            for e in effects
            if isinstance(e, Answer | HangUp) and e.leg == self.leg
        ]

    @property
    def reported(self) -> list[tuple[str, str, int]]:
        return [(one.picker.extension, one.extension, one.status) for one in self.attempts]


INSIDE = body(
    f'<dialog id="{CALL}" call-id="{CALL}" local-tag="ph1" remote-tag="314159" direction="recipient">'
    f"<state>early</state><remote><identity>sip:101@{HOST}</identity></remote></dialog>"
)
