"""Transfers end to end: who asks for them, who is called, what everybody is told and sees."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from calls import Calling, Dialog, audio_port, connect, direction, sdp
from sites import Site
from wire import Agent, Message

SDP = "application/sdp"


@dataclass
class Trio:
    """101 and 102 talk, and 103 and 104 may be called; 105 watches all; nobody is challenged."""

    site: Site

    def __post_init__(self) -> None:
        self.agents = {user: self.site.registered(user) for user in ("101", "102", "103", "104", "105")}

    def __getitem__(self, user: str) -> Agent:
        return self.agents[user]

    def talk(self, caller: str = "101", callee: str = "102") -> tuple[Dialog, Dialog]:
        return connect(self[caller], self[callee])


@pytest.fixture
def trio(site: Site) -> Iterator[Trio]:
    trio = Trio(site)
    yield trio
    site.wait_no_call()


def refer(dialog: Dialog, to: str, **more: str) -> Message:
    target = to if ":" in to else f"<sip:{to}@{dialog.agent.server}>"
    return dialog.request("REFER", Refer_To=target, **more)


def told(dialog: Dialog, status: int) -> Message:
    """Until its phone is told of `status` in a NOTIFY, which it confirms."""
    notify = dialog.agent.wait(
        lambda m: m.method == "NOTIFY"
        and m["event"].startswith("refer")
        and m["call-id"] == dialog.call_id
        and m.body.startswith(b"SIP/2.0 %d" % status)
    )
    assert notify["content-type"] == "message/sipfrag;version=2.0"
    state = notify["subscription-state"]
    assert state.startswith("active;expires=" if status < 200 else "terminated;reason=noresource"), state
    return notify


def rings(agent: Agent) -> Message:
    invite = agent.wait_request("INVITE")
    agent.reply(invite, 180, "Ringing")
    return invite


def answers(agent: Agent, invite: Message, port: int = 7000) -> Dialog:
    agent.reply(invite, 200, "OK", sdp(port), Content_Type=SDP)
    agent.wait_request("ACK")
    return Dialog.of_invite(agent, invite)


def moved(dialog: Dialog, port: int, own: int, who: str) -> Message:
    """Its phone is asked to send to `port`, of `who`, by re-INVITE, and answers."""
    again = dialog.agent.wait(lambda m: m.method == "INVITE" and m["call-id"] == dialog.call_id)
    assert audio_port(again) == port
    assert direction(again) == "sendrecv"
    assert f"<sip:{who}@" in again["p-asserted-identity"]
    dialog.agent.reply(again, 200, "OK", sdp(own), Content_Type=SDP)
    dialog.agent.wait(lambda m: m.method == "ACK" and m["call-id"] == dialog.call_id)
    return again


def is_hung_up(dialog: Dialog) -> Message:
    bye = dialog.agent.wait(lambda m: m.method == "BYE" and m["call-id"] == dialog.call_id)
    dialog.agent.reply(bye, 200)
    return bye


def hangs_up(one: Dialog, other: Dialog) -> None:
    headers = one.send("BYE")
    is_hung_up(other)
    assert one.agent.final(headers).status == 200


@pytest.mark.parametrize("by", ["the caller", "the callee"])
def test_blind(trio: Trio, by: str) -> None:
    caller, callee = trio.talk()
    transferor, transferee = (caller, callee) if by == "the caller" else (callee, caller)
    r, t = transferor.agent.user, transferee.agent.user
    accepted = refer(transferor, "103")
    assert accepted.status == 202
    assert accepted["contact"]
    told(transferor, 100)
    invite = rings(trio["103"])
    assert f'"Name {t}" <sip:{t}@' in invite["from"]
    assert f"<sip:{t}@" in invite["p-asserted-identity"]
    assert f"<sip:{r}@" in invite["referred-by"]
    assert audio_port(invite) == (5000 if by == "the caller" else 4000)
    told(transferor, 180)
    trio.site.wait_lamp("103", "ringing")
    for user in (r, t):
        trio.site.wait_lamp(user, "talking")
    target = answers(trio["103"], invite)
    moved(transferee, 7000, 5000 if by == "the caller" else 4000, "103")
    told(transferor, 200)
    is_hung_up(transferor)
    trio.site.wait_idle(r)
    for user in (t, "103"):
        trio.site.wait_lamp(user, "talking")
    hangs_up(transferee, target)
