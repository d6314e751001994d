"""Where a call rings: at the phones of an extension, or of several where one forwards for itself alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from blfd.core.calls.forwarding import Target
from blfd.core.calls.hops import Cause
from blfd.core.calls.leg_inputs import LegEnded
from blfd.core.calls.refusals import (
    UNREACHABLE,
    Refused,
    better,
    of_invite,
    of_no_connection,
    of_server,
)
from blfd.core.effects import Effect, Level, Log
from blfd.core.party import Party
from blfd.core.trunks.outgoing import Line
from blfd.core.values import DialogId
from blfd.core.visible import visible

NOBODY = frozenset((408, 430, 503, 504))
"""Statuses of a phone that is not there, or of the way to it."""

NO_WAY = NOBODY | {500, 502}
"""Statuses of a trunk's server after which the next one is tried: it has no way, which says nothing of who is
called."""

SILENT = 4.0
"""Seconds that a server has to say that it has our INVITE, where there is another one."""

BUSY = frozenset((480, 486, 600, 603))
"""Statuses by which a phone, or who sits before it, does not want the call; 480 is some phones' DND."""


@dataclass(slots=True)
class Ringing:
    """A target where a call rings, since a time and until another.

    `refused` is the best refusal of its phones so far, and `cause` why it is over there when all have
    refused, None where none of the extension's rules says anything of it. `further` are servers that are
    tried when the one before does not serve, which has `heard_by` to say anything (0: it has).
    """

    target: Target
    since: float
    until: float
    refused: Refused | None = None
    cause: Cause | None = None
    further: tuple[Line, ...] = ()
    heard_by: float = 0.0

    @property
    def party(self) -> Party:
        return self.target.party

    def note(self, refused: Refused, end: LegEnded) -> None:
        """A phone has refused; who is busy is there, whatever another phone of it says."""
        self.refused = better(self.refused, refused) if self.refused else refused
        if not end.silent and end.status in BUSY:
            self.cause = Cause.BUSY
        elif self.cause is None and (end.silent or end.status in NOBODY):
            self.cause = Cause.UNREACHABLE


class Branch(NamedTuple):
    """One contact of a callee, whose extension `party` is; `dialog` is None until it rings.

    `ringing` and `line`, by which it is called, are None for a picker, who has answered.
    """

    leg: int
    contact: str
    party: Party
    ringing: Ringing | None = None
    dialog: DialogId | None = None
    line: Line | None = None


def refusal_of(end: LegEnded, branch: Branch) -> tuple[Refused, list[Effect]]:
    """What the caller is told of a phone's refusal, and what the operator reads."""
    trunk = branch.line.trunk if branch.line else None
    is_apart = end.silent and end.status == 503
    if trunk and is_apart:
        refused = of_no_connection(trunk.name)
    elif trunk:
        status = 408 if end.silent else end.status
        refused = of_server(trunk.name, status, end.reason, end.headers)
    elif end.silent:
        refused = Refused(480, f"{branch.party.user} {UNREACHABLE}")
    else:
        refused = of_invite(branch.party.user, end.status, end.reason, end.headers)
    if not refused.translated:
        return refused, []
    said = f"refuses a call: {end.status} {visible(end.reason)}".strip()
    if end.silent:
        said = "cannot be reached: no connection" if is_apart else "does not answer a call"
    elif end.status < 300:
        said = "hangs up a call (BYE) that it has not answered"
    text = f"{branch.party} at {visible(branch.contact)} {said}; the caller is told"
    return refused, [Log(Level.INFO, f"{text} {refused.status} {refused.reason}")]
