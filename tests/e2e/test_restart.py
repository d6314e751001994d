"""After kill -9 and a start, every lamp is right again, and no phone has done anything."""

from __future__ import annotations

import random
import socket
import sqlite3
import time
from collections.abc import Callable

import pytest
from calls import Calling, sdp
from keys import MANY, Keys
from sites import EXTENSIONS, TCP6, UDP6, Site
from wire import DEADLINE, Agent

KEYS, KILLS = 2000, 20
SEED = 4235
CALLED = EXTENSIONS[:8]


def some_call(phones: dict[str, Agent], dice: random.Random) -> None:
    """Have somebody call, and the other phone ring and maybe answer, without waiting for anything."""
    caller, callee = dice.sample(list(phones), 2)
    Calling.trusted(phones[caller], callee, sdp(4000))
    for phone in phones.values():
        phone.take_all()
        for invite in [m for m in phone.received if m.method == "INVITE"]:
            phone.reply(invite, 180, "Ringing")
            if dice.random() < 0.5:
                phone.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
        phone.received.clear()


def test_kill_9_at_any_moment(own_site: Callable[..., Site]) -> None:
    """Calls go on; after each start every watcher is told what is true, with higher numbers."""
    trust = ("--trust", "127.0.0.0/8", "--trust", "::1")
    site, dice = own_site(*trust, config=f"[sip]\n{MANY}"), random.Random(SEED)
    keys = Keys(site.server.address(), "112", CALLED, KEYS)
    keys.subscribe()
    phones = {user: site.registered(user, ("udp", UDP6)[number % 2]) for number, user in enumerate(CALLED)}
    site.wait_rows("subscriptions", KEYS)
    site.wait_rows("bindings", len(CALLED))
    for _ in range(KILLS):
        until = time.monotonic() + dice.uniform(0, 0.3)  # chance decides on the moment
        while time.monotonic() < until:
            some_call(phones, dice)
            keys.pump(0.005)
        site.kill(at_once=True)
        while keys.pump():
            pass
        keys.forget()
        site.start()
        keys.wait(lambda: all(key.notifies for key in keys.all))
        assert {key.state for key in keys.all} == {"terminated"}, (
            "the calls, of which none was up, have ended with the process"
        )
        assert keys.faults() == []
    assert len(site.ask("watchers")) == KEYS
    assert (len(keys.answered), keys.refused) == (KEYS, {}), "nobody has subscribed again"
    lamps_follow(keys, phones["101"], phones["102"])
    keys.close()


def lamps_follow(keys: Keys, caller: Agent, callee: Agent) -> None:
    """Check that keys of the callee show a call."""
    for phone in (caller, callee):
        phone.take_all()
        phone.received.clear()
    shown = [key for key in keys.all if key.resource == callee.user]
    calling = Calling.trusted(caller, callee.user, sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    keys.wait(lambda: {key.state for key in shown} == {"early"})
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
    dialog = calling.acknowledge(calling.final())
    keys.wait(lambda: {key.state for key in shown} == {"confirmed"})
    dialog.send("BYE")
    callee.reply(callee.wait_request("BYE"), 200)
    keys.wait(lambda: {key.state for key in shown} == {"terminated"})


def test_sigterm_loses_nothing(own_site: Callable[..., Site]) -> None:
    """Not even a subscription of this instant is lost, and numbers go on without a gap."""
    site = own_site("--trust", "127.0.0.0/8")
    keys = Keys(site.server.address(), "112", CALLED, 200)
    keys.subscribe()
    before = {number: (key.cseq, key.version) for number, key in enumerate(keys.all)}
    assert site.server.stop() == 0
    keys.forget()
    site.start()
    keys.wait(lambda: all(key.notifies for key in keys.all))
    after = {number: (key.cseq - 1, key.version - 1) for number, key in enumerate(keys.all)}
    assert after == before
    keys.close()


def test_a_watcher_refreshes_after_a_restart(own_site: Callable[..., Site]) -> None:
    site = own_site()
    watcher = site.agent("103")
    answer, first = watcher.subscribe("102")
    site.wait_rows("subscriptions", 1)
    site.kill()
    site.start()
    again = watcher.wait_request("NOTIFY")
    assert again.document.version > first.document.version
    assert again["call-id"] == first["call-id"]
    to, call_id = answer["to"], answer["call-id"]
    over = {"To": to, "From": answer["from"], "Call_ID": call_id, "CSeq": "900 SUBSCRIBE"}
    watcher.cseq = 900
    refreshed = watcher.request("SUBSCRIBE", "102", body=b"", Event="dialog", Expires="600", **over)
    assert refreshed.status == 200
    assert watcher.wait_request("NOTIFY").document.version > again.document.version


@pytest.mark.parametrize(("method", "served"), [("SUBSCRIBE", True), ("INVITE", False)])
def test_a_challenge_of_before(own_site: Callable[..., Site], method: str, served: bool) -> None:
    """A nonce of before serves a lamp without another round, and nothing that could be replayed to harm."""
    site = own_site()
    phone = site.agent("101")
    uri = f"sip:102@{phone.server}"
    more = {"Event": "dialog", "Expires": "600"} if method == "SUBSCRIBE" else {}
    headers = phone.headers(method, "102", **more)
    phone.send(f"{method} {uri} SIP/2.0", headers)
    challenge = phone.final(headers)
    if method == "INVITE":
        phone.ack(challenge, uri, headers)
    site.kill()
    site.start()
    headers = phone.authorized(headers, method, uri, challenge)
    phone.send(f"{method} {uri} SIP/2.0", headers)
    answer = phone.final(headers)
    if served:
        assert answer.status == 200
    else:
        phone.ack(answer, uri, headers)
        assert (answer.status, "stale=true" in answer["www-authenticate"]) == (401, True)


def test_one_that_was_lost_is_told_so_when_it_refreshes(own_site: Callable[..., Site]) -> None:
    """A kill before it is stored leads to 481, and the phone subscribes anew (RFC 6665, section 4.1.2.2)."""
    site = own_site()
    watcher = site.agent("103")
    answer, _ = watcher.subscribe("102")
    site.wait_rows("subscriptions", 1)
    site.kill()
    connection = sqlite3.connect(site.database)
    with connection:
        connection.execute("DELETE FROM subscriptions")
    connection.close()
    site.start()
    over = {"To": answer["to"], "From": answer["from"], "Call_ID": answer["call-id"]}
    watcher.cseq = 900
    over["CSeq"] = "900 SUBSCRIBE"
    assert watcher.request("SUBSCRIBE", "102", body=b"", Event="dialog", **over).status == 481
    watcher.subscribe("102")


def test_a_watcher_over_tcp_is_tried_at_its_contact(own_site: Callable[..., Site]) -> None:
    """A watcher that listens there is told over a new connection, and any other when it comes again."""
    site = own_site()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    there, gone = site.agent("103", "tcp"), site.agent("104", TCP6)
    there.subscribe("102", Contact=f"<sip:103@127.0.0.1:{port};transport=tcp>")
    kept, _ = gone.subscribe("102")
    site.wait_rows("subscriptions", 2)
    site.kill()
    site.start()
    listening.settimeout(DEADLINE)
    connection, _ = listening.accept()
    with connection, listening:
        assert connection.recv(65535).startswith(f"NOTIFY sip:103@127.0.0.1:{port}".encode())
    back = site.agent("104", TCP6)
    back.register()
    assert back.wait_request("NOTIFY")["call-id"] == kept["call-id"]
    assert {row["watcher"] for row in site.ask("watchers")} == {"103", "104"}
