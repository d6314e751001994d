"""Edges that have a name: requests go where DNS says, to the next address, and on while DNS is silent."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from calls import Calling, sdp
from name_server import HELD, NameServer, serving
from sites import Site, password
from wire import DEADLINE, Agent

EDGE = "<sip:edge.example;lr>"


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    with serving({"edge.example A": ("127.0.0.1",)}) as server:
        yield server


@pytest.fixture(scope="module")
def module_site(names: NameServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    host, port = names.address
    config = f'trust = ["127.0.0.0/8"]\ndns_servers = ["{host}:{port}"]\n'
    site = Site(tmp_path_factory.mktemp("site"), config=config)
    yield site
    site.stop()


def box(site: Site, user: str) -> Agent:
    """An agent at another address of an edge, over UDP."""
    agent = Agent(site.server.address(), user, password(user))
    site.agents.append(agent)
    return agent


def wait_until(so: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE
    while not so():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_requests_go_where_the_name_leads(site: Site, names: NameServer) -> None:
    phone, edge = site.agent("101"), box(site, "101")
    port = edge.socket.getsockname()[1]
    names.zone["_sip._udp.first.example SRV"] = (f"1 1 {port} edge.example.",)
    route = "<sip:first.example;lr>"
    assert phone.register(Path=route).status == 200
    answer = phone.request("SUBSCRIBE", "102", Event="dialog", Record_Route=route)
    assert answer.status == 200
    notify = edge.wait_request("NOTIFY")
    assert (notify["call-id"], notify["route"]) == (answer["call-id"], route)
    calling = Calling.trusted(site.agent("103"), "101", sdp(4000))
    invite = edge.wait_request("INVITE")
    assert invite["route"] == route
    edge.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486
    assert names.asked.count("_sip._udp.first.example SRV") == 1
    phone.register(expires=0, Path=route)


@contextlib.contextmanager
def two_servers(names: NameServer, name: str) -> Iterator[socket.socket]:
    """A name with two servers over TCP, at the first of which nobody listens; yields the second."""
    with socket.create_server(("127.0.0.1", 0)) as closed, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [one.getsockname()[1] for one in (closed, second)]
        closed.close()
        names.zone[f"_sip._tcp.{name} SRV"] = tuple(
            f"{priority} 1 {port} edge.example." for priority, port in enumerate(ports)
        )
        second.settimeout(DEADLINE)
        yield second


def test_the_next_address_takes_what_the_first_does_not(site: Site, names: NameServer) -> None:
    """This is over TCP, once the connection by which a phone's requests came is gone."""
    with two_servers(names, "two.example") as second:
        phone = site.agent("104", "tcp")
        route = "<sip:two.example;lr>"
        assert phone.register(Path=route, contact="<sip:104@10.9.8.7>").status == 200
        answer, _ = phone.subscribe("105", Record_Route=route, Contact="<sip:104@10.9.8.7>")
        site.wait_watched("105")
        phone.close()
        site.agents.remove(phone)
        callee = site.registered("105")
        calling = Calling.trusted(site.agent("103"), "105", sdp(4000))
        callee.reply(callee.wait_request("INVITE"), 180, "Ringing")
        calling.provisional(180)
        edge = site.agent("104", "tcp")
        edge.socket.close()
        edge.socket, _ = second.accept()
        assert edge.notify("early")["call-id"] == answer["call-id"]
        calling.cancel()
        callee.reply(callee.wait_request("CANCEL"), 200)
        other = Calling.trusted(site.agent("103"), "104", sdp(4000))
        edge.reply(edge.wait_request("INVITE"), 486, "Busy Here")
        assert other.refused().status == 486
        edge.register(expires=0, contact="*", Path=route)


def test_a_call_goes_to_the_next_address(site: Site, names: NameServer) -> None:
    """Where nobody takes the connection to the first address, the call goes on to the next at once."""
    with two_servers(names, "call.example") as second:
        phone = site.agent("108", "tcp")
        route = "<sip:call.example;lr>"
        assert phone.register(Path=route, contact="<sip:108@10.9.8.7>").status == 200
        phone.close()
        site.agents.remove(phone)
        wait_until(lambda: not site.ask("status")["connections"])
        calling = Calling.trusted(site.agent("103"), "108", sdp(4000))
        edge = site.agent("108", "tcp")
        edge.socket.close()
        edge.socket, _ = second.accept()
        edge.reply(edge.wait_request("INVITE"), 486, "Busy Here")
        assert calling.refused().status == 486
        assert "gives no answer, trying tcp:127.0.0.1" in site.server.log.read_text()
        edge.register(expires=0, contact="*", Path=route)


def test_an_answer_finds_its_edge_when_the_connection_has_closed(site: Site, names: NameServer) -> None:
    """The answer goes where the Via says that the edge listens (RFC 3261, section 18.2.2)."""
    names.zone["slow.example A"] = ("127.0.0.1", HELD)
    with socket.create_server(("127.0.0.1", 0)) as listens:
        listens.settimeout(DEADLINE)
        edge = site.agent("107", "tcp")
        via = f"SIP/2.0/TCP 127.0.0.1:{listens.getsockname()[1]};branch=z9hG4bK{id(edge)};rport"
        headers = edge.headers("REGISTER", "107", Via=via, Path="<sip:slow.example;lr>")
        edge.send(f"REGISTER sip:{edge.server} SIP/2.0", headers)
        wait_until(lambda: "slow.example A" in names.asked)
        edge.close()
        site.agents.remove(edge)
        wait_until(lambda: not site.ask("status")["connections"])
        names.release.set()
        after = site.agent("107", "tcp")
        after.socket.close()
        after.socket, _ = listens.accept()
        assert after.final(headers).status == 200
        after.register(expires=0, contact="*")
    assert site.ask("status")["undelivered"] == 0


def test_a_name_that_is_not_found(site: Site, names: NameServer) -> None:
    """Requests go to where the edge sends from."""
    phone = site.agent("106")
    names.zone["gone.example A"] = names.zone["gone.example AAAA"] = ("SERVFAIL",)
    assert phone.register(Path="<sip:gone.example;lr>").status == 200
    site.wait_log(
        "gone.example, where an edge wants requests for its phones, is not found: DNS answers SERVFAIL"
    )
    calling = Calling.trusted(site.agent("103"), "106", sdp(4000))
    phone.reply(phone.wait_request("INVITE"), 486, "Busy Here")
    assert calling.refused().status == 486
    phone.register(expires=0, Path="<sip:gone.example;lr>")


def test_a_trunk_that_has_a_name(site: Site, names: NameServer) -> None:
    """The trunk is called where its name leads, and calls from there are known as its own."""
    carrier = Agent(site.server.address(), "carrier", host="127.0.0.2")
    port = carrier.socket.getsockname()[1]
    names.zone["carrier.example A"] = ("127.0.0.2",)
    site.cli(
        "trunk", "add", "carrier", "--server", f"carrier.example:{port}", "--ping", "0", "--default", "102"
    )
    site.cli("route", "add", "0.", "--trunks", "carrier")
    phone, caller = site.registered("102"), site.agent("103")
    site.wait_trunk("carrier", usable=True)
    calling = Calling.trusted(caller, "0301234567", sdp(4000))
    invite = carrier.wait_request("INVITE")
    assert invite.uri.startswith(f"sip:0301234567@carrier.example:{port}")
    carrier.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486
    calling = Calling.trusted(carrier, "4930101", sdp(7000))
    phone.reply(phone.wait_request("INVITE"), 486, "Busy Here")
    assert calling.refused().status == 486
    carrier.close()
