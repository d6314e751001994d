"""Where a server is, by DNS (RFC 3263): NAPTR gives transports, SRV hosts and ports, A and AAAA addresses.

What DNS says is a stranger's word: so many targets are taken, of a name's length, within so long, and no
address that is nobody's.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from blfd.core.hosts import address, read
from blfd.core.values import TCP, TLS, TRANSPORTS, UDP, Location, Server, Target

LONGEST = 6.0  # seconds that all questions for one server may take together
QUESTION, ATTEMPT = 3.0, 1.0  # seconds for one question, and for one DNS server to answer it
MOST_TARGETS = 16
DAY = 86_400.0
OF_SYSTEM = 60.0  # seconds: what the system knows without DNS comes without a lifetime

SERVICES = {UDP.name: "_sip._udp", TCP.name: "_sip._tcp", TLS.name: "_sips._tcp"}
BY_NAPTR = {"sip+d2u": UDP.name, "sip+d2t": TCP.name, "sips+d2t": TLS.name}
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}", re.IGNORECASE).fullmatch


class Lookup:
    """One look for a server. `servers` are addresses and ports of DNS servers, none for the system's."""

    def __init__(self, server: Server, servers: tuple[tuple[str, int], ...]) -> None:
        self._server, self._servers = server._replace(host=server.host.removesuffix(".")), servers
        self._until = time.monotonic() + LONGEST
        self._seconds = DAY
        self._fault, self._unsure = "", False

    def run(self) -> Location:
        """Where the server is, or why that is not known. Does not raise."""
        server = self._server
        try:
            if not _NAME(server.host):
                return Location(fault="it is no name of a host")
            self._resolver = _resolver(self._servers)
            targets = tuple(self._targets())[:MOST_TARGETS]
        except dns.exception.DNSException as error:
            return Location(fault=_said(error), unsure=True)
        if targets:
            return Location(targets, self._seconds)
        return Location(fault=self._fault or "DNS has no address for it", unsure=self._unsure)

    def _targets(self) -> Iterator[Target]:
        host, port, transports = self._server
        if port:  # section 4.2: then there is no SRV
            yield from self._at(host, port, transports[0])
            return
        for transport, name in self._services():
            records = self._ask(name, "SRV")[:MOST_TARGETS]
            for record in records:
                if record.target != dns.name.root:  # "not served here" (RFC 2782)
                    yield from self._at(record.target.to_text(omit_final_dot=True), record.port, transport)
            if records:
                self._fault = self._fault or f"SRV of {name} leads to no address"
                return
        yield from self._at(host, TRANSPORTS[transports[0]].default_port, transports[0])

    def _services(self) -> Iterator[tuple[str, str]]:
        """The transports and the names of their SRV records, the best first (section 4.1)."""
        host, _, transports = self._server
        if len(transports) > 1:
            for record in self._ask(host, "NAPTR")[:MOST_TARGETS]:
                transport = BY_NAPTR.get(record.service.decode("latin-1").lower(), "")
                if transport in transports and record.flags.lower() == b"s":
                    yield transport, record.replacement.to_text(omit_final_dot=True)
        for transport in transports:
            yield transport, f"{SERVICES[transport]}.{host}"

    def _at(self, host: str, port: int, transport: str) -> Iterator[Target]:
        """The targets at a host, IPv4 first: what has both is reached by both."""
        found = [record.address for kind in ("A", "AAAA") for record in self._ask(host, kind)[:MOST_TARGETS]]
        if not found and not self._servers:
            found = self._known_to_system(host)
        if not port:
            return
        for text in found:
            there = address(read(f"[{text}]" if ":" in text else text))
            if there and not (there.is_multicast or there.is_unspecified):
                yield Target(transport, str(there), port)

    def _known_to_system(self, host: str) -> list[str]:
        """The addresses of a host as /etc/hosts has it, and what else the system asks."""
        found: list[str] = []
        if time.monotonic() < self._until:
            with contextlib.suppress(OSError, ValueError):
                known = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
                found = [str(at[0]) for *_, at in known if "%" not in str(at[0])]
                self._seconds = min(self._seconds, OF_SYSTEM)
        return found

    def _ask(self, name: str, kind: str) -> list[Any]:
        """The records in the order in which they are to be used; none where there are none, or no answer."""
        left = self._until - time.monotonic()
        if left <= 0:
            self._unsure, self._fault = True, f"DNS does not answer within {LONGEST:.0f} s"
            return []
        try:
            answer = self._resolver.resolve(f"{name}.", kind, lifetime=min(QUESTION, left))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.DNSException as error:
            self._unsure, self._fault = True, _said(error)
            return []
        self._seconds = min(self._seconds, float(answer.chaining_result.minimum_ttl))
        rrset = answer.rrset
        return list(rrset.processing_order()) if rrset else []


def _resolver(servers: tuple[tuple[str, int], ...]) -> dns.resolver.Resolver:
    """A resolver that asks the given servers, or the system's. Raises DNSException where it has none."""
    if servers:
        made = dns.resolver.Resolver(configure=False)
        made.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in servers]
    else:
        made = dns.resolver.Resolver()
    made.timeout = ATTEMPT
    return made


def _said(error: dns.exception.DNSException) -> str:
    """The fault in one line of what dnspython says, for people."""
    if isinstance(error, dns.exception.Timeout):
        return "DNS does not answer"
    if isinstance(error, dns.resolver.NoResolverConfiguration):
        return "no DNS server is configured (/etc/resolv.conf, or dns_servers)"
    if isinstance(error, dns.resolver.NoNameservers):
        codes = re.findall(r"answered ([A-Z]+)", str(error))
        return f"DNS answers {codes[0]}" if codes else "no DNS server gives an answer"
    return " ".join(str(error).split())[:200] or type(error).__name__
