"""IPv6 on several networks: each phone is on one of its own, and the server is on all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from baresip import MD5, Baresip, a_day
from calls import Calling, connect, sdp
from namespaces import FarSite, Networks, check
from pickups import Office, element, hang_up, replaces
from wire import Agent

USERS = ("101", "102", "103", "104", "105")


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarSite]:
    check()
    with Networks(USERS) as networks:
        site = FarSite(tmp_path_factory.mktemp("site"), networks, MD5)
        yield site
        site.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_day_over_ipv6(site: FarSite, transport: str) -> None:
    """A day has all ways to pick up, one that is too late, hold, and kill -9 in a call that goes on."""
    office = Office(site, transport)
    office.watcher.subscribe("102")
    for press in ("*97102", "*98", "Replaces"):
        ringing = office.ring()
        known = element(office.watcher.notify("early"), "early")
        at_watcher = office.watcher.server
        assert known.local
        assert known.remote
        assert known.remote.target
        assert known.remote.target.uri.partition("@")[2].startswith(at_watcher), "as this phone sees us"
        how = {"Replaces": replaces(known)} if press == "Replaces" else {}
        picking = office.pick("102" if how else press, None, **how)
        caller, picker = ringing.picked_up(picking)
        assert caller.target.partition(";")[0] == f"sip:{office.caller.server}"
        assert picker.target.partition(";")[0] == f"sip:{office.picker.server}"
        late = Calling.start(office.other, "*97102", sdp(8000))
        assert late.refused().status == 480
        office.watcher.notify("terminated")
        hang_up(picker, caller)
        for agent in (office.caller, office.picker, office.other):
            agent.leave_by.clear()
    mine = office.ring().answers()
    office.watcher.notify("confirmed")
    held = mine.send("INVITE", sdp(4000, "sendonly"))
    again = office.phone.wait_request("INVITE")
    assert again["contact"].startswith(f"<sip:{office.phone.server}")
    office.phone.reply(again, 200, "OK", sdp(5000, "recvonly"), Content_Type="application/sdp")
    mine.ack(office.caller.final(held))
    office.phone.wait_request("ACK")
    ((_, watched),) = office.watcher.watched  # documents of the day before are forgotten
    site.wait_rows(f"subscriptions WHERE call_id = '{watched['call-id']}'", 1)
    site.wait_rows(f"legs WHERE held AND call_id = '{mine.call_id}'", 1)
    site.kill()
    site.start()
    if transport != "udp":  # the phones' connections are gone
        for name in ("watcher", "caller", "phone", "picker", "other"):
            before = getattr(office, name)
            before.close()
            site.agents.remove(before)
            setattr(office, name, site.registered(before.user, transport))
    assert element(office.watcher.notify("confirmed"), "confirmed"), "told in the same dialog"
    mine.agent = office.caller
    _says_that_it_is_there(office.caller, 4000, "sendonly")
    _says_that_it_is_there(office.phone, 5000, "recvonly")
    headers = mine.send("BYE")
    bye = office.phone.wait_request("BYE")
    office.phone.reply(bye, 200)
    assert office.caller.final(headers).status == 200
    office.watcher.notify("terminated")
    office.caller.leave_by.clear()


def _says_that_it_is_there(agent: Agent, port: int, way: str) -> None:
    """Answer a re-INVITE by which the server may ask whether a phone in a call is still there."""
    with contextlib.suppress(AssertionError):
        asked = agent.wait(lambda m: m.method == "INVITE", 1.5)
        agent.reply(asked, 200, "OK", sdp(port, way), Content_Type="application/sdp")
        agent.wait_request("ACK")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_neighbours_that_have_no_address_but_of_their_link(site: FarSite, transport: str) -> None:
    """Each phone sees an address of ours on its own link, and is called and told there."""
    caller, callee = site.neighbour("101", transport), site.neighbour("102", transport)
    for agent in (caller, callee):
        assert agent.register().status == 200
    answer, _ = caller.subscribe("102")
    assert answer["contact"].startswith(f"<sip:{caller.server}")
    mine, other = connect(caller, callee)
    assert caller.server in mine.target
    assert callee.server in other.target
    assert caller.notify("confirmed")
    hang_up(other, mine)
    assert caller.notify("terminated")
    for agent in (caller, callee):
        assert agent.register(expires=0).status == 200


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_day_of_baresip(site: FarSite, transport: str) -> None:
    """baresip stands in for the phones of the demo, as PJSUA2 of the wheel has no IPv6."""
    phones: list[Baresip] = []
    try:
        for user in ("101", "102", "104"):
            phones.append(site.baresip(user, transport))
        caller, callee, picker = phones
        a_day(caller, callee, picker, site.agent("103", transport))
    finally:
        for phone in phones:
            phone.stop()
