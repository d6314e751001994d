"""Calls that are up go on in the next process, whatever has ended the process before."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from calls import Calling, Dialog, audio_port, connect, direction, hang_up, sdp
from desks import Office
from sites import UDP6, Listening, Site
from wire import Agent, Message

from blfd.demo.simulation import PhoneProcess
from blfd.sip.further_responses import OF_ONE

SDP = "application/sdp"
KILLS, SEED = 3, 4028


def restart(site: Site, how: str = "kill") -> None:
    if how == "kill":
        site.kill()
    else:
        assert site.server.stop() == 0
    site.start()


def cseq(request: Message) -> int:
    return int(request["cseq"].split()[0])


def alive(dialog: Dialog, port: int, how: str = "sendrecv") -> Message:
    """Wait until a phone is asked whether it is still there, and have it say so."""
    asked = dialog.agent.wait(lambda m: m.method in ("INVITE", "UPDATE") and m["call-id"] == dialog.call_id)
    if asked.method == "INVITE":
        dialog.agent.reply(asked, 200, "OK", sdp(port, how), Content_Type=SDP)
        dialog.agent.wait(lambda m: m.method == "ACK" and m["call-id"] == dialog.call_id)
    else:
        dialog.agent.reply(asked, 200)
    return asked


def shown(site: Site, *extensions: str) -> list[dict[str, Any]]:
    """What lamps show, without the times."""
    rows = [row for row in site.ask("lamps") if row["extension"] in extensions]
    for row in rows:
        for dialog in row["dialogs"]:
            del dialog["since"]
    return rows


@pytest.mark.parametrize(("how", "transport"), [("kill", UDP6), ("stop", "udp")])
def test_a_call_that_is_up(own_site: Callable[..., Site], how: str, transport: str) -> None:
    """Lamps and lists show the call as before, both phones are asked for it, and either side ends it."""
    site = own_site()
    watcher = site.agent("103")
    watcher.subscribe("102")
    one, other = connect(site.registered("101", transport), site.registered("102"))
    before = watcher.notify("confirmed").document.dialogs
    site.wait_rows("legs", 2)
    lamps, (call,) = shown(site, "101", "102"), site.ask("calls")
    for method in ("OPTIONS", "INFO"):  # both change nothing but the number of the next request
        headers = one.send(method)
        if method == "INFO":
            other.agent.reply(other.agent.wait_request("INFO"), 200)
        assert one.agent.final(headers).status == 200
        site.wait_rows(f"legs WHERE remote_cseq = {one.cseq}", 1)
    watcher.take_all()
    watcher.received.clear()
    restart(site, how)
    assert watcher.wait_request("NOTIFY").document.dialogs == before
    assert shown(site, "101", "102") == lamps
    (again,) = site.ask("calls")
    assert again | {"since": 0} == call | {"since": 0}
    first = alive(one, 4000)
    assert audio_port(first) == 5000
    assert audio_port(alive(other, 5000)) == 4000
    one.cseq -= 3
    assert one.request("OPTIONS").status == 500, "an old number"
    one.cseq += 2
    hold = one.send("INVITE", sdp(4000, "sendonly"))
    assert direction(alive(other, 5000, "recvonly")) == "sendonly"
    one.ack(one.agent.final(hold))
    site.wait_lamp("101", "held")
    site.wait_rows("legs WHERE held AND settled", 1)
    restart(site)
    second = alive(one, 4000, "sendonly")
    assert direction(second) == "sendrecv"  # the phone says itself that it holds
    assert cseq(second) > cseq(first)
    assert direction(alive(other, 5000, "recvonly")) == "sendonly"
    site.wait_lamp("101", "held")
    info = one.send("INFO", b"Signal=5", "application/dtmf-relay")
    other.agent.reply(other.agent.wait_request("INFO"), 200)
    assert one.agent.final(info).status == 200
    resumed = one.send("UPDATE", sdp(4000))
    assert direction(alive(other, 5000)) == "sendrecv"
    assert one.agent.final(resumed).status == 200
    site.wait_lamp("101", "talking")
    hang_up(*((one, other.agent) if how == "kill" else (other, one.agent)))
    site.wait_no_call()
    site.wait_rows("legs", 0)


@pytest.mark.parametrize("transports", [("udp", UDP6, "tcp")], ids=["mixed"])
def test_kill_9_of_an_office_at_work(own_site: Callable[..., Site], transports: tuple[str, ...]) -> None:
    """Calls that were up after transfers, pickups and forwards go on with whom they were, and can end."""
    site = own_site("--trust", "127.0.0.0/8", "--trust", "::1")
    office = Office(site, random.Random(SEED), transports, may_lose=10.0)  # so that the machine may be busy
    for _ in range(KILLS):
        office.work(1.0)
        while not site.rows("legs"):
            office.work(0.1)
        office.kill()
        office.start()
        office.settle()
        office.hang_up(0.3)
    office.hang_up(1)
    office.rest()


ACME = "acme.example"


def of_acme(site: Site, user: str) -> Agent:
    """A phone of a tenant, whose domain is in From and To; its messages go to the server's address."""
    phone = Agent(site.server.address(), user, "acme")
    site.agents.append(phone)
    return phone


def test_dialogs_of_a_tenant(own_site: Callable[..., Site]) -> None:
    """Our Contact names the tenant, before and after kill -9, so that requests inside dialogs find it.

    Requests of phones that know an older Contact of ours find the tenant by what else they say.
    """
    site = own_site()
    site.cli("--tenant", ACME, "extension", "add", "102", "--password", "acme")
    one, other, watcher = (of_acme(site, user) for user in ("101", "102", "101"))
    at = f"127.0.0.1:{site.server.address().rpartition(':')[2]}"
    mine = {"From": f"<sip:102@{ACME}>;tag=r", "To": f"<sip:102@{ACME}>"}
    assert other.register(3600, **mine).status == 200
    nobody = {"From": "<sip:anonymous@anonymous.invalid>;tag=w", "To": f"<sip:102@{ACME}>"}
    watched = watcher.request(
        "SUBSCRIBE", "102", f"sip:102@{ACME}", b"", Event="dialog", Expires="600", **nobody
    )
    assert (watched.status, watched["contact"]) == (200, f"<sip:{ACME}@{at}>")
    assert watcher.wait_request("NOTIFY")["contact"] == f"<sip:{ACME}@{at}>"
    ends = {"From": f"<sip:101@{ACME}>;tag=c", "To": f"<sip:102@{ACME}>"}
    calling = Calling.start(one, "102", sdp(4000), f"sip:102@{ACME}", **ends)
    invite = other.wait_request("INVITE")
    assert invite["contact"] == f"<sip:101+{ACME}@{at}>"
    other.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    assert (answer.status, answer["contact"]) == (200, f"<sip:102+{ACME}@{at}>")
    caller, callee = calling.acknowledge(answer), Dialog.of_invite(other, invite)
    other.wait_request("ACK")
    site.wait_rows("legs WHERE settled", 2)
    site.wait_rows("subscriptions", 1)
    site.kill()
    site.start()
    assert alive(caller, 4000)["contact"] == f"<sip:102+{ACME}@{at}>"
    assert alive(callee, 5000)["contact"] == f"<sip:101+{ACME}@{at}>"
    dialog = {"From": watched["from"], "To": watched["to"], "Call_ID": watched["call-id"]}
    for uri in (f"sip:{ACME}@{at}", f"sip:102+{ACME}@{at}"):
        watcher.cseq += 900
        over = {**dialog, "CSeq": f"{watcher.cseq + 1} SUBSCRIBE"}
        again = watcher.request("SUBSCRIBE", "102", uri, b"", Event="dialog", Expires="600", **over)
        assert (again.status, again["contact"]) == (200, f"<sip:{ACME}@{at}>")
    caller.target = f"sip:{at}"  # a Contact as earlier versions wrote it
    hang_up(caller, other)
    site.wait_rows("legs", 0)


def restart_and_ask(site: Site) -> None:
    """Restart, and wait until both phones of the only call have refreshed their sessions when asked."""
    connection = sqlite3.connect(site.database)
    (before,) = connection.execute("SELECT max(session_expires_at) FROM legs").fetchone()
    connection.close()
    restart(site)
    site.wait_rows(f"legs WHERE settled AND session_expires_at > {before + 0.5}", 2)


def heard(phone: PhoneProcess, state: str = "active") -> None:
    phone.wait("media", lambda event: event["state"] == state)


def test_what_phones_do_with_a_call_that_went_on(own_site: Callable[..., Site]) -> None:
    """PJSUA2 phones take the re-INVITE, hold and transfer, and whoever is left in the call hangs up."""
    site = own_site()
    alice, bob, carol = (site.phone(user) for user in ("101", "102", "103"))
    alice.do("call", to="102")
    bob.wait("incoming")
    bob.do("answer")
    for phone in (alice, bob):
        phone.wait_call("confirmed")
    site.wait_rows("legs WHERE settled", 2)
    restart_and_ask(site)
    site.wait_lamp("102", "talking")
    bob.do("hold")
    heard(alice, "held by them")
    site.wait_lamp("102", "held")
    bob.do("unhold")
    site.wait_lamp("102", "talking")
    bob.do("transfer", to="103")
    carol.wait("incoming")
    carol.do("answer")
    carol.wait_call("confirmed")
    bob.wait_call("disconnected")
    site.wait_lamp("101", "talking")
    site.wait_rows("legs WHERE settled AND extension IN ('101', '103')", 2)
    restart_and_ask(site)
    site.wait_lamp("103", "talking")
    carol.do("hangup")
    alice.wait_call("disconnected")
    site.wait_no_call()


def test_it_is_taken_over_after_a_restart(own_site: Callable[..., Site]) -> None:
    """The Replaces has ids that lamps told before; a phone that has gone meanwhile ends both legs."""
    site = own_site("--trust", "127.0.0.0/8")
    one, other = connect(site.registered("101", "tcp"), site.registered("102"), is_trusted=True)
    site.wait_rows("legs WHERE settled", 2)
    restart(site)
    back = site.registered("101", "tcp")  # over a new connection, as the old one has gone
    one.agent.close()
    site.agents.remove(one.agent)
    one.agent = back
    alive(one, 4000)
    alive(other, 5000)
    ours, theirs = (value.partition("tag=")[2] for value in (other.remote, other.local))
    ids = f"{other.call_id};to-tag={ours};from-tag={theirs}"
    picker = site.registered("103")
    calling = Calling.trusted(picker, "102", sdp(6000), Replaces=ids)
    answer = calling.final()
    assert (answer.status, audio_port(answer)) == (200, 4000)
    taken = calling.acknowledge(answer)
    assert audio_port(alive(one, 4000)) == 6000
    other.agent.reply(other.agent.wait_request("BYE"), 200)
    site.wait_lamp("103", "talking")
    site.wait_rows("legs WHERE settled AND extension = '103'", 1)
    site.kill()
    picker.received.clear()
    site.start()
    again = site.registered("101", "tcp")
    one.agent.close()
    site.agents.remove(one.agent)
    one.agent = again
    alive(one, 4000)
    asked = picker.wait(lambda m: m.method == "INVITE" and m["call-id"] == taken.call_id)
    picker.reply(asked, 481, "Call does not exist")
    picker.reply(picker.wait_request("BYE"), 481, "Call does not exist")
    again.reply(again.wait_request("BYE"), 200)
    site.wait_no_call()
    assert shown(site, "101", "103")[1]["dialogs"] == []


def test_a_carriers_call_over_tcp(own_site: Callable[..., Site]) -> None:
    """We connect to the carrier anew, and either side ends the call; one that is over there ends here."""
    site = own_site()
    carrier, phone = Listening(site, "carrier", "127.0.0.2"), site.registered("101")
    where = ("--server", f"127.0.0.2:{carrier.port}", "--transport", "tcp", "--ping", "0")
    site.cli("trunk", "add", "carrier", *where, "--did", "4930101=101")
    for end in ("it hangs up", "the phone hangs up", "it knows of none"):
        line = carrier.connect()
        calling = Calling.trusted(line, "4930101", sdp(7000), Contact=carrier.contact)
        invite = phone.wait_request("INVITE")
        phone.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
        one, other = calling.acknowledge(calling.final()), Dialog.of_invite(phone, invite)
        phone.wait_request("ACK")
        site.wait_rows("legs WHERE settled", 2)
        line.leave_by.clear()
        line.close()
        site.agents.remove(line)
        restart(site)
        one.agent = carrier.accept()
        if end == "it knows of none":
            one.agent.reply(one.agent.wait_request("INVITE"), 481, "Call does not exist")
            one.agent.reply(one.agent.wait_request("BYE"), 481, "Call does not exist")
            phone.reply(phone.wait_request("BYE"), 200)
        else:
            assert audio_port(alive(one, 7000)) == 5000
            assert audio_port(alive(other, 5000)) == 7000
            site.wait_lamp("101", "talking")
            hang_up(*((one, phone) if end == "it hangs up" else (other, one.agent)))
        site.wait_no_call()
        site.wait_rows("legs", 0)
    carrier.close()


def test_a_phone_that_rang_when_the_process_died(own_site: Callable[..., Site]) -> None:
    """The phone is told that the call that it answers is over; whoever makes up such an answer is not."""
    site = own_site()
    caller, callee = site.registered("101"), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    calling.provisional(180)
    restart(site)
    for call_id in ("0" * len(invite["call-id"]), invite["call-id"]):
        headers = [(key, call_id if key == "call-id" else value) for key, value in invite.headers]
        callee.reply(replace(invite, headers=headers), 200, "OK", sdp(5000), Content_Type=SDP)
    assert callee.wait_request("ACK")["call-id"] == invite["call-id"]
    bye = callee.wait_request("BYE")
    assert bye["call-id"] == invite["call-id"]
    callee.reply(bye, 200)
    for number in range(OF_ONE + 5):  # whoever watches the lamp knows the Call-ID
        to = f"{invite['to']};tag=made-up-{number}"
        headers = [(key, to if key == "to" else value) for key, value in invite.headers]
        callee.reply(replace(invite, headers=headers), 200, "OK", sdp(5000), Content_Type=SDP)
    callee.wait(lambda m: m.method == "ACK" and m["to"] == to)
    hung_up_on = {m["to"] for m in callee.received if m.method == "BYE"} | {bye["to"]}
    assert len(hung_up_on) == OF_ONE
    for one in [m for m in callee.received if m.method == "BYE"]:
        callee.reply(one, 200)
    caller.leave_by.clear()
    calling.cancel()
    assert caller.wait(lambda m: m.status >= 200 and m["cseq"].endswith("CANCEL")).status == 481
    site.wait_idle("102")
