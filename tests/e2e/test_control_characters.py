"""Whatever octets peers write anywhere, each frame is one message, and each line of the log one record."""

from __future__ import annotations

import re
import select
from collections.abc import Iterable, Iterator

import pytest
from calls import Calling, connect, sdp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sites import Site
from wire import DEADLINE, Agent, Message

RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [^\x00-\x1f\x7f-\x9f\u2028\u202e]*")
NASTY = st.sampled_from((*b'\r\n\0\t\x1b\x7f\x01\x85\xff"\\;,<>@:%?&=[] ', *map(ord, "aA1*")))
BREAKING_OUT = st.just(b"\r\nBYE sip:x SIP/2.0\r\n\r\n")
OCTETS = st.lists(NASTY, max_size=12).map(bytes) | st.binary(max_size=40) | BREAKING_OUT
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def escaped(octets: bytes) -> str:
    """The octets as a user part can have them, escaped."""
    return "".join(f"%{octet:02x}" for octet in octets) or "x"


def raw(octets: bytes) -> bytes:
    """The octets that a header field can carry: all but those that end its line."""
    return octets.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")


def without_controls(octets: bytes) -> str:
    """A text of the octets that a sound message can have anywhere."""
    return re.sub(r"[\x00-\x1f\x7f]", "?", octets.decode("latin-1")) or "x"


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), "--trust", "127.0.0.0/8")
    yield site
    Calling.trusted(site.agent(), "999").refused()
    log = site.server.log.read_text()
    site.stop()
    assert "does not exist" in log, "what was dialled is in the log"
    for line in log.splitlines():
        assert line.startswith("ready ") or RECORD.fullmatch(line), repr(line)


def round_trip(agent: Agent) -> None:
    """Wait until all earlier requests are answered."""
    assert agent.request("OPTIONS", "101").status == 200
    agent.received.clear()


FIELDS = (
    *("Event", "User-Agent", "Call-ID", "Reason", "Replaces", "Subject", "From", "Accept", "Require"),
    *("P-Asserted-Identity", "P-Preferred-Identity", "Privacy", "Alert-Info", "Diversion", "User-to-User"),
    *(
        "To",
        "Contact",
        "CSeq",
        "Max-Forwards",
        "Record-Route",
        "Refer-To",
        "Referred-By",
        "Supported",
        "Allow",
    ),
    *(
        "Subscription-State",
        "SIP-If-Match",
        "Authorization",
        "Content-Type",
        "Session-Expires",
        "History-Info",
    ),
)
METHODS = (
    *("INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "OPTIONS", "REGISTER", "SUBSCRIBE"),
    *("NOTIFY", "PUBLISH", "MESSAGE", "REFER", "FOO"),
)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_requests(site: Site, transport: str) -> None:
    """Send any octets in each field, with a request of every kind; the fixtures check what comes of it."""
    agent = site.agent("101", transport)

    @QUICK
    @given(
        st.lists(OCTETS, min_size=4, max_size=4),
        st.sampled_from(FIELDS),
        st.sampled_from(("", "*97", "*98")),
    )
    def send_all(octets: list[bytes], field: str, code: str) -> None:
        for method in METHODS:
            send(method, octets, field, code)
        round_trip(agent)

    def send(method: str, octets: list[bytes], field: str, code: str) -> None:
        user, display, value, tag = octets
        headers = agent.headers(method, code + escaped(user))
        who = "101" if len(tag) % 4 else escaped(tag)
        headers["From"] = f'"{escaped(display)}" <sip:{who}@{agent.server}>;tag=t'
        headers.setdefault("Event", "dialog")
        lines = [f"{name}: {text}".encode() for name, text in headers.items() if name != field]
        shown = (
            b'"' + raw(value) + b'" <sip:101@x>;tag=y' if field in ("From", "To", "Contact") else raw(value)
        )
        lines.append(field.encode() + b": " + shown)
        body = sdp(4000).replace(b"s=-", b"s=" + raw(display)) if method == "INVITE" else b""
        lines += [b"Content-Type: application/sdp"] if body else []
        start = f"{method} sip:{code}{escaped(user)}@{agent.server} SIP/2.0".encode()
        agent.send_raw(b"\r\n".join([start, *lines, b"Content-Length: %d" % len(body), b"", body]))

    send_all()


def said_of(message: Message, names: Iterable[str]) -> dict[str, str]:
    return {name: message[name.replace("_", "-")] for name in names}


def test_what_goes_from_phone_to_phone(site: Site) -> None:
    """Names, reasons and header fields of one phone come in messages to the others, and in lamps."""
    caller, callee, watcher = site.registered("101"), site.registered("102"), site.agent("103")
    watcher.subscribe("102")

    @QUICK
    @given(st.lists(OCTETS, min_size=4, max_size=4), st.sampled_from((180, 183, 199)))
    def call(octets: list[bytes], status: int) -> None:
        display, reason, subject, phrase = (without_controls(each) for each in octets)
        quoted = display.replace("\\", "\\\\").replace('"', '\\"')
        shown = f'"{quoted}" <sip:101@{caller.server}>;tag=t'
        more = {"Subject": subject, "Alert_Info": display, "User_to_User": phrase}
        calling = Calling.trusted(caller, "102", sdp(4000), From=shown, Call_Info=reason, **more)
        invite = callee.wait_request("INVITE")
        assert said_of(invite, more) == {name: value.strip() for name, value in more.items()}
        callee.reply(invite, status, reason, Alert_Info=subject)
        callee.reply(invite, 486, phrase, Warning=f'399 x "{quoted}"', Reason=subject)
        assert calling.refused().status in (486, 400)
        watcher.take_all()
        for agent in (caller, callee, watcher):
            agent.received.clear()

    call()


def test_inside_a_call(site: Site) -> None:
    caller, callee = site.registered("104"), site.registered("105")
    dialog, _ = connect(caller, callee, is_trusted=True)

    @QUICK
    @given(st.sampled_from(("INFO", "MESSAGE", "OPTIONS", "REFER", "UPDATE")), st.binary(), OCTETS)
    def send(method: str, body: bytes, kind: bytes) -> None:
        text = re.sub(r"[^!-~]", "", raw(kind).decode("latin-1")) or "x"
        named = f"<sip:{escaped(kind)}@{caller.server}?Replaces={escaped(body)}>"
        more = {"Refer_To": named, "Referred_By": text} if method == "REFER" else {}
        headers = dialog.send(method, body, f"text/{text}", **more)
        while not any(m.status >= 200 and m["cseq"] == headers["CSeq"] for m in caller.received):
            assert select.select([caller.socket, callee.socket], [], [], DEADLINE)[0], headers
            caller.take_all()
            callee.take_all()
            for info in [m for m in callee.received if m.method == "INFO"]:
                callee.reply(info, 200, "OK", body, Content_Type="text/plain")
        caller.received.clear()
        callee.received.clear()

    send()
    assert dialog.request("BYE").status == 200
    callee.reply(callee.wait_request("BYE"), 200)
