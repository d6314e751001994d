"""What a watcher knows after another document (RFC 4235, section 4.3)."""

from __future__ import annotations

from dialog_info.hardened import DialogInfoError
from dialog_info.model import DialogInfo, DialogState, DocumentState


class VersionGap(DialogInfoError):
    """A document was missed: the watcher has to refresh its subscription."""


def apply(known: DialogInfo | None, update: DialogInfo) -> DialogInfo:
    """The state after `update`; `known` is None at first.

    A document that is not newer changes nothing. A full one replaces everything. A partial one has to be the
    next; it updates dialogs by id, and those that it terminates are gone. Raises VersionGap.
    """
    if known is not None and update.version <= known.version:
        return known
    if update.state is DocumentState.FULL:
        return update
    if known is None or update.version != known.version + 1:
        have = "nothing" if known is None else f"version {known.version}"
        raise VersionGap(f"partial version {update.version} on {have}: refresh the subscription")
    dialogs = {dialog.id: dialog for dialog in known.dialogs}
    for dialog in update.dialogs:
        if dialog.state is DialogState.TERMINATED:
            dialogs.pop(dialog.id, None)
        else:
            dialogs[dialog.id] = dialog
    return DialogInfo(known.entity, update.version, DocumentState.FULL, tuple(dialogs.values()))


def same_state(one: DialogInfo, other: DialogInfo) -> bool:
    """Whether two documents say the same, whatever their version and the order of their dialogs."""
    return _canonical(one) == _canonical(other)


def _canonical(info: DialogInfo) -> DialogInfo:
    return info._replace(version=0, dialogs=tuple(sorted(info.dialogs, key=lambda dialog: dialog.id)))
