"""Calls through the back-to-back user agent on the wire, with the lamps that watchers see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from calls import Calling, Dialog, audio_port, connect, direction, hang_up, sdp
from sites import TCP6, UDP6, Site
from wire import Agent, Message

from blfd.core.calls.refusals import REQUIRED
from dialog_info import Dialog as Watched
from dialog_info import Direction

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
SDP = "application/sdp"


def only(watcher: Agent, state: str) -> Watched:
    (dialog,) = watcher.notify(state).document.dialogs
    return dialog


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", UDP6, TCP6])
def test_a_call_and_its_lamps(site: Site, transport: str) -> None:
    caller, callee = site.registered("101", transport), site.registered("102", transport)
    watcher = site.agent("103", transport)
    watcher.subscribe("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    assert invite["from"].startswith('"Name 101" <sip:101@')
    assert invite["p-asserted-identity"] == f'"Name 101" <sip:101@{caller.server}>'
    assert audio_port(invite) == 4000
    callee.reply(invite, 180, "Ringing")
    ringing = calling.provisional(180)
    assert ringing["p-asserted-identity"] == f'"Name 102" <sip:102@{caller.server}>'
    early = only(watcher, "early")
    assert early.direction is Direction.RECIPIENT
    ids = (early.id, early.call_id, early.local_tag, early.remote_tag)
    assert ids[1:] == (invite["call-id"], str(id(callee)), invite.tag("from"))
    assert early.remote
    assert early.remote.identity
    assert early.remote.target
    assert early.remote.identity.uri == f"sip:101@{watcher.server}"
    assert early.remote.identity.display == "Name 101"
    assert early.remote.target.uri == f"sip:*97102@{watcher.server}"
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    assert (answer.status, audio_port(answer)) == (200, 5000)
    dialog = calling.acknowledge(answer)
    assert callee.wait_request("ACK")["call-id"] == invite["call-id"]
    talking = only(watcher, "confirmed")
    assert (talking.id, talking.call_id, talking.local_tag, talking.remote_tag) == ids
    assert dialog.request("BYE").status == 200
    callee.reply(callee.wait_request("BYE"), 200)
    ended = only(watcher, "terminated")
    assert (ended.id, ended.call_id, ended.local_tag, ended.remote_tag) == ids


def test_the_callers_lamp(site: Site) -> None:
    caller, callee, watcher = site.registered("101"), site.registered("102"), site.agent("103")
    watcher.subscribe("101")
    calling = Calling.start(caller, "102", sdp(4000))
    trying = only(watcher, "trying")
    assert trying.direction is Direction.INITIATOR
    assert (trying.call_id, trying.local_tag) == (
        calling.headers["Call-ID"],
        calling.headers["From"].rpartition("tag=")[2],
    )
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    assert calling.provisional(180).tag("to") == trying.remote_tag
    callee.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486
    assert only(watcher, "terminated").id == trying.id


def told(watcher: Agent, tags: list[str]) -> tuple[Watched, ...]:
    """The dialogs of the next NOTIFY that has exactly those with these local tags."""

    def has_them(message: Message) -> bool:
        return message.method == "NOTIFY" and [d.local_tag for d in message.document.dialogs] == tags

    return watcher.wait(has_them).document.dialogs


@pytest.mark.parametrize("whose", ["chosen twice", "ours come back"])
def test_two_calls_with_one_call_id(site: Site, whose: str) -> None:
    """Two phones choose one Call-ID, or we call a proxy that sends our INVITE on through us."""
    caller, callee, other = (site.registered(extension) for extension in ("101", "102", "103"))
    watcher, second = site.agent("104"), site.agent("101")
    watcher.subscribe("101")
    first = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    same = {"Call_ID": first.headers["Call-ID"]}
    if whose == "ours come back":
        same = {"Call_ID": invite["call-id"], "From": invite["from"]}
    again = Calling.start(second, "103", sdp(6000), **same)
    invited = other.wait_request("INVITE")
    other.reply(invited, 180, "Ringing")
    assert again.provisional(180).tag("to")
    tags = [calling.headers["From"].rpartition("tag=")[2] for calling in (first, again)]
    assert len({dialog.id for dialog in told(watcher, tags)}) == 2
    callee.reply(invite, 486, "Busy Here")
    assert first.refused().status == 486
    (left,) = told(watcher, tags[1:])
    assert left.call_id == same["Call_ID"]
    other.reply(invited, 200, "OK", sdp(7000), Content_Type=SDP)
    again.acknowledge(again.final())
    assert only(watcher, "confirmed").id == left.id
    assert again.dialog
    hang_up(again.dialog, other)
    assert only(watcher, "terminated").id == left.id


def test_the_caller_gives_up(site: Site) -> None:
    caller, callee, watcher = site.registered("101"), site.registered("102"), site.agent("103")
    watcher.subscribe("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    calling.provisional(180)
    calling.cancel()
    assert calling.refused().status == 487
    cancel = callee.wait_request("CANCEL")
    assert cancel["call-id"] == invite["call-id"]
    callee.reply(cancel, 200)
    callee.reply(invite, 487, "Request Terminated")
    only(watcher, "terminated")


@pytest.mark.parametrize("first", [180, 100], ids=["ringing", "only trying"])
def test_all_phones_ring_and_the_others_stop(site: Site, first: int) -> None:
    caller, one, two = site.registered("101"), site.registered("104"), site.registered("104")
    calling = Calling.start(caller, "104", sdp(4000))
    invites = [phone.wait_request("INVITE") for phone in (one, two)]
    assert invites[0]["call-id"] != invites[1]["call-id"]
    one.reply(invites[0], first, "One")
    two.reply(invites[1], 200, "OK", sdp(6000), Content_Type=SDP)
    answer = calling.final()
    assert audio_port(answer) == 6000
    calling.acknowledge(answer)
    cancel = one.wait_request("CANCEL")
    assert cancel["reason"] == ELSEWHERE
    one.reply(cancel, 200)
    one.reply(invites[0], 487, "Request Terminated")
    assert one.wait_request("ACK")["cseq"].endswith("ACK")
    dialog = Dialog.of_invite(two, invites[1])
    assert dialog.request("BYE").status == 200
    caller.reply(caller.wait_request("BYE"), 200)


def test_a_200_that_crosses_the_cancel_is_ended(site: Site) -> None:
    caller, one, two = site.registered("101"), site.registered("105"), site.registered("105")
    calling = Calling.start(caller, "105", sdp(4000))
    invites = [phone.wait_request("INVITE") for phone in (one, two)]
    for phone, invite in zip((one, two), invites, strict=True):
        phone.reply(invite, 180, "Ringing")
    two.reply(invites[1], 200, "OK", sdp(6000), Content_Type=SDP)
    calling.acknowledge(calling.final())
    one.wait_request("CANCEL")
    one.reply(invites[0], 200, "OK", sdp(7000), Content_Type=SDP)
    one.wait_request("ACK")
    one.reply(one.wait_request("BYE"), 200)
    assert caller.silent(lambda m: m.status == 200), "the caller has one 200"
    Dialog.of_invite(two, invites[1]).request("BYE")


@pytest.mark.parametrize(
    ("codes", "best"), [((486, 480), 486), ((486, 603), 603), ((500, 404), 404), ((408,), 480), ((503,), 500)]
)
def test_the_best_refusal(site: Site, codes: tuple[int, ...], best: int) -> None:
    caller = site.registered("101")
    phones = [site.registered("106") for _ in codes]
    calling = Calling.start(caller, "106", sdp(4000))
    for phone, code in zip(phones, codes, strict=True):
        invite = phone.wait_request("INVITE")
        phone.reply(invite, code, "No")
        phone.wait_request("ACK")
    assert calling.refused().status == best
    for phone in phones:
        phone.register(expires=0)


def test_nobody_answers(own_site: Callable[..., Site]) -> None:
    site = own_site(config="[sip]\nno_answer_timeout = 1\n")
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    cancel = callee.wait_request("CANCEL")
    callee.reply(cancel, 200)
    callee.reply(invite, 487, "Request Terminated")
    answer = calling.refused()
    assert (answer.status, answer.start) == (480, "SIP/2.0 480 102 does not answer")


def test_early_media_and_another_phone_answers(site: Site) -> None:
    """The caller had the first phone's SDP in a 183, so the SDP of who answers comes in a re-INVITE."""
    caller, one, two = site.registered("101"), site.registered("107"), site.registered("107")
    calling = Calling.start(caller, "107", sdp(4000))
    invites = [phone.wait_request("INVITE") for phone in (one, two)]
    one.reply(invites[0], 183, "Session Progress", sdp(5000), Content_Type=SDP)
    assert audio_port(calling.provisional(183)) == 5000
    two.reply(invites[1], 200, "OK", sdp(6000), Content_Type=SDP)
    calling.acknowledge(calling.final())
    reinvite = caller.wait_request("INVITE")
    assert audio_port(reinvite) == 6000
    caller.reply(reinvite, 200, "OK", sdp(4000), Content_Type=SDP)
    caller.wait_request("ACK")
    Dialog.of_invite(two, invites[1]).request("BYE")


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("holder", ["caller", "callee"])
def test_hold_and_resume(site: Site, holder: str, method: str) -> None:
    caller, callee, watcher = site.registered("101"), site.registered("102"), site.agent("103")
    dialogs = connect(caller, callee)
    (mine, other) = dialogs if holder == "caller" else dialogs[::-1]
    watcher.subscribe(mine.agent.user)
    for asked, answered, held in (("sendonly", "recvonly", True), ("sendrecv", "sendrecv", False)):
        headers = mine.send(method, sdp(4444, asked))
        relayed = other.agent.wait_request("INVITE")
        assert (audio_port(relayed), direction(relayed)) == (4444, asked)
        other.agent.reply(relayed, 200, "OK", sdp(5555, answered), Content_Type=SDP)
        answer = mine.agent.final(headers)
        assert (answer.status, audio_port(answer), direction(answer)) == (200, 5555, answered)
        if method == "INVITE":
            mine.ack(answer)
        other.agent.wait_request("ACK")
        (dialog,) = watcher.notify("confirmed").document.dialogs
        params = dialog.local.target.params if dialog.local and dialog.local.target else ()
        assert [(p.name, p.value) for p in params] == ([("+sip.rendering", "no")] if held else [])
    assert mine.request("BYE").status == 200
    other.agent.reply(other.agent.wait_request("BYE"), 200)


def test_info_and_its_answer_are_relayed(site: Site) -> None:
    mine, other = connect(site.registered("101"), site.registered("102"))
    kind = "text/x;charset=utf-8;version=1"
    headers = mine.send("INFO", b"Signal=5\r\n", kind, Info_Package="g.test", Record="on", Subject="no")
    info = other.agent.wait_request("INFO")
    assert (info["content-type"], info.body) == (kind, b"Signal=5\r\n")
    assert (info["info-package"], info["record"], info.all("subject")) == ("g.test", "on", [])
    more = {"Recv_Info": "g.other", "Content_Type": "text/y;a=b", "Subject": "no"}
    other.agent.reply(info, 469, "Not This Package", b"only that one", **more)
    answer = mine.agent.final(headers)
    assert answer.start == "SIP/2.0 469 Not This Package"
    assert (answer["recv-info"], answer.all("subject")) == ("g.other", [])
    assert (answer["content-type"], answer.body) == ("text/y;a=b", b"only that one")
    headers = mine.send("INFO", b"Signal=5\r\n", "application/dtmf-relay")
    other.agent.reply(other.agent.wait_request("INFO"), 415, "Unsupported Media Type")
    assert mine.agent.final(headers)["accept"] == SDP
    headers = mine.send(
        "INFO", b"--b\r\n\r\nx\r\n--b--", 'multipart/mixed;boundary="b"', Content_Encoding="x"
    )
    info = other.agent.wait_request("INFO")
    assert (info["content-type"], info["content-encoding"]) == ('multipart/mixed;boundary="b"', "x")
    assert info.body == b"--b\r\n\r\nx\r\n--b--"
    other.agent.reply(info, 200)
    assert mine.agent.final(headers).status == 200
    assert other.request("BYE").status == 200


def elements(message: Message, name: str) -> set[str]:
    return {element.strip() for value in message.all(name) for element in value.split(",")}


def test_what_is_served_is_said_alike_everywhere(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    served = caller.request("OPTIONS", "102")
    assert elements(served, "allow-events") == {"as-feature-event", "dialog", "refer"}
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    mine = calling.acknowledge(answer)
    said = [invite, answer, mine.request("OPTIONS")]
    for method in ("MESSAGE", "FOO"):
        refused = mine.request(method), caller.request(method, "102")
        assert [message.status for message in refused] == [405, 405], method
        said += refused
    for message in said:
        assert elements(message, "allow") == elements(served, "allow"), message
        assert len(message.all("allow")) == 1
    for message in said[:3]:
        assert elements(message, "supported") == elements(served, "supported"), message
    assert mine.request("BYE").status == 200


INTERCOM = {
    "Alert_Info": "<http://www.notused.com>;info=alert-autoanswer;delay=0",
    "Call_Info": "<sip:101@127.0.0.1>;answer-after=0",
    "Answer_Mode": "Auto",
    "Subject": "Lunch (caf\u00e9)",
    "Priority": "urgent",
    "User_to_User": "48656c6c6f;encoding=hex",
}
IDENTITIES = {
    "Diversion": "<sip:105@127.0.0.1>;reason=no-answer",
    "History_Info": "<sip:105@127.0.0.1>;index=1",
    "Referred_By": "<sip:106@127.0.0.1>",
    "Priv_Answer_Mode": "Auto",
}


def said(message: Message, names: dict[str, str]) -> dict[str, str]:
    found = {name: ", ".join(message.all(name.replace("_", "-"))) for name in names}
    return {name: value for name, value in found.items() if value}


@pytest.mark.parametrize("trusted", [False, True], ids=["a phone", "a trusted edge"])
def test_what_users_notice_reaches_the_other_phone(own_site: Callable[..., Site], trusted: bool) -> None:
    site = own_site(*(["--trust", "127.0.0.0/8"] if trusted else []))
    caller, callee = site.registered("101"), site.registered("102")
    reason, elsewhere = "Q.850;cause=16", ELSEWHERE
    more = {**INTERCOM, **IDENTITIES, "Max_Forwards": "40", "X_Made_Up": "1"}
    start = Calling.trusted if trusted else Calling.start
    calling = start(caller, "102", sdp(4000), **more)
    invite = callee.wait_request("INVITE")
    assert said(invite, INTERCOM) == INTERCOM
    assert said(invite, IDENTITIES) == (IDENTITIES if trusted else {})
    assert (invite.all("max-forwards"), invite.all("x-made-up")) == (["39"], [])
    assert invite["supported"] == caller.request("OPTIONS", "102")["supported"], "not those of the caller"
    waiting = "<urn:alert:service:call-waiting>"
    callee.reply(invite, 180, "Ringing", Alert_Info=waiting, User_to_User="00")
    ringing = calling.provisional(180)
    assert (ringing["alert-info"], ringing["user-to-user"]) == (waiting, "00")
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP, Answer_Mode="Auto")
    answer = calling.final()
    assert (answer["answer-mode"], answer.all("alert-info"), answer.all("user-to-user")) == ("Auto", [], [])
    dialog = calling.acknowledge(answer)
    callee.wait_request("ACK")
    dialog.send("BYE", Reason=reason)
    assert callee.wait_request("BYE").all("reason") == [reason]
    again = start(caller, "102", sdp(4000))
    second = callee.wait_request("INVITE")
    callee.reply(second, 180, "Ringing")
    again.provisional(180)
    again.cancel(Reason=elsewhere)
    assert again.refused().status == 487
    assert callee.wait_request("CANCEL").all("reason") == ([elsewhere] if trusted else [])
    callee.reply(second, 487, "Request Terminated")


def test_the_most_that_passes_still_passes(site: Site) -> None:
    """The offer is as large as browsers make it; fields beyond the most are left out of the call."""
    caller, callee = site.registered("101"), site.registered("102")
    offer = sdp(4000) + b"a=x:" + b"y" * 6000 + b"\r\n"
    more = {"Alert_Info": f"<urn:x:{'a' * 1000}>", "Subject": "\u00e9" * 500, "User_to_User": "0" * 900}
    calling = Calling.start(caller, "102", offer, **more)
    invite = callee.wait_request("INVITE")
    assert said(invite, more) == {name: more[name] for name in ("Alert_Info", "Subject")}
    assert len(invite.body) == len(offer)
    callee.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486


def test_a_cancel_that_has_to_wait_says_why(own_site: Callable[..., Site]) -> None:
    """A CANCEL is sent once the phone has answered anything (RFC 3261, section 9.1)."""
    site = own_site("--trust", "127.0.0.0/8")
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.trusted(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    calling.cancel(Reason=ELSEWHERE)
    assert calling.refused().status == 487
    callee.reply(invite, 100, "Trying")
    assert callee.wait_request("CANCEL").all("reason") == [ELSEWHERE]
    callee.reply(invite, 487, "Request Terminated")


@pytest.mark.parametrize(
    ("status", "more", "told", "passed"),
    [
        (480, {"Retry_After": "60", "Reason": "Q.850;cause=20"}, 480, ["Retry_After", "Reason"]),
        (486, {"Accept": "text/plain", "Server": "x"}, 486, []),
        (488, {"Warning": '304 x "Incompatible media format"'}, 488, ["Warning"]),
        (415, {"Accept": "application/x"}, 415, ["Accept"]),
        (420, {"Unsupported": "timer"}, 420, ["Unsupported"]),
        (421, {"Require": "100rel"}, 421, ["Require"]),
        (500, {"Retry_After": "5"}, 500, ["Retry_After"]),
        (503, {"Retry_After": "5"}, 500, ["Retry_After"]),
        (401, {"WWW_Authenticate": 'Digest realm="phone", nonce="1"'}, 480, []),
        (603, {"Reason": "SIP;cause=603"}, 603, ["Reason"]),
        (302, {"Warning": '399 x "moved"'}, 480, ["Warning"]),
    ],
    ids=str,
)
def test_a_refusal_keeps_what_explains_it(
    site: Site, status: int, more: dict[str, str], told: int, passed: list[str]
) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 183, "Session Progress", Alert_Info="<urn:alert:x>", User_to_User="00")
    calling.provisional(180)
    callee.reply(invite, status, "The Phone Says", b"", **more)
    refused = calling.refused()
    assert refused.status == told
    assert ("The Phone Says" in refused.start) is (told == status)
    assert said(refused, more) == {name: more[name] for name in passed}
    assert said(refused, {"Alert_Info": "", "User_to_User": "", "P_Asserted_Identity": ""}) == {}


def test_a_refused_reinvite_says_why(site: Site) -> None:
    mine, other = connect(site.registered("101"), site.registered("102"))
    headers = mine.send("INVITE", sdp(4444, codecs="18"))
    warning = '304 x "Incompatible media format"'
    other.agent.reply(other.agent.wait_request("INVITE"), 488, "No Such Codec", Warning=warning)
    refusal = mine.agent.final(headers)
    assert (refusal.start, refusal.all("warning")) == ("SIP/2.0 488 No Such Codec", [warning])
    mine.ack(refusal)
    assert mine.request("BYE").status == 200


NOBODY = '"Anonymous" <sip:anonymous@anonymous.invalid>'


def names(message: Message) -> list[str]:
    """The words in a message that name 101."""
    text = f"{message.headers} {message.body!r}"
    return [word for word in ("sip:101@", "sip:105@", "Name 101", "o=101") if word in text]


@pytest.mark.parametrize("wish", [{"From": f"{NOBODY};tag=x"}, {"Privacy": "id"}], ids=["From", "Privacy"])
def test_an_anonymous_call(site: Site, wish: dict[str, str]) -> None:
    caller, callee, picker = (site.registered(user) for user in ("101", "102", "103"))
    watcher = site.agent("104")
    watcher.subscribe("102")
    watcher.subscribe("101")
    offer = sdp(4000).replace(b"o=- ", b"o=101 ").replace(b"s=-", b"s=Name 101")
    lie = f"<sip:105@{caller.server}>"
    calling = Calling.start(caller, "102", offer, P_Asserted_Identity=lie, **wish)
    invite = callee.wait_request("INVITE")
    assert invite["from"].startswith(f"{NOBODY};tag=")
    assert invite.all("p-asserted-identity") == []
    assert audio_port(invite) == 4000
    assert not names(invite)
    callee.reply(invite, 180, "Ringing")
    early = only(watcher, "early").remote
    assert early
    assert early.identity
    assert (early.identity.uri, early.identity.display) == ("sip:anonymous@anonymous.invalid", "Anonymous")
    assert "← anonymous" in site.cli("lamps")
    assert "101" in site.cli("calls")
    picking = Calling.start(picker, "*97102", sdp(6000))
    answer = picking.final()
    assert answer["p-asserted-identity"] == NOBODY
    assert not names(answer)
    dialog = picking.acknowledge(answer)
    callee.reply(invite, 487, "Request Terminated")
    assert calling.final()["p-asserted-identity"] == f'"Name 103" <sip:103@{caller.server}>'
    assert calling.answer
    calling.acknowledge(calling.answer)
    seen = watcher.notify("confirmed")
    assert seen.document.entity == f"sip:101@{watcher.server}"
    assert b"sip:10" not in seen.body.replace(seen.document.entity.encode(), b""), "whom it calls"
    site.wait(lambda: "101" in site.cli("pickups"), lambda: site.cli("pickups"))
    assert dialog.request("BYE").status == 200


def test_a_trusted_source_says_who_calls_anonymously(own_site: Callable[..., Site]) -> None:
    site = own_site("--trust", "127.0.0.0/8")
    edge, callee = site.agent("101"), site.registered("102")
    nobody = Calling.trusted(edge, "102", sdp(4000), From=f"{NOBODY};tag=x").refused()
    assert nobody.start == "SIP/2.0 403 Who calls is not known here"
    asserted = f'"Alice" <sip:101@{edge.server}>, <tel:+49301>'
    calling = Calling.trusted(
        edge, "102", sdp(4000), From=f"{NOBODY};tag=y", P_Asserted_Identity=asserted, Privacy="id"
    )
    invite = callee.wait_request("INVITE")
    assert invite["from"].startswith(NOBODY)
    assert (invite.all("p-asserted-identity"), names(invite)) == ([], [])
    assert "101" in site.cli("calls")
    callee.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486
    log = site.server.log.read_text()
    assert "have the proxy add it" in log


MIXED = "multipart/mixed;boundary=b"
OUTSIDE = [
    ("INVITE", {"Require": "foo, timer, bar"}, b"", 420, "foo, bar"),
    ("SUBSCRIBE", {"Require": "foo", "Event": "dialog"}, b"", 420, "foo"),
    ("REGISTER", {"Require": "foo"}, b"", 420, "foo"),
    ("INVITE", {"Content_Type": "text/plain"}, b"x", 415, SDP),
    ("INVITE", {"Content_Type": SDP, "Content_Encoding": "gzip"}, sdp(4000), 415, None),
    ("INVITE", {"Accept": "text/plain"}, b"", 406, None),
    ("INVITE", {"Session_Expires": "20", "Supported": "timer"}, b"", 422, "90"),
    ("SUBSCRIBE", {"Event": "presence"}, b"", 489, "dialog, as-feature-event"),
    ("SUBSCRIBE", {"Event": "dialog", "Accept": "text/plain"}, b"", 406, None),
    ("SUBSCRIBE", {"Event": "dialog", "Expires": "1"}, b"", 423, "60"),
    ("REGISTER", {"Expires": "1"}, b"", 423, "60"),
    ("MESSAGE", {}, b"", 405, None),
    ("PUBLISH", {"Event": "dialog", "Content_Type": MIXED}, b"--b--", 415, "application/dialog-info+xml"),
    ("SUBSCRIBE", {"Content_Type": MIXED}, b"--b--", 415, "application/x-as-feature-event+xml"),
    *((method, {"Content_Type": MIXED}, b"--b--", 415, "") for method in ("REGISTER", "REFER")),
    *(
        (method, {"Content_Encoding": "gzip"}, b"x", 415, None)
        for method in ("REGISTER", "SUBSCRIBE", "REFER", "PUBLISH", "OPTIONS")
    ),
    *(
        (method, {"Contact": contact}, b"", 400, None)
        for method in ("INVITE", "SUBSCRIBE", "REFER")
        for contact in ("<sip:101@192.0.2.1>, <sip:101@192.0.2.2>", "<sip:101@192.0.2.1;Method=BYE>")
    ),
    ("REGISTER", {"Contact": "<sip:101@192.0.2.1>, <sip:101@192.0.2.1;method=BYE>"}, b"", 400, None),
]
INSIDE = [
    *((method, {"Require": "foo"}, sdp(4000), 420, "foo") for method in ("INVITE", "UPDATE", "INFO")),
    ("INVITE", {"Content_Encoding": "gzip"}, sdp(4000), 415, None),
    ("UPDATE", {"Content_Type": "text/plain"}, b"x", 415, SDP),
    ("UPDATE", {"Session_Expires": "20", "Supported": "timer"}, b"", 422, "90"),
    *(
        (method, {"Contact": "<sip:x@192.0.2.1>, <sip:y@h>"}, sdp(4), 400, None)
        for method in ("INVITE", "UPDATE")
    ),
    ("UPDATE", {"Contact": "<sip:x@192.0.2.1;method=INVITE>"}, sdp(4), 400, None),
    ("REFER", {"Content_Type": MIXED, "Refer_To": "<sip:103@x>"}, b"--b--", 415, ""),
    ("MESSAGE", {}, b"", 405, None),
    ("BYE", {"Require": "foo"}, b"", 200, None),
]


def assert_explained(answer: Message, status: int, value: str | None) -> None:
    """Check the status, and the header field that has to go with it."""
    assert answer.status == status, answer.start
    name, _ = REQUIRED.get(status, ("Accept" if status == 406 else "", ""))
    if status == 415 and value is None:
        name, value = "Accept-Encoding", "identity"
    assert not name or answer.all(name)
    assert value in (None, answer[name] if name else "")


def test_what_is_refused_here_is_explained(site: Site) -> None:
    caller, callee = site.agent("101"), site.registered("102")
    for method, more, body, status, value in OUTSIDE:
        to, uri = ("101", f"sip:{caller.server}") if method == "REGISTER" else ("102", "")
        answer = caller.request(method, to, uri, body, **more)
        if method == "INVITE":
            caller.ack(answer, f"sip:102@{caller.server}", caller.sent)
        assert_explained(answer, status, value)
    mine, _ = connect(caller, callee)
    for method, more, body, status, value in INSIDE:
        headers = mine.send(method, body, more.get("Content_Type", SDP), **more)
        answer = caller.final(headers)
        if method == "INVITE":
            mine.ack(answer)
        assert_explained(answer, status, value)
    callee.reply(callee.wait_request("BYE"), 200)


def test_delayed_offer(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102")
    invite = callee.wait_request("INVITE")
    assert invite.body == b""
    callee.reply(invite, 180, "Ringing")
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    assert audio_port(answer) == 5000
    dialog = calling.acknowledge(answer, sdp(4000))
    assert audio_port(callee.wait_request("ACK")) == 4000
    assert dialog.request("BYE").status == 200


@pytest.mark.parametrize(
    ("to", "over", "status"),
    [
        ("999", {}, 404),
        ("112", {}, 480),
        ("102", {"Max_Forwards": "0"}, 483),
        ("102", {"Contact": ""}, 400),
    ],
)
def test_refused_calls(site: Site, to: str, over: dict[str, str], status: int) -> None:
    site.registered("102")
    assert Calling.start(site.agent("101"), to, sdp(4000), **over).refused().status == status


def test_a_forged_from_is_refused(site: Site) -> None:
    caller = site.agent("101")
    forged = f"<sip:102@{caller.server}>;tag=forged"
    assert Calling.start(caller, "103", sdp(4000), From=forged).refused().status == 403
    assert "sent a request as 102" in site.server.log.read_text()


def test_two_calls_at_one_extension(site: Site) -> None:
    one, two, callee = site.registered("101"), site.registered("108"), site.registered("102")
    watcher = site.agent("103")
    first, _ = connect(one, callee)
    watcher.subscribe("102")
    Calling.start(two, "102", sdp(4000))
    callee.reply(callee.wait_request("INVITE"), 180, "Ringing")
    states = sorted(d.state.value for d in watcher.notify("early").document.dialogs)
    assert states == ["confirmed", "early"]
    site.cli("tenant", "set", "default", "--single-dialog", "on")
    try:
        _, notify = site.agent("109").subscribe("102")
        assert [d.state.value for d in notify.document.dialogs] == ["early"]
    finally:
        site.cli("tenant", "set", "default", "--single-dialog", "off")
    first.request("BYE")


def test_the_command_line_shows_the_call(site: Site) -> None:
    mine, _ = connect(site.registered("101"), site.registered("102"))
    assert "talking" in site.cli("calls")
    assert "→ 102" in site.cli("lamps")
    mine.request("BYE")
