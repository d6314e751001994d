"""Unusual offers and answers: SDP always reaches the phone that it is for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from calls import Calling, Dialog, audio_port, branch, connect, direction, hang_up, sdp
from sites import Site
from wire import Message

SDP = "application/sdp"
RELIABLE = {"Require": "100rel", "RSeq": "1", "Content_Type": SDP}


def multipart(body: bytes) -> bytes:
    parts = [b"--x", b"Content-Type: application/sdp", b"", body, b"--x"]
    return b"\r\n".join([*parts, b"Content-Type: text/plain", b"", b"hello", b"--x--", b""])


def test_the_early_sdp_of_the_second_phone_counts_when_it_answers_without(site: Site) -> None:
    caller, one, two = site.registered("101"), site.registered("104"), site.registered("104")
    calling = Calling.start(caller, "104", sdp(4000))
    invites = [phone.wait_request("INVITE") for phone in (one, two)]
    for phone, invite, port in ((one, invites[0], 5000), (two, invites[1], 6000)):
        phone.reply(invite, 183, "Session Progress", sdp(port), **RELIABLE)
        phone.reply(phone.wait_request("PRACK"), 200)
    assert audio_port(calling.provisional(183)) == 5000
    two.reply(invites[1], 200)
    calling.acknowledge(calling.final())
    reinvite = caller.wait_request("INVITE")
    assert audio_port(reinvite) == 6000
    caller.reply(reinvite, 200, "OK", sdp(4000), Content_Type=SDP)
    caller.wait_request("ACK")
    Dialog.of_invite(two, invites[1]).request("BYE")


def test_a_reinvite_without_offer_reaches_the_other_phone(site: Site) -> None:
    mine, other = connect(site.registered("101"), site.registered("102"))
    headers = mine.send("INVITE")
    answer = mine.agent.final(headers)
    assert audio_port(answer) == 5000
    mine.ack(answer, sdp(4444, "sendonly"))
    relayed = other.agent.wait_request("INVITE")
    assert (audio_port(relayed), direction(relayed)) == (4444, "sendonly")
    other.agent.reply(relayed, 200, "OK", sdp(5000, "recvonly"), Content_Type=SDP)
    other.agent.wait_request("ACK")
    assert mine.request("BYE").status == 200


MIXED = 'multipart/mixed;boundary="x"'


def test_sdp_in_a_multipart_body(site: Site) -> None:
    """Each message of a call has such a body, of which the other phone gets the SDP alone."""
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", multipart(sdp(4000)), Content_Type=MIXED)
    invite = callee.wait_request("INVITE")
    assert invite.body == sdp(4000)
    callee.reply(invite, 183, "Session Progress", multipart(sdp(5000)), **{**RELIABLE, "Content_Type": MIXED})
    callee.reply(callee.wait_request("PRACK"), 200)
    assert calling.provisional(183).body == sdp(5000)
    callee.reply(invite, 200, "OK", multipart(sdp(5000)), Content_Type=MIXED)
    dialog = calling.acknowledge(calling.final())
    callee.wait_request("ACK")
    for method, port in (("INVITE", 4002), ("UPDATE", 4004)):
        headers = dialog.send(method, multipart(sdp(port)), MIXED)
        again = callee.wait_request("INVITE")
        assert audio_port(again) == port
        callee.reply(again, 200, "OK", multipart(sdp(port + 1000)), Content_Type=MIXED)
        answer = caller.final(headers)
        assert (audio_port(answer), answer["content-type"]) == (port + 1000, SDP)
        if method == "INVITE":
            dialog.ack(answer)
        callee.wait_request("ACK")
    hang_up(dialog, callee)
    late = Calling.start(caller, "102")
    callee.reply(callee.wait_request("INVITE"), 200, "OK", multipart(sdp(5000)), Content_Type=MIXED)
    offered = late.final()
    assert audio_port(offered) == 5000
    dialog = late.acknowledge(offered, multipart(sdp(4000)), MIXED)
    assert audio_port(callee.wait_request("ACK")) == 4000
    hang_up(dialog, callee)


def test_bye_while_a_reinvite_waits(site: Site) -> None:
    mine, other = connect(site.registered("101"), site.registered("102"))
    headers = mine.send("INVITE", sdp(4444, "sendonly"))
    other.agent.wait_request("INVITE")
    assert other.request("BYE").status == 200
    assert mine.agent.final(headers).status == 487


def test_a_merged_invite_is_one_call(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    again = {**calling.headers, "Via": caller.via(), "Content-Type": SDP}
    caller.send(f"INVITE {calling.uri} SIP/2.0", again, sdp(4000))
    merged = caller.wait(lambda m: m.status == 482)
    caller.ack(merged, calling.uri, again)
    assert merged["call-id"] == calling.headers["Call-ID"]
    assert callee.silent(lambda m: m.method == "INVITE" and m["call-id"] != invite["call-id"])
    calling.cancel()
    assert calling.refused().status == 487


def test_an_answer_that_makes_no_sense_ends_a_delayed_offer(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102")
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    calling.acknowledge(calling.final(), b"v=0\r\nthis is no SDP\r\n")
    assert callee.wait_request("BYE")
    assert caller.wait_request("BYE")


def test_info_of_no_call(site: Site) -> None:
    agent = site.agent("101")
    assert agent.request("INFO", "102").status == 481


# SDP that phones write, and PJSIP does not take

HEAD = b"v=0\r\no=- 4000 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
BARE = HEAD.replace(b"c=IN IP4 127.0.0.1\r\n", b"")
AUDIO = b"m=audio 4000 RTP/AVP 0\r\n"
BEYOND = (128, 255, 50_000_000, 2**31 - 1, 2**32 - 1, 2**32 + 96)  # no payload type has these numbers
ODD = (
    HEAD.replace(b"s=-", b"s=") + AUDIO,
    HEAD.replace(b"s=-\r\n", b"") + AUDIO,
    HEAD.replace(b"o=- 4000", b"o=4000") + AUDIO,
    HEAD.replace(b"o=-", b"o=Alice Ng") + AUDIO,
    HEAD.replace(b"4000 1", b"99999999999999999999999 1") + AUDIO,
    HEAD.replace(b"t=0 0", b"t=now") + AUDIO,
    HEAD + b"b=AS\r\n" + AUDIO + b"b=:\r\na=\r\na=:x\r\n\r\nx\r\n",
    HEAD + b"m=audio 4000 RTP/AVP 0 101 200\r\n",
    BARE + AUDIO + b"c=IN IP4 127.0.0.1\r\nm=video 0 RTP/AVP 97\r\n",
    HEAD + b"m=audio 4000 RTP/AVP 0 96\r\n" + b"".join(b"a=rtpmap:96 x/%d\r\n" % rate for rate in range(40)),
    HEAD + b"m=audio 4000 RTP/AVP 0\r\n" + b"".join(b"a=rtpmap:%d x/8000\r\n" % pt for pt in range(95, 128)),
    (HEAD + AUDIO).replace(b"\r\n", b"\n"),
    HEAD + AUDIO + b"i=\xff\xfe\r\na=x:\x01\r\n",
    HEAD + AUDIO + b"".join(b"a=rtpmap:%d opus/48000/2\r\n" % number for number in BEYOND),
)
WRONG = (
    (b"hello", "The body is not SDP"),
    (HEAD + b"m=audio\r\n", "The SDP has a bad m= line"),
    (HEAD + b"m=audio x RTP/AVP 0\r\n", "The SDP has a bad m= line"),
    (HEAD + b"m=audio 70000 RTP/AVP 0\r\n", "The SDP has a bad m= line"),
    (HEAD + b"m=audio 4000 RTP/AVP\r\n", "The SDP has an m= line without a format"),
    (HEAD + b"m=audio 4000 RTP/AVP 200\r\n", "The SDP has a payload type above 127"),
    (
        HEAD + b"m=audio 4000 RTP/AVP 101\r\n",
        "The SDP has a payload type without its a=rtpmap line",
    ),
    (BARE + AUDIO, "The SDP has a stream without a c= line"),
    (BARE + b"c=IN IP4\r\n" + AUDIO, "The SDP has a bad c= line"),
)


def test_odd_sdp_passes_as_it_is(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    for offer in ODD:
        calling = Calling.start(caller, "102", offer)
        invite = callee.wait_request("INVITE")
        missing = set(offer.splitlines()) - set(invite.body.splitlines())
        assert all(line.startswith(b"o=") for line in missing), (offer, invite.body)
        callee.reply(invite, 200, "OK", offer, Content_Type=SDP)
        hang_up(calling.acknowledge(calling.final()), callee)


def test_what_pjsip_asserts_of_sdp_ends_no_process(site: Site) -> None:
    """PJSIP asserts that a payload type is not offered twice, that a refused stream has a place, and more."""
    caller, callee = site.registered("101"), site.registered("102")
    events = b"a=rtpmap:101 telephone-event/8000\r\n"
    for formats in (b"0 101 101", b"101 0 0101 101", b"0 101x 101"):
        offer = HEAD + b"m=audio 4000 RTP/AVP " + formats + b"\r\n" + events
        calling = Calling.start(caller, "102", offer)
        callee.reply(callee.wait_request("INVITE"), 200, "OK", HEAD + AUDIO, Content_Type=SDP)
        hang_up(calling.acknowledge(calling.final()), callee)
    offer = BARE + AUDIO + b"c=IN IP4 127.0.0.1\r\nm=video 00 RTP/AVP 97\r\n"
    calling = Calling.start(caller, "102", offer)
    callee.reply(callee.wait_request("INVITE"), 200, "OK", HEAD + AUDIO, Content_Type=SDP)
    hang_up(calling.acknowledge(calling.final()), callee)
    calling = Calling.start(caller, "102", HEAD + b"m=audio 4000 RTP/AVP 0 101\r\n" + events)
    answer = HEAD + b"m=audio 5000 RTP/AVP 0 18\r\na=rtpmap:18 Telephone-Event/8000\r\n"
    callee.reply(callee.wait_request("INVITE"), 200, "OK", answer, Content_Type=SDP)
    hang_up(calling.acknowledge(calling.final()), callee)


def test_sdp_that_nobody_could_use_is_refused_in_words(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    mine, _ = connect(caller, callee)
    for body, why in WRONG:
        refusal = Calling.start(caller, "102", body).refused()
        assert (refusal.start, refusal.all("warning")) == (f"SIP/2.0 400 {why}", [])
        for method in ("INVITE", "UPDATE"):
            assert mine.request(method, body).start == f"SIP/2.0 400 {why}"
        site.wait_log(f"call 101 -> 102: the phone of 101: its UPDATE is refused: {why}")
    hang_up(mine, callee)


def test_an_answer_that_nobody_could_use_ends_the_call_in_words(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    for body, why in WRONG:
        calling = Calling.start(caller, "102", sdp(4000))
        callee.reply(callee.wait_request("INVITE"), 200, "OK", body, Content_Type=SDP)
        assert calling.refused().start == f"SIP/2.0 488 {why}"
        callee.reply(callee.wait_request("BYE"), 200)
        site.wait_log(f"answers a call: {why}")


def test_a_late_answer_that_nobody_could_use(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    for body, why in WRONG:
        calling = Calling.start(caller, "102")
        callee.reply(callee.wait_request("INVITE"), 200, "OK", sdp(5000), Content_Type=SDP)
        calling.acknowledge(calling.final(), body)
        for agent in (caller, callee):
            bye = agent.wait_request("BYE")
            assert why in bye["reason"]
            agent.reply(bye, 200)


def test_an_answer_to_a_reinvite_that_nobody_could_use(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    mine, _ = connect(caller, callee)
    for body, why in WRONG:
        headers = mine.send("INVITE", sdp(4002))
        callee.reply(callee.wait_request("INVITE"), 200, "OK", body, Content_Type=SDP)
        callee.wait_request("ACK")
        refusal = caller.final(headers)
        assert refusal.start == f"SIP/2.0 488 {why}"
        mine.ack(refusal)
    hang_up(mine, callee)


# A proxy behind the callee's contact forks the INVITE: each of its phones answers with a tag of its own


def of_branch(dialog: Dialog, tag: str) -> Dialog:
    return replace(dialog, local=f"{dialog.local.partition(';tag=')[0]};tag={tag}")


@pytest.mark.parametrize("reliable", [False, True])
def test_the_sdp_of_the_branch_that_answers_counts(site: Site, reliable: bool) -> None:
    caller, callee, watcher = site.registered("101"), site.registered("102"), site.registered("103")
    watcher.subscribe("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    more = RELIABLE if reliable else {"Content_Type": SDP}
    callee.reply(branch(invite, "f1"), 183, "Session Progress", sdp(5000), **more)
    if reliable:
        callee.reply(callee.wait_request("PRACK"), 200)
    assert audio_port(calling.provisional(183)) == 5000
    assert watcher.notify("early").document.dialogs[0].local_tag == "f1"
    callee.reply(branch(invite, "f2"), 200, "OK", sdp(5002), Content_Type=SDP)
    mine = calling.acknowledge(calling.final())
    assert callee.wait_request("ACK").tag("to") == "f2"
    reinvite = caller.wait_request("INVITE")
    assert audio_port(reinvite) == 5002
    caller.reply(reinvite, 200, "OK", sdp(4000), Content_Type=SDP)
    caller.wait_request("ACK")
    assert watcher.notify("confirmed").document.dialogs[0].local_tag == "f2"
    other = of_branch(Dialog.of_invite(callee, invite), "f2")
    assert other.request("BYE").status == 200
    caller.reply(caller.wait_request("BYE"), 200)
    assert mine.agent is caller


def test_a_branch_that_only_rang_says_nothing_of_the_media(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(branch(invite, "f1"), 180, "Ringing")
    calling.provisional(180)
    callee.reply(branch(invite, "f2"), 200, "OK", sdp(5002), Content_Type=SDP)
    answer = calling.final()
    assert audio_port(answer) == 5002
    hang_up(calling.acknowledge(answer), callee)


def test_the_early_sdp_of_another_branch_is_not_that_of_who_answers(site: Site) -> None:
    """Both phones have sent their SDP reliably, so the 200 has none."""
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    for tag, port in (("f1", 5000), ("f2", 5002)):
        callee.reply(branch(invite, tag), 183, "Session Progress", sdp(port), **RELIABLE)
        callee.reply(callee.wait_request("PRACK"), 200)
    assert audio_port(calling.provisional(183)) == 5000
    callee.reply(branch(invite, "f1"), 200)
    mine = calling.acknowledge(calling.final())
    assert callee.wait_request("ACK").tag("to") == "f1"
    assert caller.silent(lambda m: m.method == "INVITE", 0.2), "the caller knows it already"
    hang_up(mine, callee)


def test_other_media_in_the_200_of_the_phone_that_had_early_media(site: Site) -> None:
    """Early media may come from elsewhere, and a caller takes the first SDP for the answer."""
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 183, "Session Progress", sdp(5000), Content_Type=SDP)
    assert audio_port(calling.provisional(183)) == 5000
    callee.reply(invite, 200, "OK", sdp(5002), Content_Type=SDP)
    mine = calling.acknowledge(calling.final())
    reinvite = caller.wait_request("INVITE")
    assert audio_port(reinvite) == 5002
    caller.reply(reinvite, 200, "OK", sdp(4000), Content_Type=SDP)
    hang_up(mine, callee)


def test_two_branches_answer(site: Site) -> None:
    """A proxy passes all 2xx on (RFC 3261, section 13.2.2.4): the first phone talks, the other is hung up."""
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(branch(invite, "f1"), 200, "OK", sdp(5000), Content_Type=SDP)
    mine = calling.acknowledge(calling.final())
    assert callee.wait_request("ACK").tag("to") == "f1"
    callee.reply(branch(invite, "f2"), 200, "OK", sdp(5002), Content_Type=SDP)
    assert callee.wait_request("ACK").tag("to") == "f2"
    bye = callee.wait_request("BYE")
    assert bye.tag("to") == "f2"
    callee.reply(bye, 200)
    assert caller.silent(lambda m: m.method in ("BYE", "INVITE"), 0.2)
    hang_up(mine, callee)


# What else of a phone's final response PJSIP, or nobody, can read


STRANGE = "<sip:102:@127.0.0.1>"
"""A To that has an empty password, which PJSIP takes for no URI."""


def written_as(invite: Message, to: str, tag: str = "f1") -> Message:
    """The INVITE as a phone reads it that writes To in its own way."""
    return replace(invite, headers=[(n, f"{to};tag={tag}" if n == "to" else v) for n, v in invite.headers])


@pytest.mark.parametrize(
    ("to", "contact"),
    [
        ("", "Bob, Jr <sip:102@{address}>"),
        ("", "junk"),
        ("", "<sip:102@{address};ttl=999>"),
        ("Bob, Jr <sip:102@h>", "<sip:102@{address}>"),
        ("<sip:102@h>;x=[a]", "<sip:102@{address}>"),
        ("<sip:102@h;ttl=x>", "<sip:102@{address}>"),
    ],
)
def test_a_200_answers_however_it_is_written(site: Site, to: str, contact: str) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    if to:
        invite = written_as(invite, to)
    said = contact.format(address=callee.address)
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP, Contact=said)
    mine = calling.acknowledge(calling.final())
    assert callee.wait_request("ACK")["call-id"] == invite["call-id"]
    hang_up(mine, callee)


def test_a_200_that_cannot_be_given_to_pjsip_ends_the_call(site: Site) -> None:
    """The phone is told that it is heard and that the call is over, and the caller that it failed."""
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(written_as(invite, STRANGE), 200, "OK", sdp(5000), Content_Type=SDP)
    assert calling.refused().status == 480
    callee.wait_request("ACK")
    callee.reply(callee.wait_request("BYE"), 200)
    site.wait_no_call()


def test_a_refusal_that_cannot_be_given_to_pjsip_is_one(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    callee.reply(written_as(callee.wait_request("INVITE"), STRANGE), 486, "Busy Here")
    assert calling.refused().status == 486
    site.wait_no_call()


@pytest.mark.parametrize(
    ("name", "value"),
    [("Contact", "Bob, Jr <sip:101@127.0.0.1>"), ("Max-Forwards", "many"), ("Record-Route", "junk")],
)
def test_a_bye_ends_its_call_whatever_else_is_in_it(site: Site, name: str, value: str) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    mine, _ = connect(caller, callee)
    headers = mine.send("BYE", b"", SDP, **{name.replace("-", "_"): value})
    callee.reply(callee.wait_request("BYE"), 200)
    assert caller.final(headers).status == 200
