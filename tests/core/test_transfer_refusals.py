"""Transfers that are refused or given up, and what they leave behind."""

from __future__ import annotations

from builders import register, request, uri
from office import hung_up
from transferring import TRANSFEREE, Transfers

from blfd.core.calls.leg_effects import Dial, FindMedia, HangUp, NotifyLeg
from blfd.core.calls.leg_inputs import LegAcknowledged, LegEnded, MediaFound, OfferAnswered
from blfd.core.effects import Reply
from blfd.core.inputs import Drain
from blfd.core.messages import ReferReceived, ReferTo
from blfd.core.values import Uri


def test_who_is_no_target() -> None:
    office = Transfers()
    office.give(register("104", expires=0, cseq=2))
    assert office.refusal("104") == (480, "104 is not registered")
    assert office.refusal("199") == (404, "199 does not exist")
    assert office.refusal("*97103") == (403, "A call cannot be transferred to *97103")
    assert office.refusal("*98")[0] == 403
    assert office.refusal(uri("103", "elsewhere.example"))[0] == 404
    assert office.refusal(uri("101", "acme.example"))[0] == 404, "another tenant's"
    bye = uri("103")._replace(parameters=(("method", "BYE"),))
    assert office.refusal(bye) == (400, "A call is transferred, and no BYE")
    assert office.refusal(Uri("mailto:x@y", "mailto", "", "", 0))[0] == 416
    assert office.told == []
    assert office.lamps("101", "102") == ["talking", "talking"]
    tel = Uri("tel:1-03;phone-context=x", "tel", "", "", 0)
    office.called(office.refer(tel))


def test_when_no_call_can_be_transferred() -> None:
    office = Transfers()
    assert office.refusal(leg=-1) == (481, "Call does not exist")
    refer = ReferReceived(request("REFER", "102", "103"), 0, ReferTo(uri("103")))
    (reply,) = [e for e in office.give(refer) if isinstance(e, Reply)]
    assert (reply.status, reply.reason) == (403, "Transfer a call from within it")
    caller = office.call("104", "105")
    assert office.refusal(leg=caller)[0] == 403, "it rings"
    office.blind()
    for leg in (office.transferor, office.transferee):
        assert office.refusal("104", leg) == (491, "This call is just being transferred")


def test_a_transfer_right_after_the_answer_waits_for_the_ack() -> None:
    office = Transfers()
    caller = office.call("104", "105")
    (leg,) = office.phones[caller]
    office.answers_at(leg)
    accepted = office.refer("103", leg)
    assert [e.status for e in accepted if isinstance(e, Reply | NotifyLeg)] == [202, 100]
    assert not any(isinstance(e, Dial) for e in accepted)
    office.give(LegAcknowledged(caller, None))
    looked = office.world.at(office.world.now + 0.3)
    assert looked == [FindMedia(caller)]
    office.called(office.give(MediaFound(caller, TRANSFEREE)))


def test_an_ack_that_never_comes_ends_it() -> None:
    office = Transfers()
    caller = office.call("104", "105")
    (leg,) = office.phones[caller]
    office.answers_at(leg)
    office.refer("103", leg)
    told = [e for _ in range(50) for e in office.world.at(office.world.now + 0.3)]
    assert [(e.leg, e.status) for e in told if isinstance(e, NotifyLeg)] == [(leg, 491)]


def test_five_transfers_and_no_more() -> None:
    office = Transfers()
    transferor, transferee = office.callee, office.caller
    for number in range(5):
        target = office.called(office.refer(("103", "104")[number % 2], transferor))
        effects = office.answers_at(target)
        office.confirm(effects)
        office.give(OfferAnswered(transferee, 200, TRANSFEREE))
        transferor = target
    assert office.refusal("103", transferor)[0] == 483


def test_a_stop_ends_all_of_it() -> None:
    for hangs_up, answers in ((False, False), (True, False), (False, True)):
        office = Transfers()
        leg = office.blind()
        if hangs_up:
            office.give(LegEnded(office.transferor, 200, ""))
        if answers:
            office.answers_at(leg)
        ended = hung_up(office.give(Drain(tell=False)))
        assert ended.keys() == {office.transferee, leg, *([] if hangs_up else [office.transferor])}
        assert all(leg > 0 for leg in ended), "none of a stand-in"
        assert office.lamps("101", "102", "103") == ["idle"] * 3


def test_a_leg_that_is_given_up_leaves_no_lamp() -> None:
    """The watchdog gives up the leg of who waits, or that of who is told."""
    for hangs_up in (True, False):
        office = Transfers()
        target = office.blind()
        if hangs_up:
            office.give(LegEnded(office.transferor, 200, ""))
        else:
            office.answers_at(target)
        leg = office.transferee if hangs_up else office.transferor
        core = office.world.core
        ended = hung_up(core.transfers.settle([HangUp(leg, 500, "given up")], office.world.now))
        assert ended.keys() == ({leg, target} if hangs_up else {leg})
        assert office.lamps("101" if hangs_up else "102") == ["idle"]
        assert core.transfers.legs() == set()
