"""SIP over TLS with the real server: phones, edges with certificates, faults at the start, renewal, kill."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from calls import Calling, Dialog, hang_up, sdp
from certificates import Pair, self_signed, signed
from programs import program
from sites import Site, password
from wire import DEADLINE, Agent

from blfd.demo.simulation import Missing, ServerProcess

NAMES = "DNS:pbx.example,IP:127.0.0.1"


@pytest.fixture
def authority(tmp_path: Path) -> Pair:
    return self_signed(tmp_path, "authority", "DNS:authority")


@pytest.fixture
def own(tmp_path: Path, authority: Pair) -> Pair:
    return signed(tmp_path, "own", authority, NAMES)


def talk(caller: Agent, callee: Agent, **over: str) -> tuple[Dialog, Dialog]:
    """Set up a call, and return both sides."""
    calling = Calling.start(caller, callee.user, sdp(4000), **over)
    invite = callee.wait_request("INVITE")
    callee.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
    dialog = calling.acknowledge(calling.final())
    callee.wait_request("ACK")
    return dialog, Dialog.of_invite(callee, invite)


def test_what_we_write_over_tls(own_site: Callable[..., Site], own: Pair) -> None:
    """We write the certificate's name, and transport=tls, so that a phone that connects anew trusts us."""
    site = own_site(config=f'address = "pbx.example"\n{own.toml()}')
    watcher, plain = site.registered("103", "tls"), site.registered("102")
    port = site.server.address("tls").partition(":")[2]
    contact = f"<sip:pbx.example:{port};transport=tls>"
    subscribed, notify = watcher.subscribe("102")
    assert (subscribed["contact"], notify["contact"]) == (contact, contact)
    assert notify["via"].startswith("SIP/2.0/TLS 127.0.0.1:")
    mine, other = talk(site.registered("101", "tls"), plain)
    assert f"<{mine.target}>" == contact
    assert other.target.startswith("sip:127.0.0.1:")
    assert "transport" not in other.target
    assert other.request("BYE").status == 200


def test_phones_that_write_sips(own_site: Callable[..., Site]) -> None:
    """Such phones call and are called, and hear of lamps over TLS alone."""
    site = own_site()
    phone, other = site.agent("101", "tls"), site.registered("102", "tls")
    server = phone.server
    contact = f"<sips:101@{phone.address}>"
    sips = {"From": f"<sips:101@{server}>;tag=x", "Contact": contact}
    to = {"To": f"<sips:101@{server}>"}
    assert phone.request("REGISTER", "101", f"sips:{server}", b"", **sips, **to).status == 200
    calling = Calling.start(other, "101", sdp(4000))
    invite = phone.wait_request("INVITE")
    assert f"<{invite.uri}>" == contact
    phone.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp", Contact=contact)
    mine = calling.acknowledge(calling.final())
    phone.wait_request("ACK")
    assert mine.request("BYE").status == 200
    answer, notify = phone.subscribe(
        "102", 600, uri=f"sips:102@{server}", **{**sips, "From": f"{sips['From']}2"}
    )
    assert notify.document.entity == f"sips:102@{server}"
    ids = {"From": answer["from"], "To": answer["to"], "Call_ID": answer["call-id"]}
    calling = Calling.start(phone, "102", sdp(4000), f"sips:102@{server}", **sips)
    invite = other.wait_request("INVITE")
    other.reply(invite, 200, "OK", sdp(5000), Content_Type="application/sdp")
    mine = calling.acknowledge(calling.final())
    other.wait_request("ACK")
    for transport in ("udp", "tcp"):
        open_one = site.agent("101", transport)
        leaving = replace(mine, agent=open_one).request("BYE")
        assert leaving.start == "SIP/2.0 403 sips: is served over TLS only", "nor does its call"
        refused = open_one.request("SUBSCRIBE", "102", f"sips:102@{server}", Event="dialog")
        assert refused.start == "SIP/2.0 403 sips: is served over TLS only"
        open_one.cseq = 50
        moved = open_one.request("SUBSCRIBE", "102", body=b"", Event="dialog", Expires="600", **ids)
        assert moved.status == 403, "what it watches secretly does not move there"
    assert [row["watcher"] for row in site.ask("watchers")] == ["101"]
    assert mine.request("BYE").status == 200


def test_who_has_no_tls_gets_into_no_call_by_sips(own_site: Callable[..., Site]) -> None:
    """Such a phone gets in neither by a pickup, nor by a transfer to sips:."""
    site = own_site()
    caller, callee = site.registered("101", "tls"), site.registered("102", "tls")
    plain = site.registered("104")
    target = f"sips:102@{caller.server}"
    Calling.start(caller, "102", sdp(4000), target)
    callee.reply(callee.wait_request("INVITE"), 180, "Ringing")
    site.wait_lamp("102", "ringing")
    refused = Calling.start(plain, "*97102", sdp(6000)).refused()
    assert refused.start == "SIP/2.0 480 The call is by sips:, and is picked up over TLS only"
    assert '381 blfd "SIPS Required"' in refused.all("warning")
    mine, _ = talk(caller, plain)
    refused = mine.request("REFER", Refer_To=f"<{target}>")
    assert refused.start == "SIP/2.0 480 104 has no TLS, which a call by sips: needs"
    hang_up(mine, plain)


def test_an_edge_with_a_certificate_is_taken_at_its_word(
    own_site: Callable[..., Site], tmp_path: Path, authority: Pair, own: Pair
) -> None:
    config = f"""{own.toml()}
[tls]
client_certificates = "asked"
client_ca = "{authority.certificate}"
trust = ["edge.example"]
"""
    site = own_site(config=config)

    def connected(name: str) -> Agent:
        context = ssl.create_default_context(cafile=authority.certificate)
        context.load_cert_chain(*signed(tmp_path, name, authority, f"DNS:{name}"))
        agent = Agent(site.server.address("tls"), "101", "", "tls", trusting=context)
        site.agents.append(agent)
        return agent

    edge, other = connected("edge.example"), connected("other.example")
    assert edge.request("SUBSCRIBE", "102", Event="dialog").status == 200
    site.wait_log("has the certificate of edge.example: a trusted edge")
    assert other.request("SUBSCRIBE", "102", Event="dialog").status == 401
    assert site.agent("101", "tls").request("SUBSCRIBE", "102", Event="dialog").status == 200, "by password"
    edge.close()
    again = connected("plain.example")
    assert again.request("SUBSCRIBE", "102", Event="dialog").status == 401


def test_what_openssl_says(own_site: Callable[..., Site], authority: Pair, own: Pair) -> None:
    address = own_site(config=own.toml()).server.address("tls")
    for version in ("-tls1_2", "-tls1_3"):
        command = [
            program("openssl"),
            "s_client",
            "-connect",
            address,
            version,
            "-brief",
            "-verify_return_error",
        ]
        command += ["-CAfile", str(authority.certificate), "-verify_hostname", "pbx.example"]
        done = subprocess.run(command, input=b"\r\n\r\n", capture_output=True, timeout=DEADLINE)
        assert b"Verification: OK" in done.stderr, done.stderr
        assert b"Verified peername: pbx.example" in done.stderr
    old = subprocess.run([*command[:4], "-tls1_1"], capture_output=True, input=b"", timeout=DEADLINE)
    assert old.returncode


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("expired", "has ended on"),
        ("self-signed", "is self-signed"),
        ("another name", "is for other.example, not for pbx.example"),
        ("good", ""),
    ],
)
def test_a_certificate_that_phones_will_refuse_is_served_with_a_warning(
    own_site: Callable[..., Site], tmp_path: Path, authority: Pair, kind: str, words: str
) -> None:
    if kind == "self-signed":
        own = self_signed(tmp_path, "bad", NAMES)
    else:
        names = "DNS:other.example" if kind == "another name" else NAMES
        own = signed(tmp_path, "bad", authority, names, days=-1 if kind == "expired" else 90)
    site = own_site(config=f'address = "pbx.example"\n{own.toml()}[tls]\nca = "{authority.certificate}"\n')
    assert site.registered("101", "tls"), "for phones that do not look"
    warnings = [line for line in site.server.log.read_text().splitlines() if " WARNING " in line]
    assert len(warnings) == bool(words), warnings
    assert words in "".join(warnings)


@pytest.mark.parametrize("kind", ["another key", "no certificate"])
def test_a_certificate_of_no_use_is_one_line_at_the_start(tmp_path: Path, own: Pair, kind: str) -> None:
    if kind == "another key":
        own.key.write_bytes(self_signed(tmp_path, "other").key.read_bytes())
    listen = ["tls:127.0.0.1:0"]
    options = own.options() if kind == "another key" else ()
    with pytest.raises(Missing) as error:
        ServerProcess(tmp_path / "blfd.db", listen, *options)
    (line,) = [line for line in str(error.value).splitlines() if "rror" in line or "certificate" in line][-1:]
    assert "is not the key of certificate" in line or "needs `certificate`" in line
    assert "Traceback" not in str(error.value)


def test_a_renewal_while_phones_talk(
    own_site: Callable[..., Site], tmp_path: Path, authority: Pair, own: Pair
) -> None:
    """A broken renewal changes nothing, a good one is for new connections, and call and lamps go on.

    The certificate of https is renewed as well.
    """
    site = own_site("--web", "https://127.0.0.1:0", config=own.toml())
    web = ("127.0.0.1", int(site.ask("status")["serves"][0].rpartition(":")[2]))
    shown_by_web = ssl.get_server_certificate(web)
    watcher = site.registered("103", "tls")
    watcher.subscribe("102")
    mine, _ = talk(site.registered("101", "tls"), site.registered("102", "tls"))
    watcher.notify("confirmed")
    good = own.key.read_bytes()
    own.key.write_bytes(self_signed(tmp_path, "other").key.read_bytes())
    for what in ("TLS", "https"):
        site.wait_log(f"{what}: the certificates have changed, and those of before are served on")
    assert ssl.get_server_certificate(web) == shown_by_web
    trusting = ssl.create_default_context(cafile=authority.certificate)
    first = Agent(site.server.address("tls"), "104", password("104"), "tls", trusting=trusting)
    assert first.register().status == 200
    own.key.write_bytes(good)
    for new, old in zip(signed(tmp_path, "new", authority, NAMES), own, strict=True):
        os.replace(new, old)
    for what in ("TLS", "https"):
        site.wait_log(f"{what}: new connections get certificate")
    assert ssl.get_server_certificate(web) != shown_by_web
    assert httpx.get(f"https://127.0.0.1:{web[1]}/", verify=trusting).status_code == 303
    second = Agent(site.server.address("tls"), "105", password("105"), "tls", trusting=trusting)
    shown = [
        agent.socket.getpeercert() for agent in (first, second) if isinstance(agent.socket, ssl.SSLSocket)
    ]
    assert shown[0] != shown[1]
    assert first.register().status == 200
    assert mine.request("BYE").status == 200
    watcher.notify("terminated")
    for agent in (first, second):
        assert agent.register(expires=0).status == 200
        agent.close()


def test_phones_that_connect_again_after_a_kill_are_told(own_site: Callable[..., Site]) -> None:
    site = own_site()
    site.registered("102")
    watchers = {user: site.agent(user, "tls") for user in ("103", "104")}
    calls = {user: agent.subscribe("102")[1]["call-id"] for user, agent in watchers.items()}
    site.wait_rows("subscriptions", 2)
    site.kill()
    site.start()
    for user, call_id in calls.items():
        back = site.agent(user, "tls")
        assert back.register().status == 200
        notify = back.wait_request("NOTIFY")
        assert notify["call-id"] == call_id
        assert notify["via"].startswith("SIP/2.0/TLS ")
        assert back.register(expires=0).status == 200


def test_a_provisioned_phone_is_sent_to_tls_and_can_fetch_whom_to_trust(
    own_site: Callable[..., Site], authority: Pair, own: Pair
) -> None:
    config = f'address = "pbx.example"\n{own.toml()}[tls]\nca = "{authority.certificate}"\n'
    site = own_site("--provision", "http://127.0.0.1:0", config=config)
    who = ("--model", "yealink/t54w", "--extension", "101", "--transport", "tls")
    site.cli("device", "add", "80:5e:c0:12:34:56", *who)
    url = str(site.shown("device", "show", "80:5e:c0:12:34:56")["url"])
    url = url.replace("pbx.example", "127.0.0.1")
    found = dict(line.split(" = ", 1) for line in httpx.get(f"{url}805ec0123456.cfg").text.splitlines()[1:])
    assert found["account.1.sip_server.1.address"] == "pbx.example"
    assert found["account.1.sip_server.1.port"] == site.server.address("tls").partition(":")[2]
    assert found["account.1.sip_server.1.transport_type"] == "2"
    assert found["static.trusted_certificates.url"].endswith("/ca.pem")
    pem = httpx.get(f"{url}ca.pem").text
    assert httpx.get(f"{url}ca.der").content == ssl.PEM_cert_to_DER_cert(pem)
    trusting = ssl.create_default_context(cadata=pem)
    password = found["account.1.password"]
    phone = Agent(site.server.address("tls"), "101", password, "tls", trusting=trusting)
    site.agents.append(phone)
    over = {"From": "<sip:101@pbx.example>;tag=1", "To": "<sip:101@pbx.example>", "Expires": "60"}
    assert phone.request("REGISTER", "101", "sip:pbx.example", b"", **over).status == 200
