"""Everybody subscribes at once, as after a power cut; whoever finds no room is told when to come back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from calls import Calling, sdp
from keys import MANY, Keys
from sites import EXTENSIONS, Site
from wire import Agent

STORM = 10_000


def test_ten_thousand_at_once(own_site: Callable[..., Site]) -> None:
    """All keys are served, none twice, and calls and registrations go on meanwhile."""
    site = own_site("--trust", "127.0.0.0/8", config=f"[sip]\n{MANY}")
    callee, caller = site.registered("102"), site.registered("101")
    keys = Keys(site.server.address(), "112", EXTENSIONS, STORM)
    for number in range(STORM):
        keys.send_subscribe(number)
        if number % 100 == 50:
            keys.send_subscribe(number)  # the phone of this key is impatient
        if number % 500 == 0:
            keys.pump()
    calling = Calling.trusted(caller, "102", sdp(4000))
    callee.reply(callee.wait_request("INVITE"), 486, "Busy Here")
    assert calling.refused().status == 486
    assert site.agent("103").register().status == 200
    keys.wait(lambda: len(keys.answered) == STORM and all(key.notifies for key in keys.all))
    assert keys.refused == {}
    assert keys.faults() == []
    assert site.ask("status")["subscriptions"] == STORM, "none twice"
    assert {key.notifies for key in keys.all if key.resource not in ("101", "102")} == {1}
    keys.close()


def test_beyond_the_queue_phones_are_sent_away(own_site: Callable[..., Site]) -> None:
    site = own_site("--trust", "127.0.0.0/8", config=f"[sip]\nmax_waiting = 20\n{MANY}")
    keys = Keys(site.server.address(), "112", EXTENSIONS, 2000)
    for number in range(2000):
        keys.send_subscribe(number)
    keys.wait(lambda: len(keys.answered) + keys.refused.get(503, 0) == 2000)
    assert keys.refused[503] > 0
    assert site.ask("status")["sent_away"] == keys.refused[503]
    assert site.ask("status")["subscriptions"] == len(keys.answered)
    late = site.agent("103")
    late.subscribe("102")
    keys.close()


def test_who_is_sent_away_is_told_when_to_come_back(own_site: Callable[..., Site]) -> None:
    site = own_site("--trust", "127.0.0.0/8", config="[sip]\nmax_waiting = 0\n")
    agent: Agent = site.agent("103")
    answer = agent.request("SUBSCRIBE", "102", Event="dialog")
    assert answer.start == "SIP/2.0 503 Too Busy"
    assert 5 <= int(answer["retry-after"]) <= 30
    assert agent.register().status == 200, "only storms of SUBSCRIBE wait"


@pytest.mark.parametrize("setting", ["extension_requests", "tenant_requests"])
def test_a_phone_gone_mad(own_site: Callable[..., Site], setting: str) -> None:
    """Twenty requests at once are served, then two a second, of one phone or of all phones of a tenant."""
    site = own_site(config=f"[sip]\n{setting} = 2\n")
    mad = site.agent("101")
    answers = [mad.register() for _ in range(60)]
    assert [answer.status for answer in answers[:20]] == [200] * 20
    refused = [answer for answer in answers if answer.status == 503]
    assert len(refused) > 10
    assert refused[0]["retry-after"] == "5"
    other = site.agent("102")
    if setting == "extension_requests":
        assert other.register().status == 200
    else:
        assert any(other.register().status == 503 for _ in range(40)), "both share what there is"
    assert site.ask("status")["sent_away"] >= len(refused)
