"""A real proxy in front of blfd, with Path and Record-Route: it comes and goes, and nothing is lost."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from calls import Calling, Dialog, sdp
from certificates import self_signed
from ports import free_port
from proxies import PATIENCE, Kamailio
from sites import Site, password
from wire import Agent

CONFIG = Path(__file__).parent / "kamailio" / "edge.cfg"
IDLE = 60


class Edge(Kamailio):
    """A proxy between phones and a site that trusts it, which it reaches by `transport`."""

    def __init__(self, site: Site, folder: Path, transport: str, idle: int = IDLE) -> None:
        super().__init__(folder)
        self.site, self.transport, self.idle = site, transport, idle
        if transport == "tls":
            assert has_tls() or not os.environ.get("CI"), "the package kamailio-tls-modules is missing"
            if not has_tls():
                pytest.skip("Kamailio has no module for TLS here")
            self_signed(folder, "edge")
        self.start()

    def start(self) -> None:
        filled = CONFIG.read_text()
        for name, value in (
            ("EDGE", self.address),
            ("TRANSPORT", self.transport),
            ("SERVER", self.site.server.address(self.transport)),
            ("IDLE", str(self.idle)),
        ):
            filled = filled.replace(f"@{name}@", value)
        self.run(filled, 32, self._listens)

    def _listens(self) -> bool:
        host, _, port = self.address.partition(":")
        try:
            socket.create_connection((host, int(port))).close()
        except OSError:
            time.sleep(0.05)
            return False
        return True

    def phone(self, user: str) -> Agent:
        """A phone behind the edge."""
        agent = Agent(self.address, user, password(user))
        self.site.agents.append(agent)
        return agent

    def registered(self, user: str) -> Agent:
        agent = self.phone(user)
        assert agent.register().status == 200
        return agent


def has_tls() -> bool:
    return any(Path("/usr/lib").glob("**/kamailio/modules/tls.so"))


@pytest.fixture
def edge(own_site: Callable[..., Site], tmp_path: Path) -> Iterator[Callable[..., Edge]]:
    """A function that makes edges of one site."""
    made: list[Edge] = []

    def make(transport: str = "tcp", idle: int = IDLE) -> Edge:
        site = made[0].site if made else own_site("--trust", "127.0.0.0/8")
        folder = tmp_path / f"edge{len(made)}"
        folder.mkdir()
        made.append(Edge(site, folder, transport, idle))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def rung(edge: Edge, caller: Agent, callee: Agent) -> None:
    """Check that a call rings and is refused."""
    calling = Calling.trusted(caller, callee.user, sdp(4000))
    invite = callee.wait_request("INVITE", PATIENCE)
    callee.reply(invite, 180, "Ringing")
    calling.provisional(180)
    callee.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486


def talking(caller: Agent, callee: Agent) -> tuple[Calling, Dialog]:
    """A call that is up; the dialog is that of the callee."""
    calling = Calling.trusted(caller, callee.user, sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
    calling.acknowledge(calling.final())
    callee.wait_request("ACK")
    return calling, Dialog.of_invite(callee, invite)


def who(site: Site, call: str, key: str) -> list[str]:
    return sorted(row[key] for row in site.ask(call))


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_an_edge_that_is_restarted_takes_nothing_away(edge: Callable[..., Edge], transport: str) -> None:
    """Registrations, lamps and a call that is up are there afterwards, and no phone has done anything."""
    one = edge(transport)
    site = one.site
    phones = {user: one.registered(user) for user in ("101", "102", "103")}
    watcher = phones["103"]
    subscribed = {user: watcher.subscribe(user)[1]["call-id"] for user in ("102", "106")}
    _, other = talking(phones["101"], phones["102"])
    assert watcher.notify("confirmed")["call-id"] == subscribed["102"]
    site.wait_watched("102")
    one.stop()
    caller, callee = site.agent("105"), site.registered("106")  # these are not behind the edge
    ringing = Calling.trusted(caller, "106", sdp(4000))
    callee.reply(callee.wait_request("INVITE"), 180, "Ringing")
    ringing.provisional(180)
    refused = Calling.trusted(caller, "101", sdp(4002)).refused()
    assert refused.status == 480, "nobody is there, and the caller does not wait"
    assert who(site, "registrations", "extension") == ["101", "102", "103", "106"]
    assert who(site, "watchers", "resource") == ["102", "106"]
    one.start()
    began = time.monotonic()
    assert watcher.notify("early", PATIENCE)["call-id"] == subscribed["106"]
    print(f"lamps are right {time.monotonic() - began:.3f} s after the edge is there")
    headers = other.send("BYE")
    request = phones["101"].wait_request("BYE", PATIENCE)
    phones["101"].reply(request, 200)
    assert phones["102"].final(headers, PATIENCE).status == 200
    assert watcher.notify("terminated", PATIENCE)["call-id"] == subscribed["102"]
    rung(one, phones["101"], phones["102"])
    assert watcher.notify("early")["call-id"] == subscribed["102"]
    assert site.server.log.read_text().count(f" to {one.transport}:{one.address}: Connection refused") == 1
    callee.leave_by.clear()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_an_edge_that_moves_to_another_port(edge: Callable[..., Edge], transport: str) -> None:
    """Once its phones have registered by the new port, their lamps are right and their calls can be ended."""
    one = edge(transport)
    site = one.site
    phones = {user: one.registered(user) for user in ("101", "102", "103")}
    watcher = phones["103"]
    subscribed = watcher.subscribe("102")[1]["call-id"]
    calling, other = talking(phones["101"], phones["102"])
    assert watcher.notify("confirmed")["call-id"] == subscribed
    site.wait_watched("102")
    calling.agent.leave_by.clear()
    one.stop()
    one.address = f"127.0.0.1:{free_port()}"
    one.start()
    began = time.monotonic()
    for phone in phones.values():
        phone.peer = ("127.0.0.1", int(one.address.partition(":")[2]))
        assert phone.register().status == 200
    assert watcher.notify("confirmed")["call-id"] == subscribed
    print(f"lamps are right {time.monotonic() - began:.3f} s after the edge is there")
    headers = other.send("BYE")
    phones["101"].reply(phones["101"].wait_request("BYE"), 200)
    assert phones["102"].final(headers).status == 200
    assert watcher.notify("terminated")["call-id"] == subscribed
    rung(one, phones["101"], phones["102"])
    assert watcher.notify("early")["call-id"] == subscribed
    assert who(site, "watchers", "resource") == ["102"]


def test_edges_that_close_idle_connections(edge: Callable[..., Edge]) -> None:
    """A new connection is made when there is something to send, and the edge's requests come by it, too."""
    first, second = edge("tcp", idle=1), edge("tls", idle=1)
    site = first.site
    phones = {user: first.registered(user) for user in ("101", "102", "103")}
    phones |= {user: second.registered(user) for user in ("104", "106", "107")}
    for watcher, watched in (("103", "102"), ("107", "106")):
        phones[watcher].subscribe(watched)
        site.wait_watched(watched)
    end = time.monotonic() + 2 * PATIENCE
    while site.ask("status")["connections"]:
        assert time.monotonic() < end, "Kamailio keeps its connection"
        time.sleep(0.1)
    for one, watcher, callee in ((first, "103", "102"), (second, "107", "106")):
        began = time.monotonic()
        rung(one, site.agent("105"), phones[callee])
        assert phones[watcher].notify("early")
        assert phones[watcher].notify("terminated")
        print(
            f"by a new connection over {one.transport}, all of a call within {time.monotonic() - began:.3f} s"
        )
    assert phones["101"].register().status == 200
    assert phones["104"].register().status == 200
    assert who(site, "registrations", "extension") == ["101", "102", "103", "104", "106", "107"]
    assert "Connection refused" not in site.server.log.read_text()


def test_a_route_that_leads_back_to_the_edge_is_no_loop(edge: Callable[..., Edge]) -> None:
    """A call between two phones behind one edge comes from the edge and goes to it."""
    one = edge()
    phones = [one.registered(user) for user in ("101", "102")]
    for caller, callee in (phones, phones[::-1]):
        rung(one, caller, callee)
