"""How far our registration with a trunk's server is: the table that `registrations` goes by (RFC 3261, 10.2).

One REGISTER is on its way at most. What comes of it is told by the transaction, in any case: a connection
that breaks meanwhile is that transaction's failure, and no event of its own.
"""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    WAITING = auto()  # not registered; due at a time
    ASKING = auto()  # REGISTER is out, and we are not registered
    REGISTERED = auto()  # to be refreshed at a time
    REFRESHING = auto()  # REGISTER is out, and we are registered
    LEAVING = auto()  # REGISTER with Expires: 0 is out
    OVER = auto()


class Event(Enum):
    DUE = auto()
    ACCEPTED = auto()  # 2xx
    CHALLENGED = auto()  # 401 or 407 that can be answered
    BRIEF = auto()  # 423: it wants a longer time
    REFUSED = auto()  # it will not have us: wrong password, 403, 404
    FAILED = auto()  # no response, no connection, 5xx
    BROKEN = auto()  # the connection by which we are reached has ended
    LEAVE = auto()


class Action(Enum):
    NOTHING = auto()
    REGISTER = auto()
    PROVE = auto()  # who we are, as challenged
    LENGTHEN = auto()  # ask for a longer time, and register again
    KEEP = auto()  # until it has to be refreshed
    RETRY = auto()  # soon, at the next server
    RETRY_SLOWLY = auto()
    UNREGISTER = auto()
    FORGET = auto()


S, E, A = State, Event, Action

_OUT = {
    E.DUE: (None, A.NOTHING),
    E.ACCEPTED: (S.REGISTERED, A.KEEP),
    E.CHALLENGED: (None, A.PROVE),
    E.BRIEF: (None, A.LENGTHEN),
    E.REFUSED: (S.WAITING, A.RETRY_SLOWLY),
    E.FAILED: (S.WAITING, A.RETRY),
    E.BROKEN: (None, A.NOTHING),
    E.LEAVE: (S.LEAVING, A.UNREGISTER),
}
_ROWS: dict[State, dict[Event, tuple[State | None, Action]]] = {
    S.WAITING: {
        E.DUE: (S.ASKING, A.REGISTER),
        E.BROKEN: (None, A.NOTHING),
        E.LEAVE: (S.OVER, A.FORGET),
    },
    S.ASKING: _OUT,
    S.REGISTERED: {
        E.DUE: (S.REFRESHING, A.REGISTER),
        E.BROKEN: (S.REFRESHING, A.REGISTER),
        E.LEAVE: (S.LEAVING, A.UNREGISTER),
    },
    S.REFRESHING: _OUT,
    S.LEAVING: {
        E.DUE: (None, A.NOTHING),
        E.ACCEPTED: (S.OVER, A.FORGET),
        E.CHALLENGED: (None, A.PROVE),
        E.BRIEF: (S.OVER, A.FORGET),
        E.REFUSED: (S.OVER, A.FORGET),
        E.FAILED: (S.OVER, A.FORGET),
        E.BROKEN: (None, A.NOTHING),
        E.LEAVE: (None, A.NOTHING),
    },
}
TABLE: dict[tuple[State, Event], tuple[State, Action]] = {
    (state, event): (then or state, do) for state, row in _ROWS.items() for event, (then, do) in row.items()
}
"""A missing pair cannot happen: responses come while something is out, and what is over is forgotten."""

OUT = frozenset((S.ASKING, S.REFRESHING, S.LEAVING))
"""Where a response is waited for."""
