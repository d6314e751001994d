"""Beside a site's own proxy: Kamailio registers phones, carries their calls and publishes them to blfd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from calls import Calling, Dialog, sdp
from proxies import Kamailio
from sites import Site
from wire import Agent, Message

CONFIG = Path(__file__).parents[2] / "contrib" / "kamailio" / "beside.cfg"
SDP = "application/sdp"


class Proxy(Kamailio):
    """With pua_dialoginfo, beside a site that trusts it."""

    def __init__(self, site: Site, folder: Path) -> None:
        super().__init__(folder)
        self.site = site
        filled = CONFIG.read_text().replace("192.0.2.10:5060", self.address)
        filled = filled.replace("192.0.2.20:5060", site.server.address("udp"))
        probe = Agent(self.address, "101")

        def answers() -> bool:
            probe.send(f"OPTIONS sip:{self.address} SIP/2.0", probe.headers("OPTIONS", "proxy"))
            return probe.receive(0.2)

        self.run(filled, 64, answers)
        probe.close()

    def phone(self, user: str) -> Agent:
        agent = Agent(self.address, user)
        self.site.agents.append(agent)
        assert agent.register().status == 200
        return agent


@pytest.fixture
def beside(own_site: Callable[..., Site], tmp_path: Path) -> Iterator[Proxy]:
    site = own_site("--trust", "127.0.0.0/8")
    site.cli("tenant", "set", "default", "--owner", "published")
    one = Proxy(site, tmp_path)
    yield one
    one.stop()


def talk(beside: Proxy, a: Agent, b: Agent) -> tuple[Dialog, str]:
    """A call that the proxy carries; the caller's side of it, and its Route."""
    calling = Calling.trusted(a, b.user, sdp(4000))
    invite = b.wait_request("INVITE")
    b.reply(invite, 180, "Ringing")
    beside.site.wait_lamp(b.user, "ringing")
    b.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    dialog = calling.acknowledge(answer)
    for phone in (a, b):
        beside.site.wait_lamp(phone.user, "talking")
    return dialog, answer["record-route"]


def states(message: Message) -> list[tuple[str, str]]:
    """Of each dialog in a NOTIFY: its state, and who is at the other end."""
    return [
        (dialog.state.value, dialog.remote.identity.uri if dialog.remote and dialog.remote.identity else "")
        for dialog in message.document.dialogs
    ]


def test_lamps_of_calls_that_the_proxy_carries(beside: Proxy) -> None:
    """A watcher sees them as it sees those of blfd's own; a restart of blfd in mid-call changes no lamp."""
    site = beside.site
    a, b, c = (beside.phone(user) for user in ("101", "102", "103"))
    c.subscribe("102")
    calling = Calling.trusted(a, "102", sdp(4000))
    invite = b.wait_request("INVITE")
    b.reply(invite, 180, "Ringing")
    early = c.notify("early")
    (dialog,) = early.document.dialogs
    assert (dialog.call_id, dialog.remote_tag) == (invite["call-id"], invite.tag("from"))
    assert states(early) == [("early", f"sip:101@{beside.address}")]
    b.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    mine = calling.acknowledge(answer)
    assert states(c.notify("confirmed")) == [("confirmed", f"sip:101@{beside.address}")]
    site.wait_rows("publications", len(site.ask("publications")))
    site.kill()
    site.start()
    for user in ("101", "102"):
        site.wait_lamp(user, "talking")
    assert states(c.notify("confirmed")) == [("confirmed", f"sip:101@{beside.address}")]
    mine.send("BYE", Route=answer["record-route"])
    b.reply(b.wait_request("BYE"), 200)
    assert states(c.notify("terminated"))[0][0] == "terminated"
    for user in ("101", "102"):
        site.wait_idle(user)


def test_two_calls_add_up(beside: Proxy) -> None:
    a, b, c = (beside.phone(user) for user in ("101", "102", "103"))
    mine, route = talk(beside, a, b)
    calling = Calling.trusted(c, "102", sdp(4000))
    invite = b.wait_request("INVITE")
    b.reply(invite, 180, "Ringing")
    beside.site.wait_lamp("102", "ringing")
    b.reply(invite, 486, "Busy Here")
    calling.refused()
    beside.site.wait_lamp("102", "talking")
    mine.send("BYE", Route=route)
    b.reply(b.wait_request("BYE"), 200)
    beside.site.wait_idle("102")


def test_a_code_for_a_call_that_the_proxy_carries(beside: Proxy) -> None:
    a, b, c = (beside.phone(user) for user in ("101", "102", "103"))
    calling = Calling.trusted(a, "102", sdp(4000))
    invite = b.wait_request("INVITE")
    b.reply(invite, 180, "Ringing")
    beside.site.wait_lamp("102", "ringing")
    beside.site.wait_lamp("101", "trying")
    refused = Calling.trusted(c, "*97102", sdp(6000)).refused()
    assert refused.start == "SIP/2.0 488 The call of 102 is carried by another server"
    beside.site.wait_lamp("102", "ringing")
    calling.cancel()
    b.reply(b.wait_request("CANCEL"), 200)
    b.reply(invite, 487, "Request Terminated")
    for user in ("101", "102"):
        beside.site.wait_idle(user)
