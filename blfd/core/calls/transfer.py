"""One transfer: from the REFER until the transferee talks with the target, or goes on with the transferor.

The transferor and the transferee talk in a call of their own, and nothing changes in it until the target has
answered: so whatever fails leaves it as it was, hold included. Meanwhile a stand-in, a leg that there is not,
makes the call to the target in the transferee's name (`CALLING`). When that is answered the transferee takes
the stand-in's place by re-INVITE, and the transferor is told so before its leg ends (`TELLING`). A transferor
that hangs up leaves the transferee to wait (`WAITING`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from blfd.core.calls.call import Call
from blfd.core.calls.forwarding import Callee, callee_party
from blfd.core.calls.refer_subscription import ReferSubscription
from blfd.core.party import Seat
from blfd.core.values import Headers


class Stage(Enum):
    LOOKING = auto()  # what the transferee can send, or whether it fits the target, is looked up
    CALLING = auto()  # the target rings; transferor and transferee talk, or one holds the other
    WAITING = auto()  # the same, without the transferor
    TELLING = auto()  # done; the transferor has not confirmed yet that it knows
    OVER = auto()


class Event(Enum):
    FOUND = auto()  # the transferee's media is known
    FITS = auto()  # that of the transferee and the target, which talk already
    RINGS = auto()
    ANSWERED = auto()  # by the target, or whoever has picked the call up
    FAILED = auto()  # the target does not answer, or the two cannot talk
    TRANSFEROR_GONE = auto()
    TRANSFEREE_GONE = auto()
    SPLIT = auto()  # one of the two has got another to talk with, or their call was ended
    TOLD = auto()  # the transferor has confirmed the last NOTIFY, or had the time to


class Action(Enum):
    NOTHING = auto()
    CALL = auto()  # the target
    JOIN = auto()  # the two that talk already
    TELL = auto()  # the transferor how far it is
    CONNECT = auto()  # the transferee with who has answered, and tell the transferor
    REPORT = auto()  # the failure to the transferor, whose call goes on
    KEEP = auto()  # the transferee
    CANCEL = auto()  # the call to the target
    END = auto()  # the transferee's leg
    HANG_UP = auto()  # the transferor's leg


S, E, A = Stage, Event, Action
TRANSITIONS: dict[tuple[Stage, Event], tuple[Stage, Action]] = {
    (S.LOOKING, E.FOUND): (S.CALLING, A.CALL),
    (S.LOOKING, E.FITS): (S.TELLING, A.JOIN),
    (S.LOOKING, E.FAILED): (S.OVER, A.REPORT),
    (S.LOOKING, E.SPLIT): (S.OVER, A.NOTHING),
    (S.CALLING, E.RINGS): (S.CALLING, A.TELL),
    (S.CALLING, E.ANSWERED): (S.TELLING, A.CONNECT),
    (S.CALLING, E.FAILED): (S.OVER, A.REPORT),
    (S.CALLING, E.TRANSFEROR_GONE): (S.WAITING, A.KEEP),
    (S.CALLING, E.SPLIT): (S.OVER, A.CANCEL),
    (S.WAITING, E.RINGS): (S.WAITING, A.NOTHING),
    (S.WAITING, E.ANSWERED): (S.OVER, A.CONNECT),
    (S.WAITING, E.FAILED): (S.OVER, A.END),
    (S.WAITING, E.TRANSFEREE_GONE): (S.OVER, A.CANCEL),
    (S.WAITING, E.SPLIT): (S.OVER, A.CANCEL),
    (S.TELLING, E.TRANSFEROR_GONE): (S.OVER, A.NOTHING),
    (S.TELLING, E.SPLIT): (S.OVER, A.NOTHING),
    (S.TELLING, E.TOLD): (S.OVER, A.HANG_UP),
}


class Consultation(NamedTuple):
    """The transferor's other call, with the target, and its leg there."""

    call: Call
    leg: int


@dataclass(slots=True)
class Transfer:
    """`call` is that of transferor and transferee, `onward` the one to the target, when there is one.

    `target` is called, by an INVITE with `headers`, unless there is a `consultation`. `secure`: over TLS
    alone, as one of the calls or the target was asked for by sips:. `subscription` is None for a transferor
    that does not want to be told. `looks` counts how often the media of both calls was not settled yet;
    `asked` is the leg whose media has been asked for since, 0 for none: what comes of others is an earlier
    transfer's.
    """

    call: Call
    transferor: Seat
    transferee: Seat
    subscription: ReferSubscription | None
    target: Callee | None = None
    headers: Headers = ()
    consultation: Consultation | None = None
    secure: bool = False
    stage: Stage = Stage.LOOKING
    onward: Call | None = None
    looks: int = 0
    asked: int = 0
    name: str = field(init=False)  # for the log: of who takes part, as it was at first

    def __post_init__(self) -> None:
        by, who = self.transferor.party, self.transferee.party
        if self.consultation:
            call = self.consultation.call
            whom = call.callee if self.consultation.leg == call.caller_leg else call.caller
            self.name = f"transfer by {by}, who has consulted: {who} to {whom}"
        else:
            self.name = f"transfer by {by}: {who} to {callee_party(self.target) if self.target else 'nobody'}"

    def handle(self, event: Event) -> Action:
        """Take `event`; what it asks for. Raises KeyError where it cannot happen."""
        self.stage, action = TRANSITIONS[self.stage, event]
        return action
