"""Calls by a trunk end to end, between phones of the site and a carrier that is a raw agent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from calls import Calling, Dialog, audio_port, hang_up, sdp
from carriers import DID, Carrier, rings, talks
from sites import Site
from wire import Agent, proved

from blfd.control import ControlClient, socket_path
from blfd.operations import routes, trunks


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
