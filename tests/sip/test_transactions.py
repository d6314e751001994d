"""Server and client transactions on a clock and network of the test: each pair of the table, each timer."""

from __future__ import annotations

import random
import weakref
from typing import Any

import pytest

from blfd.core.values import DialogId, Flow
from blfd.sip.client_transactions import COOKIE, RANDOM, ClientTransactions
from blfd.sip.kept import BLOCK
from blfd.sip.message import Request
from blfd.sip.reader import read
from blfd.sip.server_transactions import TABLE, Action, Event, ServerTransaction, ServerTransactions, State
from blfd.sip.timers import LIFETIME, T1, T2

UDP, TCP = Flow("udp", "192.0.2.1", 5060), Flow("tcp", "192.0.2.1", 40000)
ANEW, NOBODY = TCP._replace(port=5060), TCP._replace(port=5099)
FINAL = {State.COMPLETED, State.CONFIRMED, State.ACCEPTED, State.TERMINATED}


def possible(state: State, event: Event) -> bool:
    """Whether an event may happen in a state, by figures 7 and 8 of RFC 3261 and figure 5 of RFC 6026."""
    match event:
        case _ if state is State.TERMINATED:
            return False
        case Event.PROVISIONAL | Event.FINAL | Event.ACCEPT:
            return state not in FINAL
        case Event.ACK | Event.AGAIN:
            return state in (State.COMPLETED, State.CONFIRMED)
        case _:
            return True


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_pair_is_decided_or_impossible(state: State, event: Event) -> None:
    assert ((state, event) in TABLE) == possible(state, event)


def test_a_copy_is_answered_again_only_once_it_has_been_answered() -> None:
    for (state, event), (then, do) in TABLE.items():
        if event is Event.REQUEST:
            assert (do is Action.SEND) == (state in (State.PROCEEDING, State.COMPLETED))
            assert then is state


class Server:
    """Server transactions, with what they have sent, and the legs that live."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Flow]] = []
        self.legs: set[int] = set()
        self.now = 1000.0
        is_up = self.legs.__contains__
        self.gone: set[Flow] = set()  # connections that have ended
        self.all = ServerTransactions(self._send, self._connect, is_up)

    def _send(self, data: bytes, flow: Flow) -> bool:
        if flow in self.gone:
            return False
        self.sent.append((data, flow))
        return True

    def _connect(self, data: bytes, flow: Flow) -> bool:
        return flow != NOBODY and self._send(data, flow)

    def begin(
        self, method: str = "INVITE", flow: Flow = UDP, branch: str = "b", anew: Flow | None = None
    ) -> ServerTransaction:
        message = (
            f"{method} sip:102@host SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}\r\n"
            f"From: <sip:101@host>;tag=f\r\nTo: <sip:102@host>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\r\n"
        )
        request = read(message.encode())
        assert isinstance(request, Request)
        return self.all.begin(request.key(), request, flow, flow, anew)

    def respond(self, transaction: ServerTransaction, status: int) -> None:
        self.all.respond(transaction, status, b"%d" % status, self.now)

    def at(self, seconds: float) -> list[bytes]:
        """Let `seconds` pass, and return what is sent meanwhile."""
        before, end = len(self.sent), self.now + seconds
        while (at := self.all.next_timer()) is not None and at <= end:
            self.now = at
            self.all.due(at)
        self.now = end
        self.all.due(end)
        return [data for data, _ in self.sent[before:]]


def test_a_refused_invite_is_repeated_until_its_ack() -> None:
    server = Server()
    transaction = server.begin()
    server.respond(transaction, 100)
    server.respond(transaction, 486)
    assert server.at(T1 + 2 * T1) == [b"486", b"486"], "timer G, doubled"
    server.all.repeated(transaction)
    assert server.sent[-1] == (b"486", UDP)
    assert server.all.acknowledged(transaction.key, server.now)
    assert server.all.acknowledged(transaction.key, server.now), "the ACK may come again"
    assert server.at(20) == []
    server.all.repeated(transaction)
    assert len(server.sent) == 5, "100, 486, twice by timer G, once for the copy"
    server.at(LIFETIME)
    assert len(server.all) == 0


def test_timer_g_ends_at_t2_and_h_ends_all() -> None:
    server = Server()
    server.respond(server.begin(), 480)
    sent = server.at(LIFETIME)
    gaps = [T1]
    while sum(gaps) < LIFETIME:
        gaps.append(min(2 * gaps[-1], T2))
    assert len(sent) in (len(gaps) - 1, len(gaps))
    assert server.at(LIFETIME) == []
    assert len(server.all) == 0


@pytest.mark.parametrize("method", ["INVITE", "SUBSCRIBE"])
def test_over_tcp_nothing_is_repeated(method: str) -> None:
    server = Server()
    transaction = server.begin(method, TCP)
    server.respond(transaction, 404)
    assert server.at(LIFETIME - 1) == []
    if method == "INVITE":
        assert server.all.acknowledged(transaction.key, server.now)
    assert len(server.all) == 0


@pytest.mark.parametrize(("anew", "delivered"), [(ANEW, True), (NOBODY, False), (None, False)])
def test_a_response_whose_connection_has_ended(anew: Flow | None, delivered: bool) -> None:
    """A response goes by another connection then (RFC 3261, 18.2.2); one that nobody takes is counted."""
    server = Server()
    transaction = server.begin("INVITE", TCP, anew=anew)
    server.respond(transaction, 100)
    server.gone.add(TCP)
    server.respond(transaction, 486)
    server.all.repeated(transaction)
    assert server.sent[1:] == ([(b"486", ANEW)] * 2 if delivered else [])
    assert server.all.undelivered == (0 if delivered else 2)
    lost = server.begin("SUBSCRIBE", branch="c")
    server.gone.add(UDP)
    server.respond(lost, 200)
    assert server.all.undelivered == (0 if delivered else 2), "a datagram may be asked for again"


def test_a_copy_gets_the_response_of_before_for_timer_j() -> None:
    server = Server()
    transaction = server.begin("SUBSCRIBE")
    server.all.repeated(transaction)
    assert server.sent == [], "nothing is said before the core has answered"
    server.respond(transaction, 202)
    server.at(LIFETIME - 1)
    assert server.all.find(transaction.key) is transaction
    server.all.repeated(transaction)
    assert [data for data, _ in server.sent] == [b"202", b"202"]
    server.at(2)
    assert server.all.find(transaction.key) is None


def test_an_accepted_invite_is_known_as_long_as_its_leg_and_32_s_more() -> None:
    server = Server()
    server.legs.add(7)
    transaction = server.begin()
    server.all.accepted(transaction, 7, server.now)
    server.at(3600)
    assert server.all.find(transaction.key) is transaction
    server.all.repeated(transaction)
    assert server.sent == []
    server.legs.remove(7)
    server.at(1)
    assert server.all.find(transaction.key) is transaction
    server.at(LIFETIME)
    assert server.all.find(transaction.key) is None


def test_a_late_answer_finds_its_request_and_one_that_never_comes_is_counted() -> None:
    server = Server()
    late, never = server.begin("SUBSCRIBE", branch="late"), server.begin("SUBSCRIBE", branch="never")
    for transaction in (late, never):
        server.all.wait(transaction, server.now)
    server.at(20)
    assert server.all.of(late.id) is late
    server.respond(late, 200)
    assert server.sent == [(b"200", UDP)]
    assert server.all.of(late.id) is None, "it is answered once"
    server.at(20)
    assert server.all.of(never.id) is None
    assert server.all.without_response == 1


def test_what_is_ignored_is_ignored_again() -> None:
    server = Server()
    transaction = server.begin("REGISTER")
    server.all.ignore(transaction, server.now)
    server.all.repeated(transaction)
    assert server.at(LIFETIME - 1) == []
    assert server.all.find(transaction.key)
    server.at(1)
    assert len(server.all) == server.all.without_response == 0


def test_each_response_is_repeated_as_it_was_and_none_is_kept_for_longer_than_that() -> None:
    server, blocks = Server(), set[weakref.ref[Any]]()
    dice = random.Random(3261)
    for number in range(2_000):
        transaction = server.begin("INVITE" if number % 3 else "SUBSCRIBE", branch=f"{number}")
        size = BLOCK + number % 2 if number % 99 == 0 else dice.choice([0, 1, 450, 1400, 70_000])
        data = dice.randbytes(size)
        server.all.respond(transaction, dice.choice([100, 200, 486]), data, server.now)
        assert transaction.block is not None
        blocks.add(weakref.ref(transaction.block))
        server.all.repeated(transaction)
        assert server.sent[-2:] == [(data, UDP)] * 2
        if transaction.state is State.PROCEEDING:  # as long as the call goes on
            server.all.accepted(transaction, 1, server.now)
            server.legs.add(1)
        server.at(0.05)
        server.sent.clear()
    alive = sum(block() is not None for block in blocks)
    assert 20 < alive < len(blocks) / 2
    del transaction
    server.at(LIFETIME + T2)  # timer G lets go of what is over when it is due
    assert sum(block() is not None for block in blocks) == 1
    assert len(server.all) > 0, "calls go on"


class Client:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.now = 1000.0
        self.arrives = True
        self.all = ClientTransactions(self.give)

    def give(self, data: bytes, flow: Flow) -> bool:
        self.sent.append(data)
        return self.arrives

    def send(self, token: str = "key", flow: Flow = UDP) -> str:
        branch = self.all.new_branch()
        self.all.send(branch, token, DialogId("call", "tag", "other"), 7, b"NOTIFY", flow, self.now)
        return branch

    def at(self, seconds: float) -> list[str]:
        given_up: list[str] = []
        end = self.now + seconds
        while (at := self.all.next_timer()) is not None and at <= end:
            self.now = at
            given_up += self.all.due(at)
        self.now = end
        return given_up


def test_what_goes_by_a_connection_that_is_gone() -> None:
    """Whoever sent the request is told at once, and nothing waits for a response."""
    client = Client()
    branch, other = client.send(flow=TCP), client.send(flow=TCP._replace(port=1))
    client.send()
    assert client.all.lost(TCP._replace(listener=1)) == []
    assert client.all.lost(TCP) == ["key"]
    assert client.all.lost(TCP) == []
    assert client.all.take(branch, "call", "tag", 7, 200) is None
    assert client.all.take(other, "call", "tag", 7, 200) == "key"
    client.arrives = False
    before = client.all.failed
    client.send(flow=TCP)
    assert client.all.failed == before + 1
    assert client.all.lost(TCP) == []
    client.send()
    assert client.at(LIFETIME) == ["key", "key"], "datagrams may be lost at any time: the timers deal with it"


def test_nobody_is_woken_for_a_request_that_has_its_response() -> None:
    client = Client()
    first, second = client.send(), client.send()
    assert client.all.take(first, "call", "tag", 7, 200) == "key"
    assert client.all.next_timer() == client.now + T1, "the second waits"
    assert client.all.take(second, "call", "tag", 7, 200) == "key"
    assert client.all.next_timer() is None


def test_timers_e_and_f() -> None:
    client = Client()
    client.send()
    assert client.at(T1 + 2 * T1 + 4 * T1) == []
    assert len(client.sent) == 4
    assert client.at(LIFETIME) == ["key"]
    assert client.at(LIFETIME) == []
    over_tcp = Client()
    over_tcp.send(flow=TCP)
    assert over_tcp.at(LIFETIME) == ["key"]
    assert len(over_tcp.sent) == 1


@pytest.mark.parametrize(
    ("change", "token"),
    [
        ({}, "key"),
        ({"status": 180}, None),
        ({"call_id": "other"}, None),
        ({"local_tag": "other"}, None),
        ({"cseq": 8}, None),
        ({"branch": COOKIE + "0" * RANDOM}, None),
    ],
)
def test_a_response_has_to_be_of_the_request(change: dict[str, object], token: str | None) -> None:
    client = Client()
    given = {"branch": client.send(), "call_id": "call", "local_tag": "tag", "cseq": 7, "status": 481}
    assert client.all.take(**{**given, **change}) == token  # type: ignore[arg-type]
    assert bool(client.at(LIFETIME)) == (token is None), "a stranger's response changes nothing"
    assert client.all.take(**given) is None, "late"  # type: ignore[arg-type]


def test_branches_have_nothing_in_common() -> None:
    client = Client()
    drawn = [client.all.new_branch() for _ in range(10_000)]
    assert len(set(drawn)) == len(drawn)
    digits = zip(*(branch.removeprefix(COOKIE) for branch in drawn), strict=True)
    assert [len(set(column)) for column in digits] == [16] * RANDOM, "each digit is any"


def test_an_invite_that_comes_by_two_ways_is_served_once() -> None:
    server = Server()
    first, second = server.begin(branch="one"), server.begin(branch="two")
    assert first.request
    assert second.request
    assert not server.all.is_merged(first, first.request)
    assert server.all.is_merged(second, second.request)
    server.respond(second, 482)
    server.all.accepted(first, 7, server.now)
    third = server.begin(branch="three")
    assert third.request
    assert server.all.is_merged(third, third.request)
    server.respond(third, 482)
    server.at(2 * LIFETIME)
    assert len(server.all) == 0


def test_an_invite_with_the_cseq_of_one_that_was_refused_is_no_copy() -> None:
    """Some phones repeat the number when they answer a challenge."""
    server = Server()
    first, second = server.begin(branch="one"), server.begin(branch="two")
    assert first.request
    assert second.request
    assert not server.all.is_merged(first, first.request)
    server.respond(first, 401)
    assert not server.all.is_merged(second, second.request)
