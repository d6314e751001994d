"""Bodies of any size pass through a call unchanged, in all of its messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count

import pytest
from calls import Calling, Dialog, audio_port, hang_up, sdp
from sites import Site
from wire import Agent, Message

SDP = {"Content_Type": "application/sdp"}
RELIABLE = {"Require": "100rel", "RSeq": "1", **SDP}
SIZES = sorted({2**n + d for n in range(16) for d in (-1, 0, 1)} | {60_000})
LARGE = 60_000
_versions = count(1)


def described(port: int, size: int) -> bytes:
    """An SDP of about `size` octets, with more lines than PJSIP takes, and another version each time."""
    text = sdp(port).replace(b" 1 IN", b" %d IN" % next(_versions), 1)
    missing = size - len(text)
    while missing > 0:
        length = missing if missing < 200 else 100
        text += b"a=x-candidate:".ljust(length - 2, b"x") + b"\r\n" if length > 16 else b""
        missing -= length
    return text


class Conversation:
    """A call in which each message has a body of the next size, which is compared with what arrives."""

    def __init__(self, caller: Agent, callee: Agent, size: Callable[[], int]) -> None:
        self.caller, self.callee, self.size = caller, callee, size

    def set_up(self) -> None:
        offer, early, again = (described(port, self.size()) for port in (4000, 5000, 4000))
        calling = Calling.start(self.caller, "102", offer, Require="100rel")
        invite = self.callee.wait_request("INVITE")
        assert invite.body == offer
        self.callee.reply(invite, 183, "Session Progress", early, **RELIABLE)
        self.callee.reply(self.callee.wait_request("PRACK"), 200)
        progress = calling.provisional(183)
        assert progress.body == early
        assert prack(calling, progress, again).body == early
        self.callee.reply(invite, 200)
        self.mine = calling.acknowledge(calling.final())
        self.callee.wait_request("ACK")
        self.other = Dialog.of_invite(self.callee, invite)
        self.answer_reinvite(again)

    def set_up_late(self) -> None:
        """Set up the call with the offer in the 200 and the answer in the ACK."""
        offer, answer = described(5000, self.size()), described(4000, self.size())
        calling = Calling.start(self.caller, "102")
        invite = self.callee.wait_request("INVITE")
        assert invite.body == b""
        self.callee.reply(invite, 200, "OK", offer, **SDP)
        accepted = calling.final()
        assert accepted.body == offer
        self.mine = calling.acknowledge(accepted, answer)
        assert self.callee.wait_request("ACK").body == answer
        self.other = Dialog.of_invite(self.callee, invite)

    def answer_reinvite(self, offer: bytes) -> bytes:
        reinvite = self.callee.wait_request("INVITE")
        assert reinvite.body == offer
        answer = described(5000, self.size())
        self.callee.reply(reinvite, 200, "OK", answer, **SDP)
        self.callee.wait_request("ACK")
        return answer

    def change(self, method: str) -> None:
        """Have the caller ask for other media by re-INVITE or UPDATE."""
        offer = described(4000, self.size())
        headers = self.mine.send(method, offer)
        answer = self.answer_reinvite(offer)
        accepted = self.caller.final(headers)
        assert (accepted.status, accepted.body) == (200, answer)
        if method == "INVITE":
            self.mine.ack(accepted)

    def change_late(self) -> None:
        """Send a re-INVITE without SDP: the caller is offered what was agreed on, and answers in its ACK."""
        headers = self.mine.send("INVITE")
        accepted = self.caller.final(headers)
        assert accepted.body.startswith(b"v=0\r\no=- 5000 ")
        answer = described(4000, self.size())
        self.mine.ack(accepted, answer)
        self.answer_reinvite(answer)

    def inform(self) -> None:
        body, answer = b"b" * self.size(), b"a" * self.size()
        headers = self.mine.send("INFO", body, "application/x", Info_Package="x")
        info = self.callee.wait_request("INFO")
        assert info.body == body
        self.callee.reply(info, 200, "OK", answer, Content_Type="text/x;charset=utf-8")
        answered = self.caller.final(headers)
        assert (answered.status, answered.body) == (200, answer)

    def hang_up(self) -> None:
        hang_up(self.mine, self.callee)


def early_dialog(calling: Calling, progress: Message, sent: int = 0) -> Dialog:
    """The dialog of a call that rings, in which `sent` requests have been sent."""
    headers = calling.headers
    number = int(headers["CSeq"].split()[0]) + sent
    remote = progress["contact"].strip("<>")
    return Dialog(calling.agent, remote, headers["From"], progress["to"], headers["Call-ID"], number)


def prack(calling: Calling, progress: Message, body: bytes = b"") -> Message:
    """Acknowledge a reliable provisional response, and return the answer to the PRACK."""
    early = early_dialog(calling, progress)
    return early.request("PRACK", body, RAck=f"{progress['rseq']} {calling.headers['CSeq']}")


@pytest.mark.parametrize(("transport", "step"), [("udp", 1), ("tcp", 5)])
def test_every_size_in_every_message(site: Site, transport: str, step: int) -> None:
    caller, callee = site.registered("101", transport), site.registered("102", transport)
    for first in range(0, len(SIZES), step):
        sizes = (SIZES[number % len(SIZES)] for number in count(first))
        talk = Conversation(caller, callee, sizes.__next__)
        talk.set_up()
        for method in ("INVITE", "UPDATE"):
            talk.change(method)
        talk.change_late()
        talk.inform()
        talk.hang_up()
        talk.set_up_late()
        talk.hang_up()
    site.wait_no_call()


def twice(agent: Agent, condition: Callable[[Message], bool]) -> Message:
    """Wait for a message that comes twice, unchanged, and return it."""
    agent.takes_repeats = True
    first, again = agent.wait(condition), agent.wait(condition)
    assert again == first
    return first


def test_what_is_repeated_is_the_same(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    offer, early, answer = (described(port, LARGE) for port in (4000, 5000, 5000))
    calling = Calling.start(caller, "102", offer, Require="100rel")
    invite = twice(callee, lambda m: m.method == "INVITE")
    assert invite.body == offer
    callee.reply(invite, 183, "Session Progress", early, **SDP)
    progress = twice(caller, lambda m: m.status == 183)
    assert progress.body == early
    assert prack(calling, progress).status == 200
    callee.reply(invite, 200, "OK", early, **SDP)
    accepted = twice(caller, lambda m: m.status == 200 and m["cseq"].endswith("INVITE"))
    mine, other = calling.acknowledge(accepted), Dialog.of_invite(callee, invite)
    callee.wait_request("ACK")
    mine.send("INVITE", offer := described(4000, LARGE))
    reinvite = twice(callee, lambda m: m.method == "INVITE")
    assert reinvite.body == offer
    callee.reply(reinvite, 200, "OK", answer, **SDP)
    callee.wait_request("ACK")
    accepted = twice(caller, lambda m: m.status == 200 and m["cseq"].endswith("INVITE"))
    assert accepted.body == answer
    mine.ack(accepted)
    hang_up(other, caller)


def test_a_late_answer_is_repeated(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    offer, answer = described(5000, LARGE), described(4000, LARGE)
    calling = Calling.start(caller, "102")
    invite = callee.wait_request("INVITE")
    callee.takes_repeats = True
    callee.reply(invite, 200, "OK", offer, **SDP)
    mine = calling.acknowledge(calling.final(), answer)
    for _ in range(2):  # the first ACK is lost, so the 200 comes again
        assert callee.wait_request("ACK").body == answer
        callee.reply(invite, 200, "OK", offer, **SDP)
    hang_up(mine, callee)


# Header fields of any size


def far(agent: Agent, size: int = 1900) -> str:
    """The Record-Route of an agent that is its own proxy: messages to it are longer than those from it."""
    return f"<sip:{agent.address};transport={agent.transport};lr;x={'x' * size}>"


@pytest.mark.parametrize(("transport", "step"), [("udp", 3), ("tcp", 7)])
def test_every_size_of_header_fields(site: Site, transport: str, step: int) -> None:
    """A phone gets From, Contact and Record-Route back, the last as Route, too."""
    caller, callee = site.registered("101", transport), site.registered("102", transport)
    for size in [size for size in SIZES if size < 15_000][::step]:
        long = "x" * size
        more = {
            "Record_Route": far(caller, size),
            "Contact": f"<sip:101@{caller.address};transport={transport};x={long}>",
            "From": f'"{long}" <sip:101@{caller.server}>;tag=f{size}{transport}',
        }
        calling = Calling.start(caller, "102", sdp(4000), Require="100rel", **more)
        invite = callee.wait_request("INVITE")
        said = {"Record_Route": far(callee, size), "Contact": f"<sip:102@{callee.address};x={long}>"}
        callee.reply(invite, 183, "Session Progress", sdp(5000), **said, **RELIABLE)
        acknowledged = callee.wait_request("PRACK")
        assert long in acknowledged["route"]
        callee.reply(acknowledged, 200)
        progress = calling.provisional(183)
        assert long in progress["from"]
        assert long in progress["record-route"]
        assert prack(calling, progress).status == 200
        callee.reply(invite, 200, body=b"", **said)
        mine = calling.acknowledge(calling.final())
        ack = callee.wait_request("ACK")
        assert long in ack["route"]
        assert long in ack.start
        headers = mine.send("INVITE", sdp(4002))
        reinvite = callee.wait_request("INVITE")
        callee.reply(reinvite, 200, "OK", sdp(5002), **said, **SDP)
        mine.ack(caller.final(headers))
        callee.wait_request("ACK")
        assert Dialog.of_invite(callee, invite).request("BYE").status == 200
        bye = caller.wait_request("BYE")
        caller.reply(bye, 200)
        assert all(long in text for text in (reinvite["route"], reinvite.start, bye["route"], bye["to"]))
    site.wait_no_call()


# Messages that come over TCP, and fit no datagram with the header fields that they get

TOO_LARGE = 63_500
TOLD = "is too large to be sent"


def connect(caller: Agent, callee: Agent) -> tuple[Dialog, Dialog]:
    """Set up a call between two agents whose Record-Route is long."""
    calling = Calling.start(caller, callee.user, sdp(4000), Record_Route=far(caller))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 200, "OK", sdp(5000), Record_Route=far(callee), **SDP)
    mine = calling.acknowledge(calling.final())
    callee.wait_request("ACK")
    return mine, Dialog.of_invite(callee, invite)


def both_end(site: Site, mine: Dialog, other: Dialog) -> None:
    """Check that both agents get a BYE at once, and that it says why, as the log does with the extensions."""
    byes = [dialog.agent.wait_request("BYE") for dialog in (mine, other)]
    for dialog, bye in zip((mine, other), byes, strict=True):
        assert bye["reason"] == f'SIP;cause=513;text="A message {TOLD}"'
        dialog.agent.reply(bye, 200)
    assert site.ask("calls") == []
    log = site.server.log.read_text()
    assert re.search(rf"call 101 -> 102: the phone of 10[12]: A message {TOLD}\n", log), log


def test_an_invite_that_is_too_large(site: Site) -> None:
    caller, one, two = site.registered("101", "tcp"), site.agent("102"), site.registered("103", "tcp")
    contact = far(one).replace("<sip:", "<sip:102@").replace(";lr", "")
    assert one.register(contact=contact).status == 200
    refusal = Calling.start(caller, "102", described(4000, TOO_LARGE)).refused()
    assert refusal.start == f"SIP/2.0 513 A message {TOLD}"
    assert one.silent(lambda m: m.method == "INVITE", 0.1)
    assert one.register(contact=contact, expires=0).status == 200
    site.wait_log(TOLD)
    calling = Calling.start(caller, "103", offer := described(4000, TOO_LARGE))
    invite = two.wait_request("INVITE")
    assert invite.body == offer
    two.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486


@pytest.mark.parametrize("status", [183, 200])
def test_a_response_that_is_too_large(site: Site, status: int) -> None:
    caller, callee = site.registered("101"), site.registered("102", "tcp")
    calling = Calling.start(caller, "102", sdp(4000), Require="100rel", Record_Route=far(caller))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, status, "Here", described(5000, TOO_LARGE), **SDP)
    refusal = calling.refused()
    assert refusal.status == 513
    assert TOLD in refusal.start
    callee.reply(callee.wait(lambda m: m.method in ("BYE", "CANCEL")), 200)
    if status == 183:
        callee.reply(invite, 487, "Request Terminated")
    callee.wait_request("ACK")
    assert caller.silent(lambda m: m.method == "BYE" or m.status >= 300), "it is refused, once"
    site.wait_no_call()
    assert site.ask("calls") == []


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_an_offer_that_is_too_large(site: Site, method: str) -> None:
    mine, other = connect(site.registered("101", "tcp"), site.registered("102"))
    mine.send(method, described(4000, TOO_LARGE))
    both_end(site, mine, other)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_an_answer_to_an_offer_that_is_too_large(site: Site, method: str) -> None:
    mine, other = connect(site.registered("101"), site.registered("102", "tcp"))
    mine.send(method, described(4000, 500), Record_Route=far(mine.agent))
    reinvite = other.agent.wait_request("INVITE")
    other.agent.reply(reinvite, 200, "OK", described(5000, TOO_LARGE), **SDP)
    both_end(site, mine, other)


def test_a_late_answer_that_is_too_large(site: Site) -> None:
    caller, callee = site.registered("101", "tcp"), site.registered("102")
    calling = Calling.start(caller, "102")
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 200, "OK", sdp(5000), Record_Route=far(callee), **SDP)
    mine = calling.acknowledge(calling.final(), described(4000, TOO_LARGE))
    both_end(site, mine, Dialog.of_invite(callee, invite))


def test_an_info_that_is_too_large_is_refused_and_the_call_goes_on(site: Site) -> None:
    mine, other = connect(site.registered("101", "tcp"), site.registered("102"))
    assert mine.request("INFO", bytes(TOO_LARGE), "application/x").status == 513
    assert other.agent.silent(lambda m: m.method in ("BYE", "INFO"), 0.1)
    hang_up(mine, other.agent)


# Media that a phone asks for before the call is up


def test_a_prack_with_sdp_that_answers_nothing(site: Site) -> None:
    """PJSIP asserts that such a PRACK could be answered, and would end the server."""
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000), Require="100rel")
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    answer = prack(calling, calling.provisional(180), sdp(4002))
    assert (answer.status, answer.body) == (200, b"")
    callee.reply(invite, 200, "OK", sdp(5000), **SDP)
    hang_up(calling.acknowledge(calling.final()), callee)


def test_a_prack_of_a_call_without_offer(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", Require="100rel")
    invite = callee.wait_request("INVITE")
    assert "100rel" not in invite["supported"]
    callee.reply(invite, 180, "Ringing")
    assert prack(calling, calling.provisional(180)).status == 200
    callee.reply(invite, 200, "OK", sdp(5000), **SDP)
    hang_up(calling.acknowledge(calling.final(), sdp(4000)), callee)


def test_an_update_while_it_rings(site: Site) -> None:
    """Once the call is up, each phone hears what the other has asked for."""
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000), Require="100rel")
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 183, "Session Progress", sdp(5000), **RELIABLE)
    callee.reply(callee.wait_request("PRACK"), 200)
    other = Dialog.of_invite(callee, invite)
    answer = other.request("UPDATE", sdp(5002))
    assert (answer.status, audio_port(answer)) == (200, 4000)
    progress = calling.provisional(183)
    assert prack(calling, progress).status == 200
    answer = early_dialog(calling, progress, 1).request("UPDATE", sdp(4002))
    assert (answer.status, audio_port(answer)) == (200, 5000)
    callee.reply(invite, 200)
    mine = calling.acknowledge(calling.final())
    asked = caller.wait_request("INVITE")
    assert audio_port(asked) == 5002
    caller.reply(asked, 200, "OK", sdp(4002), **SDP)
    reinvite = callee.wait_request("INVITE")
    assert audio_port(reinvite) == 4002
    callee.reply(reinvite, 200, "OK", sdp(5002), **SDP)
    callee.wait_request("ACK")
    mine.cseq += 3
    hang_up(mine, callee)


@pytest.mark.parametrize("offer", [sdp(4000), b""])
def test_an_update_before_there_is_an_answer(site: Site, offer: bytes) -> None:
    """We answer 491 where we have offered, and 500 with Retry-After where the phone has (RFC 3311, 5.2)."""
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", offer, Require="100rel")
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    progress = calling.provisional(180)
    assert prack(calling, progress).status == 200
    early, other = early_dialog(calling, progress, 1), Dialog.of_invite(callee, invite)
    refusal = early.request("UPDATE", sdp(4002))
    assert (refusal.status, bool(refusal.all("retry-after"))) == (500, True)
    assert other.request("UPDATE", sdp(5002)).status == (491 if offer else 500)
    for dialog in (early, other):
        assert dialog.request("UPDATE").status == (200 if offer else 500), "it only keeps the session alive"
        assert dialog.request("UPDATE", b"hello").start == "SIP/2.0 400 The body is not SDP"
    callee.reply(invite, 200, "OK", sdp(5000), **SDP)
    accepted = calling.final()
    assert audio_port(accepted) == 5000
    mine = calling.acknowledge(accepted, b"" if offer else sdp(4000))
    mine.cseq += 4
    hang_up(mine, callee)


def test_a_picker_hears_what_the_caller_has_asked_for_while_it_rang(site: Site) -> None:
    caller, callee, picker = (site.registered(user) for user in ("101", "102", "103"))
    calling = Calling.start(caller, "102", sdp(4000), Require="100rel")
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 183, "Session Progress", sdp(5000), **RELIABLE)
    callee.reply(callee.wait_request("PRACK"), 200)
    progress = calling.provisional(183)
    assert prack(calling, progress).status == 200
    assert early_dialog(calling, progress, 1).request("UPDATE", sdp(4002)).status == 200
    picking = Calling.start(picker, "*97102", sdp(6000))
    taken = picking.final()
    assert (taken.status, audio_port(taken)) == (200, 4002)
    theirs = picking.acknowledge(taken)
    callee.reply(callee.wait_request("CANCEL"), 200)
    callee.reply(invite, 487, "Request Terminated")
    calling.acknowledge(calling.final())
    reinvite = caller.wait_request("INVITE")
    assert audio_port(reinvite) == 6000
    caller.reply(reinvite, 200, "OK", sdp(4002), **SDP)
    hang_up(theirs, caller)


def test_an_answer_that_pjsip_finds_to_fit_on_one_side_alone(site: Site) -> None:
    """PJSIP would have no description of the other side, and end the server when a re-INVITE asks for one."""
    caller, callee = site.registered("101"), site.registered("102")
    offer, answer = (
        sdp(port, codecs="96") + b"a=rtpmap:96 %b\r\n" % codec
        for port, codec in ((4000, b"L16/16000/1"), (5000, b"L16/16000"))
    )
    calling = Calling.start(caller, "102", offer)
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 200, "OK", answer, **SDP)
    assert calling.refused().start == "SIP/2.0 488 No stream is left of what both phones can"
    callee.wait_request("ACK")
    refused = Dialog.of_invite(callee, invite).request("INVITE")
    assert refused.status >= 400
    callee.reply(callee.wait_request("BYE"), 200)
    site.wait_no_call()
