"""How far a leg is, as far as what may be asked of PJSIP differs: the table that `leg` goes by.

A leg rings, is up, and ends. While it is up one offer is on its way at most (RFC 3264, section 4): ours
(OFFERING), or the phone's, which waits for the other phone. Its re-INVITE waits in PJSIP (ASKED), its UPDATE
here (UPDATED), as PJSIP answers one at once. What PJSIP is just doing by itself, such as a session refresh,
is no state of a leg: the session is asked for it before.
"""

from __future__ import annotations

from enum import IntEnum, auto


class State(IntEnum):  # an int hashes without a call into Python
    CALLING = auto()  # our INVITE is out and nothing was heard, so a CANCEL has to wait
    RINGING = auto()  # an INVITE, theirs or ours, has no end yet
    UP = auto()
    OFFERING = auto()
    ASKED = auto()
    UPDATED = auto()
    LEAVING = auto()  # hung up before anything was heard
    ENDING = auto()  # hung up; nothing more is reported
    ENDED = auto()


class Event(IntEnum):
    # The core wants something
    RESPOND = auto()  # to its INVITE
    OFFER = auto()
    DECIDE = auto()  # what it has asked for: yes or no
    REQUEST = auto()  # INFO, NOTIFY, or UPDATE without an offer
    HANG_UP = auto()
    # Its phone has said something
    HEARD = auto()  # a provisional response to our INVITE
    TAKEN = auto()  # a 2xx to it
    ACKNOWLEDGED = auto()  # our 2xx
    REINVITE = auto()
    UPDATE = auto()  # with an offer
    DECIDED = auto()  # about our offer
    # PJSIP has ended it
    LOST = auto()  # a BYE is out that we have not asked for: its session timer has found the phone dead
    OVER = auto()


class Do(IntEnum):
    NOTHING = auto()
    PERFORM = auto()  # what the core wants
    REFUSE = auto()  # that, or what the phone wants
    TELL = auto()  # the core
    PASS = auto()  # it on to PJSIP, which answers it
    END = auto()  # CANCEL, BYE or a final response


S, E, D = State, Event, Do

_CALLING = {
    E.OFFER: (S.CALLING, D.REFUSE),
    E.DECIDE: (S.CALLING, D.NOTHING),
    E.REQUEST: (S.CALLING, D.REFUSE),
    E.HANG_UP: (S.LEAVING, D.NOTHING),
    E.HEARD: (S.RINGING, D.TELL),
    E.TAKEN: (S.UP, D.TELL),
    E.REINVITE: (S.CALLING, D.REFUSE),
    E.UPDATE: (S.CALLING, D.PASS),
    E.LOST: (S.CALLING, D.NOTHING),
    E.OVER: (S.ENDED, D.TELL),
}
_RINGING = {
    E.RESPOND: (S.RINGING, D.PERFORM),
    E.OFFER: (S.RINGING, D.REFUSE),
    E.DECIDE: (S.RINGING, D.NOTHING),
    E.REQUEST: (S.RINGING, D.REFUSE),
    E.HANG_UP: (S.ENDING, D.END),
    E.HEARD: (S.RINGING, D.TELL),
    E.TAKEN: (S.UP, D.TELL),
    E.ACKNOWLEDGED: (S.UP, D.TELL),
    E.REINVITE: (S.RINGING, D.REFUSE),
    E.UPDATE: (S.RINGING, D.PASS),
    E.LOST: (S.RINGING, D.NOTHING),
    E.OVER: (S.ENDED, D.TELL),
}


def _up(state: State) -> dict[Event, tuple[State, Do]]:
    """The transitions whichever offer is on its way: a response to our INVITE is PJSIP's own refresh's."""
    return {
        E.RESPOND: (state, D.NOTHING),
        E.OFFER: (state, D.REFUSE),
        E.DECIDE: (state, D.NOTHING),
        E.REQUEST: (state, D.PERFORM),
        E.HANG_UP: (S.ENDING, D.END),
        E.HEARD: (state, D.NOTHING),
        E.TAKEN: (state, D.NOTHING),
        E.ACKNOWLEDGED: (state, D.NOTHING),
        E.REINVITE: (state, D.REFUSE),
        E.UPDATE: (state, D.PASS),
        E.LOST: (S.ENDING, D.TELL),
        E.OVER: (S.ENDED, D.TELL),
    }


_UP = {
    E.OFFER: (S.OFFERING, D.PERFORM),
    E.REINVITE: (S.ASKED, D.TELL),
    E.UPDATE: (S.UPDATED, D.TELL),
}
_LEAVING = {
    E.OFFER: (S.LEAVING, D.REFUSE),
    E.DECIDE: (S.LEAVING, D.NOTHING),
    E.REQUEST: (S.LEAVING, D.REFUSE),
    E.HANG_UP: (S.LEAVING, D.NOTHING),
    E.HEARD: (S.ENDING, D.END),
    E.TAKEN: (S.ENDING, D.END),
    E.REINVITE: (S.LEAVING, D.REFUSE),
    E.UPDATE: (S.LEAVING, D.PASS),
    E.LOST: (S.LEAVING, D.NOTHING),
    E.OVER: (S.ENDED, D.TELL),
}
_ENDING = {
    E.RESPOND: (S.ENDING, D.NOTHING),
    E.OFFER: (S.ENDING, D.REFUSE),
    E.DECIDE: (S.ENDING, D.NOTHING),
    E.REQUEST: (S.ENDING, D.REFUSE),
    E.HANG_UP: (S.ENDING, D.NOTHING),
    E.HEARD: (S.ENDING, D.NOTHING),
    E.TAKEN: (S.ENDING, D.END),  # it has crossed our CANCEL
    E.ACKNOWLEDGED: (S.ENDING, D.NOTHING),  # PJSIP sends the BYE that has waited for it
    E.REINVITE: (S.ENDING, D.REFUSE),
    E.UPDATE: (S.ENDING, D.PASS),
    E.LOST: (S.ENDING, D.NOTHING),
    E.OVER: (S.ENDED, D.TELL),
}

TABLE: dict[tuple[State, Event], tuple[State, Do]] = {
    (state, event): then
    for state, row in (
        (S.CALLING, _CALLING),
        (S.RINGING, _RINGING),
        (S.UP, _up(S.UP) | _UP),
        (S.OFFERING, _up(S.OFFERING) | {E.DECIDED: (S.UP, D.TELL)}),
        (S.ASKED, _up(S.ASKED) | {E.DECIDE: (S.UP, D.PERFORM)}),
        (S.UPDATED, _up(S.UPDATED) | {E.DECIDE: (S.UP, D.PERFORM)}),
        (S.LEAVING, _LEAVING),
        (S.ENDING, _ENDING),
    )
    for event, then in row.items()
}
"""A missing pair cannot happen: the caller's leg is never CALLING, and nothing is asked of what has ENDED."""

OPEN = frozenset((S.CALLING, S.RINGING))
CONNECTED = frozenset((S.UP, S.OFFERING, S.ASKED, S.UPDATED))
