"""Forwarding and do not disturb with phones: what each is sent on the wire, and what lamps show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from calls import Calling, audio_port, direction, hang_up, sdp
from sites import Site
from wire import Agent, Message

from blfd.control import ControlClient, socket_path
from blfd.core.directory import DndLamp, Forwarding, Whose
from blfd.core.values import Aor
from blfd.devices.phones import Phones
from blfd.devices.values import Place
from blfd.operations import Desk, extensions, tenants
from blfd.store import Store

NOTHING = {name: getattr(Forwarding(), field) for name, field in extensions.FORWARDING.items()}
Set = Callable[..., None]


def desk(site: Site) -> Desk:
    """The desk of an administrator, in this process, which saves half a second for each command."""
    store, client = Store(site.database), ControlClient(socket_path(site.database))
    return Desk(store, client, Phones(store, lambda: Place("127.0.0.1", {}, "")), "test")


@pytest.fixture
def rules(site: Site) -> Iterator[Set]:
    """A function that sets where an extension's calls go; after the test they go to its phones again."""
    touched: set[str] = set()

    def set_(extension: str, **forwarding: object) -> None:
        touched.add(extension)
        if not forwarding:
            return
        extensions.change(desk(site), "default", extension, forwarding=forwarding)

    yield set_
    for extension in touched:
        set_(extension, **NOTHING)
    tenants.change(
        desk(site), "default", redirect=Whose.ALL, decline=Whose.ALL, dnd_lamp=DndLamp.BUSY, pickable=True
    )


def answered(calling: Calling, phone: Agent, invite: Message) -> None:
    """Have the phone answer, and check that the caller talks with it."""
    phone.reply(invite, 200, "OK", sdp(5005), Content_Type="application/sdp")
    answer = calling.final()
    assert (answer.status, audio_port(answer)) == (200, 5005)
    assert f"<sip:{phone.user}@" in answer["p-asserted-identity"]
    dialog = calling.acknowledge(answer)
    phone.wait_request("ACK")
    hang_up(dialog, phone)


def test_a_call_that_nobody_answers_goes_on_with_its_lamps(site: Site, rules: Set) -> None:
    rules("102", forward_no_answer="105", forward_after=1)
    caller, phone, other = site.agent("101"), site.registered("102"), site.registered("105")
    keys = site.agent("103")
    keys.subscribe("102")
    keys.subscribe("105")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = phone.wait_request("INVITE")
    phone.reply(invite, 180, "Ringing")
    keys.notify("early")
    assert not invite.all("diversion")
    phone.reply(phone.wait_request("CANCEL"), 200)
    phone.reply(invite, 487, "Request Terminated")
    phone.wait_request("ACK")
    again = other.wait_request("INVITE")
    assert again["diversion"].endswith(";reason=no-answer")
    assert "<sip:102@" in again["diversion"]
    assert [value.partition("index=")[2] for value in again.all("history-info")] == ["1", "1.1;mp=1"]
    assert again["p-asserted-identity"].startswith('"Name 101" <sip:101@'), "who calls is who calls"
    assert "105" in calling.provisional(181)["p-asserted-identity"]
    other.reply(again, 180, "Ringing")
    keys.wait(lambda m: m.method == "NOTIFY" and ":102@" in m.document.entity and b"terminated" in m.body)
    keys.wait(lambda m: m.method == "NOTIFY" and ":105@" in m.document.entity and b"early" in m.body)
    answered(calling, other, again)


@pytest.mark.parametrize(
    ("forwarding", "status", "reason"),
    [
        ({"forward_always": "105"}, 0, "unconditional"),
        ({"dnd": True, "forward_busy": "105"}, 0, "do-not-disturb"),
        ({"forward_busy": "105"}, 486, "user-busy"),
        ({"forward_busy": "105"}, 603, "user-busy"),
    ],
)
def test_a_rule_leads_to_another_phone(
    site: Site, rules: Set, forwarding: dict[str, object], status: int, reason: str
) -> None:
    rules("102", **forwarding)
    caller, phone, other = site.agent("101"), site.registered("102"), site.registered("105")
    calling = Calling.start(caller, "102", sdp(4000))
    if status:
        invite = phone.wait_request("INVITE")
        phone.reply(invite, status, "No")
        phone.wait_request("ACK")
    again = other.wait_request("INVITE")
    assert again["diversion"].endswith(f";reason={reason}")
    answered(calling, other, again)


YEALINK = {
    "Contact": "<sip:105@{server};user=phone>",
    "Diversion": '"Bob" <sip:102@{server}>;reason="unconditional"',
    "User_Agent": "Yealink SIP-T46G 28.82.0.20",
}
POLYCOM = {
    "Contact": '"105" <sip:105@{server}:5060>;q=0.5, <sip:999@{server}>;q=0.9',
    "User_Agent": "PolycomVVX-VVX_450-UA/5.9.0.9373",
}


@pytest.mark.parametrize(
    ("rings", "said", "reason"), [(False, YEALINK, "unconditional"), (True, POLYCOM, "deflection")]
)
def test_a_phones_302_is_followed(site: Site, rings: bool, said: dict[str, str], reason: str) -> None:
    caller, phone, other = site.agent("101"), site.registered("102"), site.registered("105")
    calling = Calling.start(caller, "102", sdp(4000))
    invite = phone.wait_request("INVITE")
    if rings:
        phone.reply(invite, 180, "Ringing")
    host = phone.server.partition(":")[0]
    phone.reply(invite, 302, "Moved Temporarily", b"", **{k: v.format(server=host) for k, v in said.items()})
    phone.wait_request("ACK")
    again = other.wait_request("INVITE")
    assert again["diversion"].endswith(f";reason={reason}")
    assert again.uri.startswith("sip:105@")
    other.reply(again, 180, "Ringing")
    site.wait_lamp("105", "ringing")
    site.wait_idle("102")
    answered(calling, other, again)


def test_a_302_to_nowhere_is_told_truly(site: Site) -> None:
    caller, phone = site.agent("101"), site.registered("102")
    for contact, words in (
        ("<sip:+493012345@sip.example>", "102 forwards its calls to +493012345, which is no extension here"),
        ("<sip:102@127.0.0.1>", "Calls of 102 go in a circle: 102, 102"),
        ("<sip:101@127.0.0.1>", "102 forwards its calls to 101, who calls"),
        ("<>", "102 has forwarded its calls and not said where"),
    ):
        calling = Calling.start(caller, "102", sdp(4000))
        phone.reply(phone.wait_request("INVITE"), 302, "Moved Temporarily", Contact=contact)
        phone.wait_request("ACK")
        assert calling.refused().start == f"SIP/2.0 480 {words}"
    site.wait_no_call()


def test_a_forwarded_call_is_picked_up_where_it_rings(site: Site, rules: Set) -> None:
    rules("101", forward_always="102")
    caller, phone, picker = site.agent("105"), site.registered("102"), site.agent("103")
    for code in ("*97102", "*98"):
        calling = Calling.start(caller, "101", sdp(4000))
        invite = phone.wait_request("INVITE")
        phone.reply(invite, 180, "Ringing")
        site.wait_lamp("102", "ringing")
        picking = Calling.start(picker, code, sdp(6000))
        answer = picking.final()
        assert answer["p-asserted-identity"].startswith('"Name 105" <sip:105@')
        talks = picking.acknowledge(answer)
        calling.acknowledge(calling.final())
        cancel = phone.wait_request("CANCEL")
        assert "completed elsewhere" in cancel["reason"]
        phone.reply(cancel, 200)
        phone.reply(invite, 487, "Request Terminated")
        phone.wait_request("ACK")
        caller.take_all()
        assert talks.request("BYE").status == 200
        caller.reply(caller.wait_request("BYE"), 200)
        site.wait_no_call()


def test_do_not_disturb_refuses_and_shows_busy_and_outlives_a_restart(own_site: Callable[..., Site]) -> None:
    site = own_site()
    site.cli("extension", "set", "102", "--dnd", "on", "--forward-no-answer", "105")
    keys, phone = site.registered("103"), site.registered("102")
    for _ in ("before", "after"):
        notify = keys.subscribe("102")[1]
        (dialog,) = notify.document.dialogs
        assert (dialog.id, dialog.state.value) == ("dnd", "confirmed")
        assert (dialog.call_id, dialog.local_tag, dialog.direction) == (None, None, None)
        calling = Calling.start(site.agent("101"), "102", sdp(4000))
        assert calling.refused().start == "SIP/2.0 480 102 does not want to be disturbed"
        picking = Calling.start(site.agent("104"), "*97102", sdp(4000))
        assert picking.refused().status == 480
        (row,) = [row for row in site.shown("lamps") if row["extension"] == "102"]
        assert row["lamp"] == "do not disturb"
        shown = site.cli("explain", "102")
        assert "What it has set for its calls: do not disturb, no answer for 20 s: 105" in shown
        if _ == "before":
            site.kill()
            site.start()
    outgoing = Calling.start(phone, "103", sdp(4000))
    keys.reply(keys.wait_request("INVITE"), 486, "Busy Here")
    assert outgoing.refused().status == 486
    keys.received.clear()
    site.cli("extension", "set", "102", "--dnd", "off")
    keys.notify("terminated")


# Codes


def dialled(site: Site, agent: Agent, code: str, offer: bytes = b"") -> tuple[Message, Message]:
    """Dial a code, and return the answer, and the BYE that follows."""
    calling = Calling.start(agent, code, offer)
    answer = calling.final()
    assert (answer.status, direction(answer)) == (200, "inactive"), answer.start
    calling.acknowledge(answer, b"" if offer else sdp(4000, "inactive", "0"))
    bye = agent.wait_request("BYE")
    agent.reply(bye, 200)
    site.wait_no_call()
    return answer, bye


def test_a_phone_sets_its_rules_by_codes(site: Site, rules: Set) -> None:
    rules("104")  # rules that the codes set end with the test
    agent, keys, caller, other = (
        site.agent("104"),
        site.agent("103"),
        site.agent("101"),
        site.registered("105"),
    )
    keys.subscribe("104")
    answer, bye = dialled(site, agent, "*78", sdp(4000))
    host = agent.server
    assert answer["p-asserted-identity"] == f'"Do not disturb is on" <sip:*78@{host}>'
    assert bye["reason"] == 'SIP;cause=200;text="Do not disturb is on"'
    assert keys.notify("confirmed").document.dialogs[0].id == "dnd"
    assert Calling.start(caller, "104", sdp(4000)).refused().status == 480
    assert "Calls go to 105 when busy" in dialled(site, agent, "*90105")[0]["p-asserted-identity"]
    calling = Calling.start(caller, "104", sdp(4000))
    again = other.wait_request("INVITE")
    assert again["diversion"].endswith(";reason=do-not-disturb")
    answered(calling, other, again)
    assert "is off" in dialled(site, agent, "*79", sdp(4000))[0]["p-asserted-identity"]
    keys.notify("terminated")
    change = Store(site.database).audit.changes("default")[0]
    assert (change.who, change.operation, change.subject) == ("104 (its phone)", "extension.change", "104")
    assert "busy: 105" in site.cli("explain", "104")


@pytest.mark.parametrize(
    ("code", "start"),
    [
        ("*72", "484 Dial *72 and the extension"),
        ("*72999", "404 999 does not exist"),
        ("*72104", "403 Calls of 104 cannot be forwarded to itself"),
        ("*72101", "403 calls would go in a circle: 104 to 101 to 104"),
    ],
)
def test_a_code_that_leads_nowhere_says_why(site: Site, rules: Set, code: str, start: str) -> None:
    rules("101", forward_always="104")
    assert Calling.start(site.agent("104"), code, sdp(4000)).refused().start == f"SIP/2.0 {start}"
    assert Store(site.database).extensions.get(Aor("default", "104")).forwarding == Forwarding()


# Phones' own keys

FEATURES = {"Event": "as-feature-event", "Accept": "application/x-as-feature-event+xml"}
DND = (
    b'<?xml version="1.0" encoding="ISO-8859-1"?>\n<SetDoNotDisturb xmlns="http://www.ecma-international.org/'
    b'standards/ecma-323/csta/ed3">\n<device></device>\n<doNotDisturbOn>true</doNotDisturbOn>\n</SetDoNotDisturb>'
)


def forwards(notify: Message) -> dict[str, str]:
    """Where a NOTIFY says that calls go, by kind."""
    assert (notify["event"], notify["content-type"].partition(";")[0]) == (
        "as-feature-event",
        "multipart/mixed",
    )
    found = re.findall(rb"<forwardingType>(\w+)</.*?<forwardTo>(.*?)</", notify.body, re.S)
    on = re.search(rb"<doNotDisturbOn>(\w+)<", notify.body)
    assert on
    return {"dnd": on[1].decode(), **{kind.decode(): to.decode() for kind, to in found}}


def test_a_phones_keys_and_the_rules_follow_each_other(site: Site, rules: Set) -> None:
    rules("104", forward_busy="105")
    phones = [site.registered("104"), site.agent("104")]
    answers = [phone.request("SUBSCRIBE", "104", body=b"", Expires="600", **FEATURES) for phone in phones]
    ids = [{"To": answer["to"], "From": answer["from"], "Call_ID": answer["call-id"]} for answer in answers]
    nowhere = {"forwardImmediate": "", "forwardNoAns": ""}
    for phone in phones:
        told = forwards(phone.wait_request("NOTIFY"))
        assert told == {"dnd": "false", "forwardBusy": "105", **nowhere}
    key = {**FEATURES, **ids[0], "Content_Type": "application/x-as-feature-event+xml"}
    assert phones[0].request("SUBSCRIBE", "104", body=DND, **key).status == 200
    for phone in phones:
        assert forwards(phone.wait_request("NOTIFY"))["dnd"] == "true"
    site.wait_lamp("104", "do not disturb")
    assert Store(site.database).audit.changes("default")[0].who == "104 (its phone)"
    refused = phones[0].request("SUBSCRIBE", "104", body=DND[:-1], **key)
    assert refused.start == "SIP/2.0 400 What is to be set cannot be read"
    foreign = site.agent("103").request("SUBSCRIBE", "104", body=b"", Expires="600", **FEATURES)
    assert foreign.start == "SIP/2.0 403 Another extension's rules"
    for phone in phones:
        phone.take_all()
        phone.received.clear()
    rules("104", dnd=False, forward_always="103")
    for phone, its in zip(phones, ids, strict=True):
        assert forwards(phone.wait_request("NOTIFY")) == {
            "dnd": "false",
            "forwardImmediate": "103",
            "forwardBusy": "105",
            "forwardNoAns": "",
        }
        assert phone.request("SUBSCRIBE", "104", body=b"", Expires="0", **FEATURES, **its).status == 200
