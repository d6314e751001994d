"""What each extension's lamp shows: the single truth that watchers, CLI and pickup read (RFC 4235)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from blfd.core import privacy
from blfd.core.changes import Changed
from blfd.core.values import Aor, DialogId
from dialog_info import (
    Dialog,
    DialogInfo,
    DialogState,
    Direction,
    DocumentState,
    Identity,
    Param,
    Participant,
    Replaces,
    StateEvent,
    Target,
)

RENDERING = "+sip.rendering"  # RFC 4235, section 3.6; RFC 3840
HIDDEN = "hidden-"
MOST_EARLIER = 10  # ids of one dialog that are remembered, the newest of those which it had before
REMEMBERED = 2000  # ended dialogs: a phone that asks for one is told that it is over


class Lamp(Enum):
    """The word for an extension's state, the most urgent of its dialogs first."""

    RINGING = "ringing"
    EARLY_MEDIA = "early media"
    TALKING = "talking"
    HELD = "held"
    TRYING = "trying"
    DND = "do not disturb"
    IDLE = "idle"
    NOT_REGISTERED = "not registered"
    UNKNOWN = "unknown"


URGENCY = tuple(Lamp)


class Published(NamedTuple):
    """Who publishes a dialog that is not carried here, and what it is called there."""

    publisher: str
    id: str
    call_id: str


Source = int | Published
"""A leg, or a publication."""


class WatchedDialog(NamedTuple):
    """One dialog of an extension, between us and its phone: the watched one.

    `id` has it from our side, `direction` from the phone's. `leg` is the core's number for it and `call` that
    of the call. `since` is the time of the last change of `state`. `remote` is the other party's extension,
    `remote_name` its display name; `withheld`: they are for administrators only, `other` for all. `held`: the
    watched phone has put the other on hold. `picked`: it has the callee's place, and sent an INVITE to get
    it. `event` says what ended a terminated dialog, `answered` that it was confirmed before, and `taken_by`
    which extension got the call where it was answered elsewhere (REPLACED) or forwarded. `referred_by` is the
    extension, and the name, that has transferred the call, `replaces` the dialog that its INVITE has named in
    Replaces.

    Of a dialog that is not carried here, `publisher` says whose word it is, `published_id` what it is called
    there and `target` where the other party is reached. It has no `leg` and no `call`; Call-ID, tags,
    direction and target may be missing.
    """

    id: DialogId
    direction: Direction | None
    state: DialogState
    since: float
    remote: str
    remote_name: str = ""
    held: bool = False
    early_media: bool = False
    leg: int = 0
    call: int = 0
    picked: bool = False
    event: StateEvent | None = None
    answered: bool = False
    taken_by: str = ""
    withheld: bool = False
    referred_by: tuple[str, str] = ("", "")
    replaces: DialogId | None = None
    publisher: str = ""
    published_id: str = ""
    target: str = ""

    @property
    def other(self) -> tuple[str, str]:
        """User and name of the other party as they may be shown."""
        return (privacy.USER, "") if self.withheld else (self.remote, self.remote_name)

    @property
    def source(self) -> Source:
        """The leg or publication that tells it apart from all others of its extension."""
        if self.publisher:
            return Published(self.publisher, self.published_id, self.id.call_id)
        return self.leg

    @property
    def element_id(self) -> str:
        """A unique and constant id: a phone may choose any Call-ID, one of ours as well, but not our tag."""
        return self.published_id or f"{self.id.call_id};{self.id.local_tag}"

    @property
    def role(self) -> Direction:
        """Who calls whom, as people see it: who has picked a call up is called, whoever sent the INVITE."""
        return Direction.RECIPIENT if self.picked else self.direction or Direction.RECIPIENT

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

    @property
    def rings(self) -> bool:
        """Whether this is a call that somebody may pick up."""
        return self.state is DialogState.EARLY and self.direction is Direction.RECIPIENT


class Dialogs:
    """All dialogs by extension and source, and which extensions have `changed`.

    Call-IDs tell nothing apart: two phones may choose the same, and a call may come back to us with ours.
    """

    def __init__(self) -> None:
        self._live: dict[Aor, dict[Source, WatchedDialog]] = {}
        self._last: dict[Aor, WatchedDialog] = {}
        self._ended: dict[tuple[Aor, Source], WatchedDialog] = {}  # the oldest first
        self._by_call_id: dict[str, dict[tuple[Aor, Source], None]] = {}  # live and ended ones
        self._earlier: dict[tuple[Aor, Source], tuple[DialogId, ...]] = {}  # the newest last
        self._told: dict[Aor, dict[int, frozenset[str]]] = {}  # as what ended legs were told, by leg
        self.changed = Changed()
        self._dnd: set[Aor] = set()

    def do_not_disturb(self, aor: Aor, is_wanted: bool) -> None:
        """Note whether somebody does not want to be disturbed now."""
        if is_wanted != (aor in self._dnd):
            self._dnd ^= {aor}
            self.changed.add(aor)

    def put(self, aor: Aor, dialog: WatchedDialog) -> None:
        """Add or update a dialog."""
        known, source = self._live.setdefault(aor, {}), dialog.source
        before = known.get(source)
        if before != dialog:
            known[source] = dialog
            if self._ended.pop((aor, source), None):  # a publisher may use an id again
                self._earlier.pop((aor, source), None)
            elif before and before.id != dialog.id:
                self._note_earlier(aor, source, before.id)
            self._by_call_id.setdefault(dialog.id.call_id, {})[aor, source] = None
            self.changed.add(aor)

    def _note_earlier(self, aor: Aor, source: Source, id_: DialogId) -> None:
        """Keep an id that watchers were told: where a call forks behind a contact, each phone there has a tag
        of its own, and a publisher may tell tags for a while alone."""
        earlier = [one for one in self._earlier.get((aor, source), ()) if one != id_]
        self._earlier[aor, source] = (*earlier[1 - MOST_EARLIER :], id_)

    def was_told_as(self, aor: Aor, dialog: WatchedDialog, id_: DialogId) -> bool:
        """Whether watchers know a dialog by an id, or have: the newest document may be on its way to them."""
        return dialog.id == id_ or id_ in self._earlier.get((aor, dialog.source), ())

    def hold(self, aor: Aor, leg: int, held: bool) -> None:
        dialog = self.get(aor, leg)
        if dialog:
            self.put(aor, dialog._replace(held=held))

    def end(self, aor: Aor, source: Source, now: float, event: StateEvent, taken_by: str = "") -> None:
        """End a dialog; unknown ones (a branch that never rang) are ignored."""
        dialog = self._live.get(aor, {}).pop(source, None)
        if dialog is None:
            return
        if not self._live[aor]:
            del self._live[aor]
        ended = dialog._replace(
            state=DialogState.TERMINATED,
            since=now,
            held=False,
            early_media=False,
            event=event,
            answered=dialog.state is DialogState.CONFIRMED,
            taken_by=taken_by,
        )
        self._last[aor] = self._ended[aor, source] = ended
        if ended.leg:
            self._told.setdefault(aor, {})[ended.leg] = _told_as(ended)
        if len(self._ended) > REMEMBERED:
            self._forget_oldest()
        self.changed.add(aor)

    def _forget_oldest(self) -> None:
        oldest = next(iter(self._ended))
        ended = self._ended.pop(oldest)
        self._earlier.pop(oldest, None)
        call_id, aor = ended.id.call_id, oldest[0]
        if ended.leg:
            del self._told[aor][ended.leg]
            if not self._told[aor]:
                del self._told[aor]
        del self._by_call_id[call_id][oldest]
        if not self._by_call_id[call_id]:
            del self._by_call_id[call_id]

    def forget(self, aor: Aor) -> None:
        """Forget what ended last at an extension that is removed."""
        self._last.pop(aor, None)

    def of(self, aor: Aor) -> list[WatchedDialog]:
        """The live dialogs of an extension. A call that is carried here and published as well counts once, as
        it is here; and a leg of this extension that comes back from others who were told of it is over when
        it is over here, else servers that watch one another would light a lamp for ever."""
        dialogs = list(self._live.get(aor, {}).values())
        if not any(dialog.publisher for dialog in dialogs):
            return dialogs
        legs = [dialog for dialog in dialogs if not dialog.publisher]
        calls = {leg.call for leg in legs}
        told = frozenset[str]().union(*map(_told_as, legs), *self._told.get(aor, {}).values())
        others = [one for one in dialogs if one.publisher and one.published_id not in told]
        return [*legs, *(one for one in others if not calls & self._carried(aor.tenant, one))]

    def _carried(self, tenant: str, dialog: WatchedDialog) -> set[int]:
        """The calls that have a leg with a dialog's Call-ID: this server's calls go on to the one that
        publishes."""
        call_id = dialog.id.call_id
        return {one.call for _, one in self.find(tenant, call_id) if not one.publisher} if call_id else set()

    def busy(self, tenant: str) -> list[Aor]:
        """The extensions of a tenant that have a live dialog, in the order of their names."""
        return sorted(aor for aor in self._live if aor.tenant == tenant)

    def last(self, aor: Aor) -> WatchedDialog | None:
        """The dialog that ended last, whenever that was."""
        return self._last.get(aor)

    def get(self, aor: Aor, source: Source) -> WatchedDialog | None:
        return self._live.get(aor, {}).get(source)

    def find(self, tenant: str, call_id: str) -> list[tuple[Aor, WatchedDialog]]:
        """The dialogs of a tenant with this Call-ID: those that are live, and that ended not long ago."""
        known = [(aor, source) for aor, source in self._by_call_id.get(call_id, ()) if aor.tenant == tenant]
        return [(aor, self.get(aor, source) or self._ended[aor, source]) for aor, source in known]

    def lamp(self, aor: Aor) -> Lamp:
        dialogs = self.of(aor)
        if not dialogs:
            return Lamp.DND if aor in self._dnd else Lamp.IDLE
        return min((dialog.lamp for dialog in dialogs), key=URGENCY.index)

    def document(
        self,
        aor: Aor,
        entity: str,
        *,
        pickup_code: str = "",
        single: bool = False,
        dnd_is_busy: bool = True,
    ) -> DialogInfo:
        """The full state of `aor` for watchers that subscribed to `entity`.

        Idle is told with the last dialog, terminated, or with a dummy one: some phones leave the lamp on when
        a document has no <dialog>. Who does not want to be disturbed is told to be busy, with a dialog that
        has no ids and no direction, so that no key tries to pick it up; without `dnd_is_busy`, to be idle.
        `single`: the most urgent dialog alone, early before confirmed. Without `pickup_code` the watchers may
        not pick up: they get nothing that a key could do it with.
        """
        dialogs = self.of(aor)
        if single and dialogs:
            dialogs = [min(dialogs, key=lambda dialog: URGENCY.index(dialog.lamp))]
        domain = entity.partition("@")[2]
        if not dialogs and dnd_is_busy and aor in self._dnd:
            return _full(entity, (Dialog(id="dnd", state=DialogState.CONFIRMED, local=_local(entity)),))
        shown = dialogs or self._idle(aor)
        elements = tuple(_element(dialog, aor, entity, domain, pickup_code) for dialog in shown)
        if not elements:
            elements = (Dialog(id=f"idle-{aor.extension}", state=DialogState.TERMINATED),)
        return _full(entity, elements)

    def _idle(self, aor: Aor) -> Iterator[WatchedDialog]:
        last = self._last.get(aor)
        if last:
            yield last


def _full(entity: str, dialogs: tuple[Dialog, ...]) -> DialogInfo:
    return DialogInfo(entity=entity, version=0, state=DocumentState.FULL, dialogs=dialogs)


def _local(entity: str, *rendering: Param) -> Participant:
    return Participant(identity=Identity(entity), target=Target(entity, rendering))


def _element(dialog: WatchedDialog, aor: Aor, entity: str, domain: str, pickup_code: str) -> Dialog:
    """The <dialog> element; a ringing one's remote target is the pickup code, for keys that call it."""
    remote, name = f"sip:{dialog.remote}@{domain}" if dialog.remote else "", dialog.remote_name
    if dialog.withheld:
        remote, name = privacy.URI, privacy.NAME
    code = pickup_code.replace("#", "%23")  # RFC 3261, section 25.1: not allowed in a URI's user
    target = f"sip:{code}{aor.extension}@{domain}" if dialog.rings else remote
    identity = Identity(remote, name or None) if remote else None
    rendering = (Param(RENDERING, "no"),) if dialog.held else ()
    by, by_name = dialog.referred_by
    old = dialog.replaces
    element = Dialog(
        id=dialog.element_id,
        call_id=dialog.id.call_id or None,
        local_tag=dialog.id.remote_tag or None,
        remote_tag=dialog.id.local_tag or None,
        direction=dialog.direction,
        state=dialog.state,
        replaces=Replaces(old.call_id, old.remote_tag, old.local_tag) if old else None,
        referred_by=Identity(f"sip:{by}@{domain}", by_name or None) if by else None,
        local=_local(entity, *rendering),
        remote=Participant(identity, Target(target)) if target else None,
    )
    return element if pickup_code else _without_handles(element)


def _told_as(leg: WatchedDialog) -> frozenset[str]:
    """The ids that watchers know a leg's dialog by. Ours have our tag, so nobody else has chosen them."""
    return frozenset((leg.element_id, _hidden(leg.element_id)))


def _hidden(element_id: str) -> str:
    """An id in the place of one that a watcher could do something with; what is hidden stays as it is."""
    if element_id.startswith(HIDDEN):
        return element_id
    return f"{HIDDEN}{hashlib.blake2s(element_id.encode(), digest_size=8).hexdigest()}"


def _without_handles(element: Dialog) -> Dialog:
    """The element without what a watcher needs to replace or join the dialog (RFC 4235, section 3.8)."""
    hidden = _hidden(element.id)
    remote = element.remote._replace(target=None) if element.remote else None
    element = element._replace(id=hidden, call_id=None, local_tag=None, remote_tag=None, remote=remote)
    return element._replace(replaces=None)
