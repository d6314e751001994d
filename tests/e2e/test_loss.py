"""Datagrams are lost, doubled and late: calls and pickups happen once all the same, and lamps end right."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pickups import attempts
from shaper import Shaper
from sites import Site, password

from blfd.simulation import PhoneProcess

ROUNDS, SEED = 6, 3261
PATIENCE = 40.0  # timer B and F are 32 s


@pytest.fixture
def phones(own_site: Callable[..., Site]) -> Iterator[tuple[Site, Shaper, list[PhoneProcess]]]:
    """101, 102 and 103, which watches both."""
    site = own_site()
    shaper = Shaper(site.server.address(), SEED)
    made = [
        PhoneProcess(shaper.address, user, password(user), folder=site.folder, watch=watch)
        for user, watch in (("101", ""), ("102", ""), ("103", "101,102"))
    ]
    for phone in made:
        phone.wait("registered", timeout=PATIENCE)
    yield site, shaper, made
    for phone in made:
        phone.stop()
    shaper.close()


def shows(phone: PhoneProcess, extension: str, lamp: str) -> None:
    """Until its key shows this; documents that came before count."""
    start = f"sip:{extension}@"
    known = [e for e in phone.events if e["event"] == "lamp" and e["entity"].startswith(start)]
    if not known or known[-1]["lamp"] != lamp:
        phone.wait("lamp", lambda e: e["lamp"] == lamp and e["entity"].startswith(start), PATIENCE)


def test_calls_and_pickups(phones: tuple[Site, Shaper, list[PhoneProcess]]) -> None:
    site, shaper, (alice, bob, carol) = phones
    for number in range(ROUNDS):
        alice.do("call", to="102")
        bob.wait("incoming", timeout=PATIENCE)
        shows(carol, "102", "ringing")
        picked = number % 2 == 1
        if picked:
            carol.do("press", key="102") if number % 4 == 1 else carol.do("call", to="*97102")
            carol.wait_call("confirmed", PATIENCE)
            shows(carol, "102", "idle")
        else:
            bob.do("answer")
            bob.wait_call("confirmed", PATIENCE)
            shows(carol, "102", "talking")
        alice.wait_call("confirmed", PATIENCE)
        (carol if picked else alice).do("hangup")
        for phone in (alice, bob, *([carol] if picked else [])):
            phone.wait_call("disconnected", PATIENCE)
        for extension in ("101", "102"):
            shows(carol, extension, "idle")
    assert min(shaper.lost, shaper.doubled, shaper.delayed) > 0
    incoming = [event for event in bob.events if event["event"] == "incoming"]
    assert len(incoming) == ROUNDS, "no call came twice"
    site.wait_no_call()
    site.wait_rows("pickups", ROUNDS // 2)
    assert [attempt.status for attempt in attempts(site)] == [200] * (ROUNDS // 2), "no pickup either"
