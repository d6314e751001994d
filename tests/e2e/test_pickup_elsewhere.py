"""Failures of pickup that users of other servers have reported, and that blfd does not have.

Each test names the reports. Other modules test for these: two pickers are both answered, or a pickup is a
deadlock (freeswitch, asterisk#891, asterisk#2036): test_pickup_races; there is no caller id after a pickup
(chan-sccp#20): test_pickup; the caller's display is wrong (usecallmanagernz#12): test_pickup_media; `early`
comes after `terminated` (kamailio#3192), or tags are the other way round (sipXecs): test_pickup; Replaces
works without the right (asterisk): test_pickup_refusals; a code is empty, or of digits (mikopbx#304):
test_cli_pickup.
"""

from __future__ import annotations

from calls import Calling, connect, sdp
from pickups import ELSEWHERE, Office, Ringing, element, hang_up, replaces


def test_every_document_of_a_ringing_call_has_the_ids(office: Office) -> None:
    """Asterisk's documents have no ids (asterisk#803), FreeSWITCH's only at first; Polycom needs them."""
    office.watcher.subscribe("102")
    ringing = office.ring()
    known = element(office.watcher.notify("early"), "early")
    _, again = office.other.subscribe("102")
    same = element(again, "early")
    for dialog in (known, same):
        assert dialog.call_id == ringing.invite["call-id"]
        assert dialog.remote_tag == ringing.invite.tag("from")
        assert dialog.local_tag
        assert dialog.direction
        assert dialog.remote
        assert dialog.remote.identity
        assert dialog.remote.target
    ringing.rings_on()


def test_a_fetch_is_enough_to_pick_up(office: Office) -> None:
    """RFC 5359, section 2.16, begins with SUBSCRIBE and Expires: 0, which Asterisk answers by 400."""
    ringing = office.ring()
    _, notify = office.picker.subscribe("102", expires=0)
    assert notify["subscription-state"].startswith("terminated")
    key = replaces(element(notify, "early"), ";early-only")
    hang_up(*ringing.picked_up(office.pick("101", Replaces=key, Require="replaces")))


def test_what_an_extension_calls_itself_is_not_picked_up(office: Office) -> None:
    """An early call that 102 made was taken for one that rings there (fusionpbx#1091, PR#1209)."""
    office.watcher.subscribe("102")
    ringing = Ringing.begin(office.phone, office.caller)
    calling = office.watcher.notify("trying").document.dialogs[0]
    assert office.pick("*97102").refused().status == 480
    key = f"{calling.call_id};to-tag={calling.remote_tag};from-tag={calling.local_tag}"
    assert office.pick("102", Replaces=key).refused().status == 481
    ringing.rings_on()


def test_a_picker_is_not_answered_before_it_has_the_call(office: Office) -> None:
    """A picker got a 200, and then a hang-up (fusionpbx#2265, and Asterisk's failure tone)."""
    answered = Calling.start(office.caller, "105", sdp(4000))
    office.watcher.reply(office.watcher.wait_request("INVITE"), 486)
    assert answered.refused().status == 486
    asked = office.pick("*97105")
    assert asked.refused().status == 480
    call_id = asked.headers["Call-ID"]
    told = {m.status for m in office.picker.received if m.status and m["call-id"] == call_id}
    assert told <= {100}


def test_a_call_that_is_up_is_not_taken_by_a_code(office: Office) -> None:
    """FreeSWITCH's intercept takes a call that is answered, unless it is told not to."""
    dialog, other = connect(office.caller, office.phone)
    assert office.pick("*97102").refused().start == "SIP/2.0 480 102 has answered already"
    assert office.pick("*98").refused().status == 480
    hang_up(dialog, other)


def test_who_is_in_no_group_is_not_in_one_with_all_others(office: Office) -> None:
    """An empty group field was a group of everybody without a group (GS5#65, FusionPBX)."""
    outsider, another = (office.site.registered(user, office.transport) for user in ("107", "108"))
    ringing = Ringing.begin(office.caller, another)
    assert Calling.start(outsider, "*98", sdp(6000)).refused().status == 403
    ringing.rings_on()


def test_a_group_is_known_by_its_whole_name(office: Office) -> None:
    """FusionPBX compares by substring, so that `sales` picked up calls of `sales 2`."""
    office.site.cli("group", "add", "sales 2", "107", "108")
    other = office.site.registered("108", office.transport)
    ringing = Ringing.begin(office.caller, other)
    assert office.pick("*98").refused().status == 480
    ringing.rings_on()
    office.site.cli("group", "remove", "sales 2", "--yes")


def test_the_caller_has_its_answer_before_any_media(office: Office) -> None:
    """A caller heard ringing go on (chan-sccp#152); Asterisk's 200 is 500 ms late if the picker is silent."""
    ringing = office.ring()
    picking = office.pick()
    answer = picking.final()
    assert ringing.calling.final().status == 200, "with no ACK of the picker, and no RTP"
    picking.acknowledge(answer)


def test_who_hangs_up_leaves_a_missed_call(office: Office) -> None:
    """Only if somebody has answered elsewhere there is `cause=200` (freeswitch#1426, asterisk#116)."""
    ringing = office.ring()
    ringing.calling.cancel()
    cancel = office.phone.wait_request("CANCEL")
    assert not cancel.all("reason")
    office.phone.reply(cancel, 200)
    office.phone.reply(ringing.invite, 487, "Request Terminated")
    assert ringing.calling.refused().status == 487
    picked = office.ring()
    assert office.pick().final().status == 200
    assert office.phone.wait_request("CANCEL").all("reason") == [ELSEWHERE]
    assert picked.ok()


def test_replaces_is_announced_because_it_is_served(office: Office) -> None:
    """Replaces was announced and not served (pocket-dial#229)."""
    answer = office.picker.request("OPTIONS", "102")
    assert "replaces" in answer["supported"]
    ringing, known = office.ring_watched()
    refused = office.pick("102", Replaces=replaces(known), Require="replaces, teleport").refused()
    assert refused.status == 420
    assert refused["unsupported"] == "teleport"
    hang_up(*ringing.picked_up(office.pick("102", Replaces=replaces(known), Require="replaces")))


def test_the_same_id_never_rings_again(office: Office) -> None:
    """Polycom ignores a dialog that goes from confirmed to early (asterisk#2160)."""
    first, known = office.ring_watched()
    hang_up(*first.picked_up(office.pick()))
    office.watcher.notify("terminated")
    second = office.ring()
    again = element(office.watcher.notify("early"), "early")
    assert again.id != known.id
    second.rings_on()


def test_who_talks_with_whom_is_in_every_state(office: Office) -> None:
    """The name of the other side was missing once a call was answered (mikopbx#1059)."""
    office.watcher.subscribe("103")
    ringing = office.ring()
    caller, picker = ringing.picked_up(office.pick())
    talking = element(office.watcher.notify("confirmed"), "confirmed")
    assert talking.remote
    assert talking.remote.identity
    assert talking.remote.identity.display == "Name 101"
    hang_up(picker, caller)
