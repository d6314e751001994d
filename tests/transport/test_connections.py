"""Connections that we open: when, how many at a time, and how seldom to a peer that is not there."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable

import pytest
from sockets import OPTIONS, Site

from blfd.core.values import Flow
from blfd.transport import connections
from blfd.transport.attempts import FIRST, LONGEST, Attempts
from blfd.transport.tcp import MAX_UNSENT
from blfd.transport.undelivered import MOST_OCTETS, MOST_PEERS, PATIENCE, Undelivered


class Peer:
    """A phone or an edge that listens, or has listened, at an address."""

    def __init__(self, site: Site, host: str = "127.0.0.1") -> None:
        self.site = site
        self.listening = self.listen(host, 0)
        self.host, self.port = self.listening.getsockname()
        self.flow = Flow("tcp", self.host, self.port, 1)

    def listen(self, host: str, port: int) -> socket.socket:
        listening = self.site.keep(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()
        return listening

    def accept(self) -> socket.socket:
        self.site.network.poll(0.0)
        return self.site.keep(self.listening.accept()[0])

    def stop(self) -> None:
        self.listening.close()

    def start(self) -> None:
        self.listening = self.listen(self.host, self.port)


def test_a_request_opens_a_connection_and_waits_for_it(site: Site) -> None:
    peer = Peer(site)
    assert not site.network.send(b"answer", peer.flow), "what is no request goes by what is there"
    assert site.network.send_request(b"one", peer.flow)
    assert site.network.send_request(b"two", peer.flow), "the same connection"
    there = peer.accept()
    came = bytearray()

    def read() -> bool:
        there.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            came.extend(there.recv(100))
        return len(came) == 6

    site.until(read)
    assert came == b"onetwo"
    assert there.getpeername()[0] == "127.0.0.1", "from the listener's address"


def test_what_comes_over_it_is_the_peers(site: Site) -> None:
    """The peer's requests and responses come over our connection, and what it is sent goes by it."""
    peer = Peer(site)
    site.network.send_request(b"x", peer.flow)
    there = peer.accept()
    there.sendall(OPTIONS)
    site.until(lambda: site.came)
    assert site.came == [(OPTIONS, peer.flow)]
    assert site.network.send(b"answer", peer.flow)
    there.close()
    site.until(lambda: site.closed)
    assert site.closed == [peer.flow]
    assert site.network.send_request(b"again", peer.flow), "somebody was there: it is tried at once"


def test_nobody_listens(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer(site)
    peer.stop()
    with caplog.at_level(logging.INFO):
        fail(site, peer)
        assert not site.network.send_request(b"x", peer.flow), "it is left alone"
        for pause in (1, 2, 4, 8):
            site.now += pause
            fail(site, peer)
    (line,) = caplog.messages
    assert "Connection refused; tried again when there is something to send, at the earliest in 1 s" in line
    peer.start()
    site.now += 16
    assert site.network.send_request(b"x", peer.flow)
    assert site.reached == []
    peer.accept().sendall(OPTIONS)
    site.until(lambda: site.reached)
    assert site.reached == [peer.flow]
    assert site.network.connections.get(peer.flow)


def fail(site: Site, peer: Peer) -> None:
    """Make an attempt that does not succeed, of which the owner hears at once or a moment later."""
    closed = len(site.closed)
    if site.network.send_request(b"x", peer.flow):
        site.until(lambda: len(site.closed) == closed + 1)
    assert site.network.connections.get(peer.flow) is None


def test_one_that_closes_without_a_word_is_not_there(site: Site) -> None:
    """Something else than SIP may listen there, and is not connected to for each NOTIFY."""
    peer = Peer(site)
    site.network.send_request(b"x", peer.flow)
    peer.accept().close()
    site.until(lambda: site.closed)
    assert not site.network.send_request(b"x", peer.flow)
    site.now += FIRST
    assert site.network.send_request(b"x", peer.flow)


def test_a_connection_that_is_not_made_in_time(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A full backlog answers nothing, as a firewall that drops does."""
    peer = Peer(site)
    peer.listening.listen(0)
    for _ in range(3):
        fill(site, peer)
    assert site.network.send_request(b"x", peer.flow)
    site.pass_time(connections.OPENING - 1)
    assert site.closed == []
    site.pass_time(1)
    assert site.closed == [peer.flow]
    assert "no answer within 5 s" in caplog.text
    assert not site.network.send_request(b"x", peer.flow)


def fill(site: Site, peer: Peer) -> None:
    waiting = site.keep(socket.socket())
    waiting.setblocking(False)
    waiting.connect_ex(peer.listening.getsockname())


def test_what_waits_is_bounded(site: Site) -> None:
    peer = Peer(site)
    peer.listening.listen(0)
    for _ in range(3):
        fill(site, peer)
    sent = 0
    while site.network.send_request(b"x" * 50_000, peer.flow):
        sent += 50_000
        assert sent <= MAX_UNSENT
    assert sent > MAX_UNSENT - 50_000
    assert site.closed == [], "the connection is still being made"


def test_connections_of_ours_count_as_the_peers(make: Callable[..., Site]) -> None:
    site = make(most=1)
    peer, other = Peer(site), Peer(site)
    assert site.network.send_request(b"x", peer.flow)
    assert not site.network.send_request(b"x", other.flow)
    assert site.network.send_request(b"x", Peer(site, "127.0.0.2").flow), "another host's are counted apart"
    assert site.is_closed(site.tcp()), "nor does the host make one more"


def test_so_many_are_made_at_the_same_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_OPENING", 2)
    peers = [Peer(site) for _ in range(3)]
    assert [site.network.send_request(b"x", peer.flow) for peer in peers] == [True, True, False]
    for peer in peers[:2]:
        peer.accept()
    site.until(lambda: site.network.send_request(b"x", peers[2].flow))


def test_a_host_that_connects_is_there_again(site: Site) -> None:
    """An edge that was restarted often connects to us before we connect to it."""
    peer, other = Peer(site), Peer(site, "127.0.0.2")
    for each in (peer, other):
        each.stop()
        fail(site, each)
    site.tcp()
    site.until(lambda: site.reached)
    assert site.reached == [peer.flow]
    peer.start()
    assert site.network.send_request(b"x", peer.flow), "at once"
    assert not site.network.send_request(b"x", other.flow)


def received(site: Site, there: socket.socket, octets: bytes) -> None:
    """Assert that these octets come next, all of them and no others."""
    came = bytearray()

    def read() -> bool:
        there.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            came.extend(there.recv(1000))
        return len(came) >= len(octets)

    site.until(read)
    assert came == octets


def attempted(site: Site, peer: Peer) -> None:
    """Wait until one more attempt to reach a peer that is not there has failed."""
    closed = len(site.closed)
    site.until(lambda: len(site.closed) > closed, pace=0.1)


def test_what_belongs_to_a_call_waits_for_who_is_left_alone(site: Site) -> None:
    """A BYE, an answer and an ACK are tried at once, then again and again, and go out in their order."""
    peer = Peer(site)
    peer.stop()
    for _ in range(9):
        fail(site, peer)
        site.now += LONGEST
    fail(site, peer)
    assert not site.network.send_request(b"INVITE", peer.flow), "what begins a call goes elsewhere"
    until = site.now + PATIENCE
    for octets, wants_response in ((b"200 OK", False), (b"BYE", True), (b"200 OK", False), (b"ACK", False)):
        assert site.network.send_lasting(octets, peer.flow, wants_response=wants_response)
    for _ in range(4):
        attempted(site, peer)
    assert site.now < until
    assert not site.network.send_request(b"INVITE", peer.flow), "nothing has changed for others"
    peer.start()
    site.until(lambda: site.network.connections.get(peer.flow), pace=0.1)
    there = peer.accept()
    received(site, there, b"200 OKBYEACK")
    there.sendall(OPTIONS)
    site.until(lambda: site.came)
    assert site.reached == [peer.flow]
    there.close()
    site.until(lambda: site.network.connections.get(peer.flow) is None)
    assert site.network.connections.next_attempt() is None, "its answer has come"


def test_what_nobody_has_answered_goes_by_the_next_connection(site: Site) -> None:
    """A request goes again where the peer may have lost its power after it took it; an answer goes once."""
    peer = Peer(site)
    assert site.network.send_lasting(b"BYE", peer.flow, wants_response=True)
    there = peer.accept()
    received(site, there, b"BYE")
    assert site.network.send_lasting(b"200 OK", peer.flow, wants_response=False)
    received(site, there, b"200 OK")
    there.close()
    site.until(lambda: site.closed)
    site.until(lambda: site.network.connections.get(peer.flow), pace=0.1)
    there = peer.accept()
    received(site, there, b"BYE")
    there.sendall(OPTIONS)
    site.until(lambda: site.came)
    assert site.network.send_lasting(b"INFO", peer.flow, wants_response=True)
    received(site, there, b"INFO")
    there.close()
    site.until(lambda: len(site.closed) == 2)
    site.until(lambda: site.network.connections.get(peer.flow), pace=0.1)
    received(site, peer.accept(), b"INFO")


def test_nothing_waits_for_ever(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer(site)
    peer.stop()
    fail(site, peer)
    site.network.send_lasting(b"BYE", peer.flow, wants_response=True)
    attempted(site, peer)
    site.pass_time(PATIENCE)
    site.until(lambda: site.network.connections.next_attempt() is None)
    assert "1 messages of calls have waited 32 s for a connection, and are dropped" in caplog.text
    peer.start()
    assert site.network.send_request(b"x", peer.flow)
    received(site, peer.accept(), b"x")


def test_what_waits_for_one_peer_and_for_all_is_bounded() -> None:
    undelivered, flow = Undelivered(), Flow("tcp", "192.0.2.1", 5060)
    half = bytes(MOST_OCTETS // 2)
    assert undelivered.add(flow, half, 0.0, wants_response=True)
    assert undelivered.add(flow, half, 0.0, wants_response=True), "a copy takes no room"
    assert undelivered.add(flow, half[:-1], 0.0, wants_response=False)
    assert not undelivered.add(flow, b"xx", 0.0, wants_response=True)
    assert undelivered.take(flow, 1.0) == [half, half[:-1]]
    assert undelivered.take(flow, 1.0) == [half]
    for port in range(MOST_PEERS - 1):
        assert undelivered.add(flow._replace(port=port), b"x", 0.0, wants_response=False)
    assert not undelivered.add(flow._replace(port=6000), b"x", 0.0, wants_response=False)
    assert len(undelivered.expired(PATIENCE)) == MOST_PEERS
    assert undelivered.next_at() is None, "nothing waits any more"


def test_no_address_to_send_from(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.network.listeners[1].address = site.network.listeners[1].address._replace(host="203.0.113.5")
    peer = Peer(site)
    assert not site.network.send_request(b"x", peer.flow)
    assert "Cannot assign requested address" in caplog.text
    assert site.closed == []


def test_pauses_double_and_are_forgotten() -> None:
    attempts, flow, now = Attempts(), Flow("tcp", "192.0.2.1", 5060), 0.0
    pauses: list[float] = []
    for _ in range(11):
        assert attempts.may(flow, now)
        pause, is_first = attempts.failed(flow, now)
        assert is_first is (not pauses)
        pauses.append(pause)
        assert not attempts.may(flow, now + pause - 0.1)
        assert attempts.may(flow._replace(port=5061), now)
        now += pause
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, LONGEST, LONGEST]
    attempts.forget_old(now + LONGEST)
    assert not attempts.failed(flow, now)[1]
    attempts.forget_old(now + 3 * LONGEST)
    assert attempts.failed(flow, now) == (FIRST, True)
    assert attempts.heard_from("192.0.2.2") == []
    assert attempts.heard_from("192.0.2.1") == [flow]
    assert attempts.may(flow, now)


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0"])
def test_which_addresses_are_ours(listen: str) -> None:
    site = Site(f"udp:{listen}:0")
    try:
        port = site.addresses[0].port
        assert site.network.leads_here(Flow("udp", "127.0.0.1", port))
        assert not site.network.leads_here(Flow("udp", "127.0.0.1", port + 1))
        assert not site.network.leads_here(Flow("udp", "192.0.2.77", port))
        assert not site.network.leads_here(Flow("udp", "name.example", port))
        assert not site.network.leads_here(Flow("tcp", "127.0.0.1", port)), "a phone may have that port"
    finally:
        site.close()
