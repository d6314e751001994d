"""Hosts: what is one host, what is one sender, and what is no host."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blfd.core import hosts
from blfd.core.next_hop import address_in
from blfd.core.values import Flow, Uri

IPV4, IPV6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
NAMES = st.from_regex(r"[A-Za-z0-9_.\-]{1,40}", fullmatch=True)


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("PBX.Example", "pbx.example"),
        ("[::1]", "::1"),
        ("[2001:DB8:0:0:0::1]", "2001:db8::1"),
        ("[2001:db8::192.0.2.1]", "2001:db8::c000:201"),
        ("[::ffff:192.0.2.1]", "192.0.2.1"),
        ("[::FFFF:c000:201]", "192.0.2.1"),
    ],
)
def test_a_host(written: str, host: str) -> None:
    assert hosts.read(written) == host


@pytest.mark.parametrize(
    "text", ["[]", "[", "[::1", "[1.2.3.4]", "[:::]", "[fe80::1%eth0]", "[::1%]", "[" * 99]
)
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        hosts.read(text)


@given(IPV6)
@example(IPv6Address("::ffff:192.0.2.1"))
@example(IPv6Address("::"))
def test_each_way_to_write_an_address_is_the_same_host(address: IPv6Address) -> None:
    host = hosts.read(f"[{address}]")
    assert host == hosts.read(f"[{address.exploded.upper()}]") == hosts.read(hosts.written(host))
    assert hosts.unmapped(str(address)) in (host, str(address))
    assert hosts.is_ipv6(host) == (address.ipv4_mapped is None)
    assert hosts.is_address(host)


@given(IPV4 | IPV6 | NAMES, st.integers(1, 65535))
def test_a_flow_and_a_uri_are_read_as_they_are_written(
    address: IPv4Address | IPv6Address | str, port: int
) -> None:
    host = hosts.read(f"[{address}]" if isinstance(address, IPv6Address) else str(address))
    flow = Flow("udp", host, port)
    assert str(flow) == f"udp:{hosts.written(host)}:{port}"
    domain = Uri("", "sip", "", host, port).domain
    for uri in (f"sip:{domain}", f"<sip:101@{domain};lr>", f'"a" <SIPS:{domain}?x=[::1]>;y'):
        assert address_in(uri, flow) == (host, port)
    assert hosts.before_port(domain) == hosts.before_port(hosts.written(host)) == host


@given(IPV6, IPV6)
def test_a_sender_is_a_site(one: IPv6Address, other: IPv6Address) -> None:
    is_same = IPv6Network((one, 64), strict=False) == IPv6Network((other, 64), strict=False)
    assert (hosts.sender(str(one)) == hosts.sender(str(other))) == is_same
    assert hosts.sender("192.0.2.1") != hosts.sender("192.0.2.2")


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
    ],
)
def test_a_network(text: str, network: str) -> None:
    assert str(hosts.network(text)) == network


def is_no_ipv4(address: IPv4Address | IPv6Address) -> bool:
    return isinstance(address, IPv6Address) and address.ipv4_mapped is None


@given(
    st.sampled_from(["udp", "tcp", "tls"]),
    IPV4 | IPV6.filter(is_no_ipv4),
    st.integers(0, 65535),
)
def test_a_flow_is_read_as_it_is_written(
    transport: str, address: IPv4Address | IPv6Address, port: int
) -> None:
    flow = Flow(transport, str(address), port)
    assert Flow.parse(str(flow)) == flow
