"""IPv4 and IPv6 beside each other: listeners of both, calls between them, and what their media allows."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
from calls import Calling, connect, sdp
from pickups import hang_up
from sites import Site
from sockets import needs_ipv6
from wire import Agent

from blfd.core.calls.media import APART
from blfd.web.__main__ import listening

pytestmark = needs_ipv6
SDP = "application/sdp"
IPV6_SDP = sdp(5000).replace(b"IN IP4 127.0.0.1", b"IN IP6 ::1")


class Dual(Site):
    """A site that listens on [::] alone, which serves both; agents of "udp6" and "tcp6" use IPv6."""

    def start(self) -> None:
        self.listen = ["udp:[::]:0", "tcp:[::]:0"]
        super().start()

    def agent(self, user: str = "101", transport: str = "udp") -> Agent:
        kind = transport.rstrip("6")
        port = self.server.address(f"{kind}6").rpartition(":")[2]
        host = "[::1]" if transport.endswith("6") else "127.0.0.1"
        self.agents.append(Agent(f"{host}:{port}", user, f"secret-{user}", kind))
        return self.agents[-1]


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Dual(tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_phones_of_both_families_call_watch_and_pick_up(site: Site, transport: str) -> None:
    """Each phone sees only addresses of its own family, of the server and in its dialogs."""
    old, new = site.registered("101", transport), site.registered("102", f"{transport}6")
    picker = site.registered("103", transport)
    picker.subscribe("102")
    calling = Calling.start(old, "102", sdp(4000))
    invite = new.wait_request("INVITE")
    new.reply(invite, 180, "Ringing")
    assert calling.provisional(180)["contact"] == at(old)
    assert invite["contact"] == at(new)
    assert re.match(rf"SIP/2.0/{transport.upper()} {re.escape(new.server)};", invite["via"])
    early = picker.notify("early").document.dialogs[0]
    replaces = f"{early.call_id};to-tag={early.remote_tag};from-tag={early.local_tag}"
    picking = Calling.start(picker, "102", sdp(6000), Replaces=replaces)
    assert picking.final().status == 200
    new.reply(new.wait_request("CANCEL"), 200)
    new.reply(invite, 487, "Request Terminated")
    new.wait_request("ACK")
    assert picking.answer
    hang_up(calling.acknowledge(calling.final()), picking.acknowledge(picking.answer))


def at(agent: Agent) -> str:
    """The Contact of the server, at the address that this phone sees."""
    return f"<sip:{agent.server}{';transport=tcp' if agent.transport == 'tcp' else ''}>"


@pytest.mark.parametrize("transport", ["udp6", "tcp6"])
def test_a_call_over_ipv6_through_all_that_is_sent_in_it(site: Site, transport: str) -> None:
    """All messages to a phone have true addresses, in what it has written itself, too."""
    caller, callee = site.registered("104", transport), site.registered("105", transport)
    mine, other = connect(caller, callee)
    for one, peer in ((mine, other), (other, mine)):
        headers = one.send("INVITE", sdp(4002, "sendonly"))
        again = peer.agent.wait_request("INVITE")
        assert again["contact"] == at(peer.agent)
        assert "240." not in "".join(value for _, value in again.headers)
        peer.agent.reply(again, 200, "OK", sdp(5002, "recvonly"), Content_Type=SDP)
        answer = one.agent.final(headers)
        assert answer.all("via") == [f"{headers['Via']}={port(one.agent)};received=::1"]
        one.ack(answer)
        peer.agent.wait_request("ACK")
        assert one.agent.request("OPTIONS", "101").status == 200, "its ACK has been taken, too"
    info = mine.send("INFO", b"Signal=1", "application/dtmf-relay")
    callee.reply(callee.wait_request("INFO"), 200)
    assert caller.final(info).status == 200
    ended = other.send("BYE")
    caller.reply(caller.wait_request("BYE"), 200)
    assert callee.final(ended).status == 200


def port(agent: Agent) -> str:
    return agent.address.rpartition(":")[2]


def test_media_that_cannot_meet(site: Site) -> None:
    """The call rings; an answer of the other family ends it, and both phones are told why."""
    old, new = site.registered("106"), site.registered("107", "udp6")
    calling = Calling.start(old, "107", sdp(4000))
    invite = new.wait_request("INVITE")
    new.reply(invite, 180, "Ringing")
    calling.provisional(180)
    new.reply(invite, 200, "OK", IPV6_SDP, Content_Type=SDP)
    refused = calling.refused()
    assert refused.start == f"SIP/2.0 488 {APART}"
    new.wait_request("ACK")
    new.reply(new.wait_request("BYE"), 200)
    site.wait_log(f"107 at {uri_of(new)} answers a call: {APART}")
    site.wait_no_call()


def uri_of(agent: Agent) -> str:
    return f"sip:{agent.user}@{agent.address}"


def test_a_maddr_is_followed_in_no_call(site: Site) -> None:
    """A maddr that was followed would let anybody have us send, and look names up, anywhere."""
    caller, callee, elsewhere = site.registered("108"), site.registered("109"), site.agent("110")
    mine, _ = connect(caller, callee)
    sent_by = f"SIP/2.0/UDP {elsewhere.address}"
    via = f"{sent_by};branch={caller.via().split('branch=')[1]};maddr=127.0.0.1"
    ended = mine.send("BYE", Via=via)
    callee.reply(callee.wait_request("BYE"), 200)
    assert caller.final(ended)["via"].startswith(f"{sent_by};branch=")
    assert elsewhere.silent(lambda m: True, 0.2)


def test_phones_files_and_pages_are_served_to_both() -> None:
    with listening({"name": "portal", "address": "::", "port": 0}) as served:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, served.getsockname()[1]), 10):
                accepted, source = served.accept()
                accepted.close()
                assert source[0].removeprefix("::ffff:") == host
