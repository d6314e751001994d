"""Phones send changed messages, in and out of calls: the server refuses them, and bystanders notice nothing.

FUZZ_SECONDS makes the run longer (`make fuzz`), with other dice each time; FUZZ_SEED repeats a run.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from calls import Calling, Dialog, sdp
from mutations import is_sound, mutated
from pickups import element, replaces
from sites import Site
from wire import Agent, Message

from blfd.store import NewExtension, Store

SECONDS = float(os.environ.get("FUZZ_SECONDS", "8"))
SEED = int(os.environ.get("FUZZ_SEED", "0")) or (
    random.randrange(1, 1 << 32) if "FUZZ_SECONDS" in os.environ else 4475
)
INSIDE, OUTSIDE = "127.0.0.2", "127.0.0.3"  # a source that is trusted, and one that is not
ATTACKERS = ("99001", "99002", "99003", "99004")
BYSTANDERS = ("101", "102", "103")
SDP = "application/sdp"
FORGED = (
    f'Digest username="{ATTACKERS[0]}", realm="x", nonce="1", uri="sip:x", response="{"0" * 32}", qop=auth, '
    'cnonce="c", nc=00000001'
)
BROKEN = (
    AssertionError,
    IndexError,
    KeyError,
    ValueError,
    OSError,
    StopIteration,
)  # what a changed message ends in
KEPT = 200  # messages to splice with
SETTLED = 60.0  # seconds until nothing rings: the longest that the server waits, and a margin


@dataclass
class Mutant(Agent):
    """A phone that changes a share of what it sends."""

    dice: random.Random = field(default_factory=random.Random)
    seen: list[bytes] = field(default_factory=list)
    share: float = 0.0

    def send_raw(self, data: bytes) -> None:
        if self.dice.random() < self.share:
            data = mutated(data, self.dice, self.seen)
        else:
            self.seen.append(data)
            del self.seen[:-KEPT]
        super().send_raw(data)

    def wait(self, condition: Callable[[Message], bool], timeout: float = 0.05) -> Message:
        return super().wait(condition, min(timeout, 0.05))


@dataclass
class Attack:
    """Rounds of what phones do over UDP or TCP, with some messages changed."""

    site: Site
    dice: random.Random
    seen: list[bytes] = field(default_factory=list)
    rounds: int = 0

    def phone(self, user: str, transport: str) -> Mutant:
        return Mutant(
            self.site.server.address(transport),
            user,
            transport=transport,
            host=INSIDE,
            dice=self.dice,
            seen=self.seen,
        )

    def round(self) -> None:
        self.rounds += 1
        transport = self.dice.choice(("udp", "udp", "tcp"))
        phones = [self.phone(user, transport) for user in ATTACKERS]
        try:
            with suppress(*BROKEN):
                act = self.dice.choice(
                    (self.register, self.subscribe, self.cancelled, self.call, self.pickup, self.key)
                )
                act(*phones)
        finally:
            for phone in phones:
                phone.share = 0
                with suppress(*BROKEN):
                    for end in phone.leave_by:
                        end()
                phone.close()

    def let_loose(self, *phones: Mutant) -> None:
        for phone in phones:
            phone.share = 0.4

    def register(self, a: Mutant, b: Mutant, *others: Mutant) -> None:
        self.let_loose(a)
        for expires in (3600, 60, 0):
            a.register(expires)

    def subscribe(self, a: Mutant, b: Mutant, *others: Mutant) -> None:
        self.let_loose(a)
        answer, notify = a.subscribe(b.user)
        dialog = Dialog(
            a, f"sip:{b.user}@{a.server}", answer["from"], answer["to"], answer["call-id"], a.cseq
        )
        for _ in range(3):
            dialog.send("SUBSCRIBE")
            a.take_all()
        a.reply(notify, self.dice.choice((200, 202, 404, 481, 500)))

    def ring(self, a: Mutant, b: Mutant, *loose: Mutant) -> tuple[Calling, Message]:
        b.register()
        self.let_loose(a, *loose)
        calling = Calling.trusted(
            a, b.user, sdp(4000) if self.dice.random() < 0.8 else b"", Supported="100rel, timer"
        )
        invite = b.wait_request("INVITE")
        b.leave_by.append(lambda: b.reply(invite, 486, "Busy Here"))
        self.let_loose(b)
        early = sdp(5000) if self.dice.random() < 0.3 else b""
        more = {"Require": "100rel", "RSeq": "1"} if self.dice.random() < 0.3 else {}
        b.reply(
            invite,
            183 if early else 180,
            "Ringing",
            early,
            **({"Content_Type": SDP} if early else {}),
            **more,
        )
        return calling, invite

    def cancelled(self, a: Mutant, b: Mutant, *others: Mutant) -> None:
        calling, invite = self.ring(a, b)
        calling.cancel()
        b.reply(b.wait_request("CANCEL"), 200)
        b.reply(invite, 487, "Request Terminated")
        calling.refused()

    def call(self, a: Mutant, b: Mutant, *others: Mutant) -> None:
        calling, invite = self.ring(a, b)
        b.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
        dialog = calling.acknowledge(calling.final(), b"" if invite.body else sdp(4000))
        other = Dialog.of_invite(b, invite)
        a.leave_by.append(lambda: dialog.send("BYE"))
        b.leave_by.append(lambda: other.send("BYE"))
        for _ in range(self.dice.randint(1, 6)):
            one, far = self.dice.choice(((dialog, b), (other, a)))
            method = self.dice.choice(
                ("INVITE", "UPDATE", "INFO", "BYE", "OPTIONS", "PRACK", "REFER", "SUBSCRIBE", "ACK")
            )
            headers = one.send(method, sdp(7000) if self.dice.random() < 0.7 else b"")
            with suppress(AssertionError):
                asked = far.wait(lambda m: m.method in ("INVITE", "UPDATE", "INFO", "BYE"), 0.02)
                far.reply(asked, self.dice.choice((200, 200, 488, 491)), "So", sdp(8000), Content_Type=SDP)
            if method == "INVITE":
                one.ack(one.agent.final(headers))

    def pickup(self, a: Mutant, b: Mutant, c: Mutant, d: Mutant) -> None:
        self.ring(a, b, c)
        picking = Calling.trusted(c, self.dice.choice((f"*97{b.user}", "*98")), sdp(6000))
        picking.acknowledge(picking.final()).send("BYE")

    def key(self, a: Mutant, b: Mutant, c: Mutant, d: Mutant) -> None:
        c.subscribe(b.user)
        self.ring(a, b, c, d)
        value = replaces(element(c.notify("early"), "early"))
        picking = [Calling.trusted(phone, b.user, sdp(6000), Replaces=value) for phone in (c, d)]
        picking[0].acknowledge(picking[0].final())


class Bystanders:
    """Phones that send nothing changed: 101 calls 102, and 103 watches that."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.caller, self.callee, self.watcher = (site.registered(user) for user in BYSTANDERS)
        self.watcher.subscribe("102", expires=3600)  # a long run is longer than 600 s
        self.bindings = self._bindings()

    def _bindings(self) -> list[tuple[str, str]]:
        rows = self.site.ask("registrations")
        return sorted((row["extension"], row["contact"]) for row in rows if row["extension"] in BYSTANDERS)

    def see_the_truth(self) -> None:
        assert self._bindings() == self.bindings
        calling = Calling.start(self.caller, "102", sdp(4000))
        invite = self.callee.wait_request("INVITE")
        self.callee.reply(invite, 180, "Ringing")
        assert [d.state.value for d in self.watcher.notify("early").document.dialogs] == ["early"]
        self.callee.reply(invite, 486, "Busy Here")
        assert calling.refused().status == 486
        assert [d.state.value for d in self.watcher.notify("terminated").document.dialogs] == ["terminated"]
        assert not any(m.method == "INVITE" for m in self.callee.received), "nobody else's call rings here"


@pytest.fixture
def fuzzed(own_site: Callable[..., Site]) -> Iterator[tuple[Site, Bystanders]]:
    limits = "source_subscriptions = 100000\nmax_calls = 1000\nno_answer_timeout = 5\n"
    site = own_site("--trust", f"{INSIDE}/32", config=f"[sip]\n{limits}max_subscriptions = 2000\n")
    Store(site.database).extensions.add(
        "default", [NewExtension(user, f"secret-{user}", "") for user in ATTACKERS]
    )
    site.cli("group", "add", "attackers", *ATTACKERS)
    bystanders = Bystanders(site)
    yield site, bystanders
    assert site.server.process.poll() is None, f"seed {SEED}: {site.server.log.read_text()[-3000:]}"


def until_the_end(bystanders: Bystanders, attack: Callable[[], None]) -> None:
    """Attack until the time is over, and look at the lamps twice a second."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        look = time.monotonic() + 0.5
        while time.monotonic() < look:
            attack()
        bystanders.see_the_truth()


def test_changed_messages_in_calls_and_subscriptions(fuzzed: tuple[Site, Bystanders]) -> None:
    site, bystanders = fuzzed
    attack = Attack(site, random.Random(SEED))
    until_the_end(bystanders, attack.round)
    assert attack.rounds > SECONDS
    # A call that is up stays so until its session timer ends it: a changed message may have left its phones
    # with another dialog than the server's, so that their BYEs do not fit. All others are over in time.
    until = time.monotonic() + SETTLED
    while left := [call for call in site.ask("calls") if call["state"] != "talking"]:
        assert time.monotonic() < until, f"seed {SEED}: {left}"
        time.sleep(0.1)
    bystanders.see_the_truth()


SEEDS: tuple[tuple[str, dict[str, str], bytes], ...] = (
    ("REGISTER", {"Expires": "600"}, b""),
    ("REGISTER", {"Contact": "*", "Expires": "0"}, b""),
    ("SUBSCRIBE", {"Event": "dialog", "Expires": "600"}, b""),
    ("SUBSCRIBE", {"Event": "dialog;id=1", "Expires": "0", "Accept": "application/dialog-info+xml"}, b""),
    ("INVITE", {"Content_Type": SDP}, sdp(4000)),
    ("INVITE", {"Replaces": "a;to-tag=b;from-tag=c", "Require": "replaces", "Content_Type": SDP}, sdp(4000)),
    ("BYE", {"To": "<sip:99002@127.0.0.1>;tag=1"}, b""),
    ("CANCEL", {}, b""),
    ("UPDATE", {"To": "<sip:99002@127.0.0.1>;tag=1", "Content_Type": SDP}, sdp(4000)),
    ("PRACK", {"RAck": "1 1 INVITE"}, b""),
    ("PUBLISH", {"Event": "dialog", "Expires": "60"}, b"<x/>"),
    ("NOTIFY", {"Event": "dialog", "Subscription_State": "active"}, b"<dialog-info/>"),
    *((method, {}, b"text") for method in ("OPTIONS", "INFO", "MESSAGE", "REFER", "FOO")),
)


@dataclass
class Blast:
    """Changed requests of every kind, one at a time; one that is answered by 2xx has to be sound."""

    agent: Agent
    dice: random.Random
    is_trusted: bool
    seen: list[bytes] = field(default_factory=list)
    own: set[str] = field(default_factory=set)  # Call-IDs of requests that are sent unchanged
    fired: deque[bytes] = field(default_factory=lambda: deque(maxlen=5_000))

    def seed(self) -> bytes:
        method, over, body = self.dice.choice(SEEDS)
        headers = self.agent.headers(method, self.dice.choice(ATTACKERS), **over)
        if not self.is_trusted and self.dice.random() < 0.3:
            headers["Authorization"] = FORGED
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        user = self.dice.choice((*ATTACKERS, "*97" + ATTACKERS[0], "*98"))
        start = f"{method} sip:{user}@{self.agent.server} SIP/2.0\r\n"
        return f"{start}{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def pass_through(self, method: str) -> None:
        """Send a request that is answered after all before it, and again, as NOTIFYs may crowd it out."""
        headers = self.agent.headers(method, "101")
        self.own.add(headers["Call-ID"])
        headers["Via"] = (
            f"SIP/2.0/UDP {self.agent.address};branch=z9hG4bK{secrets.token_hex(8)};rport"  # is no mutant's
        )
        for patience in (0.5, 1.0, 2.0, 4.0, 8.0):
            self.agent.send(f"{method} sip:101@{self.agent.server} SIP/2.0", headers)
            with suppress(AssertionError):
                self.agent.final(headers, patience)
                return
        raise AssertionError(f"seed {SEED}: no answer to {method}, the last {self.seen[-1]!r}")

    def asked(self, answer: Message) -> list[bytes]:
        """The requests that this may answer: some wait until a name in their Path is looked up."""
        branch = answer["via"].partition("branch=")[2].partition(";")[0].encode()
        return [data for data in self.fired if branch in data] or [self.fired[-1]]

    def fire(self) -> None:
        agent, seed = self.agent, self.seed()
        data = mutated(seed, self.dice, self.seen)
        self.seen.append(seed)
        del self.seen[:-KEPT]
        agent.send_raw(data)
        self.fired.append(data)
        for method in ("OPTIONS", "SUBSCRIBE"):  # both have queues of their own
            self.pass_through(method)
        for answer in agent.received:
            if 200 <= answer.status < 300 and answer["call-id"] not in self.own:
                # A CANCEL finds the INVITE of a stranger as well, which has been challenged (RFC 3261, 9.2).
                is_free = answer["cseq"].endswith(("OPTIONS", "CANCEL"))
                assert self.is_trusted or is_free, f"seed {SEED}: {answer} to {data!r}"
                assert any(map(is_sound, self.asked(answer))), f"seed {SEED}: {answer} to {data!r}"
        agent.received.clear()


@pytest.mark.parametrize("host", [INSIDE, OUTSIDE])
def test_changed_requests_of_every_kind(fuzzed: tuple[Site, Bystanders], host: str) -> None:
    site, bystanders = fuzzed
    agent = Agent(site.server.address(), ATTACKERS[0], host=host)
    site.agents.append(agent)
    until_the_end(bystanders, Blast(agent, random.Random(SEED), host == INSIDE).fire)
