"""REGISTER (RFC 3261, section 10.3)."""

from __future__ import annotations

import pytest
from builders import flow, request
from hypothesis import given
from hypothesis import strategies as st

from blfd.core.effects import Effect, Reply, SaveBindings
from blfd.core.errors import Refusal
from blfd.core.inputs import RegisterContact, RegisterReceived
from blfd.core.registrar import Registrar, contact_key
from blfd.core.values import Aor, Extension, Settings

AOR = Aor("default", "101")
ALICE = Extension(AOR)


def asked(*contacts: RegisterContact, cseq: int = 1, call_id: str = "r", **over: object) -> RegisterReceived:
    return RegisterReceived(request("REGISTER", "101", "101", call_id=call_id, cseq=cseq), contacts, **over)  # type: ignore[arg-type]


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
    found = listed(Registrar(Settings()).register(message, ALICE, 0.0))
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
        (asked(*(contact(f"c{n}") for n in range(11))), 403),
        (asked(contact("old"), cseq=5), 500),
        (asked(contact("old"), cseq=4), 500),
        (asked(star=True, expires=0, cseq=5), 500),
    ],
)
def test_refused_all_or_nothing(message: RegisterReceived, status: int) -> None:
    registrar = Registrar(Settings())
    registrar.register(asked(contact("old"), cseq=5), ALICE, 0.0)
    before = registrar.bindings(AOR, 0.0)
    with pytest.raises(Refusal) as caught:
        registrar.register(message, ALICE, 0.0)
    assert caught.value.status == status
    assert registrar.bindings(AOR, 0.0) == before


def test_the_minimum_is_told() -> None:
    with pytest.raises(Refusal) as caught:
        Registrar(Settings(register_min_expires=90)).register(asked(contact(expires=89)), ALICE, 0.0)
    assert caught.value.headers == (("Min-Expires", "90"),)


def test_another_call_id_starts_anew() -> None:
    registrar = Registrar(Settings())
    registrar.register(asked(contact(), cseq=50), ALICE, 0.0)
    assert listed(registrar.register(asked(contact(), cseq=1, call_id="rebooted"), ALICE, 0.0))


def test_order_is_by_q_then_newest() -> None:
    registrar = Registrar(Settings())
    for number, (user, q) in enumerate((("low", 0.1), ("first", 0.9), ("second", 0.9))):
        registrar.register(asked(contact(user, q=q), cseq=number + 1), ALICE, 0.0)
    order = [binding.contact for binding in registrar.bindings(AOR, 0.0)]
    assert order == [f"sip:{user}@192.0.2.1" for user in ("second", "first", "low")]


def test_what_is_kept() -> None:
    registrar = Registrar(Settings())
    message = asked(contact(), path=("<sip:edge;lr>",))
    effects = registrar.register(message, ALICE, 100.0)
    (saved,) = [e for e in effects if isinstance(e, SaveBindings)]
    (binding,) = saved.bindings
    assert (binding.flow, binding.expires_at, binding.path) == (flow("101"), 3700.0, ("<sip:edge;lr>",))
    (reply,) = [e for e in effects if isinstance(e, Reply)]
    assert ("Path", "<sip:edge;lr>") in reply.headers
    again = Registrar(Settings())
    again.restore(saved.bindings, 200.0)
    assert again.bindings(AOR, 200.0) == saved.bindings
    again.restore(saved.bindings, 9999.0)
    assert again.bindings(AOR, 9999.0) == ()


def test_expiry_and_a_closed_connection() -> None:
    registrar = Registrar(Settings())
    registrar.register(asked(contact("udp", 60)), ALICE, 0.0)
    tcp = asked(contact("tcp", 3600), cseq=2)
    tcp_flow = tcp.request.flow._replace(transport="tcp")
    registrar.register(tcp._replace(request=tcp.request._replace(flow=tcp_flow)), ALICE, 0.0)
    assert registrar.next_timer() == 60.0
    (saved,) = [e for e in registrar.handle_timer(60.0) if isinstance(e, SaveBindings)]
    assert [binding.contact for binding in saved.bindings] == ["sip:tcp@192.0.2.1"]
    (saved,) = [e for e in registrar.flow_closed(tcp_flow) if isinstance(e, SaveBindings)]
    assert saved.bindings == ()
    assert not registrar.registered(AOR, 60.0)


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
    registrar, model, now = Registrar(Settings()), dict[str, float](), 0.0
    for number, (user, expires, pause) in enumerate(steps):
        now += pause
        registrar.handle_timer(now)
        registrar.register(asked(contact(user, expires), cseq=number), ALICE, now)
        model[user] = now + expires
        alive = {f"sip:{user}@192.0.2.1" for user, until in model.items() if until > now}
        assert {binding.contact for binding in registrar.bindings(AOR, now)} == alive
        assert registrar.registered(AOR, now) == bool(alive)
        assert {b.contact for b in registrar.all_bindings(now)} == alive
