"""Addresses: what to listen on, this machine's own as others see them, and what the sockets call them.

A listener on [::] serves both families: what the system calls ::ffff:192.0.2.1 there is 192.0.2.1 to us.
"""

from __future__ import annotations

import errno
import re
import socket
from typing import Any, NamedTuple

from blfd.core.hosts import EVERY, EVERY_IPV4, is_address, is_ipv6, read, unmapped, written
from blfd.core.values import TRANSPORTS

ANYWHERE = "192.0.2.1"  # of nobody: what leads there is the way out

LOOPBACK = {
    "localhost": ("127.0.0.1", "::1"),
    EVERY_IPV4: ("127.0.0.1",),
    EVERY: ("::1", "127.0.0.1"),
}
"""Where what is sent to these arrives."""

Source = tuple[str, str, int, int, str]
"""The fields of a Flow, without the time that it takes to make one."""

_LISTEN = re.compile(r"([a-z]+):(.*):([0-9]{1,5})")


class AddressError(ValueError):
    """Raised with one line that says what is wrong and what is allowed."""


class ListenAddress(NamedTuple):
    """Where to listen, or where we do: "udp:127.0.0.1:5060", "tcp:[::]:5060". Port 0 takes a free one."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.transport}:{written(self.host)}:{self.port}"

    @property
    def everywhere(self) -> bool:
        """Whether it stands for all addresses of this machine, of its family or of both."""
        return self.host in (EVERY, EVERY_IPV4)

    def reaches(self, host: str) -> bool:
        """Whether something can be sent from there to an address."""
        return self.host == EVERY or is_ipv6(self.host) == is_ipv6(host)

    def overlaps(self, other: ListenAddress) -> bool:
        """Whether the system refuses to listen on both, or one would take what is meant for the other."""
        if self[::2] != other[::2] or not self.port:
            return False
        return self.host == other.host or EVERY in (self.host, other.host)

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """The address that `text` says. Raises AddressError."""
        found = _LISTEN.fullmatch(text)
        if not found or found[1] not in TRANSPORTS or int(found[3]) > 65535:
            raise AddressError(
                f"cannot listen on {text!r}: write udp:127.0.0.1:5060, tcp:[::]:5060 or tls:0.0.0.0:5061"
            )
        transport, host, port = found.groups()
        try:
            if is_address(known := read(host)) and (host[:1] == "[" or not is_ipv6(known)):
                return cls(transport, known, int(port))
        except ValueError:
            pass
        what = "an IPv6 address without a zone" if host[:1] == "[" else "an address"
        raise AddressError(f"cannot listen on {text!r}: {host!r} is not {what}; write udp:127.0.0.1:5060")


def family(host: str) -> socket.AddressFamily:
    """The address family of the socket for a host."""
    return socket.AF_INET6 if is_ipv6(host) else socket.AF_INET


def new_socket(host: str, kind: socket.SocketKind) -> socket.socket:
    """A socket to be bound to `host`, or to reach it; of both families where that is [::]. Raises OSError."""
    made = socket.socket(family(host), kind)
    made.setblocking(False)
    if is_ipv6(host):
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != EVERY)
    return made


def peer(sockaddr: Any) -> tuple[str, int]:
    """The host and port of what the system gives of either family."""
    return unmapped(sockaddr[0]), sockaddr[1]


def local_address_towards(host: str, zone: int = 0) -> str:
    """The address of ours that the kernel would send from, loopback's if it knows no way; sends nothing."""
    with new_socket(host, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9, 0, zone) if zone else (host, 9))
        except OSError:
            return "::1" if is_ipv6(host) else "127.0.0.1"
        return peer(probe.getsockname())[0]


def is_local(host: str) -> bool:
    """Whether an address is one of this machine's now; sends nothing."""
    if not is_address(host):
        return False
    with new_socket(host, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def advice(error: OSError) -> str:
    """What to do where an address cannot be listened on."""
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address: choose one of its own with --listen, or 0.0.0.0 for all"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "ports below 1024 are for root: choose another with --listen"
    return "stop what uses it, or choose another with --listen"
