"""Sockets on loopback: what comes in, what goes out, and which connections end."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import threading
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sockets import DEADLINE, OPTIONS, Site, flow_of, needs_ipv6

from blfd.core.hosts import written
from blfd.core.values import TRANSPORTS, Flow
from blfd.transport.addresses import AddressError, ListenAddress, advice, family
from blfd.transport.multicast import MAX_SIZE, MulticastListener
from blfd.transport.tcp import MAX_UNSENT
from blfd.transport.udp import UdpListener


@given(st.sampled_from(sorted(TRANSPORTS)), st.ip_addresses(), st.integers(0, 65535))
@example("udp", IPv6Address("::"), 5060)
@example("udp", IPv6Address("::ffff:192.0.2.1"), 5060)
def test_an_address_is_written_as_it_is_read(
    transport: str, address: IPv4Address | IPv6Address, port: int
) -> None:
    found = ListenAddress.parse(f"{transport}:{written(str(address))}:{port}")
    assert ListenAddress.parse(str(found)) == found
    is_mapped = isinstance(address, IPv6Address) and address.ipv4_mapped
    assert found == (transport, str(is_mapped or address), port)


@given(st.text(alphabet="udptcls:[]%.0123456789abf", max_size=30))
@example("sctp:127.0.0.1:1")
@example("udp:x:1")
@example("udp:127.0.0.1")
@example("udp:::1:5060")
@example("udp:[127.0.0.1]:5060")
@example("udp:[fe80::1%1]:5060")
@example("udp:1.2.3.4:65536")
def test_any_text_is_an_address_or_an_error(text: str) -> None:
    """An error is one line, which says what to write."""
    found = None
    try:
        found = ListenAddress.parse(text)
    except AddressError as error:
        said = str(error)
    if found:
        assert ListenAddress.parse(str(found)) == found
    else:
        assert re.fullmatch(r"cannot listen on .*write udp:127\.0\.0\.1:5060.*", said)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, "stop what uses it"),
        (errno.EADDRNOTAVAIL, "this machine has no such address"),
        (errno.EACCES, "ports below 1024 are for root"),
    ],
)
def test_what_to_do_fits_why_an_address_is_refused(number: int, words: str) -> None:
    said = advice(OSError(number, ""))
    assert words in said
    assert "with --listen" in said


FAMILIES = [
    ("127.0.0.1", "127.0.0.1"),
    pytest.param("[::1]", "::1", marks=needs_ipv6),
    pytest.param("[::]", "::1", marks=needs_ipv6),
    pytest.param("[::]", "127.0.0.1", marks=needs_ipv6),
]
"""Where to listen, and where the peer is."""


@pytest.mark.parametrize(("listen", "host"), FAMILIES)
def test_both_families(make: Callable[..., Site], listen: str, host: str) -> None:
    """Both families work over UDP and TCP, to and fro, by connections that peers make and that we make."""
    site = make(f"udp:{listen}:0", f"tcp:{listen}:0")
    datagrams, connection = site.udp(host), site.tcp(host=host)
    datagrams.sendto(OPTIONS, (host, site.addresses[0].port))
    connection.sendall(OPTIONS)
    site.until(lambda: len(site.came) == 2)
    flows = [flow_of(datagrams, "udp", 0), flow_of(connection, "tcp", 1)]
    assert {source for _, source in site.came} == set(flows)
    for peer, flow in zip((datagrams, connection), flows, strict=True):
        assert flow.host == host
        assert site.network.send(b"answer", flow)
        assert peer.recv(100) == b"answer"
        assert site.network.local_address(flow) == (host, site.addresses[flow.listener].port)
        assert site.network.adopt(flow) == flow
    assert site.network.leads_here(Flow("udp", host, site.addresses[0].port))
    assert not site.network.leads_here(Flow("udp", "192.0.2.1", site.addresses[0].port))
    assert not site.network.leads_here(Flow("tls", host, site.addresses[0].port))
    for name in ("localhost", "::" if family(host) is socket.AF_INET6 else "0.0.0.0"):
        assert site.network.leads_here(Flow("udp", name, site.addresses[0].port)), name
    listening = site.keep(socket.create_server((host, 0), family=family(host)))
    assert site.network.send_request(b"request", flow_of(listening, "tcp", 1))
    site.network.poll(0.1)
    accepted, source = listening.accept()
    assert source[0] == host
    assert site.keep(accepted).recv(100) == b"request"


@needs_ipv6
def test_what_is_of_the_other_family_is_not_reached(make: Callable[..., Site]) -> None:
    site = make("udp:[::1]:0", "tcp:[::1]:0", "udp:127.0.0.1:0", "tcp:127.0.0.1:0")
    for transport, listener, host in (
        ("udp", 0, "127.0.0.1"),
        ("tcp", 1, "127.0.0.1"),
        ("udp", 2, "::1"),
        ("tcp", 3, "::1"),
    ):
        flow = Flow(transport, host, 9, listener)
        assert not site.network.send_request(b"x", flow)
        adopted = site.network.adopt(flow)
        assert adopted == flow._replace(listener=(listener + 2) % 4), "one that reaches it"


def test_datagrams_come_with_their_flow_and_answers_go_back(site: Site) -> None:
    peer = site.udp()
    for data in (OPTIONS, b"", b"\r\n\r\n", b"x" * 60_000):
        peer.sendto(data, site.addresses[0][1:])
        site.until(lambda: site.came)
        assert site.came.pop() == (data, flow_of(peer, "udp", 0))
    assert site.network.send(b"answer", flow_of(peer, "udp", 0))
    assert peer.recv(100) == b"answer"


def test_a_peer_that_is_not_there_costs_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """The system tells the ICMP error of a send at the next read of the socket."""
    gone, peer = site.udp(), site.udp()
    nowhere = flow_of(gone, "udp", 0)
    gone.close()
    for _ in range(3):
        site.network.send(b"answer", nowhere)
    assert not caplog.records
    for _ in range(2):
        assert not site.network.send(b"x" * 70_000, nowhere), "more than a datagram holds"
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"70000 octets to 127.0.0.1 port {nowhere.port} do not fit into a datagram")
    peer.sendto(OPTIONS, site.addresses[0][1:])
    site.until(lambda: site.came)


def test_messages_over_a_connection(site: Site) -> None:
    peer = site.tcp()
    peer.sendall(OPTIONS + OPTIONS[:10])
    site.until(lambda: len(site.came) == 1)
    peer.sendall(OPTIONS[10:])
    site.until(lambda: len(site.came) == 2)
    assert site.came == [(OPTIONS, flow_of(peer, "tcp", 1))] * 2
    assert site.network.send(b"answer", flow_of(peer, "tcp", 1))
    assert peer.recv(100) == b"answer"


def test_each_listener_has_its_own_peers(make: Callable[..., Site]) -> None:
    """Two connections from one address and port, to two listeners, are two flows."""
    site = make("tcp:127.0.0.1:0", "tcp:127.0.0.1:0")
    peers: list[socket.socket] = []
    for address in site.addresses:
        peer = site.keep(socket.socket())
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        peer.bind(peers[0].getsockname() if peers else ("127.0.0.1", 0))
        peer.connect((address.host, address.port))
        peer.sendall(OPTIONS)
        peers.append(peer)
    site.until(lambda: len(site.came) == 2)
    assert {source for _, source in site.came} == {flow_of(peers[0], "tcp", n) for n in (0, 1)}
    for number, peer in enumerate(peers):
        assert site.network.send(b"%d" % number, flow_of(peer, "tcp", number))
        assert peer.recv(100) == b"%d" % number
    peers[0].close()
    site.until(lambda: site.closed)
    assert site.closed == [flow_of(peers[1], "tcp", 0)]
    assert site.network.send(b"x", flow_of(peers[1], "tcp", 1))


def test_keep_alives_are_answered(site: Site) -> None:
    peer = site.tcp()
    peer.sendall(b"\r\n\r\n")
    site.until(lambda: site.network.connections.get(flow_of(peer, "tcp", 1)))
    site.network.poll(0.1)
    assert peer.recv(100) == b"\r\n"
    peer.sendall(b"\r\n" + OPTIONS)
    site.until(lambda: site.came)
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(100)


def test_what_is_unreadable_is_told_and_closed(site: Site) -> None:
    peer = site.tcp()
    peer.sendall(OPTIONS + b"GET / HTTP/1.1\r\n\r\n" + OPTIONS)
    assert site.is_closed(peer)
    flow = flow_of(peer, "tcp", 1)
    assert site.came == [(OPTIONS, flow)]
    ((octets, told, why),) = site.unreadable
    assert (octets[:3], told, why) == (b"GET", flow, "no Content-Length")
    assert site.closed == [flow]
    assert not site.network.send(b"x", flow)


def test_a_slow_sender_is_closed_and_a_silent_one_is_not(make: Callable[..., Site]) -> None:
    site = make(slowest=30)
    slow, steady, silent = (site.tcp() for _ in range(3))
    slow.sendall(OPTIONS[:5])
    steady.sendall(OPTIONS[:5])
    site.until(lambda: site.network.connections.get(flow_of(silent, "tcp", 1)))
    site.network.poll(0.1)

    def has_come(count: int) -> bool:
        return len(site.came) == count

    for number in range(1, 4):  # one whole message within each 30 s, and half of the next
        if number == 1:
            slow.sendall(OPTIONS[5:10])  # the second half of that message
        site.pass_time(20)
        steady.sendall(OPTIONS[5:] + OPTIONS[:5])
        site.until(partial(has_come, number))
    assert site.closed == [flow_of(slow, "tcp", 1)]
    assert site.is_closed(slow)
    for peer in (steady, silent):
        assert site.network.send(b"x", flow_of(peer, "tcp", 1))


def test_a_peer_that_does_not_read_is_closed(site: Site) -> None:
    peer, reads = site.tcp(), site.tcp()
    flow, other = flow_of(peer, "tcp", 1), flow_of(reads, "tcp", 1)
    site.until(lambda: site.network.connections.get(flow) and site.network.connections.get(other))
    sent = 0
    while site.network.send(b"x" * 60_000, flow):
        sent += 60_000
        assert sent < MAX_UNSENT + (64 << 20), "the kernel's buffers hold less"
    assert sent > MAX_UNSENT
    assert site.closed == [], "not inside a send"
    site.network.poll(0.0)
    assert site.closed == [flow]
    assert not site.network.send(b"x", flow)
    assert site.network.send(b"x", other)


def test_what_the_kernel_does_not_take_is_sent_later_in_order(site: Site) -> None:
    peer = site.tcp()
    flow = flow_of(peer, "tcp", 1)
    site.until(lambda: site.network.connections.get(flow))
    connection = site.network.connections.get(flow)
    assert connection
    wanted = bytearray()
    while not connection._unsent:
        part = bytes([len(wanted) // 50_000 % 256]) * 50_000
        wanted += part
        assert site.network.send(part, flow)
    for number in range(5):
        wanted += b"%d" % number * 1000
        assert site.network.send(b"%d" % number * 1000, flow)
    came = bytearray()
    peer.setblocking(False)

    def read() -> bool:
        with contextlib.suppress(BlockingIOError):
            came.extend(peer.recv(1 << 20))
        return len(came) >= len(wanted)

    site.until(read)
    assert came == wanted
    assert connection._unsent_octets == 0


def test_connections_of_one_address_are_bounded(make: Callable[..., Site]) -> None:
    site = make(most=2)
    first, second = site.tcp(), site.tcp()
    assert site.is_closed(site.tcp())
    other = site.tcp(host="127.0.0.2")
    site.until(lambda: site.network.connections.get(flow_of(other, "tcp", 1)))
    first.close()
    site.until(lambda: site.closed)
    third = site.tcp()
    for peer in (second, third):
        site.until(partial(site.network.connections.get, flow_of(peer, "tcp", 1)))


def test_another_thread_wakes_it(site: Site) -> None:
    polling = threading.Thread(target=site.network.poll, args=(10 * DEADLINE,), daemon=True)
    polling.start()
    site.network.wake()
    polling.join(DEADLINE)
    assert not polling.is_alive()


def test_our_address_is_the_one_that_the_peer_sees(make: Callable[..., Site]) -> None:
    site = make("udp:0.0.0.0:0", "tcp:127.0.0.1:0")
    port = site.addresses[0].port
    for host in ("127.0.0.1", "127.9.9.9"):
        assert site.network.local_address(Flow("udp", host, 1)) == ("127.0.0.1", port)
    assert site.network.local_address(Flow("tcp", "192.0.2.1", 1, 1)) == site.addresses[1][1:]


def test_a_group_is_heard_apart(site: Site) -> None:
    """The address is no multicast group here: what counts is that the listener's own traffic stays out."""
    heard: list[tuple[bytes, Flow]] = []
    udp = site.network.listeners[0]
    assert isinstance(udp, UdpListener)
    group = ("127.0.0.3", udp.address.port)
    site.network.add_apart(MulticastListener(udp, group, lambda data, flow: heard.append((data, flow))))
    peer = site.udp()
    peer.sendto(b"x" * (MAX_SIZE + 1), group)
    peer.sendto(b"asked", group)
    peer.sendto(b"said", udp.address[1:])
    site.until(lambda: heard and site.came)
    assert heard == [(b"asked", flow_of(peer, "udp", 0))]
    assert [data for data, _ in site.came] == [b"said"]
