"""Hosts as flows, URIs and Vias have them once they are read: in lower case, IPv6 without brackets.

An IPv6 address has its one short form (RFC 5952), so that texts can be compared. One that maps an IPv4
address (::ffff:192.0.2.1) is that IPv4 address, as a listener of both families has its IPv4 peers so.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

KEPT = 20_000
LONGEST = 45  # characters of an address
EVERY_IPV4, EVERY = "0.0.0.0", "::"
"""What stands for all addresses of this machine: of IPv4, and of both families."""

OF_ONE_SITE = 64  # bits of an IPv6 address that its site has not chosen

Network = IPv4Network | IPv6Network
MAPPED = "::ffff:"
OF_MAPPED = IPv6Network("::ffff:0:0/96")


def read(written: str) -> str:
    """A host as a URI or Via has it. Raises ValueError for brackets without an IPv6 address in them."""
    if written[:1] != "[":
        return sys.intern(written.lower())  # of the hosts in thousands of URIs nearly all are the same
    if len(written) > LONGEST + 2 or written[-1] != "]":
        raise ValueError("no IPv6 address")
    return _ipv6(written[1:-1])


def before_port(text: str) -> str:
    """The host of what may have a port behind it. Raises ValueError as `read` does."""
    host, colon, _ = text.rpartition(":")
    return read(host if colon and (host[:1] != "[" or host[-1:] == "]") else text)


@lru_cache(KEPT)
def _ipv6(text: str) -> str:
    found = IPv6Address(text)
    if found.scope_id is not None:
        raise ValueError("an address with a zone")
    return str(found.ipv4_mapped or found)


def unmapped(address: str) -> str:
    """What a socket calls the address of a peer."""
    return address[len(MAPPED) :] if address.startswith(MAPPED) and "." in address else address


def written(host: str) -> str:
    """A host as it stands in URIs, in a Via's sent-by and before a port: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def is_ipv6(host: str) -> bool:
    return ":" in host


def is_address(host: str) -> bool:
    """Whether a host is an address and no name."""
    return len(host) <= LONGEST and address(host) is not None


@lru_cache(KEPT)
def address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is; None of a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def same_family(one: str, other: str) -> bool:
    """Whether two addresses are of one family."""
    return is_ipv6(one) == is_ipv6(other)


@lru_cache(KEPT)
def sender(host: str) -> str:
    """What an address counts as where there is a limit: everybody has a /64 of IPv6 addresses."""
    if ":" not in host:
        return host
    return str(IPv6Network((host, OF_ONE_SITE), strict=False))


def network(text: str) -> Network:
    """Addresses such as 10.0.0.0/8 or 2001:db8::/32. Raises ValueError."""
    found = ip_network(text)
    if isinstance(found, IPv6Network) and found.subnet_of(OF_MAPPED):
        mapped = found.network_address.ipv4_mapped
        return IPv4Network((str(mapped), found.prefixlen - OF_MAPPED.prefixlen))
    return found
