"""A DNS server on loopback that answers as a test wants it, over UDP and TCP."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

SILENT = "silent"
HELD = "held"
FORGED = "forged"
RCODES = {"NXDOMAIN": dns.rcode.NXDOMAIN, "SERVFAIL": dns.rcode.SERVFAIL, "REFUSED": dns.rcode.REFUSED}
LARGEST = 512  # octets over UDP


class NameServer:
    """A server of `zone`, which has the texts of records, or a word, by keys such as "edge.example A".

    A word says what to do: RCODES are answers, SILENT gives none, FORGED gives false ones before the true
    one, and HELD waits for `release`. A name that `zone` does not have is NXDOMAIN, and a type that it does
    not have of a name is an empty answer. `asked` has the questions.
    """

    def __init__(self, zone: dict[str, tuple[str, ...]], ttl: int = 60) -> None:
        self.zone, self.ttl = dict(zone), ttl
        self.asked: list[str] = []
        self.release = threading.Event()
        server = self

        class Datagram(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                octets, sender = self.request
                for answer in server.answers(octets, LARGEST):
                    sender.sendto(answer, self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                (length,) = struct.unpack("!H", self.rfile.read(2))
                for answer in server.answers(self.rfile.read(length), 65_535):
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)

        class Tcp(socketserver.ThreadingTCPServer):
            allow_reuse_address = True

        while True:
            udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Datagram)
            try:
                self._servers = (udp, Tcp(udp.server_address, Stream))
            except OSError:
                udp.server_close()
                continue
            break
        self.address: tuple[str, int] = ("127.0.0.1", udp.server_address[1])
        for one in self._servers:
            one.daemon_threads = True
            threading.Thread(target=one.serve_forever, args=(0.01,), daemon=True).start()

    def answers(self, octets: bytes, most: int) -> Iterator[bytes]:
        query = dns.message.from_wire(octets)
        (question,) = query.question
        kind = question.rdtype.name
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append(f"{name} {kind}")
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        found = self._records(name, kind, reply)
        if SILENT in found:
            return
        if HELD in found:
            self.release.wait(5)
        if FORGED in found:
            yield from self._forged(query)
        octets = reply.to_wire(max_size=65_535)
        if len(octets) > most:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC | dns.flags.RA
            octets = short.to_wire()
        yield octets

    def _records(self, name: str, kind: str, reply: dns.message.Message) -> tuple[str, ...]:
        """Put what the zone has into `reply`, with what a CNAME leads to, and return the zone's entry."""
        found = self.zone.get(f"{name} {kind}", ())
        words = [word for word in found if word in RCODES or word in (SILENT, FORGED, HELD)]
        if words and words[0] in RCODES:
            reply.set_rcode(RCODES[words[0]])
            return found
        records = [text for text in found if text not in words]
        alias = self.zone.get(f"{name} CNAME")
        if records:
            reply.answer.append(dns.rrset.from_text_list(f"{name}.", self.ttl, "IN", kind, records))
        elif alias:
            reply.answer.append(dns.rrset.from_text_list(f"{name}.", self.ttl, "IN", "CNAME", alias))
            if len(reply.answer) < 40:
                return self._records(alias[0].rstrip("."), kind, reply)
        elif not any(key.startswith(f"{name} ") for key in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return found

    @staticmethod
    def _forged(query: dns.message.Message) -> Iterator[bytes]:
        """Answers with another id, to another question, and in no form of DNS."""
        false = dns.message.make_response(query)
        (question,) = query.question
        text = question.name.to_text()
        false.answer.append(dns.rrset.from_text(text, 60, "IN", "A", "203.0.113.66"))
        false.id = query.id ^ 1
        yield false.to_wire()
        other = dns.message.make_response(dns.message.make_query("other.example.", "A"))
        other.id = query.id
        other.answer.append(dns.rrset.from_text("other.example.", 60, "IN", "A", "203.0.113.66"))
        yield other.to_wire()
        yield b"\x00" * 5

    def close(self) -> None:
        for one in self._servers:
            one.shutdown()
            one.server_close()


@contextmanager
def serving(zone: dict[str, tuple[str, ...]], ttl: int = 60) -> Iterator[NameServer]:
    server = NameServer(zone, ttl)
    try:
        yield server
    finally:
        server.close()


def unused() -> tuple[str, int]:
    """An address where no DNS server is."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1", probe.getsockname()[1]
