"""Which server of a PBX is asked: after a start, silence or a broken connection, and as DNS says."""

from __future__ import annotations

from dataclasses import replace

from builders import HOST
from upstream_pbx import PBX, UPSTREAM, Pbx, body, dialog, site

from blfd.core.core import Core
from blfd.core.effects import Locate, Log, SendRequest
from blfd.core.inputs import DirectoryChanged, FlowClosed, Located
from blfd.core.settings import Settings
from blfd.core.upstreams.turns import MOST_OUT
from blfd.core.values import Flow, Location, Server, Target


def test_a_pbx_that_has_started_anew_is_asked_for_all_lamps() -> None:
    """One refresh shows that the PBX has started anew; the other subscriptions do not wait for theirs."""
    names = [f"1{n:02}" for n in range(10, 30)]
    pbx = Pbx(replace(UPSTREAM, extensions=("1xx",)), extensions=names)
    pbx.wait(5.0)
    assert len(pbx.asked) == len(names)
    for sent in list(pbx.asked):
        pbx.accept(sent)
        pbx.notify(sent, body(dialog("confirmed")))
    pbx.asked.clear()
    for _ in range(600):
        if pbx.wait(1.0):
            break
    refresh = pbx.asked[0]
    pbx.asked.clear()
    pbx.answer(refresh, 481, "Gone")
    pbx.wait(1.0)
    assert len(pbx.asked) >= len(names) - 1


def test_a_silent_pbx_is_asked_by_one_at_a_time_and_by_all_when_it_answers() -> None:
    names = [f"{n}" for n in range(200, 300)]
    pbx = Pbx(replace(UPSTREAM, extensions=("2xx",)), extensions=names)
    pbx.wait(5.0)
    assert len(pbx.asked) == MOST_OUT
    for sent in list(pbx.asked):
        pbx.answer(sent, 408)
    pbx.asked.clear()
    for _ in range(5):
        pbx.wait(1.0)
    (probe,) = pbx.asked
    pbx.accept(probe)
    pbx.notify(probe, body())
    pbx.wait(5.0)
    assert len(pbx.asked) == 1 + MOST_OUT
    assert len([text for text in pbx.logs if "no answer" in text]) == 1


def test_a_broken_connection_has_all_its_lamps_asked_for() -> None:
    pbx = Pbx(replace(UPSTREAM, transport="tcp"))
    sent = pbx.first()
    assert sent.target == f"sip:102@{PBX};transport=tcp"
    pbx.accept(sent)
    pbx.notify(sent, body(), source=sent.flow)
    pbx.take(pbx.world.give(FlowClosed(sent.flow)))
    again = pbx.wait(0.1)
    assert again
    assert again.call_id == sent.call_id


def test_a_pbx_that_answers_pings_again_is_asked_for_all_lamps() -> None:
    pbx = Pbx(replace(UPSTREAM, ping=30))
    pbx.wait(2.0)
    sent, ping = sorted(pbx.asked, key=lambda one: one.method != "SUBSCRIBE")
    pbx.accept(sent, 3600)
    pbx.notify(sent, body(dialog("confirmed")))
    pbx.answer(ping, 408)
    again = pbx.wait(40.0)
    assert again
    assert again.method == "OPTIONS"
    pbx.answer(again, 200)
    refresh = pbx.wait(0.1)
    assert refresh
    assert (refresh.method, refresh.call_id, pbx.lamp) == ("SUBSCRIBE", sent.call_id, "talking")


def test_servers_that_dns_names_in_another_order_move_nobody() -> None:
    """Subscriptions move from a server that is silent, or that DNS names no more."""
    name, other = Server("pbx.example", 0, ("udp",)), "203.0.113.2"
    pbx = Pbx(replace(UPSTREAM, servers=("pbx.example",)))

    def named(*found: str) -> None:
        targets = tuple(Target("udp", host, 5060) for host in found)
        pbx.take(pbx.world.give(Located(name, Location(targets, 3600.0))))

    pbx.wait(0.1)
    named(PBX, other)
    sent = pbx.wait(0.6)
    assert sent
    for servers, host, is_same in (
        ((PBX, other), PBX, True),
        ((other, PBX), PBX, True),
        ((other,), other, False),
        ((other, PBX), other, True),
    ):
        before = sent.call_id
        pbx.accept(sent)
        assert pbx.notify(sent, body(), source=sent.flow).status == 200
        named(*servers)
        sent = pbx.wait(600 * 0.8 + 1)
        assert sent
        assert (sent.flow.host, sent.call_id == before) == (host, is_same)


def test_a_pbx_that_has_a_name() -> None:
    """The name is looked up first, which is no failure; a name that is not found is one."""
    pbx = Pbx(replace(UPSTREAM, servers=("pbx.example",)))
    effects = pbx.world.at(pbx.world.now + 0.1)
    assert effects == [Locate(Server("pbx.example", 0, ("udp",)))]
    found = Location((Target("udp", PBX, 5066),), 60.0)
    pbx.take(pbx.world.give(Located(Server("pbx.example", 0, ("udp",)), found)))
    sent = pbx.wait(0.6)
    assert sent
    assert (sent.flow.port, sent.target, pbx.logs) == (5066, "sip:102@pbx.example", [])
    pbx.accept(sent)
    assert pbx.notify(sent, body()).status == 200

    lost = Pbx(replace(UPSTREAM, servers=("nowhere.example",)))
    for _ in range(20):
        lost.wait(0.6)
    assert any("its name is not found" in text for text in lost.logs)


def test_an_upstream_that_is_this_server_is_not_asked() -> None:
    here = Flow("udp", PBX, 5060)
    core = Core(Settings(), [HOST], secret=b"s", mark="m", new_tag=lambda: "t", leads_here=here.__eq__)
    core.handle(DirectoryChanged(site()), 0.0)
    effects = core.handle_timer(1.0)
    assert not any(isinstance(effect, SendRequest) for effect in effects)
    assert any(
        "address is that of this server" in effect.text for effect in effects if isinstance(effect, Log)
    )


def test_another_server_when_the_first_is_silent() -> None:
    pbx = Pbx(replace(UPSTREAM, servers=(PBX, "203.0.113.2")))
    pbx.answer(pbx.first(), 408)
    other = pbx.wait(3.0)
    assert other
    assert other.flow.host == "203.0.113.2"
    pbx.accept(other)
    assert pbx.notify(other, body(), source=other.flow).status == 200


def test_all_go_to_the_other_server_when_the_first_falls_silent() -> None:
    second = "203.0.113.2"
    pbx = Pbx(replace(UPSTREAM, servers=(PBX, second), extensions=("102", "103")))
    pbx.wait(1.0)
    old = {sent.call_id for sent in pbx.asked}
    for sent in list(pbx.asked):
        pbx.accept(sent)
        pbx.notify(sent, body(dialog("confirmed")))
    pbx.asked.clear()
    while not pbx.asked:
        pbx.wait(1.0)
    for sent in list(pbx.asked):
        pbx.answer(sent, 408)
    pbx.asked.clear()
    for _ in range(4):
        pbx.wait(1.0)
        for sent in pbx.asked:
            pbx.accept(sent)
    assert {(sent.flow.host, sent.call_id in old) for sent in pbx.asked} == {(second, False)}
    assert {sent.to.uri for sent in pbx.asked} == {f"sip:102@{PBX}", f"sip:103@{PBX}"}
    assert pbx.lamp == "talking"
