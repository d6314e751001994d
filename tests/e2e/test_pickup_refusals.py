"""Pickups that are refused, each with its own words, while the ringing call stays as it was."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from calls import Calling, sdp
from pickups import Office, Ringing, attempts, replaces, wait_attempt
from sites import Site
from wire import Agent

from blfd.store import Store
from dialog_info import Dialog as DialogElement

Situation = Callable[[Office], tuple[Ringing | None, DialogElement | None]]


def rings(office: Office) -> tuple[Ringing | None, DialogElement | None]:
    return office.ring_watched()


def answered(office: Office) -> tuple[Ringing | None, DialogElement | None]:
    ringing, known = office.ring_watched()
    ringing.answers()
    return None, known


def picked_up(office: Office) -> tuple[Ringing | None, DialogElement | None]:
    ringing, known = office.ring_watched()
    ringing.picked_up(Calling.start(office.other, "*97102", sdp(7000)))
    return None, known


def given_up(office: Office) -> tuple[Ringing | None, DialogElement | None]:
    ringing, known = office.ring_watched()
    ringing.give_up()
    return None, known


def calls_out(office: Office) -> tuple[Ringing | None, DialogElement | None]:
    """Have 103 itself call 102, which rings."""
    return Ringing.begin(office.picker, office.phone), None


def with_rights(*options: str) -> Situation:
    """A situation where 102 rings and rights are unusual, until `usual_rights` resets them."""

    def situation(office: Office) -> tuple[Ringing | None, DialogElement | None]:
        ringing = office.ring_watched()
        office.site.cli("extension", "set", *options)
        return ringing

    return situation


@pytest.fixture
def usual_rights(site: Site) -> Iterator[None]:
    yield
    for extension in Store(site.database).extensions.all("default"):
        if (extension.pickup, extension.pickable) != (None, None):
            number = extension.aor.extension
            site.cli("extension", "set", number, "--pickup", "default", "--pickable", "default")


NO_PICKUP = with_rights("103", "--pickup", "off")
NOT_PICKABLE = with_rights("102", "--pickable", "off")
REFUSALS: list[tuple[str, Situation, int, str]] = [
    # What is dialled, or how the key's Replaces ends; the situation; and what the picker is told.
    ("*97999", rings, 404, "999 does not exist"),
    ("*97999@acme.example", rings, 404, "999 does not exist"),
    ("*97101@acme.example", rings, 404, "101 does not exist"),
    ("*97", rings, 484, "Dial the code and the extension"),
    ("*97105", rings, 480, "Nothing rings at 105"),
    ("*97102", answered, 480, "102 has answered already"),
    ("*97102", picked_up, 480, "104 has answered the call already"),
    ("*97102", given_up, 480, "The caller has hung up"),
    ("*97102", NO_PICKUP, 403, "103 may not pick up calls"),
    ("*97102", NOT_PICKABLE, 403, "Calls of 102 may not be picked up"),
    ("*98", answered, 480, "102 has answered already"),
    ("*98", picked_up, 480, "104 has answered the call already"),
    ("*98", given_up, 480, "The caller has hung up"),
    ("*98", NO_PICKUP, 403, "103 may not pick up calls"),
    ("key", picked_up, 603, "104 has answered the call already"),
    ("key", given_up, 603, "The caller has hung up"),
    ("key;early-only", answered, 486, "102 has answered already"),
    ("key", NO_PICKUP, 403, "103 may not pick up calls"),
    ("key", NOT_PICKABLE, 403, "Calls of 102 may not be picked up"),
    ("old@known;to-tag=a;from-tag=b", rings, 481, "No such call"),
]


def ask(office: Office, to: str, known: DialogElement | None) -> Calling:
    if to.startswith("*"):
        user, _, domain = to.partition("@")
        return office.pick(user, uri=f"sip:{user}@{domain or office.picker.server}")
    if to.startswith("key"):
        assert known
        to = replaces(known, to.removeprefix("key"))
    return office.pick("102", Replaces=to)


@pytest.mark.usefixtures("usual_rights")
@pytest.mark.parametrize(("to", "situation", "status", "reason"), REFUSALS)
def test_every_refusal(office: Office, to: str, situation: Situation, status: int, reason: str) -> None:
    before = len(attempts(office.site))
    ringing, known = situation(office)
    answer = ask(office, to, known).refused()
    assert answer.start == f"SIP/2.0 {status} {reason}"
    assert re.fullmatch(r'399 blfd "[^"]+"', answer["warning"])
    kept = wait_attempt(office.site, "103", before)
    assert (kept.status, kept.result) == (status, reason)
    line = office.site.server.log.read_text().splitlines()[-1]
    assert f"pickup ({kept.way.value}): 103 wants " in line
    assert f": {status} {reason}, " in line
    if ringing:
        ringing.rings_on()


BAD_REPLACES = [
    ("no-tags", "Replaces needs a to-tag and a from-tag"),
    ("a;to-tag=1;from-tag=2\r\nReplaces: b;to-tag=1;from-tag=2", "More than one Replaces"),
]


@pytest.mark.parametrize(("value", "reason"), BAD_REPLACES)
def test_a_bad_replaces(office: Office, value: str, reason: str) -> None:
    ringing = office.ring()
    assert office.pick("102", Replaces=value).refused().start == f"SIP/2.0 400 {reason}"
    ringing.rings_on()


def test_a_call_that_the_picker_makes_itself(own_site: Callable[..., Site]) -> None:
    """103 calls 102: neither *98 nor *97102 lets 103 answer itself, and its Replaces is no pickup."""
    office = Office(own_site(), "udp")
    office.watcher.subscribe("103")
    ringing = Ringing.begin(office.picker, office.phone)
    assert office.pick("*98").refused().start == "SIP/2.0 480 It is your own call that rings at 102"
    assert office.pick("*97102").refused().start == "SIP/2.0 480 It is your own call that rings at 102"
    ringing.rings_on()
    office.leave()


def test_own_ringing_phone_is_not_the_groups(own_site: Callable[..., Site]) -> None:
    """*98 takes calls that ring at others."""
    office = Office(own_site(), "udp")
    ringing = Ringing.begin(office.caller, office.picker)
    assert office.pick("*98").refused().start == "SIP/2.0 480 Nothing rings at your groups"
    ringing.rings_on()
    office.leave()


def test_without_a_group_nothing_is_open_to_its_code(office: Office) -> None:
    outsider = office.site.registered("106", office.transport)
    ringing = office.ring()
    answer = Calling.start(outsider, "*98", sdp(6000)).refused()
    assert answer.start == "SIP/2.0 403 106 is in no pickup group with others"
    ringing.rings_on()


@pytest.mark.usefixtures("usual_rights")
def test_only_own_groups(office: Office) -> None:
    outsider = office.site.registered("106", office.transport)
    office.site.cli("extension", "set", "106", "--pickup", "groups")
    office.site.cli("extension", "set", "103", "--pickup", "groups")
    ringing = office.ring()
    answer = Calling.start(outsider, "*97102", sdp(6000)).refused()
    assert answer.start == "SIP/2.0 403 102 is in none of your pickup groups"
    ringing.picked_up(office.pick("*97102"))


def stranger(site: Site) -> Agent:
    """A phone of another tenant, with a password of its own."""
    agent = site.agent("101")
    agent.password = "acme"
    return agent


@pytest.mark.parametrize("user", ["*97102", "*97999"])
def test_another_tenants_extension_is_as_one_that_does_not_exist(office: Office, user: str) -> None:
    ringing = office.ring()
    agent = stranger(office.site)
    uri = f"sip:{user}@acme.example"
    over = {"From": "<sip:101@acme.example>;tag=x", "To": f"<{uri}>"}
    answer = Calling.start(agent, user, sdp(6000), uri, **over).refused()
    assert answer.start == f"SIP/2.0 404 {user[3:]} does not exist"
    ringing.rings_on()


def test_another_tenants_phone_cannot_use_what_it_has_overheard(office: Office) -> None:
    ringing, known = office.ring_watched()
    uri = "sip:102@acme.example"
    over = {"From": "<sip:101@acme.example>;tag=x", "To": f"<{uri}>"}
    asked = Calling.start(stranger(office.site), "102", sdp(6000), uri, Replaces=replaces(known), **over)
    assert asked.refused().start == "SIP/2.0 481 No such call"
    ringing.rings_on()


@pytest.mark.usefixtures("usual_rights")
def test_a_watcher_that_may_not_pick_up_sees_the_lamp_and_no_more(office: Office) -> None:
    office.site.cli("extension", "set", "103", "--pickup", "off")
    office.picker.subscribe("102")
    ringing, known = office.ring_watched()
    early = office.picker.notify("early")
    (shown,) = early.document.dialogs
    assert (shown.call_id, shown.local_tag, shown.remote_tag) == (None, None, None)
    assert shown.remote is None or shown.remote.target is None
    assert known.call_id
    assert known.call_id.encode() not in early.body
    assert b"*97" not in early.body
    ringing.rings_on()
    office.picker.notify("confirmed")
    office.picker.notify("terminated")


def test_a_wrong_password_picks_up_nothing(office: Office) -> None:
    ringing = office.ring()
    office.picker.password = "wrong"
    assert office.pick().refused().status in (401, 403)
    office.picker.password = "secret-103"
    ringing.rings_on()
