"""One subscription of ours: to the lamp of one extension at its upstream, or to those of all by a list of it
(RFC 6665, section 4.1; RFC 4662)."""

from __future__ import annotations

from dataclasses import dataclass, field

from blfd.core.challenges import Proofs
from blfd.core.next_hop import is_sip, without_headers
from blfd.core.upstreams.upstream import Upstream
from blfd.core.upstreams.watching import State
from blfd.core.values import Aor, Flow
from dialog_info import DialogInfo


@dataclass(slots=True, eq=False)
class Lamp:
    """What is known of one extension, told at `told_at`: a document for each instance, mostly one. Without
    any it is unknown; `said` is why, where that is not the whole subscription's."""

    documents: dict[str, DialogInfo] = field(default_factory=dict)
    told_at: float = 0.0
    said: str = ""

    @property
    def is_known(self) -> bool:
        return bool(self.documents)


@dataclass(slots=True, eq=False)
class Watch:
    """Our subscription to `lamps`: to one, or to a list (`is_list`), of which `version` was told last.

    `call_id` and `tag` are ours, the other three are said by the PBX in the first thing that it sends.
    `serial` is that of the request that is out; the subscription was accepted at `since` and ends at `until`.
    `lacks`: it was told what has changed since something that we do not have.
    """

    number: int
    upstream: Upstream
    expires: int
    is_list: bool
    lamps: dict[Aor, Lamp] = field(default_factory=dict)
    version: int | None = None
    state: State = State.WAITING
    call_id: str = ""
    tag: str = ""
    remote_tag: str = ""
    target: str = ""
    route_set: tuple[str, ...] = ()
    flow: Flow | None = None
    server: int = 0  # index of the server that is asked in its dialog
    serial: int = 0
    cseq: int = 0
    remote_cseq: int = -1
    failures: int = 0
    is_refused: bool = False
    proofs: Proofs = field(default_factory=Proofs)
    since: float = 0.0
    until: float = 0.0
    renewed_at: float = 0.0
    full_at: float = 0.0  # when it was asked for the full state
    lacks: bool = False
    is_told: bool = False  # whether a NOTIFY has come in its dialog
    said: str = ""  # the last error in words, "" while all is well

    @property
    def is_subscribed(self) -> bool:
        return self.state in (State.SUBSCRIBED, State.REFRESHING)

    @property
    def is_known(self) -> bool:
        """Whether any of its lamps is known."""
        return any(lamp.is_known for lamp in self.lamps.values())

    def set_target(self, contact: str, route_set: tuple[str, ...]) -> None:
        """Set where further requests of the dialog go; what could not stand in one is left out."""
        if is_sip(contact) and contact.isprintable() and not set(contact) & set(' "<>\\'):
            self.route_set = self.route_set if self.target else route_set  # the first stays (RFC 3261, 12.2)
            self.target = without_headers(contact)

    @property
    def resource(self) -> str:
        """The URI that is subscribed to."""
        if self.is_list:
            return self.upstream.resource_list
        (aor,) = self.lamps or (Aor("", ""),)
        return f"sip:{aor.extension.replace('#', '%23')}@{self.upstream.host}"

    @property
    def whose(self) -> str:
        """What it is subscribed to, in words for people."""
        return self.resource if self.is_list else ", ".join(map(str, self.lamps))

    def begin(self, call_id: str, tag: str) -> None:
        """Begin a dialog of its own."""
        self.call_id, self.tag, self.remote_tag = call_id, tag, ""
        self.target, self.route_set = "", ()
        self.cseq, self.remote_cseq, self.version = 0, -1, None
        self.lacks = self.is_told = False
