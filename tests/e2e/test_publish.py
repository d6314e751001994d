"""PUBLISH to the running server: who may, entity-tags over restarts, bodies of all kinds (RFC 3903)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from calls import Calling, sdp
from sites import Site
from wire import Agent, Message

TYPE = "application/dialog-info+xml"
OWNED = ("102", "103")


def body(state: str, user: str = "102", call: str = "c1", more: str = "") -> bytes:
    return (
        f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" '
        f'entity="sip:{user}@127.0.0.1"><dialog id="{call}" call-id="{call}" direction="recipient">'
        f"<state>{state}</state>{more}</dialog></dialog-info>"
    ).encode()


def publish(
    agent: Agent, content: bytes = b"", etag: str = "", user: str = "102", expires: int = 600, **over: str
) -> Message:
    more = {"Event": "dialog", "Expires": str(expires)}
    if content:
        more["Content_Type"] = TYPE
    if etag:
        more["SIP_If_Match"] = etag
    return agent.request("PUBLISH", user, body=content, **{**more, **over})


@pytest.fixture
def published(site: Site) -> Site:
    for user in OWNED:
        site.cli("extension", "set", user, "--owner", "published")
    site.cli("extension", "set", "111", "--publish", "on")
    return site


def test_a_server_that_publishes_for_all(published: Site) -> None:
    """Asterisk has the extension in From, and the credentials of an account of its own."""
    server = published.agent("111")
    answer = publish(server, body("early"), From="<sip:102@127.0.0.1>;tag=as1")
    assert (answer.status, int(answer["expires"])) == (200, 600)
    published.wait_lamp("102", "ringing")
    answer = publish(server, body("confirmed"), answer["sip-etag"])
    published.wait_lamp("102", "talking")
    assert "111" in published.cli("explain", "102").partition("Who publishes it")[2]
    assert publish(server, b"", answer["sip-etag"], expires=0).status == 200
    published.wait_lamp("102", "idle")


def test_who_may_not(published: Site) -> None:
    own = published.agent("103")
    assert publish(own, body("early")).start == "SIP/2.0 403 You may not publish the state of 102"
    answer = publish(own, body("early", "103"), user="103")
    assert answer.status == 200, "its own state, which is published"
    assert publish(published.agent("111"), body("early", "104"), user="104").start == (
        "SIP/2.0 403 The calls of 104 are carried here"
    )
    assert publish(published.agent("111"), b"", answer["sip-etag"], user="103").status == 412
    stranger = Agent(published.server.address(), "102")
    for _ in range(2):
        assert publish(stranger, body("early")).status == 401
    stranger.close()
    refused = {row["extension"]: row["status"] for row in published.ask("refused publishers")}
    assert refused == {"102": 401, "104": 403}
    published.wait_lamp("102", "idle")
    assert publish(own, b"", answer["sip-etag"], user="103", expires=0).status == 200


def test_a_restart_keeps_lamps_and_entity_tags(own_site: Callable[..., Site]) -> None:
    site = own_site()
    site.cli("extension", "set", "102", "--owner", "published")
    site.cli("extension", "set", "111", "--publish", "on")
    watcher = site.registered("103")
    watcher.subscribe("102")
    server = site.agent("111")
    etag = publish(server, body("early"))["sip-etag"]
    watcher.notify("early")
    etag = publish(server, body("confirmed"), etag)["sip-etag"]
    site.kill()  # right after the 200, which says that the publication is on disk
    site.start()
    watcher.notify("confirmed")
    site.wait_lamp("102", "talking")
    again = publish(server, b"", etag)
    assert (again.status, again["sip-etag"] != etag) == (200, True)
    publish(server, body("terminated"), again["sip-etag"])
    watcher.notify("terminated")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + body("early"), 400),
        (b"\x00\r\n" * 100, 400),
        (body("early", more="<local>" * 20 + "</local>" * 20), 400),
        (body("early", more="<x/>" * 2500), 400),
        (
            body(
                "early",
                more=f'<remote><identity display="&#13;&#10;Via: x">sip:{"9" * 60000}@x</identity></remote>',
            ),
            200,
        ),
    ],
)
def test_bodies(published: Site, content: bytes, status: int) -> None:
    server = published.agent("111", "tcp")
    answer = publish(server, content)
    assert answer.status == status
    if status == 200:
        assert re.fullmatch(r"[0-9a-f]{16}", answer["sip-etag"])
        publish(server, b"", answer["sip-etag"], expires=0)
    published.wait_lamp("102", "idle")


def test_the_same_call_here_and_published_counts_once(published: Site) -> None:
    server, caller = published.agent("111"), published.registered("104")
    callee = published.registered("103")
    calling = Calling.start(caller, "103", sdp(4000))
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 180, "Ringing")
    published.wait_lamp("103", "ringing")
    call_id = invite["call-id"]
    answer = publish(server, body("confirmed", "103", call_id), user="103")
    assert answer.status == 200
    row = next(row for row in published.ask("lamps") if row["extension"] == "103")
    assert [(dialog["call_id"], dialog["state"]) for dialog in row["dialogs"]] == [(call_id, "early")]
    calling.cancel()
    callee.reply(callee.wait_request("CANCEL"), 200)
    callee.reply(invite, 487, "Request Terminated")
    publish(server, b"", answer["sip-etag"], user="103", expires=0)
    published.wait_idle("103")
