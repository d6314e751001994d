"""Every way to transfer, by either side, in each situation, to each end: lamps, and what is told."""

from __future__ import annotations

import pytest
from builders import SDP, uri
from transferring import HELD, TARGET, TRANSFEREE, Consulting, Transfers

from blfd.core.calls.leg_effects import Answer, HangUp, NotifyLeg
from blfd.core.calls.leg_inputs import LegAcknowledged, LegEnded, OfferAnswered, OfferReceived
from blfd.core.effects import Effect
from blfd.core.values import Redirect

ALL = ("101", "102", "103", "104")  # the call, the target, and who else may get it
WAYS = ("blind", "while it rings")
BY = ("the caller", "the callee")
SITUATIONS = ("", "held by the transferor", "held by the transferee")
MEANWHILE = ("", "the transferor hangs up")
OUTCOMES = (
    *("answered", "busy", "declined", "no answer", "dead", "the transferee hangs up"),
    *("picked up by code", "picked up for the group", "forwarded and answered", "forwarded and busy"),
)
WON_BY = {
    "answered": "103",
    "picked up by code": "104",
    "picked up for the group": "104",
    "forwarded and answered": "104",
}


def begun(way: str, by: str, situation: str) -> Transfers:
    """Begin a call of 101 and 102, or one that is held, and for an attended transfer a consultation."""
    by_caller, held = by == "the caller", situation == "held by the transferor"
    if way == "blind":
        office = Transfers(by_caller=by_caller)
        if held:
            hold(office, office.transferor, office.transferee)
    else:
        office = Consulting(by_caller=by_caller, rings=True, held=held)
    if situation == "held by the transferee":
        hold(office, office.transferee, office.transferor)
    return office


def hold(office: Transfers, who: int, whom: int) -> None:
    office.give(OfferReceived(who, HELD))
    office.give(OfferAnswered(whom, 200, SDP))


def ends(office: Transfers, leg: int, outcome: str) -> tuple[list[Effect], int]:
    """Do what `outcome` says for the target; return the effects, and the leg that has the call then."""
    match outcome:
        case "answered":
            return office.answers_at(leg), leg
        case "busy":
            return office.give(LegEnded(leg, 486, "Busy Here")), 0
        case "declined":
            return office.give(LegEnded(leg, 603, "Decline")), 0
        case "no answer":
            effects = office.world.at(office.world.now + 130)
            office.told += [(e.leg, e.status) for e in effects if isinstance(e, NotifyLeg)]
            return effects, 0
        case "dead":
            return office.give(LegEnded(leg, 408, "", silent=True)), 0
        case "the transferee hangs up":
            return office.give(LegEnded(office.transferee, 200, "")), 0
        case "picked up by code" | "picked up for the group":
            picker, effects = office.pick_up("104", "*97103" if outcome.endswith("code") else "*98")
            answers = [e for e in effects if isinstance(e, Answer)]
            return [
                *effects,
                *(m for a in answers for m in office.give(LegAcknowledged(a.leg, None))),
            ], picker
        case _:
            redirected = office.give(LegEnded(leg, 302, "", redirect=Redirect((uri("104"),))))
            further = office.called(redirected)
            office.confirm(redirected)
            office.rings_at(further)
            assert office.lamps("103", "104") == ["idle", "ringing"]
            if outcome == "forwarded and answered":
                return office.answers_at(further), further
            return office.give(LegEnded(further, 486, "Busy Here")), 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_transfer_has_one_end_and_true_lamps(
    way: str, by: str, situation: str, meanwhile: str, outcome: str
) -> None:
    office = begun(way, by, situation)
    names = office.names() if way == "blind" else ("102", "101")
    transferor, transferee = names
    if way == "blind":
        before = office.lamps(transferee, transferor)
        leg = office.called(office.refer())
        office.rings_at(leg)
    else:
        assert isinstance(office, Consulting)
        before = office.lamps(transferee, transferor)
        leg = office.target
        office.refer("x", replaces=office.consulted())
    assert office.lamps("103", "104") == ["ringing", "idle"]
    assert office.lamps(transferee, transferor)[0] == before[0]
    assert office.dialog("103").remote == transferee
    assert office.dialog("103").referred_by[0] == transferor
    if meanwhile:
        office.give(LegEnded(office.transferor, 200, ""))
        assert office.lamps(transferor, "103") == ["idle", "ringing"], "the target rings on"
    told = len(office.statuses())

    effects, winner = ends(office, leg, outcome)
    won_by = WON_BY.get(outcome, "")
    if winner:
        office.give(OfferAnswered(office.transferee, 200, TRANSFEREE))
        office.give(OfferAnswered(winner, 200, TARGET))
    office.confirm(effects)
    office.world.at(office.world.now + 3)
    statuses = [status for status in office.statuses()[told:] if status >= 200]
    assert len(statuses) <= (0 if meanwhile else 1), "one end is told, to who is there"
    shown = dict(zip(ALL, office.lamps(*ALL), strict=True))
    if won_by:
        assert statuses == ([] if meanwhile else [200])
        talking = {who for who, lamp in shown.items() if lamp == "talking"}
        assert talking == {transferee, won_by}, "whoever had held"
        assert office.dialog(transferee).remote == won_by
        assert office.dialog(won_by).remote == transferee
        ended = office.give(LegEnded(winner, 200, ""))
        assert [e.leg for e in ended if isinstance(e, HangUp)] == [office.transferee]
    elif outcome == "the transferee hangs up" or meanwhile:
        assert set(shown.values()) == {"idle"}
    else:
        assert statuses
        assert statuses[0] >= 400
        expected = {
            "": ("talking", "talking"),
            "held by the transferor": ("talking", "held"),
            "held by the transferee": ("held", "talking"),
        }[situation]
        assert (shown[transferee], shown[transferor], shown["103"], shown["104"]) == (
            *expected,
            "idle",
            "idle",
        )
        assert office.dialog(transferee).remote == transferor
        office.give(LegEnded(office.transferee, 200, ""))
    office.world.at(office.world.now + 40)
    assert office.lamps(*ALL) == ["idle"] * 4
    assert len(office.world.core.calls) == 0
    assert office.world.core.transfers.legs() == set()
