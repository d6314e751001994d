"""Where requests to a phone go: now, and once its connection is gone."""

from __future__ import annotations

import pytest

from blfd.core.errors import Refusal
from blfd.core.locations import Locations
from blfd.core.next_hop import NextHops, address_in, is_sip, without_headers
from blfd.core.values import Flow

SOURCE, EDGE, OTHER_EDGE, SERVER = "198.51.100.7", "192.0.2.99", "192.0.2.98", "192.0.2.5"
UDP, TCP = Flow("udp", SOURCE, 40_000, 1), Flow("tcp", SOURCE, 40_000, 1)
SOURCE6, EDGE6, OTHER_EDGE6 = "2001:db8::7", "2001:db8:e::99", "2001:db8:e::98"
UDP6, EDGE_UDP6 = UDP._replace(host=SOURCE6), UDP._replace(host=EDGE6)
EDGE_UDP, EDGE_TCP = UDP._replace(host=EDGE), TCP._replace(host=EDGE)
HOPS = NextHops(
    lambda host: host in (EDGE, OTHER_EDGE, SERVER, EDGE6, OTHER_EDGE6),
    lambda way: way[1:3] in ((SERVER, 5060), ("localhost", 5060)) or way[:3] == ("tcp", SERVER, 5070),
    Locations(),
)


@pytest.mark.parametrize(
    ("flow", "contact", "routes", "asks_rport", "host", "port"),
    [
        # A phone with rport, or behind NAT, or with a name: where its request came from.
        (UDP, f"sip:101@{SOURCE}:5062", (), True, SOURCE, 40_000),
        (UDP, "sip:101@10.0.0.7:5062", (), False, SOURCE, 40_000),
        (UDP, "sip:101@phone.example:5062", (), False, SOURCE, 40_000),
        # A phone that sends from one port and listens on another.
        (UDP, f"sip:101@{SOURCE}:5062", (), False, SOURCE, 5062),
        (UDP, f"sip:101@{SOURCE}", (), False, SOURCE, 5060),
        (UDP, f"SIP:1@{SOURCE}:5062;line=1?X=y", (), False, SOURCE, 5062),
        # A phone over a connection is reached by that as long as it is open.
        (TCP, f"sip:101@{SOURCE}:5062", (), False, SOURCE, 40_000),
        (EDGE_TCP, "sip:101@10.0.0.7", (f"<sip:{EDGE};lr>",), True, EDGE, 40_000),
        # A trusted edge is taken at its own word, not at that of others which it has passed on.
        (EDGE_UDP, "sip:101@10.0.0.7", (f"<sip:{EDGE}:5070;lr>", "<sip:x>"), True, EDGE, 5070),
        (EDGE_UDP, "sip:101@10.0.0.7", (f'"A, B" <sip:{OTHER_EDGE};lr>;x=y',), True, OTHER_EDGE, 5060),
        (EDGE_UDP, "sip:101@10.0.0.7", ("<sip:203.0.113.1:22;lr>",), True, EDGE, 40_000),
        (EDGE_UDP, "sip:101@10.0.0.7", ("<sip:edge.example:5070;lr>",), True, EDGE, 40_000),
        # IPv6 is no different; for the other family there may be no listener.
        (UDP6, f"sip:101@[{SOURCE6}]:5062", (), False, SOURCE6, 5062),
        (UDP6, "sip:101@[2001:DB8:0::7]", (), False, SOURCE6, 5060),
        (UDP6, "sip:101@[2001:db8::8]:5062", (), False, SOURCE6, 40_000),
        (EDGE_UDP6, "sip:101@10.0.0.7", (f"<sip:[{OTHER_EDGE6}]:5070;lr>",), True, OTHER_EDGE6, 5070),
        (EDGE_UDP6, "sip:101@10.0.0.7", (f"<sip:{OTHER_EDGE}:5070;lr>",), True, EDGE6, 40_000),
        (EDGE_UDP, "sip:101@10.0.0.7", (f"<sip:[{EDGE6}]:5070;lr>",), True, EDGE, 40_000),
        # A peer that is not trusted may name what it likes, and is reached where it comes from.
        (UDP, "sip:101@10.0.0.7", (f"<sip:{EDGE};lr>",), True, SOURCE, 40_000),
        (UDP, f"sip:101@{SOURCE}:5062", ("<sip:203.0.113.1;lr>",), False, SOURCE, 40_000),
    ],
)
def test_where_requests_go_now(
    flow: Flow, contact: str, routes: tuple[str, ...], asks_rport: bool, host: str, port: int
) -> None:
    assert HOPS.of(flow, contact, routes, asks_rport) == flow._replace(host=host, port=port)


@pytest.mark.parametrize(
    ("flow", "contact", "routes", "way"),
    [
        (TCP, f"sip:101@{SOURCE}:5062;transport=tcp", (), (SOURCE, 5062)),
        (TCP, f"<sip:{SOURCE}>", (), (SOURCE, 5060)),
        (TCP, "sip:101@10.0.0.7:5062", (), None),
        (TCP, "sip:101@phone.example", (), None),
        (TCP, "", (), None),
        (TCP, "tel:+4912", (), None),
        (EDGE_TCP, "sip:101@10.0.0.7", (f"<sip:{EDGE}:5070;transport=tcp;lr>", "<sip:x>"), (EDGE, 5070)),
        (EDGE_TCP, "sip:101@10.0.0.7", (f"<sip:{OTHER_EDGE}:5070;lr>",), (OTHER_EDGE, 5070)),
        (EDGE_TCP, "sip:101@10.0.0.7", ("<sip:edge.example:5070;lr>",), (EDGE, 5070)),
        (EDGE_TCP, "sip:101@10.0.0.7", ("<sip:203.0.113.1:5070;lr>",), (EDGE, 5070)),
        (EDGE_TCP, "sip:101@10.0.0.7", ("rubbish",), (EDGE, 5060)),
        (EDGE_TCP, "sip:101@10.0.0.7", (), None),
        (EDGE_TCP, f"sip:101@{EDGE}:5070", (), (EDGE, 5070)),
        (TCP, f"sip:101@{SOURCE}", ("<sip:203.0.113.1;lr>",), None),
        (TCP, "sip:101@10.0.0.7", (f"<sip:{SOURCE}:5070;lr>",), (SOURCE, 5070)),
    ],
)
def test_where_requests_go_once_the_connection_is_gone(
    flow: Flow, contact: str, routes: tuple[str, ...], way: tuple[str, int] | None
) -> None:
    found = HOPS.reopened(flow, contact, routes)
    assert found == (flow._replace(host=way[0], port=way[1]) if way else None)
    if found:
        assert HOPS.reopened(found, contact, routes) == found, "it stays the same when that is gone, too"


@pytest.mark.parametrize(
    ("flow", "contact", "routes", "asks_rport"),
    [
        (EDGE_UDP, "sip:101@10.0.0.7", (f"<sip:{SERVER};lr>",), True),
        (EDGE_TCP, "sip:101@10.0.0.7", (f"<sip:{SERVER}:5060;lr>",), True),
        # The edge would send a request to this server.
        (EDGE_UDP, "sip:101@10.0.0.7", ("<sip:localhost;lr>",), True),
        (EDGE_UDP, "sip:101@10.0.0.7", (f"<sip:{SERVER}:5070;transport=TCP;lr>", "<sip:x>"), True),
        (EDGE_UDP6, "sip:101@10.0.0.7", (f"<sip:{SERVER};lr>",), True),
        (UDP._replace(host=SERVER), f"sip:101@{SERVER}", (), False),
        (UDP._replace(host=SERVER), f"sip:101@{SERVER}:0", (), False),
        (TCP._replace(host=SERVER), f"sip:101@{SERVER}", (), True),
    ],
)
def test_nothing_goes_to_this_server(
    flow: Flow, contact: str, routes: tuple[str, ...], asks_rport: bool
) -> None:
    with pytest.raises(Refusal) as caught:
        HOPS.of(flow, contact, routes, asks_rport)
    assert caught.value.status == 400
    assert caught.value.reason.startswith("Path or Record-Route" if routes else "Contact")


@pytest.mark.parametrize(
    ("flow", "contact", "routes"),
    [
        (UDP, f"sip:101@{SERVER}", ()),  # the phone is behind NAT, and this is an address of its own network
        (TCP, f"sip:101@{SERVER}", ()),
        (UDP, "sip:101@10.0.0.7", (f"<sip:{SERVER};lr>",)),  # a stranger's route is not followed
        (UDP._replace(host=SERVER), f"sip:101@{SERVER}:5062", ()),  # another program on this machine
    ],
)
def test_what_only_looks_like_this_server(flow: Flow, contact: str, routes: tuple[str, ...]) -> None:
    assert HOPS.of(flow, contact, routes, asks_rport=True) == flow


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("sip:101@192.0.2.1", ("192.0.2.1", 5060)),
        ("sips:192.0.2.1:5061;transport=tcp", ("192.0.2.1", 5061)),
        ("sip:a;b?c@Host.Example:1?X=y", ("host.example", 1)),
        ("<sip:192.0.2.1;lr>", ("192.0.2.1", 5060)),
        ('"<" <sip:192.0.2.1:7>;x', ("192.0.2.1", 7)),
        ("sip:", ("", 5060)),
        ("sip:101@192.0.2.1:x", ("", 5060)),
        ("tel:1", ("", 5060)),
        ("", ("", 5060)),
        ("sip:101@[2001:DB8:0::1]:7;lr", ("2001:db8::1", 7)),
        ("<sip:[::ffff:192.0.2.1]>", ("192.0.2.1", 5060)),
        ("sip:[::1", ("", 5060)),
        ("sip:[1:2]", ("", 5060)),
    ],
)
def test_the_address_in_a_uri(written: str, found: tuple[str, int]) -> None:
    assert address_in(written, UDP) == found


@pytest.mark.parametrize(
    ("uri", "is_one"),
    [("sip:x", True), ("SIPS:x", True), ("sipx:1", False), ("http://x", False), ("tel:1", False)],
)
def test_what_requests_can_be_sent_to(uri: str, is_one: bool) -> None:
    assert is_sip(uri) is is_one


@pytest.mark.parametrize(
    ("contact", "target"),
    [
        ("sip:101@192.0.2.1:5060;line=1", "sip:101@192.0.2.1:5060;line=1"),
        ("sip:101@192.0.2.1;line=1?Replaces=x%40y&Y=z", "sip:101@192.0.2.1;line=1"),
        ("sip:192.0.2.1?Replaces=x", "sip:192.0.2.1"),
        ("sip:who?me@192.0.2.1", "sip:who?me@192.0.2.1"),
        ("sip:who?me@192.0.2.1?X=y", "sip:who?me@192.0.2.1"),
    ],
)
def test_a_request_uri_has_no_headers(contact: str, target: str) -> None:
    assert without_headers(contact) == target


@pytest.mark.parametrize(
    ("flow", "known", "said", "renewed"),
    [
        (EDGE_TCP, (f"<sip:{EDGE}:5070;lr>", "<sip:x>"), (f"<sip:{EDGE}:5080;lr>",), True),
        (EDGE_UDP, (f"<sip:{EDGE};lr>",), (f"<sip:{OTHER_EDGE};lr>", "<sip:x>"), True),
        (EDGE_TCP, (f"<sip:{EDGE}:5070;lr>",), (f"<sip:{EDGE}:5070;lr;other>",), False),
        (EDGE_TCP, (f"<sip:{EDGE}:5070;lr>",), (), False),
        (EDGE_TCP, (), (f"<sip:{EDGE}:5080;lr>",), False),
        (TCP, (f"<sip:{EDGE}:5070;lr>",), (f"<sip:{EDGE}:5080;lr>",), False),
    ],
)
def test_an_edge_that_has_moved(
    flow: Flow, known: tuple[str, ...], said: tuple[str, ...], renewed: bool
) -> None:
    assert HOPS.renewed(known, said, flow) == (said if renewed else known)
