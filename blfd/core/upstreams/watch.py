"""One subscription of ours: to the lamp of one extension at its upstream (RFC 6665, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from blfd.core.access.challenges import Proofs
from blfd.core.compositor import MOST_DIALOGS
from blfd.core.upstreams.upstream import Upstream
from blfd.core.upstreams.watching import State
from blfd.core.values import Aor, Flow
from dialog_info import Dialog, DialogInfo, DialogState, DocumentState


@dataclass(slots=True, eq=False)
class Watch:
    """`call_id` and `tag` are ours, the other three are said by the PBX in the first thing that it sends.

    `serial` is that of the request that is out; the subscription was accepted at `since` and ends at `until`.
    `document` is what is known of the extension, told at `told_at`; None: nothing. `lacks`: it was told what
    has changed since something that we do not have.
    """

    number: int
    upstream: Upstream
    aor: Aor
    expires: int
    state: State = State.WAITING
    call_id: str = ""
    tag: str = ""
    remote_tag: str = ""
    target: str = ""
    route_set: tuple[str, ...] = ()
    flow: Flow | None = None
    serial: int = 0
    cseq: int = 0
    remote_cseq: int = -1
    failures: int = 0
    is_refused: bool = False
    proofs: Proofs = field(default_factory=Proofs)
    since: float = 0.0
    until: float = 0.0
    renewed_at: float = 0.0
    full_at: float = 0.0  # when it was asked for what is full
    lacks: bool = False
    is_told: bool = False  # in the dialog that there is
    document: DialogInfo | None = None
    told_at: float = 0.0
    said: str = ""  # the last error in words, "" while all is well

    @property
    def is_subscribed(self) -> bool:
        return self.state in (State.SUBSCRIBED, State.REFRESHING)

    @property
    def is_known(self) -> bool:
        """Whether its lamp is."""
        return self.document is not None

    def begin(self, call_id: str, tag: str) -> None:
        """A dialog of its own."""
        self.call_id, self.tag, self.remote_tag = call_id, tag, ""
        self.target, self.route_set = "", ()
        self.cseq, self.remote_cseq = 0, -1
        self.lacks = self.is_told = False


def merged(known: DialogInfo | None, update: DialogInfo) -> tuple[DialogInfo, tuple[Dialog, ...], bool]:
    """What lives after an update, all that it says together with what is known, and whether that is all.

    NOTIFYs are in the order of their CSeq, so a full document counts whatever its version is: some servers
    never count, and others begin anew. A partial one that does not follow on what is known says of its own
    dialogs what is true all the same. What it does not repeat of a dialog, as FreeSWITCH with ids, stays.
    """
    if update.state is DocumentState.FULL:
        said, is_all = update.dialogs, True
    else:
        dialogs = {dialog.id: dialog for dialog in known.dialogs} if known else {}
        for dialog in update.dialogs:
            dialogs[dialog.id] = _filled(dialog, dialogs.get(dialog.id))
        said = tuple(dialogs.values())
        is_all = known is not None and update.version == known.version + 1
    live = tuple(dialog for dialog in said if dialog.state is not DialogState.TERMINATED)[-MOST_DIALOGS:]
    return replace(update, state=DocumentState.FULL, dialogs=live), said, is_all


def _filled(dialog: Dialog, before: Dialog | None) -> Dialog:
    if before is None:
        return dialog
    return replace(
        dialog,
        call_id=dialog.call_id or before.call_id,
        local_tag=dialog.local_tag or before.local_tag,
        remote_tag=dialog.remote_tag or before.remote_tag,
        direction=dialog.direction or before.direction,
        local=dialog.local or before.local,
        remote=dialog.remote or before.remote,
    )
