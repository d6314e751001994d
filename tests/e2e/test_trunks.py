"""Trunks end to end, with phones of the site, and carriers that are raw agents on addresses of their own."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from calls import Calling, Dialog, audio_port, direction, hang_up, sdp
from certificates import self_signed, signed
from name_server import serving
from sites import Listening, Site
from wire import DEADLINE, Agent, Message, proved

from blfd.control import ControlClient, socket_path
from blfd.core.challenges import MOST_ROUNDS
from blfd.devices.phones import Phones
from blfd.devices.values import Place
from blfd.operations import Desk, routes, trunks
from blfd.store import Store

DID = "+4930123451"


class Carrier:
    """A carrier's server at an address of loopback, which the site has as a trunk."""

    def __init__(self, site: Site, host: str, transport: str = "udp") -> None:
        self.agent = Agent(site.server.address(transport), "carrier", "", transport, host=host)
        self.desk = desk_of(site)

    def set(self, **said: object) -> None:
        trunks.change(self.desk, "default", "carrier", said)

    def call(self, number: str, **over: str) -> Calling:
        from_ = f'"Carla" <sip:+491701234567@{self.agent.host}>;tag=c{id(self)}'
        return Calling.trusted(self.agent, number, sdp(7000), **{"From": from_, **over})

    def invited(self, method: str = "INVITE") -> Message:
        return self.agent.wait_request(method)

    @staticmethod
    def asks(status: int, nonce: str, algorithm: str = "MD5") -> dict[str, str]:
        name = "WWW_Authenticate" if status == 401 else "Proxy_Authenticate"
        return {name: f'Digest realm="{status}", nonce="{nonce}", algorithm={algorithm}, qop="auth"'}

    def challenge(self, invite: Message, status: int, nonce: str, algorithm: str = "MD5") -> None:
        self.agent.reply(invite, status, "Who are you", b"", **self.asks(status, nonce, algorithm))
        self.agent.wait_request("ACK")


def desk_of(site: Site) -> Desk:
    """A desk at which trunks are set, as the command line does it."""
    store = Store(site.database)
    phones = Phones(store, lambda: Place("127.0.0.1", {}, ""))
    return Desk(store, ControlClient(socket_path(site.database)), phones, "a test")


@pytest.fixture
def carrier(site: Site) -> Iterator[Carrier]:
    carrier = Carrier(site, "127.0.0.2")
    said = {"servers": [carrier.agent.address], "dids": [f"{DID}xx=1xx"]}
    trunks.add(carrier.desk, "default", "carrier", said)
    routes.add(carrier.desk, "default", "0.", {"trunks": ["carrier"]})
    yield carrier
    carrier.agent.close()
    routes.remove(carrier.desk, "default", "0.")
    trunks.remove(carrier.desk, "default", "carrier")


def rings(agent: Agent) -> Message:
    invite = agent.wait_request("INVITE")
    agent.reply(invite, 180, "Ringing")
    return invite


def test_a_call_in_rings_flashes_is_picked_up_by_key_and_hung_up(site: Site, carrier: Carrier) -> None:
    callee, picker = site.registered("101"), site.registered("103")
    picker.subscribe("101")
    picker.subscribe("trunk+carrier")
    calling = carrier.call(f"{DID}01")
    invite = rings(callee)
    assert '"Carla" <sip:+491701234567@' in invite["from"]
    notify = picker.notify("early")
    (dialog,) = notify.document.dialogs
    assert dialog.remote
    assert dialog.remote.identity
    assert (dialog.remote.identity.display, dialog.remote.identity.uri.partition("@")[0]) == (
        "Carla",
        "sip:+491701234567",
    )
    named = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    picking = Calling.start(picker, "101", sdp(5003), Replaces=named)
    taken = picking.final()
    assert (taken.status, audio_port(taken)) == (200, 7000)
    answer = calling.final()
    assert (answer.status, audio_port(answer)) == (200, 5003)
    picking.acknowledge(taken)
    called = calling.acknowledge(answer)
    callee.reply(callee.wait_request("CANCEL"), 200)
    callee.reply(invite, 487, "Request Terminated")
    site.wait_lamp("103", "talking")
    called.send("BYE")
    picker.reply(picker.wait_request("BYE"), 200)
    site.wait_no_call()


def test_a_call_out_answers_a_challenge_and_its_bye_too(site: Site, carrier: Carrier) -> None:
    caller = site.registered("101")
    for status, algorithm in ((401, "MD5"), (407, "SHA-256")):
        carrier.set(username="acct", password="s3cret")
        calling = Calling.start(caller, "0301234567", sdp(5001))
        invite = carrier.invited()
        assert invite.uri.startswith("sip:0301234567@127.0.0.2")
        carrier.challenge(invite, status, f"n{status}", algorithm=algorithm)
        again = carrier.invited()
        name, asked = ("authorization", "WWW") if status == 401 else ("proxy-authorization", "Proxy")
        assert proved(again, name, "acct", "s3cret"), asked
        assert 'nonce="n4' in again[name]
        assert again["contact"].startswith("<sip:acct@")
        carrier.agent.reply(again, 183, "Session Progress", sdp(7000), Content_Type="application/sdp")
        assert audio_port(calling.provisional(183)) == 7000
        carrier.agent.reply(again, 200, "OK", sdp(7000), Content_Type="application/sdp")
        dialog = calling.acknowledge(calling.final())
        carrier.agent.wait_request("ACK")
        dialog.send("BYE")
        bye = carrier.invited("BYE")
        carrier.agent.reply(bye, status, "Who are you", b"", **carrier.asks(status, f"b{status}", algorithm))
        bye = carrier.invited("BYE")
        assert proved(bye, name, "acct", "s3cret")
        carrier.agent.reply(bye, 200)
        site.wait_no_call()


def test_the_caller_sees_who_really_answers_and_who_is_there_later(site: Site, carrier: Carrier) -> None:
    """By P-Asserted-Identity and by Remote-Party-ID, in the answer, a re-INVITE and an UPDATE; lamps too."""
    caller = site.registered("101")
    calling = Calling.start(caller, "0301234567", sdp(5001), Allow="INVITE, ACK, BYE, CANCEL, UPDATE")
    invite = carrier.invited()
    carrier.agent.reply(invite, 180, "Ringing")
    calling.provisional(180)
    named = {"P_Asserted_Identity": '"Bob" <sip:+49309999@carrier.example>'}
    carrier.agent.reply(invite, 200, "OK", sdp(7000), Content_Type="application/sdp", **named)
    answer = calling.final()
    assert answer["p-asserted-identity"].startswith('"Bob" <sip:+49309999@')
    mine = calling.acknowledge(answer)
    carrier.agent.wait_request("ACK")
    other = Dialog.of_invite(carrier.agent, invite)
    site.wait_lamp("101", "talking")
    asked = other.send("UPDATE", Remote_Party_ID='"Eve" <sip:0171@x>;party=called;privacy=off')
    told = caller.wait_request("UPDATE")
    assert told["p-asserted-identity"].startswith('"Eve" <sip:0171@')
    caller.reply(told, 200)
    assert carrier.agent.final(asked).status == 200
    asked = other.send("INVITE", sdp(7002), P_Asserted_Identity="<sip:0172@x>")
    told = caller.wait_request("INVITE")
    assert told["p-asserted-identity"].startswith("<sip:0172@")
    caller.reply(told, 200, "OK", sdp(5001), Content_Type="application/sdp")
    other.ack(carrier.agent.final(asked))
    caller.wait_request("ACK")
    mine.send("BYE")
    carrier.agent.reply(carrier.agent.wait_request("BYE"), 200)
    site.wait_no_call()
    site.wait_no_call()


@pytest.mark.parametrize("contact", ["<sips:x@127.0.0.2>", "<tel:123>"])
def test_a_contact_that_leads_nowhere_does_not_keep_the_call(
    site: Site, carrier: Carrier, contact: str
) -> None:
    """ACK and BYE take the way of the INVITE, and the operator reads of it."""
    phone = site.registered("101")
    calling = Calling.start(phone, "0170123", sdp(5001))
    invite = carrier.invited()
    carrier.agent.reply(invite, 200, "OK", sdp(7000), Content_Type="application/sdp", Contact=contact)
    dialog = calling.acknowledge(calling.final())
    assert carrier.agent.wait_request("ACK")["call-id"] == invite["call-id"]
    site.wait_log(f"it says {contact[1:-1]} is where it is")
    dialog.send("BYE")
    carrier.agent.reply(carrier.agent.wait_request("BYE"), 200)
    site.wait_no_call()


def test_the_answer_is_only_in_a_183_that_wants_a_prack(site: Site, carrier: Carrier) -> None:
    """The 200 then has no SDP, and the PRACK goes to the Contact of the 183."""
    caller = site.registered("101")
    calling = Calling.start(caller, "0301", sdp(5001))
    invite = carrier.invited()
    assert "100rel" in invite["supported"]
    more = {"Require": "100rel", "RSeq": "7", "Contact": f"<sip:early@{carrier.agent.address}>"}
    carrier.agent.reply(invite, 183, "Session Progress", sdp(7001), Content_Type="application/sdp", **more)
    prack = carrier.invited("PRACK")
    assert (prack.uri, prack["rack"].split()[0]) == (f"sip:early@{carrier.agent.address}", "7")
    carrier.agent.reply(prack, 200)
    assert audio_port(calling.provisional(183)) == 7001
    carrier.agent.reply(invite, 200, "OK")
    answer = calling.final()
    assert (answer.status, audio_port(answer)) == (200, 7001)
    dialog = calling.acknowledge(answer)
    carrier.agent.wait_request("ACK")
    hang_up(dialog, carrier.agent)
    site.wait_no_call()


def talks(carrier: Carrier, callee: Agent) -> tuple[Dialog, Dialog]:
    """Set up a call in; return the carrier's side, at port 7000, and the extension's, at 5001."""
    calling = carrier.call(f"{DID}{callee.user[1:]}")
    invite = rings(callee)
    callee.reply(invite, 200, "OK", sdp(5001), Content_Type="application/sdp")
    dialog = calling.acknowledge(calling.final())
    callee.wait_request("ACK")
    return dialog, Dialog.of_invite(callee, invite)


def moved(agent: Agent, port: int, own: int) -> None:
    """Wait until an agent is asked to send to `port`, and have it do so."""
    again = agent.wait_request("INVITE")
    assert audio_port(again) == port
    agent.reply(again, 200, "OK", sdp(own), Content_Type="application/sdp")
    agent.wait_request("ACK")


@pytest.mark.parametrize("target", ["103", "0309"])
def test_a_call_in_is_transferred_on(site: Site, carrier: Carrier, target: str) -> None:
    """The call goes to an extension, or out again by the same trunk."""
    taker = site.registered(target) if target == "103" else carrier.agent
    outside, mine = talks(carrier, callee := site.registered("101"))
    assert mine.request("REFER", Refer_To=f"<sip:{target}@{callee.server}>").status == 202
    invite = rings(taker)
    assert audio_port(invite) == 7000
    if taker is carrier.agent:
        assert invite["from"].startswith('"Name 101" <sip:101@'), "not who called"
        assert "p-asserted-identity" not in dict(invite.headers)
    else:
        assert '"Carla" <sip:+491701234567@' in invite["from"]
    taker.reply(invite, 200, "OK", sdp(7009), Content_Type="application/sdp")
    taker.wait_request("ACK")
    moved(carrier.agent, 7009, 7000)
    callee.reply(callee.wait_request("BYE"), 200)
    site.wait_idle("101")
    assert outside.request("BYE").status == 200
    taker.reply(taker.wait_request("BYE"), 200)
    site.wait_no_call()


def fax(port: int, *, keeps_audio: bool = False) -> bytes:
    """An SDP with T.38 in the place of the audio, or after it (T.38, annex D)."""
    lines = [f"v=0\r\no=- {port} 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0"]
    lines += ["m=audio 0 RTP/AVP 0 8"] if keeps_audio else []
    lines += [f"m=image {port} udptl t38", "a=T38FaxVersion:0", "a=T38MaxBitRate:14400"]
    lines += ["a=T38FaxRateManagement:transferredTCF", "a=T38FaxUdpEC:t38UDPRedundancy", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("keeps_audio", [False, True])
def test_a_call_becomes_a_fax(site: Site, carrier: Carrier, keeps_audio: bool) -> None:
    """The extension that is called asks for that, as fax machines do.

    A fax that the carrier refuses leaves the call as it was.
    """
    carrier.set(codecs=["PCMA", "PCMU", "telephone-event"])
    outside, mine = talks(carrier, callee := site.registered("101"))
    for asked, other in ((mine, carrier.agent), (outside, callee)):
        sent = asked.send("INVITE", fax(6000, keeps_audio=keeps_audio))
        again = other.wait_request("INVITE")
        assert b"m=image 6000 udptl t38" in again.body
        assert b"a=T38FaxUdpEC:t38UDPRedundancy" in again.body
        assert (b"m=audio 0 " in again.body) is keeps_audio, "the place of each stream is the offerer's"
        other.reply(again, 488, "Not Acceptable Here")
        refused = asked.agent.final(sent)
        assert refused.status == 488
        asked.agent.ack(refused, asked.target, sent)
        sent = asked.send("INVITE", fax(6000, keeps_audio=keeps_audio))
        body = fax(6002, keeps_audio=keeps_audio)
        other.reply(other.wait_request("INVITE"), 200, "OK", body, Content_Type="application/sdp")
        answer = asked.agent.final(sent)
        assert answer.status == 200, answer.start
        assert b"m=image 6002 udptl t38" in answer.body
        assert b"a=T38MaxBitRate:14400" in answer.body
        assert answer.body.count(b"m=") == again.body.count(b"m=")
        asked.ack(answer)
        other.wait_request("ACK")
        over = b"m=image 0 udptl t38\r\n" if keeps_audio else b""
        sent = asked.send("INVITE", sdp(6004) + over)
        body = sdp(6006) + over
        other.reply(other.wait_request("INVITE"), 200, "OK", body, Content_Type="application/sdp")
        answer = asked.agent.final(sent)
        assert (answer.status, audio_port(answer)) == (200, 6006)
        asked.ack(answer)
        other.wait_request("ACK")
    hang_up(outside, callee)
    site.wait_no_call()


def test_a_challenge_inside_a_call_that_came_in(site: Site, carrier: Carrier) -> None:
    """The challenge is answered in the next process, too, where the phone that was called hangs up."""
    callee = site.registered("101")
    carrier.set(username="acct", password="s3cret")
    for is_killed in (False, True):
        calling = carrier.call(f"{DID}01")
        invite = rings(callee)
        callee.reply(invite, 200, "OK", sdp(5001), Content_Type="application/sdp")
        calling.acknowledge(calling.final())
        callee.wait_request("ACK")
        site.wait_lamp("101", "talking")
        site.wait_rows("legs", 2)
        if is_killed:
            site.kill()
            site.start()
            for agent, port in ((carrier.agent, 7000), (callee, 5001)):  # both are asked if they are there
                agent.reply(
                    agent.wait_request("INVITE"), 200, "OK", sdp(port), Content_Type="application/sdp"
                )
                agent.wait_request("ACK")
        assert Dialog.of_invite(callee, invite).request("BYE").status == 200
        bye = carrier.invited("BYE")
        carrier.agent.reply(bye, 401, "Who are you", b"", **carrier.asks(401, f"n{is_killed}"))
        again = carrier.invited("BYE")
        assert proved(again, "authorization", "acct", "s3cret")
        carrier.agent.reply(again, 200)
        site.wait_no_call()
        site.wait_rows("legs", 0)


def test_a_wrong_password_ends_the_call_and_the_loop(site: Site, carrier: Carrier) -> None:
    carrier.set(username="acct", password="wrong")
    caller = site.registered("101")
    calling = Calling.start(caller, "0301", sdp(5001))
    for number in range(2):
        carrier.challenge(carrier.invited(), 401, f"again{number}")
    assert calling.refused().status == 480
    assert carrier.agent.silent(lambda m: m.method == "INVITE", 0.3)
    site.wait_no_call()


def test_a_password_is_proved_in_its_realm_alone(site: Site, carrier: Carrier) -> None:
    """Who asks in another realm, as a proxy on the way, gets none."""
    carrier.set(username="acct", password="s3cret", realm="407")
    caller = site.registered("101")
    calling = Calling.start(caller, "0301", sdp(5001))
    carrier.challenge(carrier.invited(), 401, "other")
    assert calling.refused().status == 480
    assert carrier.agent.silent(lambda m: m.method == "INVITE", 0.3)
    calling = Calling.start(caller, "0301", sdp(5001))
    carrier.challenge(carrier.invited(), 407, "carrier")
    invite = carrier.invited()
    assert proved(invite, "proxy-authorization", "acct", "s3cret")
    carrier.agent.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486
    site.wait_no_call()


def test_a_carrier_that_wants_another_proof_each_time_has_refused(site: Site, carrier: Carrier) -> None:
    carrier.set(username="acct", password="s3cret")
    calling = Calling.start(site.registered("101"), "0301", sdp(5001))
    for number in range(1 + MOST_ROUNDS):
        asks = f'Digest realm="r{number}", nonce="n", qop="auth"'
        carrier.agent.reply(carrier.invited(), 401, "Who are you", WWW_Authenticate=asks)
        carrier.agent.wait_request("ACK")
    assert calling.refused().status == 480
    assert carrier.agent.silent(lambda m: m.method == "INVITE", 0.3)
    site.wait_no_call()


@contextlib.contextmanager
def forwarded(site: Site, extension: str, number: str) -> Iterator[None]:
    site.cli("extension", "set", extension, "--forward-always", number)
    yield
    site.cli("extension", "set", extension, "--forward-always", "")


def test_a_carrier_that_sends_a_forwarded_call_back_ends_it(site: Site, carrier: Carrier) -> None:
    """The carrier is a user agent to either side, and keeps only the caller of our INVITE."""
    carrier.set(caller_id=f"{DID}00")
    with forwarded(site, "101", "0170123"):
        calling = carrier.call(f"{DID}01")
        out = carrier.invited()
        assert out.uri.startswith("sip:0170123@")
        assert f"<sip:{DID}00@" in out["from"]
        back = carrier.call(f"{DID}01", From=f"<sip:{DID}00@127.0.0.2>;tag=back")
        assert back.refused().start == "SIP/2.0 480 Temporarily Unavailable"
        carrier.agent.reply(out, 480, "Temporarily Unavailable")
        carrier.agent.wait_request("ACK")
        assert calling.refused().start == "SIP/2.0 480 Temporarily Unavailable"
        site.wait_no_call()
        site.wait_log("calls of 101 go in a circle: they are forwarded (unconditional) to 0170123")


def wants_ever_fresher(carrier: Carrier, most: int) -> None:
    """Take `most` INVITEs, and ask each for a proof by a fresher nonce."""
    for number in range(most):
        request = carrier.invited()
        asks = f'Digest realm="p", nonce="old{number}", algorithm=MD5, qop="auth", stale=true'
        carrier.agent.reply(request, 407, "Who are you", Proxy_Authenticate=asks)
        carrier.agent.wait_request("ACK")


def test_challenges_inside_a_call(site: Site, carrier: Carrier) -> None:
    """Each request is asked for a proof by another nonce, and the phone is told only the final result.

    A request that is asked for ever is refused, which the log says once, and the call is as before.
    """
    carrier.set(username="acct", password="s3cret")
    caller = site.registered("101")
    calling = Calling.start(caller, "0302", sdp(5001))
    wants_ever_fresher(carrier, MOST_ROUNDS)
    assert calling.refused().status == 480
    site.wait_no_call()
    assert site.server.log.read_text().count("refuses a call: 407 Who are you") == 1

    calling = Calling.start(caller, "0302", sdp(5001))
    carrier.challenge(carrier.invited(), 401, "one")
    carrier.challenge(carrier.invited(), 407, "two")
    invite = carrier.invited()
    for name in ("authorization", "proxy-authorization"):
        assert proved(invite, name, "acct", "s3cret")
    carrier.agent.reply(invite, 200, "OK", sdp(7000), Content_Type="application/sdp")
    dialog = calling.acknowledge(calling.final())
    carrier.agent.wait_request("ACK")
    for number in range(MOST_ROUNDS + 1):
        sent = dialog.send("INFO", b"Signal=1", "application/dtmf-relay")
        carrier.agent.reply(
            carrier.invited("INFO"), 407, "Who are you", b"", **carrier.asks(407, f"info{number}")
        )
        again = carrier.invited("INFO")
        assert proved(again, "proxy-authorization", "acct", "s3cret")
        assert again.body == b"Signal=1"
        carrier.agent.reply(again, 200)
        assert caller.final(sent).status == 200
        how = ("sendonly", "sendrecv")[number % 2]
        sent = dialog.send("INVITE", sdp(5001, how))
        carrier.challenge(carrier.invited(), 407, f"hold{number}")
        again = carrier.invited()
        assert proved(again, "proxy-authorization", "acct", "s3cret")
        assert direction(again) == how
        carrier.agent.reply(again, 200, "OK", sdp(7000), Content_Type="application/sdp")
        answer = caller.final(sent)
        assert answer.status == 200
        dialog.ack(answer)
        carrier.agent.wait_request("ACK")
        site.wait_lamp("101", "held" if how == "sendonly" else "talking")
    sent = dialog.send("INVITE", sdp(5001))
    wants_ever_fresher(carrier, MOST_ROUNDS)
    answer = caller.final(sent)
    assert answer.status == 488
    caller.ack(answer, dialog.target, sent)
    site.wait_lamp("101", "held")
    assert carrier.agent.silent(lambda m: m.method == "INVITE", 0.3)
    assert dialog.request("BYE").status == 200, "what was asked for ever is no other request's fault"
    asks = 'Digest realm="p", nonce="bye", algorithm=MD5, qop="auth", stale=true'
    carrier.agent.reply(carrier.invited("BYE"), 407, "Who are you", Proxy_Authenticate=asks)
    bye = carrier.invited("BYE")
    assert proved(bye, "proxy-authorization", "acct", "s3cret")
    assert 'nonce="bye"' in bye["proxy-authorization"]
    carrier.agent.reply(bye, 200)
    site.wait_no_call()


def test_the_number_is_where_the_trunk_says(site: Site, carrier: Carrier) -> None:
    """The number is in a header field of the carrier's own, while the Request-URI is our account."""
    carrier.set(username="acct", did_source="header:X-DID")
    callee = site.registered("102")
    uri = f"sip:acct@{callee.server}"
    calling = Calling.trusted(carrier.agent, "x", sdp(7000), uri, **{"X-DID": f"<tel:{DID}02>"})
    callee.reply(rings(callee), 486, "Busy Here")
    assert calling.refused().status == 486
    assert Calling.trusted(carrier.agent, "x", sdp(7000), uri, **{"X-DID": "102"}).refused().status == 404
    site.wait_no_call()


def test_session_timers_by_a_trunk(site: Site, carrier: Carrier) -> None:
    """Each side has a timer of its own (RFC 4028).

    Intervals that are too short are refused, the carrier's minimum is asked for, and the carrier may refresh,
    by UPDATE and by re-INVITE.
    """
    phone = site.registered("101")
    timed = {"Supported": "timer", "Session-Expires": "1800;refresher=uac"}
    refused = carrier.call(f"{DID}01", **{**timed, "Session-Expires": "20"}).refused()
    assert (refused.status, refused["min-se"]) == (422, "90")
    calling = carrier.call(f"{DID}01", **timed)
    invite = rings(phone)
    phone.reply(invite, 200, "OK", sdp(5001), Content_Type="application/sdp")
    answer = calling.final()
    assert (answer["session-expires"], answer["require"]) == ("1800;refresher=uac", "timer")
    called = calling.acknowledge(answer)
    phone.wait_request("ACK")
    hang_up(called, phone)
    site.wait_no_call()

    calling = Calling.start(phone, "0301", sdp(5001))
    carrier.agent.reply(carrier.invited(), 422, "Session Interval Too Small", Min_SE="3600")
    carrier.agent.wait_request("ACK")
    invite = carrier.invited()
    assert (invite["min-se"], int(invite["session-expires"].partition(";")[0]) >= 3600) == ("3600", True)
    granted = {"Session_Expires": "3600;refresher=uas", "Require": "timer", "Supported": "timer"}
    carrier.agent.reply(invite, 200, "OK", sdp(7000), Content_Type="application/sdp", **granted)
    mine = calling.acknowledge(calling.final())
    carrier.agent.wait_request("ACK")
    outside = Dialog.of_invite(carrier.agent, invite)
    timed = {"Supported": "timer", "Session-Expires": "3600;refresher=uac", "Min-SE": "3600"}
    refreshed = outside.request("UPDATE", b"", "", **timed)
    assert (refreshed.status, refreshed["session-expires"]) == (200, "3600;refresher=uac")
    sent = outside.send("INVITE", sdp(7000), **timed)
    phone.reply(phone.wait_request("INVITE"), 200, "OK", sdp(5001), Content_Type="application/sdp")
    answer = carrier.agent.final(sent)
    assert (answer.status, answer["session-expires"]) == (200, "3600;refresher=uac")
    outside.ack(answer)
    phone.wait_request("ACK")
    assert outside.request("UPDATE", b"", "", **{**timed, "Session-Expires": "30"}).status == 422
    hang_up(mine, carrier.agent)
    site.wait_no_call()


def test_two_tenants_at_one_carrier(site: Site, carrier: Carrier) -> None:
    """Each tenant gets the calls to its own numbers, and sees nothing of the other's."""
    ours, theirs = site.registered("101"), site.agent("101")
    theirs.password, acme = "acme", "sip:101@acme.example"
    named = {"From": f"<{acme}>;tag=x", "To": f"<{acme}>", "Contact": f"<sip:101@{theirs.address}>"}
    assert theirs.request("REGISTER", "101", "sip:acme.example", b"", Expires="600", **named).status == 200
    said = {"servers": [carrier.agent.address], "dids": ["+493099901=101"]}
    trunks.add(carrier.desk, "acme.example", "line", said)
    try:
        for number, callee, other in ((f"{DID}01", ours, theirs), ("+493099901", theirs, ours)):
            calling = carrier.call(number)
            invite = rings(callee)
            site.wait_lamp("101", "ringing" if callee is ours else "idle")
            lit = ControlClient(socket_path(site.database)).call("lamps", tenant="acme.example")
            assert {row["extension"]: row["lamp"] for row in lit}["101"] == (
                "idle" if callee is ours else "ringing"
            )
            assert other.silent(lambda m: m.method == "INVITE", 0.1)
            callee.reply(invite, 486, "Busy Here")
            assert calling.refused().status == 486
        site.wait_no_call()
    finally:
        trunks.remove(carrier.desk, "acme.example", "line")
        named |= {"Contact": "*", "Expires": "0"}
        theirs.request("REGISTER", "101", "sip:acme.example", b"", **named)


def test_two_carriers(site: Site, carrier: Carrier) -> None:
    """503 or silence leads to the other carrier; 486 is the answer, and after 18x a 503 is, too."""
    other = Carrier(site, "127.0.0.3")
    trunks.add(other.desk, "default", "other", {"servers": [other.agent.address]})
    routes.change(other.desk, "default", "0.", {"trunks": ["carrier", "other"]})
    caller = site.registered("101")
    try:
        for first, then in (((503,), 486), ((486,), 0), ((180, 503), 0), ((), 486)):
            calling = Calling.start(caller, "0301", sdp(5001))
            invite = carrier.invited()
            for status in first:
                carrier.agent.reply(invite, status, "So")
            if then:
                other.agent.reply(other.invited(), then, "Busy Here")
                other.agent.wait_request("ACK")
            if not first:  # a carrier that answers when the call is over has nobody to charge
                assert calling.refused().status == 486
                carrier.agent.reply(invite, 200, "OK", sdp(7000), Content_Type="application/sdp")
            carrier.agent.wait_request("ACK")
            if first:
                assert calling.refused().status == (500 if first == (180, 503) else 486)
            else:
                carrier.agent.reply(carrier.invited("BYE"), 200)
            site.wait_no_call()
        assert other.agent.silent(lambda m: m.method == "INVITE", 0.2)
    finally:
        routes.change(other.desk, "default", "0.", {"trunks": ["carrier"]})
        trunks.remove(other.desk, "default", "other")
        other.agent.close()


def test_strangers_and_codes_are_refused_from_outside(site: Site, carrier: Carrier) -> None:
    site.registered("102")
    for number in ("102", "*97102", "*98", "0301", "trunk+carrier"):
        calling = carrier.call(number)
        refused = calling.final()
        carrier.agent.ack(refused, calling.uri, calling.headers)
        assert refused.status == 404, number
    stranger = Carrier(site, "127.0.0.9")
    for from_ in (f"sip:x@{stranger.agent.server}", f"sip:+49170@{carrier.agent.host}"):
        for number in (f"{DID}01", "102", "*97102", "0301"):
            calling = Calling.trusted(stranger.agent, number, sdp(7000), From=f"<{from_}>;tag=s")
            answer = calling.final()
            assert answer.status == (401 if "x@" in from_ else 403), number
            sent = len(f"INVITE {calling.uri} SIP/2.0") + sum(
                len(f"{k}: {v}\r\n") for k, v in calling.headers.items()
            )
            assert sum(len(f"{k}: {v}\r\n") for k, v in answer.headers) < sent + len(sdp(7000)), number
    assert stranger.agent.silent(lambda m: m.status > 0, 1.2), "what is not acknowledged is not said again"
    site.wait_log("AUTH-FAILED 127.0.0.9 SIP INVITE as +49170@127.0.0.2 to *97102: Domain")
    for method in ("SUBSCRIBE", "REGISTER"):
        assert carrier.agent.request(method, "102", Event="dialog").status == 401
    stranger.agent.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_trunk_registers_gets_calls_by_its_token_and_leaves(
    own_site: Callable[..., Site], transport: str
) -> None:
    """A trunk does so through kill -9 of the server, and when the carrier's connection breaks.

    A carrier that was away may come back without its registrations.
    """
    site = own_site()
    registrar = Registrar("127.0.0.2", transport)
    desk = desk_of(site)
    said = {
        "servers": [registrar.address],
        "username": "acct",
        "password": "s3cret",
        "mode": "register",
        "transport": transport,
        "ping": 0,
        "retry": 2,
        "dids": [f"{DID}xx=1xx"],
    }
    trunks.add(desk, "default", "carrier", said)
    assert registrar.registered()["authorization"]
    site.wait_trunk("carrier", state="registered")
    callee = site.registered("101")
    contact = registrar.contact
    assert ";line=" in contact
    caller = Agent(site.server.address("udp"), "somebody", "", "udp", host="127.0.0.5")
    to = f"<sip:{DID}01@carrier.example>"
    uri = contact.strip("<>").replace(";transport=tcp", "")
    calling = Calling.trusted(caller, "acct", sdp(7000), uri, To=to)
    callee.reply(rings(callee), 486, "Busy Here")
    assert calling.refused().status == 486
    if transport == "tcp":
        registrar.cut()
        assert registrar.registered()
        site.wait_trunk("carrier", state="registered")
        registrar.end()
        site.wait_trunk("carrier", registered=False, usable=False)
        registrar = Registrar("127.0.0.2", transport, int(registrar.address.partition(":")[2]))
        assert registrar.registered()
        assert registrar.contact == contact
        site.wait_trunk("carrier", state="registered")
    site.kill()
    site.start()
    assert registrar.registered()
    assert registrar.contact == contact
    site.wait_trunk("carrier", state="registered")
    callee.is_registered = False
    caller.close()
    site.server.stop()
    assert registrar.wait("0")
    registrar.close()


@pytest.fixture
def carrier_names() -> Iterator[str]:
    """The setting of a DNS server that knows where the carrier is."""
    with serving({"sbc.carrier.example A": ("127.0.0.2",)}) as names:
        host, port = names.address
        yield f'dns_servers = ["{host}:{port}"]\n'


def test_over_tls(own_site: Callable[..., Site], tmp_path: Path, carrier_names: str) -> None:
    """Whoever has a certificate with the trunk's name calls in, from any address.

    Calls go out by a connection of ours, which shows our certificate to a carrier whose own has the trunk's
    name, in the next process, too.
    """
    authority = self_signed(tmp_path, "authority", "DNS:authority")
    own = signed(tmp_path, "own", authority, "DNS:pbx.example,IP:127.0.0.1")
    asked = f'[tls]\nclient_certificates = "asked"\nclient_ca = "{authority.certificate}"\n'
    site = own_site(config=own.toml() + carrier_names + asked)
    listening = Listening(site, "carrier", "127.0.0.2")
    said = {"servers": [f"sbc.carrier.example:{listening.port}"], "transport": "tls", "ping": 0}
    said |= {"certificate": "sbc.carrier.example", "dids": [f"{DID}xx=1xx"]}
    desk = desk_of(site)
    trunks.add(desk, "default", "carrier", said)
    routes.add(desk, "default", "0.", {"trunks": ["carrier"]})
    phone = site.registered("101")

    def connected(name: str) -> Agent:
        context = ssl.create_default_context(cafile=authority.certificate)
        context.load_cert_chain(*signed(tmp_path, name, authority, f"DNS:{name}"))
        address = site.server.address("tls")
        site.agents.append(agent := Agent(address, "sbc", "", "tls", host="127.0.0.5", trusting=context))
        return agent

    from_ = {"From": "<sip:+491701234567@carrier.example>;tag=c"}
    stranger = connected("other.example")
    assert Calling.trusted(stranger, f"{DID}01", sdp(7000), **from_).refused().status == 403
    sbc = connected("sbc.carrier.example")
    calling = Calling.trusted(sbc, f"{DID}01", sdp(7000), **from_)
    invite = rings(phone)
    assert "<sip:+491701234567@" in invite["from"]
    phone.reply(invite, 200, "OK", sdp(5001), Content_Type="application/sdp")
    calling.acknowledge(calling.final())
    phone.wait_request("ACK")
    hang_up(Dialog.of_invite(phone, invite), sbc)
    site.wait_no_call()

    calling = Calling.start(phone, "0301", sdp(5002))
    asked_for: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    context.load_cert_chain(*signed(tmp_path, "server", authority, "DNS:sbc.carrier.example"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.sni_callback = lambda connection, name, context: asked_for.append(name)

    def accept() -> Agent:
        carrier = listening.accept()
        secured = context.wrap_socket(carrier.socket, server_side=True)
        carrier.socket, carrier.transport = secured, "tls"
        shown = secured.getpeercert()
        assert shown
        assert ("DNS", "pbx.example") in shown["subjectAltName"]
        assert asked_for.pop() == "sbc.carrier.example"
        return carrier

    carrier = accept()
    invite = carrier.wait_request("INVITE")
    assert invite["via"].startswith("SIP/2.0/TLS ")
    assert invite["contact"].endswith(";transport=tls>")
    carrier.reply(invite, 200, "OK", sdp(7003), Content_Type="application/sdp")
    answer = calling.final()
    assert (answer.status, audio_port(answer)) == (200, 7003)
    dialog = calling.acknowledge(answer)
    carrier.wait_request("ACK")
    site.wait_rows("legs WHERE settled", 2)
    site.kill()
    site.start()
    bye = dialog.send("BYE")
    assert dialog.agent.final(bye).status == 200
    carrier = accept()
    carrier.reply(carrier.wait_request("BYE"), 200)
    site.wait_no_call()
    listening.close()


def test_a_trunk_that_registers_here(site: Site) -> None:
    """Calls out go to where the trunk is, in the next process, too.

    Calls in are asked for its password, whatever From says, and it has no other right of an extension.
    """
    desk = desk_of(site)
    said = {"mode": "peer-registers", "username": "pbx", "password": "s3cret", "dids": ["2xx=1xx"]}
    trunks.add(desk, "default", "pbx", said)
    routes.add(desk, "default", "5xx", {"trunks": ["pbx"]})
    stranger = Agent(site.server.address(), "pbx", "wrong", "udp", host="127.0.0.8")
    peer = Agent(site.server.address(), "pbx", "s3cret", "udp", host="127.0.0.2")
    try:
        assert stranger.register().status == 401
        site.wait_trunk("pbx", usable=False, state="not registered: nobody has come as pbx")
        assert peer.register().status == 200
        site.wait_trunk("pbx", usable=True, state="registered here", server=f"udp:{peer.address}")
        site.wait_rows("bindings", 1)
        caller = site.agent("101")
        for is_killed in (False, True):
            if is_killed:
                site.kill()
                site.start()
            calling = Calling.start(caller, "501", sdp(5001))
            invite = peer.wait_request("INVITE")
            assert invite.uri.startswith(f"sip:501@{peer.host}")
            peer.reply(invite, 486, "Busy Here")
            peer.wait_request("ACK")
            assert calling.refused().status == 486
        callee = site.registered("102")
        calling = Calling.start(peer, "202", sdp(7000), From=f"<sip:0170@{peer.host}>;tag=far")
        callee.reply(rings(callee), 486, "Busy Here")
        callee.wait_request("ACK")
        assert calling.refused().status == 486
        assert Calling.start(peer, "102", sdp(7000)).refused().status == 404
        assert Calling.start(peer, "*98", sdp(7000)).refused().status == 404
        assert Calling.start(stranger, "202", sdp(7000)).refused().status == 401
        assert peer.request("SUBSCRIBE", "102", Event="dialog").status == 403
        site.wait_no_call()
    finally:
        routes.remove(desk, "default", "5xx")
        trunks.remove(desk, "default", "pbx")
        stranger.close()
        peer.close()
    site.wait_rows("bindings", 1)


class Registrar:
    """A registrar that challenges, on a thread of its own; `taken` has the requests that it has accepted."""

    def __init__(self, host: str, transport: str, port: int = 0) -> None:
        self.transport = transport
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        self._socket = socket.socket(type=kind)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        if transport == "tcp":
            self._socket.listen()
        self.address = f"{host}:{self._socket.getsockname()[1]}"
        self.taken: queue.Queue[Message] = queue.Queue()
        self.contact = ""
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def registered(self) -> Message:
        """Wait for the next REGISTER that is accepted and does not unregister, and return it."""
        return self.wait("3600")

    def wait(self, expires: str) -> Message:
        while True:
            found = self.taken.get(timeout=DEADLINE)
            if found["expires"] == expires:
                return found

    def cut(self) -> None:
        assert self._connection
        self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()

    def end(self) -> None:
        """End as kill -9 ends it: nobody listens, and then the connection is gone."""
        connection = self._connection
        assert connection
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                if self.transport == "udp":
                    data, source = self._socket.recvfrom(65535)
                    if not data:
                        return
                    self._socket.sendto(self._answer(Message.read(data)), source)
                    continue
                self._connection, _ = self._socket.accept()
                with contextlib.suppress(OSError), self._connection:
                    while data := self._connection.recv(65535):
                        self._connection.sendall(self._answer(Message.read(data)))

    def _answer(self, request: Message) -> bytes:
        status, more = "200 OK", []
        if not request.all("authorization"):
            status = "401 Unauthorized"
            more = ['WWW-Authenticate: Digest realm="c", nonce="n", algorithm=MD5, qop="auth"']
        elif not proved(request, "authorization", "acct", "s3cret"):
            status = "403 Forbidden"
        else:
            self.contact = request["contact"]
            more = [f"Contact: {self.contact};expires={request['expires']}"]
            self.taken.put(request)
        copied = [f"{name}: {request[name]}" for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        return "\r\n".join([f"SIP/2.0 {status}", *copied, *more, "Content-Length: 0", "", ""]).encode()
