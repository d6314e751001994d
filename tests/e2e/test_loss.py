"""Datagrams are lost, doubled and late: calls and pickups happen once all the same, and lamps are right.

Tests of test_phones.py and test_baresip.py use the same network.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pickups import attempts
from sites import LOSSY, Site

from blfd.demo.simulation import PhoneProcess

ROUNDS = 9


def check_the_end(site: Site, bob: PhoneProcess) -> None:
    assert site.shaper
    assert min(site.shaper.lost, site.shaper.doubled, site.shaper.delayed) > 0
    incoming = [event for event in bob.events if event["event"] == "incoming"]
    assert len(incoming) == ROUNDS, "no call came twice"
    site.wait_no_call()


def test_calls_and_pickups(site: Site) -> None:
    """102 is called and answers, or 103 picks up by its key, by *97 and by *98."""
    alice, bob = site.phone("101", transport=LOSSY), site.phone("102", transport=LOSSY)
    carol = site.phone("103", watch="101,102", transport=LOSSY)
    ways: list[Callable[[], None]] = [
        lambda: carol.do("press", key="102"),
        lambda: carol.do("call", to="*97102"),
        lambda: carol.do("call", to="*98"),
    ]
    for number in range(ROUNDS):
        alice.do("call", to="102")
        bob.wait("incoming")
        carol.wait_lamp("102", "ringing")
        picked = number % 2 == 1
        if picked:
            ways[number // 2 % 3]()
            carol.wait_call("confirmed")
            carol.wait_lamp("102", "idle")
        else:
            bob.do("answer")
            bob.wait_call("confirmed")
            carol.wait_lamp("102", "talking")
        alice.wait_call("confirmed")
        (carol if picked else alice).do("hangup")
        for phone in (alice, bob, *([carol] if picked else [])):
            phone.wait_call("disconnected")
        for extension in ("101", "102"):
            carol.wait_lamp(extension, "idle")
    check_the_end(site, bob)
    site.wait_rows("pickups", ROUNDS // 2)
    assert [attempt.status for attempt in attempts(site)] == [200] * (ROUNDS // 2), "no pickup either"


@pytest.mark.parametrize("end", ["given up", "busy", "declined"])
def test_calls_that_nobody_answers(site: Site, end: str) -> None:
    alice, bob = site.phone("101", transport=LOSSY), site.phone("102", transport=LOSSY)
    carol = site.phone("103", watch="101,102", transport=LOSSY)
    for _ in range(ROUNDS):
        alice.do("call", to="102")
        bob.wait("incoming")
        carol.wait_lamp("102", "ringing")
        match end:
            case "given up":
                alice.do("hangup")
            case "busy":
                bob.do("answer", code=486)
            case _:
                bob.do("answer", code=603)
        code = alice.wait_call("disconnected")["code"]
        assert code == {"given up": 487, "busy": 486, "declined": 603}[end]
        bob.wait_call("disconnected")
        for extension in ("101", "102"):
            carol.wait_lamp(extension, "idle")
    check_the_end(site, bob)


def test_a_restart(own_site: Callable[..., Site]) -> None:
    """A call goes on after kill -9 in the middle of it, and NOTIFYs to keys get through all the same."""
    site = own_site()
    alice, bob = site.phone("101", transport=LOSSY), site.phone("102", transport=LOSSY)
    carol = site.phone("103", watch="101,102", transport=LOSSY)
    for extension in ("101", "102"):
        carol.wait_lamp(extension, "idle")
    alice.do("call", to="102")
    bob.wait("incoming")
    bob.do("answer")
    for phone in (alice, bob):
        phone.wait_call("confirmed")
    carol.wait_lamp("102", "talking")
    site.wait_rows("subscriptions", 2)
    site.wait_rows("legs WHERE settled", 2)
    site.kill()
    site.start()
    for extension in ("101", "102"):
        carol.wait_lamp(extension, "talking")
    alice.do("hangup")
    for phone in (alice, bob):
        phone.wait_call("disconnected")
    for extension in ("101", "102"):
        carol.wait_lamp(extension, "idle")
    alice.do("call", to="102")
    bob.wait("incoming")
    carol.wait_lamp("102", "ringing")
    alice.do("hangup")
    carol.wait_lamp("102", "idle")
