"""Documents that are published, or come of an upstream: what is read of them, and what a lamp shows of it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from blfd.core import privacy
from blfd.core.events.dialog_state import RENDERING, WatchedDialog
from blfd.core.values import DialogId, Uri
from blfd.core.visible import is_visible, visible
from dialog_info import Dialog, DialogInfo, DialogInfoError, DialogState, Direction, parse

MOST_DIALOGS = 50  # in one document
LONGEST_TEXT = 256  # characters of an id, a tag, a URI, or of a name that is shown


def readable(body: bytes) -> tuple[DialogInfo, list[str]]:
    """A document without what cannot be read of it, and what that is. Raises DialogInfoError.

    A name is for people, so it is made visible, and loses no dialog.
    """
    faults: list[str] = []
    document = parse(body, faults)
    if len(document.dialogs) > MOST_DIALOGS:
        raise DialogInfoError(f"more than {MOST_DIALOGS} dialogs")
    short = [dialog for dialog in document.dialogs if max(map(len, _texts(dialog))) <= LONGEST_TEXT]
    if len(short) < len(document.dialogs):
        faults.append(f"an id, a tag or a URI of more than {LONGEST_TEXT} characters")
    sound = tuple(dialog for dialog in short if all(map(is_visible, _texts(dialog))))
    if len(sound) < len(short):
        faults.append("a control character in an id, a tag or a URI")
    return document._replace(dialogs=tuple(map(_named, sound))), faults


def _named(dialog: Dialog) -> Dialog:
    """The dialog with the other party's name as it can be shown."""
    remote = dialog.remote
    if remote is None or remote.identity is None or remote.identity.display is None:
        return dialog
    identity = remote.identity._replace(display=visible(remote.identity.display, LONGEST_TEXT))
    return dialog._replace(remote=remote._replace(identity=identity))


def _texts(dialog: Dialog) -> Iterator[str]:
    """What of a dialog is told to others, as phones would read it, and is not for people."""
    remote = dialog.remote and dialog.remote.identity
    yield from (dialog.id, dialog.call_id or "", dialog.local_tag or "", dialog.remote_tag or "")
    target = dialog.remote and dialog.remote.target
    if remote:
        yield unquote(remote.uri)
    if target:
        yield target.uri


def watched(
    dialog: Dialog, publisher: str, at: float, known: WatchedDialog | None, now: float
) -> WatchedDialog:
    """A dialog that was published `at` a time as a lamp shows it; ids are its publisher's.

    Who calls is `trying` as long as it rings there, as callers are whose calls are carried here.
    """
    calls = dialog.direction is Direction.INITIATOR and dialog.state is DialogState.EARLY
    state = DialogState.TRYING if calls else dialog.state
    remote = dialog.remote and dialog.remote.identity
    user, host = user_and_host(remote.uri) if remote else ("", "")
    rendering = (dialog.local and dialog.local.target and dialog.local.target.params) or ()
    began = at - (dialog.duration or 0)
    return WatchedDialog(
        DialogId(dialog.call_id or "", dialog.remote_tag or "", dialog.local_tag or ""),
        dialog.direction,
        state,
        known.since if known and known.state is state else min(now, began),
        user,
        remote.display or "" if remote else "",
        held=any(p.name.lstrip("\\") == RENDERING and p.value.lower() == "no" for p in rendering),
        withheld=privacy.is_anonymous(Uri("", "sip", user, host, 0)) if remote else False,
        publisher=publisher,
        published_id=dialog.id,
        target=(dialog.remote and dialog.remote.target and dialog.remote.target.uri) or "",
    )


def user_and_host(uri: str) -> tuple[str, str]:
    """The user and host of a SIP URI in a document, or the number of a tel URI; both may be empty."""
    scheme, _, rest = uri.partition(":")
    address = rest.partition(";")[0].partition("?")[0]
    user, at, host = address.rpartition("@")
    if not at and scheme.lower() == "tel":
        return unquote(address), ""
    bare = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return unquote(user.partition(":")[0]), bare.lower()
