"""Upstreams end to end: lamps of Kamailio, and of a raw agent that is hostile, are shown as ours."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from calls import Calling, sdp
from ports import free_port
from proxies import PATIENCE, Kamailio
from sites import Site
from wire import Agent, Message, proved

TABLES = Path("/usr/share/kamailio/dbtext/kamailio")
CONFIG = Path(__file__).parent / "kamailio" / "pbx.cfg"
DIALOG_INFO = "application/dialog-info+xml"


def body(state: str, version: int = 0, call: str = "c1") -> bytes:
    return (
        f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="full" '
        f'entity="sip:102@pbx"><dialog id="{call}" call-id="{call}" direction="recipient"><state>{state}'
        f"</state><remote><identity>sip:777@pbx</identity></remote></dialog></dialog-info>"
    ).encode()


def related(document: bytes) -> bytes:
    """A document as the only resource of a list (RFC 4662)."""
    index = (
        b'<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:front@pbx" version="0" fullState="true">'
        b'<resource uri="sip:102@pbx"><instance id="i" state="active" cid="d@pbx"/></resource></list>'
    )
    head = b"--b\r\nContent-ID: <%b@pbx>\r\nContent-Type: application/%b+xml\r\n\r\n%b\r\n"
    return head % (b"l", b"rlmi", index) + head % (b"d", b"dialog-info", document) + b"--b--\r\n"


class Pbx:
    """A PBX that is a raw agent, which blfd asks for the lamp of 102."""

    def __init__(self, site: Site, host: str = "127.0.0.8") -> None:
        self.site = site
        self.agent = Agent(site.server.address(), "pbx", host=host)
        self.version = 0
        site.cli(
            *("upstream", "add", "pbx", "--server", self.agent.address, "--extensions", "102"),
            *("--username", "blfd", "--password", "s3cret", "--ping", "0"),
        )

    def asked(self) -> Message:
        return self.agent.wait_request("SUBSCRIBE")

    def challenge(self, subscribe: Message, nonce: str) -> Message:
        asks = f'Digest realm="pbx", nonce="{nonce}", algorithm=SHA-256, qop="auth"'
        self.agent.reply(subscribe, 401, "Who are you", WWW_Authenticate=asks)
        return self.asked()

    def accept(self, subscribe: Message) -> None:
        self.agent.reply(subscribe, 200, Expires="600")

    def notify(
        self, of: Message, content: bytes, agent: Agent | None = None, state: str = "active", **over: str
    ) -> Message:
        """Send a NOTIFY in the dialog that a SUBSCRIBE has made, and return the response."""
        sender = agent or self.agent
        self.version += 1
        contact = of["contact"].strip("<>")
        headers = sender.headers(
            "NOTIFY",
            "blfd",
            **{
                "From": f"{of['to']};tag={id(self.agent)}",
                "To": of["from"],
                "Call_ID": of["call-id"],
                "CSeq": f"{self.version} NOTIFY",
                "Event": "dialog",
                "Subscription_State": state,
                "Content_Type": DIALOG_INFO if content else "",
                **over,
            },
        )
        sender.send(f"NOTIFY {contact} SIP/2.0", headers, content)
        return sender.final(headers)


@pytest.fixture
def pbx(own_site: Callable[..., Site]) -> Iterator[Pbx]:
    one = Pbx(own_site())
    yield one
    one.agent.close()


def test_a_pbx_is_believed_and_nobody_else(pbx: Pbx) -> None:
    """The PBX asks for a password, and sends NOTIFYs before the 200, unreadable ones, and an end."""
    site = pbx.site
    watcher = site.registered("103")
    watcher.subscribe("102")
    site.wait_lamp("102", "unknown")
    again = pbx.challenge(pbx.asked(), "n1")
    assert proved(again, "authorization", "blfd", "s3cret")
    assert pbx.notify(again, body("early")).status == 200
    assert watcher.notify("early").document.dialogs[0].call_id == "c1"
    pbx.accept(again)
    site.wait_upstream("pbx", state="all its lamps are known")
    assert "told " in site.cli("explain", "102")

    forger = Agent(site.server.address(), "forger", host="127.0.0.9")
    assert pbx.notify(again, body("terminated"), forger).status == 481
    assert pbx.notify(again, body("terminated"), Call_ID="guessed").status == 481
    forger.close()
    site.wait_log("127.0.0.9, which is none of its servers, tells of 102: refused")
    assert site.ask("status")["stray_notifies"] == 2
    site.wait_lamp("102", "ringing")

    assert pbx.notify(again, b"\x00" * 60_000).status == 400
    site.wait_lamp("102", "unknown")
    assert "cannot be read" in site.cli("upstream", "show", "pbx")
    refresh = pbx.asked()
    assert refresh.tag("to"), "in the same dialog: for what is full"
    pbx.accept(refresh)
    assert pbx.notify(again, body("confirmed")).status == 200
    watcher.notify("confirmed")

    site.kill()
    site.start()
    anew = pbx.asked()
    assert (anew["call-id"] != again["call-id"], anew.tag("to")) == (True, "")
    assert pbx.notify(again, body("terminated")).status == 481, "the dialog of before"
    pbx.accept(anew)
    pbx.version = 0
    assert pbx.notify(anew, body("confirmed")).status == 200
    site.wait_lamp("102", "talking")
    assert pbx.notify(anew, b"", state="terminated;reason=noresource").status == 200
    site.wait_lamp("102", "unknown")
    assert "noresource" in site.cli("explain", "102")

    site.cli("upstream", "set", "pbx", "--list", "front")
    of_list = pbx.asked()
    assert (of_list.uri.startswith("sip:front@"), of_list["supported"]) == (True, "eventlist")
    pbx.accept(of_list)
    pbx.version = 0
    kind = 'multipart/related;type="application/rlmi+xml";boundary=b'
    told = pbx.notify(of_list, related(body("early")), Content_Type=kind, Require="eventlist")
    assert told.status == 200
    site.wait_lamp("102", "ringing")


class KamailioPbx(Kamailio):
    """A Kamailio with presence, which blfd watches over TCP."""

    def __init__(self, site: Site, folder: Path) -> None:
        super().__init__(folder)
        self.address = f"127.0.0.12:{free_port()}"  # nobody else takes this address while Kamailio is down
        self.site = site
        self.start()

    def start(self) -> None:
        """Start Kamailio, which knows nobody, as after a crash."""
        shutil.rmtree(self.folder / "tables", ignore_errors=True)
        shutil.copytree(TABLES, self.folder / "tables")
        config = CONFIG.read_text().replace("@PBX@", self.address)
        probe = Agent(self.address, "probe")

        def answers() -> bool:
            with contextlib.suppress(AssertionError):
                asked = probe.headers("OPTIONS", "x")
                probe.send(f"OPTIONS sip:{self.address} SIP/2.0", asked)
                return probe.final(asked, 0.2).status == 200
            return False

        try:
            self.run(config.replace("@TABLES@", str(self.folder / "tables")), 64, answers)
        finally:
            probe.close()

    def phone(self, user: str) -> Agent:
        agent = Agent(self.address, user)
        self.site.agents.append(agent)
        assert agent.register().status == 200
        return agent


@pytest.fixture
def kamailio(own_site: Callable[..., Site], tmp_path: Path) -> Iterator[KamailioPbx]:
    one = KamailioPbx(own_site(), tmp_path)
    yield one
    one.stop()


def test_the_lamps_of_kamailio(kamailio: KamailioPbx) -> None:
    """A call there is shown here, and so is the next one after Kamailio has started anew."""
    site = kamailio.site
    a, b, watcher, before = watched_call(kamailio, "--transport", "tcp", "--ping", "0")
    kamailio.stop()
    kamailio.start()
    a, b = kamailio.phone("101"), kamailio.phone("102")
    wait_anew(site, before)
    call(site, a, b, watcher)


def test_a_pbx_that_goes_silent(kamailio: KamailioPbx) -> None:
    """The commands say so, lamps show what was told last, and all is told anew when it is there again."""
    site = kamailio.site
    a, b, watcher, before = watched_call(kamailio, "--ping", "5")
    with kamailio.frozen():
        site.wait(lambda: not _row(site)["usable"], lambda: _row(site))
        assert "is down" in site.server.log.read_text()
        site.wait_lamp("102", "idle")
    site.wait(lambda: _row(site)["usable"], lambda: _row(site))
    assert {row["extension"] for row in site.ask("upstream lamps") if row["told"]} == set(before)
    call(site, a, b, watcher)


def _row(site: Site) -> dict[str, object]:
    (row,) = (one for one in site.ask("upstreams") if one["name"] == "kamailio")
    found: dict[str, object] = row
    return found


def watched_call(kamailio: KamailioPbx, *options: str) -> tuple[Agent, Agent, Agent, dict[str, str]]:
    """Have Kamailio as an upstream, where a first call is seen: its two phones, who watches the second one of
    them here, and each lamp's dialog."""
    site = kamailio.site
    a, b = kamailio.phone("101"), kamailio.phone("102")
    site.cli(
        *("upstream", "add", "kamailio", "--server", kamailio.address, *options),
        *("--extensions", "10X", "--username", "blfd", "--password", "s3cret"),
    )
    site.wait_upstream("kamailio", known=9)
    watcher = site.registered("110")
    watcher.subscribe("102")
    call(site, a, b, watcher)
    return a, b, watcher, {row["extension"]: row["dialog"] for row in site.ask("upstream lamps")}


def call(site: Site, a: Agent, b: Agent, watcher: Agent) -> None:
    """Check that a call rings, and is given up."""
    calling = Calling.trusted(a, b.user, sdp(4000))
    invite = b.wait_request("INVITE")
    b.reply(invite, 180, "Ringing")
    assert watcher.notify("early").document.dialogs[0].call_id == invite["call-id"]
    calling.cancel()
    b.reply(b.wait_request("CANCEL"), 200)
    b.reply(invite, 487, "Request Terminated")
    calling.refused()
    watcher.notify("terminated")
    site.wait_idle(b.user)


def wait_anew(site: Site, before: dict[str, str]) -> None:
    """Wait until each lamp is told of in a new dialog."""
    until = time.monotonic() + 3 * PATIENCE
    while any(
        not row["told"] or row["dialog"] == before[row["extension"]] for row in site.ask("upstream lamps")
    ):
        assert time.monotonic() < until, site.ask("upstream lamps")
        time.sleep(0.05)
