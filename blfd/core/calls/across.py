"""Pickup of calls that another server carries and tells of.

The picker is given a call to that server, by the trunk that leads there: INVITE with Replaces where the ids
of the ringing dialog are told, else its own code (`way`). It is a call as any that goes out, and two things
are looked at here. A server may answer before it has looked for the call: its answer is held until the lamp
shows that the call rings no more, and the picker is refused if it rings on. And what the picker is told of a
refusal is what the lamp says by then. Whoever comes second is refused at once: one asks for a call at a time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from blfd.core.advice import command
from blfd.core.calls.calls import Calls
from blfd.core.calls.leg_effects import Accept, Answer, HangUp
from blfd.core.calls.leg_inputs import LegAnswered, LegEnded, LegInput
from blfd.core.calls.outcome import JUST_NOW, has, outcome
from blfd.core.calls.replaces import parse
from blfd.core.calls.reporting import report, warning
from blfd.core.directory import Directory, Extension
from blfd.core.effects import Effect
from blfd.core.errors import Refusal
from blfd.core.events.dialog_state import Dialogs, WatchedDialog
from blfd.core.messages import InviteReceived
from blfd.core.party import Party
from blfd.core.routing import ToPickup
from blfd.core.timers import Timers
from blfd.core.trunk import EXTENSION, OutRoute, Replacing, Trunk
from blfd.core.trunks.outgoing import Outside, Taking
from blfd.core.values import Aor, Headers, Replaces
from blfd.core.visible import visible
from dialog_info import DialogState

PATIENCE = 10.0
"""Seconds that the other server has to answer a pickup, which no person has to do there."""
PROOF = 4.0
"""Seconds that an answer is held while the lamp rings on: a PUBLISH that was lost is sent again after 0.5,
1.5 and 3.5 s (RFC 3261, timer E)."""

TOLD = frozenset((403, 480, 486, 488, 603))
"""Statuses of the other server that are the picker's; others are about the way there."""

_TARGET = re.compile(r"sips?:[^\s<>\"?,]{1,250}").fullmatch


def way(trunk: Trunk, aor: Aor, dialog: WatchedDialog, directory: Directory) -> Outside | None:
    """What is asked of a trunk's server for a dialog that rings at `aor`; None where there is no way."""
    target, number = "", ""
    headers: Headers = ()
    replaces = _replaces(trunk, aor, dialog)
    if replaces and trunk.replaces is Replacing.EXTENSION:
        number = aor.extension
    elif replaces and Aor(aor.tenant, dialog.remote) in directory.extensions:
        number = dialog.remote  # whose phones the server knows better than its Contact says
    elif replaces and _TARGET(dialog.target) and dialog.publisher != f"{aor}":  # who could have others call
        target, number = dialog.target, dialog.remote
    if number or target:
        headers = (("Replaces", replaces), ("Require", "replaces"))
    elif trunk.pickup_code:
        number = trunk.pickup_code.replace(EXTENSION, aor.extension)
    else:
        return None
    who = dialog.remote or aor.extension
    name = dialog.remote_name if dialog.remote_name != who else ""
    proves = bool(headers) and trunk.replaces is Replacing.CALLER
    taking = Taking(name, who, dialog.withheld, headers, target, proves)
    return Outside(number, OutRoute(aor.tenant, "", (trunk.name,)), taking)


def _replaces(trunk: Trunk, aor: Aor, dialog: WatchedDialog) -> str:
    """The value of Replaces for who gets it, "" where the server takes none or has told no ids.

    The phone that calls has the remote tag as its own, and so has a B2BUA towards the phone that rings.
    """
    id_ = dialog.id
    if trunk.replaces is Replacing.CALLER and not (id_.call_id and id_.local_tag and id_.remote_tag):
        return ""
    call_id = id_.call_id or dialog.published_id
    if trunk.replaces is Replacing.NONE or call_id == aor.extension:
        return ""
    meant = Replaces(call_id, id_.local_tag or "0", id_.remote_tag or "0", early_only=True)
    text = f"{call_id};to-tag={meant.to_tag};from-tag={meant.from_tag};early-only"
    try:
        return text if parse((text,)) == meant else ""
    except Refusal:  # the ids cannot stand in a Replaces
        return ""


@dataclass(slots=True)
class Crossing:
    """A pickup that is under way; `answer` is held, until it is `proved` that the picker has got the call."""

    wish: ToPickup
    picker: Aor
    started_at: float
    target: Aor
    dialog: WatchedDialog
    outside: Outside
    proved: bool = False
    answer: LegAnswered | None = None

    @property
    def trunk(self) -> str:
        return self.outside.route.trunks[0]

    @property
    def is_told_apart(self) -> bool:
        """Whether the lamp tells this call from others of the extension: without ids, they are one."""
        return bool(self.dialog.id.call_id) or self.dialog.published_id != self.target.extension


class Across:
    """All pickups at other servers that are under way, by the picker's leg, which is its call's number."""

    def __init__(self, dialogs: Dialogs, calls: Calls) -> None:
        self._dialogs, self._calls = dialogs, calls
        self._directory = Directory()
        self._by_leg: dict[int, Crossing] = {}
        self._had: dict[Aor, tuple[float, Aor]] = {}  # who got the last call of an extension, and when
        self.timers = Timers(self._due)

    def directory_changed(self, directory: Directory) -> None:
        self._directory = directory

    @property
    def under_way(self) -> int:
        """How many pickups are under way."""
        return len(self._by_leg)

    def way(self, aor: Aor, dialog: WatchedDialog) -> Outside | None:
        """How a call is picked up that rings at `aor`; None where the trunks say of no way."""
        trunk = self._calls.trunks.carrying(aor.tenant, dialog.publisher)
        return way(trunk, aor, dialog, self._directory) if trunk else None

    def asking(self, aor: Aor, dialog: WatchedDialog) -> Aor | None:
        """Who is about to get the call of a dialog; None for nobody."""
        for one in self._by_leg.values():
            if (one.target, one.dialog.source) == (aor, dialog.source):
                return one.picker
        return None

    def had(self, aor: Aor, picker: Aor, now: float) -> str:
        """Who has just got a call of an extension, in words; "" for nobody."""
        at, who = self._had.get(aor, (0.0, picker))
        return has("answered the call", Party(who), picker) if now - at < JUST_NOW else ""

    def start(
        self,
        wish: ToPickup,
        invite: InviteReceived,
        picker: Extension,
        aor: Aor,
        dialog: WatchedDialog,
        now: float,
    ) -> list[Effect]:
        """Ask the other server for the call of `dialog`. Raises Refusal where there is no way."""
        outside = self.way(aor, dialog)
        if outside is None:
            raise carried_elsewhere(aor, dialog)
        effects = self._calls.invite(invite, Party.of(invite.request, picker), outside, now)
        for accept in effects:
            if isinstance(accept, Accept):
                self._by_leg[accept.leg] = Crossing(wish, picker.aor, now, aor, dialog, outside)
                self.timers.set(accept.leg, now + PATIENCE)
        return effects

    # What happens on the legs

    def heard(self, event: LegInput, now: float) -> LegInput | None:
        """What the call hears of an event on one of its legs; None for nothing yet."""
        if not self._by_leg or not isinstance(event, LegAnswered | LegEnded):
            return event
        call = self._calls.of(event.leg)
        one = self._by_leg.get(call.number) if call else None
        if call is None or one is None or event.leg == call.caller_leg:
            return event
        if isinstance(event, LegEnded):
            if one.answer is None or one.answer.leg != event.leg:
                return event
            one.answer = None  # it had answered, and had nothing
            return event._replace(status=480, reason="Nothing To Pick Up", headers=())
        if one.proved or (one.outside.taking and one.outside.taking.proves):
            return event
        if one.answer is None:
            one.answer = event
            self.timers.set(call.number, now + PROOF)
        return None

    def settle(self, effects: list[Effect], now: float) -> list[Effect]:
        """Go on with answers that are held, as lamps say; tell and report what has become of any."""
        if not self._by_leg:
            return effects
        for leg, one in list(self._by_leg.items()):
            if one.answer and not self._rings(one):
                effects += self._pass(leg, one, now)
        found: list[Effect] = []
        for effect in effects:
            known = self._by_leg.get(effect.leg) if isinstance(effect, Answer | HangUp) else None
            if known and isinstance(effect, Answer):
                self._had = {aor: had for aor, had in self._had.items() if now - had[0] < JUST_NOW}
                self._had[known.target] = now, known.picker
                found += [effect, *self._over(effect.leg, 200, f"picked up at {known.trunk}", now)]
            elif known and isinstance(effect, HangUp):
                refused = self._refused(known, effect, now)
                found += [refused, *self._over(effect.leg, refused.status, refused.reason, now)]
            else:
                found.append(effect)
        for leg in [leg for leg in self._by_leg if self._calls.numbered(leg) is None]:
            found += self._over(leg, 487, "The picker has hung up", now)
        return found

    def _rings(self, one: Crossing) -> bool:
        dialog = self._dialogs.get(one.target, one.dialog.source)
        return dialog is not None and dialog.rings

    def _is_lost(self, one: Crossing) -> bool:
        """Whether the extension has answered the call itself."""
        dialog = self._dialogs.get(one.target, one.dialog.source)
        return one.is_told_apart and dialog is not None and dialog.state is DialogState.CONFIRMED

    def _pass(self, leg: int, one: Crossing, now: float) -> list[Effect]:
        """Hand on the answer that was held; end the call if there is none, or the extension has answered."""
        answer, one.answer = one.answer, None
        if answer is None or self._is_lost(one):
            return self._calls.end(leg, 480, "", now)
        one.proved = True
        return self._calls.handle(answer, now)

    def _due(self, leg: int, now: float) -> list[Effect]:
        """A pickup has had its time: the server says nothing, or has answered and the call rings on."""
        one = self._by_leg[leg]
        if one.answer is None:
            return self._calls.end(leg, 480, f"{one.trunk} does not answer the pickup", now)
        if one.is_told_apart:
            text = f"{one.trunk} has answered, and the call at {one.target.extension} rings on"
            return self._calls.end(leg, 480, text, now)
        return self._pass(leg, one, now)

    # What is told

    def _refused(self, one: Crossing, last: HangUp, now: float) -> HangUp:
        """What the picker is told: what the lamp says, or else what the server has said."""
        status, reason = last.status, last.reason
        if not self._rings(one):
            status, reason = 603 if one.wish.replaces else 480, self._gone(one, now)
        elif status < 500 and status not in TOLD:
            status, reason = 480, f"{one.trunk} does not pick it up: {status} {visible(reason)}".rstrip()
        return last._replace(status=status, reason=reason, headers=warning(reason))

    def _gone(self, one: Crossing, now: float) -> str:
        """What has become of a call that rings no more."""
        source = one.dialog.source
        found = [(aor, known) for aor, known in self._dialogs.find(one.target.tenant, one.dialog.id.call_id)]
        known = [known for aor, known in found if (aor, known.source) == (one.target, source)]
        had = self.had(one.target, one.picker, now)
        return had or outcome(one.target, known[0] if known else one.dialog, None, one.picker)

    def _over(self, leg: int, status: int, result: str, now: float) -> list[Effect]:
        one = self._by_leg.pop(leg)
        self.timers.cancel(leg)
        way, whose, caller = one.wish.way, one.target.extension, one.dialog.remote
        return report(way, one.picker, whose, status, result, one.started_at, now, caller)


def carried_elsewhere(aor: Aor, dialog: WatchedDialog) -> Refusal:
    """The refusal of a call that another server carries, where there is no way to have it."""
    detail = (
        f"{dialog.publisher} tells of the call of {aor}, which does not pass through here, and no trunk says "
        f"how it is picked up there: {command(aor.tenant, 'trunk', 'set', 'NAME', '--pickup-code')}, or "
        f"{command(aor.tenant, 'trunk', 'set', 'NAME', '--replaces')}"
    )
    return Refusal(488, f"The call of {aor.extension} is carried by another server", log=detail)
