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
    LOST = auto()  # a BYE is out that we have not asked for: no ACK came, or its session timer found it dead
    OVER = auto()


class Action(IntEnum):
    NOTHING = auto()
    PERFORM = auto()  # what the core wants
    REFUSE = auto()  # that, or what the phone wants
    TELL = auto()  # the core
    PASS = auto()  # it on to PJSIP, which answers it
    END = auto()  # CANCEL, BYE or a final response


S, E, A = State, Event, Action

_CALLING = {
    E.OFFER: (S.CALLING, A.REFUSE),
    E.DECIDE: (S.CALLING, A.NOTHING),
    E.REQUEST: (S.CALLING, A.REFUSE),
    E.HANG_UP: (S.LEAVING, A.NOTHING),
    E.HEARD: (S.RINGING, A.TELL),
    E.TAKEN: (S.UP, A.TELL),
    E.REINVITE: (S.CALLING, A.REFUSE),
    E.UPDATE: (S.CALLING, A.PASS),
    E.LOST: (S.CALLING, A.NOTHING),
    E.OVER: (S.ENDED, A.TELL),
}
_RINGING = {
    E.RESPOND: (S.RINGING, A.PERFORM),
    E.OFFER: (S.RINGING, A.REFUSE),
    E.DECIDE: (S.RINGING, A.NOTHING),
    E.REQUEST: (S.RINGING, A.REFUSE),
    E.HANG_UP: (S.ENDING, A.END),
    E.HEARD: (S.RINGING, A.TELL),
    E.TAKEN: (S.UP, A.TELL),
    E.ACKNOWLEDGED: (S.UP, A.TELL),
    E.REINVITE: (S.RINGING, A.REFUSE),
    E.UPDATE: (S.RINGING, A.PASS),
    E.LOST: (S.ENDING, A.TELL),  # no ACK has come to our 2xx
    E.OVER: (S.ENDED, A.TELL),
}


def _up(state: State) -> dict[Event, tuple[State, Action]]:
    """The transitions whichever offer is on its way: a response to our INVITE is PJSIP's own refresh's."""
    return {
        E.RESPOND: (state, A.NOTHING),
        E.OFFER: (state, A.REFUSE),
        E.DECIDE: (state, A.NOTHING),
        E.REQUEST: (state, A.PERFORM),
        E.HANG_UP: (S.ENDING, A.END),
        E.HEARD: (state, A.NOTHING),
        E.TAKEN: (state, A.NOTHING),
        E.ACKNOWLEDGED: (state, A.NOTHING),
        E.REINVITE: (state, A.REFUSE),
        E.UPDATE: (state, A.PASS),
        E.LOST: (S.ENDING, A.TELL),
        E.OVER: (S.ENDED, A.TELL),
    }


_UP = {
    E.OFFER: (S.OFFERING, A.PERFORM),
    E.REINVITE: (S.ASKED, A.TELL),
    E.UPDATE: (S.UPDATED, A.TELL),
}
_LEAVING = {
    E.OFFER: (S.LEAVING, A.REFUSE),
    E.DECIDE: (S.LEAVING, A.NOTHING),
    E.REQUEST: (S.LEAVING, A.REFUSE),
    E.HANG_UP: (S.LEAVING, A.NOTHING),
    E.HEARD: (S.ENDING, A.END),
    E.TAKEN: (S.ENDING, A.END),
    E.REINVITE: (S.LEAVING, A.REFUSE),
    E.UPDATE: (S.LEAVING, A.PASS),
    E.LOST: (S.LEAVING, A.NOTHING),
    E.OVER: (S.ENDED, A.TELL),
}
_ENDING = {
    E.RESPOND: (S.ENDING, A.NOTHING),
    E.OFFER: (S.ENDING, A.REFUSE),
    E.DECIDE: (S.ENDING, A.NOTHING),
    E.REQUEST: (S.ENDING, A.REFUSE),
    E.HANG_UP: (S.ENDING, A.NOTHING),
    E.HEARD: (S.ENDING, A.NOTHING),
    E.TAKEN: (S.ENDING, A.END),  # it has crossed our CANCEL
    E.ACKNOWLEDGED: (S.ENDING, A.NOTHING),  # PJSIP sends the BYE that has waited for it
    E.REINVITE: (S.ENDING, A.REFUSE),
    E.UPDATE: (S.ENDING, A.PASS),
    E.LOST: (S.ENDING, A.NOTHING),
    E.OVER: (S.ENDED, A.TELL),
}

TABLE: dict[tuple[State, Event], tuple[State, Action]] = {
    (state, event): then
    for state, row in (
        (S.CALLING, _CALLING),
        (S.RINGING, _RINGING),
        (S.UP, _up(S.UP) | _UP),
        (S.OFFERING, _up(S.OFFERING) | {E.DECIDED: (S.UP, A.TELL)}),
        (S.ASKED, _up(S.ASKED) | {E.DECIDE: (S.UP, A.PERFORM)}),
        (S.UPDATED, _up(S.UPDATED) | {E.DECIDE: (S.UP, A.PERFORM)}),
        (S.LEAVING, _LEAVING),
        (S.ENDING, _ENDING),
    )
    for event, then in row.items()
}
"""A missing pair cannot happen: the caller's leg is never CALLING, and nothing is asked of what has ENDED."""

OPEN = frozenset((S.CALLING, S.RINGING))
CONNECTED = frozenset((S.UP, S.OFFERING, S.ASKED, S.UPDATED))
