"""What has to outlive the process of subscriptions, publications and calls, as plain values."""

from __future__ import annotations

from typing import NamedTuple

from blfd.core.values import Aor, DialogId, Flow, NameAddr, SubscriptionDialog


class SavedSubscription(NamedTuple):
    """What has to outlive the process so that NOTIFYs go on in the same dialog (RFC 6665, section 4.4.1).

    `cseq` has not been used, and neither has any higher one; `remote_cseq` is the watcher's last. `proof` is
    the password by which it was made.
    """

    resource: Aor
    watcher: Aor
    package: str
    entity: str
    dialog: SubscriptionDialog
    remote_cseq: int
    flow: Flow
    expires_at: float
    user_agent: str
    cseq: int
    proof: str = ""

    @property
    def key(self) -> str:
        """Our tag, which is the subscription's name everywhere."""
        return self.dialog.id.local_tag


class SavedPublication(NamedTuple):
    """What one publisher has said of one extension at `at`, under the entity-tag that it was given last.

    `publisher` is an address that is trusted, or the AOR whose password was used, which `proof` tells from
    others of it; `body` is as it came.
    """

    etag: str
    aor: Aor
    publisher: str
    at: float
    expires_at: float
    body: bytes
    proof: str = ""


class SessionTimer(NamedTuple):
    """Who has to refresh a session, we (`is_ours`) or its phone, and when it is over otherwise (RFC 4028)."""

    interval: int
    is_ours: bool
    expires_at: float


class SavedLeg(NamedTuple):
    """What has to outlive the process so that the dialog of a leg that is up goes on.

    `local` and `remote` are From and To of our requests, `target` is their Request-URI.
    `contact` is where the phone said last that it is, in the dialog or by registering. `cseq` has not been
    used, and neither has any higher one; `remote_cseq` is the phone's last. `sent` is the SDP that the phone
    has last agreed on, and `received` its own. `timer` is None where nobody refreshes.
    """

    dialog: DialogId
    local: NameAddr
    remote: NameAddr
    target: str
    contact: str
    route_set: tuple[str, ...]
    flow: Flow
    cseq: int
    remote_cseq: int
    sent: bytes
    received: bytes
    allows_update: bool = False
    timer: SessionTimer | None = None


class SavedSeat(NamedTuple):
    """Who is at one end of a call that is up, and what the lamp shows of it: see `Seat` and `WatchedDialog`.

    `flow_lost`: nothing can be sent to its phone before that sends something (not stored). `number` is that
    of who is outside.
    """

    leg: int
    aor: Aor
    name: str
    withheld: bool
    is_trusted: bool
    contact: str
    initiator: bool
    since: float
    held: bool
    picked: bool
    referred_by: tuple[str, str]
    replaces: DialogId | None
    saved: SavedLeg
    flow_lost: bool = False
    number: str = ""


class SavedCall(NamedTuple):
    """What has to outlive the process so that a call that is up goes on.

    `settled`: both phones know where the other one's media is; else they were just being told. `secure`: it
    was made by sips:.
    """

    number: int
    domain: str
    source: str
    started_at: float
    transfers: int
    settled: bool
    caller: SavedSeat
    callee: SavedSeat
    secure: bool = False


class SavedHalf(NamedTuple):
    """A leg that is up while its call is not yet: the next process ends it, as nobody talks there."""

    number: int
    domain: str
    source: str
    started_at: float
    seat: SavedSeat


Kept = SavedCall | SavedHalf
