"""What became of a call that somebody wants to pick up, in words that are true when they are said.

They follow from the dialog that was wanted and from its call as it is now, never from the dialog alone: who
has answered a call that is over by now has not "answered it already", and who has picked it up is "you" to
the picker itself. Who dials a code means what rang just now, so what ended longer ago is not told.
"""

from __future__ import annotations

from blfd.core.calls.call import Call
from blfd.core.events.dialog_state import WatchedDialog
from blfd.core.party import Party
from blfd.core.values import Aor
from dialog_info import DialogState, Direction, StateEvent

JUST_NOW = 10.0
"""Seconds. A phone rings for 1 or 2 s and is silent for 4 s, so who hears it cannot know for up to 5 s that
it has ended; to reach for one's own phone and to dial takes as long. Who comes later means another call."""


def told(dialog: WatchedDialog, call: Call | None, now: float) -> bool:
    """Whether who dials a code is told what became of a dialog, as it was to be had just now."""
    if dialog.direction is not Direction.RECIPIENT or now - dialog.since >= JUST_NOW:
        return False
    if dialog.state is DialogState.CONFIRMED or dialog.event is StateEvent.CANCELLED or _left(dialog):
        return True
    return dialog.event is StateEvent.REPLACED and not dialog.answered and call is not None


def outcome(aor: Aor, dialog: WatchedDialog, call: Call | None, picker: Aor) -> str:
    """Why `picker` cannot have the call of a dialog of `aor`; `call` is None where it is over."""
    if dialog.state is DialogState.CONFIRMED:
        if dialog.role is Direction.INITIATOR:
            return f"{aor.extension} is talking already"
        return has("answered", Party(aor), picker)
    if _left(dialog):
        return f"The call was forwarded to {dialog.taken_by}"
    if call is None:
        gave_up = dialog.event is StateEvent.CANCELLED
        return "The caller has hung up" if gave_up else f"The call at {aor.extension} is over"
    holder = call.seated(dialog.role)
    first = dialog.taken_by or aor.extension
    if dialog.answered or (dialog.event is StateEvent.REPLACED and holder.user != first):
        return has("taken it over", holder, picker)
    return has("answered" if holder.aor == aor else "answered the call", holder, picker)


def _left(dialog: WatchedDialog) -> bool:
    """Whether the call went on to ring elsewhere."""
    return bool(dialog.taken_by) and dialog.event in (StateEvent.REJECTED, StateEvent.TIMEOUT)


def has(done: str, who: Party, picker: Aor) -> str:
    """Who has got a call, as `picker` is told."""
    if who.aor == picker:
        return f"You have {done} already"
    return f"{'Somebody' if who.withheld else who.user} has {done} already"
