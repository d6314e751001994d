"""What all publications of an extension, and what an upstream tells of it, say of its calls together.

They add up, and what the newest says of a dialog holds. A dialog that a publisher calls terminated is over in
all its publications, however long they live, and does not come back while late messages may tell of it. A
request that was sent again with its Call-ID (RFC 3261, section 22.2) has the same dialog begin anew, though:
who names an entity-tag that was given after the end knows of the end, so what it says is not late.

A publisher that has lost its entity-tag begins anew without one, so that what it says could be late as well.
It had an entity-tag when it told of the end, though, if that was by one: its first word of the dialog was
answered by then, and is not on its way any more. What may be is what it had sent meanwhile, and sends again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from blfd.core.events.dialog_state import Dialogs, Published, WatchedDialog
from blfd.core.publications.documents import watched
from blfd.core.saved import SavedPublication
from blfd.core.values import Aor
from dialog_info import Dialog, DialogState, StateEvent

TOMBSTONE = 32.0  # seconds: 64*T1, the longest that a message may be on its way
SENT_AGAIN = 8.0
"""Seconds in which a publisher that has an entity-tag has sent again what it had sent with that of before:
within T2 it hears that this one holds no more (412), and within T2 its request without one is here."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication that lives.

    All that was taken of a site is numbered: `order` is the number of the body, `given` that of the present
    entity-tag, and `follows` that of the entity-tag which its publisher had when it spoke last, -1 for none.
    `answered` are the dialogs, by id and Call-ID, that it had told of as live in a body which was answered.
    """

    saved: SavedPublication
    dialogs: tuple[Dialog, ...]
    order: int
    given: int
    follows: int
    answered: frozenset[tuple[str, str]] = frozenset()


class End(NamedTuple):
    """When a dialog has ended: the number of the body that says so, and until when others may be late."""

    order: int
    until: float


NEVER = End(-1, 0.0)


class Composition:
    """All that others say of extensions; the dialogs that lamps show follow it."""

    def __init__(self, dialogs: Dialogs) -> None:
        self._dialogs = dialogs
        self._of: dict[Aor, dict[str, Publication]] = {}  # by entity-tag
        self._heard: dict[Aor, Publication] = {}  # what was asked for, which is not published
        self._shown: dict[Aor, dict[Published, WatchedDialog]] = {}
        self._ended: dict[Aor, dict[Published, End]] = {}
        self._orders = itertools.count()

    def published(self) -> Iterable[Aor]:
        """The extensions of which something is published."""
        return self._of

    def of(self, aor: Aor) -> list[Publication]:
        """The publications of an extension, the newest body last."""
        return sorted(self._of.get(aor, {}).values(), key=lambda publication: publication.order)

    def is_shown(self, aor: Aor) -> bool:
        """Whether what is said of an extension shows a call there."""
        return aor in self._shown

    def first(self, saved: SavedPublication, dialogs: tuple[Dialog, ...]) -> Publication:
        """A publication that was made without an entity-tag."""
        order = next(self._orders)
        return Publication(saved, dialogs, order, order, -1)

    def modified(self, old: Publication, saved: SavedPublication, dialogs: tuple[Dialog, ...]) -> Publication:
        """What a new body makes of a publication."""
        order = next(self._orders)
        live = {_ids(dialog) for dialog in old.dialogs if dialog.state is not DialogState.TERMINATED}
        answered = frozenset(map(_ids, dialogs)) & (old.answered | live)
        return Publication(saved, dialogs, order, order, old.given, answered)

    def refreshed(self, old: Publication, saved: SavedPublication) -> Publication:
        return replace(old, saved=saved, given=next(self._orders), follows=old.given)

    def restored(self, saved: SavedPublication, dialogs: tuple[Dialog, ...]) -> Publication:
        """A publication from the store, the oldest body first: what was taken is taken again."""
        order = next(self._orders)
        return Publication(saved, dialogs, order, order, order)

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
        """What a source says of an extension when it is asked: that counts alone, and is not stored. It is in
        order, so nothing of it is late."""
        if dialogs:
            said = SavedPublication("", aor, source, now, now, b"")
            self._heard[aor] = self.restored(said, dialogs)
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
                    end = End(publication.order, publication.saved.at + _longest_late(publication, dialog))
                    ended[key] = max(ended.get(key, NEVER), end)
                elif _is_after(publication, ended.get(key, NEVER)):
                    known = shown.get(key) or live.get(key)
                    live[key] = watched(dialog, publication.saved.publisher, publication.saved.at, known, now)
        for key in [key for key, end in ended.items() if end.until < now and key not in said]:
            del ended[key]
        if not ended:
            del self._ended[aor]
        return live, over


def _ids(dialog: Dialog) -> tuple[str, str]:
    return dialog.id, dialog.call_id or ""


def _longest_late(publication: Publication, ended: Dialog) -> float:
    """For how many seconds after its end a dialog may be told of by a message that was sent before."""
    if not ended.call_id:  # the id is the extension's: its next call has it too
        return 0.0
    return SENT_AGAIN if _ids(ended) in publication.answered else TOMBSTONE


def _is_after(publication: Publication, end: End) -> bool:
    """Whether a body tells of a dialog that has begun anew since its end."""
    is_known = publication.order > end.order and publication.follows >= end.order
    return is_known or publication.saved.at >= end.until
