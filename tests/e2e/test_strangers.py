"""Strangers: PJSIP is given none of their messages, and their forgeries do nothing."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from calls import Calling, connect, hang_up, sdp
from mutations import mutated
from pickups import element
from sites import Site
from tortures import TORTURES
from wire import Agent, digest

from blfd.pjsip.branches import SEAL

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
SDP_PART = b"--b\r\nContent-Type: application/sdp\r\n\r\n" + sdp(4000) + b"\r\n--b--\r\n"
SDP = "application/sdp"
METHODS = (
    *("INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "OPTIONS"),
    *("REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "REFER", "NOTIFY", "FOO"),
)


def status(site: Site, name: str) -> int:
    return int(site.ask("status")[name])


def filled(text: str, agent: Agent) -> str:
    values = {"d": agent.server, "a": agent.address, "t": "UDP"}
    return re.sub(r"\{([dantl])\}", lambda found: values.get(found[1], "1"), text)


def everything(agent: Agent) -> list[bytes]:
    """All kinds of messages that a stranger may send: all methods, responses, torture, nonsense."""
    found: list[bytes] = []
    for method in METHODS:
        for more in ("", "To: <sip:102@{d}>;tag=x\r\n", "Content-Type: multipart/mixed;boundary=b\r\n"):
            to = "" if more.startswith("To") else "To: <sip:102@{d}>\r\n"
            number = len(found)
            text = (
                f"{method} sip:102@{{d}} SIP/2.0\r\nVia: SIP/2.0/UDP {{a}};branch=z9hG4bKs{number}\r\n{to}"
                f"{more}From: <sip:101@{{d}}>;tag=f\r\nCall-ID: stranger{number}\r\nCSeq: 1 {method}\r\n"
                "Contact: <sip:101@{a}>\r\nEvent: dialog\r\nMax-Forwards: 70\r\n\r\n"
            )
            found.append(filled(text, agent).encode() + SDP_PART)
    found += [
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKPjabc\r\nFrom: <sip:a@b>;tag=a\r\n"
        b"To: <sip:c@d>;tag=b\r\nCall-ID: none\r\nCSeq: 1 INVITE\r\n"
        b"Content-Type: multipart/mixed;boundary=b\r\n\r\n" + SDP_PART
    ]
    found += [filled(torture.text, agent).encode() + torture.body for torture in TORTURES]
    if CORPUS.is_dir():
        found += [path.read_bytes() for path in CORPUS.glob("*.sip")]
    return [*found, b"\r\n\r\n", b"\0" * 50, b"\r\n" * 100, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]


def test_pjsip_is_given_nothing_of_strangers(site: Site) -> None:
    site.registered("102")
    agent, dice = site.agent("101"), random.Random(5)
    messages = everything(agent)
    messages += [mutated(dice.choice(messages), dice, messages) for _ in range(1500)]
    before, requests = status(site, "given_to_pjsip"), status(site, "requests")
    for count, message in enumerate(messages):
        agent.send_raw(message)
        if count % 50 == 0:
            assert agent.request("OPTIONS", "102").status == 200
    assert agent.request("OPTIONS", "102").status == 200
    assert status(site, "given_to_pjsip") == before
    assert status(site, "requests") > requests + 200, "they were read"


# Forgeries


def test_a_forged_response_to_a_notify_changes_nothing(site: Site) -> None:
    """The forger is another phone, which knows branches of its own, or lacks only one of the ids."""
    watcher, other = site.agent("101"), site.agent("103")
    watcher.auto_answer = False
    _, notify = watcher.subscribe("102")
    _, own = other.subscribe("102")

    def forge(**over: str) -> None:
        lines = {
            "Via": notify["via"],
            "From": notify["from"],
            "To": notify["to"],
            "Call-ID": notify["call-id"],
            "CSeq": notify["cseq"],
            **{name.replace("_", "-"): value for name, value in over.items()},
        }
        other.send("SIP/2.0 481 Gone", lines)

    branch = re.search(r"branch=([^;]+)", notify["via"])
    assert branch
    for digit in set("0123456789abcdef") - {branch[1][-1]}:
        forge(Via=notify["via"].replace(branch[1], branch[1][:-1] + digit))
    forge(Via=own["via"])
    forge(Call_ID="made-up")
    forge(Call_ID=own["call-id"])
    forge(From=re.sub("tag=.*", "tag=x", notify["from"]))
    forge(CSeq=f"{int(notify['cseq'].split()[0]) + 1} NOTIFY")
    assert other.request("OPTIONS", "102").status == 200
    rows = [row for row in site.ask("watchers") if row["watcher"] == "101"]
    assert [row["state"] for row in rows] == ["telling"], "it still waits for the response"
    watcher.reply(notify, 200)
    site.wait_watched("102")


def test_branches_and_tags_cannot_be_guessed_from_one_another(site: Site) -> None:
    """Nonces cannot be guessed either."""
    watcher = site.agent("101")
    seen: dict[str, list[str]] = {"branch": [], "tag": [], "nonce": []}
    for number in range(40):
        _, notify = watcher.subscribe("102", Call_ID=f"guess{number}")
        found = re.search(r"branch=z9hG4bK(\w+)", notify["via"])
        assert found
        seen["branch"].append(found[1])
        seen["tag"].append(notify.tag("from"))
        headers, uri = watcher.headers("INVITE", "102"), f"sip:102@{watcher.server}"
        watcher.send(f"INVITE {uri} SIP/2.0", headers)
        challenge = watcher.final(headers)
        watcher.ack(challenge, uri, headers)
        made = re.search(r'nonce="[0-9a-f]*([0-9a-f]{32})"', challenge["www-authenticate"])
        assert made
        seen["nonce"].append(made[1])
    for kind, values in seen.items():
        assert len(set(values)) == len(values)
        beginnings = {value[1:7] for value in values}  # the first character is the kind of transaction
        assert len(beginnings) > len(values) / 2, (kind, values)


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "CANCEL", "ACK", "PRACK", "OPTIONS"])
@pytest.mark.parametrize("wrong", ["call-id", "our tag", "their tag"])
def test_a_request_of_a_third_party_is_in_no_call(site: Site, method: str, wrong: str) -> None:
    caller, callee, stranger = site.registered("101"), site.registered("102"), site.agent("103")
    dialog, _ = connect(caller, callee)
    local, remote, call_id = dialog.local, dialog.remote, dialog.call_id
    if wrong == "call-id":
        call_id = "made-up"
    elif wrong == "our tag":
        remote = re.sub("tag=.*", "tag=0123456789abcdef", remote)
    else:
        local = re.sub("tag=.*", "tag=made-up", local)
    headers = stranger.headers(method, "102", From=local, To=remote, Call_ID=call_id, CSeq=f"999 {method}")
    stranger.send(f"{method} {dialog.target} SIP/2.0", headers)
    if method != "ACK":
        assert stranger.final(headers).status == 481
    assert site.ask("status")["calls"] == 1
    assert callee.silent(lambda m: m.method in ("BYE", "INVITE", "INFO", "UPDATE"), 0.1)
    assert dialog.request("BYE").status == 200
    callee.reply(callee.wait_request("BYE"), 200)
    site.wait_no_call()


def test_a_forged_response_ends_no_call(site: Site) -> None:
    """The forger is a third party that lacks one of the INVITE's branch, its Call-ID and our tag.

    Whoever watches the phone is told the Call-ID and the tag, and may work out the random part of the branch
    that PJSIP has made; the branch has a seal behind that.
    """
    caller, callee, stranger = site.registered("101"), site.registered("102"), site.agent("103")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = callee.wait_request("INVITE")
    other = re.sub("tag=.*", "tag=x", invite["from"])
    branch = re.search(r"branch=([^;]+)", invite["via"])
    assert branch
    drawn, seal = branch[1][:-SEAL], branch[1][-SEAL:]
    vias = [
        invite["via"].replace(branch[1], drawn + end)
        for end in ("", "0" * SEAL, f"{seal[1:]}{seal[0]}", seal)
    ]
    forged = [(via, invite["call-id"], invite["from"]) for via in vias[:-1]]
    forged += [(vias[-1], "made-up", invite["from"]), (vias[-1], invite["call-id"], other)]
    for via, call_id, from_ in forged:
        lines = {
            "Via": via,
            "From": from_,
            "To": f"{invite['to']};tag=x",
            "Call-ID": call_id,
            "CSeq": invite["cseq"],
        }
        stranger.send("SIP/2.0 603 Decline", lines)
        more = {"Contact": f"<sip:102@{stranger.address}>", "Content-Type": "application/sdp"}
        stranger.send("SIP/2.0 200 OK", lines | more, sdp(6666))
    assert stranger.request("OPTIONS", "102").status == 200
    assert caller.silent(lambda m: m.status >= 200, 0.1)
    assert stranger.silent(lambda m: bool(m.method), 0.1), "nobody acknowledges it, or hangs up on it"
    callee.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486
    site.wait_no_call()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_late_copy_of_an_invite_starts_no_second_call(site: Site, transport: str) -> None:
    """The transaction remembers the INVITE after the 2xx, even when the call is over (RFC 6026)."""
    caller, callee = site.registered("101", transport), site.registered("102")
    calling = Calling.start(caller, "102", sdp(4000))
    calling.headers["Content-Type"] = "application/sdp"
    lines = [f"{name}: {value}" for name, value in calling.headers.items()]
    octets = "\r\n".join([f"INVITE {calling.uri} SIP/2.0", *lines]).encode()
    octets += b"\r\nContent-Length: %d\r\n\r\n" % len(sdp(4000)) + sdp(4000)
    invite = callee.wait_request("INVITE")
    caller.send_raw(octets)
    callee.reply(invite, 180, "Ringing")
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
    dialog = calling.acknowledge(calling.final())
    callee.wait_request("ACK")
    caller.send_raw(octets)
    assert callee.silent(lambda m: m.method == "INVITE" and m["call-id"] != invite["call-id"], 0.3)
    assert dialog.request("BYE").status == 200
    callee.reply(callee.wait_request("BYE"), 200)
    caller.send_raw(octets)
    assert callee.silent(lambda m: m.method == "INVITE" and m["call-id"] != invite["call-id"], 0.3)
    site.wait_no_call()


@pytest.mark.parametrize("method", ["BYE", "UPDATE", "INVITE", "INFO", "REFER", "ACK"])
def test_who_knows_the_ids_of_a_call_is_not_in_it(site: Site, method: str) -> None:
    """Whoever may watch a phone is told the ids, so that their keys can pick up."""
    caller, callee, watcher = (site.registered(user) for user in ("104", "105", "103"))
    watcher.subscribe("105")
    mine, _ = connect(caller, callee)
    told = element(watcher.notify("confirmed"), "confirmed")
    stranger = Agent(site.server.address(), "105", host="127.0.0.9")
    site.agents.append(stranger)
    ids = {
        "From": f"<sip:105@{stranger.server}>;tag={told.local_tag}",
        "To": f"<sip:104@{stranger.server}>;tag={told.remote_tag}",
        "Call_ID": str(told.call_id),
    }
    more = {
        "Refer_To": f"<sip:103@{stranger.server}>",
        "CSeq": f"501 {method}",
        "Content_Type": "application/sdp",
    }
    headers = stranger.headers(method, "104", **ids, **more)
    stranger.send(f"{method} sip:{stranger.server} SIP/2.0", headers, sdp(6666))
    if method != "ACK":  # the sender may be the phone itself at another address
        challenge = stranger.final(headers)
        assert challenge.status == 401
        if method == "INVITE":
            stranger.ack(challenge, f"sip:{stranger.server}", headers)
        uri = f"sip:{stranger.server}"
        value = digest(challenge["www-authenticate"], "103", "secret-103", method, uri)
        again = {**headers, "Via": stranger.via(), "CSeq": f"502 {method}", "Authorization": value}
        stranger.send(f"{method} {uri} SIP/2.0", again, sdp(6666))
        assert stranger.final(again).start == "SIP/2.0 403 You are 103, not 105"
    assert caller.silent(lambda m: m.method in ("BYE", "INVITE", "UPDATE", "INFO"))
    assert [row["state"] for row in site.ask("calls")] == ["talking"]
    hang_up(mine, callee)
