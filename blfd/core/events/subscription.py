"""One subscription to an event package, as the notifier keeps it (RFC 6665, section 4.2)."""

from __future__ import annotations

import sys
from enum import IntEnum, auto

from blfd.core.effects import Effect, SaveSubscription
from blfd.core.events.package import Package
from blfd.core.saved import SavedSubscription
from blfd.core.values import Aor, Flow, SubscriptionDialog

AHEAD = 2000  # NOTIFYs of a subscription for which the store need not be written; it is, half way


class Phase(IntEnum):  # an int hashes without a call into Python, and this is the hot path
    """What a watcher knows. At most one NOTIFY is in flight; what changes meanwhile is told once, later."""

    TOLD = auto()  # it has confirmed the newest state
    TELLING = auto()  # a NOTIFY with the newest state is in flight
    OUTDATED = auto()  # a NOTIFY with an older state is in flight
    RETRYING = auto()  # the last NOTIFY failed; another follows after a pause
    UNREACHABLE = auto()  # its connection is gone and there is no way to it, so it has to come again
    LEAVING = auto()  # terminated, but a NOTIFY of before is in flight
    LAST = auto()  # the NOTIFY with `terminated` is in flight
    ENDED = auto()


class Event(IntEnum):
    CHANGED = auto()  # the resource has a newer state
    REFRESHED = auto()  # the watcher sent SUBSCRIBE: it is there, and wants a NOTIFY
    CONFIRMED = auto()  # 2xx to the NOTIFY
    REFUSED = auto()  # a response that ends the subscription
    FAILED = auto()  # no response, or one that asks to try again
    LOST = auto()  # the NOTIFY in flight went by a connection that is gone
    CUT_OFF = auto()  # its connection is gone, and no other can be made
    DUE = auto()  # the pause is over
    TERMINATE = auto()  # expired, unsubscribed, drained, resource gone


class Action(IntEnum):
    NOTHING = auto()
    SEND = auto()  # NOTIFY, active
    SEND_LAST = auto()  # NOTIFY, terminated
    PAUSE = auto()
    FORGET = auto()


P, E, A = Phase, Event, Action
TOLD = Phase.TOLD  # read often, and a name of an Enum is looked up each time
TRANSITIONS: dict[tuple[Phase, Event], tuple[Phase, Action]] = {
    (P.TOLD, E.CHANGED): (P.TELLING, A.SEND),
    (P.TOLD, E.REFRESHED): (P.TELLING, A.SEND),
    (P.TOLD, E.CUT_OFF): (P.UNREACHABLE, A.NOTHING),
    (P.TOLD, E.TERMINATE): (P.LAST, A.SEND_LAST),
    (P.TELLING, E.CHANGED): (P.OUTDATED, A.NOTHING),
    (P.TELLING, E.REFRESHED): (P.OUTDATED, A.NOTHING),
    (P.TELLING, E.CONFIRMED): (P.TOLD, A.NOTHING),
    (P.TELLING, E.REFUSED): (P.ENDED, A.FORGET),
    (P.TELLING, E.FAILED): (P.RETRYING, A.PAUSE),
    (P.TELLING, E.LOST): (P.RETRYING, A.PAUSE),
    (P.TELLING, E.CUT_OFF): (P.UNREACHABLE, A.NOTHING),
    (P.TELLING, E.TERMINATE): (P.LEAVING, A.NOTHING),
    (P.OUTDATED, E.CHANGED): (P.OUTDATED, A.NOTHING),
    (P.OUTDATED, E.REFRESHED): (P.OUTDATED, A.NOTHING),
    (P.OUTDATED, E.CONFIRMED): (P.TELLING, A.SEND),
    (P.OUTDATED, E.REFUSED): (P.ENDED, A.FORGET),
    (P.OUTDATED, E.FAILED): (P.RETRYING, A.PAUSE),
    (P.OUTDATED, E.LOST): (P.RETRYING, A.PAUSE),
    (P.OUTDATED, E.CUT_OFF): (P.UNREACHABLE, A.NOTHING),
    (P.OUTDATED, E.TERMINATE): (P.LEAVING, A.NOTHING),
    (P.RETRYING, E.CHANGED): (P.RETRYING, A.NOTHING),
    (P.RETRYING, E.REFRESHED): (P.TELLING, A.SEND),
    (P.RETRYING, E.DUE): (P.TELLING, A.SEND),
    (P.RETRYING, E.CUT_OFF): (P.UNREACHABLE, A.NOTHING),
    (P.RETRYING, E.TERMINATE): (P.LAST, A.SEND_LAST),
    (P.UNREACHABLE, E.CHANGED): (P.UNREACHABLE, A.NOTHING),
    (P.UNREACHABLE, E.REFRESHED): (P.TELLING, A.SEND),
    (P.UNREACHABLE, E.LOST): (P.UNREACHABLE, A.NOTHING),
    (P.UNREACHABLE, E.CUT_OFF): (P.UNREACHABLE, A.NOTHING),
    (P.UNREACHABLE, E.TERMINATE): (P.ENDED, A.FORGET),
    (P.LEAVING, E.CHANGED): (P.LEAVING, A.NOTHING),
    (P.LEAVING, E.CONFIRMED): (P.LAST, A.SEND_LAST),
    (P.LEAVING, E.FAILED): (P.LAST, A.SEND_LAST),
    (P.LEAVING, E.REFUSED): (P.ENDED, A.FORGET),
    (P.LEAVING, E.LOST): (P.LAST, A.SEND_LAST),
    (P.LEAVING, E.CUT_OFF): (P.ENDED, A.FORGET),
    (P.LEAVING, E.TERMINATE): (P.LEAVING, A.NOTHING),
    (P.LAST, E.CHANGED): (P.LAST, A.NOTHING),
    (P.LAST, E.CONFIRMED): (P.ENDED, A.FORGET),
    (P.LAST, E.REFUSED): (P.ENDED, A.FORGET),
    (P.LAST, E.FAILED): (P.ENDED, A.FORGET),
    (P.LAST, E.LOST): (P.ENDED, A.FORGET),
    (P.LAST, E.CUT_OFF): (P.ENDED, A.FORGET),
    (P.LAST, E.TERMINATE): (P.LAST, A.NOTHING),
}

INDIFFERENT = frozenset(p for p in Phase if TRANSITIONS.get((p, E.CHANGED)) == (p, A.NOTHING))
"""In which news makes no difference: it is told with what follows. Dead watchers are found here."""

IN_FLIGHT = frozenset(p for p in Phase if (p, E.CONFIRMED) in TRANSITIONS)
"""In which a NOTIFY is, and its response is waited for."""

ALIVE = frozenset((P.TOLD, P.TELLING, P.OUTDATED, P.RETRYING, P.UNREACHABLE))


def is_secret(entity: str) -> bool:
    """Whether a resource's URI is one of which nobody on the way may hear."""
    return entity.startswith("sips:")


class Subscription:
    """One subscription, a plain record; `key` is our tag in `dialog`.

    `cseq` is that of the next NOTIFY, whose document's version is one less; below `reserved`, which is 0 for
    what is not to be stored, the store knows that it may have been used. `remote_cseq` is that of the last
    SUBSCRIBE, `source` the address that it came from, `proof` the password by which (`directory.proof`), ""
    where none was asked for; `view` is what the package lets the watcher see,
    `told` the word for what the last NOTIFY showed, at `told_at`. Times are seconds since the epoch.

    `flow` is where NOTIFYs go. `lost`: the connection of the watcher's last request is gone; `losses` counts
    NOTIFYs that were lost with one, `failures` those that were answered otherwise than 2xx or not at all.
    """

    __slots__ = (
        "cseq",
        "dialog",
        "entity",
        "expires_at",
        "failures",
        "flow",
        "key",
        "losses",
        "lost",
        "package",
        "phase",
        "proof",
        "reason",
        "remote_cseq",
        "reserved",
        "resource",
        "retry_at",
        "source",
        "told",
        "told_at",
        "user_agent",
        "view",
        "watcher",
    )

    def __init__(
        self,
        resource: Aor,
        watcher: Aor,
        package: Package,
        entity: str,
        *,
        dialog: SubscriptionDialog,
        remote_cseq: int,
        flow: Flow,
        expires_at: float,
        user_agent: str = "",
        cseq: int = 1,
    ) -> None:
        self.key = dialog.id.local_tag
        self.resource = resource
        self.watcher = watcher
        self.package = package
        self.entity = sys.intern(entity)
        self.dialog = dialog
        self.remote_cseq = remote_cseq
        self.flow = flow
        self.source = flow.host
        self.expires_at = expires_at
        self.user_agent = sys.intern(user_agent)
        self.proof = ""
        self.view = package.view(watcher, resource)
        self.told = ""
        self.told_at = 0.0
        self.phase = TOLD
        self.reason = ""
        self.retry_at = 0.0
        self.failures = 0
        self.lost = False
        self.losses = 0
        self.cseq = cseq
        self.reserved = 0

    def proved_by(self, proof: str) -> None:
        """Note by which password its last SUBSCRIBE was proved to be its watcher's."""
        self.proof = sys.intern(proof)

    def handle(self, event: Event) -> Action:
        """Take `event`: the action that it asks for. Raises KeyError where it cannot happen."""
        self.phase, action = TRANSITIONS[self.phase, event]
        return action

    def save(self, reserve: int) -> SavedSubscription:
        """What to store, so that the next `reserve` NOTIFYs need no word to the store."""
        self.reserved = self.cseq + reserve
        return SavedSubscription(
            self.resource,
            self.watcher,
            self.package.name,
            self.entity,
            self.dialog,
            self.remote_cseq,
            self.flow,
            self.expires_at,
            self.user_agent,
            self.reserved,
            self.proof,
        )

    @classmethod
    def restored(cls, saved: SavedSubscription, package: Package, reserve: int) -> Subscription:
        """A subscription as it was when the process ended; the store has reserved as much again."""
        subscription = cls(
            saved.resource,
            saved.watcher,
            package,
            saved.entity,
            dialog=saved.dialog,
            remote_cseq=saved.remote_cseq,
            flow=saved.flow,
            expires_at=saved.expires_at,
            user_agent=saved.user_agent,
            cseq=saved.cseq,
        )
        subscription.reserved = saved.cseq + reserve
        subscription.proved_by(saved.proof)
        return subscription

    @property
    def is_secret(self) -> bool:
        """Whether NOTIFYs may go over TLS only: the watcher has asked for a sips: URI (RFC 3261, 26.2.2)."""
        return is_secret(self.entity)

    @property
    def version(self) -> int:
        """The version of the next document (RFC 4235, section 4.1)."""
        return self.cseq - 1

    @property
    def alive(self) -> bool:
        """Whether the watcher may still refresh it."""
        return self.phase in ALIVE

    @property
    def state(self) -> str:
        """The Subscription-State that the watcher is told (RFC 6665, section 4.1.3)."""
        return "active" if self.phase in ALIVE else "terminated"


def kept(subscription: Subscription) -> Effect:
    """Have the store know it, so far ahead that the next NOTIFYs need no word to it."""
    return SaveSubscription(subscription.key, subscription.save(AHEAD))


def unkept(subscription: Subscription) -> list[Effect]:
    """Have the store forget it."""
    if not subscription.reserved:
        return []
    subscription.reserved = 0
    return [SaveSubscription(subscription.key, None)]
