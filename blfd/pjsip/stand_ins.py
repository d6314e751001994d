"""IPv4 addresses that PJSIP, which the wheel has without IPv6, is given in the place of true ones.

They are of 240.0.0.0/4, which nobody has; if somebody did, he would have a stand-in too. PJSIP has them where
it has addresses: in routes, sources and destinations. In URIs it takes IPv6 as the text that it is.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv4Address

FIRST, COUNT = int(IPv4Address("240.0.0.0")), (1 << 28) - 1  # without 255.255.255.255
KEPT = 100_000  # hosts; past it, the one goes that has not been used for longest


def _needs_one(host: str) -> bool:
    return ":" in host or (host[:1] == "2" and int(host.partition(".")[0]) >= 240)


class StandIns:
    """The stand-in of each host, and the host of each stand-in."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, str] = OrderedDict()
        self._hosts: dict[str, str] = {}
        self._drawn = 0

    def of(self, host: str) -> str:
        """What PJSIP gets for an address."""
        if not _needs_one(host):
            return host
        found = self._of.get(host)
        if found is None:
            found = self._new()
            self._of[host], self._hosts[found] = found, host
            if len(self._of) > KEPT:
                del self._hosts[self._of.popitem(last=False)[1]]
        self._of.move_to_end(host)
        return found

    def _new(self) -> str:
        while True:
            number, self._drawn = self._drawn, (self._drawn + 1) % COUNT
            made = str(IPv4Address(FIRST + number))
            if made not in self._hosts:
                return made

    def host(self, address: str) -> str:
        """The true address for one that PJSIP has; "" for a stand-in that is forgotten."""
        if not _needs_one(address):
            return address
        host = self._hosts.get(address, "")
        if host:
            self._of.move_to_end(host)
        return host
