"""SUBSCRIBE for Event: dialog, as phones send it, and its NOTIFYs on the wire (RFC 6665, RFC 4235)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sites import NETWORKS, Site
from wire import DEADLINE, Agent, Message

from dialog_info import DialogState, DocumentState

DIALOG_INFO = "application/dialog-info+xml"
SHAPES = {
    "Yealink": {"Accept": DIALOG_INFO, "User-Agent": "Yealink SIP-T46G 28.82.0.20", "Expires": "1800"},
    "Polycom": {
        "Accept": DIALOG_INFO,
        "User-Agent": "PolycomVVX-VVX_450-UA/5.9.0.9373",
        "Accept-Language": "en",
        "Expires": "3600",
    },
    "Grandstream": {
        "Accept": f"{DIALOG_INFO}, multipart/related, application/rlmi+xml",
        "Supported": "replaces, path, timer, eventlist",
        "User-Agent": "Grandstream GXP2170 1.0.11.3",
        "Expires": "120",
    },
    "Snom": {"Accept": DIALOG_INFO, "User-Agent": "snomD785/10.1.84.12", "Expires": "3600"},
    "no Accept": {"Expires": "600"},
}


@pytest.mark.parametrize("transport", NETWORKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_phone_subscribes(site: Site, shape: str, transport: str) -> None:
    phone = site.agent("101", transport)
    contact = f"<sip:101@{phone.address};line=gx1px7uv;transport={phone.transport}>"
    answer, notify = phone.subscribe("102", 600, Contact=contact, **SHAPES[shape])
    assert answer["expires"] == SHAPES[shape]["Expires"]
    assert answer.tag("to")
    parameter = "" if phone.transport == "udp" else f";transport={phone.transport}"
    assert answer["contact"] == f"<sip:{phone.server}{parameter}>"
    assert f"<{notify.uri}>" == contact
    assert notify["content-type"] == DIALOG_INFO
    assert notify["event"] == "dialog"
    assert notify["subscription-state"] == f"active;expires={answer['expires']}"
    assert (notify.tag("from"), notify.tag("to")) == (answer.tag("to"), answer.tag("from"))
    document = notify.document
    assert (document.version, document.state) == (0, DocumentState.FULL)
    assert document.entity == f"sip:102@{phone.server}"
    assert [dialog.state for dialog in document.dialogs] == [DialogState.TERMINATED]


def refresh(phone: Agent, first: Message, expires: int, **over: str) -> Message:
    return phone.request(
        "SUBSCRIBE",
        "102",
        body=b"",
        **{
            "From": first["from"],
            "To": first["to"],
            "Call-ID": first["call-id"],
            "Event": "dialog",
            "Expires": str(expires),
            **over,
        },
    )


def test_refresh_and_unsubscribe(site: Site) -> None:
    phone = site.agent()
    first, notify = phone.subscribe("102")
    assert refresh(phone, first, 300)["expires"] == "300"
    second = phone.wait_request("NOTIFY")
    assert second.document.version == notify.document.version + 1
    assert int(second["cseq"].split()[0]) == int(notify["cseq"].split()[0]) + 1
    assert refresh(phone, first, 0).status == 200
    last = phone.wait_request("NOTIFY")
    assert last["subscription-state"] == "terminated;reason=timeout"
    assert last.document.version == 2
    assert refresh(phone, first, 300).status == 481


def test_fetch(site: Site) -> None:
    _, notify = site.agent().subscribe("102", expires=0)
    assert notify["subscription-state"] == "terminated;reason=timeout"
    assert notify.document.version == 0


def test_event_id_comes_back(site: Site) -> None:
    _, notify = site.agent().subscribe("102", Event="dialog;id=7")
    assert notify["event"] == "dialog;id=7"


def test_compact_forms_and_folding(site: Site) -> None:
    phone = site.agent("103")
    headers = phone.headers("SUBSCRIBE", "102")
    short = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m"}
    uri = f"sip:102@{phone.server}"

    def send(more: dict[str, str]) -> Message:
        lines = {short.get(name, name): value for name, value in headers.items()}
        folded = {"o": "dialog", "Accept": f"text/plain,\r\n {DIALOG_INFO}", "Expires": "600", **more}
        phone.send(f"SUBSCRIBE {uri} SIP/2.0", {**lines, **folded})
        return phone.final(headers)

    challenge = send({})
    assert challenge.status == 401
    headers = phone.authorized(headers, "SUBSCRIBE", uri, challenge)
    assert send({}).status == 200
    phone.notify("terminated")


@pytest.mark.parametrize(
    ("to", "over", "status", "header"),
    [
        ("102", {"Expires": "10"}, 423, ("min-expires", "60")),
        ("102", {"Event": "presence"}, 489, ("allow-events", "dialog, as-feature-event")),
        ("102", {"Event": ""}, 489, ("allow-events", "dialog, as-feature-event")),
        ("102", {"Event": "message-summary"}, 489, ("allow-events", "dialog, as-feature-event")),
        ("102", {"Accept": "application/pidf+xml"}, 406, ("accept", DIALOG_INFO)),
        ("999", {}, 404, None),
        ("102", {"To": "<sip:102@127.0.0.1>;tag=unknown"}, 481, None),
        ("102", {"Contact": ""}, 400, None),
    ],
)
def test_refusals(
    site: Site, to: str, over: dict[str, str], status: int, header: tuple[str, str] | None
) -> None:
    answer = site.agent().request("SUBSCRIBE", to, body=b"", **{"Event": "dialog", "Expires": "600", **over})
    assert answer.status == status
    if header:
        assert answer[header[0]] == header[1]


def test_another_tenant_is_forbidden(site: Site) -> None:
    answer = site.agent().request(
        "SUBSCRIBE", "101", "sip:101@acme.example", To="<sip:101@acme.example>", Event="dialog"
    )
    assert answer.status == 403


def test_the_notify_goes_to_the_source_whatever_the_contact_says(site: Site) -> None:
    phone = site.agent()
    _, notify = phone.subscribe("102", Contact="<sip:101@10.1.1.1:5999;line=7>")
    assert notify.uri == "sip:101@10.1.1.1:5999;line=7"


def test_a_lost_notify_is_sent_again_and_only_one_is_in_flight(site: Site) -> None:
    phone = site.agent("104")
    phone.auto_answer, phone.takes_repeats = False, True
    first, notify = phone.subscribe("105")
    again = phone.wait_request("NOTIFY")
    assert (again["cseq"], again["via"], again.body) == (notify["cseq"], notify["via"], notify.body)
    refresh(phone, first, 600, To=first["to"])
    assert phone.silent(lambda m: m.method == "NOTIFY" and m["cseq"] != notify["cseq"])
    phone.reply(again, 200)
    newer = phone.wait(lambda m: m.method == "NOTIFY" and m["cseq"] != notify["cseq"])
    assert newer.document.version == 1
    phone.reply(newer, 202, "Accepted")


@pytest.mark.parametrize("status", [481, 404, 489])
def test_an_answer_that_ends_the_subscription(site: Site, status: int) -> None:
    phone = site.agent("106")
    phone.auto_answer = False
    first, notify = phone.subscribe("105")
    phone.reply(notify, status, "Gone")
    answer = refresh(phone, first, 600)
    assert answer.status == 481


def test_expiry_is_told(own_site: Callable[..., Site]) -> None:
    site = own_site(config="[sip]\nsubscribe_min_expires = 1\n")
    phone = site.agent()
    phone.subscribe("102", expires=1)
    last = phone.wait(lambda m: m.method == "NOTIFY" and "terminated" in m["subscription-state"])
    assert last["subscription-state"] == "terminated;reason=timeout"


def test_a_retransmitted_subscribe_gets_the_same_answer(site: Site) -> None:
    phone = site.agent("107")
    first, _ = phone.subscribe("102")
    phone.takes_repeats = True
    phone.send(f"SUBSCRIBE sip:102@{phone.server} SIP/2.0", phone.sent)
    again = phone.final(phone.sent)
    assert (again.status, again.tag("to")) == (200, first.tag("to"))
    assert phone.silent(lambda m: m.method == "NOTIFY")


def test_drain_tells_the_watchers(own_site: Callable[..., Site]) -> None:
    site = own_site("--drain")
    phone = site.agent()
    phone.subscribe("102")
    site.server.process.terminate()
    last = phone.wait_request("NOTIFY")
    assert last["subscription-state"] == "terminated;reason=deactivated"
    assert site.server.process.wait(DEADLINE) == 0


def test_a_removed_extension_is_told(site: Site) -> None:
    site.cli("extension", "add", "777", "--password", "x")
    phone = site.agent()
    phone.subscribe("777")
    site.cli("extension", "remove", "777", "--yes")
    last = phone.wait_request("NOTIFY")
    assert last["subscription-state"] == "terminated;reason=noresource"


def test_the_way_back_is_the_record_route(site: Site) -> None:
    phone = site.agent()
    route = "<sip:192.0.2.77;lr>"
    _, notify = phone.subscribe("102", Record_Route=route)
    assert notify["route"] == route


def test_the_command_line_shows_the_watcher(site: Site) -> None:
    phone = site.agent("108")
    phone.subscribe("109")
    site.wait_watched("109")
    assert re.search(r"108 .*109 .*told", site.cli("watchers"))
