"""Requests that came, and the responses to them: server transactions (RFC 3261, section 17.2; RFC 6026).

A transaction is a value that its id finds until it is answered, at once or later, and its key as long as
copies of the request may come. An INVITE that the core accepts is PJSIP's from then on (ACCEPTED); its key is
kept, so that a copy that comes late starts no second call. Everything else is answered here:

    TRYING --provisional--> PROCEEDING --final--> COMPLETED --ACK of a refused INVITE--> CONFIRMED
    TRYING or PROCEEDING --a leg has it--> ACCEPTED

Over a reliable transport nothing is repeated, so what is over there is forgotten at once, but for accepted
INVITEs and for refused ones that wait for their ACK.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections import deque
from collections.abc import Callable
from enum import IntEnum, auto
from mmap import mmap

from blfd.core.values import Flow
from blfd.sip.kept import Kept, read
from blfd.sip.message import Request
from blfd.sip.timers import LIFETIME, T1, T2

log = logging.getLogger("blfd.sip")

MAX_KEPT = 200_000  # finished ones; a bound for memory: past it the oldest go before their 32 s


class State(IntEnum):  # an int hashes without a call into Python
    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    ACCEPTED = auto()
    TERMINATED = auto()


class Event(IntEnum):
    REQUEST = auto()  # the same request came again
    ACK = auto()
    PROVISIONAL = auto()  # ours
    FINAL = auto()
    ACCEPT = auto()  # a leg has it
    AGAIN = auto()  # timer G
    END = auto()  # timer H, I, J or L


class Action(IntEnum):
    NOTHING = auto()
    SEND = auto()  # the newest response


S, E, A = State, Event, Action
# Read often, and a name of an Enum is looked up each time:
TRYING, PROCEEDING, FINAL, SEND = State.TRYING, State.PROCEEDING, Event.FINAL, Action.SEND
TABLE: dict[tuple[State, Event], tuple[State, Action]] = {
    (S.TRYING, E.REQUEST): (S.TRYING, A.NOTHING),
    (S.TRYING, E.PROVISIONAL): (S.PROCEEDING, A.SEND),
    (S.TRYING, E.FINAL): (S.COMPLETED, A.SEND),
    (S.TRYING, E.ACCEPT): (S.ACCEPTED, A.NOTHING),
    (S.TRYING, E.END): (S.TERMINATED, A.NOTHING),
    (S.PROCEEDING, E.REQUEST): (S.PROCEEDING, A.SEND),
    (S.PROCEEDING, E.PROVISIONAL): (S.PROCEEDING, A.SEND),
    (S.PROCEEDING, E.FINAL): (S.COMPLETED, A.SEND),
    (S.PROCEEDING, E.ACCEPT): (S.ACCEPTED, A.NOTHING),
    (S.PROCEEDING, E.END): (S.TERMINATED, A.NOTHING),
    (S.COMPLETED, E.REQUEST): (S.COMPLETED, A.SEND),
    (S.COMPLETED, E.ACK): (S.CONFIRMED, A.NOTHING),
    (S.COMPLETED, E.AGAIN): (S.COMPLETED, A.SEND),
    (S.COMPLETED, E.END): (S.TERMINATED, A.NOTHING),
    (S.CONFIRMED, E.REQUEST): (S.CONFIRMED, A.NOTHING),
    (S.CONFIRMED, E.ACK): (S.CONFIRMED, A.NOTHING),
    (S.CONFIRMED, E.AGAIN): (S.CONFIRMED, A.NOTHING),
    (S.CONFIRMED, E.END): (S.TERMINATED, A.NOTHING),
    (S.ACCEPTED, E.REQUEST): (S.ACCEPTED, A.NOTHING),
    (S.ACCEPTED, E.END): (S.TERMINATED, A.NOTHING),
}
"""A pair that is missing cannot happen: a final response is sent once, and nothing is accepted after it."""


class ServerTransaction:
    """One request of a peer, which came by `source`; its responses go to `flow`. `leg` has accepted it.

    `anew` is where a connection is made for a response whose own has ended; None where none is.
    `request` is what a response copies from; it is let go when there is nothing more to say.
    """

    __slots__ = (
        "anew",
        "block",
        "flow",
        "id",
        "interval",
        "key",
        "leg",
        "method",
        "place",
        "request",
        "same",
        "source",
        "state",
    )

    def __init__(
        self, id_: int, key: str, request: Request, source: Flow, flow: Flow, anew: Flow | None
    ) -> None:
        self.id = id_
        self.key = key
        self.method = request.method
        self.request: Request | None = request
        self.source, self.flow, self.anew = source, flow, anew
        self.state = TRYING
        self.block: mmap | None = None  # with the newest response, at `place`
        self.place = 0
        self.interval = T1
        self.leg = 0
        self.same: tuple[str, str, int] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may still be answered: what is ignored or was withdrawn has no request any more."""
        return self.request is not None and (self.state is TRYING or self.state is PROCEEDING)


class ServerTransactions:
    """All server transactions. `send` takes octets and where to, and says whether they may arrive; `connect`
    likewise, and makes a connection where there is none. `is_up` says whether a leg lives.

    `find` gives the transaction with a key, `of` the one that an effect names, as long as it may be answered.

    Times are of one clock, in seconds.
    """

    def __init__(
        self,
        send: Callable[[bytes, Flow], bool],
        connect: Callable[[bytes, Flow], bool],
        is_up: Callable[[int], bool],
    ) -> None:
        self._send, self._connect, self._is_up = send, connect, is_up
        self._by_key: dict[str, ServerTransaction] = {}
        self._invites: dict[tuple[str, str, int], ServerTransaction] = {}  # by what copies have in common
        self._by_id: dict[int, ServerTransaction] = {}  # those that may still be answered
        self.find, self.of = self._by_key.get, self._by_id.get
        self._ends: deque[tuple[float, ServerTransaction]] = deque()  # in order: all live as long
        self._repeats: list[tuple[float, int, ServerTransaction]] = []  # timer G
        self._numbers = itertools.count(1)
        self._kept = Kept()
        self.without_response = 0  # given up since the start: should be zero
        self.undelivered = 0  # responses whose connection was gone, and that had no other

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def waiting(self) -> int:
        """How many have no final response."""
        return len(self._by_id)

    def begin(
        self, key: str, request: Request, source: Flow, flow: Flow, anew: Flow | None = None
    ) -> ServerTransaction:
        """The transaction of a request that is new; the other arguments are as in ServerTransaction."""
        transaction = ServerTransaction(next(self._numbers), key, request, source, flow, anew)
        self._by_key[key] = self._by_id[transaction.id] = transaction
        return transaction

    def is_merged(self, transaction: ServerTransaction, invite: Request) -> bool:
        """Whether an INVITE came by another way already (section 8.2.2.2), and is being served."""
        same = (invite.call_id, invite.from_.tag, invite.cseq)
        other = self._invites.get(same)
        if other is not None and (other.is_open or other.state is State.ACCEPTED):
            return True
        self._invites[same] = transaction
        transaction.same = same
        return False

    def repeated(self, transaction: ServerTransaction) -> None:
        """Handle a copy of the request: it came once more."""
        self._step(transaction, Event.REQUEST)

    def respond(
        self, transaction: ServerTransaction, status: int, data: bytes, now: float, *, once: bool = False
    ) -> None:
        """Send a response; the transaction has to be open. `once`: only copies of the request repeat it."""
        transaction.block, transaction.place = self._kept.add(data)
        if status < 200:
            self._step(transaction, Event.PROVISIONAL, data)
            return
        self._step(transaction, FINAL, data)
        self._close(transaction)
        if transaction.method == "INVITE":
            self._end_at(transaction, now + LIFETIME)
            if not (transaction.flow.is_reliable or once):
                self._repeat_at(transaction, now + T1)
        elif transaction.flow.is_reliable:
            self._forget(transaction)
        else:
            self._end_at(transaction, now + LIFETIME)

    def wait(self, transaction: ServerTransaction, now: float) -> None:
        """Let a transaction wait for its response, which comes later; what never comes is found out."""
        self._end_at(transaction, now + LIFETIME)

    def ignore(self, transaction: ServerTransaction, now: float) -> None:
        """Never respond, to copies of the request neither."""
        self._close(transaction)
        self._end_at(transaction, now + LIFETIME)

    def accepted(self, transaction: ServerTransaction, leg: int, now: float) -> None:
        """Note that an INVITE became a leg, which answers it."""
        self._step(transaction, Event.ACCEPT)
        transaction.leg, transaction.block = leg, None
        self._close(transaction)
        self._end_at(transaction, now + LIFETIME)

    def withdraw(self, transaction: ServerTransaction) -> None:
        """Forget a transaction: somebody else answers it, and takes its copies."""
        self._close(transaction)
        self._forget(transaction)

    def acknowledged(self, key: str, now: float) -> bool:
        """Whether an ACK is for a refusal of ours (section 17.2.1)."""
        transaction = self._by_key.get(key)
        if transaction is None or (transaction.state, Event.ACK) not in TABLE:
            return False
        self._step(transaction, Event.ACK)
        if transaction.flow.is_reliable:
            self._forget(transaction)
        return True

    def _step(self, transaction: ServerTransaction, event: Event, data: bytes = b"") -> None:
        """Take an event; `data` is the newest response where it is at hand."""
        transaction.state, action = TABLE[transaction.state, event]
        if action is SEND and transaction.block is not None:
            data = data or read(transaction.block, transaction.place)
            if not self._send(data, transaction.flow):
                self._send_anew(transaction, data)

    def _send_anew(self, transaction: ServerTransaction, data: bytes) -> None:
        """Send a response anew whose connection has ended (section 18.2.2); timers repeat datagrams."""
        anew = transaction.anew
        if transaction.flow.is_connected and not (anew and self._connect(data, anew)):
            self.undelivered += 1

    def _close(self, transaction: ServerTransaction) -> None:
        transaction.request = None
        self._by_id.pop(transaction.id, None)

    def _forget(self, transaction: ServerTransaction) -> None:
        transaction.state = State.TERMINATED
        if self._by_key.get(transaction.key) is transaction:
            del self._by_key[transaction.key]
        if transaction.same and self._invites.get(transaction.same) is transaction:
            del self._invites[transaction.same]

    def _end_at(self, transaction: ServerTransaction, at: float) -> None:
        self._ends.append((at, transaction))

    def _repeat_at(self, transaction: ServerTransaction, at: float) -> None:
        heapq.heappush(self._repeats, (at, transaction.id, transaction))

    def next_timer(self) -> float | None:
        """When timer G is due, and no other: what ends, ends soon enough whenever something comes."""
        return self._repeats[0][0] if self._repeats else None

    def due(self, now: float) -> None:
        """Repeat refusals that are not acknowledged, and forget what is over."""
        while self._repeats and self._repeats[0][0] <= now:
            _, _, transaction = heapq.heappop(self._repeats)
            if transaction.state is State.COMPLETED:
                self._step(transaction, Event.AGAIN)
                transaction.interval = min(transaction.interval * 2, T2)
                self._repeat_at(transaction, now + transaction.interval)
        ends = self._ends
        for _ in range(len(ends)):
            if ends[0][0] > now and len(ends) <= MAX_KEPT:
                return
            _, transaction = ends.popleft()
            if transaction.state is State.ACCEPTED and self._is_up(transaction.leg):
                self._end_at(transaction, now + LIFETIME)
                continue
            if transaction.id in self._by_id:
                self.without_response += 1
                log.error("a %s got no response: a fault of ours", transaction.method)
                self._close(transaction)
            self._forget(transaction)
