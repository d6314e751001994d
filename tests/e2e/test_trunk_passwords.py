"""Passwords, tokens and certificates between us and a carrier: for calls, inside them, and to register."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from calls import Calling, Dialog, audio_port, direction, hang_up, sdp
from carriers import DID, Carrier, Registrar, desk_of, rings
from certificates import self_signed, signed
from name_server import serving
from sites import Listening, Site
from wire import Agent, proved

from blfd.core.challenges import MOST_ROUNDS
from blfd.operations import routes, trunks


def test_a_challenge_inside_a_call_that_came_in(site: Site, carrier: Carrier) -> None:
    """The challenge is answered in the next process, too, where the phone that was called hangs up."""
    callee = site.registered("101")
    carrier.set(username="acct", password="s3cret")
    for is_killed in (False, True):
        calling = carrier.call(f"{DID}01")
        invite = rings(callee)
        callee.reply(invite, 200, "OK", sdp(5001), Content_Type="application/sdp")
        calling.acknowledge(calling.final())
        callee.wait_request("ACK")
        site.wait_lamp("101", "talking")
        site.wait_rows("legs", 2)
        if is_killed:
            site.kill()
            site.start()
            for agent, port in ((carrier.agent, 7000), (callee, 5001)):  # both are asked if they are there
                agent.reply(
                    agent.wait_request("INVITE"), 200, "OK", sdp(port), Content_Type="application/sdp"
                )
                agent.wait_request("ACK")
        assert Dialog.of_invite(callee, invite).request("BYE").status == 200
        bye = carrier.invited("BYE")
        carrier.agent.reply(bye, 401, "Who are you", b"", **carrier.asks(401, f"n{is_killed}"))
        again = carrier.invited("BYE")
        assert proved(again, "authorization", "acct", "s3cret")
        carrier.agent.reply(again, 200)
        site.wait_no_call()
        site.wait_rows("legs", 0)


def test_a_wrong_password_ends_the_call_and_the_loop(site: Site, carrier: Carrier) -> None:
    carrier.set(username="acct", password="wrong")
    caller = site.registered("101")
    calling = Calling.start(caller, "0301", sdp(5001))
    for number in range(2):
        carrier.challenge(carrier.invited(), 401, f"again{number}")
    assert calling.refused().status == 480
    assert carrier.agent.silent(lambda m: m.method == "INVITE", 0.3)
    site.wait_no_call()


def test_a_password_is_proved_in_its_realm_alone(site: Site, carrier: Carrier) -> None:
    """Who asks in another realm, as a proxy on the way, gets none."""
    carrier.set(username="acct", password="s3cret", realm="407")
    caller = site.registered("101")
    calling = Calling.start(caller, "0301", sdp(5001))
    carrier.challenge(carrier.invited(), 401, "other")
    assert calling.refused().status == 480
    assert carrier.agent.silent(lambda m: m.method == "INVITE", 0.3)
    calling = Calling.start(caller, "0301", sdp(5001))
    carrier.challenge(carrier.invited(), 407, "carrier")
    invite = carrier.invited()
    assert proved(invite, "proxy-authorization", "acct", "s3cret")
    carrier.agent.reply(invite, 486, "Busy Here")
    assert calling.refused().status == 486
    site.wait_no_call()


def test_a_carrier_that_wants_another_proof_each_time_has_refused(site: Site, carrier: Carrier) -> None:
    carrier.set(username="acct", password="s3cret")
    calling = Calling.start(site.registered("101"), "0301", sdp(5001))
    for number in range(1 + MOST_ROUNDS):
        asks = f'Digest realm="r{number}", nonce="n", qop="auth"'
        carrier.agent.reply(carrier.invited(), 401, "Who are you", WWW_Authenticate=asks)
        carrier.agent.wait_request("ACK")
    assert calling.refused().status == 480
    assert carrier.agent.silent(lambda m: m.method == "INVITE", 0.3)
    site.wait_no_call()


def wants_ever_fresher(carrier: Carrier, most: int) -> None:
    """Take `most` INVITEs, and ask each for a proof by a fresher nonce."""
    for number in range(most):
        request = carrier.invited()
        asks = f'Digest realm="p", nonce="old{number}", algorithm=MD5, qop="auth", stale=true'
        carrier.agent.reply(request, 407, "Who are you", Proxy_Authenticate=asks)
        carrier.agent.wait_request("ACK")


def test_challenges_inside_a_call(site: Site, carrier: Carrier) -> None:
    """Each request is asked for a proof by another nonce, and the phone is told only the final result.

    A request that is asked for ever is refused, which the log says once, and the call is as before.
    """
    carrier.set(username="acct", password="s3cret")
    caller = site.registered("101")
    calling = Calling.start(caller, "0302", sdp(5001))
    wants_ever_fresher(carrier, MOST_ROUNDS)
    assert calling.refused().status == 480
    site.wait_no_call()
    assert site.server.log.read_text().count("refuses a call: 407 Who are you") == 1

    calling = Calling.start(caller, "0302", sdp(5001))
    carrier.challenge(carrier.invited(), 401, "one")
    carrier.challenge(carrier.invited(), 407, "two")
    invite = carrier.invited()
    for name in ("authorization", "proxy-authorization"):
        assert proved(invite, name, "acct", "s3cret")
    carrier.agent.reply(invite, 200, "OK", sdp(7000), Content_Type="application/sdp")
    dialog = calling.acknowledge(calling.final())
    carrier.agent.wait_request("ACK")
    for number in range(MOST_ROUNDS + 1):
        sent = dialog.send("INFO", b"Signal=1", "application/dtmf-relay")
        carrier.agent.reply(
            carrier.invited("INFO"), 407, "Who are you", b"", **carrier.asks(407, f"info{number}")
        )
        again = carrier.invited("INFO")
        assert proved(again, "proxy-authorization", "acct", "s3cret")
        assert again.body == b"Signal=1"
        carrier.agent.reply(again, 200)
        assert caller.final(sent).status == 200
        how = ("sendonly", "sendrecv")[number % 2]
        sent = dialog.send("INVITE", sdp(5001, how))
        carrier.challenge(carrier.invited(), 407, f"hold{number}")
        again = carrier.invited()
        assert proved(again, "proxy-authorization", "acct", "s3cret")
        assert direction(again) == how
        carrier.agent.reply(again, 200, "OK", sdp(7000), Content_Type="application/sdp")
        answer = caller.final(sent)
        assert answer.status == 200
        dialog.ack(answer)
        carrier.agent.wait_request("ACK")
        site.wait_lamp("101", "held" if how == "sendonly" else "talking")
    sent = dialog.send("INVITE", sdp(5001))
    wants_ever_fresher(carrier, MOST_ROUNDS)
    answer = caller.final(sent)
    assert answer.status == 488
    caller.ack(answer, dialog.target, sent)
    site.wait_lamp("101", "held")
    assert carrier.agent.silent(lambda m: m.method == "INVITE", 0.3)
    assert dialog.request("BYE").status == 200, "what was asked for ever is no other request's fault"
    asks = 'Digest realm="p", nonce="bye", algorithm=MD5, qop="auth", stale=true'
    carrier.agent.reply(carrier.invited("BYE"), 407, "Who are you", Proxy_Authenticate=asks)
    bye = carrier.invited("BYE")
    assert proved(bye, "proxy-authorization", "acct", "s3cret")
    assert 'nonce="bye"' in bye["proxy-authorization"]
    carrier.agent.reply(bye, 200)
    site.wait_no_call()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_trunk_registers_gets_calls_by_its_token_and_leaves(
    own_site: Callable[..., Site], transport: str
) -> None:
    """A trunk does so through kill -9 of the server, and when the carrier's connection breaks.

    A carrier that was away may come back without its registrations.
    """
    site = own_site()
    registrar = Registrar("127.0.0.2", transport)
    desk = desk_of(site)
    said = {
        "servers": [registrar.address],
        "username": "acct",
        "password": "s3cret",
        "mode": "register",
        "transport": transport,
        "ping": 0,
        "retry": 2,
        "dids": [f"{DID}xx=1xx"],
    }
    trunks.add(desk, "default", "carrier", said)
    assert registrar.registered()["authorization"]
    site.wait_trunk("carrier", state="registered")
    callee = site.registered("101")
    contact = registrar.contact
    assert ";line=" in contact
    caller = Agent(site.server.address("udp"), "somebody", "", "udp", host="127.0.0.5")
    to = f"<sip:{DID}01@carrier.example>"
    uri = contact.strip("<>").replace(";transport=tcp", "")
    calling = Calling.trusted(caller, "acct", sdp(7000), uri, To=to)
    callee.reply(rings(callee), 486, "Busy Here")
    assert calling.refused().status == 486
    if transport == "tcp":
        registrar.cut()
        assert registrar.registered()
        site.wait_trunk("carrier", state="registered")
        registrar.end()
        site.wait_trunk("carrier", registered=False, usable=False)
        registrar = Registrar("127.0.0.2", transport, int(registrar.address.partition(":")[2]))
        assert registrar.registered()
        assert registrar.contact == contact
        site.wait_trunk("carrier", state="registered")
    site.kill()
    site.start()
    assert registrar.registered()
    assert registrar.contact == contact
    site.wait_trunk("carrier", state="registered")
    callee.is_registered = False
    caller.close()
    site.server.stop()
    assert registrar.wait("0")
    registrar.close()


@pytest.fixture
def carrier_names() -> Iterator[str]:
    """The setting of a DNS server that knows where the carrier is."""
    with serving({"sbc.carrier.example A": ("127.0.0.2",)}) as names:
        host, port = names.address
        yield f'dns_servers = ["{host}:{port}"]\n'


def test_over_tls(own_site: Callable[..., Site], tmp_path: Path, carrier_names: str) -> None:
    """Whoever has a certificate with the trunk's name calls in, from any address.

    Calls go out by a connection of ours, which shows our certificate to a carrier whose own has the trunk's
    name, in the next process, too.
    """
    authority = self_signed(tmp_path, "authority", "DNS:authority")
    own = signed(tmp_path, "own", authority, "DNS:pbx.example,IP:127.0.0.1")
    asked = f'[tls]\nclient_certificates = "asked"\nclient_ca = "{authority.certificate}"\n'
    site = own_site(config=own.toml() + carrier_names + asked)
    listening = Listening(site, "carrier", "127.0.0.2")
    said = {"servers": [f"sbc.carrier.example:{listening.port}"], "transport": "tls", "ping": 0}
    said |= {"certificate": "sbc.carrier.example", "dids": [f"{DID}xx=1xx"]}
    desk = desk_of(site)
    trunks.add(desk, "default", "carrier", said)
    routes.add(desk, "default", "0.", {"trunks": ["carrier"]})
    phone = site.registered("101")

    def connected(name: str) -> Agent:
        context = ssl.create_default_context(cafile=authority.certificate)
        context.load_cert_chain(*signed(tmp_path, name, authority, f"DNS:{name}"))
        address = site.server.address("tls")
        site.agents.append(agent := Agent(address, "sbc", "", "tls", host="127.0.0.5", trusting=context))
        return agent

    from_ = {"From": "<sip:+491701234567@carrier.example>;tag=c"}
    stranger = connected("other.example")
    assert Calling.trusted(stranger, f"{DID}01", sdp(7000), **from_).refused().status == 403
    sbc = connected("sbc.carrier.example")
    calling = Calling.trusted(sbc, f"{DID}01", sdp(7000), **from_)
    invite = rings(phone)
    assert "<sip:+491701234567@" in invite["from"]
    phone.reply(invite, 200, "OK", sdp(5001), Content_Type="application/sdp")
    calling.acknowledge(calling.final())
    phone.wait_request("ACK")
    hang_up(Dialog.of_invite(phone, invite), sbc)
    site.wait_no_call()

    calling = Calling.start(phone, "0301", sdp(5002))
    asked_for: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
    context.load_cert_chain(*signed(tmp_path, "server", authority, "DNS:sbc.carrier.example"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.sni_callback = lambda connection, name, context: asked_for.append(name)

    def accept() -> Agent:
        carrier = listening.accept()
        secured = context.wrap_socket(carrier.socket, server_side=True)
        carrier.socket, carrier.transport = secured, "tls"
        shown = secured.getpeercert()
        assert shown
        assert ("DNS", "pbx.example") in shown["subjectAltName"]
        assert asked_for.pop() == "sbc.carrier.example"
        return carrier

    carrier = accept()
    invite = carrier.wait_request("INVITE")
    assert invite["via"].startswith("SIP/2.0/TLS ")
    assert invite["contact"].endswith(";transport=tls>")
    carrier.reply(invite, 200, "OK", sdp(7003), Content_Type="application/sdp")
    answer = calling.final()
    assert (answer.status, audio_port(answer)) == (200, 7003)
    dialog = calling.acknowledge(answer)
    carrier.wait_request("ACK")
    site.wait_rows("legs WHERE settled", 2)
    site.kill()
    site.start()
    bye = dialog.send("BYE")
    assert dialog.agent.final(bye).status == 200
    carrier = accept()
    carrier.reply(carrier.wait_request("BYE"), 200)
    site.wait_no_call()
    listening.close()


def test_a_trunk_that_registers_here(site: Site) -> None:
    """Calls out go to where the trunk is, in the next process, too.

    Calls in are asked for its password, whatever From says, and it has no other right of an extension.
    """
    desk = desk_of(site)
    said = {"mode": "peer-registers", "username": "pbx", "password": "s3cret", "dids": ["2xx=1xx"]}
    trunks.add(desk, "default", "pbx", said)
    routes.add(desk, "default", "5xx", {"trunks": ["pbx"]})
    stranger = Agent(site.server.address(), "pbx", "wrong", "udp", host="127.0.0.8")
    peer = Agent(site.server.address(), "pbx", "s3cret", "udp", host="127.0.0.2")
    try:
        assert stranger.register().status == 401
        site.wait_trunk("pbx", usable=False, state="not registered: nobody has come as pbx")
        assert peer.register().status == 200
        site.wait_trunk("pbx", usable=True, state="registered here", server=f"udp:{peer.address}")
        site.wait_rows("bindings", 1)
        caller = site.agent("101")
        for is_killed in (False, True):
            if is_killed:
                site.kill()
                site.start()
            calling = Calling.start(caller, "501", sdp(5001))
            invite = peer.wait_request("INVITE")
            assert invite.uri.startswith(f"sip:501@{peer.host}")
            peer.reply(invite, 486, "Busy Here")
            peer.wait_request("ACK")
            assert calling.refused().status == 486
        callee = site.registered("102")
        calling = Calling.start(peer, "202", sdp(7000), From=f"<sip:0170@{peer.host}>;tag=far")
        callee.reply(rings(callee), 486, "Busy Here")
        callee.wait_request("ACK")
        assert calling.refused().status == 486
        assert Calling.start(peer, "102", sdp(7000)).refused().status == 404
        assert Calling.start(peer, "*98", sdp(7000)).refused().status == 404
        assert Calling.start(stranger, "202", sdp(7000)).refused().status == 401
        assert peer.request("SUBSCRIBE", "102", Event="dialog").status == 403
        site.wait_no_call()
    finally:
        routes.remove(desk, "default", "5xx")
        trunks.remove(desk, "default", "pbx")
        stranger.close()
        peer.close()
    site.wait_rows("bindings", 1)
