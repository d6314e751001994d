"""How far our subscription to one lamp of an upstream is: the table that `upstreams` goes by (RFC 6665, 4.1).

One SUBSCRIBE is on its way at most, and what comes of it is told in any case. DUE comes when it is its turn,
so only where something is to be sent. NOTIFYs come when they like: before the first SUBSCRIBE is answered,
and after a refresh has failed, as the subscription lives on then.
"""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    WAITING = auto()  # not subscribed; due at a time, or for its turn
    ASKING = auto()  # the first SUBSCRIBE of a dialog is out
    SUBSCRIBED = auto()  # to be refreshed at a time
    REFRESHING = auto()  # SUBSCRIBE is out in the dialog
    LEAVING = auto()  # SUBSCRIBE with Expires: 0 is out, or waits for its turn
    OVER = auto()


class Event(Enum):
    DUE = auto()
    MOVED = auto()  # DUE, and its server is another one by now
    ACCEPTED = auto()  # 2xx
    CHALLENGED = auto()  # 401 or 407 that can be answered
    BRIEF = auto()  # 423: it wants a longer time
    UNKNOWN = auto()  # 481: it knows no such dialog (any more)
    REFUSED = auto()  # it will not tell us: wrong password, 403, 404, 489
    FAILED = auto()  # no response, no connection, 5xx
    UNTOLD = auto()  # it has accepted, and no NOTIFY comes
    TOLD = auto()  # NOTIFY
    DEACTIVATED = auto()  # NOTIFY, terminated: to be asked for anew at once
    POSTPONED = auto()  # NOTIFY, terminated: to be asked for anew later
    REJECTED = auto()  # NOTIFY, terminated: it will not tell us
    LEAVE = auto()


class Action(Enum):
    NOTHING = auto()
    SUBSCRIBE = auto()  # in a dialog of its own
    REFRESH = auto()
    PROVE = auto()  # who we are, as challenged
    LENGTHEN = auto()  # ask again, for a longer time
    KEEP = auto()  # until it has to be refreshed
    RENEW = auto()  # subscribe anew when it is its turn
    RETRY = auto()  # soon, at the next server
    RETRY_SLOWLY = auto()
    LEAVE = auto()  # unsubscribe when it is its turn
    UNSUBSCRIBE = auto()
    FORGET = auto()


S, E, A = State, Event, Action

_NOTIFIED = {
    E.DEACTIVATED: (S.WAITING, A.RENEW),
    E.POSTPONED: (S.WAITING, A.RETRY),
    E.REJECTED: (S.WAITING, A.RETRY_SLOWLY),
}
_OUT = {
    **_NOTIFIED,
    E.ACCEPTED: (S.SUBSCRIBED, A.KEEP),
    E.CHALLENGED: (None, A.PROVE),
    E.BRIEF: (None, A.LENGTHEN),
    E.REFUSED: (S.WAITING, A.RETRY_SLOWLY),
    E.FAILED: (S.WAITING, A.RETRY),
    E.TOLD: (None, A.NOTHING),
}
_ROWS: dict[State, dict[Event, tuple[State | None, Action]]] = {
    S.WAITING: {
        **_NOTIFIED,
        E.DUE: (S.ASKING, A.SUBSCRIBE),
        E.TOLD: (None, A.NOTHING),
        E.LEAVE: (S.OVER, A.FORGET),
    },
    S.ASKING: {
        **_OUT,
        E.UNKNOWN: (S.WAITING, A.RETRY),
        E.LEAVE: (S.OVER, A.FORGET),  # what it tells then is answered 481, which ends it
    },
    S.SUBSCRIBED: {
        **_NOTIFIED,
        E.DUE: (S.REFRESHING, A.REFRESH),
        E.MOVED: (S.ASKING, A.SUBSCRIBE),
        E.UNTOLD: (S.WAITING, A.RETRY),
        E.TOLD: (None, A.NOTHING),
        E.LEAVE: (S.LEAVING, A.LEAVE),
    },
    S.REFRESHING: {
        **_OUT,
        E.UNKNOWN: (S.WAITING, A.RENEW),
        E.LEAVE: (S.LEAVING, A.LEAVE),
    },
    S.LEAVING: {
        E.DUE: (None, A.UNSUBSCRIBE),
        E.ACCEPTED: (S.OVER, A.FORGET),
        E.CHALLENGED: (None, A.PROVE),
        E.BRIEF: (S.OVER, A.FORGET),
        E.UNKNOWN: (S.OVER, A.FORGET),
        E.REFUSED: (S.OVER, A.FORGET),
        E.FAILED: (S.OVER, A.FORGET),
        E.TOLD: (None, A.NOTHING),
        E.DEACTIVATED: (None, A.NOTHING),
        E.POSTPONED: (None, A.NOTHING),
        E.REJECTED: (None, A.NOTHING),
    },
}
TABLE: dict[tuple[State, Event], tuple[State, Action]] = {
    (state, event): (then or state, do) for state, row in _ROWS.items() for event, (then, do) in row.items()
}
"""A missing pair cannot happen: responses come while something is out, and what is over is forgotten."""

OUT = frozenset((S.ASKING, S.REFRESHING, S.LEAVING))
"""Where a response is waited for."""
