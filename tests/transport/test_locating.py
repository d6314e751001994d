"""RFC 3263 with a DNS server on loopback, which answers as servers do, and as they should not."""

from __future__ import annotations

import queue

import pytest
from name_server import FORGED, SILENT, NameServer, serving, unused

from blfd.core.values import Location, Server, Target
from blfd.transport import locating, resolver
from blfd.transport.locating import MOST_TARGETS, Lookup
from blfd.transport.resolver import MOST_WAITING, Resolver

ANY = ("udp", "tcp", "tls")
A, B = "192.0.2.1", "192.0.2.2"
TWO = {"a.example A": (A,), "b.example A": (B,)}
Zone = dict[str, tuple[str, ...]]


def looked_up(zone: Zone, host: str, port: int = 0, transports: tuple[str, ...] = ("udp",)) -> Location:
    with serving(zone) as server:
        return Lookup(Server(host, port, transports), (server.address,)).run()


def targets(zone: Zone, host: str, port: int = 0, transports: tuple[str, ...] = ("udp",)) -> list[str]:
    found = looked_up(zone, host, port, transports)
    assert not found.fault
    return [f"{one.transport} {one.host} {one.port}" for one in found.targets]


SRV = "1 1 5070 a.example."
NAPTR = '1 1 "s" "{}" "" {}.'


@pytest.mark.parametrize(
    ("zone", "port", "transports", "found"),
    [
        # Addresses.
        ({"a.example A": (A,)}, 0, ("udp",), [f"udp {A} 5060"]),
        ({"a.example A": (A,)}, 0, ("tls",), [f"tls {A} 5061"]),
        ({"a.example A": (A,)}, 5070, ANY, [f"udp {A} 5070"]),
        ({"a.example AAAA": ("2001:db8::1",)}, 0, ("udp",), ["udp 2001:db8::1 5060"]),
        (
            {"a.example AAAA": ("2001:db8::1",), "a.example A": (A,)},
            0,
            ("tcp",),
            [f"tcp {A} 5060", "tcp 2001:db8::1 5060"],
        ),
        ({"a.example CNAME": ("b.example.",), "b.example A": (B,)}, 0, ("udp",), [f"udp {B} 5060"]),
        ({"a.example AAAA": ("::ffff:192.0.2.1",)}, 0, ("udp",), [f"udp {A} 5060"]),
        # With a port in the URI, SRV is not asked.
        ({**TWO, "_sip._udp.a.example SRV": ("1 1 5099 b.example.",)}, 5070, ("udp",), [f"udp {A} 5070"]),
        # SRV, in the order of priorities.
        (
            {**TWO, "_sip._udp.a.example SRV": ("20 1 5071 a.example.", "10 1 5072 b.example.")},
            0,
            ("udp",),
            [f"udp {B} 5072", f"udp {A} 5071"],
        ),
        ({**TWO, "_sips._tcp.a.example SRV": (SRV,)}, 0, ("tls",), [f"tls {A} 5070"]),
        ({**TWO, "_sip._tcp.a.example SRV": (SRV,)}, 0, ("udp",), [f"udp {A} 5060"]),
        ({**TWO, "_sip._tcp.a.example SRV": (SRV,)}, 0, ANY, [f"tcp {A} 5070"]),
        # One of the hosts is not there.
        (
            {**TWO, "_sip._udp.a.example SRV": ("1 1 5070 gone.example.", "2 1 5071 b.example.")},
            0,
            ("udp",),
            [f"udp {B} 5071"],
        ),
        # NAPTR says which transport is wanted, of those that are there.
        (
            {
                **TWO,
                "a.example NAPTR": (
                    NAPTR.format("SIP+D2W", "_sip._ws.a.example"),
                    NAPTR.format("SIPS+D2T", "tls.example").replace("1", "2", 1),
                    NAPTR.format("SIP+D2U", "udp.example").replace("1", "3", 1),
                ),
                "tls.example SRV": ("1 1 5443 b.example.",),
                "udp.example SRV": (SRV,),
            },
            0,
            ANY,
            [f"tls {B} 5443"],
        ),
        (
            {**TWO, "a.example NAPTR": (NAPTR.format("SIP+D2T", "x.example"),), "x.example SRV": (SRV,)},
            0,
            ("udp", "tls"),
            [f"udp {A} 5060"],
        ),
        # Servers that break on what they do not know.
        ({**TWO, "_sip._udp.a.example SRV": ("SERVFAIL",)}, 0, ("udp",), [f"udp {A} 5060"]),
        ({**TWO, "a.example NAPTR": ("REFUSED",)}, 0, ANY, [f"udp {A} 5060"]),
        ({"a.example A": (A,), "a.example AAAA": (SILENT,)}, 0, ("udp",), [f"udp {A} 5060"]),
        # Answers to what was not asked.
        ({"a.example A": (A, FORGED)}, 0, ("udp",), [f"udp {A} 5060"]),
        # Addresses where nobody can be reached.
        ({"a.example A": ("0.0.0.0", "224.0.1.75", A)}, 0, ("udp",), [f"udp {A} 5060"]),
    ],
)
def test_what_is_found(
    zone: Zone, port: int, transports: tuple[str, ...], found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 2.0 if any(SILENT in texts for texts in zone.values()) else 30.0
    for limit in ("QUESTION", "ATTEMPT", "LONGEST"):
        monkeypatch.setattr(locating, limit, seconds if limit == "QUESTION" else 30.0)
    assert targets(zone, "a.example", port, transports) == found


@pytest.mark.parametrize(
    ("zone", "host", "words", "unsure"),
    [
        ({}, "a.example", "DNS has no address", False),
        ({"a.example A": ("SERVFAIL",), "a.example AAAA": ("SERVFAIL",)}, "a.example", "SERVFAIL", True),
        ({"a.example A": (SILENT,), "a.example AAAA": (SILENT,)}, "a.example", "does not answer", True),
        ({"a.example CNAME": ("b.example.",), "b.example CNAME": ("a.example.",)}, "a.example", "", True),
        ({"_sip._udp.a.example SRV": ("0 0 0 .",)}, "a.example", "leads to no address", False),
        (
            {"_sip._udp.a.example SRV": ("1 1 0 a.example.",), "a.example A": (A,)},
            "a.example",
            "no add",
            False,
        ),
        ({"a.example A": ("0.0.0.0",)}, "a.example", "DNS has no address", False),
        ({}, "a" * 64 + ".example", "no name", False),
        ({}, "a..example", "no name", False),
        ({}, "\N{SNOWMAN}.example", "no name", False),
        ({}, "a\\000.example", "no name", False),
        ({}, ".".join(["a" * 60] * 5), "no name", False),
    ],
)
def test_what_is_not_found(
    zone: Zone, host: str, words: str, unsure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locating, "QUESTION", 0.3)
    monkeypatch.setattr(locating, "LONGEST", 1.0)
    found = looked_up(zone, host)
    assert not found.targets
    assert words in found.fault
    assert found.fault.isprintable()
    assert found.unsure is unsure


def test_a_huge_answer_is_read_over_tcp_and_cut() -> None:
    addresses = tuple(f"192.0.2.{number}" for number in range(1, 255))
    assert len(targets({"a.example A": addresses}, "a.example")) == MOST_TARGETS
    many = tuple(f"{n} 1 5070 a.example." for n in range(200))
    assert len(targets({"a.example A": (A,), "_sip._udp.a.example SRV": many}, "a.example")) == MOST_TARGETS


def test_weights_share_the_load() -> None:
    zone = {**TWO, "_sip._udp.a.example SRV": ("1 1 5060 a.example.", "1 3 5060 b.example.")}
    with serving(zone) as server:
        first = {
            Lookup(Server("a.example", 0, ("udp",)), (server.address,)).run().targets[0].host
            for _ in range(60)
        }
    assert first == {A, B}


@pytest.mark.parametrize("ttl", [0, 7])
def test_it_holds_as_long_as_the_shortest_record(ttl: int) -> None:
    with serving({**TWO, "_sip._udp.a.example SRV": (SRV,)}, ttl) as server:
        assert Lookup(Server("a.example", 0, ("udp",)), (server.address,)).run().seconds == ttl


def test_the_next_server_is_asked_where_one_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locating, "ATTEMPT", 0.2)
    with serving({"a.example A": (A,)}) as server:
        found = Lookup(Server("a.example", 0, ("udp",)), (unused(), server.address)).run()
    assert found.targets == (Target("udp", A, 5060),)


def test_the_system_knows_names_that_dns_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({}) as server:
        made = locating._resolver((server.address,))
        monkeypatch.setattr(locating, "_resolver", lambda servers: made)
        found = Lookup(Server("localhost", 5070, ("tcp",)), ()).run()
    assert Target("tcp", "127.0.0.1", 5070) in found.targets


class Finder:
    """A resolver, with what it has found."""

    def __init__(self, server: NameServer) -> None:
        self.found: queue.Queue[tuple[str, Location]] = queue.Queue()
        self.resolver = Resolver(
            (server.address,), lambda server, location: self.found.put((server.host, location))
        )

    def ask(self, host: str) -> None:
        self.resolver.ask(Server(host, 5060, ("udp",)))


def test_every_question_has_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever DNS does, nobody waits for ever, and whoever asks is not held up."""
    monkeypatch.setattr(locating, "LONGEST", 0.3)
    monkeypatch.setattr(resolver, "PATIENCE", 0.3)
    names = [f"n{number}.example" for number in range(MOST_WAITING + 50)]
    with serving({f"{name} {kind}": (SILENT,) for name in names for kind in ("A", "AAAA")}) as server:
        finder = Finder(server)
        for name in names:
            finder.ask(name)
        answers = dict(finder.found.get(timeout=20) for _ in names)
        assert set(answers) == set(names)
        faults = {location.fault for location in answers.values()}
        assert "others wait for DNS as well" in faults
        assert f"{MOST_WAITING} other names are being looked up" in faults
        server.zone["late.example A"] = (A,)
        finder.ask("late.example")
        assert finder.found.get(timeout=20)[1].targets
        finder.resolver.close()


def test_a_fault_of_ours_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Lookup) -> Location:
        raise AssertionError

    monkeypatch.setattr(Lookup, "run", broken)
    with serving({}) as server:
        finder = Finder(server)
        finder.ask("a.example")
        assert finder.found.get(timeout=20)[1].fault == "the look-up failed"
        finder.resolver.close()
