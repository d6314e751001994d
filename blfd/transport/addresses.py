"""Addresses: what to listen on, and this machine's own as others see them."""

from __future__ import annotations

import re
import socket
from ipaddress import AddressValueError, IPv4Address
from typing import NamedTuple

from blfd.core.values import TRANSPORTS

ANYWHERE = "192.0.2.1"  # of nobody: what leads there is the way out
UNSPECIFIED = "0.0.0.0"  # all addresses of this machine

_LISTEN = re.compile(r"([a-z]+):(.*):([0-9]{1,5})")


class AddressError(ValueError):
    """One line that says what is wrong and what is allowed."""


class ListenAddress(NamedTuple):
    """Where to listen, or where we do: "udp:127.0.0.1:5060". Port 0 takes a free one."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.transport}:{self.host}:{self.port}"

    @property
    def everywhere(self) -> bool:
        """Whether it stands for all addresses of this machine."""
        return self.host == UNSPECIFIED

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Raises AddressError."""
        found = _LISTEN.fullmatch(text)
        if not found or found[1] not in TRANSPORTS or int(found[3]) > 65535:
            raise AddressError(
                f"cannot listen on {text!r}: write udp:127.0.0.1:5060, tcp:0.0.0.0:5060 or tls:0.0.0.0:5061"
            )
        transport, host, port = found.groups()
        try:
            IPv4Address(host)
        except AddressValueError:
            what = "IPv6 is not served yet" if ":" in host else f"{host!r} is no IPv4 address"
            raise AddressError(f"cannot listen on {text!r}: {what}; write udp:127.0.0.1:5060") from None
        return cls(transport, host, int(port))


def local_address_towards(host: str) -> str:
    """The address of ours that the kernel would send from, 127.0.0.1 if it knows no way; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def is_local(host: str) -> bool:
    """Whether an address is one of this machine's now; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
