"""The values of a dialog-info document (RFC 4235, section 4). Immutable; names are the RFC's."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class DocumentState(Enum):
    """Whether a document has everything or only what changed (section 4.1)."""

    FULL = "full"
    PARTIAL = "partial"


class DialogState(Enum):
    """The states of the dialog machine (section 3.7.1)."""

    TRYING = "trying"
    PROCEEDING = "proceeding"
    EARLY = "early"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class StateEvent(Enum):
    """What led to a state (section 4.1.3)."""

    CANCELLED = "cancelled"
    REJECTED = "rejected"
    REPLACED = "replaced"
    LOCAL_BYE = "local-bye"
    REMOTE_BYE = "remote-bye"
    ERROR = "error"
    TIMEOUT = "timeout"


class Direction(Enum):
    """Whether the observed user began the dialog (section 4.1.2)."""

    INITIATOR = "initiator"
    RECIPIENT = "recipient"


class Identity(NamedTuple):
    """A URI, with the name to display; also the <referred-by> element."""

    uri: str
    display: str | None = None


class Param(NamedTuple):
    """A Contact parameter of a target, such as +sip.rendering."""

    name: str
    value: str


class Target(NamedTuple):
    """The Contact URI of a participant."""

    uri: str
    params: tuple[Param, ...] = ()


class SessionDescription(NamedTuple):
    type: str
    text: str


class Participant(NamedTuple):
    """The <local> or <remote> element (section 4.1.6)."""

    identity: Identity | None = None
    target: Target | None = None
    session_description: SessionDescription | None = None
    cseq: int | None = None


class Replaces(NamedTuple):
    """The dialog that this one replaces (section 4.1.4)."""

    call_id: str
    local_tag: str
    remote_tag: str


class Dialog(NamedTuple):
    """One <dialog> (section 4.1.2). `duration` is in seconds; `code` the response code behind `event`."""

    id: str
    state: DialogState
    call_id: str | None = None
    local_tag: str | None = None
    remote_tag: str | None = None
    direction: Direction | None = None
    event: StateEvent | None = None
    code: int | None = None
    duration: int | None = None
    replaces: Replaces | None = None
    referred_by: Identity | None = None
    route_set: tuple[str, ...] = ()
    local: Participant | None = None
    remote: Participant | None = None


class DialogInfo(NamedTuple):
    """A document: the dialogs of `entity`, a URI; "" where the document has none."""

    entity: str
    version: int
    state: DocumentState
    dialogs: tuple[Dialog, ...] = ()
