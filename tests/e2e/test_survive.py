"""Calls that are up go on in the next process, whatever has ended the one before."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from calls import Dialog, audio_port, connect, direction, hang_up, sdp
from desks import Office
from sites import UDP6, Site
from wire import Message

SDP = "application/sdp"
KILLS, SEED = 3, 4028


def restart(site: Site, how: str = "kill") -> None:
    if how == "kill":
        site.kill()
    else:
        assert site.server.stop() == 0
    site.start()


def alive(dialog: Dialog, port: int, how: str = "sendrecv") -> Message:
    """A phone is asked whether it is still there, and says so."""
    asked = dialog.agent.wait(lambda m: m.method in ("INVITE", "UPDATE") and m["call-id"] == dialog.call_id)
    if asked.method == "INVITE":
        dialog.agent.reply(asked, 200, "OK", sdp(port, how), Content_Type=SDP)
        dialog.agent.wait(lambda m: m.method == "ACK" and m["call-id"] == dialog.call_id)
    else:
        dialog.agent.reply(asked, 200)
    return asked


def shown(site: Site, *extensions: str) -> list[dict[str, Any]]:
    """What lamps show, but for how long."""
    rows = [row for row in site.ask("lamps") if row["extension"] in extensions]
    for row in rows:
        for dialog in row["dialogs"]:
            del dialog["since"]
    return rows


@pytest.mark.parametrize(("how", "transport"), [("kill", UDP6), ("stop", "udp")])
def test_a_call_that_is_up(own_site: Callable[..., Site], how: str, transport: str) -> None:
    """Lamps and lists show it as before; both phones are asked for it; either side ends it on both."""
    site = own_site()
    watcher = site.agent("103")
    watcher.subscribe("102")
    one, other = connect(site.registered("101", transport), site.registered("102"))
    before = watcher.notify("confirmed").document.dialogs
    site.wait_rows("legs", 2)
    lamps, (call,) = shown(site, "101", "102"), site.ask("calls")
    watcher.take_all()
    watcher.received.clear()
    restart(site, how)
    assert watcher.wait_request("NOTIFY").document.dialogs == before
    assert shown(site, "101", "102") == lamps
    (again,) = site.ask("calls")
    assert again | {"since": 0} == call | {"since": 0}
    assert audio_port(alive(one, 4000)) == 5000
    assert audio_port(alive(other, 5000)) == 4000
    hold = one.send("INVITE", sdp(4000, "sendonly"))
    assert direction(alive(other, 5000, "recvonly")) == "sendonly"
    one.ack(one.agent.final(hold))
    site.wait_lamp("101", "held")
    site.wait_rows("legs WHERE held AND settled", 1)
    restart(site)
    assert direction(alive(one, 4000, "sendonly")) == "sendrecv"  # it says itself that it holds
    assert direction(alive(other, 5000, "recvonly")) == "sendonly"
    site.wait_lamp("101", "held")
    hang_up(*((one, other.agent) if how == "kill" else (other, one.agent)))
    site.wait_no_call()
    site.wait_rows("legs", 0)


@pytest.mark.parametrize("transports", [("udp", UDP6, "tcp")], ids=["mixed"])
def test_kill_9_of_an_office_at_work(own_site: Callable[..., Site], transports: tuple[str, ...]) -> None:
    """Calls, transfers, pickups, forwards: what was up goes on with the right one, and can be hung up."""
    site = own_site("--trust", "127.0.0.0/8", "--trust", "::1")
    office = Office(site, random.Random(SEED), transports)
    for _ in range(KILLS):
        office.work(1.0)
        office.kill()
        office.start()
        office.settle()
        office.hang_up(0.3)
    assert office.survived > office.lost, (office.survived, office.lost)
    office.hang_up(1)
    site.wait_no_call()
    assert office.ended
