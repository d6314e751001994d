"""TLS on loopback: which certificate is shown, who gets in, what handshakes cost, what a renewal does."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from certificates import EC, RSA, Pair, self_signed, signed
from sockets import DEADLINE, OPTIONS, Site, flow_of

from blfd import logs
from blfd.core.values import Flow, Server, Target
from blfd.transport import tls
from blfd.transport.certificate import CertificateError, PemFiles, TlsSettings, load
from blfd.transport.certificate_faults import faults
from blfd.transport.certificates import Certificates
from blfd.transport.tls import HANDSHAKE, Handshakes
from blfd.transport.told import MOST


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Pair:
    return self_signed(folder, "authority", "DNS:authority")


@pytest.fixture(scope="module")
def pbx(folder: Path, authority: Pair) -> Pair:
    return signed(folder, "pbx", authority, "DNS:pbx.example,IP:127.0.0.1,IP:::1")


def settings(*pairs: Pair, **more: object) -> TlsSettings:
    return TlsSettings(tuple(PemFiles(*pair) for pair in pairs), **more)  # type: ignore[arg-type]


class TlsSite(Site):
    """A network that listens on TLS alone, and whose phones run on threads of their own."""

    def __init__(self, certificates: Certificates, **more: object) -> None:
        self.certificates = certificates
        super().__init__("tls:127.0.0.1:0", certificates=certificates, **more)  # type: ignore[arg-type]

    def shake_hands(
        self, context: ssl.SSLContext, name: str | None = None, plain: socket.socket | None = None
    ) -> ssl.SSLSocket:
        """Connect a phone, and return its connection; raise the error that its handshake has."""
        plain = plain or self.tcp(0)
        result: list[ssl.SSLSocket | OSError] = []

        def run() -> None:
            try:
                result.append(context.wrap_socket(plain, server_hostname=name))
            except OSError as error:
                result.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        self.until(lambda: result)
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        self.keep(result[0])
        return result[0]

    def is_served(self, peer: ssl.SSLSocket) -> bool:
        before = len(self.came)
        peer.sendall(OPTIONS)
        self.until(lambda: len(self.came) > before)
        flow = flow_of(peer, "tls", 0)
        sent = self.came[-1] == (OPTIONS, flow) and self.network.send(b"answer", flow)
        return sent and _read(peer) == b"answer"


def _read(peer: ssl.SSLSocket) -> bytes:
    peer.settimeout(DEADLINE)
    return peer.recv(100)


@pytest.fixture
def make(pbx: Pair) -> Iterator[Callable[..., TlsSite]]:
    made: list[TlsSite] = []

    def make(*pairs: Pair, tls: TlsSettings | None = None, **more: object) -> TlsSite:
        made.append(TlsSite(Certificates(tls or settings(*(pairs or (pbx,)))), **more))
        return made[-1]

    yield make
    for site in made:
        site.close()


def phone(authority: Pair | None = None, **over: object) -> ssl.SSLContext:
    """The context of a phone that trusts an authority, or else everybody; `over` sets its attributes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority:
        context.load_verify_locations(authority.certificate)
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, value in over.items():
        setattr(context, name, value)
    return context


def test_messages_keep_alives_and_the_end(make: Callable[..., TlsSite], authority: Pair) -> None:
    site = make()
    peer = site.shake_hands(phone(authority), "pbx.example")
    assert site.is_served(peer)
    peer.sendall(b"\r\n\r\n")
    site.network.poll(0.1)
    assert _read(peer) == b"\r\n"
    flow = flow_of(peer, "tls", 0)
    peer.close()
    site.until(lambda: site.closed)
    assert site.closed == [flow]
    assert not site.network.handshakes


def test_what_is_larger_than_a_record_passes_both_ways(make: Callable[..., TlsSite], authority: Pair) -> None:
    site = make()
    peer = site.shake_hands(phone(authority), "127.0.0.1")
    large = b"MESSAGE sip:x SIP/2.0\r\nl: 60000\r\n\r\n" + b"x" * 60_000
    received = bytearray()

    def send() -> None:
        for _ in range(5):
            peer.sendall(large)

    def read() -> None:
        while len(received) < 600_000:
            received.extend(peer.recv(4096))

    sender, reader = threading.Thread(target=send), threading.Thread(target=read)
    sender.start()
    site.until(lambda: len(site.came) == 5)
    sender.join()
    assert {data for data, _ in site.came} == {large}
    flow = flow_of(peer, "tls", 0)
    assert all(site.network.send(large[-60_000:], flow) for _ in range(10)), "it waits until the phone reads"
    reader.start()
    site.until(lambda: len(received) >= 600_000)
    reader.join()
    assert received == b"x" * 600_000


# Certificates


def test_a_phone_gets_the_certificate_of_the_server_that_it_names(
    make: Callable[..., TlsSite], folder: Path, authority: Pair, pbx: Pair
) -> None:
    site = make(pbx, signed(folder, "acme", authority, "DNS:acme.example,DNS:*.acme.example"))
    for name, common_name in (
        (None, "pbx"),
        ("pbx.example", "pbx"),
        ("acme.example", "acme"),
        ("PHONES.acme.example", "acme"),
        ("a.b.acme.example", "pbx"),
        ("nobody.example", "pbx"),
    ):
        peer = site.shake_hands(phone(authority, check_hostname=False), name)
        shown = peer.getpeercert()
        assert shown
        assert shown["subject"] == ((("commonName", common_name),),), name
        assert site.is_served(peer)


def test_the_whole_chain_is_shown(make: Callable[..., TlsSite], tmp_path: Path, authority: Pair) -> None:
    between = signed(tmp_path, "between", authority, is_ca=True)
    own = signed(tmp_path, "own", between)
    with pytest.raises(ssl.SSLCertVerificationError):
        make(own).shake_hands(phone(authority), "127.0.0.1")
    with own.certificate.open("ab") as file:
        file.write(between.certificate.read_bytes())
    assert make(own).shake_hands(phone(authority), "127.0.0.1")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("good", []),
        ("expired", ["has ended on"]),
        ("soon", ["ends on"]),
        ("self-signed", ["self-signed"]),
        ("chainless", ["lacks a part of its chain: put the certificate of between behind it"]),
        ("other name", ["is for other.example, not for pbx.example"]),
        ("unknown", ["comes from an authority that nobody knows"]),
    ],
)
def test_what_phones_will_refuse_is_one_line_each(
    tmp_path: Path, authority: Pair, kind: str, words: list[str]
) -> None:
    name, ca, names = "pbx.example", authority.certificate, "DNS:pbx.example"
    if kind == "self-signed":
        own = self_signed(tmp_path, "own", names)
    elif kind == "chainless":
        own = signed(tmp_path, "own", signed(tmp_path, "between", authority, is_ca=True), names)
    elif kind == "unknown":
        own, ca = signed(tmp_path, "own", authority, names), self_signed(tmp_path, "other").certificate
        with own.certificate.open("ab") as file:
            file.write(authority.certificate.read_bytes())
    else:
        days = {"expired": -1, "soon": 3}.get(kind, 30)
        own = signed(
            tmp_path, "own", authority, "DNS:other.example" if kind == "other name" else names, days=days
        )
    found = list(faults(load(PemFiles(*own), TlsSettings()), name, ca, time.time()))
    assert len(found) == len(words)
    assert all(word in str(fault) for word, fault in zip(words, found, strict=True))
    assert not any("\n" in str(fault) for fault in found)


def test_a_clock_that_is_wrong(folder: Path, authority: Pair, pbx: Pair) -> None:
    one = load(PemFiles(*pbx), TlsSettings())
    found = list(faults(one, "", authority.certificate, one.begins - 1))
    assert len(found) == 1
    assert "set this machine's clock" in found[0].advice


# Renewal


def test_renewed_certificates_are_shown_to_new_connections_and_none_is_dropped(
    make: Callable[..., TlsSite], tmp_path: Path, authority: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    own = signed(tmp_path, "own", authority)
    site = make(own)

    def shown() -> tuple[ssl.SSLSocket, str]:
        peer = site.shake_hands(phone(authority), "127.0.0.1")
        return peer, str((peer.getpeercert() or {})["serialNumber"])

    before, serial = shown()
    site.certificates.renew()
    assert not caplog.records
    fresh = signed(tmp_path, "fresh", authority)
    for new, old in zip(fresh, own, strict=True):
        os.replace(new, old)
    site.certificates.renew()
    assert shown()[1] == serial, "they may still be being written"
    site.certificates.renew()
    after, renewed = shown()
    assert renewed != serial
    assert all(site.is_served(peer) for peer in (before, after))
    assert [record.levelname for record in caplog.records] == ["INFO"]


@pytest.mark.parametrize("kind", ["gone", "garbage", "half", "another key", "expired"])
def test_after_a_broken_renewal_the_old_one_is_shown(
    make: Callable[..., TlsSite],
    tmp_path: Path,
    authority: Pair,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = signed(tmp_path, "own", authority)
    site = make(own)
    if kind == "gone":
        own.certificate.unlink()
    elif kind == "garbage":
        own.certificate.write_bytes(bytes(range(256)))
    elif kind == "half":
        own.key.write_bytes(own.key.read_bytes()[:60])
    elif kind == "another key":
        shutil.copy(signed(tmp_path, "other", authority).key, own.key)
    else:
        for new, old in zip(signed(tmp_path, "other", authority, days=-1), own, strict=True):
            os.replace(new, old)
    for _ in range(4):
        site.certificates.renew()
    assert site.is_served(site.shake_hands(phone(authority), "127.0.0.1"))
    assert [record.levelname for record in caplog.records] == ["WARNING"], "once"
    assert "those of before are served on" in caplog.text
    assert str(tmp_path) in caplog.text


# Who gets in


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_versions_and_ciphers(make: Callable[..., TlsSite], pbx: Pair) -> None:
    """A scan offers versions and ciphers one by one, and sees which are taken."""
    site, versions = make(), (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2)

    def taken(at: TlsSite, version: ssl.TLSVersion, ciphers: str = "ALL:@SECLEVEL=0") -> str | None:
        context = phone(maximum_version=version, minimum_version=version)
        context.set_ciphers(ciphers)
        try:
            return (at.shake_hands(context).cipher() or ("",))[0]
        except ssl.SSLError:
            return None

    assert [bool(taken(site, version)) for version in versions] == [False, False, True]
    assert taken(site, ssl.TLSVersion.TLSv1_3)
    old = make(tls=settings(pbx, oldest="1.0"))
    assert all(taken(old, version) for version in versions)
    offered = {cipher["name"] for cipher in phone().get_ciphers() if cipher["protocol"] != "TLSv1.3"}
    weak = (
        "AES128-SHA",
        "DHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-SHA",
        "PSK-AES128-GCM-SHA256",
        "ADH-AES128-SHA",
    )
    accepted = {
        name for name in (*offered, *weak) if taken(site, ssl.TLSVersion.TLSv1_2, f"{name}:@SECLEVEL=0")
    }
    assert accepted
    assert all(name.startswith("ECDHE-") and not name.endswith("-SHA") for name in accepted), accepted


@pytest.mark.parametrize("asked", ["no", "asked", "required"])
@pytest.mark.parametrize("shows", ["nothing", "ours", "another's"])
def test_client_certificates(
    make: Callable[..., TlsSite], folder: Path, authority: Pair, pbx: Pair, asked: str, shows: str
) -> None:
    site = make(tls=settings(pbx, client_certificates=asked, client_ca=authority.certificate))
    context = phone(authority)
    if shows != "nothing":
        by = authority if shows == "ours" else self_signed(folder, "another")
        context.load_cert_chain(*signed(folder, "edge", by, "DNS:Edge.example"))
    refused = (asked != "no" and shows == "another's") or (asked, shows) == ("required", "nothing")
    try:
        assert site.is_served(site.shake_hands(context, "pbx.example")) is not refused
    except (OSError, AssertionError):  # with TLS 1.3 a phone hears of the refusal later
        assert refused
    named = [names for _, names in site.named]
    assert named == ([("edge.example",)] if asked != "no" and shows == "ours" else [])
    assert len(site.network.connections) == (not refused)


def test_a_connection_that_we_open(make: Callable[..., TlsSite], pbx: Pair, authority: Pair) -> None:
    """We connect to peers of which one speaks TLS, one something else, and one says nothing."""
    site, serving = make(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*pbx)
    listening = site.keep(socket.create_server(("127.0.0.1", 0)))
    host, port = listening.getsockname()
    flow = Flow("tls", host, port, 0)
    assert site.network.send_request(OPTIONS, flow)
    came: list[bytes] = []

    def accept() -> None:
        with serving.wrap_socket(listening.accept()[0], server_side=True) as peer:
            came.append(peer.recv(1000))
            peer.sendall(OPTIONS)
            peer.recv(1)

    thread = threading.Thread(target=accept)
    thread.start()
    site.until(lambda: site.came)
    assert came == [OPTIONS]
    assert site.network.send(b"x", flow)
    thread.join()
    site.until(lambda: site.closed)
    for says in (b"SIP/2.0 400 Bad Request\r\n\r\n", b""):
        site.closed.clear()
        site.pass_time(1000.0)
        assert site.network.send_request(OPTIONS, flow)
        peer = site.keep(listening.accept()[0])
        peer.sendall(says)
        if not says:
            site.until(lambda: site.network.handshakes)
            site.pass_time(HANDSHAKE + 1)
        site.until(lambda: site.closed)
        assert site.closed == [flow]
        assert not site.network.send_request(OPTIONS, flow), "left alone for a while"


def serve_once(site: TlsSite, shown: Pair, names: list[str | None]) -> tuple[Flow, threading.Thread]:
    """Begin a peer that speaks TLS, and return where it is, and its thread.

    The names that it is asked for are added to `names`.
    """
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*shown)
    serving.sni_callback = lambda connection, name, context: names.append(name)
    listening = site.keep(socket.create_server(("127.0.0.1", 0)))

    def accept() -> None:
        plain = listening.accept()[0]
        with contextlib.suppress(OSError), serving.wrap_socket(plain, server_side=True) as peer:
            peer.sendall(OPTIONS)
            peer.recv(1000)

    thread = threading.Thread(target=accept)
    thread.start()
    return Flow("tls", *listening.getsockname()), thread


@pytest.mark.parametrize(
    ("asked", "by", "served"),
    [
        ("no", "another", True),
        ("asked", "ours", True),
        ("asked", "another", False),
        ("required", "another", False),
    ],
)
def test_whom_we_connect_to_is_looked_at_where_certificates_are_asked_for(
    make: Callable[..., TlsSite],
    tmp_path: Path,
    authority: Pair,
    pbx: Pair,
    asked: str,
    by: str,
    served: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = make(tls=settings(pbx, client_certificates=asked, client_ca=authority.certificate))
    signer = authority if by == "ours" else self_signed(tmp_path, "another")
    names: list[str | None] = []
    flow, thread = serve_once(site, signed(tmp_path, "peer", signer, "DNS:peer"), names)
    assert site.network.send_request(OPTIONS, flow)
    site.until(lambda: site.came if served else site.closed)
    assert bool(site.came) is served
    assert [found for _, found in site.named] == ([("peer",)] if by == "ours" else [])
    assert served or "put who has signed it into client_ca" in caplog.text
    assert names == [None]
    site.network.connections.close()
    thread.join()


@pytest.mark.parametrize(
    ("said", "shown", "by", "why"),
    [
        ({}, "DNS:sip.carrier.example", "known", ""),
        ({}, "DNS:*.carrier.example", "known", ""),
        ({}, "DNS:carrier.example", "known", "Hostname mismatch"),
        ({}, "IP:127.0.0.1", "known", "Hostname mismatch"),
        ({}, "DNS:sip.carrier.example", "unknown", "unable to get local issuer certificate"),
        ({"server_ca": None}, "DNS:sip.carrier.example", "known", "unable to get local issuer certificate"),
        ({"verify_servers": False}, "IP:192.0.2.1", "unknown", ""),
    ],
)
def test_whom_we_connect_to_by_name_is_who_the_certificate_says(
    make: Callable[..., TlsSite],
    tmp_path: Path,
    authority: Pair,
    pbx: Pair,
    said: dict[str, object],
    shown: str,
    by: str,
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """RFC 5922 wants that; the peer hears the name first, since it may serve several."""
    site = make(tls=settings(pbx, **{"server_ca": authority.certificate, **said}))
    signer = authority if by == "known" else self_signed(tmp_path, "another")
    names: list[str | None] = []
    flow, thread = serve_once(site, signed(tmp_path, "peer", signer, shown), names)
    flow = Target(*flow[:3]).by(Server("sip.carrier.example.", 0, ("tls",)))
    assert site.network.send_request(OPTIONS, flow)
    site.until(lambda: site.closed if why else site.came)
    assert bool(site.came) is not bool(why)
    assert names == ["sip.carrier.example"]
    assert not why or (why in caplog.text and "server_ca in [tls]" in caplog.text)
    site.network.connections.close()
    thread.join()


# Strangers


@pytest.mark.parametrize(
    "says",
    [
        b"OPTIONS sip:x SIP/2.0\r\nl: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\xff\xff" + bytes(200),
        b"\x80\x2e\x01\x00\x02" + bytes(60),
        bytes(range(256)) * 64,
        b"\r\n\r\n",
    ],
    ids=["plain SIP", "HTTP", "garbage", "SSL 2", "noise", "a keep-alive"],
)
def test_what_is_no_handshake_is_closed(
    make: Callable[..., TlsSite], says: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    site = make()
    peer = site.tcp(0)
    peer.sendall(says)
    site.until(lambda: site.network.handshakes or len(site.network.connections))
    if says == b"\r\n\r\n":  # too few octets to tell whether they begin a handshake
        peer.shutdown(socket.SHUT_WR)
    assert site.is_closed(peer)
    assert (len(site.network.connections), len(site.network.handshakes)) == (0, 0)
    assert (site.came, site.closed) == ([], []), "nobody knew of it"
    assert not caplog.records, "scanners are no news"


def _say(site: TlsSite, peer: socket.socket, data: bytes) -> None:
    """Send octets one by one, each in a segment of its own that is read before the next."""
    for octet in data:
        peer.sendall(bytes([octet]))
        site.network.poll(0.005)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("ends", ["close_notify", "without", "reset"])
def test_a_handshake_and_a_message_octet_by_octet(
    make: Callable[..., TlsSite], version: ssl.TLSVersion, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Records come in pieces, and connections end without the word that TLS has for it."""
    site = make()
    plain, into, out = site.tcp(0), ssl.MemoryBIO(), ssl.MemoryBIO()
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer = phone(maximum_version=version).wrap_bio(into, out, server_hostname="nobody.example")
    while True:
        try:
            peer.do_handshake()
            break
        except ssl.SSLWantReadError:
            _say(site, plain, out.read())
            site.until(lambda: _has_come(plain))
            into.write(plain.recv(65536))
    _say(site, plain, out.read())
    peer.write(OPTIONS)
    _say(site, plain, out.read())
    site.until(lambda: site.came)
    assert site.came[-1][0] == OPTIONS
    if ends == "close_notify":
        with contextlib.suppress(ssl.SSLError):
            peer.unwrap()
        _say(site, plain, out.read())
    if ends == "reset":
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()
    site.until(lambda: site.closed)
    assert (len(site.network.connections), len(site.network.handshakes)) == (0, 0)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_handshake_has_to_end_soon(make: Callable[..., TlsSite], authority: Pair) -> None:
    site = make()
    silent, slow = site.tcp(0), site.tcp(0)
    slow.sendall(b"\x16\x03\x01\x02\x00\x01")
    site.until(lambda: len(site.network.handshakes) == 2)
    site.pass_time(HANDSHAKE - 1)
    assert len(site.network.handshakes) == 2
    assert site.is_served(site.shake_hands(phone(authority), "127.0.0.1"))
    site.pass_time(2.0)
    assert not site.network.handshakes
    assert site.is_closed(silent)
    assert site.is_closed(slow)
    assert len(site.network.connections) == 1


def test_handshakes_of_one_address_are_bounded(make: Callable[..., TlsSite], authority: Pair) -> None:
    asked: list[str] = []

    def may_shake_hands(host: str) -> bool:
        asked.append(host)
        return len(asked) <= 2

    site = make(may_shake_hands=may_shake_hands)
    for _ in range(2):
        assert site.is_served(site.shake_hands(phone(authority), "127.0.0.1"))
    with pytest.raises((ssl.SSLEOFError, ConnectionError)):
        site.shake_hands(phone(authority), "127.0.0.1")
    assert asked == ["127.0.0.1"] * 3


def test_a_turn_has_little_time_for_handshakes(
    make: Callable[..., TlsSite], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many handshakes wait, connections that are up are read in between: each takes a fifth of the
    time that a turn has for them, however fast the machine is."""
    looks = itertools.count()
    monkeypatch.setattr(tls, "time", SimpleNamespace(perf_counter=lambda: next(looks) * tls.TURN / 5))
    site = make(self_signed(folder, "rsa", kind=RSA))
    up = site.shake_hands(phone())
    context, hello = phone(), []
    for _ in range(60):
        outgoing = ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
        hello.append(outgoing.read())
    peers = [site.tcp(0) for _ in hello]
    for peer, data in zip(peers, hello, strict=True):
        peer.sendall(data)
    site.until(lambda: len(site.network.handshakes) == 60)
    up.sendall(OPTIONS)
    turns = 0
    while not site.came:
        site.network.poll(0.1)
        turns += 1
    assert turns <= 2
    answered = [peer for peer in peers if _has_come(peer)]
    assert len(answered) < 60, "some wait still"
    site.until(lambda: all(_has_come(peer) for peer in peers))


def _has_come(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        return bool(peer.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False


def test_a_phone_that_refuses_us_is_told_once_for_each_address(
    make: Callable[..., TlsSite], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = make()
    for _ in range(3):
        with pytest.raises(ssl.SSLCertVerificationError):
            site.shake_hands(phone(self_signed(folder, "another")), "127.0.0.1")
        site.until(lambda: not site.network.handshakes)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "it refuses our certificate" in caplog.text
    assert "unknown ca" in caplog.text


def test_failures_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    class Peer:
        def __init__(self, number: int) -> None:
            self.flow = Flow("tls", f"192.0.2.{number}", 1)

    handshakes = Handshakes(lambda host: True)
    for number in range(MOST * 2):
        handshakes.failed(Peer(number), "closed", False)  # type: ignore[arg-type]
    assert len(caplog.records) == MOST
    handshakes.close()


def test_an_unsound_server_name_is_not_logged(
    make: Callable[..., TlsSite], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Python would write a traceback for each such name, so a stranger could fill the log."""
    monkeypatch.setattr(sys, "unraisablehook", logs.unraisable)
    site, outgoing = make(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        phone().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="none.example").do_handshake()
    peer = site.tcp(0)
    peer.sendall(outgoing.read().replace(b"none.example", b"\xff" * 12))
    site.until(lambda: site.network.handshakes)
    assert site.is_closed(peer)
    assert not site.network.handshakes
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1")
WEAK = ("-newkey", "rsa:1024")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("weak", "has too weak a key"),
        ("odd curve", "is of no use to phones"),
        ("chain first", "or put the server's certificate before those of its chain"),
        ("no certificate", "own.pem is no PEM file"),
        ("half a chain", "own.pem is no PEM file"),
        ("no key", "own.key cannot be used"),
    ],
)
def test_each_fault_is_one_line_that_names_the_file(
    tmp_path: Path, authority: Pair, kind: str, words: str
) -> None:
    own = self_signed(tmp_path, "own", kind={"weak": WEAK, "odd curve": CURVE}.get(kind, EC))
    text, other = own.certificate.read_text(), authority.certificate.read_text()
    own.certificate.write_text(
        {
            "chain first": other + text,
            "no certificate": "",
            "half a chain": text + other.replace("MI", "", 1),
        }.get(kind, text)
    )
    if kind == "no key":
        own.key.write_text(text)
    with pytest.raises(CertificateError) as error:
        load(PemFiles(*own), TlsSettings())
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_old_phones_may_get_what_is_weak(tmp_path: Path, authority: Pair) -> None:
    own = self_signed(tmp_path, "own", kind=WEAK)
    served = load(PemFiles(*own), TlsSettings(oldest="1.0"))
    assert any("weak" in str(fault) for fault in faults(served, "", authority.certificate, served.begins))


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    own = self_signed(tmp_path, "own")
    with pytest.raises(CertificateError, match=r"client_ca .*own\.key"):
        load(PemFiles(*own), TlsSettings(client_ca=own.key, client_certificates="asked"))
