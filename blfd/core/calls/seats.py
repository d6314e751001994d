"""Who is at the ends of a call, by which legs, and what lamps show of it."""

from __future__ import annotations

from blfd.core.calls.refer_subscription import ReferSubscription
from blfd.core.calls.ringing import Branch
from blfd.core.errors import SIPS_REQUIRED, Refusal, no_tls
from blfd.core.events.dialog_state import Dialogs, WatchedDialog
from blfd.core.messages import Request
from blfd.core.party import Party, Picker, Seat
from blfd.core.quoting import name_addr
from blfd.core.values import Aor, DialogId, Headers
from dialog_info import DialogState, Direction

NO_DIALOG = DialogId("", "", "")
ASSERTED = "P-Asserted-Identity"


class Seats:
    """The caller and the callee of one call, and the phones that ring: `branches`, by leg.

    `domain` is what the caller calls this server. `dialog` is the caller's, without our tag until its leg is
    made. `number` is that of the caller's first leg, and stays; `trusted` are the legs of sources that are
    taken at their word, `outside` those of somebody outside, and `plain` those of which nothing is encrypted:
    a call that is `secure` was asked for by sips:, and takes no such leg (RFC 5630). While a transfer stands
    in for the caller, `caller_leg` is below 0, and none that there is. `referred_by` has transferred the call
    last.
    """

    def __init__(
        self,
        leg: int,
        caller: Party,
        callee: Party,
        dialogs: Dialogs,
        *,
        dialog: DialogId,
        domain: str,
        referred_by: Party | None,
    ) -> None:
        self.number, self.caller_leg, self.caller, self.callee = leg, leg, caller, callee
        self.dialog, self.domain, self.referred_by = dialog, domain, referred_by
        self.trusted: set[int] = set()
        self.plain: set[int] = set()
        self.outside: set[int] = set()
        self.secure = False
        self.told_secure: set[int] = set()  # legs
        self.referrals: dict[int, ReferSubscription | None] = {}  # by the leg that has sent REFER
        self.branches: dict[int, Branch] = {}
        self.answered_leg = 0
        self._dialogs = dialogs

    def __str__(self) -> str:
        return f"call {self.caller} -> {self.callee}"

    @property
    def withheld(self) -> bool:
        """Whether who looks at the lamp of either side may not see with whom it talks.

        That is so for the one who does not want to be known, too: its lamp would say whom it calls.
        """
        return self.caller.withheld or self.callee.withheld

    @property
    def is_stood_in(self) -> bool:
        """Whether the caller is there in name alone, as it talks elsewhere until the call is answered."""
        return self.caller_leg < 0

    def legs(self) -> list[int]:
        return [self.caller_leg, *self.branches]

    def lamps(self) -> tuple[Aor, ...]:
        """The lamps of the trunks by which it goes, once for each who is outside."""
        if not self.outside and not self.caller.is_outside:
            return ()
        parties = (self.caller, *(branch.party for branch in self.branches.values()))
        return tuple(party.aor for party in parties if party.is_outside)

    def seated(self, role: Direction) -> Party:
        """Who calls (INITIATOR), or is called (RECIPIENT), by now."""
        return self.caller if role is Direction.INITIATOR else self.callee

    def other(self, leg: int) -> int:
        """The leg at the other end of one of a call that is up."""
        return self.answered_leg if leg == self.caller_leg else self.caller_leg

    def apart(self, leg: int, request: Request) -> Refusal | None:
        """Why who asks so may not take the place of `leg`: by sips: all of it is on TLS (RFC 5630)."""
        if self.secure and not request.flow.is_secure:
            return Refusal(480, "The call is by sips:, and is picked up over TLS only", SIPS_REQUIRED)
        if request.target.scheme == "sips" and self.other(leg) in self.plain:
            return no_tls("Who is at the other end")
        return None

    def who(self, leg: int) -> Aor | None:
        """Whose phone is on a leg, however far the call is; None where there is none."""
        if leg == self.caller_leg:
            return self.caller.aor
        if leg == self.answered_leg:
            return self.callee.aor
        branch = self.branches.get(leg)
        return branch.party.aor if branch else None

    def seat(self, leg: int) -> Seat:
        """Who is on a leg of a call that is up."""
        ways = leg in self.trusted, leg in self.plain
        if leg == self.caller_leg:
            return Seat(leg, self.caller, self.dialog, "", *ways)
        branch = self.branches[leg]
        return Seat(leg, self.callee, branch.dialog or NO_DIALOG, branch.contact, *ways)

    def goes_by(self, leg: int, *, trusted: bool, plain: bool, outside: bool) -> None:
        """What the way of a leg's messages is, and whether that leads outside."""
        for legs, is_one in ((self.trusted, trusted), (self.plain, plain), (self.outside, outside)):
            (legs.add if is_one else legs.discard)(leg)

    def goes_as(self, leg: int, seat: Seat, *, outside: bool) -> None:
        """The way of a leg's messages is that of `seat`."""
        self.goes_by(leg, trusted=seat.is_trusted, plain=seat.is_plain, outside=outside)

    def _identity(self, party: Party) -> Headers:
        """Who the other one is now (RFC 3325)."""
        return ((ASSERTED, name_addr(party.name_addr(self.domain))),)

    def _facing(self, leg: int) -> Party:
        """Who the phone on `leg` talks with."""
        return self.callee if leg == self.caller_leg else self.caller

    def _holds(self, leg: int) -> bool:
        dialog = self._dialogs.get(self.seat(leg).party.aor, leg)
        return dialog is not None and dialog.held

    # Lamps

    def _watch_caller(self, tag: str, now: float) -> None:
        self.dialog = self.dialog._replace(local_tag=tag)
        self._dialogs.put(
            self.caller.aor,
            WatchedDialog(
                self.dialog,
                Direction.INITIATOR,
                DialogState.TRYING,
                now,
                self.callee.user,
                self.callee.name,
                leg=self.caller_leg,
                call=self.number,
                withheld=self.withheld,
            ),
        )

    def _show_callee(self) -> None:
        """The caller's dialog is with who is called now."""
        dialog, party = self._dialogs.get(self.caller.aor, self.caller_leg), self.callee
        if dialog:
            dialog = dialog._replace(remote=party.user, remote_name=party.name)
            self._dialogs.put(self.caller.aor, dialog)

    def _watch_callee(
        self,
        branch: Branch,
        id_: DialogId,
        state: DialogState,
        now: float,
        *,
        early_media: bool = False,
    ) -> None:
        dialog = WatchedDialog(
            id_,
            Direction.RECIPIENT,
            state,
            now,
            self.caller.user,
            self.caller.name,
            early_media=early_media,
            leg=branch.leg,
            call=self.number,
            withheld=self.withheld,
            referred_by=self.referred_by.shown if self.referred_by else ("", ""),
        )
        aor = branch.party.aor
        known = self._dialogs.get(aor, branch.leg)
        if known and known.state is state:
            dialog = dialog._replace(since=known.since, early_media=early_media or known.early_media)
        self.branches[branch.leg] = branch._replace(dialog=id_)
        self._dialogs.put(aor, dialog)

    def _connect(self, party: Party, leg: int, other: Party, now: float) -> None:
        """The dialog of `party` is up, with `other`."""
        dialog = self._dialogs.get(party.aor, leg)
        if dialog:
            since = dialog.since if dialog.state is DialogState.CONFIRMED else now
            up = dialog._replace(state=DialogState.CONFIRMED, since=since, call=self.number)
            named = up._replace(remote=other.user, remote_name=other.name, withheld=self.withheld)
            self._dialogs.put(party.aor, named)

    def _seat_callee(self, picker: Picker, now: float) -> None:
        self.callee, self.answered_leg = picker.party, picker.leg
        branch = Branch(picker.leg, picker.contact, picker.party, dialog=picker.dialog)
        self.branches = {picker.leg: branch}
        self._seat(picker, self.caller, now, picked=True)

    def _seat_caller(self, picker: Picker, now: float) -> None:
        self.caller, self.caller_leg, self.dialog = picker.party, picker.leg, picker.dialog
        self._seat(picker, self.callee, now, picked=False)

    def _seat(self, picker: Picker, other: Party, now: float, *, picked: bool) -> None:
        self._dialogs.put(
            picker.party.aor,
            WatchedDialog(
                picker.dialog,
                Direction.INITIATOR,
                DialogState.CONFIRMED,
                now,
                other.user,
                other.name,
                held=picker.held,
                leg=picker.leg,
                call=self.number,
                picked=picked,
                withheld=self.withheld,
                replaces=picker.replaces,
            ),
        )
