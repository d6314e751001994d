"""Pickup on the wire: every way that phones have, and what happens to everybody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from calls import Calling, audio_port, branch, connect, sdp
from pickups import ELSEWHERE, SDP, Office, Ringing, attempts, element, hang_up, replaces, wait_attempt
from sites import NETWORKS
from sockets import HAS_IPV6
from wire import Message

from blfd.core.calls.attempts import Way
from dialog_info import Dialog as DialogElement

Key = Callable[[Office, DialogElement], Calling]


def code(to: str, parameters: str = "") -> Key:
    def press(office: Office, known: DialogElement) -> Calling:
        return office.pick(to, uri=f"sip:{to}@{office.picker.server}{parameters}")

    return press


def by_replaces(make: Callable[[DialogElement], str] = replaces, to: str = "102", **over: str) -> Key:
    def press(office: Office, known: DialogElement) -> Calling:
        return office.pick(to, None, Replaces=make(known), **over)

    return press


def target(office: Office, known: DialogElement) -> Calling:
    assert known.remote
    assert known.remote.target
    uri = known.remote.target.uri
    return office.pick(uri.partition(":")[2].partition("@")[0], uri=uri)


WAYS: dict[str, tuple[Key, Way]] = {
    "the code and the extension": (code("*97102"), Way.DIRECTED),
    "user=phone": (code("*97102", ";user=phone"), Way.DIRECTED),
    "escaped": (code("%2A97102"), Way.DIRECTED),
    "the group's code": (code("*98"), Way.GROUP),
    "the NOTIFY's remote target": (target, Way.DIRECTED),
    "Replaces": (by_replaces(), Way.REPLACES),
    "Replaces to the caller": (by_replaces(to="101"), Way.REPLACES),
    "Replaces to whatever": (by_replaces(to="+19497776939"), Way.REPLACES),
    "Replaces to the code": (by_replaces(to="*97102"), Way.REPLACES),
    "early-only": (by_replaces(lambda key: replaces(key, ";early-only")), Way.REPLACES),
    "tags the other way round": (
        by_replaces(lambda key: f"{key.call_id};to-tag={key.local_tag};from-tag={key.remote_tag}"),
        Way.REPLACES,
    ),
    "from-tag first": (
        by_replaces(lambda key: f"{key.call_id};from-tag={key.local_tag};to-tag={key.remote_tag}"),
        Way.REPLACES,
    ),
    "folded and spaced": (
        by_replaces(lambda k: f"{k.call_id}\r\n ; to-tag = {k.remote_tag}\r\n\t;from-tag={k.local_tag}"),
        Way.REPLACES,
    ),
    "unknown parameters": (by_replaces(lambda key: replaces(key, ";x;y=z")), Way.REPLACES),
    "Require: replaces": (by_replaces(Require="replaces"), Way.REPLACES),
}


OVER_ALL = ("the code and the extension", "the group's code", "the NOTIFY's remote target", "Replaces")
"""Each way is tried over each transport, in turns over IPv4 and IPv6; these over all of both."""


def networks(way: str) -> tuple[str, ...]:
    if way in OVER_ALL or not HAS_IPV6:
        return NETWORKS
    first = list(WAYS).index(way) % 2 * 3
    return NETWORKS[first : first + 3]


@pytest.mark.parametrize(
    ("way", "any_office"),
    [(way, network) for way in WAYS for network in networks(way)],
    indirect=["any_office"],
)
def test_every_way(any_office: Office, way: str) -> None:
    """Both get a 200 with the other's identity, 102 stops ringing, lamps follow, and the attempt is kept."""
    office, (press, kind) = any_office, WAYS[way]
    before = len(attempts(office.site))
    ringing, known = office.ring_watched()
    office.watcher.subscribe("103")
    caller, picker = ringing.picked_up(press(office, known))
    gone = element(office.watcher.notify("terminated"), "terminated")
    assert (gone.id, gone.call_id, gone.local_tag) == (known.id, known.call_id, known.local_tag)
    talking = office.watcher.notify("confirmed").document
    assert talking.entity.startswith("sip:103@")
    assert office.watcher.silent(lambda m: m.method == "NOTIFY", 0.1), "and never `early` again"
    hang_up(picker, caller)
    kept = wait_attempt(office.site, "103", before)
    assert (kept.way, kept.extension, kept.caller, kept.status) == (kind, "102", "101", 200)


def test_media_is_handed_over(office: Office) -> None:
    ringing = office.ring()
    assert audio_port(office.pick().final()) == 4000
    assert audio_port(ringing.ok()) == 6000


def test_the_call_that_has_rung_longest_is_taken(office: Office) -> None:
    """102 rings with two calls, and 104, which is in the group, too, rang before."""
    third = office.site.registered("106", office.transport)
    first = Ringing.begin(third, office.other)
    second = office.ring()
    picking = office.pick("*98")
    assert '"Name 106"' in picking.final()["p-asserted-identity"]
    first.stops()
    last = Ringing.begin(office.watcher, office.phone)
    assert '"Name 101"' in office.pick("*97102").final()["p-asserted-identity"]
    second.stops()
    last.rings_on()


def test_the_key_of_a_phone_that_rang_first_where_the_call_forks(office: Office) -> None:
    """A proxy is behind 102's contact, and a key was pressed that has been told of its first phone alone."""
    slow, quick = (office.watcher.subscribe("102")[0]["call-id"] for _ in range(2))
    office.watcher.auto_answer = False

    def told(key: str) -> Message:
        return office.watcher.wait(lambda m: m.method == "NOTIFY" and m["call-id"] == key)

    calling = Calling.start(office.caller, "102", sdp(4000))
    invite = office.phone.wait_request("INVITE")
    ringing = Ringing(office.caller, office.phone, calling, invite)
    office.phone.reply(branch(invite, "f1"), 180, "Ringing")
    notify = told(slow)
    office.watcher.reply(told(quick), 200)
    office.phone.reply(branch(invite, "f2"), 180, "Ringing")
    office.watcher.reply(newest := told(quick), 200)
    assert [element(one, "early").local_tag for one in (notify, newest)] == ["f1", "f2"]
    caller, picker = ringing.picked_up(office.pick("102", Replaces=replaces(element(notify, "early"))))
    office.watcher.auto_answer = True
    office.watcher.reply(notify, 200)
    hang_up(picker, caller)


def test_the_next_call_rings_while_the_picked_one_goes_on(office: Office) -> None:
    caller, picker = office.ring().picked_up(office.pick())
    Ringing.begin(office.other, office.phone).rings_on()
    hang_up(picker, caller)


def test_a_200_that_crosses_the_cancel_is_hung_up(office: Office) -> None:
    ringing = office.ring()
    assert office.pick().final().status == 200
    ringing.ok()
    office.phone.wait_request("CANCEL")
    office.phone.reply(ringing.invite, 200, "OK", sdp(5000), Content_Type=SDP)
    office.phone.wait_request("ACK")
    office.phone.reply(office.phone.wait_request("BYE"), 200)
    assert office.caller.silent(lambda m: m.status == 200 or m.method == "BYE", 0.2)


def test_every_phone_of_the_extension_stops_ringing(office: Office) -> None:
    phones = [office.phone, office.site.registered("102", office.transport)]
    calling = Calling.start(office.caller, "102", sdp(4000))
    for phone in phones:
        phone.reply(phone.wait_request("INVITE"), 180, "Ringing")
    calling.provisional(180)
    assert office.pick().final().status == 200
    for phone in phones:
        assert phone.wait_request("CANCEL")["reason"] == ELSEWHERE


def test_the_picker_hangs_up_before_the_caller_has_acknowledged(office: Office) -> None:
    ringing = office.ring()
    picking = office.pick()
    assert picking.acknowledge(picking.final()).request("BYE").status == 200
    ringing.calling.acknowledge(ringing.ok())
    office.caller.reply(office.caller.wait_request("BYE"), 200)


def test_a_phone_takes_the_call_that_its_other_phone_rings_with(office: Office) -> None:
    """*97102 on 102's second phone takes 102's own call, whatever the rights are."""
    second = office.site.registered("102", office.transport)
    assert second.register(expires=0).status == 200  # the second phone does not ring itself
    ringing = office.ring()
    picking = Calling.start(second, "*97102", sdp(6000))
    assert picking.final().status == 200
    ringing.stops()


# Take-over of a call that is up


def test_take_over(office: Office) -> None:
    """The caller learns with whom it talks, and its media moves; the phone before is hung up."""
    office.watcher.subscribe("102")
    mine, old = connect(office.caller, office.phone)
    known = element(office.watcher.notify("confirmed"), "confirmed")
    before = len(attempts(office.site))
    picking = office.pick("102", Replaces=replaces(known))
    answer = picking.final()
    assert answer.status == 200, answer.start
    assert audio_port(answer) == 4000
    picker = picking.acknowledge(answer)
    bye = office.phone.wait_request("BYE")
    assert bye["reason"] == ELSEWHERE
    office.phone.reply(bye, 200)
    moved = office.caller.wait_request("INVITE")
    assert audio_port(moved) == 6000
    assert moved["p-asserted-identity"].startswith('"Name 103" <sip:103@')
    office.caller.reply(moved, 200, "OK", sdp(4000), Content_Type=SDP)
    office.caller.wait_request("ACK")
    office.watcher.notify("terminated")
    old.request("BYE")
    assert office.caller.silent(lambda m: m.method == "BYE", 0.1), "the old phone has no say any more"
    assert wait_attempt(office.site, "103", before).way is Way.TAKE_OVER
    hang_up(picker, mine)


def test_take_over_of_the_callers_side(office: Office) -> None:
    """103 takes the place of 101, of which the phone that was called is told."""
    office.watcher.subscribe("101")
    _, other = connect(office.caller, office.phone)
    known = element(office.watcher.notify("confirmed"), "confirmed")
    picking = office.pick("101", Replaces=replaces(known))
    answer = picking.final()
    assert answer.status == 200, answer.start
    assert audio_port(answer) == 5000
    assert answer["p-asserted-identity"].startswith('"Name 102" <sip:102@')
    picker = picking.acknowledge(answer)
    office.caller.reply(office.caller.wait_request("BYE"), 200)
    moved = office.phone.wait_request("INVITE")
    assert audio_port(moved) == 6000
    office.phone.reply(moved, 200, "OK", sdp(5000), Content_Type=SDP)
    office.phone.wait_request("ACK")
    hang_up(picker, other)


def test_explain_and_pickups_say_what_goes_on(office: Office) -> None:
    """The commands say why 102 flashes, who was told, who could pick up and how, and then who did."""
    site = office.site
    idle = site.shown("explain", "102")
    assert (idle["lamp"], idle["pickers"]) == ("idle", [])
    assert "nothing rings there" in idle["why_nobody"]
    office.picker.subscribe("102")
    ringing, known = office.ring_watched()
    office.picker.notify("early")
    site.wait_watched("102")
    found = site.shown("explain", "102")
    assert (found["lamp"], found["phones"]) == ("ringing", 1)
    (dialog,) = found["dialogs"]
    assert (dialog["call_id"], dialog["remote"], dialog["direction"]) == (known.call_id, "101", "recipient")
    told = {row["watcher"]: (row["told"], row["may_pick_up"]) for row in found["watchers"]}
    assert told == {"103": ("ringing", True), "105": ("ringing", True)}
    ways = {row["picker"]: row["ways"] for row in found["pickers"]}
    assert ways["103"] == ["*97102", "*98", "its key"]
    assert ways["104"] == ["*97102", "*98"]
    assert ways["105"] == ["*97102", "its key"]
    assert "ringing" in site.cli("explain", "102")
    assert found.keys() >= {"why_idle", "why_nobody"}
    assert "101" not in ways, "the caller has no hand free"
    assert "102" not in ways, "its only phone rings already"
    before = len(attempts(site))
    caller, picker = ringing.picked_up(office.pick())
    wait_attempt(site, "103", before)
    rows = {row["extension"]: row for row in site.shown("lamps")}
    arrows = {who: [(d["direction"], d["remote"]) for d in rows[who]["dialogs"]] for who in ("101", "103")}
    assert arrows == {"101": [("initiator", "103")], "103": [("recipient", "101")]}
    assert "replaced: 103 has it now" in site.shown("explain", "102")["why_idle"]
    hang_up(picker, caller)
    last = site.shown("pickups", "--since", "1m")[-1]
    assert (last["picker"], last["extension"], last["caller"], last["status"]) == ("103", "102", "101", 200)
    site.wait_idle("103")
    idle = site.shown("explain", "102")
    assert "replaced: 103 had it then" in idle["why_idle"]
