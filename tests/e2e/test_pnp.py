"""A new phone asks by multicast where its files are, over real sockets."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from makers import yealink
from mutations import mutated
from ports import free_port
from sites import Site
from wire import Agent

from blfd.demo.simulation import Missing, ServerProcess

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
GROUP = "224.0.1.75"
MAC = "80:5e:c0:12:34:56"
BARE = MAC.replace(":", "")
OTHER = "80:5e:c0:00:00:02"
EVENT = 'ua-profile;profile-type="device";vendor="{}";model="x";version="1"'

# The requests of each maker's phones; {a} is the phone's address, {m} its MAC, {g} the group, {n} a number.
SHAPES = {
    "yealink": (
        "SUBSCRIBE sip:MAC%3a{m}@{g} SIP/2.0\nVia: SIP/2.0/UDP {a};branch=z9hG4bK{n};rport\n"
        "From: <sip:MAC%3a{m}@{g}>;tag=77aa\nTo: <sip:MAC%3a{m}@{g}>\nCall-ID: y{n}\nCSeq: 1 SUBSCRIBE\n"
        "Contact: <sip:{a}>\nMax-Forwards: 70\nUser-Agent: Yealink SIP-T54W 96.86.0.70 80:5e:c0:12:34:56\n"
        f"Event: {EVENT.format('Yealink')}\nExpires: 0\nAccept: application/url\nContent-Length: 0\n\n"
    ),
    "snom": (
        "SUBSCRIBE sip:MAC%3a{M}@{g} SIP/2.0\nVia: SIP/2.0/UDP {a};rport\n"
        "From: <sip:MAC%3a{M}@{g}>;tag=66\nTo: <sip:MAC%3a{M}@{g}>\nCall-ID: s{n}\nCSeq: 1 SUBSCRIBE\n"
        f"Event: {EVENT.format('snom')}\nExpires: 0\nAccept: application/url\nContact: <sip:{{a}}>\n"
        "User-Agent: snomD785/10.1.84.12\nContent-Length: 0\n\n"
    ),
    "address in User-Agent": (
        "SUBSCRIBE sip:{g}:5060 SIP/2.0\nVia: SIP/2.0/UDP {a};rport;branch=z9hG4bK-{n}\n"
        "From: <sip:00000001@{a}>;tag=87\nTo: <sip:{g}:5060>\nCall-ID: a{n}\nCSeq: 1 SUBSCRIBE\n"
        f"Event: {EVENT.format('x')}\nExpires: 0\nContact: <sip:{{a}}>\nMax-Forwards: 20\n"
        "User-Agent: x {m}\nContent-Length: 0\n\n"
    ),
}
CAPTURED = ("yealink-subscribe-pnp-ua-profile.sip", "snom-subscribe-pnp-captured.sip")


class NewPhone:
    """A phone that sends to the group over loopback, and receives at its own address."""

    def __init__(self, site: Site, port: int) -> None:
        self.agent = Agent(f"{GROUP}:{port}", auto_answer=False)
        self.group = self.agent.peer
        self.agent.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        self.number = 0

    def ask(self, shape: str, mac: str = BARE) -> str:
        """Send a request of this shape, and return its Call-ID."""
        text = self.text(shape, mac)
        self.agent.send_raw(text.encode())
        found = re.search("Call-ID: (.*)\r\n", text)
        assert found
        return found[1]

    def text(self, shape: str, mac: str = BARE) -> str:
        self.number += 1
        values = {"a": self.agent.address, "m": mac, "M": mac.upper(), "g": GROUP, "n": str(self.number)}
        return re.sub(r"\{(\w)\}", lambda found: values[found[1]], shape).replace("\n", "\r\n")

    def told(self, call_id: str) -> str:
        """The body of the NOTIFY that answers a request, after its 200."""
        answer = self.agent.wait(lambda m: m.status > 0 and m["call-id"] == call_id)
        assert (answer.status, answer["expires"]) == (200, "0")
        notify = self.agent.wait(lambda m: m.method == "NOTIFY" and m["call-id"] == call_id)
        self.agent.peer = notify.source
        self.agent.reply(notify, 200)
        self.agent.peer = self.group
        assert notify.uri == f"sip:{self.agent.address}"
        assert notify.tag("from") == answer.tag("to")
        assert notify["event"].startswith("ua-profile")
        assert notify["subscription-state"] == "terminated;reason=timeout"
        assert notify["content-type"] == "application/url"
        return notify.body.decode()


@pytest.fixture
def network(own_site: Callable[..., Site]) -> Iterator[tuple[Site, NewPhone]]:
    """A site that answers new phones, and a phone that it expects."""
    port = free_port()
    site = own_site("--provision", "http://127.0.0.1:0", config=f'pnp = "{GROUP}:{port}"\n')
    site.cli(
        "device", "add", MAC, "--model", "yealink/t54w", "--extension", "101", "--keys", "102,103,*98=Group"
    )
    phone = NewPhone(site, port)
    yield site, phone
    phone.agent.close()


def shown(site: Site) -> dict[str, str]:
    found: dict[str, str] = site.shown("device", "show", MAC)
    return found


def url_of(site: Site) -> str:
    return shown(site)["url"]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_new_phone_is_told(network: tuple[Site, NewPhone], shape: str) -> None:
    site, phone = network
    url = url_of(site)
    assert phone.told(phone.ask(shape)) == url
    log = site.server.log.read_text()
    assert f"device {BARE} at udp:{phone.agent.address}" in log
    assert url.split("/")[-2] not in log, "no secret is in the log"


@pytest.mark.parametrize("name", CAPTURED)
def test_as_it_was_captured(network: tuple[Site, NewPhone], name: str) -> None:
    if not CORPUS.is_dir():
        pytest.skip("there is no corpus beside the project")
    site, phone = network
    text = (CORPUS / name).read_text().replace("\r\n", "\n")
    text = re.sub(r"(?<=MAC%3a)[0-9A-Fa-f]{12}|80:5e:c0:00:00:01", BARE, text)
    text = re.sub(r"192\.168\.\d+\.\d+:\d+", phone.agent.address, text)
    assert phone.told(phone.ask(text)) == url_of(site)


def test_nobody_else_is_answered(network: tuple[Site, NewPhone]) -> None:
    site, phone = network
    phone.ask(SHAPES["yealink"].replace("80:5e:c0:12:34:56", OTHER), OTHER.replace(":", ""))
    phone.ask(SHAPES["yealink"].replace("ua-profile", "dialog"))
    phone.agent.send_raw(b"SUBSCRIBE sip:MAC%3a805ec0123456@224.0.1.75 SIP/2.0\r\n\r\n")
    phone.agent.send_raw(b"\0" * 5000)
    assert phone.told(phone.ask(SHAPES["yealink"])) == url_of(site)  # requests are answered in their order
    phone.agent.take_all()
    assert phone.agent.received == []
    assert site.ask("status")["malformed"] == 0


def test_changed_questions_do_no_harm(network: tuple[Site, NewPhone]) -> None:
    """The questions come from many addresses, each within its rate; the log may show no failure of ours."""
    site, phone = network
    dice, known = random.Random(6080), [phone.text(shape).encode() for shape in SHAPES.values()]
    for number in range(60):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((f"127.0.9.{number + 1}", 0))
            other.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            for _ in range(15):
                other.sendto(mutated(dice.choice(known), dice, known), phone.group)
        site.ask("status")  # requests go out no faster than the server takes them from a small buffer
    phone.agent.take_all()
    phone.agent.received.clear()
    assert phone.told(phone.ask(SHAPES["yealink"])) == url_of(site)


def test_nobody_is_answered_who_asks_the_server_alone(network: tuple[Site, NewPhone]) -> None:
    """Such a request may come from the internet."""
    site, phone = network
    host, port = site.server.address().split(":")
    phone.agent.peer = (host, int(port))
    call_id = phone.ask(SHAPES["yealink"])
    assert phone.agent.wait(lambda m: m.status > 0 and m["call-id"] == call_id).status == 403


def test_from_the_box_to_a_lamp(network: tuple[Site, NewPhone]) -> None:
    """A phone is told once; after its first file it is not told again until it is renewed."""
    site, new = network
    url = new.told(new.ask(SHAPES["yealink"]))
    told = yealink({f"{BARE}.cfg": httpx.get(f"{url}{BARE}.cfg").content})
    phone = site.phone(told.user, watch=",".join(told.watched), password=told.password)
    for extension in told.watched:
        phone.wait_lamp(extension, "idle")
    assert shown(site)["state"] == "registered, watches all its keys"
    new.ask(SHAPES["yealink"])
    site.cli("device", "add", OTHER, "--model", "yealink/t31", "--extension", "102")
    asked = new.ask(SHAPES["snom"], OTHER.replace(":", ""))
    assert new.told(asked)
    new.agent.take_all()
    assert new.agent.received == []
    assert "'blfd device renew 805ec0123456'" in site.server.log.read_text()
    site.cli("device", "renew", MAC, "--yes")
    assert httpx.get(f"{url}{BARE}.cfg").status_code == 404, "the old address is worth nothing"
    other_url = new.told(new.ask(SHAPES["yealink"]))
    assert other_url == url_of(site) != url
    renewed = yealink({f"{BARE}.cfg": httpx.get(f"{other_url}{BARE}.cfg").content})
    assert renewed.password != told.password


def test_the_phone_asks_again_until_it_is_told(network: tuple[Site, NewPhone]) -> None:
    """The same datagram twice has the same answer, and at least one NOTIFY."""
    _, phone = network
    first = phone.ask(SHAPES["yealink"])
    phone.number -= 1
    assert phone.ask(SHAPES["yealink"]) == first
    assert phone.told(first)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--pnp tells phones where their files are: give --provision as well"),
        (
            ("--provision", "http://127.0.0.1:0", "--listen", "tcp:127.0.0.1:0"),
            "--pnp answers over UDP and IPv4: give --listen udp:0.0.0.0:5060 as well",
        ),
    ],
)
def test_what_it_needs(tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    listen = [] if "--listen" in options else ["udp:127.0.0.1:0"]
    with pytest.raises(Missing, match=re.escape(words)):
        ServerProcess(tmp_path / "blfd.db", listen, "--pnp", *options)
