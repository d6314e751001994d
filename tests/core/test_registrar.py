"""What the registrar does with REGISTERs (RFC 3261, section 10.3), and where it reaches phones."""

from __future__ import annotations

from typing import Any

import pytest
from builders import flow, request
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.contacts import contact_key
from blfd.core.directory import Extension
from blfd.core.effects import Effect, Log, Reply, SaveBindings
from blfd.core.errors import Refusal
from blfd.core.locations import Locations
from blfd.core.messages import RegisterContact, RegisterReceived
from blfd.core.next_hop import NextHops, address_in
from blfd.core.registrar import Registrar
from blfd.core.settings import Settings
from blfd.core.values import Aor, Flow

AOR = Aor("default", "101")
SERVER = ("192.0.2.5", 5060)
ALICE = Extension(AOR)


def made(**settings: Any) -> Registrar:
    """A registrar that trusts edges at 192.0.2.99 and at 198.51.100.7, where `request` comes from."""
    hops = NextHops(
        lambda host: host in ("198.51.100.7", "192.0.2.99"), lambda way: way[1:3] == SERVER, Locations()
    )
    return Registrar(Settings(**settings), hops)


def asked(*contacts: RegisterContact, cseq: int = 1, call_id: str = "r", **over: Any) -> RegisterReceived:
    return RegisterReceived(request("REGISTER", "101", "101", call_id=call_id, cseq=cseq), contacts, **over)


def contact(user: str = "a", expires: int | None = None, q: float = 1.0) -> RegisterContact:
    return RegisterContact(f"sip:{user}@192.0.2.1", q, expires)


def listed(effects: list[Effect]) -> list[str]:
    (reply,) = [e for e in effects if isinstance(e, Reply)]
    assert reply.status == 200
    return [value for name, value in reply.headers if name == "Contact"]


@pytest.mark.parametrize(
    ("message", "contacts"),
    [
        (asked(), []),
        (asked(contact()), ["<sip:a@192.0.2.1>;expires=3600;q=1"]),
        (asked(contact(), expires=600), ["<sip:a@192.0.2.1>;expires=600;q=1"]),
        (asked(contact(expires=120), expires=600), ["<sip:a@192.0.2.1>;expires=120;q=1"]),
        (asked(contact(expires=99999)), ["<sip:a@192.0.2.1>;expires=7200;q=1"]),
        (asked(contact(expires=0)), []),
        (asked(contact(q=0.3)), ["<sip:a@192.0.2.1>;expires=3600;q=0.3"]),
        (asked(contact("a"), contact("b", 0), contact("c")), ["a", "c"]),
        (asked(star=True, expires=0), []),
    ],
)
def test_accepted(message: RegisterReceived, contacts: list[str]) -> None:
    found = listed(made().register(message, ALICE, 0.0))
    assert len(found) == len(contacts)
    assert all(part in value for part, value in zip(contacts, found, strict=True))


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (asked(contact(expires=59)), 423),
        (asked(contact(), expires=1), 423),
        (asked(contact("x"), contact("y", 30)), 423),
        (asked(star=True), 400),
        (asked(star=True, expires=60), 400),
        (asked(contact(), star=True, expires=0), 400),
        (asked(RegisterContact("tel:+491234")), 400),
        (asked(RegisterContact("http://192.0.2.1/")), 400),
        (asked(RegisterContact("sipx:101@192.0.2.1")), 400),
        (asked(*(contact(f"c{n}") for n in range(11))), 403),
        (asked(contact("old"), cseq=5), 500),
        (asked(contact("old"), cseq=4), 500),
        (asked(star=True, expires=0, cseq=5), 500),
    ],
)
def test_refused_all_or_nothing(message: RegisterReceived, status: int) -> None:
    registrar = made()
    registrar.register(asked(contact("old"), cseq=5), ALICE, 0.0)
    before = registrar.bindings(AOR, 0.0)
    with pytest.raises(Refusal) as caught:
        registrar.register(message, ALICE, 0.0)
    assert caught.value.status == status
    assert registrar.bindings(AOR, 0.0) == before


def test_the_minimum_is_told() -> None:
    with pytest.raises(Refusal) as caught:
        made(register_min_expires=90).register(asked(contact(expires=89)), ALICE, 0.0)
    assert caught.value.headers == (("Min-Expires", "90"),)


def test_another_call_id_starts_anew() -> None:
    registrar = made()
    registrar.register(asked(contact(), cseq=50), ALICE, 0.0)
    assert listed(registrar.register(asked(contact(), cseq=1, call_id="rebooted"), ALICE, 0.0))


def test_order_is_by_q_then_newest() -> None:
    registrar = made()
    for number, (user, q) in enumerate((("low", 0.1), ("first", 0.9), ("second", 0.9))):
        registrar.register(asked(contact(user, q=q), cseq=number + 1), ALICE, 0.0)
    order = [binding.contact for binding in registrar.bindings(AOR, 0.0)]
    assert order == [f"sip:{user}@192.0.2.1" for user in ("second", "first", "low")]


def test_what_is_kept() -> None:
    registrar = made()
    message = asked(contact(), path=("<sip:edge;lr>",))
    effects = registrar.register(message, ALICE, 100.0)
    (saved,) = [e for e in effects if isinstance(e, SaveBindings)]
    (binding,) = saved.bindings
    assert (binding.flow, binding.expires_at, binding.path) == (flow("101"), 3700.0, ("<sip:edge;lr>",))
    (reply,) = [e for e in effects if isinstance(e, Reply)]
    assert ("Path", "<sip:edge;lr>") in reply.headers
    again = made()
    again.restore(saved.bindings, 200.0)
    assert again.bindings(AOR, 200.0) == saved.bindings
    again.restore(saved.bindings, 9999.0)
    assert again.bindings(AOR, 9999.0) == ()


def test_expiry() -> None:
    registrar = made()
    registrar.register(asked(contact("short", 60)), ALICE, 0.0)
    registrar.register(asked(contact("long", 3600), cseq=2), ALICE, 0.0)
    assert registrar.timers.next() == 60.0
    (saved,) = [e for e in registrar.timers.handle(60.0) if isinstance(e, SaveBindings)]
    assert [binding.contact for binding in saved.bindings] == ["sip:long@192.0.2.1"]


CLOSED = Flow("tcp", "198.51.100.7", 40_000, 1)
BEHIND_NAT, DIRECT = "sip:101@10.0.0.7:5062", "sip:101@198.51.100.7:5062"
PATH = ("<sip:192.0.2.99:5070;transport=tcp;lr>", "<sip:other.example;lr>")


def over_tcp(*contacts: str, flow: Flow = CLOSED, cseq: int = 1, **over: Any) -> RegisterReceived:
    message = asked(*map(RegisterContact, contacts), cseq=cseq, **over)
    return message._replace(request=message.request._replace(flow=flow))


@pytest.mark.parametrize(
    ("contact", "path", "way"),
    [
        (DIRECT, (), CLOSED._replace(port=5062)),
        (BEHIND_NAT, (), None),
        (BEHIND_NAT, PATH, Flow("tcp", "192.0.2.99", 5070, 1)),
    ],
)
def test_a_closed_connection_takes_no_binding_away(contact: str, path: tuple[str, ...], way: Flow) -> None:
    registrar = made()
    (saved,) = [
        e for e in registrar.register(over_tcp(contact, path=path), ALICE, 0.0) if isinstance(e, SaveBindings)
    ]
    (log,) = registrar.flow_closed(CLOSED) or (None,)
    assert isinstance(log, Log) is (way is None), "one line for each phone that cannot be called"
    again = made()
    again.restore(saved.bindings, 1.0)
    for one in (registrar, again):
        assert one.registered(AOR, 1.0), "a restart closes all connections too"
        assert [binding.flow for binding in one.reachable(AOR, 1.0)] == ([way] if way else [])
        assert [binding.contact for binding in one.bindings(AOR, 1.0)] == [contact]
        assert one.flow_closed(CLOSED) == [], "once"
        assert one.flow_closed(way or CLOSED) == [], "nor is it said of the one that was made instead"
        assert one.timers.handle(3600.0)
        assert not one.registered(AOR, 3600.0)


@pytest.mark.parametrize(
    ("flow", "contact", "is_back"),
    [
        (CLOSED._replace(port=40_001), "sip:101@10.0.0.7:9999", True),
        (CLOSED._replace(port=40_001), "sip:whoever@10.0.0.8", False),
        (CLOSED._replace(host="198.51.100.8"), BEHIND_NAT, False),
        (CLOSED._replace(transport="udp"), BEHIND_NAT, False),
    ],
)
def test_a_phone_that_comes_again_can_be_called(flow: Flow, contact: str, is_back: bool) -> None:
    """Any request of the phone will do; one of another phone of its extension will not."""
    registrar = made()
    registrar.register(over_tcp(BEHIND_NAT), ALICE, 0.0)
    registrar.flow_closed(CLOSED)
    registrar.came_back(AOR, flow, contact)
    assert [binding.flow for binding in registrar.reachable(AOR, 1.0)] == ([flow] if is_back else [])
    if is_back:
        registrar.flow_closed(flow)
        assert registrar.reachable(AOR, 1.0) == ()


AGAIN = CLOSED._replace(port=40_001)


@pytest.mark.parametrize("before", ["", "sip:101@10.0.0.7:7000"])
@pytest.mark.parametrize(
    ("second", "left"),
    [
        (over_tcp("sip:101@10.0.0.7:7000", flow=AGAIN, cseq=2), {7000}),
        (over_tcp("sip:101@10.0.0.7:7000", flow=AGAIN, call_id="rebooted"), {7000}),
        (over_tcp("sip:101@10.0.0.7:5062", flow=AGAIN, cseq=2), {5062}),
        (over_tcp("sip:101@10.0.0.8:7000", flow=AGAIN, call_id="other"), {5062, 7000}),
        (over_tcp("sip:101@10.0.0.7:7000;line=2", flow=AGAIN, cseq=2), {5062, 7000}),
        (over_tcp("sip:101@10.0.0.7:7000", "sip:101@10.0.0.7:5062", flow=AGAIN, cseq=2), {5062, 7000}),
        (over_tcp("sip:101@10.0.0.7:7000", flow=AGAIN, cseq=2, path=PATH), {5062, 7000}),
    ],
)
def test_a_phone_that_connects_from_another_port_is_called_once(
    before: str, second: RegisterReceived, left: set[int]
) -> None:
    """Such a phone does not say which one it is, and its contact has the port of its connection."""
    registrar = made()
    registrar.register(over_tcp(BEHIND_NAT, path=second.path), ALICE, 0.0)
    registrar.flow_closed(CLOSED)
    if before:
        registrar.came_back(AOR, AGAIN, before)
    registrar.came_back(AOR, AGAIN, second.contacts[0].uri)
    registrar.register(second, ALICE, 1.0)
    assert {address_in(b.contact, b.flow)[1] for b in registrar.bindings(AOR, 1.0)} == left


def test_two_phones_of_one_computer_come_back_one_by_one() -> None:
    registrar = made()
    phones = ("sip:101@10.0.0.7:5062", "sip:101@10.0.0.7:5072")
    for number, contact in enumerate(phones):
        flow = CLOSED._replace(port=number)
        registrar.register(over_tcp(contact, flow=flow, call_id=contact), ALICE, 0.0)
        registrar.flow_closed(flow)
    for number, contact in enumerate(phones, 1):
        flow = CLOSED._replace(port=40 + number)
        registrar.came_back(AOR, flow, contact)
        registrar.register(over_tcp(contact, flow=flow, call_id=contact, cseq=2), ALICE, 1.0)
        assert len(registrar.reachable(AOR, 1.0)) == number
    assert {(b.contact, b.flow.port) for b in registrar.bindings(AOR, 1.0)} == {
        (phones[0], 41),
        (phones[1], 42),
    }


def test_connections_cost_a_source_no_more_than_its_bindings() -> None:
    registrar = made(source_bindings=1)
    registrar.register(over_tcp(BEHIND_NAT), ALICE, 0.0)
    registrar.flow_closed(CLOSED)
    registrar.came_back(AOR, CLOSED._replace(port=1), BEHIND_NAT)
    registrar.timers.handle(3600.0)
    assert listed(registrar.register(over_tcp(BEHIND_NAT, call_id="again"), ALICE, 3600.0))


LOOPS = [
    (over_tcp(BEHIND_NAT, path=("<sip:192.0.2.5;lr>",)), "Path or Record-Route leads to this server itself"),
    (asked(contact(), path=("<sip:192.0.2.5:5060;lr>",)), "Path or Record-Route leads to this server itself"),
]


@pytest.mark.parametrize(("message", "reason"), LOOPS)
def test_nobody_is_reached_at_this_server(message: RegisterReceived, reason: str) -> None:
    hops = NextHops(lambda host: True, lambda way: way[1:3] == SERVER, Locations())
    registrar = Registrar(Settings(), hops)
    with pytest.raises(Refusal) as caught:
        registrar.register(message, ALICE, 0.0)
    assert (caught.value.status, caught.value.reason) == (400, reason)
    assert "which is this server" in caught.value.log
    assert not registrar.registered(AOR, 0.0)


def phone(
    port: int, *, instance: str = "", call_id: str = "r", user: str = "101", host: str = "10.0.0.7"
) -> RegisterReceived:
    contact = RegisterContact(f"sip:{user}@{host}:{port}", instance=instance)
    return asked(contact, call_id=call_id, cseq=port)


A, B = "<urn:uuid:a>", "<urn:uuid:b>"


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        (phone(1, instance=A, call_id="x"), phone(2, instance=A, call_id="y"), [2]),
        (phone(1, instance=A, call_id="x", host="10.0.0.8"), phone(2, instance=A, call_id="y"), [2]),
        (phone(1, instance=A, call_id="x"), phone(2, instance=B, call_id="x"), [1, 2]),
        (phone(1, instance=f"{A} 1"), phone(2, instance=f"{A} 2"), [1, 2]),  # two flows of one phone
        (phone(1, instance=A), phone(2, instance=A, user="other"), [1, 2]),
        (phone(1), phone(2), [1, 2]),  # one phone may have several contacts, and need not say which it is
        (phone(1, instance=A), phone(2), [1, 2]),
    ],
)
def test_a_phone_at_another_address_replaces_itself(
    first: RegisterReceived, second: RegisterReceived, left: list[int]
) -> None:
    registrar = made()
    registrar.register(first, ALICE, 0.0)
    effects = registrar.register(second, ALICE, 1.0)
    ports = sorted(int(binding.contact.rpartition(":")[2]) for binding in registrar.bindings(AOR, 1.0))
    assert ports == left
    said = [e.text for e in effects if isinstance(e, Log) and "its phone is at" in e.text]
    assert len(said) == (len(left) == 1)


def test_one_too_many_takes_the_place_of_its_own_or_of_the_oldest() -> None:
    """A phone that takes another port at each start locks neither itself nor others out."""
    registrar = made(max_bindings=3)

    def ports() -> list[int]:
        return sorted(int(binding.contact.rpartition(":")[2]) for binding in registrar.bindings(AOR, 1.0))

    for port, host in ((1, "10.0.0.1"), (2, "10.0.0.2"), (3, "10.0.0.2")):
        registrar.register(phone(port, call_id=f"{port}", host=host), ALICE, 0.0)
    effects = registrar.register(phone(4, call_id="4", host="10.0.0.2"), ALICE, 1.0)
    assert ports() == [1, 3, 4], "the oldest of its own address, though another's is older"
    (said,) = [e.text for e in effects if isinstance(e, Log) and "gives way" in e.text]
    assert said.startswith("101 unregistered sip:101@10.0.0.2:2: the oldest of 3 gives way to sip:101@10.0.0")
    registrar.register(phone(5, call_id="4", host="10.0.0.5"), ALICE, 1.0)
    assert ports() == [1, 3, 5], "its own from before it moved, by its Call-ID"
    registrar.register(phone(9, call_id="9", host="10.0.0.9"), ALICE, 1.0)
    assert ports() == [3, 5, 9], "the one not heard of for longest"
    many = asked(*(RegisterContact(f"sip:101@10.0.0.5:{port}") for port in (21, 22, 23)), cseq=99)
    registrar.register(many, ALICE, 1.0)
    assert ports() == [21, 22, 23]


def test_a_contacts_headers_stay_with_the_binding() -> None:
    registrar = made()
    effects = registrar.register(asked(RegisterContact("sip:101@192.0.2.1?Replaces=x")), ALICE, 0.0)
    assert listed(effects) == ["<sip:101@192.0.2.1?Replaces=x>;expires=3600;q=1"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", True),
        ("sip:carol@chicago.com;newparam=5;a=1", "sip:carol@chicago.com;a=1;newparam=5", True),
        ("SIP:ALICE@AtLanTa.CoM", "sip:alice@atlanta.com", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", False),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", False),
        ("sip:101@192.0.2.4;line=1", "sip:101@192.0.2.4;line=2", False),
        ("sips:bob@biloxi.com", "sip:bob@biloxi.com", False),
    ],
)
def test_equal_contacts(one: str, other: str, same: bool) -> None:
    assert (contact_key(one) == contact_key(other)) is same


STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from([0, 60, 100, 500]), st.integers(0, 90)), max_size=30
)


@given(STEPS)
def test_against_a_model(steps: list[tuple[str, int, int]]) -> None:
    registrar, model, now = made(), dict[str, float](), 0.0
    for number, (user, expires, pause) in enumerate(steps):
        now += pause
        registrar.timers.handle(now)
        registrar.register(asked(contact(user, expires), cseq=number), ALICE, now)
        model[user] = now + expires
        alive = {f"sip:{user}@192.0.2.1" for user, until in model.items() if until > now}
        assert {binding.contact for binding in registrar.bindings(AOR, now)} == alive
        assert registrar.registered(AOR, now) == bool(alive)
        assert {b.contact for b in registrar.all_bindings(now)} == alive


HOME = Flow("udp", "203.0.113.7", 40_000)
ELSEWHERE = Flow("udp", "203.0.113.9", 40_000)


@pytest.mark.parametrize(
    ("flow", "uri", "instance", "path", "moves"),
    [
        (HOME, "sip:101@10.0.0.7:5062", "1 1", (), False),
        (HOME._replace(port=1), "sip:101@10.0.0.7:5062", "", (), True),  # the phone's NAT has forgotten it
        (ELSEWHERE, "sip:101@10.0.0.7:5062", "", (), True),
        (ELSEWHERE, "sip:101@10.0.0.9:5062", "1 1", (), True),
        (ELSEWHERE, "sip:101@10.0.0.9:5062", "1 2", (), False),  # another flow of the phone
        (ELSEWHERE, "sip:101@10.0.0.9:5062", "", (), False),  # maybe another phone
        (HOME, "sip:101@10.0.0.7:5062", "", ("<sip:192.0.2.9;lr>",), True),
    ],
)
def test_what_has_led_to_a_phone_that_is_elsewhere_now(
    flow: Flow, uri: str, instance: str, path: tuple[str, ...], moves: bool
) -> None:
    registrar = made()
    for where, contact, which, routes, cseq in (
        (HOME, "sip:101@10.0.0.7:5062", "1 1", (), 1),
        (flow, uri, instance, path, 2),
    ):
        assert registrar.take_moved() == []
        message = asked(RegisterContact(contact, instance=which), cseq=cseq, call_id=f"{cseq}", path=routes)
        came = message.request._replace(flow=where, asks_rport=True)
        registrar.register(message._replace(request=came), ALICE, 0.0)
    moved = registrar.take_moved()
    assert [(old.flow, new.flow, new.path) for old, new in moved] == [(HOME, flow, path)] * moves
