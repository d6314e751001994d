"""What each extension's lamp shows: the single truth that watchers, CLI and pickup read (RFC 4235)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from blfd.core.values import Aor
from dialog_info import (
    Dialog,
    DialogInfo,
    DialogState,
    Direction,
    DocumentState,
    Identity,
    Param,
    Participant,
    Target,
)

RENDERING = "+sip.rendering"  # RFC 4235, section 3.6; RFC 3840


class Lamp(Enum):
    """The word for an extension's state, the most urgent of its dialogs first."""

    RINGING = "ringing"
    EARLY_MEDIA = "early media"
    TALKING = "talking"
    HELD = "held"
    TRYING = "trying"
    IDLE = "idle"
    NOT_REGISTERED = "not registered"


@dataclass(frozen=True, slots=True)
class WatchedDialog:
    """One dialog of an extension, in the watched phone's view.

    `call_id` and the tags are those between blfd and that phone. `since` is the time of the last change of
    `state`. `remote` is the other party's extension, `remote_name` its display name. `held`: the watched
    phone has put the other on hold.
    """

    call_id: str
    local_tag: str
    remote_tag: str
    direction: Direction
    state: DialogState
    since: float
    remote: str
    remote_name: str = ""
    held: bool = False
    early_media: bool = False

    @property
    def id(self) -> str:
        """Unique and constant: the Call-ID is ours for a ringing branch, the phone's for its own call."""
        return self.call_id

    @property
    def lamp(self) -> Lamp:
        match self.state:
            case DialogState.CONFIRMED:
                return Lamp.HELD if self.held else Lamp.TALKING
            case DialogState.EARLY:
                return Lamp.EARLY_MEDIA if self.early_media else Lamp.RINGING
            case DialogState.TERMINATED:
                return Lamp.IDLE
            case _:
                return Lamp.TRYING


class Dialogs:
    """All dialogs by extension, and which extensions changed since they were last asked for."""

    def __init__(self) -> None:
        self._live: dict[Aor, dict[str, WatchedDialog]] = {}
        self._last: dict[Aor, WatchedDialog] = {}
        self._changed: dict[Aor, None] = {}

    def put(self, aor: Aor, dialog: WatchedDialog) -> None:
        """Add or update a dialog."""
        known = self._live.setdefault(aor, {})
        if known.get(dialog.id) != dialog:
            known[dialog.id] = dialog
            self._changed[aor] = None

    def hold(self, aor: Aor, dialog_id: str, held: bool) -> None:
        dialog = self._live.get(aor, {}).get(dialog_id)
        if dialog:
            self.put(aor, replace(dialog, held=held))

    def end(self, aor: Aor, dialog_id: str, now: float) -> None:
        """A dialog is over; unknown ones (a branch that never rang) are ignored."""
        dialog = self._live.get(aor, {}).pop(dialog_id, None)
        if dialog is None:
            return
        if not self._live[aor]:
            del self._live[aor]
        self._last[aor] = replace(
            dialog, state=DialogState.TERMINATED, since=now, held=False, early_media=False
        )
        self._changed[aor] = None

    def forget(self, aor: Aor) -> None:
        """An extension is removed."""
        self._last.pop(aor, None)

    def take_changed(self) -> list[Aor]:
        """The extensions whose state changed since the last call, in order."""
        if not self._changed:
            return []
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def of(self, aor: Aor) -> list[WatchedDialog]:
        return list(self._live.get(aor, {}).values())

    def lamp(self, aor: Aor) -> Lamp:
        lamps = {dialog.lamp for dialog in self.of(aor)}
        return next((lamp for lamp in Lamp if lamp in lamps), Lamp.IDLE)

    def document(self, aor: Aor, entity: str, *, single: bool = False) -> DialogInfo:
        """The full state of `aor` for watchers that subscribed to `entity`.

        Idle is told with the last dialog, terminated, or with a dummy one: some phones leave the lamp on when
        a document has no <dialog>. `single`: the most urgent dialog alone, early before confirmed.
        """
        dialogs = self.of(aor)
        if single and dialogs:
            order = list(Lamp)
            dialogs = [min(dialogs, key=lambda dialog: order.index(dialog.lamp))]
        domain = entity.partition("@")[2]
        elements = tuple(_element(dialog, aor, entity, domain) for dialog in dialogs or self._idle(aor))
        if not elements:
            elements = (Dialog(id=f"idle-{aor.extension}", state=DialogState.TERMINATED),)
        return DialogInfo(entity=entity, version=0, state=DocumentState.FULL, dialogs=elements)

    def _idle(self, aor: Aor) -> Iterator[WatchedDialog]:
        last = self._last.get(aor)
        if last:
            yield last


def _element(dialog: WatchedDialog, aor: Aor, entity: str, domain: str) -> Dialog:
    """The <dialog> element; a ringing one's remote target is the pickup code, for keys that call it."""
    remote = f"sip:{dialog.remote}@{domain}"
    rings = dialog.state is DialogState.EARLY and dialog.direction is Direction.RECIPIENT
    rendering = (Param(RENDERING, "no"),) if dialog.held else ()
    return Dialog(
        id=dialog.id,
        call_id=dialog.call_id,
        local_tag=dialog.local_tag,
        remote_tag=dialog.remote_tag,
        direction=dialog.direction,
        state=dialog.state,
        local=Participant(identity=Identity(entity), target=Target(entity, rendering)),
        remote=Participant(
            identity=Identity(remote, dialog.remote_name or None),
            target=Target(f"sip:*97{aor.extension}@{domain}" if rings else remote),
        ),
    )
