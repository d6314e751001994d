"""Which call is meant by a pickup code or a Replaces, and whether the picker may have it."""

from __future__ import annotations

from collections.abc import Iterable

from blfd.core.advice import command
from blfd.core.calls.across import Across, carried_elsewhere
from blfd.core.calls.attempts import Way
from blfd.core.calls.call import Call
from blfd.core.calls.calls import Calls
from blfd.core.calls.outcome import outcome, told
from blfd.core.directory import Directory, Reach
from blfd.core.errors import Refusal
from blfd.core.events.dialog_state import Dialogs, WatchedDialog
from blfd.core.messages import Request
from blfd.core.party import State
from blfd.core.permissions import Permissions
from blfd.core.routing import ToPickup
from blfd.core.values import Aor, DialogId, Replaces
from blfd.core.visible import visible
from dialog_info import DialogState, Direction

Found = tuple[Aor, WatchedDialog, Call | None]
"""Whose call it is, the dialog to replace, and its call; None where another server carries it."""


def _apart(found: Found, request: Request) -> Refusal | None:
    """Why a call may not be had by who asks so."""
    _, dialog, call = found
    return call.apart(dialog.leg, request) if call else None


class Search:
    """Finds calls that can be picked up, here and where other servers carry them (`across`)."""

    def __init__(self, dialogs: Dialogs, calls: Calls, across: Across) -> None:
        self._dialogs, self._calls, self._across = dialogs, calls, across
        self._permissions = Permissions(Directory())

    def permissions_changed(self, permissions: Permissions) -> None:
        self._permissions = permissions

    def find(self, wish: ToPickup, picker: Aor, request: Request, now: float) -> Found:
        """Whose call it is and the dialog to replace; Refusal where there is none to have."""
        if wish.replaces:
            found = self._named(wish.replaces, picker, now)
            if apart := _apart(found, request):
                raise apart
            return found
        if wish.way is Way.GROUP:
            return self._in_groups(picker, request, now)
        if not wish.extension:
            detail = "the code came alone: dial it with the extension behind it, as in *97102"
            raise Refusal(484, "Dial the code and the extension", log=detail)
        target = wish.target
        if target is None:
            dialled = visible(wish.extension)
            detail = f"no extension {dialled} here: check the number behind the code"
            raise Refusal(404, f"{dialled} does not exist", log=detail)
        if not self._permissions.may(picker, target):
            raise self._forbidden(picker, target)
        return self.longest([target], picker, request) or self._nothing(
            [target], target.extension, picker, request, now
        )

    def _in_groups(self, picker: Aor, request: Request, now: float) -> Found:
        if self._permissions.reach(picker) is Reach.OFF:
            raise _picks_up_none(picker)
        targets = self._permissions.in_groups(picker)
        if not targets:
            joins = command(picker.tenant, "group", "set", "NAME", "--add", picker.extension)
            reason = f"{picker.extension} is in no pickup group with others"
            raise Refusal(403, reason, log=f"{joins} puts it into one")
        return self.longest(targets, picker, request) or self._nothing(
            targets, "your groups", picker, request, now
        )

    def _named(self, replaces: Replaces, picker: Aor, now: float) -> Found:
        """The dialog that a Replaces names (RFC 3891, section 3)."""
        matching = self._matching(replaces, picker.tenant)
        if len(matching) != 1:
            detail = "Replaces names no dialog that is known here: what the phone was told is out of date"
            raise Refusal(481, "No such call", log=detail)
        aor, dialog, is_fork = matching[0]
        if not self._permissions.may(picker, aor):
            raise self._forbidden(picker, aor)
        if dialog.publisher:
            return self._named_across(aor, dialog, replaces, picker, now)
        call = self._calls.numbered(dialog.call)
        if call and call.state is State.RINGING and dialog.direction is Direction.RECIPIENT:
            if call.caller.aor == picker:
                raise Refusal(603, _own([aor]))
            # This phone may ring no longer: another one of the callee does, or one where it has gone on.
            ringing = [party.aor for party in call.rings_at()]
            if aor not in ringing and not any(self._permissions.may(picker, at) for at in ringing):
                raise Refusal(603, outcome(aor, dialog, call, picker))
            return aor, dialog, call
        if call is None or dialog.state is DialogState.TERMINATED:
            raise Refusal(603, outcome(aor, dialog, call, picker))
        if is_fork:  # it rang, and another one has answered
            raise Refusal(486 if replaces.early_only else 603, outcome(aor, dialog, call, picker))
        if dialog.state is not DialogState.CONFIRMED:
            raise Refusal(481, f"{aor.extension} is calling, not being called")
        if replaces.early_only:
            raise Refusal(486, outcome(aor, dialog, call, picker))
        if call.state is not State.TALKING:
            raise Refusal(491, being_set_up(aor))
        stays = call.callee if dialog.leg == call.caller_leg else call.caller
        if stays.aor == picker != aor:
            raise Refusal(603, f"You talk with {aor.extension} already")
        return aor, dialog, call

    def _named_across(
        self, aor: Aor, dialog: WatchedDialog, replaces: Replaces, picker: Aor, now: float
    ) -> Found:
        """The dialog that a Replaces names where another server carries the call, which is to be had while it
        rings."""
        if dialog.rings:
            if self._is_own(dialog, None, picker):
                raise Refusal(603, _own([aor]))
            return self._to_be_had(aor, dialog) or self._not_to_be_had(aor, dialog, picker)
        if dialog.state is DialogState.TERMINATED:
            raise Refusal(603, self._across.had(aor, picker, now) or outcome(aor, dialog, None, picker))
        if dialog.state is DialogState.CONFIRMED and replaces.early_only:
            raise Refusal(486, outcome(aor, dialog, None, picker))
        raise carried_elsewhere(aor, dialog)

    def _matching(self, replaces: Replaces, tenant: str) -> list[tuple[Aor, WatchedDialog, bool]]:
        """The dialogs that a Replaces fits, its tags in whatever order: phones differ in whose is which; and
        whether it fits as one that forked from the same call, which the lamp has shown before.

        Of a call that comes back to us both ends are dialogs of ours, whose tags differ in their order alone.
        """
        found = self._dialogs.find(tenant, replaces.call_id)
        one, other = replaces.to_tag, replaces.from_tag
        ids = [DialogId(replaces.call_id, *tags) for tags in ((one, other), (other, one))]
        for id_ in ids:
            matching = [(aor, dialog, False) for aor, dialog in found if dialog.id == id_]
            if matching:
                return matching
        for id_ in ids:
            forks = [
                (aor, dialog, True) for aor, dialog in found if self._dialogs.was_told_as(aor, dialog, id_)
            ]
            if forks:
                return forks
        return []

    def longest(self, targets: Iterable[Aor], picker: Aor, request: Request | None = None) -> Found | None:
        """What has rung longest at `targets`, the picker's own calls aside, and what is not to be had, or not
        by who asks so."""
        found = self._ringing(targets, picker)
        return next((one for one in found if request is None or not _apart(one, request)), None)

    def _ringing(self, targets: Iterable[Aor], picker: Aor) -> list[Found]:
        """All that rings at `targets` and is not the picker's own, what has rung longest first."""
        ringing = [
            (dialog.since, dialog.leg, found)
            for aor in targets
            for dialog in self._dialogs.of(aor)
            if dialog.rings and not self._is_own(dialog, self._calls.numbered(dialog.call), picker)
            for found in [self._to_be_had(aor, dialog)]
            if found
        ]
        return [one for *_, one in sorted(ringing, key=lambda one: one[:2])]

    @staticmethod
    def _is_own(dialog: WatchedDialog, call: Call | None, picker: Aor) -> bool:
        """Whether the picker calls there itself."""
        return call.caller.aor == picker if call else dialog.remote == picker.extension

    def _to_be_had(self, aor: Aor, dialog: WatchedDialog) -> Found | None:
        """A dialog that rings, and its call, if somebody can get it now.

        Where a call of ours goes on to a server that publishes it, it is ours that is picked up.
        """
        if not dialog.publisher:
            call = self._calls.numbered(dialog.call)
            return (aor, dialog, call) if call else None
        if dialog.id.call_id:
            for _, here in self._dialogs.find(aor.tenant, dialog.id.call_id):
                call = self._calls.numbered(here.call)
                if here.rings and call:
                    return aor, here, call
        if self._across.asking(aor, dialog) or not self._across.way(aor, dialog):
            return None
        return aor, dialog, None

    def _not_to_be_had(self, aor: Aor, dialog: WatchedDialog, picker: Aor) -> Found:
        """Refuse, as somebody is quicker or there is no way."""
        asking = self._across.asking(aor, dialog)
        if asking is None:
            raise carried_elsewhere(aor, dialog)
        who = "You are" if asking == picker else f"{asking.extension} is"
        raise Refusal(480, f"{who} picking it up already")

    def _nothing(self, targets: list[Aor], where: str, picker: Aor, request: Request, now: float) -> Found:
        """Refuse, as there is nothing to have: was there, just now?"""
        for found in self._ringing(targets, picker):
            if apart := _apart(found, request):
                raise apart
        ringing = [(aor, dialog) for aor in targets for dialog in self._dialogs.of(aor) if dialog.rings]
        others = [
            (aor, dialog)
            for aor, dialog in ringing
            if not self._is_own(dialog, self._calls.numbered(dialog.call), picker)
        ]
        if others:
            return self._not_to_be_had(*others[0], picker)
        if ringing:
            raise Refusal(480, _own(list(dict.fromkeys(aor for aor, _ in ringing))))
        had = next((text for aor in targets if (text := self._across.had(aor, picker, now))), "")
        if had:
            raise Refusal(480, had)
        lately = [
            (dialog.since, aor, dialog, alive)
            for aor in targets
            for dialog in (self._dialogs.last(aor), *self._dialogs.of(aor))
            if dialog
            for alive in [self._calls.numbered(dialog.call)]
            if told(dialog, alive, now)
        ]
        if not lately:
            detail = "the call was answered or given up some time ago, or there was none"
            raise Refusal(480, f"Nothing rings at {where}", log=detail)
        _, aor, dialog, alive = max(lately, key=lambda one: one[0])
        raise Refusal(480, outcome(aor, dialog, alive, picker))

    def _forbidden(self, picker: Aor, target: Aor) -> Refusal:
        if not self._permissions.pickable(target):
            lets = command(target.tenant, "extension", "set", target.extension, "--pickable", "on")
            reason = f"Calls of {target.extension} may not be picked up"
            return Refusal(403, reason, log=f"{lets} lets others")
        if self._permissions.reach(picker) is Reach.OFF:
            return _picks_up_none(picker)
        both = f"{picker.extension},{target.extension}"
        joins = command(picker.tenant, "group", "set", "NAME", "--add", both)
        lets = command(picker.tenant, "extension", "set", picker.extension, "--pickup", "on")
        reason = f"{target.extension} is in none of your pickup groups"
        return Refusal(403, reason, log=f"{joins} puts both into one; {lets} lets it pick up all calls")


def _picks_up_none(picker: Aor) -> Refusal:
    lets = command(picker.tenant, "extension", "set", picker.extension, "--pickup", "on")
    return Refusal(403, f"{picker.extension} may not pick up calls", log=f"{lets} lets it")


def _own(targets: list[Aor]) -> str:
    where = " and ".join(aor.extension for aor in targets)
    return f"It is your own call that rings at {where}"


def being_set_up(aor: Aor) -> str:
    return f"The call of {aor.extension} is just being set up"
