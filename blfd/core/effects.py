"""What to do: everything that the core can ever ask for. Performed in order by the server.

What it asks of the legs of calls is in `calls/leg_effects`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple, ParamSpec

from blfd.core.calls.attempts import Attempt
from blfd.core.calls.leg_effects import LegEffect
from blfd.core.directory import Rule
from blfd.core.messages import ProfileWanted
from blfd.core.saved import Kept, SavedPublication, SavedSubscription
from blfd.core.values import (
    Aor,
    Binding,
    Flow,
    Headers,
    NameAddr,
    Server,
    SubscriptionDialog,
)


class Level(IntEnum):
    """Severity of a log line, with the values of `logging`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Log(NamedTuple):
    """One line for the operator."""

    level: Level
    text: str


class Failed(NamedTuple):
    """Something of ours has gone wrong: the server logs it, and does what else is wanted."""

    error: Exception


class Reply(NamedTuple):
    """Respond to a request. `to_tag` is given where the response creates or belongs to a dialog.

    `contact_user` is the user in our Contact (`own_contact`); None for no Contact. `once`: who is answered
    has proved nothing, so that nothing is repeated until an ACK comes (RFC 3261, section 26.3.2.4).
    """

    transaction: int
    status: int
    reason: str = ""
    headers: Headers = ()
    to_tag: str = ""
    contact_user: str | None = None
    once: bool = False


class Ignore(NamedTuple):
    """Do not respond to this request at all (a source that is kept in silence)."""

    transaction: int


class LetIn(NamedTuple):
    """The phone of a leg has sent this request (`MovedReceived`): the leg is there now, and takes it."""

    transaction: int
    leg: int


class FindProfile(NamedTuple):
    """Look up where the files of the phone with this address are; `ProfileFound` comes back.

    The request is held until `Reply` or `Ignore`.
    """

    wanted: ProfileWanted
    mac: str


class Locate(NamedTuple):
    """Look up where a server is; `Located` comes back, in some seconds at the latest."""

    server: Server


class SetRules(NamedTuple):
    """Store rules that an extension has set by its phone; `RulesSet` comes back with `number`."""

    number: int
    aor: Aor
    rules: tuple[Rule, ...]


class SaveBindings(NamedTuple):
    """Persist the complete list of contacts of an AOR; an empty one removes it."""

    aor: Aor
    bindings: tuple[Binding, ...]


class SaveSubscription(NamedTuple):
    """Persist a subscription; None removes it."""

    key: str
    saved: SavedSubscription | None


class SavePublication(NamedTuple):
    """Persist a publication under its entity-tag; None removes it."""

    etag: str
    saved: SavedPublication | None


class TellSaved(NamedTuple):
    """Say when all is stored that was to be before; `Saved` comes back with `number`, soon."""

    number: int


class SaveCalls(NamedTuple):
    """Persist calls that are up, or have a leg that is, by number, all at once; None removes one."""

    calls: dict[int, Kept | None]


class SavePickup(NamedTuple):
    """Persist how an attempt to pick up ended."""

    attempt: Attempt


class Notify(NamedTuple):
    """Send one NOTIFY; the notifier has put at most one in flight for a subscription.

    `subscription` is "" where nothing depends on the response. `expires` is in seconds, None where the
    subscription is over, for `reason` (RFC 6665, section 4.1.3; "" for none). `contact_user` is the user in
    our Contact.
    """

    subscription: str
    flow: Flow
    dialog: SubscriptionDialog
    cseq: int
    expires: int | None
    reason: str = ""
    content_type: str = ""
    body: bytes = b""
    contact_user: str = ""


class SendRequest(NamedTuple):
    """Send a request outside calls, other than NOTIFY; `ResponseReceived` always comes back with `token`.

    `contact` is the user of our Contact and the parameters of its URI; None for no Contact. `remote_tag` is
    that of To, inside a dialog.
    """

    token: str
    flow: Flow
    method: str
    target: str
    from_: NameAddr
    to: NameAddr
    call_id: str
    local_tag: str
    cseq: int
    headers: Headers = ()
    route_set: tuple[str, ...] = ()
    contact: tuple[str, str] | None = None
    remote_tag: str = ""


class NotifyAll(NamedTuple):
    """Send all of these: what many watchers are told of one change is one effect."""

    notifies: list[Notify]


Effect = (
    LegEffect
    | Log
    | Failed
    | Reply
    | Ignore
    | LetIn
    | FindProfile
    | Locate
    | SetRules
    | SaveBindings
    | SaveSubscription
    | SavePublication
    | TellSaved
    | SaveCalls
    | SavePickup
    | Notify
    | NotifyAll
    | SendRequest
)


LOGGED = 2000  # characters of what a failure was about

P = ParamSpec("P")


def apart(act: Callable[P, list[Effect]], *about: P.args, **more: P.kwargs) -> list[Effect]:
    """What `act` wants, or that it has failed: what others want at the same time is not lost with it."""
    try:
        return act(*about, **more)
    except Exception as error:
        error.add_note(f"it was about {about!r}"[:LOGGED])
        return [Failed(error)]
