"""SIP over TCP as networks and attackers deliver it: glued, cut anywhere, slow, endless, or too often."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

import pytest
from sites import Site
from wire import DEADLINE, Agent

BODY = b"v=0\r\n\r\nINVITE sip:102@nowhere SIP/2.0\r\n\r\n"  # no message begins in here


def options(agent: Agent, *more: str) -> bytes:
    headers = agent.headers("OPTIONS", "101")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    lines += "".join(f"{line}\r\n" for line in more)
    start = f"OPTIONS sip:101@host SIP/2.0\r\n{lines}Content-Type: text/plain\r\n"
    return f"{start}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY


def closed(agent: Agent, timeout: float = DEADLINE) -> bool:
    agent.socket.settimeout(timeout)
    try:
        return not agent.socket.recv(65535)
    except ConnectionResetError:
        return True


def test_glued_messages_are_told_apart(site: Site) -> None:
    agent = site.agent("101", "tcp")
    agent.send_raw(b"".join(options(agent) for _ in range(50)) + b"\r\n\r\n" + options(agent))
    assert [agent.wait(lambda m: m.status > 0).status for _ in range(51)] == [200] * 51


def test_messages_cut_anywhere_are_put_together(site: Site) -> None:
    agent, dice = site.agent("101", "tcp"), random.Random(3261)
    stream = b"".join(options(agent) for _ in range(20))
    while stream:
        size = dice.choice((1, 1, 2, 40, 700))
        agent.send_raw(stream[:size])
        stream = stream[size:]
    assert [agent.wait(lambda m: m.status > 0).status for _ in range(20)] == [200] * 20


def test_half_a_message_is_waited_for(site: Site) -> None:
    agent = site.agent("101", "tcp")
    whole = options(agent)
    for at in range(0, len(whole), 40):
        assert not agent.received
        agent.send_raw(whole[at : at + 40])
    assert agent.wait(lambda m: True).status == 200


def test_a_message_that_never_ends_is_not_waited_for(own_site: Callable[..., Site]) -> None:
    site = own_site(config="[sip]\nslowest_message = 1\n")
    slow, idle = site.agent("101", "tcp"), site.agent("102", "tcp")
    assert idle.request("OPTIONS", "101").status == 200
    slow.send_raw(options(slow)[:-1])
    assert closed(slow)
    assert idle.request("OPTIONS", "101").status == 200, "a connection may be silent for as long as it likes"


@pytest.mark.parametrize(
    "stream", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"OPTIONS sip:x SIP/2.0\r\nX: " + b"x" * 70_000]
)
def test_what_is_not_sip_closes_the_connection(site: Site, stream: bytes) -> None:
    agent = site.agent("101", "tcp")
    agent.send_raw(stream)
    assert closed(agent)
    assert site.agent("101", "tcp").request("OPTIONS", "101").status == 200


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_too_many_header_lines(site: Site, transport: str) -> None:
    agent = site.agent("101", transport)
    agent.send_raw(options(agent, *["Y: y"] * 300))
    assert agent.wait(lambda m: m.status > 0).start == "SIP/2.0 400 Bad Request: more than 256 header lines"
    agent.send_raw(options(agent, *["Y: y"] * 200))
    assert agent.wait(lambda m: m.status > 0).status == 200


def test_one_address_cannot_take_all_connections(own_site: Callable[..., Site]) -> None:
    site = own_site(config="[sip]\nsource_connections = 3\n")
    first, *others = [site.agent("101", "tcp") for _ in range(3)]
    for agent in (first, *others):
        assert agent.request("OPTIONS", "101").status == 200
    assert closed(site.agent("101", "tcp"))
    other = socket.create_connection(first.peer[:2], source_address=("127.0.0.2", 0))
    try:
        other.sendall(options(first))
        assert other.recv(65535).startswith(b"SIP/2.0 200")
    finally:
        other.close()
    first.socket.close()
    site.agents.remove(first)
    others[0].request("OPTIONS", "101")  # by now the server has seen the connection close
    assert site.agent("101", "tcp").request("OPTIONS", "101").status == 200, "room again"
