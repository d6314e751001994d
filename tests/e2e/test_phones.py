"""PJSUA2 phones call each other; a third one shows their lamps from its NOTIFYs."""

from __future__ import annotations

import pytest
from sites import LOSSY, Site

from blfd.demo.simulation import PhoneProcess
from dialog_info import DialogInfo, DialogState, parse


def lamp(watcher: PhoneProcess, extension: str, word: str) -> DialogInfo:
    """Wait until the key of an extension shows `word`, and return the document that says so."""
    return parse(watcher.wait_lamp(extension, word)["document"].encode())


def ids(document: DialogInfo) -> tuple[str | None, ...]:
    (dialog,) = document.dialogs
    return dialog.id, dialog.call_id, dialog.local_tag, dialog.remote_tag


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", LOSSY])
def test_a_call_with_hold(site: Site, transport: str) -> None:
    alice, bob = site.phone("101", transport=transport), site.phone("102", transport=transport)
    carol = site.phone("103", watch="102", transport=transport)
    lamp(carol, "102", "idle")
    alice.do("call", to="102")
    incoming = bob.wait("incoming")
    assert incoming["identity"].startswith('"Name 101" <sip:101@127.0.0.1')
    ringing = lamp(carol, "102", "ringing")
    bob.do("answer")
    for phone in (alice, bob):
        phone.wait_call("confirmed")
    talking = lamp(carol, "102", "talking")
    assert ids(talking) == ids(ringing)
    bob.do("hold")
    alice.wait("media", lambda event: event["state"] == "held by them")
    held = lamp(carol, "102", "held")
    assert ids(held) == ids(ringing)
    bob.do("unhold")
    alice.wait("media", lambda event: event["state"] == "active")
    lamp(carol, "102", "talking")
    alice.do("info", body="Signal=1\r\nDuration=160\r\n")
    alice.do("hangup")
    assert bob.wait_call("disconnected")["code"] == 200
    idle = lamp(carol, "102", "idle")
    assert ids(idle) == ids(ringing)
    assert idle.dialogs[0].state is DialogState.TERMINATED
    versions = [event["version"] for event in carol.events if event["event"] == "lamp"]
    assert versions == sorted(set(versions))
    if transport != LOSSY:  # over LOSSY, changes may be told as one
        assert versions == list(range(len(versions)))


@pytest.mark.parametrize("transport", ["udp", LOSSY])
def test_busy(site: Site, transport: str) -> None:
    alice, bob = site.phone("101", transport=transport), site.phone("102", transport=transport)
    carol = site.phone("103", watch="101,102", transport=transport)
    for extension in ("101", "102"):
        carol.wait_lamp(extension, "idle")
    for told in ("idle", "ringing"):  # changes that come sooner are told as one
        site.wait_lamp("102", told)
        for extension in ("101", "102"):
            site.wait_watched(extension)
        if told == "idle":
            alice.do("call", to="102")
            bob.wait("incoming")
    bob.do("answer", code=486)
    assert alice.wait_call("disconnected")["code"] == 486
    lamps = {"101": ["trying", "idle"], "102": ["ringing", "idle"]}
    seen: dict[str, list[str]] = {"101": [], "102": []}
    while seen != lamps:
        event = carol.wait("lamp")
        seen[event["entity"][4:7]].append(event["lamp"])
        assert all(lamps[key][: len(words)] == words for key, words in seen.items()), seen


@pytest.mark.parametrize("transport", ["udp", LOSSY])
def test_a_phone_that_is_switched_off_in_a_call(site: Site, transport: str) -> None:
    """The phone's TCP connection closes; the other phone hangs up, and every lamp goes out."""
    alice, bob = site.phone("101", transport=transport), site.phone("102", transport="tcp")
    carol = site.phone("103", watch="102", transport=transport)
    lamp(carol, "102", "idle")
    alice.do("call", to="102")
    bob.wait("incoming")
    bob.do("answer")
    lamp(carol, "102", "talking")
    bob.process.kill()
    bob.process.wait()
    alice.do("hangup")
    assert alice.wait_call("disconnected")["code"] == 200
    lamp(carol, "102", "idle")
