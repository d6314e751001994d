"""What happened, as plain values: everything that the core is ever told.

`now` is given beside an input, never in it. A `transaction` names the server transaction that a `Reply`
answers; a `leg` is one INVITE dialog and is numbered by the core (`Accept`, `Dial`). `headers` are the fields
of a call's message that are named in `calls.passed_on.HEARD`, as they came. What peers say is in `messages`,
what happens on legs in `calls.leg_inputs`; here is what the server itself tells, and all of them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from blfd.core.alterations import Altered
from blfd.core.calls.leg_inputs import LegDescribed, LegInput, LegsListed
from blfd.core.directory import Directory
from blfd.core.messages import (
    InviteReceived,
    MovedReceived,
    NotifyReceived,
    NotifyResponseReceived,
    ProfileWanted,
    PublishReceived,
    ReferReceived,
    RegisterReceived,
    RequestReceived,
    ResponseReceived,
    SubscribeReceived,
)
from blfd.core.saved import SavedCall, SavedPublication, SavedSeat, SavedSubscription
from blfd.core.values import DEFAULT_TENANT, Aor, Binding, Flow, Location, Server


class ProfileFound(NamedTuple):
    """What `FindProfile` has found: `url` is where the phone's files are.

    None: no such phone is known. "": the phone of `tenant` knows it already, as it has fetched them.
    """

    wanted: ProfileWanted
    mac: str
    url: str | None
    tenant: str = DEFAULT_TENANT


class RulesSet(NamedTuple):
    """What has become of `SetRules`: `status` is 200 where the rules hold now, else a refusal's."""

    number: int
    status: int
    reason: str = ""


class NotifyLost(NamedTuple):
    """The NOTIFY in flight will have no response: there is no connection to `flow`, by which it was sent."""

    subscription: str
    flow: Flow


class FlowClosed(NamedTuple):
    """A connection is gone, or could not be made."""

    flow: Flow


class CertificateShown(NamedTuple):
    """A connection is there whose peer has a certificate with these names, by somebody whom we trust."""

    flow: Flow
    names: tuple[str, ...]


class FlowReached(NamedTuple):
    """A peer that could not be reached for a while can be now."""

    flow: Flow


class Saved(NamedTuple):
    """All is stored that was asked for before these `TellSaved`; or the disk refuses, which is said in the
    log, and it is tried again."""

    numbers: tuple[int, ...]


class Located(NamedTuple):
    """What `Locate` has found."""

    server: Server
    location: Location


@dataclass(frozen=True, slots=True)
class DirectoryChanged:
    """An administrator has changed what is set; `altered` says what, where that is known already."""

    directory: Directory
    altered: Altered | None = None


@dataclass(frozen=True, slots=True)
class BindingsRestored:
    """The bindings that the store remembers at the start."""

    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionsRestored:
    """The subscriptions that the store remembers at the start, after the directory, over listeners of now."""

    subscriptions: tuple[SavedSubscription, ...]


@dataclass(frozen=True, slots=True)
class PublicationsRestored:
    """The publications that the store remembers at the start, after the directory."""

    publications: tuple[SavedPublication, ...]


@dataclass(frozen=True, slots=True)
class CallsRestored:
    """The calls that the store remembers at the start, after the directory, over listeners of now.

    Those that are `lost` have an end that no listener leads to any more, and `halves` no other one yet.
    """

    calls: tuple[SavedCall, ...]
    lost: tuple[SavedCall, ...] = ()
    halves: tuple[SavedSeat, ...] = ()


class SyncWanted(NamedTuple):
    """The phones of an extension shall fetch their files: NOTIFY with this Event, outside any dialog."""

    aor: Aor
    event: str


class Drain(NamedTuple):
    """The server stops: calls that are not up end, and all with `hang_up`; with `tell`, watchers are told
    `deactivated`."""

    tell: bool
    hang_up: bool = False


Input = (
    RegisterReceived
    | SubscribeReceived
    | PublishReceived
    | NotifyReceived
    | ProfileWanted
    | ProfileFound
    | RulesSet
    | NotifyResponseReceived
    | NotifyLost
    | ResponseReceived
    | InviteReceived
    | ReferReceived
    | MovedReceived
    | RequestReceived
    | LegInput
    | LegDescribed
    | LegsListed
    | FlowClosed
    | FlowReached
    | CertificateShown
    | Located
    | Saved
    | DirectoryChanged
    | BindingsRestored
    | SubscriptionsRestored
    | PublicationsRestored
    | CallsRestored
    | SyncWanted
    | Drain
)


class Emit(Protocol):
    """Takes inputs, and does what they lead to: the core has all that are given at once before the first
    effect of one is performed. In which order things happen is the same as if they were given one by one."""

    def __call__(self, *events: Input) -> None: ...
