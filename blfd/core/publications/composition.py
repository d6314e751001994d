"""What all publications of an extension, and what an upstream tells of it, say of its calls together.

They add up, and what the newest says of a dialog holds. A dialog that a publisher calls terminated is over in
all its publications, however long they live, and does not come back while late messages may tell of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from blfd.core.events.dialog_state import Dialogs, Published, WatchedDialog
from blfd.core.publications.documents import watched
from blfd.core.saved import SavedPublication
from blfd.core.values import Aor
from dialog_info import Dialog, DialogState, StateEvent

TOMBSTONE = 32.0  # seconds: 64*T1, the longest that a message may be on its way


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication that lives."""

    saved: SavedPublication
    dialogs: tuple[Dialog, ...]


class Composition:
    """All that others say of extensions; the dialogs that lamps show follow it."""

    def __init__(self, dialogs: Dialogs) -> None:
        self._dialogs = dialogs
        self._of: dict[Aor, dict[str, Publication]] = {}  # by entity-tag
        self._heard: dict[Aor, Publication] = {}  # what was asked for, which is not published
        self._shown: dict[Aor, dict[Published, WatchedDialog]] = {}
        # Dialogs that are over: bodies of until then tell nothing of them.
        self._ended: dict[Aor, dict[Published, float]] = {}

    def published(self) -> Iterable[Aor]:
        """The extensions of which something is published."""
        return self._of

    def of(self, aor: Aor) -> list[Publication]:
        """The publications of an extension, the newest body last."""
        return sorted(self._of.get(aor, {}).values(), key=lambda publication: publication.saved.at)

    def is_shown(self, aor: Aor) -> bool:
        """Whether what is said of an extension shows a call there."""
        return aor in self._shown

    def add(self, publication: Publication) -> None:
        """Take a publication; `compose` makes something of it."""
        saved = publication.saved
        self._of.setdefault(saved.aor, {})[saved.etag] = publication

    def remove(self, publication: Publication) -> None:
        """Leave a publication out; `compose` makes something of the others."""
        saved = publication.saved
        del self._of[saved.aor][saved.etag]
        if not self._of[saved.aor]:
            del self._of[saved.aor]

    def hear(self, aor: Aor, source: str, dialogs: tuple[Dialog, ...], now: float) -> None:
        """What a source says of an extension when it is asked: that counts alone, and is not stored."""
        if dialogs:
            said = SavedPublication("", aor, source, now, now, b"")
            self._heard[aor] = Publication(said, dialogs)
        else:
            self._heard.pop(aor, None)
        self.compose(aor, now)

    def compose(self, aor: Aor, now: float) -> None:
        """Make the dialogs of an extension what its publications say together."""
        wanted, over = self._composed(aor, now)
        shown = self._shown.get(aor, {})
        for key in [key for key in shown if key not in wanted]:
            self._dialogs.end(aor, key, now, over.get(key, StateEvent.TIMEOUT))
        for dialog in wanted.values():
            self._dialogs.put(aor, dialog)
        if wanted:
            self._shown[aor] = wanted
        else:
            self._shown.pop(aor, None)

    def _composed(
        self, aor: Aor, now: float
    ) -> tuple[dict[Published, WatchedDialog], dict[Published, StateEvent]]:
        """The live dialogs, and why others are over."""
        live: dict[Published, WatchedDialog] = {}
        over: dict[Published, StateEvent] = {}
        shown = self._shown.get(aor, {})
        ended, said = self._ended.setdefault(aor, {}), set()
        heard = self._heard.get(aor)
        for publication in [*self.of(aor), *([heard] if heard else [])]:
            for dialog in publication.dialogs:
                key = Published(publication.saved.publisher, dialog.id, dialog.call_id or "")
                said.add(key)
                if dialog.state is DialogState.TERMINATED:
                    live.pop(key, None)
                    over[key] = dialog.event or StateEvent.REMOTE_BYE
                    # Without a Call-ID, the id is the extension's: its next call has it too.
                    late = TOMBSTONE if dialog.call_id else 0.0
                    ended[key] = max(ended.get(key, 0.0), publication.saved.at + late)
                elif publication.saved.at >= ended.get(key, 0.0):
                    known = shown.get(key) or live.get(key)
                    live[key] = watched(dialog, publication.saved.publisher, publication.saved.at, known, now)
        for key in [key for key, until in ended.items() if until < now and key not in said]:
            del ended[key]
        if not ended:
            del self._ended[aor]
        return live, over
