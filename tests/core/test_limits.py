"""Limits, so that nobody takes what is there for all: each refuses one more, and says which it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from builders import SDP, World, invite, register, reply, subscribe

from blfd.core.access import limits
from blfd.core.access.limits import Rates
from blfd.core.calls.leg_effects import Accept
from blfd.core.calls.leg_inputs import LegAccepted, LegEnded
from blfd.core.effects import Effect, Log, Reply
from blfd.core.messages import InviteReceived, NotifyResponseReceived, RegisterReceived, SubscribeReceived
from blfd.core.settings import Settings
from blfd.core.values import Flow

Asked = InviteReceived | RegisterReceived | SubscribeReceived


def refused(effects: list[Effect], what: str, setting: str) -> None:
    answer = reply(effects)
    assert (answer.status, answer.reason) == (403, f"At most 2 {what}")
    (log,) = [effect.text for effect in effects if isinstance(effect, Log)]
    assert f"raise {setting} if that is right" in log


def only_two(setting: str) -> Settings:
    most: dict[str, Any] = {setting: 2}
    return Settings(**most)


@pytest.mark.parametrize("setting", ["max_subscriptions", "tenant_subscriptions", "source_subscriptions"])
def test_subscriptions(setting: str) -> None:
    world = World(only_two(setting))
    one, two, three = ("103", "103", "103") if setting == "max_subscriptions" else ("101", "102", "103")
    tag = reply(world.give(subscribe(one, call_id="first"))).to_tag
    assert reply(world.give(subscribe(two))).status == 200
    refused(world.give(subscribe(three)), "subscriptions", setting)
    world.give(NotifyResponseReceived(tag, 200))
    world.confirm(world.give(subscribe(one, call_id="first", to_tag=tag, cseq=2, expires=0)))
    assert reply(world.give(subscribe(three))).status == 200


def call(world: World, who: str) -> int:
    (accept,) = world.give(invite(who, "102", SDP))
    assert isinstance(accept, Accept)
    world.give(LegAccepted(accept.leg, "tag"))
    return accept.leg


@pytest.mark.parametrize(
    ("setting", "who"),
    [("max_calls", ("101", "101")), ("tenant_calls", ("101", "103")), ("source_calls", ("101", "101"))],
)
def test_calls(setting: str, who: tuple[str, str]) -> None:
    world = World(only_two(setting))
    first, _ = (call(world, caller) for caller in who)
    refused(world.give(invite("101", "102")), "calls", setting)
    world.give(LegEnded(first, 487, ""))
    assert call(world, "101")


@pytest.mark.parametrize("setting", ["source_bindings", "tenant_bindings"])
def test_contacts(setting: str) -> None:
    world = World(only_two(setting), phones=("101", "102"))
    refused(world.give(register("103")), "contacts", setting)
    assert reply(world.give(register("101", cseq=2))).status == 200, "a refresh takes no room"
    assert reply(world.give(register("101", cseq=3, expires=0))).status == 200
    assert reply(world.give(register("103"))).status == 200


def test_contacts_that_end_by_themselves_give_room() -> None:
    world = World(Settings(source_bindings=1), phones=())
    world.give(register("101"))
    assert reply(world.give(register("102"))).status == 403
    world.at(world.now + 10_000)
    assert reply(world.give(register("102"))).status == 200


IPV6 = ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8::2")
ASKED: dict[str, tuple[Callable[[str], Asked], str]] = {
    "source_bindings": (register, "contacts"),
    "source_subscriptions": (subscribe, "subscriptions"),
    "source_calls": (lambda who: invite(who, "102"), "calls"),
}


@pytest.mark.parametrize("setting", ASKED)
def test_everybody_has_a_64_of_addresses_and_is_one_source(setting: str) -> None:
    world = World(only_two(setting), phones=() if setting == "source_bindings" else ("102",))
    asks, what = ASKED[setting]

    def asked(who: str, host: str) -> list[Effect]:
        event = asks(who)
        return world.give(event._replace(request=event.request._replace(flow=Flow("udp", host, 5060))))

    for who, host in zip(("101", "103"), IPV6, strict=False):
        assert not [e for e in asked(who, host) if isinstance(e, Reply) and e.status >= 300]
    refused(asked("102", IPV6[2]), what, setting)
    elsewhere = asked("102", "2001:db8:0:1::1")
    assert not [e for e in elsewhere if isinstance(e, Reply) and e.status >= 300], "another site"


def test_requests_a_second() -> None:
    table = Rates(2)
    served = [table.take("192.0.2.1", 0.0) for _ in range(25)]
    assert served == [True] * 20 + [False] * 5, "ten seconds' worth at once"
    assert table.take("192.0.2.2", 0.0), "another source is served"
    assert [table.take("192.0.2.1", 1.0) for _ in range(3)] == [True, True, False]
    assert [table.take("192.0.2.1", 1000.0) for _ in range(25)].count(True) == 20
    assert table.refused == 5 + 1 + 5
    assert not table.take("192.0.2.1", 0.0), "a clock that is set back costs nobody anything"
    assert table.take("192.0.2.1", 1.0)


def test_the_table_of_sources_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_KNOWN", 5)
    table = Rates(1)
    assert all(table.take(str(number), 0.0) for number in range(100))
    assert len(table._left) == 5
