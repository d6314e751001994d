"""blfd beside servers that carry a site's calls and publish them.

They are Kamailio with phones behind it, and a raw agent that says what Asterisk and FreeSWITCH say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from calls import Calling, Dialog, audio_port, sdp
from pickups import attempts, replaces, wait_attempt
from proxies import Kamailio
from sites import Site
from test_publish import body, publish
from test_upstream import Pbx
from wire import Agent, Message, proved

CONFIG = Path(__file__).parents[2] / "contrib" / "kamailio" / "beside.cfg"
SDP = "application/sdp"


class Proxy(Kamailio):
    """A Kamailio with pua_dialoginfo beside a site that trusts it."""

    def __init__(self, site: Site, folder: Path) -> None:
        super().__init__(folder)
        self.site = site
        filled = CONFIG.read_text().replace("192.0.2.10:5060", self.address)
        filled = filled.replace("192.0.2.20:5060", site.server.address("udp"))
        probe = Agent(self.address, "101")

        def answers() -> bool:
            probe.send(f"OPTIONS sip:{self.address} SIP/2.0", probe.headers("OPTIONS", "proxy"))
            return probe.receive(0.2)

        self.run(filled, 64, answers)
        probe.close()

    def phone(self, user: str) -> Agent:
        agent = Agent(self.address, user)
        self.site.agents.append(agent)
        assert agent.register().status == 200
        return agent


@pytest.fixture
def beside(own_site: Callable[..., Site], tmp_path: Path) -> Iterator[Proxy]:
    site = own_site("--trust", "127.0.0.0/8")
    site.cli("tenant", "set", "default", "--owner", "published")
    one = Proxy(site, tmp_path)
    yield one
    one.stop()


def talk(beside: Proxy, a: Agent, b: Agent) -> tuple[Dialog, str]:
    """Set up a call that the proxy carries, and return the caller's side of it, and its Route."""
    calling = Calling.trusted(a, b.user, sdp(4000))
    invite = b.wait_request("INVITE")
    b.reply(invite, 180, "Ringing")
    beside.site.wait_lamp(b.user, "ringing")
    b.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    dialog = calling.acknowledge(answer)
    for phone in (a, b):
        beside.site.wait_lamp(phone.user, "talking")
    return dialog, answer["record-route"]


def states(message: Message) -> list[tuple[str, str]]:
    """The state of each dialog in a NOTIFY, and who is at the other end."""
    return [
        (dialog.state.value, dialog.remote.identity.uri if dialog.remote and dialog.remote.identity else "")
        for dialog in message.document.dialogs
    ]


def test_lamps_of_calls_that_the_proxy_carries(beside: Proxy) -> None:
    """A watcher sees such calls as blfd's own; a restart of blfd in mid-call changes no lamp."""
    site = beside.site
    a, b, c = (beside.phone(user) for user in ("101", "102", "103"))
    c.subscribe("102")
    calling = Calling.trusted(a, "102", sdp(4000))
    invite = b.wait_request("INVITE")
    b.reply(invite, 180, "Ringing")
    early = c.notify("early")
    (dialog,) = early.document.dialogs
    assert (dialog.call_id, dialog.remote_tag) == (invite["call-id"], invite.tag("from"))
    assert states(early) == [("early", f"sip:101@{beside.address}")]
    b.reply(invite, 200, "OK", sdp(5000), Content_Type=SDP)
    answer = calling.final()
    mine = calling.acknowledge(answer)
    assert states(c.notify("confirmed")) == [("confirmed", f"sip:101@{beside.address}")]
    site.wait_rows("publications", len(site.ask("publications")))
    site.kill()
    site.start()
    for user in ("101", "102"):
        site.wait_lamp(user, "talking")
    assert states(c.notify("confirmed")) == [("confirmed", f"sip:101@{beside.address}")]
    mine.send("BYE", Route=answer["record-route"])
    b.reply(b.wait_request("BYE"), 200)
    assert states(c.notify("terminated"))[0][0] == "terminated"
    for user in ("101", "102"):
        site.wait_idle(user)


def test_two_calls_add_up(beside: Proxy) -> None:
    a, b, c = (beside.phone(user) for user in ("101", "102", "103"))
    mine, route = talk(beside, a, b)
    calling = Calling.trusted(c, "102", sdp(4000))
    invite = b.wait_request("INVITE")
    b.reply(invite, 180, "Ringing")
    beside.site.wait_lamp("102", "ringing")
    b.reply(invite, 486, "Busy Here")
    calling.refused()
    beside.site.wait_lamp("102", "talking")
    mine.send("BYE", Route=route)
    b.reply(b.wait_request("BYE"), 200)
    beside.site.wait_idle("102")


def ring(beside: Proxy, a: Agent, b: Agent) -> tuple[Calling, Message]:
    """Have a call ring that the proxy carries, and return the caller's side, and the INVITE."""
    calling = Calling.trusted(a, b.user, sdp(4000))
    invite = b.wait_request("INVITE")
    b.reply(invite, 180, "Ringing")
    calling.provisional(180)
    beside.site.wait_lamp(b.user, "ringing")
    return calling, invite


def test_a_call_that_nobody_says_how_to_pick_up(beside: Proxy) -> None:
    a, b, c = (beside.phone(user) for user in ("101", "102", "103"))
    ringing, invite = ring(beside, a, b)
    refused = Calling.trusted(c, "*97102", sdp(6000)).refused()
    assert refused.start == "SIP/2.0 488 The call of 102 is carried by another server"
    beside.site.wait_lamp("102", "ringing")
    ringing.cancel()
    b.reply(b.wait_request("CANCEL"), 200)
    b.reply(invite, 487, "Request Terminated")
    for user in ("101", "102"):
        beside.site.wait_idle(user)


def test_calls_that_the_proxy_carries_are_picked_up(beside: Proxy) -> None:
    """The phone that calls gets INVITE with Replaces, ends the ringing, and talks with the picker.

    Where it knows no Replaces, the picker is told so, and the call rings on.
    """
    site = beside.site
    site.cli("trunk", "add", "proxy", "--server", beside.address, "--replaces", "caller")
    a, b, c = (beside.phone(user) for user in ("101", "102", "103"))
    c.subscribe("102")
    for before, way in enumerate(("directed", "group", "replaces")):
        pick_up(beside, a, b, c, way, before)
    gateway = Agent(beside.address, "0301234567")
    site.agents.append(gateway)
    pick_up(beside, gateway, b, c, "directed", 3)
    ringing, invite = ring(beside, a, b)
    picking = Calling.trusted(c, "*97102", sdp(6000))
    a.reply(a.wait_request("INVITE"), 420, "Bad Extension", Unsupported="replaces")
    assert picking.refused().status == 480
    site.wait_lamp("102", "ringing")
    site.wait_idle("103")
    ringing.cancel()
    b.reply(b.wait_request("CANCEL"), 200)
    b.reply(invite, 487, "Request Terminated")
    ringing.refused()
    for user in ("101", "102"):
        site.wait_idle(user)


def pick_up(beside: Proxy, a: Agent, b: Agent, c: Agent, way: str, before: int) -> None:
    """Have somebody call 102, whether an extension or not, and 103 pick the call up and hang up."""
    site, known = beside.site, {row["extension"] for row in beside.site.ask("lamps")}
    ringing, invite = ring(beside, a, b)
    while (element := c.notify("early").document.dialogs[0]).call_id != invite["call-id"]:
        pass  # NOTIFYs about the call before are skipped
    more = {"Replaces": replaces(element)} if way == "replaces" else {}
    dialled = {"directed": "*97102", "group": "*98"}.get(way, "102")
    picking = Calling.trusted(c, dialled, sdp(6000), **more)
    offered = a.wait_request("INVITE")
    from_tag, to_tag = invite.tag("from"), element.local_tag
    assert offered["replaces"] == f"{invite['call-id']};to-tag={from_tag};from-tag={to_tag};early-only"
    assert (offered["require"], audio_port(offered)) == ("replaces", 6000)
    a.reply(offered, 200, "OK", sdp(4100), Content_Type=SDP)
    ringing.cancel()
    b.reply(b.wait_request("CANCEL"), 200)
    b.reply(invite, 487, "Request Terminated")
    ringing.refused()
    answer = picking.final()
    assert (answer.status, audio_port(answer)) == (200, 4100)
    assert f"<sip:{a.user}@" in answer["p-asserted-identity"]
    mine = picking.acknowledge(answer)
    a.wait_request("ACK")
    site.wait_idle("102")
    for user in known & {a.user, "103"}:
        site.wait_lamp(user, "talking")
    (row,) = (row for row in site.ask("lamps") if row["extension"] == "103")
    assert len(row["dialogs"]) == 1, "as it is here, and not once more as the proxy publishes it"
    attempt = wait_attempt(site, "103", before)
    assert (attempt.way.value, attempt.extension, attempt.status) == (way, "102", 200)
    headers = mine.send("BYE", Route=answer["record-route"])
    a.reply(a.wait_request("BYE"), 200)
    assert c.final(headers).status == 200
    for user in known & {a.user, "103"}:
        site.wait_idle(user)


# Asterisk cannot be installed here, so a raw agent says what Asterisk's documents and source say.


class Asterisk:
    """An Asterisk that publishes the hint of 102 (res_pjsip_outbound_publish), and is a trunk."""

    def __init__(self, site: Site) -> None:
        self.site, self.version = site, 0
        self.account = site.agent("111")
        self.pbx = Agent(site.server.address(), "asterisk", "", host="127.0.0.3")
        site.agents.append(self.pbx)
        self.etag = ""

    def hint(self, state: str) -> None:
        """Publish one dialog, whose id is the extension; `version` counts for all extensions."""
        direction = ' direction="recipient"' if state == "early" else ""
        document = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"'
            f' version="{self.version}" state="full" entity="sip:102@127.0.0.1:5060">\n'
            f' <dialog id="102"{direction}>\n  <state>{state}</state>\n </dialog>\n</dialog-info>\n'
        )
        self.version += 7
        answer = publish(self.account, document.encode(), self.etag, From="<sip:102@127.0.0.1>;tag=as1")
        assert answer.status == 200
        self.etag = answer["sip-etag"]

    def ring(self) -> None:
        self.hint("early")
        self.site.wait_lamp("102", "ringing")

    def asked(self) -> Message:
        """Wait for the INVITE by which a code is dialled there."""
        invite = self.pbx.wait_request("INVITE")
        assert invite.uri.startswith("sip:**102@127.0.0.3:")
        assert "<sip:103@" in invite["from"]
        return invite


def with_trunk(site: Site) -> Asterisk:
    """An Asterisk, and a trunk to it that names its pickup code."""
    site.cli("extension", "set", "102", "--owner", "published")
    site.cli("extension", "set", "111", "--publish", "on")
    asterisk = Asterisk(site)
    site.cli("trunk", "add", "pbx", "--server", asterisk.pbx.address, "--pickup-code", "**{extension}")
    return asterisk


@pytest.fixture
def asterisk(site: Site) -> Iterator[Asterisk]:
    yield with_trunk(site)
    site.cli("trunk", "remove", "pbx", "--yes")


def test_the_code_of_an_asterisk(site: Site, asterisk: Asterisk) -> None:
    """Pickup() refuses where nothing rings; otherwise it answers, and the hint changes."""
    before = len(attempts(site))
    c, pbx = site.registered("103"), asterisk.pbx
    asterisk.ring()
    for status, reason, told in (
        (404, "Not Found", "480 pbx does not pick it up: 404 Not Found"),
        (486, "Busy Here", "486 Busy Here"),
    ):
        picking = Calling.start(c, "*97102", sdp(6000))
        pbx.reply(asterisk.asked(), status, reason)
        assert picking.refused().start == f"SIP/2.0 {told}"
        site.wait_lamp("102", "ringing")
    picking = Calling.start(c, "*97102", sdp(6000))
    invite = asterisk.asked()
    asterisk.hint("confirmed")
    pbx.reply(invite, 480, "Temporarily Unavailable")
    assert picking.refused().start == "SIP/2.0 480 102 has answered already"
    asterisk.hint("terminated")
    site.wait_idle("102")
    asterisk.ring()
    picking = Calling.start(c, "*97102", sdp(6000))
    invite = asterisk.asked()
    pbx.reply(invite, 183, "Session Progress", sdp(7000), Content_Type=SDP)
    pbx.reply(invite, 200, "OK", sdp(7000), Content_Type=SDP)
    pbx.wait_request("ACK")
    assert picking.provisional(183).body
    assert c.silent(lambda message: message.status == 200, 0.2)
    asterisk.hint("terminated")
    answer = picking.final()
    assert answer.status == 200
    mine = picking.acknowledge(answer)
    site.wait_lamp("103", "talking")
    site.wait_idle("102")
    mine.send("BYE")
    pbx.reply(pbx.wait_request("BYE"), 200)
    site.wait_idle("103")
    attempt = wait_attempt(site, "103", before + 3)
    assert (attempt.status, attempt.result, attempt.extension) == (200, "picked up at pbx", "102")


def test_a_pbx_that_answers_first_and_has_nothing(site: Site, asterisk: Asterisk) -> None:
    """The lamp has ids and rings on: the picker is told so, and hears no announcement."""
    c, pbx = site.registered("103"), asterisk.pbx
    etag = publish(asterisk.account, body("early"))["sip-etag"]
    site.wait_lamp("102", "ringing")
    picking = Calling.start(c, "*97102", sdp(6000))
    pbx.reply(asterisk.asked(), 200, "OK", sdp(7000), Content_Type=SDP)
    pbx.wait_request("ACK")
    assert picking.refused().start == "SIP/2.0 480 pbx has answered, and the call at 102 rings on"
    pbx.reply(pbx.wait_request("BYE"), 200)
    picking = Calling.start(c, "*97102", sdp(6000))
    invite = asterisk.asked()
    pbx.reply(invite, 200, "OK", sdp(7000), Content_Type=SDP)
    pbx.wait_request("ACK")
    bye = Dialog.of_invite(pbx, invite).send("BYE")
    assert pbx.final(bye).status == 200
    assert picking.refused().start == "SIP/2.0 480 Nothing To Pick Up"
    site.wait_idle("103")
    publish(asterisk.account, body("terminated"), etag)
    site.wait_idle("102")


def test_an_answer_that_is_held_at_a_kill_is_ended_by_the_next_process(
    own_site: Callable[..., Site],
) -> None:
    """The PBX is not left with a call that has nobody at its other end; a slow process may end it itself."""
    site = own_site()
    asterisk = with_trunk(site)
    pbx = asterisk.pbx
    publish(asterisk.account, body("early"))
    Calling.start(site.registered("103"), "*97102", sdp(6000))
    pbx.reply(asterisk.asked(), 200, "OK", sdp(7000), Content_Type=SDP)
    pbx.wait_request("ACK")
    site.wait_saved()
    site.kill()
    site.start()
    pbx.reply(pbx.wait_request("BYE"), 200)
    site.wait_no_call()


# FreeSWITCH is a raw agent, too: blfd asks for its lamps, and its trunk has the name of the upstream.

UUID = "9f0c4c1e-5d0a-4e0b-8d0e-0c9d8a7b6c5d"


def freeswitch(state: str, version: int, kind: str = "partial") -> bytes:
    """A document of sofia_presence: full, then partial, with the channel's uuid and no Call-ID."""
    return (
        f'<?xml version="1.0"?>\n<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" '
        f'state="{kind}" entity="sip:102@pbx">\n<dialog id="{UUID}" direction="recipient">\n'
        f"<state>{state}</state>\n"
        '<local>\n<identity display="102">sip:102@pbx</identity>\n<target uri="sip:102@pbx">\n'
        '<param pname="+sip.rendering" pvalue="yes"/>\n</target>\n</local>\n<remote>\n'
        '<identity display="Ann">sip:777@pbx</identity>\n<target uri="sip:**102@pbx"/>\n</remote>\n'
        "</dialog>\n</dialog-info>\n"
    ).encode()


def test_the_uuid_of_a_freeswitch(own_site: Callable[..., Site]) -> None:
    """FreeSWITCH takes the dialog's id for a Call-ID, asks for the password, and answers first."""
    site = own_site()
    pbx = Pbx(site)
    site.agents.append(pbx.agent)
    account = ("--username", "blfd", "--password", "s3cret", "--ping", "0")
    site.cli("trunk", "add", "pbx", "--server", pbx.agent.address, "--replaces", "extension", *account)
    again = pbx.challenge(pbx.asked(), "n1")
    pbx.accept(again)
    assert pbx.notify(again, freeswitch("terminated", 0, "full")).status == 200
    assert pbx.notify(again, freeswitch("early", 1)).status == 200
    site.wait_lamp("102", "ringing")
    c = site.registered("103")
    picking = Calling.start(c, "*97102", sdp(6000))
    invite = pbx.agent.wait_request("INVITE")
    assert invite.uri.startswith("sip:102@127.0.0.8:")
    assert invite["replaces"] == f"{UUID};to-tag=0;from-tag=0;early-only"
    asks = 'Digest realm="pbx", nonce="n2", algorithm=MD5, qop="auth"'
    pbx.agent.reply(invite, 407, "Proxy Authentication Required", Proxy_Authenticate=asks)
    invite = pbx.agent.wait_request("INVITE")
    assert proved(invite, "proxy-authorization", "blfd", "s3cret")
    assert invite["replaces"].startswith(UUID)
    pbx.agent.reply(invite, 200, "OK", sdp(7000), Content_Type=SDP)
    assert c.silent(lambda message: message.status == 200, 0.2)
    assert pbx.notify(again, freeswitch("terminated", 2)).status == 200
    answer = picking.final()
    assert (answer.status, audio_port(answer)) == (200, 7000)
    assert '"Ann" <sip:777@' in answer["p-asserted-identity"]
    mine = picking.acknowledge(answer)
    site.wait_lamp("103", "talking")
    site.wait_idle("102")
    mine.send("BYE")
    pbx.agent.reply(pbx.agent.wait_request("BYE"), 200)
    site.wait_idle("103")
