"""Calls in which messages cross, come twice, come early or do not come at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from calls import Calling, Dialog, audio_port, connect, hang_up, sdp
from sites import Site
from wire import DEADLINE, Agent, Message

from blfd.control import ControlClient, socket_path

SDP = "application/sdp"


def ringing(site: Site, *, callee_transport: str = "udp", **over: str) -> tuple[Calling, Agent, Message]:
    """Have 102 ring, and return the call, 102's phone, and the INVITE that it got."""
    caller, callee = site.registered("101"), site.registered("102", callee_transport)
    calling = Calling.start(caller, "102", sdp(4000), **over)
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    calling.provisional(180)
    return calling, callee, invite


def early_dialog(calling: Calling, provisional: Message) -> Dialog:
    target = provisional["contact"].strip("<>")
    headers = calling.headers
    cseq = int(headers["CSeq"].split()[0])
    return Dialog(calling.agent, target, headers["From"], provisional["to"], headers["Call-ID"], cseq)


def lamps(site: Site) -> dict[str, str]:
    rows = ControlClient(socket_path(site.database)).call("lamps", tenant="default")
    return {row["extension"]: row["lamp"] for row in rows}


def test_the_caller_hangs_up_by_bye_while_it_rings(site: Site) -> None:
    """RFC 3261, section 15, allows a caller to do that."""
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    dialog = early_dialog(calling, calling.provisional(180))
    assert dialog.request("BYE").status == 200
    callee.reply(callee.wait_request("CANCEL"), 200)
    callee.reply(invite, 487, "Request Terminated")
    assert calling.final().status == 487


def test_the_callee_hangs_up_by_bye_while_it_rings(site: Site) -> None:
    """RFC 3261, section 15, forbids that: its caller is told that nobody has answered, and never 200."""
    calling, callee, invite = ringing(site)
    assert Dialog.of_invite(callee, invite).request("BYE").status == 200
    assert calling.final().start == "SIP/2.0 480 102 has hung up before it answered"
    callee.reply(invite, 487, "Request Terminated")
    callee.wait_request("ACK")
    assert lamps(site)["102"] == "idle"


def test_the_callee_hangs_up_before_the_caller_has_acknowledged(site: Site) -> None:
    calling, callee, invite = ringing(site)
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    assert Dialog.of_invite(callee, invite).request("BYE").status == 200
    calling.acknowledge(answer)
    calling.agent.reply(calling.agent.wait_request("BYE"), 200)


def test_a_200_that_comes_again_is_acknowledged_again(site: Site) -> None:
    """A 200 comes again when our ACK was lost."""
    calling, callee, invite = ringing(site)
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    calling.acknowledge(calling.final())
    first = callee.wait_request("ACK")
    callee.takes_repeats = True
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    assert callee.wait_request("ACK")["cseq"] == first["cseq"]
    assert calling.agent.silent(lambda m: m.status == 200, 0.2)
    assert Dialog.of_invite(callee, invite).request("BYE").status == 200


def test_an_invite_that_comes_again_rings_once(site: Site) -> None:
    calling, callee, invite = ringing(site)
    calling.agent.takes_repeats = True
    calling.agent.send(f"INVITE {calling.uri} SIP/2.0", calling.headers, sdp(4000))
    assert calling.provisional(180).tag("to"), "the same answer again"
    assert callee.silent(lambda m: m.method == "INVITE" and m["call-id"] != invite["call-id"])
    callee.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486


def test_an_info_that_nobody_has_answered_when_the_call_ends(site: Site) -> None:
    """The phone that sent it is answered at once, however long that takes to answer our BYE."""
    caller, callee = site.registered("101"), site.registered("102")
    mine, other = connect(caller, callee)
    asked = mine.send("INFO", b"Signal=5", "application/dtmf-relay")
    callee.wait_request("INFO")
    assert other.request("BYE").status == 200
    bye = caller.wait_request("BYE")
    assert caller.final(asked).status == 481
    caller.reply(bye, 200)


def test_requests_of_a_call_that_come_late(site: Site) -> None:
    """CSeq counts for all methods together, whichever part serves them (RFC 3261, section 12.2.2)."""
    caller, callee = site.registered("101"), site.registered("102")
    mine, _ = connect(caller, callee)
    more = {"Refer_To": f"<sip:103@{caller.server}>", "Event": "dialog"}
    for highest, ours in ((50, True), (60, False)):
        mine.cseq = highest - 1
        headers = mine.send("OPTIONS" if ours else "INFO", b"", **more)
        if not ours:
            callee.reply(callee.wait_request("INFO"), 200)
        assert caller.final(headers).status == 200
        for method in ("REFER", "OPTIONS", "MESSAGE", "FOO", "INFO", "UPDATE", "INVITE"):
            for late in (highest, highest - 5):
                mine.cseq = late - 1
                body = sdp(4000, "sendonly") if method in ("INVITE", "UPDATE") else b""
                answer = mine.request(method, body, **more)
                assert answer.status == 500, (method, late, answer.start)
                if method == "INVITE":
                    mine.ack(answer)
    assert callee.silent(lambda m: bool(m.method), 0.1)
    mine.cseq = 69
    held = mine.send("UPDATE", sdp(4000, "sendonly"))
    again = callee.wait_request("INVITE")
    assert mine.request("OPTIONS").status == 200
    callee.reply(again, 200, "OK", sdp(5000, "recvonly"), Content_Type="application/sdp")
    assert caller.final(held).status == 200
    assert mine.request("REFER", Refer_To=f"<sip:999@{caller.server}>").status == 404
    hang_up(mine, callee)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "REFER", "INFO", "BYE"])
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_phone_with_another_address_shows_that_it_is_the_same(site: Site, who: str, method: str) -> None:
    """A phone that has not registered from there yet is asked for the password at its next request."""
    caller, callee = site.registered("101"), site.registered("102")
    mine, other = connect(caller, callee) if who == "caller" else connect(caller, callee)[::-1]
    phone = mine.agent
    moved = mine.agent = Agent(phone.server, phone.user, phone.password, host="127.0.0.9")
    site.agents.append(moved)
    mine.cseq += 500
    body = {"INVITE": sdp(4444), "UPDATE": sdp(4444), "INFO": b"x"}.get(method, b"")
    more = {"Refer_To": f"<sip:999@{moved.server}>"} if method == "REFER" else {}
    first = mine.send(method, body, **more)
    challenge = moved.final(first)
    assert challenge.status == 401
    if method == "INVITE":
        mine.ack(challenge)
    moved.cseq = mine.cseq
    headers = moved.authorized(first, method, mine.target, challenge)
    mine.cseq = moved.cseq
    moved.send(f"{method} {mine.target} SIP/2.0", headers, body)
    if method in ("INVITE", "UPDATE", "INFO"):
        relayed = other.agent.wait(lambda m: m.method in ("INVITE", "INFO"))
        other.agent.reply(relayed, 200, "OK", sdp(5555) if method != "INFO" else b"", Content_Type=SDP)
    answer = moved.final(headers)
    assert answer.status == (404 if method == "REFER" else 200), answer.start
    phone.leave_by.clear()
    if method == "INVITE":
        mine.ack(answer)
    if method == "BYE":
        other.agent.reply(other.agent.wait_request("BYE"), 200)
        return
    ended = other.send("BYE")
    moved.reply(moved.wait_request("BYE"), 200)
    assert other.agent.final(ended).status == 200


def test_both_ask_for_other_media_at_once(site: Site) -> None:
    mine, other = connect(site.registered("101"), site.registered("102"))
    first, second = mine.send("INVITE", sdp(4444)), other.send("INVITE", sdp(5555))
    relayed = other.agent.wait_request("INVITE")
    other.agent.reply(relayed, 491, "Request Pending")
    for dialog, headers in ((mine, first), (other, second)):
        answer = dialog.agent.final(headers)
        assert answer.status == 491
        dialog.ack(answer)
    assert mine.request("BYE").status == 200


def test_a_request_for_other_media_before_the_ack(site: Site) -> None:
    calling, callee, invite = ringing(site)
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    dialog = Dialog.of_invite(callee, invite)
    assert callee.final(dialog.send("INVITE", sdp(5555))).status == 491
    assert calling.acknowledge(answer).request("BYE").status == 200


def test_the_other_hangs_up_while_media_is_asked_for(site: Site) -> None:
    mine, other = connect(site.registered("101"), site.registered("102"))
    mine.send("INVITE", sdp(4444))
    other.agent.wait_request("INVITE")
    assert other.request("BYE").status == 200
    mine.agent.reply(mine.agent.wait_request("BYE"), 200)


def test_both_hold_and_the_old_way_of_hold(site: Site) -> None:
    mine, other = connect(site.registered("101"), site.registered("102"))

    def ask(asking: Dialog, asked: Dialog, offer: bytes, answer: bytes) -> tuple[str, str]:
        headers = asking.send("INVITE", offer)
        asked.agent.reply(asked.agent.wait_request("INVITE"), 200, "OK", answer, Content_Type=SDP)
        asking.ack(asking.agent.final(headers))
        asked.agent.wait_request("ACK")
        shown = lamps(site)
        return shown["101"], shown["102"]

    assert ask(mine, other, sdp(1, "sendonly"), sdp(2, "recvonly")) == ("held", "talking")
    assert ask(other, mine, sdp(2, "inactive"), sdp(1, "inactive")) == ("held", "held")
    assert ask(mine, other, sdp(1, "recvonly"), sdp(2, "sendonly")) == ("talking", "held")
    assert ask(other, mine, sdp(2), sdp(1)) == ("talking", "talking")
    no_address = sdp(1).replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0")  # RFC 2543
    assert ask(mine, other, no_address, sdp(2)) == ("held", "talking")
    assert mine.request("BYE").status == 200


def test_a_reliable_183_is_acknowledged_and_its_sdp_answers(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    assert "100rel" in invite["supported"]
    callee.reply(invite, 183, "Session Progress", sdp(5000), Content_Type=SDP, Require="100rel", RSeq="1")
    callee.reply(callee.wait_request("PRACK"), 200)
    assert audio_port(calling.provisional(183)) == 5000
    callee.reply(invite, 200)
    answer = calling.final()
    assert audio_port(answer) == 5000
    assert calling.acknowledge(answer).request("BYE").status == 200


def test_a_caller_that_needs_100rel_gets_it(site: Site) -> None:
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000), Require="100rel")
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    provisional = calling.provisional(180)
    assert provisional["require"] == "100rel"
    dialog = early_dialog(calling, provisional)
    rack = f"{provisional['rseq']} {calling.headers['CSeq']}"
    headers = caller.headers("PRACK", "102", To=dialog.remote, From=dialog.local, RAck=rack)
    headers |= {"Call-ID": dialog.call_id, "CSeq": f"{int(calling.headers['CSeq'].split()[0]) + 1} PRACK"}
    caller.send(f"PRACK {dialog.target} SIP/2.0", headers)
    assert caller.final(headers).status == 200
    callee.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486


def test_session_timer(site: Site) -> None:
    calling, callee, invite = ringing(site, Supported="timer", Session_Expires="90;refresher=uas")
    assert invite["session-expires"] == "1800"
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    assert answer["session-expires"] == "90;refresher=uas"
    assert calling.acknowledge(answer).request("BYE").status == 200


@pytest.mark.parametrize(
    ("over", "status", "header"),
    [
        ({"Supported": "timer", "Session_Expires": "10"}, 422, ("min-se", "90")),
        ({"Require": "teleport"}, 420, ("unsupported", "teleport")),
    ],
)
def test_what_the_server_cannot_do(
    site: Site, over: dict[str, str], status: int, header: tuple[str, str]
) -> None:
    site.registered("102")
    answer = Calling.start(site.agent("101"), "102", sdp(4000), **over).refused()
    assert (answer.status, answer[header[0]]) == (status, header[1])


def test_a_phone_whose_connection_breaks_while_it_rings(site: Site) -> None:
    calling, callee, _ = ringing(site, callee_transport="tcp")
    callee.close()
    site.agents.remove(callee)
    assert calling.refused().status == 480
    assert lamps(site)["102"] == "idle", "it is registered until that expires"


def test_calls_end_when_the_server_stops(own_site: Callable[..., Site]) -> None:
    """The site has set that; otherwise calls that are up go on in the next process."""
    site = own_site(config="hang_up_on_stop = true\n")
    talking = connect(site.registered("103"), site.registered("104"))
    calling, callee, invite = ringing(site)
    site.server.process.terminate()
    for dialog in talking:
        dialog.agent.reply(dialog.agent.wait_request("BYE"), 200)
    callee.reply(callee.wait_request("CANCEL"), 200)
    callee.reply(invite, 487, "Request Terminated")
    assert calling.refused().status == 503
    for agent in site.agents:
        agent.is_registered = False  # no server is left to take an unregistration
    assert site.server.process.wait(DEADLINE) == 0
