"""The session timer (RFC 4028) finds phones that die in calls, and carriers that do not refresh as agreed."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

from calls import Calling, Dialog, connect, hang_up, sdp
from sites import Site
from wire import Agent

SDP = "application/sdp"
SESSION = 90  # seconds: the RFC's minimum
PATIENCE = 45 + 32 + 60  # seconds: the refresh is due at half of SESSION, and times out after 64 * T1
WITH_UPDATE = "INVITE, ACK, CANCEL, BYE, UPDATE"


class Living:
    """Agents that answer requests in their calls; `asked` has the methods that each got, in order."""

    def __init__(self, *agents: Agent) -> None:
        self.agents = agents
        self.asked: dict[str, list[str]] = {}

    def until(self, is_over: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_over():
            assert time.monotonic() < end, self.asked
            select.select([agent.socket for agent in self.agents], [], [], 0.5)
            for agent in self.agents:
                agent.take_all()
                self._answer(agent)

    def _answer(self, agent: Agent) -> None:
        for request in [m for m in agent.received if m.method in ("INVITE", "UPDATE", "BYE")]:
            self.asked.setdefault(request["call-id"], []).append(request.method)
            more = {} if request.method == "BYE" else {"Session_Expires": f"{SESSION};refresher=uac"}
            more |= {"Content_Type": SDP} if request.method == "INVITE" else {}
            agent.reply(request, 200, "OK", sdp(4000) if request.method == "INVITE" else b"", **more)

    def of(self, call_id: str) -> list[str]:
        return self.asked.get(call_id, [])


def test_who_does_not_answer_or_refresh_any_more(own_site: Callable[..., Site]) -> None:
    """A phone has lost its power, and a carrier that is to refresh does not; their calls end.

    Beside them calls go on, one refreshed by UPDATE, as its carrier knows that, and one by INVITE.
    """
    site = own_site(config=f"[sip]\nsession_expires = {SESSION}\n")
    carrier = Agent(site.server.address(), "carrier", "", host="127.0.0.2")
    site.agents.append(carrier)
    site.cli("trunk", "add", "line", "--server", carrier.address, "--ping", "0", "--did", "+4930x=10x")
    site.cli("route", "add", "0.", "--trunks", "line")
    caller, callee, watcher = site.registered("101"), site.registered("102"), site.agent("103")
    dying, _ = connect(caller, callee)
    callee.is_registered = False
    callee.close()
    site.agents.remove(callee)
    watcher.subscribe("102")

    idle, called = calls_in(carrier, site.registered("104"))
    by_update = calls_out(site.registered("105"), carrier, Allow=WITH_UPDATE)
    by_invite = calls_out(site.registered("106"), carrier)
    living = Living(caller, carrier, *(one.agent for one in (called, by_update[0], by_invite[0])))

    ended = (dying.call_id, idle.call_id, called.call_id)
    living.until(lambda: all("BYE" in living.of(call_id) for call_id in ended))
    assert living.of(idle.call_id) == ["BYE"]
    (dialog,) = watcher.notify("terminated").document.dialogs
    assert dialog.remote
    assert dialog.remote.identity
    assert dialog.remote.identity.uri == f"sip:101@{watcher.server}"
    for (mine, outside), method in ((by_update, "UPDATE"), (by_invite, "INVITE")):
        assert set(living.of(outside.call_id)) == {method}
        assert "BYE" not in living.of(mine.call_id)
        hang_up(mine, carrier)


def calls_in(carrier: Agent, phone: Agent) -> tuple[Dialog, Dialog]:
    """Set up a call that the carrier says it will refresh, and return its side and the phone's."""
    timed = {"Supported": "timer", "Session-Expires": f"{SESSION};refresher=uac"}
    calling = Calling.trusted(carrier, f"+4930{phone.user[-1]}", sdp(7000), **timed)
    invite = phone.wait_request("INVITE")
    phone.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    assert answer["session-expires"] == f"{SESSION};refresher=uac"
    dialog = calling.acknowledge(answer)
    phone.wait_request("ACK")
    return dialog, Dialog.of_invite(phone, invite)


def calls_out(phone: Agent, carrier: Agent, **more: str) -> tuple[Dialog, Dialog]:
    """Set up a call that blfd refreshes, and return the phone's side and the carrier's."""
    calling = Calling.start(phone, "0301", sdp(4000))
    invite = carrier.wait_request("INVITE")
    timed = {"Session_Expires": f"{SESSION};refresher=uac", "Require": "timer"}
    carrier.reply(invite, 200, "OK", sdp(7000), Content_Type=SDP, **timed, **more)
    dialog = calling.acknowledge(calling.final())
    carrier.wait_request("ACK")
    return dialog, Dialog.of_invite(carrier, invite)
