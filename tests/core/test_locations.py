"""Names of edges: when they are looked up, who waits, how long answers hold, and where requests go then."""

from __future__ import annotations

from typing import Any

import pytest
from builders import World, dials, invite, notifies, register, subscribe

from blfd.core.calls.leg_effects import Accept, Dial, HangUp
from blfd.core.calls.leg_inputs import LegAccepted, LegEnded, LegProgress
from blfd.core.directory import Extension
from blfd.core.effects import Effect, Failed, Locate, Log, Reply
from blfd.core.inputs import FlowClosed, Located, NotifyLost
from blfd.core.locations import (
    LONGEST,
    MOST_ASKED,
    MOST_HELD,
    MOST_KNOWN,
    SHORTEST,
    SILENT,
    UNFOUND,
    Locations,
)
from blfd.core.messages import NotifyResponseReceived, RegisterReceived, SubscribeReceived
from blfd.core.next_hop import NextHops
from blfd.core.values import DialogId, Flow, Location, Server, Target

EDGE, SECOND, THIRD, OTHER = "192.0.2.99", "192.0.2.98", "192.0.2.97", "203.0.113.1"
SERVER = Server("edge.example", 0, ("tcp",))
ROUTES = ("<sip:Edge.Example;lr>",)
CAME = Flow("tcp", EDGE, 40_000, 1)
PHONE = "sip:101@10.0.0.7"


def found(*addresses: str, seconds: float = 60.0, server: Server = SERVER) -> Located:
    targets = tuple(Target(server.transports[0], address, 5070) for address in addresses)
    return Located(server, Location(targets, seconds))


def unfound(fault: str = "DNS does not answer", *, unsure: bool = True) -> Located:
    return Located(SERVER, Location(fault=fault, unsure=unsure))


def hops(locations: Locations, *down: str) -> NextHops:
    trusted = (EDGE, SECOND, THIRD, "2001:db8::99")
    return NextHops(
        lambda host: host in trusted, lambda way: False, locations, lambda way: way.host not in down
    )


def known(*addresses: str) -> Locations:
    locations = Locations()
    locations.located(found(*addresses), 0.0)
    return locations


@pytest.mark.parametrize(
    ("addresses", "down", "host"),
    [
        ((SECOND, EDGE), (), EDGE),  # the edge that the phone has come over
        ((SECOND, THIRD), (), SECOND),  # the first of them in their order
        ((SECOND, THIRD), (SECOND,), THIRD),
        ((SECOND, EDGE), (EDGE,), SECOND),
        ((SECOND, THIRD), (SECOND, THIRD), SECOND),  # none of them answers: the first again
        ((OTHER, SECOND), (), SECOND),  # DNS names no strangers
        (("2001:db8::99", SECOND), (), SECOND),  # nor an address that our listener does not reach
    ],
)
def test_where_a_name_leads(addresses: tuple[str, ...], down: tuple[str, ...], host: str) -> None:
    way = hops(known(*addresses), *down).reopened(CAME, PHONE, ROUTES)
    assert way == CAME._replace(host=host, port=5070)


def test_whose_certificate_is_expected_where_a_name_leads() -> None:
    """The certificate has the name that was asked for, not one that DNS tells (RFC 5922, section 7.1)."""
    asked = Server("edge.example", 0, ("tls",))
    locations, came = Locations(), CAME._replace(transport="tls")
    locations.located(found(EDGE, server=asked), 0.0)
    way = hops(locations).reopened(came, PHONE, ROUTES)
    assert way == Flow("tls", EDGE, 5070, 1, "edge.example")
    assert hops(locations).ways(came, ROUTES) == [came, way]
    assert way.to(EDGE, 5071).name == "edge.example"
    assert way.to(OTHER, 5070).name == ""
    assert hops(locations).reopened(came, PHONE, (f"<sip:{EDGE};lr>",)) == came._replace(port=5061)


@pytest.mark.parametrize("addresses", [(), (OTHER,), ("2001:db8::99",)])
def test_a_name_that_leads_nowhere_is_as_if_it_were_none(addresses: tuple[str, ...]) -> None:
    assert hops(known(*addresses)).reopened(CAME, PHONE, ROUTES) == CAME._replace(port=5060)


def test_what_is_asked_says_the_transport_and_the_port() -> None:
    locations = Locations()
    ways = hops(locations)
    ways.reopened(CAME, PHONE, ("<sip:edge.example:5061;lr>",))
    ways.of(CAME._replace(transport="udp"), PHONE, ROUTES, asks_rport=True)
    ways.reopened(CAME, "sip:pbx.example", ())
    asked = [effect.server for effect in locations.take_wanted() if isinstance(effect, Locate)]
    assert asked == [
        Server("edge.example", 5061, ("tcp",)),
        Server("edge.example", 0, ("udp",)),
        Server("pbx.example", 0, ("tcp",)),
    ]
    assert not locations.take_wanted()
    ways.reopened(CAME._replace(host=OTHER), PHONE, ROUTES)
    assert not locations.take_wanted(), "strangers have nothing looked up"


def test_a_target_without_an_answer_comes_last_for_a_while() -> None:
    locations = known(SECOND, THIRD)
    ways = hops(locations)
    first = CAME._replace(host=SECOND, port=5070)
    second = ways.without_response(first, PHONE, ROUTES, 1.0)
    assert second.host == THIRD
    assert ways.reopened(CAME, PHONE, ROUTES) == second
    assert ways.without_response(second, PHONE, ROUTES, 2.0) == second, "none is left"
    locations.timers.handle(1.0 + SILENT)
    assert ways.reopened(CAME, PHONE, ROUTES) == first
    assert ways.without_response(CAME, PHONE, (f"<sip:{EDGE}>",), 0.0) == CAME, "an address has no other"


@pytest.mark.parametrize(
    ("answer", "lasts"),
    [
        (found(EDGE, seconds=0), SHORTEST),
        (found(EDGE, seconds=100), 100),
        (found(EDGE, seconds=1e9), LONGEST),
        (unfound(), UNFOUND),
    ],
)
def test_how_long_an_answer_holds(answer: Located, lasts: float) -> None:
    locations = Locations()
    locations.located(answer, 0.0)
    locations.timers.handle(lasts - 0.1)
    targets = locations.targets(SERVER)
    assert not locations.take_wanted()
    locations.timers.handle(lasts)
    assert locations.targets(SERVER) == targets, "until it is known anew"
    assert locations.take_wanted() == [Locate(SERVER)]
    locations.targets(SERVER)
    assert not locations.take_wanted(), "asked for once"


def test_what_was_known_holds_while_dns_is_silent_and_ends_when_it_says_so() -> None:
    locations = known(EDGE)
    locations.located(unfound(), 100.0)
    assert locations.targets(SERVER)
    locations.located(unfound("DNS has no address for it", unsure=False), 200.0)
    assert not locations.targets(SERVER)
    assert locations.fault(SERVER) == "DNS has no address for it"


def test_names_and_those_who_wait_for_them_are_bounded() -> None:
    locations = Locations()
    for number in range(MOST_ASKED + 5):
        locations.targets(Server(f"a{number}.example", 0, ("udp",)))
    assert len(locations.take_wanted()) == MOST_ASKED
    assert not locations.hold(Server("more.example", 0, ("udp",)), NotifyResponseReceived("x", 200))
    asked = Server("a0.example", 0, ("udp",))
    assert (
        sum(locations.hold(asked, NotifyResponseReceived("x", 200)) for _ in range(MOST_HELD + 5))
        == MOST_HELD
    )
    assert len(locations.located(found(EDGE, server=asked), 0.0)) == MOST_HELD
    for number in range(MOST_KNOWN + 5):
        locations.located(found(EDGE, server=Server(f"b{number}.example", 0, ("udp",))), 0.0)
    assert len(locations) == MOST_KNOWN
    assert len(locations.timers) <= 2 * MOST_KNOWN + 200


def behind(event: RegisterReceived | SubscribeReceived, flow: Flow) -> RegisterReceived | SubscribeReceived:
    """A request that has come over `flow`, from an edge that has a name."""
    asked = event.request._replace(flow=flow)
    if isinstance(event, RegisterReceived):
        return event._replace(request=asked, path=ROUTES)
    return event._replace(request=asked, record_route=ROUTES)


def test_a_request_waits_for_its_way() -> None:
    """A REGISTER through an edge with a name is answered once the name is known, and leads there."""
    world = World(phones=())
    udp, server = CAME._replace(transport="udp"), SERVER._replace(transports=("udp",))
    assert world.give(behind(register("101"), udp)) == [Locate(server)]
    assert world.give(behind(register("101", cseq=2), udp)) == [], "the look-up goes on already"
    effects = world.give(found(SECOND, server=server))
    assert [e.status for e in effects if isinstance(e, Reply)] == [200, 200]
    (binding,) = world.core.registrar.all_bindings(world.now)
    assert binding.flow[:3] == ("udp", SECOND, 5070)


def test_one_that_fails_takes_no_other_one_that_has_waited_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(phones=())
    for user in ("101", "102", "103"):
        world.give(behind(register(user), CAME))
    register_as_ever = world.core.registrar.register

    def registers(asked: RegisterReceived, extension: Extension, *more: Any) -> list[Effect]:
        if extension.aor.extension == "102":
            raise RuntimeError("102")
        return register_as_ever(asked, extension, *more)

    monkeypatch.setattr(world.core.registrar, "register", registers)
    effects = world.give(found(SECOND))
    assert [e.status for e in effects if isinstance(e, Reply)] == [200, 200]
    assert [str(e.error) for e in effects if isinstance(e, Failed)] == ["102"]


def test_a_request_that_has_waited_in_vain() -> None:
    world = World(phones=())
    world.give(behind(register("101"), CAME))
    effects = world.give(unfound("DNS answers SERVFAIL"))
    (warning,) = (e.text for e in effects if isinstance(e, Log) and "edge.example" in e.text)
    assert "DNS answers SERVFAIL" in warning
    assert [e.status for e in effects if isinstance(e, Reply)] == [200], "it is reached where it came from"
    assert any(isinstance(e, Reply) for e in world.give(behind(register("102"), CAME))), "nobody waits again"


def accepted(effects: list[Effect]) -> Accept:
    (accept,) = effects
    assert isinstance(accept, Accept)
    return accept


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_watcher_behind_an_edge_with_two_addresses(transport: str) -> None:
    """A NOTIFY that has no response, or no connection, goes to the next address at once."""
    world = World()
    flow, server = CAME._replace(transport=transport), SERVER._replace(transports=(transport,))
    world.give(behind(subscribe(), flow))
    (told,) = notifies(world.give(found(SECOND, THIRD, server=server)))
    if transport == "tcp":  # over the watcher's connection
        assert told.flow == flow
        world.confirm([told])
        world.give(FlowClosed(flow))
        accept = accepted(world.give(invite("101", "102")))
        (leg,) = (e.leg for e in world.give(LegAccepted(accept.leg, "ours")) if isinstance(e, Dial))
        dialog = DialogId("id", "ours", "theirs")
        (told,) = notifies(world.give(LegProgress(leg, 180, "", dialog, None)))
    assert told.flow.host == SECOND
    world.give(NotifyResponseReceived(told.subscription, 408))
    (told,) = notifies(world.at(world.now))
    assert told.flow.host == THIRD
    world.give(NotifyLost(told.subscription, told.flow))
    assert notifies(world.at(world.now)) == [], "both have been tried"
    assert notifies(world.at(world.now + 5))


@pytest.mark.parametrize("end", [LegEnded(0, 408, "", silent=True), LegEnded(0, 503, "Busy")])
def test_a_call_tries_the_next_address_until_the_phone_rings(end: LegEnded) -> None:
    """A failure leads to the next address only before the phone rings (RFC 3263, section 4.3)."""
    world = World(phones=())
    udp, server = CAME._replace(transport="udp"), SERVER._replace(transports=("udp",))
    world.give(behind(register("102"), udp))
    world.give(found(SECOND, THIRD, server=server))
    accept = accepted(world.give(invite("101", "102")))
    (first,) = dials(world.give(LegAccepted(accept.leg, "ours")))
    (second,) = dials(world.give(end._replace(leg=first.leg)))
    assert [dial.flow.host for dial in (first, second)] == [SECOND, THIRD]
    assert (second.route, second.offer, second.leg != first.leg) == (ROUTES, first.offer, True)
    world.give(LegProgress(second.leg, 180, "", DialogId("id", "ours", "theirs"), None))
    (ended,) = (e for e in world.give(end._replace(leg=second.leg)) if isinstance(e, HangUp))
    assert (ended.leg, ended.status) == (accept.leg, 480 if end.silent else 500)
    accept = accepted(world.give(invite("101", "102")))
    again = [dial.flow.host for dial in dials(world.give(LegAccepted(accept.leg, "ours")))]
    assert again == [THIRD if end.silent else SECOND], "what was silent comes last for a while"
    world.give(LegEnded(accept.leg, 487, ""))
    world.at(world.now + 61)
    accept = accepted(world.give(invite("101", "102")))
    assert [dial.flow.host for dial in dials(world.give(LegAccepted(accept.leg, "ours")))] == [SECOND]
