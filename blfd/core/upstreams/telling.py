"""What a NOTIFY makes of the lamps of its subscription (RFC 4235, section 4.3; RFC 4662, section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from blfd.core.messages import NotifyReceived
from blfd.core.publications.documents import MOST_DIALOGS, readable, user_and_host
from blfd.core.upstreams.watch import Lamp, Watch
from blfd.core.values import Aor
from blfd.core.visible import visible
from dialog_info import (
    Dialog,
    DialogInfo,
    DialogInfoError,
    DialogState,
    DocumentState,
    Resource,
    parse_resource_list,
)

RLMI = "application/rlmi+xml"
SINGLE = ""  # the key of a resource's document that is its only one
NO_CALL = DialogInfo("", 0, DocumentState.FULL)
"""What a NOTIFY without a body says, as Kamailio sends it."""


@dataclass(slots=True)
class Told:
    """What there is to be heard of each extension; `faults` is what cannot be read of it. Without `is_all` it
    is what has changed since something that we do not have."""

    heard: dict[Aor, tuple[Dialog, ...]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    is_all: bool = True


def take(watch: Watch, notify: NotifyReceived, now: float) -> Told:
    """Set the lamps of a subscription to what a NOTIFY tells. Raises DialogInfoError, and then they are as
    before."""
    if watch.is_list:
        return _list(watch, notify, now)
    told = Told()
    for aor, lamp in watch.lamps.items():
        update = NO_CALL
        if notify.body:
            update, told.faults = readable(notify.body)
        told.heard[aor] = _instance(lamp, SINGLE, update, told)
        lamp.told_at, lamp.said = now, ""
    return told


def _list(watch: Watch, notify: NotifyReceived, now: float) -> Told:
    index = next((part.content for part in notify.parts if part.content_type == RLMI), None)
    if index is None:
        raise DialogInfoError("there is no list of resources in it")
    found, documents = parse_resource_list(index), {part.id: part.content for part in notify.parts}
    told = Told()
    told.is_all = found.is_full or (watch.version is not None and found.version == watch.version + 1)
    watch.version = found.version
    by_user = {aor.extension: aor for aor in watch.lamps}
    for resource in found.resources:
        aor = by_user.get(user_and_host(resource.uri)[0])
        if aor:
            lamp = watch.lamps[aor]
            _leave_out_others(lamp, resource, found.is_full)
            told.heard[aor] = _resource(lamp, resource, documents, told, now)
    if found.is_full:
        for aor in watch.lamps.keys() - told.heard.keys():
            watch.lamps[aor] = Lamp(said="its list has no such extension")
            told.heard[aor] = ()
    return told


def _leave_out_others(lamp: Lamp, resource: Resource, is_full: bool) -> None:
    """Forget of several instances those that are not in the list any more. What was known as the single one
    of a resource is one of those that are named now, and nobody knows which."""
    if len(resource.instances) != 1:
        named = {instance.id for instance in resource.instances}
        lamp.documents = {
            key: known
            for key, known in lamp.documents.items()
            if key in named or not (is_full or (named and key == SINGLE))
        }


def _resource(
    lamp: Lamp, resource: Resource, documents: dict[str, bytes], told: Told, now: float
) -> tuple[Dialog, ...]:
    """The dialogs of a resource. A single instance is the whole of it, under whatever id: Asterisk gives it
    another one each time."""
    is_one = len(resource.instances) == 1
    heard: dict[str, tuple[Dialog, ...]] = {}
    if is_one:
        before = list(lamp.documents.values())
        lamp.documents = {SINGLE: before[0]} if len(before) == 1 else {}
    reason = "the PBX tells nothing of it"
    for instance in resource.instances:
        key, content = SINGLE if is_one else instance.id, documents.get(instance.cid)
        if instance.state == "terminated":
            lamp.documents.pop(key, None)
            why = visible(instance.reason) or "without a reason"
            reason = f"its subscription at the PBX has ended ({why})"
        elif content is not None:
            try:
                update, faults = readable(content)
            except DialogInfoError as error:
                lamp.documents.pop(key, None)
                told.faults.append(str(error))
                reason = f"what it tells cannot be read: {visible(str(error), 120)}"
                continue
            told.faults += faults
            heard[key] = _instance(lamp, key, update, told)
    lamp.told_at, lamp.said = now, "" if lamp.documents else reason
    kept = (dialog for key, known in lamp.documents.items() if key not in heard for dialog in known.dialogs)
    return (*kept, *(dialog for said in heard.values() for dialog in said))


def _instance(lamp: Lamp, key: str, update: DialogInfo, told: Told) -> tuple[Dialog, ...]:
    lamp.documents[key], said, is_all = merged(lamp.documents.get(key), update)
    told.is_all = told.is_all and is_all
    return said


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
    return update._replace(state=DocumentState.FULL, dialogs=live), said, is_all


def _filled(dialog: Dialog, before: Dialog | None) -> Dialog:
    if before is None:
        return dialog
    return dialog._replace(
        call_id=dialog.call_id or before.call_id,
        local_tag=dialog.local_tag or before.local_tag,
        remote_tag=dialog.remote_tag or before.remote_tag,
        direction=dialog.direction or before.direction,
        local=dialog.local or before.local,
        remote=dialog.remote or before.remote,
    )
