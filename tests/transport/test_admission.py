"""Who is served now, who waits, and who is sent away."""

from __future__ import annotations

import pytest

from blfd.core.values import Flow
from blfd.transport.admission import TURN, Admission
from blfd.transport.backlog import LONGEST, SHORTEST, Backlog

PHONE = Flow("udp", "192.0.2.1", 5060)
EDGE = Flow("tcp", "192.0.2.9", 40_000, 1)


class Door:
    """An admission with a clock that the test moves."""

    def __init__(self, max_waiting: int = 100, source_requests: int = 1) -> None:
        self.now = 0.0
        self.away: list[tuple[bytes, Flow, int]] = []
        self.admission = Admission(
            max_waiting=max_waiting,
            source_requests=source_requests,
            trusts=lambda host: host == EDGE.host,
            send_away=lambda *refused: self.away.append(refused),
            clock=lambda: self.now,
        )

    def admits(self, data: bytes, flow: Flow = PHONE) -> bool:
        return self.admission.admits(data, flow)


@pytest.mark.parametrize(
    ("data", "served"),
    [
        (b"OPTIONS sip:x SIP/2.0\r\n", True),
        (b"INVITE sip:x SIP/2.0\r\n", True),
        (b"SUBSCRIBE sip:x SIP/2.0\r\n", False),  # a SUBSCRIBE waits
        (b"subscribe sip:x SIP/2.0\r\n", True),  # a malformed request is told so at once
        (b"", False),
        (b"\r\n\r\n", False),
        (b"\0\0\0\0", False),
        (b" \t\r\n", False),
        (b"\xff", True),
    ],
)
def test_what_is_read_now(data: bytes, served: bool) -> None:
    door = Door()
    assert (door.admits(data), door.away) == (served, [])


@pytest.mark.parametrize(
    ("host", "same", "other"),
    [("192.0.2.1", "192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::f:0:0:2", "2001:db8:0:1::1")],
    ids=["IPv4", "a /64 of IPv6"],
)
def test_a_source_gets_ten_seconds_worth_and_then_so_many_a_second(host: str, same: str, other: str) -> None:
    door, phone = Door(source_requests=2), PHONE._replace(host=host)
    assert [door.admits(b"OPTIONS %d" % n, phone) for n in range(25)] == [True] * 20 + [False] * 5
    assert [refused[:2] for refused in door.away] == [(b"OPTIONS %d" % n, phone) for n in range(20, 25)]
    assert door.admission.sent_away == 5
    assert door.admits(b"OPTIONS", phone._replace(host=other)), "another source is served"
    assert not door.admits(b"OPTIONS", phone._replace(host=same, port=5061)), "another port is the same"
    door.now = 1.0
    assert [door.admits(b"OPTIONS", phone) for _ in range(3)] == [True, True, False]


def test_what_ends_a_call_is_never_sent_away() -> None:
    door = Door(source_requests=0)
    assert not door.admits(b"INVITE sip:x SIP/2.0")
    for method in (b"ACK", b"BYE", b"CANCEL", b"PRACK"):
        assert door.admits(method + b" sip:x SIP/2.0")


def test_trusted_sources_are_not_counted() -> None:
    door = Door(source_requests=0)
    assert all(door.admits(b"OPTIONS", EDGE) for _ in range(100))
    assert not door.admits(b"OPTIONS", PHONE)


def test_subscribes_take_their_turn_in_order() -> None:
    door = Door(source_requests=1000)
    storm = [b"SUBSCRIBE %d" % n for n in range(TURN + 3)]
    assert not any(door.admits(data) for data in storm)
    assert not door.admits(storm[0]), "a retransmission of one that waits"
    assert door.admission.waiting == len(storm)
    assert list(door.admission.turn()) == [(data, PHONE) for data in storm[:TURN]]
    assert list(door.admission.turn()) == [(data, PHONE) for data in storm[TURN:]]
    assert list(door.admission.turn()) == []
    assert not door.admits(storm[0])
    assert door.admission.waiting == 1, "once served, the same octets are a request again"


def test_what_finds_no_place_to_wait_comes_back_later_and_not_all_at_once() -> None:
    door = Door(max_waiting=2, source_requests=1000)
    for number in range(60):
        door.admits(b"SUBSCRIBE %d" % number, EDGE)
    assert door.admission.waiting == 2
    assert door.admission.sent_away == len(door.away) == 58
    assert all(flow == EDGE for _, flow, _ in door.away)
    pauses = {pause for *_, pause in door.away}
    assert min(pauses) >= SHORTEST
    assert max(pauses) <= LONGEST
    assert len(pauses) > 10


def test_the_backlog_forgets_what_was_taken() -> None:
    backlog = Backlog(1)
    for _ in range(3):
        assert backlog.put(b"same", PHONE)
        assert not backlog.put(b"other", PHONE)
        assert backlog.take() == (b"same", PHONE)
    assert (len(backlog.waiting), backlog.refused) == (0, 3)
