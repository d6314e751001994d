"""Trunks end to end: carriers that are raw agents on addresses of their own, and phones of the site."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import pytest
from calls import Calling, audio_port, sdp
from sites import Site
from wire import Agent, Message

from blfd.control import ControlClient, socket_path
from blfd.devices.files import Phones
from blfd.devices.values import Place
from blfd.operations import Desk, routes, trunks
from blfd.store import Store

DID = "+4930123451"


class Carrier:
    """A carrier's server at an address of loopback, which the site has as a trunk."""

    def __init__(self, site: Site, host: str, transport: str = "udp") -> None:
        self.agent = Agent(site.server.address(transport), "carrier", "", transport, host=host)
        self.desk = desk_of(site)

    def set(self, **said: object) -> None:
        trunks.change(self.desk, "default", "carrier", said)

    def call(self, number: str, **over: str) -> Calling:
        from_ = f'"Carla" <sip:+491701234567@{self.agent.host}>;tag=c{id(self)}'
        return Calling.trusted(self.agent, number, sdp(7000), **{"From": from_, **over})

    def invited(self, method: str = "INVITE") -> Message:
        return self.agent.wait_request(method)

    def challenge(
        self, invite: Message, status: int, nonce: str, *, algorithm: str = "MD5", realm: str = "c"
    ) -> None:
        name = "WWW_Authenticate" if status == 401 else "Proxy_Authenticate"
        value = f'Digest realm="c", nonce="{nonce}", algorithm={algorithm}, qop="auth"'
        self.agent.reply(invite, status, "Who are you", **{name: value})
        self.agent.wait_request("ACK")


def proved(request: Message, name: str, user: str, secret: str) -> bool:
    """Whether a request proves the password."""
    parts = dict(re.findall(r'(\w+)="?([^",]+)"?', request[name]))
    h = hashlib.sha256 if parts.get("algorithm") == "SHA-256" else hashlib.md5

    def hexadecimal(text: str) -> str:
        return h(text.encode()).hexdigest()

    ha1 = hexadecimal(f"{user}:{parts['realm']}:{secret}")
    ha2 = hexadecimal(f"{request.method}:{parts['uri']}")
    wanted = hexadecimal(f"{ha1}:{parts['nonce']}:{parts['nc']}:{parts['cnonce']}:{parts['qop']}:{ha2}")
    return parts["username"] == user and parts["response"] == wanted


def desk_of(site: Site) -> Desk:
    """Where trunks are set, as the command line does it."""
    store = Store(site.database)
    phones = Phones(store, lambda: Place("127.0.0.1", {}, ""))
    return Desk(store, ControlClient(socket_path(site.database)), phones, "a test")


@pytest.fixture(scope="module")
def trunk_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("trunks"))
    yield site
    site.stop()


@pytest.fixture
def site(trunk_site: Site) -> Iterator[Site]:
    yield trunk_site
    trunk_site.forget()


@pytest.fixture
def carrier(site: Site) -> Iterator[Carrier]:
    carrier = Carrier(site, "127.0.0.2")
    said = {"servers": [carrier.agent.address], "dids": [f"{DID}xx=1xx"]}
    trunks.add(carrier.desk, "default", "carrier", said)
    routes.add(carrier.desk, "default", "0.", {"trunks": ["carrier"]})
    yield carrier
    carrier.agent.close()
    routes.remove(carrier.desk, "default", "0.")
    trunks.remove(carrier.desk, "default", "carrier")


def rings(agent: Agent) -> Message:
    invite = agent.wait_request("INVITE")
    agent.reply(invite, 180, "Ringing")
    return invite


def test_a_call_in_rings_flashes_is_picked_up_by_key_and_hung_up(site: Site, carrier: Carrier) -> None:
    callee, picker = site.registered("101"), site.registered("103")
    picker.subscribe("101")
    picker.subscribe("trunk+carrier")
    calling = carrier.call(f"{DID}01")
    invite = rings(callee)
    assert '"Carla" <sip:+491701234567@' in invite["from"]
    notify = picker.notify("early")
    (dialog,) = notify.document.dialogs
    assert dialog.remote
    assert dialog.remote.identity
    assert (dialog.remote.identity.display, dialog.remote.identity.uri.partition("@")[0]) == (
        "Carla",
        "sip:+491701234567",
    )
    named = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    picking = Calling.start(picker, "101", sdp(5003), Replaces=named)
    taken = picking.final()
    assert (taken.status, audio_port(taken)) == (200, 7000)
    answer = calling.final()
    assert (answer.status, audio_port(answer)) == (200, 5003)
    picking.acknowledge(taken)
    called = calling.acknowledge(answer)
    callee.reply(callee.wait_request("CANCEL"), 200)
    callee.reply(invite, 487, "Request Terminated")
    site.wait_lamp("103", "talking")
    called.send("BYE")
    picker.reply(picker.wait_request("BYE"), 200)
    site.wait_no_call()


def test_a_call_out_answers_a_challenge_and_its_bye_too(site: Site, carrier: Carrier) -> None:
    caller = site.registered("101")
    for status, algorithm in ((401, "MD5"), (407, "SHA-256")):
        carrier.set(username="acct", password="s3cret")
        calling = Calling.start(caller, "0301234567", sdp(5001))
        invite = carrier.invited()
        assert invite.uri.startswith("sip:0301234567@127.0.0.2")
        carrier.challenge(invite, status, f"n{status}", algorithm=algorithm)
        again = carrier.invited()
        name, asked = ("authorization", "WWW") if status == 401 else ("proxy-authorization", "Proxy")
        assert proved(again, name, "acct", "s3cret"), asked
        assert 'nonce="n4' in again[name]
        assert again["contact"].startswith("<sip:acct@")
        carrier.agent.reply(again, 183, "Session Progress", sdp(7000), Content_Type="application/sdp")
        assert audio_port(calling.provisional(183)) == 7000
        carrier.agent.reply(again, 200, "OK", sdp(7000), Content_Type="application/sdp")
        dialog = calling.acknowledge(calling.final())
        carrier.agent.wait_request("ACK")
        dialog.send("BYE")
        carrier.agent.reply(carrier.invited("BYE"), 200)
        site.wait_no_call()


def test_a_wrong_password_ends_the_call_and_the_loop(site: Site, carrier: Carrier) -> None:
    carrier.set(username="acct", password="wrong")
    caller = site.registered("101")
    calling = Calling.start(caller, "0301", sdp(5001))
    for number in range(2):
        carrier.challenge(carrier.invited(), 401, f"again{number}")
    assert calling.refused().status == 480
    assert carrier.agent.silent(lambda m: m.method == "INVITE", 0.3)
    site.wait_no_call()


def test_two_carriers(site: Site, carrier: Carrier) -> None:
    """503: the other one; 486: that is the answer; 18x and then 503: no second call."""
    other = Carrier(site, "127.0.0.3")
    trunks.add(other.desk, "default", "other", {"servers": [other.agent.address]})
    routes.change(other.desk, "default", "0.", {"trunks": ["carrier", "other"]})
    caller = site.registered("101")
    try:
        for first, then in (((503,), 486), ((486,), 0), ((180, 503), 0)):
            calling = Calling.start(caller, "0301", sdp(5001))
            invite = carrier.invited()
            for status in first:
                carrier.agent.reply(invite, status, "So")
            if then:
                other.agent.reply(other.invited(), then, "Busy Here")
                other.agent.wait_request("ACK")
            carrier.agent.wait_request("ACK")
            refused = calling.final()
            caller.ack(refused, calling.uri, calling.headers)
            assert refused.status == (500 if first[-1] == 503 and not then else 486)
            site.wait_no_call()
        assert other.agent.silent(lambda m: m.method == "INVITE", 0.2)
    finally:
        routes.change(other.desk, "default", "0.", {"trunks": ["carrier"]})
        trunks.remove(other.desk, "default", "other")
        other.agent.close()


def test_strangers_and_codes_are_refused_from_outside(site: Site, carrier: Carrier) -> None:
    site.registered("102")
    for number in ("102", "*97102", "*98", "0301", "trunk+carrier"):
        calling = carrier.call(number)
        refused = calling.final()
        carrier.agent.ack(refused, calling.uri, calling.headers)
        assert refused.status == 404, number
    stranger = Carrier(site, "127.0.0.9")
    assert stranger.call(f"{DID}01").final().status in (401, 403)
    for method in ("SUBSCRIBE", "REGISTER"):
        assert carrier.agent.request(method, "102", Event="dialog").status == 401
    stranger.agent.close()
